//! The live graph: objects, relations and attributes in memory, written by the workers and read by whoever asks.
//!
//! ```text
//! relation ─ by object's text ─> NameObjects ─ by subject's text ─> Relate ──┐
//! objects ── by id's text ─────> Describe ───────────────────────────────────┴─> SaveNames
//! ```
//!
//! [`NameObjects`] gives objects ids; [`Relate`] gives subjects ids and writes the edges of the worker's shard;
//! [`Describe`] writes attributes; [`SaveNames`] keeps the ids of a kind in checkpoints, behind all that give them.
//!
//! A relation has as many shards as there are workers. A subject's edges, and the lists of who has edges to an object,
//! lie in the shard of the subject's key group. Writers hold the lock of a shard for [`PIECE`] rows at a time, readers
//! for one object.

mod attributes;
mod best;
mod counts;
mod dense;
mod describe;
mod dictionary;
mod edges;
mod expiry;
mod feed;
mod follow;
mod forget;
mod hot;
mod inverted;
mod kind;
mod layout;
mod lower;
mod name;
mod norms;
mod pairs;
mod presence;
mod read;
mod relate;
mod rows;
mod rules;
mod save;
mod shard;
mod watch;

pub use describe::Describe;
pub use feed::{FedRelation, Feed};
pub use lower::{ObjectInput, RelationInput, lower_forgotten, lower_live};
pub use name::NameObjects;
pub use relate::{Relate, TellNewest};
pub use rules::{HOT_WORK, RelationRules};
pub use save::SaveNames;
pub use watch::{Touched, Watch};

use crate::catalogue::{Catalogue, Relation};
use crate::gather::Gather;
use crate::graph::{
    Direction, Edge, EdgeRow, Graph, KindId, NO_TIME, ObjectId, Pair, PairCount, RelationId, Value, Version,
};
use crate::sums::{Sum, Sums};
use best::Best;
use counts::Related;
use kind::KindStore;
pub(crate) use kind::group_of;
use parking_lot::RwLock;
use proxima_event::hash::hash_str;
use proxima_event::{KEY_GROUPS, KeyGroup};
use rows::EdgeRows;
use shard::{Ends, RowChange, Shard};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};

/// Rows that are written under one lock: some ten microseconds, which a reader may have to wait.
const PIECE: usize = 64;

/// A graph in memory that workers write and requests read.
pub struct LiveGraph {
    catalogue: Catalogue,
    kinds: Vec<KindStore>,
    relations: Vec<RelationStore>,
    /// Who is told what changes.
    watch: OnceLock<watch::Watched>,
    workers: usize,
    /// Operators that have loaded changes and not made them yet.
    behind: AtomicUsize,
    /// Counts changes, and objects that were forgotten.
    changes: AtomicU64,
    forgotten: AtomicU64,
}

struct RelationStore {
    rules: RelationRules,
    object: KindId,
    newest_us: AtomicI64,
    shards: Vec<RwLock<Shard>>,
}

impl RelationStore {
    fn shard_of(&self, subject: u32) -> usize {
        group_of(subject).worker(KEY_GROUPS, self.shards.len())
    }
}

impl LiveGraph {
    /// A graph without objects. `rules` are those of the relations in the catalogue, `workers` how many write it: each
    /// worker must write the key groups that it owns and no others.
    ///
    /// # Panics
    /// When there are not as many rules as relations, or no workers.
    #[must_use]
    pub fn new(catalogue: Catalogue, rules: &[RelationRules], workers: usize) -> Self {
        assert!(workers > 0 && rules.len() == catalogue.relations.len(), "each relation has its rules");
        let kinds: Vec<_> = catalogue.kinds.iter().map(|kind| KindStore::new(&kind.attributes, workers)).collect();
        let present = |kind: KindId| Arc::clone(&kinds[usize::from(kind.0)].present);
        let shard = |relation: &Relation, rules, worker: usize| {
            let first = |worker: usize| (worker * KEY_GROUPS).div_ceil(workers);
            let ends = Ends { subjects: present(relation.subject), objects: present(relation.object) };
            RwLock::new(Shard::new(relation, rules, (first(worker)..first(worker + 1), ends)))
        };
        let relations = catalogue.relations.iter().zip(rules).map(|(relation, rules)| RelationStore {
            rules: *rules,
            object: relation.object,
            newest_us: AtomicI64::new(NO_TIME),
            shards: (0..workers).map(|worker| shard(relation, rules, worker)).collect(),
        });
        let (relations, behind) = (relations.collect(), AtomicUsize::new(0));
        let [changes, forgotten] = [(); 2].map(|()| AtomicU64::new(0));
        Self { relations, kinds, catalogue, watch: OnceLock::new(), workers, behind, changes, forgotten }
    }

