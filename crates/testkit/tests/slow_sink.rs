//! A sink that crawls slows the source down: what is on its way stays within the epochs that may be, and nothing is
//! lost. Asserted on counts of records, not on time.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use proxima_engine::{EpochConfig, Operator, Outbox, Route, RunConfig, RunError, SinkNode, SourceNode, Topology, run};
use proxima_event::{
    Changes, Chunk, Health, Intake, PartitionId, Payload, Position, Sink, SinkError, Source, SourceError, Version,
};
use proxima_sink::{IndexConfig, IndexSink};
use proxima_testkit::sinks::{CollectSink, FailingSink, SlowSink};
use proxima_testkit::wait::finish;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const CHUNK: i64 = 100;
const CHUNKS: i64 = 300;
const EPOCHS: EpochConfig = EpochConfig { interval: Duration::from_secs(3_600), records: 1_000, lag: 4 };

/// Offers numbered rows as fast as it may, and notes how far it was ahead of the sink at the most.
struct Eager {
    schema: SchemaRef,
    acknowledged: Arc<AtomicU64>,
    ahead_max: Arc<AtomicU64>,
}

impl Source for Eager {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let partition = Arc::new(PartitionId { source: "eager".into(), name: "one".into() });
        intake.open(Position { partition: Arc::clone(&partition), identity: "one".into(), offset: 0 });
        for number in 0..CHUNKS {
            let (start, end) = (number * CHUNK, (number + 1) * CHUNK);
            let rows = Arc::new(Int64Array::from_iter_values(start..end));
            let rows = RecordBatch::try_new(Arc::clone(&self.schema), vec![rows]).unwrap();
            let payload = Payload::Changes(Changes::inserts(rows));
            let (start, end) = (start as u64, end as u64);
            let chunk =
                Chunk { partition: Arc::clone(&partition), start, end, records: CHUNK as usize, order: 0, payload };
            if intake.offer(chunk).is_err() {
                break;
            }
            self.ahead_max.fetch_max(end - self.acknowledged.load(SeqCst), SeqCst);
        }
        Ok(())
    }
}

/// An operator that only makes an exchange of its own.
struct Pass;

impl Operator for Pass {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        out.push(changes);
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, true)]))
}

/// A source, one exchange, a sink; also gives how far the source was ahead of `acknowledged`.
fn topology(sink: Box<dyn Sink>, acknowledged: Arc<AtomicU64>) -> (Topology, Arc<AtomicU64>) {
    let ahead_max = Arc::new(AtomicU64::new(0));
    let source = Eager { schema: schema(), acknowledged, ahead_max: Arc::clone(&ahead_max) };
    let mut topology = Topology::new();
    let source = topology.source(SourceNode { name: "eager".into(), source: Box::new(source), dimension: false });
    let table = topology.table("rows", source, None);
    let input = topology.operator("exchange", vec![(table, Route::ByKey(vec![0]))], || Box::new(Pass));
    topology.sink(SinkNode { name: "slow".into(), input, sink });
    (topology, ahead_max)
}

#[test]
fn a_slow_sink_makes_the_source_wait() {
    for workers in [1, 2, 4] {
        let (collect, collected) = CollectSink::new(schema(), None);
        let (slow, acknowledged) = SlowSink::new(Box::new(collect), Duration::from_millis(4));
        let (topology, ahead_max) = topology(Box::new(slow), acknowledged);
        let config = RunConfig { workers, epochs: EPOCHS, ..RunConfig::default() };
        finish(run(topology, config).unwrap()).unwrap();

        assert_eq!(collected.rows().num_rows() as i64, CHUNK * CHUNKS, "nothing is lost");
        let ahead_max = ahead_max.load(SeqCst);
        let bound = EPOCHS.records as u64 * EPOCHS.lag;
        assert!(ahead_max <= bound, "{ahead_max} records on their way, {bound} may be");
        assert!(ahead_max > EPOCHS.records as u64, "and the source does not wait for each epoch: {ahead_max}");
    }
}

#[test]
fn a_slow_index_loses_nothing_either() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig::new("rows", schema(), vec![0]);
    let index = IndexSink::open(folder.path(), &config).unwrap();
    let reader = index.reader();
    let (slow, acknowledged) = SlowSink::new(Box::new(index), Duration::from_millis(20));
    let (topology, ahead_max) = topology(Box::new(slow), acknowledged);
    finish(run(topology, RunConfig { workers: 2, epochs: EPOCHS, ..RunConfig::default() }).unwrap()).unwrap();

    assert_eq!(reader.count() as i64, CHUNK * CHUNKS);
    assert!(ahead_max.load(SeqCst) <= EPOCHS.records as u64 * EPOCHS.lag);
}

/// A sink whose outside refuses everything until it is told to take it.
struct Refusing {
    inner: CollectSink,
    health: Health,
    taken: Arc<AtomicBool>,
}

impl Sink for Refusing {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        if !self.taken.load(SeqCst) {
            self.health.wait_for("http://search: refused");
        }
        while !self.taken.load(SeqCst) && !self.health.is_stopped() {
            std::thread::yield_now();
        }
        self.health.go_on();
        self.inner.write(version, changes)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.flush()
    }

    fn health(&self) -> Option<Health> {
        Some(self.health.clone())
    }
}

#[test]
fn status_says_why_a_source_waits() {
    let (inner, collected) = CollectSink::new(schema(), None);
    let taken = Arc::new(AtomicBool::new(false));
    let sink = Refusing { inner, health: Health::default(), taken: Arc::clone(&taken) };
    let (topology, _) = topology(Box::new(sink), Arc::default());
    let run = run(topology, RunConfig { epochs: EPOCHS, ..RunConfig::default() }).unwrap();
    let control = run.control();
    while control.status().sources[0].waits_for.as_deref() != Some("slow: http://search: refused") {
        std::thread::yield_now();
    }
    let sink = control.status().sinks.remove(0);
    assert_eq!((sink.waits_for.as_deref(), sink.retries), (Some("http://search: refused"), 1));
    assert!(sink.in_flight > 0, "{sink:?}");
    taken.store(true, SeqCst);
    let status = finish(run).unwrap();
    let (source, sink) = (&status.sources[0], &status.sinks[0]);
    assert_eq!((&source.waits_for, &sink.waits_for, sink.in_flight), (&None, &None, 0));
    assert_eq!(sink.last_error.as_deref(), Some("http://search: refused"), "what was is still known");
    assert_eq!(collected.rows().num_rows() as i64, CHUNK * CHUNKS);
}

#[test]
fn a_failing_sink_ends_the_run_with_its_words() {
    for workers in [1, 2] {
        let (topology, _) = topology(Box::new(FailingSink { writes_left: 3 }), Arc::default());
        let config = RunConfig { workers, epochs: EPOCHS, ..RunConfig::default() };
        let error = run(topology, config).unwrap().wait().unwrap_err();
        assert_eq!(error, RunError::Failed("cannot write to failing sink: it was told to".into()));
    }
}
