//! What is built is read back, whatever is sent does no harm, and an edit changes what it is
//! meant to and nothing else.

mod support;

use codec::edit::{self, Splice};
use codec::pdu::{Broadcast, CancelBroadcast, Destination, QueryBroadcast, SubmitMulti};
use codec::{
    Address, Alert, Bind, BindCaps, BindResp, Cancel, CommandId, CommandStatus, Cut, Data, Message,
    MessageIdResp, Outbind, Pdu, Query, QueryResp, Replace, Tag, Tlvs, concat_of_message, cut,
    receipt_id,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Parts, kind, parts, pdu};

fn view(bytes: &[u8]) -> Pdu<'_> {
    Pdu::new_checked(bytes).expect("a built PDU is one frame")
}

fn address<'a>(sme: &'a support::Sme) -> Address<'a> {
    sme.as_address()
}

fn check_tlvs(found: Tlvs<'_>, parts: &Parts) {
    assert!(found.is_well_formed());
    let found: Vec<_> = found.iter().map(|tlv| (tlv.tag, tlv.value.to_vec())).collect();
    assert_eq!(found, parts.tlvs);
}

fn check_message(pdu: Pdu<'_>, parts: &Parts) {
    let message = Message::parse(pdu).unwrap();
    assert_eq!(message.service_type, parts.service_type);
    assert_eq!(message.source, address(&parts.source));
    assert_eq!(message.destination, address(&parts.destination));
    assert_eq!(message.esm_class, parts.esm_class);
    assert_eq!(message.protocol_id, parts.protocol_id);
    assert_eq!(message.priority_flag, parts.priority_flag);
    assert_eq!(message.schedule_delivery_time, parts.schedule_delivery_time);
    assert_eq!(message.validity_period, parts.validity_period);
    assert_eq!(message.registered_delivery, parts.registered_delivery);
    assert_eq!(message.replace_if_present, parts.replace_if_present);
    assert_eq!(message.data_coding, parts.data_coding);
    assert_eq!(message.sm_default_msg_id, parts.sm_default_msg_id);
    assert_eq!(message.short_message, parts.short_message);
    assert_eq!(message.stray, b"");
    assert_eq!(pdu.bytes()[message.esm_class_offset()], parts.esm_class);
    check_tlvs(message.tlvs, parts);
}

fn check_bind(pdu: Pdu<'_>, parts: &Parts) {
    let bind = Bind::parse(pdu, BindCaps::default()).unwrap();
    assert_eq!(bind.system_id, parts.system_id);
    assert_eq!(bind.password, parts.password);
    assert_eq!(bind.system_type, parts.system_type);
    assert_eq!(bind.interface_version.0, parts.interface_version);
    assert_eq!(bind.range, address(&parts.destination));
}

fn check_multi(pdu: Pdu<'_>, parts: &Parts) {
    let multi = SubmitMulti::parse(pdu).unwrap();
    assert_eq!(multi.source, address(&parts.source));
    let expected = [
        Destination::Sme(address(&parts.destination)),
        Destination::DistributionList(&parts.system_type),
    ];
    assert!(multi.destinations.iter().eq(expected));
    assert_eq!(multi.validity_period, parts.validity_period);
    assert_eq!(multi.short_message, parts.short_message);
    check_tlvs(multi.tlvs, parts);
}

fn check_ancillary(id: CommandId, pdu: Pdu<'_>, parts: &Parts) {
    let source = address(&parts.source);
    let message_id = &parts.message_id[..];
    match id {
        CommandId::QUERY_SM => {
            let query = Query::parse(pdu).unwrap();
            assert_eq!((query.message_id, query.source), (message_id, source));
        }
        CommandId::QUERY_SM_RESP => {
            let response = QueryResp::parse(pdu).unwrap();
            assert_eq!(response.message_id, message_id);
            assert_eq!(response.final_date, parts.schedule_delivery_time);
            assert_eq!(response.message_state, parts.message_state);
            assert_eq!(response.error_code, parts.error_code);
        }
        CommandId::CANCEL_SM => {
            let cancel = Cancel::parse(pdu).unwrap();
            assert_eq!((cancel.message_id, cancel.source), (message_id, source));
            assert_eq!(cancel.destination, address(&parts.destination));
        }
        CommandId::REPLACE_SM => {
            let replace = Replace::parse(pdu).unwrap();
            assert_eq!((replace.message_id, replace.source), (message_id, source));
            assert_eq!(replace.validity_period, parts.validity_period);
            assert_eq!(replace.short_message, parts.short_message);
        }
        CommandId::BROADCAST_SM => {
            let broadcast = Broadcast::parse(pdu).unwrap();
            assert_eq!((broadcast.message_id, broadcast.source), (message_id, source));
            assert_eq!(broadcast.tlvs.iter().count(), 3);
        }
        CommandId::QUERY_BROADCAST_SM => {
            let query = QueryBroadcast::parse(pdu).unwrap();
            assert_eq!((query.message_id, query.source), (message_id, source));
        }
        CommandId::CANCEL_BROADCAST_SM => {
            let cancel = CancelBroadcast::parse(pdu).unwrap();
            assert_eq!((cancel.message_id, cancel.source), (message_id, source));
        }
        _ => assert_eq!(pdu.body(), b"", "{id} has no body"),
    }
}

