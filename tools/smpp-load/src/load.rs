//! The run: bind, send, drain, unbind.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use codec::CommandStatus;
use wire::{BindMode, ConnId, Credentials, Error, Framing, Net, OwnedAddress, Random, append_bind};

use crate::args::Args;
use crate::bind::{Bind, Message, Sent, State};
use crate::measure::Measure;
use crate::mismatch::Mismatches;
use crate::receipts::Receipts;
use crate::template::Template;
use crate::token::Tokens;

/// Binds that are under way at once.
const BINDING_MAX: usize = 64;
/// How long to wait before a lost connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for unbind_resp.
const UNBIND_WAIT: Duration = Duration::from_secs(2);

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all binds have succeeded.
    Binding,
    /// Sending; what is sent before the end of the warm-up is not measured.
    Sending,
    /// Waiting for what is outstanding.
    Draining,
    /// Waiting for unbind_resp.
    Unbinding,
    /// Over.
    Done,
}

/// The generator. One per process.
pub struct Load {
    /// The command line.
    pub args: Args,
    /// The binds.
    pub binds: Vec<Bind>,
    /// Where the run stands.
    pub phase: Phase,
    /// What was measured.
    pub measure: Measure,
    /// What did not match.
    pub mismatches: Mismatches,
    /// The receipts.
    pub receipts: Receipts,
    /// Makes tokens.
    pub tokens: Tokens,
    /// Messages that were answered neither well nor badly.
    pub missing: u64,
    /// With --reconnect: messages that were outstanding on a connection that was lost.
    pub lost: u64,
    /// Binds that failed, in words.
    pub bind_failures: Vec<String>,
    /// Connections that ended before their time.
    pub connections_lost: u64,
    /// With a rate: messages that were due and never sent.
    pub unsent: u64,
    /// Set by a signal.
    pub interrupted: bool,
    by_slot: Vec<usize>,
    idle: VecDeque<usize>,
    /// Binds whose connection was lost, and when to open it again.
    again: VecDeque<(Instant, usize)>,
    binding: usize,
    template: Template,
    random: Random,
    /// When the phase began.
    since: Instant,
    /// Messages sent after the warm-up.
    measured_sent: u64,
    next_number: u64,
    /// Messages of the schedule that were sent, warm-up included.
    on_schedule: u64,
    turn: usize,
}

impl Load {
    /// A run that has not begun.
    pub fn new(args: Args, now: Instant) -> Self {
        let mut random = Random::new(Random::seed());
        let window = args.window();
        let senders = (0..args.binds).map(|index| Bind::new(index, args.bind, window));
        let receivers =
            (0..args.receivers).map(|index| Bind::new(index, BindMode::Receiver, window));
        let binds: Vec<_> = senders.chain(receivers).collect();
        Self {
            idle: (0..binds.len()).collect(),
            binds,
            phase: Phase::Binding,
            measure: Measure::new(now),
            mismatches: Mismatches::default(),
            receipts: Receipts::default(),
            tokens: Tokens::new(&mut random),
            missing: 0,
            lost: 0,
            bind_failures: Vec::new(),
            connections_lost: 0,
            unsent: 0,
            interrupted: false,
            by_slot: Vec::new(),
            again: VecDeque::new(),
            binding: 0,
            template: Template::new(&args.from, &args.to, args.size.into()),
            random,
            since: now,
            measured_sent: 0,
            next_number: 0,
            on_schedule: 0,
            turn: 0,
            args,
        }
    }

    /// Does what is due. Called once a turn.
    pub fn tick(&mut self, net: &mut Net) -> Result<(), Error> {
        let now = net.now();
        if net.stopping() && !self.interrupted {
            self.interrupted = true;
            match self.phase {
                Phase::Binding => self.enter(Phase::Done, now),
                Phase::Sending => self.enter(Phase::Draining, now),
                Phase::Draining | Phase::Unbinding | Phase::Done => {}
            }
        }
        match self.phase {
            Phase::Binding => self.bind_more(net)?,
            Phase::Sending => self.sending(net),
            Phase::Draining => {
                if self.is_drained() || now >= self.since + self.args.drain {
                    self.give_up();
                    self.unbind(net);
                }
            }
            Phase::Unbinding => {
                let open = self.binds.iter().any(|bind| bind.state == State::Unbinding);
                if !open || now >= self.since + UNBIND_WAIT {
                    self.enter(Phase::Done, now);
                }
            }
            Phase::Done => {}
        }
        Ok(())
    }

