//! Rows to 128 bits each, which stand for them where equality is all that is asked.

use super::encode::Encoded;
use super::layout::{Equality, KeyLayout};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use xxhash_rust::xxh3::xxh3_128;

/// Digests of rows: equal for equal rows, and different for different ones (ADR 11).
///
/// They are part of the stored format. A row's bytes are its NULL bits and its words as a record has them, then its long
/// strings one behind the other: their lengths are in the words, so that no two rows have the same bytes.
pub(crate) struct Digests {
    layout: KeyLayout,
    encoded: Encoded,
    bytes: Vec<u8>,
    /// The lower half of each row's digest.
    pub(crate) low: Vec<u64>,
    /// And the upper one.
    pub(crate) high: Vec<u64>,
}

impl Digests {
    /// Whether there are digests of such values: of those that are equal only where they are the same bits, in a form of
    /// our own. Zeros of floats are equal and differ; lists and structs are in a form that Arrow may change.
    pub(crate) fn are_of(data_type: &DataType) -> bool {
        use DataType::{Binary, BinaryView, Boolean, LargeBinary, LargeUtf8, Utf8, Utf8View};
        match data_type {
            Boolean | Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => true,
            other => !other.is_floating() && matches!(other.primitive_width(), Some(1 | 2 | 4 | 8 | 16)),
        }
    }

    /// The words of a row of these types, of which there are digests.
    pub(crate) fn words_of(types: &[DataType]) -> usize {
        KeyLayout::new(types.to_vec(), Equality::Exact).width()
    }

    /// For rows of these types.
    pub(crate) fn new(types: Vec<DataType>) -> Self {
        assert!(types.iter().all(Self::are_of), "the planner takes digests of rows of other types: {types:?}");
        Self {
            layout: KeyLayout::new(types, Equality::Exact),
            encoded: Encoded::default(),
            bytes: Vec::new(),
            low: Vec::new(),
            high: Vec::new(),
        }
    }

    /// Puts the digests of some rows into `low` and `high`.
    pub(crate) fn take(&mut self, columns: &[ArrayRef], rows: usize) {
        self.layout.encode(columns, rows, &mut self.encoded);
        self.low.clear();
        self.high.clear();
        for row in 0..rows {
            self.layout.write_bytes(&self.encoded, row, &mut self.bytes);
            let digest = xxh3_128(&self.bytes);
            self.low.push(digest as u64);
            self.high.push((digest >> 64) as u64);
        }
    }
}

impl KeyLayout {
    /// A row as bytes that no other row has.
    fn write_bytes(&self, encoded: &Encoded, row: usize, bytes: &mut Vec<u8>) {
        let words = &encoded.words[row * self.width..][..self.width];
        bytes.resize(size_of::<u32>() + size_of_val(words), 0);
        let (mask, rest) = bytes.split_first_chunk_mut().expect("the NULL bits are in front");
        *mask = encoded.mask(row).to_le_bytes();
        rest.as_chunks_mut().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        if encoded.long {
            // Where a string lies in its batch says nothing of the row.
            let start = |word: usize| size_of::<u32>() + word * size_of::<u64>();
            self.each_long(words, |column, word| {
                bytes[start(word + 1)..start(word + 2)].fill(0);
                bytes.extend_from_slice(encoded.long_string(column, words[word], words[word + 1]));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Decimal128Array, Int64Array, StringArray, StringViewArray};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn digests(columns: &[ArrayRef]) -> Vec<(u64, u64)> {
        let mut digests = Digests::new(columns.iter().map(|column| column.data_type().clone()).collect());
        digests.take(columns, columns[0].len());
        digests.low.into_iter().zip(digests.high).collect()
    }

    #[test]
    fn digests_are_those_of_every_version_before() {
        let columns: [ArrayRef; 4] = [
            Arc::new(Int64Array::from(vec![Some(7), None, Some(-1)])),
            Arc::new(StringViewArray::from(vec![Some("short"), Some("longer than twelve bytes"), None])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(Decimal128Array::from(vec![None, Some(12_345), Some(-1)])),
        ];
        let expected = [
            (14_128_752_282_902_454_216, 18_167_592_684_918_630_518),
            (18_404_762_738_936_082_113, 18_306_494_489_304_162_165),
            (2_433_786_549_317_647_328, 14_867_232_682_755_859_209),
        ];
        assert_eq!(digests(&columns), expected);
    }

    #[test]
    fn no_two_rows_have_the_same_bytes() {
        let texts = [None, Some(""), Some("\0"), Some("twelve bytes"), Some("thirteen byte"), Some("thirteen bytes")];
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for a in texts {
            for b in texts {
                left.push(a);
                right.push(b);
            }
        }
        let columns: [ArrayRef; 2] = [Arc::new(StringViewArray::from(left)), Arc::new(StringArray::from(right))];
        let digests = digests(&columns);
        assert_eq!(digests.iter().collect::<HashSet<_>>().len(), texts.len() * texts.len());
    }

    #[test]
    fn a_row_has_the_same_digest_in_every_batch() {
        let texts = ["a", "a string that is rather long", "another string that is long", "a"];
        let whole: ArrayRef = Arc::new(StringViewArray::from(texts.to_vec()));
        let of_whole = digests(std::slice::from_ref(&whole));
        for row in 0..texts.len() {
            assert_eq!(digests(&[whole.slice(row, 1)]), [of_whole[row]]);
            let alone: ArrayRef = Arc::new(StringViewArray::from(vec![texts[row]]));
            assert_eq!(digests(&[alone]), [of_whole[row]]);
        }
        assert_eq!(of_whole[0], of_whole[3]);
    }

    #[test]
    fn columns_beyond_those_whose_null_bits_lie_together_count_too() {
        let columns = |null: usize| -> Vec<ArrayRef> {
            (0..40).map(|at| Arc::new(Int64Array::from(vec![(at != null).then_some(0)])) as ArrayRef).collect()
        };
        let different: HashSet<_> = (0..=40).flat_map(|null| digests(&columns(null))).collect();
        assert_eq!(different.len(), 41);
    }
}
