//! Dates and times of requests and answers: from ISO text, and to it from milliseconds.

use arrow::datatypes::TimeUnit;
use chrono::{Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use proxima_event::encode::time::format_timestamp;

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

const NANOS: i128 = 1_000_000_000;

/// The stretch of time that a request's text names, in nanoseconds since 1970, both ends included: `2010-12-01` is a
/// whole day, `2010-12-01T08:26:00.000000000` one nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first nanosecond.
    pub(crate) first: i128,
    /// The last nanosecond.
    pub(crate) last: i128,
}

/// Milliseconds as Elasticsearch prints them: `2010-12-01T00:00:00.000Z`.
pub(crate) fn format_millis(millis: i64) -> String {
    format_timestamp(millis, TimeUnit::Millisecond, true)
}

/// Reads ISO text: from a year down to nanoseconds, with or without offset; parts that are missing make a longer
/// stretch.
pub(crate) fn parse(text: &str) -> Option<Span> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let (first, next) = parse_date(date)?;
    let Some(time) = time else {
        let nanos = |date: NaiveDate| i128::from(date.num_days_from_ce() - 719_163) * 86_400 * NANOS;
        return Some(Span { first: nanos(first), last: nanos(next) - 1 });
    };
    // A time needs a whole date before it.
    if first.succ_opt()? != next {
        return None;
    }
    let (time, offset) = split_offset(time)?;
    let (time, width) = parse_time(time)?;
    let at = NaiveDateTime::new(first, time).and_utc();
    let nanos = (i128::from(at.timestamp()) - i128::from(offset)) * NANOS + i128::from(at.timestamp_subsec_nanos());
    Some(Span { first: nanos, last: nanos + width - 1 })
}

/// The first day that the text names and the first one after it.
fn parse_date(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let mut parts = text.split('-');
    let number = |part: &str, digits| {
        (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<u32>().ok())?
    };
    let year = i32::try_from(number(parts.next()?, 4)?).ok()?;
    let month = parts.next().map(|part| number(part, 2));
    let day = parts.next().map(|part| number(part, 2));
    if parts.next().is_some() {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(year, month.unwrap_or(Some(1))?, day.unwrap_or(Some(1))?)?;
    let next = match (month, day) {
        (None, _) => NaiveDate::from_ymd_opt(year + 1, 1, 1)?,
        (Some(_), None) => first.checked_add_months(chrono::Months::new(1))?,
        (Some(_), Some(_)) => first.succ_opt()?,
    };
    Some((first, next))
}

/// The time and the seconds that its offset is ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, i32)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let offset: FixedOffset = text[at..].parse().ok()?;
    Some((&text[..at], offset.local_minus_utc()))
}

/// A time of day and how many nanoseconds the text leaves open.
pub(crate) fn parse_time(text: &str) -> Option<(NaiveTime, i128)> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = [None; 3];
    for (at, part) in clock.split(':').enumerate() {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        *parts.get_mut(at)? = Some(part.parse::<u32>().ok().filter(|_| digits)?);
    }
    let nanos = fraction.map_or(Some(0), |fraction| {
        let digits = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
        format!("{fraction:0<9}").parse::<u32>().ok().filter(|_| digits && parts[2].is_some())
    })?;
    let time = NaiveTime::from_hms_nano_opt(parts[0]?, parts[1].unwrap_or(0), parts[2].unwrap_or(0), nanos)?;
    let width = match (parts[1], parts[2], fraction) {
        (None, ..) => 3600 * NANOS,
        (_, None, _) => 60 * NANOS,
        (_, _, None) => NANOS,
        (_, _, Some(fraction)) => 10_i128.pow(9 - fraction.len() as u32),
    };
    Some((time, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i128 = 1_000_000;

    #[test]
    fn text_names_a_stretch_of_time() {
        let day = i128::from(DAY_MS) * MS;
        let first = 14_944 * day;
        assert_eq!(parse("2010-12-01"), Some(Span { first, last: first + day - 1 }));
        assert_eq!(parse("2010-12"), Some(Span { first, last: first + 31 * day - 1 }));
        let minute = first + (8 * 60 + 26) * 60_000 * MS;
        assert_eq!(parse("2010-12-01T08:26"), Some(Span { first: minute, last: minute + 60_000 * MS - 1 }));
        assert_eq!(parse("2010-12-01 08:26:00.5"), parse("2010-12-01T10:26:00.5+02:00"));
        assert_eq!(parse("2010-12-01T08:26:00.001Z"), Some(Span { first: minute + MS, last: minute + 2 * MS - 1 }));
        for wrong in
            ["", "2010-13", "2010-12-01T", "2010-12T08", "10-12-01", "2010-12-01T8:26", "yesterday", "2010-02-30"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        assert_eq!(format_millis(1_291_191_960_000), "2010-12-01T08:26:00.000Z");
    }
}
