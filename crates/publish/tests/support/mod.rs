//! Random jobs with published paths, run in the engine against a store in memory.

pub(crate) mod store;

use crate::graph::{Row, TextGraph, catalogue};
use crate::{expressions, random};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use proxima_engine::{Checkpointing, NodeId, RunConfig, SinkNode, SourceNode, Topology, run};
use proxima_event::{
    Changes, Chunk, Epoch, Generation, Intake, PartitionId, Position, Resume, Source, SourceError, Stopped,
};
use proxima_graph::graph::NO_TIME;
use proxima_graph::path::{Clock, Path, Paths, Scratch, link};
use proxima_graph::{
    AttributeKind, Graph, LiveGraph, RelationColumns, RelationId, RelationInput, RelationRules, Value, lower_live,
};
use proxima_publish::{
    Evaluators, Faults, PublishFigures, PublishRules, Publisher, Setting, WindowRules, lower_publish,
};
use proxima_testkit::checkpoints::MemoryCheckpoints;
use proxima_testkit::memory::{MemorySource, PickTable};
use proxima_testkit::wait::finish;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::{Bomb, CRASH, ListStore};

/// How long lists may take to become true.
const PATIENCE: Duration = Duration::from_secs(60);

type Epochs = Vec<Vec<(String, Changes)>>;

/// Rows of all relations in epochs, and paths over them.
pub(crate) struct Case {
    epochs: Epochs,
    paths: Paths,
    rules: Vec<RelationRules>,
    n: usize,
}

impl Case {
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let paths = link(&random::paths(rng, 3), &catalogue(), &expressions::compile).unwrap();
        let catalogue = catalogue();
        let rules = catalogue.relations.iter().map(|relation| RelationRules {
            lifetime_us: (relation.timed && rng.random_bool(0.3)).then_some(4_000_000_000),
            keep: (relation.timed && rng.random_bool(0.3)).then(|| rng.random_range(1..5)),
            hot_work: [None, Some(0), Some(20)][rng.random_range(0..3)],
            hot_counts: [None, Some(0), Some(20)][rng.random_range(0..3)],
            ..RelationRules::default()
        });
        let rules = rules.collect();
        Self { epochs: epochs(rng), paths, rules, n: rng.random_range(1..12) }
    }

    /// So many epochs in which many of `users` like many of `items`, and lists of items that are liked together.
    pub(crate) fn busy(rng: &mut impl Rng, epochs: usize, (users, items): (usize, usize)) -> Self {
        let catalogue = catalogue();
        let liked = catalogue.relation("liked").unwrap();
        let mut paths = random::there_and_back();
        let path = paths.remove("liked_true_cosine").unwrap();
        let paths = link(&[("top".to_owned(), path)].into(), &catalogue, &expressions::compile).unwrap();
        let mut row = || Row {
            relation: liked,
            subject: format!("user{}", rng.random_range(0..users)),
            object: format!("item{}", rng.random_range(0..items)),
            weight: 1,
            time_us: NO_TIME,
            attributes: vec![Value::Null],
        };
        let mut epoch = || {
            let rows: Vec<_> = (0..400).map(|_| (0.0, 1, row())).collect();
            vec![("liked".to_owned(), batch(&rows.iter().collect::<Vec<_>>(), liked))]
        };
        let epochs = (0..epochs).map(|_| epoch()).collect();
        let rules = vec![RelationRules::default(); catalogue.relations.len()];
        Self { epochs, paths, rules, n: 10 }
    }

    fn outputs(&self) -> impl Iterator<Item = (&str, &Arc<Path>)> {
        self.paths.iter().filter(|(name, _)| name.starts_with("top"))
    }
}

