//! A model as those see it who ask: the encoder, the newest weights, and how good it is.

use crate::features::Encoder;
use crate::learn::{BLOCK, Learner, Reader};
use crate::metrics::{Progress, Summary};
use crate::samples::{slot_of, value_of};
use crate::spec::ModelSpec;
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The model that a run keeps. Its owner writes it at the end of each epoch, anyone reads it at any time without waiting.
///
/// A reader may meet weights of two epochs while one is being published.
pub struct LiveModel {
    spec: ModelSpec,
    /// The bits of the weights.
    weights: Box<[AtomicU32]>,
    late: AtomicU64,
    metrics: Mutex<[Summary; 2]>,
}

impl LiveModel {
    /// A model that has seen nothing.
    #[must_use]
    pub fn new(spec: ModelSpec) -> Self {
        let weights = (0..spec.slots()).map(|_| AtomicU32::new(0)).collect();
        Self { spec, weights, late: AtomicU64::new(0), metrics: Mutex::default() }
    }

    /// What the job says of it.
    #[must_use]
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// How good predictions were since the beginning.
    #[must_use]
    pub fn all(&self) -> Summary {
        self.metrics.lock()[0]
    }

    /// How good predictions were over the last window.
    #[must_use]
    pub fn recent(&self) -> Summary {
        self.metrics.lock()[1]
    }

    /// Rows that came, or were taken back, after they had been learned.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }

    /// The weight of a slot.
    #[must_use]
    pub fn weight(&self, slot: usize) -> f32 {
        f32::from_bits(self.weights[slot].load(Relaxed))
    }

    /// The margin of a sparse vector, as the learner takes it.
    #[must_use]
    pub fn margin(&self, features: &[u64]) -> f32 {
        features.iter().fold(0.0, |sum, &x| sum + self.weight(slot_of(x)) * value_of(x))
    }

    /// The margin of each row of a batch, by an encoder that was bound to its columns. A row that cannot be encoded has
    /// none.
    #[must_use]
    pub fn margins(&self, encoder: &Encoder, rows: &RecordBatch) -> Vec<Option<f32>> {
        let mut margins = Vec::with_capacity(rows.num_rows());
        encoder.each(rows, |features| margins.push(features.map(|features| self.margin(features))));
        margins
    }

    /// The margin of each row in whole units of 2^-32, what each feature adds rounded before it is added; a row that
    /// cannot be encoded has none.
    #[must_use]
    pub fn units(&self, encoder: &Encoder, rows: &RecordBatch) -> Vec<i64> {
        let mut units = Vec::with_capacity(rows.num_rows());
        encoder.each(rows, |features| units.push(features.map_or(0, |features| self.units_of(features))));
        units
    }

    /// What each feature adds to the margin of the first row, in units: these sum to what [`units`](Self::units) gives.
    #[must_use]
    pub fn parts(&self, encoder: &Encoder, rows: &RecordBatch) -> Vec<(String, i64)> {
        let mut parts = Vec::new();
        encoder.each_part(rows, 0, |name, features| parts.push((name.to_owned(), self.units_of(features))));
        parts
    }

    fn units_of(&self, features: &[u64]) -> i64 {
        const UNIT: f64 = 4_294_967_296.0;
        let part = |x: u64| (f64::from(self.weight(slot_of(x))) * f64::from(value_of(x)) * UNIT).round() as i64;
        features.iter().map(|&x| part(x)).sum()
    }

    /// Publishes what the learner has changed.
    pub(crate) fn publish(&self, learner: &mut dyn Learner, progress: &Progress, late: u64) {
        for block in learner.changed(Reader::Live) {
            let slots = block * BLOCK..self.weights.len().min((block + 1) * BLOCK);
            slots.for_each(|slot| self.weights[slot].store(learner.weight(slot).to_bits(), Relaxed));
        }
        self.late.store(late, Relaxed);
        *self.metrics.lock() = [progress.all(), progress.recent()];
    }
}
