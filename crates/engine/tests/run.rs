//! The run loop with a small keyed sum: any number of workers, any cut of epochs, slow and failing neighbours.

#![allow(clippy::unwrap_used)]

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use proxima_engine::{
    CheckpointStore, Checkpointing, Commit, Cut, EpochConfig, EpochEnd, KeepRejected, Operator, OperatorState,
    OperatorStats, Outbox, Restored, Route, RunConfig, RunError, RunStatus, SinkNode, SourceNode, StateWriter,
    Topology, run,
};
use proxima_event::decode::{DecodeConfig, EpochUnit, Format, decoder};
use proxima_event::{
    Changes, Chunk, Epoch, Generation, Health, Intake, KeyGroupSet, PartitionId, Payload, Position, Sink, SinkError,
    Source, SourceError, Unread, Version,
};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn schema() -> SchemaRef {
    let column = |name| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![column("key"), column("value")]))
}

fn changes(rows: &[(i64, i64)], weights: Vec<i64>) -> Changes {
    let columns = |pick: fn(&(i64, i64)) -> i64| Arc::new(Int64Array::from_iter_values(rows.iter().map(pick)));
    let batch = RecordBatch::try_new(schema(), vec![columns(|r| r.0), columns(|r| r.1)]).unwrap();
    Changes::weighted(batch, weights)
}

/// Offers rows in chunks of a given size.
struct Memory {
    name: &'static str,
    rows: Vec<(i64, i64)>,
    chunk: usize,
    offered: Arc<AtomicUsize>,
}

impl Source for Memory {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let partition = Arc::new(PartitionId { source: self.name.into(), name: "0".into() });
        intake.open(Position { partition: Arc::clone(&partition), identity: String::new(), offset: 0 });
        let size = self.chunk.min(intake.records_max());
        for (i, rows) in self.rows.chunks(size).enumerate() {
            let start = (i * size) as u64;
            let chunk = Chunk {
                partition: Arc::clone(&partition),
                start,
                end: start + rows.len() as u64,
                records: rows.len(),
                order: 0,
                payload: Payload::Changes(changes(rows, vec![1; rows.len()])),
            };
            if intake.offer(chunk).is_err() {
                return Ok(());
            }
            self.offered.fetch_add(rows.len(), Ordering::SeqCst);
        }
        intake.caught_up(self.name);
        Ok(())
    }
}

/// The sum of the values of each key, as a changelog.
#[derive(Default)]
struct Sum {
    sums: BTreeMap<i64, i64>,
    before: BTreeMap<i64, Option<i64>>,
}

impl Operator for Sum {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        assert!(changes.hashes.is_some(), "keyed batches carry hashes");
        let keys = changes.column(0).as_primitive::<Int64Type>();
        let values = changes.column(1).as_primitive::<Int64Type>();
        for row in 0..changes.len() {
            let key = keys.value(row);
            self.before.entry(key).or_insert_with(|| self.sums.get(&key).copied());
            *self.sums.entry(key).or_default() += values.value(row) * changes.weight(row);
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        for (key, before) in std::mem::take(&mut self.before) {
            rows.extend(before.map(|sum| (key, sum)));
            weights.extend(before.map(|_| -1));
            rows.push((key, self.sums[&key]));
            weights.push(1);
        }
        out.push(changes(&rows, weights));
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { keys: self.sums.len() as u64, ..OperatorStats::default() }
    }
}

/// Passes on, and counts what comes to each worker.
struct Pass;

impl Operator for Pass {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        out.push(changes);
    }
}

type Held = Arc<Mutex<BTreeMap<(i64, i64), i64>>>;

/// Sums the weights of rows; may be slow, may fail.
#[derive(Clone, Default)]
struct Collect {
    held: Held,
    delay: Duration,
    fail_after: Option<usize>,
    writes: Arc<AtomicUsize>,
    versions: Arc<Mutex<Vec<Version>>>,
}

