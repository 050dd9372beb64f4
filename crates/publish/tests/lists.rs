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

/// Nobody waits for lists that nobody asks for.
#[test]
fn a_thread_that_fails_ends_the_run() {
    let case = Case::busy(&mut ChaCha8Rng::seed_from_u64(1), 5, (20, 20));
    for workers in [1, 2, 4] {
        let mut job = Job::new(&case, window(1_000));
        job.breaks = true;
        let ended = job.run(workers, 1);
        assert!(ended.is_err_and(|error| error.contains("see the log above")), "{workers} workers");
    }
}

/// More than ten times what the evaluators can do, whose answers take so long that rounds are often lost. In real time, for
/// two minutes, it is a benchmark.
#[test]
fn overload_is_bounded_and_loses_nothing() {
    let epochs = 150;
    let (users, items) = (60, 150);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let case = Case::busy(&mut rng, epochs, (users, items));
    let rules = WindowRules { blocking_us: 15_000, check_us: 3_000, small_max: 256, ..window(1_000) };
    let mut job = Job::new(&case, rules);
    job.faults.delay = Duration::from_millis(1);
    // As a stream that does not wait for anybody, but in real time.
    job.pace = 0.3;
    job.run(2, 7).unwrap();
    job.check("overload");
    let samples = job.samples.lock().unwrap();
    // Lists were put out far less often than something changed. What is lost is asked for again, the more often the busier the
    // machine is, which makes evaluators late.
    let (changed, figures) = ((epochs * items) as u64, &job.figures[0]);
    assert!(figures.written < changed / 20, "{} of {changed} were put out", figures.written);
    let asked = figures.masters.sent_again + figures.written;
    assert!(asked < changed / 5, "{asked} of {changed} were asked for");
    // Of what waits there is no more than there are objects, each at each place at the most; no more is on its way than the
    // windows let out.
    let waiting = samples.iter().map(|figures| figures.masters.waiting + figures.changes.waiting).max().unwrap();
    assert!(waiting <= 2 * (3 * items + 2 * users) as u64, "{waiting}");
    let in_flight =
        samples.iter().map(|figures| figures.masters.in_flight.max(figures.changes.in_flight)).max().unwrap();
    assert!(in_flight <= 2 * 256, "{in_flight}");
    // Windows shrink on loss, and grow again.
    let windows: Vec<u64> = samples.iter().map(|figures| figures.masters.window).collect();
    let least = windows.iter().min().unwrap();
    let at = windows.iter().position(|window| window == least).unwrap();
    assert!(least < &windows[0] && windows[at..].iter().any(|window| window > least), "{windows:?}");
}
