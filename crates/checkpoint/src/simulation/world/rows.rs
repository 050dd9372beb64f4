//! The store as a table of rows, with the faults that such a table has.

use super::{State, World};
use crate::store::rows::{Change, Family, Mutation, NewRow, Row, Rows, RowsError, Seen, Table};
use rand::RngExt;
use std::ops::Range;
use std::sync::Arc;

impl State {
    pub(super) fn land_rows(&mut self, delayed: Mutation) {
        self.summary.landed_late += 1;
        self.table.apply(delayed);
    }

    /// Changes rows, with all that may come of it.
    fn faulty_change(&mut self, mutation: Mutation) -> Result<bool, RowsError> {
        if !self.rng.random_bool(self.faults) {
            return Ok(self.table.apply(mutation));
        }
        let unconditional = matches!(mutation, Mutation::Put(_));
        match self.rng.random_range(0..5) {
            // Lost: nothing happens.
            0 => {}
            // The answer is lost.
            1 => {
                self.table.apply(mutation);
                return Err(failed_row());
            }
            // It is done when nobody waits for it any more.
            2 => {
                self.delayed_rows.push(mutation);
                return Err(failed_row());
            }
            // Some rows are done, others are not.
            3 => {
                let some = self.some_of(mutation);
                some.map(|some| self.table.apply(some));
            }
            // Doubled: all is well, and once more later.
            _ => {
                self.delayed_rows.push(mutation.clone());
                return Ok(self.table.apply(mutation));
            }
        }
        // A table that answers whether a condition held has looked; else the worst says that all is well.
        if unconditional && self.rng.random_bool(0.3) { Ok(true) } else { Err(failed_row()) }
    }

    fn some_of(&mut self, mutation: Mutation) -> Option<Mutation> {
        match mutation {
            Mutation::Put(mut rows) => {
                rows.truncate(self.rng.random_range(0..=rows.len()));
                Some(Mutation::Put(rows))
            }
            Mutation::Delete(mut keys, up_to) => {
                keys.truncate(self.rng.random_range(0..=keys.len()));
                Some(Mutation::Delete(keys, up_to))
            }
            Mutation::ChangeIf { .. } => None,
        }
    }
}

fn failed_row() -> RowsError {
    RowsError { reason: "simulated".to_owned(), lasting: false }
}

/// The table as one process sees it.
pub(super) struct ProcessRows {
    pub(super) world: Arc<World>,
    pub(super) id: usize,
}

impl ProcessRows {
    fn call_rows<T>(&self, call: impl FnOnce(&mut State) -> Result<T, RowsError>) -> Result<T, RowsError> {
        if self.world.wait_for_turn(self.id) {
            call(&mut self.world.state.lock())
        } else {
            Err(RowsError { reason: "crashed".to_owned(), lasting: true })
        }
    }

    fn look<T>(&self, look: impl FnOnce(&Table) -> T) -> Result<T, RowsError> {
        self.call_rows(|state| {
            let fails = state.rng.random_bool(state.faults);
            if fails { Err(failed_row()) } else { Ok(look(&state.table)) }
        })
    }
}

impl Rows for ProcessRows {
    fn get(&self, keys: &[Vec<u8>], family: Option<Family>) -> Result<Vec<Row>, RowsError> {
        self.look(|table| keys.iter().map(|key| table.get(key, family)).collect())
    }

    fn put(&self, rows: &[NewRow]) -> Result<(), RowsError> {
        self.call_rows(|state| state.faulty_change(Mutation::Put(rows.to_vec())).map(|_| ()))
    }

    fn change_if(&self, key: &[u8], column: &str, expected: Option<&[u8]>, change: Change) -> Result<bool, RowsError> {
        let (key, column, expected) = (key.to_vec(), column.to_owned(), expected.map(<[u8]>::to_vec));
        self.call_rows(|state| state.faulty_change(Mutation::ChangeIf { key, column, expected, change }))
    }

    fn delete(&self, keys: &[Vec<u8>], up_to: Option<i64>) -> Result<(), RowsError> {
        self.call_rows(|state| state.faulty_change(Mutation::Delete(keys.to_vec(), up_to)).map(|_| ()))
    }

    fn scan(&self, range: Range<&[u8]>, seen: Seen, limit: usize) -> Result<Vec<Row>, RowsError> {
        self.look(|table| table.scan(range, seen, limit))
    }
}
