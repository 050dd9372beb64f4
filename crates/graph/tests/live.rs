//! The live graph against edges worked out from the whole relation at once: with rows that come again, late and out of
//! order, and are taken back; cut into epochs anywhere, on 1, 2 and 4 workers, and after restarts on other numbers.

#![allow(clippy::unwrap_used)]

mod support;

use proxima_event::KeyGroupSet;
use proxima_graph::{Direction, Graph, LiveGraph, ObjectId, RelationRules};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use support::live::{ITEMS, LiveMesh, Row, Shape, USERS, VIEWED, assert_graph, assert_graph_but_newest, random_rows};

/// Relations with and without times, attributes, a lifetime and a number of edges to keep.
fn shape(seed: u64) -> Shape {
    let timed = !seed.is_multiple_of(4);
    let lifetime_us = (timed && !seed.is_multiple_of(3)).then_some([50_000_000, 300, 3_000_000][seed as usize % 3]);
    let keep = (timed && seed.is_multiple_of(2)).then_some([1, 3, 20][seed as usize / 2 % 3]);
    // All objects keep rows, none, or some.
    let hot = [Some(0), Some(u64::MAX), Some(20), Some(60), None];
    let (hot_work, hot_counts) = (hot[seed as usize % 5], hot[seed as usize / 5 % 5]);
    Shape {
        timed,
        attributed: seed % 7 < 2,
        rules: RelationRules { lifetime_us, keep, hot_work, hot_counts, ..Default::default() },
    }
}

#[test]
fn the_graph_holds_what_the_rows_say() {
    for seed in 0..120 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = shape(seed);
        let rows = random_rows(&mut rng, &shape);
        for workers in [1, 2, 4] {
            let mut mesh = LiveMesh::new(shape, workers);
            mesh.feed(&rows, &mut rng);
            assert_graph(&mesh.graph, &rows, &shape, &format!("seed {seed}, {workers} workers, {shape:?}"));
        }
    }
}

#[test]
fn state_is_taken_up_by_any_number_of_workers() {
    for seed in 300..360 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = shape(seed);
        let rows = random_rows(&mut rng, &shape);
        let mut mesh = LiveMesh::new(shape, 2);
        let (parts, mut from) = ([4, 1, 1, 3, 2], 0);
        for (part, workers) in parts.into_iter().enumerate() {
            let until = rows.len() * (part + 1) / (parts.len() + 1);
            mesh.feed(&rows[from..until], &mut rng);
            mesh.save(&KeyGroupSet::of_worker(part, 7));
            if rng.random_bool(0.6) {
                mesh = mesh.restart(workers);
            }
            if rng.random_bool(0.5) {
                mesh.epoch(&[], &[]);
                assert_graph(&mesh.graph, &rows[..until], &shape, &format!("seed {seed} at {until}, {shape:?}"));
            }
            from = until;
        }
        mesh.feed(&rows[from..], &mut rng);
        assert_graph(&mesh.graph, &rows, &shape, &format!("seed {seed}, {shape:?}"));
    }
}

/// Edges that a later save has added are written only when all workers have loaded, as the first epoch ends: whoever asks
/// before would miss them, and must be told so.
#[test]
fn a_graph_is_whole_when_every_worker_has_written_what_it_loaded() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let shape = Shape { timed: true, attributed: false, rules: RelationRules::default() };
    let rows = random_rows(&mut rng, &shape);
    let (before, after) = rows.split_at(rows.len() / 2);
    let mut mesh = LiveMesh::new(shape, 1);
    mesh.feed(before, &mut rng);
    assert!(mesh.graph.is_whole(), "nothing was loaded");
    mesh.save(&KeyGroupSet::none());
    mesh.feed(after, &mut rng);
    mesh.save(&KeyGroupSet::none());
    let edges = mesh.graph.edge_count(VIEWED);

    let mut mesh = mesh.restart(2);
    let loaded = mesh.graph.edge_count(VIEWED);
    assert!(!mesh.graph.is_whole() && loaded != edges, "{loaded} of {edges} edges");
    mesh.end_epoch_of(0);
    assert!(!mesh.graph.is_whole(), "the other worker's edges are missing");
    mesh.end_epoch_of(1);
    assert!(mesh.graph.is_whole());
    mesh.epoch(&[], &[]);
    assert_graph(&mesh.graph, &rows, &shape, "when it is whole");
}

