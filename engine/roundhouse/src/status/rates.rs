//! Rates and response times between two moments, or since the start.

use std::collections::HashMap;
use std::time::Instant;

use control::{Client, LatencyStatus, PoolStatus, ServerStatus};
use router::report::Latency;

use super::reply::{Core, Reply};
use crate::failure::Failure;

/// A reply and when it came.
#[derive(Debug)]
pub(super) struct Sample {
    at: Instant,
    pub(super) reply: Reply,
}

impl Sample {
    pub(super) fn take(client: &mut Client) -> Result<Self, Failure> {
        let text = client.status()?;
        let unclear = |error| {
            let version = env!("CARGO_PKG_VERSION");
            Failure::Runtime(format!(
                "the reply of the process is not understood ({error}); is it of version {version}?"
            ))
        };
        let reply = serde_json::from_str(&text).map_err(unclear)?;
        Ok(Self { at: Instant::now(), reply })
    }

    pub(super) fn is_same_process(&self, other: &Self) -> bool {
        self.reply.pid == other.reply.pid && self.reply.uptime_s <= other.reply.uptime_s
    }
}

/// The time between two samples, or from the start to the only one; knows what was before.
#[derive(Debug)]
pub(super) struct Interval<'s> {
    seconds: f64,
    whole: bool,
    cores: HashMap<u8, &'s Core>,
    servers: HashMap<&'s str, &'s ServerStatus>,
    pools: HashMap<PoolKey<'s>, &'s PoolStatus>,
}

/// What makes a pool the same pool in two replies.
type PoolKey<'s> = (&'s str, Option<&'s str>, u8, u8, &'s str);

impl<'s> Interval<'s> {
    pub(super) fn new(now: &Sample, before: Option<&'s Sample>) -> Self {
        let seconds = match before {
            Some(before) => now.at.saturating_duration_since(before.at).as_secs_f64(),
            None => now.reply.uptime_s as f64,
        };
        let mut interval = Self {
            // The shortest uptime that is told is a second.
            seconds: if before.is_none() { seconds.max(1.0) } else { seconds.max(0.001) },
            whole: before.is_none(),
            cores: HashMap::new(),
            servers: HashMap::new(),
            pools: HashMap::new(),
        };
        if let Some(Sample { reply, .. }) = before {
            interval.cores = reply.cores.iter().map(|core| (core.core, core)).collect();
            interval.servers =
                reply.servers.iter().map(|server| (server.name.as_str(), server)).collect();
            interval.pools = reply.pools.iter().map(|pool| (key(pool), pool)).collect();
        }
        interval
    }

    /// Whether it runs from the start of the process.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The same core at the beginning of the interval.
    pub(super) fn core(&self, core: &Core) -> Option<&'s Core> {
        self.cores.get(&core.core).copied()
    }

    /// The same server at the beginning of the interval.
    pub(super) fn server(&self, server: &ServerStatus) -> Option<&'s ServerStatus> {
        self.servers.get(server.name.as_str()).copied()
    }

    /// The same pool at the beginning of the interval.
    pub(super) fn pool(&self, pool: &PoolStatus) -> Option<&'s PoolStatus> {
        self.pools.get(&key(pool)).copied()
    }

    /// What `value` tells, per second. What was not there before, or was more because an engine
    /// started anew since, counts from 0.
    pub(super) fn rate<T>(&self, now: &T, before: Option<&T>, value: impl Fn(&T) -> u64) -> f64 {
        let now = value(now);
        let before = before.map(value).filter(|before| *before <= now).unwrap_or(0);
        (now - before) as f64 / self.seconds
    }
}

/// The response times since `before`.
pub(super) fn latency_since(now: &LatencyStatus, before: Option<&LatencyStatus>) -> Latency {
    let before = before.map_or(&[][..], |latency| &latency.buckets);
    let before = before.iter().copied().chain(std::iter::repeat(0));
    let buckets = now.buckets.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
    Latency { buckets: buckets.collect() }
}

fn key(pool: &PoolStatus) -> PoolKey<'_> {
    (&pool.vserver, pool.account.as_deref(), pool.ton, pool.npi, &pool.range)
}
