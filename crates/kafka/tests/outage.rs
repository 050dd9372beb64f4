//! Brokers that go and come back: three of them, of which one is killed, then all.

#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use proxima_event::{Changes, Sink, Version};
use proxima_kafka::{KafkaSink, SinkConfig};
use proxima_servers::{Service, free_ports};
use std::sync::Arc;
use support::{Cluster, HANGS, Running};

fn rows(from: i64, to: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

/// What this process has used, all threads together, as Linux tells it.
fn cpu_seconds() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name may hold spaces; times are the 12th and 13th behind it.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

#[test]
#[ignore = "starts three brokers of Kafka"]
fn nothing_is_lost_or_doubled_when_brokers_go() {
    const STEP: i64 = 3_000;
    let settings = [("KAFKA_BROKERS", "3".to_owned()), ("KAFKA_PORT", free_ports(3).to_string())];
    let kafka = Service::own("kafka", &[settings[0].clone(), settings[1].clone(), ("KAFKA_HEAP", "320m".to_owned())]);
    let cluster = Cluster::at(kafka.address(), 3);
    let topic = cluster.topic("outage", 2);
    let source = Running::start(cluster.config(&topic));
    let sinks = |id: Option<&str>| {
        let mut config = SinkConfig::new(cluster.connection(), &topic, rows(0, 0).schema(), vec![0]);
        config.transactional_id = id.map(str::to_owned);
        KafkaSink::open(config).unwrap()
    };
    let (mut plain, mut transactional) = (sinks(None), sinks(Some("outage")));
    let mut written = 0;
    let mut write = |sink: &mut KafkaSink, flush: bool| {
        for part in (0..STEP).step_by(500) {
            let changes = Changes::inserts(rows(written + part, written + part + 500));
            sink.write(Version(1), &[changes]).unwrap();
        }
        written += STEP;
        if flush {
            sink.flush().unwrap();
        }
        usize::try_from(written).unwrap()
    };
    write(&mut plain, true);
    let count = write(&mut transactional, true);
    source.until("the first", |told| told.count() == count);

    for broker in ["1", "2"] {
        kafka.run(&["kill", broker]);
        write(&mut plain, true);
        let count = write(&mut transactional, true);
        source.until("with a broker gone", |told| told.count() == count);
        kafka.run(&["start"]);
        write(&mut plain, true);
        let count = write(&mut transactional, true);
        source.until("with it back", |told| told.count() == count);
    }

    // All go: writes wait, and the source says what it waits for.
    write(&mut plain, false);
    for broker in ["1", "2", "3"] {
        kafka.run(&["kill", broker]);
    }
    let (waiting, used) = (std::time::Instant::now(), cpu_seconds());
    let wait = |what: Option<String>| what.is_some_and(|what| what.starts_with("no Kafka broker can be reached: "));
    while !wait(plain.health().unwrap().waits_for()) || !wait(source.health.waits_for()) {
        assert!(waiting.elapsed() < HANGS, "sink and source never say that they wait");
        // A flush would wait for ever; what librdkafka tells is heard when something is written.
        plain.write(Version(1), &[]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    kafka.run(&["start"]);
    let (used, waited) = (cpu_seconds() - used, waiting.elapsed().as_secs_f64());
    assert!(used < waited / 5.0, "waiting for {waited} s has cost {used} s of a core");
    plain.flush().unwrap();
    assert_eq!(plain.health().unwrap().waits_for(), None);
    let count = write(&mut transactional, true);
    let told = source.until("everything", |told| told.count() == count);
    assert_eq!(source.health.waits_for(), None);
    let mut numbers: Vec<i64> = told
        .values
        .values()
        .flatten()
        .map(|(_, value)| value.trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..i64::try_from(count).unwrap()), "each number comes once");
    source.stop();
}
