//! The log: one sequence of immutable entries, and the only place where anything is decided.
//!
//! An entry is put if absent at the place behind the last one. Whoever finds its place taken knows less than there is to
//! know: a run that wants to begin reads on and decides anew, one that wants to commit was succeeded and stops.

mod entry;

#[cfg(test)]
pub(crate) use entry::tests;
pub(crate) use entry::{Begin, CheckpointEntry, Entry, FileRef, StoredOperator};

use crate::names;
use crate::store::{Put, Retry, Store, StoreError};
use proxima_event::Generation;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::warn;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It stands at this place.
    At(u64),
    /// Its place was taken: there is something to read first.
    Taken,
    /// It stands, but there is something behind it: the place was free only because it had been swept, or another run
    /// began at once.
    Succeeded,
}

/// The log as far as it has been read.
pub(crate) struct Log {
    store: Arc<dyn Store>,
    retry: Retry,
    /// What stands at each place; `None` where the entry is torn.
    slots: BTreeMap<u64, Option<Arc<Entry>>>,
}

impl Log {
    pub(crate) fn new(store: Arc<dyn Store>, retry: Retry) -> Self {
        Self { store, retry, slots: BTreeMap::new() }
    }

    /// Reads what is new. Returns whether there is anything.
    pub(crate) fn refresh(&mut self) -> Result<bool, StoreError> {
        let before = self.slots.last_key_value().map(|(&last, _)| last);
        let retry = self.retry;
        let slots = retry.run(|| self.read_all())?;
        let last = slots.last_key_value().map(|(&last, _)| last);
        self.slots = slots;
        Ok(last != before)
    }

    /// Every entry that is there. When one is listed and gone before it is read, the log was swept meanwhile: then there
    /// are others behind it, which must not be missed, and all is listed again.
    fn read_all(&self) -> Result<BTreeMap<u64, Option<Arc<Entry>>>, StoreError> {
        let listed = self.store.list(names::LOG)?;
        let mut slots = BTreeMap::new();
        for seq in listed.iter().filter_map(|listed| names::log_seq(&listed.name)) {
            let slot = match self.slots.get(&seq) {
                Some(known) => known.clone(),
                None => self.read(seq)?.ok_or_else(|| swept(seq))?,
            };
            slots.insert(seq, slot);
        }
        Ok(slots)
    }

    /// The entries that count, by place.
    pub(crate) fn entries(&self) -> BTreeMap<u64, Arc<Entry>> {
        let floor = self.newest().map_or(0, |(_, entry)| entry.floor());
        let counted = self.slots.range(floor..);
        counted.filter_map(|(&seq, slot)| slot.as_ref().map(|entry| (seq, Arc::clone(entry)))).collect()
    }

    /// The last entry that can be read.
    pub(crate) fn newest(&self) -> Option<(u64, &Arc<Entry>)> {
        self.slots.iter().rev().find_map(|(&seq, slot)| slot.as_ref().map(|entry| (seq, entry)))
    }

    /// The highest generation that the log knows of.
    pub(crate) fn generation(&self) -> Option<Generation> {
        self.slots.values().flatten().map(|entry| entry.generation()).max()
    }

    /// Whether there were checkpoints in a log that shows none: to begin from nothing then would be to lose them
    /// silently. Sweeping, and runs that go on from a checkpoint, are signs of them.
    pub(crate) fn has_lost_checkpoints(&self) -> bool {
        let begins = || {
            self.slots.values().flatten().filter_map(|entry| match &**entry {
                Entry::Begin(begin) => Some(begin),
                Entry::Checkpoint(_) => None,
            })
        };
        let swept = self.slots.first_key_value().is_some_and(|(&first, _)| first > 1);
        !begins().any(|begin| begin.fresh) && (swept || begins().any(|begin| begin.based_on.is_some()))
    }

