//! The only clock of a packet core.

use router::Instant;

/// Time since an origin that all cores of the process share, so that what one writes into a frame
/// another can read.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock that reads zero now. One for the whole process.
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// The time. Read once per batch, never per PDU.
    #[inline]
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.origin.elapsed().as_micros() as u64)
    }
}
