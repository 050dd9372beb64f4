//! What the benchmark's views must hold for generated behaviour, computed beside the generation.

use super::Event;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

const DAY_MS: u64 = 86_400_000;
const MINUTE_MS: u64 = 60_000;

/// The types of events that the views count: all but 5.
const COUNTED: std::ops::RangeInclusive<u8> = 1..=4;

/// The contents of the two views of `benches/behaviour`, as far as they are needed to know their sizes.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    events: u64,
    counted: u64,
    devices_by_day: HashSet<(u64, u64)>,
    items_by_minute: HashMap<(u64, u64), u64>,
}

impl Answers {
    /// Counts one event in.
    pub fn add(&mut self, event: &Event) {
        self.events += 1;
        if COUNTED.contains(&event.kind) {
            self.counted += 1;
            self.devices_by_day.insert((event.ts / DAY_MS, event.device()));
            *self.items_by_minute.entry((event.item_id, event.ts / MINUTE_MS)).or_default() += 1;
        }
    }

    /// The sizes: events, events that pass the filter, rows of either view, the largest count in the second.
    #[must_use]
    pub fn key(&self) -> Value {
        json!({
            "events": self.events,
            "counted": self.counted,
            "devices_by_day": self.devices_by_day.len(),
            "items_by_minute": self.items_by_minute.len(),
            "busiest_item_minute": self.items_by_minute.values().max().copied().unwrap_or(0),
        })
    }
}
