//! PDUs of our own making.
//!
//! [`Builder`] writes any PDU field by field; the structs write the common ones whole. All of
//! them append to a buffer and return where in it the PDU begins.

use alloc::vec::Vec;

use crate::address::Address;
use crate::command::CommandId;
use crate::edit::finish;
use crate::frame::HEADER_LEN;
use crate::status::CommandStatus;
use crate::tlv::Tag;
use crate::version::InterfaceVersion;

/// Writes one PDU at the end of a buffer. Nothing is a PDU until [`Builder::finish`].
#[must_use = "a PDU has no length until it is finished"]
#[derive(Debug)]
pub struct Builder<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Builder<'o> {
    /// Begins a PDU with its header.
    #[inline]
    pub fn new(
        out: &'o mut Vec<u8>,
        command_id: CommandId,
        status: CommandStatus,
        sequence_number: u32,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&header(command_id, status, sequence_number));
        Self { out, start }
    }

    /// Begins a request: a PDU of status zero.
    #[inline]
    pub fn request(out: &'o mut Vec<u8>, command_id: CommandId, sequence_number: u32) -> Self {
        Self::new(out, command_id, CommandStatus::ESME_ROK, sequence_number)
    }

    /// One octet.
    #[inline]
    pub fn u8(self, value: u8) -> Self {
        self.out.push(value);
        self
    }

    /// A C-octet string: `value` up to its first NUL, if it has one, and a NUL.
    #[inline]
    pub fn c_str(self, value: &[u8]) -> Self {
        let end = crate::read::find_nul(value).unwrap_or(value.len());
        self.out.extend_from_slice(&value[..end]);
        self.out.push(0);
        self
    }

    /// Octets as they are.
    #[inline]
    pub fn bytes(self, value: &[u8]) -> Self {
        self.out.extend_from_slice(value);
        self
    }

    /// An address: type of number, numbering plan, digits.
    #[inline]
    pub fn address(self, address: Address<'_>) -> Self {
        self.u8(address.ton).u8(address.npi).c_str(address.digits)
    }

    /// `sm_length` and the text, which is cut to 255 octets.
    #[inline]
    pub fn short_message(self, text: &[u8]) -> Self {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.u8(length).bytes(&text[..usize::from(length)])
    }

    /// A TLV; its value is cut to 65535 octets.
    #[inline]
    pub fn tlv(self, tag: Tag, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.bytes(&tag.0.to_be_bytes())
            .bytes(&length.to_be_bytes())
            .bytes(&value[..usize::from(length)])
    }

    /// Several TLVs.
    #[inline]
    pub fn tlvs(mut self, tlvs: &[(Tag, &[u8])]) -> Self {
        for &(tag, value) in tlvs {
            self = self.tlv(tag, value);
        }
        self
    }

    /// Ends the PDU by setting its `command_length`; returns where in the buffer it begins.
    #[inline]
    pub fn finish(self) -> usize {
        finish(self.out, self.start);
        self.start
    }
}

#[inline]
fn header(id: CommandId, status: CommandStatus, sequence_number: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[3] = HEADER_LEN as u8;
    header[4..8].copy_from_slice(&id.0.to_be_bytes());
    header[8..12].copy_from_slice(&status.0.to_be_bytes());
    header[12..].copy_from_slice(&sequence_number.to_be_bytes());
    header
}

/// Appends a PDU without a body: `enquire_link`, `unbind`, their responses, `generic_nack`, and
/// every error response.
#[inline]
pub fn append_header_only(
    out: &mut Vec<u8>,
    command_id: CommandId,
    status: CommandStatus,
    sequence_number: u32,
) -> usize {
    let start = out.len();
    out.extend_from_slice(&header(command_id, status, sequence_number));
    start
}

/// Appends a positive response with an empty message_id, as `deliver_sm_resp` has it.
#[inline]
pub fn append_empty_message_id_resp(
    out: &mut Vec<u8>,
    command_id: CommandId,
    sequence_number: u32,
) -> usize {
    Builder::request(out, command_id, sequence_number).c_str(&[]).finish()
}

/// A `bind_*` request.
#[derive(Clone, Copy, Debug)]
pub struct BindRequest<'a> {
    /// Which of the three binds.
    pub command_id: CommandId,
    /// Who binds.
    pub system_id: &'a [u8],
    /// The secret that proves it.
    pub password: &'a [u8],
    /// The kind of system that binds.
    pub system_type: &'a [u8],
    /// The version spoken.
    pub interface_version: InterfaceVersion,
    /// `addr_ton`, `addr_npi` and `address_range`.
    pub range: Address<'a>,
}

