//! What an id costs: a million texts of three lengths get ids at their key groups, as the objects of a relation do. Ends
//! with one line of JSON for each length: bytes of state in memory for each id, its text included, bytes that a checkpoint writes for
//! it before compression, bytes of each reference to it, and ids that a core gives a second.

#[allow(dead_code, reason = "this one draws nothing")]
#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::cpu_time;
use proxima_engine::{Operator, Outbox, StateWriter};
use proxima_event::{KEY_GROUPS, KeyGroup, KeyGroupSet};
use proxima_graph::live::{NameObjects, SaveNames};
use proxima_graph::{LiveGraph, ObjectId, RelationRules};
use std::sync::Arc;
use support::live::{ITEMS, Row, Shape, VIEWED, batch, catalogue, columns};

const IDS: u64 = 1_000_000;
/// Ids that come between two checkpoints.
const NEW: u64 = 10_000;
const BATCH_ROWS: u64 = 2_048;

/// A text of a number: a code, an id with a prefix, or a UUID. Multiplying by an odd number gives each number another one.
fn text(length: usize, number: u64) -> String {
    let noise = |factor: u64| (number + 1).wrapping_mul(factor);
    match length {
        7 => format!("{number:07}"),
        12 => format!("item-{number:07}"),
        _ => {
            let (high, low) = (noise(0x9E37_79B9_7F4A_7C15), noise(0xD6E8_FEB8_6659_FD93));
            let (node, sequence) = (low & 0xFFFF_FFFF_FFFF, low >> 48);
            format!("{:08x}-{:04x}-{:04x}-{sequence:04x}-{node:012x}", high >> 32, high >> 16 & 0xFFFF, high & 0xFFFF)
        }
    }
}

fn main() {
    for length in [7, 12, 36] {
        measure(length);
    }
}

fn measure(length: usize) {
    let shape = Shape { timed: false, attributed: false, rules: RelationRules::default() };
    let graph = Arc::new(LiveGraph::new(catalogue(&shape), &[shape.rules], 1));
    let (of, attributes) = columns(&shape);
    let mut name = NameObjects::new(Arc::clone(&graph), VIEWED, of, attributes);
    let mut save = SaveNames::new(Arc::clone(&graph), ITEMS, None);
    let all: KeyGroupSet = (0..KEY_GROUPS as u16).map(KeyGroup).collect();
    save.track(&all);
    let mut come = |numbers: std::ops::Range<u64>| {
        let mut spent = std::time::Duration::ZERO;
        for start in numbers.clone().step_by(BATCH_ROWS as usize) {
            let row = |number| Row {
                subject: "somebody".to_owned(),
                object: text(length, number),
                weight: 1,
                time_us: 0,
                device: None,
                times: 1,
            };
            let rows: Vec<Row> = (start..numbers.end.min(start + BATCH_ROWS)).map(row).collect();
            let (_, rows) = support::exchange(&batch(&rows, &shape), 1, 1).swap_remove(0);
            let (mut out, begin) = (Outbox::default(), cpu_time());
            name.apply(0, rows, &mut out);
            spent += cpu_time().saturating_sub(begin);
        }
        spent
    };
    let spent = come(0..IDS);
    let stats = save.stats();
    assert_eq!(stats.keys, IDS, "each text has an id");
    let whole = written(&mut save, &all);
    come(IDS..IDS + NEW);
    let new = written(&mut save, &KeyGroupSet::none());
    let each = |bytes: u64, ids: u64| (bytes as f64 / ids as f64 * 10.0).round() / 10.0;
    println!(
        "{}",
        serde_json::json!({
            "text_bytes": length,
            "state_bytes_per_id": each(stats.bytes, IDS),
            "checkpoint_bytes_per_id": each(whole, IDS),
            "checkpoint_bytes_per_new_id": each(new, NEW),
            "reference_bytes": size_of::<ObjectId>(),
            "ids_per_core_s": (IDS as f64 / spent.as_secs_f64()).round(),
        })
    );
}

/// Bytes that a checkpoint writes.
fn written(save: &mut SaveNames, rewrite: &KeyGroupSet) -> u64 {
    let mut state = StateWriter::default();
    save.save(rewrite, &mut state);
    let sections = state.encode().expect("texts can be encoded");
    sections.iter().map(|section| section.bytes.len() as u64).sum()
}
