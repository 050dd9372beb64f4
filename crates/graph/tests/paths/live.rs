//! The same random paths over a live graph: written by 1, 2 and 4 workers, with rows that are taken back, expire or are
//! hidden, with objects forgotten and with restarts in between; all objects keep rows of sums, some, or none.

use crate::graph::{Row, TextGraph, catalogue};
use crate::mesh::{Counted, Mesh};
use crate::{check, linked, random};
use proxima_event::KeyGroupSet;
use proxima_graph::graph::NO_TIME;
use proxima_graph::path::{Keeping, Memo, Scratch};
use proxima_graph::{KindId, RelationRules, Value};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const GRAPHS: u64 = 60;
const PARTS: usize = 4;
const MINUTE_US: i64 = 60_000_000;

/// What tells edges apart, in the order in which `keep` hides them: the last first.
type Key = (String, std::cmp::Reverse<i64>, String, String);

/// What the relations must hold, by nothing but the definition.
struct Model {
    rules: Vec<RelationRules>,
    newest_us: Vec<i64>,
    edges: Vec<BTreeMap<Key, Row>>,
}

impl Model {
    fn new(rules: &[RelationRules]) -> Self {
        Self { rules: rules.to_vec(), newest_us: vec![NO_TIME; rules.len()], edges: vec![BTreeMap::new(); rules.len()] }
    }

    fn apply(&mut self, (row, times): &Counted) {
        let number = usize::from(row.relation.0);
        self.newest_us[number] = self.newest_us[number].max(row.time_us);
        let attributes: String = row.attributes.iter().map(ordered).collect();
        let key = (row.subject.clone(), std::cmp::Reverse(row.time_us), row.object.clone(), attributes);
        let edge = self.edges[number].entry(key).or_insert_with(|| Row { weight: 0, ..row.clone() });
        edge.weight += row.weight * times;
    }

    fn forget(&mut self, kind: &str, id: &str) {
        let catalogue = catalogue();
        for (edges, relation) in self.edges.iter_mut().zip(&catalogue.relations) {
            let is = |end: KindId, name: &str| catalogue[end].name == kind && name == id;
            edges.retain(|_, row| !is(relation.subject, &row.subject) && !is(relation.object, &row.object));
        }
    }

    fn graph(&self, rng: &mut ChaCha8Rng) -> TextGraph {
        let mut rows = Vec::new();
        for ((edges, rules), newest_us) in self.edges.iter().zip(&self.rules).zip(&self.newest_us) {
            let bound = rules.lifetime_us.map_or(i64::MIN, |lifetime| newest_us.saturating_sub(lifetime));
            let mut shown = BTreeMap::<&str, u32>::new();
            for row in edges.values().filter(|row| row.weight != 0 && row.time_us >= bound) {
                let shown = shown.entry(&row.subject).or_default();
                *shown += 1;
                if rules.keep.is_none_or(|keep| *shown <= keep) {
                    rows.push(row.clone());
                }
            }
        }
        let mut graph = TextGraph::new(catalogue(), rows, rng);
        graph.newest_us.clone_from(&self.newest_us);
        graph
    }
}

/// A text in the order of values: those that are not known first.
fn ordered(value: &Value) -> String {
    match value {
        Value::Null => " ".to_owned(),
        Value::Bool(value) => format!("!{}", u8::from(*value)),
        Value::Int(value) => format!("!{value}"),
        value => format!("!{value:?}"),
    }
}

fn rules(rng: &mut ChaCha8Rng, hot_work: Option<u64>) -> Vec<RelationRules> {
    let rule = |timed: bool| RelationRules {
        lifetime_us: (timed && rng.random_bool(0.4)).then(|| rng.random_range(20..150) * MINUTE_US),
        keep: (timed && rng.random_bool(0.4)).then(|| rng.random_range(1..5)),
        hot_work,
        hot_counts: hot_work,
        ..RelationRules::default()
    };
    catalogue().relations.iter().map(|relation| relation.timed).map(rule).collect()
}

