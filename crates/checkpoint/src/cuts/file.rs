//! Files of cuts: a header and groups of cuts, each a record with its length and checksum.
//!
//! ```text
//! length u32 | XXH3 checksum u64 | JSON   (again and again)
//! ```
//!
//! A record that is torn, and all behind it, were never acknowledged.

use super::Cut;
use crate::names::{self, CutsName};
use crate::store::{Retry, Store, StoreError};
use proxima_event::{Epoch, Generation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// What stands at the beginning of every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CutsHeader {
    /// The first epoch that the run cuts by itself: up to it the run follows the cuts of those before it. What they may
    /// have written from there on, the run did not see.
    pub(crate) own_from: Epoch,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Header(CutsHeader),
    Cuts(Group),
}

/// Cuts that were made durable together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The epoch behind that of the cut before. Between it and the first cut here, and from each to the next, epochs held
    /// nothing.
    pub(crate) since: Epoch,
    pub(crate) cuts: Vec<Cut>,
}

/// What a file of cuts holds, up to where it is torn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutsFile {
    pub(crate) header: CutsHeader,
    pub(crate) groups: Vec<Group>,
}

impl CutsFile {
    /// Each cut, and the first of the epochs that ended with it: but for the last they held nothing.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = (Epoch, &Cut)> {
        self.groups.iter().flat_map(|group| {
            let behind = group.cuts.iter().map(|cut| cut.epoch.next());
            std::iter::once(group.since).chain(behind).zip(&group.cuts)
        })
    }
}

pub(crate) fn encode_header(header: CutsHeader) -> Vec<u8> {
    encode(&Record::Header(header))
}

pub(crate) fn encode_cuts(since: Epoch, cuts: &[Cut]) -> Vec<u8> {
    encode(&Record::Cuts(Group { since, cuts: cuts.to_vec() }))
}

fn encode(record: &Record) -> Vec<u8> {
    let json = serde_json::to_vec(record).expect("a record has string keys and no other failure");
    let mut bytes = (json.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&xxh3_64(&json).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let (json, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let whole = xxh3_64(json) == u64::from_le_bytes(*checksum);
    whole.then(|| serde_json::from_slice(json).ok())?.map(|record| (record, rest))
}

/// What a file holds; `None` when not even its header is whole.
pub(crate) fn decode_file(bytes: &[u8]) -> Option<CutsFile> {
    let (Record::Header(header), mut rest) = decode(bytes)? else { return None };
    let mut groups = Vec::new();
    while let Some((Record::Cuts(group), behind)) = decode(rest) {
        groups.push(group);
        rest = behind;
    }
    Some(CutsFile { header, groups })
}

/// All files of cuts of the runs before one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadCuts {
    /// The files of each run, in the order in which they were written.
    pub(crate) files: BTreeMap<CutsName, CutsFile>,
}

impl ReadCuts {
    /// The last epoch of each file, as far as there is one.
    pub(crate) fn last_epochs(&self) -> BTreeMap<CutsName, Option<Epoch>> {
        self.files.iter().map(|(&name, file)| (name, file.cuts().map(|(_, cut)| cut.epoch).max())).collect()
    }
}

/// Reads the cuts of all runs before `generation`.
pub(crate) fn read_cuts(store: &dyn Store, retry: Retry, generation: Generation) -> Result<ReadCuts, StoreError> {
    let listed = retry.run(|| store.list(names::CUTS))?;
    let mut files = BTreeMap::new();
    for name in listed.iter().filter_map(|listed| CutsName::parse(&listed.name)) {
        if name.generation >= generation {
            continue;
        }
        let bytes = retry.run(|| store.get(&name.print()))?;
        files.extend(bytes.and_then(|bytes| decode_file(&bytes)).map(|file| (name, file)));
    }
    Ok(ReadCuts { files })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_is_left_out() {
        let cut = |epoch| Cut { epoch: Epoch(epoch), positions: Vec::new() };
        let header = encode_header(CutsHeader { own_from: Epoch(5) });
        let first = encode_cuts(Epoch(2), &[cut(3), cut(6)]);
        let second = encode_cuts(Epoch(7), &[cut(7)]);
        let file = [&header[..], &first, &second].concat();
        for len in 0..=file.len() {
            let read = decode_file(&file[..len]);
            let groups = usize::from(len >= header.len() + first.len()) + usize::from(len == file.len());
            let expected = [vec![], vec![(2, 3), (4, 6)], vec![(2, 3), (4, 6), (7, 7)]][groups].clone();
            let expected = (len >= header.len()).then_some(expected);
            let read = read.map(|read| read.cuts().map(|(since, cut)| (since.0, cut.epoch.0)).collect::<Vec<_>>());
            assert_eq!(read, expected, "{len} bytes");
        }
    }
}
