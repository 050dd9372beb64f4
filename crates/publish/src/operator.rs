//! The operator that puts lists out, and keeps in checkpoints what is still to do.

use crate::message::{Changed, Holds, List};
use crate::publisher::Publisher;
use crate::rows::Rows;
use crate::trace::Place;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt16Array, UInt32Array};
use arrow::datatypes::{UInt16Type, UInt32Type};
use hashbrown::HashMap;
use proxima_engine::{
    EpochEnd, NodeId, Operator, OperatorStats, Outbox, Route, SnapshotError, StateReader, StateWriter, Topology,
};
use proxima_event::hash::{combine, hash_str};
use proxima_event::{Changes, KEY_GROUPS, KeyGroupSet};
use proxima_graph::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows of a batch that is put out.
const BATCH_ROWS: usize = 1 << 10;

/// The columns of a stream of objects to forget: the kind's name, the text of the id.
mod forget {
    pub(super) const KIND: usize = 0;
    pub(super) const ID: usize = 1;
}

/// Puts out the lists that have come back, once an epoch, on the worker that owns the master. Reads what ends its epochs
/// when the graph holds them, of which it wants nothing but the end; on its last input objects to forget, routed by their
/// texts, if there are any.
///
/// It asks for no list itself and reads no clock: when a list comes is a matter of time, which lists there are at rest is
/// not.
pub struct Publish {
    publisher: Arc<Publisher>,
    rows: Rows,
    worker: usize,
    forget: Option<usize>,
    forgotten: BTreeSet<String>,
    /// What stands in the store, by master: a hash of the list. Not known of masters from before a restart.
    standing: HashMap<u32, u64>,
    owned: KeyGroupSet,
    /// The key groups whose work was taken over. In others all is to do.
    loaded: KeyGroupSet,
    /// Those that had work in the last save.
    saved: KeyGroupSet,
    is_saved: bool,
    is_first: bool,
}

/// Adds the operator of a path behind the nodes that end their epochs when the graph holds them. What it puts out is netted
/// by the id, and feeds a sink.
pub fn lower_publish(
    topology: &mut Topology,
    publisher: &Arc<Publisher>,
    graph: &[NodeId],
    forget: Option<NodeId>,
) -> NodeId {
    let mut inputs: Vec<_> = graph.iter().map(|&node| (node, Route::Local)).collect();
    let last = forget.map(|_| inputs.len());
    inputs.extend(forget.map(|node| (node, Route::ByKey(vec![forget::ID]))));
    let held = Arc::clone(publisher);
    let node = topology.operator(format!("{}/lists", publisher.name()), inputs, move || {
        Box::new(Publish::new(Arc::clone(&held), last))
    });
    topology.identify(node, publisher.identity(), true);
    node
}

impl Publish {
    fn new(publisher: Arc<Publisher>, forget: Option<usize>) -> Self {
        let [owned, loaded, saved] = [KeyGroupSet::none(); 3];
        let (forgotten, standing) = (BTreeSet::new(), HashMap::new());
        let (worker, is_saved, is_first) = (0, false, true);
        let rows = Rows::of(publisher.content(), publisher.graph().catalogue());
        Self { publisher, rows, worker, forget, forgotten, standing, owned, loaded, saved, is_saved, is_first }
    }

    fn put_out(&mut self, lists: impl Iterator<Item = (u32, Option<List>)>, out: &mut Outbox) {
        let forgotten = std::mem::take(&mut self.forgotten);
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for (master, list) in lists {
            // A text that has gone, or is another's by now, was forgotten.
            let Some(list) = list.filter(|list| self.is_named(master, &list.name)) else {
                self.standing.remove(&master);
                continue;
            };
            if forgotten.contains(&*list.name) {
                // Whose text has come again begins anew, in a later epoch.
                self.publisher.mark(Place::MASTER, &[master]);
                continue;
            }
            let digest = digest(&list);
            match (list.holds.is_empty(), self.standing.insert(master, digest)) {
                (_, Some(before)) if before == digest => {}
                (true, None) if !self.publisher.is_resumed() => {}
                (true, _) => deletes.push(list),
                (false, _) => puts.push(list),
            }
        }
        let forgotten = forgotten.into_iter();
        deletes.extend(forgotten.map(|name| self.rows.nothing(name.into())));
        self.publisher.count_written(puts.len() as u64);
        let rows = &self.rows;
        puts.chunks(BATCH_ROWS).for_each(|lists| out.push(Changes::inserts(rows.batch(lists))));
        let delete = |lists: &[List]| Changes::weighted(rows.batch(lists), vec![-1; lists.len()]);
        deletes.chunks(BATCH_ROWS).for_each(|lists| out.push(delete(lists)));
    }

    /// Nothing of who is forgotten stands any more, also if the text has come again.
    fn forget(&mut self) {
        for name in &self.forgotten {
            if let Some(again) = self.publisher.forget(self.worker, name) {
                self.standing.remove(&again);
            }
        }
    }

