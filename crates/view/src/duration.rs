//! Durations as people write them: `50ms`, `1s`, `10 minutes`, `7 days`.

use std::time::Duration;

/// Reads a duration: a whole number and a unit, with or without a blank between them.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(proxima_view::parse_duration("10 minutes"), Some(Duration::from_secs(600)));
/// assert_eq!(proxima_view::parse_duration("50ms"), Some(Duration::from_millis(50)));
/// assert_eq!(proxima_view::parse_duration("soon"), None);
/// ```
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit_us: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "us" | "microsecond" | "microseconds" => 1,
        "ms" | "millisecond" | "milliseconds" => 1_000,
        "s" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000,
        "h" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        "w" | "week" | "weeks" => 604_800_000_000,
        _ => return None,
    };
    number.checked_mul(unit_us).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_not() {
        for (text, ms) in [("1s", 1_000), ("2 weeks", 1_209_600_000), ("7 days", 604_800_000), (" 3 h ", 10_800_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "5", "days", "-1 s", "1.5 s", "5 parsecs", "99999999999999999999 s", "18446744073709551615 days"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
