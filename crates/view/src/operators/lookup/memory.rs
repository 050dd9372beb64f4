//! What facts have met, where they can be taken back.

use crate::operators::group_table::{GroupTable, NO_GROUP};
use crate::operators::keyed_rows::KeyedRows;
use crate::operators::snapshot::{misfit, state_batch, words_column};
use arrow::array::RecordBatch;
use proxima_engine::SnapshotError;
use proxima_event::Changes;
use proxima_event::hash::hash_columns;
use std::collections::HashMap;

/// What the facts have met that can still be taken back.
pub(super) struct Memory {
    /// The facts; the payload is the weight that the epoch adds.
    pub(super) table: GroupTable,
    /// For each fact what it has met, the last at the end.
    pub(super) met: Vec<Vec<Met>>,
    /// The facts that the epoch has changed, each with the lower half of its hash and its key number.
    pub(super) changed: Vec<(u32, u32, u32)>,
}

/// So many of a fact met these rows of the dimension, each with its weight. None: it went out with NULLs, or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Met {
    pub(super) count: i64,
    pub(super) rows: Box<[(u32, i64)]>,
}

/// The row of the dimension that stands for none.
pub(super) const NONE: u32 = NO_GROUP;

impl Memory {
    pub(super) fn note(&mut self, changes: &Changes, keys: &[u32]) {
        let columns = changes.rows.columns();
        let hashes = hash_columns(columns, changes.len());
        let (mut facts, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(columns, &hashes, &mut facts, &mut fresh);
        self.met.resize(self.table.bound().max(self.met.len()), Vec::new());
        for (row, &fact) in facts.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(fact);
            payload[0] = payload[0].wrapping_add_signed(changes.weight(row));
            if mark.get() == 0 {
                mark.set(1);
                self.changed.push((fact, hashes[row] as u32, keys[row]));
            }
        }
    }

    pub(super) fn take_delta(&mut self, fact: u32) -> i64 {
        let (mut mark, payload) = self.table.marked_mut(fact);
        mark.set(0);
        std::mem::take(&mut payload[0]) as i64
    }

    pub(super) fn forget(&mut self, changed: &[(u32, u32, u32)]) {
        for &(fact, tag, _) in changed {
            if self.met[fact as usize].is_empty() {
                self.met[fact as usize] = Vec::new();
                self.table.remove(fact, tag);
            }
        }
    }
}

// The columns of what facts have met, a line for each row of the dimension.
const FACT: usize = 0;
const PLACE: usize = 1;
const COUNT: usize = 2;
const ROW: usize = 3;
const ROW_WEIGHT: usize = 4;
/// In place of a row's number: went out with NULLs; did not go out.
const WITH_NULLS: u64 = u64::MAX;
const NOT_OUT: u64 = u64::MAX - 1;

impl Memory {
    pub(super) fn save(&self, facts: &[u32], rows: &[u32]) -> RecordBatch {
        let place_of: HashMap<u32, u64> = rows.iter().copied().zip(0..).collect();
        let mut lines: [Vec<u64>; 5] = Default::default();
        let mut line = |values: [u64; 5]| lines.iter_mut().zip(values).for_each(|(line, value)| line.push(value));
        for (at, &fact) in facts.iter().enumerate() {
            for (place, met) in self.met[fact as usize].iter().enumerate() {
                let head = [at as u64, place as u64, met.count as u64];
                for &(row, weight) in &met.rows {
                    let row = if row == NONE { WITH_NULLS } else { place_of[&row] };
                    line([head[0], head[1], head[2], row, weight as u64]);
                }
                if met.rows.is_empty() {
                    line([head[0], head[1], head[2], NOT_OUT, 0]);
                }
            }
        }
        state_batch(Vec::new(), lines.into())
    }

    pub(super) fn load(
        &mut self,
        facts: &RecordBatch,
        met: &RecordBatch,
        rows: &[u32],
        dimension: &mut KeyedRows,
    ) -> Result<(), SnapshotError> {
        let hashes = hash_columns(facts.columns(), facts.num_rows());
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(facts.columns(), &hashes, &mut numbers, &mut fresh);
        self.met.resize(self.table.bound().max(self.met.len()), Vec::new());
        let column = |at| words_column(met, at);
        let lines = [column(FACT)?, column(PLACE)?, column(COUNT)?, column(ROW)?, column(ROW_WEIGHT)?];
        let lines: Vec<[u64; 5]> = (0..met.num_rows()).map(|line| lines.map(|column| column[line])).collect();
        for lines in lines.chunk_by(|a, b| a[..ROW] == b[..ROW]) {
            let fact = numbers.get(lines[0][FACT] as usize).ok_or_else(|| misfit("the number of a fact"))?;
            let row_of = |line: &[u64; 5]| match line[ROW] {
                WITH_NULLS => Some(NONE),
                row => rows.get(row as usize).copied(),
            };
            let there = lines.iter().filter(|line| line[ROW] != NOT_OUT);
            let met = there.map(|line| Some((row_of(line)?, line[ROW_WEIGHT] as i64))).collect::<Option<Box<[_]>>>();
            let met = met.ok_or_else(|| misfit("the number of a row"))?;
            for &(row, _) in met.iter().filter(|&&(row, _)| row != NONE) {
                dimension.set_own(row, dimension.own(row) + 1);
            }
            self.met[*fact as usize].push(Met { count: lines[0][COUNT] as i64, rows: met });
        }
        Ok(())
    }
}
