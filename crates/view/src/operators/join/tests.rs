//! Random streams against a nested loop.

use super::*;
use crate::operators::testing::{Bag, Driver, MICROS, Row, Stream, V, add, any, any_text, compare, schema};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn row(rng: &mut ChaCha8Rng) -> Row {
    vec![
        any_text(rng),
        any(rng, &[V::Int(1), V::Int(2)]),
        any(rng, &[V::float(0.0), V::float(-0.0), V::float(f64::NAN)]),
    ]
}

fn spec(kind: JoinKind) -> JoinSpec {
    let types = [DataType::Utf8View, DataType::Int64, DataType::Float64];
    JoinSpec {
        left: schema(&types),
        right: schema(&types),
        left_keys: vec![0, 1],
        right_keys: vec![0, 1],
        kind,
        output: schema(&[types.clone(), types].concat()),
        expiry: [None, None],
        reaches_us: None,
    }
}

fn matches(left: &Row, right: &Row) -> bool {
    left[..2] == right[..2] && !left[..2].contains(&V::Null)
}

fn naive(kind: JoinKind, left: &Bag, right: &Bag, matches: fn(&Row, &Row) -> bool) -> Bag {
    let width = left.keys().chain(right.keys()).next().map_or(0, Vec::len);
    let nulls = || vec![V::Null; width];
    let [left_outer, right_outer] = kind.outer();
    let mut result = Bag::new();
    for (l, n) in left {
        for (r, m) in right.iter().filter(|(r, _)| matches(l, r)) {
            add(&mut result, [l.clone(), r.clone()].concat(), n * m);
        }
        if left_outer && !right.keys().any(|r| matches(l, r)) {
            add(&mut result, [l.clone(), nulls()].concat(), *n);
        }
    }
    for (r, m) in right {
        if right_outer && !left.keys().any(|l| matches(l, r)) {
            add(&mut result, [nulls(), r.clone()].concat(), *m);
        }
    }
    result
}

#[test]
fn equals_a_recomputation() {
    for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full] {
        for seed in 0..6 {
            let spec = spec(kind);
            let left = Stream::new(spec.left.clone(), &[0, 1], false, row);
            let right = Stream::new(spec.right.clone(), &[0, 1], false, row);
            let make = || Box::new(Join::new(spec.clone())) as Box<dyn Operator>;
            compare(seed, vec![left, right], &make, &|bags| naive(kind, bags[0], bags[1], matches));
        }
    }
}

/// Rows of a key and a time, which match if the right one is at most 20 us newer, or the left one at most 50.
fn timed(kind: JoinKind) -> JoinSpec {
    let types = [DataType::Int64, MICROS];
    let expiry = || Some(Expiry { column: 1, span_us: 0, input: 2 });
    JoinSpec {
        left: schema(&types),
        right: schema(&types),
        left_keys: vec![0],
        right_keys: vec![0],
        kind,
        output: schema(&[types.clone(), types].concat()),
        expiry: [expiry(), expiry()],
        reaches_us: Some([20, 50]),
    }
}

fn are_near(left: &Row, right: &Row) -> bool {
    let near = match (&left[1], &right[1]) {
        (V::Int(left), V::Int(right)) => *right <= left + 20 && *left <= right + 50,
        _ => false,
    };
    near && left[0] == right[0] && left[0] != V::Null
}

#[test]
fn rows_match_near_each_other_in_time() {
    for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full] {
        for seed in 0..6 {
            let spec = timed(kind);
            let row = |rng: &mut ChaCha8Rng| {
                let time = V::Int(rng.random_range(0..20) * 10);
                let time = if rng.random_bool(0.1) { V::Null } else { time };
                vec![any(rng, &[V::Int(1), V::Int(2)]), time]
            };
            let left = Stream::new(spec.left.clone(), &[0], false, row);
            let right = Stream::new(spec.right.clone(), &[0], false, row);
            let make = || Box::new(Join::new(spec.clone())) as Box<dyn Operator>;
            compare(seed, vec![left, right], &make, &|bags| naive(kind, bags[0], bags[1], are_near));
        }
    }
}

#[test]
fn forgotten_rows_leave_their_results() {
    let types = [MICROS, DataType::Int64];
    let expiry = |input| Some(Expiry { column: 0, span_us: 0, input });
    let spec = JoinSpec {
        left: schema(&types),
        right: schema(&types),
        left_keys: vec![1],
        right_keys: vec![1],
        kind: JoinKind::Left,
        output: schema(&[types.clone(), types].concat()),
        expiry: [expiry(2), expiry(2)],
        reaches_us: None,
    };
    let make = || Box::new(Join::new(spec.clone())) as Box<dyn Operator>;
    let never: fn(&mut ChaCha8Rng) -> Row = |_| unreachable!("rows are given");
    let rows = Stream::new(spec.left.clone(), &[1], true, never);
    let bounds = Stream::new(schema(&[MICROS]), &[], true, never);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut driver = Driver::new(1, &make);
    for time in 0..200i128 {
        let row = vec![V::Int(time), V::Int(7)];
        let left = if time % 2 == 0 { vec![(row.clone(), 1)] } else { vec![] };
        let right = if time % 2 == 1 { vec![(row, 1)] } else { vec![] };
        let bound = vec![(vec![V::Int(time - 3)], 1)];
        let net = driver.epoch(&[(&rows, left), (&rows, right), (&bounds, bound)], &mut rng);
        assert!(net.values().all(|&weight| weight > 0) || time == 1, "{time}: {net:?}");
    }
    assert!(driver.workers[0].stats().keys < 20, "{:?}", driver.workers[0].stats());
    assert!(rng.random_bool(1.0));
}
