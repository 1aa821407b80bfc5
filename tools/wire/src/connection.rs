//! One TCP connection: its socket and its two buffers.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;

use codec::Pdu;
use mio::net::TcpStream;

/// The longest PDU that is read; the largest message_payload with room for its other TLVs.
pub const FRAME_MAX: usize = 128 * 1024;
/// The longest line of a control connection.
pub const LINE_MAX: usize = 64 * 1024;
/// A connection with more octets than this to write is not read until they have left.
pub const BACKLOG_HIGH: usize = 1024 * 1024;

/// Names a connection; never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnId {
    /// The slot, small and dense, for tables indexed by connection. Slots are reused.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// How the bytes of a connection are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// SMPP PDUs.
    Smpp,
    /// Lines of text that end in a line feed.
    Lines,
}

/// What was read.
#[derive(Clone, Copy)]
pub enum Frame<'a> {
    /// A whole PDU.
    Pdu(Pdu<'a>),
    /// A command_length that no PDU can have; nothing more is read from the connection.
    BadLength {
        /// The length that was claimed.
        command_length: u32,
        /// The sequence_number, when the header was there.
        sequence_number: Option<u32>,
    },
    /// A line, without its line feed.
    Line(&'a [u8]),
}

/// How a connection came to its end.
#[derive(Debug)]
pub enum Closed {
    /// This side closed it.
    Here,
    /// The peer closed it.
    Peer,
    /// It never came about, or broke.
    Error(io::Error),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("closed here"),
            Self::Peer => f.write_str("closed by the peer"),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Open,
    /// Nothing more is read; it is dropped when all is written.
    Closing,
    /// In the list of the doomed.
    Doomed,
}

/// Lives in the slab of its `Net`.
pub(crate) struct Connection {
    pub socket: TcpStream,
    pub peer: SocketAddr,
    pub generation: u32,
    pub framing: Framing,
    pub phase: Phase,
    /// The beginning of a frame whose end has not come.
    pub partial: Vec<u8>,
    pub out: Vec<u8>,
    /// How much of `out` was written.
    pub sent: usize,
    pub dirty: bool,
    /// The socket takes no more; epoll says when it does.
    pub blocked: bool,
    /// The peer has finished writing: read to the end even after a short read.
    pub read_closed: bool,
    /// Not read because too much waits to be written.
    pub paused: bool,
}

impl Connection {
    pub fn new(
        socket: TcpStream,
        peer: SocketAddr,
        generation: u32,
        framing: Framing,
        phase: Phase,
    ) -> Self {
        Self {
            socket,
            peer,
            generation,
            framing,
            phase,
            partial: Vec::new(),
            out: Vec::new(),
            sent: 0,
            dirty: false,
            blocked: false,
            read_closed: false,
            paused: false,
        }
    }

    pub fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    self.compact();
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Keeps the written front of the buffer from growing without end.
    fn compact(&mut self) {
        if self.sent > self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Makes the close a reset, as when a host dies.
    pub fn reset(&self) {
        // A socket that cannot be set is closed the ordinary way.
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO));
    }
}
