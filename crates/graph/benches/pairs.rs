//! Item-to-item counting alone, on one core: how many events and pair updates a second, what a pair costs in memory,
//! and how long a list takes to read.
//!
//! The data are seeded: 30 thousand users of lognormal activity, 41 thousand items by Zipf 0.9, 800 thousand distinct
//! events in random order, full histories. All times are the thread's CPU time, so that other work on the machine
//! disturbs them little. Ends with one line of JSON.

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, UInt32Array};
use measure::{cpu_time, cumulate, draw, normal, resident_bytes};
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::{Changes, Epoch};
use proxima_graph::{Announce, Couple, HOT_ABOVE, Identify, PathReader, RelationColumns};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use support::{MemoryStore, exchange};

const SEED: u64 = 42;
const USERS: usize = 30_000;
const ITEMS: usize = 41_000;
const EVENTS: usize = 800_000;
const BATCH_ROWS: usize = 2048;
/// Batches in an epoch: as many events as 50 ms bring at some 650 thousand a second.
const EPOCH_BATCHES: usize = 16;
const READS: usize = 20_000;
const LIST: usize = 100;
const TABLE: &str = "paths/p";

fn main() {
    let events = generate();
    let (counting, bytes) = count_alone(&events, HOT_ABOVE);
    let (whole_path, store) = run_path(&events);
    let facts = Facts::of(&events);
    let reader = PathReader::new(
        Arc::clone(&store) as _,
        "p",
        &serde_json::from_str(r#"{"kind": "pairs", "relation": "r"}"#).expect("the configuration is complete"),
    );
    facts.check(&reader);
    let [even, popular] = read_times(&reader, &events);

    let others = [0, 64, 1024, u32::MAX].map(|hot_above| (hot_above, count_alone(&events, hot_above)));

    let rate = |count: usize, time: Duration| (count as f64 / time.as_secs_f64()).round();
    println!("events {EVENTS}, pair updates {}, distinct pairs {}", facts.updates, facts.pairs);
    for (hot_above, (time, bytes)) in others {
        let (rate, bytes) = (rate(EVENTS, time), bytes as f64 / facts.pairs as f64);
        println!("hot above {hot_above}: {rate} events a second, {bytes:.2} bytes a pair");
    }
    println!(
        "counting alone {counting:.2?}, whole path {whole_path:.2?} of CPU time; store {} MiB",
        store.bytes() >> 20
    );
    println!("reads of {LIST}, p50 and p99: items evenly {even:?}, by popularity {popular:?}");
    let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
    let result = serde_json::json!({
        "events_per_core_s": rate(EVENTS, counting),
        "pair_updates_per_core_s": rate(facts.updates, counting),
        "events_per_core_s_path": rate(EVENTS, whole_path),
        "bytes_per_pair": (bytes as f64 / facts.pairs as f64 * 100.0).round() / 100.0,
        "read_p50_us": micros(even.0),
        "read_p99_us": micros(even.1),
        "read_popular_p99_us": micros(popular.1),
    });
    println!("{result}");
}

/// Distinct (user, item) events in random order.
fn generate() -> Vec<(u32, u32)> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let users = cumulate((0..USERS).map(|_| (1.02 * normal(&mut rng)).exp()));
    let items = cumulate((1..=ITEMS).map(|rank| (rank as f64).powf(-0.9)));
    let mut seen = HashSet::with_capacity(EVENTS);
    let mut events = Vec::with_capacity(EVENTS);
    while events.len() < EVENTS {
        let event = (draw(&users, &mut rng), draw(&items, &mut rng));
        if seen.insert(event) {
            events.push(event);
        }
    }
    for index in (1..EVENTS).rev() {
        events.swap(index, rng.random_range(0..=index));
    }
    events
}

/// Counts from ids, without publishing: the CPU time, and the bytes that the process grew by.
fn count_alone(events: &[(u32, u32)], hot_above: u32) -> (Duration, usize) {
    let batches: Vec<Changes> = events.chunks(BATCH_ROWS).map(identified).collect();
    let mut couple = Couple::new(u64::MAX / 2, hot_above);
    let mut out = Outbox::default();
    let (before, start) = (resident_bytes(), cpu_time());
    for (epoch, batches) in batches.chunks(EPOCH_BATCHES).enumerate() {
        batches.iter().for_each(|batch| couple.apply(0, batch.clone(), &mut out));
        couple.finish(EpochEnd { epoch: Epoch(epoch as u64), last: false }, &mut out);
    }
    let time = cpu_time() - start;
    let grown = match (before, resident_bytes()) {
        (Some(before), Some(after)) => after - before,
        _ => couple.stats().bytes as usize,
    };
    (time, grown)
}

/// Rows as they leave `Identify`.
fn identified(events: &[(u32, u32)]) -> Changes {
    let subjects: StringViewArray = events.iter().map(|event| Some(user_name(event.0))).collect();
    let ids: UInt32Array = events.iter().map(|event| Some(event.1)).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("subject", Arc::new(subjects)),
        ("id", Arc::new(ids)),
        ("name", Arc::new(StringViewArray::new_null(events.len()))),
    ];
    with_hashes(&Changes::inserts(RecordBatch::try_from_iter(columns).expect("columns of one length")), 0)
}

