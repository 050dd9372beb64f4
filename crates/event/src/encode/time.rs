//! Dates and times as ISO text, from Arrow's numbers.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use chrono::{DateTime, NaiveDate};

/// The number that Arrow holds for a timestamp.
#[must_use]
pub fn raw_timestamp(array: &dyn Array, unit: TimeUnit, row: usize) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
    }
}

/// The microseconds since midnight that Arrow holds for a time of day.
#[must_use]
pub fn raw_time(array: &dyn Array, row: usize) -> i64 {
    array.as_primitive::<Time64MicrosecondType>().value(row)
}

/// `2010-12-01`.
#[must_use]
pub fn format_date(days: i64) -> String {
    let date = days.checked_add(719_163).and_then(|days| NaiveDate::from_num_days_from_ce_opt(days.try_into().ok()?));
    date.map_or_else(|| format!("{days} days"), |date| date.format("%Y-%m-%d").to_string())
}

/// `08:26:00.000000`.
#[must_use]
pub fn format_time(micros: i64) -> String {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    format!("{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2010-12-01T08:26:00.000`, with as many digits as the unit has (at least 3), and `Z` behind an instant.
#[must_use]
pub fn format_timestamp(raw: i64, unit: TimeUnit, zone: bool) -> String {
    let (per_second, digits) = match unit {
        TimeUnit::Second => (1, 3),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    };
    let nanos = raw.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let nanos = u32::try_from(nanos).expect("a fraction of a second is below 10^9 nanoseconds");
    let Some(at) = DateTime::from_timestamp(raw.div_euclid(per_second), nanos) else {
        return format!("{raw} {unit:?}s");
    };
    let text = match digits {
        3 => at.format("%Y-%m-%dT%H:%M:%S%.3f"),
        6 => at.format("%Y-%m-%dT%H:%M:%S%.6f"),
        _ => at.format("%Y-%m-%dT%H:%M:%S%.9f"),
    };
    format!("{text}{}", if zone { "Z" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_text() {
        assert_eq!(format_date(14_944), "2010-12-01");
        assert_eq!(format_date(-1), "1969-12-31");
        assert_eq!(format_timestamp(-1, TimeUnit::Microsecond, false), "1969-12-31T23:59:59.999999");
        assert_eq!(format_timestamp(1, TimeUnit::Nanosecond, true), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(format_time(30_360_000_001), "08:26:00.000001");
    }
}
