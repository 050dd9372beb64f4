//! A batch as bytes. Arrow's own format would repeat the schema, some hundred bytes a column, for each of the 256 key
//! groups of each save; here a column's head is its type's name.
//!
//! A batch is its number of rows (`u32`) and, unless that is 0, its number of columns (`u16`) and the columns. A column
//! is the length of its type's name (`u8`) and the name, whether it has NULLs (`u8`) and the bits that say which rows
//! are none, then its values:
//! - truth values: bits;
//! - values of eight bytes: *words*, whose width (`u8`: 0, 1, 2, 4 or 8 bytes) is that of the greatest of them, or 128
//!   and a number of bits: then come the least of them and a unit (`u64` each), and how many units each lies above it;
//! - values of other fixed widths: as they lie in memory, little-endian;
//! - strings and bytes: their lengths as words, then all their bytes;
//! - anything else, with a name of length 0: the length (`u32`) and the bytes of an Arrow stream.

use super::words;
use arrow::array::{Array, ArrayAccessor, ArrayData, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use std::ops::Range;

/// Encodes ranges of rows of one batch.
pub(super) struct BatchEncoder<'a> {
    columns: Vec<Column<'a>>,
    /// Memory that is used again.
    lengths: Vec<u64>,
}

struct Column<'a> {
    array: &'a ArrayRef,
    /// The name of its type; empty where it goes as an Arrow stream.
    name: String,
    /// Where its values have a fixed width.
    data: Option<ArrayData>,
}

impl<'a> BatchEncoder<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        Self { columns: batch.columns().iter().map(Column::new).collect(), lengths: Vec::new() }
    }

    /// Appends the bytes of some rows.
    pub(super) fn encode(&mut self, rows: Range<usize>, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let too_many = |_| ArrowError::InvalidArgumentError(format!("{} rows in one batch of state", rows.len()));
        out.extend_from_slice(&u32::try_from(rows.len()).map_err(too_many)?.to_le_bytes());
        if rows.is_empty() {
            return Ok(());
        }
        out.extend_from_slice(&(self.columns.len() as u16).to_le_bytes());
        self.columns.iter().try_for_each(|column| column.encode(rows.clone(), &mut self.lengths, out))
    }
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Self {
        let data_type = array.data_type();
        let name = data_type.to_string();
        let plain = *data_type == DataType::Boolean || is_bytes(data_type) || data_type.is_primitive();
        // A name that Arrow does not read back as the same type is none.
        let named = plain && name.len() < 256 && name.parse::<DataType>().is_ok_and(|parsed| parsed == *data_type);
        let data = data_type.is_primitive().then(|| array.to_data());
        Self { array, name: if named { name } else { String::new() }, data }
    }

    fn encode(&self, rows: Range<usize>, lengths: &mut Vec<u64>, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        out.push(self.name.len() as u8);
        out.extend_from_slice(self.name.as_bytes());
        if self.name.is_empty() {
            return put_stream(&self.array.slice(rows.start, rows.len()), out);
        }
        let nulls = self.array.nulls().map(|nulls| nulls.slice(rows.start, rows.len()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        out.push(u8::from(nulls.is_some()));
        if let Some(nulls) = nulls {
            put_bits(nulls.inner(), out);
        }
        match (&self.data, self.array.data_type()) {
            (Some(data), data_type) => put_fixed(data, data_type, rows, out),
            (None, DataType::Boolean) => put_bits(&self.array.as_boolean().values().slice(rows.start, rows.len()), out),
            (None, _) => put_bytes(self.array, rows, lengths, out),
        }
        Ok(())
    }
}

pub(super) fn is_bytes(data_type: &DataType) -> bool {
    data_type.is_string() || matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn put_bits(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    out.extend_from_slice(&bits.sliced().as_slice()[..bits.len().div_ceil(8)]);
}

fn put_fixed(data: &ArrayData, data_type: &DataType, rows: Range<usize>, out: &mut Vec<u8>) {
    if data_type.primitive_width() == Some(size_of::<u64>()) {
        return words::put(data.buffer::<u64>(0)[rows].iter().copied(), out);
    }
    let width = data_type.primitive_width().expect("only primitive types have their data here");
    let start = (data.offset() + rows.start) * width;
    out.extend_from_slice(&data.buffers()[0].as_slice()[start..start + rows.len() * width]);
}

fn put_bytes(array: &ArrayRef, rows: Range<usize>, lengths: &mut Vec<u64>, out: &mut Vec<u8>) {
    match array.data_type() {
        DataType::Utf8 => put_values(array.as_string::<i32>(), rows, lengths, out),
        DataType::LargeUtf8 => put_values(array.as_string::<i64>(), rows, lengths, out),
        DataType::Utf8View => put_values(array.as_string_view(), rows, lengths, out),
        DataType::Binary => put_values(array.as_binary::<i32>(), rows, lengths, out),
        DataType::LargeBinary => put_values(array.as_binary::<i64>(), rows, lengths, out),
        _ => put_values(array.as_binary_view(), rows, lengths, out),
    }
}

fn put_values<A: ArrayAccessor>(array: A, rows: Range<usize>, lengths: &mut Vec<u64>, out: &mut Vec<u8>)
where
    A::Item: AsRef<[u8]>,
{
    lengths.clear();
    lengths.extend(rows.clone().map(|row| array.value(row).as_ref().len() as u64));
    words::put(lengths.iter().copied(), out);
    rows.for_each(|row| out.extend_from_slice(array.value(row).as_ref()));
}

fn put_stream(array: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let batch = RecordBatch::try_from_iter_with_nullable([("c", array.clone(), true)])?;
    let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    stream.write(&batch)?;
    let stream = stream.into_inner()?;
    let too_long = |_| ArrowError::InvalidArgumentError("4 GiB in one column of a key group's state".into());
    out.extend_from_slice(&u32::try_from(stream.len()).map_err(too_long)?.to_le_bytes());
    out.extend_from_slice(&stream);
    Ok(())
}
