//! The live graph against edges worked out from the whole relation at once: with rows that come again, late and out of
//! order, and are taken back; cut into epochs anywhere, on 1, 2 and 4 workers, and after restarts on other numbers.

#![allow(clippy::unwrap_used)]

mod support;

use proxima_event::KeyGroupSet;
use proxima_graph::RelationRules;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::live::{LiveMesh, Shape, assert_graph, random_rows};

/// Relations with and without times, attributes, a lifetime and a number of edges to keep.
fn shape(seed: u64) -> Shape {
    let timed = !seed.is_multiple_of(4);
    let lifetime_us = (timed && !seed.is_multiple_of(3)).then_some([50_000_000, 300, 3_000_000][seed as usize % 3]);
    let keep = (timed && seed.is_multiple_of(2)).then_some([1, 3, 20][seed as usize / 2 % 3]);
    // All objects keep rows, none, or some.
    let hot_work = [Some(0), Some(u64::MAX), Some(20), Some(60), None][seed as usize % 5];
    Shape { timed, attributed: seed % 7 < 2, rules: RelationRules { lifetime_us, keep, hot_work } }
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
                mesh.epoch(&[]);
                assert_graph(&mesh.graph, &rows[..until], &shape, &format!("seed {seed} at {until}, {shape:?}"));
            }
            from = until;
        }
        mesh.feed(&rows[from..], &mut rng);
        assert_graph(&mesh.graph, &rows, &shape, &format!("seed {seed}, {shape:?}"));
    }
}
