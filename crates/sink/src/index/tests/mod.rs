//! The index as its users see it: rows in, requests and answers out, over restarts.

mod extremes;
mod oracle;
mod random;
mod shapes;
mod types;

use super::*;
use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Schema;
use proxima_event::{Changes, Sink, Version};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

fn daily(days: &[(i32, i64, i128, Option<&str>)]) -> RecordBatch {
    let column = |array: ArrayRef| array;
    let gmv = Decimal128Array::from_iter_values(days.iter().map(|day| day.2)).with_precision_and_scale(18, 3).unwrap();
    RecordBatch::try_from_iter_with_nullable([
        ("day", column(Arc::new(Date32Array::from_iter_values(days.iter().map(|day| day.0)))), false),
        ("orders", column(Arc::new(Int64Array::from_iter_values(days.iter().map(|day| day.1)))), false),
        ("gmv_gbp", column(Arc::new(gmv)), false),
        ("note", column(Arc::new(StringViewArray::from_iter(days.iter().map(|day| day.3)))), true),
    ])
    .unwrap()
}

fn config() -> IndexConfig {
    IndexConfig::new("daily", daily(&[]).schema(), vec![0])
}

fn ids(reader: &IndexReader, body: Value) -> Vec<String> {
    reader.search(&body).unwrap().hits.into_iter().map(|hit| hit.id).collect()
}

#[test]
fn rows_are_found_after_a_flush_with_every_digit() {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    let reader = sink.reader();
    let rows = daily(&[(14_944, 121, 58_960_790, Some("first day")), (14_945, 137, 47_748_380, None)]);
    sink.write(Version(1), &[Changes::inserts(rows)]).unwrap();
    assert_eq!(reader.count(), 0, "nothing is visible before the flush");
    sink.flush().unwrap();
    let answer = reader.search(&json!({"sort": [{"gmv_gbp": "desc"}]})).unwrap();
    let text = serde_json::to_string(&answer).unwrap();
    let expected = concat!(
        r#""hits":[{"_index":"daily","_id":"2010-12-01","_score":null,"_source":{"day":"2010-12-01","orders":121,"#,
        r#""gmv_gbp":58960.790,"note":"first day"},"sort":[58960.790]},{"_index":"daily","_id":"2010-12-02","#,
        r#""_score":null,"_source":{"day":"2010-12-02","orders":137,"gmv_gbp":47748.380,"note":null},"sort":[47748.380]}]"#
    );
    assert!(text.contains(expected), "{text}");
    assert!(text.contains(r#""total":{"value":2,"relation":"eq"},"max_score":null"#), "{text}");
    assert_eq!(ids(&reader, json!({"query": {"term": {"day": "2010-12-02"}}})), ["2010-12-02"]);
    assert_eq!(ids(&reader, json!({"query": {"range": {"gmv_gbp": {"gt": 47748.38}}}})), ["2010-12-01"]);
    assert_eq!(ids(&reader, json!({"query": {"term": {"gmv_gbp": 58960.79}}})), ["2010-12-01"]);
    assert_eq!(ids(&reader, json!({"query": {"match": {"note": "DAY"}}})), ["2010-12-01"]);
    assert_eq!(reader.get("2010-12-02").unwrap().unwrap().version, 1);
    assert!(reader.get("2010-12-03").unwrap().is_none());
}

#[test]
fn a_key_that_is_too_long_is_refused_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let days = daily(&[(1, 7, 10, Some("x")), (2, 8, 20, Some(&"x".repeat(70_000)))]);
    let config = IndexConfig::new("daily", days.schema(), vec![3]);
    let mut sink = IndexSink::open(folder.path(), &config).unwrap();
    sink.write(Version(1), &[Changes::inserts(days.clone())]).unwrap();
    sink.flush().unwrap();
    assert_eq!(ids(&sink.reader(), json!({})), ["x"]);
    let rejected = sink.take_rejected();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].reason, "the key has 70000 bytes as text, at most 65000 are possible");
    assert!(rejected[0].document.starts_with("{\"day\":\"1970-01-03\",\"orders\":8"), "{:.80}", rejected[0].document);
    assert_eq!(sink.take_rejected(), []);
}

