//! The control port: one command a line, one line of JSON back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wire::{ConnId, Net, OwnedAddress, parse_status, parse_status_share, resolve};

use crate::centre::MobileJob;
use crate::sim::Sim;

/// Commands that wait for a counter at most.
const WAITERS_MAX: usize = 1000;
/// Orders of mobile originated messages that wait in one instance at most.
const JOBS_MAX: usize = 10_000;
/// How long `wait` waits when it is not told.
const WAIT: Duration = Duration::from_secs(10);

const COMMANDS: &str =
    "stats, mo, drop, unbind, hold, release, refuse, error, latency, listen, outbind, wait, quit";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    Exactly,
    AtMost,
}

/// A `wait` that has not come true.
struct Waiter {
    conn: ConnId,
    instances: std::ops::Range<usize>,
    field: String,
    comparison: Comparison,
    value: u64,
    deadline: Instant,
}

/// Connections and commands of the control port.
#[derive(Default)]
pub struct Control {
    connections: Vec<ConnId>,
    waiters: Vec<Waiter>,
}

impl Control {
    /// A connection came.
    pub fn opened(&mut self, conn: ConnId) {
        self.connections.push(conn);
    }

    /// A connection went, if it was one of the control port.
    pub fn closed(&mut self, conn: ConnId) {
        self.connections.retain(|other| *other != conn);
        self.waiters.retain(|waiter| waiter.conn != conn);
    }

    /// When the next `wait` gives up.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiters.iter().map(|waiter| waiter.deadline).min()
    }
}

impl Sim {
    /// Does a command.
    pub fn command(&mut self, net: &mut Net, conn: ConnId, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
        let done = match self.instances(&mut words) {
            Ok(instances) => self.run(net, conn, instances, &words),
            Err(error) => Err(error),
        };
        let reply = match done {
            Ok(None) => return,
            Ok(Some(mut reply)) => {
                reply["ok"] = json!(true);
                reply
            }
            Err(error) => json!({"ok": false, "error": error}),
        };
        put(net, conn, &reply);
    }

    /// Which instances are meant: the one whose number is in front, or all.
    fn instances(&self, words: &mut Vec<&str>) -> Result<std::ops::Range<usize>, String> {
        let all = self.centres.len();
        let Some(index) = words.first().and_then(|word| word.parse::<usize>().ok()) else {
            return Ok(0..all);
        };
        words.remove(0);
        if index < all {
            Ok(index..index + 1)
        } else {
            Err(format!("there is no instance {index}; the last one is {}", all - 1))
        }
    }

    fn run(
        &mut self,
        net: &mut Net,
        conn: ConnId,
        instances: std::ops::Range<usize>,
        words: &[&str],
    ) -> Result<Option<Value>, String> {
        let mut count = 0;
        match words {
            ["stats"] => return Ok(Some(self.stats(instances))),
            ["wait", field, comparison, value, rest @ ..] if rest.len() <= 1 => {
                return self.wait(net, conn, instances, [field, comparison, value], rest.first());
            }
            ["mo", destination, number, text @ ..] => {
                let text = (!text.is_empty()).then(|| text.join(" "));
                count = self.order(instances, destination, number, text.as_deref())?;
            }
            ["drop"] => count = instances.map(|i| self.drop_all(net, i)).sum(),
            ["unbind"] => count = instances.map(|i| self.unbind_all(net, i)).sum(),
            ["release"] => count = instances.map(|i| self.release(net, i)).sum(),
            ["hold", switch] => {
                let hold = on(switch)?;
                instances.for_each(|i| self.centres[i].policy.hold = hold);
            }
            ["refuse", status] => {
                let refuse = (*status != "off").then(|| parse_status(status)).transpose()?;
                instances.for_each(|i| self.centres[i].policy.refuse = refuse);
            }
            ["error", share] => {
                let error = (*share != "off").then(|| parse_status_share(share)).transpose()?;
                let errors: Vec<_> = error.into_iter().collect();
                instances.for_each(|i| self.centres[i].policy.errors.clone_from(&errors));
            }
            ["latency", millis] => {
                let millis: f64 = millis.parse().map_err(|_| not_a_number(millis))?;
                let latency = Duration::try_from_secs_f64(millis / 1e3);
                let latency = latency.map_err(|_| "a latency cannot be negative")?;
                instances.for_each(|i| self.centres[i].policy.latency = latency);
            }
            ["listen", switch] => self.switch_listeners(net, instances, on(switch)?)?,
            ["outbind", address, rest @ ..] if rest.len() <= 2 => {
                let address = resolve(address)?;
                let word = |index: usize| (*rest.get(index).unwrap_or(&"")).to_owned();
                for instance in instances {
                    self.outbind(net, instance, address, (word(0), word(1)))
                        .map_err(|error| format!("cannot connect to {address}: {error}"))?;
                }
            }
            ["quit"] => self.quitting = true,
            _ => return Err(format!("no such command; there are {COMMANDS} (see --help)")),
        }
        Ok(Some(json!({"ok": true, "count": count})))
    }

