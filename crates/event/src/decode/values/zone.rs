//! The clock of a job: instants to the wall clock of its zone and back, and what bare numbers in timestamps mean.

use super::moment::{Moment, SECONDS_MAX, SECONDS_MIN, moment};
use super::{Flaw, number};
use crate::decode::EpochUnit;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Hours whose offset is remembered. Events of one stream lie close together, and a lookup costs a search.
const HOURS_KEPT: usize = 64;
const HOUR: i64 = 3_600;

/// How a timestamp column keeps time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The unit of its numbers.
    pub(crate) unit: TimeUnit,
    /// Whether it holds instants (TIMESTAMP_LTZ) rather than the wall clock of the job's zone (TIMESTAMP).
    pub(crate) instant: bool,
}

/// Reads timestamps for one job. Remembers offsets, therefore `&mut`.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    zone: Tz,
    utc: bool,
    unit: EpochUnit,
    walls: OffsetCache,
    instants: OffsetCache,
}

impl Clock {
    pub(crate) fn new(zone: Tz, unit: EpochUnit) -> Self {
        let utc = matches!(zone, Tz::UTC | Tz::Etc__UTC);
        Self { zone, utc, unit, walls: OffsetCache::default(), instants: OffsetCache::default() }
    }

    /// A timestamp from text: a date with or without time and offset, or an epoch number.
    pub(crate) fn text(&mut self, text: &str, stamp: Stamp) -> Result<i64, Flaw> {
        match moment(text) {
            Ok(at) => self.moment(at, stamp),
            Err(_) => self.number(text, stamp),
        }
    }

    /// A timestamp from an epoch number, maybe with a fraction.
    pub(crate) fn number(&mut self, text: &str, stamp: Stamp) -> Result<i64, Flaw> {
        if let Ok(value) = number::integer(text) {
            return self.integer(value, stamp);
        }
        let nanos = number::decimal(text, 38, per_unit_digits(self.unit))?;
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).map_err(|_| Flaw::Range)?;
        self.instant(seconds, nanos.rem_euclid(1_000_000_000) as u32, stamp)
    }

    /// A timestamp from a whole epoch number: what event logs carry.
    pub(crate) fn integer(&mut self, value: i64, stamp: Stamp) -> Result<i64, Flaw> {
        if let Some(value) = self.scaled(value, stamp) {
            return Ok(value);
        }
        let per_second = self.unit.per_second();
        let (seconds, part) = (value.div_euclid(per_second), value.rem_euclid(per_second));
        self.instant(seconds, (part * (1_000_000_000 / per_second)) as u32, stamp)
    }

    /// A number that only has to be multiplied, which spares three divisions: no zone to go through, no unit to round to.
    fn scaled(&self, value: i64, stamp: Stamp) -> Option<i64> {
        let (value_max, factor) = match (self.unit, stamp.unit) {
            (EpochUnit::Millis, TimeUnit::Millisecond) => (SECONDS_MAX * 1_000, 1),
            (EpochUnit::Millis, TimeUnit::Microsecond) => (SECONDS_MAX * 1_000, 1_000),
            (EpochUnit::Micros, TimeUnit::Microsecond) => (SECONDS_MAX * 1_000_000, 1),
            (EpochUnit::Seconds, TimeUnit::Millisecond) => (SECONDS_MAX, 1_000),
            (EpochUnit::Seconds, TimeUnit::Microsecond) => (SECONDS_MAX, 1_000_000),
            _ => return None,
        };
        ((self.utc || stamp.instant) && (0..=value_max).contains(&value)).then(|| value * factor)
    }

    /// A timestamp from what the wall clock of the job's zone has counted since 1970 began on it, in `unit`, or else in
    /// the first of milliseconds, microseconds and nanoseconds in which it lies before the year 10000.
    pub(crate) fn wall(&mut self, text: &str, unit: Option<TimeUnit>, stamp: Stamp) -> Result<i64, Flaw> {
        let value = number::integer(text)?;
        let fits = |per_second: &i64| (SECONDS_MIN..=SECONDS_MAX).contains(&value.div_euclid(*per_second));
        let units: &[i64] = match unit {
            Some(TimeUnit::Second) => &[1],
            Some(TimeUnit::Millisecond) => &[1_000],
            Some(TimeUnit::Microsecond) => &[1_000_000],
            Some(TimeUnit::Nanosecond) => &[1_000_000_000],
            None => &[1_000, 1_000_000, 1_000_000_000],
        };
        let &per_second = units.iter().find(|unit| fits(unit)).ok_or(Flaw::Range)?;
        let (seconds, part) = (value.div_euclid(per_second), value.rem_euclid(per_second));
        let nanos = (part * (1_000_000_000 / per_second)) as u32;
        self.moment(Moment { seconds, nanos, offset: None }, stamp)
    }

    fn moment(&mut self, at: Moment, stamp: Stamp) -> Result<i64, Flaw> {
        match (at.offset, stamp.instant) {
            (Some(offset), _) => self.instant(at.seconds - i64::from(offset), at.nanos, stamp),
            (None, false) => in_unit(at.seconds, at.nanos, stamp.unit),
            (None, true) => in_unit(self.instant_of(at.seconds), at.nanos, stamp.unit),
        }
    }

    fn instant(&mut self, seconds: i64, nanos: u32, stamp: Stamp) -> Result<i64, Flaw> {
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
            return Err(Flaw::Range);
        }
        let seconds = if stamp.instant { seconds } else { self.wall_of(seconds) };
        in_unit(seconds, nanos, stamp.unit)
    }

    /// What the zone's clocks show at an instant, as seconds.
    fn wall_of(&mut self, seconds: i64) -> i64 {
        if self.utc {
            return seconds;
        }
        let zone = self.zone;
        seconds + self.walls.get(seconds, |seconds| Some(offset_at(zone, seconds))).unwrap_or(0)
    }

    /// The instant at which the zone's clocks show this: the earlier one where they do twice; where they never do, since
    /// they were put forward, as if they had not been.
    fn instant_of(&mut self, wall: i64) -> i64 {
        if self.utc {
            return wall;
        }
        let zone = self.zone;
        let offset = self.instants.get(wall, |wall| {
            let local = zone.from_local_datetime(&naive(wall)).earliest();
            Some(i64::from(local?.offset().fix().local_minus_utc()))
        });
        wall - offset.unwrap_or_else(|| offset_at(zone, wall - 24 * HOUR))
    }
}

