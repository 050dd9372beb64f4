//! A live graph's operators on a number of workers, with the exchange between them done by hand; and what the graph must
//! hold, from nothing but the definition.

use super::exchange;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use proxima_engine::{EpochEnd, Operator, Outbox, Section, StateReader, StateWriter};
use proxima_event::{Changes, Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet};
use proxima_graph::live::{NameObjects, Relate, SaveNames, TellNewest};
use proxima_graph::{
    Attribute, AttributeKind, Catalogue, Direction, Edge, Graph, Kind, KindId, LiveGraph, ObjectId, Relation,
    RelationColumns, RelationId, RelationRules, Value,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const USERS: KindId = KindId(0);
pub(crate) const ITEMS: KindId = KindId(1);
pub(crate) const VIEWED: RelationId = RelationId(0);

/// What the relation of a test is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) timed: bool,
    pub(crate) attributed: bool,
    pub(crate) rules: RelationRules,
}

/// A row of the relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) object: String,
    pub(crate) weight: i64,
    pub(crate) time_us: i64,
    pub(crate) device: Option<String>,
    /// How often it comes; −1 takes one back.
    pub(crate) times: i64,
}

/// An edge in texts: object or subject, weight, time, device.
pub(crate) type Told = (String, i64, i64, Option<String>);

/// A relation whose rows come again, come late and are taken back.
pub(crate) fn random_rows(rng: &mut ChaCha8Rng, shape: &Shape) -> Vec<Row> {
    let (subjects, objects) = (rng.random_range(1..12), rng.random_range(2..25));
    // Whole seconds rest in half the words.
    let weights: &[i64] = if rng.random_bool(0.3) { &[1, 3, -2, 3_000_000_000] } else { &[1, 1, 3, 5, -2, 0, 300] };
    let grain = [1_000_000, 1_000_000, 7][rng.random_range(0..3)];
    let mut rows: Vec<Row> = Vec::new();
    for step in 0..rng.random_range(0..300_i64) {
        if !rows.is_empty() && rng.random_range(0..4) == 0 {
            let mut row = rows[rng.random_range(0..rows.len())].clone();
            row.times = -row.times;
            rows.push(row);
            continue;
        }
        let skewed = |rng: &mut ChaCha8Rng, n: u32| rng.random_range(0..n).min(rng.random_range(0..n));
        let time_us = (1_000 + step + rng.random_range(-20..20)) * grain;
        rows.push(Row {
            subject: format!("u{}", skewed(rng, subjects)),
            object: format!("i{}", skewed(rng, objects)),
            weight: weights[rng.random_range(0..weights.len())],
            time_us: if shape.timed { time_us } else { 0 },
            device: shape
                .attributed
                .then(|| ["phone", "tablet"][rng.random_range(0..2)].into())
                .filter(|_| rng.random_bool(0.8)),
            times: 1,
        });
    }
    rows
}

/// What each subject's edges must be when all rows have come.
pub(crate) fn naive_edges(rows: &[Row], shape: &Shape) -> BTreeMap<String, Vec<Told>> {
    let newest = rows.iter().map(|row| row.time_us).max().unwrap_or(0);
    let bound = shape.rules.lifetime_us.map_or(i64::MIN, |lifetime| newest - lifetime);
    let mut sums = BTreeMap::<_, i64>::new();
    for row in rows.iter().filter(|row| row.time_us >= bound) {
        let edge = (&row.subject, -row.time_us, &row.object, &row.device);
        *sums.entry(edge).or_default() += row.times * row.weight;
    }
    let mut edges = BTreeMap::<String, Vec<Told>>::new();
    for ((subject, time, object, device), weight) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
        edges.entry(subject.clone()).or_default().push((object.clone(), weight, -time, device.clone()));
    }
    let keep = shape.rules.keep.map_or(usize::MAX, |keep| keep as usize);
    edges.values_mut().for_each(|edges| edges.truncate(keep));
    edges
}

