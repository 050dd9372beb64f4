//! Exact item-to-item cosine over the live graph, on one core: how many events a second come in, what a pair costs in
//! memory, and how long a list takes to read.
//!
//! Two seeded streams with repeats, weighted by behaviour (viewed 1, into the cart 3, bought 5). `a`: 30 thousand users of
//! lognormal activity, 41 thousand items by Zipf 0.9, 800 thousand events, whole histories. `b`: 1 million users, 200
//! thousand items, 10 million events, the newest 50 of a user. All times are the thread's CPU time, so that other work
//! on the machine disturbs them little. Lists are checked against ones made of the events. Ends with one line of JSON.

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use measure::{cpu_time, cumulate, draw, normal, resident_bytes};
use proxima_engine::{EpochEnd, Operator, Outbox, StateWriter};
use proxima_event::{Changes, Epoch, KeyGroupSet};
use proxima_graph::live::{NameObjects, Relate};
use proxima_graph::{
    Catalogue, Direction, Graph, HOT_WORK, Kind, KindId, LiveGraph, ObjectId, Pair, Relation, RelationColumns,
    RelationId, RelationRules,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use support::exchange;

const SEED: u64 = 42;
const BATCH_ROWS: usize = 2048;
/// Batches in an epoch, and epochs in a checkpoint: about 50 ms and a second of 650 thousand events a second.
const EPOCH_BATCHES: usize = 16;
const CHECKPOINT_EPOCHS: usize = 20;
const READS: usize = 20_000;
const LIST: usize = 100;
const VIEWED: RelationId = RelationId(0);

/// A stream of events.
struct Stream {
    name: &'static str,
    users: usize,
    items: usize,
    events: usize,
    activity: f64,
    keep: Option<u32>,
}

const STREAMS: [Stream; 2] = [
    Stream { name: "a", users: 30_000, items: 41_000, events: 800_000, activity: 1.02, keep: None },
    Stream { name: "b", users: 1_000_000, items: 200_000, events: 10_000_000, activity: 1.0, keep: Some(50) },
];

#[derive(Clone, Copy)]
struct Event {
    user: u32,
    item: u32,
    weight: i8,
}

/// `a` or `b` measures one stream alone, `hot` tries other numbers of hot items as well.
fn main() {
    let mut result = serde_json::Map::new();
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let one = STREAMS.iter().any(|stream| asked.iter().any(|word| word == stream.name));
    for stream in STREAMS.iter().filter(|stream| !one || asked.iter().any(|word| word == stream.name)) {
        let prefix = if stream.name == "a" { String::new() } else { format!("{}_", stream.name) };
        let measured = measure(stream, asked.iter().any(|word| word == "hot"));
        result.extend(measured.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value.into())));
    }
    println!("{}", serde_json::Value::Object(result));
}

fn measure(stream: &Stream, with_others: bool) -> Vec<(&'static str, f64)> {
    let events = stream.generate();
    let (graph, time, bytes) = fill(stream, &events, Some(HOT_WORK));
    stream.check(&graph, &events);
    let (pairs, shared) = count_pairs(&graph, stream);
    let rate = |time: Duration| (events.len() as f64 / time.as_secs_f64()).round();
    let each = |bytes: usize| (bytes as f64 / pairs as f64 * 100.0).round() / 100.0;
    println!("{}: {} events, {pairs} distinct pairs, {shared} hot items", stream.name, events.len());
    let [even, popular] = read_times(&graph, stream, &events);
    drop(graph);
    let others = [Some(0), Some(HOT_WORK / 8), Some(HOT_WORK / 2), Some(HOT_WORK * 8), Some(u64::MAX)];
    for hot_work in others.into_iter().filter(|_| with_others) {
        // All rows of the larger stream take a minute and show nothing new.
        if hot_work > Some(0) || stream.name == "a" {
            let (_, time, bytes) = fill(stream, &events, hot_work);
            println!("  hot above {hot_work:?}: {} events a second, {} bytes a pair", rate(time), each(bytes));
        }
    }
    let records = fill_from_records(stream, &events);
    println!("  hot above {HOT_WORK}: {} events a second, {} from records", rate(time), rate(records));
    println!("  reads of {LIST}, p50 and p99: items evenly {even:?}, by popularity {popular:?}");
    let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
    vec![
        ("events_per_core_s", rate(time)),
        ("events_per_core_s_records", rate(records)),
        ("bytes_per_pair", each(bytes)),
        ("read_p50_us", micros(even.0)),
        ("read_p99_us", micros(even.1)),
        ("read_popular_p99_us", micros(popular.1)),
    ]
}

