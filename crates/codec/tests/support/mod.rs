//! One value for every field there is, and the PDU of each kind that carries them.
//!
//! The round-trip tests, the comparison with another codec and the one with tshark all read
//! back what [`pdu`] writes from the same [`Parts`].
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use codec::build::{
    BindRequest, BindResponse, CancelSm, DataSm, DeliverSm, MessageIdResponse, QuerySm,
    QuerySmResp, ReplaceSm, SubmitSm,
};
use codec::{Address, Builder, CommandId, CommandStatus, InterfaceVersion, Tag};
use proptest::collection::vec;
use proptest::prelude::*;

/// An address that owns its digits.
#[derive(Clone, Debug)]
pub struct Sme {
    pub ton: u8,
    pub npi: u8,
    pub digits: Vec<u8>,
}

impl Sme {
    pub fn as_address(&self) -> Address<'_> {
        Address::new(self.ton, self.npi, &self.digits)
    }
}

/// The values of all fields.
#[derive(Clone, Debug)]
pub struct Parts {
    pub sequence_number: u32,
    pub system_id: Vec<u8>,
    pub password: Vec<u8>,
    pub system_type: Vec<u8>,
    pub interface_version: u8,
    pub service_type: Vec<u8>,
    pub source: Sme,
    pub destination: Sme,
    pub esm_class: u8,
    pub protocol_id: u8,
    pub priority_flag: u8,
    pub schedule_delivery_time: Vec<u8>,
    pub validity_period: Vec<u8>,
    pub registered_delivery: u8,
    pub replace_if_present: u8,
    pub data_coding: u8,
    pub sm_default_msg_id: u8,
    pub short_message: Vec<u8>,
    pub message_id: Vec<u8>,
    pub message_state: u8,
    pub error_code: u8,
    pub tlvs: Vec<(Tag, Vec<u8>)>,
}

fn c_string(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(0x21..0x7Fu8, 0..=max)
}

fn sme() -> impl Strategy<Value = Sme> {
    (any::<u8>(), any::<u8>(), c_string(20)).prop_map(|(ton, npi, digits)| Sme { ton, npi, digits })
}

/// Empty, or all of an absolute or relative time.
fn time() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), "[0-9]{15}[-+R]".prop_map(String::into_bytes)]
}

fn tlv() -> impl Strategy<Value = (Tag, Vec<u8>)> {
    let octets = |tag, count| vec(any::<u8>(), count).prop_map(move |value| (tag, value));
    prop_oneof![
        ((0x1400..=0x3FFFu16).prop_map(Tag), vec(any::<u8>(), 0..40)),
        octets(Tag::SAR_MSG_REF_NUM, 2),
        octets(Tag::SAR_TOTAL_SEGMENTS, 1),
        octets(Tag::SAR_SEGMENT_SEQNUM, 1),
        octets(Tag::USER_MESSAGE_REFERENCE, 2),
        vec(any::<u8>(), 0..400).prop_map(|value| (Tag::MESSAGE_PAYLOAD, value)),
    ]
}

/// Any values that the specification allows.
pub fn parts() -> impl Strategy<Value = Parts> {
    let who = (any::<u32>(), c_string(15), c_string(8), c_string(12), any::<u8>());
    let route = (c_string(5), sme(), sme());
    let octets = any::<[u8; 9]>();
    let texts = (time(), time(), vec(any::<u8>(), 0..=255), c_string(64), vec(tlv(), 0..4));
    (who, route, octets, texts).prop_map(|(who, route, octets, texts)| Parts {
        sequence_number: who.0,
        system_id: who.1,
        password: who.2,
        system_type: who.3,
        interface_version: who.4,
        service_type: route.0,
        source: route.1,
        destination: route.2,
        esm_class: octets[0],
        protocol_id: octets[1],
        priority_flag: octets[2],
        registered_delivery: octets[3],
        replace_if_present: octets[4],
        data_coding: octets[5],
        sm_default_msg_id: octets[6],
        message_state: octets[7],
        error_code: octets[8],
        schedule_delivery_time: texts.0,
        validity_period: texts.1,
        short_message: texts.2,
        message_id: texts.3,
        tlvs: texts.4,
    })
}

/// Plain values, as a peer might send them.
pub fn sample() -> Parts {
    Parts {
        sequence_number: 0x1234_5678,
        system_id: b"roundhouse".to_vec(),
        password: b"secret08".to_vec(),
        system_type: b"SMPP".to_vec(),
        interface_version: InterfaceVersion::V5_0.0,
        service_type: b"CMT".to_vec(),
        source: Sme { ton: 5, npi: 0, digits: b"Roundhouse".to_vec() },
        destination: Sme { ton: 1, npi: 1, digits: b"447700900123".to_vec() },
        esm_class: 0,
        protocol_id: 0,
        priority_flag: 1,
        schedule_delivery_time: Vec::new(),
        validity_period: b"000001000000000R".to_vec(),
        registered_delivery: 1,
        replace_if_present: 0,
        data_coding: 3,
        sm_default_msg_id: 0,
        short_message: b"Mind the gap".to_vec(),
        message_id: b"0123456789#x-ab".to_vec(),
        message_state: 2,
        error_code: 0,
        tlvs: vec![(Tag::USER_MESSAGE_REFERENCE, vec![0x12, 0x34])],
    }
}

