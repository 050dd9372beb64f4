//! Column values as numbers: exact integers that keep their order, and back.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

/// Whether the values of a type can be held as ordered integers.
pub(super) fn is_ordered_integer(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean => true,
        DataType::Interval(_) | DataType::Float16 => false,
        _ => matches!(data_type.primitive_width(), Some(1 | 2 | 4 | 8 | 16)),
    }
}

/// Each value as an integer with the same order. Floats go by their total order: −NaN, −∞ … −0, 0 … ∞, NaN.
pub(super) fn to_integers(array: &ArrayRef) -> Vec<i128> {
    use DataType::{Boolean, Decimal128, Float32, Float64, UInt8, UInt16, UInt32, UInt64};
    let data = array.to_data();
    let rows = array.len();
    macro_rules! values {
        ($t:ty, $of:expr) => {
            data.buffer::<$t>(0)[..rows].iter().map($of).collect()
        };
    }
    match array.data_type() {
        Boolean => array.as_boolean().values().iter().map(i128::from).collect(),
        Float32 => values!(i32, |&bits| i128::from(order_bits(bits, bits >> 31, i32::MAX))),
        Float64 => values!(i64, |&bits| i128::from(order_bits(bits, bits >> 63, i64::MAX))),
        UInt8 => values!(u8, |&value| i128::from(value)),
        UInt16 => values!(u16, |&value| i128::from(value)),
        UInt32 => values!(u32, |&value| i128::from(value)),
        UInt64 => values!(u64, |&value| i128::from(value)),
        Decimal128(..) => data.buffer::<i128>(0)[..rows].to_vec(),
        other => match other.primitive_width() {
            Some(1) => values!(i8, |&value| i128::from(value)),
            Some(2) => values!(i16, |&value| i128::from(value)),
            Some(4) => values!(i32, |&value| i128::from(value)),
            Some(8) => values!(i64, |&value| i128::from(value)),
            _ => values!(i128, |&value| value),
        },
    }
}

/// The bits of a float as an integer in the order of floats; the same step leads back.
fn order_bits<T>(bits: T, sign: T, magnitude: T) -> T
where
    T: std::ops::BitXor<Output = T> + std::ops::BitAnd<Output = T>,
{
    bits ^ (sign & magnitude)
}

/// An array of integers that [`to_integers`] made, as a type again.
pub(super) fn from_integers(data_type: &DataType, values: &[i128], valid: Vec<bool>) -> ArrayRef {
    let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
    macro_rules! buffer {
        ($t:ty, $of:expr) => {
            Buffer::from_vec(values.iter().map($of).collect::<Vec<$t>>())
        };
    }
    let buffer = match data_type {
        DataType::Boolean => {
            let bits: BooleanBuffer = values.iter().map(|&value| value != 0).collect();
            return std::sync::Arc::new(BooleanArray::new(bits, nulls));
        }
        DataType::Float32 => buffer!(i32, |&value| {
            let bits = value as i32;
            order_bits(bits, bits >> 31, i32::MAX)
        }),
        DataType::Float64 => buffer!(i64, |&value| {
            let bits = value as i64;
            order_bits(bits, bits >> 63, i64::MAX)
        }),
        other => match other.primitive_width() {
            Some(1) => buffer!(i8, |&value| value as i8),
            Some(2) => buffer!(i16, |&value| value as i16),
            Some(4) => buffer!(i32, |&value| value as i32),
            Some(8) => buffer!(i64, |&value| value as i64),
            _ => buffer!(i128, |&value| value),
        },
    };
    super::super::group_table::primitive(data_type, values.len(), buffer, nulls)
}

/// Each value as a double.
pub(super) fn to_doubles(array: &ArrayRef) -> Vec<f64> {
    let doubles = cast(array, &DataType::Float64).expect("the planner sums numbers only");
    doubles.as_primitive::<Float64Type>().values().to_vec()
}

/// A 128-bit integer from two words.
#[inline(always)]
pub(super) fn wide(low: u64, high: u64) -> i128 {
    (u128::from(low) | u128::from(high) << 64) as i128
}

/// Writes a 128-bit integer to two words.
#[inline(always)]
pub(super) fn set_wide(words: &mut [u64], value: i128) {
    words[0] = value as u64;
    words[1] = (value >> 64) as u64;
}