fn check(id: CommandId, pdu: Pdu<'_>, parts: &Parts) {
    match id {
        id if id.is_bind() => check_bind(pdu, parts),
        id if id.request().is_bind() => {
            let response = BindResp::parse(pdu).unwrap();
            assert_eq!(response.system_id, parts.system_id);
            assert_eq!(response.sc_interface_version.unwrap().0, parts.interface_version);
        }
        CommandId::OUTBIND => {
            let outbind = Outbind::parse(pdu).unwrap();
            assert_eq!(outbind.system_id, parts.system_id);
            assert_eq!(outbind.password, parts.password);
        }
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => check_message(pdu, parts),
        CommandId::SUBMIT_MULTI => check_multi(pdu, parts),
        CommandId::DATA_SM => {
            let data = Data::parse(pdu).unwrap();
            assert_eq!(data.source, address(&parts.source));
            assert_eq!(data.destination, address(&parts.destination));
            assert_eq!(data.esm_class, parts.esm_class);
            assert_eq!(data.registered_delivery, parts.registered_delivery);
            check_tlvs(data.tlvs, parts);
        }
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::SUBMIT_MULTI_RESP => {
            assert_eq!(MessageIdResp::parse(pdu).unwrap().message_id, parts.message_id);
        }
        CommandId::ALERT_NOTIFICATION => {
            let alert = Alert::parse(pdu).unwrap();
            assert_eq!(alert.source, address(&parts.source));
            assert_eq!(alert.esme, address(&parts.destination));
        }
        id => check_ancillary(id, pdu, parts),
    }
}

/// The bytes behind `command_length`, which every edit that changes a length may change.
fn behind_length(bytes: &[u8]) -> &[u8] {
    &bytes[4..]
}

