//! All instances, and what happens on their connections.

use std::io;
use std::time::{Duration, Instant};

use codec::build::append_header_only;
use codec::{CommandId, CommandStatus, Pdu};
use wire::{
    BindMode, Closed, ConnId, Frame, Framing, Handler, ListenerId, Net, Random, TICK, Wheel,
};

use crate::answer::Answer;
use crate::args::Args;
use crate::centre::Centre;
use crate::control::Control;
use crate::counters::Counters;
use crate::deliver::Receipt;
use crate::fault::Faults;
use crate::session::{Sent, Session};

/// The whole simulator. One per process.
pub struct Sim {
    /// The command line.
    pub args: Args,
    /// The instances.
    pub centres: Vec<Centre>,
    /// The sessions, by slot of their connection.
    pub sessions: Vec<Option<Session>>,
    /// Answers that wait for their time.
    pub answers: Wheel<Answer>,
    /// Receipts that wait for their time.
    pub receipts: Wheel<Receipt>,
    /// What goes wrong.
    pub faults: Faults,
    /// Chance.
    pub random: Random,
    /// Hashes addresses.
    pub hasher: ahash::RandomState,
    /// Scratch for the texts of deliveries.
    pub text: Vec<u8>,
    /// The control port.
    pub control: Control,
    /// Set to end the process.
    pub quitting: bool,
    next_enquire: Option<Instant>,
    due_answers: Vec<Answer>,
    due_receipts: Vec<Receipt>,
}

impl Sim {
    /// Instances that do not listen yet.
    pub fn new(mut args: Args, addresses: &[std::net::SocketAddr], now: Instant) -> Self {
        let seed = args.seed.unwrap_or_else(Random::seed);
        let centres = addresses.iter().enumerate();
        let centres =
            centres.map(|(instance, address)| Centre::new(&args, instance, *address, now));
        Self {
            centres: centres.collect(),
            sessions: Vec::new(),
            answers: Wheel::new(now),
            receipts: Wheel::new(now),
            faults: Faults::new(std::mem::take(&mut args.faults)),
            random: Random::new(seed),
            hasher: ahash::RandomState::with_seeds(1, 2, 3, 4),
            text: Vec::new(),
            control: Control::default(),
            quitting: false,
            next_enquire: args.enquire_link.map(|interval| now + interval),
            due_answers: Vec::new(),
            due_receipts: Vec::new(),
            args,
        }
    }

    /// Opens the port of an instance.
    pub fn listen(&mut self, net: &mut Net, instance: usize) -> io::Result<()> {
        let centre = &mut self.centres[instance];
        if centre.listener.is_none() {
            let (listener, address) = net.listen(centre.address, Framing::Smpp)?;
            centre.listener = Some(listener);
            centre.address = address;
        }
        Ok(())
    }

    /// Closes the port of an instance.
    pub fn unlisten(&mut self, net: &mut Net, instance: usize) {
        if let Some(listener) = self.centres[instance].listener.take() {
            net.unlisten(listener);
        }
    }

    /// Resets all connections of an instance.
    pub fn drop_all(&self, net: &mut Net, instance: usize) -> usize {
        let sessions = self.sessions.iter().flatten();
        let dropped: Vec<_> = sessions.filter(|s| s.instance == instance).map(|s| s.conn).collect();
        for conn in &dropped {
            net.abort(*conn);
        }
        dropped.len()
    }

