//! The keys of a batch in the form of records, column by column.

use super::layout::{Column, Encoding, KeyLayout, is_long, null_bit, string_len};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::RowConverter;
use std::sync::Arc;

/// The keys of a batch, row by row in the form of records, except that long strings still lie in the batch.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) words: Vec<u64>,
    masks: Vec<u32>,
    /// Whether any string is too long for a view.
    pub(super) long: bool,
    /// For each column the buffers of its long strings.
    buffers: Vec<Arc<[Buffer]>>,
}

impl Encoded {
    /// The NULL bits of a row.
    #[inline(always)]
    pub(super) fn mask(&self, row: usize) -> u32 {
        self.masks.get(row).copied().unwrap_or(0)
    }

    /// A string of the batch that is too long for a view.
    pub(super) fn long_string(&self, column: usize, low: u64, high: u64) -> &[u8] {
        let (buffer, offset) = (high as u32 as usize, (high >> 32) as usize);
        &self.buffers[column][buffer][offset..offset + string_len(low)]
    }
}

impl KeyLayout {
    /// Brings the keys of a batch into the form of records.
    pub(super) fn encode(&self, keys: &[ArrayRef], rows: usize, out: &mut Encoded) {
        assert_eq!(keys.len(), self.columns.len(), "one array for each key column");
        out.words.clear();
        out.words.resize(rows * self.width, 0);
        out.masks.clear();
        out.buffers.clear();
        out.long = false;
        for (column, array) in keys.iter().enumerate() {
            self.encode_column(column, array, out);
        }
    }

    fn encode_column(&self, column: usize, array: &ArrayRef, out: &mut Encoded) {
        let Column { data_type, encoding, word } = &self.columns[column];
        debug_assert_eq!(array.data_type(), data_type, "key column {column} has the type it was planned with");
        let mut target = Target { words: &mut out.words, width: self.width, word: *word };
        let mut buffers = Arc::default();
        match encoding {
            Encoding::Bool => target.fill(array.as_boolean().values().iter(), u64::from),
            Encoding::Word(width) => target.fill_words(array, *width),
            Encoding::Float(width) => {
                target.fill_words(array, *width);
                target.unsign_zeros(*width);
            }
            Encoding::Wide => target.fill_wide(array.to_data().buffer::<u128>(0)),
            Encoding::View => buffers = encode_views(&view_array(array), target, &mut out.long),
            Encoding::Row(converter) => {
                buffers = encode_views(&encode_rows(converter, array), target, &mut out.long);
            }
        }
        out.buffers.push(buffers);
        if array.logical_null_count() > 0 {
            self.encode_nulls(column, array, out);
        }
    }

    fn encode_nulls(&self, column: usize, array: &ArrayRef, out: &mut Encoded) {
        let nulls = array.logical_nulls().expect("an array with NULLs tells which");
        out.masks.resize(array.len(), 0);
        let (null_word, bit) = null_bit(column);
        let words = if column + 1 < self.columns.len() { self.word(column + 1) } else { self.width };
        for row in (0..array.len()).filter(|&row| nulls.is_null(row)) {
            out.words[row * self.width..][self.word(column)..words].fill(0);
            if null_word == 0 {
                out.masks[row] |= 1 << bit;
            } else {
                out.words[row * self.width + null_word - 1] |= 1 << bit;
            }
        }
    }
}

/// The words of one column within the words of all.
struct Target<'a> {
    words: &'a mut [u64],
    width: usize,
    word: usize,
}

impl Target<'_> {
    #[inline(always)]
    fn fill<T>(&mut self, values: impl Iterator<Item = T>, word_of: impl Fn(T) -> u64) {
        let word = self.word;
        for (key, value) in self.words.chunks_exact_mut(self.width).zip(values) {
            key[word] = word_of(value);
        }
    }

    fn fill_words(&mut self, array: &ArrayRef, width: usize) {
        let data = array.to_data();
        match width {
            1 => self.fill(data.buffer::<u8>(0).iter(), |&value| u64::from(value)),
            2 => self.fill(data.buffer::<u16>(0).iter(), |&value| u64::from(value)),
            4 => self.fill(data.buffer::<u32>(0).iter(), |&value| u64::from(value)),
            _ => self.fill(data.buffer::<u64>(0).iter(), |&value| value),
        }
    }

    fn fill_wide(&mut self, values: &[u128]) {
        let word = self.word;
        for (key, &value) in self.words.chunks_exact_mut(self.width).zip(values) {
            key[word] = value as u64;
            key[word + 1] = (value >> 64) as u64;
        }
    }

    /// Makes −0.0 to 0.0 in a column of floats.
    fn unsign_zeros(&mut self, width: usize) {
        let minus_zero = 1 << (width * 8 - 1);
        for key in self.words.chunks_exact_mut(self.width) {
            if key[self.word] == minus_zero {
                key[self.word] = 0;
            }
        }
    }
}

/// Writes views; inline ones with zeros behind the string, as the equality of words needs.
fn encode_views(array: &BinaryViewArray, mut target: Target<'_>, long: &mut bool) -> Arc<[Buffer]> {
    target.fill_wide(array.views());
    let word = target.word;
    for key in target.words.chunks_exact_mut(target.width) {
        if is_long(key[word]) {
            *long = true;
        } else {
            trim(&mut key[word..word + 2]);
        }
    }
    array.data_buffers().iter().cloned().collect()
}

/// Clears the bytes of an inline view behind the string.
#[inline(always)]
fn trim(view: &mut [u64]) {
    let bits = (4 + string_len(view[0])) * 8;
    if bits <= 64 {
        view[0] &= u64::MAX >> (64 - bits);
        view[1] = 0;
    } else if bits < 128 {
        view[1] &= u64::MAX >> (128 - bits);
    }
}

fn view_array(array: &ArrayRef) -> BinaryViewArray {
    match array.data_type() {
        DataType::BinaryView => array.as_binary_view().clone(),
        DataType::Utf8View => array.as_string_view().clone().to_binary_view(),
        DataType::Utf8 | DataType::LargeUtf8 => {
            let views = cast(array, &DataType::Utf8View).expect("strings become views");
            views.as_string_view().clone().to_binary_view()
        }
        _ => cast(array, &DataType::BinaryView).expect("bytes become views").as_binary_view().clone(),
    }
}

fn encode_rows(converter: &RowConverter, array: &ArrayRef) -> BinaryViewArray {
    let rows = converter.convert_columns(&[Arc::clone(array)]).expect("the converter was made for this type");
    BinaryViewArray::from_iter_values(rows.iter().map(|row| row.data().to_vec()))
}
