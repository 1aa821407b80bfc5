//! `data_sm`.

use crate::address::Address;
use crate::error::{Field, Malformed};
use crate::frame::Pdu;
use crate::pdu::{esm_class, receipt_requested};
use crate::read::{DESTINATION, LONG_ADDRESS_MAX, Reader, SOURCE};
use crate::tlv::{Tag, Tlvs};

/// The body of a `data_sm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data<'a> {
    /// The service that the message belongs to.
    pub service_type: &'a [u8],
    /// Who sends.
    pub source: Address<'a>,
    /// Who is to receive.
    pub destination: Address<'a>,
    /// Mode, type and features of the message.
    pub esm_class: u8,
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// The alphabet of the text.
    pub data_coding: u8,
    /// The TLVs, `message_payload` among them.
    pub tlvs: Tlvs<'a>,
    esm_class_offset: usize,
}

impl<'a> Data<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// A field has no end, or an address is longer than 64 octets.
    #[inline]
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let service_type = reader.c_octets(Field::ServiceType)?;
        let source = reader.address(SOURCE, LONG_ADDRESS_MAX)?;
        let destination = reader.address(DESTINATION, LONG_ADDRESS_MAX)?;
        let esm_class_offset = reader.at();
        let [esm_class, registered_delivery, data_coding] = reader.octets(Field::EsmClass)?;
        Ok(Self {
            service_type,
            source,
            destination,
            esm_class,
            registered_delivery,
            data_coding,
            tlvs: reader.tlvs(),
            esm_class_offset,
        })
    }

    /// Where `esm_class` stands in the PDU.
    #[inline]
    #[must_use]
    pub const fn esm_class_offset(&self) -> usize {
        self.esm_class_offset
    }

    /// Whether `registered_delivery` asks the message centre for a receipt or for intermediate
    /// notifications.
    #[inline]
    #[must_use]
    pub const fn receipt_requested(&self) -> bool {
        receipt_requested(self.registered_delivery)
    }

    /// Whether `esm_class` says that this is a message centre's delivery receipt.
    #[inline]
    #[must_use]
    pub const fn is_receipt(&self) -> bool {
        esm_class::is_receipt(self.esm_class)
    }

    /// Whether `esm_class` says that this is an intermediate delivery notification.
    #[inline]
    #[must_use]
    pub const fn is_intermediate(&self) -> bool {
        esm_class::is_intermediate(self.esm_class)
    }

    /// Whether the payload begins with a user data header.
    #[inline]
    #[must_use]
    pub const fn has_udh(&self) -> bool {
        esm_class::has_udh(self.esm_class)
    }

    /// The value of `message_payload`; empty when there is none.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload_at().0
    }

    /// The payload and its offset in the PDU.
    #[inline]
    pub(crate) fn payload_at(&self) -> (&'a [u8], usize) {
        match self.tlvs.find(Tag::MESSAGE_PAYLOAD) {
            Some(tlv) => (tlv.value, tlv.value_offset()),
            None => (&[], self.tlvs.offset()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::build::DataSm;

    #[test]
    fn every_field_is_read() {
        let long = [b'1'; 64];
        let data = DataSm {
            service_type: b"WAP",
            source: Address::new(1, 1, &long),
            destination: Address::new(1, 1, b"2"),
            esm_class: 0x04,
            registered_delivery: 2,
            data_coding: 4,
            tlvs: &[(Tag::MESSAGE_PAYLOAD, b"bits")],
        };
        let mut bytes = Vec::new();
        data.append(&mut bytes, 1);
        let parsed = Data::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!(parsed.service_type, data.service_type);
        assert_eq!((parsed.source, parsed.destination), (data.source, data.destination));
        assert_eq!((parsed.registered_delivery, parsed.data_coding), (2, 4));
        assert_eq!(parsed.payload(), b"bits");
        assert_eq!(bytes[parsed.esm_class_offset()], 0x04);
        assert!(parsed.is_receipt() && parsed.receipt_requested() && !parsed.has_udh());
    }

    #[test]
    fn addresses_end_within_65_octets() {
        let long = [b'1'; 65];
        let mut bytes = Vec::new();
        DataSm { source: Address::new(1, 1, &long), ..DataSm::default() }.append(&mut bytes, 1);
        let malformed = Data::parse(Pdu::new_checked(&bytes).unwrap()).unwrap_err();
        assert_eq!(malformed.field, Field::SourceAddr);
    }
}
