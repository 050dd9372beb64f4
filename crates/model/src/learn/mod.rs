//! Learners: weights by slot, and the steps that change them.
//!
//! The prediction is `p = σ(Σ w·x)`, the gradient of the log loss by a weight is `(p − y)·x`. All arithmetic is in 32 bits
//! and in the order of the features, so that the same samples in the same order give the same bits.

mod batch;
mod rules;
#[cfg(test)]
mod tests;

use crate::samples::{slot_of, value_of};
use crate::spec::{LearnerSpec, ModelSpec};
use batch::Batch;
use rules::{Adagrad, Ftrl, Rule, Sgd};

/// Weights in blocks of this many are published and saved together.
pub(crate) const BLOCK: usize = 64;

/// What learns from one sample after the other.
pub trait Learner: Send {
    /// The margin `Σ w·x` of a sample; its probability is σ of that.
    fn margin(&self, features: &[u64]) -> f32;

    /// Predicts the sample, then learns from it. Gives the margin before.
    fn learn(&mut self, label: bool, features: &[u64]) -> f32;

    /// The weight of a slot.
    fn weight(&self, slot: usize) -> f32;

    /// The numbers that a slot holds.
    fn slot(&self, slot: usize) -> [f32; 2];

    /// Puts them back.
    fn set_slot(&mut self, slot: usize, numbers: [f32; 2]);

    /// The gradients of a batch that is not full yet, and of how many samples it is.
    fn open_batch(&self) -> (u32, Vec<(u32, f32)>);

    /// Puts them back.
    fn set_open_batch(&mut self, samples: u32, gradients: &[(u32, f32)]);

    /// Hands over the blocks that changed since the last call for this reader.
    fn changed(&mut self, reader: Reader) -> Vec<usize>;

    /// Bytes that it holds.
    fn bytes(&self) -> usize;
}

/// Who is told of changed blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reader {
    /// Those who ask for scores.
    Live = 1,
    /// Checkpoints.
    Checkpoint = 2,
}

/// The learner of a model.
#[must_use]
pub fn learner(spec: &ModelSpec) -> Box<dyn Learner> {
    let (slots, batch) = (spec.slots(), spec.batch);
    match spec.learner {
        LearnerSpec::Sgd { rate, l2 } => Box::new(Theta::new(Sgd { rate, l2 }, slots, batch)),
        LearnerSpec::Adagrad { rate, initial, l2 } => Box::new(Theta::new(Adagrad { rate, initial, l2 }, slots, batch)),
        LearnerSpec::Ftrl { rate, beta, l1, l2 } => {
            Box::new(Theta::new(Ftrl { alpha: rate, beta, l1, l2 }, slots, batch))
        }
    }
}

/// σ: the probability of a margin.
pub(crate) fn sigmoid(margin: f32) -> f32 {
    1.0 / (1.0 + (-margin).exp())
}

/// θ: all weights, and the rule that changes them.
struct Theta<R: Rule> {
    rule: R,
    slots: Vec<R::Slot>,
    /// For each block the readers that have not been told of its last change.
    untold: Vec<u8>,
    /// Where a step is made of several samples.
    batch: Option<Batch>,
}

impl<R: Rule> Theta<R> {
    fn new(rule: R, slots: usize, batch: u32) -> Self {
        let batch = (batch > 1).then(|| Batch::new(batch, slots));
        Self { rule, slots: vec![R::Slot::default(); slots], untold: vec![0; slots.div_ceil(BLOCK)], batch }
    }

    fn step(&mut self, slot: usize, gradient: f32) {
        self.rule.step(&mut self.slots[slot], gradient);
        self.untold[slot / BLOCK] = Reader::Live as u8 | Reader::Checkpoint as u8;
    }

    fn step_batch(&mut self) {
        let Some(mut batch) = self.batch.take() else { return };
        batch.drain(|slot, gradient| self.step(slot, gradient));
        self.batch = Some(batch);
    }
}

impl<R: Rule> Learner for Theta<R> {
    fn margin(&self, features: &[u64]) -> f32 {
        features.iter().fold(0.0, |sum, &x| sum + self.rule.weight(self.slots[slot_of(x)]) * value_of(x))
    }

    fn learn(&mut self, label: bool, features: &[u64]) -> f32 {
        let margin = self.margin(features);
        let error = sigmoid(margin) - f32::from(u8::from(label));
        match &mut self.batch {
            None => features.iter().for_each(|&x| self.step(slot_of(x), error * value_of(x))),
            Some(batch) => {
                if batch.add(error, features) {
                    self.step_batch();
                }
            }
        }
        margin
    }

    fn weight(&self, slot: usize) -> f32 {
        self.rule.weight(self.slots[slot])
    }

    fn slot(&self, slot: usize) -> [f32; 2] {
        R::numbers(self.slots[slot])
    }

    fn set_slot(&mut self, slot: usize, numbers: [f32; 2]) {
        self.slots[slot] = R::slot(numbers);
        self.untold[slot / BLOCK] |= Reader::Live as u8;
    }

    fn open_batch(&self) -> (u32, Vec<(u32, f32)>) {
        self.batch.as_ref().map_or((0, Vec::new()), Batch::gradients)
    }

    fn set_open_batch(&mut self, samples: u32, gradients: &[(u32, f32)]) {
        if let Some(batch) = &mut self.batch {
            batch.set(samples, gradients);
        }
    }

    fn changed(&mut self, reader: Reader) -> Vec<usize> {
        let bit = reader as u8;
        let blocks = (0..self.untold.len()).filter(|&block| self.untold[block] & bit != 0).collect();
        self.untold.iter_mut().for_each(|untold| *untold &= !bit);
        blocks
    }

    fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<R::Slot>()
            + self.untold.capacity()
            + self.batch.as_ref().map_or(0, Batch::bytes)
    }
}
