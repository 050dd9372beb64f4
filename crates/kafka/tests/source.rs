//! The source against a real Kafka: where it begins, what it passes by, what it finds, how it ends.

#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use proxima_kafka::{Isolation, LostOffsets, SourceConfig, Start, Topics};
use rdkafka::producer::{BaseRecord, Producer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{Cluster, HANGS, Kept, Running, numbered, position};

/// Reads a topic to what is its end now.
fn read_all(mut config: SourceConfig) -> support::Told {
    config.until_end = true;
    let (result, told) = Running::start(config).ended();
    result.unwrap();
    told
}

#[test]
#[ignore = "starts Kafka"]
fn every_message_comes_once_and_in_order() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("orders", 3);
    for partition in 0..3 {
        cluster.write(&topic, partition, numbered(0..5_000));
    }
    let mut config = cluster.config(&topic);
    config.until_end = true;
    let (result, told) = Running::with(config, Kept { records_max: 700, ..Kept::default() }).ended();
    result.unwrap();
    assert!(told.caught_up);
    for partition in 0..3 {
        let name = format!("{topic}-{partition}");
        assert!(told.values[&name].iter().map(|(offset, _)| *offset).eq(0..5_000));
        assert!(told.texts(&name).into_iter().map(str::to_owned).eq(numbered(0..5_000)));
        assert_eq!((told.offsets()[&name], told.ends[&name]), (5_000, 5_000));
    }
}

#[test]
#[ignore = "starts Kafka"]
fn begins_where_the_configuration_says() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("starts", 1);
    let name = format!("{topic}-0");
    cluster.write(&topic, 0, numbered(0..10));
    std::thread::sleep(Duration::from_millis(50));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    cluster.write(&topic, 0, numbered(10..15));
    let with = |start| SourceConfig { start, ..cluster.config(&topic) };

    assert_eq!(read_all(with(Start::Earliest)).count(), 15);
    let millis = i64::try_from(now.as_millis()).unwrap();
    assert_eq!(read_all(with(Start::Timestamp(millis))).texts(&name)[0], "{\"n\":10}");
    let future = read_all(with(Start::Timestamp(millis + 3_600_000)));
    assert_eq!((future.count(), future.offsets()[&name]), (0, 15), "a time to come is the end");

    let latest = Running::start(with(Start::Latest));
    latest.until("caught up", |told| told.caught_up);
    cluster.write(&topic, 0, numbered(15..17));
    latest.until("the new ones", |told| told.texts(&name) == ["{\"n\":15}", "{\"n\":16}"]);
    latest.stop();
}

#[test]
#[ignore = "starts Kafka"]
fn goes_on_where_it_left_off() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("resume", 2);
    cluster.write(&topic, 0, numbered(0..100));
    cluster.write(&topic, 1, numbered(0..100));
    let names = [format!("{topic}-0"), format!("{topic}-1")];
    let told = read_all(cluster.config(&topic));
    let stored = vec![position(&told, &names[0], 40), position(&told, &names[1], 100)];
    let mut config = SourceConfig { start: Start::Latest, ..cluster.config(&topic) };
    config.until_end = true;
    let (result, again) = Running::resume(config, stored, Vec::new()).ended();
    result.unwrap();
    assert!(again.values[&names[0]].iter().map(|(offset, _)| *offset).eq(40..100));
    assert!(!again.values.contains_key(&names[1]));
}

