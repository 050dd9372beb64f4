//! Deleting objects, and what dead writers left.
//!
//! The order is always the same: the mark, if the head is still what was seen; then the rows that it announced.

use super::head::{HEAD, Head, mark, marks, raw};
use super::{Cell, Change, Family, Row, RowStore, RowsError, SCAN_ROWS, Seen, passing, stamp};
use std::collections::{BTreeMap, BTreeSet};

/// How often a head is looked at again because it changed before it could be deleted.
const DELETE_ATTEMPTS: usize = 8;

/// The keys of rows, by the name and the write that they belong to.
type Written = BTreeMap<(String, String), Vec<Vec<u8>>>;

impl RowStore {
    /// Deletes an object with all rows that were ever announced for it.
    pub(super) fn remove(&self, name: &str) -> Result<(), RowsError> {
        for _ in 0..DELETE_ATTEMPTS {
            let row = self.row(name, None)?;
            let Some(newest) = newest(&row.cells) else { return Ok(()) };
            let key = self.keys.head(name);
            let columns = row.cells.iter().map(|cell| (cell.family, cell.name.clone())).collect();
            if self.rows.change_if(&key, HEAD, raw(&row.cells), Change::Delete(columns, newest))? {
                return marks(&row.cells).try_for_each(|write| self.remove_rows(name, write));
            }
        }
        Err(passing("it is replaced again and again".to_owned()))
    }

    /// Removes marks that no head goes by, their rows, and rows without a mark. Any other process may still be writing:
    /// it finds its mark gone and writes again.
    pub(super) fn sweep(&self) -> Result<(), RowsError> {
        let written = self.written()?;
        let mut marked = BTreeSet::new();
        for row in self.scan_all(self.keys.heads(""), Seen::Head)? {
            let Some(name) = self.keys.name(&row.key) else { continue };
            let current = Head::find(&row.cells).and_then(|head| head.write);
            for write in marks(&row.cells) {
                marked.insert((name.to_owned(), write.to_owned()));
                if current.as_deref() != Some(write) {
                    self.give_up(&row, name, write)?;
                }
            }
        }
        // A mark stands before the first of its rows. Rows that were seen before the marks were are garbage without one.
        let unmarked = written.into_iter().filter(|(of, _)| !marked.contains(of));
        unmarked.into_iter().try_for_each(|((name, _), keys)| self.delete_all(&name, &keys))
    }

    /// Takes a mark away, unless a head was written meanwhile, and then its rows.
    fn give_up(&self, row: &Row, name: &str, write: &str) -> Result<(), RowsError> {
        let Some(newest) = newest(&row.cells) else { return Ok(()) };
        let change = Change::Delete(vec![(Family::Head, mark(write))], newest);
        match self.rows.change_if(&row.key, HEAD, raw(&row.cells), change)? {
            true => self.remove_rows(name, write),
            false => Ok(()),
        }
    }

    fn remove_rows(&self, name: &str, write: &str) -> Result<(), RowsError> {
        let rows = self.scan_all(self.keys.parts(name, write), Seen::Keys)?;
        let keys: Vec<_> = rows.into_iter().map(|row| row.key).collect();
        self.delete_all(name, &keys)
    }

    fn delete_all(&self, name: &str, keys: &[Vec<u8>]) -> Result<(), RowsError> {
        keys.chunks(SCAN_ROWS).try_for_each(|keys| self.rows.delete(keys, stamp(name)))
    }

    /// All rows of objects, by name and write.
    fn written(&self) -> Result<Written, RowsError> {
        let mut written = Written::new();
        for range in self.keys.all_parts() {
            for row in self.scan_all(range, Seen::Keys)? {
                if let Some((name, write)) = self.keys.written(&row.key) {
                    written.entry((name.to_owned(), write.to_owned())).or_default().push(row.key);
                }
            }
        }
        Ok(written)
    }
}

/// The time of the newest cell; `None` when the row is not there.
fn newest(cells: &[Cell]) -> Option<i64> {
    cells.iter().map(|cell| cell.stamp).max()
}
