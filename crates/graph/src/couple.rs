//! The heart of a maintained path: subjects' logs and the pair counts that follow from them.
//!
//! A new object in a subject's log is a pair with every other object of that log. The pair counts of all subjects of
//! one worker, its *shard*, are kept on that worker: they are sums over subjects, so that a reader adds up the shards
//! and no increment ever travels. One row comes in for each event, however long the histories are.
//!
//! The cost of an event is the length of its subject's history, so a subject's whole history costs its square: a
//! relation whose subjects have tens of thousands of objects should be narrowed in SQL.

use crate::codec::{self, NORM_BLOCK, Shard};
use crate::columns::{KeyValueRows, key_hashes, text};
use crate::identify::{ids, output};
use crate::logs::{Effect, Logs};
use crate::names::NameTable;
use crate::pairs::Pairs;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroup, KeyGroupSet};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// From this many subjects on an object has a row of its own; a parameter between the work of counting and reading.
pub const HOT_ABOVE: u32 = 256;

/// What one epoch spends on publishing at the most, in row entries and places of logs, so that publishing holds up no
/// epoch for long: some 10 ms. What is left over goes first in the next epoch.
const PUBLISH_COST_MAX: usize = 1 << 18;

/// Counts pairs and publishes rows and norms to the key-value store. Reads [`Identify`](crate::identify::Identify)'s
/// rows routed by subject.
pub struct Couple {
    publish_epochs: u64,
    subjects: NameTable,
    logs: Logs,
    pairs: Pairs,
    norms: Norms,
    /// Named for a key group that no other worker owns: the first of its own where checkpoints are on, else the first
    /// that came.
    shard: Option<Shard>,
    /// The number of epochs finished so far.
    now: u64,
    /// Rows that changed and the epoch that publishes them; in the order of that.
    rows_due: VecDeque<(u64, u32)>,
    norms_due: Option<u64>,
    publish_cost_max: usize,
    /// Where checkpoints are on: what was added to the logs since the last save.
    added: Option<Vec<Entry>>,
}

impl Couple {
    /// No subjects yet. A row that changes is published `publish_epochs` epochs later at the latest under normal load,
    /// and no more often than that. Objects with more than `hot_above` subjects have a row of their own.
    #[must_use]
    pub fn new(publish_epochs: u64, hot_above: u32) -> Self {
        Self {
            publish_epochs: publish_epochs.max(1),
            subjects: NameTable::default(),
            logs: Logs::default(),
            pairs: Pairs::new(hot_above),
            norms: Norms::default(),
            shard: None,
            now: 0,
            rows_due: VecDeque::new(),
            norms_due: None,
            publish_cost_max: PUBLISH_COST_MAX,
            added: None,
        }
    }

    /// The subject's number.
    fn intern(&mut self, hash: u64, subject: &str) -> u32 {
        self.shard.get_or_insert_with(|| Shard(KeyGroup::of(hash, KEY_GROUPS).0));
        self.subjects.intern(hash, subject).0
    }

    /// Takes in changes of a subject and an object each. Logs lie all over memory: they are asked for some changes
    /// ahead.
    fn relate_all(&mut self, changes: &[(u32, u32, i64)]) {
        const HEADS_AHEAD: usize = 12;
        const LOGS_AHEAD: usize = 6;
        for (index, &(subject, object, weight)) in changes.iter().enumerate() {
            if let Some(ahead) = changes.get(index + HEADS_AHEAD) {
                self.logs.prefetch_head(ahead.0);
            }
            if let Some(ahead) = changes.get(index + LOGS_AHEAD) {
                self.logs.prefetch_log(ahead.0);
            }
            self.relate(subject, object, weight);
        }
    }

    fn relate(&mut self, subject: u32, object: u32, weight: i64) {
        match self.logs.add(subject, object, weight) {
            Effect::None => {}
            Effect::Added => {
                self.pairs.add(subject, object, &self.logs);
                self.norms.add(object, 1);
            }
            Effect::Removed => {
                self.pairs.remove(subject, object, &self.logs);
                self.norms.add(object, -1);
            }
        }
    }

    /// Enters what the epoch touched into the queue of what is to be published.
    fn schedule(&mut self) {
        let due = self.now + self.publish_epochs - 1;
        self.rows_due.extend(self.pairs.take_touched().into_iter().map(|id| (due, id)));
        if self.norms.touched() {
            self.norms_due.get_or_insert(due);
        }
    }

