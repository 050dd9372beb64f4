//! Maintained lists against lists computed from the whole relation at once, for random relations: with repeats and
//! removals, cut into epochs anywhere, on 1, 2 and 4 workers, and after restarts on other numbers of workers.

#![allow(clippy::unwrap_used)]

mod support;

use proxima_event::KeyGroupSet;
use proxima_graph::{Merger, PathConfig, PathReader};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use support::naive::{COLUMNS, Row, assert_equal, random_stream, reader};
use support::{MemoryStore, Mesh, relation};

/// Feeds rows in epochs and batches cut at random, shuffled within each epoch.
fn feed(mesh: &mut Mesh, rows: &[Row], rng: &mut ChaCha8Rng, last: bool) {
    let mut rest = rows;
    while !rest.is_empty() {
        let longest = [1, 20, 2_000][rng.random_range(0..3)];
        let (epoch, later) = rest.split_at(rng.random_range(0..=longest.min(rest.len())));
        let mut epoch = epoch.to_vec();
        for index in (1..epoch.len()).rev() {
            epoch.swap(index, rng.random_range(0..=index));
        }
        let batches = epoch.chunks(rng.random_range(1..50)).map(relation).collect();
        mesh.epoch(batches, false);
        rest = later;
    }
    mesh.epoch(Vec::new(), last);
}

#[test]
fn maintained_lists_equal_naive_ones() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = random_stream(&mut rng);
        let merger = [Merger::Cosine, Merger::Cosine, Merger::Jaccard, Merger::Count][seed as usize % 4];
        for workers in [1, 2, 4] {
            let store = Arc::new(MemoryStore::default());
            // All rows kept, none, and some.
            let hot_above = [0, u32::MAX, 2, 5][rng.random_range(0..4)];
            let mut mesh = Mesh::new(workers, COLUMNS, (rng.random_range(0..5), hot_above), Arc::clone(&store));
            feed(&mut mesh, &rows, &mut rng, true);
            assert_equal(&reader(&store, merger), &rows, merger, &format!("seed {seed}, {workers} workers"));
        }
    }
}

#[test]
fn a_reader_follows_the_stream() {
    for seed in 100..110 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = random_stream(&mut rng);
        let store = Arc::new(MemoryStore::default());
        let mut mesh = Mesh::new(2, COLUMNS, (1, 2), Arc::clone(&store));
        let reader = reader(&store, Merger::Cosine);
        let mut until = 0;
        while until < rows.len() {
            let from = until;
            until = rows.len().min(from + rng.random_range(1..200));
            feed(&mut mesh, &rows[from..until], &mut rng, false);
            assert_equal(&reader, &rows[..until], Merger::Cosine, &format!("seed {seed} at {until}"));
        }
    }
}

#[test]
fn changes_are_held_back_no_longer_than_they_may_be() {
    let store = Arc::new(MemoryStore::default());
    let mut mesh = Mesh::new(1, COLUMNS, (4, 2), Arc::clone(&store));
    let reader = reader(&store, Merger::Count);
    let bought = |object: &str| relation(&[("u".into(), object.into(), 1)]);
    mesh.epoch(vec![bought("a")], false);
    for _ in 0..2 {
        mesh.epoch(vec![bought("b")], false);
        assert!(reader.similar("a", 1).unwrap().is_none());
    }
    mesh.epoch(Vec::new(), false);
    assert_eq!(reader.similar("a", 1).unwrap().unwrap().neighbours[0].id, "b");
}

#[test]
fn state_is_taken_up_by_any_number_of_workers() {
    for seed in 200..220 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = random_stream(&mut rng);
        let store = Arc::new(MemoryStore::default());
        let reader = reader(&store, Merger::Cosine);
        let mut mesh = Mesh::new(2, COLUMNS, (2, 2), Arc::clone(&store));
        let (parts, mut from) = ([4, 1, 1, 3, 2], 0);
        for (part, workers) in parts.into_iter().enumerate() {
            let until = rows.len() * (part + 1) / (parts.len() + 1);
            feed(&mut mesh, &rows[from..until], &mut rng, false);
            mesh.save(&KeyGroupSet::of_worker(part, 7));
            if rng.random_bool(0.6) {
                mesh = mesh.restart(workers, COLUMNS, (2, 4));
            }
            from = until;
        }
        feed(&mut mesh, &rows[from..], &mut rng, true);
        assert_equal(&reader, &rows, Merger::Cosine, &format!("seed {seed}"));
    }
}

#[test]
fn an_unknown_object_is_no_error_and_damage_is() {
    let store = Arc::new(MemoryStore::default());
    let reader = reader(&store, Merger::Cosine);
    assert!(reader.similar("nobody", 10).unwrap().is_none());
    let mut mesh = Mesh::new(1, COLUMNS, (1, 2), Arc::clone(&store));
    mesh.epoch(vec![relation(&[("u".into(), "a".into(), 1), ("u".into(), "b".into(), 1)])], true);
    assert!(reader.similar("nobody", 10).unwrap().is_none());
    assert_eq!(reader.similar("a", 10).unwrap().unwrap().neighbours.len(), 1);
    store.put("paths/p", b"ia", b"not an id");
    let message = reader.similar("a", 10).unwrap_err().to_string();
    assert_eq!(message, "cannot read paths/p: the id is damaged");
}

#[test]
fn attributes_stand_beside_objects_that_have_them() {
    let store = Arc::new(MemoryStore::default());
    let config: PathConfig =
        serde_json::from_str(r#"{"kind": "pairs", "relation": "bought", "object": "product"}"#).unwrap();
    let reader = PathReader::new(Arc::clone(&store) as _, "p", &config);
    let mut mesh = Mesh::new(1, COLUMNS, (1, 2), Arc::clone(&store));
    mesh.epoch(vec![relation(&[("u".into(), "a".into(), 1), ("u".into(), "b".into(), 1)])], true);
    store.put("objects/product", b"b", br#"{"description":"WHITE HEART"}"#);
    let answer = serde_json::to_value(reader.similar("a", 10).unwrap().unwrap()).unwrap();
    let expected = serde_json::json!({"id": "a", "norm": 1, "neighbours": [
        {"id": "b", "score": 1.0, "pairs": 1, "norm": 1, "attributes": {"description": "WHITE HEART"}}
    ]});
    assert_eq!(answer, expected);
}
