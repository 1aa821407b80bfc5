//! A client: submits, asks, receives, and breaks off now and then.

use codec::build::{BindRequest, CancelSm, QuerySm, SubmitSm};
use codec::{Address, CommandId, CommandStatus, InterfaceVersion, Message, MessageIdResp, Pdu};
use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;
use crate::setup::RANGES;

/// A request that awaits its response.
#[derive(Clone, Debug)]
struct Awaited {
    command: CommandId,
    text: String,
    receipt: bool,
}

/// What all clients of an account know together. One per account.
#[derive(Debug, Default)]
pub struct Ids {
    /// Ids that were given out, for which a receipt was asked.
    pub given: BTreeSet<Vec<u8>>,
    /// Receipts that came before the id that they name was seen: at the end they must be given.
    pub receipts: Vec<Vec<u8>>,
}

/// One client session. One per client; a new connection starts afresh.
#[derive(Debug)]
pub struct Client {
    /// Its account.
    pub account: usize,
    kind: CommandId,
    bound: bool,
    unbinding: bool,
    next: u32,
    awaited: BTreeMap<u32, Awaited>,
    ids: Vec<Vec<u8>>,
}

impl Client {
    /// A client of `account` that is about to bind.
    pub fn new(account: usize, random: &mut Random) -> Self {
        let kinds =
            [CommandId::BIND_TRANSCEIVER, CommandId::BIND_RECEIVER, CommandId::BIND_TRANSMITTER];
        let kind = if random.one_in(2) { kinds[0] } else { kinds[random.below(3) as usize] };
        Self {
            account,
            kind,
            bound: false,
            unbinding: false,
            next: 1,
            awaited: BTreeMap::new(),
            ids: Vec::new(),
        }
    }

    /// Requests that were sent and not answered.
    pub fn unanswered(&self) -> usize {
        self.awaited.len()
    }

    /// Its bind request.
    pub fn bind(&mut self, out: &mut Vec<u8>) {
        let system_id = format!("user{}", self.account);
        let number = self.await_response(self.kind, String::new(), false);
        BindRequest {
            command_id: self.kind,
            system_id: system_id.as_bytes(),
            password: b"secret",
            interface_version: InterfaceVersion::V3_4,
            ..BindRequest::default()
        }
        .append(out, number);
    }

    /// Something that a client does: mostly a submit.
    pub fn act(&mut self, random: &mut Random, token: u64, out: &mut Vec<u8>) {
        if !self.bound || self.unbinding || self.kind == CommandId::BIND_RECEIVER {
            return;
        }
        match random.below(20) {
            0 => self.query(random, out),
            1 => self.cancel(random, out),
            2 if random.one_in(6) => {
                self.unbinding = true;
                let number = self.await_response(CommandId::UNBIND, String::new(), false);
                header(out, CommandId::UNBIND, number);
            }
            _ => self.submit(random, token, out),
        }
    }

    fn submit(&mut self, random: &mut Random, token: u64, out: &mut Vec<u8>) {
        let text = format!("t{token}");
        let receipt = random.one_in(2);
        let number = self.await_response(CommandId::SUBMIT_SM, text.clone(), receipt);
        SubmitSm {
            source: address(b"888555"),
            destination: address(b"4477"),
            registered_delivery: u8::from(receipt),
            short_message: text.as_bytes(),
            ..SubmitSm::default()
        }
        .append(out, number);
    }

    fn query(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let known = !self.ids.is_empty() && !random.one_in(4);
        let id = if known {
            self.ids[random.below(self.ids.len() as u64) as usize].clone()
        } else {
            b"foreign#RHaaaa-s0".to_vec()
        };
        let number = self.await_response(CommandId::QUERY_SM, String::new(), false);
        QuerySm { message_id: &id, source: address(b"888555") }.append(out, number);
    }

    fn cancel(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let id = if random.one_in(2) {
            Vec::new()
        } else {
            self.ids.last().cloned().unwrap_or_default()
        };
        let number = self.await_response(CommandId::CANCEL_SM, String::new(), false);
        CancelSm {
            message_id: &id,
            source: address(b"888555"),
            destination: address(b"4477"),
            ..CancelSm::default()
        }
        .append(out, number);
    }