/// Rows come in any order; some are taken back later, or what they are about is forgotten.
fn epochs(rng: &mut impl Rng) -> Epochs {
    let mut rows = TextGraph::random(rng).rows;
    rows.retain(|row| row.weight != 0);
    let forgets = rng.random_bool(0.5);
    let mut events: Vec<(f64, i64, Row)> = Vec::new();
    for row in rows {
        let at = rng.random_range(0.0..1.0);
        if !forgets && rng.random_bool(0.4) {
            events.push((rng.random_range(at..1.0), -1, row.clone()));
        }
        events.push((at, 1, row));
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut epochs = Epochs::new();
    let mut left = &events[..];
    while !left.is_empty() {
        let (now, rest) = left.split_at(rng.random_range(1..40).min(left.len()));
        left = rest;
        let mut epoch: Vec<(String, Changes)> = Vec::new();
        for (number, relation) in (0..).zip(&catalogue().relations) {
            let of: Vec<_> = now.iter().filter(|(_, _, row)| row.relation == RelationId(number)).collect();
            if !of.is_empty() {
                epoch.push((relation.name.clone(), batch(&of, RelationId(number))));
            }
        }
        if forgets && rng.random_bool(0.4) {
            let kind = ["user", "item", "tag"][rng.random_range(0..3)];
            let texts = |text: String| Arc::new(StringViewArray::from_iter_values([text])) as ArrayRef;
            let columns = [("kind", texts(kind.into())), ("id", texts(format!("{kind}{}", rng.random_range(0..6))))];
            epoch.push(("forget".into(), Changes::inserts(RecordBatch::try_from_iter(columns).unwrap())));
        }
        epochs.push(epoch);
    }
    epochs
}

pub(crate) fn batch(rows: &[&(f64, i64, Row)], relation: RelationId) -> Changes {
    let catalogue = catalogue();
    let relation = &catalogue[relation];
    let rows: Vec<(i64, &Row)> = rows.iter().map(|(_, sign, row)| (*sign, row)).collect();
    let text = |of: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, row)| of(row))))
    };
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("subject".into(), text(&|row| row.subject.clone())),
        ("object".into(), text(&|row| row.object.clone())),
        ("weight".into(), Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, row)| row.weight)))),
    ];
    if relation.timed {
        let times = rows.iter().map(|(_, row)| row.time_us);
        columns.push(("time".into(), Arc::new(TimestampMicrosecondArray::from_iter_values(times))));
    }
    for (place, attribute) in relation.attributes.iter().enumerate() {
        let values = rows.iter().map(|(_, row)| &row.attributes[place]);
        let column: ArrayRef = match attribute.kind {
            AttributeKind::Bool => Arc::new(
                values
                    .map(|value| if let Value::Bool(value) = value { Some(*value) } else { None })
                    .collect::<BooleanArray>(),
            ),
            AttributeKind::Int => Arc::new(
                values
                    .map(|value| if let Value::Int(value) = value { Some(*value) } else { None })
                    .collect::<Int64Array>(),
            ),
            _ => Arc::new(
                values
                    .map(|value| if let Value::Text(value) = value { Some(value.to_string()) } else { None })
                    .collect::<StringViewArray>(),
            ),
        };
        columns.push((attribute.name.clone(), column));
    }
    let named = columns.into_iter().map(|(name, column)| (name, column, true));
    Changes::weighted(
        RecordBatch::try_from_iter_with_nullable(named).unwrap(),
        rows.iter().map(|(sign, _)| *sign).collect(),
    )
}

