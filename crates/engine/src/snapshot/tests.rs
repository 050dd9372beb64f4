//! Each type of column there and back, in ranges; and bytes that are cut short.

use super::*;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DurationSecondArray,
    Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray, ListArray, StringArray, StringViewArray,
    StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Int32Type};
use proptest::prelude::*;
use std::sync::Arc;

const ROWS: usize = 100;

fn some<T>(at: usize, value: T) -> Option<T> {
    (at % 7 != 3).then_some(value)
}

fn texts() -> impl Iterator<Item = Option<String>> {
    (0..ROWS).map(|at| some(at, "ä text ".repeat(at % 5)))
}

fn columns() -> Vec<ArrayRef> {
    let at = || 0..ROWS;
    let numbers: ArrayRef = Arc::new(at().map(|at| some(at, at as i64 - 50)).collect::<Int64Array>());
    let field = Arc::new(Field::new("number", DataType::Int64, true));
    vec![
        Arc::new(at().map(|at| some(at, at % 3 == 0)).collect::<BooleanArray>()),
        Arc::new(at().map(|at| at % 3 == 0).map(Some).collect::<BooleanArray>()),
        Arc::new(at().map(|at| some(at, at as i8)).collect::<Int8Array>()),
        Arc::new(at().map(|at| at as i32 * -77).collect::<Int32Array>()),
        numbers.clone(),
        Arc::new(at().map(|at| 1u64 << (at % 64)).collect::<UInt64Array>()),
        Arc::new(at().map(|at| at as u64 % 2).collect::<UInt64Array>()),
        Arc::new(UInt64Array::from(vec![0; ROWS])),
        Arc::new(UInt64Array::from(vec![70_000; ROWS])),
        Arc::new(at().map(|at| some(at, at as f64 / 3.0)).collect::<Float64Array>()),
        Arc::new(Date32Array::from_iter_values(at().map(|at| at as i32))),
        Arc::new(DurationSecondArray::from_iter_values(at().map(|at| at as i64))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(at().map(|at| at as i64)).with_timezone("Asia/Shanghai")),
        Arc::new(
            at().map(|at| some(at, -(1i128 << (at + 10))))
                .collect::<Decimal128Array>()
                .with_data_type(DataType::Decimal128(38, 6)),
        ),
        Arc::new(texts().collect::<StringArray>()),
        Arc::new(texts().collect::<LargeStringArray>()),
        Arc::new(texts().collect::<StringViewArray>()),
        Arc::new(texts().map(|text| text.map(String::into_bytes)).collect::<BinaryArray>()),
        Arc::new(texts().map(|text| text.map(String::into_bytes)).collect::<BinaryViewArray>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
            at().map(|at| some(at, (0..at as i32 % 4).map(Some).collect::<Vec<_>>())),
        )),
        Arc::new(StructArray::from(vec![(field, numbers)])),
        arrow::array::new_null_array(&DataType::Null, ROWS),
    ]
}

fn batch_of(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(at, column)| (format!("any {at}"), column, true));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

#[test]
fn columns_of_each_type_come_back_in_their_ranges() {
    let columns = columns();
    let batch = batch_of(columns.clone());
    let ranges = [0..3, 3..3, 3..4, 4..61, 61..100];
    let groups: Vec<_> = ranges.iter().cloned().enumerate().map(|(at, range)| (KeyGroup(at as u16), range)).collect();
    let mut writer = StateWriter::default();
    writer.rows(SectionKind::Changes, &batch, &groups);
    let sections = writer.encode().unwrap();
    assert_eq!(sections.len(), ranges.len());
    let mut read: Vec<Vec<ArrayRef>> = vec![Vec::new(); columns.len()];
    for (section, range) in sections.iter().zip(ranges) {
        let mut reader = StateReader::from(section);
        assert_eq!((reader.kind(), reader.group()), (SectionKind::Changes, section.group));
        let batch = reader.next_batch().unwrap().unwrap();
        assert_eq!(batch.num_rows(), range.len());
        assert!(reader.next_batch().unwrap().is_none());
        read.iter_mut().zip(batch.columns()).for_each(|(read, column)| read.push(column.clone()));
    }
    for (read, column) in read.iter().zip(&columns) {
        let read = concat(&read.iter().map(|part| part.as_ref()).collect::<Vec<_>>()).unwrap();
        assert_eq!(&read, column);
    }
}

fn decimals(values: &[Option<i128>]) -> ArrayRef {
    let decimals = values.iter().copied().collect::<Decimal128Array>();
    Arc::new(decimals.with_data_type(DataType::Decimal128(38, 2)))
}

fn there_and_back(columns: Vec<ArrayRef>) -> (usize, RecordBatch) {
    let mut writer = StateWriter::default();
    writer.full(KeyGroup(7), &batch_of(columns));
    let section = writer.encode().unwrap().remove(0);
    (section.bytes.len(), StateReader::from(&section).next_batch().unwrap().unwrap())
}