impl Sink for Collect {
    fn write(&mut self, version: Version, batches: &[Changes]) -> Result<(), SinkError> {
        std::thread::sleep(self.delay);
        let writes = self.writes.fetch_add(1, Ordering::SeqCst);
        if self.fail_after.is_some_and(|after| writes >= after) {
            return Err(SinkError { tried: "write to", target: "collect".into(), reason: "told to fail".into() });
        }
        self.versions.lock().unwrap().push(version);
        let mut held = self.held.lock().unwrap();
        for changes in batches {
            let keys = changes.column(0).as_primitive::<Int64Type>();
            let values = changes.column(1).as_primitive::<Int64Type>();
            for row in 0..changes.len() {
                *held.entry((keys.value(row), values.value(row))).or_default() += changes.weight(row);
            }
        }
        held.retain(|_, weight| *weight != 0);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn random_rows(seed: u64, rows: usize) -> Vec<(i64, i64)> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..rows).map(|_| (rng.random_range(0..50), rng.random_range(-9..10))).collect()
}

fn sums(rows: &[(i64, i64)], times: i64) -> BTreeMap<(i64, i64), i64> {
    let mut sums = BTreeMap::<i64, i64>::new();
    for (key, value) in rows {
        *sums.entry(*key).or_default() += value * times;
    }
    sums.into_iter().map(|row| (row, 1)).collect()
}

fn source(topology: &mut Topology, rows: &[(i64, i64)], chunk: usize) -> (proxima_engine::NodeId, Arc<AtomicUsize>) {
    let offered = Arc::new(AtomicUsize::new(0));
    let source = Memory { name: "memory", rows: rows.to_vec(), chunk, offered: Arc::clone(&offered) };
    let id = topology.source(SourceNode { name: "memory".into(), source: Box::new(source), dimension: false });
    (topology.table("memory", id, None), offered)
}

fn sum_topology(rows: &[(i64, i64)], chunk: usize, sink: &Collect) -> (Topology, Arc<AtomicUsize>) {
    let mut topology = Topology::new();
    let (table, offered) = source(&mut topology, rows, chunk);
    let sum = topology.operator("sum", vec![(table, Route::ByKey(vec![0]))], || Box::new(Sum::default()));
    topology.sink(SinkNode { name: "collect".into(), input: sum, sink: Box::new(sink.clone()) });
    (topology, offered)
}

fn config(workers: usize, records: usize) -> RunConfig {
    let epochs = EpochConfig { interval: Duration::from_millis(5), records, ..EpochConfig::default() };
    RunConfig { workers, epochs, ..RunConfig::default() }
}

#[test]
fn sums_are_the_same_for_any_workers_and_epochs() {
    let rows = random_rows(1, 2_000);
    for workers in [1, 2, 4] {
        for (records, chunk) in [(1, 1), (100, 30), (1_000, 1_000), (1 << 20, 64)] {
            let few = if records == 1 { &rows[..100] } else { &rows[..] };
            let sink = Collect::default();
            let (topology, _) = sum_topology(few, chunk, &sink);
            let status = run(topology, config(workers, records)).unwrap().wait().unwrap();
            assert_eq!(*sink.held.lock().unwrap(), sums(few, 1), "{workers} workers, {records} records an epoch");
            assert_eq!(status.records(), few.len() as u64);
            assert_eq!(status.operators[0].stats.keys, sums(few, 1).len() as u64);
            assert_eq!(status.sources[0].partitions[0].position.offset, few.len() as u64);
        }
    }
}

#[test]
fn an_epoch_holds_no_more_records_than_configured() {
    let rows = random_rows(2, 100);
    let sink = Collect::default();
    let (topology, _) = sum_topology(&rows, 7, &sink);
    let status = run(topology, config(1, 10)).unwrap().wait().unwrap();
    assert!(status.epoch_open >= 14, "chunks of 7 do not share an epoch of 10: {}", status.epoch_open);
}

