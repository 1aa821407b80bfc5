//! What did not match, counted by kind, the first few explained.

use serde_json::{Value, json};

/// Mismatches that are explained.
const EXPLAINED_MAX: usize = 10;

/// How a response or a receipt can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is outstanding under its sequence_number: wrong, or answered before.
    Sequence,
    /// It is another command than the request asks for.
    Command,
    /// Its id does not carry the token of its request.
    Token,
    /// It cannot be read.
    Malformed,
    /// The same id was given to two messages.
    RepeatedId,
    /// A receipt for an id that was not given, or a second one.
    Receipt,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Sequence, "sequence"),
    (Kind::Command, "command"),
    (Kind::Token, "token"),
    (Kind::Malformed, "malformed"),
    (Kind::RepeatedId, "repeated_id"),
    (Kind::Receipt, "receipt"),
];

/// One per run.
#[derive(Default)]
pub struct Mismatches {
    counts: [u64; KINDS.len()],
    explained: Vec<String>,
}

impl Mismatches {
    /// Counts one; the explanation is made only while it is wanted.
    pub fn count(&mut self, kind: Kind, explain: impl FnOnce() -> String) {
        self.counts[kind as usize] += 1;
        if self.explained.len() < EXPLAINED_MAX {
            self.explained.push(explain());
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The first few, in words.
    pub fn explained(&self) -> &[String] {
        &self.explained
    }

    /// As JSON: the total, each kind, and the explanations.
    pub fn json(&self) -> Value {
        let mut object = json!({"total": self.total()});
        for (kind, name) in KINDS {
            object[name] = json!(self.counts[kind as usize]);
        }
        object["explained"] = json!(self.explained);
        object
    }
}
