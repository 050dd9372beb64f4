//! The threads that write state: compressing and syncing is theirs, so that workers go on.

use crate::error::CheckpointError;
use crate::state::{Section, WrittenFile, write_files};
use crate::store::{Retry, Store};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use proxima_event::{Epoch, Generation};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Hand-overs that wait for each writer: one is enough to keep it busy, and each may be large.
const QUEUED_PER_WRITER: usize = 1;

struct HandedOver {
    epoch: Epoch,
    worker: usize,
    /// How often this worker came before for this epoch.
    turn: usize,
    sections: Vec<Section>,
}

#[derive(Default)]
struct State {
    /// How many hand-overs of each epoch are not written yet.
    writing: BTreeMap<Epoch, usize>,
    /// How many parts of files each worker has in each epoch.
    turns: BTreeMap<(Epoch, usize), usize>,
    written: BTreeMap<Epoch, Vec<WrittenFile>>,
    error: Option<CheckpointError>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A few threads that write state.
pub(crate) struct Writers {
    queue: Option<Sender<HandedOver>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(crate) fn start(store: Arc<dyn Store>, retry: Retry, generation: Generation, count: usize) -> Self {
        let (queue, handed_over) = bounded(count * QUEUED_PER_WRITER);
        let shared = Arc::new(Shared::default());
        let start = |_| {
            let writer = Writer { store: Arc::clone(&store), retry, generation, shared: Arc::clone(&shared) };
            let handed_over = handed_over.clone();
            let thread = std::thread::Builder::new().name("checkpoint-state".to_owned());
            thread.spawn(move || writer.run(&handed_over)).expect("the system can start a thread")
        };
        let threads = (0..count).map(start).collect();
        Self { queue: Some(queue), shared, threads }
    }

    /// Queues what a worker holds; waits when all writers are busy.
    pub(crate) fn write(&self, epoch: Epoch, worker: usize, sections: Vec<Section>) -> Result<(), CheckpointError> {
        if sections.is_empty() {
            return Ok(());
        }
        let turn = {
            let mut state = self.shared.state.lock();
            if let Some(error) = &state.error {
                return Err(error.clone());
            }
            *state.writing.entry(epoch).or_default() += 1;
            let turn = state.turns.entry((epoch, worker)).or_default();
            std::mem::replace(turn, *turn + 1)
        };
        let handed_over = HandedOver { epoch, worker, turn, sections };
        let queue = self.queue.as_ref().expect("the queue is there until the writers are dropped");
        queue.send(handed_over).map_err(|_| CheckpointError::Closed)
    }

    /// Waits until all that was handed over up to an epoch is written, and takes it.
    pub(crate) fn take(&self, epoch: Epoch) -> Result<Vec<WrittenFile>, CheckpointError> {
        let mut state = self.shared.state.lock();
        while state.error.is_none() && state.writing.range(..=epoch).next().is_some() {
            self.shared.changed.wait(&mut state);
        }
        if let Some(error) = &state.error {
            return Err(error.clone());
        }
        let later = state.written.split_off(&epoch.next());
        state.turns.retain(|&(of, _), _| of > epoch);
        Ok(std::mem::replace(&mut state.written, later).into_values().flatten().collect())
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    retry: Retry,
    generation: Generation,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&self, handed_over: &Receiver<HandedOver>) {
        for HandedOver { epoch, worker, turn, sections } in handed_over {
            if self.shared.state.lock().error.is_some() {
                continue;
            }
            let place = (self.generation, epoch, worker, turn);
            let written = write_files(&*self.store, self.retry, place, sections);
            let mut state = self.shared.state.lock();
            match written {
                Ok(files) => state.written.entry(epoch).or_default().extend(files),
                Err(error) => state.error = Some(error.into()),
            }
            if let Some(left) = state.writing.get_mut(&epoch) {
                *left -= 1;
                if *left == 0 {
                    state.writing.remove(&epoch);
                }
            }
            self.shared.changed.notify_all();
        }
    }
}