    /// The names and types of what the graph holds.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Whether it holds all that was loaded: changes in checkpoints are made only when every worker has its part.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.behind.load(Relaxed) == 0
    }

    /// How many edges a relation has, those included that its newest ones hide.
    #[must_use]
    pub fn edge_count(&self, relation: RelationId) -> u64 {
        self.store(relation).shards.iter().map(|shard| shard.read().edges.count()).sum()
    }

    /// Bytes that the edges of a relation take, with everything that follows from them.
    #[must_use]
    pub fn relation_bytes(&self, relation: RelationId) -> u64 {
        self.store(relation).shards.iter().map(|shard| shard.read().bytes() as u64).sum()
    }

    /// Writes rows of a relation without attributes whose texts are ids already: all of one worker's subjects. `times_us`
    /// is empty where the relation has no times.
    ///
    /// # Panics
    /// When there is not one value for each row.
    pub fn relate(
        &self,
        relation: RelationId,
        subjects: Vec<u32>,
        objects: Vec<u32>,
        weights: Vec<i64>,
        times_us: Vec<i64>,
    ) {
        assert!(subjects.len() == objects.len() && subjects.len() == weights.len(), "one value for each row");
        let given = attributes::Given::of(&[], []);
        self.write(relation, &EdgeRows { subjects, objects, weights, times_us, given });
    }

    fn store(&self, relation: RelationId) -> &RelationStore {
        &self.relations[usize::from(relation.0)]
    }

    fn kind(&self, kind: KindId) -> &KindStore {
        &self.kinds[usize::from(kind.0)]
    }

    /// Something has just changed for those who read.
    fn changed(&self) {
        self.changes.fetch_add(1, Release);
    }

    /// Something of an object that is forgotten has just gone.
    fn lost(&self) {
        self.forgotten.fetch_add(1, Release);
        self.changed();
    }

    /// The newest time of a relation is this one, unless it is later already.
    fn grow_newest(&self, relation: RelationId, newest_us: i64) {
        if self.store(relation).newest_us.fetch_max(newest_us, Relaxed) < newest_us {
            self.changed();
        }
    }

    /// Writes rows of a relation, all of whose subjects are of one worker.
    fn write(&self, relation: RelationId, rows: &EdgeRows) {
        let store = self.store(relation);
        let Some(&first) = rows.subjects.first() else { return };
        if let Some(newest) = rows.newest_us() {
            self.grow_newest(relation, newest);
        }
        let shard = &store.shards[store.shard_of(first)];
        for start in (0..rows.len()).step_by(PIECE) {
            let mut shard = shard.write();
            for row in start..rows.len().min(start + PIECE) {
                shard.prefetch_row(&rows.subjects, &rows.objects, row);
                shard.change(&rows.change(row, self.kind(store.object)));
            }
            shard.conclude();
        }
        self.changed();
    }

    /// Takes rows back as far as they are there: their weights are then what was taken. Or those alone that are there
    /// whole; gives the places of the others, whose weights are then nothing.
    fn take_back(&self, relation: RelationId, rows: &mut EdgeRows, in_part: bool) -> Vec<u32> {
        let store = self.store(relation);
        let mut left = Vec::new();
        let Some(&first) = rows.subjects.first() else { return left };
        let shard = &store.shards[store.shard_of(first)];
        for start in (0..rows.len()).step_by(PIECE) {
            let mut shard = shard.write();
            for row in start..rows.len().min(start + PIECE) {
                let change = rows.change(row, self.kind(store.object));
                let there_is = shard.there_is(&change);
                let weight = if in_part || there_is == change.weight { there_is } else { 0 };
                shard.change(&RowChange { weight, ..change });
                if weight != change.weight {
                    left.push(row as u32);
                }
                rows.weights[row] = weight;
            }
            shard.conclude();
        }
        self.changed();
        left
    }

    /// Takes back edges in the order in which a checkpoint has them.
    fn restore(&self, relation: RelationId, rows: &EdgeRows) {
        let store = self.store(relation);
        let Some(&first) = rows.subjects.first() else { return };
        let mut shard = store.shards[store.shard_of(first)].write();
        for row in 0..rows.len() {
            shard.append(rows.subjects[row], rows.edge(row), &rows.given, row);
        }
        shard.conclude();
        // Nothing of what is loaded counts as changed for those who watch.
        shard.take_touched();
        drop(shard);
        self.changed();
    }

    /// The edges of a key group's subjects, if there are any.
    fn export(&self, relation: RelationId, group: KeyGroup) -> Option<EdgeRows> {
        let rows = self.shard(relation, group).read().export(usize::from(group.0), &self.catalogue[relation]);
        (rows.len() > 0).then_some(rows)
    }

    /// The edges of the shard that a key group belongs to, and the bytes that they take.
    fn shard_size(&self, relation: RelationId, group: KeyGroup) -> (u64, u64) {
        let shard = self.shard(relation, group).read();
        (shard.edges.count(), shard.bytes() as u64)
    }

    fn shard(&self, relation: RelationId, group: KeyGroup) -> &RwLock<Shard> {
        let shards = &self.store(relation).shards;
        &shards[group.worker(KEY_GROUPS, shards.len())]
    }

    /// Ends an epoch in the shard that a key group belongs to: edges older than the bound are taken away.
    fn settle(&self, relation: RelationId, group: KeyGroup, bound_us: i64) {
        let shard = self.shard(relation, group);
        let before = shard.read().edges.count();
        while shard.write().expire(bound_us, PIECE) {}
        shard.write().settle();
        if shard.read().edges.count() != before {
            self.changed();
        }
    }

    /// The norms of objects, as [`Graph::norm2`] gives them one by one.
    pub fn norms2(&self, relation: RelationId, ids: impl Iterator<Item = ObjectId> + Clone, norms: &mut Vec<i128>) {
        let start = norms.len();
        norms.extend(ids.clone().map(|_| 0));
        for shard in &self.store(relation).shards {
            let shard = shard.read();
            let targets = norms[start..].iter_mut();
            targets.zip(ids.clone()).for_each(|(norm, id)| *norm += shard.norms.get(id.0).squares);
        }
    }

    /// How many rows of pair sums and of pair counts a relation's objects keep, over all workers.
    #[must_use]
    pub fn hot_count(&self, relation: RelationId) -> u64 {
        let hot = |shard: &RwLock<Shard>| {
            let shard = shard.read();
            [&shard.pairs, &shard.counts].into_iter().flatten().map(pairs::Pairs::hot_count).sum::<u64>()
        };
        self.store(relation).shards.iter().map(hot).sum()
    }

    /// To how many subjects an object is related, or a subject to objects, with weights that do not sum to zero.
    fn related(&self, relation: RelationId, direction: Direction, id: u32) -> norms::Norm {
        let store = self.store(relation);
        match direction {
            Direction::Reverse => store.shards.iter().fold(norms::Norm::default(), |total, shard| {
                let norm = shard.read().norms.get(id);
                norms::Norm { subjects: total.subjects + norm.subjects, squares: total.squares + norm.squares }
            }),
            Direction::Forward => store.shards[store.shard_of(id)].read().norm_of_subject(id),
        }
    }
}

