//! A store in memory, and operators on a number of workers with the exchange between them done by hand.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod live;
pub(crate) mod naive;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringViewArray};
use proxima_engine::{EpochEnd, Operator, Outbox, Section, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet, KeyValueRead, KeyValueScan, StoreError};
use proxima_graph::{Announce, Couple, Identify, RelationColumns};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

/// A key-value store in memory.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<BTreeMap<String, Table>>);

impl MemoryStore {
    /// Applies rows of keys and values.
    pub(crate) fn write(&self, table: &str, changes: &Changes) {
        let mut tables = self.0.lock().unwrap();
        let table = tables.entry(table.to_owned()).or_default();
        let (keys, values) = (changes.column(0).as_binary_view(), changes.column(1).as_binary_view());
        for (row, (key, value)) in keys.iter().zip(values).enumerate() {
            match changes.weight(row) {
                1 => drop(table.insert(key.unwrap().to_vec(), value.unwrap().to_vec())),
                -1 => drop(table.remove(key.unwrap())),
                weight => panic!("a sink is given weights of 1 and -1, not {weight}"),
            }
        }
    }

    /// Sets one key.
    pub(crate) fn put(&self, table: &str, key: &[u8], value: &[u8]) {
        self.0.lock().unwrap().entry(table.to_owned()).or_default().insert(key.to_vec(), value.to_vec());
    }

    /// Drops everything.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().unwrap().values().flatten().map(|(key, value)| key.len() + value.len()).sum()
    }
}

impl KeyValueRead for MemoryStore {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap().get(table).and_then(|table| table.get(key)).cloned())
    }
}

