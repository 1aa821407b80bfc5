//! What goes to the ESMEs: receipts and mobile originated messages.

use std::time::SystemTime;

use codec::{Address, Builder, CommandId, InterfaceVersion, Tag};
use wire::{ConnId, OwnedAddress, receipt_date};

use crate::message::Token;

/// The longest address with room to spare.
const ADDRESS_MAX: usize = 21;
/// How much of the text a receipt repeats.
const TEXT_MAX: usize = 20;

/// esm_class of a delivery receipt.
const ESM_RECEIPT: u8 = 0x04;
/// message_state and `stat` of how a message ended.
const DELIVERED: (u8, &str) = (2, "DELIVRD");
const DELETED: (u8, &str) = (4, "DELETED");
const UNDELIVERABLE: (u8, &str) = (5, "UNDELIV");

/// An address, inline so that it moves without allocation.
#[derive(Clone, Copy)]
pub struct InlineAddress {
    ton: u8,
    npi: u8,
    len: u8,
    digits: [u8; ADDRESS_MAX],
}

impl InlineAddress {
    /// Copies an address of a PDU.
    pub fn new(address: Address<'_>) -> Self {
        let mut digits = [0; ADDRESS_MAX];
        let len = address.digits.len().min(ADDRESS_MAX);
        digits[..len].copy_from_slice(&address.digits[..len]);
        Self { ton: address.ton, npi: address.npi, len: len as u8, digits }
    }

    fn view(&self) -> Address<'_> {
        Address::new(self.ton, self.npi, &self.digits[..usize::from(self.len)])
    }
}

/// A receipt that is due, or waits for a receiver.
#[derive(Clone, Copy)]
pub struct Receipt {
    /// The instance that took the message.
    pub instance: usize,
    /// The session that took the message: the first choice for its receipt.
    pub conn: ConnId,
    /// The account that submitted it.
    pub account: usize,
    /// The message.
    pub number: u64,
    /// The token in its id.
    pub token: Token,
    /// Whether its id is in the form for a 3.3 session.
    pub short: bool,
    /// Whether it ends undelivered.
    pub fails: bool,
    /// Whether it was cancelled.
    pub deleted: bool,
    /// Its source.
    pub source: InlineAddress,
    /// Its destination.
    pub destination: InlineAddress,
    /// When it was submitted.
    pub submitted: SystemTime,
    text_len: u8,
    text: [u8; TEXT_MAX],
}

impl Receipt {
    /// Keeps the beginning of the message's text.
    pub fn text(text: &[u8]) -> (u8, [u8; TEXT_MAX]) {
        let mut kept = [0; TEXT_MAX];
        let len = text.len().min(TEXT_MAX);
        for (to, from) in kept.iter_mut().zip(&text[..len]) {
            *to = if from.is_ascii_graphic() || *from == b' ' { *from } else { b'.' };
        }
        (len as u8, kept)
    }

    /// A receipt for a message that was just taken.
    #[expect(clippy::too_many_arguments, reason = "the facts of one message")]
    pub fn new(
        instance: usize,
        conn: ConnId,
        account: usize,
        number: u64,
        token: Token,
        short: bool,
        fails: bool,
        (source, destination): (Address<'_>, Address<'_>),
        text: &[u8],
    ) -> Self {
        let (text_len, text) = Self::text(text);
        let (source, destination) = (InlineAddress::new(source), InlineAddress::new(destination));
        let submitted = SystemTime::now();
        let deleted = false;
        Self {
            instance,
            conn,
            account,
            number,
            token,
            short,
            fails,
            deleted,
            source,
            destination,
            submitted,
            text_len,
            text,
        }
    }

    /// Appends the deliver_sm. The TLVs go only to those who can read them.
    pub fn append(
        &self,
        out: &mut Vec<u8>,
        sequence: u32,
        version: InterfaceVersion,
        id: &[u8],
        scratch: &mut Vec<u8>,
    ) {
        let (state, stat) = match (self.deleted, self.fails) {
            (true, _) => DELETED,
            (false, true) => UNDELIVERABLE,
            (false, false) => DELIVERED,
        };
        let delivered: &[u8] = if state == DELIVERED.0 { b"001" } else { b"000" };
        let error: &[u8] = if state == UNDELIVERABLE.0 { b"069" } else { b"000" };
        scratch.clear();
        let text = &self.text[..usize::from(self.text_len)];
        for (key, value) in [
            (&b"id:"[..], id),
            (b" sub:", b"001"),
            (b" dlvrd:", delivered),
            (b" submit date:", &receipt_date(self.submitted)),
            (b" done date:", &receipt_date(SystemTime::now())),
            (b" stat:", stat.as_bytes()),
            (b" err:", error),
            (b" text:", text),
        ] {
            scratch.extend_from_slice(key);
            scratch.extend_from_slice(value);
        }
        let builder =
            begin(out, sequence, self.destination.view(), self.source.view(), ESM_RECEIPT, scratch);
        if version.takes_tlvs() {
            let mut octets = [0; 66];
            octets[..id.len()].copy_from_slice(id);
            builder
                .tlv(Tag::RECEIPTED_MESSAGE_ID, &octets[..=id.len()])
                .tlv(Tag::MESSAGE_STATE, &[state])
                .finish();
        } else {
            builder.finish();
        }
    }
}

/// Appends a mobile originated message.
pub fn append_mobile(
    out: &mut Vec<u8>,
    sequence: u32,
    source: &OwnedAddress,
    destination: &OwnedAddress,
    text: &[u8],
) {
    begin(out, sequence, source.view(), destination.view(), 0, text).finish();
}

fn begin<'a>(
    out: &'a mut Vec<u8>,
    sequence: u32,
    source: Address<'_>,
    destination: Address<'_>,
    esm_class: u8,
    text: &[u8],
) -> Builder<'a> {
    Builder::request(out, CommandId::DELIVER_SM, sequence)
        .c_str(b"")
        .address(source)
        .address(destination)
        .u8(esm_class)
        .u8(0)
        .u8(0)
        .c_str(b"")
        .c_str(b"")
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .short_message(text)
}
