//! Compiled address ranges, kept by their text.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use router::pools::Pattern;

/// Compiled ranges, the oldest pushed out first. Control thread; the patterns are shared with the
/// cores that use them.
#[derive(Debug)]
pub(crate) struct Patterns {
    kept: HashMap<Box<[u8]>, Option<Arc<Pattern>>>,
    /// The keys of `kept` in the order they came.
    order: VecDeque<Box<[u8]>>,
    kept_max: usize,
}

impl Patterns {
    pub(crate) fn new(kept_max: usize) -> Self {
        assert!(kept_max > 0);
        Self { kept: HashMap::new(), order: VecDeque::new(), kept_max }
    }

    /// The matcher of `range`; `None` when it is not legal. Illegal ranges are remembered too.
    pub(crate) fn compile(&mut self, range: &[u8]) -> Option<Arc<Pattern>> {
        if let Some(found) = self.kept.get(range) {
            return found.clone();
        }
        if self.order.len() == self.kept_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        let compiled = Pattern::compile(range).ok().map(Arc::new);
        self.kept.insert(range.into(), compiled.clone());
        self.order.push_back(range.into());
        debug_assert_eq!(self.kept.len(), self.order.len());
        compiled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_compiled_once() {
        let mut patterns = Patterns::new(4);
        let first = patterns.compile(b"^46[0-9]{3}").unwrap();
        let again = patterns.compile(b"^46[0-9]{3}").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn an_illegal_range_has_no_matcher() {
        let mut patterns = Patterns::new(4);
        assert!(patterns.compile(b"^46[").is_none());
        assert!(patterns.compile(b"^46[").is_none());
        assert_eq!(patterns.order.len(), 1);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut patterns = Patterns::new(2);
        for range in [&b"a[0-9]"[..], b"b[0-9]", b"c[0-9]", b"d[0-9]"] {
            patterns.compile(range);
        }
        assert_eq!(patterns.kept.len(), 2);
        assert!(patterns.kept.contains_key(&b"d[0-9]"[..]));
        assert!(!patterns.kept.contains_key(&b"b[0-9]"[..]));
    }
}