/// A case that runs.
pub(crate) struct Job<'a> {
    case: &'a Case,
    window: WindowRules,
    pub(crate) faults: Faults,
    /// Whether the thread that sends fails when it asks for the time.
    pub(crate) breaks: bool,
    /// How often the source waits until all lists are true before it goes on.
    pub(crate) pace: f64,
    /// Whether the source holds the store against the paths before it ends.
    pub(crate) waits: bool,
    stores: BTreeMap<String, ListStore>,
    graph: Option<Arc<LiveGraph>>,
    pub(crate) figures: Vec<PublishFigures>,
    /// The figures at each epoch.
    pub(crate) samples: Arc<Mutex<Vec<PublishFigures>>>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(case: &'a Case, window: WindowRules) -> Self {
        let stores = case.outputs().map(|(name, _)| (name.to_owned(), ListStore::default())).collect();
        Self {
            case,
            window,
            faults: Faults::default(),
            breaks: false,
            pace: 0.0,
            waits: false,
            stores,
            graph: None,
            figures: Vec::new(),
            samples: Arc::default(),
        }
    }

    /// Runs until the end.
    pub(crate) fn run(&mut self, workers: usize, seed: u64) -> Result<(), String> {
        let mut epochs = MemorySource::epoch_config();
        if self.waits {
            // Epochs go on when nothing comes.
            epochs.interval = Duration::from_millis(2);
        }
        self.start(RunConfig { workers, epochs, ..RunConfig::default() }, seed, Bomb::never())
    }

    /// Runs until the end, with so many crashes before.
    pub(crate) fn run_crashing(&mut self, crashes: usize, seed: u64) -> Result<(), String> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let checkpoints = MemoryCheckpoints::default();
        for generation in 1.. {
            let crashing = generation <= crashes;
            let left = rng.random_range(0..1 + 2 * self.case.epochs.len());
            let bomb = if crashing { Bomb::after(left, rng.random()) } else { Bomb::never() };
            let every = Duration::from_micros([0, 500, 5_000][rng.random_range(0..3)]);
            let config = RunConfig {
                workers: [1, 2, 4][rng.random_range(0..3)],
                epochs: MemorySource::epoch_config(),
                generation: Generation(generation as u64),
                checkpoints: Some(Checkpointing { store: Arc::new(checkpoints.clone()), every, wanted: false }),
                restored: checkpoints.crash(rng.random_range(0..4)),
                ..RunConfig::default()
            };
            match self.start(config, rng.random(), bomb) {
                Err(error) if crashing && error.contains(CRASH) => {}
                ended => return ended.map_err(|error| format!("generation {generation}: {error}")),
            }
        }
        unreachable!("the last run does not crash")
    }

    fn start(&mut self, config: RunConfig, seed: u64, bomb: Bomb) -> Result<(), String> {
        let graph = Arc::new(LiveGraph::new(catalogue(), &self.case.rules, config.workers));
        let mut setting = Setting::default();
        setting.clock = stale(setting.clock, seed, self.breaks);
        let publisher = |(name, path): (&str, &Arc<Path>)| {
            let rules = PublishRules { name: name.to_owned(), n: self.case.n, began: Epoch(0), window: self.window };
            let (clock, wake) = (Arc::clone(&setting.clock), setting.wake.clone());
            Arc::new(Publisher::new(Arc::clone(&graph), Arc::clone(path), rules, clock, wake))
        };
        let publishers: Vec<Arc<Publisher>> = self.case.outputs().map(publisher).collect();
        if config.generation.0 > 1 {
            publishers.iter().for_each(|publisher| publisher.resume());
        }
        let lists = publishers.iter().map(|publisher| self.stores[publisher.name()].clone()).collect();
        let expected = {
            let (graph, case) = (Arc::clone(&graph), self.outputs());
            move || case.iter().map(|(_, path, n)| evaluate(&graph, path, *n)).collect()
        };
        let source = Box::new(Paced {
            inner: MemorySource::new("input", self.case.epochs.clone()),
            publishers: publishers.clone(),
            pace: (self.pace, ChaCha8Rng::seed_from_u64(seed)),
            samples: Arc::clone(&self.samples),
            truth: self.waits.then(|| Truth { lists, expected: Box::new(expected) }),
        });
        let mut topology = Topology::new();
        let ends = lower(&graph, source, &mut topology);
        for publisher in &publishers {
            let input = lower_publish(&mut topology, publisher, &ends.0, Some(ends.1));
            let sink = Box::new(self.stores[publisher.name()].sink(&bomb));
            topology.sink(SinkNode { name: publisher.name().to_owned(), input, sink });
        }
        let evaluators = Evaluators::start(&graph, publishers, setting, (2, self.faults));
        let ended = finish(run(topology, config).map_err(|error| error.to_string())?).map(drop);
        self.figures = evaluators.publishers().iter().map(|publisher| publisher.figures()).collect();
        self.graph = Some(graph);
        ended
    }

    fn outputs(&self) -> Vec<(String, Arc<Path>, usize)> {
        self.case.outputs().map(|(name, path)| (name.to_owned(), Arc::clone(path), self.case.n)).collect()
    }

    /// Holds the stores against all paths, evaluated for all objects.
    pub(crate) fn check(&self, what: &str) {
        let graph = self.graph.as_ref().unwrap();
        for (name, path) in self.case.outputs() {
            assert_eq!(self.stores[name].lists(), evaluate(graph, path, self.case.n), "{what}, {name}: {path:#?}");
        }
    }
}

/// The nodes behind which the graph holds an epoch, and the stream of objects to forget.
pub(crate) fn lower(graph: &Arc<LiveGraph>, source: Box<dyn Source>, topology: &mut Topology) -> (Vec<NodeId>, NodeId) {
    let source = topology.source(SourceNode { name: "input".into(), source, dimension: false });
    let mut table = |name: &str| {
        let table = name.to_owned();
        topology.table(name, source, Some(Arc::new(move || Box::new(PickTable { table: table.clone() }))))
    };
    let relations = (0..).zip(&graph.catalogue().relations).map(|(number, relation)| {
        let time = relation.timed.then_some(3);
        let first = 3 + usize::from(relation.timed);
        RelationInput {
            relation: RelationId(number),
            rows: table(&relation.name),
            columns: RelationColumns { subject: 0, object: 1, weight: Some(2), time },
            attributes: (first..first + relation.attributes.len()).collect(),
        }
    });
    let relations: Vec<_> = relations.collect();
    let forget = table("forget");
    (lower_live(topology, graph, &relations, &[], Some(forget)), forget)
}

