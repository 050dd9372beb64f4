//! Random streams against the set of the rows that are there.

use super::*;
use crate::operators::testing::{Bag, Driver, MICROS, Row, Stream, V, any, any_text, batch, compare, rows_of, schema};
use proxima_event::Epoch;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const DECIMAL: DataType = DataType::Decimal128(38, 2);

fn input() -> SchemaRef {
    schema(&[DataType::Utf8View, DataType::Int32, DataType::Boolean, DECIMAL, DataType::Date32, DataType::Utf8View])
}

/// Few enough different rows that many come twice.
fn row(rng: &mut ChaCha8Rng) -> Row {
    vec![
        any_text(rng),
        any(rng, &[0, 1].map(V::Int)),
        any(rng, &[V::Bool(true), V::Bool(false)]),
        any(rng, &[0, 10i128.pow(38) - 1].map(V::Int)),
        any(rng, &[0, -1].map(V::Int)),
        V::Text("a string that is rather long".to_owned()),
    ]
}

fn spec(columns: &[usize], append_only: bool) -> DistinctSpec {
    let input = input();
    let types: Vec<DataType> = columns.iter().map(|&column| input.field(column).data_type().clone()).collect();
    DistinctSpec { input, columns: columns.to_vec(), output: schema(&types), append_only, expiry: None }
}

/// Each row that is there, once.
fn naive(columns: &[usize], bag: &Bag) -> Bag {
    let of = |row: &Row| columns.iter().map(|&column| row[column].clone()).collect::<Row>();
    bag.iter().filter(|&(_, &weight)| weight > 0).map(|(row, _)| (of(row), 1)).collect()
}

#[test]
fn rows_that_are_there_are_shown_once() {
    for columns in [&[0, 1, 2, 3, 4, 5][..], &[1, 0], &[2]] {
        for append_only in [true, false] {
            for seed in 0..4 {
                let streams = vec![Stream::new(input(), columns, append_only, row)];
                let make = || Box::new(Distinct::new(spec(columns, append_only))) as Box<dyn Operator>;
                compare(seed, streams, &make, &|bags| naive(columns, bags[0]));
            }
        }
    }
}

#[test]
fn a_row_that_comes_and_goes_in_an_epoch_is_not_put_out() {
    let make = || Box::new(Distinct::new(spec(&[1], false))) as Box<dyn Operator>;
    let stream = Stream::new(input(), &[1], false, row);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<Row> = (0..3).map(|at| [vec![V::Null, V::Int(at)], vec![V::Null; 4]].concat()).collect();
    let change = |at: usize, weight| (rows[at].clone(), weight);
    let mut driver = Driver::new(1, &make);
    let shown = |at: i128, weight| Bag::from([(vec![V::Int(at)], weight)]);
    assert_eq!(driver.epoch(&[(&stream, vec![change(0, 1), change(1, 1), change(1, -1)])], &mut rng), shown(0, 1));
    assert_eq!(driver.workers[0].stats().keys, 1);
    assert_eq!(driver.epoch(&[(&stream, vec![change(0, -1), change(0, 1), change(2, 2)])], &mut rng), shown(2, 1));
    assert_eq!(driver.epoch(&[(&stream, vec![change(0, -1), change(2, -1)])], &mut rng), shown(0, -1));
    assert_eq!(driver.workers[0].stats().keys, 1);
}

#[test]
fn rows_before_the_bound_are_forgotten_and_stand() {
    for append_only in [true, false] {
        let input = schema(&[MICROS, DataType::Int64]);
        let expiry = Some(Expiry { column: 0, span_us: 10, input: 1 });
        let spec = DistinctSpec {
            input: input.clone(),
            columns: vec![1, 0],
            output: schema(&[DataType::Int64, MICROS]),
            append_only,
            expiry,
        };
        let make = || Box::new(Distinct::new(spec.clone())) as Box<dyn Operator>;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut driver = Driver::new(1, &make);
        for bucket in 0..100i128 {
            let rows: Vec<Row> =
                (0..8).map(|at| vec![V::Int(bucket * 10), if at == 5 { V::Null } else { V::Int(at / 2) }]).collect();
            let bound = batch(&schema(&[MICROS]), &[vec![V::Int(bucket * 10 - 15)]]);
            let batches = [(0, batch(&input, &rows)), (1, bound)];
            driver.batches(batches.map(|(from, rows)| (0, from, Changes::inserts(rows))).into());
            if bucket % 40 == 39 {
                driver.restart(1, &mut rng);
            }
        }
        assert_eq!(driver.result.values().sum::<i64>(), 500, "each row is put out once and not taken back");
        assert!(driver.workers[0].stats().keys <= 30, "{} rows are held", driver.workers[0].stats().keys);
    }
}

