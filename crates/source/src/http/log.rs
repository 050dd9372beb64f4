//! The log: many requests share one write and one fsync, and every request hears of it when it is durable.
//!
//! Requests are put behind each other in memory, under a lock and within bounds. One thread takes all that waits,
//! writes it, waits for the disk, and then answers ([`writer`](super::writer)): while the disk works on one group the
//! next one gathers.
//!
//! When the log is full, what the job has read of it is deleted as soon as no checkpoint needs it. Both need records to
//! come, which a full log refuses: so it goes on in a new segment by itself, and asks for checkpoints.

use super::config::HttpConfig;
use super::entry::{Entry, KEY_BYTES_MAX};
use super::keys::{Given, Keys};
use super::segments::{self, Segment};
use super::split::split;
use super::writer::Writer;
use super::{identity, io_error};
use parking_lot::{Condvar, Mutex};
use proxima_event::SourceError;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of requests that wait for the disk, and their number.
const WAITING_BYTES: usize = 32 << 20;
const WAITING_REQUESTS: usize = 10_000;

/// What a request that is durable was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How many records it held.
    pub records: u64,
    /// Whether it was known by its key: nothing was written again.
    pub duplicate: bool,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not what it should be; coming again would not help.
    Malformed(String),
    /// Its key cannot be one.
    BadKey(String),
    /// There is too much to do: come again in a second.
    Busy(String),
    /// The log cannot be written.
    Unavailable(String),
}

/// Hears what became of a request, on whatever thread knows it first. It must not block.
pub type Answer = Box<dyn FnOnce(Result<Accepted, Refused>) + Send>;

/// A request that waits for the disk.
pub(super) struct Waiting {
    pub(super) accepted: Accepted,
    /// The number behind its last record.
    pub(super) end: u64,
    pub(super) answer: Answer,
}

pub(super) struct State {
    /// Entries that nobody writes yet.
    pub(super) pending: Vec<u8>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) next: u64,
    pub(super) durable: u64,
    pub(super) segments: VecDeque<Segment>,
    /// Durable bytes that the engine has not taken in; until it begins to read, only those that have come since.
    pub(super) unread: u64,
    /// No checkpoint needs the records before this one.
    pub(super) released: u64,
    keys: Keys,
    failed: Option<String>,
    /// Whether a new segment shall begin, however small the last one is.
    pub(super) roll: bool,
    pub(super) closing: bool,
}

impl State {
    /// What the log holds on the disk, in bytes.
    fn held(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// What stands in the segment that is being written, in bytes.
    pub(super) fn standing(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.bytes)
    }
}

/// What requests, the writing thread and the source share.
pub(super) struct Shared {
    pub(super) config: HttpConfig,
    pub(super) identity: String,
    pub(super) state: Mutex<State>,
    pub(super) work: Condvar,
    pub(super) written: Condvar,
}