    /// When `tick` has something to do, if nothing comes before.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Binding => Some(self.since + self.args.bind_timeout),
            Phase::Sending => {
                let end = self.args.duration().map(|duration| self.measure.start() + duration);
                let next = self.next_scheduled(now);
                let again = self.again.front().map(|(due, _)| *due);
                [end, next, again].into_iter().flatten().min()
            }
            Phase::Draining => Some(self.since + self.args.drain),
            Phase::Unbinding => Some(self.since + UNBIND_WAIT),
            Phase::Done => Some(now),
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// The index of the bind on a connection.
    #[inline]
    pub fn index_of(&self, conn: ConnId) -> Option<usize> {
        let index = *self.by_slot.get(conn.slot())?;
        (self.binds.get(index)?.conn == Some(conn)).then_some(index)
    }

    fn bind_more(&mut self, net: &mut Net) -> Result<(), Error> {
        let now = net.now();
        if !self.bind_failures.is_empty() {
            self.enter(Phase::Done, now);
            return Ok(());
        }
        while self.binding < BINDING_MAX {
            let Some(index) = self.idle.pop_front() else { break };
            self.open(net, index)?;
            self.binding += 1;
        }
        let bound = self.binds.iter().filter(|bind| bind.state == State::Bound).count();
        if bound == self.binds.len() {
            self.measure.begin(now, self.args.warmup);
            self.enter(Phase::Sending, now);
            for index in 0..self.binds.len() {
                self.fill_window(net, index);
            }
        } else if now >= self.since + self.args.bind_timeout {
            let (all, limit) = (self.binds.len(), self.args.bind_timeout);
            self.bind_failed(format!("{bound} of {all} binds succeeded within {limit:?}"));
        }
        Ok(())
    }

    fn open(&mut self, net: &mut Net, index: usize) -> Result<(), Error> {
        let address = self.args.connect[index % self.args.connect.len()];
        let conn = net
            .connect(address, Framing::Smpp)
            .map_err(|error| Error::io(format_args!("cannot connect to {address}"), &error))?;
        if self.by_slot.len() <= conn.slot() {
            self.by_slot.resize(conn.slot() + 1, usize::MAX);
        }
        self.by_slot[conn.slot()] = index;
        self.binds[index].conn = Some(conn);
        self.binds[index].state = State::Binding;
        Ok(())
    }

    /// Opens connections again that were lost long enough ago.
    fn open_again(&mut self, net: &mut Net) {
        let now = net.now();
        while let Some((_, index)) = self.again.pop_front_if(|(due, _)| *due <= now) {
            if self.open(net, index).is_err() {
                self.again.push_back((now + RECONNECT_PAUSE, index));
            }
        }
    }

    /// A connection ended that was to stay: what is outstanding on it is lost.
    pub fn lose(&mut self, index: usize, now: Instant) {
        let bind = &mut self.binds[index];
        self.lost += bind.unanswered().count() as u64;
        bind.reset();
        if self.phase == Phase::Sending {
            self.again.push_back((now + RECONNECT_PAUSE, index));
        }
    }

    /// Sends the bind request of a connection that is there.
    pub fn send_bind(&mut self, net: &mut Net, index: usize) {
        let bind = &mut self.binds[index];
        let who = Credentials {
            system_id: self.args.account(bind.index),
            password: self.args.password.clone(),
            system_type: self.args.system_type.clone(),
            version: self.args.interface_version,
            range: OwnedAddress::default(),
        };
        let Some(out) = bind.conn.and_then(|conn| net.out(conn)) else { return };
        if let Some(sequence) = bind.window.begin(Sent::Bind) {
            append_bind(out, bind.mode, sequence, &who);
        }
    }

    /// A bind_resp came.
    pub fn bound(&mut self, net: &mut Net, index: usize, status: CommandStatus) {
        self.binding = self.binding.saturating_sub(1);
        if status.is_ok() {
            self.binds[index].state = State::Bound;
            self.fill_window(net, index);
        } else if self.binds[index].again {
            // Its end leads to the next attempt.
            self.binds[index].conn.into_iter().for_each(|conn| net.close(conn));
        } else {
            let name = wire::status_name(status);
            let account = self.args.account(self.binds[index].index);
            self.bind_failed(format!("bind of {account}: {name}"));
        }
    }

    /// A bind failed; the run ends.
    pub fn bind_failed(&mut self, why: String) {
        self.bind_failures.push(why);
    }

    fn fill_window(&mut self, net: &mut Net, index: usize) {
        while self.args.rate.is_none() && self.wants_more() && self.binds[index].has_room() {
            self.send(net, index, net.now());
        }
    }

    /// Whether the count leaves something to send.
    #[inline]
    pub fn wants_more(&self) -> bool {
        self.phase == Phase::Sending
            && self.args.count.is_none_or(|count| self.measured_sent < count)
    }

