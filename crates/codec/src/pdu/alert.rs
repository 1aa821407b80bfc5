//! `alert_notification`.

use crate::address::Address;
use crate::error::Malformed;
use crate::frame::Pdu;
use crate::read::{ESME, LONG_ADDRESS_MAX, Reader, SOURCE};
use crate::tlv::Tlvs;

/// The body of an `alert_notification`: a subscriber can be reached again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alert<'a> {
    /// Who can be reached.
    pub source: Address<'a>,
    /// Who asked to be told.
    pub esme: Address<'a>,
    /// The TLVs.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Alert<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// A field is missing, or an address is longer than 64 octets.
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let source = reader.address(SOURCE, LONG_ADDRESS_MAX)?;
        let esme = reader.address(ESME, LONG_ADDRESS_MAX)?;
        Ok(Self { source, esme, tlvs: reader.tlvs() })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::build::Builder;
    use crate::{CommandId, Tag};

    #[test]
    fn both_addresses_and_the_tlvs() {
        let (source, esme) = (Address::new(1, 1, b"447"), Address::new(0, 0, b"esme"));
        let mut bytes = Vec::new();
        Builder::request(&mut bytes, CommandId::ALERT_NOTIFICATION, 1)
            .address(source)
            .address(esme)
            .tlv(Tag::MS_AVAILABILITY_STATUS, &[0])
            .finish();
        let alert = Alert::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!((alert.source, alert.esme), (source, esme));
        assert_eq!(alert.tlvs.find(Tag::MS_AVAILABILITY_STATUS).unwrap().u8(), Some(0));
    }
}
