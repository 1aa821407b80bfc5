//! Durations and sizes as people write them: a whole number and a unit.

use std::time::Duration;

const TIMES: &[(&str, u64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"250ms"`; units are us, ms, s, m, h, d.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, TIMES).map(Duration::from_micros)
}

/// Reads `"64KiB"`; units are B, KiB, MiB, GiB.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    parse(text, SIZES)
}

/// Writes what [`parse_duration`] reads, in the largest unit that fits without a fraction.
pub(crate) fn format_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_micros()) {
        Ok(0) => "0s".into(),
        Ok(micros) => format(micros, TIMES),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

/// Writes what [`parse_size`] reads, in the largest unit that fits without a fraction.
pub(crate) fn format_size(octets: u64) -> String {
    if octets == 0 { "0B".into() } else { format(octets, SIZES) }
}

/// `exactly 2`, `at most 15`, or `1 to 8`.
pub(crate) fn from_to(min: usize, max: usize) -> String {
    match min {
        _ if min == max => format!("exactly {max}"),
        0 => format!("at most {max}"),
        _ => format!("{min} to {max}"),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start_matches(' ');
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

fn format(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, scale): &&(&str, u64)| amount.is_multiple_of(*scale);
    units
        .iter()
        .find(fits)
        .map_or_else(|| amount.to_string(), |(u, s)| format!("{}{u}", amount / s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, micros) in [("0s", 0), ("1us", 1), ("250ms", 250_000), ("90s", 90_000_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_micros(micros)));
            assert_eq!(format_duration(Duration::from_micros(micros)), text);
        }
        assert_eq!(format_duration(Duration::from_secs(7200)), "2h");
        assert_eq!(parse_duration("5 s"), Some(Duration::from_secs(5)));
        for text in
            ["", "s", "5", "5S", "-1s", "1.5s", "1m30s", "99999999999999999999d", "1e3s", "5é"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, octets) in [("0B", 0), ("70KiB", 71_680), ("1MiB", 1 << 20), ("1025B", 1025)] {
            assert_eq!(parse_size(text), Some(octets));
            assert_eq!(format_size(octets), text);
        }
        for text in ["64", "64KB", "64k", "18446744073709551615GiB", "KiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
