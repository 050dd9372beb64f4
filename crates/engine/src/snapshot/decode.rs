//! Bytes back into batches: the counterpart of [`encode`](super::encode), where the format is described.

use super::encode::is_bytes;
use super::words;
use arrow::array::{ArrayData, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use std::sync::Arc;

/// The first batch of some bytes, and the bytes behind it; `None` when they are cut short.
pub(super) fn batch(bytes: &[u8]) -> Result<Option<(RecordBatch, &[u8])>, ArrowError> {
    let mut bytes = Bytes(bytes);
    Ok(match bytes.batch()? {
        Some(batch) => Some((batch, bytes.0)),
        None => None,
    })
}

/// What is left to read. Each function gives `None` when the bytes are cut short.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(rows) = self.number::<4>() else { return Ok(None) };
        if rows == 0 {
            return Ok(Some(RecordBatch::new_empty(Arc::new(Schema::empty()))));
        }
        let Some(count) = self.number::<2>() else { return Ok(None) };
        let mut columns = Vec::with_capacity(count);
        for at in 0..count {
            let Some(column) = self.column(rows)? else { return Ok(None) };
            columns.push((format!("c{at}"), column, true));
        }
        RecordBatch::try_from_iter_with_nullable(columns).map(Some)
    }

    fn column(&mut self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        let Some(name) = self.number::<1>().and_then(|len| self.take(len)) else { return Ok(None) };
        if name.is_empty() {
            return self.stream();
        }
        let name = std::str::from_utf8(name).map_err(|error| ArrowError::ParseError(error.to_string()))?;
        let data_type: DataType = name.parse()?;
        let nulls = match self.number::<1>() {
            None => return Ok(None),
            Some(0) => None,
            Some(_) => match self.bits(rows) {
                None => return Ok(None),
                Some(bits) => Some(NullBuffer::new(bits)),
            },
        };
        if data_type == DataType::Boolean {
            return Ok(self.bits(rows).map(|bits| Arc::new(BooleanArray::new(bits, nulls)) as ArrayRef));
        }
        if is_bytes(&data_type) {
            return self.byte_column(&data_type, rows, nulls);
        }
        let width = data_type.primitive_width();
        let width = width.ok_or_else(|| ArrowError::ParseError(format!("no state has columns of type {name}")))?;
        let values = match width {
            8 => self.words(rows).map(Buffer::from_vec),
            _ => rows.checked_mul(width).and_then(|len| self.take(len)).map(Buffer::from),
        };
        let Some(values) = values else { return Ok(None) };
        let data = ArrayData::builder(data_type).len(rows).add_buffer(values).nulls(nulls).align_buffers(true);
        Ok(Some(make_array(data.build()?)))
    }

    fn byte_column(
        &mut self,
        data_type: &DataType,
        rows: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        let Some(lengths) = self.words(rows) else { return Ok(None) };
        let total = lengths.iter().try_fold(0u64, |total, len| total.checked_add(*len));
        let total = total.and_then(|total| i32::try_from(total).ok());
        let Some(values) = total.and_then(|total| self.take(total as usize)) else { return Ok(None) };
        let offsets = OffsetBuffer::from_lengths(lengths.into_iter().map(|len| len as usize));
        let binary = BinaryArray::try_new(offsets, Buffer::from(values), nulls)?;
        let column: ArrayRef = match data_type.is_string() {
            true => Arc::new(StringArray::try_from_binary(binary)?),
            false => Arc::new(binary),
        };
        cast(&column, data_type).map(Some)
    }

    fn stream(&mut self) -> Result<Option<ArrayRef>, ArrowError> {
        let Some(stream) = self.number::<4>().and_then(|len| self.take(len)) else { return Ok(None) };
        let batch = StreamReader::try_new(stream, None)?.next().transpose()?;
        Ok(batch.and_then(|batch| batch.columns().first().cloned()))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes.
    fn number<const N: usize>(&mut self) -> Option<usize> {
        let mut number = [0; size_of::<usize>()];
        number[..N].copy_from_slice(self.take(N)?);
        Some(usize::from_le_bytes(number))
    }

    fn bits(&mut self, rows: usize) -> Option<BooleanBuffer> {
        Some(BooleanBuffer::new(Buffer::from(self.take(rows.div_ceil(8))?), 0, rows))
    }

    fn words(&mut self, rows: usize) -> Option<Vec<u64>> {
        let width = self.number::<1>()? as u8;
        let values = self.take(words::bytes(width, rows)?)?;
        Some(words::read(width, rows, values))
    }
}
