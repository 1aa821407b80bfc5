//! `broadcast_sm`, `query_broadcast_sm` and `cancel_broadcast_sm`.

use crate::address::Address;
use crate::error::{Field, Malformed};
use crate::frame::{HEADER_LEN, Pdu};
use crate::read::{ADDRESS_MAX, Reader, SOURCE};
use crate::tlv::Tlvs;

/// The body of a `broadcast_sm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broadcast<'a> {
    /// The service that the message belongs to.
    pub service_type: &'a [u8],
    /// Who sends.
    pub source: Address<'a>,
    /// The earlier broadcast to replace; else empty.
    pub message_id: &'a [u8],
    /// The message's priority.
    pub priority_flag: u8,
    /// When to begin; empty for at once.
    pub schedule_delivery_time: &'a [u8],
    /// When to give up; empty for the message centre's default.
    pub validity_period: &'a [u8],
    /// Whether to replace an earlier broadcast.
    pub replace_if_present: u8,
    /// The alphabet of the text.
    pub data_coding: u8,
    /// A message that the message centre has stored.
    pub sm_default_msg_id: u8,
    /// The TLVs: area, content, repetition and payload.
    pub tlvs: Tlvs<'a>,
    message_id_offset: usize,
}

impl<'a> Broadcast<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// A field has no end, or the address is longer than 20 octets.
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let service_type = reader.c_octets(Field::ServiceType)?;
        let source = reader.address(SOURCE, ADDRESS_MAX)?;
        let message_id_offset = reader.at();
        let message_id = reader.c_octets(Field::MessageId)?;
        let priority_flag = reader.u8(Field::PriorityFlag)?;
        let schedule_delivery_time = reader.c_octets(Field::ScheduleDeliveryTime)?;
        let validity_period = reader.c_octets(Field::ValidityPeriod)?;
        let [replace_if_present, data_coding, sm_default_msg_id] =
            reader.octets(Field::ReplaceIfPresent)?;
        Ok(Self {
            service_type,
            source,
            message_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            replace_if_present,
            data_coding,
            sm_default_msg_id,
            tlvs: reader.tlvs(),
            message_id_offset,
        })
    }

    /// Where the id stands in the PDU.
    #[inline]
    #[must_use]
    pub const fn message_id_offset(&self) -> usize {
        self.message_id_offset
    }
}

/// The body of a `query_broadcast_sm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryBroadcast<'a> {
    /// The broadcast that is asked about.
    pub message_id: &'a [u8],
    /// Who sent it.
    pub source: Address<'a>,
    /// The TLVs.
    pub tlvs: Tlvs<'a>,
}

impl<'a> QueryBroadcast<'a> {
    /// Where the id stands in the PDU.
    pub const MESSAGE_ID_OFFSET: usize = HEADER_LEN;

    /// Reads the body.
    ///
    /// # Errors
    /// A field has no end, or the address is longer than 20 octets.
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let message_id = reader.c_octets(Field::MessageId)?;
        let source = reader.address(SOURCE, ADDRESS_MAX)?;
        Ok(Self { message_id, source, tlvs: reader.tlvs() })
    }
}

/// The body of a `cancel_broadcast_sm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelBroadcast<'a> {
    /// The service that the message belongs to.
    pub service_type: &'a [u8],
    /// The broadcast to cancel; empty to cancel by service type and source.
    pub message_id: &'a [u8],
    /// Who sent it.
    pub source: Address<'a>,
    /// The TLVs.
    pub tlvs: Tlvs<'a>,
}

impl<'a> CancelBroadcast<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// A field has no end, or the address is longer than 20 octets.
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let service_type = reader.c_octets(Field::ServiceType)?;
        let message_id = reader.c_octets(Field::MessageId)?;
        let source = reader.address(SOURCE, ADDRESS_MAX)?;
        Ok(Self { service_type, message_id, source, tlvs: reader.tlvs() })
    }

    /// Where the id stands in the PDU.
    #[inline]
    #[must_use]
    pub const fn message_id_offset(&self) -> usize {
        HEADER_LEN + self.service_type.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::CommandId;
    use crate::build::Builder;

    #[test]
    fn ids_stand_where_their_offsets_say() {
        let source = Address::new(1, 1, b"100");
        let mut bytes = Vec::new();
        Builder::request(&mut bytes, CommandId::BROADCAST_SM, 1)
            .c_str(b"CBS")
            .address(source)
            .c_str(b"id")
            .bytes(&[1, 0, 0, 0, 0, 0])
            .finish();
        let broadcast = Broadcast::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!((broadcast.message_id, broadcast.priority_flag), (&b"id"[..], 1));
        assert_eq!(bytes[broadcast.message_id_offset()..][..2], *b"id");

        bytes.clear();
        Builder::request(&mut bytes, CommandId::QUERY_BROADCAST_SM, 1)
            .c_str(b"id")
            .address(source)
            .finish();
        let query = QueryBroadcast::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!((query.message_id, query.source), (&b"id"[..], source));

        bytes.clear();
        Builder::request(&mut bytes, CommandId::CANCEL_BROADCAST_SM, 1)
            .c_str(b"CBS")
            .c_str(b"id")
            .address(source)
            .finish();
        let cancel = CancelBroadcast::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!((cancel.message_id, cancel.source), (&b"id"[..], source));
        assert_eq!(bytes[cancel.message_id_offset()..][..2], *b"id");
    }
}
