//! Numbers as people read them.

/// With separators: `1,234,567`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Per second: whole numbers from 10 on, one decimal below.
pub(super) fn rate(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..9.95 => format!("{value:.1}"),
        _ => count(value.round() as u64),
    }
}

/// A response time; `-` when there is none.
pub(super) fn latency(micros: Option<u64>) -> String {
    let Some(micros) = micros else { return "-".into() };
    let value = micros as f64;
    match micros {
        ..1_000 => format!("{micros} us"),
        1_000..10_000 => format!("{:.2} ms", value / 1e3),
        10_000..100_000 => format!("{:.1} ms", value / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", value / 1e3),
        _ => format!("{:.1} s", value / 1e6),
    }
}

/// How long something has been going on.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {:02} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// `1 client`, `2 clients`.
pub(super) fn plural(value: u64, noun: &str) -> String {
    match value {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", count(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.25, 9.94, 9.96, 12_345.4].map(rate),
            ["0", "0.2", "9.9", "10", "12,345"]
        );
        let latencies =
            [None, Some(850), Some(1_250), Some(12_500), Some(125_000), Some(2_100_000)];
        let texts = ["-", "850 us", "1.25 ms", "12.5 ms", "125 ms", "2.1 s"];
        assert_eq!(latencies.map(latency), texts);
        let texts = ["59 s", "1 min 01 s", "2 h 05 min", "3 d 01 h"];
        assert_eq!([59, 61, 7_500, 262_800].map(duration), texts);
        assert_eq!(
            (plural(1, "client"), plural(1_000, "client")),
            ("1 client".into(), "1,000 clients".into())
        );
    }
}