    /// A session by its connection.
    #[inline]
    pub fn session_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.sessions.get_mut(conn.slot())?.as_mut().filter(|session| session.conn == conn)
    }

    /// The sum over all instances.
    pub fn total(&mut self) -> Counters {
        let mut total = Counters::default();
        for centre in &mut self.centres {
            centre.counters.messages = centre.messages.len() as u64;
            total.add(&centre.counters);
        }
        total
    }

    /// Does what is due. Called once a turn.
    pub fn tick(&mut self, net: &mut Net) {
        let now = net.now();
        let mut answers = std::mem::take(&mut self.due_answers);
        self.answers.take(now, &mut answers);
        for answer in answers.drain(..) {
            self.send_kept(net, &answer);
        }
        self.due_answers = answers;
        let mut receipts = std::mem::take(&mut self.due_receipts);
        self.receipts.take(now, &mut receipts);
        for receipt in receipts.drain(..) {
            self.receipt(net, receipt);
        }
        self.due_receipts = receipts;
        for instance in 0..self.centres.len() {
            self.originate(net, instance);
        }
        if let Some(at) = self.next_enquire.filter(|at| *at <= now) {
            self.next_enquire = self.args.enquire_link.map(|interval| at + interval);
            self.enquire(net);
        }
        self.answer_waiters(net);
    }

    /// When `tick` has something to do, if nothing comes before.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let originating = self.args.mo_rate.and_then(|rate| self.next_originated(rate, now));
        [
            self.answers.next_due(),
            self.receipts.next_due(),
            self.next_enquire,
            originating,
            self.control.next_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the next message by rate is earned. A message that is already earned waits for a
    /// window, whose opening is an event of its own.
    fn next_originated(&self, rate: f64, now: Instant) -> Option<Instant> {
        let max = self.args.mo_count.unwrap_or(u64::MAX);
        let earning = self.centres.iter().filter(|centre| {
            !centre.receivers.is_empty() && centre.mobile.by_rate < max && centre.mobile.owed < 1.0
        });
        let wait = earning.map(|centre| (1.0 - centre.mobile.owed) / rate).reduce(f64::min)?;
        Some(now + Duration::from_secs_f64(wait).max(TICK))
    }

    /// Answers a request that the session's state does not allow.
    pub fn wrong_state(&mut self, net: &mut Net, conn: ConnId, instance: usize, pdu: Pdu<'_>) {
        self.centres[instance].counters.wrong_state += 1;
        if let Some(out) = net.out(conn) {
            let status = CommandStatus::ESME_RINVBNDSTS;
            append_header_only(out, pdu.command_id().response(), status, pdu.sequence_number());
        }
    }

    fn nack(&mut self, net: &mut Net, conn: ConnId, status: CommandStatus, sequence: u32) {
        let Some(session) = self.session_mut(conn) else { return };
        let instance = session.instance;
        let counters = &mut self.centres[instance].counters;
        if status == CommandStatus::ESME_RINVCMDID {
            counters.unknown_requests += 1;
        } else {
            counters.malformed += 1;
        }
        if let Some(out) = net.out(conn) {
            append_header_only(out, CommandId::GENERIC_NACK, status, sequence);
        }
    }

    #[inline]
    fn pdu(&mut self, net: &mut Net, conn: ConnId, pdu: Pdu<'_>) {
        let command = pdu.command_id();
        match command {
            CommandId::SUBMIT_SM
            | CommandId::DATA_SM
            | CommandId::SUBMIT_MULTI
            | CommandId::BROADCAST_SM => self.message(net, conn, pdu),
            CommandId::ENQUIRE_LINK => self.enquire_link(net, conn, pdu.sequence_number()),
            CommandId::UNBIND => self.unbind(net, conn, pdu.sequence_number()),
            CommandId::QUERY_SM
            | CommandId::CANCEL_SM
            | CommandId::REPLACE_SM
            | CommandId::QUERY_BROADCAST_SM
            | CommandId::CANCEL_BROADCAST_SM => self.ancillary(net, conn, pdu),
            _ if command.is_response() => self.response(net, conn, pdu),
            _ => match BindMode::of(command) {
                Some(mode) => self.bind(net, conn, mode, pdu),
                None => {
                    let status = CommandStatus::ESME_RINVCMDID;
                    self.nack(net, conn, status, pdu.sequence_number());
                }
            },
        }
    }

    fn enquire_link(&mut self, net: &mut Net, conn: ConnId, sequence: u32) {
        let Some(session) = self.session_mut(conn) else { return };
        let instance = session.instance;
        self.centres[instance].counters.enquire_links += 1;
        if let Some(out) = net.out(conn) {
            let ok = CommandStatus::ESME_ROK;
            append_header_only(out, CommandId::ENQUIRE_LINK_RESP, ok, sequence);
        }
    }

    /// Connects to an ESME, to send outbind once the connection is there.
    pub fn outbind(
        &mut self,
        net: &mut Net,
        instance: usize,
        address: std::net::SocketAddr,
        credentials: (String, String),
    ) -> io::Result<()> {
        let conn = net.connect(address, Framing::Smpp)?;
        self.open(conn, instance, net.now());
        if let Some(session) = self.session_mut(conn) {
            session.outbind = Some(credentials);
        }
        Ok(())
    }

    fn open(&mut self, conn: ConnId, instance: usize, now: Instant) {
        if self.sessions.len() <= conn.slot() {
            self.sessions.resize_with(conn.slot() + 1, || None);
        }
        let window = self.args.deliver_window as usize;
        self.sessions[conn.slot()] = Some(Session::new(conn, instance, window, now));
        let counters = &mut self.centres[instance].counters;
        counters.connections += 1;
        counters.connections_total += 1;
    }
}

impl Handler for Sim {
    fn accepted(&mut self, net: &mut Net, listener: ListenerId, conn: ConnId) {
        let instance = self.centres.iter().position(|centre| centre.listener == Some(listener));
        match instance {
            Some(instance) => self.open(conn, instance, net.now()),
            None => self.control.opened(conn),
        }
    }

    fn connected(&mut self, net: &mut Net, conn: ConnId) {
        let Some(session) = self.session_mut(conn) else { return };
        let Some((system_id, password)) = session.outbind.take() else { return };
        let Some(out) = net.out(conn) else { return };
        codec::Builder::request(out, CommandId::OUTBIND, 1)
            .c_str(system_id.as_bytes())
            .c_str(password.as_bytes())
            .finish();
    }

    fn frame(&mut self, net: &mut Net, conn: ConnId, frame: Frame<'_>) {
        match frame {
            Frame::Pdu(pdu) => self.pdu(net, conn, pdu),
            Frame::Line(line) => self.command(net, conn, line),
            Frame::BadLength { sequence_number, .. } => {
                let status = CommandStatus::ESME_RINVCMDLEN;
                self.nack(net, conn, status, sequence_number.unwrap_or(0));
            }
        }
    }

    fn closed(&mut self, _net: &mut Net, conn: ConnId, _why: &Closed) {
        self.control.closed(conn);
        self.unbound(conn);
        let Some(session) = self.session_mut(conn) else { return };
        let instance = session.instance;
        let outstanding = session.outstanding as u64;
        let sent = session.window.iter().map(|(_, sent)| sent);
        let lost = sent.filter(|sent| matches!(sent, Sent::Receipt | Sent::Mobile)).count() as u64;
        self.sessions[conn.slot()] = None;
        let counters = &mut self.centres[instance].counters;
        counters.connections -= 1;
        counters.outstanding -= outstanding;
        counters.abandoned += outstanding;
        counters.deliveries_lost += lost;
        counters.deliveries_outstanding -= lost;
    }
}
