//! The first n rows of each partition in an order: top-n, and dedupe with n = 1.

use super::expiry::Expiry;
use super::ordered::{Bytes, Ordered, RowOrder};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::SchemaRef;
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, KeyGroupSet};
use std::cmp::Ordering;
use std::sync::Arc;

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortColumn {
    /// The column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// NULLs come before all values.
    pub nulls_first: bool,
}

/// What a [`TopN`] keeps.
#[derive(Clone, Debug)]
pub struct TopNSpec {
    /// The rows that come in.
    pub input: SchemaRef,
    /// The columns of the partition.
    pub partition: Vec<usize>,
    /// The order in a partition. Rows that it leaves equal are ordered by their other columns, ascending, NULLs
    /// first.
    pub order: Vec<SortColumn>,
    /// How many rows of each partition go out.
    pub limit: usize,
    /// Whether a row's number, from 1, is appended.
    pub row_number: bool,
    /// The rows that go out.
    pub output: SchemaRef,
    /// Rows are never taken back, so that only those that go out are kept.
    pub append_only: bool,
    /// When partitions may be forgotten: once all their rows are over.
    pub expiry: Option<Expiry>,
}

/// Rows that go out in one batch, about.
const BATCH_ROWS: usize = 1024;

/// Keeps the first rows of each partition.
pub struct TopN {
    spec: TopNSpec,
    rows: Ordered,
}

/// Rows on their way out.
#[derive(Default)]
struct Output {
    rows: Vec<Bytes>,
    numbers: Vec<i64>,
    weights: Vec<i64>,
}

impl Output {
    fn push(&mut self, row: &Bytes, number: usize, weight: i64) {
        self.rows.push(Bytes::clone(row));
        self.numbers.push(number as i64);
        self.weights.push(weight);
    }

    /// The difference where each row goes out with its number.
    fn push_numbered(&mut self, before: &[Bytes], after: &[Bytes]) {
        for at in 0..before.len().max(after.len()) {
            let (old, new) = (before.get(at), after.get(at));
            if old == new {
                continue;
            }
            old.into_iter().for_each(|row| self.push(row, at + 1, -1));
            new.into_iter().for_each(|row| self.push(row, at + 1, 1));
        }
    }

    /// The difference of two runs of rows, both in order.
    fn push_difference(&mut self, mut before: &[Bytes], mut after: &[Bytes]) {
        loop {
            let order = match (before.first(), after.first()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.cmp(new),
            };
            if order == Ordering::Less {
                self.push(&before[0], 0, -1);
            } else if order == Ordering::Greater {
                self.push(&after[0], 0, 1);
            }
            before = &before[usize::from(order.is_le())..];
            after = &after[usize::from(order.is_ge())..];
        }
    }
}

impl TopN {
    /// Holds no rows.
    #[must_use]
    pub fn new(spec: TopNSpec) -> Self {
        let options = |sort: &SortColumn| SortOptions { descending: sort.descending, nulls_first: sort.nulls_first };
        let first: Vec<_> = spec.order.iter().map(|sort| (sort.column, options(sort))).collect();
        let order = RowOrder::new(&spec.input, &first);
        let rows = Ordered::new(
            &spec.input,
            spec.partition.clone(),
            order,
            (spec.limit, spec.append_only),
            spec.expiry.clone(),
        );
        Self { spec, rows }
    }

    fn batch(&self, output: &Output, from: usize, to: usize) -> Changes {
        let mut columns = self.rows.order.decode(output.rows[from..to].iter().map(|row| &**row));
        if self.spec.row_number {
            let numbers: ArrayRef = Arc::new(Int64Array::from(output.numbers[from..to].to_vec()));
            let field = self.spec.output.field(columns.len());
            columns.push(cast(&numbers, field.data_type()).expect("a row number is an integer"));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.spec.output), columns);
        Changes::weighted(batch.expect("the output is the input, then the number"), output.weights[from..to].to_vec())
    }
}

