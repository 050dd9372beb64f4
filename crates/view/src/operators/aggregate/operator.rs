//! The operator: folds batches into groups, puts out what changed, forgets what is over.

use super::AggregateSpec;
use super::accumulator::{Accumulator, Input};
use super::call::accumulator;
use crate::operators::expiry::{Expirer, word_us};
use crate::operators::group_table::{Equality, GroupTable};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KeyGroupSet, Weights};
use std::ops::Range;

/// Groups rows and keeps the aggregates of each group.
///
/// Without keys there is one group, which appears with its first row and then stays, whatever is taken back.
pub struct Aggregate {
    pub(super) spec: AggregateSpec,
    pub(super) key_types: Vec<DataType>,
    pub(super) table: GroupTable,
    pub(super) calls: Vec<Call>,
    /// Words of a payload. None: groups are only ever added, and have nothing but their key (DISTINCT).
    pub(super) stride: usize,
    pub(super) touched: Touched,
    /// Whether the one group of an aggregate without keys is shown.
    pub(super) global_shown: bool,
    expirer: Option<Expirer>,
    groups: Vec<u32>,
    fresh: Vec<u32>,
}

/// How a call is answered.
pub(super) enum Call {
    /// By the number of rows of the group, which is kept anyway.
    Rows,
    /// By an accumulator with its words of the payload.
    Own(Box<dyn Accumulator>, Range<usize>),
}

impl Call {
    /// Its accumulator and where that has its words.
    pub(super) fn own(&mut self) -> Option<(&mut dyn Accumulator, Range<usize>)> {
        match self {
            Self::Rows => None,
            Self::Own(accumulator, own) => Some((accumulator.as_mut(), own.clone())),
        }
    }

    /// Its accumulator and where that has its words, to read.
    pub(super) fn own_ref(&self) -> Option<(&dyn Accumulator, Range<usize>)> {
        match self {
            Self::Rows => None,
            Self::Own(accumulator, own) => Some((accumulator.as_ref(), own.clone())),
        }
    }
}

/// The groups that the epoch has changed, in the order of their first change.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) groups: Vec<u32>,
    /// The lower half of each one's key hash.
    pub(super) tags: Vec<u32>,
    /// Each one's payload before the epoch.
    pub(super) old: Vec<u64>,
}

/// Where the number of rows lies in a payload.
pub(super) const ROWS: usize = 0;

impl Aggregate {
    /// An aggregate without groups.
    #[must_use]
    pub fn new(spec: AggregateSpec) -> Self {
        let key_types: Vec<DataType> = spec.keys.iter().map(|&key| spec.input.field(key).data_type().clone()).collect();
        let only_distinct = spec.append_only && spec.calls.is_empty() && !spec.keys.is_empty();
        let mut stride = if only_distinct { 0 } else { 1 };
        let mut calls = Vec::new();
        for call in &spec.calls {
            if call.argument.is_none() && call.filter.is_none() && call.output == DataType::Int64 {
                calls.push(Call::Rows);
                continue;
            }
            let accumulator = accumulator(call, &spec.input, spec.append_only);
            let own = stride..stride + accumulator.words();
            stride = own.end;
            calls.push(Call::Own(accumulator, own));
        }
        Self {
            table: GroupTable::new(key_types.clone(), Equality::Grouped, stride),
            key_types,
            calls,
            stride,
            touched: Touched::default(),
            global_shown: false,
            expirer: spec.expiry.clone().map(Expirer::new),
            groups: Vec::new(),
            fresh: Vec::new(),
            spec,
        }
    }