impl Graph for LiveGraph {
    fn id(&self, kind: KindId, name: &str) -> Option<ObjectId> {
        self.kind(kind).find(hash_str(name), name).map(ObjectId)
    }

    fn name(&self, kind: KindId, id: ObjectId) -> Option<Arc<str>> {
        self.kind(kind).text(id.0)
    }

    fn compare_names(&self, kind: KindId, left: ObjectId, right: ObjectId) -> std::cmp::Ordering {
        self.kind(kind).compare(left.0, right.0)
    }

    fn edges(&self, relation: RelationId, direction: Direction, id: ObjectId, edges: &mut Vec<Edge>) {
        let store = self.store(relation);
        match direction {
            Direction::Forward => {
                let shard = store.shard_of(id.0);
                store.shards[shard].read().edges_from(shard as u16, id.0, edges);
            }
            Direction::Reverse => {
                for (shard, held) in (0..).zip(&store.shards) {
                    held.read().edges_to(shard, id.0, edges);
                }
            }
        }
    }

    fn gather(&self, relation: RelationId, direction: Direction, id: ObjectId, gather: &mut Gather) {
        let store = self.store(relation);
        match direction {
            Direction::Forward => store.shards[store.shard_of(id.0)].read().gather_from(id.0, gather),
            Direction::Reverse => store.shards.iter().for_each(|shard| shard.read().gather_to(id.0, gather)),
        }
    }

