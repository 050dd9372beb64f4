//! Who wants to know which edges and attributes change: what follows from them may be kept elsewhere.

use super::LiveGraph;
use crate::graph::{KindId, ObjectId, RelationId};
use proxima_event::KeyGroup;
use std::collections::BTreeSet;
use std::sync::Weak;

/// Notes are sorted and made unique when there are so many, so that they are bounded by the objects that there are.
const COMPACT_FROM: usize = 1 << 16;

/// Is told which edges and attributes have changed.
pub trait Watch: Send + Sync {
    /// Edges of a relation have come, gone or got another weight, as readers see them: those at these ends. Called by each
    /// worker at the end of an epoch, when what has changed can be read.
    fn touched(&self, relation: RelationId, touched: &Touched);

    /// Attributes of objects of a kind have come, gone or changed, by rising id. Called as [`Watch::touched`].
    fn described(&self, kind: KindId, objects: &[u32]);
}

/// Who watches, and the kinds whose attributes are told of.
pub(super) struct Watched {
    by: Weak<dyn Watch>,
    kinds: BTreeSet<KindId>,
}

/// The ends of edges that have changed, each once.
#[derive(Debug, Default)]
pub struct Touched {
    subjects: Ends,
    objects: Ends,
}

impl Touched {
    pub(super) fn note(&mut self, subject: u32, object: u32) {
        self.subjects.note(subject);
        self.objects.note(object);
    }

    /// Subjects with edges that have changed, by rising id.
    #[must_use]
    pub fn subjects(&self) -> &[u32] {
        &self.subjects.ids
    }

    /// Objects with edges that have changed, by rising id.
    #[must_use]
    pub fn objects(&self) -> &[u32] {
        &self.objects.ids
    }
}

/// Ids of objects, each once when they are told.
#[derive(Debug, Default)]
pub(super) struct Ends {
    ids: Vec<u32>,
    /// How many ids there were when they were made unique.
    unique: usize,
}

impl Ends {
    #[inline]
    pub(super) fn note(&mut self, id: u32) {
        if self.ids.last() == Some(&id) {
            return;
        }
        if self.ids.len() >= COMPACT_FROM.max(2 * self.unique) {
            self.compact();
        }
        self.ids.push(id);
    }

    fn compact(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.unique = self.ids.len();
    }
}

impl LiveGraph {
    /// Tells `watch` from now on which edges of these relations and which attributes of these kinds change. To be called
    /// before the graph is written.
    ///
    /// # Panics
    /// When somebody watches already.
    pub fn watch(
        &self,
        watch: Weak<dyn Watch>,
        relations: impl IntoIterator<Item = RelationId>,
        kinds: impl IntoIterator<Item = KindId>,
    ) {
        let watched = Watched { by: watch, kinds: kinds.into_iter().collect() };
        assert!(self.watch.set(watched).is_ok(), "one watches, and tells all others");
        for relation in relations {
            self.store(relation).shards.iter().for_each(|shard| shard.write().watch());
        }
    }

    /// An epoch has ended in the shard of a key group: says what it has changed.
    pub(super) fn tell_touched(&self, relation: RelationId, group: KeyGroup) {
        let Some(watch) = self.watch.get().and_then(|watched| watched.by.upgrade()) else { return };
        let touched = self.shard(relation, group).write().take_touched();
        if let Some(mut touched) = touched.filter(|touched| !touched.subjects.ids.is_empty()) {
            touched.subjects.compact();
            touched.objects.compact();
            watch.touched(relation, &touched);
        }
    }

    /// Whether somebody is told of the attributes of a kind.
    pub(super) fn is_told_of(&self, kind: KindId) -> bool {
        self.watch.get().is_some_and(|watched| watched.kinds.contains(&kind))
    }

    /// An epoch has ended on a worker that has described these objects.
    pub(super) fn tell_described(&self, kind: KindId, mut described: Ends) {
        let Some(watch) = self.watch.get().and_then(|watched| watched.by.upgrade()) else { return };
        described.compact();
        if !described.ids.is_empty() {
            watch.described(kind, &described.ids);
        }
    }

    /// All ids of a kind in a key group that have texts, whether or not anything names them now.
    #[must_use]
    pub fn named(&self, kind: KindId, group: KeyGroup) -> Vec<ObjectId> {
        let names = self.kind(kind).names(group).read();
        let numbers = (0..names.table.len() as u32).filter(|&number| names.table.get(number).is_some());
        numbers.map(|number| ObjectId(super::kind::id_of(group, number))).collect()
    }

    /// How many workers write the graph.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }
}