/// Holds a graph against [`naive_edges`], both ways, and what follows from the edges.
pub(crate) fn assert_graph(graph: &LiveGraph, rows: &[Row], shape: &Shape, case: &str) {
    assert_graph_but_newest(graph, rows, shape, case);
    if shape.timed {
        let newest = rows.iter().map(|row| row.time_us).max();
        assert_eq!(Some(graph.newest_us(VIEWED)).filter(|&time| time != i64::MIN), newest, "{case}");
    }
}

/// As [`assert_graph`], but for the newest time, which stays when the row that brought it is forgotten.
pub(crate) fn assert_graph_but_newest(graph: &LiveGraph, rows: &[Row], shape: &Shape, case: &str) {
    let expected = naive_edges(rows, shape);
    let mut reverse = BTreeMap::<String, Vec<Told>>::new();
    for (subject, edges) in &expected {
        for (object, weight, time, device) in edges {
            reverse.entry(object.clone()).or_default().push((subject.clone(), *weight, *time, device.clone()));
        }
    }
    for (direction, kind, other, expected) in
        [(Direction::Forward, USERS, ITEMS, &expected), (Direction::Reverse, ITEMS, USERS, &reverse)]
    {
        let known = rows.iter().map(|row| if kind == USERS { &row.subject } else { &row.object });
        for name in known {
            let mut wanted = expected.get(name).cloned().unwrap_or_default();
            wanted.sort();
            let Some(id) = graph.id(kind, name) else {
                assert!(wanted.is_empty(), "{case}: {name} has no id");
                continue;
            };
            let mut edges = Vec::new();
            graph.edges(VIEWED, direction, id, &mut edges);
            let mut found: Vec<Told> = edges.iter().map(|edge| told(graph, shape, other, edge)).collect();
            found.sort();
            assert_eq!(found, wanted, "{case}: {direction:?} edges of {name}");
            let mut weights = BTreeMap::<&str, i128>::new();
            wanted.iter().for_each(|edge| *weights.entry(&edge.0).or_default() += i128::from(edge.1));
            let weights: Vec<i128> = weights.into_values().filter(|&weight| weight != 0).collect();
            assert_eq!(graph.degree(VIEWED, direction, id), weights.len() as u64, "{case}: degree of {name}");
            let squares: i128 = weights.iter().map(|weight| weight * weight).sum();
            assert_eq!(graph.norm2(VIEWED, direction, id), squares, "{case}: norm of {name}");
        }
        let mut there: Vec<String> =
            graph.objects(kind).iter().map(|&id| graph.name(kind, id).unwrap().to_string()).collect();
        there.sort();
        // Subjects all of whose edges are hidden do not exist: the newest are shown.
        assert_eq!(there, expected.keys().cloned().collect::<Vec<_>>(), "{case}");
        assert_eq!(graph.population(kind), there.len() as u64, "{case}");
    }
    assert_pairs(graph, &expected, rows.iter().any(|row| row.weight > 1 << 20), case);
}

/// Holds the pair sums and counts of every object against those of the edges.
fn assert_pairs(graph: &LiveGraph, edges: &BTreeMap<String, Vec<Told>>, is_heavy: bool, case: &str) {
    let mut expected = BTreeMap::<&str, BTreeMap<&str, i128>>::new();
    let mut counts = BTreeMap::<&str, BTreeMap<&str, u64>>::new();
    for edges in edges.values() {
        let mut weights = BTreeMap::<&str, i128>::new();
        edges.iter().for_each(|edge| *weights.entry(&edge.0).or_default() += i128::from(edge.1));
        let related = || weights.iter().filter(|(_, weight)| **weight != 0).map(|(object, _)| *object);
        for left in related() {
            let row = counts.entry(left).or_default();
            related().for_each(|right| *row.entry(right).or_default() += 1);
        }
        for (left, weight) in &weights {
            let row = expected.entry(left).or_default();
            weights.iter().for_each(|(right, other)| *row.entry(right).or_default() += weight * other);
        }
    }
    for (object, row) in expected {
        let (id, mut found) = (graph.id(ITEMS, object).unwrap(), Vec::new());
        if !graph.pair_sums(VIEWED, Direction::Reverse, id, &mut found) {
            assert!(is_heavy, "{case}: only large sums must be gathered");
            continue;
        }
        assert_best(graph, id, &found, case);
        assert_counts(graph, id, counts.remove(object).unwrap_or_default(), case);
        let mut norms = Vec::new();
        graph.norms2(VIEWED, found.iter().map(|(id, _)| *id), &mut norms);
        for ((id, _), norm) in found.iter().zip(norms) {
            assert_eq!(norm, graph.norm2(VIEWED, Direction::Reverse, *id));
        }
        let mut found: Vec<_> =
            found.into_iter().map(|(id, sum)| (graph.name(ITEMS, id).unwrap().to_string(), sum)).collect();
        found.sort();
        let row = row.into_iter().filter(|(_, sum)| *sum != 0).map(|(name, sum)| (name.to_owned(), sum));
        assert_eq!(found, row.collect::<Vec<_>>(), "{case}: pairs of {object}");
    }
}