    /// The reply to `stats`, and the summary at the end.
    pub fn stats(&mut self, instances: std::ops::Range<usize>) -> Value {
        let total = self.total().json();
        let centres = self.centres.iter_mut().enumerate();
        let chosen = centres.filter(|(index, _)| instances.contains(index));
        let list: Vec<_> = chosen.map(|(index, centre)| centre.json(index)).collect();
        json!({"ok": true, "instances": list, "total": total})
    }

    fn order(
        &mut self,
        instances: std::ops::Range<usize>,
        destination: &str,
        number: &str,
        text: Option<&str>,
    ) -> Result<usize, String> {
        let destination: OwnedAddress = destination.parse()?;
        let left: u32 = number.parse().map_err(|_| not_a_number(number))?;
        let mut ordered = 0;
        for instance in instances {
            let centre = &mut self.centres[instance];
            if centre.mobile.jobs.len() == JOBS_MAX {
                return Err(format!("{JOBS_MAX} orders wait already"));
            }
            let (destination, text) = (destination.clone(), text.map(str::to_owned));
            centre.mobile.jobs.push_back(MobileJob { destination, left: left.into(), text });
            centre.counters.mo_waiting += u64::from(left);
            ordered += left as usize;
        }
        Ok(ordered)
    }

    fn switch_listeners(
        &mut self,
        net: &mut Net,
        instances: std::ops::Range<usize>,
        listen: bool,
    ) -> Result<(), String> {
        for instance in instances {
            if listen {
                let address = self.centres[instance].address;
                self.listen(net, instance)
                    .map_err(|error| format!("cannot listen on {address}: {error}"))?;
            } else {
                self.unlisten(net, instance);
                self.drop_all(net, instance);
            }
        }
        Ok(())
    }

    fn wait(
        &mut self,
        net: &Net,
        conn: ConnId,
        instances: std::ops::Range<usize>,
        [field, comparison, value]: [&str; 3],
        millis: Option<&&str>,
    ) -> Result<Option<Value>, String> {
        let comparison = match comparison {
            ">=" => Comparison::AtLeast,
            "==" | "=" => Comparison::Exactly,
            "<=" => Comparison::AtMost,
            other => return Err(format!("\"{other}\" is no comparison; use >=, == or <=")),
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| not_a_number(text));
        let value = number(value)?;
        let wait = millis.map(|millis| number(millis)).transpose()?.map(Duration::from_millis);
        if self.centres[0].counters.get(field).is_none() {
            let names = crate::counters::Counters::NAMES.join(", ");
            return Err(format!("there is no counter \"{field}\"; there are {names}"));
        }
        if self.control.waiters.len() == WAITERS_MAX {
            return Err(format!("{WAITERS_MAX} commands wait already"));
        }
        let deadline = net.now() + wait.unwrap_or(WAIT);
        let field = field.to_owned();
        let waiter = Waiter { conn, instances, field, comparison, value, deadline };
        self.control.waiters.push(waiter);
        Ok(None)
    }

    /// Answers each `wait` that came true or has waited long enough.
    pub fn answer_waiters(&mut self, net: &mut Net) {
        if self.control.waiters.is_empty() {
            return;
        }
        let now = net.now();
        let mut waiters = std::mem::take(&mut self.control.waiters);
        waiters.retain(|waiter| {
            let chosen = &mut self.centres[waiter.instances.clone()];
            let found = chosen.iter_mut().map(|centre| {
                centre.counters.messages = centre.messages.len() as u64;
                centre.counters.get(&waiter.field).unwrap_or(0)
            });
            let found: u64 = found.sum();
            let reached = match waiter.comparison {
                Comparison::AtLeast => found >= waiter.value,
                Comparison::Exactly => found == waiter.value,
                Comparison::AtMost => found <= waiter.value,
            };
            if !reached && now < waiter.deadline {
                return true;
            }
            let mut reply = json!({"ok": reached, "field": waiter.field, "value": found});
            if !reached {
                reply["error"] = json!(format!("{} is {found}, time is up", waiter.field));
            }
            put(net, waiter.conn, &reply);
            false
        });
        self.control.waiters = waiters;
    }
}

fn put(net: &mut Net, conn: ConnId, reply: &Value) {
    if let Some(out) = net.out(conn) {
        out.extend_from_slice(reply.to_string().as_bytes());
        out.push(b'\n');
    }
}

fn on(word: &str) -> Result<bool, String> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("\"{other}\" is neither on nor off")),
    }
}

fn not_a_number(text: &str) -> String {
    format!("\"{text}\" is not a number")
}
