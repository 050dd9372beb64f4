//! Random streams, applied to a store as a sink would.

use super::*;
use crate::operators::testing::{Bag, Row, Stream, V, any, any_text, compare, schema};
use arrow::datatypes::DataType;
use proxima_event::KeyGroupSet;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const TYPES: [DataType; 3] = [DataType::Utf8View, DataType::Int64, DataType::Float64];

fn row(rng: &mut ChaCha8Rng) -> Row {
    vec![any_text(rng), any(rng, &[V::Int(i128::from(i64::MAX)), V::Int(2)]), any(rng, &[V::float(0.0), V::float(1.0)])]
}

/// What a store holds that applies upserts and deletes, as the sum of what it takes for granted.
struct Store {
    net: Net,
    rows: BTreeMap<V, Row>,
}

fn spec(unique: bool, append_only: bool) -> NetSpec {
    NetSpec { input: schema(&TYPES), key: vec![0], unique, append_only, expiry: None }
}

impl Store {
    fn new(unique: bool) -> Self {
        Self { net: Net::new(spec(unique, false)), rows: BTreeMap::new() }
    }

    fn epoch(&mut self, changes: &[(Row, i64)], batch_rows: usize) {
        let mut out = Outbox::default();
        for part in changes.chunks(batch_rows) {
            let (rows, weights): (Vec<Row>, Vec<i64>) = part.iter().cloned().unzip();
            let batch = crate::operators::testing::batch(&schema(&TYPES), &rows);
            self.net.apply(0, Changes::weighted(batch, weights), &mut out);
        }
        self.net.finish(EpochEnd { epoch: proxima_event::Epoch(0), last: false }, &mut out);
        let mut seen = std::collections::BTreeSet::new();
        for changes in out.drain() {
            for (at, row) in crate::operators::testing::rows_of(&changes.rows).into_iter().enumerate() {
                assert!(seen.insert(row[0].clone()), "{:?} changes twice in an epoch", row[0]);
                if changes.weight(at) == 1 {
                    let old = self.rows.insert(row[0].clone(), row.clone());
                    assert_ne!(old.as_ref(), Some(&row), "an upsert changes something");
                } else {
                    assert_eq!(changes.weight(at), -1);
                    assert!(self.rows.remove(&row[0]).is_some(), "a delete finds its key");
                }
            }
        }
    }
}

#[test]
fn the_greatest_row_of_each_key_is_there() {
    for seed in 0..10 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut stream = Stream::new(schema(&TYPES), &[0], false, row);
        let mut store = Store::new(false);
        for _ in 0..40 {
            let changes = stream.epoch(&mut rng);
            store.epoch(&changes, rng.random_range(1..10));
            let mut expected: BTreeMap<V, Row> = BTreeMap::new();
            for row in stream.bag.keys() {
                // The bag is in ascending order.
                expected.insert(row[0].clone(), row.clone());
            }
            assert_eq!(store.rows, expected, "seed {seed}");
        }
    }
}

#[test]
fn the_only_row_of_each_key_is_there() {
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = Store::new(true);
        let mut live: BTreeMap<V, Row> = BTreeMap::new();
        for _ in 0..40 {
            let mut changes = Vec::new();
            for _ in 0..rng.random_range(0..12) {
                let new = row(&mut rng);
                if let Some(old) = live.remove(&new[0]) {
                    changes.push((old, -1));
                }
                if rng.random_bool(0.7) {
                    live.insert(new[0].clone(), new.clone());
                    changes.push((new, 1));
                }
            }
            rand::seq::SliceRandom::shuffle(&mut changes[..], &mut rng);
            store.epoch(&changes, rng.random_range(1..10));
            assert_eq!(store.rows, live, "seed {seed}");
        }
    }
}

#[test]
fn state_survives_restarts() {
    for (seed, append_only) in (0..4).flat_map(|seed| [(seed, false), (seed, true)]) {
        // A sink's view of the changes: what goes is taken for the row that was there.
        let make = || Box::new(Shown { net: Net::new(spec(false, append_only)) }) as Box<dyn Operator>;
        let stream = Stream::new(schema(&TYPES), &[0], append_only, row);
        compare(seed, vec![stream], &make, &|bags| {
            let last: BTreeMap<&V, &Row> = bags[0].keys().map(|row| (&row[0], row)).collect();
            last.into_values().map(|row| (row.clone(), 1)).collect::<Bag>()
        });
    }
}

/// A net that also takes back the row that an upsert replaces, so that its output adds up.
struct Shown {
    net: Net,
}

impl Operator for Shown {
    fn apply(&mut self, input: usize, changes: Changes, out: &mut Outbox) {
        self.net.apply(input, changes, out);
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let Inner::Greatest(greatest) = &mut self.net.inner else { panic!("several rows may share a key") };
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        greatest.rows.finish(|before, after| {
            rows.extend(before.iter().chain(after).cloned());
            weights.extend(before.iter().map(|_| -1).chain(after.iter().map(|_| 1)));
        });
        if !rows.is_empty() {
            let columns = greatest.rows.order.decode(rows.iter().map(|row| &**row));
            out.push(Changes::weighted(RecordBatch::try_new(schema(&TYPES), columns).unwrap(), weights));
        }
    }

    fn track(&mut self, owned: &KeyGroupSet) {
        self.net.track(owned);
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        self.net.save(rewrite, out);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.net.load(state)
    }
}
