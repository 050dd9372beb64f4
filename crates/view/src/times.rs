//! How an expression bounds the event time of its row: what lets state of times long past be forgotten.

use crate::functions::ticks;
use crate::scalar::Scalar;
use crate::tree::Ix;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_physical_expr::expressions::CastExpr;

/// A value that bounds its row's event time: the time is below the value plus the span, or equal to the value if the
/// span is 0. Once the bound of late rows has passed that, no row with this value comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// The node that puts out the bound.
    pub(crate) bounds: Ix,
    /// The length of the bucket in microseconds.
    pub(crate) span_us: i64,
}

const DAY_US: i64 = 86_400_000_000;
/// A wall clock is at most this far from UTC, and may be turned back by an hour or two.
pub(crate) const ZONE_US: i64 = 16 * 3_600_000_000;

/// What holds for all of several streams, if they agree on where the bound comes from.
pub(crate) fn common(times: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    let mut times = times.into_iter();
    let first = times.next()??;
    times.try_fold(first, |common, time| {
        let time = time?;
        (time.bounds == common.bounds).then_some(Time { span_us: common.span_us.max(time.span_us), ..common })
    })
}

/// How `scalar` bounds the event time, given how its columns do.
pub(crate) fn of(scalar: &Scalar, schema: &Schema, columns: &[Option<Time>]) -> Option<Time> {
    if let Some(column) = scalar.as_column() {
        return columns[column];
    }
    if let Some(cast) = scalar.0.downcast_ref::<CastExpr>() {
        let inner = Scalar(std::sync::Arc::clone(cast.expr()));
        let time = of(&inner, schema, columns)?;
        let added = cast_span(&inner.data_type(schema), &scalar.data_type(schema))?;
        return Some(Time { span_us: time.span_us.checked_add(added)?, ..time });
    }
    let (name, arguments) = scalar.as_function()?;
    let (argument, added) = match (name, arguments.as_slice()) {
        // The zone is added below.
        ("to_local_time", [time]) => (time, 0),
        ("date_trunc", [unit, time]) => (time, trunc_span(unit.as_literal()?.try_as_str()??)?),
        ("tumble", [time, size]) | ("hop", [time, _, size]) => (time, interval_us(size)?),
        ("date_bin", [size, time]) | ("date_bin", [size, time, _]) => (time, interval_us(size)?),
        _ => return None,
    };
    let time = of(argument, schema, columns)?;
    let zone = if has_zone(&argument.data_type(schema)) { ZONE_US } else { 0 };
    Some(Time { span_us: time.span_us.checked_add(added)?.checked_add(zone)?, ..time })
}

/// How much earlier than the time a cast's result can be.
fn cast_span(from: &DataType, to: &DataType) -> Option<i64> {
    let zone = if has_zone(from) == has_zone(to) && (*to != DataType::Date32 || !has_zone(from)) { 0 } else { ZONE_US };
    let coarser = match to {
        DataType::Date32 if *from == DataType::Date32 => 0,
        DataType::Date32 => DAY_US,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
        DataType::Timestamp(..) => 0,
        _ => return None,
    };
    Some(zone + coarser)
}

pub(crate) fn has_zone(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

/// The longest that a unit of `date_trunc` can be.
fn trunc_span(unit: &str) -> Option<i64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "microsecond" => 1,
        "millisecond" => 1_000,
        "second" => 1_000_000,
        "minute" => 60_000_000,
        "hour" => DAY_US / 24,
        "day" => DAY_US,
        "week" => 7 * DAY_US,
        "month" => 31 * DAY_US,
        "quarter" => 92 * DAY_US,
        "year" => 366 * DAY_US,
        _ => return None,
    })
}

fn interval_us(size: &Scalar) -> Option<i64> {
    let size: &ScalarValue = size.as_literal()?;
    ticks(size, TimeUnit::Microsecond).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_agree_only_on_the_same_bound() {
        let time = |bounds, span_us| Some(Time { bounds, span_us });
        assert_eq!(common([time(1, 5), time(1, 9)]), time(1, 9));
        assert_eq!(common([time(1, 5), time(2, 5)]), None);
        assert_eq!(common([time(1, 5), None]), None);
    }

    #[test]
    fn a_cast_to_a_day_adds_a_day_and_what_zones_can_differ() {
        let timestamp = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Millisecond, zone.map(Into::into));
        assert_eq!(cast_span(&timestamp(None), &DataType::Date32), Some(DAY_US));
        assert_eq!(cast_span(&timestamp(Some("UTC")), &DataType::Date32), Some(DAY_US + ZONE_US));
        assert_eq!(cast_span(&timestamp(None), &DataType::Utf8View), None);
    }
}