    fn is_named(&self, master: u32, name: &str) -> bool {
        use proxima_graph::Graph;
        self.publisher.graph().id(self.publisher.kind(), name).is_some_and(|id| id.0 == master)
    }

    /// What was saved by no earlier run is all to do: the path is new here, or another than it was.
    fn begin(&mut self) {
        if std::mem::take(&mut self.is_first) && self.publisher.is_resumed() {
            let is_emptied = self.publisher.is_emptied();
            let unknown = self.owned.iter().filter(|group| is_emptied || !self.loaded.contains(*group));
            self.publisher.mark_all(unknown.collect::<Vec<_>>().into_iter());
        }
    }
}

/// A hash of what a list holds. Its time is not part of it: a list that stays the same is not written again.
fn digest(list: &List) -> u64 {
    match &list.holds {
        Holds::Items(items) => {
            items.iter().fold(0, |hash, (name, score)| combine(combine(hash, hash_str(name)), score.to_bits()))
        }
        Holds::Attributes(values) => values.iter().fold(0, |hash, value| combine(hash, digest_of(value))),
    }
}

fn digest_of(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Bool(truth) => combine(1, u64::from(*truth)),
        Value::Int(number) => combine(2, number.cast_unsigned()),
        Value::Float(number) => combine(3, number.to_bits()),
        Value::Text(text) => combine(4, hash_str(text)),
    }
}

impl Operator for Publish {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if Some(input) != self.forget {
            return;
        }
        let kind = &self.publisher.graph().catalogue()[self.publisher.kind()].name;
        let text = |column: usize| arrow::compute::cast(changes.column(column), &arrow::datatypes::DataType::Utf8);
        let columns = [text(forget::KIND), text(forget::ID)];
        let [kinds, ids] = columns.map(|column| column.expect("kinds and ids are texts: the job was checked"));
        let (kinds, ids) = (kinds.as_string::<i32>(), ids.as_string::<i32>());
        let is_ours = |row: &usize| {
            let is_there = changes.weight(*row) > 0 && kinds.is_valid(*row) && ids.is_valid(*row);
            is_there && kinds.value(*row) == kind
        };
        self.forgotten.extend((0..changes.len()).filter(is_ours).map(|row| ids.value(row).to_owned()));
    }

    fn finish(&mut self, end: EpochEnd, out: &mut Outbox) {
        self.begin();
        self.forget();
        let lists = if end.last { self.publisher.drain(self.worker) } else { self.publisher.take_lists(self.worker) };
        self.put_out(lists.into_iter(), out);
    }

    fn own(&mut self, owned: &KeyGroupSet) {
        self.owned = *owned;
        let first = owned.iter().next().expect("there are fewer workers than key groups");
        self.worker = first.worker(KEY_GROUPS, self.publisher.workers());
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.publisher.track(self.worker);
    }

    /// Of each key group all that is to do: it is another each time. One without anything to do is saved once, so that it is
    /// known to have nothing.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let mut groups = self.publisher.save(self.worker);
        let is_first = !std::mem::replace(&mut self.is_saved, true) && self.loaded.is_empty();
        let before = std::mem::replace(&mut self.saved, KeyGroupSet::none());
        for group in self.owned.iter() {
            let work = groups.remove(&group).unwrap_or_default();
            if !work.is_empty() {
                self.saved.insert(group);
            }
            if !work.is_empty() || is_first || before.contains(group) || rewrite.contains(group) {
                out.full(group, &to_batch(&work));
            }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.loaded.insert(state.group());
        while let Some(batch) = state.next_batch()? {
            // An empty batch comes back without columns.
            if batch.num_rows() == 0 {
                continue;
            }
            self.saved.insert(state.group());
            let columns = batch.columns();
            let places = columns.first().and_then(|column| column.as_primitive_opt::<UInt16Type>());
            let objects = columns.get(1).and_then(|column| column.as_primitive_opt::<UInt32Type>());
            let (Some(places), Some(objects)) = (places, objects) else {
                return Err(SnapshotError::Mismatch("places and objects are wanted".to_owned()));
            };
            for (&place, &object) in places.values().iter().zip(objects.values()) {
                self.publisher.mark(Place(place), &[object]);
            }
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            keys: self.standing.len() as u64,
            bytes: self.standing.allocation_size() as u64,
            ..OperatorStats::default()
        }
    }
}

fn to_batch(work: &[Changed]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] = [
        ("place", Arc::new(UInt16Array::from_iter_values(work.iter().map(|changed| changed.place.0)))),
        ("object", Arc::new(UInt32Array::from_iter_values(work.iter().map(|changed| changed.object)))),
    ];
    RecordBatch::try_from_iter(columns).expect("both columns have a value for each")
}