proptest! {
    #[test]
    fn strings_and_decimals_come_back(
        strings in prop::collection::vec(prop::option::weighted(0.8, "(shop )?[ab]{0,3}( and what is sold)?[ab]{0,9}"), 1..400),
        values in prop::collection::vec(prop::option::weighted(0.8, any::<i64>()), 1..50),
    ) {
        let columns: [ArrayRef; 2] = [
            Arc::new(strings.iter().map(Option::as_deref).collect::<StringViewArray>()),
            Arc::new(strings.iter().map(|string| string.as_deref().map(str::as_bytes)).collect::<BinaryArray>()),
        ];
        let (_, read) = there_and_back(columns.to_vec());
        prop_assert_eq!(read.columns(), &columns);
        for shift in [0, 20, 60] {
            let wide: Vec<_> = values.iter().map(|value| value.map(|value| i128::from(value) << shift)).collect();
            let column = decimals(&wide);
            let (_, read) = there_and_back(vec![column.clone()]);
            prop_assert_eq!(read.column(0), &column);
        }
    }
}

/// What stands in checkpoints: a change needs another version in `proxima_checkpoint`'s files.
#[test]
fn a_batch_has_these_bytes() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)]));
    let names: ArrayRef = Arc::new(StringViewArray::from(vec!["mid_1", "mid_2", "mid_3"]));
    let mut writer = StateWriter::default();
    let batch = batch_of(vec![numbers, names]);
    writer.each(SectionKind::Changes, &KeyGroup(7).into(), &batch);
    writer.rows(SectionKind::Changes, &batch, &[(KeyGroup(7), 0..1), (KeyGroup(9), 1..3)]);
    let bundle = writer.bundles().unwrap().remove(0);
    let numbers = b"\x05Int64\x01\x05\x01\x05\x07";
    let names = b"\x08Utf8View\0\0\x04mid_\x01\x01\x01\x01123";
    let batch = [&b"\x03\0\0\0\x02\0"[..], numbers, names].concat();
    let of_each = [&[36 + 37, 0, 0, 0, 0x80][..], &[0; 31], &[1], &batch].concat();
    let by_group = [&[36 + 40, 0, 0, 0, 0x80, 2][..], &[0; 30], &[0, 1, 1, 2], &batch].concat();
    assert_eq!(bundle.bytes, [of_each, by_group].concat());
}

/// Amounts with a NULL and either sign take no more than their digits.
#[test]
fn small_decimals_take_few_bytes() {
    let values: Vec<Option<i128>> = (0..1000).map(|at| (at % 9 != 0).then_some(at % 99 * 100)).collect();
    let bytes = there_and_back(vec![decimals(&values)]).0;
    assert!(bytes < 1000 * 8 / 8 + 200, "{bytes} bytes");
    let signed: Vec<Option<i128>> = values.iter().map(|value| value.map(|value| value - 5000)).collect();
    let bytes = there_and_back(vec![decimals(&signed)]).0;
    assert!(bytes < 1000 * 9 + 200, "{bytes} bytes");
}

#[test]
fn columns_without_any_value_come_back() {
    for data_type in [DataType::Utf8View, DataType::Int32, DataType::Decimal128(10, 2), DataType::Boolean] {
        let column = arrow::array::new_null_array(&data_type, ROWS);
        assert_eq!(there_and_back(vec![column.clone()]).1.column(0), &column, "{data_type}");
    }
}

#[test]
fn slices_with_offsets_are_encoded_as_what_they_show() {
    let batch = batch_of(columns().iter().map(|column| column.slice(13, 40)).collect());
    let mut writer = StateWriter::default();
    writer.full(KeyGroup(7), &batch);
    writer.full(KeyGroup(7), &batch.slice(5, 1));
    let sections = writer.encode().unwrap();
    let mut reader = StateReader::from(&sections[0]);
    assert_eq!(reader.next_batch().unwrap().unwrap().columns(), batch.columns());
    assert_eq!(reader.next_batch().unwrap().unwrap().columns(), batch.slice(5, 1).columns());
}

#[test]
fn bytes_that_end_early_are_an_error() {
    let mut writer = StateWriter::default();
    writer.full(KeyGroup(7), &batch_of(columns()));
    let section = writer.encode().unwrap().remove(0);
    for len in 1..section.bytes.len() {
        let mut reader = StateReader::new(KeyGroup(7), SectionKind::Full, &section.bytes[..len]);
        assert!(reader.next_batch().is_err(), "{len} bytes of {}", section.bytes.len());
    }
}

#[test]
fn sections_say_how_much_of_them_only_adds() {
    let batch = batch_of(columns());
    let added = |known: &[(usize, usize)]| {
        let mut writer = StateWriter::default();
        writer.changes(KeyGroup(7), &batch);
        known.iter().for_each(|&(replaced, rows)| writer.replaces(replaced, rows));
        writer.encode().unwrap()[0].added
    };
    assert_eq!([added(&[]), added(&[(0, 0)]), added(&[(5, 5)]), added(&[(9, 5)])], [0; 4]);
    assert_eq!([added(&[(0, 1)]), added(&[(0, 50), (50, 50)])], [ALL_ADDED, ALL_ADDED / 2]);
}