/// Digits behind the point of a number in this unit that are whole nanoseconds.
fn per_unit_digits(unit: EpochUnit) -> i8 {
    match unit {
        EpochUnit::Seconds => 9,
        EpochUnit::Millis => 6,
        EpochUnit::Micros => 3,
    }
}

fn in_unit(seconds: i64, nanos: u32, unit: TimeUnit) -> Result<i64, Flaw> {
    let (per_second, nanos_each) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    let whole = seconds.checked_mul(per_second).ok_or(Flaw::Range)?;
    whole.checked_add(i64::from(nanos / nanos_each)).ok_or(Flaw::Range)
}

fn offset_at(zone: Tz, seconds: i64) -> i64 {
    zone.offset_from_utc_datetime(&naive(seconds)).fix().local_minus_utc().into()
}

fn naive(seconds: i64) -> NaiveDateTime {
    let clamped = seconds.clamp(SECONDS_MIN, SECONDS_MAX);
    DateTime::from_timestamp(clamped, 0).expect("years 0 to 9999 are chrono's").naive_utc()
}

/// Remembers the offset of hours in which it does not change.
#[derive(Clone, Debug)]
struct OffsetCache {
    hours: [(i64, i64); HOURS_KEPT],
}

impl Default for OffsetCache {
    fn default() -> Self {
        Self { hours: [(i64::MIN, 0); HOURS_KEPT] }
    }
}

