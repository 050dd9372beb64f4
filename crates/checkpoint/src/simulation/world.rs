//! The store with its faults, the sinks, the order in which processes get on, and what is known of the whole history.

mod rows;

use crate::log::Entry;
use crate::names;
use crate::store::rows::{Layout, Mutation, RowStore, Seen, Table};
use crate::store::{Append, Listed, Put, Store, StoreError};
use parking_lot::{Condvar, Mutex};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Objects that are left when a run has ended in quiet: three checkpoints with their chains, the log behind them, cuts.
const OBJECTS_MAX: usize = 60;

/// Rows that are left then: each file of state has several, heads have one.
const ROWS_MAX: usize = 10 * OBJECTS_MAX;

/// Cells so small that state is cut into some.
const LAYOUT: Layout = Layout { cell_bytes: 64, call_bytes: 1 << 16 };

/// What objects are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Whole,
    /// Whole, and some of them grow.
    Growing,
    /// In a table of rows.
    Rows,
}

/// A write that was not done when it was asked for.
struct Delayed {
    name: String,
    bytes: Vec<u8>,
    if_absent: bool,
}

/// A run that has begun.
pub(super) struct Begun {
    pub(super) generation: u64,
    /// The place of the checkpoint that it goes on from, 0 for nothing.
    pub(super) base: u64,
}

/// A checkpoint that was acknowledged to the process that made it.
pub(super) struct Acknowledged {
    pub(super) generation: u64,
    pub(super) seq: u64,
    pub(super) epoch: u64,
    pub(super) offset: u64,
}

/// What happened in simulations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    /// Runs that began.
    pub(super) begun: u64,
    /// Checkpoints that were acknowledged.
    pub(super) committed: u64,
    /// Runs that found out that they had been succeeded.
    pub(super) orphaned: u64,
    /// Cuts of earlier runs that a run was told to follow.
    pub(super) replayed: u64,
    /// Writes that landed when nobody waited for them any more.
    pub(super) landed_late: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.begun += other.begun;
        self.committed += other.committed;
        self.orphaned += other.orphaned;
        self.replayed += other.replayed;
        self.landed_late += other.landed_late;
    }
}

struct State {
    rng: ChaCha8Rng,
    objects: BTreeMap<String, Vec<u8>>,
    delayed: Vec<Delayed>,
    table: Table,
    delayed_rows: Vec<Mutation>,
    /// How likely a call meets a fault.
    faults: f64,
    kept: Kept,

    alive: BTreeSet<usize>,
    waiting: BTreeSet<usize>,
    crashed: BTreeSet<usize>,
    /// Until which step a process is paused.
    paused: BTreeMap<usize, u64>,
    step: u64,
    turn: Option<usize>,
    ended: bool,
    next_id: usize,

    begun: Vec<Begun>,
    acknowledged: Vec<Acknowledged>,
    /// What the sinks hold: each epoch's records as first and last offset, with the version that wrote it.
    sink: BTreeMap<(u64, u64), (u64, u64)>,
    summary: Summary,
}

pub(super) struct World {
    state: Mutex<State>,
    changed: Condvar,
}