    fn version(&self) -> Option<Version> {
        Some(Version { changes: self.changes.load(Acquire), forgotten: self.forgotten.load(Acquire) })
    }

    fn newest_us(&self, relation: RelationId) -> i64 {
        self.store(relation).newest_us.load(Relaxed)
    }

    fn attribute(&self, kind: KindId, id: ObjectId, attribute: usize) -> Value {
        self.kind(kind).value(id.0, attribute)
    }

    fn attributes(&self, kind: KindId, ids: &[ObjectId], attribute: usize, values: &mut Vec<Value>) {
        self.kind(kind).values(ids, attribute, values);
    }

    fn edge_attribute(&self, relation: RelationId, row: EdgeRow, attribute: usize) -> Value {
        let shard = &self.store(relation).shards[usize::from(row.shard)];
        shard.read().attributes.value(row.place, attribute)
    }

    fn objects(&self, kind: KindId) -> Vec<ObjectId> {
        let groups = (0..KEY_GROUPS as u16).map(KeyGroup);
        let mut ids: BTreeSet<u32> = groups.flat_map(|group| self.kind(kind).described_in(group)).collect();
        for (relation, store) in self.catalogue.relations.iter().zip(&self.relations) {
            for shard in &store.shards {
                let shard = shard.read();
                if relation.subject == kind {
                    ids.extend((0..KEY_GROUPS).flat_map(|group| shard.edges.subjects(group)));
                }
                if relation.object == kind {
                    ids.extend(shard.inverted.objects());
                }
            }
        }
        ids.into_iter().map(ObjectId).collect()
    }

    fn population(&self, kind: KindId) -> u64 {
        self.kind(kind).present.count()
    }

    fn degree(&self, relation: RelationId, direction: Direction, id: ObjectId) -> u64 {
        u64::from(self.related(relation, direction, id.0).subjects)
    }

    fn degrees(&self, relation: RelationId, direction: Direction, ids: &[ObjectId], degrees: &mut Vec<u64>) {
        if direction == Direction::Forward {
            return degrees.extend(ids.iter().map(|&id| self.degree(relation, direction, id)));
        }
        let first = degrees.len();
        degrees.resize(first + ids.len(), 0);
        for shard in &self.store(relation).shards {
            let shard = shard.read();
            let each = degrees[first..].iter_mut().zip(ids);
            each.for_each(|(degree, id)| *degree += u64::from(shard.norms.subjects(id.0)));
        }
    }

    fn norm2(&self, relation: RelationId, direction: Direction, id: ObjectId) -> i128 {
        self.related(relation, direction, id.0).squares
    }