impl Default for BindRequest<'_> {
    /// A `bind_transceiver` of v3.4 without names.
    fn default() -> Self {
        Self {
            command_id: CommandId::BIND_TRANSCEIVER,
            system_id: &[],
            password: &[],
            system_type: &[],
            interface_version: InterfaceVersion::V3_4,
            range: Address::default(),
        }
    }
}

impl BindRequest<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, self.command_id, sequence_number)
            .c_str(self.system_id)
            .c_str(self.password)
            .c_str(self.system_type)
            .u8(self.interface_version.0)
            .address(self.range)
            .finish()
    }
}

/// A positive response to a bind.
#[derive(Clone, Copy, Debug)]
pub struct BindResponse<'a> {
    /// Which of the three binds is answered, as its response.
    pub command_id: CommandId,
    /// Who the message centre is.
    pub system_id: &'a [u8],
    /// The version it speaks; not sent when none.
    pub sc_interface_version: Option<InterfaceVersion>,
}

impl BindResponse<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        let builder = Builder::request(out, self.command_id, sequence_number).c_str(self.system_id);
        match self.sc_interface_version {
            Some(version) => builder.tlv(Tag::SC_INTERFACE_VERSION, &[version.0]).finish(),
            None => builder.finish(),
        }
    }
}

/// A positive response that begins with a message_id.
#[derive(Clone, Copy, Debug)]
pub struct MessageIdResponse<'a> {
    /// Which response.
    pub command_id: CommandId,
    /// The id that the message was given.
    pub message_id: &'a [u8],
    /// TLVs behind it.
    pub tlvs: &'a [(Tag, &'a [u8])],
}

impl MessageIdResponse<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, self.command_id, sequence_number)
            .c_str(self.message_id)
            .tlvs(self.tlvs)
            .finish()
    }
}

macro_rules! message_request {
    ($(#[$doc:meta])* $name:ident, $command_id:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Debug)]
        pub struct $name<'a> {
            /// The service that the message belongs to.
            pub service_type: &'a [u8],
            /// Who sends.
            pub source: Address<'a>,
            /// Who is to receive.
            pub destination: Address<'a>,
            /// Mode, type and features of the message.
            pub esm_class: u8,
            /// The network's protocol identifier.
            pub protocol_id: u8,
            /// The message's priority.
            pub priority_flag: u8,
            /// When to deliver.
            pub schedule_delivery_time: &'a [u8],
            /// When to give up.
            pub validity_period: &'a [u8],
            /// Which receipts are asked for.
            pub registered_delivery: u8,
            /// Whether to replace an earlier message that is still there.
            pub replace_if_present: u8,
            /// The alphabet of the text.
            pub data_coding: u8,
            /// A message that the message centre has stored.
            pub sm_default_msg_id: u8,
            /// The text, which is cut to 255 octets.
            pub short_message: &'a [u8],
            /// The TLVs.
            pub tlvs: &'a [(Tag, &'a [u8])],
        }

        impl $name<'_> {
            /// Appends the PDU.
            pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
                Builder::request(out, $command_id, sequence_number)
                    .c_str(self.service_type)
                    .address(self.source)
                    .address(self.destination)
                    .u8(self.esm_class)
                    .u8(self.protocol_id)
                    .u8(self.priority_flag)
                    .c_str(self.schedule_delivery_time)
                    .c_str(self.validity_period)
                    .u8(self.registered_delivery)
                    .u8(self.replace_if_present)
                    .u8(self.data_coding)
                    .u8(self.sm_default_msg_id)
                    .short_message(self.short_message)
                    .tlvs(self.tlvs)
                    .finish()
            }
        }
    };
}

message_request! {
    /// A `submit_sm`.
    SubmitSm, CommandId::SUBMIT_SM
}
message_request! {
    /// A `deliver_sm`.
    DeliverSm, CommandId::DELIVER_SM
}

/// A `data_sm`.
#[derive(Clone, Copy, Default, Debug)]
pub struct DataSm<'a> {
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
    pub tlvs: &'a [(Tag, &'a [u8])],
}

impl DataSm<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, CommandId::DATA_SM, sequence_number)
            .c_str(self.service_type)
            .address(self.source)
            .address(self.destination)
            .u8(self.esm_class)
            .u8(self.registered_delivery)
            .u8(self.data_coding)
            .tlvs(self.tlvs)
            .finish()
    }
}