/// Holds the pair counts of an object against these.
fn assert_counts(graph: &LiveGraph, id: ObjectId, expected: BTreeMap<&str, u64>, case: &str) {
    let mut counts = Vec::new();
    assert!(graph.pair_counts(VIEWED, Direction::Reverse, id, &mut counts), "{case}: sums that fit have counts");
    for pair in &counts {
        assert_eq!(pair.degree, graph.degree(VIEWED, Direction::Reverse, pair.object), "{case}: degree of a pair");
    }
    let mut found: Vec<_> =
        counts.iter().map(|pair| (graph.name(ITEMS, pair.object).unwrap().to_string(), pair.count)).collect();
    found.sort();
    let expected = expected.into_iter().map(|(name, count)| (name.to_owned(), count));
    assert_eq!(found, expected.collect::<Vec<_>>(), "{case}: counts of {id:?}");
}

/// Holds the best pairs of an object against all of them.
fn assert_best(graph: &LiveGraph, id: ObjectId, all: &[(ObjectId, i128)], case: &str) {
    let norm2 = |id| graph.norm2(VIEWED, Direction::Reverse, id);
    let score = |other, sum: i128| {
        let cosine = sum as f64 / (norm2(id) as f64 * norm2(other) as f64).sqrt();
        (cosine * (1_u64 << 40) as f64).round()
    };
    let mut scores: Vec<f64> =
        all.iter().filter(|(other, _)| *other != id).map(|(other, sum)| score(*other, *sum)).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    for n in [1, 3, 1_000] {
        let mut best = Vec::new();
        assert!(graph.best_pairs(VIEWED, Direction::Reverse, id, n, &mut best));
        let mut found: Vec<f64> = best.iter().map(|pair| score(pair.object, pair.sum.into())).collect();
        found.sort_by(|a, b| b.total_cmp(a));
        found.truncate(n);
        assert_eq!(found, scores[..n.min(scores.len())], "{case}: the best {n}");
        assert!(best.iter().all(|pair| i128::from(pair.norm2) == norm2(pair.object)), "{case}");
    }
}

fn told(graph: &LiveGraph, shape: &Shape, other: KindId, edge: &Edge) -> Told {
    let device = match shape.attributed.then(|| graph.edge_attribute(VIEWED, edge.row, 0)) {
        Some(Value::Text(text)) => Some(text.to_string()),
        Some(Value::Null) | None => None,
        Some(value) => panic!("a device is a text, not {value:?}"),
    };
    if shape.attributed {
        let expected = device.as_ref().map_or(Value::Null, |text| Value::Int(text.len() as i64));
        assert_eq!(graph.edge_attribute(VIEWED, edge.row, 1), expected);
    }
    let time = if shape.timed { edge.time_us } else { 0 };
    (graph.name(other, edge.other).unwrap().to_string(), edge.weight, time, device)
}

