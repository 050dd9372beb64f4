//! Time in the shop: milliseconds since 1970, shown on the wall clock of Asia/Shanghai.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use std::io::{self, Write};

/// Milliseconds since 1970 in UTC.
pub type Millis = i64;

/// A second.
pub const SECOND: Millis = 1_000;
/// A minute.
pub const MINUTE: Millis = 60 * SECOND;
/// An hour.
pub const HOUR: Millis = 60 * MINUTE;
/// A day: Asia/Shanghai has known no other since 1991.
pub const DAY: Millis = 24 * HOUR;

/// How far the shop's clock is ahead of UTC.
const AHEAD: Millis = 8 * HOUR;

/// Midnight of 2 March 2026, a Monday, in the shop.
pub const START: Millis = 1_772_409_600_000 - AHEAD;

/// How busy each hour of a day is.
pub const HOURS: [u64; 24] =
    [26, 18, 13, 10, 9, 11, 17, 27, 38, 46, 51, 54, 58, 55, 52, 51, 52, 55, 61, 70, 78, 80, 66, 42];

/// The shop's wall clock at a moment.
#[must_use]
pub fn wall(at: Millis) -> NaiveDateTime {
    DateTime::from_timestamp_millis(at + AHEAD).expect("the model stays within a few years of 2026").naive_utc()
}

/// The day of a moment in the shop, in days since 1970.
#[must_use]
pub fn day_of(at: Millis) -> i32 {
    i32::try_from((at + AHEAD).div_euclid(DAY)).expect("the model stays within a few years of 2026")
}

/// The date of so many days since 1970.
#[must_use]
pub fn date(day: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(day).expect("the model stays within a few years of 2026")
}

/// Writes `2026-03-02 08:00:00`, as MySQL shows a DATETIME.
///
/// # Errors
/// When writing fails.
pub fn write_datetime(out: &mut impl Write, at: Millis) -> io::Result<()> {
    let wall = wall(at);
    write_date(out, wall.date())?;
    write!(out, " {:02}:{:02}:{:02}", wall.hour(), wall.minute(), wall.second())
}

/// `2026-03-02T08:00:00.000`, as documents show a TIMESTAMP(3).
#[must_use]
pub fn iso(at: Millis) -> String {
    wall(at).format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// Writes `2026-03-02`.
///
/// # Errors
/// When writing fails.
pub fn write_date(out: &mut impl Write, date: NaiveDate) -> io::Result<()> {
    write!(out, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

/// Whole years from one date to another.
#[must_use]
pub fn years_between(birthday: NaiveDate, day: NaiveDate) -> i32 {
    let number = |date: NaiveDate| date.year() * 10_000 + (date.month() * 100 + date.day()) as i32;
    (number(day) - number(birthday)) / 10_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_the_shop() {
        assert_eq!(iso(START), "2026-03-02T00:00:00.000");
        assert_eq!(iso(START - 1), "2026-03-01T23:59:59.999");
        assert_eq!(day_of(START), day_of(START - 1) + 1);
        assert_eq!(date(day_of(START)).to_string(), "2026-03-02");
    }

    #[test]
    fn years_are_whole_on_the_birthday() {
        let born = NaiveDate::from_ymd_opt(2000, 3, 2).unwrap();
        assert_eq!(years_between(born, date(day_of(START))), 26);
        assert_eq!(years_between(born, date(day_of(START) - 1)), 25);
    }
}