    fn publish(&mut self, last: bool, out: &mut Outbox) {
        let Some(shard) = self.shard else { return };
        let mut writes = KeyValueRows::new(out);
        let mut cost_left = self.publish_cost_max;
        while let Some(&(due, id)) = self.rows_due.front()
            && (last || (due <= self.now && cost_left > 0))
        {
            self.rows_due.pop_front();
            let (row, cost) = self.pairs.read(id, &self.logs);
            cost_left = cost_left.saturating_sub(cost);
            match row.is_empty() {
                true => writes.delete(&codec::row_key(id, shard)),
                false => writes.put(&codec::row_key(id, shard), &codec::encode_row(row)),
            }
        }
        if self.norms_due.is_some_and(|due| last || due <= self.now) {
            self.norms_due = None;
            self.norms.publish(shard, &mut writes);
        }
    }
}

impl Operator for Couple {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        let hashes = key_hashes(&changes, output::SUBJECT);
        let subjects = text(changes.column(output::SUBJECT));
        let rows = ids(&changes).iter().zip(&hashes).enumerate().filter(|(row, _)| subjects.is_valid(*row));
        let entries: Vec<_> =
            rows.map(|(row, (&id, &hash))| (self.intern(hash, subjects.value(row)), id, changes.weight(row))).collect();
        if let Some(added) = &mut self.added {
            added.extend_from_slice(&entries);
        }
        self.relate_all(&entries);
    }

    fn finish(&mut self, end: EpochEnd, out: &mut Outbox) {
        self.schedule();
        self.publish(end.last, out);
        self.now += 1;
    }

    fn track(&mut self, owned: &KeyGroupSet) {
        self.added = Some(Vec::new());
        // The same after a restart, so that what it publishes takes the place of what it had published.
        self.shard = owned.iter().next().map(|group| Shard(group.0));
    }

    /// Writes the logs, from which the pair counts follow: whole, or what was added to them since the last save. A
    /// subject's log is small beside what follows from it, and sums are what is added, so both are read back alike.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        if !rewrite.is_empty() {
            let whole = self.by_key_group(self.logs.entries(), |group| rewrite.contains(group));
            whole.into_iter().for_each(|(group, entries)| out.full(group, &self.encode_logs(&entries)));
        }
        let added = self.added.replace(Vec::new()).unwrap_or_default();
        let added = self.by_key_group(added.into_iter(), |group| !rewrite.contains(group));
        added.into_iter().for_each(|(group, entries)| out.changes(group, &self.encode_logs(&entries)));
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        while let Some(batch) = state.next_batch()? {
            let mismatch = || SnapshotError::Mismatch("a log is not of subject, id and weight".into());
            let [subjects, ids, weights] = batch.columns() else { return Err(mismatch()) };
            let hashes = hash_columns(std::slice::from_ref(subjects), batch.num_rows());
            let subjects = subjects.as_string_opt::<i32>().ok_or_else(mismatch)?;
            let ids = ids.as_primitive_opt::<UInt32Type>().ok_or_else(mismatch)?;
            let weights = weights.as_primitive_opt::<Int64Type>().ok_or_else(mismatch)?;
            let intern = |(row, hash)| (self.intern(hash, subjects.value(row)), ids.value(row), weights.value(row));
            let entries: Vec<_> = hashes.into_iter().enumerate().map(intern).collect();
            self.relate_all(&entries);
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let bytes = self.subjects.bytes() + self.logs.bytes() + self.pairs.bytes() + self.norms.bytes();
        OperatorStats { keys: self.logs.len(), bytes: bytes as u64, ..OperatorStats::default() }
    }
}

/// A subject, an object, and what is added to the weight between them.
type Entry = (u32, u32, i64);

impl Couple {
    /// The entries of some key groups.
    fn by_key_group(
        &self,
        entries: impl Iterator<Item = Entry>,
        wanted: impl Fn(KeyGroup) -> bool,
    ) -> BTreeMap<KeyGroup, Vec<Entry>> {
        let mut groups = BTreeMap::<KeyGroup, Vec<Entry>>::new();
        for entry in entries {
            let group = KeyGroup::of(self.subjects.hash(entry.0), KEY_GROUPS);
            if wanted(group) {
                groups.entry(group).or_default().push(entry);
            }
        }
        groups
    }

