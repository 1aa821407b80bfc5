//! A message centre: answers late, out of order, with errors or not at all; sends receipts and
//! messages of its own.

use codec::build::{BindResponse, DeliverSm, MessageIdResponse, QuerySmResp};
use codec::{CommandId, CommandStatus, InterfaceVersion, Message, Pdu, Query};
use std::collections::{BTreeMap, BTreeSet};

use crate::client::address;
use crate::random::Random;

/// What a message centre remembers over its connections. One per server.
#[derive(Debug)]
pub struct Server {
    /// Messages taken so far.
    pub taken: u64,
    /// It accepts connections.
    pub up: bool,
    ids: BTreeSet<Vec<u8>>,
}

impl Default for Server {
    fn default() -> Self {
        Self { taken: 0, up: true, ids: BTreeSet::new() }
    }
}

/// One of its sessions. One per connection.
#[derive(Debug)]
pub struct Session {
    /// Which message centre.
    pub server: usize,
    receives_submits: bool,
    delivers: bool,
    bound: bool,
    next: u32,
    awaited: BTreeMap<u32, ()>,
    /// Receipts to be sent, as texts.
    receipts: Vec<Vec<u8>>,
    last_number: u32,
}

impl Session {
    /// A connection that was just accepted.
    pub const fn new(server: usize) -> Self {
        Self {
            server,
            receives_submits: false,
            delivers: false,
            bound: false,
            next: 1,
            awaited: BTreeMap::new(),
            receipts: Vec::new(),
            last_number: 0,
        }
    }

    /// Requests that were sent and not answered.
    pub fn unanswered(&self) -> usize {
        self.awaited.len()
    }

    /// Takes a PDU from the balancer. What is in `later` is sent after a while, in any order.
    pub fn on_pdu(
        &mut self,
        pdu: Pdu<'_>,
        server: &mut Server,
        random: &mut Random,
        out: &mut Vec<u8>,
        later: &mut Vec<Vec<u8>>,
    ) -> Result<(), String> {
        let (command, number) = (pdu.command_id(), pdu.sequence_number());
        if command.is_response() {
            return self.on_response(command, number);
        }
        if number == 0 || number > 0x7FFF_FFFF {
            return Err(format!("sequence_number {number:#x} is out of bounds"));
        }
        if self.last_number < 0x7FFF_0000 && number < self.last_number && number != 1 {
            return Err(format!("sequence_number {number} after {}", self.last_number));
        }
        self.last_number = number;
        match command {
            CommandId::BIND_TRANSCEIVER
            | CommandId::BIND_TRANSMITTER
            | CommandId::BIND_RECEIVER => self.on_bind(command, number, random, out),
            CommandId::SUBMIT_SM => self.on_submit(pdu, server, random, later)?,
            CommandId::QUERY_SM => {
                let query = Query::parse(pdu).map_err(|error| error.to_string())?;
                if !server.ids.contains(query.message_id) {
                    let id = String::from_utf8_lossy(query.message_id);
                    return Err(format!("query_sm for {id}, which this server never gave"));
                }
                let id = query.message_id.to_vec();
                let mut answer = Vec::new();
                QuerySmResp { message_id: &id, message_state: 2, ..QuerySmResp::default() }
                    .append(&mut answer, number);
                later.push(answer);
            }
            CommandId::CANCEL_SM | CommandId::ENQUIRE_LINK | CommandId::UNBIND => {
                status(out, command, number, CommandStatus::ESME_ROK);
                self.bound &= command != CommandId::UNBIND;
            }
            other => return Err(format!("a server was sent {other}")),
        }
        Ok(())
    }

    fn on_response(&mut self, command: CommandId, number: u32) -> Result<(), String> {
        if command == CommandId::GENERIC_NACK {
            return Ok(());
        }
        if command != CommandId::DELIVER_SM_RESP {
            return Ok(());
        }
        match self.awaited.remove(&number) {
            Some(()) => Ok(()),
            None => Err(format!("{command} {number} answers no request of this server session")),
        }
    }

    fn on_bind(&mut self, command: CommandId, number: u32, random: &mut Random, out: &mut Vec<u8>) {
        if random.one_in(12) {
            return status(out, command, number, CommandStatus::ESME_RALYBND);
        }
        self.bound = true;
        self.receives_submits = command != CommandId::BIND_RECEIVER;
        self.delivers = command != CommandId::BIND_TRANSMITTER;
        let response = BindResponse {
            command_id: command.response(),
            system_id: b"sim",
            sc_interface_version: Some(InterfaceVersion::V3_4),
        };
        response.append(out, number);
    }

    fn on_submit(
        &mut self,
        pdu: Pdu<'_>,
        server: &mut Server,
        random: &mut Random,
        later: &mut Vec<Vec<u8>>,
    ) -> Result<(), String> {
        let message = Message::parse(pdu).map_err(|error| error.to_string())?;
        if !self.receives_submits {
            return Err("a submit_sm came to a receiver".into());
        }
        let number = pdu.sequence_number();
        let mut answer = Vec::new();
        match random.below(24) {
            0 => return Ok(()),
            1 => status(&mut answer, CommandId::SUBMIT_SM, number, CommandStatus::ESME_RTHROTTLED),
            2 => {
                let nack = CommandId::GENERIC_NACK;
                let failed = CommandStatus::ESME_RSYSERR;
                codec::build::append_header_only(&mut answer, nack, failed, number);
            }
            _ => {
                server.taken += 1;
                let text = String::from_utf8_lossy(message.short_message);
                let id = format!("{:x}.{text}", server.taken).into_bytes();
                let command_id = CommandId::SUBMIT_SM_RESP;
                MessageIdResponse { command_id, message_id: &id, tlvs: &[] }
                    .append(&mut answer, number);
                if message.receipt_requested() {
                    self.receipts.push(id.clone());
                }
                server.ids.insert(id);
            }
        }
        if random.one_in(40) {
            later.push(answer.clone());
        }
        later.push(answer);
        Ok(())
    }

    /// Something that a message centre does of itself.
    pub fn act(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        if !self.bound || !self.delivers {
            self.receipts.clear();
            return;
        }
        let number = self.next;
        if let Some(id) = self.receipts.pop() {
            let id = String::from_utf8_lossy(&id).to_string();
            let text = format!("id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:");
            let receipt = DeliverSm {
                source: address(b"4477"),
                destination: address(b"888555"),
                esm_class: 4,
                short_message: text.as_bytes(),
                ..DeliverSm::default()
            };
            receipt.append(out, number);
        } else {
            let destinations: [&[u8]; 4] = [b"8881", b"244571", b"111477", b"999"];
            let message = DeliverSm {
                source: address(b"4477"),
                destination: address(destinations[random.below(4) as usize]),
                short_message: b"hello",
                ..DeliverSm::default()
            };
            message.append(out, number);
        }
        self.next += 1;
        self.awaited.insert(number, ());
    }
}

fn status(out: &mut Vec<u8>, command: CommandId, number: u32, status: CommandStatus) {
    codec::build::append_header_only(out, command.response(), status, number);
}
