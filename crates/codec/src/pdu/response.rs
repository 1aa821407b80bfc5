//! Responses whose body begins with a message_id.

use crate::error::{Expected, Field, Malformed};
use crate::frame::{HEADER_LEN, Pdu};
use crate::read::{MESSAGE_ID_MAX, Reader};
use crate::tlv::Tlvs;

/// The body of a `submit_sm_resp`, `data_sm_resp`, `deliver_sm_resp`, `submit_multi_resp` or
/// `broadcast_sm_resp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageIdResp<'a> {
    /// The id that the message centre gave; empty when the body is absent.
    pub message_id: &'a [u8],
    /// Everything behind the id's NUL.
    pub rest: &'a [u8],
    rest_offset: usize,
}

impl<'a> MessageIdResp<'a> {
    /// Where the id stands in the PDU.
    pub const MESSAGE_ID_OFFSET: usize = HEADER_LEN;

    /// Reads the body. An id at the end may lack its NUL; what the body of an error response
    /// cannot be read as is all in `rest`.
    ///
    /// # Errors
    /// The response is positive and no NUL ends the id, which is too long for one.
    #[inline]
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        match reader.c_octets(Field::MessageId) {
            Ok(message_id) => {
                Ok(Self { message_id, rest: reader.rest(), rest_offset: reader.at() })
            }
            Err(_) => Self::without_nul(pdu),
        }
    }

    #[cold]
    fn without_nul(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let body = pdu.body();
        if body.len() < MESSAGE_ID_MAX {
            return Ok(Self { message_id: body, rest: &[], rest_offset: pdu.bytes().len() });
        }
        if !pdu.command_status().is_ok() {
            return Ok(Self { message_id: &[], rest: body, rest_offset: HEADER_LEN });
        }
        Err(Malformed {
            field: Field::MessageId,
            offset: HEADER_LEN,
            expected: Expected::NulWithin(MESSAGE_ID_MAX),
            found: body.len(),
        })
    }

    /// What follows the id, as TLVs: those of a `submit_sm_resp` or a `data_sm_resp`.
    #[inline]
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.rest, self.rest_offset)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::build::{Builder, MessageIdResponse, append_header_only};
    use crate::{CommandId, CommandStatus, Tag};

    fn with_body(status: CommandStatus, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Builder::new(&mut bytes, CommandId::SUBMIT_SM_RESP, status, 1).bytes(body).finish();
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<MessageIdResp<'_>, Malformed> {
        MessageIdResp::parse(Pdu::new_checked(bytes).unwrap())
    }

    #[test]
    fn the_id_and_what_follows_it() {
        let mut bytes = Vec::new();
        let tlvs: &[(Tag, &[u8])] = &[(Tag::CONGESTION_STATE, &[85])];
        let command_id = CommandId::DATA_SM_RESP;
        MessageIdResponse { command_id, message_id: b"77", tlvs }.append(&mut bytes, 1);
        let response = parse(&bytes).unwrap();
        assert_eq!(response.message_id, b"77");
        let congestion = response.tlvs().find(Tag::CONGESTION_STATE).unwrap();
        assert_eq!((congestion.value, congestion.offset), (&[85][..], 19));
    }

    #[test]
    fn error_responses_with_and_without_a_body() {
        let status = CommandStatus::ESME_RTHROTTLED;
        let mut bytes = Vec::new();
        append_header_only(&mut bytes, CommandId::SUBMIT_SM_RESP, status, 1);
        let response = parse(&bytes).unwrap();
        assert_eq!((response.message_id, response.rest), (&b""[..], &b""[..]));
        assert!(response.tlvs().is_empty());

        assert_eq!(parse(&with_body(status, b"\0")).unwrap().message_id, b"");
        assert_eq!(parse(&with_body(status, b"id\0")).unwrap().message_id, b"id");
        let noise = [0xFF; 100];
        let noisy = with_body(status, &noise);
        let response = parse(&noisy).unwrap();
        assert_eq!((response.message_id, response.rest), (&b""[..], &noise[..]));
    }

    #[test]
    fn an_id_may_lack_its_nul_if_it_is_short_enough_for_one() {
        let ok = CommandStatus::ESME_ROK;
        assert_eq!(parse(&with_body(ok, b"id")).unwrap().message_id, b"id");
        assert_eq!(parse(&with_body(ok, &[b'1'; 64])).unwrap().message_id.len(), 64);
        let malformed = parse(&with_body(ok, &[b'1'; 65])).unwrap_err();
        assert_eq!(malformed.status(), CommandStatus::ESME_RINVMSGID);
    }
}
