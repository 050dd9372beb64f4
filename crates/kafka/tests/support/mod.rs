//! What the tests against a real Kafka share: topics of random names, producers, and an intake that keeps what it is
//! given.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "for tests, of which each binary uses its own part")]

use parking_lot::Mutex;
use proxima_event::{Chunk, Health, Intake, PartitionId, Payload, Position, Resume, Source, SourceError, Stopped};
use proxima_kafka::{Connection, KafkaSource, SourceConfig, Topics};
use proxima_servers::Service;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes that long, unless it never comes.
pub const HANGS: Duration = Duration::from_secs(90);

/// A cluster and what makes topics in it.
pub struct Cluster {
    pub brokers: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    replication: i32,
}

impl Cluster {
    /// The server that all tests share.
    pub fn shared() -> Self {
        Self::at(Service::start("kafka").address(), 1)
    }

    pub fn at(brokers: &str, replication: i32) -> Self {
        let admin = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { brokers: brokers.to_owned(), admin, runtime, replication }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Makes a topic of a random name that begins with `stem`.
    pub fn topic(&self, stem: &str, partitions: i32) -> String {
        let name = format!("{stem}-{:016x}", rand::random::<u64>());
        self.make(&name, partitions, &[]);
        name
    }

    /// Makes a topic.
    pub fn make(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let deadline = Instant::now() + HANGS;
        loop {
            let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replication));
            topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
            let made = self.wait(self.admin.create_topics([&topic], &AdminOptions::new())).unwrap();
            match made.into_iter().next().unwrap() {
                Ok(_) => return,
                // A topic of the name is still being deleted.
                Err((_, error)) => assert!(Instant::now() < deadline, "topic {name} is not made: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn delete(&self, name: &str) {
        self.wait(self.admin.delete_topics(&[name], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
    }

    pub fn grow(&self, name: &str, partitions: usize) {
        let grown = NewPartitions::new(name, partitions);
        self.wait(self.admin.create_partitions([&grown], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
    }

    /// Deletes the messages before an offset, as retention would.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
        self.wait(self.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("enable.idempotence", "true");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create().unwrap()
    }

    /// Writes the values to a partition, and waits until they are there.
    pub fn write(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = String>) {
        let producer = self.producer(&[]);
        send(&producer, topic, partition, values);
        producer.flush(HANGS).unwrap();
    }

    /// Writes the values in a transaction of their own.
    pub fn write_transaction(&self, topic: &str, partition: i32, values: &[&str], commit: bool) {
        let id = format!("tx-{:x}", rand::random::<u64>());
        let producer = self.producer(&[("transactional.id", &id)]);
        producer.init_transactions(HANGS).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, topic, partition, values.iter().map(|&value| value.to_owned()));
        producer.flush(HANGS).unwrap();
        if commit { producer.commit_transaction(HANGS).unwrap() } else { producer.abort_transaction(HANGS).unwrap() }
    }

    pub fn connection(&self) -> Connection {
        Connection { brokers: self.brokers.clone(), ..Connection::default() }
    }

    /// A source of one topic, which looks often for what is new.
    pub fn config(&self, topic: &str) -> SourceConfig {
        let mut config = SourceConfig::new("orders", self.connection(), Topics::Names(vec![topic.to_owned()]));
        config.discover = Duration::from_millis(300);
        config
    }
}

/// Hands values to a producer, with patience when its queue is full.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, values: impl IntoIterator<Item = String>) {
    for value in values {
        let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
        while let Err((error, refused)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::error::RDKafkaErrorCode::QueueFull));
            producer.poll(Duration::from_millis(10));
            record = refused;
        }
    }
}

/// Keeps what a source tells.
#[derive(Default)]
pub struct Kept {
    pub resume: Resume,
    pub records_max: usize,
    pub stopped: AtomicBool,
    pub told: Mutex<Told>,
}

/// What a source told so far.
#[derive(Clone, Default)]
pub struct Told {
    /// The values of each partition, with their offsets, in order.
    pub values: BTreeMap<String, Vec<(u64, String)>>,
    pub positions: BTreeMap<String, Position>,
    pub ends: BTreeMap<String, u64>,
    /// Where all partitions stood when each cut was replayed.
    pub cuts: Vec<BTreeMap<String, u64>>,
    pub caught_up: bool,
}

impl Told {
    pub fn count(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    pub fn texts(&self, partition: &str) -> Vec<&str> {
        self.values.get(partition).into_iter().flatten().map(|(_, value)| value.as_str()).collect()
    }

    pub fn offsets(&self) -> BTreeMap<String, u64> {
        self.positions.iter().map(|(name, position)| (name.clone(), position.offset)).collect()
    }
}

impl Intake for Kept {
    fn resume(&self) -> Resume {
        self.resume.clone()
    }

    fn cut_replayed(&self) {
        let mut told = self.told.lock();
        let reached = told.offsets();
        told.cuts.push(reached);
    }

    fn open(&self, position: Position) {
        self.told.lock().positions.insert(position.partition.name.to_string(), position);
    }

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        let mut told = self.told.lock();
        let name = chunk.partition.name.to_string();
        let position = told.positions.get_mut(&name).expect("a partition is opened before its chunks");
        assert_eq!(position.offset, chunk.start, "chunks of {name} join");
        position.offset = chunk.end;
        let Payload::Bytes { data, len, messages, .. } = &chunk.payload else { panic!("messages are bytes") };
        let messages = messages.as_ref().expect("messages have places");
        let text = std::str::from_utf8(&data.as_slice()[..*len]).unwrap();
        assert_eq!(text.lines().count(), chunk.records);
        assert!(chunk.records <= self.records_max());
        let mut at = 0;
        for line in text.lines() {
            let offset = messages.offset_at(at);
            assert!((chunk.start..chunk.end).contains(&offset));
            told.values.entry(name.clone()).or_default().push((offset, line.to_owned()));
            at += line.len() + 1;
        }
        drop(told);
        if self.stopped() { Err(Stopped) } else { Ok(()) }
    }

    fn end_known(&self, partition: &PartitionId, offset: u64) {
        self.told.lock().ends.insert(partition.name.to_string(), offset);
    }

    fn caught_up(&self, _: &str) {
        self.told.lock().caught_up = true;
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn records_max(&self) -> usize {
        if self.records_max == 0 { 1 << 18 } else { self.records_max }
    }
}

/// A source that runs on a thread.
pub struct Running {
    pub kept: Arc<Kept>,
    /// What it waits for.
    pub health: Health,
    thread: Option<JoinHandle<Result<(), SourceError>>>,
}

impl Running {
    pub fn start(config: SourceConfig) -> Self {
        Self::with(config, Kept::default())
    }

    pub fn resume(config: SourceConfig, positions: Vec<Position>, cuts: Vec<Vec<Position>>) -> Self {
        Self::with(config, Kept { resume: Resume { positions, cuts }, ..Kept::default() })
    }

    pub fn with(config: SourceConfig, kept: Kept) -> Self {
        let kept = Arc::new(kept);
        let intake = Arc::clone(&kept);
        let source = Box::new(KafkaSource::new(config));
        let health = source.health().expect("a source of Kafka says what it waits for");
        let thread = std::thread::spawn(move || source.run(intake));
        Self { kept, health, thread: Some(thread) }
    }

    /// Waits until what was told fits.
    pub fn until(&self, what: &str, fits: impl Fn(&Told) -> bool) -> Told {
        let deadline = Instant::now() + HANGS;
        loop {
            let told = self.kept.told.lock().clone();
            if fits(&told) {
                return told;
            }
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let stands = (told.count(), told.offsets(), &told.ends);
            assert!(!ended, "the source has ended before {what}: {stands:?}");
            assert!(Instant::now() < deadline, "never {what}: {stands:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it ends by itself.
    pub fn ended(mut self) -> (Result<(), SourceError>, Told) {
        let thread = self.thread.take().unwrap();
        let deadline = Instant::now() + HANGS;
        while !thread.is_finished() {
            assert!(Instant::now() < deadline, "the source does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let result = thread.join().unwrap();
        (result, self.kept.told.lock().clone())
    }

    /// Waits until it ends by itself with an error, and gives that.
    pub fn fails(self) -> String {
        self.ended().0.expect_err("it must fail").to_string()
    }

    /// Stops it.
    pub fn stop(self) -> Told {
        self.kept.stopped.store(true, Ordering::Relaxed);
        let (result, told) = self.ended();
        result.unwrap();
        told
    }
}

/// A stored position.
pub fn position(told: &Told, partition: &str, offset: u64) -> Position {
    Position { offset, ..told.positions[partition].clone() }
}

/// Values that tell where they stand.
pub fn numbered(range: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    range.map(|number| format!("{{\"n\":{number}}}"))
}
