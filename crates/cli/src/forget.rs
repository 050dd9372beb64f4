//! Requests to forget somebody: durable in a log that a source of the job reads, answered when the graph has forgotten
//! and every replay of the epoch will forget just so.
//!
//! The answer comes from a sink, by way of [`crate::remains`]. Before a sink is given an epoch, its cut is durable (ADR 6):
//! whatever was read before the request and whatever was read after it stays so in every later run.

use crate::remains::Remains;
use arrow::array::{Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use proxima_event::{Changes, Sink, SinkError, Version};
use proxima_serve::{Failure, Forget, Ingest, Told};
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The column of [`crate::job::forget`]'s table that tells one request from the others.
const REQUEST: usize = 2;

/// Takes requests.
pub(crate) struct ForgetRequests {
    log: Arc<dyn Ingest>,
    kinds: Vec<String>,
    waiting: Arc<Waiting>,
    /// What no earlier run has called its requests, and how many this one has had.
    run: u128,
    count: AtomicU64,
}

/// Hears from the graph what it has forgotten, and hands it on to who waits for what is left in stores.
pub(crate) struct ForgetSink {
    waiting: Arc<Waiting>,
    held: Sender<Vec<Told>>,
}

/// Who waits for which request to hold.
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, Told>>);

/// What takes requests for objects of these kinds into a log, the sink that what the graph has forgotten comes to, and what
/// answers.
pub(crate) fn requests(log: Arc<dyn Ingest>, kinds: Vec<String>) -> (ForgetRequests, ForgetSink, Remains) {
    let waiting = Arc::<Waiting>::default();
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let (held, remains) = Remains::new();
    let sink = ForgetSink { waiting: Arc::clone(&waiting), held };
    (ForgetRequests { log, kinds, waiting, run, count: AtomicU64::new(0) }, sink, remains)
}

impl Waiting {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forget for ForgetRequests {
    fn forget(&self, kind: &str, id: &str, durable: Told, holds: Told) {
        if !self.kinds.iter().any(|known| known == kind) {
            let message = format!("no kind is named \"{kind}\"; there are: {}", self.kinds.join(", "));
            return durable(Err(Failure { status: 404, code: "kind_not_found", message }));
        }
        let request = format!("{:x}-{}", self.run, self.count.fetch_add(1, Relaxed));
        let body = json!({ "kind": kind, "id": id, "request": request }).to_string();
        self.waiting.all().insert(request.clone(), holds);
        let waiting = Arc::clone(&self.waiting);
        let answer = move |outcome: Result<_, Failure>| {
            if outcome.is_err() {
                waiting.all().remove(&request);
            }
            durable(outcome.map(drop));
        };
        self.log.accept(body.as_bytes(), "", Box::new(answer));
    }
}

impl Sink for ForgetSink {
    fn write(&mut self, _version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for changes in changes.iter().filter(|changes| changes.rows.num_columns() > REQUEST) {
            let texts = cast(changes.column(REQUEST), &DataType::Utf8View);
            let texts = texts.expect("requests are text: their table says so");
            let texts = texts.as_any().downcast_ref::<StringViewArray>().expect("it was cast to that");
            let held = texts.iter().flatten().filter_map(|request| self.waiting.all().remove(request));
            let held: Vec<Told> = held.collect();
            if !held.is_empty() {
                // Who answers is gone when the run is ending.
                let _ = self.held.send(held);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
