//! The message that is sent, over and over.

use codec::build::SubmitSm;
use codec::{HEADER_LEN, edit};
use wire::AddressPattern;

use crate::token::{TOKEN_LEN, Token};

/// Of `RH:token;`.
const TOKEN_OFFSET: usize = 3;

/// A submit_sm of which a few octets change from message to message: the counters of the
/// addresses, the token, registered_delivery and the sequence_number.
pub struct Template {
    pdu: Vec<u8>,
    source: Option<(usize, usize)>,
    destination: Option<(usize, usize)>,
    registered_delivery: usize,
    token: usize,
}

impl Template {
    /// A message of `size` octets of text.
    pub fn new(from: &AddressPattern, to: &AddressPattern, size: usize) -> Self {
        let mut text = b"RH:".to_vec();
        text.resize(TOKEN_OFFSET + TOKEN_LEN, b'0');
        text.push(b';');
        text.resize(size.max(text.len()), b'x');
        let mut pdu = Vec::new();
        let message = SubmitSm {
            source: from.first.view(),
            destination: to.first.view(),
            short_message: &text,
            ..SubmitSm::default()
        };
        message.append(&mut pdu, 0);
        // service_type is one NUL; two octets of TON and NPI precede each address.
        let source = HEADER_LEN + 1 + 2;
        let destination = source + from.first.digits.len() + 1 + 2;
        // esm_class, protocol_id, priority_flag and two empty times precede it; three octets
        // and sm_length follow.
        let registered_delivery = destination + to.first.digits.len() + 1 + 5;
        let counter = |pattern: &AddressPattern, address: usize| {
            pattern.counter().map(|(offset, width)| (address + offset, width))
        };
        Self {
            source: counter(from, source),
            destination: counter(to, destination),
            registered_delivery,
            token: registered_delivery + 5 + TOKEN_OFFSET,
            pdu,
        }
    }

    /// Appends the message of a number.
    #[inline]
    pub fn append(
        &mut self,
        out: &mut Vec<u8>,
        sequence: u32,
        number: u64,
        token: &Token,
        registered: bool,
    ) {
        edit::set_sequence_number(&mut self.pdu, sequence);
        for (offset, width) in [self.source, self.destination].into_iter().flatten() {
            write_number(&mut self.pdu[offset..offset + width], number);
        }
        self.pdu[self.registered_delivery] = u8::from(registered);
        self.pdu[self.token..self.token + TOKEN_LEN].copy_from_slice(token);
        out.extend_from_slice(&self.pdu);
    }
}

/// The last digits of a number, as many as there is room for.
fn write_number(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::{CommandId, Message, Pdu};

    #[test]
    fn the_changing_octets_are_where_they_belong() {
        let from = "46%03d".parse().unwrap();
        let to = "+4670%04d9".parse().unwrap();
        let mut template = Template::new(&from, &to, 20);
        let mut out = Vec::new();
        template.append(&mut out, 77, 123_456, b"abcdefghij", true);
        let pdu = Pdu::new_checked(&out).unwrap();
        assert_eq!(pdu.command_id(), CommandId::SUBMIT_SM);
        assert_eq!(pdu.sequence_number(), 77);
        let message = Message::parse(pdu).unwrap();
        assert_eq!(message.source.digits, b"46456");
        assert_eq!(message.destination.digits, b"467034569");
        assert_eq!(message.registered_delivery, 1);
        assert_eq!(message.short_message, b"RH:abcdefghij;xxxxxx");
    }
}
