//! Dates, times of day and timestamps from their text, without a detour over calendar objects.

use super::Flaw;

/// Seconds from 1970 to the first second of year 0 and to the last of year 9999: what a timestamp may be. A number in
/// the wrong unit falls out of it, so a job that says seconds and gets milliseconds learns of it.
pub(crate) const SECONDS_MIN: i64 = -62_167_219_200;
pub(crate) const SECONDS_MAX: i64 = 253_402_300_799;

const DAY: i64 = 86_400;

/// A point of the wall clock, and the clock's offset from UTC where the text gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Seconds of the wall clock since 1970 began on it.
    pub(crate) seconds: i64,
    /// Nanoseconds beyond.
    pub(crate) nanos: u32,
    /// Seconds that the clock is ahead of UTC.
    pub(crate) offset: Option<i32>,
}

/// DATE as days since 1970: `YYYY-MM-DD`.
pub(crate) fn date(text: &str) -> Result<i32, Flaw> {
    match read_date(text.trim_ascii().as_bytes()) {
        Some((days, [])) => Ok(days),
        _ => Err(Flaw::Kind),
    }
}

/// A day's number as a DATE, if its year is one of 0 to 9999.
pub(crate) fn date_of_days(days: i64) -> Result<i32, Flaw> {
    let seconds = days.checked_mul(DAY).ok_or(Flaw::Range)?;
    if (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) { Ok(days as i32) } else { Err(Flaw::Range) }
}

/// TIME as microseconds of the day: `HH:MM[:SS[.f]]`.
pub(crate) fn time(text: &str) -> Result<i64, Flaw> {
    match read_time(text.trim_ascii().as_bytes()) {
        Some((seconds, nanos, [])) => Ok(seconds * 1_000_000 + i64::from(nanos) / 1_000),
        _ => Err(Flaw::Kind),
    }
}

/// TIMESTAMP: `YYYY-MM-DD`, then maybe `T` or a blank and `HH:MM[:SS[.f]]`, then maybe `Z` or `±HH[[:]MM]`.
pub(crate) fn moment(text: &str) -> Result<Moment, Flaw> {
    read_moment(text.trim_ascii().as_bytes()).ok_or(Flaw::Kind)
}

fn read_moment(text: &[u8]) -> Option<Moment> {
    let (days, rest) = read_date(text)?;
    let midnight = i64::from(days) * DAY;
    if rest.is_empty() {
        return Some(Moment { seconds: midnight, nanos: 0, offset: None });
    }
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (seconds, nanos, rest) = read_time(rest)?;
    Some(Moment { seconds: midnight + seconds, nanos, offset: read_offset(rest.trim_ascii_start())? })
}

fn read_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, rest @ ..] = text else { return None };
    let year = two(*y0, *y1)? * 100 + two(*y2, *y3)?;
    let (month, day) = (two(*m0, *m1)?, two(*d0, *d1)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    Some((days_of(year, month, day), rest))
}

fn read_time(text: &[u8]) -> Option<(i64, u32, &[u8])> {
    let [h0, h1, b':', m0, m1, rest @ ..] = text else { return None };
    let (hour, minute) = (two(*h0, *h1)?, two(*m0, *m1)?);
    let (second, nanos, rest) = match rest {
        [b':', s0, s1, b'.', rest @ ..] => {
            let (nanos, rest) = read_fraction(rest)?;
            (two(*s0, *s1)?, nanos, rest)
        }
        [b':', s0, s1, rest @ ..] => (two(*s0, *s1)?, 0, rest),
        [b':', ..] => return None,
        rest => (0, 0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((i64::from(hour * 3_600 + minute * 60 + second), nanos, rest))
}

/// Digits behind the point as nanoseconds; those beyond the ninth are cut.
fn read_fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    let nanos = (0..9).fold(0, |nanos, at| nanos * 10 + digits.get(at).map_or(0, |byte| u32::from(byte - b'0')));
    (count > 0).then_some((nanos, rest))
}

/// Nothing, `Z`, `±HH`, `±HHMM` or `±HH:MM`; the outer `None` says that it is something else.
fn read_offset(text: &[u8]) -> Option<Option<i32>> {
    let (sign, hour, minute) = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [sign, h0, h1] => (sign, two(*h0, *h1)?, 0),
        [sign, h0, h1, m0, m1] | [sign, h0, h1, b':', m0, m1] => (sign, two(*h0, *h1)?, two(*m0, *m1)?),
        _ => return None,
    };
    // No place on Earth is further than 14 hours from UTC; 18 is what ISO-minded libraries allow.
    if hour > 18 || minute > 59 {
        return None;
    }
    let seconds = hour * 3_600 + minute * 60;
    match sign {
        b'+' => Some(Some(seconds)),
        b'-' => Some(Some(-seconds)),
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i32::from(tens) * 10 + i32::from(ones))
}

fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar. The year is counted from March, so that the leap day is its last.
fn days_of(year: i32, month: i32, day: i32) -> i32 {
    let from_march = (month + 9) % 12;
    let year = if month <= 2 { year - 1 } else { year };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 153 days are five months from March on (31, 30, 31, 30, 31), again and again; 719,468 days lie before 1970.
    year * 365 + leaps + (153 * from_march + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDate, NaiveDateTime};
    use proptest::prelude::*;

    #[test]
    fn every_day_of_ten_thousand_years_is_the_calendars() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let first = NaiveDate::from_ymd_opt(0, 1, 1).unwrap();
        for day in first.iter_days().take_while(|day| *day <= NaiveDate::from_ymd_opt(9999, 12, 31).unwrap()) {
            let expected = (day - epoch).num_days() as i32;
            assert_eq!(date(&day.format("%Y-%m-%d").to_string()), Ok(expected), "{day}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2021-02-29",
            "1900-02-29",
            "2021-13-01",
            "2021-00-10",
            "0000-00-00",
            "2021-1-1",
            "21-01-01",
            "2021/01/01",
            "2021-01-01x",
        ] {
            assert_eq!(date(text), Err(Flaw::Kind), "{text}");
        }
        assert_eq!(date_of_days(18_628), Ok(18_628));
        assert_eq!(date_of_days(1_594_652_955_000), Err(Flaw::Range));
        assert_eq!(date_of_days(i64::MAX), Err(Flaw::Range));
    }

    #[test]
    fn times_have_two_to_four_parts() {
        assert_eq!(time("08:26"), Ok(30_360_000_000));
        assert_eq!(time("00:00:01.5"), Ok(1_500_000));
        assert_eq!(time("23:59:59.9999999"), Ok(86_399_999_999));
        for text in ["24:00:00", "08:60", "08:00:60", "8:26", "08:26:", "08:26:01.", "08:26Z", ""] {
            assert_eq!(time(text), Err(Flaw::Kind), "{text}");
        }
    }

    #[test]
    fn timestamps_in_the_writings_that_occur() {
        let at = |text: &str| moment(text).map(|moment| (moment.seconds, moment.nanos, moment.offset));
        assert_eq!(at("2010-12-01 08:26"), Ok((1_291_191_960, 0, None)));
        assert_eq!(at("2010-12-01T08:26:00.123456789Z"), Ok((1_291_191_960, 123_456_789, Some(0))));
        assert_eq!(at("2010-12-01T08:26:00+08:00"), Ok((1_291_191_960, 0, Some(28_800))));
        assert_eq!(at("2010-12-01 08:26:00 -0330"), Ok((1_291_191_960, 0, Some(-12_600))));
        assert_eq!(at("2010-12-01 08:26:00+08"), Ok((1_291_191_960, 0, Some(28_800))));
        assert_eq!(at(" 2010-12-01 "), Ok((1_291_161_600, 0, None)));
        for text in ["2010-12-01 ", "2010-12-01"] {
            assert_eq!(at(text).unwrap().0, 1_291_161_600);
        }
        for text in [
            "",
            "12/1/2010 8:26",
            "2010-12-01 08",
            "2010-12-01T",
            "2010-12-01 08:26 UTC",
            "2010-12-01 08:26+19",
            "2010-12-01Z",
        ] {
            assert_eq!(at(text), Err(Flaw::Kind), "{text}");
        }
    }

    proptest! {
        #[test]
        fn timestamps_agree_with_chrono(seconds in SECONDS_MIN..=SECONDS_MAX, nanos in 0_u32..1_000_000_000, offset in -1_080_i32..1_080) {
            let naive: NaiveDateTime = DateTime::from_timestamp(seconds, nanos).unwrap().naive_utc();
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            let text = format!("{}{sign}{:02}:{:02}", naive.format("%Y-%m-%dT%H:%M:%S%.9f"), minutes / 60, minutes % 60);
            prop_assert_eq!(moment(&text), Ok(Moment { seconds, nanos, offset: Some(offset * 60) }));
            let oracle = DateTime::parse_from_rfc3339(&text).unwrap();
            prop_assert_eq!(oracle.timestamp(), seconds - i64::from(offset) * 60);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}", near in "[0-9:TZ+. -]{0,32}") {
            let _ = (moment(&text), time(&text), date(&text), moment(&near), time(&near), date(&near));
        }
    }
}