/// The whole path from text, publishing every 20 epochs: the CPU time of the operators, and what is in the store.
fn run_path(events: &[(u32, u32)]) -> (Duration, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let batches: Vec<Changes> = events.chunks(BATCH_ROWS).map(relation).collect();
    let columns = RelationColumns { subject: 0, object: 1, weight: None, time: None };
    let (mut identify, mut announce, mut couple) = (Identify::new(columns), Announce, Couple::new(20, HOT_ABOVE));
    let (mut ids, mut published) = (Outbox::default(), Outbox::default());
    let mut time = Duration::ZERO;
    let epochs = batches.len().div_ceil(EPOCH_BATCHES);
    for (epoch, batches) in batches.chunks(EPOCH_BATCHES).enumerate() {
        let start = cpu_time();
        batches.iter().for_each(|batch| identify.apply(0, batch.clone(), &mut ids));
        for batch in ids.drain() {
            announce.apply(0, batch.clone(), &mut published);
            couple.apply(0, batch, &mut published);
        }
        couple.finish(EpochEnd { epoch: Epoch(epoch as u64), last: epoch + 1 == epochs }, &mut published);
        time += cpu_time() - start;
        published.drain().for_each(|batch| store.write(TABLE, &batch));
    }
    (time, store)
}

fn relation(events: &[(u32, u32)]) -> Changes {
    let rows: Vec<_> = events.iter().map(|event| (user_name(event.0), item_name(event.1), 1)).collect();
    with_hashes(&support::relation(&rows), 1)
}

/// The batch as it comes out of an exchange by this column.
fn with_hashes(changes: &Changes, key: usize) -> Changes {
    exchange(changes, key, 1).remove(0).1
}

fn user_name(user: u32) -> String {
    format!("user-{user:06}")
}

fn item_name(item: u32) -> String {
    format!("item-{item:06}")
}

/// What follows from the events without any of the code that is measured.
struct Facts {
    users: HashMap<u32, Vec<u32>>,
    items: HashMap<u32, Vec<u32>>,
    /// Counts of unordered pairs that were raised by one.
    updates: usize,
    pairs: usize,
}

impl Facts {
    fn of(events: &[(u32, u32)]) -> Self {
        let (mut users, mut items) = (HashMap::<u32, Vec<u32>>::new(), HashMap::<u32, Vec<u32>>::new());
        for &(user, item) in events {
            users.entry(user).or_default().push(item);
            items.entry(item).or_default().push(user);
        }
        let updates = users.values().map(|items| items.len() * (items.len() - 1) / 2).sum();
        let mut facts = Self { users, items, updates, pairs: 0 };
        let mut counts = vec![0; ITEMS];
        facts.pairs = facts.items.keys().map(|&item| facts.neighbours(item, &mut counts).len()).sum::<usize>() / 2;
        facts
    }

    /// The items that share users with an item, and how many.
    fn neighbours(&self, item: u32, counts: &mut [u64]) -> Vec<(u32, u64)> {
        let mut found = Vec::new();
        for &other in self.items[&item].iter().flat_map(|user| &self.users[user]).filter(|&&other| other != item) {
            if counts[other as usize] == 0 {
                found.push(other);
            }
            counts[other as usize] += 1;
        }
        found.into_iter().map(|other| (other, std::mem::take(&mut counts[other as usize]))).collect()
    }

    /// Compares lists of hot and cold items with ones made of the events.
    fn check(&self, reader: &PathReader) {
        let mut counts = vec![0; ITEMS];
        for item in (0..20).chain((20..ITEMS as u32).step_by(211)).filter(|item| self.items.contains_key(item)) {
            let norm = |item: u32| self.items[&item].len() as f64;
            let score =
                |(other, pairs): (u32, u64)| (pairs as f64 / (norm(item) * norm(other)).sqrt(), item_name(other));
            let mut expected: Vec<_> = self.neighbours(item, &mut counts).into_iter().map(score).collect();
            expected.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
            expected.truncate(LIST);
            let similar = reader.similar(&item_name(item), LIST).expect("the store can be read");
            let found = similar.expect("the item is known").neighbours.into_iter().map(|one| (one.score, one.id));
            assert!(found.eq(expected), "the list of {} is wrong", item_name(item));
        }
    }
}

/// p50 and p99 of reading a list, for items drawn evenly and for items of events drawn evenly.
fn read_times(reader: &PathReader, events: &[(u32, u32)]) -> [(Duration, Duration); 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
    let evenly: Vec<_> = (0..READS).map(|_| item_name(rng.random_range(0..ITEMS as u32))).collect();
    let popular: Vec<_> = (0..READS).map(|_| item_name(events[rng.random_range(0..EVENTS)].1)).collect();
    [evenly, popular].map(|items| {
        let read = |item: &String| {
            let start = cpu_time();
            std::hint::black_box(reader.similar(item, LIST).expect("the store can be read"));
            cpu_time() - start
        };
        let mut times: Vec<_> = items.iter().map(read).collect();
        times.sort_unstable();
        (times[READS / 2], times[READS * 99 / 100])
    })
}
