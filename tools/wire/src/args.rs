//! Values on the command line, with errors that say what is allowed.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use codec::{CommandStatus, InterfaceVersion};

use crate::BindMode;

/// `5ms`, `1.5s`, `200us`, `2m`, `1h`; a bare 0 needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let allowed = || format!("\"{text}\" is no duration; write it like 200us, 5ms, 1.5s, 2m or 1h");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().map_err(|_| allowed())?;
    let scale = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "" if number == 0.0 => 1.0,
        _ => return Err(allowed()),
    };
    Duration::try_from_secs_f64(number * scale).map_err(|_| allowed())
}

/// A share: `0.01`, or `1%`.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.parse::<f64>().ok().map(|number| number / scale);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("\"{text}\" is no share; write it as 0..1 or as 0%..100%"))
}

/// So many a second: `500`, `20k`, `1.5M`.
pub fn parse_per_second(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let rate = number.parse::<f64>().ok().map(|number| number * scale);
    rate.filter(|rate| *rate > 0.0 && rate.is_finite())
        .ok_or_else(|| format!("\"{text}\" is no rate; write it like 500, 20k or 1.5M (a second)"))
}

/// A command_status by name (`ESME_RSYSERR`, or `RSYSERR`) or number (8, 0x400).
pub fn parse_status(text: &str) -> Result<CommandStatus, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    number
        .map(CommandStatus)
        .or_else(|| CommandStatus::from_name(text))
        .or_else(|| CommandStatus::from_name(&format!("ESME_{text}")))
        .ok_or_else(|| format!("\"{text}\" is no command_status; use a name of SMPP or a number"))
}

/// `STATUS=SHARE`.
pub fn parse_status_share(text: &str) -> Result<(CommandStatus, f64), String> {
    let (status, share) =
        text.split_once('=').ok_or_else(|| format!("\"{text}\" is not STATUS=SHARE"))?;
    Ok((parse_status(status)?, parse_share(share)?))
}

/// `3.3`, `3.4` or `5.0`.
pub fn parse_version(text: &str) -> Result<InterfaceVersion, String> {
    match text {
        "3.3" => Ok(InterfaceVersion::V3_3),
        "3.4" => Ok(InterfaceVersion::V3_4),
        "5.0" | "5" => Ok(InterfaceVersion::V5_0),
        _ => Err(format!("\"{text}\" is no version of SMPP; use 3.3, 3.4 or 5.0")),
    }
}

/// `tx`, `rx` or `trx`.
pub fn parse_bind_mode(text: &str) -> Result<BindMode, String> {
    match text {
        "tx" | "transmitter" => Ok(BindMode::Transmitter),
        "rx" | "receiver" => Ok(BindMode::Receiver),
        "trx" | "transceiver" => Ok(BindMode::Transceiver),
        _ => Err(format!("\"{text}\" is no kind of bind; use tx, rx or trx")),
    }
}

/// `HOST:PORT` as an address; a name that has several gives its first IPv4 one.
pub fn resolve(text: &str) -> Result<SocketAddr, String> {
    let addresses: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|error| format!("\"{text}\": {error}"))?.collect();
    let v4 = addresses.iter().find(|address| address.is_ipv4());
    v4.or_else(|| addresses.first()).copied().ok_or_else(|| format!("\"{text}\" has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for wrong in ["5", "ms", "-1s", "5 days", ""] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn statuses_have_names_and_numbers() {
        assert_eq!(parse_status("ESME_RSYSERR"), Ok(CommandStatus::ESME_RSYSERR));
        assert_eq!(parse_status("RSYSERR"), Ok(CommandStatus::ESME_RSYSERR));
        assert_eq!(parse_status("0x400"), Ok(CommandStatus(0x400)));
        assert!(parse_status("NONSENSE").is_err());
        let pair = parse_status_share("ESME_RTHROTTLED=1%");
        assert_eq!(pair, Ok((CommandStatus::ESME_RTHROTTLED, 0.01)));
    }

    #[test]
    fn rates_and_shares_are_bounded() {
        assert_eq!(parse_per_second("20k"), Ok(20_000.0));
        assert!(parse_per_second("0").is_err());
        assert!(parse_share("1.5").is_err());
    }
}
