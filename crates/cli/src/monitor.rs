//! Watches a run for `/v1/status` and the progress line: the engine's counters with rates, state and memory.

use crate::assemble::Judged;
use parking_lot::Mutex;
use proxima_engine::RunControl;
use proxima_graph::LiveGraph;
use proxima_model::{LiveModel, Summary};
use proxima_publish::{Evaluators, PublishFigures, Publisher};
use proxima_recommend::evaluate::Metrics;
use proxima_serve::{
    Checkpoints, Epochs, JudgeStatus, ListStatus, Memory, ModelMetrics, ModelStatus, OperatorStatus, PartitionStatus,
    Queued, RunState, SinkStatus, SourceStatus, Status, StatusSource, VariantStatus,
};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Rates are taken over this time: long enough to be calm, short enough to be true.
const WINDOW: Duration = Duration::from_secs(5);

/// Counters are kept at most this often.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Why a run that has been started does not answer yet.
const LOADING: &str = "it loads what the checkpoint holds";

/// Why its answers are not as new yet as those of the run before it.
const REPLAYING: &str = "it reads again what the run before read behind its last checkpoint";

/// A run that is watched, from before its start to after its end.
pub struct Monitor {
    job: String,
    workers: usize,
    models: Vec<Arc<LiveModel>>,
    judges: Vec<Judged>,
    graph: Option<Arc<LiveGraph>>,
    lists: Option<Evaluators>,
    started: Instant,
    engine: OnceLock<RunControl>,
    state: Mutex<(RunState, Option<String>)>,
    rates: Mutex<Rates>,
}

impl Monitor {
    /// Watches a run that is about to start, its models and its judges.
    #[must_use]
    pub fn new(job: impl Into<String>, workers: usize, models: Vec<Arc<LiveModel>>, judges: Vec<Judged>) -> Self {
        Self {
            job: job.into(),
            workers,
            models,
            judges,
            graph: None,
            lists: None,
            started: Instant::now(),
            engine: OnceLock::new(),
            state: Mutex::default(),
            rates: Mutex::default(),
        }
    }

    /// Watches the graph that the run fills, if it fills one: before it is loaded the run has not begun.
    #[must_use]
    pub fn with_graph(mut self, graph: Option<Arc<LiveGraph>>) -> Self {
        self.graph = graph;
        self
    }

    /// Watches, and keeps at work, what keeps lists in stores true.
    #[must_use]
    pub fn with_lists(mut self, lists: Option<Evaluators>) -> Self {
        self.lists = lists;
        self
    }

    /// The run is ending: nobody waits for lists.
    pub fn let_lists_be(&self) {
        self.lists.iter().for_each(Evaluators::stop);
    }

    /// Why a run that has been started shows less than the run before it did, if it does.
    fn behind(&self) -> Option<&'static str> {
        let is_whole = self.graph.as_ref().is_none_or(|graph| graph.is_whole());
        match self.engine.get() {
            Some(engine) if engine.is_loaded() && is_whole => (!engine.is_replayed()).then_some(REPLAYING),
            _ => Some(LOADING),
        }
    }

    /// The engine has started: its counters are there from now on.
    pub fn started(&self, engine: RunControl) {
        // A run starts once; a second start would be another run.
        let _ = self.engine.set(engine);
        self.set(RunState::Running);
    }

    /// The run is somewhere else in its life.
    pub fn set(&self, state: RunState) {
        *self.state.lock() = (state, None);
    }

    /// Whether judges hold what no checkpoint has.
    #[must_use]
    pub fn has_unsaved_lists(&self) -> bool {
        self.judges.iter().any(|judged| judged.judge.is_unsaved())
    }

    /// The run cannot go on.
    pub fn fail(&self, reason: impl Into<String>) {
        *self.state.lock() = (RunState::Failed, Some(reason.into()));
    }
}

impl StatusSource for Monitor {
    fn status(&self) -> Status {
        let (mut state, mut reason) = self.state.lock().clone();
        if state == RunState::Running
            && let Some(behind) = self.behind()
        {
            (state, reason) = (RunState::Starting, Some(behind.to_owned()));
        }
        let mut status = self.engine.get().map_or_else(Status::default, |engine| describe(engine.status()));
        let counts = status.sources.iter().map(|source| source.records).collect();
        let rates = self.rates.lock().observe(Instant::now(), counts);
        for (source, rate) in status.sources.iter_mut().zip(&rates) {
            source.records_per_s = *rate;
        }
        Status {
            job: self.job.clone(),
            state,
            reason,
            uptime_s: self.started.elapsed().as_secs_f64(),
            workers: self.workers,
            records_per_s: rates.iter().sum(),
            models: self.models.iter().map(|model| describe_model(model)).collect(),
            judges: self.judges.iter().map(describe_judge).collect(),
            lists: self.lists.iter().flat_map(Evaluators::publishers).map(|lists| describe_lists(lists)).collect(),
            memory: Memory::of_this_process(),
            ..status
        }
    }
}

