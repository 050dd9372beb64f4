//! A table of rows as a store, as HBase has them: each row is changed atomically, several are not.
//!
//! An object has a *head* row, with a cell `m` that says what it holds; without that cell there is no object. What is
//! small lies in the head row as well. State, and what is large, is cut into rows of its own, which only the head makes
//! visible:
//!
//! 1. a mark `w:{write}` in the head row announces them, under a number that nobody else uses;
//! 2. they are written, and seen to be there;
//! 3. the head is written, if the mark is still there.
//!
//! Whoever sweeps takes the mark away first, if the head is still as it was when it was read, and the rows after that.
//! So a writer that was paused, or a write that arrives late, never makes a head whose rows are gone; and rows without a
//! mark are garbage for ever.

mod head;
mod keys;
#[cfg(test)]
mod memory;
mod sweep;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use memory::{Mutation, Table};

pub use keys::region_splits;

use super::{Listed, Put, Store, StoreError};
use crate::names::StateName;
use crate::nonce::nonce;
use head::{HEAD, Head, MARK_STAMP, MARKED, mark};
use keys::Keys;
use proxima_event::Version;
use std::ops::Range;
use std::sync::Arc;
use tracing::warn;

/// What columns are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// What the object is: read by lists too.
    Head,
    /// What it holds.
    Value,
}

/// A cell that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The column's family.
    pub family: Family,
    /// The column's name within it.
    pub name: String,
    /// What it holds.
    pub value: Vec<u8>,
    /// The time it carries.
    pub stamp: i64,
}

/// A row that was read. One without cells is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Vec<u8>,
    /// Its cells.
    pub cells: Vec<Cell>,
}

/// A cell to write.
pub type NewCell = (Family, String, Vec<u8>);

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// Its key.
    pub key: Vec<u8>,
    /// The time that its cells carry; `None`: when the table takes them.
    pub stamp: Option<i64>,
    /// Its cells.
    pub cells: Vec<NewCell>,
}

/// What is done to a row if it is as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes cells.
    Put(Vec<NewCell>),
    /// Deletes columns, up to a time. Cells of them that come later with an earlier time are not seen either.
    Delete(Vec<(Family, String)>, i64),
}

/// What a scan gives of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The cells of the head.
    Head,
    /// Cells without values.
    Keys,
}

/// Why a table did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsError {
    /// The cause, in words, and what can be done about it where that is known.
    pub reason: String,
    /// Whether trying again is of no use.
    pub lasting: bool,
}

/// A table of rows that are sorted by key. A call that fails may have had its effect, or have it later.
pub trait Rows: Send + Sync {
    /// Reads rows whole, or one family of them, in the order of the keys given.
    ///
    /// # Errors
    /// When the outside failed.
    fn get(&self, keys: &[Vec<u8>], family: Option<Family>) -> Result<Vec<Row>, RowsError>;

    /// Writes rows. Each appears at once, not all of them. Durable on return.
    ///
    /// # Errors
    /// When the outside failed; some may be there.
    fn put(&self, rows: &[NewRow]) -> Result<(), RowsError>;

    /// Changes a row if this column of its head holds `expected`, or is not there for `None`; tells whether it did.
    ///
    /// # Errors
    /// When the outside failed; it may be done all the same.
    fn change_if(&self, key: &[u8], column: &str, expected: Option<&[u8]>, change: Change) -> Result<bool, RowsError>;

    /// Deletes rows, up to a time.
    ///
    /// # Errors
    /// When the outside failed; some may be gone.
    fn delete(&self, keys: &[Vec<u8>], up_to: Option<i64>) -> Result<(), RowsError>;

    /// The rows of a range of keys that have something to be seen, `limit` at the most: fewer only at the end.
    ///
    /// # Errors
    /// When the outside failed.
    fn scan(&self, range: Range<&[u8]>, seen: Seen, limit: usize) -> Result<Vec<Row>, RowsError>;
}

/// How objects become rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a cell at the most.
    pub cell_bytes: usize,
    /// Bytes of one call, and of an object that lies in its head row, at the most.
    pub call_bytes: usize,
}