/// Runs rows in epochs cut at random, shuffled within each.
fn feed(mesh: &mut Mesh, rows: &[Counted], rng: &mut ChaCha8Rng) {
    let mut rest = rows;
    while !rest.is_empty() {
        let (epoch, later) = rest.split_at(rng.random_range(1..=rest.len()));
        let mut epoch = epoch.to_vec();
        for last in (1..epoch.len()).rev() {
            epoch.swap(last, rng.random_range(0..=last));
        }
        mesh.epoch(&epoch, &[]);
        rest = later;
    }
}

/// Rows of which some are taken back: only such as are still there.
fn changes(rows: Vec<Row>, there: &mut Vec<Row>, rng: &mut ChaCha8Rng) -> Vec<Counted> {
    let mut changes = Vec::new();
    for row in rows {
        there.push(row.clone());
        changes.push((row, 1));
        if rng.random_bool(0.2) {
            let gone = there.swap_remove(rng.random_range(0..there.len()));
            changes.push((gone, -1));
        }
    }
    changes
}

#[test]
fn random_paths_over_a_live_graph_equal_the_naive_evaluator() {
    let (mut scratch, mut objects, mut hot) = (Scratch::default(), 0, 0);
    for seed in 0..GRAPHS {
        let mut rng = ChaCha8Rng::seed_from_u64(5_000 + seed);
        let rules = rules(&mut rng, [Some(0), None, Some(12), Some(u64::MAX), Some(40)][seed as usize % 5]);
        let mut mesh = Mesh::new(&rules, [1, 2, 4][seed as usize % 3]);
        let (mut model, mut there) = (Model::new(&rules), Vec::new());
        let paths = linked(&random::paths(&mut rng, 3));
        let loops = linked(&random::there_and_back());
        // Kept while the graph changes: what is in it must not be given for what is.
        let mut memo = busy_memo();
        for part in 0..PARTS {
            // Times go on from part to part.
            let mut rows = TextGraph::random(&mut rng).rows;
            rows.iter_mut()
                .filter(|row| row.time_us != NO_TIME)
                .for_each(|row| row.time_us += part as i64 * 90 * MINUTE_US);
            let changes = changes(rows, &mut there, &mut rng);
            feed(&mut mesh, &changes, &mut rng);
            changes.iter().for_each(|change| model.apply(change));
            if rng.random_bool(0.6) {
                let gone = [("user", 12), ("item", 12), ("tag", 5)][rng.random_range(0..3)];
                let gone = (gone.0.to_owned(), format!("{}{}", gone.0, rng.random_range(0..gone.1)));
                mesh.epoch(&[], std::slice::from_ref(&gone));
                model.forget(&gone.0, &gone.1);
                // Names of objects begin with their kinds.
                there.retain(|row| row.subject != gone.1 && row.object != gone.1);
            }
            if rng.random_bool(0.5) {
                let workers = [1, 2, 4][rng.random_range(0..3)];
                mesh = mesh.restart(&KeyGroupSet::of_worker(part, 5), workers);
                memo = busy_memo();
            }
            let graph = model.graph(&mut rng);
            let what = format!("seed {seed}, part {part}, {rules:?}");
            for (name, path) in paths.iter().filter(|(name, _)| name.starts_with("top")) {
                objects += check(&graph, &*mesh.graph, path, &mut scratch, &format!("{what}, path {name}"));
                let mut keeping = Scratch::keeping(Some(Keeping::exact(Arc::clone(&memo))));
                for time in ["first", "second"] {
                    check(&graph, &*mesh.graph, path, &mut keeping, &format!("{what}, path {name} the {time} time"));
                }
            }
            for (name, path) in loops.iter().filter(|_| part % 2 == 1) {
                objects += check(&graph, &*mesh.graph, path, &mut scratch, &format!("{what}, path {name}"));
            }
        }
        hot += (0..).map(proxima_graph::RelationId).take(rules.len()).map(|id| mesh.graph.hot_count(id)).sum::<u64>();
    }
    assert!(objects > 10_000 && hot > 100, "the lists are worth looking at: {objects} objects, {hot} hot ones");
}

/// A memo for which all lists take long, so that all are kept.
fn busy_memo() -> Arc<Memo> {
    let time_us = AtomicU64::new(0);
    Arc::new(Memo::new(Arc::new(move || time_us.fetch_add(100, Relaxed))))
}
