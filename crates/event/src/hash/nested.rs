//! Structs, lists and maps: hashed by recursion. They are rare as keys, so this is plain rather than fast.

use super::words::{mix_all, mix_column as mix_flat};
use super::{START, finish, hash_columns, mix};
use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType;
use std::ops::Range;

/// Mixes each row's nested value into its running hash.
pub(super) fn mix_column(hashes: &mut [u64], column: &dyn Array) {
    match column.data_type() {
        DataType::Struct(_) => {
            let inner = hash_columns(column.as_struct().columns(), column.len());
            mix_all(hashes, column.nulls(), inner.into_iter().map(|hash| [hash, 0]));
        }
        DataType::List(_) => lists::<i32>(hashes, column),
        DataType::LargeList(_) => lists::<i64>(hashes, column),
        DataType::FixedSizeList(_, _) => {
            let list = column.as_fixed_size_list();
            let length = list.value_length() as usize;
            elements(hashes, column, list.values(), (0..list.len()).map(|row| row * length..(row + 1) * length));
        }
        DataType::Map(_, _) => {
            // Entries hash in their order: maps are written in the order of the record they came from.
            let map = column.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            let ranges = map.offsets().windows(2).map(|ends| ends[0] as usize..ends[1] as usize);
            elements(hashes, column, &entries, ranges);
        }
        other => panic!("a column of type {other} cannot be a key"),
    }
}

fn lists<O: OffsetSizeTrait>(hashes: &mut [u64], column: &dyn Array) {
    let list = column.as_list::<O>();
    let ranges = list.offsets().windows(2).map(|ends| ends[0].as_usize()..ends[1].as_usize());
    elements(hashes, column, list.values(), ranges);
}

/// A list hashes as its length and then its elements, each hashed as a row of one column.
fn elements(hashes: &mut [u64], column: &dyn Array, values: &ArrayRef, ranges: impl Iterator<Item = Range<usize>>) {
    let mut inner = vec![START; values.len()];
    mix_flat(&mut inner, values.as_ref());
    let words = ranges.map(|range| {
        let start = mix(START, [range.len() as u64, 0]);
        [inner.get(range).unwrap_or_default().iter().fold(start, |list, &element| mix(list, [finish(element), 0])), 0]
    });
    mix_all(hashes, column.nulls(), words);
}
