//! The last step of a relation's rows: they become edges of the worker's shard, and go when their time has come.

use super::LiveGraph;
use super::attributes::Given;
use super::forget::Forgotten;
use super::name::output;
use super::rows::{EdgeRows, batch_of, by_group, newest_batch, newest_of};
use crate::columns::{key_hashes, text};
use crate::graph::{NO_TIME, RelationId};
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Int64Type, UInt32Type};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SectionKind, SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, KeyGroup, KeyGroupSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Puts out the newest time of this worker's rows of a relation, at the end of each epoch in which it rose. Reads
/// [`NameObjects`](super::NameObjects)'s rows; each worker's [`Relate`] reads what it says.
#[derive(Debug, Default)]
pub struct TellNewest {
    newest_us: Option<i64>,
    told_us: Option<i64>,
}

impl Operator for TellNewest {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        let times = changes.column(output::TIME).as_primitive::<Int64Type>();
        self.newest_us = self.newest_us.max(times.values().iter().copied().max());
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        if self.newest_us > self.told_us {
            self.told_us = self.newest_us;
            out.push(Changes::inserts(newest_batch(self.newest_us.expect("it rose"))));
        }
    }
}

/// Writes edges of a relation. Reads [`NameObjects`](super::NameObjects)'s rows routed by subject, and on input 1, where
/// the relation has a lifetime, every worker's newest times; on the last input, if there is one more, the objects to forget
/// of all workers.
///
/// Where objects may be forgotten and rows are taken back, what is taken back and is not there when the epoch ends was
/// forgotten, and counts nothing.
///
/// Rows older than the bound of the epoch before are late: all workers know the same bound, so that it depends on
/// nothing but the epochs which rows are.
pub struct Relate {
    graph: Arc<LiveGraph>,
    relation: RelationId,
    /// The newest time that has come.
    newest_us: i64,
    /// The newest time that was saved.
    saved_us: i64,
    /// Edges older than this are gone.
    bound_us: i64,
    owned: KeyGroupSet,
    /// A key group of this worker, from which its shard follows.
    group: Option<KeyGroup>,
    /// Where checkpoints are on: the rows since the last save.
    added: Option<Vec<Added>>,
    /// After a load, until the first epoch has ended: rows that wait until every worker has loaded the texts by which
    /// ties are broken.
    deferred: Option<Vec<Deferred>>,
    epoch: u64,
    forgotten: Forgotten,
    /// Rows that the epoch takes back and that were not there when they came.
    missing: Vec<Changes>,
    late: u64,
}

/// What a checkpoint holds of a change.
enum Added {
    Rows(RecordBatch),
    Forgotten(Gone),
}

enum Deferred {
    Rows(EdgeRows),
    /// An object, and the key group of the subjects that forget it.
    Forgotten(Gone, KeyGroup),
}

/// An id that was forgotten, and whether as a subject or as an object.
#[derive(Clone, Copy)]
struct Gone {
    id: u32,
    is_subject: bool,
}

impl Gone {
    fn to_batch(self) -> RecordBatch {
        batch_of(vec![Arc::new(UInt32Array::from(vec![self.id])), Arc::new(BooleanArray::from(vec![self.is_subject]))])
    }

    fn of(batch: &RecordBatch) -> Option<Self> {
        let [id, is_subject] = batch.columns() else { return None };
        let id = id.as_primitive_opt::<UInt32Type>().filter(|ids| !ids.is_empty())?.value(0);
        Some(Self { id, is_subject: is_subject.as_boolean_opt()?.value(0) })
    }
}

impl Relate {
    /// Writes edges of this relation.
    #[must_use]
    pub fn new(graph: Arc<LiveGraph>, relation: RelationId) -> Self {
        Self {
            graph,
            relation,
            newest_us: NO_TIME,
            saved_us: NO_TIME,
            bound_us: i64::MIN,
            owned: KeyGroupSet::none(),
            group: None,
            added: None,
            deferred: None,
            epoch: 0,
            forgotten: Forgotten::default(),
            missing: Vec::new(),
            late: 0,
        }
    }

    fn rows(&self, changes: &Changes) -> EdgeRows {
        let relation = &self.graph.catalogue[self.relation];
        let (hashes, texts) = (key_hashes(changes, output::SUBJECT), text(changes.column(output::SUBJECT)));
        let kind = self.graph.kind(relation.subject);
        let times = || changes.column(output::TIME).as_primitive::<Int64Type>().values().to_vec();
        let attributes = output::TIME + usize::from(relation.timed);
        let attributes = &changes.rows.columns()[attributes..][..relation.attributes.len()];
        EdgeRows {
            subjects: kind.intern_all(self.epoch, &hashes, |row| texts.value(row)),
            objects: changes.column(output::OBJECT).as_primitive::<UInt32Type>().values().to_vec(),
            weights: (0..changes.len()).map(|row| changes.weight(row)).collect(),
            times_us: if relation.timed { times() } else { Vec::new() },
            given: Given::of(&relation.attributes, attributes),
        }
    }