#[test]
fn a_write_replaces_and_a_delete_removes() {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    let reader = sink.reader();
    sink.write(Version(1), &[Changes::inserts(daily(&[(1, 1, 10, None), (2, 1, 10, None), (3, 1, 10, None)]))])
        .unwrap();
    // Within one flush and across two.
    sink.write(Version(2), &[Changes::weighted(daily(&[(1, 2, 20, None), (2, 1, 10, None)]), vec![1, -1])]).unwrap();
    sink.flush().unwrap();
    assert_eq!(ids(&reader, json!({})), ["1970-01-02", "1970-01-04"]);
    sink.write(Version(3), &[Changes::weighted(daily(&[(2, 3, 30, None), (3, 1, 10, None)]), vec![1, -1])]).unwrap();
    sink.flush().unwrap();
    assert_eq!(ids(&reader, json!({})), ["1970-01-02", "1970-01-03"]);
    let first = reader.get("1970-01-02").unwrap().unwrap();
    assert_eq!((first.version, first.source.get().contains(r#""orders":2,"gmv_gbp":0.020"#)), (2, true));
}

#[test]
fn what_was_not_flushed_is_gone_after_a_crash_and_a_replay_brings_it_back() {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    sink.write(Version(7), &[Changes::inserts(daily(&[(1, 7, 70, None)]))]).unwrap();
    sink.flush().unwrap();
    sink.write(Version(8), &[Changes::inserts(daily(&[(2, 8, 80, None)]))]).unwrap();
    drop(sink);
    assert_eq!(IndexReader::open(folder.path(), "daily").unwrap().count(), 1, "readable without its job");

    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    let reader = sink.reader();
    // The replay starts earlier: older writes and deletes lose against what stands, the same version is repeated.
    sink.write(Version(5), &[Changes::inserts(daily(&[(1, 5, 50, None)]))]).unwrap();
    sink.write(Version(6), &[Changes::weighted(daily(&[(1, 5, 50, None)]), vec![-1])]).unwrap();
    sink.flush().unwrap();
    assert_eq!(reader.get("1970-01-02").unwrap().unwrap().version, 7);
    sink.write(Version(7), &[Changes::inserts(daily(&[(1, 7, 70, None)]))]).unwrap();
    sink.write(Version(8), &[Changes::inserts(daily(&[(2, 8, 80, None)]))]).unwrap();
    sink.flush().unwrap();
    assert_eq!(ids(&reader, json!({})), ["1970-01-02", "1970-01-03"]);
    assert_eq!(reader.get("1970-01-02").unwrap().unwrap().version, 7);
}

/// A copy of the folder is what a killed process leaves: everything flushed is there, nothing else, and it goes on.
#[test]
fn a_killed_process_leaves_a_whole_index() {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    for version in 0..20 {
        let day = version as i32;
        sink.write(Version(version), &[Changes::inserts(daily(&[(0, 1, 1, None), (day, 1, 1, None)]))]).unwrap();
        if version % 3 == 0 {
            sink.flush().unwrap();
        }
    }
    let copy = TempDir::new().unwrap();
    std::fs::create_dir(copy.path().join("daily")).unwrap();
    for file in std::fs::read_dir(folder.path().join("daily")).unwrap() {
        let file = file.unwrap();
        // A merge in the background may take a file away meanwhile.
        let _ = std::fs::copy(file.path(), copy.path().join("daily").join(file.file_name()));
    }
    std::fs::write(copy.path().join("daily/.managed.json"), "[\"torn").unwrap();
    assert_eq!(IndexReader::open(copy.path(), "daily").unwrap().count(), 19);
    let mut sink = IndexSink::open(copy.path(), &config()).unwrap();
    sink.write(Version(20), &[Changes::inserts(daily(&[(30, 1, 1, None)]))]).unwrap();
    sink.flush().unwrap();
    assert_eq!(sink.reader().count(), 20);
}

/// Eight segments are left to be merged by a process that was killed: the first write of the next one finds its row in a
/// segment whose last commit has deleted another row, and the merge begins while that write is not committed.
#[test]
fn the_first_write_after_a_crash_replaces_its_row() {
    let folder = TempDir::new().unwrap();
    let days = |days: std::ops::Range<i32>| daily(&days.map(|day| (day, 1, 1, None)).collect::<Vec<_>>());
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    sink.writer.set_merge_policy(Box::new(tantivy::indexer::NoMergePolicy));
    for (version, rows) in [0..20, 20..30, 30..31, 31..32, 32..33, 33..34, 34..35, 35..36].into_iter().enumerate() {
        sink.write(Version(version as u64), &[Changes::inserts(days(rows))]).unwrap();
        sink.flush().unwrap();
    }
    sink.write(Version(8), &[Changes::inserts(days(20..21))]).unwrap();
    sink.flush().unwrap();
    drop(sink);

    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    sink.write(Version(9), &[Changes::inserts(days(21..22))]).unwrap();
    sink.flush().unwrap();
    sink.writer.wait_merging_threads().unwrap();
    assert_eq!(IndexReader::open(folder.path(), "daily").unwrap().count(), 36);
}

#[test]
fn clearing_starts_anew() {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    sink.write(Version(9), &[Changes::inserts(daily(&[(1, 1, 1, None), (2, 2, 2, None)]))]).unwrap();
    sink.flush().unwrap();
    drop(sink);
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    let reader = sink.reader();
    sink.clear().unwrap();
    sink.write(Version(1), &[Changes::inserts(daily(&[(2, 3, 3, None)]))]).unwrap();
    assert_eq!(reader.count(), 2, "readers see the old rows until the flush");
    sink.flush().unwrap();
    assert_eq!(ids(&reader, json!({})), ["1970-01-03"]);
    assert_eq!(reader.get("1970-01-03").unwrap().unwrap().version, 1);
}

#[test]
fn a_second_writer_and_other_columns_are_refused() {
    let folder = TempDir::new().unwrap();
    let sink = IndexSink::open(folder.path(), &config()).unwrap();
    let busy = IndexSink::open(folder.path(), &config()).err().unwrap();
    assert!(matches!(busy, IndexError::Busy(_)), "{busy}");
    drop(sink);
    let mut other = config();
    let rows = daily(&[]).project(&[0, 1, 3]).unwrap();
    let mut fields = rows.schema().fields().to_vec();
    fields[1] = Arc::new(arrow::datatypes::Field::new("orders", arrow::datatypes::DataType::Float64, false));
    other.schema = Arc::new(Schema::new(fields));
    other.key = vec![1];
    let changed = IndexSink::open(folder.path(), &other).err().unwrap().to_string();
    for part in ["the key was (day), is (orders)", "orders was BIGINT, is DOUBLE", "gmv_gbp is gone", "--fresh"] {
        assert!(changed.contains(part), "{changed}");
    }
    let missing = IndexReader::open(folder.path(), "weekly").err().unwrap();
    assert!(matches!(missing, IndexError::Missing(_)), "{missing}");
    assert!(matches!(IndexReader::open(folder.path(), "../daily").err().unwrap(), IndexError::Name(_)));
}
