//! One connection of an ESME.

use std::time::Instant;

use codec::InterfaceVersion;
use wire::{BindMode, ConnId, Window};

/// What was sent to an ESME and waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A receipt.
    Receipt,
    /// A mobile originated message.
    Mobile,
    /// An enquire_link.
    EnquireLink,
    /// An unbind.
    Unbind,
}

/// What a bound session is.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What it may carry.
    pub mode: BindMode,
    /// The version that both sides speak.
    pub version: InterfaceVersion,
    /// The account, by index in its centre.
    pub account: usize,
}

/// One for each connection of an ESME.
pub struct Session {
    /// Its connection.
    pub conn: ConnId,
    /// The instance that it is connected to.
    pub instance: usize,
    /// Set while it is bound.
    pub bound: Option<Bound>,
    /// Its requests that wait for a response.
    pub outstanding: usize,
    /// What was sent to it.
    pub window: Window<Sent>,
    /// Set while an enquire_link is unanswered.
    pub enquiring: bool,
    /// Credentials for outbind, sent once it is connected.
    pub outbind: Option<(String, String)>,
    bucket: f64,
    filled_at: Instant,
}

impl Session {
    /// A session that is not bound.
    pub fn new(conn: ConnId, instance: usize, deliver_window: usize, now: Instant) -> Self {
        Self {
            conn,
            instance,
            bound: None,
            outstanding: 0,
            window: Window::new(deliver_window),
            enquiring: false,
            outbind: None,
            bucket: f64::INFINITY,
            filled_at: now,
        }
    }

    /// Whether it takes deliveries now.
    pub fn receives(&self) -> bool {
        self.bound.is_some_and(|bound| bound.mode.receives())
    }

    /// Whether a message keeps within the rate. A tenth of a second's worth may come at once.
    pub fn within_rate(&mut self, rate: f64, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * rate;
        self.bucket = (self.bucket + gained).min((rate / 10.0).max(1.0));
        self.filled_at = now;
        let within = self.bucket >= 1.0;
        if within {
            self.bucket -= 1.0;
        }
        within
    }
}