#[test]
fn a_broadcast_reaches_every_worker() {
    let rows = random_rows(3, 500);
    for workers in [1, 2, 4] {
        let sink = Collect::default();
        let mut topology = Topology::new();
        let (table, _) = source(&mut topology, &rows, 50);
        let copies = topology.operator("copies", vec![(table, Route::Broadcast)], || Box::new(Pass));
        let sum = topology.operator("sum", vec![(copies, Route::ByKey(vec![0]))], || Box::new(Sum::default()));
        topology.sink(SinkNode { name: "collect".into(), input: sum, sink: Box::new(sink.clone()) });
        run(topology, config(workers, 100)).unwrap().wait().unwrap();
        assert_eq!(*sink.held.lock().unwrap(), sums(&rows, workers as i64));
    }
}

#[test]
fn a_slow_sink_makes_the_source_wait() {
    let rows = random_rows(4, 100_000);
    let sink = Collect { delay: Duration::from_millis(20), ..Collect::default() };
    let (topology, offered) = sum_topology(&rows, 10, &sink);
    let handle = run(topology, config(2, 100)).unwrap();
    let control = handle.control();
    while sink.writes.load(Ordering::SeqCst) < 20 {
        std::thread::yield_now();
    }
    let status = control.status();
    let written = sink.writes.load(Ordering::SeqCst);
    // Each write is one worker's part of an epoch of at most 100 records; four epochs are on their way, one is open.
    assert!(offered.load(Ordering::SeqCst) <= (written + 8) * 100, "{} offered", offered.load(Ordering::SeqCst));
    assert!(status.epoch_open - status.epoch_done < 5);
    assert!(!handle.ends_within(Duration::ZERO));
    control.stop();
    assert!(handle.ends_within(Duration::from_secs(60)), "a run that was stopped ends");
    assert_eq!(handle.wait().unwrap_err(), RunError::Stopped);
}

#[test]
fn a_failing_sink_ends_the_run_with_its_reason() {
    let sink = Collect { fail_after: Some(3), ..Collect::default() };
    let (topology, _) = sum_topology(&random_rows(5, 10_000), 10, &sink);
    let error = run(topology, config(2, 50)).unwrap().wait().unwrap_err();
    assert_eq!(error, RunError::Failed("cannot write to collect: told to fail".into()));
}

#[test]
fn a_sink_that_gives_up_because_the_run_ends_is_no_failure() {
    #[derive(Default)]
    struct Waiting(Health);
    impl Sink for Waiting {
        fn write(&mut self, _: Version, _: &[Changes]) -> Result<(), SinkError> {
            self.0.wait_for("a server that is not there");
            while !self.0.is_stopped() {
                std::thread::yield_now();
            }
            Err(SinkError { tried: "write to", target: "waiting".into(), reason: "the run is ending".into() })
        }

        fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }

        fn health(&self) -> Option<Health> {
            Some(self.0.clone())
        }
    }
    let (sink, mut topology) = (Waiting::default(), Topology::new());
    let health = sink.0.clone();
    let (table, _) = source(&mut topology, &random_rows(7, 100), 10);
    topology.sink(SinkNode { name: "waiting".into(), input: table, sink: Box::new(sink) });
    let handle = run(topology, config(1, 50)).unwrap();
    while health.waits_for().is_none() {
        std::thread::yield_now();
    }
    handle.control().stop();
    assert_eq!(handle.wait().unwrap_err(), RunError::Stopped);
}

#[test]
fn a_failing_operator_ends_the_run_on_all_workers() {
    struct Broken;
    impl Operator for Broken {
        fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
            panic!("broken on purpose");
        }
    }
    for workers in [1, 2] {
        let mut topology = Topology::new();
        let (table, _) = source(&mut topology, &random_rows(6, 1_000), 10);
        topology.operator("broken", vec![(table, Route::ByKey(vec![0]))], || Box::new(Broken));
        let error = run(topology, config(workers, 100)).unwrap().wait().unwrap_err();
        assert!(matches!(error, RunError::Failed(_)), "{error}");
    }
}

/// Keeps no checkpoint.
struct Nowhere;

impl CheckpointStore for Nowhere {
    fn append_cut(&self, _cut: Cut) {}