    fn sending(&mut self, net: &mut Net) {
        let now = net.now();
        let over = self.args.duration().is_some_and(|limit| now >= self.measure.start() + limit);
        if let Some(rate) = self.args.rate {
            self.send_scheduled(net, rate, over);
        }
        self.open_again(net);
        let alive = self.args.reconnect
            || self.binds.iter().any(|bind| bind.mode.sends() && bind.state == State::Bound);
        if over || !alive || !self.wants_more() {
            self.enter(Phase::Draining, now);
        }
    }

    /// Sends what the schedule has made due. What finds no window keeps its time.
    fn send_scheduled(&mut self, net: &mut Net, rate: f64, over: bool) {
        let now = net.now();
        let end = self.args.duration().map(|limit| self.measure.start() + limit);
        let until = end.map_or(now, |end| end.min(now));
        let since = until.saturating_duration_since(self.since).as_secs_f64();
        // The first message is due at the very beginning.
        let due = (since * rate) as u64 + u64::from(!over);
        while self.on_schedule < due && self.wants_more() {
            let Some(index) = self.bind_in_turn() else { break };
            let at = self.scheduled(self.on_schedule, rate);
            self.on_schedule += 1;
            self.send(net, index, at);
        }
        if over {
            self.unsent = due.saturating_sub(self.on_schedule);
        }
    }

    fn scheduled(&self, number: u64, rate: f64) -> Instant {
        self.since + Duration::from_secs_f64(number as f64 / rate)
    }

    fn next_scheduled(&self, now: Instant) -> Option<Instant> {
        let rate = self.args.rate?;
        let next = self.scheduled(self.on_schedule, rate);
        // When all windows are full, only an answer makes room.
        let room = self.binds.iter().any(Bind::has_room);
        room.then(|| next.max(now + self.args.tick))
    }

    fn bind_in_turn(&mut self) -> Option<usize> {
        let count = self.args.binds as usize;
        let step = (0..count).find(|step| self.binds[(self.turn + step) % count].has_room())?;
        let index = (self.turn + step) % count;
        self.turn = (index + 1) % count;
        Some(index)
    }

    /// Sends the next message on a bind that has room.
    #[inline]
    pub fn send(&mut self, net: &mut Net, index: usize, at: Instant) {
        let bind = &mut self.binds[index];
        let Some(out) = bind.conn.and_then(|conn| net.out(conn)) else {
            bind.state = State::Closed;
            return;
        };
        let number = self.next_number;
        let registered = self.random.happens(self.args.registered) && self.receipts.has_room();
        let measured = self.measure.counts(at);
        let message = Message { number, at, registered, measured };
        let Some(sequence) = bind.window.begin(Sent::Message(message)) else { return };
        self.next_number += 1;
        self.measured_sent += u64::from(measured);
        self.measure.sent += 1;
        let token = self.tokens.token(number);
        self.template.append(out, sequence, number, &token, registered);
    }

    fn is_drained(&self) -> bool {
        let unanswered = self.binds.iter().any(|bind| {
            matches!(bind.state, State::Bound | State::Unbinding)
                && bind.unanswered().next().is_some()
        });
        !unanswered && (self.receipts.missing() == 0 || !self.may_receive())
    }

    fn may_receive(&self) -> bool {
        self.binds.iter().any(|bind| bind.mode.receives() && bind.state == State::Bound)
    }

    /// Counts what was not answered on any bind.
    fn give_up(&mut self) {
        for bind in &self.binds {
            for (sequence, message) in bind.unanswered() {
                if self.missing < 5 {
                    let index = bind.index;
                    let number = message.number;
                    self.measure.note(format!(
                        "no response to message {number} (bind {index}, sequence_number {sequence})"
                    ));
                }
                self.missing += 1;
            }
        }
        self.receipts.finish(self.lost, &mut self.mismatches);
    }

    fn unbind(&mut self, net: &mut Net) {
        for bind in &mut self.binds {
            let Some(conn) = bind.conn.filter(|_| bind.state == State::Bound) else { continue };
            bind.state = State::Unbinding;
            let sequence = bind.window.begin(Sent::Unbind);
            match (sequence, net.out(conn)) {
                (Some(sequence), Some(out)) => {
                    let (command, ok) = (codec::CommandId::UNBIND, CommandStatus::ESME_ROK);
                    codec::build::append_header_only(out, command, ok, sequence);
                }
                _ => net.close(conn),
            }
        }
        self.enter(Phase::Unbinding, net.now());
    }

    /// Whether all went well.
    pub fn is_well(&self) -> bool {
        let all_sent = self.interrupted
            || self.args.count.is_none_or(|count| self.measured_sent == count)
            || self.args.duration.is_some();
        self.mismatches.total() == 0
            && self.missing == 0
            && self.receipts.missing() == 0
            && self.bind_failures.is_empty()
            && all_sent
    }
}
