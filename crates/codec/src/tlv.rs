//! Tagged optional parameters: tag, length, value, in any order behind the mandatory fields.

use core::fmt;

/// The octets of a TLV before its value.
pub const TLV_HEADER_LEN: usize = 4;

/// A TLV's tag, known or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u16);

macro_rules! tags {
    ($($constant:ident = $value:literal, $name:literal;)*) => {
        impl Tag {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Self = Self($value);)*

            /// Every tag of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// The specification's name, or `"unknown"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $name,)*
                    _ => "unknown",
                }
            }
        }
    };
}

tags! {
    DEST_ADDR_SUBUNIT = 0x0005, "dest_addr_subunit";
    DEST_NETWORK_TYPE = 0x0006, "dest_network_type";
    DEST_BEARER_TYPE = 0x0007, "dest_bearer_type";
    DEST_TELEMATICS_ID = 0x0008, "dest_telematics_id";
    SOURCE_ADDR_SUBUNIT = 0x000D, "source_addr_subunit";
    SOURCE_NETWORK_TYPE = 0x000E, "source_network_type";
    SOURCE_BEARER_TYPE = 0x000F, "source_bearer_type";
    SOURCE_TELEMATICS_ID = 0x0010, "source_telematics_id";
    QOS_TIME_TO_LIVE = 0x0017, "qos_time_to_live";
    PAYLOAD_TYPE = 0x0019, "payload_type";
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "additional_status_info_text";
    RECEIPTED_MESSAGE_ID = 0x001E, "receipted_message_id";
    MS_MSG_WAIT_FACILITIES = 0x0030, "ms_msg_wait_facilities";
    PRIVACY_INDICATOR = 0x0201, "privacy_indicator";
    SOURCE_SUBADDRESS = 0x0202, "source_subaddress";
    DEST_SUBADDRESS = 0x0203, "dest_subaddress";
    USER_MESSAGE_REFERENCE = 0x0204, "user_message_reference";
    USER_RESPONSE_CODE = 0x0205, "user_response_code";
    SOURCE_PORT = 0x020A, "source_port";
    DEST_PORT = 0x020B, "dest_port";
    SAR_MSG_REF_NUM = 0x020C, "sar_msg_ref_num";
    LANGUAGE_INDICATOR = 0x020D, "language_indicator";
    SAR_TOTAL_SEGMENTS = 0x020E, "sar_total_segments";
    SAR_SEGMENT_SEQNUM = 0x020F, "sar_segment_seqnum";
    SC_INTERFACE_VERSION = 0x0210, "sc_interface_version";
    CALLBACK_NUM_PRES_IND = 0x0302, "callback_num_pres_ind";
    CALLBACK_NUM_ATAG = 0x0303, "callback_num_atag";
    NUMBER_OF_MESSAGES = 0x0304, "number_of_messages";
    CALLBACK_NUM = 0x0381, "callback_num";
    DPF_RESULT = 0x0420, "dpf_result";
    SET_DPF = 0x0421, "set_dpf";
    MS_AVAILABILITY_STATUS = 0x0422, "ms_availability_status";
    NETWORK_ERROR_CODE = 0x0423, "network_error_code";
    MESSAGE_PAYLOAD = 0x0424, "message_payload";
    DELIVERY_FAILURE_REASON = 0x0425, "delivery_failure_reason";
    MORE_MESSAGES_TO_SEND = 0x0426, "more_messages_to_send";
    MESSAGE_STATE = 0x0427, "message_state";
    CONGESTION_STATE = 0x0428, "congestion_state";
    USSD_SERVICE_OP = 0x0501, "ussd_service_op";
    BROADCAST_CHANNEL_INDICATOR = 0x0600, "broadcast_channel_indicator";
    BROADCAST_CONTENT_TYPE = 0x0601, "broadcast_content_type";
    BROADCAST_CONTENT_TYPE_INFO = 0x0602, "broadcast_content_type_info";
    BROADCAST_MESSAGE_CLASS = 0x0603, "broadcast_message_class";
    BROADCAST_REP_NUM = 0x0604, "broadcast_rep_num";
    BROADCAST_FREQUENCY_INTERVAL = 0x0605, "broadcast_frequency_interval";
    BROADCAST_AREA_IDENTIFIER = 0x0606, "broadcast_area_identifier";
    BROADCAST_ERROR_STATUS = 0x0607, "broadcast_error_status";
    BROADCAST_AREA_SUCCESS = 0x0608, "broadcast_area_success";
    BROADCAST_END_TIME = 0x0609, "broadcast_end_time";
    BROADCAST_SERVICE_GROUP = 0x060A, "broadcast_service_group";
    BILLING_IDENTIFICATION = 0x060B, "billing_identification";
    SOURCE_NETWORK_ID = 0x060D, "source_network_id";
    DEST_NETWORK_ID = 0x060E, "dest_network_id";
    SOURCE_NODE_ID = 0x060F, "source_node_id";
    DEST_NODE_ID = 0x0610, "dest_node_id";
    DEST_ADDR_NP_RESOLUTION = 0x0611, "dest_addr_np_resolution";
    DEST_ADDR_NP_INFORMATION = 0x0612, "dest_addr_np_information";
    DEST_ADDR_NP_COUNTRY = 0x0613, "dest_addr_np_country";
    DISPLAY_TIME = 0x1201, "display_time";
    SMS_SIGNAL = 0x1203, "sms_signal";
    MS_VALIDITY = 0x1204, "ms_validity";
    ALERT_ON_MESSAGE_DELIVERY = 0x130C, "alert_on_message_delivery";
    ITS_REPLY_TYPE = 0x1380, "its_reply_type";
    ITS_SESSION_INFO = 0x1383, "its_session_info";
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "unknown" => write!(f, "0x{:04X}", self.0),
            name => f.pad(name),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// One TLV.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// Its tag.
    pub tag: Tag,
    /// Its value, as long as its length field says.
    pub value: &'a [u8],
    /// Where its tag stands, from the start of the PDU.
    pub offset: usize,
}