impl Stream {
    fn generate(&self) -> Vec<Event> {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let users = cumulate((0..self.users).map(|_| (self.activity * normal(&mut rng)).exp()));
        let items = cumulate((1..=self.items).map(|rank| (rank as f64).powf(-0.9)));
        let weights = [1, 1, 1, 1, 1, 1, 1, 1, 3, 5];
        let event = |_| {
            let weight = weights[rng.random_range(0..weights.len())];
            Event { user: draw(&users, &mut rng), item: draw(&items, &mut rng), weight }
        };
        (0..self.events).map(event).collect()
    }

    fn graph(&self, hot_work: Option<u64>) -> LiveGraph {
        let kind = |name: &str| Kind { name: name.into(), attributes: Vec::new() };
        let timed = self.keep.is_some();
        let (subject, object, attributes) = (KindId(0), KindId(1), Vec::new());
        let relation = Relation { name: "viewed".into(), subject, object, timed, attributes };
        let catalogue = Catalogue { kinds: vec![kind("user"), kind("item")], relations: vec![relation] };
        LiveGraph::new(catalogue, &[RelationRules { keep: self.keep, hot_work, ..RelationRules::default() }], 1)
    }

    /// The merged weights of each user's shown events, by item.
    fn histories(&self, events: &[Event]) -> HashMap<u32, HashMap<u32, i64>> {
        let mut logs = HashMap::<u32, Vec<Event>>::new();
        events.iter().for_each(|event| logs.entry(event.user).or_default().push(*event));
        let keep = self.keep.map_or(usize::MAX, |keep| keep as usize);
        let merged = logs.into_iter().map(|(user, log)| {
            let mut weights = HashMap::new();
            for event in &log[log.len().saturating_sub(keep)..] {
                *weights.entry(event.item).or_default() += i64::from(event.weight);
            }
            (user, weights)
        });
        merged.collect()
    }

    /// Compares lists of hot and cold items with ones made of the events.
    fn check(&self, graph: &LiveGraph, events: &[Event]) {
        let histories = self.histories(events);
        let items: Vec<u32> = (0..20).chain((20..self.items as u32).step_by(self.items / 200)).collect();
        let (mut norms, mut sums) = (HashMap::<u32, i64>::new(), HashMap::<(u32, u32), i64>::new());
        for history in histories.values() {
            for (&item, &weight) in history {
                *norms.entry(item).or_default() += weight * weight;
            }
            for item in items.iter().filter(|item| history.contains_key(item)) {
                for (&other, weight) in history.iter().filter(|(other, _)| *other != item) {
                    *sums.entry((*item, other)).or_default() += weight * history[item];
                }
            }
        }
        let mut lists = HashMap::<u32, Vec<(f64, u32)>>::new();
        for ((item, other), sum) in sums {
            let score = sum as f64 / (norms[&item] as f64 * norms[&other] as f64).sqrt();
            lists.entry(item).or_default().push((score, other));
        }
        let mut reader = Reader::default();
        for item in items.into_iter().filter(|item| norms.contains_key(item)) {
            let mut expected = lists.remove(&item).unwrap_or_default();
            expected.sort_by(best_first);
            expected.truncate(LIST);
            assert_eq!(reader.list(graph, item), expected, "the list of {item} in {}", self.name);
        }
    }
}

fn best_first(left: &(f64, u32), right: &(f64, u32)) -> std::cmp::Ordering {
    right.0.total_cmp(&left.0).then(left.1.cmp(&right.1))
}

/// Writes events whose texts are ids already: the CPU time, and the bytes that the process grew by.
fn fill(stream: &Stream, events: &[Event], hot_work: Option<u64>) -> (LiveGraph, Duration, usize) {
    let graph = stream.graph(hot_work);
    let (before, mut time) = (resident_bytes(), Duration::ZERO);
    for (number, events) in events.chunks(BATCH_ROWS).enumerate() {
        let subjects: Vec<u32> = events.iter().map(|event| event.user).collect();
        let objects: Vec<u32> = events.iter().map(|event| event.item).collect();
        let weights: Vec<i64> = events.iter().map(|event| i64::from(event.weight)).collect();
        let first = (number * BATCH_ROWS) as i64;
        let times =
            if stream.keep.is_some() { (first..).take(events.len()).map(|n| n * 1_000_000).collect() } else { vec![] };
        let start = cpu_time();
        graph.relate(VIEWED, subjects, objects, weights, times);
        time += cpu_time() - start;
    }
    let grown = match (before, resident_bytes()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => graph.relation_bytes(VIEWED) as usize,
    };
    (graph, time, grown)
}