    /// For objects that share subjects: from their rows, or gathered here, which takes fewer steps than edge by edge.
    /// Sums of zero are left out. Gives false where a sum might not fit into 64 bits, and for subjects that share objects.
    fn pair_sums(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
        found: &mut Vec<(ObjectId, i128)>,
    ) -> bool {
        let add = |shard: &Shard, sums: &mut Sums<i64>| shard.pair_sums(id.0, sums);
        let is_there = self.with_sums(relation, direction, add, |sums, _| {
            sums.drain(|other, sum| found.push((ObjectId(other), i128::from(sum))));
        });
        if is_there {
            let own = self.norm2(relation, direction, id);
            found.extend((own != 0).then_some((id, own)));
        }
        is_there
    }

    fn best_pairs(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
        n: usize,
        pairs: &mut Vec<Pair>,
    ) -> bool {
        if let (Direction::Reverse, [shard]) = (direction, &self.store(relation).shards[..])
            && shard.read().best_of_row(id.0, n, pairs)
        {
            return true;
        }
        let shards = &self.store(relation).shards;
        let (first, are_small) = (pairs.len(), || shards.iter().all(|shard| shard.read().norms.is_small(shards.len())));
        if are_small() {
            let is_there = self.best_sums::<i32>(relation, direction, id, n, pairs);
            // They only grow: what is small now was small all along.
            if are_small() {
                return is_there;
            }
            pairs.truncate(first);
        }
        self.best_sums::<i64>(relation, direction, id, n, pairs)
    }

    fn pair_counts(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
        found: &mut Vec<PairCount>,
    ) -> bool {
        thread_local! { static RELATED: RefCell<Related> = RefCell::default(); }
        RELATED.with_borrow_mut(|related| {
            let add = |shard: &Shard, counts: &mut Sums<i64>| shard.pair_counts(id.0, counts, related);
            self.with_sums(relation, direction, add, |counts, shards| {
                let shards: Vec<_> = shards.iter().map(RwLock::read).collect();
                let degree = |id| shards.iter().map(|shard| u64::from(shard.norms.subjects(id))).sum();
                let own: u64 = degree(id.0);
                let itself = PairCount { object: id, count: own, degree: own };
                found.extend((own > 0).then_some(itself));
                counts.drain(|other, count| {
                    let (object, count) = (ObjectId(other), count.unsigned_abs());
                    found.push(PairCount { object, count, degree: degree(other) });
                });
            })
        })
    }
}

impl LiveGraph {
    /// As [`Graph::best_pairs`], for an object whose pairs are to be added up.
    fn best_sums<T: Sum>(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
        n: usize,
        pairs: &mut Vec<Pair>,
    ) -> bool {
        let add = |shard: &Shard, sums: &mut Sums<T>| shard.pair_sums(id.0, sums);
        self.with_sums(relation, direction, add, |sums, shards| {
            let shards: Vec<_> = shards.iter().map(RwLock::read).collect();
            let norm2 = |id| shards.iter().map(|shard| shard.norms.squares(id)).sum();
            let mut best = Best::new(n, norm2(id.0), pairs);
            match &*shards {
                // Mostly there is nothing to add up.
                [shard] => {
                    let norms = &shard.norms;
                    if !sums.take_all(|sums| best.offer_run(0, sums, norms.squares_from(0), Sum::to_f64)) {
                        sums.drain(|other, sum| best.offer(other, sum, norms.squares(other)));
                    }
                }
                _ => sums.drain(|other, sum| best.offer(other, sum, norm2(other))),
            }
        })
    }

    /// Hands on the sums that each shard adds, and the shards. False where they might not fit, and for subjects that share
    /// objects.
    fn with_sums<T: Sum>(
        &self,
        relation: RelationId,
        direction: Direction,
        mut add: impl FnMut(&Shard, &mut Sums<T>),
        take: impl FnOnce(&mut Sums<T>, &[RwLock<Shard>]),
    ) -> bool {
        let store = self.store(relation);
        if direction == Direction::Forward || !store.shards.iter().all(|shard| shard.read().norms.is_narrow()) {
            return false;
        }
        T::with_own(|sums| {
            store.shards.iter().for_each(|shard| add(&shard.read(), sums));
            take(sums, &store.shards);
        });
        true
    }
}