    /// Takes in rows of a relation that forgets: first what comes, then what is taken back of all that is there. What is not
    /// there waits for the end of the epoch, which may have it in another order.
    fn net(&mut self, changes: &Changes) {
        let taken_back = changes.rows.columns().last().expect("NameObjects puts it there").as_boolean();
        let (back, new) = (0..changes.len() as u32).partition::<Vec<_>, _>(|&row| taken_back.value(row as usize));
        self.take_in(&changes.take(&new));
        match &self.deferred {
            None => self.take_back(&changes.take(&back), false),
            Some(_) => self.missing.push(changes.take(&back)),
        }
    }

    /// Takes rows back. At the end of the epoch what is not there was forgotten, and counts nothing; before, it waits.
    fn take_back(&mut self, changes: &Changes, is_end: bool) {
        let kind = self.graph.kind(self.graph.catalogue[self.relation].subject);
        let (hashes, texts) = (key_hashes(changes, output::SUBJECT), text(changes.column(output::SUBJECT)));
        // Whom nobody knows is not to be known by what is taken back.
        let is_known = |&row: &u32| kind.find(hashes[row as usize], texts.value(row as usize)).is_some();
        let (known, unknown) = (0..changes.len() as u32).partition::<Vec<_>, _>(is_known);
        let known = changes.take(&known);
        let mut left = Vec::new();
        if !known.is_empty() {
            let mut rows = self.rows(&known);
            left = self.graph.take_back(self.relation, &mut rows, is_end);
            if let Some(added) = &mut self.added {
                added.push(Added::Rows(rows.to_batch()));
            }
        }
        if !is_end {
            self.missing.extend([changes.take(&unknown), known.take(&left)]);
        }
    }

    fn take_in(&mut self, changes: &Changes) {
        let rows = self.rows(changes);
        let count = rows.len();
        let rows = rows.since(self.bound_us, &self.graph.catalogue[self.relation]);
        self.late += (count - rows.len()) as u64;
        if rows.len() == 0 {
            return;
        }
        self.newest_us = rows.newest_us().map_or(self.newest_us, |newest| newest.max(self.newest_us));
        if let Some(added) = &mut self.added {
            added.push(Added::Rows(rows.to_batch()));
        }
        match &mut self.deferred {
            Some(deferred) => deferred.push(Deferred::Rows(rows)),
            None => self.write(&rows),
        }
    }

    fn write(&mut self, rows: &EdgeRows) {
        self.group = self.group.or_else(|| rows.subjects.first().map(|&subject| super::group_of(subject)));
        self.graph.write(self.relation, rows);
    }

    /// Takes away what this worker's subjects have to do with the objects that the epoch forgets.
    fn forget(&mut self, epoch: u64) {
        let relation = &self.graph.catalogue[self.relation];
        let mut gone = Vec::new();
        for (hash, text) in self.forgotten.of(relation.subject) {
            // Subjects get their ids from their own worker, which says that they leave.
            let id = self.graph.kind(relation.subject).find(hash, text).filter(|&id| self.is_own(id));
            let id = id.and_then(|_| self.graph.kind(relation.subject).leave(epoch, hash, text));
            gone.extend(id.map(|id| Gone { id, is_subject: true }));
        }
        for (hash, text) in self.forgotten.of(relation.object) {
            let id = self.graph.kind(relation.object).find(hash, text);
            gone.extend(id.map(|id| Gone { id, is_subject: false }));
        }
        self.forgotten.clear();
        let Some(group) = self.group else { return };
        for gone in gone {
            match gone.is_subject {
                true => self.graph.shard(self.relation, group).write().forget_subject(gone.id),
                false => self.graph.shard(self.relation, group).write().forget_object(gone.id, None),
            }
            self.graph.lost();
            if let Some(added) = &mut self.added {
                added.push(Added::Forgotten(gone));
            }
        }
    }

    /// Whether a subject is of this worker's shard.
    fn is_own(&self, subject: u32) -> bool {
        let store = self.graph.store(self.relation);
        self.group.is_some_and(|group| store.shard_of(subject) == store.shard_of(u32::from(group.0)))
    }

    /// What waited until every worker had loaded.
    fn catch_up(&mut self) {
        let Some(all) = self.deferred.take() else { return };
        for deferred in all {
            match deferred {
                Deferred::Rows(rows) => self.write(&rows),
                Deferred::Forgotten(gone, group) => {
                    let mut shard = self.graph.shard(self.relation, group).write();
                    match gone.is_subject {
                        true => shard.forget_subject(gone.id),
                        false => shard.forget_object(gone.id, Some(group)),
                    }
                    drop(shard);
                    self.graph.lost();
                }
            }
        }
        self.graph.behind.fetch_sub(1, Relaxed);
    }
}