    fn wait_cut(&self, _epoch: Epoch, _stopped: &dyn Fn() -> bool) -> Result<(), String> {
        Ok(())
    }

    fn write_state(&self, _epoch: Epoch, _worker: usize, _state: Vec<OperatorState>) -> Result<(), String> {
        Ok(())
    }

    fn commit(&self, _checkpoint: Commit) -> Result<Vec<Position>, String> {
        Ok(Vec::new())
    }
}

/// The work is done by another thread than the operator's, while sources go on.
#[test]
fn work_left_for_later_that_fails_ends_the_run() {
    struct Broken;
    impl Operator for Broken {
        fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {}

        fn save(&mut self, _rewrite: &KeyGroupSet, out: &mut StateWriter) {
            out.later(|_| panic!("broken on purpose"));
        }
    }
    /// Comes to no end by itself.
    struct Endless(Memory);
    impl Source for Endless {
        fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
            Box::new(self.0).run(Arc::clone(&intake))?;
            while !intake.stopped() {
                std::thread::yield_now();
            }
            Ok(())
        }
    }
    let rows = Memory { name: "memory", rows: random_rows(8, 100), chunk: 10, offered: Arc::default() };
    let mut topology = Topology::new();
    let id = topology.source(SourceNode { name: "memory".into(), source: Box::new(Endless(rows)), dimension: false });
    let table = topology.table("memory", id, None);
    topology.operator("broken", vec![(table, Route::ByKey(vec![0]))], || Box::new(Broken));
    let checkpoints = Checkpointing { store: Arc::new(Nowhere), every: Duration::from_millis(1), wanted: false };
    let config = RunConfig { checkpoints: Some(checkpoints), ..config(2, 10) };
    let error = run(topology, config).unwrap().wait().unwrap_err();
    assert_eq!(error, RunError::Failed("checkpoints failed: see the log above".into()));
}

/// Keeps the positions of the checkpoints that are committed.
#[derive(Default)]
struct Commits(Mutex<Vec<Vec<Position>>>);

impl Commits {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl CheckpointStore for Commits {
    fn append_cut(&self, cut: Cut) {
        Nowhere.append_cut(cut);
    }

    fn wait_cut(&self, epoch: Epoch, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        Nowhere.wait_cut(epoch, stopped)
    }

    fn write_state(&self, epoch: Epoch, worker: usize, state: Vec<OperatorState>) -> Result<(), String> {
        Nowhere.write_state(epoch, worker, state)
    }

    fn commit(&self, checkpoint: Commit) -> Result<Vec<Position>, String> {
        self.0.lock().unwrap().push(checkpoint.positions.clone());
        Ok(checkpoint.positions)
    }
}

/// A source that is full asks for checkpoints: nothing comes that would bring them.
#[test]
fn checkpoints_come_when_a_source_asks_for_them() {
    /// Gives its rows, then asks until there are three checkpoints.
    struct Asking(Memory, Arc<Commits>);
    impl Source for Asking {
        fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
            Box::new(self.0).run(Arc::clone(&intake))?;
            while self.1.count() < 3 && !intake.stopped() {
                intake.want_checkpoint();
                std::thread::yield_now();
            }
            Ok(())
        }
    }
    let commits = Arc::new(Commits::default());
    let rows = Memory { name: "memory", rows: random_rows(8, 100), chunk: 10, offered: Arc::default() };
    let source = Box::new(Asking(rows, Arc::clone(&commits)));
    let mut topology = Topology::new();
    let id = topology.source(SourceNode { name: "memory".into(), source, dimension: false });
    topology.table("memory", id, None);
    // In an hour nothing comes.
    let store = Arc::clone(&commits) as Arc<dyn CheckpointStore>;
    let checkpoints = Checkpointing { store, every: Duration::from_secs(3_600), wanted: false };
    let config = RunConfig { checkpoints: Some(checkpoints), ..config(2, 1_000) };
    run(topology, config).unwrap().wait().unwrap();
    assert!(commits.0.lock().unwrap().iter().all(|positions| positions[0].offset == 100));
}