/// What is stored of words: fewer bits than eight bytes each, where they lie close together.
#[test]
fn words_that_lie_close_together_take_few_bits() {
    let ids = |at: u64| 1_000_000 + at * 7919 % 4096;
    let minutes = |at: u64| 1_700_000_000_000 + at % 500 * 60_000;
    let words = [("ids", 12, (0..1000).map(ids).collect()), ("minutes", 9, (0..1000).map(minutes).collect())];
    for (name, bits, words) in words {
        let words: Vec<u64> = words;
        let batch = batch_of(vec![Arc::new(UInt64Array::from(words))]);
        let mut writer = StateWriter::default();
        writer.full(KeyGroup(7), &batch);
        let section = writer.encode().unwrap().remove(0);
        assert!(section.bytes.len() < 1000 * bits / 8 + 128, "{name}: {} bytes", section.bytes.len());
        let read = StateReader::from(&section).next_batch().unwrap().unwrap();
        assert_eq!(read.columns(), batch.columns(), "{name}");
    }
}

/// What is read back of bundles: for each key group the rows of each of its batches.
fn read(bundles: &[Bundle], wanted: &KeyGroupSet) -> BTreeMap<KeyGroup, Vec<usize>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for bundle in bundles {
        for (group, batches) in bundle.read(wanted).unwrap() {
            let mut reader = StateReader::of_batches(group, bundle.kind, &batches);
            while let Some(batch) = reader.next_batch().unwrap() {
                all.entry(group).or_default().push(batch.num_rows());
            }
        }
    }
    all
}

#[test]
fn few_rows_of_many_key_groups_are_one_bundle() {
    let batch = batch_of(columns()[..2].to_vec());
    let mut writer = StateWriter::default();
    let groups: Vec<_> = (0..100).map(|at| (KeyGroup(at as u16), at..at + at % 2)).collect();
    for (group, rows) in &groups {
        writer.rows(SectionKind::Changes, &batch, &[(*group, rows.clone())]);
    }
    writer.each(SectionKind::Changes, &KeyGroupSet::all(), &batch.slice(0, 3));
    writer.each(SectionKind::Changes, &KeyGroupSet::none(), &batch);
    let bundles = writer.bundles().unwrap();
    assert_eq!((bundles.len(), bundles[0].groups), (1, KeyGroupSet::all()));
    let wanted: KeyGroupSet = [3, 4, 200].map(KeyGroup).into_iter().collect();
    let expected = [(3, vec![1, 3]), (4, vec![0, 3]), (200, vec![3])];
    assert_eq!(read(&bundles, &wanted), expected.map(|(group, rows)| (KeyGroup(group), rows)).into());
}

#[test]
fn many_rows_are_bundles_of_key_groups_that_follow_each_other() {
    let words: Vec<u64> = (0..100_000).map(|at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let batch = batch_of(vec![Arc::new(UInt64Array::from(words.clone()))]);
    let groups: Vec<_> = (0..250).map(|at| (KeyGroup(at as u16), at * 400..at * 400 + 400)).collect();
    let mut writer = StateWriter::default();
    writer.rows(SectionKind::Full, &batch, &groups);
    // A piece of the key groups of the bundle before, and then those of the beginning once more.
    writer.each(SectionKind::Full, &KeyGroup(249).into(), &batch.slice(0, 1));
    writer.rows(SectionKind::Full, &batch, &groups[..3]);
    let bundles = writer.bundles().unwrap();
    assert!((20..100).contains(&bundles.len()), "{} bundles", bundles.len());
    let read = read(&bundles, &KeyGroupSet::all());
    assert_eq!(read.len(), 250);
    assert_eq!(
        [&read[&KeyGroup(2)], &read[&KeyGroup(3)], &read[&KeyGroup(249)]],
        [&vec![400, 400], &vec![400], &vec![400, 1]]
    );
    let of_one = bundles[0].read(&KeyGroup(1).into()).unwrap().remove(&KeyGroup(1)).unwrap();
    assert_eq!(of_one[0].columns(), batch.slice(400, 400).columns());
}

#[test]
#[should_panic(expected = "saved whole or by its changes")]
fn a_key_group_is_not_saved_in_both_ways() {
    let batch = batch_of(columns());
    let mut writer = StateWriter::default();
    writer.full(KeyGroup(7), &batch);
    writer.each(SectionKind::Changes, &KeyGroupSet::all(), &batch);
}

#[test]
fn rows_that_belong_to_nobody_are_an_error() {
    let mut writer = StateWriter::default();
    writer.changes(KeyGroup(7), &batch_of(columns()));
    let mut bundle = writer.bundles().unwrap().remove(0);
    let mut bytes = bundle.bytes.to_vec();
    // What the batch is to the key groups stands behind these; then come a width and a count.
    bytes.splice(36..37, [0, 1, 99]);
    bytes[0] += 2;
    bundle.bytes = bytes.into();
    assert!(matches!(bundle.read(&KeyGroupSet::all()), Err(SnapshotError::Mismatch(_))));
}