    fn fold(&mut self, changes: &Changes) {
        let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|&key| changes.column(key).clone()).collect();
        let hashes = changes.hashes.clone().unwrap_or_else(|| ScalarBuffer::from(hash_columns(&keys, changes.len())));
        self.fresh.clear();
        self.table.resolve(&keys, &hashes, &mut self.groups, &mut self.fresh);
        if let Some(expirer) = &mut self.expirer {
            expirer.added(self.fresh.len());
        }
        if self.stride == 0 {
            self.touched.groups.extend_from_slice(&self.fresh);
            return;
        }
        self.count_rows(&hashes, &changes.weights);
        self.accumulate(changes);
    }

    /// Marks the groups of a batch as changed, and counts their rows.
    fn count_rows(&mut self, hashes: &[u64], weights: &Weights) {
        let touched = &mut self.touched;
        for (row, &group) in self.groups.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(group);
            if !mark.is_on() {
                touched.groups.push(group);
                touched.tags.push(hashes[row] as u32);
                touched.old.extend_from_slice(payload);
                mark.turn_on();
            }
            payload[ROWS] = payload[ROWS].wrapping_add_signed(weights.get(row));
        }
    }

    fn accumulate(&mut self, changes: &Changes) {
        for (call, spec) in self.calls.iter_mut().zip(&self.spec.calls) {
            let Call::Own(accumulator, own) = call else { continue };
            let argument = spec.argument.map(|column| changes.column(column));
            let filter = spec.filter.map(|column| changes.column(column).as_boolean());
            let input =
                Input { groups: &self.groups, argument, weights: &changes.weights, counted: counted(argument, filter) };
            accumulator.update(&mut self.table, own.clone(), &input);
        }
    }

    /// Brings the payloads of all changed groups up to date.
    fn settle(&mut self) {
        for call in &mut self.calls {
            let Call::Own(accumulator, own) = call else { continue };
            if !accumulator.settles() {
                continue;
            }
            for &group in &self.touched.groups {
                accumulator.settle(group, &mut self.table.payload_mut(group)[own.clone()]);
            }
        }
    }

    /// Forgets the groups that have no rows left, and clears the marks of the others.
    fn end_epoch(&mut self) {
        let mut gone = Vec::new();
        let noted_below = self.table.noted_below();
        // Groups without a payload are only ever added, and the table knows what it has added.
        let looked_at = if self.stride > 0 { &*self.touched.groups } else { &[] };
        for (at, &group) in looked_at.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(group);
            mark.turn_off();
            if payload[ROWS] == 0 && !self.spec.keys.is_empty() {
                gone.push((group, self.touched.tags[at]));
            }
            if group < noted_below && mark.make_dirty() {
                self.table.note_dirty(group);
            }
        }
        self.touched.clear();
        self.forget(&gone);
        for call in &mut self.calls {
            if let Call::Own(accumulator, own) = call {
                accumulator.end_epoch(&mut self.table, own.clone());
            }
        }
    }

    fn forget(&mut self, gone: &[(u32, u32)]) {
        let groups: Vec<u32> = gone.iter().map(|&(group, _)| group).collect();
        if groups.is_empty() {
            return;
        }
        for call in &mut self.calls {
            if let Call::Own(accumulator, _) = call {
                accumulator.forget(&groups);
            }
        }
        for &(group, tag) in gone {
            self.table.remove(group, tag);
        }
    }

    /// Forgets the groups whose time is over.
    fn expire(&mut self) {
        let Some(expirer) = &mut self.expirer else { return };
        if !expirer.is_due(self.table.len()) {
            return;
        }
        let key = self.spec.keys.iter().position(|&key| key == expirer.expiry.column);
        let key = key.expect("the planner expires groups by one of their keys");
        let is_over = |&group: &u32| {
            let word = self.table.key_word(group, key);
            word.is_some_and(|word| expirer.is_over(word_us(&self.key_types[key], word)))
        };
        let groups: Vec<u32> = self.table.groups().filter(is_over).collect();
        let hashes = hash_columns(&self.table.columns(&groups), groups.len());
        let gone: Vec<(u32, u32)> = groups.into_iter().zip(hashes).map(|(group, hash)| (group, hash as u32)).collect();
        self.forget(&gone);
    }
}

impl Touched {
    fn clear(&mut self) {
        self.groups.clear();
        self.tags.clear();
        self.old.clear();
        // One great epoch shall not hold its memory for ever.
        self.groups.shrink_to(TOUCHED_KEPT);
        self.tags.shrink_to(TOUCHED_KEPT);
        self.old.shrink_to(TOUCHED_KEPT);
    }

    fn bytes(&self) -> usize {
        self.groups.capacity() * 4 + self.tags.capacity() * 4 + self.old.capacity() * 8
    }
}

/// Room for this many changed groups stays between epochs: as many as an epoch has records by default.
const TOUCHED_KEPT: usize = 1 << 18;

/// The rows where the argument is not NULL and the filter is true; `None` is all.
fn counted(argument: Option<&ArrayRef>, filter: Option<&BooleanArray>) -> Option<BooleanBuffer> {
    let valid = argument.and_then(|argument| argument.logical_nulls()).map(|nulls: NullBuffer| nulls.into_inner());
    let chosen = filter.map(|filter| match filter.nulls() {
        Some(nulls) => filter.values() & nulls.inner(),
        None => filter.values().clone(),
    });
    match (valid, chosen) {
        (Some(valid), Some(chosen)) => Some(&valid & &chosen),
        (valid, chosen) => valid.or(chosen),
    }
}

impl Operator for Aggregate {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        match &mut self.expirer {
            Some(expirer) if expirer.expiry.input == input => expirer.raise(&changes),
            _ => self.fold(&changes),
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        self.settle();
        self.emit(out);
        self.end_epoch();
        self.expire();
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.track_changes();
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        self.write_state(rewrite, out);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.read_state(state)
    }

    fn stats(&self) -> OperatorStats {
        let beside = self.calls.iter().map(|call| match call {
            Call::Rows => 0,
            Call::Own(accumulator, _) => accumulator.bytes(),
        });
        let bytes = self.table.bytes() + self.touched.bytes() + beside.sum::<usize>();
        OperatorStats { keys: self.table.len() as u64, bytes: bytes as u64, ..OperatorStats::default() }
    }
}