/// An id as one is made: no blank, no NUL.
fn new_id() -> impl Strategy<Value = Vec<u8>> {
    "[0-9A-Za-z#.-]{1,64}".prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read_back(id in kind(), parts in parts()) {
        let bytes = pdu(id, &parts);
        let view = view(&bytes);
        prop_assert_eq!(view.command_id(), id);
        prop_assert_eq!(view.sequence_number(), parts.sequence_number);
        check(id, view, &parts);
    }

    #[test]
    fn a_stream_of_pdus_is_cut_where_they_were_joined(
        kinds in vec(kind(), 1..6),
        parts in parts(),
        split in any::<prop::sample::Index>(),
    ) {
        let pdus: Vec<_> = kinds.iter().map(|&id| pdu(id, &parts)).collect();
        let stream = pdus.concat();
        let mut rest = &stream[..split.index(stream.len() + 1)];
        let mut whole = 0;
        while let Cut::Frame { pdu, rest: behind } = cut(rest, 1 << 16) {
            prop_assert_eq!(pdu.bytes(), &pdus[whole][..]);
            whole += 1;
            rest = behind;
        }
        if let Cut::Partial { needed } = cut(rest, 1 << 16) && rest.len() >= 4 {
            prop_assert_eq!(needed, pdus[whole].len());
        }
    }

    #[test]
    fn header_edits_change_their_field_only(
        id in kind(), parts in parts(), number in any::<u32>(), status in any::<u32>(),
    ) {
        let before = pdu(id, &parts);
        let mut after = before.clone();
        edit::set_sequence_number(&mut after, number);
        edit::set_status(&mut after, CommandStatus(status));
        prop_assert_eq!(view(&after).sequence_number(), number);
        prop_assert_eq!(view(&after).command_status(), CommandStatus(status));
        prop_assert_eq!(&after[..8], &before[..8]);
        prop_assert_eq!(&after[16..], &before[16..]);
    }

    #[test]
    fn an_id_is_replaced_and_put_back(
        id in prop::sample::select(&[
            CommandId::SUBMIT_SM_RESP, CommandId::DATA_SM_RESP, CommandId::SUBMIT_MULTI_RESP,
            CommandId::BROADCAST_SM_RESP, CommandId::QUERY_SM, CommandId::QUERY_SM_RESP,
            CommandId::CANCEL_SM, CommandId::REPLACE_SM, CommandId::BROADCAST_SM,
            CommandId::QUERY_BROADCAST_SM, CommandId::CANCEL_BROADCAST_SM,
        ][..]),
        parts in parts(),
        new in new_id(),
        split in any::<prop::sample::Index>(),
    ) {
        let before = pdu(id, &parts);
        let offset = match id {
            CommandId::CANCEL_SM => Cancel::parse(view(&before)).unwrap().message_id_offset(),
            CommandId::BROADCAST_SM => Broadcast::parse(view(&before)).unwrap().message_id_offset(),
            CommandId::CANCEL_BROADCAST_SM => {
                CancelBroadcast::parse(view(&before)).unwrap().message_id_offset()
            }
            _ => MessageIdResp::MESSAGE_ID_OFFSET,
        };
        let old_len = parts.message_id.len();
        let (head, tail) = new.split_at(split.index(new.len() + 1));
        let mut out = b"earlier".to_vec();
        let start =
            edit::append_with_message_id(&mut out, view(&before), offset, old_len, &[head, tail]);
        prop_assert_eq!(&out[..start], b"earlier");

        let after = view(&out[start..]);
        check(id, after, &Parts { message_id: new.clone(), ..parts.clone() });
        let mut back = Vec::new();
        edit::append_with_message_id(&mut back, after, offset, new.len(), &[&parts.message_id]);
        prop_assert_eq!(back, before);
    }

    #[test]
    fn a_receipt_is_rewritten_and_put_back(
        parts in parts(),
        old in "[0-9A-Za-z-]{1,64}",
        new in new_id(),
        before_id in prop::sample::select(vec!["", "sub:001 ", "mt "]),
        key in prop::sample::select(vec!["id:", "ID:", "id: "]),
        tlv in any::<bool>(),
        in_payload in any::<bool>(),
    ) {
        let text = |id: &str| format!("{before_id}{key}{id} dlvrd:001 stat:DELIVRD text:id:x");
        let mut parts = Parts { esm_class: 4, short_message: text(&old).into_bytes(), ..parts };
        parts.tlvs.retain(|(tag, _)| *tag != Tag::MESSAGE_PAYLOAD);
        if tlv {
            let value = format!("{old}\0").into_bytes();
            parts.tlvs.insert(0, (Tag::RECEIPTED_MESSAGE_ID, value));
        }
        if in_payload {
            parts.tlvs.push((Tag::MESSAGE_PAYLOAD, core::mem::take(&mut parts.short_message)));
        }
        let before = pdu(CommandId::DELIVER_SM, &parts);
        let message = Message::parse(view(&before)).unwrap();
        let receipt = receipt_id(&message).unwrap();
        prop_assert_eq!(receipt.id, old.as_bytes());
        prop_assert_eq!(receipt.from_tlv.is_some(), tlv);

        let mut out = Vec::new();
        edit::append_receipt(&mut out, view(&before), &receipt, &[&new]).unwrap();
        let message = Message::parse(view(&out)).unwrap();
        let new_text = text(core::str::from_utf8(&new).unwrap());
        prop_assert_eq!(message.payload(), (new_text.as_bytes(), in_payload));
        let rewritten = receipt_id(&message).unwrap();
        prop_assert_eq!(rewritten.id, &new);

        let mut back = Vec::new();
        edit::append_receipt(&mut back, view(&out), &rewritten, &[old.as_bytes()]).unwrap();
        prop_assert_eq!(back, before);
    }

    #[test]
    fn a_reference_is_set_where_it_stands(
        parts in parts(), wide in any::<bool>(), others in any::<bool>(), sar in any::<bool>(),
        reference in any::<u16>(), new in any::<u16>(),
    ) {
        let mut elements = if others { vec![0x05, 4, 1, 2, 3, 4] } else { Vec::new() };
        let [high, low] = reference.to_be_bytes();
        let element: &[u8] = if wide { &[8, 4, high, low, 3, 2] } else { &[0, 3, low, 3, 2] };
        elements.extend_from_slice(element);
        let mut parts = Parts { esm_class: 0x40, ..parts };
        parts.short_message = [&[elements.len() as u8], &elements[..], b"text"].concat();
        if sar {
            parts.esm_class = 0;
            parts.tlvs = vec![
                (Tag::SAR_MSG_REF_NUM, vec![high, low]),
                (Tag(0x1400), vec![7]),
                (Tag::SAR_SEGMENT_SEQNUM, vec![2]),
                (Tag::SAR_TOTAL_SEGMENTS, vec![3]),
            ];
        }
        let wide = wide || sar;
        let new = if wide { new } else { new & 0xFF };
        let before = pdu(CommandId::SUBMIT_SM, &parts);
        let concat = concat_of_message(&Message::parse(view(&before)).unwrap()).unwrap();
        prop_assert_eq!(concat.reference, if wide { reference } else { reference & 0xFF });
        prop_assert_eq!((concat.total, concat.part), (3, 2));

        let mut after = before.clone();
        edit::set_reference(&mut after, &concat, new).unwrap();
        let found = concat_of_message(&Message::parse(view(&after)).unwrap()).unwrap();
        prop_assert_eq!(found, codec::Concat { reference: new, ..concat });
        edit::set_reference(&mut after, &found, concat.reference).unwrap();
        prop_assert_eq!(after, before);
    }

    #[test]
    fn splices_do_what_a_vector_would(
        body in vec(any::<u8>(), 0..60),
        mut cuts in vec(0..61usize, 6),
        new in vec(vec(any::<u8>(), 0..9), 3),
    ) {
        let mut before = Vec::new();
        codec::Builder::request(&mut before, CommandId(0x77), 1).bytes(&body).finish();
        cuts.iter_mut().for_each(|cut| *cut = 16 + (*cut).min(body.len()));
        cuts.sort_unstable();
        let ranges = [cuts[0]..cuts[1], cuts[2]..cuts[3], cuts[4]..cuts[5]];
        let parts: Vec<[&[u8]; 1]> = new.iter().map(|part| [&part[..]]).collect();
        let splices: Vec<_> = ranges.iter().zip(&parts).map(|(range, parts)| {
            Splice { offset: range.start, old_len: range.len(), parts }
        }).collect();
        let mut out = Vec::new();
        edit::append_spliced(&mut out, view(&before), &splices).unwrap();

        let mut expected = before.clone();
        for (range, new) in ranges.iter().zip(&new).rev() {
            expected.splice(range.clone(), new.iter().copied());
        }
        prop_assert_eq!(behind_length(&out), behind_length(&expected));
        prop_assert_eq!(view(&out).command_length() as usize, expected.len());
    }

    #[test]
    fn any_bytes_are_cut_without_harm(bytes in vec(any::<u8>(), 0..80)) {
        let _ = cut(&bytes, 1 << 16);
    }

    #[test]
    fn a_pdu_with_any_octet_changed_does_no_harm(
        id in kind(), parts in parts(), at in any::<prop::sample::Index>(), octet in any::<u8>(),
    ) {
        let mut bytes = pdu(id, &parts);
        let at = at.index(bytes.len());
        if at < 4 {
            return Ok(());
        }
        bytes[at] = octet;
        read_as_everything(view(&bytes));
    }

    #[test]
    fn any_body_does_no_harm(body in vec(any::<u8>(), 0..120), status in 0..2u32) {
        let mut bytes = Vec::new();
        codec::Builder::new(&mut bytes, CommandId::SUBMIT_SM, CommandStatus(status), 1)
            .bytes(&body)
            .finish();
        read_as_everything(view(&bytes));
    }
}

fn read_as_everything(pdu: Pdu<'_>) {
    let _ = Bind::parse(pdu, BindCaps::default());
    let _ = BindResp::parse(pdu);
    let _ = Outbind::parse(pdu);
    let _ = Data::parse(pdu).map(|data| codec::receipt_id_of_data(&data));
    let _ = MessageIdResp::parse(pdu).map(|response| response.tlvs().is_well_formed());
    let _ = Query::parse(pdu);
    let _ = QueryResp::parse(pdu);
    let _ = Cancel::parse(pdu);
    let _ = Replace::parse(pdu);
    let _ = Alert::parse(pdu);
    let _ = Broadcast::parse(pdu);
    let _ = QueryBroadcast::parse(pdu);
    let _ = CancelBroadcast::parse(pdu);
    let _ = SubmitMulti::parse(pdu).map(|multi| multi.destinations.iter().count());
    if let Ok(message) = Message::parse(pdu) {
        let _ = concat_of_message(&message);
        let _ = receipt_id(&message);
    }
}
