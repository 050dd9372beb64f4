//! How a key lies in a record: each column as one or two words, and the bits of NULL columns.
//!
//! Strings lie as Arrow views; the bytes of those longer than twelve are copied to the table's arena, so that no input
//! buffer stays alive. Types that have no such form (structs, lists) go through Arrow's row format as byte strings.

use super::prefetch::prefetch;
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use std::sync::Arc;

/// The longest string that lies in a view itself.
const INLINE_MAX: usize = 12;

/// NULL bits beside the mark; the bits of further columns lie in words of their own.
const MASK_BITS: usize = 32;

/// When two keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Equality {
    /// As GROUP BY has it: −0.0 is 0.0, and comes out so. NULL equals NULL, NaN equals the same NaN.
    Grouped,
    /// Only the same bits: for whole rows, which must come out as they went in.
    Exact,
}

/// How one column is stored.
pub(super) enum Encoding {
    Bool,
    /// A value of 1, 2, 4 or 8 bytes.
    Word(usize),
    /// The same for floats, whose zeros are made one.
    Float(usize),
    /// A value of 16 bytes.
    Wide,
    /// A view of a string or of bytes.
    View,
    /// Arrow's row format of the value, as a view of bytes.
    Row(RowConverter),
}

pub(super) struct Column {
    pub(super) data_type: DataType,
    pub(super) encoding: Encoding,
    /// Its first word in the key.
    pub(super) word: usize,
}

/// The form of a table's keys.
pub(super) struct KeyLayout {
    pub(super) columns: Vec<Column>,
    width: usize,
}

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

    fn long_string(&self, column: usize, low: u64, high: u64) -> &[u8] {
        let (buffer, offset) = (high as u32 as usize, (high >> 32) as usize);
        &self.buffers[column][buffer][offset..offset + string_len(low)]
    }
}

/// The length of the string of a view.
#[inline(always)]
pub(super) fn string_len(low: u64) -> usize {
    low as u32 as usize
}

#[inline(always)]
fn is_long(low: u64) -> bool {
    string_len(low) > INLINE_MAX
}

fn encoding_of(data_type: &DataType, equality: Equality) -> Encoding {
    use DataType::{Binary, BinaryView, Boolean, Float16, Float32, Float64, LargeBinary, LargeUtf8, Utf8, Utf8View};
    match data_type {
        Boolean => Encoding::Bool,
        Float16 | Float32 | Float64 if equality == Equality::Grouped => {
            Encoding::Float(data_type.primitive_width().expect("floats are primitive"))
        }
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => Encoding::View,
        _ => match data_type.primitive_width() {
            Some(width @ (1 | 2 | 4 | 8)) => Encoding::Word(width),
            Some(16) => Encoding::Wide,
            _ => Encoding::Row(row_converter(data_type)),
        },
    }
}

fn row_converter(data_type: &DataType) -> RowConverter {
    RowConverter::new(vec![SortField::new(data_type.clone())])
        .unwrap_or_else(|_| panic!("the planner refuses keys of type {data_type}"))
}

impl KeyLayout {
    pub(super) fn new(types: Vec<DataType>, equality: Equality) -> Self {
        let mut width = types.len().saturating_sub(MASK_BITS).div_ceil(u64::BITS as usize);
        let columns = types
            .into_iter()
            .map(|data_type| {
                let encoding = encoding_of(&data_type, equality);
                let word = width;
                width += match encoding {
                    Encoding::Bool | Encoding::Word(_) | Encoding::Float(_) => 1,
                    Encoding::Wide | Encoding::View | Encoding::Row(_) => 2,
                };
                Column { data_type, encoding, word }
            })
            .collect();
        Self { columns, width }
    }

    /// The length of a key in words.
    #[inline(always)]
    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// The first word of a column in the key.
    pub(super) fn word(&self, column: usize) -> usize {
        self.columns[column].word
    }

    /// Whether a column of a record is NULL.
    pub(super) fn is_null(&self, record: &[u64], column: usize) -> bool {
        let (word, bit) = null_bit(column);
        let bits = if word == 0 { record[0] >> 32 } else { record[word] };
        bits >> bit & 1 != 0
    }

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

