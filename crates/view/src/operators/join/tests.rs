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
        left_expiry: None,
        right_expiry: None,
    }
}

fn matches(left: &Row, right: &Row) -> bool {
    left[..2] == right[..2] && !left[..2].contains(&V::Null)
}

fn naive(kind: JoinKind, left: &Bag, right: &Bag) -> Bag {
    let nulls = || vec![V::Null; 3];
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
            compare(seed, vec![left, right], &make, &|bags| naive(kind, bags[0], bags[1]));
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
        left_expiry: expiry(2),
        right_expiry: expiry(2),
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
