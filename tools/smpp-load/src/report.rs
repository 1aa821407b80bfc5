//! What a person, or a program, reads.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bind::Bind;
use crate::load::{Load, Phase};

/// Between two progress lines.
const PROGRESS: Duration = Duration::from_secs(1);

/// The progress line. One per process.
pub struct Progress {
    start: Instant,
    last: Instant,
    /// When the next line is due.
    pub next: Instant,
    answered: u64,
}

impl Progress {
    /// Begins now.
    pub fn new(now: Instant) -> Self {
        Self { start: now, last: now, next: now + PROGRESS, answered: 0 }
    }

    /// Prints a line, unless it is to be quiet.
    pub fn print(&mut self, load: &mut Load, now: Instant) {
        let (p50, p99) = load.measure.take_interval();
        let answered = load.measure.answered;
        let rate = (answered - self.answered) as f64 / (now - self.last).as_secs_f64();
        self.answered = answered;
        self.last = now;
        self.next = now + PROGRESS;
        if load.args.quiet {
            return;
        }
        let phase = match load.phase {
            Phase::Binding => "binding",
            Phase::Sending if !load.measure.counts(now) => "warm-up",
            Phase::Sending => "sending",
            Phase::Draining => "draining",
            Phase::Unbinding | Phase::Done => "ending",
        };
        eprintln!(
            "smpp-load {:4.0}s  {phase}  {rate:.0}/s  p50 {p50:.3} ms  p99 {p99:.3} ms  \
             outstanding {}  mismatches {}",
            (now - self.start).as_secs_f64(),
            load.binds.iter().map(|bind: &Bind| bind.window.len()).sum::<usize>(),
            load.mismatches.total(),
        );
    }
}

/// The result as JSON.
pub fn json(load: &Load) -> Value {
    let measure = &load.measure;
    let latency: serde_json::Map<String, Value> = measure
        .latency()
        .into_iter()
        .map(|(name, micros)| (name.to_owned(), json!((micros * 10.0).round() / 10.0)))
        .collect();
    json!({
        "ok": load.is_well(),
        "interrupted": load.interrupted,
        "binds": load.args.binds,
        "receivers": load.args.receivers,
        "window": load.args.window(),
        "rate": load.args.rate,
        "size": load.args.size,
        "sent": measure.sent,
        "answered": measure.answered,
        "missing": load.missing,
        "lost": load.lost,
        "unsent": load.unsent,
        "statuses": measure.statuses_json(),
        "measured": {
            "answered": measure.measured,
            "elapsed_s": measure.elapsed().as_secs_f64(),
            "per_second": measure.per_second().round(),
        },
        "latency_us": latency,
        "mismatches": load.mismatches.json(),
        "receipts": {
            "requested": load.receipts.requested,
            "received": load.receipts.received,
            "matched": load.receipts.matched,
            "missing": load.receipts.missing(),
            "intermediate": load.receipts.intermediate,
        },
        "mobile_originated": measure.mobile_originated,
        "enquire_links": measure.enquire_links,
        "unbinds": measure.unbinds,
        "connections_lost": load.connections_lost,
        "bind_failures": load.bind_failures,
        "notes": measure.notes(),
    })
}

/// The result in words.
pub fn text(load: &Load) -> String {
    let measure = &load.measure;
    let mut lines = Vec::new();
    lines.push(format!(
        "sent {}, answered {}, missing {}, unsent {}",
        measure.sent, measure.answered, load.missing, load.unsent
    ));
    for (status, count) in measure.statuses.sorted() {
        lines.push(format!("  {status} {count}"));
    }
    lines.push(format!(
        "rate {:.0}/s over {:.2} s ({} measured)",
        measure.per_second(),
        measure.elapsed().as_secs_f64(),
        measure.measured
    ));
    let latency = measure.latency().into_iter();
    let latency: Vec<_> =
        latency.map(|(name, micros)| format!("{name} {:.3}", micros / 1e3)).collect();
    lines.push(format!("latency in ms: {}", latency.join("  ")));
    let receipts = &load.receipts;
    if receipts.requested + receipts.received > 0 {
        lines.push(format!(
            "receipts: {} asked for, {} came, {} matched, {} missing",
            receipts.requested,
            receipts.received,
            receipts.matched,
            receipts.missing()
        ));
    }
    if measure.mobile_originated > 0 {
        lines.push(format!("mobile originated messages: {}", measure.mobile_originated));
    }
    if load.connections_lost > 0 {
        let (connections, messages) = (load.connections_lost, load.lost);
        lines.push(format!("connections lost: {connections}, messages lost with them: {messages}"));
    }
    lines.push(format!("mismatches: {}", load.mismatches.total()));
    let failures = load.bind_failures.iter().take(10);
    for line in failures.chain(load.mismatches.explained()).chain(measure.notes()) {
        lines.push(format!("  {line}"));
    }
    lines.push(if load.is_well() { "all is well".into() } else { "FAILED".into() });
    lines.join("\n")
}
