//! Addresses on the command line.

use std::str::FromStr;

use codec::Address;

/// The longest address of a message, without its NUL.
const ADDRESS_MAX: usize = 20;
/// The most digits that a counter in a pattern has.
const COUNTER_MAX: usize = 9;

/// An address with its type of number and numbering plan.
///
/// Written `46701234567` or `+46701234567` (international, ISDN), `Name` (alphanumeric), or with
/// both spelled out, `TON:NPI:ADDRESS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedAddress {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
    /// What stands in the PDU, without the NUL.
    pub digits: Vec<u8>,
}

impl OwnedAddress {
    /// As the codec takes it.
    pub fn view(&self) -> Address<'_> {
        Address::new(self.ton, self.npi, &self.digits)
    }
}

impl FromStr for OwnedAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ton, npi, address) = split(text)?;
        checked(ton, npi, address)
    }
}

fn split(text: &str) -> Result<(u8, u8, &str), String> {
    if let [ton, npi, address] = text.splitn(3, ':').collect::<Vec<_>>()[..] {
        let number = |field: &str, name: &str| {
            field.parse::<u8>().map_err(|_| format!("{name} \"{field}\" is no number in 0..=255"))
        };
        return Ok((number(ton, "TON")?, number(npi, "NPI")?, address));
    }
    let address = text.strip_prefix('+').unwrap_or(text);
    let numeric = !address.is_empty() && address.bytes().all(|b| b.is_ascii_digit());
    Ok(if numeric { (1, 1, address) } else { (5, 0, text) })
}

fn checked(ton: u8, npi: u8, address: &str) -> Result<OwnedAddress, String> {
    if address.len() > ADDRESS_MAX || address.contains('\0') {
        return Err(format!("address \"{address}\" has more than {ADDRESS_MAX} octets"));
    }
    Ok(OwnedAddress { ton, npi, digits: address.as_bytes().to_vec() })
}

/// An address in which a part may count: `4670%06d` gives 4670000000, 4670000001 and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPattern {
    /// The address for the count of 0; each other one has the same length.
    pub first: OwnedAddress,
    counter: Option<(usize, usize)>,
}

impl AddressPattern {
    /// Where the counter stands in the address (offset and length), if there is one.
    pub fn counter(&self) -> Option<(usize, usize)> {
        self.counter
    }
}

impl FromStr for AddressPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((head, tail)) = text.split_once('%') else {
            return Ok(Self { first: text.parse()?, counter: None });
        };
        let malformed = || format!("\"%{tail}\" is no counter; write it %0Nd with N in 1..=9");
        let (width, tail) = tail.split_once('d').ok_or_else(malformed)?;
        let width = width.strip_prefix('0').and_then(|width| width.parse::<usize>().ok());
        let width =
            width.filter(|width| (1..=COUNTER_MAX).contains(width)).ok_or_else(malformed)?;
        let first: OwnedAddress = format!("{head}{}{tail}", "0".repeat(width)).parse()?;
        let offset = first.digits.len() - width - tail.len();
        Ok(Self { first, counter: Some((offset, width)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_number_are_guessed_or_given() {
        let parsed = |text: &str| {
            let address: OwnedAddress = text.parse().unwrap();
            (address.ton, address.npi, String::from_utf8(address.digits).unwrap())
        };
        assert_eq!(parsed("46701"), (1, 1, "46701".into()));
        assert_eq!(parsed("+46701"), (1, 1, "46701".into()));
        assert_eq!(parsed("Bank"), (5, 0, "Bank".into()));
        assert_eq!(parsed("3:0:72404"), (3, 0, "72404".into()));
        assert!("1:300:1".parse::<OwnedAddress>().is_err());
        assert!("123456789012345678901".parse::<OwnedAddress>().is_err());
    }

    #[test]
    fn patterns_have_one_length() {
        let pattern: AddressPattern = "+4670%04d9".parse().unwrap();
        assert_eq!(pattern.first.digits, b"467000009");
        assert_eq!(pattern.counter(), Some((4, 4)));
        assert!("4670%d".parse::<AddressPattern>().is_err());
    }
}
