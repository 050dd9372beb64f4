//! What a sink is given: at most one change for each key in an epoch.

use super::group_table::{Equality, GroupTable};
use super::ordered::{Bytes, Ordered, RowOrder};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{SortOptions, interleave, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::Changes;
use proxima_event::hash::hash_columns;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a [`Net`] nets.
#[derive(Clone, Debug)]
pub struct NetSpec {
    /// The rows that come in and go out.
    pub input: SchemaRef,
    /// The key columns of the target.
    pub key: Vec<usize>,
    /// Whether a key holds at most one row at a time, as the planner has proved: then no state is kept.
    pub unique: bool,
}

/// Nets the changes of an epoch by key: +1 the row that the key holds now, −1 the key holds none any more.
///
/// Where several rows may share a key, all are kept and the greatest is shown (by all columns from the first on, NULLs
/// least), so that the result does not depend on which came first.
pub struct Net {
    inner: Inner,
}

enum Inner {
    Unique(Unique),
    Greatest(Greatest),
}

impl Net {
    /// Holds no keys.
    #[must_use]
    pub fn new(spec: NetSpec) -> Self {
        let inner = if spec.unique { Inner::Unique(Unique::new(spec)) } else { Inner::Greatest(Greatest::new(spec)) };
        Self { inner }
    }
}

impl Operator for Net {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        match &mut self.inner {
            Inner::Unique(unique) => unique.apply(changes),
            Inner::Greatest(greatest) => greatest.rows.apply(input, &changes),
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        match &mut self.inner {
            Inner::Unique(unique) => unique.finish(out),
            Inner::Greatest(greatest) => greatest.finish(out),
        }
    }

    fn save(&self, out: &mut StateWriter) {
        if let Inner::Greatest(greatest) = &self.inner {
            greatest.rows.save(out);
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        match &mut self.inner {
            Inner::Unique(_) => Ok(()),
            Inner::Greatest(greatest) => greatest.rows.load(state),
        }
    }

    fn stats(&self) -> OperatorStats {
        match &self.inner {
            Inner::Unique(unique) => OperatorStats { bytes: unique.table.bytes() as u64, ..OperatorStats::default() },
            Inner::Greatest(Greatest { rows, .. }) => {
                OperatorStats { keys: rows.len() as u64, bytes: rows.bytes() as u64, late: 0 }
            }
        }
    }
}

/// Rows that go out in one batch, about.
const BATCH_ROWS: usize = 1024;

/// Keys with any number of rows.
struct Greatest {
    schema: SchemaRef,
    rows: Ordered,
}

impl Greatest {
    fn new(spec: NetSpec) -> Self {
        let greatest_first = SortOptions { descending: true, nulls_first: false };
        let order: Vec<_> = (0..spec.input.fields().len()).map(|column| (column, greatest_first)).collect();
        let rows = Ordered::new(&spec.input, spec.key, RowOrder::new(&spec.input, &order), 1, None);
        Self { schema: spec.input, rows }
    }

    fn finish(&mut self, out: &mut Outbox) {
        let (mut rows, mut weights): (Vec<Bytes>, Vec<i64>) = Default::default();
        self.rows.finish(|before, after| {
            let weight = if after.is_empty() { -1 } else { 1 };
            rows.extend(after.first().or(before.first()).cloned());
            weights.push(weight);
        });
        for (rows, weights) in rows.chunks(BATCH_ROWS).zip(weights.chunks(BATCH_ROWS)) {
            let columns = self.rows.order.decode(&rows.iter().collect::<Vec<_>>());
            let batch =
                RecordBatch::try_new(Arc::clone(&self.schema), columns).expect("rows come back as they went in");
            out.push(Changes::weighted(batch, weights.to_vec()));
        }
    }
}

/// Keys with one row at a time: the row that appears in an epoch is the one that is there at its end.
struct Unique {
    spec: NetSpec,
    table: GroupTable,
    batches: Vec<Changes>,
    /// The key number of each row of each batch.
    numbers: Vec<Vec<u32>>,
}

/// A row of the epoch: its batch and its place there.
type Place = (usize, usize);

// The words of a key: the row that appears and the row that goes (each as a place + 1), and whether there are more.
const APPEARS: usize = 0;
const GOES: usize = 1;
const MORE: usize = 2;

impl Unique {
    fn new(spec: NetSpec) -> Self {
        let types = spec.key.iter().map(|&key| spec.input.field(key).data_type().clone()).collect();
        let table = GroupTable::new(types, Equality::Grouped, 3);
        Self { spec, table, batches: Vec::new(), numbers: Vec::new() }
    }

    fn apply(&mut self, changes: Changes) {
        let keys: Vec<ArrayRef> = self.spec.key.iter().map(|&key| changes.column(key).clone()).collect();
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        match &changes.hashes {
            Some(hashes) => self.table.resolve(&keys, hashes, &mut numbers, &mut fresh),
            None => self.table.resolve(&keys, &hash_columns(&keys, changes.len()), &mut numbers, &mut fresh),
        }
        let batch = (self.batches.len() as u64) << 32;
        for (row, &number) in numbers.iter().enumerate() {
            let words = self.table.payload_mut(number);
            let which = if changes.weight(row) > 0 { APPEARS } else { GOES };
            words[MORE] |= u64::from(words[which] != 0 || changes.weight(row).abs() != 1);
            words[which] = batch | (row as u64 + 1);
        }
        self.numbers.push(numbers);
        self.batches.push(changes);
    }

    fn finish(&mut self, out: &mut Outbox) {
        let decided = self.decide_crowded();
        let unchanged = self.unchanged();
        let mut chosen: Vec<Place> = Vec::new();
        let mut weights = Vec::new();
        for key in 0..self.table.bound() as u32 {
            let words = self.table.payload(key);
            let (appears, goes) = match decided.get(&key) {
                Some(&places) => places,
                None if unchanged.get(&key) == Some(&true) => continue,
                None => (place(words[APPEARS]), place(words[GOES])),
            };
            let Some(row) = appears.or(goes) else { continue };
            chosen.push(row);
            weights.push(if appears.is_some() { 1 } else { -1 });
        }
        self.emit(&chosen, &weights, out);
        self.table.clear();
        self.batches.clear();
        self.numbers.clear();
    }

    fn emit(&self, chosen: &[Place], weights: &[i64], out: &mut Outbox) {
        let batches: Vec<&RecordBatch> = self.batches.iter().map(|changes| &changes.rows).collect();
        for (chosen, weights) in chosen.chunks(BATCH_ROWS).zip(weights.chunks(BATCH_ROWS)) {
            let rows = interleave_record_batch(&batches, chosen).expect("places are within the epoch's batches");
            out.push(Changes::weighted(rows, weights.to_vec()));
        }
    }

    /// Of the keys where one row goes and one appears: whether both are the same.
    fn unchanged(&self) -> BTreeMap<u32, bool> {
        let both = |&key: &u32| {
            let words = self.table.payload(key);
            words[MORE] == 0 && words[APPEARS] != 0 && words[GOES] != 0
        };
        let keys: Vec<u32> = (0..self.table.bound() as u32).filter(both).collect();
        let places = |which: usize| -> Vec<Place> {
            keys.iter().filter_map(|&key| place(self.table.payload(key)[which])).collect()
        };
        let same = self.same_rows(&places(APPEARS), &places(GOES));
        keys.into_iter().zip(same).filter(|&(_, same)| same).collect()
    }

    /// Compares rows pair by pair.
    fn same_rows(&self, left: &[Place], right: &[Place]) -> Vec<bool> {
        let mut same = vec![true; left.len()];
        if left.is_empty() {
            return same;
        }
        for column in 0..self.spec.input.fields().len() {
            let arrays: Vec<&dyn Array> = self.batches.iter().map(|changes| changes.column(column).as_ref()).collect();
            let of = |places| interleave(&arrays, places).expect("places are within the epoch's batches");
            let equal = equal_values(&of(left), &of(right));
            same.iter_mut().zip(equal.values()).for_each(|(same, equal)| *same &= equal);
        }
        same
    }

    /// Keys with more than one row on a side, as when streams with their own takings back are merged: adds each row's
    /// weights up.
    fn decide_crowded(&self) -> BTreeMap<u32, (Option<Place>, Option<Place>)> {
        let mut weights: BTreeMap<(u32, Box<[u8]>), (i64, Place)> = BTreeMap::new();
        let order = RowOrder::new(&self.spec.input, &[]);
        for (batch, (changes, numbers)) in self.batches.iter().zip(&self.numbers).enumerate() {
            let crowded = |&row: &usize| self.table.payload(numbers[row])[MORE] != 0;
            let rows: Vec<usize> = (0..numbers.len()).filter(crowded).collect();
            if rows.is_empty() {
                continue;
            }
            let encoded = order.encode(changes.rows.columns());
            for row in rows {
                let key = (numbers[row], Box::from(encoded.row(row).data()));
                weights.entry(key).or_insert((0, (batch, row))).0 += changes.weight(row);
            }
        }
        let mut decided: BTreeMap<u32, (Option<Place>, Option<Place>)> = BTreeMap::new();
        for ((number, _), (weight, place)) in weights {
            let (appears, goes) = decided.entry(number).or_default();
            match weight.signum() {
                1 => *appears = Some(place),
                -1 => *goes = Some(place),
                _ => {}
            }
        }
        decided
    }
}

fn place(word: u64) -> Option<Place> {
    (word != 0).then(|| ((word >> 32) as usize, word as u32 as usize - 1))
}

/// Whether values are the same, NULLs among them.
fn equal_values(left: &ArrayRef, right: &ArrayRef) -> BooleanArray {
    if left.data_type().is_nested() {
        return (0..left.len()).map(|row| Some(left.slice(row, 1) == right.slice(row, 1))).collect();
    }
    not_distinct(left, right).expect("both are of one type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{Bag, Row, Stream, V, any, any_text, compare, schema};
    use arrow::datatypes::DataType;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const TYPES: [DataType; 3] = [DataType::Utf8View, DataType::Int64, DataType::Float64];

    fn row(rng: &mut ChaCha8Rng) -> Row {
        vec![
            any_text(rng),
            any(rng, &[V::Int(i128::from(i64::MAX)), V::Int(2)]),
            any(rng, &[V::float(0.0), V::float(1.0)]),
        ]
    }

    /// What a store holds that applies upserts and deletes, as the sum of what it takes for granted.
    struct Store {
        net: Net,
        rows: BTreeMap<V, Row>,
    }

    impl Store {
        fn new(unique: bool) -> Self {
            Self { net: Net::new(NetSpec { input: schema(&TYPES), key: vec![0], unique }), rows: BTreeMap::new() }
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
        let spec = NetSpec { input: schema(&TYPES), key: vec![0], unique: false };
        // A sink's view of the changes: what goes is taken for the row that was there.
        let make = || Box::new(Shown { net: Net::new(spec.clone()) }) as Box<dyn Operator>;
        for seed in 0..4 {
            let stream = Stream::new(schema(&TYPES), &[0], false, row);
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
                let columns = greatest.rows.order.decode(&rows.iter().collect::<Vec<_>>());
                out.push(Changes::weighted(RecordBatch::try_new(schema(&TYPES), columns).unwrap(), weights));
            }
        }

        fn save(&self, out: &mut StateWriter) {
            self.net.save(out);
        }

        fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
            self.net.load(state)
        }
    }
}
