//! Lists in a store against all paths evaluated for all objects: random graphs, random paths, rows that are taken back,
//! objects that are forgotten, messages that are lost, crashes; on 1, 2 and 4 workers.

#![allow(clippy::unwrap_used)]

// The random graphs and paths are those by which paths are tested.
#[allow(dead_code)]
#[path = "../../graph/tests/paths/expressions.rs"]
mod expressions;
#[allow(dead_code)]
#[path = "../../graph/tests/paths/graph.rs"]
mod graph;
#[allow(dead_code)]
#[path = "../../graph/tests/paths/random.rs"]
mod random;
mod support;

use proxima_publish::{Faults, WindowRules};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use support::{Case, Job};

/// Answers come soon, so that lost ones are sent again soon.
fn window(interval_us: u64) -> WindowRules {
    WindowRules { big: 40, small_max: 16, blocking_us: 10_000, check_us: 2_000, interval_us }
}

#[test]
fn lists_are_what_the_paths_lead_to() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let case = Case::random(&mut rng);
        for workers in [1, 2, 4] {
            let mut job = Job::new(&case, window(rng.random_range(0..3_000)));
            job.pace = rng.random_range(0.0..0.5);
            job.run(workers, seed).unwrap_or_else(|error| panic!("seed {seed}, {workers} workers: {error}"));
            job.check(&format!("seed {seed}, {workers} workers"));
        }
    }
}

/// Nothing is at its end: the run goes on when the lists are compared.
#[test]
fn lists_become_true_while_the_run_goes_on() {
    for seed in 100..115 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let case = Case::random(&mut rng);
        let mut job = Job::new(&case, window(2_000));
        job.waits = true;
        job.run([1, 2, 4][seed as usize % 3], seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn every_tenth_message_may_be_lost() {
    for seed in 200..215 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let case = Case::random(&mut rng);
        let workers = [1, 2, 4][seed as usize % 3];
        let mut job = Job::new(&case, window(500));
        job.faults = Faults { drop_one_in: Some(10), delay: Duration::ZERO };
        job.waits = rng.random_bool(0.5);
        job.run(workers, seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        job.check(&format!("seed {seed}, {workers} workers"));
        let again: u64 =
            job.figures.iter().map(|figures| figures.masters.sent_again + figures.changes.sent_again).sum();
        assert!(again > 0, "seed {seed}: what was lost was sent again");
    }
}

/// What a checkpoint covers is in the store, or is still known to be to do.
#[test]
fn lists_survive_crashes() {
    for seed in 300..340 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let case = Case::random(&mut rng);
        let mut job = Job::new(&case, window(rng.random_range(0..3_000)));
        job.pace = rng.random_range(0.0..0.5);
        // Slow answers leave much to do at each checkpoint.
        job.faults.delay = Duration::from_micros([0, 0, 300][seed as usize % 3]);
        job.run_crashing(1 + seed as usize % 3, seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        job.check(&format!("seed {seed}"));
    }
}
