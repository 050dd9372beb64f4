//! A table of rows in memory, with what HBase does about times: what was deleted up to a time stays unseen when it comes
//! again with an earlier one.

use super::{Cell, Change, Family, NewCell, NewRow, Row, Rows, RowsError, Seen};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;

type Columns = BTreeMap<(Family, String), (i64, Vec<u8>)>;

/// What changes a table.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Put(Vec<NewRow>),
    ChangeIf { key: Vec<u8>, column: String, expected: Option<Vec<u8>>, change: Change },
    Delete(Vec<Vec<u8>>, Option<i64>),
}

/// The rows, without a lock.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<Vec<u8>, Columns>,
    deleted: BTreeMap<(Vec<u8>, Family, String), i64>,
    /// The table's own time.
    now: i64,
}

impl Table {
    /// Does it; tells whether the condition held, where there is one.
    pub(crate) fn apply(&mut self, mutation: Mutation) -> bool {
        // The product's times of day are later than those of marks too.
        self.now = self.now.max(1 << 20) + 1;
        match mutation {
            Mutation::Put(rows) => {
                for NewRow { key, stamp, cells } in rows {
                    self.write(&key, stamp, cells);
                }
            }
            Mutation::ChangeIf { key, column, expected, change } => {
                let there = self.rows.get(&key).and_then(|row| row.get(&(Family::Head, column)));
                if there.map(|(_, value)| value) != expected.as_ref() {
                    return false;
                }
                match change {
                    Change::Put(cells) => self.write(&key, None, cells),
                    Change::Delete(columns, up_to) => self.remove(&key, columns, up_to),
                }
            }
            Mutation::Delete(keys, up_to) => {
                for key in keys {
                    let columns = self.rows.get(&key).into_iter().flat_map(|row| row.keys().cloned()).collect();
                    self.remove(&key, columns, up_to.unwrap_or(self.now));
                }
            }
        }
        true
    }

    fn write(&mut self, key: &[u8], stamp: Option<i64>, cells: Vec<NewCell>) {
        let stamp = stamp.unwrap_or(self.now);
        for (family, name, value) in cells {
            let deleted = self.deleted.get(&(key.to_vec(), family, name.clone()));
            if deleted.is_none_or(|&up_to| up_to < stamp) {
                self.rows.entry(key.to_vec()).or_default().insert((family, name), (stamp, value));
            }
        }
    }

    fn remove(&mut self, key: &[u8], columns: Vec<(Family, String)>, up_to: i64) {
        let Some(row) = self.rows.get_mut(key) else { return };
        for (family, name) in columns {
            let column = (family, name);
            if row.get(&column).is_some_and(|&(stamp, _)| stamp <= up_to) {
                row.remove(&column);
            }
            self.deleted.insert((key.to_vec(), column.0, column.1), up_to);
        }
        if row.is_empty() {
            self.rows.remove(key);
        }
    }

    pub(crate) fn get(&self, key: &[u8], family: Option<Family>) -> Row {
        let cells = self.rows.get(key).into_iter().flatten().filter(|((of, _), _)| family.is_none_or(|f| f == *of));
        let cell = |((family, name), (stamp, value)): (&(Family, String), &(i64, Vec<u8>))| Cell {
            family: *family,
            name: name.clone(),
            value: value.clone(),
            stamp: *stamp,
        };
        Row { key: key.to_vec(), cells: cells.map(cell).collect() }
    }

    pub(crate) fn scan(&self, range: Range<&[u8]>, seen: Seen, limit: usize) -> Vec<Row> {
        let family = if seen == Seen::Head { Some(Family::Head) } else { None };
        let rows = self.rows.range(range.start.to_vec()..range.end.to_vec()).map(|(key, _)| self.get(key, family));
        rows.filter(|row| !row.cells.is_empty()).take(limit).collect()
    }

    /// The keys of all rows.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.rows.keys().cloned().collect()
    }
}

/// A table that never fails.
#[derive(Default)]
pub(crate) struct MemoryRows(pub(crate) Mutex<Table>);

impl Rows for MemoryRows {
    fn get(&self, keys: &[Vec<u8>], family: Option<Family>) -> Result<Vec<Row>, RowsError> {
        let table = self.0.lock();
        Ok(keys.iter().map(|key| table.get(key, family)).collect())
    }

    fn put(&self, rows: &[NewRow]) -> Result<(), RowsError> {
        self.0.lock().apply(Mutation::Put(rows.to_vec()));
        Ok(())
    }

    fn change_if(&self, key: &[u8], column: &str, expected: Option<&[u8]>, change: Change) -> Result<bool, RowsError> {
        let (key, column, expected) = (key.to_vec(), column.to_owned(), expected.map(<[u8]>::to_vec));
        Ok(self.0.lock().apply(Mutation::ChangeIf { key, column, expected, change }))
    }

    fn delete(&self, keys: &[Vec<u8>], up_to: Option<i64>) -> Result<(), RowsError> {
        self.0.lock().apply(Mutation::Delete(keys.to_vec(), up_to));
        Ok(())
    }

    fn scan(&self, range: Range<&[u8]>, seen: Seen, limit: usize) -> Result<Vec<Row>, RowsError> {
        Ok(self.0.lock().scan(range, seen, limit))
    }
}
