//! Binds, states and faults of a session.

mod support;

use codec::build::{SubmitSm, append_header_only};
use codec::{Address, BindResp, CommandId, CommandStatus, InterfaceVersion, MessageIdResp};
use support::{Esme, Sim, pdu, status};

fn sim(options: &[&str]) -> Sim {
    Sim::start(env!("CARGO_BIN_EXE_smsc-sim").as_ref(), options)
}

fn submit(text: &[u8]) -> SubmitSm<'_> {
    let destination = Address::new(1, 1, b"46701");
    SubmitSm { destination, short_message: text, ..SubmitSm::default() }
}

#[test]
fn credentials_are_checked_where_they_are_given() {
    let sim = sim(&["--system-id", "me", "--password", "pw"]);
    let trx = CommandId::BIND_TRANSCEIVER;
    let mut esme = Esme::connect(&sim.listen[0]);
    let v34 = InterfaceVersion::V3_4;
    assert_eq!(status(&esme.bind(trx, b"you", b"pw", v34)), CommandStatus::ESME_RINVSYSID);
    assert_eq!(status(&esme.bind(trx, b"me", b"no", v34)), CommandStatus::ESME_RINVPASWD);
    let response = esme.bind(trx, b"me", b"pw", v34);
    let body = BindResp::parse(pdu(&response)).unwrap();
    assert_eq!(body.system_id, b"smscA");
    assert_eq!(body.sc_interface_version, Some(InterfaceVersion::V5_0));
    assert_eq!(status(&esme.bind(trx, b"me", b"pw", v34)), CommandStatus::ESME_RALYBND);
}

#[test]
fn binds_are_refused_and_limited() {
    let mut sim = sim(&["--max-binds", "1"]);
    let _first = Esme::bound(&sim.listen[0], CommandId::BIND_RECEIVER);
    let mut second = Esme::connect(&sim.listen[0]);
    let v34 = InterfaceVersion::V3_4;
    let rx = CommandId::BIND_RECEIVER;
    assert_eq!(status(&second.bind(rx, b"a", b"b", v34)), CommandStatus::ESME_RALYBND);
    sim.order("refuse ESME_RBINDFAIL");
    assert_eq!(status(&second.bind(rx, b"a", b"b", v34)), CommandStatus::ESME_RBINDFAIL);
    assert_eq!(sim.counter("binds_refused"), 2);
    assert_eq!(sim.counter("binds_receiver"), 1);
}

#[test]
fn requests_need_a_session_that_allows_them() {
    let mut sim = sim(&[]);
    let mut esme = Esme::connect(&sim.listen[0]);
    let response = esme.ask(|out, n| submit(b"x").append(out, n));
    assert_eq!(pdu(&response).command_id(), CommandId::SUBMIT_SM_RESP);
    assert_eq!(status(&response), CommandStatus::ESME_RINVBNDSTS);
    let mut receiver = Esme::bound(&sim.listen[0], CommandId::BIND_RECEIVER);
    let response = receiver.ask(|out, n| submit(b"x").append(out, n));
    assert_eq!(status(&response), CommandStatus::ESME_RINVBNDSTS);
    assert_eq!(sim.counter("wrong_state"), 2);
    let ok = CommandStatus::ESME_ROK;
    let response = receiver.ask(|out, n| append_header_only(out, CommandId::UNBIND, ok, n));
    assert_eq!(pdu(&response).command_id(), CommandId::UNBIND_RESP);
    assert_eq!(receiver.read(), None);
    sim.order("wait binds == 0");
}

#[test]
fn what_is_unknown_or_impossible_is_nacked() {
    let mut sim = sim(&[]);
    let mut esme = Esme::bound(&sim.listen[0], CommandId::BIND_TRANSCEIVER);
    let ok = CommandStatus::ESME_ROK;
    let nack = esme.ask(|out, n| append_header_only(out, CommandId(0x0000_0777), ok, n));
    assert_eq!(pdu(&nack).command_id(), CommandId::GENERIC_NACK);
    assert_eq!(status(&nack), CommandStatus::ESME_RINVCMDID);
    let response = esme.ask(|out, n| append_header_only(out, CommandId::ENQUIRE_LINK, ok, n));
    assert_eq!(pdu(&response).command_id(), CommandId::ENQUIRE_LINK_RESP);
    esme.write(&[0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]);
    let nack = esme.read().unwrap();
    assert_eq!(status(&nack), CommandStatus::ESME_RINVCMDLEN);
    assert_eq!(esme.read(), None);
    sim.order("wait connections == 0");
}