impl World {
    pub(super) fn new(seed: u64, kept: Kept, faults: f64) -> Self {
        let state = State {
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0xf417),
            objects: BTreeMap::new(),
            delayed: Vec::new(),
            table: Table::default(),
            delayed_rows: Vec::new(),
            faults,
            kept,
            alive: BTreeSet::new(),
            waiting: BTreeSet::new(),
            crashed: BTreeSet::new(),
            paused: BTreeMap::new(),
            step: 0,
            turn: None,
            ended: false,
            next_id: 0,
            begun: Vec::new(),
            acknowledged: Vec::new(),
            sink: BTreeMap::new(),
            summary: Summary::default(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The store, as one process opens it.
    pub(super) fn store(self: &Arc<Self>, id: usize) -> Result<Arc<dyn Store>, StoreError> {
        let world = Arc::clone(self);
        if self.state.lock().kept == Kept::Rows {
            let rows = Arc::new(rows::ProcessRows { world, id });
            return Ok(Arc::new(RowStore::open(rows, "job", "simulated", LAYOUT)?));
        }
        Ok(Arc::new(ProcessStore { world, id }))
    }

    // The order of things.

    pub(super) fn register(&self) -> usize {
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.alive.insert(id);
        id
    }

    /// The process has returned.
    pub(super) fn gone(&self, id: usize) {
        self.state.lock().alive.remove(&id);
        self.changed.notify_all();
    }

    pub(super) fn wait_for_all_to_wait(&self) {
        let mut state = self.state.lock();
        while state.turn.is_some() || state.alive != state.waiting {
            self.changed.wait(&mut state);
        }
    }

    /// The processes that may be let through.
    pub(super) fn alive(&self) -> Vec<usize> {
        let mut state = self.state.lock();
        state.step += 1;
        let step = state.step;
        state.paused.retain(|_, until| *until > step);
        let awake: Vec<_> = state.alive.iter().copied().filter(|id| !state.paused.contains_key(id)).collect();
        if awake.is_empty() && state.alive.len() == super::PROCESSES_MAX {
            state.paused.clear();
            return state.alive.iter().copied().collect();
        }
        awake
    }

    pub(super) fn crash(&self, id: usize) {
        self.state.lock().crashed.insert(id);
    }

    pub(super) fn pause(&self, id: usize, steps: u64) {
        let mut state = self.state.lock();
        let until = state.step + steps;
        state.paused.insert(id, until);
    }

    pub(super) fn let_through(&self, id: usize) {
        let mut state = self.state.lock();
        if state.waiting.contains(&id) {
            state.turn = Some(id);
            self.changed.notify_all();
        }
    }

    /// Everybody crashes.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        self.changed.notify_all();
        while !state.alive.is_empty() {
            self.changed.wait(&mut state);
        }
        state.ended = false;
        state.turn = None;
        state.waiting.clear();
    }

    /// Waits until it is this process's turn; `false` when it has crashed.
    fn wait_for_turn(&self, id: usize) -> bool {
        let mut state = self.state.lock();
        if state.crashed.contains(&id) {
            return false;
        }
        state.waiting.insert(id);
        self.changed.notify_all();
        while state.turn != Some(id) && !state.ended {
            self.changed.wait(&mut state);
        }
        state.waiting.remove(&id);
        state.turn = None;
        if state.ended {
            state.crashed.insert(id);
        }
        !state.crashed.contains(&id)
    }

    // Faults.

    pub(super) fn without_faults(&self) {
        self.state.lock().faults = 0.0;
    }

    pub(super) fn land_delayed(&self) {
        let mut state = self.state.lock();
        if !state.delayed.is_empty() {
            let count = state.delayed.len();
            let at = state.rng.random_range(0..count);
            let delayed = state.delayed.swap_remove(at);
            state.land(delayed);
        }
        if !state.delayed_rows.is_empty() {
            let count = state.delayed_rows.len();
            let at = state.rng.random_range(0..count);
            let delayed = state.delayed_rows.swap_remove(at);
            state.land_rows(delayed);
        }
    }

    pub(super) fn land_all_delayed(&self) {
        let mut state = self.state.lock();
        while let Some(delayed) = state.delayed.pop() {
            state.land(delayed);
        }
        while let Some(delayed) = state.delayed_rows.pop() {
            state.land_rows(delayed);
        }
    }

    // The history.

    pub(super) fn begun(&self, begun: Begun, replayed: usize) {
        let mut state = self.state.lock();
        state.begun.push(begun);
        state.summary.begun += 1;
        state.summary.replayed += replayed as u64;
    }

    pub(super) fn acknowledged(&self, acknowledged: Acknowledged) {
        let mut state = self.state.lock();
        state.acknowledged.push(acknowledged);
        state.summary.committed += 1;
    }

    pub(super) fn orphaned(&self) {
        self.state.lock().summary.orphaned += 1;
    }

    pub(super) fn summary(&self) -> Summary {
        self.state.lock().summary
    }

    /// A sink takes an epoch's records, unless it holds a newer version of them.
    pub(super) fn sink_write(&self, id: usize, records: (u64, u64), version: (u64, u64)) -> Result<(), StoreError> {
        if !self.wait_for_turn(id) {
            return Err(failed("write to", "the sink", true));
        }
        let mut state = self.state.lock();
        let held = state.sink.entry(records).or_insert(version);
        *held = version.max(*held);
        Ok(())
    }

    pub(super) fn check_history(&self) {
        let state = self.state.lock();
        let mut line: Vec<_> = state.acknowledged.iter().collect();
        line.sort_by_key(|checkpoint| checkpoint.seq);
        for pair in line.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            assert!(a.seq < b.seq && a.epoch < b.epoch && a.offset <= b.offset, "positions never go back");
            assert!(a.generation <= b.generation, "a stale run commits nothing");
        }
        for begun in &state.begun {
            let before = line.iter().filter(|checkpoint| checkpoint.generation < begun.generation);
            let newest = before.map(|checkpoint| checkpoint.seq).max().unwrap_or(0);
            assert!(begun.base >= newest, "run {} began from {}, not {newest}", begun.generation, begun.base);
        }
        let mut generations: Vec<_> = state.begun.iter().map(|begun| begun.generation).collect();
        generations.sort_unstable();
        assert!(generations.windows(2).all(|pair| pair[0] < pair[1]), "a generation is used once");
    }

