//! The one alarm of a core.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::Context;

use router::Instant;

use crate::sys::nio::{Kind, Nio, Registered};
use crate::sys::socket;

/// One per core. Set to the next due instant, never to a tick; set again only when something is due
/// earlier. What became due later meanwhile costs one early wake.
pub(crate) struct Timer {
    alarm: Registered,
    armed: Cell<Instant>,
}

impl Timer {
    pub(crate) fn new(nio: &Rc<Nio>) -> io::Result<Self> {
        let alarm = nio.register(socket::timer()?, Kind::Service)?;
        Ok(Self { alarm, armed: Cell::new(Instant::NEVER) })
    }

    /// Parks the task until the alarm goes off; notices when it has.
    pub(crate) fn poll(&self, cx: &Context<'_>) {
        while socket::poll_timer(&self.alarm, cx).is_ready() {
            self.armed.set(Instant::NEVER);
        }
    }

    /// Has the task woken at `due` at the latest.
    pub(crate) fn arm(&self, now: Instant, due: Instant) {
        if due < self.armed.get() {
            socket::set_timer(&self.alarm, due - now);
            self.armed.set(due);
        }
    }
}