impl Default for Layout {
    /// Cells of 1 MiB, which HBase takes well, and 8 MiB a call, below the limits of its clients and of Thrift's frames.
    fn default() -> Self {
        Self { cell_bytes: 1 << 20, call_bytes: 8 << 20 }
    }
}

/// Rows of a scan: lists are short, heads some hundred bytes.
const SCAN_ROWS: usize = 1000;
/// How often an object is read again because it was replaced or deleted meanwhile.
const READ_ATTEMPTS: usize = 4;

/// Objects in a table of rows, below a prefix.
pub struct RowStore {
    rows: Arc<dyn Rows>,
    keys: Keys,
    layout: Layout,
    /// What the store is called in messages.
    place: String,
}

impl RowStore {
    /// Objects below `prefix`; `place` names the store in messages. Sweeps what dead writers left.
    ///
    /// # Errors
    /// When the outside failed.
    pub fn open(rows: Arc<dyn Rows>, prefix: &str, place: &str, layout: Layout) -> Result<Self, StoreError> {
        let store = Self { rows, keys: Keys::new(prefix), layout, place: place.trim_end_matches('/').to_owned() };
        store.sweep().map_err(|error| store.failed("sweep", "", error))?;
        Ok(store)
    }

    fn failed(&self, tried: &'static str, name: &str, RowsError { reason, lasting }: RowsError) -> StoreError {
        StoreError { tried, place: format!("{}/{name}", self.place), reason, lasting }
    }

    fn row(&self, name: &str, family: Option<Family>) -> Result<Row, RowsError> {
        let mut rows = self.rows.get(&[self.keys.head(name)], family)?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// All rows of a range, in calls that the answers of which are small.
    fn scan_all(&self, range: Range<Vec<u8>>, seen: Seen) -> Result<Vec<Row>, RowsError> {
        let (mut from, mut all) = (range.start, Vec::new());
        loop {
            let rows = self.rows.scan(&from..&range.end, seen, SCAN_ROWS)?;
            let Some(last) = rows.last().filter(|_| rows.len() >= SCAN_ROWS) else {
                all.extend(rows);
                return Ok(all);
            };
            // The first key behind the last.
            from = [&last.key[..], &[0]].concat();
            all.extend(rows);
        }
    }

    /// The cells of an object that lies in its head row.
    fn whole(&self, bytes: &[u8]) -> Vec<NewCell> {
        let cells = bytes.chunks(self.layout.cell_bytes).enumerate();
        let values = cells.map(|(at, cell)| (Family::Value, keys::cell(at), cell.to_vec()));
        let head = Head::of(bytes, bytes.len().div_ceil(self.layout.cell_bytes), None);
        std::iter::once((Family::Head, HEAD.to_owned(), head.encode())).chain(values).collect()
    }

    /// Writes the rows of an object, and tells by what number.
    fn write_rows(&self, name: &str, bytes: &[u8], stamp: Option<i64>) -> Result<String, RowsError> {
        let write = nonce();
        let marked = (Family::Head, mark(&write), MARKED.to_vec());
        self.rows.put(&[NewRow { key: self.keys.head(name), stamp: Some(MARK_STAMP), cells: vec![marked] }])?;
        let rows = bytes.chunks(self.layout.cell_bytes).enumerate().map(|(at, cell)| NewRow {
            key: self.keys.part(name, &write, at),
            stamp,
            cells: vec![(Family::Value, keys::cell(0), cell.to_vec())],
        });
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let call: Vec<_> = rows.by_ref().take(self.rows_of_call()).collect();
            self.rows.put(&call)?;
        }
        let seen = self.scan_all(self.keys.parts(name, &write), Seen::Keys)?.len();
        let count = bytes.len().div_ceil(self.layout.cell_bytes);
        if seen == count {
            return Ok(write);
        }
        Err(passing(format!("the table acknowledged {count} rows, and has {seen} of them")))
    }

    fn rows_of_call(&self) -> usize {
        (self.layout.call_bytes / self.layout.cell_bytes).max(1)
    }