#[test]
fn checkpoints_hold_on_to_what_a_source_still_looks_for() {
    /// Announces one of its three partitions, waits for a checkpoint, announces the second, and waits for another.
    struct Late(Arc<Commits>);
    impl Source for Late {
        fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
            let before = intake.resume().positions;
            let wait = |checkpoints| {
                while self.0.count() < checkpoints && !intake.stopped() {
                    intake.want_checkpoint();
                    std::thread::yield_now();
                }
            };
            intake.open(before[0].clone());
            wait(1);
            intake.open(before[1].clone());
            // The third is there no more.
            intake.resumed();
            wait(self.0.count() + 2);
            Ok(())
        }
    }
    let position = |source: &str, name: &str, offset| {
        let partition = Arc::new(PartitionId { source: source.into(), name: name.into() });
        Position { partition, identity: String::new(), offset }
    };
    let mut positions: Vec<_> =
        [("a", 7), ("b", 8), ("c", 9)].map(|(name, offset)| position("late", name, offset)).into();
    // Of a source that the job has no more.
    positions.push(position("gone", "0", 5));
    let checkpoint = Commit { epoch: Epoch(3), positions, counts: BTreeMap::new() };
    let restored = Restored { checkpoint: Some(checkpoint), ..Restored::default() };
    let commits = Arc::new(Commits::default());
    let mut topology = Topology::new();
    let source = Box::new(Late(Arc::clone(&commits)));
    let id = topology.source(SourceNode { name: "late".into(), source, dimension: false });
    topology.table("late", id, None);
    let store = Arc::clone(&commits) as Arc<dyn CheckpointStore>;
    let checkpoints = Checkpointing { store, every: Duration::ZERO, wanted: false };
    let config = RunConfig { checkpoints: Some(checkpoints), restored, ..config(1, 1_000) };
    run(topology, config).unwrap().wait().unwrap();
    let commits = commits.0.lock().unwrap();
    let stand = |positions: &[Position]| positions.iter().map(|position| position.offset).collect::<Vec<_>>();
    assert_eq!((stand(&commits[0]), stand(&commits[commits.len() - 1])), (vec![7, 8, 9], vec![7, 8]));
}

/// Lines of JSON that workers read, all of one length; every 100th is bad. Reading fails from a position on.
#[derive(Debug)]
struct Unreadable {
    from: u64,
}

const LINE_BYTES: u64 = 16;
const LINES: u64 = 10_000;

impl Unread for Unreadable {
    fn read(&self, start: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        if start >= self.from {
            let source = std::io::Error::other("the disk is gone");
            return Err(SourceError::Io { tried: "read", place: "numbers.json".into(), source });
        }
        for (number, line) in (start / LINE_BYTES..).zip(buffer.chunks_exact_mut(LINE_BYTES as usize)) {
            let text = if number % 100 == 99 { "x".to_owned() } else { number.to_string() };
            line.copy_from_slice(format!("{{\"n\":{text:>9}}}\n").as_bytes());
        }
        Ok(())
    }

    fn lines_before(&self, start: u64) -> Option<u64> {
        Some(start / LINE_BYTES)
    }
}

