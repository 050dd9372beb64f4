//! The sink against a real Kafka: what its messages say, what is refused, transactions, and who is shut out.

#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proxima_event::{Changes, Epoch, Generation, Sink, Version};
use proxima_kafka::{KafkaSink, SinkConfig};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Cluster, HANGS};

/// Rows of two columns, the first of which is the key.
fn rows(rows: &[(&str, i64)]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] = [
        ("sku", Arc::new(rows.iter().map(|(sku, _)| Some(*sku)).collect::<StringArray>())),
        ("sold", Arc::new(rows.iter().map(|(_, sold)| Some(*sold)).collect::<Int64Array>())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn config(cluster: &Cluster, topic: &str, transactional_id: Option<&str>) -> SinkConfig {
    let mut config = SinkConfig::new(cluster.connection(), topic, rows(&[]).schema(), vec![0]);
    config.transactional_id = transactional_id.map(str::to_owned);
    config
}

fn version(epoch: u64) -> Version {
    Version::new(Generation(3), Epoch(epoch))
}

/// A message as other programs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    key: String,
    value: Option<String>,
    version: String,
}

/// All committed messages of a topic of one partition.
fn read(cluster: &Cluster, topic: &str) -> Vec<Seen> {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &cluster.brokers)
        .set("group.id", "reader")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (mut seen, deadline) = (Vec::new(), Instant::now() + HANGS);
    while Instant::now() < deadline {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let version = message.headers().unwrap().get(0);
                assert_eq!(version.key, "proxima-version");
                seen.push(Seen {
                    key: text(message.key().unwrap()),
                    value: message.payload().map(text),
                    version: text(version.value.unwrap()),
                });
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return seen,
            _ => {}
        }
    }
    panic!("topic {topic} has no end");
}

fn keys(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.key.as_str()).collect()
}

#[test]
#[ignore = "starts Kafka"]
fn a_row_is_a_message_and_a_delete_a_tombstone() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("rows", 1);
    let mut sink = KafkaSink::open(config(&cluster, &topic, None)).unwrap();
    sink.write(version(1), &[Changes::inserts(rows(&[("a", 1), ("b", 2)]))]).unwrap();
    sink.write(version(2), &[Changes::weighted(rows(&[("a", 1), ("c", 0)]), vec![-1, 0])]).unwrap();
    sink.flush().unwrap();
    let seen = |key: &str, value: Option<&str>, epoch| Seen {
        key: key.to_owned(),
        value: value.map(str::to_owned),
        version: version(epoch).0.to_string(),
    };
    let wanted = [
        seen(r#"{"sku":"a"}"#, Some(r#"{"sku":"a","sold":1}"#), 1),
        seen(r#"{"sku":"b"}"#, Some(r#"{"sku":"b","sold":2}"#), 1),
        seen(r#"{"sku":"a"}"#, None, 2),
    ];
    assert_eq!(read(&cluster, &topic), wanted);
}

#[test]
#[ignore = "starts Kafka"]
fn a_message_that_is_too_large_is_rejected_alone() {
    let cluster = Cluster::shared();
    for transactional in [false, true] {
        let topic = format!("large-{:x}", rand::random::<u64>());
        // Smaller than what the client lets pass, so that the broker is the one to refuse.
        cluster.make(&topic, 1, &[("max.message.bytes", "20000")]);
        let mut sink = KafkaSink::open(config(&cluster, &topic, transactional.then_some(topic.as_str()))).unwrap();
        let noise = |bytes: usize| -> String { (0..bytes).map(|_| rand::random_range('a'..='z')).collect() };
        // The client lets this pass, or not.
        for large in [noise(100_000), noise(2_000_000)] {
            let batch = [("first", 1), (large.as_str(), 2), ("last", 3)];
            sink.write(version(1), &[Changes::inserts(rows(&batch))]).unwrap();
            sink.flush().unwrap();
            let rejected = sink.take_rejected();
            assert_eq!(rejected.len(), 1, "{:?}", rejected.iter().map(|write| &write.reason).collect::<Vec<_>>());
            assert!(rejected[0].document.contains(&large) && rejected[0].target == topic);
            assert!(rejected[0].reason.to_lowercase().contains("too large"), "{}", rejected[0].reason);
        }
        let seen = read(&cluster, &topic);
        let wanted = [r#"{"sku":"first"}"#, r#"{"sku":"last"}"#].repeat(2);
        let mut found = keys(&seen);
        found.sort_unstable();
        let mut wanted = wanted;
        wanted.sort_unstable();
        assert_eq!(found, wanted, "transactional: {transactional}");
    }
}

#[test]
#[ignore = "starts Kafka"]
fn a_transaction_shows_whole_or_not_at_all() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("whole", 1);
    let id = format!("job-{topic}");
    let mut first = KafkaSink::open(config(&cluster, &topic, Some(&id))).unwrap();
    first.write(version(1), &[Changes::inserts(rows(&[("a", 1)]))]).unwrap();
    first.flush().unwrap();
    first.flush().unwrap();
    first.write(version(2), &[Changes::inserts(rows(&[("lost", 1)]))]).unwrap();
    assert_eq!(keys(&read(&cluster, &topic)), [r#"{"sku":"a"}"#]);

    // The next run of the job shuts the stale one out, whatever that had under way.
    let mut second = KafkaSink::open(config(&cluster, &topic, Some(&id))).unwrap();
    let stale = first.flush().unwrap_err().to_string();
    assert!(stale.contains("another run of this job has taken over"), "{stale}");
    second.write(version(1 << 20), &[Changes::inserts(rows(&[("b", 2)]))]).unwrap();
    second.flush().unwrap();
    assert_eq!(keys(&read(&cluster, &topic)), [r#"{"sku":"a"}"#, r#"{"sku":"b"}"#]);
}

#[test]
#[ignore = "starts Kafka"]
fn many_rows_stay_in_order() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("many", 1);
    let mut sink = KafkaSink::open(config(&cluster, &topic, None)).unwrap();
    for epoch in 0..20 {
        let names: Vec<String> = (0..10_000).map(|row| format!("sku-{row}")).collect();
        let batch: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), epoch)).collect();
        sink.write(version(epoch.unsigned_abs()), &[Changes::inserts(rows(&batch))]).unwrap();
    }
    sink.flush().unwrap();
    let seen = read(&cluster, &topic);
    assert_eq!(seen.len(), 200_000);
    assert!(seen.is_sorted_by_key(|seen| seen.version.parse::<u64>().unwrap()));
}

#[test]
#[ignore = "starts Kafka"]
fn says_what_is_wrong() {
    let cluster = Cluster::shared();
    let missing = KafkaSink::open(config(&cluster, "no-such-topic", None)).err().unwrap().to_string();
    assert!(missing.starts_with("cannot open topic no-such-topic: "), "{missing}");
    assert!(missing.contains("has no topic \"no-such-topic\"; it has "), "{missing}");
}
