//! Random records of changes, doubled, repeated and shuffled, against a map that takes them in their order.

use super::*;
use crate::operators::testing::{Bag, Driver, Row, V, add, any, any_text, schema};
use arrow::datatypes::{DataType, Field, Schema};
use proxima_engine::{Section, SectionKind};
use proxima_event::{KEY_GROUPS, KeyGroup};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const TYPES: [DataType; 4] = [DataType::Int64, DataType::Utf8View, DataType::Utf8View, DataType::Float64];

/// A record as it comes: its row and whether it appears. The key is the first two columns.
type Record = (Row, bool);

fn key_of(row: &Row) -> Row {
    row[..2].to_vec()
}

fn row(rng: &mut ChaCha8Rng) -> Row {
    let name = ["a", "a name that is rather long"][rng.random_range(0..2)];
    let key = [V::Int(rng.random_range(0..9)), V::Text(name.to_owned())];
    [key.to_vec(), vec![any_text(rng), any(rng, &[V::float(0.0), V::float(-0.0), V::float(1.5)])]].concat()
}

/// What a database writes and a transport may make of it: the records of a partition, each with its sequence.
struct Writer {
    /// The table as it is.
    table: BTreeMap<Row, Row>,
    records: Vec<(u64, Record)>,
}

impl Writer {
    fn push(&mut self, records: impl IntoIterator<Item = Record>) {
        let position = self.records.last().map_or(7, |(sequence, _)| sequence / 2 + 1);
        let numbered = records.into_iter().map(|record| (2 * position + u64::from(record.1), record));
        self.records.extend(numbered);
    }

    fn statement(&mut self, rng: &mut ChaCha8Rng) {
        let new = row(rng);
        let keys: Vec<Row> = self.table.keys().cloned().collect();
        let old = keys.get(rng.random_range(0..keys.len().max(1))).map(|key| self.table[key].clone());
        match (rng.random_range(0..10), old) {
            // An insert, or an update of the row that has the key.
            (0..=3, _) | (_, None) => {
                self.table.insert(key_of(&new), new.clone());
                self.push([(new, true)]);
            }
            // An update of other columns.
            (4..=5, Some(old)) => {
                let new = [key_of(&old), new[2..].to_vec()].concat();
                self.table.insert(key_of(&new), new.clone());
                self.push([(new, true)]);
            }
            // A changed key, to one that is free or not.
            (6, Some(old)) => {
                self.table.remove(&key_of(&old));
                self.table.insert(key_of(&new), new.clone());
                if key_of(&old) == key_of(&new) {
                    self.push([(new, true)]);
                } else {
                    self.push([(old, false), (new, true)]);
                }
            }
            (7, Some(old)) => {
                self.table.remove(&key_of(&old));
                self.push([(old, false)]);
            }
            // A bootstrap: every row as it is now.
            (8, Some(_)) => {
                for row in self.table.values().cloned().collect::<Vec<_>>() {
                    self.push([(row, true)]);
                }
            }
            // The writer was restarted: it sends its last records again, in their order.
            _ => {
                let again = self.records.len().saturating_sub(rng.random_range(1..6));
                let tail: Vec<Record> = self.records[again..].iter().map(|(_, record)| record.clone()).collect();
                tail.into_iter().for_each(|record| self.push([record]));
            }
        }
    }
}

fn batch(records: &[(u64, Record)]) -> Changes {
    let fields = schema(&TYPES).fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    let with_sequence = [fields, vec![Field::new("sequence", DataType::UInt64, true)]].concat();
    let rows: Vec<Row> = records.iter().map(|(_, (row, _))| row.clone()).collect();
    let visible = crate::operators::testing::batch(&schema(&TYPES), &rows);
    let sequences: arrow::array::UInt64Array = records.iter().map(|(sequence, _)| Some(*sequence)).collect();
    let columns = visible.columns().iter().cloned().chain([Arc::new(sequences) as ArrayRef]).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(with_sequence)), columns).unwrap();
    let weights = records.iter().map(|(_, (_, appears))| if *appears { 1 } else { -1 }).collect();
    let mut changes = Changes::weighted(rows, weights);
    let keys = [Arc::clone(changes.column(0)), Arc::clone(changes.column(1))];
    changes.hashes = Some(hash_columns(&keys, records.len()).into());
    changes
}

/// The records in batches for each worker, in any order.
fn batches(records: &[(u64, Record)], workers: usize, rng: &mut ChaCha8Rng) -> Vec<(usize, Changes)> {
    let mut batches = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rng.random_range(1..=rest.len().min(7)));
        rest = tail;
        let whole = batch(head);
        let hashes = whole.hashes.clone().unwrap();
        for worker in 0..workers {
            let of = |row: &u32| KeyGroup::of(hashes[*row as usize], KEY_GROUPS).worker(KEY_GROUPS, workers) == worker;
            let mine: Vec<u32> = (0..head.len() as u32).filter(of).collect();
            if !mine.is_empty() {
                batches.push((worker, whole.take(&mine)));
            }
        }
    }
    batches.shuffle(rng);
    batches
}

