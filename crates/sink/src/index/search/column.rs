//! One field's values in one segment, by document.

use crate::index::layout::Kind;
use crate::index::mapping::Leaf;
use tantivy::columnar::{Cardinality, Column, StrColumn};
use tantivy::{DocId, SegmentReader, TantivyError};

/// A field's column: numbers in an order-preserving form, strings by their rank in the segment's dictionary.
pub(crate) struct FieldColumn {
    /// How the values are indexed.
    pub(crate) kind: Kind,
    values: Column<u64>,
    strings: Option<StrColumn>,
}

impl FieldColumn {
    /// Opens the column; it is empty where no document of the segment has a value.
    pub(crate) fn open(segment: &SegmentReader, leaf: &Leaf) -> Result<Self, TantivyError> {
        Self::named(segment, &leaf.column, leaf.kind)
    }

    /// Opens a column by tantivy's name for it.
    pub(crate) fn named(segment: &SegmentReader, name: &str, kind: Kind) -> Result<Self, TantivyError> {
        let columns = segment.fast_fields();
        let strings = if kind.is_string() { columns.str(name)? } else { None };
        let numbers = if kind.is_string() { None } else { columns.u64_lenient(name)? };
        let values = match (&strings, numbers) {
            (Some(strings), _) => strings.ords().clone(),
            (None, Some((numbers, _))) => numbers,
            (None, None) => Column::build_empty_column(segment.max_doc()),
        };
        Ok(Self { kind, values, strings })
    }

    /// The document's values.
    pub(crate) fn values(&self, document: DocId) -> impl Iterator<Item = u64> + '_ {
        self.values.values_for_doc(document)
    }

    /// Whether a document may have more than one value.
    pub(crate) fn is_multiple(&self) -> bool {
        self.values.get_cardinality() == Cardinality::Multivalued
    }

    /// The string of a rank.
    pub(crate) fn text(&self, rank: u64) -> String {
        let mut text = String::new();
        if let Some(strings) = &self.strings {
            // A rank came from this very dictionary; a file that cannot be read shows as an empty string.
            if strings.ord_to_str(rank, &mut text).is_err() {
                text.clear();
            }
        }
        text
    }

    /// The strings of ranks, which are sorted: as [`Self::text`], but each block of the dictionary is unpacked once.
    pub(crate) fn texts(&self, ranks: &[u64], mut each: impl FnMut(&str)) {
        let mut told = 0;
        if let Some(strings) = &self.strings {
            let tell = |bytes: &[u8]| {
                each(std::str::from_utf8(bytes).unwrap_or_default());
                told += 1;
            };
            // What cannot be read is told below.
            let _ = strings.dictionary().sorted_ords_to_term_cb(ranks, tell);
        }
        (told..ranks.len()).for_each(|_| each(""));
    }
}