impl KeyValueScan for MemoryStore {
    fn scan(&self, table: &str, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreError> {
        let tables = self.0.lock().unwrap();
        let Some(table) = tables.get(table) else { return Ok(()) };
        let found = table.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, value) in found {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

/// A path's operators on a number of workers, writing one table.
pub(crate) struct Mesh {
    workers: Vec<Worker>,
    epoch: u64,
    table: String,
    pub(crate) store: Arc<MemoryStore>,
    owners: HashMap<Vec<u8>, usize>,
    /// What was saved of each key group, of the objects' ids and of the logs.
    chains: [BTreeMap<KeyGroup, Vec<Section>>; 2],
    saved: bool,
}

struct Worker {
    identify: Identify,
    announce: Announce,
    couple: Couple,
}

impl Mesh {
    /// `publish` is for how many epochs changes are held back, and from how many subjects on an object is hot.
    pub(crate) fn new(workers: usize, columns: RelationColumns, publish: (u64, u32), store: Arc<MemoryStore>) -> Self {
        let worker = |_| Worker {
            identify: Identify::new(columns),
            announce: Announce,
            couple: Couple::new(publish.0, publish.1),
        };
        let mut made: Vec<Worker> = (0..workers).map(worker).collect();
        for (at, worker) in made.iter_mut().enumerate() {
            let owned = KeyGroupSet::of_worker(at, workers);
            worker.identify.track(&owned);
            worker.couple.track(&owned);
        }
        Self {
            workers: made,
            chains: Default::default(),
            saved: false,
            epoch: 0,
            table: "paths/p".into(),
            store,
            owners: HashMap::new(),
        }
    }

    /// Runs one epoch over batches of the relation, whose object is in column 1.
    pub(crate) fn epoch(&mut self, batches: Vec<Changes>, last: bool) {
        let end = EpochEnd { epoch: Epoch(self.epoch), last };
        let count = self.workers.len();
        let mut published: Vec<Vec<Changes>> = vec![Vec::new(); count];
        let mut identified = Vec::new();
        for (owner, batch) in batches.iter().flat_map(|batch| exchange(batch, 1, count)) {
            let mut out = Outbox::default();
            self.workers[owner].identify.apply(0, batch, &mut out);
            identified.extend(out.drain().map(|batch| (owner, batch)));
        }
        for (owner, worker) in self.workers.iter_mut().enumerate() {
            let mut out = Outbox::default();
            worker.identify.finish(end, &mut out);
            identified.extend(out.drain().map(|batch| (owner, batch)));
        }
        for (worker, batch) in identified {
            let mut out = Outbox::default();
            self.workers[worker].announce.apply(0, batch.clone(), &mut out);
            published[worker].extend(out.drain());
            for (owner, batch) in exchange(&batch, 0, count) {
                self.workers[owner].couple.apply(0, batch, &mut out);
                published[owner].extend(out.drain());
            }
        }
        for (owner, worker) in self.workers.iter_mut().enumerate() {
            let mut out = Outbox::default();
            worker.couple.finish(end, &mut out);
            published[owner].extend(out.drain());
        }
        self.publish(&published);
        self.epoch += 1;
    }

    /// Saves what has changed, and some key groups whole; the first time all.
    pub(crate) fn save(&mut self, rewrite: &KeyGroupSet) {
        let workers = self.workers.len();
        for (at, worker) in self.workers.iter_mut().enumerate() {
            let owned = KeyGroupSet::of_worker(at, workers);
            let whole: KeyGroupSet = owned.iter().filter(|&group| !self.saved || rewrite.contains(group)).collect();
            let (mut identify, mut couple) = (StateWriter::default(), StateWriter::default());
            worker.identify.save(&whole, &mut identify);
            worker.couple.save(&whole, &mut couple);
            for (chains, state) in self.chains.iter_mut().zip([identify, couple]) {
                whole.iter().for_each(|group| drop(chains.remove(&group)));
                for section in state.encode().unwrap() {
                    chains.entry(section.group).or_default().push(section);
                }
            }
        }
        self.saved = true;
    }

    /// The saved state of all workers, taken up by another number of them with an empty store.
    pub(crate) fn restart(self, workers: usize, columns: RelationColumns, publish: (u64, u32)) -> Self {
        self.store.clear();
        let mut mesh = Self::new(workers, columns, publish, self.store);
        (mesh.chains, mesh.saved) = (self.chains, self.saved);
        for (operator, chains) in mesh.chains.iter().enumerate() {
            for section in chains.values().flatten() {
                let worker = &mut mesh.workers[section.group.worker(KEY_GROUPS, workers)];
                let mut reader = StateReader::from(section);
                match operator {
                    0 => worker.identify.load(&mut reader).unwrap(),
                    _ => worker.couple.load(&mut reader).unwrap(),
                }
            }
        }
        mesh
    }

    /// Writes an epoch as a sink would, and holds the operators to what a sink relies on: a key comes once an epoch,
    /// and always from the same worker.
    fn publish(&mut self, published: &[Vec<Changes>]) {
        let mut seen = std::collections::HashSet::new();
        for (worker, batches) in published.iter().enumerate() {
            for batch in batches {
                for key in batch.column(0).as_binary_view().iter().flatten() {
                    assert!(seen.insert(key.to_vec()), "key {key:?} comes twice in an epoch");
                    let owner = *self.owners.entry(key.to_vec()).or_insert(worker);
                    assert_eq!(owner, worker, "key {key:?} comes from two workers");
                }
                self.store.write(&self.table, batch);
            }
        }
    }
}

/// What of a batch goes to which worker.
pub(crate) fn exchange(changes: &Changes, key: usize, workers: usize) -> Vec<(usize, Changes)> {
    let hashes = hash_columns(&[Arc::clone(changes.column(key))], changes.len());
    let owners: Vec<usize> =
        hashes.iter().map(|&hash| KeyGroup::of(hash, KEY_GROUPS).worker(KEY_GROUPS, workers)).collect();
    let mut changes = changes.clone();
    changes.hashes = Some(hashes.into());
    let part = |worker| {
        let rows: Vec<u32> = (0..owners.len() as u32).filter(|&row| owners[row as usize] == worker).collect();
        (worker, changes.take(&rows))
    };
    (0..workers).map(part).filter(|(_, part)| !part.is_empty()).collect()
}

/// A batch of a relation: subject, object, and how often.
pub(crate) fn relation(rows: &[(String, String, i64)]) -> Changes {
    let subjects: StringViewArray = rows.iter().map(|row| Some(row.0.as_str())).collect();
    let objects: StringViewArray = rows.iter().map(|row| Some(row.1.as_str())).collect();
    let columns: [(&str, ArrayRef); 2] = [("subject", Arc::new(subjects)), ("object", Arc::new(objects))];
    let rows_ = RecordBatch::try_from_iter(columns).unwrap();
    Changes::weighted(rows_, rows.iter().map(|row| row.2).collect())
}
