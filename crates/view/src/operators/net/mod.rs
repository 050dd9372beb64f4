//! What a sink is given: at most one change for each key in an epoch.

use crate::operators::expiry::Expiry;
use crate::operators::ordered::{Bytes, Ordered, RowOrder};
use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, KeyGroupSet};
use std::sync::Arc;
use unique::Unique;

mod unique;

#[cfg(test)]
mod tests;

/// What a [`Net`] nets.
#[derive(Clone, Debug)]
pub struct NetSpec {
    /// The rows that come in and go out.
    pub input: SchemaRef,
    /// The key columns of the target.
    pub key: Vec<usize>,
    /// Whether a key holds at most one row at a time, as the planner has proved or the job says: then no state is kept.
    pub unique: bool,
    /// Rows are never taken back, so that only the greatest of a key is kept.
    pub append_only: bool,
    /// When keys may be forgotten, where state is kept: what they hold stands.
    pub expiry: Option<Expiry>,
}

/// Nets the changes of an epoch by key: +1 the row that the key holds now, −1 the key holds none any more.
///
/// Where several rows may share a key, the greatest is shown (by all columns from the first on, NULLs least), so that the
/// result does not depend on which came first. All are kept for that, where any may be taken back.
pub struct Net {
    inner: Inner,
}

enum Inner {
    Unique(Unique),
    Greatest(Greatest),
}

impl Net {
    /// Holds no keys.
    #[must_use]
    pub fn new(spec: NetSpec) -> Self {
        let inner = if spec.unique { Inner::Unique(Unique::new(spec)) } else { Inner::Greatest(Greatest::new(spec)) };
        Self { inner }
    }
}

impl Operator for Net {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        match &mut self.inner {
            Inner::Unique(unique) => unique.apply(changes),
            Inner::Greatest(greatest) => greatest.rows.apply(input, &changes),
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        match &mut self.inner {
            Inner::Unique(unique) => unique.finish(out),
            Inner::Greatest(greatest) => greatest.finish(out),
        }
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        if let Inner::Greatest(greatest) = &mut self.inner {
            greatest.rows.track();
        }
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        if let Inner::Greatest(greatest) = &mut self.inner {
            greatest.rows.save(rewrite, out);
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        match &mut self.inner {
            Inner::Unique(_) => Ok(()),
            Inner::Greatest(greatest) => greatest.rows.load(state),
        }
    }

    fn stats(&self) -> OperatorStats {
        match &self.inner {
            Inner::Unique(unique) => OperatorStats { bytes: unique.table.bytes() as u64, ..OperatorStats::default() },
            Inner::Greatest(Greatest { rows, .. }) => {
                OperatorStats { keys: rows.len() as u64, bytes: rows.bytes() as u64, ..OperatorStats::default() }
            }
        }
    }
}

/// Rows that go out in one batch, about.
const BATCH_ROWS: usize = 1024;

/// Keys with any number of rows.
struct Greatest {
    schema: SchemaRef,
    rows: Ordered,
}

impl Greatest {
    fn new(spec: NetSpec) -> Self {
        let greatest_first = SortOptions { descending: true, nulls_first: false };
        let order: Vec<_> = (0..spec.input.fields().len()).map(|column| (column, greatest_first)).collect();
        let order = RowOrder::new(&spec.input, &order);
        let rows = Ordered::new(&spec.input, spec.key, order, (1, spec.append_only), spec.expiry);
        Self { schema: spec.input, rows }
    }

    fn finish(&mut self, out: &mut Outbox) {
        let (mut rows, mut weights): (Vec<Bytes>, Vec<i64>) = Default::default();
        self.rows.finish(|before, after| {
            let weight = if after.is_empty() { -1 } else { 1 };
            rows.extend(after.first().or(before.first()).cloned());
            weights.push(weight);
        });
        for (rows, weights) in rows.chunks(BATCH_ROWS).zip(weights.chunks(BATCH_ROWS)) {
            let columns = self.rows.order.decode(rows.iter().map(|row| &**row));
            let batch =
                RecordBatch::try_new(Arc::clone(&self.schema), columns).expect("rows come back as they went in");
            out.push(Changes::weighted(batch, weights.to_vec()));
        }
    }
}
