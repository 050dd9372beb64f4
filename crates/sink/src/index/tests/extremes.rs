//! Values and requests at the ends of what there is.

use super::*;
use arrow::array::Float64Array;

const GREATEST: i64 = i64::MAX;

fn index() -> (TempDir, IndexReader) {
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values([1, 2, 3])) as ArrayRef, false),
        ("long", Arc::new(Int64Array::from_iter_values([GREATEST, 5, i64::MIN])), false),
        ("float", Arc::new(Float64Array::from_iter_values([1e20, 9.629_811_365_004_443, 1.7e308])), false),
        ("words", Arc::new(StringViewArray::from_iter_values(["5 red", "a 5", "5"])), false),
    ])
    .unwrap();
    let folder = TempDir::new().unwrap();
    let config = IndexConfig::new("extremes", rows.schema(), vec![0]);
    let mut sink = IndexSink::open(folder.path(), &config).unwrap();
    sink.write(Version(1), &[Changes::inserts(rows)]).unwrap();
    sink.flush().unwrap();
    (folder, sink.reader())
}

fn aggregated(reader: &IndexReader, agg: &Value) -> Value {
    let answer = reader.search(&json!({"size": 0, "aggs": {"a": agg}})).unwrap();
    serde_json::to_value(&answer).unwrap()["aggregations"]["a"]["buckets"].clone()
}

#[test]
fn the_ends_of_numbers_are_numbers_like_others() {
    let (_folder, reader) = index();
    let ranges = json!([{"key": "below", "to": GREATEST}, {"key": "all", "from": 0}, {"key": "above", "from": 1e30}]);
    let counts: Vec<_> = aggregated(&reader, &json!({"range": {"field": "long", "ranges": ranges}}))
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| (bucket["key"].as_str().unwrap().to_owned(), bucket["doc_count"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [("below".to_owned(), 2), ("all".to_owned(), 2), ("above".to_owned(), 0)]);
    let histogram = json!({"histogram": {"field": "float", "interval": 1, "min_doc_count": 1}});
    let keys: Vec<_> =
        aggregated(&reader, &histogram).as_array().unwrap().iter().map(|bucket| bucket["key"].clone()).collect();
    assert_eq!(keys, [json!(9.0), json!(1e20), json!(1.7e308)]);
    let shown = aggregated(&reader, &json!({"range": {"field": "long", "ranges": [{"from": "1.5", "to": "7.5"}]}}));
    assert_eq!((&shown[0]["key"], &shown[0]["doc_count"]), (&json!("1.5-7.5"), &json!(1)));
    // As the index shows it, to the last bit.
    let body: Value = serde_json::from_str(r#"{"query": {"term": {"float": 9.629811365004443}}}"#).unwrap();
    assert_eq!(ids(&reader, body), ["2"]);
}

#[test]
fn a_number_is_a_word_among_words() {
    let (_folder, reader) = index();
    let of = |value: Value| ids(&reader, json!({"query": {"match": {"words": value}}, "sort": "id"}));
    assert_eq!(of(json!(5)), ["1", "2", "3"]);
    assert_eq!(of(json!({"query": 5})), of(json!("5")));
    let first = |sort: Value| ids(&reader, json!({"query": {"match": {"words": "red 5"}}, "sort": sort}));
    assert_eq!(first(json!([])), first(json!(["_score"])), "no order is that by score");
}

/// Each of them had taken all memory there is, or all time.
#[test]
fn requests_that_would_take_all_there_is_are_refused() {
    let (_folder, reader) = index();
    let refused = |body: &Value| reader.search(body).map(drop).unwrap_err();
    let mut aggs = json!({});
    for _ in 0..8 {
        let ranges = vec![json!({}); 20];
        aggs = json!({"a": {"range": {"field": "long", "ranges": ranges}, "aggs": aggs}});
    }
    assert_eq!(refused(&json!({"aggs": aggs})).kind, "too_many_buckets_exception");
    let sort = vec!["long"; 20_000];
    assert!(refused(&json!({"sort": sort})).reason.contains("at most 64 keys"));
    let starry = format!("{}x", "*".repeat(60));
    assert_eq!(reader.search(&json!({"_source": starry})).unwrap().hits.len(), 3);
}