#[test]
fn the_newest_record_of_each_key_is_its_row() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let spec = NormalizeSpec { output: schema(&TYPES), key: vec![0, 1] };
        let make = || Box::new(Normalize::new(spec.clone())) as Box<dyn Operator>;
        let mut driver = Driver::new(rng.random_range(1..=4), &make);
        let mut writer = Writer { table: BTreeMap::new(), records: Vec::new() };
        let mut read = 0;
        let mut shown: BTreeMap<Row, Row> = BTreeMap::new();
        for epoch in 0..40 {
            (0..rng.random_range(0..9)).for_each(|_| writer.statement(&mut rng));
            // An epoch takes some of what is there; the last one takes it all.
            let end = if epoch == 39 { writer.records.len() } else { rng.random_range(read..=writer.records.len()) };
            for (_, (row, appears)) in &writer.records[read..end] {
                match appears {
                    true => shown.insert(key_of(row), row.clone()),
                    false => shown.remove(&key_of(row)),
                };
            }
            let batches = batches(&writer.records[read..end], driver.workers.len(), &mut rng);
            driver.batches(batches.into_iter().map(|(worker, changes)| (worker, 0, changes)).collect());
            read = end;
            let mut expected = Bag::new();
            shown.values().for_each(|row| add(&mut expected, row.clone(), 1));
            assert_eq!(driver.result, expected, "seed {seed} epoch {epoch}");
            if rng.random_ratio(1, 6) {
                driver.restart(rng.random_range(1..=4), &mut rng);
            }
        }
        assert_eq!(shown, writer.table, "seed {seed}: records sent again end in the same table");
    }
}

#[test]
fn what_is_sent_again_changes_nothing() {
    let spec = NormalizeSpec { output: schema(&TYPES), key: vec![0, 1] };
    let mut operator = Normalize::new(spec);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let row = row(&mut rng);
    let mut out = Outbox::default();
    let end = EpochEnd { epoch: proxima_event::Epoch(0), last: false };
    for sequence in 0..3 {
        operator.apply(0, batch(&[(sequence, (row.clone(), true))]), &mut out);
        operator.finish(end, &mut out);
        assert_eq!(out.drain().count(), usize::from(sequence == 0));
    }
    operator.apply(0, batch(&[(9, (row.clone(), false)), (11, (row.clone(), true))]), &mut out);
    operator.finish(end, &mut out);
    assert_eq!(out.drain().count(), 0, "gone and back within an epoch");
    operator.apply(0, batch(&[(12, (row, false))]), &mut out);
    operator.finish(end, &mut out);
    assert_eq!(out.drain().count(), 1);
    assert_eq!(operator.stats().keys, 0);
}

/// What is saved by and by, by key group: a whole section and the changes behind it.
#[derive(Default)]
struct Chains(BTreeMap<KeyGroup, Vec<Section>>);

impl Chains {
    fn save(&mut self, operator: &mut Normalize, rewrite: &KeyGroupSet) {
        let mut writer = StateWriter::default();
        operator.save(rewrite, &mut writer);
        rewrite.iter().for_each(|group| drop(self.0.remove(&group)));
        for section in writer.encode().unwrap() {
            assert_eq!(section.kind == SectionKind::Full, rewrite.contains(section.group));
            self.0.entry(section.group).or_default().push(section);
        }
    }

    fn load(&self, spec: &NormalizeSpec) -> Normalize {
        let mut operator = Normalize::new(spec.clone());
        operator.track(&KeyGroupSet::of_worker(0, 1));
        for section in self.0.values().flatten() {
            operator.load(&mut StateReader::from(section)).unwrap();
        }
        operator
    }
}

/// All rows, and what the operator says of them.
fn whole(operator: &mut Normalize) -> (Vec<Row>, u64) {
    let mut chains = Chains::default();
    chains.save(operator, &KeyGroupSet::of_worker(0, 1));
    let mut rows = Vec::new();
    for section in chains.0.values().flatten() {
        let mut reader = StateReader::from(section);
        let batch = reader.next_batch().unwrap().unwrap();
        rows.extend(crate::operators::testing::rows_of(&batch));
    }
    rows.sort();
    (rows, operator.stats().keys)
}

#[test]
fn what_is_saved_by_its_changes_comes_back() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let spec = NormalizeSpec { output: schema(&TYPES), key: vec![0, 1] };
        let mut operator = Normalize::new(spec.clone());
        operator.track(&KeyGroupSet::of_worker(0, 1));
        let mut writer = Writer { table: BTreeMap::new(), records: Vec::new() };
        let (mut read, mut chains) = (0, Chains::default());
        let mut out = Outbox::default();
        chains.save(&mut operator, &KeyGroupSet::of_worker(0, 1));
        for _ in 0..60 {
            (0..rng.random_range(0..6)).for_each(|_| writer.statement(&mut rng));
            for (_, changes) in batches(&writer.records[read..], 1, &mut rng) {
                operator.apply(0, changes, &mut out);
            }
            read = writer.records.len();
            operator.finish(EpochEnd { epoch: proxima_event::Epoch(0), last: false }, &mut out);
            if rng.random_ratio(1, 3) {
                let mut rewrite = KeyGroupSet::default();
                let some = |_: &u16| rng.random_ratio(1, 8);
                (0..KEY_GROUPS as u16).filter(some).for_each(|group| rewrite.insert(KeyGroup(group)));
                chains.save(&mut operator, &rewrite);
                let mut loaded = chains.load(&spec);
                if rng.random_bool(0.5) {
                    // The run goes on from what was saved.
                    std::mem::swap(&mut operator, &mut loaded);
                }
                let shown: Vec<Row> = writer.table.values().cloned().collect();
                assert_eq!(whole(&mut chains.load(&spec)), (shown.clone(), shown.len() as u64), "seed {seed}");
            }
        }
    }
}
