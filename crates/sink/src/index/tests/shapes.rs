//! Answers and errors byte for byte, as clients of Elasticsearch expect them.

use super::*;

fn index() -> (TempDir, IndexReader) {
    let folder = TempDir::new().unwrap();
    let mut sink = IndexSink::open(folder.path(), &config()).unwrap();
    let rows = daily(&[
        (14_944, 121, 58_960_790, Some("white hanging heart")),
        (14_945, 137, 47_748_380, Some("red lantern")),
        (14_976, 57, 46_943_710, Some("red heart, red wick")),
    ]);
    sink.write(Version(1), &[Changes::inserts(rows)]).unwrap();
    sink.flush().unwrap();
    (folder, sink.reader())
}

fn aggregations(reader: &IndexReader, aggs: Value) -> String {
    let answer = reader.search(&json!({"size": 0, "aggs": aggs})).unwrap();
    serde_json::to_string(&answer.aggregations).unwrap()
}

#[test]
fn an_answer_has_every_part_of_elasticsearchs() {
    let (_folder, reader) = index();
    let request = json!({"query": {"match_all": {}}, "size": 1, "_source": ["orders", "g*"], "track_total_hits": 2});
    let mut answer = reader.search(&request).unwrap();
    answer.took_ms = 0;
    let expected = concat!(
        r#"{"took":0,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"#,
        r#""hits":{"total":{"value":2,"relation":"gte"},"max_score":1.0,"hits":[{"_index":"daily","#,
        r#""_id":"2010-12-01","_score":1.0,"_source":{"orders":121,"gmv_gbp":58960.790}}]}}"#
    );
    assert_eq!(serde_json::to_string(&answer).unwrap(), expected);
    let request = json!({"size": 0, "track_total_hits": false, "_source": false, "query": {"match_none": {}}});
    let mut answer = reader.search(&request).unwrap();
    answer.took_ms = 0;
    assert!(serde_json::to_string(&answer).unwrap().ends_with(r#""hits":{"max_score":null,"hits":[]}}"#));
}

#[test]
fn sums_of_decimals_have_every_digit() {
    let (_folder, reader) = index();
    let found = aggregations(
        &reader,
        json!({
            "gmv": {"sum": {"field": "gmv_gbp"}},
            "stats": {"stats": {"field": "gmv_gbp"}},
            "first": {"min": {"field": "day"}},
        }),
    );
    let expected = concat!(
        r#"{"gmv":{"value":153652.880},"#,
        r#""stats":{"count":3,"min":46943.710,"max":58960.790,"avg":51217.62666666667,"sum":153652.880},"#,
        r#""first":{"value":1291161600000,"value_as_string":"2010-12-01T00:00:00.000Z"}}"#
    );
    assert_eq!(found, expected);
}

#[test]
fn buckets_have_elasticsearchs_shape() {
    let (_folder, reader) = index();
    let found = aggregations(
        &reader,
        json!({
            "months": {"date_histogram": {"field": "day", "calendar_interval": "1M"}, "aggs": {"gmv": {"sum": {"field": "gmv_gbp"}}}},
            "few": {"filter": {"range": {"orders": {"lt": 100}}}},
            "orders": {"histogram": {"field": "orders", "interval": 50, "keyed": true, "min_doc_count": 1}},
            "days": {"terms": {"field": "day", "size": 1}},
        }),
    );
    let expected = concat!(
        r#"{"months":{"buckets":[{"key_as_string":"2010-12-01T00:00:00.000Z","key":1291161600000,"doc_count":2,"#,
        r#""gmv":{"value":106709.170}},{"key_as_string":"2011-01-01T00:00:00.000Z","key":1293840000000,"doc_count":1,"#,
        r#""gmv":{"value":46943.710}}]},"few":{"doc_count":1},"#,
        r#""orders":{"buckets":{"50.0":{"key":50.0,"doc_count":1},"100.0":{"key":100.0,"doc_count":2}}},"#,
        r#""days":{"doc_count_error_upper_bound":0,"sum_other_doc_count":2,"buckets":[{"key":1291161600000,"#,
        r#""key_as_string":"2010-12-01T00:00:00.000Z","doc_count":1}]}}"#
    );
    assert_eq!(found, expected);
}

#[test]
fn an_empty_index_answers_too() {
    let folder = TempDir::new().unwrap();
    let reader = IndexSink::open(folder.path(), &config()).unwrap().reader();
    let found = aggregations(
        &reader,
        json!({
            "sum": {"sum": {"field": "gmv_gbp"}}, "max": {"max": {"field": "day"}}, "notes": {"terms": {"field": "note"}},
            "days": {"date_histogram": {"field": "day", "fixed_interval": "1d"}},
            "ranges": {"range": {"field": "orders", "ranges": [{"to": 5}]}},
            "p": {"percentiles": {"field": "orders", "percents": [50], "keyed": false}},
        }),
    );
    let expected = concat!(
        r#"{"sum":{"value":0.000},"max":{"value":null},"#,
        r#""notes":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[]},"days":{"buckets":[]},"#,
        r#""ranges":{"buckets":[{"key":"*-5.0","to":5.0,"doc_count":0}]},"p":{"values":[{"key":50.0,"value":null}]}}"#
    );
    assert_eq!(found, expected);
}

#[test]
fn a_rarer_or_more_frequent_word_scores_higher() {
    let (_folder, reader) = index();
    assert_eq!(ids(&reader, json!({"query": {"match": {"note": "red"}}})), ["2011-01-02", "2010-12-02"]);
    assert_eq!(ids(&reader, json!({"query": {"match": {"note": "lantern heart"}}}))[0], "2010-12-02");
    let and = json!({"query": {"match": {"note": {"query": "Heart RED", "operator": "and"}}}});
    assert_eq!(ids(&reader, and), ["2011-01-02"]);
    let filtered = json!({"query": {"bool": {"filter": {"match": {"note": "red"}}}}});
    let answer = reader.search(&filtered).unwrap();
    assert!(answer.hits.iter().all(|hit| hit.score == Some(0.0)), "filters score nothing");
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let (_folder, reader) = index();
    for (request, status, part) in [
        (json!([]), 400, "[request] must be an object"),
        (json!({"querry": {}}), 400, "[querry]"),
        (json!({"query": {"fuzzy": {"note": "red"}}}), 400, "[fuzzy]"),
        (
            json!({"query": {"term": {"color": "red"}}}),
            400,
            "no searchable field [color] in index [daily]; it has: day, orders",
        ),
        (json!({"query": {"term": {"orders": "many"}}}), 400, "\"many\" is no value for field [orders] of type BIGINT"),
        (json!({"query": {"range": {"day": {"from": 1}}}}), 400, "[from]"),
        (json!({"query": {"range": {"day": {"gt": "soon"}}}}), 400, "field [day] of type DATE"),
        (json!({"query": {"match": {"note": {"query": "a", "fuzziness": 1}}}}), 400, "[fuzziness]"),
        (json!({"query": {"term": {"orders.keyword": 1}}}), 400, "[orders.keyword]"),
        (json!({"query": {"bool": {"mustt": []}}}), 400, "[mustt]"),
        (json!({"sort": [{"orders": "up"}]}), 400, "[up]"),
        (json!({"sort": "nothing"}), 400, "[nothing]"),
        (json!({"from": 9_995}), 400, "at most 10000"),
        (json!({"size": -1}), 400, "[size]"),
        (json!({"aggs": {"a": {"top_hits": {}}}}), 400, "[top_hits]"),
        (json!({"aggs": {"a": {"terms": {"field": "note", "include": "r.*"}}}}), 400, "[include]"),
        (json!({"aggs": {"a": {"sum": {"field": "note"}}}}), 400, "field [note] of type [STRING] has no [sum]"),
        (json!({"aggs": {"a": {"sum": {"field": "orders"}, "aggs": {"b": {"sum": {"field": "orders"}}}}}}), 400, "[a]"),
        (
            json!({"aggs": {"a": {"date_histogram": {"field": "day", "fixed_interval": "1M"}}}}),
            400,
            "[calendar_interval]",
        ),
        (json!({"aggs": {"a": {"terms": {"field": "note", "order": {"b": "asc"}}}}}), 400, "[b]"),
        (json!({"aggs": {"a": {"histogram": {"field": "orders", "interval": 0.0001}}}}), 400, "65536"),
        (json!({"aggs": {"a": {"terms": {"field": "note"}, "sum": {"field": "orders"}}}}), 400, "second type [sum]"),
    ] {
        let error = reader.search(&request).unwrap_err();
        assert_eq!(error.status, status, "{request}: {error}");
        assert!(error.reason.contains(part), "{request}: {error}");
    }
}