impl Operator for Relate {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        let is_bounded = self.graph.store(self.relation).rules.lifetime_us.is_some();
        match input {
            0 if self.graph.store(self.relation).rules.forgets => self.net(&changes),
            0 => self.take_in(&changes),
            input if input > usize::from(is_bounded) => self.forgotten.note(&self.graph, &changes),
            _ => self.newest_us = self.newest_us.max(newest_of(&changes.rows).unwrap_or(NO_TIME)),
        }
    }

    fn finish(&mut self, end: EpochEnd, _out: &mut Outbox) {
        self.catch_up();
        std::mem::take(&mut self.missing).iter().for_each(|missing| self.take_back(missing, true));
        self.forget(end.epoch.0);
        self.epoch = end.epoch.0 + 1;
        let store = self.graph.store(self.relation);
        self.graph.grow_newest(self.relation, self.newest_us);
        if let Some(lifetime) = store.rules.lifetime_us {
            self.bound_us = self.newest_us.saturating_sub(lifetime);
        }
        if let Some(group) = self.group {
            self.graph.settle(self.relation, group, self.bound_us);
            self.graph.tell_touched(self.relation, group);
        }
    }

    fn track(&mut self, owned: &KeyGroupSet) {
        self.owned = *owned;
        self.added = Some(Vec::new());
    }

    /// Writes edges, from which everything else follows: whole, or the rows since the last save. The newest time belongs
    /// to no key, so each key group holds it.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        for group in rewrite.iter() {
            if let Some(rows) = self.graph.export(self.relation, group) {
                out.full(group, &rows.to_batch());
            }
        }
        let added = self.added.replace(Vec::new()).unwrap_or_default();
        let (owned, rewritten) = (self.owned, *rewrite);
        out.later(move |out| save_added(&added, (&owned, &rewritten), out));
        if self.newest_us > NO_TIME {
            let (newest, rose) = (newest_batch(self.newest_us), self.newest_us > self.saved_us);
            out.each(SectionKind::Full, rewrite, &newest);
            let others = self.owned.iter().filter(|&group| rose && !rewrite.contains(group)).collect();
            out.each(SectionKind::Changes, &others, &newest);
        }
        self.saved_us = self.newest_us;
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        if self.deferred.is_none() {
            self.deferred = Some(Vec::new());
            self.graph.behind.fetch_add(1, Relaxed);
        }
        self.group = Some(state.group());
        while let Some(batch) = state.next_batch()? {
            if let Some(newest) = newest_of(&batch) {
                self.newest_us = self.newest_us.max(newest);
                continue;
            }
            if let Some(gone) = Gone::of(&batch) {
                self.deferred.get_or_insert_default().push(Deferred::Forgotten(gone, state.group()));
                continue;
            }
            let rows = EdgeRows::from_batch(&batch, &self.graph.catalogue[self.relation])?;
            match state.kind() {
                SectionKind::Full => self.graph.restore(self.relation, &rows),
                SectionKind::Changes => self.deferred.get_or_insert_default().push(Deferred::Rows(rows)),
            }
        }
        self.saved_us = self.newest_us;
        if let Some(lifetime) = self.graph.store(self.relation).rules.lifetime_us {
            self.bound_us = self.newest_us.saturating_sub(lifetime);
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let (keys, bytes) = self.group.map_or((0, 0), |group| self.graph.shard_size(self.relation, group));
        OperatorStats { keys, bytes, late: self.late, ..OperatorStats::default() }
    }
}

/// Writes what came since the last save, of the key groups that are not saved whole.
fn save_added(added: &[Added], (owned, rewritten): (&KeyGroupSet, &KeyGroupSet), out: &mut StateWriter) {
    for part in added.chunk_by(|a, b| matches!((a, b), (Added::Rows(_), Added::Rows(_)))) {
        if let [Added::Forgotten(gone)] = part {
            let batch = gone.to_batch();
            let knows = |group: &KeyGroup| !gone.is_subject || *group == super::group_of(gone.id);
            let groups = owned.iter().filter(|group| knows(group) && !rewritten.contains(*group)).collect();
            out.each(SectionKind::Changes, &groups, &batch);
            continue;
        }
        let rows =
            part.iter().filter_map(|added| if let Added::Rows(rows) = added { Some(rows.clone()) } else { None });
        if let Some((rows, mut ranges)) = by_group(&rows.collect::<Vec<_>>()) {
            ranges.retain(|(group, _)| !rewritten.contains(*group));
            out.rows(SectionKind::Changes, &rows, &ranges);
        }
    }
}