    /// Whether a stored key equals a row of the batch. `key` begins at the key's first word.
    pub(super) fn same(&self, key: &[u64], encoded: &Encoded, row: usize, arena: &[u8]) -> bool {
        let other = &encoded.words[row * self.width..][..self.width];
        if !encoded.long {
            return key[..self.width] == *other;
        }
        let plain = self.width_of_null_words();
        key[..plain] == other[..plain]
            && (0..self.columns.len()).all(|column| self.same_column(column, key, other, encoded, arena))
    }

    fn width_of_null_words(&self) -> usize {
        self.columns.first().map_or(0, |column| column.word)
    }

    fn same_column(&self, column: usize, key: &[u64], other: &[u64], encoded: &Encoded, arena: &[u8]) -> bool {
        let word = self.columns[column].word;
        match self.columns[column].encoding {
            Encoding::Bool | Encoding::Word(_) | Encoding::Float(_) => key[word] == other[word],
            Encoding::Wide => key[word..word + 2] == other[word..word + 2],
            Encoding::View | Encoding::Row(_) => {
                let (low, high) = (key[word], key[word + 1]);
                if low != other[word] || !is_long(low) {
                    return low == other[word] && high == other[word + 1];
                }
                stored_string(arena, low, high) == encoded.long_string(column, low, other[word + 1])
            }
        }
    }

    /// Writes a row of the batch as a stored key; long strings go to the arena.
    pub(super) fn store(&self, encoded: &Encoded, row: usize, key: &mut [u64], arena: &mut Vec<u8>) {
        key[..self.width].copy_from_slice(&encoded.words[row * self.width..][..self.width]);
        if encoded.long {
            self.for_long(key, |column, low, high| {
                let string = encoded.long_string(column, low, *high);
                *high = arena.len() as u64;
                arena.extend_from_slice(string);
            });
        }
    }

    /// How many bytes of the arena a stored key holds.
    pub(super) fn long_bytes(&self, key: &[u64]) -> usize {
        self.views().map(|(_, word)| key[word]).filter(|&low| is_long(low)).map(string_len).sum()
    }

    /// Fetches a stored key's long strings ahead of their use: the first two lines, as most are not longer.
    #[inline(always)]
    pub(super) fn prefetch_long(&self, key: &[u64], arena: &[u8]) {
        for (_, word) in self.views() {
            if is_long(key[word]) {
                let start = key[word + 1] as usize;
                prefetch(&raw const arena[start]);
                prefetch(&raw const arena[(start + string_len(key[word]) - 1).min(start + 64)]);
            }
        }
    }

    /// Moves a stored key's long strings to another arena.
    pub(super) fn move_long(&self, key: &mut [u64], from: &[u8], to: &mut Vec<u8>) {
        self.for_long(key, |_, low, high| {
            let string = stored_string(from, low, *high);
            *high = to.len() as u64;
            to.extend_from_slice(string);
        });
    }

    fn views(&self) -> impl Iterator<Item = (usize, usize)> {
        let is_view = |column: &&Column| matches!(column.encoding, Encoding::View | Encoding::Row(_));
        self.columns.iter().enumerate().filter(move |(_, column)| is_view(column)).map(|(at, column)| (at, column.word))
    }

    fn for_long(&self, key: &mut [u64], mut visit: impl FnMut(usize, u64, &mut u64)) {
        for (column, word) in self.views() {
            let low = key[word];
            if is_long(low) {
                visit(column, low, &mut key[word + 1]);
            }
        }
    }
}

/// Where a column's NULL bit lies: word 0 of the record (whose upper half they are), or a word of the key + 1.
fn null_bit(column: usize) -> (usize, usize) {
    match column.checked_sub(MASK_BITS) {
        None => (0, column),
        Some(rest) => (1 + rest / 64, rest % 64),
    }
}

/// The string of a stored view that is too long to lie in it.
pub(super) fn stored_string(arena: &[u8], low: u64, high: u64) -> &[u8] {
    &arena[high as usize..][..string_len(low)]
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
