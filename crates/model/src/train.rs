//! The owner of a model: it brings the samples of an epoch into order, predicts each, and learns from it.
//!
//! The order is by time, then by the model's `order` column, then by what the samples hold. Arrival does not count, so
//! that the weights depend neither on the number of workers nor on thread timing. Equal rows are learned as often as they
//! are there; what comes and goes before it is learned is not. What was learned stays learned: a row that is taken back
//! later is counted as late.
//!
//! Across epochs the order is that of the epochs. It does not depend on how they are cut where the rows come in order (a
//! partition in file order), and where the model waits longer than rows are out of order.

use crate::learn::{Learner, Reader, learner};
use crate::live::LiveModel;
use crate::metrics::Progress;
use crate::pending::Pending;
use crate::samples::{Sample, SampleRows};
use crate::state;
use arrow::array::RecordBatch;
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroup, KeyGroupSet, Weights};
use std::cmp::Ordering;
use std::sync::Arc;

/// Learns from [`Encode`](crate::Encode)'s rows, routed without a key.
pub struct Train {
    live: Arc<LiveModel>,
    learner: Box<dyn Learner>,
    progress: Progress,
    /// The rows of this epoch.
    arrived: Vec<Changes>,
    /// The samples that wait, where the model has them wait.
    pending: Option<Pending>,
    late: u64,
    /// There is something that readers have not been shown.
    unpublished: bool,
    /// There is something that no checkpoint holds.
    unsaved: bool,
}

impl Train {
    /// A model that has seen nothing.
    #[must_use]
    pub fn new(live: Arc<LiveModel>) -> Self {
        let spec = live.spec();
        let (learner, progress) = (learner(spec), Progress::new(spec.window));
        let pending = spec.wait_us.map(Pending::new);
        Self { live, learner, progress, arrived: Vec::new(), pending, late: 0, unpublished: false, unsaved: false }
    }

    /// The same for samples that have waited already.
    #[must_use]
    pub(crate) fn at_once(live: Arc<LiveModel>) -> Self {
        Self { pending: None, ..Self::new(live) }
    }

    /// Learns from a sample as often as it is there.
    fn learn(&mut self, label: bool, features: &[u64], times: i64) {
        if times < 0 {
            self.late += times.unsigned_abs();
        }
        for _ in 0..times {
            let margin = self.learner.learn(label, features);
            self.progress.add(margin, label);
        }
    }

    /// Learns from the rows of an epoch.
    fn learn_all(&mut self, batches: &[Changes]) {
        let rows: Vec<SampleRows<'_>> = batches.iter().map(sample_rows).collect();
        let weight = |place: Place| batches[place.batch as usize].weights.get(place.row as usize);
        let features = |place: Place| rows[place.batch as usize].features(place.row as usize);
        let label = |place: Place| rows[place.batch as usize].label(place.row as usize);
        let places = in_order(&rows);
        if batches.iter().all(|batch| matches!(batch.weights, Weights::Ones)) {
            places.into_iter().for_each(|place| self.learn(label(place), features(place), 1));
            return;
        }
        for same in places.chunk_by(|&a, &b| compare(&rows, a, b) == Ordering::Equal) {
            let times = same.iter().map(|&place| weight(place)).sum();
            self.learn(label(same[0]), features(same[0]), times);
        }
    }

    /// Has the rows of an epoch wait, and learns from those that have waited long enough.
    fn wait_all(&mut self, batches: &[Changes], pending: &mut Pending, last: bool) {
        for batch in batches {
            let rows = sample_rows(batch);
            for row in 0..rows.len() {
                if !pending.add(rows.sample(row), batch.weight(row)) {
                    self.late += 1;
                }
            }
        }
        for (Sample { label, features, .. }, times) in pending.release(last) {
            self.learn(label, &features, times);
        }
    }
}

/// Where a sample is among the batches of an epoch.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    time: i64,
    order: i64,
    pub(crate) batch: u32,
    pub(crate) row: u32,
}

pub(crate) fn sample_rows(changes: &Changes) -> SampleRows<'_> {
    SampleRows::of(&changes.rows).expect("a model is fed by its encoder")
}

