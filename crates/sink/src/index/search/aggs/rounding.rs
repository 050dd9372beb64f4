//! Which stretch of time a moment belongs to.

use super::super::SearchError;
use crate::index::time::DAY_MS;
use chrono::{DateTime, Datelike, NaiveDate};

/// How moments are put into buckets; all in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Equal stretches.
    Fixed {
        /// How long.
        width: i64,
        /// Where one of them begins.
        offset: i64,
    },
    /// So many months of the calendar, counted from January.
    Months {
        /// 1, 3 or 12.
        months: i64,
        /// How far the beginning is moved.
        offset: i64,
    },
}

impl Rounding {
    /// The beginning of the stretch that the moment is in.
    pub(crate) fn start(self, millis: i64) -> i64 {
        match self {
            Self::Fixed { width, offset } => {
                millis.saturating_sub(offset).div_euclid(width).saturating_mul(width).saturating_add(offset)
            }
            Self::Months { months, offset } => {
                let month = month_of(millis.saturating_sub(offset));
                month_start(month.div_euclid(months) * months).saturating_add(offset)
            }
        }
    }

    /// The beginning of the stretch after the one that begins here.
    pub(crate) fn next(self, start: i64) -> i64 {
        match self {
            Self::Fixed { width, .. } => start.saturating_add(width),
            Self::Months { months, offset } => {
                month_start(month_of(start.saturating_sub(offset)).saturating_add(months)).saturating_add(offset)
            }
        }
    }

    /// Moved by an offset, in milliseconds.
    pub(crate) fn moved(self, by: i64) -> Self {
        match self {
            Self::Fixed { width, offset } => Self::Fixed { width, offset: offset.saturating_add(by) },
            Self::Months { months, offset } => Self::Months { months, offset: offset.saturating_add(by) },
        }
    }

    /// Reads `fixed_interval`: `90m`, `1d`.
    pub(crate) fn fixed(text: &str) -> Result<Self, SearchError> {
        match duration(text) {
            Some(width) if width > 0 => Ok(Self::Fixed { width, offset: 0 }),
            _ => Err(SearchError::parsing(format!(
                "[fixed_interval] is a number with ms, s, m, h or d behind, not [{text}]; for weeks, months, quarters \
                 and years use [calendar_interval]"
            ))),
        }
    }

    /// Reads `calendar_interval`: `1M`, `month`.
    pub(crate) fn calendar(text: &str) -> Result<Self, SearchError> {
        // 1970-01-05 was a Monday.
        let (width, offset) = match text {
            "minute" | "1m" => (60_000, 0),
            "hour" | "1h" => (3_600_000, 0),
            "day" | "1d" => (DAY_MS, 0),
            "week" | "1w" => (7 * DAY_MS, 4 * DAY_MS),
            "month" | "1M" => return Ok(Self::Months { months: 1, offset: 0 }),
            "quarter" | "1q" => return Ok(Self::Months { months: 3, offset: 0 }),
            "year" | "1y" => return Ok(Self::Months { months: 12, offset: 0 }),
            other => {
                return Err(SearchError::parsing(format!(
                    "[calendar_interval] is minute, hour, day, week, month, quarter or year (1m, 1h, 1d, 1w, 1M, 1q, \
                     1y), not [{other}]; for others use [fixed_interval]"
                )));
            }
        };
        Ok(Self::Fixed { width, offset })
    }
}

/// Reads a duration in milliseconds: `-6h`, `+30m`, `1d`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let digits = text.find(|sign: char| sign.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return None,
    };
    number.strip_prefix('+').unwrap_or(number).parse::<i64>().ok()?.checked_mul(unit)
}

/// Months since year 0.
fn month_of(millis: i64) -> i64 {
    match DateTime::from_timestamp_millis(millis) {
        Some(at) => i64::from(at.year()) * 12 + i64::from(at.month0()),
        // Beyond the calendar, some quarter of a million years away: all of it is one stretch.
        None if millis < 0 => i64::from(NaiveDate::MIN.year() + 1) * 12,
        None => i64::from(NaiveDate::MAX.year() - 1) * 12,
    }
}

fn month_start(month: i64) -> i64 {
    let year = i32::try_from(month.div_euclid(12)).unwrap_or(i32::MAX);
    let month0 = u32::try_from(month.rem_euclid(12)).expect("a remainder of 12 is small");
    match NaiveDate::from_ymd_opt(year, month0 + 1, 1) {
        Some(date) => date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis(),
        None => i64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::time::{format_millis, parse};

    fn millis(text: &str) -> i64 {
        (parse(text).unwrap().first / 1_000_000) as i64
    }

    fn start(rounding: Rounding, text: &str) -> String {
        format_millis(rounding.start(millis(text)))[..16].to_owned()
    }

    #[test]
    fn stretches_begin_where_the_calendar_says() {
        let calendar = |name| Rounding::calendar(name).unwrap();
        assert_eq!(start(calendar("1M"), "2011-02-28T23:59:59"), "2011-02-01T00:00");
        assert_eq!(start(calendar("quarter"), "2011-06-30"), "2011-04-01T00:00");
        assert_eq!(start(calendar("year"), "1969-12-31"), "1969-01-01T00:00");
        // A Sunday belongs to the week that began on the Monday before it.
        assert_eq!(start(calendar("week"), "2010-12-05T12:00"), "2010-11-29T00:00");
        assert_eq!(start(Rounding::fixed("90m").unwrap(), "1970-01-01T02:00"), "1970-01-01T01:30");
        assert_eq!(start(calendar("day").moved(duration("+6h").unwrap()), "2010-12-05T05:59"), "2010-12-04T06:00");
        assert_eq!(start(calendar("month").moved(duration("-1d").unwrap()), "2011-01-31"), "2011-01-31T00:00");
    }

    #[test]
    fn one_stretch_follows_the_other() {
        let months = Rounding::calendar("month").unwrap();
        assert_eq!(months.next(millis("2010-12-01")), millis("2011-01-01"));
        assert_eq!(Rounding::calendar("quarter").unwrap().next(millis("2010-10-01")), millis("2011-01-01"));
        for bad in ["1M", "0d", "d", "5", "1.5h", ""] {
            assert!(Rounding::fixed(bad).is_err(), "{bad}");
        }
        assert!(Rounding::calendar("2d").is_err());
    }
}
