//! How people write durations and sizes: `50ms`, `10 minutes`, `7 days`; `64 KiB`, `1 MiB`.

use std::time::Duration;

/// The words for units of time, and how many microseconds each has.
const TIMES: &[(&[&str], u64)] = &[
    (&["us", "microsecond", "microseconds"], 1),
    (&["ms", "millisecond", "milliseconds"], 1_000),
    (&["s", "sec", "second", "seconds"], 1_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000),
    (&["h", "hour", "hours"], 3_600_000_000),
    (&["d", "day", "days"], 86_400_000_000),
];

/// The words for units of size, and how many bytes each has.
const SIZES: &[(&[&str], u64)] = &[
    (&["", "b", "byte", "bytes"], 1),
    (&["kb"], 1_000),
    (&["mb"], 1_000_000),
    (&["gb"], 1_000_000_000),
    (&["kib"], 1 << 10),
    (&["mib"], 1 << 20),
    (&["gib"], 1 << 30),
];

/// Reads a duration: a whole number and a unit.
///
/// ```
/// use proxima_cli::job::units::duration;
/// use std::time::Duration;
/// assert_eq!(duration("50ms"), Some(Duration::from_millis(50)));
/// assert_eq!(duration("10 minutes"), Some(Duration::from_secs(600)));
/// assert_eq!(duration("50"), None);
/// ```
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    quantity(text, TIMES).map(Duration::from_micros)
}

/// Reads a size in bytes: a whole number and, if it is not bytes, a unit.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    quantity(text, SIZES)
}

fn quantity(text: &str, units: &[(&[&str], u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.replace('_', "").parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_all_spellings() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("250us"), Some(0.000_25));
        assert_eq!(seconds(" 1 s "), Some(1.0));
        assert_eq!(seconds("2min"), Some(120.0));
        assert_eq!(seconds("1 Hour"), Some(3600.0));
        assert_eq!(seconds("7 days"), Some(604_800.0));
        for bad in ["", "ms", "5", "5 parsecs", "-1s", "1.5s", "99999999999999999 days"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_in_powers_of_ten_and_two() {
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("1 MiB"), Some(1_048_576));
        assert_eq!(size("1MB"), Some(1_000_000));
        assert_eq!(size("2_048 bytes"), Some(2048));
        for bad in ["", "MiB", "1 MiBs", "-1"] {
            assert_eq!(size(bad), None, "{bad:?}");
        }
    }
}