/// A `query_sm`.
#[derive(Clone, Copy, Default, Debug)]
pub struct QuerySm<'a> {
    /// The message that is asked about.
    pub message_id: &'a [u8],
    /// Who sent it.
    pub source: Address<'a>,
}

impl QuerySm<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, CommandId::QUERY_SM, sequence_number)
            .c_str(self.message_id)
            .address(self.source)
            .finish()
    }
}

/// A positive `query_sm_resp`.
#[derive(Clone, Copy, Default, Debug)]
pub struct QuerySmResp<'a> {
    /// The message that was asked about.
    pub message_id: &'a [u8],
    /// When it came to its final state.
    pub final_date: &'a [u8],
    /// The state it is in.
    pub message_state: u8,
    /// Why it failed.
    pub error_code: u8,
}

impl QuerySmResp<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, CommandId::QUERY_SM_RESP, sequence_number)
            .c_str(self.message_id)
            .c_str(self.final_date)
            .u8(self.message_state)
            .u8(self.error_code)
            .finish()
    }
}

/// A `cancel_sm`.
#[derive(Clone, Copy, Default, Debug)]
pub struct CancelSm<'a> {
    /// The service that the message belongs to.
    pub service_type: &'a [u8],
    /// The message to cancel; empty to cancel by the other fields.
    pub message_id: &'a [u8],
    /// Who sent it.
    pub source: Address<'a>,
    /// Who is to receive it.
    pub destination: Address<'a>,
}

impl CancelSm<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, CommandId::CANCEL_SM, sequence_number)
            .c_str(self.service_type)
            .c_str(self.message_id)
            .address(self.source)
            .address(self.destination)
            .finish()
    }
}

/// A `replace_sm`.
#[derive(Clone, Copy, Default, Debug)]
pub struct ReplaceSm<'a> {
    /// The message to replace.
    pub message_id: &'a [u8],
    /// Who sent it.
    pub source: Address<'a>,
    /// When to deliver.
    pub schedule_delivery_time: &'a [u8],
    /// When to give up.
    pub validity_period: &'a [u8],
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// A message that the message centre has stored.
    pub sm_default_msg_id: u8,
    /// The new text, which is cut to 255 octets.
    pub short_message: &'a [u8],
    /// The TLVs.
    pub tlvs: &'a [(Tag, &'a [u8])],
}

impl ReplaceSm<'_> {
    /// Appends the PDU.
    pub fn append(&self, out: &mut Vec<u8>, sequence_number: u32) -> usize {
        Builder::request(out, CommandId::REPLACE_SM, sequence_number)
            .c_str(self.message_id)
            .address(self.source)
            .c_str(self.schedule_delivery_time)
            .c_str(self.validity_period)
            .u8(self.registered_delivery)
            .u8(self.sm_default_msg_id)
            .short_message(self.short_message)
            .tlvs(self.tlvs)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::frame::Pdu;
    use crate::pdu::{Message, MessageIdResp};

    #[test]
    fn pdus_stand_one_behind_the_other() {
        let mut out = Vec::new();
        let (id, status) = (CommandId::ENQUIRE_LINK, CommandStatus::ESME_ROK);
        assert_eq!(append_header_only(&mut out, id, status, 1), 0);
        assert_eq!(append_empty_message_id_resp(&mut out, CommandId::DELIVER_SM_RESP, 2), 16);
        assert_eq!(SubmitSm::default().append(&mut out, 3), 33);
        let response = Pdu::new_checked(&out[16..33]).unwrap();
        assert_eq!(MessageIdResp::parse(response).unwrap().message_id, b"");
        assert_eq!(response.sequence_number(), 2);
        assert!(Message::parse(Pdu::new_checked(&out[33..]).unwrap()).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut out = Vec::new();
        let text = vec![b'x'; 300];
        let value = vec![b'y'; 70_000];
        SubmitSm {
            service_type: b"AB\0CD",
            short_message: &text,
            tlvs: &[(Tag::MESSAGE_PAYLOAD, &value)],
            ..SubmitSm::default()
        }
        .append(&mut out, 1);
        let message = Message::parse(Pdu::new_checked(&out).unwrap()).unwrap();
        assert_eq!(message.service_type, b"AB");
        assert_eq!(message.short_message.len(), 255);
        assert_eq!(message.tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap().value.len(), 65_535);
        assert!(message.tlvs.is_well_formed());
    }
}
