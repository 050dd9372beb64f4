//! When state may be forgotten, and how a row's time is read.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType};
use arrow::datatypes::{TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType};
use proxima_event::Changes;

/// When state may be forgotten: once a time bound has passed what a column says.
///
/// At the end of an epoch everything whose time lies wholly before the newest bound may leave the state without
/// output: its results stand. A bucket lies before the bound when its end does (`column + span <= bound`), a plain
/// time (`span_us` = 0) when it is older. State is swept when it has grown by half since the last time, so that
/// forgetting costs a constant for each row; and once at the beginning, for what an earlier run has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The column (of the input) that holds the start of a time bucket, or a row's time.
    pub column: usize,
    /// The length of the bucket in microseconds; 0 for a plain time.
    pub span_us: i64,
    /// The input on which the bounds come; see [`bound_schema`](super::bound_schema).
    pub input: usize,
}

/// The newest bound that an operator knows, and when it last swept its state.
#[derive(Debug)]
pub(super) struct Expirer {
    pub(super) expiry: Expiry,
    bound_us: i64,
    /// The bound at the beginning of the epoch: what lies before it is over, whether or not it was swept.
    settled_us: i64,
    swept_us: i64,
    added: usize,
}

impl Expirer {
    pub(super) fn new(expiry: Expiry) -> Self {
        Self { expiry, bound_us: i64::MIN, settled_us: i64::MIN, swept_us: i64::MIN, added: 0 }
    }

    /// Takes in bounds.
    pub(super) fn raise(&mut self, bounds: &Changes) {
        self.bound_us = self.bound_us.max(newest_us(bounds.column(0)).unwrap_or(i64::MIN));
    }

    /// Counts what came into the state.
    pub(super) fn added(&mut self, count: usize) {
        self.added += count;
    }

    /// Whether to sweep a state of this size now. Asked at the end of an epoch.
    pub(super) fn is_due(&mut self, held: usize) -> bool {
        let has_grown = self.added > 0 && self.added * 2 >= held;
        let due = self.bound_us > self.swept_us && (has_grown || self.swept_us == i64::MIN);
        if due {
            self.swept_us = self.bound_us;
            self.added = 0;
        }
        due
    }

    /// Whether something of this time may be forgotten.
    pub(super) fn is_over(&self, time_us: i64) -> bool {
        self.lies_before(time_us, self.bound_us)
    }

    /// Whether something of this time was over before the epoch began.
    pub(super) fn was_over(&self, time_us: i64) -> bool {
        self.lies_before(time_us, self.settled_us)
    }

    /// The epoch is over.
    pub(super) fn settle(&mut self) {
        self.settled_us = self.bound_us;
    }

    fn lies_before(&self, time_us: i64, bound_us: i64) -> bool {
        // A row as old as the bound is not late yet, so a plain time counts as a bucket of one microsecond.
        time_us.saturating_add(self.expiry.span_us.max(1)) <= bound_us
    }
}

const US_OF_DAY: i64 = 86_400_000_000;

/// Microseconds of a stored time of a type: the value's bits, sign-extended where narrower.
pub(super) fn word_us(data_type: &DataType, word: u64) -> i64 {
    match data_type {
        DataType::Date32 => i64::from(word as u32 as i32) * US_OF_DAY,
        DataType::Date64 => (word as i64).saturating_mul(1000),
        DataType::Timestamp(unit, _) => to_us(*unit, word as i64),
        other => panic!("the planner takes times from DATE and TIMESTAMP columns, not {other}"),
    }
}

fn to_us(unit: TimeUnit, value: i64) -> i64 {
    match unit {
        TimeUnit::Second => value.saturating_mul(1_000_000),
        TimeUnit::Millisecond => value.saturating_mul(1000),
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value.div_euclid(1000),
    }
}

/// The time of each row in microseconds; NULLs have any.
pub(super) fn times_us(array: &ArrayRef) -> Vec<i64> {
    match array.data_type() {
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().values().iter().map(|&day| i64::from(day) * US_OF_DAY).collect()
        }
        DataType::Date64 => {
            array.as_primitive::<Date64Type>().values().iter().map(|ms| ms.saturating_mul(1000)).collect()
        }
        DataType::Timestamp(unit, _) => {
            let values = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
            };
            values.iter().map(|&value| to_us(*unit, value)).collect()
        }
        other => panic!("the planner takes times from DATE and TIMESTAMP columns, not {other}"),
    }
}

/// The newest time of a column, in microseconds.
pub(super) fn newest_us(array: &ArrayRef) -> Option<i64> {
    let times = times_us(array);
    (0..array.len()).filter(|&row| array.is_valid(row)).map(|row| times[row]).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_swept_at_the_beginning_and_when_it_has_grown_by_half() {
        let mut expirer = Expirer::new(Expiry { column: 0, span_us: 0, input: 1 });
        let mut due = |bound_us, added, held| {
            expirer.bound_us = bound_us;
            expirer.added(added);
            expirer.is_due(held)
        };
        assert!(!due(i64::MIN, 0, 100), "there is no bound yet");
        assert!(due(1, 0, 100), "what was loaded may be over");
        assert!(!due(2, 49, 149) && due(2, 30, 158));
        assert!(!due(2, 200, 300), "nothing is over that was not before");
    }
}
