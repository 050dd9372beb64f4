//! Sinks for tests: one that keeps what it is given, a slow one, a failing one.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::row::{OwnedRow, RowConverter, SortField};
use proxima_event::{Changes, Sink, SinkError, Version};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a [`CollectSink`] has been given, as it stands.
#[derive(Clone)]
pub struct Collected(Arc<Mutex<State>>);

/// Keeps the rows that it is given: by key, or, without a key, each as often as the weights add up to.
pub struct CollectSink(Collected);

struct State {
    schema: SchemaRef,
    key: Option<(Vec<usize>, RowConverter)>,
    whole: RowConverter,
    upserts: BTreeMap<OwnedRow, (Version, Option<OwnedRow>)>,
    /// For each epoch the generation that wrote it last, and what that added to the weight of each row. A run that
    /// follows another makes the same epochs again, so what it writes of one stands in the place of what was there.
    epochs: BTreeMap<u64, (u64, BTreeMap<OwnedRow, i64>)>,
}

impl CollectSink {
    /// A sink for rows of `schema`. With a key it holds the engine to the contract: each key at most once in a version,
    /// versions of a key never going back.
    ///
    /// # Panics
    /// When the schema has a type that cannot be compared.
    #[must_use]
    pub fn new(schema: SchemaRef, key: Option<&[usize]>) -> (Self, Collected) {
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let key = key.map(|key| (key.to_vec(), converter(&schema, key)));
        let whole = converter(&schema, &all);
        let state = State { schema, key, whole, upserts: BTreeMap::new(), epochs: BTreeMap::new() };
        let collected = Collected(Arc::new(Mutex::new(state)));
        (Self(collected.clone()), collected)
    }
}

fn converter(schema: &SchemaRef, columns: &[usize]) -> RowConverter {
    let fields = columns.iter().map(|&column| SortField::new(schema.field(column).data_type().clone())).collect();
    RowConverter::new(fields).expect("all our types can be compared")
}

impl Collected {
    /// A sink that goes on with what is here: that of a run after a crash.
    #[must_use]
    pub fn sink(&self) -> CollectSink {
        CollectSink(self.clone())
    }

    /// The rows that the changes add up to.
    ///
    /// # Panics
    /// When without a key a row went more often than it came.
    #[must_use]
    pub fn rows(&self) -> RecordBatch {
        let state = self.0.lock().expect("no test panics while it holds this");
        let keyed = state.upserts.values().filter_map(|(_, row)| row.as_ref());
        let multiset = state.multiset();
        let counted = multiset.iter().flat_map(|(&row, &weight)| {
            assert!(weight >= 0, "a row goes more often than it came: {:?}", state.show(row));
            std::iter::repeat_n(row, weight as usize)
        });
        let rows: Vec<_> = keyed.chain(counted).map(OwnedRow::row).collect();
        let count = rows.len();
        let columns = state.whole.convert_rows(rows).expect("rows were made by this converter");
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&state.schema), columns, &options).expect("rows are of the schema")
    }

    /// The table as bytes, whatever the order in which it came about.
    #[must_use]
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let state = self.0.lock().expect("no test panics while it holds this");
        let keyed = state.upserts.values().filter_map(|(_, row)| row.as_ref()).map(|row| row.as_ref().to_vec());
        let multiset = state.multiset();
        let counted = multiset.iter();
        let mut bytes: Vec<Vec<u8>> =
            keyed.chain(counted.map(|(row, weight)| [row.as_ref(), &weight.to_le_bytes()].concat())).collect();
        bytes.sort();
        bytes
    }
}

impl State {
    fn show(&self, row: &OwnedRow) -> Vec<ArrayRef> {
        self.whole.convert_rows([row.row()]).expect("rows were made by this converter")
    }

    /// The rows of a sink without a key, with their weights.
    fn multiset(&self) -> BTreeMap<&OwnedRow, i64> {
        let mut sums = BTreeMap::new();
        for (row, weight) in self.epochs.values().flat_map(|(_, rows)| rows) {
            *sums.entry(row).or_default() += weight;
        }
        sums.retain(|_, weight| *weight != 0);
        sums
    }

    fn take(&mut self, version: Version, changes: &Changes) {
        let rows = self.whole.convert_columns(changes.rows.columns()).expect("changes are of the sink's schema");
        let Some((key, converter)) = &self.key else {
            let (generation, epoch) = (version.0 >> 40, version.0 & ((1 << 40) - 1));
            let (writer, written) = self.epochs.entry(epoch).or_default();
            if *writer < generation {
                written.clear();
            }
            *writer = generation;
            for row in 0..changes.len() {
                *written.entry(rows.row(row).owned()).or_default() += changes.weight(row);
            }
            return;
        };
        let columns: Vec<ArrayRef> = key.iter().map(|&column| Arc::clone(changes.column(column))).collect();
        let keys = converter.convert_columns(&columns).expect("changes are of the sink's schema");
        for row in 0..changes.len() {
            let value = match changes.weight(row) {
                1 => Some(rows.row(row).owned()),
                -1 => None,
                other => panic!("a netted change has weight {other}"),
            };
            let old = self.upserts.insert(keys.row(row).owned(), (version, value));
            assert!(old.is_none_or(|(old, _)| old < version), "a key comes once in a version, and versions only grow");
        }
    }
}

impl Sink for CollectSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        let mut state = self.0.0.lock().expect("no test panics while it holds this");
        for changes in changes {
            state.take(version, changes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Slows another sink down to a crawl, and counts the rows that it has made durable.
pub struct SlowSink {
    inner: Box<dyn Sink>,
    delay: Duration,
    written: u64,
    acknowledged: Arc<AtomicU64>,
}

impl SlowSink {
    /// Waits so long before each flush of `inner`. Also gives the count of rows that it has flushed.
    #[must_use]
    pub fn new(inner: Box<dyn Sink>, delay: Duration) -> (Self, Arc<AtomicU64>) {
        let acknowledged = Arc::new(AtomicU64::new(0));
        (Self { inner, delay, written: 0, acknowledged: Arc::clone(&acknowledged) }, acknowledged)
    }
}

impl Sink for SlowSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        self.written += changes.iter().map(|changes| changes.len() as u64).sum::<u64>();
        self.inner.write(version, changes)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        std::thread::sleep(self.delay);
        self.inner.flush()?;
        self.acknowledged.store(self.written, SeqCst);
        Ok(())
    }
}

/// A sink that fails after so many writes.
pub struct FailingSink {
    /// Writes that still succeed.
    pub writes_left: usize,
}

impl Sink for FailingSink {
    fn write(&mut self, _version: Version, _changes: &[Changes]) -> Result<(), SinkError> {
        let failed = || SinkError { tried: "write to", target: "failing sink".into(), reason: "it was told to".into() };
        self.writes_left = self.writes_left.checked_sub(1).ok_or_else(failed)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
