//! Texts and their data_coding.

/// SMSC default alphabet; only its ASCII part is used here.
const DEFAULT: u8 = 0;
/// IA5, which is ASCII.
const IA5: u8 = 1;
/// ISO 8859-1.
const LATIN_1: u8 = 3;
/// UCS-2, big endian.
const UCS_2: u8 = 8;

/// The octets of a text, and its data_coding where none is asked for.
pub fn encode(text: &str, data_coding: Option<u8>) -> (u8, Vec<u8>) {
    let coding = data_coding.unwrap_or_else(|| {
        if text.is_ascii() {
            DEFAULT
        } else if text.chars().all(|c| u32::from(c) < 0x100) {
            LATIN_1
        } else {
            UCS_2
        }
    });
    let octets = match coding {
        UCS_2 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        LATIN_1 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
        _ => text.as_bytes().to_vec(),
    };
    (coding, octets)
}

/// A text for a person to read; what is no text as hexadecimal digits.
pub fn decode(octets: &[u8], data_coding: u8) -> String {
    match data_coding {
        DEFAULT | IA5 => String::from_utf8_lossy(octets).into_owned(),
        LATIN_1 => octets.iter().map(|octet| char::from(*octet)).collect(),
        UCS_2 => {
            let pairs = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(pairs).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_went() {
        for (text, coding) in [("hello", 0), ("smörgås", 3), ("привет 👋", 8)] {
            let (chosen, octets) = encode(text, None);
            assert_eq!((chosen, decode(&octets, chosen).as_str()), (coding, text));
        }
        assert_eq!(decode(&[1, 255], 4), "01ff");
    }
}