    fn encode_logs(&self, entries: &[Entry]) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(entries.iter().map(|entry| Some(self.subjects.name(entry.0))).collect::<StringArray>()),
            Arc::new(entries.iter().map(|entry| entry.1).collect::<UInt32Array>()),
            Arc::new(entries.iter().map(|entry| entry.2).collect::<Int64Array>()),
        ];
        let schema = Schema::new(vec![
            Field::new("subject", DataType::Utf8, true),
            Field::new("id", DataType::UInt32, true),
            Field::new("weight", DataType::Int64, true),
        ]);
        RecordBatch::try_new(Arc::new(schema), columns).expect("the columns have one value for each entry")
    }
}

/// In how many of the shard's subjects each object is, in blocks that are published whole.
#[derive(Debug, Default)]
struct Norms {
    counts: Vec<u32>,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    publication: u64,
    touched: bool,
}

impl Norms {
    fn add(&mut self, id: u32, sign: i32) {
        let block = id as usize / NORM_BLOCK;
        if block >= self.blocks.len() {
            self.blocks.resize(block + 1, Block::default());
            self.counts.resize((block + 1) * NORM_BLOCK, 0);
        }
        let count = &mut self.counts[id as usize];
        *count = count.checked_add_signed(sign).expect("an object leaves a log only after it came");
        self.blocks[block].touched = true;
    }

    fn touched(&self) -> bool {
        self.blocks.iter().any(|block| block.touched)
    }

    fn publish(&mut self, shard: Shard, writes: &mut KeyValueRows<'_>) {
        for (number, counts) in self.counts.chunks(NORM_BLOCK).enumerate() {
            let block = &mut self.blocks[number];
            if std::mem::take(&mut block.touched) {
                block.publication += 1;
                let value = codec::encode_numbers(counts.iter().map(|&count| u64::from(count)));
                writes.put(&codec::norms_key(number as u32, shard), &value);
            }
        }
        let publications = codec::encode_numbers(self.blocks.iter().map(|block| block.publication));
        writes.put(&codec::published_key(shard), &publications);
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u32>() + self.blocks.capacity() * size_of::<Block>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringViewArray;
    use proxima_event::Epoch;
    use std::collections::BTreeSet;

    /// One subject's objects, by id.
    fn log(ids: std::ops::Range<u32>) -> Changes {
        let subjects: StringViewArray = ids.clone().map(|_| Some("u")).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("subject", Arc::new(subjects)),
            ("id", Arc::new(UInt32Array::from_iter_values(ids.clone()))),
            ("name", Arc::new(StringViewArray::new_null(ids.len()))),
        ];
        Changes::inserts(
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap(),
        )
    }

    /// The ids of rows that the end of an epoch publishes.
    fn finish(couple: &mut Couple, epoch: u64, last: bool) -> Vec<u32> {
        let mut out = Outbox::default();
        couple.finish(EpochEnd { epoch: Epoch(epoch), last }, &mut out);
        let batches: Vec<_> = out.drain().collect();
        let keys = batches.iter().flat_map(|batch| batch.column(0).as_binary_view().iter().flatten());
        let rows = keys.filter_map(|key| key.strip_prefix(b"r"));
        rows.map(|key| u32::from_be_bytes(key[..4].try_into().unwrap())).collect()
    }

    #[test]
    fn an_epoch_publishes_no_more_than_it_may_and_the_last_one_all() {
        let mut couple = Couple::new(1, HOT_ABOVE);
        couple.publish_cost_max = 25;
        couple.apply(0, log(0..10), &mut Outbox::default());
        let mut published = BTreeSet::new();
        for epoch in 0..3 {
            let rows = finish(&mut couple, epoch, false);
            assert_eq!(rows.len(), 3, "three rows go through a log of ten");
            published.extend(rows);
        }
        assert_eq!(published.len(), 9, "each row waits its turn");
        couple.apply(0, log(10..30), &mut Outbox::default());
        assert_eq!(finish(&mut couple, 3, true).len(), 30);
        assert_eq!(finish(&mut couple, 4, true), [] as [u32; 0]);
    }
}
