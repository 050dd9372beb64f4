//! Paths against a naive evaluator that knows texts and definitions alone.
#![allow(clippy::unwrap_used)]

mod expressions;
mod graph;
mod live;
mod mesh;
mod oracle;
mod random;
mod refused;

use expressions::compile;
use graph::{TextGraph, catalogue};
use oracle::Oracle;
use proxima_graph::path::{Declarations, Found, Keep, Path, Paths, Scratch, Step, link};
use proxima_graph::{Graph, KindId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Graphs, each with as many paths.
const GRAPHS: u64 = 320;
const PATHS: usize = 3;

fn linked(paths: &Declarations) -> Paths {
    link(paths, &catalogue(), &compile).unwrap_or_else(|problems| panic!("{paths:#?}\n{problems:#?}"))
}

fn list(found: &[Found]) -> Vec<(String, u64)> {
    found.iter().map(|found| (found.name.to_string(), found.score.to_bits())).collect()
}

/// Holds a path over a graph against the naive evaluator over the texts that it stands for, from each object that it can
/// begin at.
fn check(texts: &TextGraph, graph: &dyn Graph, path: &Path, scratch: &mut Scratch, what: &str) -> usize {
    let oracle = Oracle::new(texts);
    let mut objects = 0;
    for start in texts.names(path.from) {
        let id = graph.id(path.from, &start).unwrap();
        let expected = oracle.list(path, &start);
        let found = path.find(graph, id, usize::MAX, scratch);
        assert_eq!(list(&found), expected, "{what}, from {start}\n{path:#?}");
        objects += found.len();
        let few = path.find(graph, id, 3, scratch);
        assert_eq!(list(&few), expected[..expected.len().min(3)], "{what}, the first from {start}\n{path:#?}");
        for found in found.iter().take(2) {
            let (total, parts) = path.explain(graph, id, found.object, scratch).unwrap();
            assert_eq!(total as f64 / (1_u64 << 40) as f64, found.score, "{what}: {start} to {}", found.name);
            assert_eq!(parts.iter().map(|part| part.units).sum::<i128>(), total, "{what}: {start} to {}", found.name);
        }
    }
    objects
}

#[test]
fn random_paths_over_random_graphs_equal_the_naive_evaluator() {
    let mut scratch = Scratch::default();
    let mut deepest = 0;
    let mut objects = BTreeMap::<&str, usize>::new();
    for seed in 0..GRAPHS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let graph = TextGraph::random(&mut rng);
        let paths = linked(&random::paths(&mut rng, PATHS));
        for (name, path) in paths.iter().filter(|(name, _)| name.starts_with("top")) {
            let found = check(&graph, &graph, path, &mut scratch, &format!("seed {seed}, path {name}"));
            *objects.entry(word(path)).or_default() += found;
            deepest = deepest.max(depth(path));
        }
    }
    assert_eq!((deepest, objects.len()), (4, 12), "all mergers and depths come: {objects:?}");
    assert!(objects.values().all(|&objects| objects > 100), "the lists are worth looking at: {objects:?}");
}

fn word(path: &Path) -> &'static str {
    match &path.step {
        Step::Hop(_) => "hop",
        Step::Jump(jump) => jump.merger.word(),
    }
}

fn depth(path: &Path) -> usize {
    match &path.step {
        Step::Hop(_) => 1,
        Step::Jump(jump) => 1 + depth(&jump.left).max(depth(&jump.right)),
    }
}

/// The same rows under other ids and in another order: nothing of these may show.
#[test]
fn results_depend_neither_on_ids_nor_on_the_order_of_edges() {
    let mut scratch = Scratch::default();
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
        let graph = TextGraph::random(&mut rng);
        let other = graph.shuffled(&mut rng);
        let paths = linked(&random::paths(&mut rng, PATHS));
        for (name, path) in paths.iter() {
            for start in graph.names(path.from) {
                let from = |graph: &TextGraph, scratch: &mut Scratch| {
                    let id = graph.id(path.from, &start).unwrap();
                    list(&path.find(graph, id, usize::MAX, scratch))
                };
                assert_eq!(from(&graph, &mut scratch), from(&other, &mut scratch), "seed {seed}, {name}, from {start}");
            }
        }
    }
}

/// A graph that keeps sums for some objects answers as one that keeps none.
#[test]
fn maintained_and_requested_agree() {
    let mut scratch = Scratch::default();
    let mut kept = 0;
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(2_000 + seed);
        let mut graph = TextGraph::random(&mut rng);
        let paths = linked(&random::there_and_back());
        for (name, path) in paths.iter() {
            for start in graph.names(path.from) {
                let id = graph.id(path.from, &start).unwrap();
                graph.keep_sums = false;
                let requested = list(&path.find(&graph, id, usize::MAX, &mut scratch));
                graph.keep_sums = true;
                let maintained = list(&path.find(&graph, id, usize::MAX, &mut scratch));
                assert_eq!(requested, maintained, "seed {seed}, {name}, from {start}");
                kept += maintained.len();
            }
        }
    }
    assert!(kept > 1_000, "the lists are worth looking at: {kept}");
    assert_eq!(Keep::default(), Keep::Planned);
}

/// Objects of a kind without any row, and objects that only other relations know, lead nowhere.
#[test]
fn an_object_without_rows_leads_nowhere() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let graph = TextGraph::random(&mut rng);
    let paths = linked(&random::paths(&mut rng, PATHS));
    let unknown = proxima_graph::ObjectId(rng.random_range(1_000_000..2_000_000));
    for (name, path) in paths.iter() {
        assert_eq!(path.find(&graph, unknown, 10, &mut Scratch::default()), [], "{name}");
    }
    assert_eq!(graph.id(KindId(0), "nobody"), None);
}
