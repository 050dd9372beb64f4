//! Bytes back into batches: the counterpart of [`encode`](super::encode).

use super::column::{is_bytes, turn};
use super::{strings, words};
use arrow::array::{ArrayData, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use std::ops::Range;
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
        let valid = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
        if data_type == DataType::Boolean {
            return Ok(self.bits(rows).map(|bits| Arc::new(BooleanArray::new(bits, nulls)) as ArrayRef));
        }
        if is_bytes(&data_type) {
            return self.byte_column(&data_type, valid, nulls);
        }
        let width = data_type.primitive_width();
        let width = width.ok_or_else(|| ArrowError::ParseError(format!("no state has columns of type {name}")))?;
        let values = match width {
            1..=8 => self.words(valid).map(|words| narrow(&spread(words, nulls.as_ref()), width)),
            16 => self.wide(valid).map(|values| Buffer::from_vec(spread(values, nulls.as_ref()))),
            _ => rows.checked_mul(width).and_then(|len| self.take(len)).map(Buffer::from),
        };
        let Some(values) = values else { return Ok(None) };
        let data = ArrayData::builder(data_type).len(rows).add_buffer(values).nulls(nulls).align_buffers(true);
        Ok(Some(make_array(data.build()?)))
    }

    fn wide(&mut self, rows: usize) -> Option<Vec<u128>> {
        let (low, turned) = (self.words(rows)?, self.words(rows)?);
        let value = |(&low, &turned)| u128::from(low) | u128::from(turn(low, turned)) << 64;
        Some(low.iter().zip(&turned).map(value).collect())
    }

    fn byte_column(
        &mut self,
        data_type: &DataType,
        valid: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        let Some((lengths, bytes)) = self.strings(valid) else { return Ok(None) };
        let lengths = spread(lengths, nulls.as_ref());
        let offsets = OffsetBuffer::from_lengths(lengths.into_iter().map(|len| len as usize));
        let binary = BinaryArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?;
        let column: ArrayRef = match data_type.is_string() {
            true => Arc::new(StringArray::try_from_binary(binary)?),
            false => Arc::new(binary),
        };
        cast(&column, data_type).map(Some)
    }

    /// The lengths of strings, and their bytes.
    fn strings(&mut self, rows: usize) -> Option<(Vec<u64>, Vec<u8>)> {
        if rows == 0 {
            return Some(Default::default());
        }
        let different = self.number::<1>()?;
        if different > 0 {
            let (lengths, bytes) = self.some_strings(different, &[])?;
            let bits = strings::bits_of(different);
            let packed = self.take(words::packed_bytes(rows, bits))?;
            return repeat(&lengths, &bytes, (0..rows).map(|row| words::bits_at(packed, row, bits as usize) as usize));
        }
        let prefix = self.number::<1>().and_then(|len| self.take(len))?;
        self.some_strings(rows, prefix)
    }

    fn some_strings(&mut self, rows: usize, prefix: &[u8]) -> Option<(Vec<u64>, Vec<u8>)> {
        let mut lengths = self.words(rows)?;
        let total = lengths.iter().try_fold(0u64, |total, len| total.checked_add(*len))?;
        let mut rest = self.take(usize::try_from(total).ok()?)?;
        let all = (rows * prefix.len()).checked_add(rest.len()).filter(|&all| i32::try_from(all).is_ok())?;
        let mut bytes = Vec::with_capacity(all);
        for len in &mut lengths {
            let (own, behind) = rest.split_at(*len as usize);
            bytes.extend_from_slice(prefix);
            bytes.extend_from_slice(own);
            rest = behind;
            *len += prefix.len() as u64;
        }
        Some((lengths, bytes))
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
        let (words, rest) = words::take(rows, self.0)?;
        self.0 = rest;
        Some(words)
    }
}

/// Strings by their numbers among some; `None` where there is no such string, or they are too many bytes.
fn repeat(lengths: &[u64], bytes: &[u8], numbers: impl Iterator<Item = usize>) -> Option<(Vec<u64>, Vec<u8>)> {
    let mut end = 0;
    let place = |len: &u64| {
        end += *len as usize;
        end - *len as usize..end
    };
    let places: Vec<Range<usize>> = lengths.iter().map(place).collect();
    let (mut repeated, mut all) = (Vec::new(), Vec::new());
    for number in numbers {
        let place = places.get(number)?.clone();
        repeated.push(place.len() as u64);
        all.extend_from_slice(&bytes[place]);
    }
    i32::try_from(all.len()).is_ok().then_some((repeated, all))
}

/// Values in their rows, with zeros where there is none.
fn spread<T: Copy + Default>(values: Vec<T>, nulls: Option<&NullBuffer>) -> Vec<T> {
    let Some(nulls) = nulls else { return values };
    let mut values = values.into_iter();
    let value = |valid: bool| if valid { values.next() } else { None };
    nulls.iter().map(value).map(Option::unwrap_or_default).collect()
}

/// Words as values of so many bytes.
fn narrow(words: &[u64], width: usize) -> Buffer {
    match width {
        1 => words.iter().map(|&word| word as u8).collect(),
        2 => words.iter().map(|&word| word as u16).collect(),
        4 => words.iter().map(|&word| word as u32).collect(),
        _ => words.iter().copied().collect(),
    }
}
