//! Ten times as many events as lists can follow, for two minutes: what waits is bounded, windows shrink and recover, and in
//! the end no list differs from what its path leads to. A million likes of 50,000 people, two workers, two evaluators, the
//! product's windows; lists go to a store in memory. Ends with one line of JSON. `-- 10` takes so many seconds.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../../graph/tests/paths/expressions.rs"]
mod expressions;
#[allow(dead_code)]
#[path = "../../graph/tests/paths/graph.rs"]
mod graph;
#[path = "overload/load.rs"]
mod load;
#[allow(dead_code)]
#[path = "../../graph/tests/paths/random.rs"]
mod random;
#[allow(dead_code)]
#[path = "../tests/support/mod.rs"]
mod support;

use load::{Load, Report};
use proxima_engine::{EpochConfig, RunConfig, SinkNode, Topology, run};
use proxima_event::Epoch;
use proxima_graph::path::{Path, link};
use proxima_graph::{Direction, Graph, LiveGraph, ObjectId, RelationId, RelationRules};
use proxima_publish::{Evaluators, Faults, PublishRules, Publisher, Setting, WindowRules, lower_publish};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::store::{Bomb, ListStore};
use support::{Lists, evaluate, lower};

const SECONDS: f64 = 120.0;
const WORKERS: usize = 2;
const LISTED: usize = 10;

fn main() {
    let seconds = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(SECONDS);
    let path = liked_together();
    let rules = vec![RelationRules::default(); graph::catalogue().relations.len()];
    let graph = Arc::new(LiveGraph::new(graph::catalogue(), &rules, WORKERS));
    let (report, store) = (Arc::new(Mutex::new(Report::default())), ListStore::default());
    carry_out(&graph, &path, &store, (seconds, &report));
    let (held, expected) = (store.lists(), evaluate(&graph, &path, LISTED));
    let differences = differences(&held, &expected);
    let report = report.lock().unwrap();
    println!("{}", report.to_json(events_in(&graph), (expected.len(), differences)));
    assert_eq!(differences, 0, "no list differs from what its path leads to");
    assert_eq!(events_in(&graph), report.events, "no event is lost");
}

/// Items that the same users like, by how often.
fn liked_together() -> Arc<Path> {
    let path = random::there_and_back().remove("liked_true_sum").unwrap();
    let paths = link(&[("top".to_owned(), path)].into(), &graph::catalogue(), &expressions::compile).unwrap();
    let (_, path) = paths.iter().next().unwrap();
    Arc::clone(path)
}

fn carry_out(graph: &Arc<LiveGraph>, path: &Arc<Path>, store: &ListStore, load: (f64, &Arc<Mutex<Report>>)) {
    // Nothing is held back: what bounds the work are the windows alone.
    let window = WindowRules { interval_us: 0, ..WindowRules::default() };
    let rules = PublishRules { name: "top".to_owned(), n: LISTED, began: Epoch(0), window };
    let setting = Setting::default();
    let (clock, wake) = (Arc::clone(&setting.clock), setting.wake.clone());
    let publisher = Arc::new(Publisher::new(Arc::clone(graph), Arc::clone(path), rules, clock, wake));
    let source = Box::new(Load { publisher: Arc::clone(&publisher), seconds: load.0, report: Arc::clone(load.1) });
    let mut topology = Topology::new();
    let (ends, forget) = lower(graph, source, &mut topology);
    let input = lower_publish(&mut topology, &publisher, &ends, Some(forget));
    topology.sink(SinkNode { name: "top".to_owned(), input, sink: Box::new(store.sink(&Bomb::never())) });
    let evaluators = Evaluators::start(graph, vec![publisher], setting, (2, Faults::default()));
    // Short epochs, so that to wait for one says little when it is measured what is possible.
    let epochs = EpochConfig { interval: Duration::from_millis(10), ..EpochConfig::default() };
    run(topology, RunConfig { workers: WORKERS, epochs, ..RunConfig::default() }).unwrap().wait().unwrap();
    drop(evaluators);
}

/// How many events the graph holds: each adds one to the weight of an edge.
fn events_in(graph: &LiveGraph) -> u64 {
    let liked = graph::catalogue().relation("liked").unwrap();
    graph.objects(graph::USER).into_iter().map(|user| weight(graph, liked, user)).sum()
}

fn weight(graph: &LiveGraph, liked: RelationId, user: ObjectId) -> u64 {
    let mut edges = Vec::new();
    graph.edges(liked, Direction::Forward, user, &mut edges);
    edges.iter().map(|edge| edge.weight as u64).sum()
}

/// How many lists one has and the other has not, or not so.
fn differences(held: &Lists, expected: &Lists) -> usize {
    let wrong = expected.iter().filter(|(name, list)| held.get(*name) != Some(list)).count();
    wrong + held.keys().filter(|name| !expected.contains_key(*name)).count()
}
