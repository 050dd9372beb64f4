//! A checkpoint's state, read back: each file once, every checksum compared before anything is made of it.

use super::chains::Chains;
use super::format::{self, Kind, SectionInfo};
use crate::lineage::Candidate;
use crate::log::{CheckpointEntry, FileRef, StoredOperator};
use crate::names::StateName;
use crate::operators::OperatorId;
use crate::store::{Retry, Store, StoreError};
use proxima_event::{Epoch, KeyGroupSet, Position};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Files that are read at the same time: enough to keep a disk or a line busy, few enough to bound the memory.
const READERS: usize = 4;
/// Less than this is read sooner than a thread is started.
const READERS_FROM_BYTES: u64 = 1024 * 1024;

/// A section as it was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSection {
    /// The key groups for which it is needed, of those asked for.
    pub groups: KeyGroupSet,
    /// Whether it stands alone.
    pub kind: Kind,
    /// The bytes, whose meaning is the operator's own.
    pub bytes: Vec<u8>,
}

/// A checkpoint that was found whole, with its state. It is held in memory, compressed, until it is dropped.
pub struct Restored {
    candidate: Candidate,
    files: BTreeMap<StateName, ReadFile>,
    chains: Chains,
}

struct ReadFile {
    bytes: Vec<u8>,
    sections: Vec<SectionInfo>,
}

/// Why a checkpoint cannot be used.
pub(crate) enum Damage {
    /// A file is missing, or is not what was written.
    File(String),
    /// The store could not be asked: this says nothing about the checkpoint.
    Store(StoreError),
}

impl Restored {
    /// Reads all files of a checkpoint.
    pub(crate) fn read(store: &dyn Store, retry: Retry, candidate: Candidate) -> Result<Self, Damage> {
        let checkpoint = candidate.checkpoint();
        let files = read_files(store, retry, &checkpoint.files)?;
        let chains = chains_of(checkpoint, &files, &checkpoint.operators);
        Ok(Self { candidate, files, chains })
    }

    /// The checkpoint's place in the log: what other stores point to it by.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.candidate.seq
    }

    /// The state is that at the end of this epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.entry().epoch
    }

    /// Where each partition stood at the end of the epoch.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.entry().positions
    }

    /// The counts that go on over restarts.
    #[must_use]
    pub fn counters(&self) -> &serde_json::Value {
        &self.entry().counters
    }

    /// Bytes of the files that it rests in.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entry().files.iter().map(|file| file.bytes).sum()
    }

    /// The state of an operator in some key groups, in the order in which it applies: for each full sections first,
    /// unless the operator began empty. Nothing for an operator that the checkpoint does not know.
    pub fn sections(&self, operator: OperatorId, groups: &KeyGroupSet) -> impl Iterator<Item = StoredSection> + '_ {
        self.chains.of(operator, groups).into_iter().map(|((name, at), groups)| {
            let file = &self.files[&name];
            let info = &file.sections[at];
            let bytes = info.read(&file.bytes).expect("the file's checksum was compared when it was read");
            StoredSection { groups, kind: info.kind, bytes }
        })
    }

    pub(crate) fn entry(&self) -> &CheckpointEntry {
        self.candidate.checkpoint()
    }

    /// The chains as a run sees them that has these operators.
    pub(crate) fn chains(&self, operators: &[StoredOperator]) -> Chains {
        chains_of(self.entry(), &self.files, operators)
    }
}

/// The chains that a checkpoint's files make for these operators.
fn chains_of(
    checkpoint: &CheckpointEntry,
    files: &BTreeMap<StateName, ReadFile>,
    operators: &[StoredOperator],
) -> Chains {
    let mut chains = Chains::new(operators);
    for file in &checkpoint.files {
        let name = StateName::parse(&file.name).expect("the name was parsed when the file was read");
        chains.add(name, file, &files[&name].sections);
    }
    chains
}

/// Reads the files with a few threads.
fn read_files(store: &dyn Store, retry: Retry, files: &[FileRef]) -> Result<BTreeMap<StateName, ReadFile>, Damage> {
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if bytes < READERS_FROM_BYTES {
        return files.iter().map(|file| read_file(store, retry, file)).collect();
    }
    let share = files.len().div_ceil(READERS).max(1);
    let read_share = |files: &[FileRef]| files.iter().map(|file| read_file(store, retry, file)).collect();
    std::thread::scope(|scope| {
        let readers: Vec<_> = files.chunks(share).map(|files| scope.spawn(move || read_share(files))).collect();
        let mut all = BTreeMap::new();
        for reader in readers {
            let read: Result<Vec<_>, Damage> = reader.join().expect("reading does not panic");
            all.extend(read?);
        }
        Ok(all)
    })
}

fn read_file(store: &dyn Store, retry: Retry, file: &FileRef) -> Result<(StateName, ReadFile), Damage> {
    let damaged = |what: &str| Damage::File(format!("{} {what}", file.name));
    let name = StateName::parse(&file.name).ok_or_else(|| damaged("is not the name of a file of state"))?;
    let bytes = retry.run(|| store.get(&file.name)).map_err(Damage::Store)?;
    let bytes = bytes.ok_or_else(|| damaged("is missing"))?;
    if bytes.len() as u64 != file.bytes {
        return Err(damaged(&format!("has {} bytes and not {}", bytes.len(), file.bytes)));
    }
    if xxh3_64(&bytes) != file.checksum {
        return Err(damaged("has another checksum than the log says"));
    }
    if format::is_of_other_version(&bytes) {
        return Err(damaged("was written by another version; go on with that one, or start anew with --fresh"));
    }
    let sections = format::index(&bytes).ok_or_else(|| damaged("has no index"))?;
    Ok((name, ReadFile { bytes, sections }))
}