#[test]
#[ignore = "starts Kafka"]
fn passes_by_tombstones_aborted_messages_and_marks() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("gaps", 1);
    let name = format!("{topic}-0");
    cluster.write_transaction(&topic, 0, &["a", "b"], true);
    cluster.write_transaction(&topic, 0, &["x", "y", "z"], false);
    let producer = cluster.producer(&[]);
    producer.send(BaseRecord::<str, str>::to(&topic).partition(0).key("gone")).unwrap();
    producer.send(BaseRecord::<str, str>::to(&topic).partition(0).key("empty").payload("")).unwrap();
    producer.flush(HANGS).unwrap();
    cluster.write_transaction(&topic, 0, &["c"], true);

    let told = read_all(cluster.config(&topic));
    // 0 and 1, a mark, 3 to 5 aborted, a mark, a tombstone, an empty one, 9, a mark.
    let value = |offset: u64, value: &str| (offset, value.to_owned());
    assert_eq!(told.values[&name], [value(0, "a"), value(1, "b"), value(9, "c")]);
    assert_eq!((told.offsets()[&name], told.ends[&name]), (11, 11));

    // An end among marks and aborted messages is reached too, and going on there loses nothing.
    for offset in 0..=11 {
        let mut config = cluster.config(&topic);
        config.until_end = true;
        let stored = vec![position(&told, &name, 0)];
        let cuts = vec![vec![position(&told, &name, offset)]];
        let (result, replayed) = Running::resume(config, stored, cuts).ended();
        result.unwrap();
        assert_eq!(replayed.values[&name], told.values[&name], "a cut at {offset}");
        assert_eq!(replayed.cuts[0][&name], offset);
    }
    let all = read_all(SourceConfig { isolation: Isolation::ReadUncommitted, ..cluster.config(&topic) });
    assert_eq!(all.texts(&name), ["a", "b", "x", "y", "z", "c"]);
}

#[test]
#[ignore = "starts Kafka"]
fn waits_for_the_end_of_a_transaction() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("open", 1);
    let name = format!("{topic}-0");
    let producer = cluster.producer(&[("transactional.id", &topic)]);
    producer.init_transactions(HANGS).unwrap();
    producer.begin_transaction().unwrap();
    support::send(&producer, &topic, 0, ["early".to_owned()]);
    producer.flush(HANGS).unwrap();
    let source = Running::start(cluster.config(&topic));
    let told = source.until("caught up", |told| told.caught_up);
    assert_eq!(told.count(), 0);
    producer.commit_transaction(HANGS).unwrap();
    source.until("committed", |told| told.texts(&name) == ["early"]);
    // The mark behind the message is no lag.
    source.until("no lag", |told| told.offsets()[&name] == 2 && told.ends[&name] == 2);
    source.stop();
}

#[test]
#[ignore = "starts Kafka"]
fn finds_partitions_and_topics_that_are_new() {
    let cluster = Cluster::shared();
    let stem = format!("ods{:x}", rand::random::<u32>());
    let first = cluster.topic(&format!("{stem}_a"), 1);
    let mut config = cluster.config(&first);
    config.topics = Topics::pattern(&format!("{stem}_.*")).unwrap();
    config.start = Start::Latest;
    let source = Running::start(config);
    source.until("caught up", |told| told.caught_up);
    cluster.grow(&first, 2);
    cluster.write(&first, 1, numbered(0..10));
    let second = cluster.topic(&format!("{stem}_b"), 1);
    cluster.write(&second, 0, numbered(0..20));
    cluster.write(&first, 0, numbered(0..5));
    let told = source.until("all 35", |told| told.count() == 35);
    assert_eq!(told.texts(&format!("{second}-0")).len(), 20);
    assert_eq!(told.texts(&format!("{first}-1")).len(), 10);
    source.stop();
}

#[test]
#[ignore = "starts Kafka"]
fn what_came_while_no_run_read_is_read_from_its_beginning() {
    let cluster = Cluster::shared();
    let stem = format!("down{:x}", rand::random::<u32>());
    let first = cluster.topic(&format!("{stem}_a"), 1);
    cluster.write(&first, 0, numbered(0..10));
    let config = |topics| SourceConfig { topics, start: Start::Latest, until_end: true, ..cluster.config(&first) };
    let names = |topics: &[&String]| Topics::Names(topics.iter().map(|&topic| topic.clone()).collect());
    let told = read_all(config(names(&[&first])));
    assert_eq!(told.count(), 0);

    cluster.grow(&first, 2);
    cluster.write(&first, 1, numbered(0..20));
    let second = cluster.topic(&format!("{stem}_b"), 1);
    cluster.write(&second, 0, numbered(0..40));
    let read = |topics| {
        let stored = vec![position(&told, &format!("{first}-0"), 10)];
        let (result, told) = Running::resume(config(topics), stored, Vec::new()).ended();
        result.unwrap();
        told.count()
    };
    assert_eq!(read(Topics::pattern(&format!("{stem}_.*")).unwrap()), 60);
    assert_eq!(read(names(&[&first, &second])), 20, "a topic that is named now begins where the job says");
}