/// The places of all samples in the order in which they are learned.
pub(crate) fn in_order(rows: &[SampleRows<'_>]) -> Vec<Place> {
    let of = |(batch, rows): (usize, &SampleRows<'_>)| {
        let keys = rows.time.iter().zip(rows.order).enumerate();
        let place = |(row, (&time, &order))| Place { time, order, batch: batch as u32, row: row as u32 };
        keys.map(place).collect::<Vec<_>>()
    };
    let mut places: Vec<Place> = rows.iter().enumerate().flat_map(of).collect();
    // A file that one worker reads comes in order.
    if !places.is_sorted_by(|&a, &b| compare(rows, a, b) != Ordering::Greater) {
        places.sort_unstable_by(|&a, &b| compare(rows, a, b));
    }
    places
}

fn compare(rows: &[SampleRows<'_>], a: Place, b: Place) -> Ordering {
    let held = |place: Place| {
        let (rows, row) = (&rows[place.batch as usize], place.row as usize);
        (rows.text(row), rows.label(row), rows.features(row))
    };
    (a.time, a.order).cmp(&(b.time, b.order)).then_with(|| held(a).cmp(&held(b)))
}

/// The key group that owns every model: that of rows without a key.
pub(crate) fn owner() -> KeyGroup {
    KeyGroup::of(hash_columns(&[], 1)[0], KEY_GROUPS)
}

impl Operator for Train {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        self.arrived.push(changes);
    }

    fn finish(&mut self, end: EpochEnd, _out: &mut Outbox) {
        let batches = std::mem::take(&mut self.arrived);
        // Nothing ever waits or comes on the workers that do not own the model: what they know must not be published.
        let is_awaited = end.last && self.pending.as_ref().is_some_and(|pending| pending.len() > 0);
        match self.pending.take() {
            None => self.learn_all(&batches),
            Some(mut pending) => {
                self.wait_all(&batches, &mut pending, end.last);
                self.pending = Some(pending);
            }
        }
        let is_changed = is_awaited || !batches.is_empty();
        self.unsaved |= is_changed;
        if is_changed || std::mem::take(&mut self.unpublished) {
            self.live.publish(&mut *self.learner, &self.progress, self.late);
        }
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.pending.iter_mut().for_each(Pending::track);
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let whole = rewrite.contains(owner());
        if !std::mem::take(&mut self.unsaved) && !whole {
            return;
        }
        let blocks = self.learner.changed(Reader::Checkpoint);
        let saved = state::Saved {
            slots: state::slots(&*self.learner, self.live.spec().slots(), (!whole).then_some(&blocks)),
            open_batch: self.learner.open_batch(),
            progress: self.progress.to_words(),
            late: self.late,
            times: self.pending.as_ref().map_or([i64::MIN; 2], Pending::times),
            pending: match &mut self.pending {
                None => Vec::new(),
                Some(pending) if whole => pending.all(),
                Some(pending) => pending.added(),
            },
        };
        if saved.is_nothing() {
            return;
        }
        let batches: Vec<RecordBatch> = saved.encode();
        batches.iter().for_each(|batch| match whole {
            true => out.full(owner(), batch),
            false => out.changes(owner(), batch),
        });
    }

    fn load(&mut self, section: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let Some(saved) = state::Saved::decode(section)? else { return Ok(()) };
        let window = self.live.spec().window;
        let mismatch = || SnapshotError::Mismatch("the metrics of a model are not what was saved".into());
        self.progress = Progress::from_words(window, &saved.progress).ok_or_else(mismatch)?;
        if saved.slots.iter().any(|(slot, _)| *slot as usize >= self.live.spec().slots()) {
            return Err(SnapshotError::Mismatch("a slot is beyond those of the model".into()));
        }
        saved.slots.iter().for_each(|&(slot, numbers)| self.learner.set_slot(slot as usize, numbers));
        self.learner.set_open_batch(saved.open_batch.0, &saved.open_batch.1);
        self.late = saved.late;
        if let Some(pending) = &mut self.pending {
            pending.load(saved.times, saved.pending);
        }
        self.unpublished = true;
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let waiting = self.pending.as_ref().map_or((0, 0), |pending| (pending.len(), pending.bytes()));
        let bytes = (self.learner.bytes() + waiting.1) as u64;
        OperatorStats { keys: waiting.0 as u64, bytes, late: self.late, failed: 0 }
    }
}
