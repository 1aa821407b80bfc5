//! `bind_*`, their responses and `outbind`.

use crate::address::Address;
use crate::error::{Expected, Field, Malformed};
use crate::frame::{HEADER_LEN, Pdu};
use crate::read::Reader;
use crate::tlv::{Tag, Tlvs};
use crate::version::InterfaceVersion;

/// The longest `system_id` of a response, NUL included.
const SYSTEM_ID_MAX: usize = 16;

/// How long credentials may be, in octets without the NUL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BindCaps {
    /// The longest `system_id`; 15 in the specification.
    pub system_id: usize,
    /// The longest `password`; 8 in the specification.
    pub password: usize,
}

impl Default for BindCaps {
    fn default() -> Self {
        Self { system_id: 15, password: 8 }
    }
}

/// `bind_receiver`, `bind_transmitter` or `bind_transceiver`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Who binds.
    pub system_id: &'a [u8],
    /// The secret that proves it.
    pub password: &'a [u8],
    /// The kind of system that binds.
    pub system_type: &'a [u8],
    /// The version the peer speaks; v3.3 when the body ends before it.
    pub interface_version: InterfaceVersion,
    /// `addr_ton`, `addr_npi` and `address_range`: the destinations the peer serves.
    pub range: Address<'a>,
}

impl<'a> Bind<'a> {
    /// Reads the body of a bind.
    ///
    /// # Errors
    /// A field has no end, or credentials are longer than `caps`.
    pub fn parse(pdu: Pdu<'a>, caps: BindCaps) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let system_id = credential(&mut reader, Field::SystemId, caps.system_id)?;
        let password = credential(&mut reader, Field::Password, caps.password)?;
        let system_type = reader.c_octets(Field::SystemType)?;
        if reader.rest().is_empty() {
            return Ok(Self {
                system_id,
                password,
                system_type,
                interface_version: InterfaceVersion::V3_3,
                range: Address::default(),
            });
        }
        let interface_version = InterfaceVersion(reader.u8(Field::InterfaceVersion)?);
        let [ton, npi] = reader.octets(Field::AddrTon)?;
        let digits = reader.c_octets(Field::AddressRange)?;
        let range = Address { ton, npi, digits };
        Ok(Self { system_id, password, system_type, interface_version, range })
    }
}

/// Keeps the password out of logs.
impl core::fmt::Debug for Bind<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bind")
            .field("system_id", &format_args!("\"{}\"", self.system_id.escape_ascii()))
            .field("system_type", &format_args!("\"{}\"", self.system_type.escape_ascii()))
            .field("interface_version", &self.interface_version)
            .field("range", &format_args!("{}", self.range))
            .finish_non_exhaustive()
    }
}

fn credential<'a>(
    reader: &mut Reader<'a>,
    field: Field,
    cap: usize,
) -> Result<&'a [u8], Malformed> {
    reader.c_octets_within(field, cap.saturating_add(1))
}

/// The response to a bind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BindResp<'a> {
    /// Who the message centre is; empty when the body is absent.
    pub system_id: &'a [u8],
    /// The version the message centre speaks, when it says so.
    pub sc_interface_version: Option<InterfaceVersion>,
    /// All TLVs, `sc_interface_version` included.
    pub tlvs: Tlvs<'a>,
}

impl<'a> BindResp<'a> {
    /// Reads the body of a bind's response. It may be absent, a `system_id` at the end may lack
    /// its NUL, and the body of an error response may be anything.
    ///
    /// # Errors
    /// The response is positive and no NUL ends the `system_id`, which is too long for one.
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let Ok(system_id) = reader.c_octets(Field::SystemId) else {
            return Self::without_nul(pdu);
        };
        let tlvs = reader.tlvs();
        let sc_interface_version = tlvs
            .find(Tag::SC_INTERFACE_VERSION)
            .and_then(|tlv| tlv.value.first())
            .map(|&version| InterfaceVersion(version));
        Ok(Self { system_id, sc_interface_version, tlvs })
    }

    fn without_nul(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let body = pdu.body();
        let system_id = match body.len() {
            ..SYSTEM_ID_MAX => body,
            _ if !pdu.command_status().is_ok() => &[],
            found => {
                return Err(Malformed {
                    field: Field::SystemId,
                    offset: HEADER_LEN,
                    expected: Expected::NulWithin(SYSTEM_ID_MAX),
                    found,
                });
            }
        };
        let tlvs = Tlvs::new(&[], pdu.bytes().len());
        Ok(Self { system_id, sc_interface_version: None, tlvs })
    }
}

/// `outbind`: a message centre asks to be bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Outbind<'a> {
    /// Who the message centre is.
    pub system_id: &'a [u8],
    /// The secret that proves it.
    pub password: &'a [u8],
}

impl<'a> Outbind<'a> {
    /// Reads the body of an `outbind`.
    ///
    /// # Errors
    /// A field has no end.
    pub fn parse(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(pdu);
        let system_id = reader.c_octets(Field::SystemId)?;
        let password = reader.c_octets(Field::Password)?;
        Ok(Self { system_id, password })
    }
}