#[test]
#[ignore = "starts Kafka"]
fn replays_cuts_exactly() {
    use rand::{RngExt, SeedableRng};
    let seed = rand::random();
    println!("seed {seed}");
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let cluster = Cluster::shared();
    let topic = cluster.topic("cuts", 4);
    let names: Vec<String> = (0..4).map(|partition| format!("{topic}-{partition}")).collect();
    for partition in 0..4 {
        cluster.write(&topic, partition, numbered(0..3_000));
    }
    let told = read_all(cluster.config(&topic));
    let begin: Vec<u64> = (0..4).map(|_| dice.random_range(0..500)).collect();
    let mut at = begin.clone();
    let mut cuts = Vec::new();
    for _ in 0..30 {
        // An epoch may hold nothing of some partitions, or of all.
        let mut cut = Vec::new();
        for partition in 0..4 {
            if dice.random_bool(0.6) {
                at[partition] += dice.random_range(1..80);
                cut.push(position(&told, &names[partition], at[partition]));
            }
        }
        cuts.push((cut, at.clone()));
    }
    let stored = (0..4).map(|partition| position(&told, &names[partition], begin[partition])).collect();
    let mut config = cluster.config(&topic);
    config.until_end = true;
    let wanted = cuts.iter().map(|(cut, _)| cut.clone()).collect();
    let (result, again) = Running::resume(config, stored, wanted).ended();
    result.unwrap();
    for (reached, (_, wanted)) in again.cuts.iter().zip(&cuts) {
        assert!(
            names.iter().zip(wanted).all(|(name, offset)| reached[name] == *offset),
            "{reached:?} is not {wanted:?}"
        );
    }
    assert_eq!(again.cuts.len(), cuts.len());
    for (name, begin) in names.iter().zip(begin) {
        assert!(
            again.values[name].iter().map(|(offset, _)| *offset).eq(begin..3_000),
            "{name} has no gap and no double"
        );
    }
}

#[test]
#[ignore = "starts Kafka"]
fn offsets_that_are_gone_are_told() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("lost", 1);
    let name = format!("{topic}-0");
    cluster.write(&topic, 0, numbered(0..100));
    let told = read_all(cluster.config(&topic));
    cluster.delete_before(&topic, 0, 60);
    let stored = |offset| vec![position(&told, &name, offset)];
    let reason = Running::resume(cluster.config(&topic), stored(20), Vec::new()).fails();
    let wanted = format!(
        "partition {name} is to be read from offset 20 on, but it holds 60 to 99; with lost_offsets = \"skip\""
    );
    assert!(reason.contains(&wanted), "{reason}");
    let reason = Running::resume(cluster.config(&topic), stored(101), Vec::new()).fails();
    assert!(reason.contains("from offset 101 on, but it holds 60 to 99"), "{reason}");

    let skip = || SourceConfig { lost_offsets: LostOffsets::Skip, until_end: true, ..cluster.config(&topic) };
    let (result, skipped) = Running::resume(skip(), stored(20), vec![stored(70), stored(80)]).ended();
    result.unwrap();
    assert!(skipped.values[&name].iter().map(|(offset, _)| *offset).eq(60..100));
    assert_eq!(skipped.cuts.iter().map(|cut| cut[&name]).collect::<Vec<_>>(), [70, 80]);
}

#[test]
#[ignore = "starts Kafka"]
fn a_topic_made_anew_is_another_topic() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("anew", 1);
    let name = format!("{topic}-0");
    cluster.write(&topic, 0, numbered(0..10));
    let told = read_all(cluster.config(&topic));
    let running = Running::start(cluster.config(&topic));
    running.until("all read", |told| told.count() == 10);
    cluster.delete(&topic);
    cluster.make(&topic, 1, &[]);
    cluster.write(&topic, 0, numbered(100..120));
    let reason = running.fails();
    assert!(reason.contains(&format!("topic \"{topic}\" was deleted and made anew")), "{reason}");

    let stored = || vec![position(&told, &name, 10)];
    let reason = Running::resume(cluster.config(&topic), stored(), Vec::new()).fails();
    assert!(reason.contains(&format!("topic \"{topic}\" was deleted and made anew")), "{reason}");
    let skip = SourceConfig { lost_offsets: LostOffsets::Skip, until_end: true, ..cluster.config(&topic) };
    let (result, anew) = Running::resume(skip, stored(), Vec::new()).ended();
    result.unwrap();
    assert_eq!((anew.count(), anew.texts(&name)[0]), (20, "{\"n\":100}"));
}

