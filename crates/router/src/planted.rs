//! Faults planted on purpose, so that the simulator can prove that it would find them.
//!
//! Built only with `--cfg planted`; otherwise every question is answered `false` at compile time.

/// A fault that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// Sequence numbers run past 0x7FFFFFFF.
    NoWrap = 1,
    /// A number that is still in flight is given out again.
    NoSkip = 2,
    /// A slot's next connection is mistaken for its last one.
    NoGeneration = 3,
    /// The entry of a request is dropped before its response came.
    EntryDroppedEarly = 4,
    /// A response goes to the origin of another request.
    WrongOrigin = 5,
}

impl Bug {
    /// Every fault, for a run over all of them.
    pub const ALL: [Self; 5] = [
        Self::NoWrap,
        Self::NoSkip,
        Self::NoGeneration,
        Self::EntryDroppedEarly,
        Self::WrongOrigin,
    ];
}

#[cfg(planted)]
static CURRENT: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Plants `bug`, or none.
#[cfg(planted)]
pub fn plant(bug: Option<Bug>) {
    CURRENT.store(bug.map_or(0, |bug| bug as u8), core::sync::atomic::Ordering::Relaxed);
}

/// Whether `bug` is planted.
#[cfg(planted)]
pub(crate) fn is(bug: Bug) -> bool {
    CURRENT.load(core::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether `bug` is planted: never in this build.
#[cfg(not(planted))]
#[inline]
pub(crate) const fn is(_bug: Bug) -> bool {
    false
}
