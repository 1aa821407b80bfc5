//! Things to do later, cheap to add and to take.

use std::time::{Duration, Instant};

/// Due times are rounded up to this, so that what is due together leaves in one write.
pub const TICK: Duration = Duration::from_micros(250);

const SLOTS: usize = 4096;
const WORDS: usize = SLOTS / 64;

/// A hashed timing wheel: adding and taking cost the same at any size. One per thread.
///
/// An entry further away than one revolution (about a second) stays in its slot for as many
/// rounds as it takes.
pub struct Wheel<T> {
    start: Instant,
    slots: Vec<Vec<(u64, T)>>,
    /// Emptied slots, to be filled again: memory follows what waits, not what ever waited.
    spare: Vec<Vec<(u64, T)>>,
    occupied: [u64; WORDS],
    /// All ticks before this one were taken.
    next: u64,
    len: usize,
}

impl<T> Wheel<T> {
    /// An empty wheel.
    pub fn new(now: Instant) -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self { start: now, slots, spare: Vec::new(), occupied: [0; WORDS], next: 0, len: 0 }
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry that is due at an instant.
    pub fn add(&mut self, due: Instant, item: T) {
        let since = due.saturating_duration_since(self.start).as_nanos();
        let tick = u64::try_from(since.div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX);
        let tick = tick.max(self.next);
        let slot = tick as usize % SLOTS;
        if self.slots[slot].capacity() == 0 {
            self.slots[slot] = self.spare.pop().unwrap_or_default();
        }
        self.slots[slot].push((tick, item));
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// When to look again; `None` when nothing waits. Early, at most once a revolution, for an
    /// entry that is further away than that.
    pub fn next_due(&self) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        let first = self.next as usize % SLOTS;
        let ahead = (0..=WORDS).find_map(|step| self.occupied_ahead(first, step))?;
        let nanos = (self.next + ahead as u64).saturating_mul(TICK.as_nanos() as u64);
        Some(self.start + Duration::from_nanos(nanos))
    }

    /// The distance of the first occupied slot in the word that is `step` words on.
    fn occupied_ahead(&self, first: usize, step: usize) -> Option<usize> {
        let word = (first / 64 + step) % WORDS;
        let bit = first % 64;
        let mask = match step {
            0 => u64::MAX << bit,
            WORDS => !(u64::MAX << bit),
            _ => u64::MAX,
        };
        let bits = self.occupied[word] & mask;
        let slot = word * 64 + bits.trailing_zeros() as usize;
        (bits != 0).then(|| (slot + SLOTS - first) % SLOTS)
    }

    /// Moves all that is due into `due`, in the order of the due times.
    pub fn take(&mut self, now: Instant, due: &mut Vec<T>) {
        let since = now.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos();
        let last = u64::try_from(since).unwrap_or(u64::MAX);
        if last < self.next {
            return;
        }
        let span = (last - self.next + 1).min(SLOTS as u64);
        for tick in self.next..self.next + span {
            if self.len == 0 {
                break;
            }
            self.take_slot(tick as usize % SLOTS, last, due);
        }
        self.next = last + 1;
    }

    fn take_slot(&mut self, slot: usize, last: u64, due: &mut Vec<T>) {
        if self.occupied[slot / 64] & (1 << (slot % 64)) == 0 {
            return;
        }
        let entries = &mut self.slots[slot];
        let before = entries.len();
        due.extend(entries.extract_if(.., |(tick, _)| *tick <= last).map(|(_, item)| item));
        self.len -= before - entries.len();
        if entries.is_empty() {
            self.spare.push(std::mem::take(entries));
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(wheel: &mut Wheel<u32>, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.take(now, &mut due);
        due
    }

    #[test]
    fn entries_come_when_they_are_due() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.add(start + TICK * 3, 3);
        wheel.add(start + TICK, 1);
        wheel.add(start + TICK * 10_000, 10_000);
        assert_eq!(wheel.next_due(), Some(start + TICK));
        assert_eq!(taken(&mut wheel, start), []);
        assert_eq!(taken(&mut wheel, start + TICK), [1]);
        assert_eq!(taken(&mut wheel, start + TICK * 5000), [3]);
        assert_eq!(taken(&mut wheel, start + TICK * 9999), []);
        assert_eq!(taken(&mut wheel, start + TICK * 10_000), [10_000]);
        assert_eq!((wheel.len(), wheel.next_due()), (0, None));
    }

    #[test]
    fn next_due_is_never_late() {
        let start = Instant::now();
        for first in [0, 1, 63, 64, 65, 4095, 4096, 5000] {
            for ahead in [0, 1, 63, 64, 4094, 4095] {
                let mut wheel = Wheel::new(start);
                let mut due = Vec::new();
                wheel.take(start + TICK * first, &mut due);
                let tick = first + 1 + ahead;
                wheel.add(start + TICK * tick, 7);
                assert_eq!(wheel.next_due(), Some(start + TICK * tick), "{first} {ahead}");
                assert_eq!(taken(&mut wheel, start + TICK * tick), [7]);
            }
        }
    }

    #[test]
    fn what_is_past_is_due_at_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let mut due = Vec::new();
        wheel.take(start + TICK * 100, &mut due);
        wheel.add(start, 1);
        assert_eq!(taken(&mut wheel, start + TICK * 101), [1]);
    }
}
