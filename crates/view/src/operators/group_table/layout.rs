//! How a key lies in a record: each column as one or two words, and the bits of NULL columns.
//!
//! Strings lie as Arrow views; the bytes of those longer than twelve are copied to the table's arena, so that no input
//! buffer stays alive. Types that have no such form (structs, lists) go through Arrow's row format as byte strings.

use super::encode::Encoded;
use super::prefetch::prefetch;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

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
    pub(super) width: usize,
}

/// The length of the string of a view.
#[inline(always)]
pub(super) fn string_len(low: u64) -> usize {
    low as u32 as usize
}

#[inline(always)]
pub(super) fn is_long(low: u64) -> bool {
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

    /// The columns of a key's long strings, and their words.
    pub(super) fn each_long(&self, key: &[u64], mut visit: impl FnMut(usize, usize)) {
        for (column, word) in self.views().filter(|&(_, word)| is_long(key[word])) {
            visit(column, word);
        }
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
pub(super) fn null_bit(column: usize) -> (usize, usize) {
    match column.checked_sub(MASK_BITS) {
        None => (0, column),
        Some(rest) => (1 + rest / 64, rest % 64),
    }
}

/// The string of a stored view that is too long to lie in it.
pub(super) fn stored_string(arena: &[u8], low: u64, high: u64) -> &[u8] {
    &arena[high as usize..][..string_len(low)]
}