impl Source for Unreadable {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        const CHUNK_BYTES: u64 = 70 * LINE_BYTES;
        let partition = Arc::new(PartitionId { source: "numbers".into(), name: "numbers.json".into() });
        intake.open(Position { partition: Arc::clone(&partition), identity: String::new(), offset: 0 });
        let bytes: Arc<dyn Unread> = Arc::new(*self);
        for start in (0..LINES * LINE_BYTES).step_by(CHUNK_BYTES as usize) {
            let end = (start + CHUNK_BYTES).min(LINES * LINE_BYTES);
            let payload = Payload::Unread { bytes: Arc::clone(&bytes), len: (end - start) as usize };
            // The estimate is far off, which must not show in the end.
            let chunk = Chunk { partition: Arc::clone(&partition), start, end, records: 7, order: 0, payload };
            if intake.offer(chunk).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn unreadable_from(from: u64) -> Topology {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let decode =
        DecodeConfig { schema, zone: chrono_tz::UTC, epoch_unit: EpochUnit::Millis, batch_rows: 64, changes: None };
    let mut topology = Topology::new();
    let source = SourceNode { name: "numbers".into(), source: Box::new(Unreadable { from }), dimension: false };
    let source = topology.source(source);
    topology.table("numbers", source, Some(Arc::new(move || decoder(Format::Json, decode.clone()))));
    topology
}

#[test]
fn chunks_that_workers_read_are_counted_and_their_lines_known() {
    for workers in [1, 2, 4] {
        let rejected = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&rejected);
        let keep: KeepRejected = Arc::new(move |_, records| kept.lock().unwrap().extend_from_slice(records));
        let config = RunConfig { rejected: keep, ..config(workers, 100) };
        let status = run(unreadable_from(u64::MAX), config).unwrap().wait().unwrap();
        assert_eq!(status.records(), LINES);
        assert_eq!(status.sources[0].partitions[0].records, LINES);
        assert_eq!(status.sources[0].partitions[0].position.offset, LINES * LINE_BYTES);
        let mut lines: Vec<_> = rejected.lock().unwrap().iter().map(|bad| bad.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, (1..=100).map(|hundred| hundred * 100).collect::<Vec<_>>());
    }
}

#[test]
fn a_worker_that_cannot_read_ends_the_run_with_the_reason() {
    let error = run(unreadable_from(5_000 * LINE_BYTES), config(2, 100)).unwrap().wait().unwrap_err();
    let expected = "source numbers: cannot read numbers.json: the disk is gone";
    assert_eq!(error, RunError::Failed(expected.into()));
}

#[test]
fn facts_wait_for_dimensions() {
    /// Remembers in which epoch each input came.
    struct Order(Arc<Mutex<Vec<(usize, Epoch)>>>, Vec<usize>);
    impl Operator for Order {
        fn apply(&mut self, input: usize, _changes: Changes, _out: &mut Outbox) {
            self.1.push(input);
        }
        fn finish(&mut self, end: EpochEnd, _out: &mut Outbox) {
            self.0.lock().unwrap().extend(self.1.drain(..).map(|input| (input, end.epoch)));
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut topology = Topology::new();
    let (facts, _) = source(&mut topology, &random_rows(7, 500), 10);
    let rows = random_rows(8, 500);
    let dimension = Memory { name: "dimension", rows, chunk: 10, offered: Arc::default() };
    let id = topology.source(SourceNode { name: "dimension".into(), source: Box::new(dimension), dimension: true });
    let dimension = topology.table("dimension", id, None);
    let log = Arc::clone(&seen);
    topology.operator("order", vec![(facts, Route::Local), (dimension, Route::Local)], move || {
        Box::new(Order(Arc::clone(&log), Vec::new()))
    });
    run(topology, config(1, 50)).unwrap().wait().unwrap();
    let seen = seen.lock().unwrap();
    let last_dimension = seen.iter().filter(|(input, _)| *input == 1).map(|(_, epoch)| *epoch).max().unwrap();
    let first_fact = seen.iter().filter(|(input, _)| *input == 0).map(|(_, epoch)| *epoch).min().unwrap();
    assert_eq!(seen.len(), 100);
    assert!(last_dimension <= first_fact, "a fact came in {first_fact}, a dimension row in {last_dimension}");
}

#[test]
fn versions_carry_the_generation() {
    let sink = Collect::default();
    let (topology, _) = sum_topology(&random_rows(9, 100), 10, &sink);
    let config = RunConfig { generation: Generation(3), ..config(1, 10) };
    let _: RunStatus = run(topology, config).unwrap().wait().unwrap();
    let versions = sink.versions.lock().unwrap();
    assert!(versions.is_sorted() && versions[0] >= Version::new(Generation(3), Epoch(0)));
}
