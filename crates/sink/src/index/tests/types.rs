//! Every type of column: what its source looks like and how it is found. And many threads at once.

use super::*;
use arrow::array::{
    BinaryViewArray, BooleanArray, Float32Array, Float64Array, ListBuilder, StringBuilder, StructArray,
    Time64MicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field};

fn every_type() -> RecordBatch {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a"), None, Some("b")]);
    list.append_null();
    let place = StructArray::from(vec![
        (
            Arc::new(Field::new("city", DataType::Utf8View, true)),
            Arc::new(StringViewArray::from(vec![Some("Bonn"), None])) as ArrayRef,
        ),
        (Arc::new(Field::new("zip", DataType::Int64, true)), Arc::new(Int64Array::from(vec![53_111, 1])) as ArrayRef),
    ]);
    let wide = Decimal128Array::from(vec![123_456_789_012_345_678_901_234_567_890, -1]);
    let column = |array: ArrayRef| array;
    RecordBatch::try_from_iter_with_nullable([
        ("a", column(Arc::new(StringViewArray::from(vec!["x|y", "x"]))), false),
        ("b", column(Arc::new(Int64Array::from(vec![None, Some(7)]))), true),
        ("flag", column(Arc::new(BooleanArray::from(vec![Some(true), None]))), true),
        ("big", column(Arc::new(UInt64Array::from(vec![u64::MAX, 0]))), true),
        ("narrow", column(Arc::new(Float32Array::from(vec![0.1, f32::NAN]))), true),
        ("double", column(Arc::new(Float64Array::from(vec![-0.0, 1e300]))), true),
        ("wide", column(Arc::new(wide.with_precision_and_scale(38, 10).unwrap())), true),
        ("time", column(Arc::new(Time64MicrosecondArray::from(vec![30_360_000_001, 0]))), true),
        ("ms", column(Arc::new(TimestampMillisecondArray::from(vec![1_291_191_960_001, -1]))), true),
        ("ns", column(Arc::new(TimestampNanosecondArray::from(vec![1, -1]).with_timezone("UTC"))), true),
        ("bytes", column(Arc::new(BinaryViewArray::from(vec![&b"\x00\xffhi"[..], &b""[..]]))), true),
        ("list", column(Arc::new(list.finish())), true),
        ("place", column(Arc::new(place)), true),
    ])
    .unwrap()
}

fn index() -> (TempDir, IndexReader) {
    let folder = TempDir::new().unwrap();
    let rows = every_type();
    let config = IndexConfig::new("types", rows.schema(), vec![0, 1]);
    let mut sink = IndexSink::open(folder.path(), &config).unwrap();
    sink.write(Version(3), &[Changes::inserts(rows)]).unwrap();
    sink.flush().unwrap();
    drop(sink);
    let reader = IndexReader::open(folder.path(), "types").unwrap();
    (folder, reader)
}

#[test]
fn the_source_shows_every_type() {
    let (_folder, reader) = index();
    let first = reader.get("x\\|y|\\N").unwrap().unwrap();
    let expected = concat!(
        r#"{"a":"x|y","b":null,"flag":true,"big":18446744073709551615,"narrow":0.1,"double":-0.0,"#,
        r#""wide":12345678901234567890.1234567890,"time":"08:26:00.000001","ms":"2010-12-01T08:26:00.001","#,
        r#""ns":"1970-01-01T00:00:00.000000001Z","bytes":"AP9oaQ==","list":["a",null,"b"],"#,
        r#""place":{"city":"Bonn","zip":53111}}"#
    );
    assert_eq!(first.source.get(), expected);
    let second = reader.get("x|7").unwrap().unwrap();
    let expected = concat!(
        r#"{"a":"x","b":7,"flag":null,"big":0,"narrow":null,"double":1e+300,"wide":-0.0000000001,"#,
        r#""time":"00:00:00.000000","ms":"1969-12-31T23:59:59.999","ns":"1969-12-31T23:59:59.999999999Z","bytes":"","#,
        r#""list":null,"place":{"city":null,"zip":1}}"#
    );
    assert_eq!(second.source.get(), expected);
}