/// The operators from decoded records with texts on, with checkpoints: the CPU time.
fn fill_from_records(stream: &Stream, events: &[Event]) -> Duration {
    let graph = Arc::new(stream.graph(Some(HOT_WORK)));
    let time_column = stream.keep.map(|_| 3);
    let columns = RelationColumns { subject: 0, object: 1, weight: Some(2), time: time_column };
    let mut name = NameObjects::new(Arc::clone(&graph), VIEWED, columns, Vec::new());
    let mut relate = Relate::new(Arc::clone(&graph), VIEWED);
    relate.track(&KeyGroupSet::all());
    let (mut named, mut out, mut time) = (Outbox::default(), Outbox::default(), Duration::ZERO);
    let batches = events.chunks(BATCH_ROWS).enumerate();
    for (number, events) in batches {
        let batch = exchange(&records(events, number * BATCH_ROWS, stream), 1, 1).remove(0).1;
        let start = cpu_time();
        name.apply(0, batch, &mut named);
        time += cpu_time() - start;
        for batch in named.drain() {
            let batch = exchange(&batch, 0, 1).remove(0).1;
            let start = cpu_time();
            relate.apply(0, batch, &mut out);
            if number % EPOCH_BATCHES == EPOCH_BATCHES - 1 {
                relate.finish(EpochEnd { epoch: Epoch((number / EPOCH_BATCHES) as u64), last: false }, &mut out);
            }
            if number % (EPOCH_BATCHES * CHECKPOINT_EPOCHS) == EPOCH_BATCHES * CHECKPOINT_EPOCHS - 1 {
                let mut state = StateWriter::default();
                relate.save(&KeyGroupSet::none(), &mut state);
                assert!(!state.encode().expect("the state can be encoded").is_empty());
            }
            time += cpu_time() - start;
        }
    }
    time
}

fn records(events: &[Event], first: usize, stream: &Stream) -> Changes {
    let text = |prefix: &str, id: fn(&Event) -> u32| -> ArrayRef {
        Arc::new(events.iter().map(|event| Some(format!("{prefix}-{:07}", id(event)))).collect::<StringViewArray>())
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("subject", text("user", |event| event.user)),
        ("object", text("item", |event| event.item)),
        ("weight", Arc::new(Int64Array::from_iter_values(events.iter().map(|event| i64::from(event.weight))))),
    ];
    if stream.keep.is_some() {
        let times = (first as i64..).take(events.len()).map(|second| second * 1_000_000);
        columns.push(("time", Arc::new(arrow::array::TimestampMicrosecondArray::from_iter_values(times))));
    }
    Changes::inserts(RecordBatch::try_from_iter(columns).expect("columns of one length"))
}

/// Reads lists as a path's evaluation does, with buffers that are used again.
#[derive(Default)]
struct Reader {
    pairs: Vec<Pair>,
    scored: Vec<(f64, u32)>,
}

impl Reader {
    fn list(&mut self, graph: &LiveGraph, item: u32) -> &[(f64, u32)] {
        self.pairs.clear();
        self.scored.clear();
        assert!(graph.best_pairs(VIEWED, Direction::Reverse, ObjectId(item), LIST, &mut self.pairs), "sums are small");
        let own = graph.norm2(VIEWED, Direction::Reverse, ObjectId(item)) as f64;
        let cosine = |pair: &Pair| pair.sum as f64 / (own * pair.norm2 as f64).sqrt();
        self.scored.extend(self.pairs.iter().map(|pair| (cosine(pair), pair.object.0)));
        if self.scored.len() > LIST {
            self.scored.select_nth_unstable_by(LIST, best_first);
            self.scored.truncate(LIST);
        }
        self.scored.sort_unstable_by(best_first);
        &self.scored
    }
}

/// How many pairs of items share users, and how many items are hot.
fn count_pairs(graph: &LiveGraph, stream: &Stream) -> (usize, u64) {
    let (mut sums, mut count) = (Vec::new(), 0);
    for item in 0..stream.items as u32 {
        sums.clear();
        graph.pair_sums(VIEWED, Direction::Reverse, ObjectId(item), &mut sums);
        count += sums.len().saturating_sub(1);
    }
    (count / 2, graph.hot_count(VIEWED))
}

/// p50 and p99 of reading a list, for items drawn evenly and for items of events drawn evenly.
fn read_times(graph: &LiveGraph, stream: &Stream, events: &[Event]) -> [(Duration, Duration); 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
    let evenly: Vec<u32> = (0..READS).map(|_| rng.random_range(0..stream.items as u32)).collect();
    let popular: Vec<u32> = (0..READS).map(|_| events[rng.random_range(0..events.len())].item).collect();
    let mut reader = Reader::default();
    [evenly, popular].map(|items| {
        let mut read = |&item: &u32| {
            let start = cpu_time();
            std::hint::black_box(reader.list(graph, item));
            cpu_time() - start
        };
        let mut times: Vec<_> = items.iter().map(&mut read).collect();
        times.sort_unstable();
        (times[READS / 2], times[READS * 99 / 100])
    })
}
