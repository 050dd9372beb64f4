//! What the head of an object says.

use super::{Cell, Family};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The column that makes an object.
pub(super) const HEAD: &str = "m";
/// What a mark holds.
pub(super) const MARKED: &[u8] = b"1";
/// The time that marks carry: so one that arrives again, after it was taken away, is older than its deletion.
pub(super) const MARK_STAMP: i64 = 1;
const MARK: &str = "w:";

/// The column that announces the rows of a write.
pub(super) fn mark(write: &str) -> String {
    format!("{MARK}{write}")
}

/// The writes that are announced in a head row.
pub(super) fn marks(cells: &[Cell]) -> impl Iterator<Item = &str> {
    let head = cells.iter().filter(|cell| cell.family == Family::Head);
    head.filter_map(|cell| cell.name.strip_prefix(MARK))
}

/// What an object is, as people may read it in HBase's shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) bytes: u64,
    checksum: String,
    /// Into how many cells it is cut.
    pub(super) cells: usize,
    /// The write whose rows hold it; none where the head row does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) write: Option<String>,
}

impl Head {
    pub(super) fn of(bytes: &[u8], cells: usize, write: Option<String>) -> Self {
        Self { bytes: bytes.len() as u64, checksum: checksum(bytes), cells, write }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts can be written as JSON")
    }

    /// The head among the cells of a row, if it has one.
    pub(super) fn find(cells: &[Cell]) -> Option<Self> {
        serde_json::from_slice(raw(cells)?).ok()
    }

    /// Whether these are the bytes that it speaks of.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.bytes && checksum(bytes) == self.checksum
    }
}

/// The head's cell as it stands.
pub(super) fn raw(cells: &[Cell]) -> Option<&[u8]> {
    let head = cells.iter().find(|cell| cell.family == Family::Head && cell.name == HEAD)?;
    Some(&head.value)
}

/// The value of an object that lies in its head row. There may be more cells than it has, of a longer one before it.
pub(super) fn join(cells: &[Cell], count: usize) -> Vec<u8> {
    let value = |at| cells.iter().find(|cell| cell.family == Family::Value && cell.name == super::keys::cell(at));
    (0..count).filter_map(value).flat_map(|cell| cell.value.iter().copied()).collect()
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}
