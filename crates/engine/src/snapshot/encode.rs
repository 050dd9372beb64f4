//! A batch as bytes. Arrow's own format would repeat the schema, some hundred bytes a column, for each of the 256 key
//! groups of each save; here a column's head is its type's name.
//!
//! A batch is its number of rows (`u32`) and, unless that is 0, its number of columns (`u16`) and the columns, as
//! [`column`] says.

use super::column::{self, ColumnType, Room, Values, is_bytes, put_bits, put_head};
use super::strings::Views;
use arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use std::ops::Range;

/// Encodes one batch, column by column, as its values are handed over.
#[derive(Debug)]
pub struct BatchWriter<'a> {
    pub(super) rows: usize,
    pub(super) room: &'a mut Room,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) failed: &'a mut Option<ArrowError>,
}

/// Appends how many rows and columns a batch has. The columns are to follow unless it has no rows.
pub(super) fn put_size(rows: usize, columns: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let too_many = |_| ArrowError::InvalidArgumentError(format!("{rows} rows in one batch of state"));
    out.extend_from_slice(&u32::try_from(rows).map_err(too_many)?.to_le_bytes());
    if rows > 0 {
        out.extend_from_slice(&(columns as u16).to_le_bytes());
    }
    Ok(())
}

impl BatchWriter<'_> {
    /// How many values each column has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a column. `nulls` says which rows have no value; where all have one it is `None`.
    pub fn column(&mut self, of: &ColumnType, nulls: Option<&[bool]>, values: Values<'_>) {
        column::put(of, nulls, values, self.room, self.out);
    }

    /// Adds a column of strings or bytes, none of which is NULL.
    pub fn bytes<'b>(&mut self, of: &ColumnType, values: impl Iterator<Item = &'b [u8]>) {
        let mut views = std::mem::take(&mut self.room.views);
        views.clear();
        values.for_each(|value| views.push(value));
        self.column(of, None, Values::Strings(views.strings()));
        self.room.views = views;
    }

    /// Adds a column of a type that is not written value by value.
    pub fn stream(&mut self, array: &ArrayRef) {
        if let Err(error) = put_stream(array, self.out) {
            self.failed.get_or_insert(error);
        }
    }
}

/// Encodes ranges of rows of one batch.
pub(super) struct BatchEncoder<'a> {
    columns: Vec<Column<'a>>,
    nulls: Vec<bool>,
    low: Vec<u64>,
    high: Vec<u64>,
    views: Views,
}

struct Column<'a> {
    array: &'a ArrayRef,
    /// `None` where it goes as an Arrow stream.
    of: Option<ColumnType>,
    /// Where its values have a fixed width.
    data: Option<ArrayData>,
}

impl<'a> BatchEncoder<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        let columns = batch.columns().iter().map(|array| {
            let data = array.data_type().is_primitive().then(|| array.to_data());
            Column { array, of: ColumnType::new(array.data_type()), data }
        });
        let (nulls, low, high) = Default::default();
        Self { columns: columns.collect(), nulls, low, high, views: Views::default() }
    }

    /// Appends the bytes of some rows.
    pub(super) fn encode(&mut self, rows: Range<usize>, room: &mut Room, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        put_size(rows.len(), self.columns.len(), out)?;
        if rows.is_empty() {
            return Ok(());
        }
        (0..self.columns.len()).try_for_each(|column| self.encode_column(column, rows.clone(), room, out))
    }

    fn encode_column(
        &mut self,
        column: usize,
        rows: Range<usize>,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), ArrowError> {
        let Column { array, of, data } = &self.columns[column];
        let Some(of) = of else { return put_stream(&array.slice(rows.start, rows.len()), out) };
        self.nulls.clear();
        if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            self.nulls.extend(nulls.inner().slice(rows.start, rows.len()).iter().map(|valid| !valid));
        }
        let nulls = self.nulls.contains(&true).then_some(&self.nulls[..]);
        let (low, high) = (&mut self.low, &mut self.high);
        let values = match (data, array.data_type()) {
            (Some(data), data_type) => match data_type.primitive_width().expect("a primitive type has a width") {
                width @ 1..=8 => {
                    words_of(data, width, rows, low);
                    Values::Words(low)
                }
                16 => {
                    let values = data.buffer::<u128>(0)[rows].iter();
                    (*low, *high) = values.map(|&value| (value as u64, (value >> 64) as u64)).unzip();
                    Values::Wide(low, high)
                }
                width => {
                    put_head(of, nulls, out);
                    let start = (data.offset() + rows.start) * width;
                    out.extend_from_slice(&data.buffers()[0].as_slice()[start..start + rows.len() * width]);
                    return Ok(());
                }
            },
            (None, DataType::Boolean) => {
                put_head(of, nulls, out);
                put_bits(array.as_boolean().values().slice(rows.start, rows.len()).iter(), out);
                return Ok(());
            }
            (None, data_type) => {
                debug_assert!(is_bytes(data_type), "{data_type} has another form");
                self.views.clear();
                rows.for_each(|row| self.views.push(bytes_of(array, row)));
                Values::Strings(self.views.strings())
            }
        };
        column::put(of, nulls, values, room, out);
        Ok(())
    }
}

/// Values of up to eight bytes as words.
fn words_of(data: &ArrayData, width: usize, rows: Range<usize>, words: &mut Vec<u64>) {
    words.clear();
    match width {
        1 => words.extend(data.buffer::<u8>(0)[rows].iter().map(|&value| u64::from(value))),
        2 => words.extend(data.buffer::<u16>(0)[rows].iter().map(|&value| u64::from(value))),
        4 => words.extend(data.buffer::<u32>(0)[rows].iter().map(|&value| u64::from(value))),
        _ => words.extend_from_slice(&data.buffer::<u64>(0)[rows]),
    }
}

fn bytes_of(array: &ArrayRef, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        _ => array.as_binary_view().value(row),
    }
}

fn put_stream(array: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let batch = RecordBatch::try_from_iter_with_nullable([("c", array.clone(), true)])?;
    let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    stream.write(&batch)?;
    let stream = stream.into_inner()?;
    let too_long = |_| ArrowError::InvalidArgumentError("4 GiB in one column of a key group's state".into());
    // No name.
    out.push(0);
    out.extend_from_slice(&u32::try_from(stream.len()).map_err(too_long)?.to_le_bytes());
    out.extend_from_slice(&stream);
    Ok(())
}
