//! The store as its users see it.

use super::*;
use arrow::array::{ArrayRef, BinaryViewArray, RecordBatch, StringArray};
use proxima_event::{Changes, KeyValueRead, KeyValueScan, Sink, Version};
use tempfile::TempDir;

fn rows(pairs: &[(&str, &str)]) -> RecordBatch {
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(pairs.iter().map(|pair| pair.0)));
    let values: ArrayRef = Arc::new(BinaryViewArray::from_iter_values(pairs.iter().map(|pair| pair.1)));
    RecordBatch::try_from_iter([("key", keys), ("value", values)]).unwrap()
}

fn put(sink: &mut KvSink, version: u64, pairs: &[(&str, &str)]) {
    sink.write(Version(version), &[Changes::inserts(rows(pairs))]).unwrap();
}

fn text(reader: &KvReader, table: &str, key: &str) -> Option<String> {
    reader.get(table, key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
}

fn opened() -> (TempDir, KvStore) {
    let folder = TempDir::new().unwrap();
    let store = KvStore::open(&folder.path().join("kv.redb")).unwrap();
    (folder, store)
}

#[test]
fn puts_and_deletes_are_seen_after_a_flush_in_their_own_table() {
    let (_folder, store) = opened();
    let (mut near, mut far) = (store.sink("near"), store.sink("far"));
    let reader = store.reader();
    assert_eq!(text(&reader, "near", "a"), None, "a table that was never written is empty");
    put(&mut near, 1, &[("a", "1"), ("b", "2")]);
    put(&mut far, 1, &[("a", "9")]);
    assert_eq!(text(&reader, "near", "a"), None);
    near.flush().unwrap();
    far.flush().unwrap();
    assert_eq!(text(&reader, "near", "a").as_deref(), Some("1"));
    assert_eq!(text(&reader, "far", "a").as_deref(), Some("9"));
    let gone = Changes::weighted(rows(&[("a", ""), ("b", "3")]), vec![-1, 1]);
    near.write(Version(2), &[gone]).unwrap();
    near.flush().unwrap();
    assert_eq!((text(&reader, "near", "a"), text(&reader, "near", "b").as_deref()), (None, Some("3")));
    store.clear("near").unwrap();
    assert_eq!(text(&reader, "near", "b"), None);
}

#[test]
fn an_older_write_loses_and_the_same_may_come_again() {
    let (_folder, store) = opened();
    let mut sink = store.sink("near");
    put(&mut sink, 7, &[("a", "seven")]);
    sink.flush().unwrap();
    put(&mut sink, 6, &[("a", "six"), ("b", "six")]);
    sink.flush().unwrap();
    sink.write(Version(6), &[Changes::weighted(rows(&[("a", "")]), vec![-1])]).unwrap();
    sink.flush().unwrap();
    let reader = store.reader();
    assert_eq!(text(&reader, "near", "a").as_deref(), Some("seven"));
    assert_eq!(text(&reader, "near", "b").as_deref(), Some("six"));
    put(&mut sink, 7, &[("a", "seven")]);
    put(&mut sink, 8, &[("b", "eight")]);
    sink.flush().unwrap();
    assert_eq!(text(&reader, "near", "a").as_deref(), Some("seven"));
    assert_eq!(text(&reader, "near", "b").as_deref(), Some("eight"));
}

#[test]
fn a_scan_goes_through_a_prefix_in_order_and_stops_when_told() {
    let (_folder, store) = opened();
    let mut sink = store.sink("near");
    put(&mut sink, 1, &[("b/2", "4"), ("a", "1"), ("b/1", "3"), ("b", "2"), ("c", "5")]);
    sink.flush().unwrap();
    let scan = |prefix: &str, most: usize| {
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            seen.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
            seen.len() < most
        };
        store.reader().scan("near", prefix.as_bytes(), &mut visit).unwrap();
        seen
    };
    assert_eq!(scan("b", 9), ["b=2", "b/1=3", "b/2=4"]);
    assert_eq!(scan("", 2), ["a=1", "b=2"]);
    assert_eq!(scan("d", 9), Vec::<String>::new());
}

#[test]
fn what_was_flushed_is_there_after_closing() {
    let (folder, store) = opened();
    let path = folder.path().join("kv.redb");
    let mut sink = store.sink("near");
    put(&mut sink, 1, &[("a", "1")]);
    sink.flush().unwrap();
    put(&mut sink, 2, &[("a", "never flushed")]);
    drop((sink, store));
    let reader = KvReader::open(&path).unwrap();
    assert_eq!(text(&reader, "near", "a").as_deref(), Some("1"));
}

/// A copy of the file is what a crash leaves: flushed writes that were not synced may be missing, nothing is torn.
#[test]
fn a_crash_leaves_a_state_that_was_synced() {
    let (folder, store) = opened();
    let mut sink = store.sink("near");
    put(&mut sink, 1, &[("a", "1"), ("b", "1")]);
    sink.flush().unwrap();
    store.sync().unwrap();
    for version in 2..50 {
        put(&mut sink, version, &[("a", "2"), ("b", "2"), (&format!("c{version}"), "2")]);
        sink.flush().unwrap();
    }
    let copy = folder.path().join("after-crash.redb");
    std::fs::copy(folder.path().join("kv.redb"), &copy).unwrap();
    let reader = KvStore::open(&copy).unwrap().reader();
    let (a, b) = (text(&reader, "near", "a"), text(&reader, "near", "b"));
    assert!(a.is_some() && a == b, "a and b were always written together: {a:?}, {b:?}");
}

#[test]
fn a_store_that_is_open_says_so() {
    let (folder, store) = opened();
    let path = folder.path().join("kv.redb");
    for error in [KvStore::open(&path).err().unwrap(), KvReader::open(&path).err().unwrap()] {
        assert!(error.to_string().contains("another process has it open"), "{error}");
    }
    drop(store);
    KvReader::open(&path).unwrap();
}

#[test]
fn columns_that_are_no_bytes_are_refused() {
    let (_folder, store) = opened();
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1]));
    let rows = RecordBatch::try_from_iter([("key", Arc::clone(&numbers)), ("value", numbers)]).unwrap();
    let error = store.sink("near").write(Version(1), &[Changes::inserts(rows)]).unwrap_err();
    assert!(error.to_string().contains("not Int64"), "{error}");
}