/// Of rows that only ever come, what newer ones hide is dropped; what is shown is the same.
#[test]
fn what_is_never_shown_again_is_dropped() {
    for seed in 700..780 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let keep = [1, 3, 20][seed as usize % 3];
        let rules = RelationRules { keep: Some(keep), only_newest: true, ..shape(seed).rules };
        let shape = Shape { timed: true, rules, ..shape(seed) };
        let rows = random_rows(&mut rng, &shape).into_iter().map(|row| Row { weight: 1, times: 1, ..row });
        let rows: Vec<Row> = rows.collect();
        let mut mesh = LiveMesh::new(shape, 2);
        for (part, rows) in rows.chunks(rows.len().div_ceil(3).max(1)).enumerate() {
            mesh.feed(rows, &mut rng);
            mesh.save(&KeyGroupSet::of_worker(part, 7));
            if rng.random_bool(0.5) {
                mesh = mesh.restart([1, 4, 2][part]);
            }
        }
        mesh.epoch(&[], &[]);
        assert_graph(&mesh.graph, &rows, &shape, &format!("seed {seed}, {shape:?}"));
        let subjects: BTreeSet<&str> = rows.iter().map(|row| row.subject.as_str()).collect();
        let most = subjects.len() as u64 * u64::from(keep);
        assert!(mesh.graph.edge_count(VIEWED) <= most, "seed {seed}: {shape:?}");
    }
}

/// Rows as if the forgotten objects had not been there before.
fn without(rows: &[Row], kind: &str, id: &str) -> Vec<Row> {
    let is_of = |row: &&Row| if kind == "user" { row.subject != id } else { row.object != id };
    rows.iter().filter(is_of).cloned().collect()
}

#[test]
fn who_is_forgotten_was_never_there() {
    for seed in 500..580 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = shape(seed);
        let rows: Vec<Row> =
            random_rows(&mut rng, &shape).into_iter().filter(|row| row.times > 0 && row.weight < 1 << 20).collect();
        let mut mesh = LiveMesh::new(shape, 2);
        let (mut known, mut from): (Vec<Row>, usize) = (Vec::new(), 0);
        // The newest time of a relation stays what it was: it belongs to nobody.
        let newest = |until: usize| rows[..until].iter().map(|row| row.time_us).max();
        for part in 0..5 {
            let until = rows.len() * (part + 1) / 5;
            mesh.feed(&rows[from..until], &mut rng);
            known.extend_from_slice(&rows[from..until]);
            let leaving =
                [("user", format!("u{}", rng.random_range(0..4))), ("item", format!("i{}", rng.random_range(0..6)))];
            let leaving = &leaving[rng.random_range(0..2)..];
            let named: Vec<(&str, &str)> = leaving.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
            mesh.epoch(&[], &named);
            for (kind, id) in &named {
                known = without(&known, kind, id);
                let kind = if *kind == "user" { USERS } else { ITEMS };
                assert_eq!(mesh.graph.id(kind, id), None, "seed {seed}: the text is gone");
            }
            if shape.rules.lifetime_us.is_none() || known.iter().map(|row| row.time_us).max() == newest(until) {
                assert_graph_but_newest(&mesh.graph, &known, &shape, &format!("seed {seed} at {until}, {shape:?}"));
            }
            mesh.save(&KeyGroupSet::of_worker(part, 7));
            if rng.random_bool(0.5) {
                mesh = mesh.restart([1, 4, 2, 3, 2][part]);
                mesh.epoch(&[], &[]);
                named.iter().for_each(|(kind, id)| {
                    let kind = if *kind == "user" { USERS } else { ITEMS };
                    assert_eq!(mesh.graph.id(kind, id), None, "seed {seed}: also after a restart");
                });
            }
            from = until;
        }
        if shape.rules.lifetime_us.is_none() || known.iter().map(|row| row.time_us).max() == newest(rows.len()) {
            assert_graph_but_newest(&mesh.graph, &known, &shape, &format!("seed {seed}, {shape:?}"));
        }
    }
}

