//! Each learner against a loop that follows its formula and nothing else.

use super::*;
use crate::samples::feature;
use crate::spec::FeatureSpec;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SLOTS: usize = 64;

pub(crate) fn spec(learner: LearnerSpec, batch: u32) -> ModelSpec {
    let (name, label) = ("m".into(), "label".into());
    let features: Vec<FeatureSpec> = Vec::new();
    let (time, order, wait_us) = (None, None, None);
    ModelSpec { name, label, time, order, wait_us, features, bias: true, hash_bits: 6, learner, batch, window: 100 }
}

/// Samples whose labels depend on their features.
fn samples(seed: u64) -> Vec<(bool, Vec<u64>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sample = |_| {
        let features: Vec<u64> = (0..rng.random_range(0..8))
            .map(|_| feature(rng.random_range(0..SLOTS as u32), rng.random_range(-2.0..2.0)))
            .collect();
        let truth: f32 = features.iter().map(|&x| ((slot_of(x) % 5) as f32 - 2.0) * value_of(x)).sum();
        (rng.random_range(0.0..1.0) < sigmoid(truth), features)
    };
    (0..2_000).map(sample).collect()
}

fn learn(learner: &mut dyn Learner, samples: &[(bool, Vec<u64>)]) {
    for (label, features) in samples {
        learner.learn(*label, features);
    }
}

fn weights(learner: &dyn Learner) -> Vec<u32> {
    (0..SLOTS).map(|slot| learner.weight(slot).to_bits()).collect()
}

#[test]
fn one_sample_a_step_is_sequential_gradient_descent_bit_for_bit() {
    for (seed, l2) in [(1, 0.0), (2, 0.001)] {
        let mut learner = learner(&spec(LearnerSpec::Sgd { rate: 0.05, l2 }, 1));
        let mut naive = [0.0_f32; SLOTS];
        for (label, features) in samples(seed) {
            let mut margin = 0.0;
            for &x in &features {
                margin += naive[slot_of(x)] * value_of(x);
            }
            let error = 1.0 / (1.0 + (-margin).exp()) - if label { 1.0 } else { 0.0 };
            for &x in &features {
                naive[slot_of(x)] -= 0.05 * (error * value_of(x) + l2 * naive[slot_of(x)]);
            }
            assert_eq!(learner.learn(label, &features).to_bits(), margin.to_bits());
        }
        assert_eq!(weights(&*learner), naive.map(f32::to_bits), "seed {seed}");
    }
}

#[test]
fn a_batch_is_one_step_by_the_mean_gradient() {
    const SIZE: usize = 7;
    let mut learner = learner(&spec(LearnerSpec::Sgd { rate: 0.5, l2: 0.01 }, SIZE as u32));
    let samples = samples(3);
    let mut naive = [0.0_f32; SLOTS];
    for batch in samples.chunks_exact(SIZE) {
        let before = naive;
        let mut sums = [0.0_f32; SLOTS];
        let mut touched = [false; SLOTS];
        for (label, features) in batch {
            let margin = features.iter().fold(0.0, |sum, &x| sum + before[slot_of(x)] * value_of(x));
            assert_eq!(learner.learn(*label, features).to_bits(), margin.to_bits());
            for &x in features {
                sums[slot_of(x)] += (sigmoid(margin) - f32::from(u8::from(*label))) * value_of(x);
                touched[slot_of(x)] = true;
            }
        }
        for slot in (0..SLOTS).filter(|&slot| touched[slot]) {
            naive[slot] -= 0.5 * (sums[slot] / SIZE as f32 + 0.01 * before[slot]);
        }
    }
    assert_eq!(weights(&*learner), naive.map(f32::to_bits));
}

