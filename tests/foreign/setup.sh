#!/usr/bin/env bash
# Installs the foreign SMPP libraries that the tests use, by package name, into .test-env.
set -euo pipefail
cd "$(dirname "$0")/../.."
env=.test-env
if [ ! -x "$env/venv/bin/python" ] || ! "$env/venv/bin/python" -c 'import smpplib' 2>/dev/null; then
    python3 -m venv "$env/venv"
    "$env/venv/bin/pip" install --quiet --disable-pip-version-check smpplib==2.2.4
fi
if [ ! -d "$env/node_modules/smpp" ]; then
    mkdir -p "$env"
    npm install --silent --no-audit --no-fund --prefix "$env" smpp@0.5.1 >/dev/null
fi