    /// The sinks hold the epochs of one run over all records before `end`, one behind another.
    pub(super) fn check_sink(&self, end: u64) {
        let state = self.state.lock();
        let mut next = 0;
        for (&(from, to), version) in &state.sink {
            assert_eq!(from, next, "an epoch of records {from}..{to} stays in the sink, written by {version:?}");
            next = to;
        }
        assert_eq!(next, end, "every record is in the sink");
    }

    /// Damages some files of state and entries of the log. Returns the place of the newest checkpoint that was spared,
    /// with all its files.
    pub(super) fn damage(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let State { rng, objects, .. } = &mut *state;
        let entries: Vec<_> =
            objects.iter().filter_map(|(name, bytes)| Some((names::log_seq(name)?, Entry::decode(bytes)?))).collect();
        let floor = entries.iter().map(|(_, entry)| entry.floor()).max().unwrap_or(0);
        let victims: Vec<_> = objects.keys().filter(|name| !name.starts_with(names::CUTS)).cloned().collect();
        let mut damaged = BTreeSet::new();
        for _ in 0..rng.random_range(1..6) {
            let name = victims[rng.random_range(0..victims.len())].clone();
            match objects.get_mut(&name) {
                Some(bytes) if rng.random_bool(0.7) && !bytes.is_empty() => {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] ^= 0x10;
                }
                _ if name.starts_with(names::STATE) => drop(objects.remove(&name)),
                _ => continue,
            }
            // Damaged twice at one place it may be whole again.
            if !damaged.insert(name.clone()) {
                objects.remove(&name);
            }
        }
        let whole = entries.iter().rev().filter(|(seq, entry)| match entry {
            Entry::Checkpoint(checkpoint) => {
                let mut names = checkpoint.files.iter().map(|file| &file.name);
                *seq >= floor && !damaged.contains(&names::log_entry(*seq)) && names.all(|name| !damaged.contains(name))
            }
            Entry::Begin(_) => false,
        });
        whole.map(|(seq, _)| *seq).next()
    }

    pub(super) fn check_store(&self) {
        let state = self.state.lock();
        let mut left: Vec<_> = state.objects.keys().cloned().collect();
        let heads = state.table.scan(&b"n/"[..]..&b"n0"[..], Seen::Head, usize::MAX);
        left.extend(heads.into_iter().map(|row| String::from_utf8_lossy(&row.key).into_owned()));
        assert!(left.len() <= OBJECTS_MAX, "{} objects are left: {left:#?}", left.len());
        let rows = state.table.keys().len();
        assert!(rows <= ROWS_MAX, "{rows} rows are left of {} objects", left.len());
    }
}

impl State {
    fn land(&mut self, delayed: Delayed) {
        self.summary.landed_late += 1;
        if !delayed.if_absent || !self.objects.contains_key(&delayed.name) {
            self.objects.insert(delayed.name, delayed.bytes);
        }
    }

