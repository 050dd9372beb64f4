//! Random streams against a recomputation over the rows that are there.

use super::*;
use crate::operators::testing::{
    Bag, Driver, MICROS, Printed, Row, Stream, V, add, any, any_text, batch, compare_state, schema,
};
use proxima_engine::Operator;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

const DECIMAL: DataType = DataType::Decimal128(38, 2);
const MEAN: DataType = DataType::Decimal128(38, 6);

/// Columns: key text, key int, value int64, value decimal, value float, value text, filter.
fn input() -> SchemaRef {
    schema(&[
        DataType::Utf8View,
        DataType::Int32,
        DataType::Int64,
        DECIMAL,
        DataType::Float64,
        DataType::Utf8View,
        DataType::Boolean,
    ])
}

const FLOATS: [f64; 12] =
    [0.1, -0.1, 1e300, -1e300, f64::MAX, -f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 0.0, 1e16];

fn row(rng: &mut ChaCha8Rng) -> Row {
    let floats: Vec<V> = FLOATS.iter().map(|&value| V::float(value)).collect();
    let whole = [i64::MAX, i64::MIN, 0, 1, -1, 77].map(|value| V::Int(value.into()));
    let from = rng.random_range(0..2) * 3;
    let edge = 10i128.pow(38) - 1;
    vec![
        any_text(rng),
        V::Int(rng.random_range(0..3)),
        any(rng, &whole),
        any(rng, &[edge, -edge, 5, -7, 0].map(V::Int)),
        any(rng, &floats[from..]),
        any_text(rng),
        any(rng, &[V::Bool(true), V::Bool(false)]),
    ]
}

fn call(
    function: AggregateFunction,
    argument: Option<usize>,
    filter: Option<usize>,
    output: DataType,
) -> AggregateCall {
    AggregateCall { function, argument, filter, output }
}

fn calls() -> Vec<AggregateCall> {
    use AggregateFunction::{ApproxDistinct, Avg, Count, CountDistinct, Max, Min, Sum};
    vec![
        call(Count, None, None, DataType::Int64),
        call(Count, None, Some(6), DataType::Int64),
        call(Count, Some(2), None, DataType::Int64),
        call(Sum, Some(2), None, DataType::Int64),
        call(Sum, Some(3), Some(6), DECIMAL),
        call(Avg, Some(3), None, MEAN),
        call(Sum, Some(4), None, DataType::Float64),
        call(Min, Some(2), None, DataType::Int64),
        call(Max, Some(4), None, DataType::Float64),
        call(Min, Some(5), None, DataType::Utf8View),
        call(Max, Some(5), Some(6), DataType::Utf8View),
        call(CountDistinct, Some(5), None, DataType::Int64),
        call(CountDistinct, Some(3), Some(6), DataType::Int64),
        call(ApproxDistinct, Some(2), None, DataType::UInt64),
        call(Avg, Some(2), None, DataType::Float64),
        call(Avg, Some(4), Some(6), DataType::Float64),
        call(Max, Some(3), None, DECIMAL),
        call(Min, Some(6), None, DataType::Boolean),
    ]
}

fn spec(keys: &[usize], calls: Vec<AggregateCall>, append_only: bool) -> AggregateSpec {
    let input = input();
    let mut types: Vec<DataType> = keys.iter().map(|&key| input.field(key).data_type().clone()).collect();
    types.extend(calls.iter().map(|call| call.output.clone()));
    AggregateSpec {
        input,
        keys: keys.to_vec(),
        calls,
        output: schema(&types),
        append_only,
        upserts: false,
        expiry: None,
    }
}

fn int(value: &V) -> i128 {
    match value {
        V::Int(value) => *value,
        other => panic!("{other:?}"),
    }
}

fn float(value: &V) -> f64 {
    match value {
        V::Float(bits) => f64::from_bits(*bits),
        other => panic!("{other:?}"),
    }
}

/// The sum of integers within bounds, by digits: a big number in base 10^18, so as not to trust any 128-bit trick.
fn bounded_sum(values: &[i128], limit: i128) -> Option<i128> {
    const BASE: i128 = 1_000_000_000_000_000_000;
    let mut digits = [0i128; 4];
    for value in values {
        let mut rest = *value;
        for digit in &mut digits {
            *digit += rest % BASE;
            rest /= BASE;
        }
    }
    for at in 0..3 {
        digits[at + 1] += digits[at].div_euclid(BASE);
        digits[at] = digits[at].rem_euclid(BASE);
    }
    let upper = digits[3].checked_mul(BASE)?.checked_add(digits[2])?;
    let upper = upper.checked_mul(BASE)?.checked_add(digits[1])?;
    let sum = upper.checked_mul(BASE)?.checked_add(digits[0])?;
    (sum.abs() <= limit).then_some(sum)
}