/// Keeps the password out of logs.
impl core::fmt::Debug for Outbind<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Outbind")
            .field("system_id", &format_args!("\"{}\"", self.system_id.escape_ascii()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::build::{BindRequest, BindResponse, Builder, append_header_only};
    use crate::{CommandId, CommandStatus};

    /// A bind_transmitter of the shape that the v5.0 specification shows in 3.2.2: 47 octets.
    const SAMPLE: &[u8] = b"\0\0\0\x2F\0\0\0\x02\0\0\0\0\0\0\0\x01\
        SMPP3TEST\0secret08\0SUBMIT1\0\x50\x01\x01\0";

    fn parse(bytes: &[u8], caps: BindCaps) -> Result<Bind<'_>, Malformed> {
        Bind::parse(Pdu::new_checked(bytes).unwrap(), caps)
    }

    #[test]
    fn the_sample_is_read_and_written() {
        let pdu = Pdu::new_checked(SAMPLE).unwrap();
        assert_eq!(pdu.command_id(), CommandId::BIND_TRANSMITTER);
        let bind = Bind::parse(pdu, BindCaps::default()).unwrap();
        assert_eq!(bind.system_id, b"SMPP3TEST");
        assert_eq!(bind.password, b"secret08");
        assert_eq!(bind.system_type, b"SUBMIT1");
        assert_eq!(bind.interface_version, InterfaceVersion::V5_0);
        assert_eq!(bind.range, Address::new(1, 1, b""));

        let mut built = Vec::new();
        BindRequest {
            command_id: CommandId::BIND_TRANSMITTER,
            system_id: bind.system_id,
            password: bind.password,
            system_type: bind.system_type,
            interface_version: bind.interface_version,
            range: bind.range,
        }
        .append(&mut built, 1);
        assert_eq!(built, SAMPLE);
    }

    #[test]
    fn the_body_may_end_before_interface_version() {
        let mut bytes = Vec::new();
        let builder = Builder::request(&mut bytes, CommandId::BIND_RECEIVER, 1);
        builder.c_str(b"a").c_str(b"b").c_str(b"").finish();
        let bind = parse(&bytes, BindCaps::default()).unwrap();
        assert_eq!(bind.interface_version, InterfaceVersion::V3_3);
        assert_eq!(bind.range, Address::default());
    }

    #[test]
    fn credentials_may_be_as_long_as_the_caps() {
        let mut bytes = Vec::new();
        let bind =
            BindRequest { system_id: &[b'i'; 16], password: &[b'p'; 9], ..BindRequest::default() };
        bind.append(&mut bytes, 1);
        let cap = |system_id, password| BindCaps { system_id, password };
        assert!(parse(&bytes, cap(16, 9)).is_ok());
        let malformed = parse(&bytes, cap(15, 9)).unwrap_err();
        assert_eq!(malformed.status(), CommandStatus::ESME_RINVSYSID);
        assert_eq!(malformed.expected, Expected::NulWithin(16));
        let malformed = parse(&bytes, cap(16, 8)).unwrap_err();
        assert_eq!(malformed.status(), CommandStatus::ESME_RINVPASWD);
        assert!(parse(&bytes, cap(usize::MAX, usize::MAX)).is_ok());
    }

    #[test]
    fn passwords_are_not_shown() {
        let bind = parse(SAMPLE, BindCaps::default()).unwrap();
        assert!(!alloc::format!("{bind:?}").contains("secret08"));
    }

    #[test]
    fn responses_with_and_without_a_body() {
        let mut bytes = Vec::new();
        let response = BindResponse {
            command_id: CommandId::BIND_TRANSCEIVER_RESP,
            system_id: b"smsc",
            sc_interface_version: Some(InterfaceVersion::V5_0),
        };
        response.append(&mut bytes, 1);
        let parsed = BindResp::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!(parsed.system_id, b"smsc");
        assert_eq!(parsed.sc_interface_version, Some(InterfaceVersion::V5_0));

        let failed = CommandStatus::ESME_RBINDFAIL;
        for status in [CommandStatus::ESME_ROK, failed] {
            bytes.clear();
            append_header_only(&mut bytes, CommandId::BIND_RECEIVER_RESP, status, 1);
            let parsed = BindResp::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
            assert_eq!((parsed.system_id, parsed.sc_interface_version), (&b""[..], None));
        }

        for (status, body, system_id) in [
            (CommandStatus::ESME_ROK, &b"no NUL"[..], Some(&b"no NUL"[..])),
            (CommandStatus::ESME_ROK, b"much too long for it", None),
            (failed, b"much too long for it", Some(b"")),
        ] {
            bytes.clear();
            Builder::new(&mut bytes, CommandId::BIND_RECEIVER_RESP, status, 1).bytes(body).finish();
            let parsed = BindResp::parse(Pdu::new_checked(&bytes).unwrap());
            assert_eq!(parsed.ok().map(|parsed| parsed.system_id), system_id);
        }
    }

    #[test]
    fn outbind() {
        let mut bytes = Vec::new();
        Builder::request(&mut bytes, CommandId::OUTBIND, 1).c_str(b"smsc").c_str(b"pw").finish();
        let outbind = Outbind::parse(Pdu::new_checked(&bytes).unwrap()).unwrap();
        assert_eq!((outbind.system_id, outbind.password), (&b"smsc"[..], &b"pw"[..]));
    }
}