impl Operator for TopN {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        self.rows.apply(input, &changes);
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let mut output = Output::default();
        let numbered = self.spec.row_number;
        self.rows.finish(|before, after| {
            if numbered {
                output.push_numbered(before, after);
            } else {
                output.push_difference(before, after);
            }
        });
        for from in (0..output.rows.len()).step_by(BATCH_ROWS) {
            out.push(self.batch(&output, from, output.rows.len().min(from + BATCH_ROWS)));
        }
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.rows.track();
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        self.rows.save(rewrite, out);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.rows.load(state)
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { keys: self.rows.len() as u64, bytes: self.rows.bytes() as u64, ..OperatorStats::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{Bag, Driver, MICROS, Row, Stream, V, add, any, any_text, compare, schema};
    use arrow::datatypes::DataType;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    fn row(rng: &mut ChaCha8Rng) -> Row {
        let values = [1.5, -1.5, f64::INFINITY, f64::NEG_INFINITY, 0.0].map(V::float);
        let decimals = [10i128.pow(38) - 1, 1 - 10i128.pow(38), 0].map(V::Int);
        vec![any_text(rng), any(rng, &values), any(rng, &decimals), any_text(rng)]
    }

    fn spec(limit: usize, row_number: bool, order: Vec<SortColumn>) -> TopNSpec {
        let mut types = vec![DataType::Utf8View, DataType::Float64, DataType::Decimal128(38, 3), DataType::Utf8View];
        let input = schema(&types);
        if row_number {
            types.push(DataType::UInt64);
        }
        TopNSpec {
            input,
            partition: vec![0],
            order,
            limit,
            row_number,
            output: schema(&types),
            append_only: false,
            expiry: None,
        }
    }

    /// A value with a number that sorts as asked for.
    fn rank(value: &V, sort: &SortColumn) -> (i8, Option<Ordered>) {
        let null = if sort.nulls_first { -1 } else { 1 };
        match value {
            V::Null => (null, None),
            V::Float(bits) => (0, Some(Ordered::Float(f64::from_bits(*bits)))),
            other => (0, Some(Ordered::Plain(other.clone()))),
        }
    }

    #[derive(Clone, PartialEq, PartialOrd)]
    enum Ordered {
        Float(f64),
        Plain(V),
    }

    fn compare_rows(a: &Row, b: &Row, order: &[SortColumn]) -> Ordering {
        let rest = (0..a.len()).map(|column| SortColumn { column, descending: false, nulls_first: true });
        for sort in order.iter().copied().chain(rest) {
            let (a, b) = (rank(&a[sort.column], &sort), rank(&b[sort.column], &sort));
            let by_value = a.1.partial_cmp(&b.1).unwrap();
            let by_value = if sort.descending { by_value.reverse() } else { by_value };
            let order = a.0.cmp(&b.0).then(by_value);
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    fn naive(spec: &TopNSpec, bag: &Bag) -> Bag {
        let mut partitions: BTreeMap<&V, Vec<&Row>> = BTreeMap::new();
        for (row, &weight) in bag {
            partitions.entry(&row[0]).or_default().extend(std::iter::repeat_n(row, weight as usize));
        }
        let mut result = Bag::new();
        for rows in partitions.values_mut() {
            rows.sort_by(|a, b| compare_rows(a, b, &spec.order));
            for (at, row) in rows.iter().take(spec.limit).enumerate() {
                let mut row = (*row).clone();
                if spec.row_number {
                    row.push(V::Int(at as i128 + 1));
                }
                add(&mut result, row, 1);
            }
        }
        result
    }

    fn check(seed: u64, spec: &TopNSpec) {
        for append_only in [false, true] {
            let spec = TopNSpec { append_only, ..spec.clone() };
            let stream = Stream::new(spec.input.clone(), &spec.partition, append_only, row);
            let make = || Box::new(TopN::new(spec.clone())) as Box<dyn Operator>;
            compare(seed, vec![stream], &make, &|bags| naive(&spec, bags[0]));
        }
    }

    #[test]
    fn equals_a_recomputation() {
        let sort = |column, descending, nulls_first| SortColumn { column, descending, nulls_first };
        for seed in 0..4 {
            check(seed, &spec(1, false, vec![sort(1, true, false)]));
            check(seed, &spec(3, true, vec![sort(2, false, false), sort(1, true, true)]));
            check(seed, &spec(2, false, vec![sort(3, true, true)]));
            check(seed, &spec(usize::MAX, false, vec![]));
        }
    }

    #[test]
    fn rows_that_never_go_out_are_not_kept() {
        let order = vec![SortColumn { column: 1, descending: true, nulls_first: false }];
        let spec = TopNSpec { append_only: true, ..spec(3, false, order) };
        let make = || Box::new(TopN::new(spec.clone())) as Box<dyn Operator>;
        let mut stream = Stream::new(spec.input.clone(), &spec.partition, true, row);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut driver = Driver::new(1, &make);
        for _ in 0..50 {
            let changes = stream.epoch(&mut rng);
            driver.epoch(&[(&stream, changes)], &mut rng);
        }
        let partitions = stream.bag.keys().map(|row| &row[0]).collect::<std::collections::BTreeSet<_>>().len();
        assert!(stream.bag.len() > 10 * partitions);
        assert!(driver.workers[0].stats().keys <= 3 * partitions as u64, "{:?}", driver.workers[0].stats());
    }

    #[test]
    fn partitions_that_are_over_are_forgotten() {
        let types = [DataType::Int64, MICROS];
        let order = vec![SortColumn { column: 1, descending: false, nulls_first: false }];
        let expiry = Some(Expiry { column: 1, span_us: 0, input: 1 });
        let (input, output) = (schema(&types), schema(&types));
        let spec = TopNSpec {
            input,
            partition: vec![0],
            order,
            limit: 1,
            row_number: false,
            output,
            append_only: false,
            expiry,
        };
        let make = || Box::new(TopN::new(spec.clone())) as Box<dyn Operator>;
        let rows = Stream::new(spec.input.clone(), &[0], true, |_| unreachable!("rows are given"));
        let bounds = Stream::new(schema(&[MICROS]), &[], true, |_| unreachable!("bounds are given"));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut driver = Driver::new(1, &make);
        for time in 0..100i128 {
            let two = vec![(vec![V::Int(time), V::Int(time)], 1), (vec![V::Int(time), V::Int(time + 1)], 1)];
            driver.epoch(&[(&rows, two), (&bounds, vec![(vec![V::Int(time - 2)], 1)])], &mut rng);
        }
        assert_eq!(driver.result.len(), 100);
        assert!(driver.workers[0].stats().keys < 15, "{:?}", driver.workers[0].stats());
    }
}
