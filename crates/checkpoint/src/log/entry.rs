//! The entries of the log, and how they are written.
//!
//! An entry is one line of JSON, for people and `jq`, and a second line with the checksum of the first: an entry that was
//! torn is known, and counts as void.

use crate::operators::{OperatorFacts, OperatorId};
use proxima_event::{Epoch, Generation, Position};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// What the log says at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A run starts.
    Begin(Begin),
    /// A checkpoint holds from here on.
    Checkpoint(CheckpointEntry),
}

/// A run starts. Written before any of its sources reads; from here on no earlier run can commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// The run's number, larger than that of any run before.
    pub(crate) generation: Generation,
    /// The checkpoint that it goes on from, by its place in the log. `None`: from nothing.
    pub(crate) based_on: Option<u64>,
    /// Whether nothing that was before counts any more: the user asked to drop the state.
    pub(crate) fresh: bool,
    /// The digest of the job's definition.
    pub(crate) job_digest: String,
    /// Worker threads of the run.
    pub(crate) workers: usize,
    /// Key groups of the job.
    pub(crate) key_groups: usize,
    /// Entries before this place no longer count.
    pub(crate) floor: u64,
    /// No other entry has the same.
    pub(crate) nonce: String,
}

/// A checkpoint: everything that a restart needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckpointEntry {
    /// The run that wrote it.
    pub(crate) generation: Generation,
    /// The state is that at the end of this epoch.
    pub(crate) epoch: Epoch,
    /// Where each partition stood at the end of the epoch.
    pub(crate) positions: Vec<Position>,
    /// The files of state, in the order in which their changes apply.
    pub(crate) files: Vec<FileRef>,
    /// The operators that the run had, and since when their state is in the files.
    pub(crate) operators: Vec<StoredOperator>,
    /// Counts that go on over restarts, as the caller keeps them.
    pub(crate) counters: serde_json::Value,
    /// Key groups of the job.
    pub(crate) key_groups: usize,
    /// Entries before this place no longer count.
    pub(crate) floor: u64,
    /// When it was written, in milliseconds since 1970: for people, nothing is decided by it.
    pub(crate) written_ms: u64,
    /// No other entry has the same.
    pub(crate) nonce: String,
}

/// A file of state, and how to know that it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRef {
    /// Its name in the store.
    pub(crate) name: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// The XXH3 checksum of all its bytes.
    pub(crate) checksum: u64,
}

/// An operator as a checkpoint knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredOperator {
    /// Which one.
    pub(crate) id: OperatorId,
    /// Its name, for messages.
    pub(crate) name: String,
    /// The first epoch of its state: what older files hold under this id is of an operator that was dropped meanwhile.
    pub(crate) since: Epoch,
}

impl StoredOperator {
    /// An operator that begins empty at an epoch.
    #[must_use]
    pub(crate) fn new(facts: &OperatorFacts, since: Epoch) -> Self {
        Self { id: facts.id, name: facts.name.clone(), since }
    }
}

impl Entry {
    /// The run that wrote the entry.
    #[must_use]
    pub(crate) fn generation(&self) -> Generation {
        match self {
            Self::Begin(begin) => begin.generation,
            Self::Checkpoint(checkpoint) => checkpoint.generation,
        }
    }

    /// Entries before this place no longer count.
    #[must_use]
    pub(crate) fn floor(&self) -> u64 {
        match self {
            Self::Begin(begin) => begin.floor,
            Self::Checkpoint(checkpoint) => checkpoint.floor,
        }
    }

    /// The bytes that stand in the store.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("an entry has string keys and no other failure");
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(format!("\n{{\"xxh3\":\"{checksum:016x}\"}}\n").as_bytes());
        bytes
    }

    /// The entry that the bytes hold; `None` when they are torn or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (line, rest) = text.split_once('\n')?;
        let checksum = rest.strip_prefix("{\"xxh3\":\"")?.strip_suffix("\"}\n")?;
        (checksum == format!("{:016x}", xxh3_64(line.as_bytes()))).then(|| serde_json::from_str(line).ok())?
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn begin(generation: u64, based_on: Option<u64>) -> Entry {
        Entry::Begin(Begin {
            generation: Generation(generation),
            based_on,
            fresh: false,
            job_digest: "d1".to_owned(),
            workers: 2,
            key_groups: 256,
            floor: 0,
            nonce: format!("b{generation}"),
        })
    }

    pub(crate) fn checkpoint(generation: u64, epoch: u64) -> Entry {
        Entry::Checkpoint(CheckpointEntry {
            generation: Generation(generation),
            epoch: Epoch(epoch),
            positions: Vec::new(),
            files: vec![FileRef { name: "state/x".to_owned(), bytes: 7, checksum: u64::MAX }],
            operators: vec![StoredOperator { id: OperatorId(u64::MAX), name: "daily".to_owned(), since: Epoch(1) }],
            counters: serde_json::json!({"rejected": 3}),
            key_groups: 256,
            floor: 0,
            written_ms: 0,
            nonce: format!("c{generation}-{epoch}"),
        })
    }

    #[test]
    fn entries_read_back() {
        for entry in [begin(3, Some(9)), checkpoint(3, 17)] {
            assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }
    }

    #[test]
    fn a_torn_or_damaged_entry_is_void() {
        let bytes = checkpoint(3, 17).encode();
        for cut in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Entry::decode(&damaged), None, "damaged at {at}");
        }
    }
}