/// Rows as a relation's query gives them.
pub(crate) fn batch(rows: &[Row], shape: &Shape) -> Changes {
    let text = |value: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringViewArray>())
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("subject", text(&|row| Some(row.subject.clone()))),
        ("object", text(&|row| Some(row.object.clone()))),
        ("weight", Arc::new(rows.iter().map(|row| row.weight).collect::<Int64Array>())),
    ];
    if shape.timed {
        columns
            .push(("time", Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.time_us)))));
    }
    if shape.attributed {
        let len = |row: &Row| row.device.as_ref().map(|text| text.len() as i64);
        columns.push(("device", text(&|row| row.device.clone())));
        columns.push(("len", Arc::new(rows.iter().map(len).collect::<Int64Array>())));
    }
    let named = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    Changes::weighted(batch, rows.iter().map(|row| row.times).collect())
}

/// Where the columns of [`batch`] are.
pub(crate) fn columns(shape: &Shape) -> (RelationColumns, Vec<usize>) {
    let columns = RelationColumns { subject: 0, object: 1, weight: Some(2), time: shape.timed.then_some(3) };
    let first = 3 + usize::from(shape.timed);
    (columns, if shape.attributed { vec![first, first + 1] } else { Vec::new() })
}

pub(crate) fn catalogue(shape: &Shape) -> Catalogue {
    let kind = |name: &str| Kind { name: name.into(), attributes: Vec::new() };
    let attribute = |name: &str, kind| Attribute { name: name.into(), kind };
    let attributes = [attribute("device", AttributeKind::Text), attribute("len", AttributeKind::Int)];
    let relation = Relation {
        name: "viewed".into(),
        subject: USERS,
        object: ITEMS,
        timed: shape.timed,
        attributes: attributes.into_iter().filter(|_| shape.attributed).collect(),
    };
    Catalogue { kinds: vec![kind("user"), kind("item")], relations: vec![relation] }
}

/// The operators of one relation on some workers.
pub(crate) struct LiveMesh {
    pub(crate) graph: Arc<LiveGraph>,
    shape: Shape,
    workers: Vec<Worker>,
    epoch: u64,
    /// What was saved of each key group by `Relate`, and by `SaveNames` of both kinds.
    chains: [BTreeMap<KeyGroup, Vec<Section>>; 3],
    saved: bool,
}

struct Worker {
    name: NameObjects,
    newest: TellNewest,
    relate: Relate,
    save: [SaveNames; 2],
}

impl Worker {
    fn stateful(&mut self) -> [&mut dyn Operator; 3] {
        let [users, items] = &mut self.save;
        [&mut self.relate, users, items]
    }
}

impl LiveMesh {
    pub(crate) fn new(shape: Shape, workers: usize) -> Self {
        let graph = Arc::new(LiveGraph::new(catalogue(&shape), &[shape.rules], workers));
        let (columns, attributes) = columns(&shape);
        let worker = |at| {
            let save = |kind| SaveNames::new(Arc::clone(&graph), kind, Some(1));
            let mut worker = Worker {
                name: NameObjects::new(Arc::clone(&graph), VIEWED, columns, attributes.clone()),
                newest: TellNewest::default(),
                relate: Relate::new(Arc::clone(&graph), VIEWED),
                save: [save(USERS), save(ITEMS)],
            };
            worker.stateful().into_iter().for_each(|operator| operator.track(&KeyGroupSet::of_worker(at, workers)));
            worker
        };
        let made = (0..workers).map(worker).collect();
        Self { graph, shape, workers: made, epoch: 0, chains: Default::default(), saved: false }
    }

    /// Runs rows in epochs and batches cut at random, shuffled within each epoch.
    pub(crate) fn feed(&mut self, rows: &[Row], rng: &mut ChaCha8Rng) {
        let mut rest = rows;
        while !rest.is_empty() {
            let longest = [1, 20, 2_000][rng.random_range(0..3)];
            let (epoch, later) = rest.split_at(rng.random_range(0..=longest.min(rest.len())));
            let mut epoch = epoch.to_vec();
            for index in (1..epoch.len()).rev() {
                epoch.swap(index, rng.random_range(0..=index));
            }
            let batches: Vec<_> = epoch.chunks(rng.random_range(1..50)).map(|rows| batch(rows, &self.shape)).collect();
            self.epoch(&batches, &[]);
            rest = later;
        }
        self.epoch(&[], &[]);
    }