    fn await_response(&mut self, command: CommandId, text: String, receipt: bool) -> u32 {
        let number = self.next;
        self.next += 1;
        self.awaited.insert(number, Awaited { command, text, receipt });
        number
    }

    /// Takes a PDU from the balancer; an error is a fault of the balancer in words.
    pub fn on_pdu(
        &mut self,
        pdu: Pdu<'_>,
        ids: &mut Ids,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let command = pdu.command_id();
        if command.is_response() {
            return self.on_response(pdu, ids);
        }
        match command {
            CommandId::DELIVER_SM => self.on_deliver(pdu, ids, random, out),
            CommandId::ENQUIRE_LINK | CommandId::UNBIND => {
                self.unbinding |= command == CommandId::UNBIND;
                let response = command.response();
                let status = CommandStatus::ESME_ROK;
                codec::build::append_header_only(out, response, status, pdu.sequence_number());
                Ok(())
            }
            other => Err(format!("a client was sent {other}")),
        }
    }

    fn on_response(&mut self, pdu: Pdu<'_>, ids: &mut Ids) -> Result<(), String> {
        let (command, number) = (pdu.command_id(), pdu.sequence_number());
        let Some(awaited) = self.awaited.remove(&number) else {
            return Err(format!("{command} {number} answers no request of this session"));
        };
        if command != awaited.command.response() {
            return Err(format!("{command} {number} answers a {}", awaited.command));
        }
        if !pdu.command_status().is_ok() {
            return Ok(());
        }
        self.bound |= awaited.command == self.kind;
        if awaited.command == CommandId::SUBMIT_SM {
            let response = MessageIdResp::parse(pdu).map_err(|error| error.to_string())?;
            let id = String::from_utf8_lossy(response.message_id).to_string();
            if !id.contains(&format!(".{}#RH", awaited.text)) {
                return Err(format!("the response to {} carries id {id}", awaited.text));
            }
            if awaited.receipt {
                ids.given.insert(response.message_id.to_vec());
            }
            self.ids.push(response.message_id.to_vec());
        }
        Ok(())
    }

    fn on_deliver(
        &self,
        pdu: Pdu<'_>,
        ids: &mut Ids,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let message = Message::parse(pdu).map_err(|error| error.to_string())?;
        if !self.bound || self.kind == CommandId::BIND_TRANSMITTER {
            return Err("a deliver_sm came to a session that does not receive".into());
        }
        if message.is_receipt() {
            let receipt = codec::receipt_id(&message).ok_or("a receipt without an id")?;
            if receipt.id.windows(3).any(|at| at == b"#RH") {
                ids.receipts.push(receipt.id.to_vec());
            }
        } else if !matches(self.account, message.destination.digits) {
            return Err(format!("{} came to {}", message.destination, RANGES[self.account]));
        }
        let number = pdu.sequence_number();
        match random.below(20) {
            0 => {}
            1 => {
                let status = CommandStatus::ESME_RX_T_APPN;
                codec::build::append_header_only(out, CommandId::DELIVER_SM_RESP, status, number);
            }
            _ => {
                let command = CommandId::DELIVER_SM_RESP;
                codec::build::append_empty_message_id_resp(out, command, number);
            }
        }
        Ok(())
    }
}

/// Whether a destination lies in the range of an account, found without the router's code.
fn matches(account: usize, digits: &[u8]) -> bool {
    match account {
        0 => digits.starts_with(b"888"),
        1 => digits.starts_with(b"24457"),
        _ => digits.starts_with(b"1114") || digits.starts_with(b"1144"),
    }
}

/// An international address.
pub const fn address(digits: &[u8]) -> Address<'_> {
    Address { ton: 1, npi: 1, digits }
}

fn header(out: &mut Vec<u8>, command: CommandId, number: u32) {
    codec::build::append_header_only(out, command, CommandStatus::ESME_ROK, number);
}
