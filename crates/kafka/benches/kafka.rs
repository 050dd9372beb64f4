//! Reading and decoding a real topic alone: `cargo xtask bench kafka`. Behaviour events of about 260 bytes in four
//! partitions, read by the source and decoded to four columns by the thread that offers them; messages a second, and for
//! each second of CPU of this process, librdkafka's threads included. Ends with one line of JSON.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parking_lot::Mutex;
use proxima_event::decode::{DecodeConfig, Decoded, Decoder, EpochUnit, Format, decoder};
use proxima_event::{Chunk, Intake, PartitionId, Position, Source, Stopped};
use proxima_kafka::{Connection, KafkaSource, SourceConfig, Topics};
use proxima_servers::Service;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::time::{Duration, Instant};

const EVENTS: u64 = 2_000_000;
const PARTITIONS: i32 = 4;
const RUNS: usize = 5;

/// Decodes what it is offered and counts the rows.
struct Counter(Mutex<(Box<dyn Decoder>, u64)>);

impl Intake for Counter {
    fn open(&self, _position: Position) {}

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        let (decoder, rows) = &mut *self.0.lock();
        let mut decoded = Decoded::default();
        decoder.decode(&chunk, &mut decoded);
        assert!(decoded.rejected.is_empty(), "every event is whole: {:?}", decoded.rejected.first());
        *rows += decoded.batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        Ok(())
    }

    fn end_known(&self, _partition: &PartitionId, _offset: u64) {}

    fn caught_up(&self, _source: &str) {}

    fn stopped(&self) -> bool {
        false
    }

    fn records_max(&self) -> usize {
        262_144
    }
}

fn main() {
    let kafka = Service::start("kafka");
    let topic = format!("bench-{:016x}", rand::random::<u64>());
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka.address())
        .create()
        .expect("the client's settings are right");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("threads can be made");
    let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
    runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).expect("the topic can be made");
    write(kafka.address(), &topic);
    let (mut per_s, mut per_cpu_s) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (wall, cpu) = read(kafka.address(), &topic);
        println!("{:.2} million messages a second, {:.2} million per CPU-second", rate(wall) / 1e6, rate(cpu) / 1e6);
        per_s.push(rate(wall));
        per_cpu_s.push(rate(cpu));
    }
    runtime.block_on(admin.delete_topics(&[&topic], &AdminOptions::new())).expect("the topic can be deleted");
    let (per_s, per_cpu_s) = (median(per_s), median(per_cpu_s));
    println!(
        "{{\"bench\":\"kafka\",\"messages\":{EVENTS},\"runs\":{RUNS},\"messages_per_s\":{per_s:.0},\
         \"messages_per_cpu_s\":{per_cpu_s:.0}}}"
    );
}

fn rate(time: Duration) -> f64 {
    EVENTS as f64 / time.as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn write(brokers: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .create()
        .expect("the producer's settings are right");
    for n in 0..EVENTS {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (user, item, mid) = (mixed % 1_000_000, mixed % 50_000, mixed % 300_000);
        let kind = ["pv", "cart", "fav", "buy"][(mixed >> 40 & 3) as usize];
        let ts = 1_594_652_955_000 + n * 86;
        let event = format!(
            "{{\"user_id\":{user},\"item_id\":{item},\"type\":\"{kind}\",\"ts\":{ts},\"common\":{{\"mid\":\"mid_{mid}\",\
             \"ar\":\"110000\",\"os\":\"Android 11.0\",\"vc\":\"v2.1.134\",\"is_new\":\"{}\",\
             \"channel\":\"a channel with a long name\",\"page\":\"items\"}}}}",
            n % 2
        );
        let partition =
            i32::try_from(n / 1_000 % u64::from(PARTITIONS.unsigned_abs())).expect("there are few partitions");
        let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&event);
        while let Err((_, refused)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = refused;
        }
    }
    producer.flush(Duration::from_secs(120)).expect("the events are written");
}

fn read(brokers: &str, topic: &str) -> (Duration, Duration) {
    let fields = vec![
        Field::new("item_id", DataType::Int64, true),
        Field::new("type", DataType::Utf8View, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("common", DataType::Struct(vec![Field::new("mid", DataType::Utf8View, true)].into()), true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let (zone, epoch_unit) = (chrono_tz::UTC, EpochUnit::Millis);
    let config = DecodeConfig { schema, zone, epoch_unit, batch_rows: 2_048, changes: None };
    let counter = Arc::new(Counter(Mutex::new((decoder(Format::Json, config), 0))));
    let connection = Connection { brokers: brokers.to_owned(), ..Connection::default() };
    let mut config = SourceConfig::new("bench", connection, Topics::Names(vec![topic.to_owned()]));
    config.until_end = true;
    let (begin, cpu) = (Instant::now(), cpu_time());
    let intake: Arc<dyn Intake> = Arc::<Counter>::clone(&counter);
    Box::new(KafkaSource::new(config)).run(intake).expect("the topic can be read");
    let spent = (begin.elapsed(), cpu_time().saturating_sub(cpu));
    assert_eq!(counter.0.lock().1, EVENTS, "every event is read once");
    spent
}

/// User and system time of this process so far, which Linux counts in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells what a process has used");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("times are numbers");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
