//! `tumble(time, size)` and `hop(time, slide, size)` for the oracle: plain loops over single values.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListBuilder, PrimitiveBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The start of the bucket that a time falls in.
pub(super) fn tumble() -> ScalarUDF {
    ScalarUDF::from(Window { name: "tumble", hops: false, signature: Signature::any(2, Volatility::Immutable) })
}

/// The starts of all buckets that a time falls in.
pub(super) fn hop() -> ScalarUDF {
    ScalarUDF::from(Window { name: "hop", hops: true, signature: Signature::any(3, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Window {
    name: &'static str,
    hops: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Window {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let time = &arguments[0];
        if !matches!(time, DataType::Timestamp(..)) {
            return plan_err!("{} needs a TIMESTAMP, not {time}", self.name);
        }
        Ok(if self.hops { DataType::List(Arc::new(Field::new_list_field(time.clone(), true))) } else { time.clone() })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = call.args[0].to_array(call.number_rows)?;
        let unit = per_unit(times.data_type())?;
        let spans = call.args[1..].iter().map(|span| nanoseconds(span).map(|span| span / unit));
        let spans = spans.collect::<Result<Vec<_>>>()?;
        let (slide, size) = (spans[0], spans[spans.len() - 1]);
        let values = cast(&times, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        let starts: ArrayRef = if self.hops {
            Arc::new(hops(values, slide, size))
        } else {
            Arc::new(values.iter().map(|time| time.map(|time| floor(time, size))).collect::<Int64Array>())
        };
        Ok(ColumnarValue::Array(cast(&starts, call.return_type())?))
    }
}

fn floor(time: i64, size: i64) -> i64 {
    time.div_euclid(size) * size
}

/// All multiples of `slide` in (time − size, time], from the earliest.
fn hops(times: &Int64Array, slide: i64, size: i64) -> arrow::array::ListArray {
    let mut lists = ListBuilder::new(PrimitiveBuilder::<Int64Type>::new());
    for time in times {
        let Some(time) = time else {
            lists.append(false);
            continue;
        };
        let mut start = floor(time - size, slide) + slide;
        while start <= time {
            lists.values().append_value(start);
            start += slide;
        }
        lists.append(true);
    }
    lists.finish()
}

/// Nanoseconds of one tick.
fn per_unit(time: &DataType) -> Result<i64> {
    match time {
        DataType::Timestamp(TimeUnit::Second, _) => Ok(1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Ok(1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Ok(1),
        other => exec_err!("not a timestamp: {other}"),
    }
}

fn nanoseconds(span: &ColumnarValue) -> Result<i64> {
    let span = cast(&span.to_array(1)?, &DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano))?;
    let span = span.as_primitive::<IntervalMonthDayNanoType>().value(0);
    if span.months != 0 {
        return Err(DataFusionError::Plan("a window of months has no fixed length".into()));
    }
    Ok(i64::from(span.days) * 86_400_000_000_000 + span.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_every_bucket_that_covers_it() {
        let lists = hops(&Int64Array::from(vec![Some(7), Some(-1), None]), 5, 10);
        let of = |row| lists.value(row).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(of(0), [0, 5]);
        assert_eq!(of(1), [-10, -5]);
        assert!(lists.is_null(2));
    }
}
