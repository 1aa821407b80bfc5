//! Tokens: what tells each message from all others.

use wire::Random;

/// Characters of a token.
pub const TOKEN_LEN: usize = 10;
/// `RH:` in front of it and `;` behind it.
pub const TEXT_MIN: usize = TOKEN_LEN + 4;

/// Bits of a token that number the messages of a run; those above tell runs apart.
const NUMBER_BITS: u32 = 36;

/// A token as it stands in text and message id.
pub type Token = [u8; TOKEN_LEN];

/// Makes the tokens of a run.
pub struct Tokens {
    run: u64,
}

impl Tokens {
    /// Tokens that differ from those of other runs.
    pub fn new(random: &mut Random) -> Self {
        Self { run: random.number() << NUMBER_BITS }
    }

    /// The token of a message.
    #[inline]
    pub fn token(&self, number: u64) -> Token {
        let mut bits = self.run | number & ((1 << NUMBER_BITS) - 1);
        let mut token = [0; TOKEN_LEN];
        for octet in token.iter_mut().rev() {
            *octet = b"0123456789abcdefghijklmnopqrstuv"[(bits & 31) as usize];
            bits >>= 5;
        }
        token
    }
}

/// Whether a message id carries a token: behind a point, wherever that is, for a proxy may have
/// added to the id.
#[inline]
pub fn carries(id: &[u8], token: &Token) -> bool {
    let after = |at: usize| id.get(at + 1 + TOKEN_LEN);
    id.windows(TOKEN_LEN + 1).enumerate().any(|(at, window)| {
        window[0] == b'.'
            && &window[1..] == token
            && !after(at).is_some_and(u8::is_ascii_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_an_id_that_was_added_to() {
        let tokens = Tokens::new(&mut Random::new(1));
        let (one, two) = (tokens.token(1), tokens.token(2));
        assert_ne!(one, two);
        let id = [b"A0000001.", &one[..], b"#sig-01"].concat();
        assert!(carries(&id, &one));
        assert!(!carries(&id, &two));
        assert!(!carries(&one, &one));
        assert!(!carries(&[b".", &one[..], b"x"].concat(), &one));
        assert!(!carries(b"", &one));
    }

    #[test]
    fn runs_differ() {
        let (one, two) = (Tokens::new(&mut Random::new(1)), Tokens::new(&mut Random::new(2)));
        assert_ne!(one.token(1), two.token(1));
    }
}