/// The kinds that [`pdu`] writes.
pub const KINDS: &[CommandId] = &[
    CommandId::BIND_RECEIVER,
    CommandId::BIND_TRANSMITTER,
    CommandId::BIND_TRANSCEIVER,
    CommandId::BIND_RECEIVER_RESP,
    CommandId::BIND_TRANSMITTER_RESP,
    CommandId::BIND_TRANSCEIVER_RESP,
    CommandId::OUTBIND,
    CommandId::UNBIND,
    CommandId::UNBIND_RESP,
    CommandId::ENQUIRE_LINK,
    CommandId::ENQUIRE_LINK_RESP,
    CommandId::GENERIC_NACK,
    CommandId::SUBMIT_SM,
    CommandId::SUBMIT_SM_RESP,
    CommandId::DELIVER_SM,
    CommandId::DELIVER_SM_RESP,
    CommandId::DATA_SM,
    CommandId::DATA_SM_RESP,
    CommandId::QUERY_SM,
    CommandId::QUERY_SM_RESP,
    CommandId::CANCEL_SM,
    CommandId::CANCEL_SM_RESP,
    CommandId::REPLACE_SM,
    CommandId::REPLACE_SM_RESP,
    CommandId::SUBMIT_MULTI,
    CommandId::SUBMIT_MULTI_RESP,
    CommandId::ALERT_NOTIFICATION,
    CommandId::BROADCAST_SM,
    CommandId::BROADCAST_SM_RESP,
    CommandId::QUERY_BROADCAST_SM,
    CommandId::CANCEL_BROADCAST_SM,
    CommandId::CANCEL_BROADCAST_SM_RESP,
];

/// One of [`KINDS`].
pub fn kind() -> impl Strategy<Value = CommandId> {
    prop::sample::select(KINDS)
}

/// The PDU of kind `id` with these values in its fields.
pub fn pdu(id: CommandId, parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    match id.request() {
        _ if id == CommandId::GENERIC_NACK => {
            let status = CommandStatus::ESME_RINVCMDID;
            codec::build::append_header_only(&mut out, id, status, parts.sequence_number);
        }
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
            bind(&mut out, id, parts);
        }
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM if !id.is_response() => {
            message(&mut out, id, parts);
        }
        CommandId::SUBMIT_SM
        | CommandId::DELIVER_SM
        | CommandId::DATA_SM
        | CommandId::BROADCAST_SM
            if id.is_response() =>
        {
            let message_id = &parts.message_id;
            MessageIdResponse { command_id: id, message_id, tlvs: &[] }
                .append(&mut out, parts.sequence_number);
        }
        CommandId::DATA_SM => data(&mut out, parts),
        CommandId::QUERY_SM | CommandId::CANCEL_SM | CommandId::REPLACE_SM => {
            ancillary(&mut out, id, parts);
        }
        _ => other(&mut out, id, parts),
    }
    out
}

fn bind(out: &mut Vec<u8>, command_id: CommandId, parts: &Parts) {
    let version = InterfaceVersion(parts.interface_version);
    if command_id.is_response() {
        let sc_interface_version = Some(version);
        BindResponse { command_id, system_id: &parts.system_id, sc_interface_version }
            .append(out, parts.sequence_number);
        return;
    }
    BindRequest {
        command_id,
        system_id: &parts.system_id,
        password: &parts.password,
        system_type: &parts.system_type,
        interface_version: version,
        range: parts.destination.as_address(),
    }
    .append(out, parts.sequence_number);
}

macro_rules! message {
    ($name:ident, $parts:ident, $tlvs:ident) => {
        $name {
            service_type: &$parts.service_type,
            source: $parts.source.as_address(),
            destination: $parts.destination.as_address(),
            esm_class: $parts.esm_class,
            protocol_id: $parts.protocol_id,
            priority_flag: $parts.priority_flag,
            schedule_delivery_time: &$parts.schedule_delivery_time,
            validity_period: &$parts.validity_period,
            registered_delivery: $parts.registered_delivery,
            replace_if_present: $parts.replace_if_present,
            data_coding: $parts.data_coding,
            sm_default_msg_id: $parts.sm_default_msg_id,
            short_message: &$parts.short_message,
            tlvs: &$tlvs,
        }
    };
}

fn message(out: &mut Vec<u8>, id: CommandId, parts: &Parts) {
    let tlvs = borrowed(&parts.tlvs);
    if id == CommandId::SUBMIT_SM {
        message!(SubmitSm, parts, tlvs).append(out, parts.sequence_number);
    } else {
        message!(DeliverSm, parts, tlvs).append(out, parts.sequence_number);
    }
}