/// Texts and scores' bits.
pub(crate) type Lists = BTreeMap<String, Vec<(String, u64)>>;

/// What a path leads to from all objects, if it leads anywhere.
pub(crate) fn evaluate(graph: &LiveGraph, path: &Path, n: usize) -> Lists {
    let mut scratch = Scratch::default();
    let lists = graph.objects(path.from).into_iter().filter_map(|object| {
        // Who has been forgotten meanwhile has no name.
        let name = graph.name(path.from, object)?.to_string();
        let found = path.find(graph, object, n, &mut scratch);
        let items = found.iter().map(|found| (found.name.to_string(), found.score.to_bits()));
        Some((name, items.collect::<Vec<_>>()))
    });
    lists.filter(|(_, items)| !items.is_empty()).collect()
}

/// What the stores are to hold.
struct Truth {
    lists: Vec<ListStore>,
    expected: Box<dyn Fn() -> Vec<Lists> + Send + Sync>,
}

impl Truth {
    fn wait(&self, stopped: &dyn Fn() -> bool) {
        let begin = Instant::now();
        loop {
            let (held, expected): (Vec<Lists>, _) =
                (self.lists.iter().map(ListStore::lists).collect(), (self.expected)());
            if held == expected || stopped() {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "the lists never became true:\n{held:?}\n{expected:?}");
            std::thread::yield_now();
        }
    }
}

/// A clock whose readings are used later than they were taken, so that they do not only rise: as between threads.
fn stale(clock: Clock, seed: u64, breaks: bool) -> Clock {
    let rng = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
    Arc::new(move || {
        assert!(!breaks || std::thread::current().name() != Some("supervisors"), "the failure that the test wants");
        clock().saturating_sub(rng.lock().unwrap().random_range(0..2_000))
    })
}

/// A source that sometimes waits until all lists have been looked into.
struct Paced {
    inner: MemorySource,
    publishers: Vec<Arc<Publisher>>,
    pace: (f64, ChaCha8Rng),
    samples: Arc<Mutex<Vec<PublishFigures>>>,
    truth: Option<Truth>,
}

impl Source for Paced {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let Self { inner, publishers, pace, samples, truth } = *self;
        let pacer = PacedIntake { intake: Arc::clone(&intake), publishers, samples, pace: Mutex::new(pace) };
        Box::new(inner).run(Arc::new(pacer))?;
        if let Some(truth) = truth {
            truth.wait(&|| intake.stopped());
        }
        Ok(())
    }
}

struct PacedIntake {
    intake: Arc<dyn Intake>,
    publishers: Vec<Arc<Publisher>>,
    samples: Arc<Mutex<Vec<PublishFigures>>>,
    pace: Mutex<(f64, ChaCha8Rng)>,
}

impl Intake for PacedIntake {
    fn resume(&self) -> Resume {
        self.intake.resume()
    }

    fn cut_replayed(&self) {
        self.intake.cut_replayed();
    }

    fn open(&self, position: Position) {
        self.intake.open(position);
    }

    fn resumed(&self) {
        self.intake.resumed();
    }

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        let waits = {
            let (share, rng) = &mut *self.pace.lock().unwrap();
            rng.random_bool(*share)
        };
        self.samples.lock().unwrap().extend(self.publishers.iter().map(|publisher| publisher.figures()));
        let begin = Instant::now();
        // Not for ever: lists that were looked into wait for an epoch, which this may bring.
        while waits
            && begin.elapsed() < Duration::from_millis(20)
            && !self.publishers.iter().all(|publisher| publisher.is_all_settled())
            && !self.intake.stopped()
        {
            std::thread::yield_now();
        }
        self.intake.offer(chunk)
    }

    fn end_known(&self, partition: &PartitionId, offset: u64) {
        self.intake.end_known(partition, offset);
    }

    fn caught_up(&self, source: &str) {
        self.intake.caught_up(source);
    }

    fn stopped(&self) -> bool {
        self.intake.stopped()
    }

    fn records_max(&self) -> usize {
        self.intake.records_max()
    }
}
