//! Agreement with rusmpp, a codec written by others: it decodes what we build to the values that
//! we put in, and we read what it encodes as it does.

mod support;

use codec::pdu::{Destination, SubmitMulti, UnsuccessSmes};
use codec::{
    Alert, Bind, BindCaps, BindResp, Cancel, CommandId, Data, Message, MessageIdResp, Outbind, Pdu,
    Query, QueryResp, Replace, Tlvs, pdu as body,
};
use proptest::prelude::*;
use rusmpp::Command;
use rusmpp::Pdu as Theirs;
use rusmpp::decode::DecodeWithLength;
use rusmpp::encode::{Encode, Length};
use rusmpp::values::{DestAddress, ServiceType};
use support::{kind, parts, pdu};

fn decode(bytes: &[u8]) -> Command {
    let mut behind_length = bytes[4..].into();
    let (command, length) = Command::decode(&mut behind_length, bytes.len() - 4)
        .unwrap_or_else(|error| panic!("rusmpp does not decode {bytes:02x?}: {error:?}"));
    assert_eq!(length, bytes.len() - 4);
    command
}

fn encode(command: &Command) -> Vec<u8> {
    let length = command.length() + 4;
    let mut bytes = vec![0; length];
    bytes[..4].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    assert_eq!(command.encode(&mut bytes[4..]) + 4, length);
    bytes
}

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = vec![0; value.length()];
    value.encode(&mut bytes);
    bytes
}

