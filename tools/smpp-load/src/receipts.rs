//! Receipts: each must be for an id that was given, and each that was asked for must come.

use ahash::{AHashMap, AHashSet};

use crate::mismatch::{Kind, Mismatches};

/// Ids that are remembered at most; beyond that no further receipts are asked for.
const REMEMBERED_MAX: usize = 4_000_000;

/// One per run.
#[derive(Default)]
pub struct Receipts {
    /// Ids that were given and whose receipt has not come.
    expected: AHashSet<Box<[u8]>>,
    /// Receipts that came before the response that gives their id, or for no id at all.
    early: AHashMap<Box<[u8]>, u32>,
    /// Messages that asked for a receipt and were accepted.
    pub requested: u64,
    /// Receipts that came.
    pub received: u64,
    /// Of these, for ids that were given.
    pub matched: u64,
    /// Of these, that tell of a state on the way.
    pub intermediate: u64,
}

impl Receipts {
    /// Whether another receipt may be asked for.
    pub fn has_room(&self) -> bool {
        self.expected.len() + self.early.len() < REMEMBERED_MAX
    }

    /// Receipts that are still to come.
    pub fn missing(&self) -> usize {
        self.expected.len()
    }

    /// An id was given to a message that asked for a receipt.
    pub fn given(&mut self, id: &[u8], mismatches: &mut Mismatches) {
        self.requested += 1;
        if let Some(count) = self.early.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.early.remove(id);
            }
            self.matched += 1;
        } else if !self.expected.insert(id.into()) {
            mismatches.count(Kind::RepeatedId, || format!("id {} was given twice", text(id)));
        }
    }

    /// A receipt came.
    pub fn came(&mut self, id: &[u8], mismatches: &mut Mismatches) {
        self.received += 1;
        if self.expected.remove(id) {
            self.matched += 1;
        } else if self.has_room() {
            *self.early.entry(id.into()).or_default() += 1;
        } else {
            mismatches.count(Kind::Receipt, || format!("receipt for unknown id {}", text(id)));
        }
    }

    /// At the end: what came too early never had its id given, but for the responses that were
    /// lost with their connection.
    pub fn finish(&mut self, mut lost: u64, mismatches: &mut Mismatches) {
        for (id, count) in self.early.drain() {
            for _ in 0..count {
                if lost > 0 {
                    lost -= 1;
                    continue;
                }
                mismatches.count(Kind::Receipt, || {
                    format!("receipt for id {}, which was not given or had one before", text(&id))
                });
            }
        }
    }
}

/// Octets as text, for an explanation.
pub fn text(octets: &[u8]) -> String {
    format!("\"{}\"", octets.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_may_overtake_their_response() {
        let (mut receipts, mut mismatches) = (Receipts::default(), Mismatches::default());
        receipts.came(b"a", &mut mismatches);
        receipts.given(b"a", &mut mismatches);
        receipts.given(b"b", &mut mismatches);
        receipts.came(b"b", &mut mismatches);
        receipts.finish(0, &mut mismatches);
        assert_eq!((receipts.matched, receipts.missing(), mismatches.total()), (2, 0, 0));
    }

    #[test]
    fn unknown_and_repeated_receipts_are_mismatches() {
        let (mut receipts, mut mismatches) = (Receipts::default(), Mismatches::default());
        receipts.given(b"a", &mut mismatches);
        receipts.given(b"c", &mut mismatches);
        for id in [b"a", b"a", b"x"] {
            receipts.came(id, &mut mismatches);
        }
        receipts.finish(0, &mut mismatches);
        assert_eq!((receipts.matched, receipts.missing(), mismatches.total()), (1, 1, 2));
    }
}
