//! The sink against real servers: replays, stale writers, deletes, patterns, refusals.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use proxima_elastic::{Cluster, ClusterConfig, ElasticReader, ElasticSink, Existing, Refresh, TargetConfig};
use proxima_event::{Changes, Sink};
use reqwest::Method;
use serde_json::{Value, json};
use support::{
    Cleanup, PRODUCTS, Row, ask, cluster, documents, eventually, id, name, rows, server, sink, target, version, write,
};

fn each_product(index: &str, test: impl Fn(&str, &str)) {
    for product in PRODUCTS {
        let (address, index) = (server(product), name(index));
        let _cleanup = Cleanup(address.clone(), format!("{index}*"));
        println!("{product}: {index}");
        test(&address, &index);
    }
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn rows_are_documents_and_a_replay_changes_nothing() {
    each_product("replay", |address, index| {
        let mut first = sink(&cluster(address), index);
        write(&mut first, version(1, 1), &[(1, Some("red"), 1_250), (2, Some("blue"), 99), (3, None, 5)], &[]);
        write(&mut first, version(1, 2), &[(2, Some("green"), 100)], &[3]);
        let expected = vec![
            (id(1), version(1, 1).0, json!("red"), json!(12.5)),
            (id(2), version(1, 2).0, json!("green"), json!(1.0)),
        ];
        assert_eq!(documents(address, index), expected);
        // The same epochs come again, doubled and in the wrong order.
        write(&mut first, version(1, 1), &[(1, Some("red"), 1_250), (2, Some("blue"), 99), (3, None, 5)], &[]);
        write(&mut first, version(1, 2), &[(2, Some("green"), 100)], &[3]);
        write(&mut first, version(1, 1), &[(3, None, 5)], &[]);
        assert_eq!(documents(address, index), expected);
        assert_eq!(first.take_rejected(), []);
        // A source keeps the digits that SQL has given it.
        let (_, document) = ask(Method::GET, &format!("{address}/{index}/_doc/{}", id(1).replace('|', "%7C")), None);
        assert_eq!(document["_source"].to_string(), r#"{"id":1,"name":"red","day":"1970-01-02","price":12.5}"#);
    });
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn a_stale_run_loses_and_is_told() {
    each_product("stale", |address, index| {
        let cluster = cluster(address);
        let mut stale = sink(&cluster, index);
        write(&mut stale, version(1, 7), &[(1, Some("old"), 1), (2, Some("old"), 1)], &[]);
        let mut fresh = sink(&cluster, index);
        write(&mut fresh, version(2, 1), &[(1, Some("new"), 2)], &[2]);
        // It wakes up and writes on, as if nothing had happened.
        let late = Changes::inserts(rows(&[(1, Some("late"), 3), (2, Some("late"), 3)]));
        stale.write(version(1, 8), &[late]).unwrap();
        let error = stale.flush().unwrap_err().to_string();
        assert!(error.contains("a later run (generation 2, this one is 1)"), "{error}");
        assert_eq!(documents(address, index), [(id(1), version(2, 1).0, json!("new"), json!(0.02))]);
        // Begun anew it is told before it writes anything.
        let mut again = sink(&cluster, index);
        let error = again.write(version(1, 9), &[Changes::inserts(rows(&[(5, None, 0)]))]).unwrap_err().to_string();
        assert!(error.contains("a later run (generation 2, this one is 1) writes to"), "{error}");
    });
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn a_document_that_does_not_fit_is_rejected_alone() {
    each_product("mapping", |address, index| {
        // Somebody's own index, whose name is a number.
        let mapping = json!({"mappings": {"properties": {"name": {"type": "long"}}}});
        assert_eq!(ask(Method::PUT, &format!("{address}/{index}"), Some(mapping)).0, 200);
        let refused = {
            let mut sink = sink(&cluster(address), index);
            sink.write(version(1, 1), &[Changes::inserts(rows(&[(1, Some("red"), 1)]))]).unwrap_err().to_string()
        };
        assert!(
            refused.contains("has other fields than the target") && refused.contains("template = false"),
            "{refused}"
        );
        let mut config = target(index);
        config.template = false;
        let mut own = ElasticSink::new(&cluster(address), config).unwrap();
        write(&mut own, version(1, 1), &[(1, Some("17"), 1), (2, Some("red"), 2), (3, Some("18"), 3)], &[]);
        let rejected = own.take_rejected();
        assert_eq!(rejected.len(), 1, "{rejected:?}");
        assert_eq!((rejected[0].target.as_str(), rejected[0].key.as_str()), (index, id(2).as_str()));
        assert!(rejected[0].reason.contains("failed to parse field [name] of type [long]"), "{rejected:?}");
        assert_eq!(rejected[0].document, r#"{"id":2,"name":"red","day":"1970-01-03","price":0.02}"#);
        assert_eq!(documents(address, index).len(), 2);
    });
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn each_day_has_its_index() {
    each_product("days", |address, index| {
        let mut sink = sink(&cluster(address), &format!("{index}_{{day}}"));
        write(&mut sink, version(1, 1), &[(1, None, 1), (2, None, 2), (3, None, 3), (4, None, 4)], &[]);
        write(&mut sink, version(1, 2), &[], &[4]);
        let (_, found) = ask(Method::GET, &format!("{address}/{index}_*/_mapping"), None);
        let mut names: Vec<&String> = found.as_object().unwrap().keys().collect();
        names.sort();
        let expected: Vec<String> = (1..=3).map(|day| format!("{index}_1970-01-0{day}")).collect();
        assert_eq!(names, expected.iter().collect::<Vec<_>>());
        assert_eq!(found[&expected[0]]["mappings"]["properties"]["price"]["type"], "scaled_float");
        assert_eq!(documents(address, &format!("{index}_*")).len(), 3);
    });
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn many_rows_go_in_many_requests() {
    each_product("many", |address, index| {
        let mut config = ClusterConfig::new("search", vec![address.to_owned()]);
        (config.bulk_bytes, config.bulk_documents, config.compress) = (40_000, 500, true);
        let mut sink = sink(&Cluster::new(config).unwrap(), index);
        let all: Vec<Row<'_>> = (0..20_000).map(|id| (id, Some("red lantern"), id.into())).collect();
        // Three epochs without a flush: the same documents are in several requests.
        for epoch in 1..=3 {
            let changed: Vec<Row<'_>> = all.iter().map(|row| (row.0, row.1, row.2 + epoch)).collect();
            sink.write(version(1, epoch as u64), &[Changes::inserts(rows(&changed))]).unwrap();
        }
        let gone: Vec<i64> = (0..20_000).filter(|id| id % 10 == 0).collect();
        write(&mut sink, version(1, 4), &[], &gone);
        ask(Method::POST, &format!("{address}/{index}/_refresh"), None);
        let sum = json!({"size": 0, "track_total_hits": true, "aggs": {"sum": {"sum": {"field": "price"}}}});
        let (_, answer) = ask(Method::POST, &format!("{address}/{index}/_search"), Some(sum));
        assert_eq!(answer["hits"]["total"]["value"], 18_000);
        let expected: i64 = (0..20_000).filter(|id| id % 10 != 0).map(|id| id + 3).sum();
        let found = answer["aggregations"]["sum"]["value"].as_f64().unwrap();
        assert!((found - expected as f64 / 100.0).abs() < 1e-3, "{found} is not {expected} hundredths");
    });
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn a_full_disk_is_waited_for() {
    each_product("full", |address, index| {
        let mut first = sink(&cluster(address), index);
        write(&mut first, version(1, 1), &[(1, None, 1)], &[]);
        let block = |blocked: Value| {
            let body = json!({"index.blocks.read_only_allow_delete": blocked});
            assert_eq!(ask(Method::PUT, &format!("{address}/{index}/_settings"), Some(body)).0, 200);
        };
        // What a node does by itself when its disk is nearly full.
        block(json!(true));
        let health = first.health().unwrap();
        let writing = std::thread::spawn(move || {
            write(&mut first, version(1, 2), &[(2, None, 2)], &[]);
            first
        });
        eventually("the reason to be seen", || health.waits_for().is_some_and(|why| why.contains("read-only")));
        assert!(!writing.is_finished());
        block(Value::Null);
        let mut first = writing.join().unwrap();
        assert_eq!(health.waits_for(), None);
        assert_eq!(first.take_rejected(), []);
        assert_eq!(documents(address, index).len(), 2);
    });
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn a_first_run_does_not_mix_with_what_stands() {
    each_product("existing", |address, index| {
        let cluster = cluster(address);
        write(&mut sink(&cluster, index), version(3, 1), &[(1, Some("old"), 1)], &[]);
        ask(Method::POST, &format!("{address}/{index}/_refresh"), None);
        let mut config = target(index);
        config.existing = Some(Existing::Refuse);
        let mut refused = ElasticSink::new(&cluster, config.clone()).unwrap();
        let error = refused.write(version(1, 1), &[]).unwrap_err().to_string();
        assert!(error.contains("holds 1 documents already") && error.contains("existing = \"delete\""), "{error}");
        config.existing = Some(Existing::Delete);
        config.refresh = Refresh::WaitFor;
        let mut anew = ElasticSink::new(&cluster, config).unwrap();
        write(&mut anew, version(1, 1), &[(2, Some("new"), 1)], &[]);
        assert_eq!(documents(address, index), [(id(2), version(1, 1).0, json!("new"), json!(0.01))]);
    });
}

/// The pattern of one target may fit the index of another, whose name is more certain: that one is left alone.
#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn a_pattern_does_not_take_what_belongs_to_another_target() {
    each_product("apart", |address, index| {
        let cluster = cluster(address);
        let (total, daily) = (format!("{index}_total"), format!("{index}_{{day}}"));
        let mut other = target(&total);
        other.others = vec![daily.parse().unwrap()];
        let count = |config: &TargetConfig| {
            ask(Method::POST, &format!("{address}/{index}*/_refresh"), None);
            ElasticReader::new(&cluster, config.clone()).count(&json!({})).unwrap()
        };
        let mut config = target(&daily);
        config.others = vec![total.parse().unwrap()];
        assert_eq!(count(&config), 0, "neither is there");
        write(&mut ElasticSink::new(&cluster, other.clone()).unwrap(), version(1, 1), &[(1, Some("kept"), 1)], &[]);
        let mut empty = target(&daily);
        empty.others.clone_from(&config.others);
        empty.existing = Some(Existing::Refuse);
        write(&mut ElasticSink::new(&cluster, empty).unwrap(), version(1, 1), &[(2, None, 2), (3, None, 3)], &[]);
        assert_eq!((count(&config), count(&other)), (2, 1));
        config.existing = Some(Existing::Delete);
        write(&mut ElasticSink::new(&cluster, config.clone()).unwrap(), version(2, 1), &[(4, Some("anew"), 4)], &[]);
        assert_eq!((count(&config), count(&other)), (1, 1), "it alone began anew");
        // Keys that look like each other.
        let texts = |key| TargetConfig { key: vec![key], ..target(&format!("{index}_texts")) };
        let mut sink = ElasticSink::new(&cluster, texts(1)).unwrap();
        let names = ["", "\\E", "\\\\E", "E", "\\N"];
        let all: Vec<Row<'_>> = (1..).zip(names).map(|(id, name)| (id, Some(name), 1)).chain([(9, None, 1)]).collect();
        write(&mut sink, version(1, 1), &all, &[]);
        assert_eq!(count(&texts(1)), 6);
    });
}