#[test]
fn every_type_is_found() {
    let (_folder, reader) = index();
    for query in [
        json!({"term": {"a": "x|y"}}),
        json!({"term": {"flag": "true"}}),
        json!({"range": {"flag": {"gte": true}}}),
        json!({"range": {"flag": {"gt": false, "lte": true}}}),
        json!({"range": {"flag": {"gte": false}}}),
        json!({"term": {"big": u64::MAX}}),
        json!({"range": {"big": {"gt": -1.5, "gte": null, "lt": 1e30, "lte": null}}}),
        json!({"term": {"narrow": 0.1}}),
        json!({"term": {"double": 0}}),
        json!({"range": {"wide": {"gt": 0}}}),
        json!({"term": {"time": "08:26:00.000001"}}),
        json!({"range": {"time": {"gte": "08:26", "lt": "09:00"}}}),
        json!({"term": {"ms": "2010-12-01T08:26:00.001"}}),
        json!({"term": {"ms": 1_291_191_960_001_i64}}),
        json!({"term": {"ms": "2010-12"}}),
        json!({"range": {"ns": {"gte": "1970-01-01T00:00:00Z"}}}),
        json!({"terms": {"list": ["b", "c"]}}),
        json!({"match": {"place.city": "bonn"}}),
        json!({"term": {"place.zip": 53_111}}),
        json!({"bool": {"must_not": {"exists": {"field": "b"}}}}),
        json!({"exists": {"field": "place.city"}}),
    ] {
        let found = ids(&reader, json!({"query": query, "sort": "_id"}));
        let first = "x\\|y|\\N".to_owned();
        let both = query.pointer("/range/big").is_some();
        assert_eq!(found, if both { vec![first, "x|7".to_owned()] } else { vec![first] }, "{query}");
    }
    assert_eq!(ids(&reader, json!({"query": {"exists": {"field": "place"}}})).len(), 2);
    let error = reader.search(&json!({"query": {"exists": {"field": "bytes"}}})).unwrap_err();
    assert!(error.reason.contains("no searchable field [bytes]"), "{error}");
}

#[test]
fn an_index_without_key_holds_one_row() {
    let folder = TempDir::new().unwrap();
    let mut config = config();
    config.key.clear();
    let mut sink = IndexSink::open(folder.path(), &config).unwrap();
    for version in 1..4 {
        sink.write(Version(version), &[Changes::inserts(daily(&[(1, version as i64, 1, None)]))]).unwrap();
        sink.flush().unwrap();
    }
    let reader = sink.reader();
    assert_eq!(ids(&reader, json!({"query": {"term": {"orders": 3}}})), ["all"]);
    assert_eq!(reader.count(), 1);
}

/// Each version writes all rows with its own number, so a search that saw two versions at once would show two numbers.
#[test]
fn a_search_sees_one_version_while_the_next_is_written() {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    let reader = sink.reader();
    let days = |orders: i64| daily(&(0..50).map(|day| (day, orders, 1, None)).collect::<Vec<_>>());
    sink.write(Version(0), &[Changes::inserts(days(0))]).unwrap();
    sink.flush().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let searches = scope.spawn(|| {
            let mut searches = 0;
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) || searches == 0 {
                let request = json!({"size": 0, "aggs": {"orders": {"stats": {"field": "orders"}}}});
                let answer = serde_json::to_value(reader.search(&request).unwrap()).unwrap();
                let stats = &answer["aggregations"]["orders"];
                assert_eq!((&stats["count"], &stats["min"]), (&json!(50), &stats["max"]));
                assert!(stats["min"].as_i64().unwrap() >= last, "time does not run backwards");
                last = stats["min"].as_i64().unwrap();
                searches += 1;
            }
            searches
        });
        for version in 1..30 {
            sink.write(Version(version), &[Changes::inserts(days(version as i64))]).unwrap();
            sink.flush().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        assert!(searches.join().unwrap() > 0);
    });
}