/// Objects that are paired with most others have a place for each in their rows; sums that outgrow it go on elsewhere.
#[test]
fn objects_that_go_with_all_others_have_exact_sums() {
    for (seed, heavy) in [(1, 3), (2, 1 << 17), (3, 1 << 40)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rules = |hot_work| RelationRules { hot_work, ..RelationRules::default() };
        let shape = Shape { timed: false, attributed: false, rules: rules(None) };
        let [hot, cold] = [Some(2_000), Some(u64::MAX)]
            .map(|hot_work| LiveGraph::new(support::live::catalogue(&shape), &[rules(hot_work)], 1));
        let mut most = 0;
        for _ in 0..60 {
            let rows = 0..rng.random_range(1..200);
            // Some are taken back, and ids rise while rows are there.
            most = (most + 7).min(300);
            let subjects: Vec<u32> = rows.clone().map(|_| rng.random_range(0..40)).collect();
            let objects: Vec<u32> =
                rows.clone().map(|_| rng.random_range(0..most).min(rng.random_range(0..300))).collect();
            let weights: Vec<i64> = rows
                .map(|_| match rng.random_range(0..60) {
                    0 => heavy,
                    1..20 => -1,
                    _ => 2,
                })
                .collect();
            for graph in [&hot, &cold] {
                graph.relate(VIEWED, subjects.clone(), objects.clone(), weights.clone(), Vec::new());
            }
            let id = ObjectId(rng.random_range(0..most));
            let sums = |graph: &LiveGraph| {
                let mut sums = Vec::new();
                let is_there = graph.pair_sums(VIEWED, Direction::Reverse, id, &mut sums);
                sums.sort_unstable();
                is_there.then_some(sums)
            };
            assert_eq!(sums(&hot), sums(&cold), "seed {seed}, pairs of {id:?}");
            let best = |graph: &LiveGraph| {
                let mut best = Vec::new();
                graph.best_pairs(VIEWED, Direction::Reverse, id, usize::MAX >> 8, &mut best);
                best.sort_unstable_by_key(|pair| pair.object);
                best
            };
            assert_eq!(best(&hot), best(&cold), "seed {seed}, best of {id:?}");
        }
        assert!(heavy > 3 || hot.hot_count(VIEWED) > 10, "seed {seed}: {} are hot", hot.hot_count(VIEWED));
    }
}

#[test]
fn one_person_with_a_thousand_relations_is_forgotten_quickly() {
    let rules = RelationRules { hot_work: Some(1 << 10), ..RelationRules::default() };
    let shape = Shape { timed: false, attributed: false, rules };
    let row = |user: usize, item: usize| Row {
        subject: format!("u{user}"),
        object: format!("i{item}"),
        weight: 1,
        time_us: 0,
        device: None,
        times: 1,
    };
    let rows: Vec<Row> =
        (0..1_000).map(|item| row(0, item)).chain((0..20_000).map(|n| row(1 + n % 500, n * 7 % 1_000))).collect();
    let mut mesh = LiveMesh::new(shape, 1);
    mesh.feed(&rows, &mut ChaCha8Rng::seed_from_u64(1));
    let start = std::time::Instant::now();
    mesh.epoch(&[], &[("user", "u0")]);
    // In a build for tests, which takes many times what a release does.
    assert!(start.elapsed().as_millis() < 2_000, "{:?}", start.elapsed());
    assert_eq!(mesh.graph.id(USERS, "u0"), None);
    assert_graph(&mesh.graph, &without(&rows, "user", "u0"), &shape, "a thousand relations");
}