    fn write(&mut self, name: &str, bytes: &[u8], if_absent: bool) -> Put {
        if if_absent && let Some(there) = self.objects.get(name) {
            return if there == bytes { Put::Done } else { Put::Exists };
        }
        self.objects.insert(name.to_owned(), bytes.to_vec());
        Put::Done
    }

    /// Writes, with all that may come of it.
    fn faulty_write(&mut self, name: &str, bytes: &[u8], if_absent: bool) -> Result<Put, StoreError> {
        if !self.rng.random_bool(self.faults) {
            return Ok(self.write(name, bytes, if_absent));
        }
        let later = Delayed { name: name.to_owned(), bytes: bytes.to_vec(), if_absent };
        match self.rng.random_range(0..5) {
            // Lost: nothing happens.
            0 => {}
            // The answer is lost.
            1 => {
                self.write(name, bytes, if_absent);
                return Err(failed("write", name, false));
            }
            // It lands when nobody waits for it any more.
            2 => {
                self.delayed.push(later);
                return Err(failed("write", name, false));
            }
            // Torn: readers see a part.
            3 => {
                let part = self.rng.random_range(0..bytes.len());
                self.write(name, &bytes[..part], if_absent);
            }
            // Doubled: all is well, and once more later.
            _ => {
                self.delayed.push(later);
                return Ok(self.write(name, bytes, if_absent));
            }
        }
        // The worst store says that all is well.
        if self.rng.random_bool(0.3) { Ok(Put::Done) } else { Err(failed("write", name, false)) }
    }

    fn fails(&mut self, tried: &'static str, name: &str) -> Result<(), StoreError> {
        if self.rng.random_bool(self.faults) { Err(failed(tried, name, false)) } else { Ok(()) }
    }
}

fn failed(tried: &'static str, place: &str, lasting: bool) -> StoreError {
    StoreError { tried, place: place.to_owned(), reason: "simulated".to_owned(), lasting }
}

/// The store as one process sees it.
struct ProcessStore {
    world: Arc<World>,
    id: usize,
}

impl ProcessStore {
    fn call<T>(
        &self,
        tried: &'static str,
        name: &str,
        call: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.world.wait_for_turn(self.id) {
            call(&mut self.world.state.lock())
        } else {
            Err(failed(tried, name, true))
        }
    }
}

impl Store for ProcessStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.call("write", name, |state| state.faulty_write(name, bytes, false).map(|_| ()))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        self.call("write", name, |state| state.faulty_write(name, bytes, true))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call("read", name, |state| state.fails("read", name).map(|()| state.objects.get(name).cloned()))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.get(name)?.map(|bytes| bytes.len() as u64))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.call("list", prefix, |state| {
            state.fails("list", prefix)?;
            let objects = state.objects.iter().filter(|(name, _)| name.starts_with(prefix));
            Ok(objects.map(|(name, bytes)| Listed { name: name.clone(), bytes: bytes.len() as u64 }).collect())
        })
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.call("delete", name, |state| {
            let before = state.fails("delete", name);
            if before.is_ok() || state.rng.random_bool(0.5) {
                state.objects.remove(name);
            }
            before
        })
    }

    fn append(&self, name: &str) -> Result<Option<Box<dyn Append>>, StoreError> {
        self.call("create", name, |state| {
            if state.kept != Kept::Growing {
                return Ok(None);
            }
            assert!(!state.objects.contains_key(name), "a name is used once");
            state.objects.insert(name.to_owned(), Vec::new());
            state.fails("create", name)?;
            let store = Self { world: Arc::clone(&self.world), id: self.id };
            Ok(Some(Box::new(Growing { store, name: name.to_owned() }) as Box<dyn Append>))
        })
    }
}

struct Growing {
    store: ProcessStore,
    name: String,
}

impl Append for Growing {
    fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.call("append to", &self.name, |state| {
            let whole = state.fails("append to", &self.name);
            let part = if whole.is_ok() { bytes.len() } else { state.rng.random_range(0..=bytes.len()) };
            // A file that was deleted still takes what is written, and nobody will find it.
            if let Some(object) = state.objects.get_mut(&self.name) {
                object.extend_from_slice(&bytes[..part]);
            }
            whole
        })
    }
}