#[test]
fn ids_carry_the_token_and_fit_the_version() {
    let sim = sim(&[]);
    let mut esme = Esme::bound(&sim.listen[0], CommandId::BIND_TRANSMITTER);
    let response = esme.ask(|out, n| submit(b"RH:tok1;hello").append(out, n));
    let id = MessageIdResp::parse(pdu(&response)).unwrap().message_id;
    assert_eq!(id, b"A0000001.tok1");
    let mut old = Esme::connect(&sim.listen[0]);
    old.bind(CommandId::BIND_TRANSMITTER, b"old", b"", InterfaceVersion::V3_3);
    let response = old.ask(|out, n| submit(b"RH:tok2;hello").append(out, n));
    let id = MessageIdResp::parse(pdu(&response)).unwrap().message_id;
    assert_eq!(id, b"A0000002");
}

#[test]
fn errors_window_and_rate_have_their_statuses() {
    let mut sim = sim(&["--error", "ESME_RSYSERR=1", "--window", "2", "--hold"]);
    let mut esme = Esme::bound(&sim.listen[0], CommandId::BIND_TRANSMITTER);
    for _ in 0..3 {
        esme.send(|out, n| submit(b"x").append(out, n));
    }
    let third = esme.read().unwrap();
    assert_eq!(status(&third), CommandStatus::ESME_RTHROTTLED);
    sim.order("wait outstanding == 2");
    sim.order("release");
    for _ in 0..2 {
        assert_eq!(status(&esme.read().unwrap()), CommandStatus::ESME_RSYSERR);
    }
    assert_eq!(sim.order("wait responses.ESME_RSYSERR == 2")["value"], 2);
}

#[test]
fn a_rate_is_kept() {
    let sim = sim(&["--throttle-above", "1"]);
    let mut esme = Esme::bound(&sim.listen[0], CommandId::BIND_TRANSMITTER);
    let mut statuses = Vec::new();
    for _ in 0..50 {
        statuses.push(status(&esme.ask(|out, n| submit(b"x").append(out, n))));
    }
    assert_eq!(statuses[0], CommandStatus::ESME_ROK);
    assert!(statuses.contains(&CommandStatus::ESME_RTHROTTLED));
}

#[test]
fn instances_live_and_die_one_by_one() {
    let mut sim = sim(&["--instances", "2", "--base-port", "0"]);
    let mut first = Esme::bound(&sim.listen[0], CommandId::BIND_TRANSCEIVER);
    let mut second = Esme::bound(&sim.listen[1], CommandId::BIND_TRANSCEIVER);
    let response = second.ask(|out, n| submit(b"x").append(out, n));
    assert_eq!(MessageIdResp::parse(pdu(&response)).unwrap().message_id, b"B0000001");
    sim.order("0 listen off");
    assert_eq!(first.read(), None);
    assert!(std::net::TcpStream::connect(&sim.listen[0]).is_err());
    let response = second.ask(|out, n| submit(b"x").append(out, n));
    assert_eq!(status(&response), CommandStatus::ESME_ROK);
    sim.order("0 listen on");
    Esme::bound(&sim.listen[0], CommandId::BIND_TRANSCEIVER);
    sim.order("1 drop");
    assert_eq!(second.read(), None);
    sim.order("unbind");
    let stats = sim.order("1 stats");
    assert_eq!(stats["instances"].as_array().unwrap().len(), 1);
    assert_eq!(stats["instances"][0]["accepted"], 2);
}

#[test]
fn outbind_is_sent_to_a_listener() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sim = sim(&[]);
    sim.order(&format!("outbind {} centre pw", listener.local_addr().unwrap()));
    let (mut socket, _) = listener.accept().unwrap();
    let mut outbind = [0; 16 + 7 + 3];
    std::io::Read::read_exact(&mut socket, &mut outbind).unwrap();
    let outbind = codec::Outbind::parse(pdu(&outbind)).unwrap();
    assert_eq!((outbind.system_id, outbind.password), (&b"centre"[..], &b"pw"[..]));
}

#[test]
fn commands_say_what_is_wrong() {
    let mut sim = sim(&[]);
    for (command, expected) in [
        ("nonsense", "there are stats"),
        ("7 stats", "no instance 7"),
        ("hold maybe", "neither on nor off"),
        ("wait nothing >= 1", "no counter"),
        ("wait binds ~ 1", "no comparison"),
        ("refuse WHAT", "no command_status"),
    ] {
        let reply = sim.command(command);
        assert_eq!(reply["ok"], false);
        assert!(reply["error"].as_str().unwrap().contains(expected), "{reply}");
    }
    let reply = sim.command("wait binds >= 1 0");
    assert_eq!((&reply["ok"], &reply["value"]), (&false.into(), &0.into()));
}
