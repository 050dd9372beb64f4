//! Stored keys back into Arrow columns.

use super::layout::{Column, Encoding, stored_string, string_len};
use super::{GroupTable, NO_GROUP};
use arrow::array::{Array, ArrayData, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, make_array};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::RowConverter;
use std::sync::Arc;

impl GroupTable {
    /// One key column of some groups, built straight from the records.
    pub(super) fn decode_column(&self, column: usize, groups: &[u32]) -> ArrayRef {
        let Column { data_type, encoding, word } = &self.layout.columns[column];
        let nulls = self.decode_nulls(column, groups);
        let at = 1 + word;
        match encoding {
            Encoding::Bool => {
                let values = groups.iter().map(|&group| self.word(group, at) != 0).collect();
                Arc::new(BooleanArray::new(values, nulls))
            }
            Encoding::Word(width) | Encoding::Float(width) => {
                let words = groups.iter().map(|&group| self.word(group, at));
                primitive(data_type, groups.len(), narrow(words, *width), nulls)
            }
            Encoding::Wide => {
                let values: Vec<u128> = groups.iter().map(|&group| self.wide(group, at)).collect();
                primitive(data_type, groups.len(), Buffer::from_vec(values), nulls)
            }
            Encoding::View => strings(data_type, self.views(groups, at, nulls)),
            Encoding::Row(converter) => decode_rows(converter, data_type, &self.views(groups, at, nulls)),
        }
    }

    /// Whether any key ever was NULL in this column, as far as that is known.
    pub(super) fn may_be_null(&self, column: usize) -> bool {
        column >= 32 || self.nulls_seen >> column & 1 != 0
    }

    fn decode_nulls(&self, column: usize, groups: &[u32]) -> Option<NullBuffer> {
        if !self.may_be_null(column) && !groups.contains(&NO_GROUP) {
            return None;
        }
        let valid = |group| group != NO_GROUP && !self.layout.is_null(self.records.get(group), column);
        Some(groups.iter().map(|&group| valid(group)).collect::<NullBuffer>()).filter(|nulls| nulls.null_count() > 0)
    }

    #[inline(always)]
    fn word(&self, group: u32, at: usize) -> u64 {
        if group == NO_GROUP { 0 } else { self.records.get(group)[at] }
    }

    #[inline(always)]
    fn wide(&self, group: u32, at: usize) -> u128 {
        if group == NO_GROUP {
            return 0;
        }
        let record = self.records.get(group);
        u128::from(record[at]) | u128::from(record[at + 1]) << 64
    }

    /// Views over one new buffer that holds the long strings of just these groups.
    fn views(&self, groups: &[u32], at: usize, nulls: Option<NullBuffer>) -> BinaryViewArray {
        let mut bytes = Vec::new();
        let views: Vec<u128> = groups
            .iter()
            .map(|&group| {
                let view = self.wide(group, at);
                let low = view as u64;
                if string_len(low) <= 12 {
                    return view;
                }
                let offset = bytes.len() as u128;
                bytes.extend_from_slice(stored_string(&self.arena, low, (view >> 64) as u64));
                u128::from(low) | offset << 96
            })
            .collect();
        assert!(u32::try_from(bytes.len()).is_ok(), "the strings of one output batch fit 4 GiB");
        let buffers: Arc<[Buffer]> = if bytes.is_empty() { Arc::new([]) } else { Arc::new([Buffer::from_vec(bytes)]) };
        // SAFETY: short views came from valid arrays and were stored as they are; each long one names its length and
        // the place in the only buffer where just that many bytes were written, and keeps the prefix it had.
        unsafe { BinaryViewArray::new_unchecked(ScalarBuffer::from(views), buffers, nulls) }
    }
}

fn narrow(words: impl Iterator<Item = u64>, width: usize) -> Buffer {
    match width {
        1 => Buffer::from_vec(words.map(|word| word as u8).collect::<Vec<_>>()),
        2 => Buffer::from_vec(words.map(|word| word as u16).collect::<Vec<_>>()),
        4 => Buffer::from_vec(words.map(|word| word as u32).collect::<Vec<_>>()),
        _ => Buffer::from_vec(words.collect::<Vec<_>>()),
    }
}

/// An array of a type with values of fixed width.
pub(crate) fn primitive(data_type: &DataType, len: usize, values: Buffer, nulls: Option<NullBuffer>) -> ArrayRef {
    let data = ArrayData::builder(data_type.clone()).len(len).add_buffer(values).nulls(nulls);
    make_array(data.build().expect("the buffer has a value of the type's width for each row"))
}

/// Views as the string or byte type that is wanted.
fn strings(data_type: &DataType, views: BinaryViewArray) -> ArrayRef {
    let text = |views: BinaryViewArray| {
        // SAFETY: columns of a string type are only ever stored from arrays of that type.
        Arc::new(unsafe { views.to_string_view_unchecked() }) as ArrayRef
    };
    match data_type {
        DataType::BinaryView => Arc::new(views),
        DataType::Utf8View => text(views),
        DataType::Utf8 | DataType::LargeUtf8 => cast(&text(views), data_type).expect("views become strings"),
        _ => cast(&views, data_type).expect("views become bytes"),
    }
}

fn decode_rows(converter: &RowConverter, data_type: &DataType, views: &BinaryViewArray) -> ArrayRef {
    let null = converter
        .convert_columns(&[arrow::array::new_null_array(data_type, 1)])
        .expect("the converter was made for this type");
    let null = null.row(0);
    let bytes = (0..views.len()).map(|row| if views.is_null(row) { null.data() } else { views.value(row) });
    let binary = BinaryArray::from_iter_values(bytes);
    let rows = converter.from_binary(binary);
    converter.convert_rows(&rows).expect("these rows came from this converter").remove(0)
}