    fn put_rows(&self, name: &str, bytes: &[u8], stamp: Option<i64>) -> Result<(), RowsError> {
        let write = self.write_rows(name, bytes, stamp)?;
        let head = Head::of(bytes, bytes.len().div_ceil(self.layout.cell_bytes), Some(write.clone()));
        let cells = vec![(Family::Head, HEAD.to_owned(), head.encode())];
        let key = self.keys.head(name);
        match self.rows.change_if(&key, &mark(&write), Some(MARKED), Change::Put(cells))? {
            true => Ok(()),
            false => Err(passing("it was swept while it was written".to_owned())),
        }
    }

    /// Reads an object; again when it was replaced or deleted meanwhile. `None` also where rows of it are lost.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RowsError> {
        let mut before = None;
        for _ in 0..READ_ATTEMPTS {
            let row = self.row(name, None)?;
            let Some(head) = Head::find(&row.cells) else { return Ok(None) };
            let bytes = match &head.write {
                None => head::join(&row.cells, head.cells),
                Some(write) => self.read_rows(name, write, head.cells)?,
            };
            if head.fits(&bytes) {
                return Ok(Some(bytes));
            }
            if before.as_ref() == Some(&head) {
                warn!(place = self.place, name, "rows of an object are lost: it counts as missing");
                return Ok(None);
            }
            before = Some(head);
        }
        Err(passing("it is replaced again and again".to_owned()))
    }

    fn read_rows(&self, name: &str, write: &str, cells: usize) -> Result<Vec<u8>, RowsError> {
        let mut bytes = Vec::new();
        let keys: Vec<_> = (0..cells).map(|at| self.keys.part(name, write, at)).collect();
        for call in keys.chunks(self.rows_of_call()) {
            for row in self.rows.get(call, Some(Family::Value))? {
                bytes.extend(row.cells.into_iter().flat_map(|cell| cell.value));
            }
        }
        Ok(bytes)
    }

    fn put_if_free(&self, name: &str, bytes: &[u8]) -> Result<Put, RowsError> {
        if bytes.len() > self.layout.call_bytes {
            let reason = format!("{} bytes do not fit the {} of a row", bytes.len(), self.layout.call_bytes);
            return Err(RowsError { reason, lasting: true });
        }
        if self.rows.change_if(&self.keys.head(name), HEAD, None, Change::Put(self.whole(bytes)))? {
            return Ok(Put::Done);
        }
        // An earlier call, whose answer was lost, may have been repeated on the way.
        let own = self.read(name)?.is_some_and(|there| there == bytes);
        Ok(if own { Put::Done } else { Put::Exists })
    }
}

impl Store for RowStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let stamp = stamp(name);
        let written = if stamp.is_some() || bytes.len() > self.layout.call_bytes {
            self.put_rows(name, bytes, stamp)
        } else {
            self.rows.put(&[NewRow { key: self.keys.head(name), stamp: None, cells: self.whole(bytes) }])
        };
        written.map_err(|error| self.failed("write", name, error))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        self.put_if_free(name, bytes).map_err(|error| self.failed("write", name, error))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(name).map_err(|error| self.failed("read", name, error))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let row = self.row(name, Some(Family::Head)).map_err(|error| self.failed("look at", name, error))?;
        Ok(Head::find(&row.cells).map(|head| head.bytes))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let scanned = self.scan_all(self.keys.heads(prefix), Seen::Head);
        let rows = scanned.map_err(|error| self.failed("list", prefix, error))?;
        let listed = |row: &Row| {
            let head = Head::find(&row.cells)?;
            Some(Listed { name: self.keys.name(&row.key)?.to_owned(), bytes: head.bytes })
        };
        Ok(rows.iter().filter_map(listed).collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.remove(name).map_err(|error| self.failed("delete", name, error))
    }
}

/// The version of an object, which its rows carry as their time: that of the checkpoint that state was written for.
fn stamp(name: &str) -> Option<i64> {
    let StateName { generation, epoch, .. } = StateName::parse(name)?;
    i64::try_from(Version::new(generation, epoch).0).ok()
}

fn passing(reason: String) -> RowsError {
    RowsError { reason, lasting: false }
}