fn data(out: &mut Vec<u8>, parts: &Parts) {
    DataSm {
        service_type: &parts.service_type,
        source: parts.source.as_address(),
        destination: parts.destination.as_address(),
        esm_class: parts.esm_class,
        registered_delivery: parts.registered_delivery,
        data_coding: parts.data_coding,
        tlvs: &borrowed(&parts.tlvs),
    }
    .append(out, parts.sequence_number);
}

fn ancillary(out: &mut Vec<u8>, id: CommandId, parts: &Parts) {
    let (message_id, source) = (&parts.message_id[..], parts.source.as_address());
    let destination = parts.destination.as_address();
    match id {
        CommandId::QUERY_SM => {
            QuerySm { message_id, source }.append(out, parts.sequence_number);
        }
        CommandId::QUERY_SM_RESP => {
            let final_date = &parts.schedule_delivery_time;
            let (message_state, error_code) = (parts.message_state, parts.error_code);
            QuerySmResp { message_id, final_date, message_state, error_code }
                .append(out, parts.sequence_number);
        }
        CommandId::CANCEL_SM => {
            let service_type = &parts.service_type;
            CancelSm { service_type, message_id, source, destination }
                .append(out, parts.sequence_number);
        }
        CommandId::REPLACE_SM => {
            ReplaceSm {
                message_id,
                source,
                schedule_delivery_time: &parts.schedule_delivery_time,
                validity_period: &parts.validity_period,
                registered_delivery: parts.registered_delivery,
                sm_default_msg_id: parts.sm_default_msg_id,
                short_message: &parts.short_message,
                tlvs: &[],
            }
            .append(out, parts.sequence_number);
        }
        _ => header_only(out, id, parts),
    }
}

fn other(out: &mut Vec<u8>, id: CommandId, parts: &Parts) {
    let begin = |out| Builder::request(out, id, parts.sequence_number);
    let (source, destination) = (parts.source.as_address(), parts.destination.as_address());
    match id {
        CommandId::OUTBIND => {
            begin(out).c_str(&parts.system_id).c_str(&parts.password).finish();
        }
        CommandId::ALERT_NOTIFICATION => {
            begin(out).address(source).address(destination).finish();
        }
        CommandId::SUBMIT_MULTI => {
            begin(out)
                .c_str(&parts.service_type)
                .address(source)
                .u8(2)
                .u8(1)
                .address(destination)
                .u8(2)
                .c_str(&parts.system_type)
                .bytes(&[parts.esm_class, parts.protocol_id, parts.priority_flag])
                .c_str(&parts.schedule_delivery_time)
                .c_str(&parts.validity_period)
                .bytes(&[parts.registered_delivery, parts.replace_if_present])
                .bytes(&[parts.data_coding, parts.sm_default_msg_id])
                .short_message(&parts.short_message)
                .tlvs(&borrowed(&parts.tlvs))
                .finish();
        }
        CommandId::SUBMIT_MULTI_RESP => {
            let status = CommandStatus::ESME_RINVDSTADR.0.to_be_bytes();
            begin(out).c_str(&parts.message_id).u8(1).address(destination).bytes(&status).finish();
        }
        CommandId::BROADCAST_SM => broadcast(begin(out), parts),
        CommandId::QUERY_BROADCAST_SM => {
            begin(out).c_str(&parts.message_id).address(source).finish();
        }
        CommandId::CANCEL_BROADCAST_SM => {
            begin(out).c_str(&parts.service_type).c_str(&parts.message_id).address(source).finish();
        }
        _ => header_only(out, id, parts),
    }
}

fn broadcast(builder: Builder<'_>, parts: &Parts) {
    builder
        .c_str(&parts.service_type)
        .address(parts.source.as_address())
        .c_str(&parts.message_id)
        .u8(parts.priority_flag)
        .c_str(&parts.schedule_delivery_time)
        .c_str(&parts.validity_period)
        .bytes(&[parts.replace_if_present, parts.data_coding, parts.sm_default_msg_id])
        .tlv(Tag::BROADCAST_AREA_IDENTIFIER, b"\0area")
        .tlv(Tag::BROADCAST_CONTENT_TYPE, &[0, 0, 0x10])
        .tlv(Tag::BROADCAST_FREQUENCY_INTERVAL, &[9, 0, 10])
        .finish();
}

fn header_only(out: &mut Vec<u8>, id: CommandId, parts: &Parts) {
    let status = CommandStatus::ESME_ROK;
    codec::build::append_header_only(out, id, status, parts.sequence_number);
}

/// The TLVs as the builders take them.
pub fn borrowed(tlvs: &[(Tag, Vec<u8>)]) -> Vec<(Tag, &[u8])> {
    tlvs.iter().map(|(tag, value)| (*tag, &value[..])).collect()
}
