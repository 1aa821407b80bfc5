//! Messages, and requests about them.

use std::time::Instant;

use codec::pdu::{Broadcast, CancelBroadcast, QueryBroadcast, SubmitMulti};
use codec::{
    Address, Cancel, CommandId, CommandStatus, Data, Malformed, Message, MessageState, Pdu, Query,
    Replace, Tag,
};
use wire::{ConnId, Net};

use crate::answer::{Answer, HELD_MAX};
use crate::deliver::Receipt;
use crate::fault::Fault;
use crate::message::{MessageId, Record, Token};
use crate::session::Bound;
use crate::sim::Sim;

/// What matters here of any request that carries a message.
struct Facts<'a> {
    source: Address<'a>,
    destination: Address<'a>,
    text: &'a [u8],
    receipt_requested: bool,
}

impl<'a> Facts<'a> {
    fn of(pdu: Pdu<'a>) -> Result<Self, Malformed> {
        Ok(match pdu.command_id() {
            CommandId::DATA_SM => {
                let data = Data::parse(pdu)?;
                let (source, destination) = (data.source, data.destination);
                let (text, receipt_requested) = (data.payload(), data.receipt_requested());
                Self { source, destination, text, receipt_requested }
            }
            CommandId::SUBMIT_MULTI => {
                let multi = SubmitMulti::parse(pdu)?;
                let (source, destination) = (multi.source, Address::default());
                Self { source, destination, text: multi.short_message, receipt_requested: false }
            }
            CommandId::BROADCAST_SM => {
                let broadcast = Broadcast::parse(pdu)?;
                let payload = broadcast.tlvs.find(Tag::MESSAGE_PAYLOAD);
                let text = payload.map_or(&[][..], |tlv| tlv.value);
                let (source, destination) = (broadcast.source, Address::default());
                Self { source, destination, text, receipt_requested: false }
            }
            _ => {
                let message = Message::parse(pdu)?;
                let (source, destination) = (message.source, message.destination);
                let (text, receipt_requested) = (message.payload().0, message.receipt_requested());
                Self { source, destination, text, receipt_requested }
            }
        })
    }
}

impl Sim {
    /// Takes a message: submit_sm, data_sm, submit_multi or broadcast_sm.
    #[inline]
    pub fn message(&mut self, net: &mut Net, conn: ConnId, pdu: Pdu<'_>) {
        let Some((instance, bound)) = self.sender(net, conn, pdu) else { return };
        self.centres[instance].counters.received += 1;
        let (command, sequence) = (pdu.command_id(), pdu.sequence_number());
        let facts = match Facts::of(pdu) {
            Ok(facts) => facts,
            Err(malformed) => {
                self.centres[instance].counters.malformed += 1;
                let status = malformed.status();
                return self.send(net, &Answer::new(conn, instance, command, status, sequence));
            }
        };
        if !self.admitted(net, conn, instance) {
            let status = CommandStatus::ESME_RTHROTTLED;
            return self.send(net, &Answer::new(conn, instance, command, status, sequence));
        }
        let status = self.verdict(instance);
        let answer = Answer::new(conn, instance, command, status, sequence);
        if !status.is_ok() {
            return self.answer(net, answer, None);
        }
        let (id, receipt) = self.accept(net.now(), conn, instance, bound, &facts);
        let mut answer = answer.c_str(id.as_bytes());
        if command == CommandId::SUBMIT_MULTI {
            answer = answer.bytes(&[0]); // no_unsuccess
        }
        self.answer(net, answer, receipt);
    }

    /// The session, if it may send requests; otherwise the request is refused.
    fn sender(&mut self, net: &mut Net, conn: ConnId, pdu: Pdu<'_>) -> Option<(usize, Bound)> {
        let session = self.session_mut(conn)?;
        let instance = session.instance;
        match session.bound.filter(|bound| bound.mode.sends()) {
            Some(bound) => Some((instance, bound)),
            None => {
                self.wrong_state(net, conn, instance, pdu);
                None
            }
        }
    }

    /// Whether a message keeps within window and rate.
    fn admitted(&mut self, net: &Net, conn: ConnId, instance: usize) -> bool {
        let (window, rate) = (self.args.window, self.args.throttle_above);
        if window.is_none() && rate.is_none() {
            return true;
        }
        let Some(session) = self.session_mut(conn) else { return false };
        let admitted = window.is_none_or(|window| session.outstanding < window)
            && rate.is_none_or(|rate| session.within_rate(rate, net.now()));
        self.centres[instance].counters.throttled += u64::from(!admitted);
        admitted
    }

    /// The status that chance gives to a message.
    fn verdict(&mut self, instance: usize) -> CommandStatus {
        let centre = &self.centres[instance];
        if centre.held.len() >= HELD_MAX {
            return CommandStatus::ESME_RMSGQFUL;
        }
        if centre.policy.errors.is_empty() {
            return CommandStatus::ESME_ROK;
        }
        let mut drawn = self.random.unit();
        for (status, share) in &centre.policy.errors {
            drawn -= share;
            if drawn < 0.0 {
                return *status;
            }
        }
        CommandStatus::ESME_ROK
    }

