//! Values to words: one loop for each Arrow encoding, none of them touching more memory than it must.

use super::{NULL, Words, mix, nested};
use arrow::array::{Array, ArrowPrimitiveType, AsArray, ByteView, GenericByteViewArray, OffsetSizeTrait};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ByteViewType, DataType, Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use xxhash_rust::xxh3::xxh3_64;

/// The longest string that lies in its view word, whole.
const INLINE: usize = 12;

/// Mixes each row's value into its running hash.
pub(super) fn mix_column(hashes: &mut [u64], column: &dyn Array) {
    match column.data_type() {
        DataType::Null => hashes.iter_mut().for_each(|hash| *hash = mix(*hash, NULL)),
        DataType::Boolean => {
            let values = column.as_boolean();
            mix_all(hashes, values.nulls(), values.values().iter().map(|value| [u64::from(value), 0]));
        }
        DataType::Int8 => primitive::<Int8Type>(hashes, column, |value| of_int(value.into())),
        DataType::Int16 => primitive::<Int16Type>(hashes, column, |value| of_int(value.into())),
        DataType::Int32 => primitive::<Int32Type>(hashes, column, |value| of_int(value.into())),
        DataType::Int64 => primitive::<Int64Type>(hashes, column, of_int),
        DataType::UInt8 => primitive::<UInt8Type>(hashes, column, |value| [value.into(), 0]),
        DataType::UInt16 => primitive::<UInt16Type>(hashes, column, |value| [value.into(), 0]),
        DataType::UInt32 => primitive::<UInt32Type>(hashes, column, |value| [value.into(), 0]),
        DataType::UInt64 => primitive::<UInt64Type>(hashes, column, |value| [value, 0]),
        DataType::Float16 => primitive::<Float16Type>(hashes, column, |value| of_float(value.to_f64())),
        DataType::Float32 => primitive::<Float32Type>(hashes, column, |value| of_float(value.into())),
        DataType::Float64 => primitive::<Float64Type>(hashes, column, of_float),
        DataType::Decimal128(_, scale) => {
            // Above the value's own bits in the upper word there is room: 38 digits are 127 bits.
            let scale = (*scale as u64) << 56;
            primitive::<Decimal128Type>(hashes, column, |value| [value as u64, (value >> 64) as u64 ^ scale]);
        }
        DataType::Date32 => primitive::<Date32Type>(hashes, column, |value| of_int(value.into())),
        DataType::Date64 => primitive::<Date64Type>(hashes, column, |value| of_int(value.div_euclid(86_400_000))),
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) | DataType::Duration(unit) => {
            moments(hashes, column, *unit)
        }
        DataType::Interval(unit) => intervals(hashes, column, *unit),
        DataType::Utf8View => views(hashes, column.as_string_view()),
        DataType::BinaryView => views(hashes, column.as_binary_view()),
        DataType::Utf8 => strings::<i32>(hashes, column),
        DataType::LargeUtf8 => strings::<i64>(hashes, column),
        DataType::Binary => binaries::<i32>(hashes, column),
        DataType::LargeBinary => binaries::<i64>(hashes, column),
        DataType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary();
            mix_all(hashes, values.nulls(), (0..values.len()).map(|row| of_bytes(values.value(row))));
        }
        DataType::Dictionary(_, values) => {
            let plain = cast(column, values).expect("a dictionary unpacks to its own values");
            mix_column(hashes, plain.as_ref());
        }
        _ => nested::mix_column(hashes, column),
    }
}

/// The one loop: each row's words into its running hash, [`NULL`] where there is no value.
pub(super) fn mix_all(hashes: &mut [u64], nulls: Option<&NullBuffer>, words: impl Iterator<Item = Words>) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => hashes.iter_mut().zip(words).for_each(|(hash, words)| *hash = mix(*hash, words)),
        Some(nulls) => {
            for ((hash, words), valid) in hashes.iter_mut().zip(words).zip(nulls) {
                *hash = mix(*hash, if valid { words } else { NULL });
            }
        }
    }
}