/// The sum of floats by repeated exact cancellation: adds the values in groups of the same exponent as integers.
fn float_sum(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let plus = values.contains(&f64::INFINITY);
    let minus = values.contains(&f64::NEG_INFINITY);
    match (plus, minus) {
        (true, true) => return f64::NAN,
        (true, false) => return f64::INFINITY,
        (false, true) => return f64::NEG_INFINITY,
        _ => {}
    }
    // Decimal digits of the exact sum: bits from 2^1100 down to 2^-1074, as a signed count for each bit.
    let mut bits = vec![0i64; 2300];
    for &value in values {
        let raw = value.abs().to_bits();
        let exponent = (raw >> 52) as usize;
        let mantissa = (raw & ((1 << 52) - 1)) | if exponent > 0 { 1 << 52 } else { 0 };
        let shift = exponent.max(1) - 1;
        for bit in 0..53 {
            bits[shift + bit] += ((mantissa >> bit & 1) as i64) * if value < 0.0 { -1 } else { 1 };
        }
    }
    let carry = |bits: &mut Vec<i64>| {
        for at in 0..bits.len() - 1 {
            let over = bits[at].div_euclid(2);
            bits[at] -= 2 * over;
            bits[at + 1] += over;
        }
    };
    carry(&mut bits);
    let negative = *bits.last().unwrap() < 0;
    if negative {
        bits.iter_mut().for_each(|bit| *bit = -*bit);
        carry(&mut bits);
    }
    let Some(top) = bits.iter().rposition(|&bit| bit != 0) else { return 0.0 };
    let low = top.saturating_sub(52);
    let mut mantissa: u64 = (low..=top).map(|at| (bits[at] as u64) << (at - low)).sum();
    let half = low > 0 && bits[low - 1] == 1;
    let more = low > 1 && bits[..low - 1].contains(&1);
    mantissa += u64::from(half && (more || mantissa % 2 == 1));
    let value = if low + 53 > 2098 || (low + 53 == 2098 && mantissa >> 53 == 1) {
        f64::INFINITY
    } else {
        mantissa as f64 * 2f64.powi(low as i32 / 2 - 537) * 2f64.powi(low as i32 - low as i32 / 2 - 537)
    };
    if negative { -value } else { value }
}

