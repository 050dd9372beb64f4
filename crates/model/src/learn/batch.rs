//! Mini-batches: the gradients of several samples, taken at the same weights, make one step by their mean.

use crate::samples::{slot_of, value_of};

/// A batch that fills up.
pub(super) struct Batch {
    size: u32,
    samples: u32,
    /// The sum of gradients by slot.
    sums: Vec<f32>,
    touched: Vec<bool>,
    /// The touched slots in the order of their first touch, which is the order of their steps.
    slots: Vec<u32>,
}

impl Batch {
    pub(super) fn new(size: u32, slots: usize) -> Self {
        Self { size, samples: 0, sums: vec![0.0; slots], touched: vec![false; slots], slots: Vec::new() }
    }

    /// Adds the gradients of a sample. Says whether the batch is full.
    pub(super) fn add(&mut self, error: f32, features: &[u64]) -> bool {
        features.iter().for_each(|&x| self.add_one(slot_of(x), error * value_of(x)));
        self.samples += 1;
        self.samples >= self.size
    }

    fn add_one(&mut self, slot: usize, gradient: f32) {
        if !std::mem::replace(&mut self.touched[slot], true) {
            self.slots.push(slot as u32);
        }
        self.sums[slot] += gradient;
    }

    /// Hands over the mean gradients and begins anew.
    pub(super) fn drain(&mut self, mut step: impl FnMut(usize, f32)) {
        let samples = std::mem::take(&mut self.samples) as f32;
        for slot in self.slots.drain(..) {
            let slot = slot as usize;
            self.touched[slot] = false;
            step(slot, std::mem::take(&mut self.sums[slot]) / samples);
        }
    }

    /// The samples so far and their gradients, in the order of their steps.
    pub(super) fn gradients(&self) -> (u32, Vec<(u32, f32)>) {
        (self.samples, self.slots.iter().map(|&slot| (slot, self.sums[slot as usize])).collect())
    }

    /// Puts them back in place of what it holds.
    pub(super) fn set(&mut self, samples: u32, gradients: &[(u32, f32)]) {
        self.drain(|_, _| {});
        gradients.iter().for_each(|&(slot, gradient)| self.add_one(slot as usize, gradient));
        self.samples = samples;
    }

    pub(super) fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<f32>() + self.touched.capacity() + self.slots.capacity() * size_of::<u32>()
    }
}
