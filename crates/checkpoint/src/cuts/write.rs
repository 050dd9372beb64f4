//! Cuts to files: many cuts share one write, and a write counts only if no other run had begun when it was durable.

use super::Cut;
use super::file::{CutsHeader, encode_cuts, encode_header};
use crate::error::CheckpointError;
use crate::fail::{FailPoint, fail_point};
use crate::log::{Log, lost};
use crate::names::CutsName;
use crate::store::{Append, Retry, Store, StoreError};
use proxima_event::{Epoch, Generation};
use std::sync::Arc;

/// The cuts of one run.
pub(crate) struct CutsLog {
    store: Arc<dyn Store>,
    retry: Retry,
    generation: Generation,
    header: CutsHeader,
    /// Tells whether another run has begun.
    log: Log,
    /// The number of the next file.
    number: u64,
    /// The epoch behind that of the last cut.
    next: Epoch,
    /// The file that grows, where the store can do that.
    open: Option<Box<dyn Append>>,
}

impl CutsLog {
    /// Begins the cuts of a run whose first epoch is `first`.
    pub(crate) fn create(
        store: Arc<dyn Store>,
        retry: Retry,
        generation: Generation,
        header: CutsHeader,
        first: Epoch,
    ) -> Result<Self, CheckpointError> {
        let log = Log::new(Arc::clone(&store), retry);
        let mut cuts = Self { store, retry, generation, header, log, number: 0, next: first, open: None };
        fail_point(FailPoint::BeforeFirstCuts);
        cuts.write(&[])?;
        fail_point(FailPoint::AfterFirstCuts);
        Ok(cuts)
    }

    /// Makes cuts durable. When it fails the run must stop.
    ///
    /// The order is what counts: a successor begins first and reads our cuts then. If it had not begun when these were
    /// durable, it reads them and cuts alike, so that sinks may hold what is in them.
    pub(crate) fn write(&mut self, cuts: &[Cut]) -> Result<(), CheckpointError> {
        let body = if cuts.is_empty() { Vec::new() } else { encode_cuts(self.next, cuts) };
        let retry = self.retry;
        retry.run(|| self.try_write(&body))?;
        self.next = cuts.last().map_or(self.next, |cut| cut.epoch.next());
        self.log.refresh()?;
        match self.log.generation() {
            Some(by) if by > self.generation => Err(CheckpointError::orphaned(self.generation, by)),
            _ => Ok(()),
        }
    }

    /// Goes on in a new file, so that the ones before can be deleted.
    pub(crate) fn roll(&mut self) {
        self.open = None;
    }

    /// Writes to the open file, or to a new one: after a failure the end of the open one is not known.
    fn try_write(&mut self, body: &[u8]) -> Result<(), StoreError> {
        if let Some(mut open) = self.open.take() {
            open.add(body)?;
            self.open = Some(open);
            return Ok(());
        }
        let name = CutsName { generation: self.generation, number: self.number, first: self.next }.print();
        self.number += 1;
        let bytes = [&encode_header(self.header), body].concat();
        if let Some(mut file) = self.store.append(&name)? {
            file.add(&bytes)?;
            self.open = Some(file);
        } else {
            self.store.put(&name, &bytes)?;
        }
        let whole = self.store.size(&name)? == Some(bytes.len() as u64);
        if whole { Ok(()) } else { Err(lost(&name)) }
    }
}
