//! The generator against smsc-sim: what is right is found right, what is wrong is found wrong.

#[path = "../../smsc-sim/tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use serde_json::Value;
use support::{Sim, binary, json, run};

const LOAD: &str = env!("CARGO_BIN_EXE_smpp-load");

fn sim(options: &[&str]) -> Sim {
    Sim::start(&binary(LOAD, "smsc-sim"), options)
}

/// Runs the generator; its exit status and result.
fn load(sim: &Sim, options: &[&str]) -> (i32, Value) {
    let common = ["--connect", &sim.listen[0], "--json", "--quiet"];
    let output = run(&PathBuf::from(LOAD), &[&common[..], options].concat());
    (output.status.code().unwrap(), json(&output))
}

#[test]
fn counts_match_on_both_sides() {
    let mut sim = sim(&[]);
    let (code, result) = load(&sim, &["--binds", "5", "--window", "7", "--count", "2000"]);
    assert_eq!(code, 0, "{result}");
    assert_eq!(result["statuses"]["ESME_ROK"], 2000);
    assert_eq!(result["answered"], 2000);
    assert_eq!(result["latency_us"]["max"].as_f64().map(|max| max > 0.0), Some(true));
    for counter in ["received", "accepted", "answered"] {
        assert_eq!(sim.counter(counter), 2000, "{counter}");
    }
    sim.order("wait binds == 0");
    assert_eq!(sim.counter("unbinds"), 5);
}

#[test]
fn statuses_are_counted_and_are_no_mismatch() {
    let mut sim = sim(&["--error", "ESME_RSYSERR=0.5", "--seed", "7"]);
    let (code, result) = load(&sim, &["--count", "500", "--accounts", "user%d"]);
    assert_eq!(code, 0, "{result}");
    let failed = result["statuses"]["ESME_RSYSERR"].as_u64().unwrap();
    assert!((1..500).contains(&failed));
    assert_eq!(sim.order("wait responses.ESME_RSYSERR >= 1")["value"], failed);
}

#[test]
fn receipts_arrive_and_match() {
    let options = ["--receipt-delay", "2ms", "--latency", "1ms", "--jitter", "1ms"];
    let mut sim = sim(&options);
    let (code, result) = load(&sim, &["--binds", "3", "--count", "600", "--registered", "0.5"]);
    assert_eq!(code, 0, "{result}");
    let requested = result["receipts"]["requested"].as_u64().unwrap();
    assert!((1..600).contains(&requested));
    assert_eq!(result["receipts"]["matched"], requested);
    assert_eq!(result["receipts"]["missing"], 0);
    sim.order(&format!("wait receipts_acknowledged == {requested}"));
}

#[test]
fn receipts_reach_a_bind_that_only_receives() {
    let sim = sim(&["--receipt-delay", "1ms"]);
    let options = ["--bind", "tx", "--receivers", "1", "--registered", "1", "--count", "50"];
    let (code, result) = load(&sim, &options);
    assert_eq!(code, 0, "{result}");
    assert_eq!(result["receipts"]["matched"], 50);
}

#[test]
fn a_schedule_sends_what_it_owes() {
    let mut sim = sim(&[]);
    let options = ["--rate", "2000", "--duration", "500ms", "--binds", "4", "--window", "1000"];
    let (code, result) = load(&sim, &options);
    assert_eq!(code, 0, "{result}");
    let sent = result["sent"].as_u64().unwrap();
    assert_eq!(sent + result["unsent"].as_u64().unwrap(), 1000);
    assert_eq!(sim.counter("received"), sent);
}

#[test]
fn a_warm_up_is_checked_and_not_measured() {
    let sim = sim(&[]);
    let options = ["--rate", "1000", "--warmup", "100ms", "--count", "100", "--binds", "2"];
    let (code, result) = load(&sim, &options);
    assert_eq!(code, 0, "{result}");
    assert_eq!(result["measured"]["answered"], 100);
    assert_eq!(result["sent"], 200);
}

fn finds(fault: &str, kind: &str, options: &[&str]) {
    let sim = sim(&["--fault", fault, "--receipt-delay", "1ms"]);
    let common = ["--count", "100", "--drain", "200ms"];
    let (code, result) = load(&sim, &[&common[..], options].concat());
    assert_eq!(code, 1, "{result}");
    assert_eq!(result["ok"], false);
    assert!(result["mismatches"][kind].as_u64().unwrap() > 0, "{result}");
    assert!(!result["mismatches"]["explained"].as_array().unwrap().is_empty());
}

#[test]
fn a_swapped_token_is_found() {
    finds("swap-tokens", "token", &[]);
}

#[test]
fn a_second_response_is_found() {
    finds("duplicate-response=0.1", "sequence", &[]);
}

#[test]
fn a_wrong_sequence_number_is_found() {
    finds("wrong-sequence=0.1", "sequence", &["--window", "100"]);
}

#[test]
fn a_wrong_receipt_is_found() {
    finds("wrong-receipt-id=0.5", "receipt", &["--registered", "1"]);
}

#[test]
fn a_missing_response_is_found() {
    let sim = sim(&["--fault", "lost-response=0.1"]);
    let options = ["--count", "100", "--window", "100", "--drain", "200ms"];
    let (code, result) = load(&sim, &options);
    assert_eq!(code, 1, "{result}");
    assert!(result["missing"].as_u64().unwrap() > 0);
    assert_eq!(result["mismatches"]["total"], 0);
}

#[test]
fn a_refused_bind_is_a_failure() {
    let sim = sim(&["--max-binds", "2"]);
    let (code, result) = load(&sim, &["--binds", "3", "--count", "10"]);
    assert_eq!(code, 1);
    assert!(result["bind_failures"][0].as_str().unwrap().contains("ESME_RALYBND"), "{result}");
}

#[test]
fn a_lost_connection_leaves_answers_missing() {
    let mut sim = sim(&["--hold"]);
    let address = sim.listen[0].clone();
    let run = std::thread::spawn(move || {
        let options = ["--connect", &address, "--count", "5", "--window", "5", "--json", "--quiet"];
        run(&PathBuf::from(LOAD), &options)
    });
    sim.order("wait outstanding == 5");
    sim.order("drop");
    let output = run.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let result = json(&output);
    assert_eq!((&result["missing"], &result["connections_lost"]), (&5.into(), &1.into()));
}

#[test]
fn a_lost_connection_is_bound_again() {
    let mut sim = sim(&["--hold"]);
    let address = sim.listen[0].clone();
    let run = std::thread::spawn(move || {
        let options = ["--connect", &address, "--count", "20", "--window", "5", "--reconnect"];
        run(&PathBuf::from(LOAD), &[&options[..], &["--json", "--quiet"]].concat())
    });
    sim.order("wait outstanding == 5");
    sim.order("hold off");
    sim.order("refuse ESME_RBINDFAIL");
    sim.order("drop");
    sim.order("wait binds_refused >= 2");
    sim.order("refuse off");
    let output = run.join().unwrap();
    let result = json(&output);
    assert_eq!(output.status.code(), Some(0), "{result}");
    assert_eq!((&result["lost"], &result["answered"]), (&5.into(), &15.into()));
    assert_eq!(result["connections_lost"], 1);
}

#[test]
fn a_wrong_command_line_has_its_own_status() {
    let options = ["--connect", "127.0.0.1:1", "--interface-version", "3.3"];
    let output = run(&PathBuf::from(LOAD), &options);
    assert_eq!(output.status.code(), Some(2));
}