/// An open log. The last handle ends its thread.
pub struct HttpLog {
    pub(super) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl HttpLog {
    /// Opens the log in its folder; it is made when it is not there. What a crash has torn is cut off.
    ///
    /// # Errors
    /// When the folder cannot be used or the log is damaged.
    pub fn open(config: HttpConfig) -> Result<Self, SourceError> {
        let folder = config.folder.clone();
        let writer = prepare(config).map_err(|error| io_error("open", &folder, error))?;
        let shared = Arc::clone(&writer.shared);
        let thread = std::thread::Builder::new().name(format!("log {}", shared.config.source));
        let thread = thread.spawn(move || writer.run()).map_err(|error| io_error("start", &folder, error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes the records of a request's body, and calls `answer` when they are durable or were refused. A request whose
    /// key is remembered is not written again.
    pub fn accept(&self, body: &[u8], key: &str, answer: Answer) {
        if key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
            let text = format!("an idempotency key has at most {KEY_BYTES_MAX} bytes and no control characters");
            return answer(Err(Refused::BadKey(text)));
        }
        match split(body) {
            Ok(records) => self.shared.append(records, key, answer),
            Err(reason) => answer(Err(Refused::Malformed(reason))),
        }
    }

    /// Deletes segments that hold only records before `offset`. Their keys stay remembered.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn release(&self, offset: u64) -> io::Result<()> {
        self.shared.release(offset)
    }
}

impl Drop for HttpLog {
    fn drop(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // Should it have panicked, the panic's message stands on the screen already.
            let _ = thread.join();
        }
    }
}

/// Opens the log; nothing is written until its writer runs.
pub(super) fn prepare(config: HttpConfig) -> io::Result<Writer> {
    let (state, identity, file) = recover(&config)?;
    let (work, written) = (Condvar::new(), Condvar::new());
    Ok(Writer::new(Arc::new(Shared { config, identity, state: Mutex::new(state), work, written }), file))
}

fn recover(config: &HttpConfig) -> io::Result<(State, String, File)> {
    std::fs::create_dir_all(&config.folder)?;
    let identity = identity(&config.folder)?;
    let mut keys = Keys::load(&config.folder)?;
    let (mut segments, next) = segments::recover(&config.folder, |entry| {
        keys.put(&entry.key, Given { first: entry.first, end: entry.end() });
    })?;
    let file = match segments.back() {
        Some(last) => OpenOptions::new().append(true).open(last.path(&config.folder))?,
        None => {
            let (segment, file) = segments::create(&config.folder, next)?;
            segments.push_back(segment);
            file
        }
    };
    let state = State {
        pending: Vec::new(),
        waiting: Vec::new(),
        next,
        durable: next,
        segments,
        // Where the job goes on is known when it begins to read.
        unread: 0,
        released: 0,
        keys,
        failed: None,
        roll: false,
        closing: false,
    };
    Ok((state, identity, file))
}

impl Shared {
    pub(super) fn append(&self, records: Vec<Vec<u8>>, key: &str, answer: Answer) {
        let mut state = self.state.lock();
        if let Some(given) = state.keys.get(key) {
            let accepted = Accepted { records: given.end - given.first, duplicate: true };
            if given.end > state.durable {
                // The first of the two is still on its way to the disk.
                return state.waiting.push(Waiting { accepted, end: given.end, answer });
            }
            drop(state);
            return answer(Ok(accepted));
        }
        if let Some(refused) = self.refuses(&state) {
            drop(state);
            return answer(Err(refused));
        }
        let entry = Entry { first: state.next, key: key.to_owned(), records };
        entry.write(&mut state.pending);
        state.next = entry.end();
        state.keys.put(key, Given { first: entry.first, end: entry.end() });
        let accepted = Accepted { records: entry.records.len() as u64, duplicate: false };
        state.waiting.push(Waiting { accepted, end: entry.end(), answer });
        drop(state);
        self.work.notify_one();
    }

    fn refuses(&self, state: &State) -> Option<Refused> {
        if let Some(reason) = &state.failed {
            return Some(Refused::Unavailable(reason.clone()));
        }
        let held = state.held();
        let reason = if state.pending.len() >= WAITING_BYTES || state.waiting.len() >= WAITING_REQUESTS {
            "the disk does not keep up".to_owned()
        } else if state.unread >= self.config.backlog_bytes {
            format!("the job is {} bytes behind", state.unread)
        } else if held >= self.config.log_bytes {
            format!("the log holds {held} bytes that no checkpoint has released")
        } else {
            return None;
        };
        Some(Refused::Busy(reason))
    }

    pub(super) fn release(&self, offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.released = state.released.max(offset);
        let behind = |state: &State| state.segments.get(1).is_some_and(|next| next.base <= state.released);
        if !behind(&state) {
            return Ok(());
        }
        state.keys.save(&self.config.folder, state.durable)?;
        while behind(&state) {
            let Some(segment) = state.segments.front() else { break };
            std::fs::remove_file(segment.path(&self.config.folder))?;
            state.segments.pop_front();
        }
        Ok(())
    }

    /// Whether the log is full although all of it was read, up to record `next`. It goes on in a new segment then: the
    /// one that was written can be deleted when the checkpoints that need it are gone.
    pub(super) fn is_stuck(&self, next: u64) -> bool {
        let mut state = self.state.lock();
        let held = state.held();
        let is_full = held > 0 && held >= self.config.log_bytes && state.failed.is_none();
        if !is_full || next < state.durable || !state.pending.is_empty() {
            return false;
        }
        if state.standing() > 0 && !state.roll {
            state.roll = true;
            self.work.notify_one();
        }
        true
    }

    /// Waits until there are durable records from `next` on, at most so long.
    pub(super) fn wait_behind(&self, next: u64, most: Duration) {
        let mut state = self.state.lock();
        if state.durable <= next {
            self.written.wait_for(&mut state, most);
        }
    }

    /// A group could not be written: it and all that gathered behind it never were.
    pub(super) fn take_back(&self, group: Vec<Waiting>, reason: &str, for_ever: bool) {
        let mut state = self.state.lock();
        let durable = state.durable;
        state.next = durable;
        state.keys.forget_from(durable);
        state.pending.clear();
        if for_ever {
            state.failed = Some(reason.to_owned());
        }
        let behind = std::mem::take(&mut state.waiting);
        drop(state);
        tracing::error!(source = %self.config.source, reason, "requests could not be written to the log");
        for waiting in group.into_iter().chain(behind) {
            (waiting.answer)(Err(Refused::Unavailable(reason.to_owned())));
        }
    }
}
