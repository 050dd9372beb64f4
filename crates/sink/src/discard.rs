//! A sink that counts what it is given and keeps nothing: for benchmarks, and to see what a job would write.

use proxima_event::{Changes, Sink, SinkError, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`DiscardSink`] was given. Shared with whoever reports it.
#[derive(Debug, Default)]
pub struct Counters {
    upserts: AtomicU64,
    deletes: AtomicU64,
    flushes: AtomicU64,
}

impl Counters {
    /// Rows to be written.
    #[must_use]
    pub fn upserts(&self) -> u64 {
        self.upserts.load(Ordering::Relaxed)
    }

    /// Keys to be deleted.
    #[must_use]
    pub fn deletes(&self) -> u64 {
        self.deletes.load(Ordering::Relaxed)
    }

    /// How often the sink was flushed.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }
}

/// Counts upserts and deletes.
#[derive(Debug, Default)]
pub struct DiscardSink {
    counters: Arc<Counters>,
}

impl DiscardSink {
    /// A sink that adds to these counters.
    #[must_use]
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters }
    }

    /// The counters it adds to.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

impl Sink for DiscardSink {
    fn write(&mut self, _version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for batch in changes {
            let deletes = (0..batch.len()).filter(|&row| batch.weight(row) < 0).count() as u64;
            let upserts = (0..batch.len()).filter(|&row| batch.weight(row) > 0).count() as u64;
            self.counters.upserts.fetch_add(upserts, Ordering::Relaxed);
            self.counters.deletes.fetch_add(deletes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    #[test]
    fn counts_net_rows_by_their_sign() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let rows = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut sink = DiscardSink::default();
        let counters = sink.counters();
        sink.write(Version(1), &[Changes::inserts(rows.clone()), Changes::weighted(rows, vec![1, -1, 0])]).unwrap();
        sink.flush().unwrap();
        assert_eq!((counters.upserts(), counters.deletes(), counters.flushes()), (4, 1, 1));
    }
}
