//! Lists by Jaccard over the live graph, on one core: read from pair counts, where these are kept or gathered, and by
//! walking both hops; and what keeping counts costs each event. Ends with one line of JSON.
//!
//! The stream is `a` of `itemcf` without weights: 30 thousand users of lognormal activity, 41 thousand items by Zipf 0.9,
//! 800 thousand events. Items are drawn by popularity. Times are the thread's CPU time.

#[path = "measure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod measure;

use measure::{cpu_time, cumulate, draw, normal};
use proxima_graph::path::{
    Declaration, DeclaredMerger, DeclaredSelect, DeclaredStep, Keep, MergerWord, Part, Path, Scratch, Shape, link,
};
use proxima_graph::{Catalogue, HOT_WORK, Kind, KindId, LiveGraph, ObjectId, Relation, RelationId, RelationRules};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;

const SEED: u64 = 42;
const USERS: usize = 30_000;
const ITEMS: usize = 41_000;
const EVENTS: usize = 800_000;
const BATCH_ROWS: usize = 2048;
const READS: usize = 2_000;
const LIST: usize = 100;

fn main() {
    let (subjects, objects) = events();
    let mut result = serde_json::Map::new();
    let mut graphs = Vec::new();
    for (name, hot_counts) in [("without", None), ("with", Some(HOT_WORK))] {
        let (graph, time) = fill(&subjects, &objects, hot_counts);
        let rate = (EVENTS as f64 / time.as_secs_f64()).round();
        println!("{rate} events a second {name} counts, {} hot items", graph.hot_count(RelationId(0)));
        result.insert(format!("events_per_core_s_{name}"), rate.into());
        graphs.push(graph);
    }
    let (items, walked) = (read_items(&objects), jaccard(&graphs[0], Keep::Requested));
    for (name, graph, keep) in [
        ("kept", &graphs[1], Keep::Maintained),
        ("gathered", &graphs[0], Keep::Maintained),
        ("walked", &graphs[0], Keep::Requested),
    ] {
        let path = jaccard(graph, keep);
        let same = |&item: &u32| all(graph, &path, item) == all(&graphs[0], &walked, item);
        assert!(items.iter().take(50).all(same), "{name} and walked: the lists are the same");
        let (p50, p99) = read_times(graph, &path, &items);
        println!("lists of {LIST}, {name}: {p50:?} (p50), {p99:?} (p99)");
        result.insert(format!("read_p99_us_{name}"), (p99.as_nanos() as f64 / 1e3).into());
    }
    println!("{}", serde_json::Value::Object(result));
}

fn events() -> (Vec<u32>, Vec<u32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let users = cumulate((0..USERS).map(|_| (1.02 * normal(&mut rng)).exp()));
    let items = cumulate((1..=ITEMS).map(|rank| (rank as f64).powf(-0.9)));
    (0..EVENTS).map(|_| (draw(&users, &mut rng), draw(&items, &mut rng))).unzip()
}

fn fill(subjects: &[u32], objects: &[u32], hot_counts: Option<u64>) -> (LiveGraph, Duration) {
    let kind = |name: &str| Kind { name: name.into(), attributes: Vec::new() };
    let (subject, object, attributes) = (KindId(0), KindId(1), Vec::new());
    let relation = Relation { name: "viewed".into(), subject, object, timed: false, attributes };
    let catalogue = Catalogue { kinds: vec![kind("user"), kind("item")], relations: vec![relation] };
    let graph = LiveGraph::new(catalogue, &[RelationRules { hot_counts, ..RelationRules::default() }], 1);
    let mut time = Duration::ZERO;
    for (subjects, objects) in subjects.chunks(BATCH_ROWS).zip(objects.chunks(BATCH_ROWS)) {
        let (subjects, objects, weights) = (subjects.to_vec(), objects.to_vec(), vec![1; objects.len()]);
        let start = cpu_time();
        graph.relate(RelationId(0), subjects, objects, weights, Vec::new());
        time += cpu_time() - start;
    }
    (graph, time)
}

fn jaccard(graph: &LiveGraph, keep: Keep) -> Arc<Path> {
    let hop = |reverse| {
        let step = DeclaredStep::Hop { relation: "viewed".into(), reverse, select: DeclaredSelect::default() };
        Part::Path(Box::new(Declaration { step, shape: Shape::default() }))
    };
    let merger = DeclaredMerger::Word(MergerWord::Jaccard);
    let step = DeclaredStep::Jump { left: hop(true), right: hop(false), merger, with_self: false, keep };
    let declared = [("alike".to_owned(), Declaration { step, shape: Shape::default() })].into();
    let paths = link(&declared, graph.catalogue(), &|_, _| Err("no expressions here".into()));
    Arc::clone(paths.expect("the path is right").get("alike").expect("it was declared"))
}

/// Items of events drawn evenly.
fn read_items(objects: &[u32]) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
    (0..READS).map(|_| objects[rng.random_range(0..objects.len())]).collect()
}

/// All that goes with an item: the ids of these data have no texts, so nobody could be named.
fn all(graph: &LiveGraph, path: &Path, item: u32) -> Vec<(ObjectId, u64)> {
    let mut list = Vec::new();
    path.reach(graph, ObjectId(item), &mut Scratch::default(), &mut list);
    let mut scores: Vec<_> = list.iter().map(|reached| (reached.object, reached.score.to_bits())).collect();
    scores.sort_unstable();
    scores
}

fn read_times(graph: &LiveGraph, path: &Path, items: &[u32]) -> (Duration, Duration) {
    let mut scratch = Scratch::default();
    let mut read = |&item: &u32| {
        let start = cpu_time();
        std::hint::black_box(path.find(graph, ObjectId(item), LIST, &mut scratch));
        cpu_time() - start
    };
    let mut times: Vec<_> = items.iter().map(&mut read).collect();
    times.sort_unstable();
    (times[READS / 2], times[READS * 99 / 100])
}