fn total_order(value: &V) -> i64 {
    let V::Float(bits) = value else { panic!("{value:?}") };
    let bits = *bits as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn answer(call: &AggregateCall, rows: &[&Row]) -> V {
    let kept = rows.iter().filter(|row| call.filter.is_none_or(|filter| row[filter] == V::Bool(true)));
    let Some(argument) = call.argument else { return V::Int(kept.count() as i128) };
    let values: Vec<&V> = kept.map(|row| &row[argument]).filter(|value| **value != V::Null).collect();
    let ints = || values.iter().map(|value| int(value)).collect::<Vec<_>>();
    let or_null = |value: Option<i128>| value.map_or(V::Null, V::Int);
    match (call.function, &call.output) {
        (AggregateFunction::Count, _) => V::Int(values.len() as i128),
        (AggregateFunction::CountDistinct | AggregateFunction::ApproxDistinct, _) => {
            V::Int(values.iter().collect::<BTreeSet<_>>().len() as i128)
        }
        _ if values.is_empty() => V::Null,
        (AggregateFunction::Sum | AggregateFunction::Avg, DataType::Float64) => {
            let sum = match values[0] {
                V::Float(_) => float_sum(&values.iter().map(|value| float(value)).collect::<Vec<_>>()),
                _ => bounded_sum(&ints(), i128::MAX).unwrap() as f64,
            };
            V::float(if call.function == AggregateFunction::Avg { sum / values.len() as f64 } else { sum })
        }
        (AggregateFunction::Sum, DataType::Int64) => {
            or_null(bounded_sum(&ints(), i128::MAX).filter(|&sum| i64::try_from(sum).is_ok()))
        }
        (AggregateFunction::Sum, _) => or_null(bounded_sum(&ints(), 10i128.pow(38) - 1)),
        (AggregateFunction::Avg, _) => {
            let sum = bounded_sum(&ints(), i128::MAX).and_then(|sum| sum.checked_mul(10_000));
            or_null(sum.map(|sum| sum / values.len() as i128).filter(|mean| mean.abs() < 10i128.pow(38)))
        }
        (AggregateFunction::Min, _) => (*values.iter().min().unwrap()).clone(),
        (AggregateFunction::Max, DataType::Float64) => {
            (*values.iter().max_by_key(|value| total_order(value)).unwrap()).clone()
        }
        (AggregateFunction::Max, _) => (*values.iter().max().unwrap()).clone(),
    }
}

fn naive(spec: &AggregateSpec, seen: bool, bag: &Bag) -> Bag {
    let mut groups: BTreeMap<Row, Vec<&Row>> = BTreeMap::new();
    if spec.keys.is_empty() && seen {
        groups.insert(Vec::new(), Vec::new());
    }
    for (row, &weight) in bag {
        let key = spec.keys.iter().map(|&key| row[key].clone()).collect();
        groups.entry(key).or_default().extend(std::iter::repeat_n(row, weight as usize));
    }
    let mut result = Bag::new();
    for (mut key, rows) in groups {
        key.extend(spec.calls.iter().map(|call| answer(call, &rows)));
        add(&mut result, key, 1);
    }
    result
}

fn check(seed: u64, spec: &AggregateSpec) {
    let stream = Stream::new(spec.input.clone(), &spec.keys, spec.append_only, row);
    let seen = std::rc::Rc::clone(&stream.seen);
    let make = || Box::new(Aggregate::new(spec.clone())) as Box<dyn Operator>;
    compare_state(seed, vec![stream], &make, &|bags| naive(spec, seen.get(), bags[0]), name_groups);
}

/// Puts the row of a group in place of its number in what accumulators hold beside the words.
fn name_groups(batches: &mut Printed) {
    let (rows, beside) = batches[1..].split_first_mut().expect("keys and words");
    for line in beside.iter_mut().flatten() {
        let place: usize = line[0].trim_matches('\'').parse().unwrap();
        line[0] = rows[place].join(" ");
    }
}

#[test]
fn groups_that_are_over_leave_the_saves_too() {
    let input = schema(&[MICROS, DataType::Int64]);
    let calls = vec![
        call(AggregateFunction::Count, None, None, DataType::Int64),
        call(AggregateFunction::CountDistinct, Some(1), None, DataType::Int64),
        call(AggregateFunction::Max, Some(1), None, DataType::Int64),
    ];
    let output = schema(&[MICROS, DataType::Int64, DataType::Int64, DataType::Int64]);
    let expiry = Some(Expiry { column: 0, span_us: 10, input: 1 });
    for (seed, append_only, calls) in [(0, false, calls.clone()), (1, true, calls), (2, true, vec![])] {
        let output = if calls.is_empty() { schema(&[MICROS]) } else { output.clone() };
        let spec = AggregateSpec {
            input: input.clone(),
            keys: vec![0],
            calls,
            output,
            append_only,
            upserts: false,
            expiry: expiry.clone(),
        };
        let make = || Box::new(Aggregate::new(spec.clone())) as Box<dyn Operator>;
        let rows = Stream::new(input.clone(), &[0], true, |_| unreachable!("rows are given"));
        let mut bounds = Stream::new(schema(&[MICROS]), &[], true, |_| unreachable!("bounds are given"));
        bounds.broadcast = true;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut driver = Driver::new(1, &make);
        // What is over is forgotten at another time by who was started again.
        driver.canonical = None;
        let mut bag = Bag::new();
        for time in 0..200i128 {
            let row = |rng: &mut ChaCha8Rng| {
                vec![V::Int((time - rng.random_range(0..3)).max(0) * 10), V::Int(rng.random_range(0..5))]
            };
            let changes: Vec<(Row, i64)> = (0..10).map(|_| (row(&mut rng), 1)).collect();
            changes.iter().for_each(|(row, weight)| add(&mut bag, row.clone(), *weight));
            driver.epoch(&[(&rows, changes), (&bounds, vec![(vec![V::Int(time * 10 - 25)], 1)])], &mut rng);
            assert_eq!(driver.result, naive(&spec, true, &bag), "seed {seed} time {time}");
            if rng.random_ratio(1, 4) {
                driver.save(&mut rng);
            }
            if rng.random_ratio(1, 15) {
                driver.restart(rng.random_range(1..=4), &mut rng);
            }
        }
        driver.restart(1, &mut rng);
        assert!(driver.workers[0].stats().keys < 100, "{:?}", driver.workers[0].stats());
    }
}

#[test]
fn equals_a_recomputation_under_retraction() {
    for seed in 0..12 {
        check(seed, &spec(&[0, 1], calls(), false));
        check(seed, &spec(&[1], calls(), false));
    }
}

#[test]
fn equals_a_recomputation_of_rows_that_only_appear() {
    for seed in 0..12 {
        check(seed, &spec(&[0, 1], calls(), true));
    }
}

#[test]
fn distinct_gives_each_key_once() {
    for seed in 0..12 {
        check(seed, &spec(&[0, 2, 3], vec![], true));
        check(seed, &spec(&[0, 2, 3], vec![], false));
        check(seed, &spec(&[0, 2, 3, 5], vec![calls()[0].clone()], true));
    }
}

#[test]
fn without_keys_there_is_one_row_from_the_first_on() {
    for seed in 0..12 {
        check(seed, &spec(&[], calls(), false));
    }
}

#[test]
fn sums_of_floats_do_not_depend_on_the_order() {
    let sum = vec![call(AggregateFunction::Sum, Some(4), None, DataType::Float64)];
    let spec = spec(&[1], sum, false);
    let make = || Box::new(Aggregate::new(spec.clone())) as Box<dyn Operator>;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut rows: Vec<(Row, i64)> = (0..200).map(|_| (row(&mut rng), 1)).collect();
    for (row, _) in &mut rows {
        row[4] = V::float(rng.random_range(-1.0..1.0) * 10f64.powi(rng.random_range(-300..300)));
    }
    let results: BTreeSet<Vec<Row>> = (0..10)
        .map(|_| {
            use rand::seq::SliceRandom;
            rows.shuffle(&mut rng);
            let stream = Stream::new(spec.input.clone(), &[1], false, row);
            let mut driver = Driver::new(1, &make);
            driver.epoch(&[(&stream, rows.clone())], &mut rng);
            driver.result.into_keys().collect()
        })
        .collect();
    assert_eq!(results.len(), 1);
}

#[test]
fn groups_before_the_bound_are_forgotten_and_their_rows_stand() {
    let input = schema(&[MICROS, DataType::Int64]);
    let calls = vec![
        call(AggregateFunction::Count, None, None, DataType::Int64),
        call(AggregateFunction::CountDistinct, Some(1), None, DataType::Int64),
    ];
    let output = schema(&[MICROS, DataType::Int64, DataType::Int64]);
    let expiry = Some(Expiry { column: 0, span_us: 10, input: 1 });
    let mut aggregate = Aggregate::new(AggregateSpec {
        input: input.clone(),
        keys: vec![0],
        calls,
        output,
        append_only: false,
        upserts: false,
        expiry,
    });
    let (mut out, mut shown) = (proxima_engine::Outbox::default(), 0);
    for bucket in 0..100i128 {
        let rows: Vec<Row> = (0..4).map(|value| vec![V::Int(bucket * 10), V::Int(value)]).collect();
        aggregate.apply(0, proxima_event::Changes::inserts(batch(&input, &rows)), &mut out);
        let bound = batch(&schema(&[MICROS]), &[vec![V::Int(bucket * 10 - 15)]]);
        aggregate.apply(1, proxima_event::Changes::inserts(bound), &mut out);
        let end = proxima_engine::EpochEnd { epoch: proxima_event::Epoch(bucket as u64), last: false };
        aggregate.finish(end, &mut out);
        shown += out.drain().map(|changes| (0..changes.len()).map(|row| changes.weight(row)).sum::<i64>()).sum::<i64>();
    }
    assert_eq!(shown, 100, "each bucket is put out once and not taken back");
    assert!(aggregate.stats().keys <= 6, "{} groups are held", aggregate.stats().keys);
}

#[test]
fn upserts_put_out_the_new_row_alone_and_the_old_one_of_a_group_that_is_gone() {
    let input = schema(&[DataType::Int64]);
    let mut spec = spec(&[1], vec![call(AggregateFunction::Count, None, None, DataType::Int64)], false);
    (spec.input, spec.keys, spec.upserts) = (input.clone(), vec![0], true);
    spec.output = schema(&[DataType::Int64, DataType::Int64]);
    let mut aggregate = Aggregate::new(spec);
    let mut epoch = |number, changes: &[(i128, i64)]| {
        let mut out = proxima_engine::Outbox::default();
        let rows: Vec<Row> = changes.iter().map(|(key, _)| vec![V::Int(*key)]).collect();
        let weights = changes.iter().map(|(_, weight)| *weight).collect();
        aggregate.apply(0, proxima_event::Changes::weighted(batch(&input, &rows), weights), &mut out);
        aggregate.finish(proxima_engine::EpochEnd { epoch: proxima_event::Epoch(number), last: false }, &mut out);
        let mut rows = Vec::new();
        for changes in out.drain() {
            let row = |(at, row): (usize, Row)| (int(&row[0]), int(&row[1]), changes.weight(at));
            rows.extend(crate::operators::testing::rows_of(&changes.rows).into_iter().enumerate().map(row));
        }
        rows.sort_unstable();
        rows
    };
    assert_eq!(epoch(1, &[(7, 1), (8, 1), (8, 1)]), [(7, 1, 1), (8, 2, 1)]);
    assert_eq!(epoch(2, &[(7, 1), (8, -2)]), [(7, 2, 1), (8, 2, -1)]);
    assert_eq!(epoch(3, &[(7, 1), (7, -1), (9, 1), (9, -1)]), []);
}