/// The engine's counters in the words of `/v1/status`.
fn describe(run: proxima_engine::RunStatus) -> Status {
    let sink = |sink: proxima_engine::SinkStatus| SinkStatus {
        name: sink.name,
        writes: sink.rows,
        flushes: sink.flushes,
        rejected: sink.rejected,
        epochs: sink.epochs,
        in_flight: sink.in_flight,
        retries: sink.retries,
        waits_for: sink.waits_for,
        last_error: sink.last_error,
    };
    let operator = |operator: proxima_engine::OperatorStatus| OperatorStatus {
        name: operator.name,
        keys: operator.stats.keys,
        bytes: operator.stats.bytes,
        late: operator.stats.late,
        failed: operator.stats.failed,
    };
    Status {
        records: run.records(),
        rejected: run.rejected(),
        epochs: Epochs { current: run.epoch_open, done: run.epoch_done },
        queued: Queued { chunks: run.queued_chunks as u64, records: run.queued_records as u64 },
        sources: run.sources.into_iter().map(describe_source).collect(),
        operators: run.operators.into_iter().map(operator).collect(),
        sinks: run.sinks.into_iter().map(sink).collect(),
        checkpoints: run.checkpoints.map(describe_checkpoints),
        ..Status::default()
    }
}

fn describe_model(model: &LiveModel) -> ModelStatus {
    let metrics = |summary: Summary| ModelMetrics {
        samples: summary.samples,
        positives: summary.positives,
        log_loss: summary.log_loss,
        baseline: summary.baseline,
        auc: summary.auc,
        calibration: summary.calibration,
    };
    let (all, recent) = (metrics(model.all()), metrics(model.recent()));
    ModelStatus { name: model.spec().name.clone(), all, recent, late: model.late() }
}

fn describe_judge(judged: &Judged) -> JudgeStatus {
    let variant = |(name, of): (String, Metrics)| VariantStatus {
        name,
        asked: of.asked,
        answered: of.answered,
        hit_rate: of.hit_rate,
        mrr: of.mrr,
        ndcg: of.ndcg,
        recall: of.recall,
        coverage: of.coverage,
    };
    let variants = judged.metrics().into_iter().map(variant).collect();
    JudgeStatus { name: judged.name.clone(), by: judged.by.clone(), k: judged.judge.k() as u64, variants }
}

fn describe_lists(publisher: &Publisher) -> ListStatus {
    let PublishFigures { path, masters, changes, written } = publisher.figures();
    ListStatus {
        path,
        written,
        waiting: masters.waiting + changes.waiting,
        in_flight: masters.in_flight + changes.in_flight,
        sent_again: masters.sent_again + changes.sent_again,
        window: masters.window,
        oldest_s: masters.oldest_us.max(changes.oldest_us) as f64 / 1e6,
    }
}

fn describe_checkpoints(checkpoints: proxima_engine::CheckpointStatus) -> Checkpoints {
    Checkpoints {
        committed: checkpoints.committed,
        epoch: checkpoints.epoch,
        age_s: checkpoints.at.map(|at| at.elapsed().as_secs_f64()),
        took_s: checkpoints.took.as_secs_f64(),
        bytes: checkpoints.bytes,
        waits_for: checkpoints.waits_for,
    }
}

fn describe_source(source: proxima_engine::SourceStatus) -> SourceStatus {
    let partitions: Vec<PartitionStatus> = source
        .partitions
        .into_iter()
        .map(|partition| PartitionStatus {
            name: partition.position.partition.name.to_string(),
            position: partition.position.offset,
            end: partition.end,
            records: partition.records,
        })
        .collect();
    let behind = |partition: &PartitionStatus| partition.end.map_or(0, |end| end.saturating_sub(partition.position));
    SourceStatus {
        name: source.name.to_string(),
        records: source.records,
        records_per_s: 0.0,
        rejected: source.rejected,
        skipped: source.skipped,
        lag: partitions.iter().map(behind).sum(),
        partitions,
        waits_for: source.waits_for,
    }
}

/// Counts over the last seconds.
#[derive(Debug, Default)]
struct Rates(VecDeque<(Instant, Vec<u64>)>);

