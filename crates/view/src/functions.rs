//! Functions of our own beside DataFusion's: time buckets.
//!
//! `tumble(ts, size)` is the start of the bucket that holds `ts`; `hop(ts, slide, size)` is the list of the starts of
//! all buckets that hold it, to be unnested. Buckets are aligned to 1970-01-01, as those of `date_bin` are.

use crate::problem::Refusal;
use crate::scalar::Scalar;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, IntervalUnit, Schema, TimeUnit};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Buckets of one `hop` for one row, at most: a slide much smaller than the size would flood every operator behind.
const HOP_BUCKETS_MAX: i64 = 10_000;

/// Our own scalar functions.
pub(crate) fn all() -> [Arc<ScalarUDF>; 2] {
    [Arc::new(ScalarUDF::from(Tumble::new())), Arc::new(ScalarUDF::from(Hop::new()))]
}

/// Refuses what would fail for every row, such as a unit of time that there is not: it fails without any.
pub(crate) fn check(scalar: &Scalar, schema: &Schema) -> Result<(), Refusal> {
    check_buckets(scalar, schema)?;
    scalar.0.evaluate(&RecordBatch::new_empty(Arc::new(schema.clone())))?;
    Ok(())
}

/// Refuses buckets of which no row could be told: they must be literals of a fixed length.
fn check_buckets(scalar: &Scalar, schema: &Schema) -> Result<(), Refusal> {
    for child in scalar.children() {
        check_buckets(&child, schema)?;
    }
    let Some((name @ ("tumble" | "hop"), arguments)) = scalar.as_function() else { return Ok(()) };
    let unit = unit(&arguments[0].data_type(schema))?;
    let length = |argument: &Scalar| match argument.as_literal() {
        Some(interval) => Ok(ticks(interval, unit)?),
        None => Err(Refusal::new(format!("{name}(): {argument} is not a literal")).advise("write INTERVAL '1 minute'")),
    };
    let lengths = arguments[1..].iter().map(length).collect::<Result<Vec<i64>, Refusal>>()?;
    if let [slide, size] = lengths[..] {
        check_hop(slide, size)?;
    }
    Ok(())
}

fn check_hop(slide: i64, size: i64) -> Result<()> {
    if size % slide != 0 || size / slide > HOP_BUCKETS_MAX {
        return exec_err!("hop(): the size must be a multiple of the slide, at most {HOP_BUCKETS_MAX} times");
    }
    Ok(())
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The types of the arguments: a time, then intervals.
fn coerce(name: &str, given: &[DataType], intervals: usize) -> Result<Vec<DataType>> {
    let time = match given.first() {
        Some(time @ DataType::Timestamp(..)) => time.clone(),
        Some(DataType::Date32 | DataType::Null) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return plan_err!("{name}() wants a TIMESTAMP first"),
    };
    if given.len() != intervals + 1 || !given[1..].iter().all(|given| matches!(given, DataType::Interval(_))) {
        let wanted = ["", "one interval: tumble(ts, INTERVAL '1 minute')", "slide and size"][intervals];
        return plan_err!("{name}() wants a TIMESTAMP and {wanted}");
    }
    Ok([vec![time], vec![INTERVAL; intervals]].concat())
}

/// The length of an interval in units of the timestamp.
pub(crate) fn ticks(interval: &ScalarValue, unit: TimeUnit) -> Result<i64> {
    let ScalarValue::IntervalMonthDayNano(Some(interval)) = interval else {
        return exec_err!("the length of a time bucket must be an INTERVAL literal");
    };
    if interval.months != 0 {
        return exec_err!("a time bucket of months has no fixed length: use date_trunc('month', ts)");
    }
    let nanos_per_tick: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let nanos = i128::from(interval.days) * 86_400_000_000_000 + i128::from(interval.nanoseconds);
    match i64::try_from(nanos / nanos_per_tick) {
        Ok(ticks) if ticks > 0 && nanos % nanos_per_tick == 0 => Ok(ticks),
        _ => exec_err!("the length of a time bucket must be positive and a whole number of the timestamp's units"),
    }
}

fn unit(data_type: &DataType) -> Result<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Ok(*unit),
        other => exec_err!("{other} is not a timestamp"),
    }
}

fn literal(value: &ColumnarValue) -> Result<&ScalarValue> {
    match value {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(_) => exec_err!("the length of a time bucket must be an INTERVAL literal"),
    }
}

/// Times as plain numbers.
fn numbers(times: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(times, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// The start of the bucket that holds `time`, which may be anything where it is NULL.
pub(crate) fn bucket(time: i64, size: i64) -> i64 {
    time.wrapping_sub(time.rem_euclid(size))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tumble {
    signature: Signature,
}

impl Tumble {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Tumble {
    fn name(&self) -> &str {
        "tumble"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce("tumble", given, 1)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.args[0].data_type();
        let size = ticks(literal(&args.args[1])?, unit(&data_type)?)?;
        let times = args.args[0].to_array(args.number_rows)?;
        let starts: Int64Array = numbers(&times)?.unary(|time| bucket(time, size));
        Ok(ColumnarValue::Array(cast(&starts, &data_type)?))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Hop {
    signature: Signature,
}

impl Hop {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Hop {
    fn name(&self) -> &str {
        "hop"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce("hop", given, 2)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(arguments[0].clone(), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.args[0].data_type();
        let unit = unit(&data_type)?;
        let slide = ticks(literal(&args.args[1])?, unit)?;
        let size = ticks(literal(&args.args[2])?, unit)?;
        check_hop(slide, size)?;
        let times = args.args[0].to_array(args.number_rows)?;
        hop(&numbers(&times)?, slide, size, &data_type)
    }
}

/// The starts of all buckets that hold each time, oldest first; none for NULL.
fn hop(times: &Int64Array, slide: i64, size: i64, data_type: &DataType) -> Result<ColumnarValue> {
    let mut starts = Vec::new();
    let mut offsets = vec![0_i32];
    for time in times {
        if let Some(time) = time {
            let newest = bucket(time, slide);
            starts.extend((0..size / slide).rev().map(|back| newest.wrapping_sub(back * slide)));
        }
        offsets.push(i32::try_from(starts.len()).or_else(|_| exec_err!("hop(): too many buckets in one batch"))?);
    }
    let item = Arc::new(Field::new_list_field(data_type.clone(), true));
    let values =
        if starts.is_empty() { new_null_array(data_type, 0) } else { cast(&Int64Array::from(starts), data_type)? };
    let nulls: Option<NullBuffer> = times.nulls().cloned();
    let list = ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), values, nulls)?;
    Ok(ColumnarValue::Array(Arc::new(list)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_before_1970_are_aligned_too() {
        assert_eq!([-61, -60, -1, 0, 59, 60].map(|time| bucket(time, 60)), [-120, -60, -60, 0, 0, 60]);
        bucket(i64::MIN, 60); // what may stand where a time is NULL
    }

    #[test]
    fn a_time_is_in_every_hop_bucket_that_holds_it() {
        let data_type = DataType::Timestamp(TimeUnit::Second, None);
        let times = Int64Array::from(vec![Some(7), None, Some(-1)]);
        let ColumnarValue::Array(lists) = hop(&times, 2, 6, &data_type).unwrap() else { panic!("hop gives an array") };
        let lists = lists.as_list::<i32>();
        let starts =
            |row| cast(&lists.value(row), &DataType::Int64).unwrap().as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(starts(0), [2, 4, 6]);
        assert!(lists.is_null(1));
        assert_eq!(starts(2), [-6, -4, -2]);
    }
}