impl Tlv<'_> {
    /// Where its value stands, from the start of the PDU.
    #[inline]
    #[must_use]
    pub const fn value_offset(&self) -> usize {
        self.offset + TLV_HEADER_LEN
    }

    /// The value as an integer, when it is one octet long.
    #[inline]
    #[must_use]
    pub const fn u8(&self) -> Option<u8> {
        match self.value {
            &[octet] => Some(octet),
            _ => None,
        }
    }

    /// The value as an integer, when it is two octets long.
    #[inline]
    #[must_use]
    pub const fn u16(&self) -> Option<u16> {
        match self.value {
            &[high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }
}

/// The TLVs of a PDU: everything behind its mandatory fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Tlvs<'a> {
    /// The TLVs in `bytes`, which begin at `offset` in their PDU.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    /// All the bytes, stray ones included.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the first TLV stands, or would, from the start of the PDU.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether there is nothing at all.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Each TLV, up to the first one that does not fit.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> TlvIter<'a> {
        TlvIter { rest: self.bytes, offset: self.offset }
    }

    /// The first TLV with this tag.
    #[inline]
    #[must_use]
    pub fn find(&self, tag: Tag) -> Option<Tlv<'a>> {
        self.iter().find(|tlv| tlv.tag == tag)
    }

    /// The bytes at the end that are no TLV: one to three, or a TLV longer than what is there.
    #[inline]
    #[must_use]
    pub fn stray(&self) -> &'a [u8] {
        let mut tlvs = self.iter();
        while tlvs.next().is_some() {}
        tlvs.rest
    }

    /// Whether there are no stray bytes.
    #[inline]
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.stray().is_empty()
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

/// Iterates over [`Tlvs`].
#[derive(Clone, Debug)]
pub struct TlvIter<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    #[inline]
    fn next(&mut self) -> Option<Tlv<'a>> {
        let (&[t0, t1, l0, l1], behind) = self.rest.split_first_chunk::<TLV_HEADER_LEN>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (value, rest) = behind.split_at_checked(length)?;
        let tlv = Tlv { tag: Tag(u16::from_be_bytes([t0, t1])), value, offset: self.offset };
        self.rest = rest;
        self.offset += TLV_HEADER_LEN + length;
        Some(tlv)
    }
}

impl core::iter::FusedIterator for TlvIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = &[0x02, 0x04, 0, 2, 0xAB, 0xCD, 0x14, 0x00, 0, 0];

    #[test]
    fn tlvs_are_found_with_their_offsets() {
        let tlvs = Tlvs::new(TWO, 100);
        let reference = tlvs.find(Tag::USER_MESSAGE_REFERENCE).unwrap();
        assert_eq!((reference.offset, reference.value_offset()), (100, 104));
        assert_eq!(reference.u16(), Some(0xABCD));
        assert_eq!(reference.u8(), None);
        let vendor = tlvs.find(Tag(0x1400)).unwrap();
        assert_eq!((vendor.offset, vendor.value), (106, &[][..]));
        assert_eq!(tlvs.find(Tag::MESSAGE_PAYLOAD), None);
        assert!(tlvs.is_well_formed());
    }

    #[test]
    fn stray_octets_end_the_tlvs() {
        for stray in [&[0][..], &[1, 2], &[0, 0, 0], &[0x14, 0x01, 0, 3, 1, 2]] {
            let bytes = [TWO, stray].concat();
            let tlvs = Tlvs::new(&bytes, 16);
            assert_eq!(tlvs.iter().count(), 2);
            assert_eq!(tlvs.stray(), stray);
            assert!(!tlvs.is_well_formed());
        }
    }

    #[test]
    fn nothing_is_well_formed() {
        assert!(Tlvs::default().is_well_formed());
        assert!(Tlvs::default().is_empty());
    }
}
