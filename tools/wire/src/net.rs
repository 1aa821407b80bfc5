//! The loop: epoll, listeners, connections.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use codec::Cut;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::connection::{
    BACKLOG_HIGH, Closed, ConnId, Connection, FRAME_MAX, Frame, Framing, LINE_MAX, Phase,
};
use crate::wake::{Alarm, Signals};

/// Read at most this much from one connection before the others have their turn.
const READ_MAX: usize = 64 * 1024;
/// Accept at most this many connections from one listener in a turn.
const ACCEPT_MAX: usize = 256;
/// How long to wait after a failed accept (usually for want of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Tokens below the first connection's: generation 0 is never a connection's.
const ALARM: Token = Token(0);
const SIGNALS: Token = Token(1);
const FIRST_LISTENER: usize = 2;

/// Names a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId(usize);

/// What a tool does with what happens.
///
/// It may write to, open and close any connection meanwhile; a close takes effect after it
/// returns.
pub trait Handler {
    /// A listener took a connection.
    fn accepted(&mut self, net: &mut Net, listener: ListenerId, conn: ConnId);
    /// A connection that was asked for is there.
    fn connected(&mut self, net: &mut Net, conn: ConnId);
    /// A frame came.
    fn frame(&mut self, net: &mut Net, conn: ConnId, frame: Frame<'_>);
    /// A connection ended; called once for each, whoever ended it.
    fn closed(&mut self, net: &mut Net, conn: ConnId, why: &Closed);
}

struct Listener {
    socket: TcpListener,
    framing: Framing,
}

/// All sockets of a tool. One per thread.
pub struct Net {
    poll: Poll,
    listeners: Vec<Option<Listener>>,
    connections: Slab<Connection>,
    generation: u32,
    /// Connections with something to write.
    dirty: Vec<ConnId>,
    /// Connections that may have more to read although epoll says nothing.
    unread: Vec<ConnId>,
    doomed: Vec<(ConnId, Closed)>,
    unaccepted: Vec<usize>,
    accept_at: Instant,
    scratch: Vec<u8>,
    ready: Vec<Ready>,
    events: Option<Events>,
    alarm: Alarm,
    signals: Signals,
    now: Instant,
}

#[derive(Clone, Copy)]
struct Ready {
    token: usize,
    readable: bool,
    writable: bool,
    read_closed: bool,
}

impl Net {
    /// A loop without sockets, which minds SIGINT and SIGTERM.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let signals = Signals::new(poll.registry(), SIGNALS)?;
        let now = Instant::now();
        Ok(Self {
            poll,
            listeners: Vec::new(),
            connections: Slab::new(),
            generation: 0,
            dirty: Vec::new(),
            unread: Vec::new(),
            doomed: Vec::new(),
            unaccepted: Vec::new(),
            accept_at: now,
            scratch: vec![0; FRAME_MAX + READ_MAX],
            ready: Vec::new(),
            events: Some(Events::with_capacity(1024)),
            alarm,
            signals,
            now,
        })
    }

    /// One turn: write what is dirty, wait until something happens or `deadline`, read.
    pub fn turn<H: Handler>(
        &mut self,
        handler: &mut H,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        self.flush(handler);
        self.wait(deadline)?;
        let mut ready = std::mem::take(&mut self.ready);
        for event in ready.drain(..) {
            self.dispatch(handler, event);
        }
        self.ready = ready;
        self.accept_again(handler);
        self.read_again(handler);
        self.bury(handler);
        Ok(())
    }

