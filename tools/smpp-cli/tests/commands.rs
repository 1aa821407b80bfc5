//! Each command against smsc-sim.

#[path = "../../smsc-sim/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::{Sim, binary, run};

const CLI: &str = env!("CARGO_BIN_EXE_smpp-cli");

fn sim(options: &[&str]) -> Sim {
    Sim::start(&binary(CLI, "smsc-sim"), options)
}

fn cli(sim: &Sim, options: &[&str]) -> (i32, Vec<Value>) {
    let common = ["--connect", &sim.listen[0], "--json"];
    let output: Output = run(&PathBuf::from(CLI), &[options, &common[..]].concat());
    let lines = output.stdout.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    let objects = lines.map(|line| serde_json::from_slice(line).unwrap());
    (output.status.code().unwrap(), objects.collect())
}

#[test]
fn bind_shows_the_response() {
    let mut sim = sim(&[]);
    let (code, lines) = cli(&sim, &["bind", "--bind", "rx"]);
    assert_eq!((code, lines.len()), (0, 1));
    assert_eq!(lines[0]["command"], "bind_receiver_resp");
    assert_eq!(lines[0]["system_id"], "smscA");
    assert_eq!(lines[0]["sc_interface_version"], "5.0");
    sim.order("refuse ESME_RINVPASWD");
    let (code, lines) = cli(&sim, &["bind"]);
    assert_eq!((code, &lines[0]["status"]), (1, &"ESME_RINVPASWD".into()));
}

#[test]
fn send_waits_for_its_receipt() {
    let sim = sim(&["--receipt-delay", "1ms"]);
    let options = ["send", "--to", "46701", "--from", "Bank", "--text", "smörgås", "--wait"];
    let (code, lines) = cli(&sim, &options);
    assert_eq!((code, lines.len()), (0, 2), "{lines:?}");
    assert_eq!(lines[0]["message_id"], "A0000001");
    assert_eq!(lines[1]["message_state"], "DELIVERED");
    assert_eq!(lines[1]["message_id"], "A0000001");
}

#[test]
fn a_failed_delivery_is_a_failure() {
    let sim = sim(&["--receipt-delay", "1ms", "--receipt-failed", "1"]);
    let (code, lines) = cli(&sim, &["send", "--to", "46701", "--text", "hi", "--wait"]);
    assert_eq!((code, &lines[1]["message_state"]), (1, &"UNDELIVERABLE".into()));
}

#[test]
fn messages_are_asked_about_and_changed() {
    let sim = sim(&["--receipt-delay", "1h"]);
    let text = "x".repeat(300);
    let (code, lines) = cli(&sim, &["send", "--to", "46701", "--from", "46700", "--text", &text]);
    assert_eq!(code, 0);
    let id = lines[0]["message_id"].as_str().unwrap();
    let (code, lines) = cli(&sim, &["query", "--id", id]);
    assert_eq!((code, &lines[0]["message_state"]), (0, &"ENROUTE".into()));
    assert_eq!(cli(&sim, &["replace", "--id", id, "--text", "new"]).0, 0);
    assert_eq!(cli(&sim, &["cancel", "--from", "46700", "--to", "46701"]).0, 0);
    let (code, lines) = cli(&sim, &["query", "--id", id]);
    assert_eq!((code, &lines[0]["message_state"]), (0, &"DELETED".into()));
    let (code, lines) = cli(&sim, &["cancel", "--id", "unknown"]);
    assert_eq!((code, &lines[0]["status"]), (1, &"ESME_RCANCELFAIL".into()));
}

#[test]
fn listen_prints_what_is_delivered() {
    let mut sim = sim(&[]);
    let mut child = Command::new(CLI)
        .args(["listen", "--count", "2", "--connect", &sim.listen[0]])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("bind_transceiver_resp  ESME_ROK"));
    sim.order("mo 46709 2 some words");
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains("to 46709") && line.ends_with("text \"some words\""), "{line}");
    }
    assert!(child.wait().unwrap().success());
    sim.order("wait mo_acknowledged == 2");
}

#[test]
fn nobody_there_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let output = run(&PathBuf::from(CLI), &["bind", "--connect", &address]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot connect to"), "{error}");
}
