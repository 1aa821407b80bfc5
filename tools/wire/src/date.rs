//! The dates in the text of a receipt.

use std::time::{SystemTime, UNIX_EPOCH};

/// `YYMMDDhhmm`, as the text of a receipt has it.
pub type ReceiptDate = [u8; 10];

/// Writes a moment as UTC in the form of a receipt.
pub fn receipt_date(at: SystemTime) -> ReceiptDate {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    let mut date = ReceiptDate::default();
    for (pair, value) in date.chunks_exact_mut(2).zip([year % 100, month, day, hour, minute]) {
        pair[0] = b'0' + (value / 10) as u8;
        pair[1] = b'0' + (value % 10) as u8;
    }
    date
}

/// Year, month and day of a day since 1970, counted in years that begin in March so that the
/// leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, b"7001010000"),
            (951_782_400, b"0002290000"),
            (1_709_251_199, b"2402292359"),
            (1_735_689_600, b"2501010000"),
        ] {
            assert_eq!(&receipt_date(UNIX_EPOCH + Duration::from_secs(seconds)), date);
        }
    }
}