/// A C-octet string of theirs without its NUL.
fn text(value: &impl AsRef<[u8]>) -> &[u8] {
    let bytes = value.as_ref();
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

fn service_type(value: &ServiceType) -> Vec<u8> {
    let bytes = encoded(value);
    text(&bytes).to_vec()
}

fn same_tlvs(ours: Tlvs<'_>, theirs: &[rusmpp::tlvs::Tlv]) {
    assert!(ours.is_well_formed());
    assert_eq!(ours.iter().count(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours.tag.0, u16::from(theirs.tag()));
        assert_eq!(ours.value.len(), usize::from(theirs.value_length()));
        let value = theirs.value().map(encoded).unwrap_or_default();
        assert_eq!(ours.value, value);
    }
}

macro_rules! same_source {
    ($ours:expr, $theirs:expr) => {
        assert_eq!($ours.source.ton, u8::from($theirs.source_addr_ton));
        assert_eq!($ours.source.npi, u8::from($theirs.source_addr_npi));
        assert_eq!($ours.source.digits, text(&$theirs.source_addr));
    };
}

macro_rules! same_route {
    ($ours:expr, $theirs:expr) => {
        assert_eq!($ours.service_type, service_type(&$theirs.service_type));
        same_source!($ours, $theirs);
        assert_eq!($ours.destination.ton, u8::from($theirs.dest_addr_ton));
        assert_eq!($ours.destination.npi, u8::from($theirs.dest_addr_npi));
        assert_eq!($ours.destination.digits, text(&$theirs.destination_addr));
    };
}

macro_rules! same_content {
    ($ours:expr, $theirs:expr) => {
        assert_eq!($ours.esm_class, u8::from($theirs.esm_class));
        assert_eq!($ours.protocol_id, $theirs.protocol_id);
        assert_eq!($ours.priority_flag, $theirs.priority_flag.value);
        assert_eq!($ours.schedule_delivery_time, text(&$theirs.schedule_delivery_time));
        assert_eq!($ours.validity_period, text(&$theirs.validity_period));
        assert_eq!($ours.registered_delivery, u8::from($theirs.registered_delivery));
        assert_eq!($ours.replace_if_present, u8::from($theirs.replace_if_present_flag));
        assert_eq!($ours.data_coding, u8::from($theirs.data_coding));
        assert_eq!($ours.sm_default_msg_id, $theirs.sm_default_msg_id);
        assert_eq!($ours.short_message, $theirs.short_message().as_ref());
        same_tlvs($ours.tlvs, $theirs.tlvs());
    };
}

macro_rules! same_bind {
    ($pdu:expr, $theirs:expr) => {
        let ours = Bind::parse($pdu, BindCaps::default()).unwrap();
        assert_eq!(ours.system_id, text(&$theirs.system_id));
        assert_eq!(ours.password, text(&$theirs.password));
        assert_eq!(ours.system_type, text(&$theirs.system_type));
        assert_eq!(ours.interface_version.0, u8::from($theirs.interface_version));
        assert_eq!(ours.range.ton, u8::from($theirs.addr_ton));
        assert_eq!(ours.range.npi, u8::from($theirs.addr_npi));
        assert_eq!(ours.range.digits, text(&$theirs.address_range));
    };
}

macro_rules! same_bind_resp {
    ($pdu:expr, $theirs:expr) => {
        let ours = BindResp::parse($pdu).unwrap();
        assert_eq!(ours.system_id, text(&$theirs.system_id));
        let version = $theirs.sc_interface_version().map(u8::from);
        assert_eq!(ours.sc_interface_version.map(|version| version.0), version);
    };
}

/// Compares the bodies field by field.
fn same(ours: Pdu<'_>, theirs: &Theirs) {
    match theirs {
        Theirs::BindReceiver(theirs) => {
            same_bind!(ours, theirs);
        }
        Theirs::BindTransmitter(theirs) => {
            same_bind!(ours, theirs);
        }
        Theirs::BindTransceiver(theirs) => {
            same_bind!(ours, theirs);
        }
        Theirs::BindReceiverResp(theirs) => {
            same_bind_resp!(ours, theirs);
        }
        Theirs::BindTransmitterResp(theirs) => {
            same_bind_resp!(ours, theirs);
        }
        Theirs::BindTransceiverResp(theirs) => {
            same_bind_resp!(ours, theirs);
        }
        Theirs::Outbind(theirs) => {
            let ours = Outbind::parse(ours).unwrap();
            assert_eq!(ours.system_id, text(&theirs.system_id));
            assert_eq!(ours.password, text(&theirs.password));
        }
        Theirs::AlertNotification(theirs) => {
            let ours = Alert::parse(ours).unwrap();
            same_source!(ours, theirs);
            assert_eq!(ours.esme.ton, u8::from(theirs.esme_addr_ton));
            assert_eq!(ours.esme.npi, u8::from(theirs.esme_addr_npi));
            assert_eq!(ours.esme.digits, text(&theirs.esme_addr));
        }
        _ if same_message(ours, theirs) || same_operation(ours, theirs) => {}
        _ => {
            assert!(
                same_message_id(ours, theirs) || ours.body().is_empty(),
                "nothing compares {}",
                ours.command_id()
            );
        }
    }
}

fn same_message(ours: Pdu<'_>, theirs: &Theirs) -> bool {
    match theirs {
        Theirs::SubmitSm(theirs) => {
            let ours = Message::parse(ours).unwrap();
            same_route!(ours, theirs);
            same_content!(ours, theirs);
        }
        Theirs::DeliverSm(theirs) => {
            let ours = Message::parse(ours).unwrap();
            same_route!(ours, theirs);
            same_content!(ours, theirs);
        }
        Theirs::DataSm(theirs) => {
            let ours = Data::parse(ours).unwrap();
            same_route!(ours, theirs);
            assert_eq!(ours.esm_class, u8::from(theirs.esm_class));
            assert_eq!(ours.registered_delivery, u8::from(theirs.registered_delivery));
            assert_eq!(ours.data_coding, u8::from(theirs.data_coding));
            same_tlvs(ours.tlvs, theirs.tlvs());
        }
        Theirs::SubmitMulti(theirs) => {
            let ours = SubmitMulti::parse(ours).unwrap();
            assert_eq!(ours.service_type, service_type(&theirs.service_type));
            same_source!(ours, theirs);
            same_content!(ours, theirs);
            assert_eq!(ours.destinations.len(), theirs.dest_address().len());
            for (ours, theirs) in ours.destinations.iter().zip(theirs.dest_address()) {
                same_destination(ours, theirs);
            }
        }
        _ => return false,
    }
    true
}

fn same_destination(ours: Destination<'_>, theirs: &DestAddress) {
    match (ours, theirs) {
        (Destination::Sme(ours), DestAddress::SmeAddress(theirs)) => {
            assert_eq!(ours.ton, u8::from(theirs.dest_addr_ton));
            assert_eq!(ours.npi, u8::from(theirs.dest_addr_npi));
            assert_eq!(ours.digits, text(&theirs.destination_addr));
        }
        (Destination::DistributionList(ours), DestAddress::DistributionListName(theirs)) => {
            assert_eq!(ours, text(&theirs.dl_name));
        }
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}

fn same_operation(ours: Pdu<'_>, theirs: &Theirs) -> bool {
    match theirs {
        Theirs::QuerySm(theirs) => {
            let ours = Query::parse(ours).unwrap();
            assert_eq!(ours.message_id, text(&theirs.message_id));
            same_source!(ours, theirs);
        }
        Theirs::QuerySmResp(theirs) => {
            let ours = QueryResp::parse(ours).unwrap();
            assert_eq!(ours.message_id, text(&theirs.message_id));
            assert_eq!(ours.final_date, text(&theirs.final_date));
            assert_eq!(ours.message_state, u8::from(theirs.message_state));
            assert_eq!(ours.error_code, theirs.error_code);
        }
        Theirs::CancelSm(theirs) => {
            let ours = Cancel::parse(ours).unwrap();
            assert_eq!(ours.message_id, text(&theirs.message_id));
            same_route!(ours, theirs);
        }
        Theirs::ReplaceSm(theirs) => {
            let ours = Replace::parse(ours).unwrap();
            assert_eq!(ours.message_id, text(&theirs.message_id));
            same_source!(ours, theirs);
            assert_eq!(ours.schedule_delivery_time, text(&theirs.schedule_delivery_time));
            assert_eq!(ours.validity_period, text(&theirs.validity_period));
            assert_eq!(ours.registered_delivery, u8::from(theirs.registered_delivery));
            assert_eq!(ours.sm_default_msg_id, theirs.sm_default_msg_id);
            assert_eq!(ours.short_message, theirs.short_message().as_ref());
        }
        Theirs::BroadcastSm(theirs) => {
            let ours = body::Broadcast::parse(ours).unwrap();
            assert_eq!(ours.service_type, service_type(&theirs.service_type));
            same_source!(ours, theirs);
            assert_eq!(ours.message_id, text(&theirs.message_id));
            assert_eq!(ours.priority_flag, theirs.priority_flag.value);
            assert_eq!(ours.schedule_delivery_time, text(&theirs.schedule_delivery_time));
            assert_eq!(ours.validity_period, text(&theirs.validity_period));
            assert_eq!(ours.data_coding, u8::from(theirs.data_coding));
            assert_eq!(ours.sm_default_msg_id, theirs.sm_default_msg_id);
            same_tlvs(ours.tlvs, theirs.tlvs());
        }
        Theirs::QueryBroadcastSm(theirs) => {
            let ours = body::QueryBroadcast::parse(ours).unwrap();
            assert_eq!(ours.message_id, text(&theirs.message_id));
            same_source!(ours, theirs);
        }
        Theirs::CancelBroadcastSm(theirs) => {
            let ours = body::CancelBroadcast::parse(ours).unwrap();
            assert_eq!(ours.service_type, service_type(&theirs.service_type));
            assert_eq!(ours.message_id, text(&theirs.message_id));
            same_source!(ours, theirs);
        }
        _ => return false,
    }
    true
}

fn same_message_id(ours: Pdu<'_>, theirs: &Theirs) -> bool {
    let parsed = MessageIdResp::parse(ours).unwrap();
    let message_id = match theirs {
        Theirs::SubmitSmResp(theirs) => text(theirs.message_id()),
        Theirs::DeliverSmResp(theirs) => text(theirs.message_id()),
        Theirs::DataSmResp(theirs) => text(theirs.message_id()),
        Theirs::BroadcastSmResp(theirs) => text(&theirs.message_id),
        Theirs::SubmitMultiResp(theirs) => {
            let unsuccess: Vec<_> = UnsuccessSmes::of(&parsed).collect();
            assert_eq!(unsuccess.len(), theirs.unsuccess_sme().len());
            for (ours, theirs) in unsuccess.iter().zip(theirs.unsuccess_sme()) {
                assert_eq!(ours.address.digits, text(&theirs.destination_addr));
                assert_eq!(ours.error_status_code.0, u32::from(theirs.error_status_code));
            }
            text(&theirs.message_id)
        }
        _ => return false,
    };
    assert_eq!(parsed.message_id, message_id);
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_codecs_agree_on_every_kind(id in kind(), parts in parts()) {
        let built = pdu(id, &parts);
        let command = decode(&built);
        prop_assert_eq!(u32::from(command.id()), id.0);
        let theirs = command.pdu().expect("rusmpp gives every kind a body");
        let ours = Pdu::new_checked(&built).unwrap();
        prop_assert_eq!(u32::from(command.status()), ours.command_status().0);
        prop_assert_eq!(command.sequence_number(), parts.sequence_number);
        same(ours, theirs);

        let encoded = encode(&command);
        let ours = Pdu::new_checked(&encoded).unwrap();
        prop_assert_eq!(ours.sequence_number(), parts.sequence_number);
        same(ours, theirs);
        prop_assert_eq!(encoded, built);
    }
}

#[test]
fn names_have_the_same_numbers() {
    for &id in CommandId::ALL {
        let theirs = rusmpp::CommandId::from(id.0);
        assert!(!matches!(theirs, rusmpp::CommandId::Other(_)), "{id} is unknown to rusmpp");
        assert_eq!(letters(&format!("{theirs:?}")), letters(id.name()));
    }
    for &status in codec::CommandStatus::ALL {
        let theirs = rusmpp::CommandStatus::from(status.0);
        assert_eq!(letters(&format!("{theirs:?}")), letters(status.name()));
    }
    for &tag in codec::Tag::ALL {
        let theirs = rusmpp::tlvs::TlvTag::from(tag.0);
        assert!(!matches!(theirs, rusmpp::tlvs::TlvTag::Other(_)), "{tag} is unknown to rusmpp");
        assert_eq!(letters(&format!("{theirs:?}")), letters(tag.name()));
    }
}

/// A name without its word breaks: `SubmitSm` and `submit_sm` are one.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}