impl OffsetCache {
    fn get(&mut self, seconds: i64, look_up: impl Fn(i64) -> Option<i64>) -> Option<i64> {
        let hour = seconds.div_euclid(HOUR);
        let kept = &mut self.hours[hour.rem_euclid(HOURS_KEPT as i64) as usize];
        if kept.0 == hour {
            return Some(kept.1);
        }
        // Two changes within an hour do not happen, so equal ends mean a constant hour.
        let (first, last) = (look_up(hour * HOUR), look_up(hour * HOUR + HOUR - 1));
        match (first, last) {
            (Some(first), Some(last)) if first == last => {
                *kept = (hour, first);
                Some(first)
            }
            _ => look_up(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WALL: Stamp = Stamp { unit: TimeUnit::Microsecond, instant: false };
    const INSTANT: Stamp = Stamp { unit: TimeUnit::Microsecond, instant: true };

    #[test]
    fn numbers_are_instants_in_the_unit_of_the_job() {
        let mut clock = Clock::new(Tz::UTC, EpochUnit::Millis);
        assert_eq!(clock.text("1594652955123", WALL), Ok(1_594_652_955_123_000));
        assert_eq!(clock.text("-1", WALL), Ok(-1_000));
        assert_eq!(clock.integer(i64::MAX, WALL), Err(Flaw::Range));
        assert_eq!(clock.number("1594652955123.5", WALL), Ok(1_594_652_955_123_500));
        let mut clock = Clock::new(Tz::Asia__Shanghai, EpochUnit::Seconds);
        assert_eq!(clock.integer(1_594_652_955, WALL), Ok((1_594_652_955 + 28_800) * 1_000_000));
        assert_eq!(clock.integer(1_594_652_955, INSTANT), Ok(1_594_652_955_000_000));
        assert_eq!(clock.integer(1_594_652_955_000, WALL), Err(Flaw::Range));
        assert_eq!(clock.text("x", WALL), Err(Flaw::Kind));
    }

    #[test]
    fn fractions_are_cut_to_the_unit_of_the_column() {
        let mut clock = Clock::new(Tz::UTC, EpochUnit::Micros);
        let millis = Stamp { unit: TimeUnit::Millisecond, instant: false };
        assert_eq!(clock.integer(1_999, millis), Ok(1));
        assert_eq!(clock.integer(-1, millis), Ok(-1));
        let nanos = Stamp { unit: TimeUnit::Nanosecond, instant: false };
        assert_eq!(clock.text("2300-01-01", nanos), Err(Flaw::Range));
    }

    #[test]
    fn clocks_that_are_changed() {
        let mut clock = Clock::new(Tz::Europe__Berlin, EpochUnit::Seconds);
        let mut at = |text| clock.text(text, INSTANT).map(|micros| micros / 1_000_000);
        // 2021-10-31 02:30 was twice, 2021-03-28 02:30 never.
        assert_eq!(at("2021-10-31 02:30:00"), Ok(1_635_640_200));
        assert_eq!(at("2021-10-31 03:00:00"), Ok(1_635_645_600));
        assert_eq!(at("2021-03-28 02:30:00"), Ok(1_616_895_000));
        assert_eq!(at("2021-03-28 01:59:59"), Ok(1_616_893_199));
        assert_eq!(at("2021-03-28 02:30:00+00:00"), Ok(1_616_898_600));
    }

    proptest! {
        #[test]
        fn walls_agree_with_chrono(seconds in SECONDS_MIN + 86_400..SECONDS_MAX - 86_400, recent in 0_i64..2_000_000_000) {
            for zone in [Tz::Europe__London, Tz::America__New_York, Tz::Asia__Kathmandu, Tz::Australia__Lord_Howe, Tz::UTC] {
                let mut clock = Clock::new(zone, EpochUnit::Seconds);
                for seconds in [seconds, recent, recent + 60, seconds] {
                    let local = DateTime::from_timestamp(seconds, 0).unwrap().with_timezone(&zone).naive_local();
                    let expected = local.and_utc().timestamp();
                    prop_assert_eq!(clock.wall_of(seconds), expected);
                    let back = zone.from_local_datetime(&local).earliest().unwrap().timestamp();
                    prop_assert_eq!(clock.instant_of(expected), back);
                }
            }
        }
    }
}
