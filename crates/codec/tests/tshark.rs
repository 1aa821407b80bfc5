//! Wireshark's dissector reads what we write: each kind of PDU, and PDUs that were edited on
//! their way through, goes into a capture file as one TCP segment, and tshark has to name them
//! all and find nothing malformed.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codec::{CommandId, Message, MessageIdResp, Pdu, Tag, edit, receipt_id};
use support::{KINDS, pdu, sample};

const PORT: u16 = 2775;

/// A capture file of one TCP flow to the SMPP port. Checksums are left zero: tshark does not
/// check them.
fn capture(pdus: &[Vec<u8>]) -> Vec<u8> {
    const MAGIC: u32 = 0xA1B2_C3D4;
    const ETHERNET: u32 = 1;
    let mut file = Vec::new();
    file.extend_from_slice(&MAGIC.to_be_bytes());
    file.extend_from_slice(&[0, 2, 0, 4]);
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&0xFFFFu32.to_be_bytes());
    file.extend_from_slice(&ETHERNET.to_be_bytes());
    let mut tcp_sequence = 1;
    for (second, pdu) in pdus.iter().enumerate() {
        let frame = frame(pdu, tcp_sequence);
        tcp_sequence += u32::try_from(pdu.len()).unwrap();
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        file.extend_from_slice(&u32::try_from(second).unwrap().to_be_bytes());
        file.extend_from_slice(&[0; 4]);
        file.extend_from_slice(&length);
        file.extend_from_slice(&length);
        file.extend_from_slice(&frame);
    }
    file
}

/// Ethernet, IPv4 and TCP around a PDU.
fn frame(pdu: &[u8], tcp_sequence: u32) -> Vec<u8> {
    const IPV4: [u8; 2] = [0x08, 0x00];
    const TCP: u8 = 6;
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&IPV4);
    let ip_length = u16::try_from(20 + 20 + pdu.len()).unwrap();
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&ip_length.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, TCP, 0, 0]);
    frame.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 2]);
    frame.extend_from_slice(&40_000u16.to_be_bytes());
    frame.extend_from_slice(&PORT.to_be_bytes());
    frame.extend_from_slice(&tcp_sequence.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 1, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
    frame.extend_from_slice(pdu);
    frame
}

/// What tshark prints about the capture.
fn tshark(file: &Path, arguments: &[&str]) -> String {
    let decode_as = format!("tcp.port=={PORT},smpp");
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(["-d", &decode_as])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("tshark does not start ({error}): install the Debian package `tshark`")
        });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn write_capture(name: &str, pdus: &[Vec<u8>]) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, capture(pdus)).unwrap();
    file
}

/// Checks that tshark finds in `pdus` the commands that they are, in order, and no fault.
fn check(name: &str, pdus: &[Vec<u8>]) -> String {
    let file = write_capture(name, pdus);
    let details = tshark(&file, &["-O", "smpp"]);
    assert!(!details.to_lowercase().contains("malformed"), "{details}");
    assert!(!details.contains("Expert Info"), "{details}");

    let fields = [
        "-T",
        "fields",
        "-e",
        "smpp.command_id",
        "-e",
        "smpp.command_length",
        "-e",
        "smpp.sequence_number",
    ];
    let rows = tshark(&file, &fields);
    assert_eq!(rows.lines().count(), pdus.len(), "{rows}");
    for (row, bytes) in rows.lines().zip(pdus) {
        let pdu = Pdu::new_checked(bytes).unwrap();
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        };
        let found: Vec<u32> = row.split('\t').map(number).collect();
        assert_eq!(found, [pdu.command_id().0, pdu.command_length(), pdu.sequence_number()]);
    }
    let operations: Vec<_> = details
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("Operation: "))
        .map(|line| line.split(" (").next().unwrap_or(line).to_lowercase().replace(" - ", "_"))
        .collect();
    let names: Vec<_> = pdus
        .iter()
        .map(|bytes| Pdu::new_checked(bytes).unwrap().command_id().name().to_owned())
        .collect();
    assert_eq!(operations, names);
    details
}

#[test]
fn every_kind_of_pdu_is_named_and_well_formed() {
    let parts = sample();
    let pdus: Vec<_> = KINDS.iter().map(|&id| pdu(id, &parts)).collect();
    let details = check("kinds.pcap", &pdus);
    for value in ["roundhouse", "447700900123", "0123456789#x-ab", "Validity period: 86400"] {
        assert!(details.contains(value), "{value} is missing in\n{details}");
    }
}

#[test]
fn edited_pdus_are_well_formed() {
    let mut parts = sample();
    parts.message_id = b"42".to_vec();
    let response = pdu(CommandId::SUBMIT_SM_RESP, &parts);
    let mut tagged = Vec::new();
    let view = Pdu::new_checked(&response).unwrap();
    let offset = MessageIdResp::MESSAGE_ID_OFFSET;
    edit::append_with_message_id(&mut tagged, view, offset, 2, &[b"42", b"#tag-ab"]);

    parts.esm_class = 4;
    parts.short_message = b"id:42 sub:001 dlvrd:001 stat:DELIVRD err:000 text:".to_vec();
    parts.tlvs = vec![(Tag::RECEIPTED_MESSAGE_ID, b"42\0".to_vec()), (Tag::MESSAGE_STATE, vec![2])];
    let receipt = pdu(CommandId::DELIVER_SM, &parts);
    let mut tagged_receipt = Vec::new();
    let view = Pdu::new_checked(&receipt).unwrap();
    let message = Message::parse(view).unwrap();
    let id = receipt_id(&message).unwrap();
    edit::append_receipt(&mut tagged_receipt, view, &id, &[b"42", b"#tag-ab"]).unwrap();

    let mut stripped = Vec::new();
    edit::append_without_tlvs(&mut stripped, view, &message.tlvs);

    let details = check("edits.pcap", &[tagged, tagged_receipt, stripped]);
    assert_eq!(details.matches("42#tag-ab").count(), 3, "{details}");
}

/// Without this the other tests might pass for want of a check.
#[test]
fn a_broken_pdu_is_marked() {
    let mut broken = pdu(CommandId::SUBMIT_SM, &sample());
    broken.truncate(40);
    edit::set_command_length(&mut broken, 40);
    let file = write_capture("broken.pcap", &[broken]);
    assert!(tshark(&file, &["-O", "smpp"]).to_lowercase().contains("malformed"));
}