impl Rates {
    /// Takes the counts of this moment, and gives how fast each has risen over the window.
    fn observe(&mut self, now: Instant, counts: Vec<u64>) -> Vec<f64> {
        while self.0.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let rates = self.0.front().map_or_else(
            || vec![0.0; counts.len()],
            |(at, before)| {
                let seconds = now.duration_since(*at).as_secs_f64().max(f64::MIN_POSITIVE);
                let rate = |(i, count): (usize, &u64)| {
                    let risen = count.saturating_sub(before.get(i).copied().unwrap_or(0));
                    if risen == 0 { 0.0 } else { risen as f64 / seconds }
                };
                counts.iter().enumerate().map(rate).collect()
            },
        );
        if self.0.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE_EVERY) {
            self.0.push_back((now, counts));
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use proxima_engine::{
        Bundles, Commit, Cut, EpochEnd, Operator, Outbox, Restored, RunConfig, SavedState, SourceNode, Topology,
    };
    use proxima_event::{
        Changes, Chunk, Epoch, Intake, KeyGroupSet, PartitionId, Payload, Position, Source, SourceError,
    };
    use proxima_serve::{AppState, Limits, ask};
    use std::collections::BTreeMap;
    use std::sync::mpsc::{Receiver, Sender, channel};

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut rates = Rates::default();
        assert_eq!(rates.observe(at(0.0), vec![0]), [0.0]);
        assert_eq!(rates.observe(at(1.0), vec![500]), [500.0]);
        for second in 2..=10 {
            rates.observe(at(f64::from(second)), vec![500]);
        }
        assert_eq!(rates.observe(at(11.0), vec![500]), [0.0], "what was long ago does not count");
        assert!(rates.0.len() <= 27, "the window is bounded: {}", rates.0.len());
    }

    #[test]
    fn a_run_that_has_not_begun_has_a_status() {
        let monitor = Monitor::new("retail", 2, Vec::new(), Vec::new());
        assert_eq!(monitor.status().state, RunState::Starting);
        monitor.fail("no space");
        let status = monitor.status();
        assert_eq!((status.state, status.reason.as_deref()), (RunState::Failed, Some("no space")));
        assert_eq!((status.job.as_str(), status.workers), ("retail", 2));
    }

    /// State that can be read once the test has let go.
    struct Held(Mutex<(Sender<()>, Receiver<()>)>);

    impl SavedState for Held {
        fn bundles<'a>(&'a self, _operator: &str, _groups: &KeyGroupSet) -> Result<Bundles<'a>, String> {
            let (reading, may_go) = &*self.0.lock();
            // Who does not listen, or has let go, is not waited for.
            let _ = reading.send(());
            let _ = may_go.recv();
            Ok(Box::new(std::iter::empty()))
        }
    }

    /// Offers what was read before when it is told to.
    struct Waiting(Receiver<()>);

    impl Source for Waiting {
        fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
            self.0.recv().unwrap();
            let position = read_before();
            intake.open(Position { offset: 0, ..position.clone() });
            let payload =
                Payload::Changes(Changes::weighted(RecordBatch::new_empty(Arc::new(Schema::empty())), Vec::new()));
            let chunk =
                Chunk { partition: position.partition, start: 0, end: position.offset, records: 1, order: 0, payload };
            // Who does not take it has ended.
            let _ = intake.offer(chunk);
            Ok(())
        }
    }

    /// Where the run before stood.
    fn read_before() -> Position {
        let partition = PartitionId { source: "orders".into(), name: "0".into() };
        Position { partition: Arc::new(partition), identity: String::new(), offset: 1 }
    }

    struct Nothing;

    impl Operator for Nothing {
        fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {}

        fn finish(&mut self, _end: EpochEnd, _out: &mut Outbox) {}
    }

    #[test]
    fn a_run_is_ready_when_it_shows_what_the_run_before_did() {
        let monitor = Arc::new(Monitor::new("retail", 1, Vec::new(), Vec::new()));
        let ready = || {
            let source = Arc::clone(&monitor) as Arc<dyn StatusSource>;
            let state = AppState::new(source, BTreeMap::new(), BTreeMap::new(), Limits::default());
            let answer = ask(state, "GET", "/readyz", String::new()).unwrap();
            (answer.status, answer.body)
        };
        assert_eq!(ready().0, 503, "it has not begun");
        let ((reading, is_read), (go, may_go), (there, is_there)) = (channel(), channel(), channel());
        let mut topology = Topology::new();
        let source = SourceNode { name: "orders".into(), source: Box::new(Waiting(is_there)), dimension: false };
        let source = topology.source(source);
        let rows = topology.table("orders", source, None);
        topology.operator("keeps", vec![(rows, proxima_engine::Route::Local)], || Box::new(Nothing));
        let checkpoint = Commit { epoch: Epoch(3), positions: Vec::new(), counts: BTreeMap::new() };
        let state: Arc<dyn SavedState> = Arc::new(Held(Mutex::new((reading, may_go))));
        let restored = Restored {
            checkpoint: Some(checkpoint),
            state: Some(state),
            cuts: vec![Cut { epoch: Epoch(4), positions: vec![read_before()] }],
        };
        let run = proxima_engine::run(topology, RunConfig { restored, ..RunConfig::default() }).unwrap();
        monitor.started(run.control());
        is_read.recv().unwrap();
        let (status, body) = ready();
        assert_eq!(status, 503);
        assert!(body.contains("the run is starting: it loads what the checkpoint holds"), "{body}");
        drop(go);
        while !run.control().is_loaded() {
            std::thread::yield_now();
        }
        assert!(ready().1.contains("it reads again what the run before read behind its last checkpoint"));
        there.send(()).unwrap();
        run.wait().unwrap();
        assert_eq!(ready().0, 200);
    }
}