    /// Writes what is dirty and ends what is closing, without waiting. A turn begins with it.
    pub fn flush<H: Handler>(&mut self, handler: &mut H) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            self.write(conn);
        }
        self.dirty = dirty;
        self.bury(handler);
    }

    /// The time, as of the last wait or read.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether SIGINT or SIGTERM came.
    pub fn stopping(&self) -> bool {
        self.signals.stopping
    }

    /// Listens; port 0 picks a free one. Says which address it became.
    pub fn listen(
        &mut self,
        address: SocketAddr,
        framing: Framing,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        let mut socket = TcpListener::bind(address)?;
        let bound = socket.local_addr()?;
        let free = self.listeners.iter().position(Option::is_none);
        let index = free.unwrap_or(self.listeners.len());
        let token = Token(FIRST_LISTENER + index);
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        if free.is_none() {
            self.listeners.push(None);
        }
        self.listeners[index] = Some(Listener { socket, framing });
        Ok((ListenerId(index), bound))
    }

    /// Stops listening. Connections stay.
    pub fn unlisten(&mut self, listener: ListenerId) {
        self.listeners[listener.0] = None;
        self.unaccepted.retain(|index| *index != listener.0);
    }

    /// Begins to connect; `connected` or `closed` tells how it went.
    pub fn connect(&mut self, address: SocketAddr, framing: Framing) -> io::Result<ConnId> {
        let socket = TcpStream::connect(address)?;
        self.adopt(socket, address, framing, Phase::Connecting)
    }

    /// The buffer to put PDUs or lines into; it is written at the next turn. `None` when the
    /// connection is gone or closing.
    #[inline]
    pub fn out(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        let connection = self.connections.get_mut(conn.slot as usize)?;
        if connection.generation != conn.generation || connection.phase != Phase::Open {
            return None;
        }
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(conn);
        }
        Some(&mut connection.out)
    }

    /// How many octets wait to be written.
    pub fn backlog(&self, conn: ConnId) -> usize {
        self.find(conn).map_or(0, Connection::backlog)
    }

    /// The peer's address.
    pub fn peer(&self, conn: ConnId) -> Option<SocketAddr> {
        self.find(conn).map(|connection| connection.peer)
    }

    /// Closes once all that was put out is written. Nothing more is read.
    pub fn close(&mut self, conn: ConnId) {
        let Some(connection) = self.find_mut(conn) else { return };
        match connection.phase {
            Phase::Open if connection.backlog() > 0 => connection.phase = Phase::Closing,
            Phase::Open | Phase::Connecting => self.doom(conn, Closed::Here),
            Phase::Closing | Phase::Doomed => {}
        }
    }

    /// Closes with a reset, as when the host dies. What was not written is lost.
    pub fn abort(&mut self, conn: ConnId) {
        if let Some(connection) = self.find_mut(conn) {
            connection.reset();
            self.doom(conn, Closed::Here);
        }
    }

    fn find(&self, conn: ConnId) -> Option<&Connection> {
        let connection = self.connections.get(conn.slot as usize)?;
        (connection.generation == conn.generation).then_some(connection)
    }

    fn find_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(conn.slot as usize)?;
        (connection.generation == conn.generation).then_some(connection)
    }

    fn is_open(&self, conn: ConnId) -> bool {
        self.find(conn).is_some_and(|connection| connection.phase == Phase::Open)
    }

    fn adopt(
        &mut self,
        mut socket: TcpStream,
        peer: SocketAddr,
        framing: Framing,
        phase: Phase,
    ) -> io::Result<ConnId> {
        self.generation = self.generation.wrapping_add(1).max(1);
        let slot = u32::try_from(self.connections.vacant_key()).map_err(io::Error::other)?;
        let conn = ConnId { slot, generation: self.generation };
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, token_of(conn), interest)?;
        // Without it, a lone response waits for the peer's acknowledgement.
        let _ = socket.set_nodelay(true);
        let connection = Connection::new(socket, peer, conn.generation, framing, phase);
        self.connections.insert(connection);
        Ok(conn)
    }

    fn doom(&mut self, conn: ConnId, why: Closed) {
        let Some(connection) = self.find_mut(conn) else { return };
        if connection.phase != Phase::Doomed {
            connection.phase = Phase::Doomed;
            self.doomed.push((conn, why));
        }
    }

    /// Drops what is doomed and tells the handler.
    fn bury<H: Handler>(&mut self, handler: &mut H) {
        while let Some((conn, why)) = self.doomed.pop() {
            drop(self.connections.try_remove(conn.slot as usize));
            handler.closed(self, conn, &why);
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let again = (!self.unaccepted.is_empty()).then_some(self.accept_at);
        let deadline = deadline.into_iter().chain(again).min();
        let mut timeout = None;
        if !self.unread.is_empty() || deadline.is_some_and(|at| at <= self.now) {
            timeout = Some(Duration::ZERO);
        } else if let Some(at) = deadline {
            self.alarm.set(at, Instant::now())?;
        }
        let Some(mut events) = self.events.take() else { return Ok(()) };
        let polled = self.poll.poll(&mut events, timeout);
        self.now = Instant::now();
        self.ready.extend(events.iter().map(|event| Ready {
            token: event.token().0,
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed() || event.is_error(),
        }));
        events.clear();
        self.events = Some(events);
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn dispatch<H: Handler>(&mut self, handler: &mut H, event: Ready) {
        let conn = match conn_of(event.token) {
            Some(conn) => conn,
            None if event.token == ALARM.0 => return self.alarm.rang(),
            None if event.token == SIGNALS.0 => return self.signals.rang(),
            None => return self.accept(handler, event.token - FIRST_LISTENER),
        };
        let Some(connection) = self.find_mut(conn) else { return };
        connection.read_closed |= event.read_closed;
        if event.writable {
            connection.blocked = false;
            if connection.phase == Phase::Connecting {
                self.finish_connecting(handler, conn);
            } else if connection.backlog() > 0 {
                self.write(conn);
            }
        }
        if event.readable || event.read_closed {
            self.read(handler, conn);
        }
    }

    fn finish_connecting<H: Handler>(&mut self, handler: &mut H, conn: ConnId) {
        let Some(connection) = self.find_mut(conn) else { return };
        let failed = match connection.socket.take_error() {
            Ok(None) => connection.socket.peer_addr().err(),
            Ok(Some(error)) | Err(error) => Some(error),
        };
        match failed {
            None => {
                connection.phase = Phase::Open;
                handler.connected(self, conn);
            }
            Some(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Some(error) => self.doom(conn, Closed::Error(error)),
        }
    }

    fn accept<H: Handler>(&mut self, handler: &mut H, index: usize) {
        for _ in 0..ACCEPT_MAX {
            let Some(Some(listener)) = self.listeners.get(index) else { return };
            let framing = listener.framing;
            let adopted = match listener.socket.accept() {
                Ok((socket, peer)) => self.adopt(socket, peer, framing, Phase::Open),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => Err(error),
            };
            match adopted {
                Ok(conn) => handler.accepted(self, ListenerId(index), conn),
                Err(_) => {
                    self.accept_at = self.now + ACCEPT_PAUSE;
                    self.unaccepted.push(index);
                    return;
                }
            }
        }
        self.accept_at = self.now;
        self.unaccepted.push(index);
    }

    fn accept_again<H: Handler>(&mut self, handler: &mut H) {
        if !self.unaccepted.is_empty() && self.now >= self.accept_at {
            for index in std::mem::take(&mut self.unaccepted) {
                self.accept(handler, index);
            }
        }
    }

    fn read_again<H: Handler>(&mut self, handler: &mut H) {
        for conn in std::mem::take(&mut self.unread) {
            self.read(handler, conn);
        }
    }

    /// Reads once, into the scratch behind what was left over, and hands the frames over there.
    fn read<H: Handler>(&mut self, handler: &mut H, conn: ConnId) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some(filled) = self.fill(conn, &mut scratch) {
            self.now = Instant::now();
            let rest = self.hand_over(handler, conn, &scratch[..filled]);
            if let Some(connection) = self.find_mut(conn) {
                connection.partial.extend_from_slice(rest);
            }
        }
        self.scratch = scratch;
    }

    /// How much of the scratch holds unhandled bytes now; `None` when nothing new came.
    fn fill(&mut self, conn: ConnId, scratch: &mut [u8]) -> Option<usize> {
        let connection = self.find_mut(conn)?;
        if connection.phase != Phase::Open {
            return None;
        }
        if connection.backlog() > BACKLOG_HIGH {
            connection.paused = true;
            return None;
        }
        let kept = connection.partial.len();
        scratch[..kept].copy_from_slice(&connection.partial);
        match connection.socket.read(&mut scratch[kept..]) {
            Ok(0) => self.doom(conn, Closed::Peer),
            Ok(n) => {
                connection.partial.clear();
                // A short read has emptied the socket, unless the end of the stream hides
                // behind it, for which there is no further event.
                if n == scratch.len() - kept || connection.read_closed {
                    self.unread.push(conn);
                }
                return Some(kept + n);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.unread.push(conn),
            Err(error) => self.doom(conn, Closed::Error(error)),
        }
        None
    }

    /// Hands over whole frames; the rest is the beginning of one.
    fn hand_over<'a, H: Handler>(
        &mut self,
        handler: &mut H,
        conn: ConnId,
        mut bytes: &'a [u8],
    ) -> &'a [u8] {
        let Some(connection) = self.find(conn) else { return &[] };
        let framing = connection.framing;
        while self.is_open(conn) {
            let cut = match framing {
                Framing::Smpp => cut_pdu(bytes),
                Framing::Lines => cut_line(bytes),
            };
            let Some((frame, rest)) = cut else { return bytes };
            bytes = rest;
            let fatal = matches!(frame, Frame::BadLength { .. });
            handler.frame(self, conn, frame);
            if fatal {
                self.close(conn);
            }
        }
        &[]
    }

    fn write(&mut self, conn: ConnId) {
        let Some(connection) = self.find_mut(conn) else { return };
        connection.dirty = false;
        if connection.blocked || !matches!(connection.phase, Phase::Open | Phase::Closing) {
            return;
        }
        if let Err(error) = connection.flush() {
            return self.doom(conn, Closed::Error(error));
        }
        if connection.paused && connection.backlog() <= BACKLOG_HIGH {
            connection.paused = false;
            self.unread.push(conn);
        } else if connection.phase == Phase::Closing && connection.backlog() == 0 {
            self.doom(conn, Closed::Here);
        }
    }
}

fn token_of(conn: ConnId) -> Token {
    Token((conn.generation as usize) << 32 | conn.slot as usize)
}

fn conn_of(token: usize) -> Option<ConnId> {
    let generation = (token >> 32) as u32;
    (generation > 0).then_some(ConnId { slot: token as u32, generation })
}

#[inline]
fn cut_pdu(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    match codec::cut(bytes, FRAME_MAX) {
        Cut::Frame { pdu, rest } => Some((Frame::Pdu(pdu), rest)),
        Cut::Partial { .. } => None,
        Cut::BadLength { command_length, sequence_number } => {
            Some((Frame::BadLength { command_length, sequence_number }, &[]))
        }
    }
}

fn cut_line(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        let length = bytes.len();
        let command_length = u32::try_from(length).unwrap_or(u32::MAX);
        let overlong = Frame::BadLength { command_length, sequence_number: None };
        return (length > LINE_MAX).then_some((overlong, &[]));
    };
    let line = &bytes[..end];
    Some((Frame::Line(line.strip_suffix(b"\r").unwrap_or(line)), &bytes[end + 1..]))
}
