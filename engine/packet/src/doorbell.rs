//! Waking a core from any thread, once per batch.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Waker;

use atomic_waker::AtomicWaker;

/// One per queue reader; shared by all who push to it.
///
/// Executors count wakes that they have not handled yet in 16 bits, so the waker itself is never
/// given to other threads: the armed flag lets at most one wake through each time the reader goes
/// to sleep.
#[derive(Default)]
pub(crate) struct Doorbell {
    armed: AtomicBool,
    waker: AtomicWaker,
}

impl Doorbell {
    /// Wakes the reader if it sleeps. Called after pushing.
    #[inline]
    pub(crate) fn ring(&self) {
        // Orders the push before the look at the flag; `arm` has the other half.
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Asks for a wake at the next push. The reader looks at its queues once more afterwards, and
    /// sleeps only when they are empty.
    #[inline]
    pub(crate) fn arm(&self, task: &Waker) {
        if !self.armed.load(Ordering::Relaxed) {
            self.waker.register(task);
            self.armed.store(true, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
    }
}