    /// Runs one epoch over batches of rows, which forgets objects: a kind and a text.
    pub(crate) fn epoch(&mut self, batches: &[Changes], forget: &[(&str, &str)]) {
        let (end, count) = (EpochEnd { epoch: Epoch(self.epoch), last: false }, self.workers.len());
        let mut out = Outbox::default();
        for (owner, batch) in batches.iter().flat_map(|batch| exchange(batch, 1, count)) {
            self.workers[owner].name.apply(0, batch, &mut out);
            for named in out.drain().collect::<Vec<_>>() {
                if self.shape.timed {
                    self.workers[owner].newest.apply(0, named.clone(), &mut out);
                }
                for (owner, part) in exchange(&named, 0, count) {
                    self.workers[owner].relate.apply(0, part, &mut out);
                }
            }
        }
        let column = |texts: Vec<&str>| Arc::new(StringViewArray::from(texts)) as ArrayRef;
        let (kinds, ids) = forget.iter().copied().unzip();
        let forget = RecordBatch::try_from_iter([("kind", column(kinds)), ("id", column(ids))]).unwrap();
        let forget = Changes::inserts(forget);
        let relate_input = 1 + usize::from(self.shape.rules.lifetime_us.is_some());
        self.workers.iter_mut().for_each(|worker| worker.relate.apply(relate_input, forget.clone(), &mut out));
        for (owner, part) in exchange(&forget, 1, count) {
            let worker = &mut self.workers[owner];
            worker.name.apply(1, part.clone(), &mut out);
            worker.save.iter_mut().for_each(|save| save.apply(1, part.clone(), &mut out));
        }
        self.workers.iter_mut().for_each(|worker| worker.name.finish(end, &mut out));
        self.workers.iter_mut().for_each(|worker| worker.newest.finish(end, &mut out));
        for newest in out.drain().filter(|_| relate_input == 2).collect::<Vec<_>>() {
            self.workers.iter_mut().for_each(|worker| worker.relate.apply(1, newest.clone(), &mut out));
        }
        self.workers.iter_mut().for_each(|worker| worker.relate.finish(end, &mut out));
        self.workers.iter_mut().flat_map(|worker| &mut worker.save).for_each(|save| save.finish(end, &mut out));
        assert_eq!(out.drain().count(), 0, "edges go nowhere else");
        self.epoch += 1;
    }

    /// Ends an epoch on one worker alone, as far as it writes edges.
    pub(crate) fn end_epoch_of(&mut self, worker: usize) {
        let end = EpochEnd { epoch: Epoch(self.epoch), last: false };
        self.workers[worker].relate.finish(end, &mut Outbox::default());
        self.epoch += 1;
    }

    /// Saves what has changed, and some key groups whole; the first time all.
    pub(crate) fn save(&mut self, rewrite: &KeyGroupSet) {
        let workers = self.workers.len();
        for (at, worker) in self.workers.iter_mut().enumerate() {
            let owned = KeyGroupSet::of_worker(at, workers);
            let whole: KeyGroupSet = owned.iter().filter(|&group| !self.saved || rewrite.contains(group)).collect();
            for (operator, chains) in worker.stateful().into_iter().zip(&mut self.chains) {
                let mut state = StateWriter::default();
                operator.save(&whole, &mut state);
                whole.iter().for_each(|group| drop(chains.remove(&group)));
                for section in state.encode().unwrap() {
                    assert!(owned.contains(section.group));
                    chains.entry(section.group).or_default().push(section);
                }
            }
        }
        self.saved = true;
    }

    /// The saved state of all workers, taken up by another number of them.
    pub(crate) fn restart(self, workers: usize) -> Self {
        let mut mesh = Self::new(self.shape, workers);
        (mesh.chains, mesh.saved) = (self.chains, self.saved);
        for (operator, chains) in mesh.chains.iter().enumerate() {
            for section in chains.values().flatten() {
                let worker = &mut mesh.workers[section.group.worker(KEY_GROUPS, workers)];
                worker.stateful()[operator].load(&mut StateReader::from(section)).unwrap();
            }
        }
        mesh
    }
}
