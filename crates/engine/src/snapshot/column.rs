//! One column as bytes.
//!
//! A column is the length of its type's name (`u8`) and the name, whether it has NULLs (`u8`) and the bits that say which
//! rows are none, then the values of the rows that are none:
//! - truth values: a bit for each row;
//! - values of up to eight bytes: *words*, whose width (`u8`: 0, 1, 2, 4 or 8 bytes) is that of the greatest of them, or
//!   128 and a number of bits: then come the least of them and a unit (`u64` each), and how many units each lies above it;
//! - values of sixteen bytes: their lower halves as words, then their upper ones, turned over where the lower one is
//!   negative, so that small numbers of either sign have zeros there;
//! - strings and bytes: see [`strings`](super::strings);
//! - values of other fixed widths: for each row as they lie in memory, little-endian;
//! - anything else, with a name of length 0: the length (`u32`) and the bytes of an Arrow stream.

use super::strings::{self, Strings, Views};
use super::words;
use arrow::datatypes::DataType;

/// The type of a column of state, and how that is written.
#[derive(Clone, Debug)]
pub struct ColumnType {
    pub(super) name: String,
}

impl ColumnType {
    /// The type, if columns of it are written value by value and not as Arrow streams.
    #[must_use]
    pub fn new(data_type: &DataType) -> Option<Self> {
        let name = data_type.to_string();
        let plain = *data_type == DataType::Boolean || is_bytes(data_type) || data_type.is_primitive();
        // A name that Arrow does not read back as the same type is none.
        let named = plain && name.len() < 256 && name.parse::<DataType>().is_ok_and(|parsed| parsed == *data_type);
        named.then_some(Self { name })
    }
}

pub(super) fn is_bytes(data_type: &DataType) -> bool {
    data_type.is_string() || matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The values of a column, in a form that fits its type. Those of NULLs count for nothing.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Truth values: 0 or 1.
    Bits(&'a [u64]),
    /// Values of up to eight bytes, with zeros above them.
    Words(&'a [u64]),
    /// Values of sixteen bytes: their lower and their upper halves.
    Wide(&'a [u64], &'a [u64]),
    /// Strings or bytes.
    Strings(Strings<'a>),
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) views: Views,
    strings: strings::Room,
    first: Vec<u64>,
    second: Vec<u64>,
}

/// Appends a column. `nulls` says which rows have no value; where all have one it is `None`.
pub(super) fn put(of: &ColumnType, nulls: Option<&[bool]>, values: Values<'_>, room: &mut Room, out: &mut Vec<u8>) {
    put_head(of, nulls, out);
    match nulls {
        None => put_values(values, room, out),
        Some(nulls) => {
            let (mut first, mut second) = (std::mem::take(&mut room.first), std::mem::take(&mut room.second));
            put_values(valid(values, nulls, (&mut first, &mut second)), room, out);
            (room.first, room.second) = (first, second);
        }
    }
}

/// Appends the name and what is NULL.
pub(super) fn put_head(of: &ColumnType, nulls: Option<&[bool]>, out: &mut Vec<u8>) {
    out.push(of.name.len() as u8);
    out.extend_from_slice(of.name.as_bytes());
    out.push(u8::from(nulls.is_some()));
    if let Some(nulls) = nulls {
        put_bits(nulls.iter().map(|null| !null), out);
    }
}

pub(super) fn put_bits(bits: impl ExactSizeIterator<Item = bool>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bits.len().div_ceil(8), 0);
    let out = &mut out[start..];
    bits.enumerate().for_each(|(row, bit)| out[row / 8] |= u8::from(bit) << (row % 8));
}

/// The values of the rows that are not NULL.
fn valid<'a>(values: Values<'a>, nulls: &[bool], room: (&'a mut Vec<u64>, &'a mut Vec<u64>)) -> Values<'a> {
    let (first, second) = room;
    let mut pick = |from: &[u64], second_half: bool| {
        let to = if second_half { &mut *second } else { &mut *first };
        to.clear();
        to.extend(from.iter().zip(nulls).filter(|(_, null)| !**null).map(|(value, _)| value));
    };
    match values {
        // They have a bit each.
        Values::Bits(_) => values,
        Values::Words(words) => {
            pick(words, false);
            Values::Words(first)
        }
        Values::Wide(low, high) => {
            pick(low, false);
            pick(high, true);
            Values::Wide(first, second)
        }
        Values::Strings(Strings { low, high, long }) => {
            pick(low, false);
            pick(high, true);
            Values::Strings(Strings { low: first, high: second, long })
        }
    }
}

fn put_values(values: Values<'_>, room: &mut Room, out: &mut Vec<u8>) {
    match values {
        Values::Bits(bits) => put_bits(bits.iter().map(|&bit| bit != 0), out),
        Values::Words(words) => words::put(words, out),
        Values::Wide(low, high) => {
            words::put(low, out);
            let mut turned = std::mem::take(&mut room.strings.lengths);
            turned.clear();
            turned.extend(low.iter().zip(high).map(|(&low, &high)| turn(low, high)));
            words::put(&turned, out);
            room.strings.lengths = turned;
        }
        Values::Strings(strings) => strings::put(strings, &mut room.strings, out),
    }
}

/// The upper half of a value as it is written, and back.
pub(super) fn turn(low: u64, high: u64) -> u64 {
    high ^ ((low as i64) >> 63) as u64
}
