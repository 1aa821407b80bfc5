//! A session that asks and waits.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use codec::build::{append_empty_message_id_resp, append_header_only};
use codec::{CommandId, CommandStatus, Pdu};
use wire::{Closed, ConnId, Error, Frame, Framing, Handler, ListenerId, Net};

/// PDUs that wait to be looked at, at most; what comes then is answered ESME_RMSGQFUL.
const ARRIVED_MAX: usize = 10_000;

/// What the loop brought.
#[derive(Default)]
struct Inbox {
    connected: bool,
    responses: VecDeque<Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
    ended: Option<String>,
}

impl Inbox {
    fn request(&mut self, net: &mut Net, conn: ConnId, pdu: Pdu<'_>) {
        let Some(out) = net.out(conn) else { return };
        let (command, sequence) = (pdu.command_id(), pdu.sequence_number());
        let response = command.response();
        let ok = CommandStatus::ESME_ROK;
        match command {
            CommandId::DELIVER_SM | CommandId::DATA_SM if self.arrived.len() >= ARRIVED_MAX => {
                append_header_only(out, response, CommandStatus::ESME_RMSGQFUL, sequence);
                return;
            }
            CommandId::DELIVER_SM | CommandId::DATA_SM => {
                append_empty_message_id_resp(out, response, sequence);
            }
            CommandId::ENQUIRE_LINK => {
                append_header_only(out, response, ok, sequence);
                return;
            }
            CommandId::UNBIND => {
                append_header_only(out, response, ok, sequence);
                self.ended = Some("the message centre sent unbind".into());
            }
            _ if !command.has_response() => {}
            _ => {
                let (nack, status) = (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID);
                append_header_only(out, nack, status, sequence);
            }
        }
        if self.arrived.len() < ARRIVED_MAX {
            self.arrived.push_back(pdu.bytes().to_vec());
        }
    }
}

impl Handler for Inbox {
    fn accepted(&mut self, _net: &mut Net, _listener: ListenerId, _conn: ConnId) {}

    fn connected(&mut self, _net: &mut Net, _conn: ConnId) {
        self.connected = true;
    }

    fn frame(&mut self, net: &mut Net, conn: ConnId, frame: Frame<'_>) {
        match frame {
            Frame::Pdu(pdu) if pdu.command_id().is_response() => {
                if self.responses.len() < ARRIVED_MAX {
                    self.responses.push_back(pdu.bytes().to_vec());
                }
            }
            Frame::Pdu(pdu) => self.request(net, conn, pdu),
            Frame::BadLength { command_length, .. } => {
                self.ended = Some(format!("a PDU of impossible length {command_length} came"));
            }
            Frame::Line(_) => {}
        }
    }

    fn closed(&mut self, _net: &mut Net, _conn: ConnId, why: &Closed) {
        self.ended.get_or_insert_with(|| format!("the connection ended: {why}"));
    }
}

/// One session. One per process.
pub struct Client {
    net: Net,
    inbox: Inbox,
    conn: ConnId,
    sequence: u32,
    timeout: Duration,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr, timeout: Duration) -> Result<Self, Error> {
        let mut net = Net::new().map_err(|error| Error::io("cannot use epoll", &error))?;
        let tried = format!("cannot connect to {address}");
        let conn =
            net.connect(address, Framing::Smpp).map_err(|error| Error::io(&tried, &error))?;
        let mut client = Self { net, inbox: Inbox::default(), conn, sequence: 0, timeout };
        let deadline = client.net.now() + timeout;
        while !client.inbox.connected {
            if let Some(why) = &client.inbox.ended {
                return Err(Error::new(format!("{tried}: {why}")));
            }
            if !client.turn(Some(deadline))? {
                return Err(Error::new(format!("{tried} within {timeout:?}")));
            }
        }
        Ok(client)
    }

    /// One turn of the loop; `false` at the deadline or after a signal.
    fn turn(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        let early = |now| deadline.is_none_or(|deadline| now < deadline);
        if !early(Instant::now()) || self.net.stopping() {
            return Ok(false);
        }
        self.net
            .turn(&mut self.inbox, deadline)
            .map_err(|error| Error::io("waiting for the socket", &error))?;
        Ok(true)
    }

    /// Whether SIGINT or SIGTERM came.
    pub fn stopping(&self) -> bool {
        self.net.stopping()
    }

    /// Sends a request and waits for its response.
    pub fn request(&mut self, append: impl FnOnce(&mut Vec<u8>, u32)) -> Result<Vec<u8>, Error> {
        self.sequence += 1;
        let sequence = self.sequence;
        match self.net.out(self.conn) {
            Some(out) => append(out, sequence),
            None => return Err(self.ended()),
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            while let Some(response) = self.inbox.responses.pop_front() {
                if Pdu::new_checked(&response).is_ok_and(|pdu| pdu.sequence_number() == sequence) {
                    return Ok(response);
                }
            }
            if self.inbox.ended.is_some() {
                return Err(self.ended());
            }
            if !self.turn(Some(deadline))? {
                let why = if self.stopping() { "interrupted" } else { "no response in time" };
                return Err(Error::new(why));
            }
        }
    }

    /// The next PDU that came by itself; `None` at the deadline or after a signal.
    pub fn arrived(&mut self, deadline: Option<Instant>) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(pdu) = self.inbox.arrived.pop_front() {
                return Ok(Some(pdu));
            }
            if self.inbox.ended.is_some() {
                return Err(self.ended());
            }
            if !self.turn(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Writes what was put out, as far as the socket takes it.
    pub fn flush(&mut self) {
        self.net.flush(&mut self.inbox);
    }

    fn ended(&self) -> Error {
        Error::new(self.inbox.ended.as_deref().unwrap_or("the connection ended"))
    }
}
