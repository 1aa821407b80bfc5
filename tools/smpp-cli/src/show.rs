//! PDUs for a person, or a program, to read.

use codec::{
    Alert, BindResp, CommandId, Data, Malformed, Message, MessageIdResp, MessageState, Pdu,
    QueryResp, Tlvs, receipt_id, receipt_id_of_data,
};
use serde_json::{Map, Value, json};

use crate::text::decode;

/// A PDU as an object: command, status and what its body says.
pub fn describe(pdu: Pdu<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("command".into(), json!(pdu.command_id().to_string()));
    if pdu.command_id().is_response() {
        object.insert("status".into(), json!(wire::status_name(pdu.command_status())));
    }
    object.insert("sequence_number".into(), json!(pdu.sequence_number()));
    if let Err(malformed) = body(pdu, &mut object) {
        object.insert("malformed".into(), json!(malformed.to_string()));
    }
    object
}

/// The object in words, on one line.
pub fn words(object: &Map<String, Value>) -> String {
    let words = object.iter().filter(|(key, _)| *key != "sequence_number").map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match key.as_str() {
            "command" | "status" => value,
            "text" => format!("text \"{value}\""),
            key => format!("{key} {value}"),
        }
    });
    words.collect::<Vec<_>>().join("  ")
}

fn body(pdu: Pdu<'_>, object: &mut Map<String, Value>) -> Result<(), Malformed> {
    let ok = pdu.command_status().is_ok();
    match pdu.command_id() {
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP
            if ok =>
        {
            let response = BindResp::parse(pdu)?;
            object.insert("system_id".into(), octets(response.system_id));
            if let Some(version) = response.sc_interface_version {
                object.insert("sc_interface_version".into(), json!(version.to_string()));
            }
        }
        CommandId::SUBMIT_SM_RESP | CommandId::DATA_SM_RESP if ok => {
            let response = MessageIdResp::parse(pdu)?;
            object.insert("message_id".into(), octets(response.message_id));
        }
        CommandId::QUERY_SM_RESP if ok => {
            let response = QueryResp::parse(pdu)?;
            object.insert("message_id".into(), octets(response.message_id));
            object.insert("message_state".into(), state(response.message_state));
            object.insert("final_date".into(), octets(response.final_date));
            object.insert("error_code".into(), json!(response.error_code));
        }
        CommandId::DELIVER_SM => {
            let message = Message::parse(pdu)?;
            addresses(object, message.source.digits, message.destination.digits);
            let receipt = message.is_receipt() || message.is_intermediate();
            let id = receipt_id(&message).filter(|_| receipt);
            delivery(object, receipt, id.map(|id| id.id), message.tlvs);
            let payload = message.payload().0;
            text(object, payload, message.data_coding, message.has_udh());
        }
        CommandId::DATA_SM => {
            let data = Data::parse(pdu)?;
            addresses(object, data.source.digits, data.destination.digits);
            let receipt = data.is_receipt() || data.is_intermediate();
            let id = receipt_id_of_data(&data).filter(|_| receipt);
            delivery(object, receipt, id.map(|id| id.id), data.tlvs);
            text(object, data.payload(), data.data_coding, data.has_udh());
        }
        CommandId::ALERT_NOTIFICATION => {
            let alert = Alert::parse(pdu)?;
            object.insert("from".into(), octets(alert.source.digits));
            object.insert("esme".into(), octets(alert.esme.digits));
        }
        _ => {}
    }
    Ok(())
}

fn addresses(object: &mut Map<String, Value>, source: &[u8], destination: &[u8]) {
    object.insert("from".into(), octets(source));
    object.insert("to".into(), octets(destination));
}

fn delivery(object: &mut Map<String, Value>, receipt: bool, id: Option<&[u8]>, tlvs: Tlvs<'_>) {
    object.insert("receipt".into(), json!(receipt));
    if let Some(id) = id {
        object.insert("message_id".into(), octets(id));
    }
    let found = tlvs.find(codec::Tag::MESSAGE_STATE).and_then(|tlv| tlv.u8());
    if let Some(found) = found {
        object.insert("message_state".into(), state(found));
    }
}

/// The text behind a user data header, and the header as hexadecimal digits.
fn text(object: &mut Map<String, Value>, payload: &[u8], data_coding: u8, has_udh: bool) {
    let header =
        if has_udh { payload.first().map_or(0, |length| usize::from(*length) + 1) } else { 0 };
    let (header, text) = payload.split_at(header.min(payload.len()));
    if !header.is_empty() {
        let digits: String = header.iter().map(|octet| format!("{octet:02x}")).collect();
        object.insert("udh".into(), json!(digits));
    }
    object.insert("data_coding".into(), json!(data_coding));
    object.insert("text".into(), json!(decode(text, data_coding)));
}

fn state(value: u8) -> Value {
    match MessageState::from_u8(value) {
        Some(state) => json!(format!("{state:?}").to_uppercase()),
        None => json!(value),
    }
}

fn octets(octets: &[u8]) -> Value {
    json!(String::from_utf8_lossy(octets))
}
