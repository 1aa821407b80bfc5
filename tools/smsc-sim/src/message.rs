//! The messages that were taken, and their ids.

use std::collections::VecDeque;
use std::time::Instant;

use crate::args::IdStyle;

/// The longest token that is echoed.
pub const TOKEN_MAX: usize = 16;
/// The longest message id that is given: letters of the instance, UUID, point and token.
pub const ID_MAX: usize = 64;
/// The longest id that a 3.3 session takes.
const ID_MAX_V3_3: usize = 8;

/// What a text began with: `RH:` token `;`. Empty when it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    len: u8,
    octets: [u8; TOKEN_MAX],
}

impl Token {
    /// The token of a text.
    pub fn of(text: &[u8]) -> Self {
        let Some(text) = text.strip_prefix(b"RH:") else { return Self::default() };
        let mut token = Self::default();
        for (index, octet) in text.iter().take(TOKEN_MAX + 1).enumerate() {
            match octet {
                b';' => {
                    token.len = index as u8;
                    return token;
                }
                octet if octet.is_ascii_alphanumeric() && index < TOKEN_MAX => {
                    token.octets[index] = *octet;
                }
                _ => break,
            }
        }
        Self::default()
    }

    fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// A message id as it stands in a PDU, without the NUL.
#[derive(Clone, Copy)]
pub struct MessageId {
    len: u8,
    octets: [u8; ID_MAX],
}

impl MessageId {
    fn empty() -> Self {
        Self { len: 0, octets: [0; ID_MAX] }
    }

    /// An id that a peer sent; `None` when it is too long to be one of ours.
    pub fn of(octets: &[u8]) -> Option<Self> {
        (octets.len() <= ID_MAX).then(|| {
            let mut id = Self::empty();
            id.push(octets);
            id
        })
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    fn push(&mut self, octets: &[u8]) {
        let start = usize::from(self.len);
        let end = (start + octets.len()).min(ID_MAX);
        self.octets[start..end].copy_from_slice(&octets[..end - start]);
        self.len = end as u8;
    }

    /// At least `width` digits.
    fn push_digits(&mut self, mut number: u64, base: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        while number > 0 {
            start -= 1;
            digits[start] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
        }
        self.push(&digits[start.min(digits.len() - width)..]);
    }
}

/// Makes and reads the ids of one instance.
pub struct IdForm {
    style: IdStyle,
    prefix: String,
}

impl IdForm {
    /// The form for an instance, counted from 0.
    pub fn new(style: IdStyle, instance: usize) -> Self {
        let prefix = match style {
            IdStyle::Decimal => (instance + 1).to_string(),
            IdStyle::Hex | IdStyle::Uuid => instance_letters(instance),
        };
        Self { style, prefix }
    }

    /// The id of a message; `short` is the form for a 3.3 session, without token.
    pub fn id(&self, number: u64, token: &Token, short: bool) -> MessageId {
        let mut id = MessageId::empty();
        id.push(self.prefix.as_bytes());
        let (base, width) = match self.style {
            IdStyle::Decimal => (10, 7),
            IdStyle::Hex | IdStyle::Uuid => (16, 7),
        };
        if short {
            let width = ID_MAX_V3_3 - self.prefix.len();
            id.push_digits(number % u64::pow(base, width as u32), base, width);
            return id;
        }
        match self.style {
            IdStyle::Hex | IdStyle::Decimal => id.push_digits(number, base, width),
            IdStyle::Uuid => push_uuid(&mut id, number),
        }
        if token.len > 0 {
            id.push(b".");
            id.push(token.as_bytes());
        }
        id
    }