#[test]
fn rows_without_a_time_are_kept() {
    let input = schema(&[MICROS]);
    let expiry = Some(Expiry { column: 0, span_us: 0, input: 1 });
    let spec =
        DistinctSpec { input: input.clone(), columns: vec![0], output: input.clone(), append_only: true, expiry };
    let mut distinct = Distinct::new(spec);
    let mut out = Outbox::default();
    for epoch in 0..3 {
        distinct.apply(0, Changes::inserts(batch(&input, &[vec![V::Null], vec![V::Int(epoch)]])), &mut out);
        distinct.apply(1, Changes::inserts(batch(&input, &[vec![V::Int(1000 + epoch)]])), &mut out);
        distinct.finish(EpochEnd { epoch: Epoch(epoch as u64), last: false }, &mut out);
    }
    let shown: Vec<Row> = out.drain().flat_map(|changes| rows_of(&changes.rows)).collect();
    assert_eq!(shown.iter().filter(|row| row[0] == V::Null).count(), 1);
    assert_eq!((shown.len(), distinct.stats().keys), (4, 1));
}

#[test]
fn small_batches_go_out_together_and_large_ones_at_once() {
    let input = schema(&[DataType::Int64]);
    let spec =
        DistinctSpec { input: input.clone(), columns: vec![0], output: input.clone(), append_only: true, expiry: None };
    let mut distinct = Distinct::new(spec);
    let mut out = Outbox::default();
    let mut apply = |from: i128, to: i128, out: &mut Outbox| {
        let rows: Vec<Row> = (from..to).map(|value| vec![V::Int(value)]).collect();
        distinct.apply(0, Changes::inserts(batch(&input, &rows)), out);
    };
    let sizes = |out: &mut Outbox| out.drain().map(|changes| changes.len()).collect::<Vec<_>>();
    apply(0, 10, &mut out);
    apply(5, 20, &mut out);
    assert_eq!(sizes(&mut out), [0; 0]);
    apply(0, 2000, &mut out);
    assert_eq!(sizes(&mut out), [2000]);
    apply(1999, 2001, &mut out);
    distinct.finish(EpochEnd { epoch: Epoch(0), last: false }, &mut out);
    assert_eq!(sizes(&mut out), [1]);
}

#[test]
fn long_rows_without_floats_and_lists_are_told_apart_by_digests() {
    let of = |last: DataType| DistinctSpec::takes(&[DataType::Utf8View, DataType::Utf8View, last]);
    let list = DataType::List(Arc::new(arrow::datatypes::Field::new("item", DataType::Int64, true)));
    assert!(of(DataType::Int64) && of(DECIMAL) && of(DataType::Binary));
    assert!(!of(DataType::Float64) && !of(DataType::Float32) && !of(list));
    assert!(!DistinctSpec::takes(&[DataType::Utf8View, DataType::Date32, MICROS]), "as short as a digest");
    assert!(!DistinctSpec::takes(&[]));
}

#[test]
fn state_of_another_shape_is_refused() {
    let mut writer = StateWriter::default();
    let group = proxima_event::KeyGroup(3);
    writer.full(group, &RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())));
    writer.full(group, &batch(&input(), &[row(&mut ChaCha8Rng::seed_from_u64(0))]));
    let sections = writer.encode().unwrap();
    let mut distinct = Distinct::new(spec(&[0, 1], true));
    assert!(matches!(distinct.load(&mut StateReader::from(&sections[0])), Err(SnapshotError::Mismatch(_))));
}
