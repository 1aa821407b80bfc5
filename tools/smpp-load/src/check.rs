//! What comes back, and whether it is right.

use codec::build::{append_empty_message_id_resp, append_header_only};
use codec::{
    CommandId, CommandStatus, Data, Message as Sm, MessageIdResp, Pdu, receipt_id,
    receipt_id_of_data,
};
use wire::{Closed, ConnId, Frame, Handler, ListenerId, Net};

use crate::bind::{Message, Sent, State};
use crate::load::{Load, Phase};
use crate::mismatch::Kind;
use crate::receipts::text;
use crate::token::carries;

impl Load {
    #[inline]
    fn response(&mut self, net: &mut Net, index: usize, pdu: Pdu<'_>) {
        let (command, sequence) = (pdu.command_id(), pdu.sequence_number());
        let Some(sent) = self.binds[index].window.finish(sequence) else {
            return self.mismatches.count(Kind::Sequence, || {
                format!("{command} to sequence_number {sequence}, which is not outstanding")
            });
        };
        let expected = match sent {
            Sent::Message(message) if command == CommandId::SUBMIT_SM_RESP => {
                return self.submitted(net, index, &message, pdu);
            }
            Sent::Message(_) => CommandId::SUBMIT_SM_RESP,
            Sent::Bind => {
                self.bound(net, index, pdu.command_status());
                self.binds[index].mode.command().response()
            }
            Sent::Unbind => {
                self.binds[index].state = State::Closed;
                if let Some(conn) = self.binds[index].conn {
                    net.close(conn);
                }
                CommandId::UNBIND_RESP
            }
        };
        if command != expected {
            self.mismatches.count(Kind::Command, || {
                let status = wire::status_name(pdu.command_status());
                format!("{command} ({status}) to {sequence}, where {expected} belongs")
            });
        }
    }

    #[inline]
    fn submitted(&mut self, net: &mut Net, index: usize, message: &Message, pdu: Pdu<'_>) {
        let status = pdu.command_status();
        self.measure.answered(message, status, net.now());
        if status.is_ok() {
            self.check_id(message, pdu);
        }
        if self.args.rate.is_none() && self.wants_more() && self.binds[index].has_room() {
            self.send(net, index, net.now());
        }
    }

    #[inline]
    fn check_id(&mut self, message: &Message, pdu: Pdu<'_>) {
        let id = match MessageIdResp::parse(pdu) {
            Ok(response) => response.message_id,
            Err(malformed) => {
                return self
                    .mismatches
                    .count(Kind::Malformed, || format!("submit_sm_resp: {malformed}"));
            }
        };
        let token = self.tokens.token(message.number);
        if !self.args.no_token && !carries(id, &token) {
            self.mismatches.count(Kind::Token, || {
                let (id, token) = (text(id), text(&token));
                format!("message id {id} does not carry the token {token} of its message")
            });
        }
        if message.registered {
            self.receipts.given(id, &mut self.mismatches);
        }
    }

    fn request(&mut self, net: &mut Net, index: usize, conn: ConnId, pdu: Pdu<'_>) {
        let (command, sequence) = (pdu.command_id(), pdu.sequence_number());
        match command {
            CommandId::DELIVER_SM | CommandId::DATA_SM => {
                self.delivered(pdu);
                if let Some(out) = net.out(conn) {
                    append_empty_message_id_resp(out, command.response(), sequence);
                }
            }
            CommandId::ENQUIRE_LINK | CommandId::UNBIND => {
                let response = command.response();
                if let Some(out) = net.out(conn) {
                    append_header_only(out, response, CommandStatus::ESME_ROK, sequence);
                }
                if command == CommandId::ENQUIRE_LINK {
                    self.measure.enquire_links += 1;
                } else {
                    self.measure.unbinds += 1;
                    self.binds[index].state = State::Unbinding;
                }
            }
            _ if !command.has_response() => {}
            _ => {
                if let Some(out) = net.out(conn) {
                    let (nack, status) = (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID);
                    append_header_only(out, nack, status, sequence);
                }
            }
        }
    }

    fn delivered(&mut self, pdu: Pdu<'_>) {
        let receipt = if pdu.command_id() == CommandId::DATA_SM {
            Data::parse(pdu).map(|data| {
                (data.is_receipt() || data.is_intermediate(), receipt_id_of_data(&data))
            })
        } else {
            Sm::parse(pdu).map(|sm| (sm.is_receipt() || sm.is_intermediate(), receipt_id(&sm)))
        };
        match receipt {
            Ok((false, _)) => self.measure.mobile_originated += 1,
            Ok((true, Some(receipt))) if receipt.is_final() => {
                self.receipts.came(receipt.id, &mut self.mismatches);
            }
            Ok((true, Some(_))) => self.receipts.intermediate += 1,
            Ok((true, None)) => {
                self.mismatches.count(Kind::Malformed, || "receipt without message id".into());
            }
            Err(malformed) => {
                let command = pdu.command_id();
                self.mismatches.count(Kind::Malformed, || format!("{command}: {malformed}"));
            }
        }
    }
}

impl Handler for Load {
    fn accepted(&mut self, _net: &mut Net, _listener: ListenerId, _conn: ConnId) {}

    fn connected(&mut self, net: &mut Net, conn: ConnId) {
        if let Some(index) = self.index_of(conn) {
            self.send_bind(net, index);
        }
    }

    #[inline]
    fn frame(&mut self, net: &mut Net, conn: ConnId, frame: Frame<'_>) {
        let Some(index) = self.index_of(conn) else { return };
        match frame {
            Frame::Pdu(pdu) if pdu.command_id().is_response() => self.response(net, index, pdu),
            Frame::Pdu(pdu) => self.request(net, index, conn, pdu),
            Frame::BadLength { command_length, .. } => {
                self.mismatches
                    .count(Kind::Malformed, || format!("command_length {command_length}"));
            }
            Frame::Line(_) => {}
        }
    }

    fn closed(&mut self, net: &mut Net, conn: ConnId, why: &Closed) {
        let Some(index) = self.index_of(conn) else { return };
        let state = std::mem::replace(&mut self.binds[index].state, State::Closed);
        self.binds[index].conn = None;
        let address = self.args.connect[index % self.args.connect.len()];
        let stays = self.phase == Phase::Sending || self.phase == Phase::Draining;
        if state == State::Bound && stays {
            self.connections_lost += 1;
            self.measure.note(format!("connection {index} to {address} was lost: {why}"));
        }
        if self.args.reconnect && stays && state != State::Idle {
            self.lose(index, net.now());
        } else if state == State::Binding {
            self.bind_failed(format!("connection to {address}: {why}"));
        }
    }
}
