"""Roundhouse on one core against haproxy (mode tcp, one thread): smpp-load -> proxy -> smsc-sim.

The proxy has CPU 0 for itself, the generator and the message centres share CPU 1. What counts is
messages (a submit_sm and its response) per CPU-second of the proxy process, user and system time as
the kernel accounts them.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

from peers import BIN, LIMIT, Balancer, Peer, Simulators, account, end, free_port

SHAPES = [(100, 10), (500, 1)]
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1])


class Haproxy:
    def __init__(self, simulators):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        servers = "\n".join(f"  server s{i} {a}" for i, a in enumerate(simulators.listen))
        config = f"{self.folder.name}/haproxy.cfg"
        with open(config, "w") as file:
            file.write(f"""global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen smpp
  bind 127.0.0.1:{self.port}
  balance roundrobin
{servers}
""")
        self.process = subprocess.Popen(["taskset", "-c", "0", "haproxy", "-db", "-f", config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                Peer(self.port).close()
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit("haproxy does not listen")

    def stop(self):
        end(self.process)
        self.folder.cleanup()


def one(make, binds, window, seconds):
    simulators = Simulators(2, "--cpu", "1")
    proxy = make(simulators)
    try:
        command = [f"{BIN}/smpp-load", "--connect", f"127.0.0.1:{proxy.port}", "--system-id", "a",
                   "--password", "secret", "--binds", str(binds), "--window", str(window),
                   "--duration", f"{seconds}s", "--cpu", "1", "--quiet", "--json"]
        before = cpu_seconds(proxy.process.pid)
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + LIMIT)
        spent = cpu_seconds(proxy.process.pid) - before
        result = json.loads(run.stdout)
        if run.returncode != 0:
            raise SystemExit(f"{make.__name__}, {binds} x {window}: the load failed: {result}")
        latency = result["latency_us"]
        return {
            "messages per CPU-second": result["answered"] / spent,
            "messages per second": result["measured"]["per_second"],
            "p50 us": latency["p50"], "p99 us": latency["p99"], "p99.9 us": latency["p99_9"],
        }
    finally:
        proxy.stop()
        simulators.stop()


def roundhouse(simulators):
    return Balancer(simulators, account("a"), cores=1)


def quick(rounds, seconds):
    for binds, window in SHAPES:
        runs = {"haproxy": [], "roundhouse": []}
        for _ in range(rounds):
            for name, make in (("haproxy", Haproxy), ("roundhouse", roundhouse)):
                runs[name].append(one(make, binds, window, seconds))
        print(f"\n{binds} binds x window {window}: median of {rounds} interleaved runs (min to max)")
        medians = {}
        for name, measured in runs.items():
            medians[name] = {key: statistics.median(run[key] for run in measured)
                             for key in measured[0]}
            for key, value in medians[name].items():
                low, high = min(r[key] for r in measured), max(r[key] for r in measured)
                print(f"  {name:<11} {key:<24} {value:>12,.0f}  ({low:,.0f} to {high:,.0f})")
        ours, theirs = medians["roundhouse"], medians["haproxy"]
        for key, floor, at_least in (("messages per CPU-second", 1.0, True),
                                     ("messages per second", 0.9, True), ("p50 us", 1.25, False)):
            ratio = ours[key] / theirs[key]
            reached = ratio >= floor if at_least else ratio <= floor
            sign = ">=" if at_least else "<="
            print(f"  ratio       {key:<24} {ratio:>12.2f}  (asked {sign} {floor}: "
                  f"{'reached' if reached else 'NOT reached'})")


def idle():
    simulators = Simulators(2)
    balancer = Balancer(simulators, account("a"), cores=2)
    try:
        empty = resident_kib(balancer.process.pid)
        peers = [Peer(balancer.port, "a") for _ in range(5_000)]
        full = resident_kib(balancer.process.pid)
        command = [f"{BIN}/smpp-load", "--connect", f"127.0.0.1:{balancer.port}", "--system-id",
                   "a", "--password", "secret", "--binds", "50", "--window", "10", "--duration",
                   "3s", "--quiet", "--json"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        busy = resident_kib(balancer.process.pid)
        assert run.returncode == 0, run.stdout
        print(f"RSS: {empty} KiB without clients, {full} KiB with 5,000 idle binds, "
              f"{busy} KiB after 50 busy ones beside them")
        print(f"per idle bind: {(full - empty) / 5_000:.2f} KiB (asked <= 4); "
              f"with the busy ones: {(busy - empty) / 5_000:.2f} KiB")
        for peer in peers:
            peer.close()
    finally:
        balancer.stop()
        simulators.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["quick", "idle"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    if options.what == "quick":
        quick(options.rounds, options.seconds)
    else:
        idle()


if __name__ == "__main__":
    main()
