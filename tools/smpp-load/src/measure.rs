//! Rates and latencies.

use std::time::{Duration, Instant};

use codec::CommandStatus;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use wire::ByStatus;

use crate::bind::Message;

/// Significant digits of a latency.
const DIGITS: u8 = 3;
/// The longest latency that is told apart from longer ones, in nanoseconds.
const LATENCY_MAX: u64 = 600_000_000_000;
/// Lines that explain what happened.
const NOTES_MAX: usize = 10;

/// What a run measures. One per run.
pub struct Measure {
    start: Instant,
    last: Instant,
    /// All since the start, without the current interval.
    total: Histogram<u64>,
    interval: Histogram<u64>,
    /// Messages that were sent.
    pub sent: u64,
    /// Responses, by status.
    pub statuses: ByStatus,
    /// Responses that came.
    pub answered: u64,
    /// Of these, those that are measured.
    pub measured: u64,
    /// Messages that came and are no receipts.
    pub mobile_originated: u64,
    /// enquire_link that came.
    pub enquire_links: u64,
    /// unbind that came.
    pub unbinds: u64,
    notes: Vec<String>,
}

impl Measure {
    /// Nothing measured.
    pub fn new(now: Instant) -> Self {
        let histogram = || match Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS) {
            Ok(histogram) => histogram,
            Err(_) => unreachable!("the bounds are in order and {DIGITS} digits are allowed"),
        };
        Self {
            start: now,
            last: now,
            total: histogram(),
            interval: histogram(),
            sent: 0,
            statuses: ByStatus::default(),
            answered: 0,
            measured: 0,
            mobile_originated: 0,
            enquire_links: 0,
            unbinds: 0,
            notes: Vec::new(),
        }
    }

    /// Measuring begins after the warm-up.
    pub fn begin(&mut self, now: Instant, warmup: Duration) {
        self.start = now + warmup;
        self.last = self.start;
    }

    /// When measuring began or will begin.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Whether what is sent at a time is measured.
    #[inline]
    pub fn counts(&self, at: Instant) -> bool {
        at >= self.start
    }

    /// A response came.
    #[inline]
    pub fn answered(&mut self, message: &Message, status: CommandStatus, now: Instant) {
        self.statuses.count(status);
        self.answered += 1;
        if message.measured {
            self.measured += 1;
            self.last = now;
            let latency = now.saturating_duration_since(message.at).as_nanos() as u64;
            self.interval.saturating_record(latency);
        }
    }

    /// Remembers a line for the summary, if there are not too many.
    pub fn note(&mut self, line: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(line);
        }
    }

    /// The lines for the summary.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// p50 and p99 since the last time, in milliseconds.
    pub fn take_interval(&mut self) -> (f64, f64) {
        let at = |quantile| self.interval.value_at_quantile(quantile) as f64 / 1e6;
        let quantiles = (at(0.5), at(0.99));
        // Both have the same bounds, so nothing is lost.
        let _ = self.total.add(&self.interval);
        self.interval.reset();
        quantiles
    }

    /// From the start to the last measured response.
    pub fn elapsed(&self) -> Duration {
        self.last.saturating_duration_since(self.start)
    }

    /// Measured responses a second.
    pub fn per_second(&self) -> f64 {
        let elapsed = self.elapsed().as_secs_f64();
        if elapsed > 0.0 { self.measured as f64 / elapsed } else { 0.0 }
    }

    /// Latencies in microseconds. The interval must have been taken.
    pub fn latency(&self) -> Vec<(&'static str, f64)> {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let mut latency =
            vec![("min", micros(self.total.min())), ("mean", self.total.mean() / 1e3)];
        for (name, quantile) in
            [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999), ("p99_99", 0.9999)]
        {
            latency.push((name, micros(self.total.value_at_quantile(quantile))));
        }
        latency.push(("max", micros(self.total.max())));
        latency
    }

    /// Responses by status, as JSON.
    pub fn statuses_json(&self) -> Value {
        Value::Object(self.statuses.sorted().map(|(name, count)| (name, json!(count))).collect())
    }
}
