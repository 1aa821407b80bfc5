//! Own requests that wait for their response, by sequence_number.

/// A window of outstanding requests. One per connection.
///
/// A ring: the slot of a request is its sequence_number modulo the size, so finding one costs
/// no hashing. The slot keeps the whole number.
pub struct Window<T> {
    slots: Vec<Option<(u32, T)>>,
    limit: usize,
    len: usize,
    next: u32,
}

/// The highest sequence_number that SMPP allows to a request.
const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;

impl<T> Window<T> {
    /// A window of at most `limit` outstanding requests.
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        // Twice the limit, so that a free slot is near even when answers come out of order.
        let size = (limit * 2).next_power_of_two();
        let mut slots = Vec::new();
        slots.resize_with(size, || None);
        Self { slots, limit, len: 0, next: 1 }
    }

    /// How many requests are outstanding.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no request is outstanding.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more requests may be sent.
    pub fn room(&self) -> usize {
        self.limit - self.len
    }

    /// Takes the next free sequence_number; `None` when the window is full.
    pub fn begin(&mut self, item: T) -> Option<u32> {
        if self.len == self.limit {
            return None;
        }
        loop {
            let number = self.next;
            self.next = if number == SEQUENCE_MAX { 1 } else { number + 1 };
            let slot = self.slot(number);
            if self.slots[slot].is_none() {
                self.slots[slot] = Some((number, item));
                self.len += 1;
                return Some(number);
            }
        }
    }

    /// Ends a request; `None` when no such request is outstanding.
    pub fn finish(&mut self, number: u32) -> Option<T> {
        let slot = self.slot(number);
        let entry = self.slots[slot].take_if(|entry| entry.0 == number)?;
        self.len -= 1;
        Some(entry.1)
    }

    /// What is outstanding, by sequence_number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().flatten().map(|(number, item)| (*number, item))
    }

    fn slot(&self, number: u32) -> usize {
        number as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_ends_once() {
        let mut window = Window::new(2);
        let first = window.begin('a').unwrap();
        let second = window.begin('b').unwrap();
        assert_eq!(window.begin('c'), None);
        assert_eq!(window.finish(second), Some('b'));
        assert_eq!(window.finish(second), None);
        assert_eq!(window.finish(first + 4), None);
        assert_eq!(window.finish(first), Some('a'));
        assert!(window.is_empty());
    }

    #[test]
    fn numbers_wrap_to_one_and_skip_the_outstanding() {
        let mut window = Window::new(2);
        window.next = SEQUENCE_MAX;
        assert_eq!(window.begin(()), Some(SEQUENCE_MAX));
        assert_eq!(window.finish(SEQUENCE_MAX), Some(()));
        let kept = window.begin(()).unwrap();
        assert_eq!(kept, 1);
        for _ in 0..20 {
            let number = window.begin(()).unwrap();
            assert_ne!(number, kept);
            assert_eq!(window.finish(number), Some(()));
        }
    }
}
