//! Status requests under way: a question to every core, answers until a deadline.

use std::time::Duration;

use router::report::CoreReport;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::status::Snapshot;

/// How long a core may take to report.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Status requests under way at once.
const GATHERINGS_MAX: usize = 64;

/// The answers to one status request.
#[derive(Debug)]
pub(crate) struct Gathering {
    token: u64,
    deadline: Instant,
    /// By core.
    pub(crate) reports: Vec<Option<Box<CoreReport>>>,
    pub(crate) reply: oneshot::Sender<Snapshot>,
}

/// All status requests under way, in the order of their deadlines. Control thread.
#[derive(Debug, Default)]
pub(crate) struct Gatherings {
    open: Vec<Gathering>,
    last_token: u64,
}

impl Gatherings {
    /// Opens a gathering over `cores` cores and gives its token; `None` when there are too many,
    /// which drops `reply`.
    pub(crate) fn open(&mut self, cores: usize, reply: oneshot::Sender<Snapshot>) -> Option<u64> {
        if self.open.len() == GATHERINGS_MAX {
            return None;
        }
        self.last_token += 1;
        self.open.push(Gathering {
            token: self.last_token,
            deadline: Instant::now() + ANSWER_WAIT,
            reports: vec![None; cores],
            reply,
        });
        Some(self.last_token)
    }

    /// Takes a core's answer; gives the gathering when it was the last one missing. An answer after
    /// the deadline is dropped.
    pub(crate) fn answer(&mut self, token: u64, report: Box<CoreReport>) -> Option<Gathering> {
        let place = self.open.iter().position(|gathering| gathering.token == token)?;
        let slot = self.open[place].reports.get_mut(usize::from(report.core))?;
        *slot = Some(report);
        let complete = self.open[place].reports.iter().all(Option::is_some);
        complete.then(|| self.open.remove(place))
    }

    /// The first gathering whose deadline has passed at `now`.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Gathering> {
        let due = self.open.first().is_some_and(|gathering| gathering.deadline <= now);
        due.then(|| self.open.remove(0))
    }

    /// When the first of them is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open.first().map(|gathering| gathering.deadline)
    }
}