    /// The number in an id, if it can be one of ours: modulo 16^7 (or less) for a short id.
    fn number(&self, id: &[u8]) -> Option<u64> {
        let digits = id.strip_prefix(self.prefix.as_bytes())?;
        let digits = digits.split(|octet| *octet == b'.').next()?;
        let digits = match self.style {
            IdStyle::Uuid if digits.len() == 36 => &digits[24..],
            _ => digits,
        };
        let base = if self.style == IdStyle::Decimal { 10 } else { 16 };
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()
    }
}

/// The number fills the last group; the others look as random as those of a UUID do.
fn push_uuid(id: &mut MessageId, number: u64) {
    let mixed = (number ^ 0x5EED).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    id.push_digits(mixed >> 32, 16, 8);
    for group in [mixed >> 16 & 0xFFFF, 0x4000 | mixed & 0xFFF, 0x8000 | mixed >> 20 & 0xFFF] {
        id.push(b"-");
        id.push_digits(group, 16, 4);
    }
    id.push(b"-");
    id.push_digits(number & 0xFFFF_FFFF_FFFF, 16, 12);
}

/// `A`, `B` .. `Z`, `BA`, `BB` ..
pub fn instance_letters(instance: usize) -> String {
    let last = char::from(b'A' + (instance % 26) as u8);
    match instance / 26 {
        0 => last.to_string(),
        more => format!("{}{last}", instance_letters(more)),
    }
}

/// What is remembered of a message.
#[derive(Clone, Copy)]
pub struct Record {
    /// The token in its id.
    pub token: Token,
    /// Whether its id is in the form for a 3.3 session.
    pub short: bool,
    /// Whether it was cancelled.
    pub deleted: bool,
    /// Whether it ends undelivered.
    pub fails: bool,
    /// Hash of its source and destination.
    pub route: u32,
    /// When it comes to its end.
    pub done_at: Instant,
}

/// The latest messages of one instance; the oldest are forgotten. One per instance.
pub struct Messages {
    form: IdForm,
    records: VecDeque<Record>,
    /// The number of the oldest record.
    first: u64,
    max: usize,
}

impl Messages {
    /// Remembers at most `max` messages.
    pub fn new(form: IdForm, max: usize) -> Self {
        Self { form, records: VecDeque::new(), first: 1, max }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Takes a message; gives its number.
    #[inline]
    pub fn add(&mut self, record: Record) -> u64 {
        if self.records.len() == self.max {
            self.records.pop_front();
            self.first += 1;
        }
        self.records.push_back(record);
        self.first + self.records.len() as u64 - 1
    }

    /// The id of a message.
    #[inline]
    pub fn id(&self, number: u64, token: &Token, short: bool) -> MessageId {
        self.form.id(number, token, short)
    }

    /// A message by number, unless it is forgotten.
    pub fn by_number(&mut self, number: u64) -> Option<&mut Record> {
        let index = number.checked_sub(self.first)?;
        self.records.get_mut(usize::try_from(index).ok()?)
    }

    /// A message by id, unless it is unknown or forgotten.
    pub fn by_id(&mut self, id: &[u8]) -> Option<&mut Record> {
        let mut number = self.form.number(id)?;
        if id.len() <= ID_MAX_V3_3 {
            number = self.latest_of(number);
        }
        let record = *self.by_number(number)?;
        let own = self.form.id(number, &record.token, record.short);
        if own.as_bytes() == id { self.by_number(number) } else { None }
    }

    /// Marks all that are on their way between two addresses as deleted; says how many.
    pub fn delete_route(&mut self, route: u32, now: Instant) -> usize {
        let mut deleted = 0;
        for record in &mut self.records {
            if record.route == route && !record.deleted && now < record.done_at {
                record.deleted = true;
                deleted += 1;
            }
        }
        deleted
    }

    /// Of all numbers with the same last digits, the latest that was given.
    fn latest_of(&self, short: u64) -> u64 {
        let base: u64 = if self.form.style == IdStyle::Decimal { 10 } else { 16 };
        let width = ID_MAX_V3_3.saturating_sub(self.form.prefix.len()) as u32;
        let modulus = base.pow(width);
        let last = self.first + self.records.len() as u64 - 1;
        last.checked_sub(short).map_or(short, |behind| short + behind / modulus * modulus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(token: Token) -> Record {
        let done_at = Instant::now();
        Record { token, short: false, deleted: false, fails: false, route: 7, done_at }
    }

    #[test]
    fn tokens_end_with_a_semicolon() {
        assert_eq!(Token::of(b"RH:ab1;hello").as_bytes(), b"ab1");
        assert_eq!(Token::of(b"RH:0123456789abcdef;").as_bytes(), b"0123456789abcdef");
        for none in [&b"RH:0123456789abcdefg;"[..], b"RH:ab", b"RH:a b;", b"RH:;", b"hello"] {
            assert_eq!(Token::of(none).as_bytes(), b"", "{none:?}");
        }
    }

    #[test]
    fn ids_lead_back_to_their_message() {
        for style in [IdStyle::Hex, IdStyle::Decimal, IdStyle::Uuid] {
            let mut messages = Messages::new(IdForm::new(style, 1), 3);
            let token = Token::of(b"RH:tok;");
            let ids: Vec<_> = (0..5)
                .map(|_| {
                    let number = messages.add(record(token));
                    messages.id(number, &token, false)
                })
                .collect();
            let found =
                |id: &MessageId, messages: &mut Messages| messages.by_id(id.as_bytes()).is_some();
            let all: Vec<_> = ids.iter().map(|id| found(id, &mut messages)).collect();
            assert_eq!(all, [false, false, true, true, true], "{style:?}");
            assert!(messages.by_id(b"B0000005.other").is_none());
        }
    }

    #[test]
    fn short_ids_fit_eight_octets() {
        for style in [IdStyle::Hex, IdStyle::Decimal, IdStyle::Uuid] {
            for instance in [0, 9, 30] {
                let mut messages = Messages::new(IdForm::new(style, instance), 10);
                messages.first = 999_999_999_990;
                let number = messages.add(Record { short: true, ..record(Token::default()) });
                let id = messages.id(number, &Token::default(), true);
                assert_eq!(id.as_bytes().len(), 8);
                assert!(messages.by_id(id.as_bytes()).is_some(), "{style:?} {instance}");
            }
        }
    }

    #[test]
    fn ids_look_like_their_style() {
        let id = |style, number| {
            let id = IdForm::new(style, 0).id(number, &Token::of(b"RH:x1;"), false);
            String::from_utf8(id.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(id(IdStyle::Hex, 31), "A000001f.x1");
        assert_eq!(id(IdStyle::Decimal, 31), "10000031.x1");
        assert_eq!(id(IdStyle::Uuid, 31).len(), 1 + 36 + 3);
        assert_eq!(instance_letters(27), "BB");
    }
}