/// The words of bytes: the same as of the view that would hold them.
pub(super) fn of_bytes(bytes: &[u8]) -> Words {
    if bytes.len() > INLINE {
        return [xxh3_64(bytes), 0];
    }
    let mut view = [0; 16];
    view[0] = bytes.len() as u8;
    view[4..4 + bytes.len()].copy_from_slice(bytes);
    of_inline(u128::from_le_bytes(view))
}

/// The words of a view that holds its whole string.
fn of_inline(view: u128) -> Words {
    [view as u64, (view >> 64) as u64]
}

fn of_int(value: i64) -> Words {
    [value as u64, 0]
}

/// Floats hash by their bits, but −0 as 0 and each NaN as the one.
fn of_float(value: f64) -> Words {
    let one = if value.is_nan() { f64::NAN } else { value + 0.0 };
    [one.to_bits(), 0]
}

fn primitive<T: ArrowPrimitiveType>(hashes: &mut [u64], column: &dyn Array, words: impl Fn(T::Native) -> Words) {
    let values = column.as_primitive::<T>();
    mix_all(hashes, values.nulls(), values.values().iter().map(|&value| words(value)));
}

/// Times, timestamps and durations hash by their nanoseconds, in 128 bits since no unit may overflow.
fn moments(hashes: &mut [u64], column: &dyn Array, unit: TimeUnit) {
    let nanos: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let words = |value: i64| {
        let value = i128::from(value) * nanos;
        [value as u64, (value >> 64) as u64]
    };
    if let DataType::Time32(_) = column.data_type() {
        let seconds = cast(column, &DataType::Int32).expect("a time of 32 bits is a number of 32 bits");
        return primitive::<Int32Type>(hashes, seconds.as_ref(), |value| words(value.into()));
    }
    let numbers = cast(column, &DataType::Int64).expect("a moment of 64 bits is a number of 64 bits");
    primitive::<Int64Type>(hashes, numbers.as_ref(), words);
}

/// Intervals hash by their parts: a month is no number of days.
fn intervals(hashes: &mut [u64], column: &dyn Array, unit: IntervalUnit) {
    let words =
        |months: i32, days: i32, nanos: i64| [u64::from(months as u32) << 32 | u64::from(days as u32), nanos as u64];
    match unit {
        IntervalUnit::YearMonth => primitive::<IntervalYearMonthType>(hashes, column, |months| words(months, 0, 0)),
        IntervalUnit::DayTime => primitive::<IntervalDayTimeType>(hashes, column, |value| {
            words(0, value.days, i64::from(value.milliseconds) * 1_000_000)
        }),
        IntervalUnit::MonthDayNano => primitive::<IntervalMonthDayNanoType>(hashes, column, |value| {
            words(value.months, value.days, value.nanoseconds)
        }),
    }
}

fn views<T: ByteViewType + ?Sized>(hashes: &mut [u64], column: &GenericByteViewArray<T>) {
    let buffers = column.data_buffers();
    let words = |&view: &u128| {
        let length = view as u32 as usize;
        if length <= INLINE {
            return of_inline(view);
        }
        let at = ByteView::from(view);
        // The word of a NULL row may be anything, so this may not index without looking.
        let bytes =
            buffers.get(at.buffer_index as usize).and_then(|data| data.get(at.offset as usize..)?.get(..length));
        bytes.map_or(NULL, of_bytes)
    };
    mix_all(hashes, column.nulls(), column.views().iter().map(words));
}

fn strings<O: OffsetSizeTrait>(hashes: &mut [u64], column: &dyn Array) {
    let values = column.as_string::<O>();
    mix_all(hashes, values.nulls(), (0..values.len()).map(|row| of_bytes(values.value(row).as_bytes())));
}

fn binaries<O: OffsetSizeTrait>(hashes: &mut [u64], column: &dyn Array) {
    let values = column.as_binary::<O>();
    mix_all(hashes, values.nulls(), (0..values.len()).map(|row| of_bytes(values.value(row))));
}