#[test]
fn adagrad_follows_its_formula() {
    let mut learner = learner(&spec(LearnerSpec::Adagrad { rate: 0.2, initial: 0.1, l2: 0.0 }, 1));
    let (mut weights, mut squares) = ([0.0_f64; SLOTS], [0.1_f64; SLOTS]);
    for (label, features) in samples(4) {
        let margin: f64 = features.iter().map(|&x| weights[slot_of(x)] * f64::from(value_of(x))).sum();
        let error = 1.0 / (1.0 + (-margin).exp()) - f64::from(u8::from(label));
        for &x in &features {
            let gradient = error * f64::from(value_of(x));
            squares[slot_of(x)] += gradient * gradient;
            weights[slot_of(x)] -= 0.2 * gradient / squares[slot_of(x)].sqrt();
        }
        learner.learn(label, &features);
    }
    for (slot, weight) in weights.iter().enumerate() {
        assert!((f64::from(learner.weight(slot)) - weight).abs() < 1e-3, "slot {slot}");
    }
}

#[test]
fn ftrl_follows_the_paper_and_leaves_what_does_not_matter_at_zero() {
    const L1: f64 = 5.0;
    let mut learner = learner(&spec(LearnerSpec::Ftrl { rate: 0.2, beta: 1.0, l1: L1 as f32, l2: 0.5 }, 1));
    let (mut z, mut n) = ([0.0_f64; SLOTS], [0.0_f64; SLOTS]);
    let weight = |z: f64, n: f64| match z.abs() <= L1 {
        true => 0.0,
        false => -(z - z.signum() * L1) / ((1.0 + n.sqrt()) / 0.2 + 0.5),
    };
    for (label, features) in samples(5) {
        let at: Vec<f64> = features.iter().map(|&x| weight(z[slot_of(x)], n[slot_of(x)])).collect();
        let margin: f64 = features.iter().zip(&at).map(|(&x, w)| w * f64::from(value_of(x))).sum();
        let error = 1.0 / (1.0 + (-margin).exp()) - f64::from(u8::from(label));
        for &x in &features {
            let (slot, gradient) = (slot_of(x), error * f64::from(value_of(x)));
            let sigma = ((n[slot] + gradient * gradient).sqrt() - n[slot].sqrt()) / 0.2;
            z[slot] += gradient - sigma * weight(z[slot], n[slot]);
            n[slot] += gradient * gradient;
        }
        learner.learn(label, &features);
    }
    let expected: Vec<f64> = (0..SLOTS).map(|slot| weight(z[slot], n[slot])).collect();
    for (slot, expected) in expected.iter().enumerate() {
        assert!((f64::from(learner.weight(slot)) - expected).abs() < 1e-3, "slot {slot}");
    }
    let zeros = (0..SLOTS).filter(|&slot| learner.weight(slot) == 0.0).count();
    assert!((1..SLOTS / 2).contains(&zeros), "{zeros} weights are zero");
}

#[test]
fn a_learner_goes_on_from_what_was_saved() {
    for batch in [1, 7] {
        let spec = spec(LearnerSpec::default(), batch);
        let samples = samples(6);
        let (mut whole, mut first, mut second) = (learner(&spec), learner(&spec), learner(&spec));
        learn(&mut *whole, &samples);
        learn(&mut *first, &samples[..1_001]);
        (0..SLOTS).for_each(|slot| second.set_slot(slot, first.slot(slot)));
        let (count, gradients) = first.open_batch();
        second.set_open_batch(count, &gradients);
        learn(&mut *second, &samples[1_001..]);
        assert_eq!(weights(&*second), weights(&*whole));
    }
}

#[test]
fn each_reader_is_told_once_of_a_changed_block() {
    let mut learner = learner(&spec(LearnerSpec::default(), 1));
    learner.learn(true, &[feature(3, 1.0)]);
    assert_eq!(learner.changed(Reader::Live), [0]);
    assert_eq!(learner.changed(Reader::Live), [] as [usize; 0]);
    assert_eq!(learner.changed(Reader::Checkpoint), [0]);
}