#[test]
#[ignore = "starts Kafka"]
fn a_topic_made_anew_while_it_is_read_is_read_once() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("anew", 2);
    (0..2).for_each(|partition| cluster.write(&topic, partition, numbered(0..50)));
    let discover = Duration::from_secs(3);
    let skip = SourceConfig { lost_offsets: LostOffsets::Skip, discover, ..cluster.config(&topic) };
    let running = Running::start(skip);
    running.until("all read", |told| told.count() == 100);
    cluster.delete(&topic);
    cluster.make(&topic, 2, &[]);
    // Fewer than were read of the old one: what is to be read next is not there.
    (0..2).for_each(|partition| cluster.write(&topic, partition, numbered(100..120)));
    running.until("all read of the new one", |told| told.count() >= 140);
    cluster.write(&topic, 1, numbered(120..130));
    running.until("the next", |told| told.texts(&format!("{topic}-1")).last() == Some(&"{\"n\":129}"));
    assert_eq!(running.stop().count(), 150);
}

#[test]
#[ignore = "starts Kafka"]
fn says_what_is_wrong_at_the_start() {
    let cluster = Cluster::shared();
    let missing = Running::start(cluster.config("no-such-topic")).fails();
    assert!(
        missing.contains(&format!("Kafka at {} has no topic \"no-such-topic\"; it has ", cluster.brokers)),
        "{missing}"
    );

    let mut config = cluster.config("any");
    config.connection.brokers = format!("127.0.0.1:{}", proxima_servers::free_ports(1));
    config.connect = Duration::from_secs(1);
    let brokers = config.connection.brokers.clone();
    let unreachable = Running::start(config).fails();
    assert!(unreachable.contains(&format!("cannot reach Kafka at {brokers}: ")), "{unreachable}");
    assert!(unreachable.contains("Connection refused"), "{unreachable}");

    let mut config = cluster.config("any");
    config.connection.properties.insert("fetch.max.bites".into(), "1".into());
    let unknown = Running::start(config).fails();
    assert!(unknown.contains("Kafka property \"fetch.max.bites\""), "{unknown}");
}

#[test]
#[ignore = "starts Kafka"]
fn publishes_offsets_for_a_group() {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let cluster = Cluster::shared();
    let topic = cluster.topic("group", 2);
    cluster.write(&topic, 0, numbered(0..10));
    let told = read_all(cluster.config(&topic));
    let group = format!("g-{topic}");
    let offsets = proxima_kafka::GroupOffsets::new(&cluster.connection(), &group).unwrap();
    offsets.commit(&[position(&told, &format!("{topic}-0"), 7), position(&told, &format!("{topic}-1"), 0)]).unwrap();
    offsets.commit(&[position(&told, &format!("{topic}-0"), 9)]).unwrap();
    let reader: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &cluster.brokers)
        .set("group.id", &group)
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition(&topic, 0);
    list.add_partition(&topic, 1);
    let stored = reader.committed_offsets(list, HANGS).unwrap();
    let offset = |partition| stored.find_partition(&topic, partition).unwrap().offset();
    assert_eq!((offset(0), offset(1)), (rdkafka::Offset::Offset(9), rdkafka::Offset::Offset(0)));
}

#[test]
#[ignore = "starts Kafka"]
fn lines_are_written_as_they_are() {
    let cluster = Cluster::shared();
    let topic = cluster.topic("lines", 2);
    let writer = proxima_kafka::LineWriter::open(&cluster.connection(), &[&topic]).unwrap();
    assert_eq!(writer.partitions(&topic), 2);
    for (number, line) in numbered(0..1_000).enumerate() {
        writer.write(&topic, i32::from(number % 3 == 0), line.as_bytes()).unwrap();
    }
    writer.flush().unwrap();
    let told = read_all(cluster.config(&topic));
    assert!(told.texts(&format!("{topic}-1")).into_iter().eq((0..1_000).step_by(3).map(|n| format!("{{\"n\":{n}}}"))));
    assert_eq!(told.texts(&format!("{topic}-0")).len(), 666);
    let missing = proxima_kafka::LineWriter::open(&cluster.connection(), &["no-such-topic"]).err().unwrap();
    assert!(missing.contains("has no topic \"no-such-topic\"; it has "), "{missing}");
}