    /// Puts an entry behind the last that is known.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<Appended, StoreError> {
        let entry = Arc::new(entry);
        let bytes = entry.encode();
        let mut seq = self.slots.last_key_value().map_or(1, |(&last, _)| last + 1);
        loop {
            match self.put(seq, &bytes)? {
                Place::Own => break,
                Place::Other => {
                    self.refresh()?;
                    return Ok(Appended::Taken);
                }
                Place::Void => {
                    warn!(seq, "an entry of the checkpoint log is torn; it is passed over");
                    self.slots.insert(seq, None);
                    seq += 1;
                }
            }
        }
        self.slots.insert(seq, Some(entry));
        self.refresh()?;
        let last = self.slots.last_key_value().map(|(&last, _)| last);
        Ok(if last == Some(seq) { Appended::At(seq) } else { Appended::Succeeded })
    }

    /// Puts the bytes at a place and looks what stands there. Tries again only at the same place: an earlier try may
    /// still arrive.
    fn put(&self, seq: u64, bytes: &[u8]) -> Result<Place, StoreError> {
        let name = names::log_entry(seq);
        self.retry.run(|| {
            let put = self.store.put_if_absent(&name, bytes);
            match self.store.get(&name)? {
                Some(there) if there == bytes => Ok(Place::Own),
                Some(there) => Ok(if Entry::decode(&there).is_some() { Place::Other } else { Place::Void }),
                None => match put {
                    Err(error) => Err(error),
                    // There was another one, which is swept by now.
                    Ok(Put::Exists) => Ok(Place::Other),
                    Ok(Put::Done) => Err(lost(&name)),
                },
            }
        })
    }

    fn read(&self, seq: u64) -> Result<Option<Option<Arc<Entry>>>, StoreError> {
        let bytes = self.store.get(&names::log_entry(seq))?;
        Ok(bytes.map(|bytes| Entry::decode(&bytes).map(Arc::new)))
    }
}

/// What stands at a place of the log.
enum Place {
    Own,
    Other,
    /// A torn entry, which nobody can count on.
    Void,
}

/// An entry vanished between the list and the read.
fn swept(seq: u64) -> StoreError {
    let reason = "the log was swept while it was read".to_owned();
    StoreError { tried: "read", place: names::log_entry(seq), reason, lasting: false }
}

/// The store said that it holds an object, and does not.
pub(crate) fn lost(name: &str) -> StoreError {
    let reason = "the store acknowledged it, and does not have it in full".to_owned();
    StoreError { tried: "write", place: name.to_owned(), reason, lasting: false }
}

#[cfg(test)]
mod unit {
    use super::tests::{begin, checkpoint};
    use super::*;
    use crate::store::LocalStore;

    fn log(store: &LocalStore) -> Log {
        let mut log = Log::new(Arc::new(store.clone()), Retry::default());
        log.refresh().unwrap();
        log
    }

    fn with_floor(entry: Entry, floor: u64) -> Entry {
        match entry {
            Entry::Checkpoint(checkpoint) => Entry::Checkpoint(CheckpointEntry { floor, ..checkpoint }),
            Entry::Begin(begin) => Entry::Begin(Begin { floor, ..begin }),
        }
    }

    #[test]
    fn who_knows_less_finds_its_place_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        let mut first = log(&store);
        assert_eq!(first.append(begin(1, None)).unwrap(), Appended::At(1));
        let mut second = log(&store);
        assert_eq!(second.append(begin(2, None)).unwrap(), Appended::At(2));
        assert_eq!(first.append(checkpoint(1, 4)).unwrap(), Appended::Taken);
        assert_eq!(first.generation(), Some(Generation(2)), "it has read on");
    }

    #[test]
    fn says_whether_there_is_anything_new() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        let (mut reader, mut writer) = (log(&store), log(&store));
        assert!(!reader.refresh().unwrap());
        writer.append(begin(1, None)).unwrap();
        assert!(reader.refresh().unwrap());
        assert!(!reader.refresh().unwrap());
    }

    #[test]
    fn a_torn_entry_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        let mut log = log(&store);
        store.put(&names::log_entry(1), b"torn").unwrap();
        assert_eq!(log.append(begin(1, None)).unwrap(), Appended::At(2));
    }

    #[test]
    fn a_place_that_was_swept_is_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        let mut stale = log(&store);
        let mut other = log(&store);
        other.append(begin(1, None)).unwrap();
        other.append(checkpoint(1, 4)).unwrap();
        assert_eq!(other.append(with_floor(checkpoint(1, 8), 2)).unwrap(), Appended::At(3));
        store.delete(&names::log_entry(1)).unwrap();
        assert_eq!(stale.append(checkpoint(9, 99)).unwrap(), Appended::Succeeded);
        let entries = log(&store).entries();
        assert_eq!(entries.keys().copied().collect::<Vec<_>>(), [2, 3], "what is below the floor does not count");
        assert_eq!(entries[&3], Arc::new(with_floor(checkpoint(1, 8), 2)));
    }
}
