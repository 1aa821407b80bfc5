//! One bind of the generator.

use std::time::Instant;

use wire::{BindMode, ConnId, Window};

/// Where a bind stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not begun.
    Idle,
    /// The connection or the bind_resp has not come.
    Binding,
    /// Bound.
    Bound,
    /// Our unbind is on its way, or the peer's was answered.
    Unbinding,
    /// Over.
    Closed,
}

/// What was sent and waits for its response.
#[derive(Clone, Copy, Debug)]
pub enum Sent {
    /// The bind request.
    Bind,
    /// A message.
    Message(Message),
    /// The unbind.
    Unbind,
}

/// A message that waits for its response.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Its number, which its token tells.
    pub number: u64,
    /// When it was, or ought to have been, sent.
    pub at: Instant,
    /// Whether it asks for a receipt.
    pub registered: bool,
    /// Whether it counts for rate and latency.
    pub measured: bool,
}

/// One for each bind.
pub struct Bind {
    /// Which one, counted from 0.
    pub index: u32,
    /// What it may carry.
    pub mode: BindMode,
    /// Where it stands.
    pub state: State,
    /// Its connection.
    pub conn: Option<ConnId>,
    /// What is outstanding on it.
    pub window: Window<Sent>,
    /// Whether it was bound before.
    pub again: bool,
    window_limit: usize,
}

impl Bind {
    /// A bind that is not begun.
    pub fn new(index: u32, mode: BindMode, window: usize) -> Self {
        let window_limit = if mode.sends() { window } else { 1 };
        let window = Window::new(window_limit);
        Self { index, mode, state: State::Idle, conn: None, window, again: false, window_limit }
    }

    /// Forgets what is outstanding.
    pub fn reset(&mut self) {
        self.window = Window::new(self.window_limit);
        self.again = true;
        self.state = State::Idle;
    }

    /// Whether a message may be sent on it now.
    pub fn has_room(&self) -> bool {
        self.state == State::Bound && self.mode.sends() && self.window.room() > 0
    }

    /// Messages that were not answered.
    pub fn unanswered(&self) -> impl Iterator<Item = (u32, Message)> {
        self.window.iter().filter_map(|(sequence, sent)| match sent {
            Sent::Message(message) => Some((sequence, *message)),
            Sent::Bind | Sent::Unbind => None,
        })
    }
}
