//! What a GROUP BY costs for each row: the two views of the `behaviour` job, without source, decoding and sink.
//!
//! Run with `cargo bench -p proxima-view`. Prints nanoseconds a row for folding and for putting out.

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, Epoch};
use proxima_view::operators::{Aggregate, AggregateCall, AggregateFunction, AggregateSpec};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS: usize = 2_000_000;
const BATCH_ROWS: usize = 1024;
/// Batches of an epoch: 262,144 rows, as many as an epoch has at the most by default.
const EPOCH_BATCHES: usize = 256;
const MINUTES: usize = 2880;
const RUNS: usize = 5;

fn main() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let device = |at: usize, rng: &mut ChaCha8Rng| -> (i32, String) {
        ((at * 2 / ROWS) as i32, format!("mid_{:06}", rng.random_range(0..150_000)))
    };
    let devices: Vec<_> = (0..ROWS).map(|at| device(at, &mut rng)).collect();
    let distinct = batches(&["day", "mid"], &devices, |rows| {
        let days: ArrayRef = Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.0)));
        vec![days, Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| &row.1)))]
    });
    measure("distinct (day, mid)", &distinct, false);

    let item = |at: usize, rng: &mut ChaCha8Rng| -> (i64, i64) {
        // An exponential of a uniform number is near enough to Zipf's law.
        let item = 100_000f64.powf(rng.random::<f64>()) as i64;
        (item, (at * MINUTES / ROWS) as i64 * 60_000)
    };
    let items: Vec<_> = (0..ROWS).map(|at| item(at, &mut rng)).collect();
    let counted = batches(&["item_id", "minute"], &items, |rows| {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
        vec![ids, Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.1)))]
    });
    measure("count by (item_id, minute)", &counted, true);
}

fn batches<T>(names: &[&str], rows: &[T], columns: impl Fn(&[T]) -> Vec<ArrayRef>) -> Vec<Changes> {
    let batch = |rows: &[T]| {
        let columns = columns(rows);
        let hashes = hash_columns(&columns, rows.len());
        let named = names.iter().zip(columns).map(|(name, column)| (*name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).expect("columns of one length");
        Changes { hashes: Some(hashes.into()), ..Changes::inserts(batch) }
    };
    rows.chunks(BATCH_ROWS).map(batch).collect()
}

fn spec(input: SchemaRef, count: bool) -> AggregateSpec {
    let mut fields: Vec<_> = input.fields().to_vec();
    let mut calls = Vec::new();
    if count {
        fields.push(Arc::new(Field::new("n", DataType::Int64, false)));
        let function = AggregateFunction::Count;
        calls.push(AggregateCall { function, argument: None, filter: None, output: DataType::Int64 });
    }
    let output = Arc::new(Schema::new(fields));
    AggregateSpec { input, keys: vec![0, 1], calls, output, append_only: true, upserts: true, expiry: None }
}

fn measure(name: &str, batches: &[Changes], count: bool) {
    let best = (0..RUNS).map(|_| run(&spec(batches[0].rows.schema(), count), batches)).min_by_key(|run| run.0 + run.1);
    let (fold, emit, groups, bytes) = best.expect("there are runs");
    let of_row = |time: Duration| time.as_nanos() as f64 / ROWS as f64;
    println!(
        "{name}: fold {:.1} + put out {:.1} = {:.1} ns a row; {groups} groups in {:.1} MB",
        of_row(fold),
        of_row(emit),
        of_row(fold + emit),
        bytes as f64 / 1e6
    );
}

fn run(spec: &AggregateSpec, batches: &[Changes]) -> (Duration, Duration, u64, u64) {
    let mut aggregate = Aggregate::new(spec.clone());
    let mut out = Outbox::default();
    let (mut fold, mut emit) = (Duration::ZERO, Duration::ZERO);
    for (epoch, batches) in batches.chunks(EPOCH_BATCHES).enumerate() {
        let start = Instant::now();
        batches.iter().for_each(|batch| aggregate.apply(0, batch.clone(), &mut out));
        let folded = Instant::now();
        aggregate.finish(EpochEnd { epoch: Epoch(epoch as u64), last: false }, &mut out);
        out.drain().for_each(drop);
        fold += folded - start;
        emit += folded.elapsed();
    }
    let stats = aggregate.stats();
    (fold, emit, stats.keys, stats.bytes)
}
