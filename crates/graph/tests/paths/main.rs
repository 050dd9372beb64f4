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
use graph::{Row, TextGraph, catalogue};
use oracle::Oracle;
use proxima_graph::path::{Declarations, Found, Keep, Path, Paths, Scratch, Step, link};
use proxima_graph::{Graph, KindId, RelationId, Value};
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

/// Weights of all sizes, and rows so old that nothing is left of them: whatever is too great or too small for units, a
/// cosine is one, and the same however it is computed.
#[test]
fn a_cosine_is_one_of_any_weights_and_ages() {
    let (mut scratch, mut cosines) = (Scratch::default(), [0; 2]);
    for seed in 0..32 {
        let mut rng = ChaCha8Rng::seed_from_u64(3_000 + seed);
        let mut graph = TextGraph::random(&mut rng);
        let bits = [0, 12, 26, 30, 40, 46, 54, 56][seed as usize % 8];
        for row in &mut graph.rows {
            let most = 1_i64 << rng.random_range(0..=bits);
            row.weight *= rng.random_range(1..=most);
        }
        let paths = linked(&random::cosines(&mut rng));
        for (name, path) in paths.iter() {
            for keep_sums in [false, true] {
                // No graph keeps sums that are not exact as floats.
                graph.keep_sums = keep_sums && bits < 20;
                // Scores that are cut off are not worth agreeing on.
                if bits < 50 {
                    let what = format!("seed {seed}, path {name}");
                    cosines[usize::from(keep_sums)] += check(&graph, &graph, path, &mut scratch, &what);
                }
            }
            for start in graph.names(path.from) {
                let found = path.find(&graph, graph.id(path.from, &start).unwrap(), usize::MAX, &mut scratch);
                assert!(found.iter().all(|found| found.score.abs() <= 1.0), "seed {seed}, {name}: {found:?}");
            }
        }
    }
    assert!(cosines[0] > 1_000 && cosines[0] == cosines[1], "the lists are worth looking at: {cosines:?}");
}

/// A row of the first relation.
fn row(subject: &str, object: &str, weight: i64, day: i64) -> Row {
    Row {
        relation: RelationId(0),
        subject: subject.into(),
        object: object.into(),
        weight,
        time_us: day * 86_400_000_000,
        attributes: vec![Value::Null; 2],
    }
}

/// Two products that both bought a thousand million times are alike, and what is old beside them is like nothing.
#[test]
fn the_same_great_weights_are_alike_and_what_has_faded_is_not() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let pairs = [("ann", "a"), ("ann", "b"), ("bob", "a"), ("bob", "b")];
    let mut rows: Vec<Row> = pairs.map(|(user, item)| row(user, item, 1_000_000_000, 40)).into();
    rows.push(row("ann", "old", 1_000_000_000, 0));
    rows.push(row("ann", "faded", 1, 0));
    let graph = TextGraph::new(catalogue(), rows, &mut rng);
    let from_a = |half_life_us| {
        let paths = linked(&random::cosine_of("viewed", half_life_us));
        let path = paths.get("cosine").unwrap();
        check(&graph, &graph, path, &mut Scratch::default(), "great weights");
        let found = path.find(&graph, graph.id(path.from, "a").unwrap(), usize::MAX, &mut Scratch::default());
        found.into_iter().map(|found| (found.name.to_string(), found.score)).collect::<Vec<_>>()
    };
    let half = (0.5_f64.sqrt() * 2f64.powi(40)).round() / 2f64.powi(40);
    let named =
        |list: &[(&str, f64)]| list.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect::<Vec<_>>();
    assert_eq!(from_a(None), named(&[("b", 1.0), ("faded", half), ("old", half)]));
    let faded = from_a(Some(86_400_000_000));
    assert_eq!(faded[0], ("b".to_owned(), 1.0));
    assert!(faded.iter().all(|(name, score)| name != "faded" && score.abs() <= 1.0), "{faded:?}");
}

/// A dislike and a like later: the weights cancel, the scores do not, as the older one has faded.
#[test]
fn an_object_whose_weights_cancel_has_a_finite_score() {
    let rows =
        vec![row("ann", "tea", -1, 0), row("ann", "tea", 1, 5), row("ann", "cup", 1, 5), row("bob", "cup", 1, 5)];
    let graph = TextGraph::new(catalogue(), rows, &mut ChaCha8Rng::seed_from_u64(5));
    let paths = linked(&random::fading_of("viewed", 5 * 86_400_000_000));
    let from_ann = |name: &str| {
        let path = paths.get(name).unwrap();
        check(&graph, &graph, path, &mut Scratch::default(), "weights that cancel");
        let found = path.find(&graph, graph.id(path.from, "ann").unwrap(), usize::MAX, &mut Scratch::default());
        found.into_iter().map(|found| (found.name.to_string(), found.score)).collect::<BTreeMap<_, _>>()
    };
    // Half of the dislike is left, and one object leads there: ann.
    assert_eq!(from_ann("popular")["tea"], 0.5);
    assert!((from_ann("idf")["tea"] - 0.5 * 2f64.ln()).abs() < 1e-11, "{:?}", from_ann("idf"));
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