    fn accept(
        &mut self,
        now: Instant,
        conn: ConnId,
        instance: usize,
        bound: Bound,
        facts: &Facts<'_>,
    ) -> (MessageId, Option<Receipt>) {
        let fails = self.random.happens(self.args.receipt_failed);
        let route = self.route(facts.source, facts.destination);
        let done_at = now + self.args.receipt_delay;
        let short = !bound.version.takes_tlvs();
        let centre = &mut self.centres[instance];
        let mut token = Token::default();
        if self.args.echo_token {
            token = Token::of(facts.text);
            if self.faults.strikes(Fault::SwapTokens, &mut self.random) {
                std::mem::swap(&mut token, &mut centre.last_token);
            }
        }
        let record = Record { token, short, deleted: false, fails, route, done_at };
        let number = centre.messages.add(record);
        centre.counters.accepted += 1;
        let receipt = facts.receipt_requested.then(|| {
            centre.counters.receipts_due += 1;
            let addresses = (facts.source, facts.destination);
            let account = bound.account;
            let text = facts.text;
            Receipt::new(instance, conn, account, number, token, short, fails, addresses, text)
        });
        (centre.messages.id(number, &token, short), receipt)
    }

    fn route(&self, source: Address<'_>, destination: Address<'_>) -> u32 {
        self.hasher.hash_one((source.digits, destination.digits)) as u32
    }

    /// Answers a request about a message.
    pub fn ancillary(&mut self, net: &mut Net, conn: ConnId, pdu: Pdu<'_>) {
        let Some((instance, _)) = self.sender(net, conn, pdu) else { return };
        let command = pdu.command_id();
        let now = net.now();
        let (ok, sequence) = (CommandStatus::ESME_ROK, pdu.sequence_number());
        let answer = Answer::new(conn, instance, command, ok, sequence);
        let made = match command {
            CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => {
                self.query(now, instance, pdu, answer)
            }
            CommandId::REPLACE_SM => self.replace(now, instance, pdu).map(|()| answer),
            _ => self.cancel(now, instance, pdu).map(|()| answer),
        };
        let refused = |status| Answer::new(conn, instance, command, status, sequence);
        self.answer(net, made.unwrap_or_else(refused), None);
    }

    fn query(
        &mut self,
        now: Instant,
        instance: usize,
        pdu: Pdu<'_>,
        answer: Answer,
    ) -> Result<Answer, CommandStatus> {
        let centre = &mut self.centres[instance];
        centre.counters.queries += 1;
        let broadcast = pdu.command_id() == CommandId::QUERY_BROADCAST_SM;
        let id = if broadcast {
            QueryBroadcast::parse(pdu).map(|query| query.message_id)
        } else {
            Query::parse(pdu).map(|query| query.message_id)
        };
        let id = id.map_err(|malformed| malformed.status())?;
        let record = centre.messages.by_id(id).ok_or(CommandStatus::ESME_RQUERYFAIL)?;
        let state = state_of(record, now);
        let id = MessageId::of(id).ok_or(CommandStatus::ESME_RQUERYFAIL)?;
        let answer = answer.c_str(id.as_bytes());
        if broadcast {
            let [high, low] = Tag::MESSAGE_STATE.0.to_be_bytes();
            return Ok(answer.bytes(&[high, low, 0, 1, state as u8]));
        }
        let date = wire::receipt_date(std::time::SystemTime::now());
        let answer = match state {
            MessageState::Enroute => answer.c_str(b""),
            _ => answer.bytes(&date).c_str(b"00000+"),
        };
        Ok(answer.bytes(&[state as u8, 0]))
    }

    fn cancel(&mut self, now: Instant, instance: usize, pdu: Pdu<'_>) -> Result<(), CommandStatus> {
        let (id, source, destination) = if pdu.command_id() == CommandId::CANCEL_BROADCAST_SM {
            let parsed = CancelBroadcast::parse(pdu);
            parsed.map(|cancel| (cancel.message_id, cancel.source, Address::default()))
        } else {
            Cancel::parse(pdu).map(|cancel| (cancel.message_id, cancel.source, cancel.destination))
        }
        .map_err(|malformed| malformed.status())?;
        let route = self.route(source, destination);
        let centre = &mut self.centres[instance];
        centre.counters.cancels += 1;
        let cancelled = if id.is_empty() {
            centre.messages.delete_route(route, now) > 0
        } else {
            let enroute = centre.messages.by_id(id).filter(|record| is_enroute(record, now));
            enroute.map(|record| record.deleted = true).is_some()
        };
        if cancelled { Ok(()) } else { Err(CommandStatus::ESME_RCANCELFAIL) }
    }

    fn replace(
        &mut self,
        now: Instant,
        instance: usize,
        pdu: Pdu<'_>,
    ) -> Result<(), CommandStatus> {
        let replace = Replace::parse(pdu).map_err(|malformed| malformed.status())?;
        let centre = &mut self.centres[instance];
        centre.counters.replaces += 1;
        let record = centre.messages.by_id(replace.message_id);
        match record.filter(|record| is_enroute(record, now)) {
            Some(_) => Ok(()),
            None => Err(CommandStatus::ESME_RREPLACEFAIL),
        }
    }
}

fn is_enroute(record: &Record, now: Instant) -> bool {
    state_of(record, now) == MessageState::Enroute
}

fn state_of(record: &Record, now: Instant) -> MessageState {
    if record.deleted {
        MessageState::Deleted
    } else if now < record.done_at {
        MessageState::Enroute
    } else if record.fails {
        MessageState::Undeliverable
    } else {
        MessageState::Delivered
    }
}
