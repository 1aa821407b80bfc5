//! Deliberate misbehaviour.

use clap::ValueEnum;
use wire::Random;

use crate::args::FaultShare;

/// What a message centre may do wrong, so that a check can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The message id carries the token of another message.
    SwapTokens,
    /// A response is sent twice.
    DuplicateResponse,
    /// A response is never sent.
    LostResponse,
    /// A response carries a sequence_number that was not asked about.
    WrongSequence,
    /// A receipt carries a message id that was never given.
    WrongReceiptId,
}

impl Fault {
    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SwapTokens => "swap-tokens",
            Self::DuplicateResponse => "duplicate-response",
            Self::LostResponse => "lost-response",
            Self::WrongSequence => "wrong-sequence",
            Self::WrongReceiptId => "wrong-receipt-id",
        }
    }
}

/// The faults in force.
pub struct Faults(Vec<FaultShare>);

impl Faults {
    /// From the command line.
    pub fn new(faults: Vec<FaultShare>) -> Self {
        Self(faults)
    }

    /// Whether a fault happens this time.
    #[inline]
    pub fn strikes(&self, fault: Fault, random: &mut Random) -> bool {
        self.0.iter().any(|entry| entry.fault == fault && random.happens(entry.share))
    }
}
