//! A lookup's state in a checkpoint.
//!
//! A section of a key group has the rows of the dimension that are gone, then those that are there with their weights.
//! Where facts are remembered, it also has the facts that are gone, those that are there, and what each of these has
//! met, which names rows of the dimension by their place in the section: a section of changes therefore has, beside the
//! rows that have changed, those that its facts have met.

use super::Lookup;
use super::memory::{Met, NONE};
use crate::operators::keyed_rows::Loaded;
use crate::operators::snapshot::{
    Run, Save, misfit, next_rows, runs, state_batch, weights_array, weights_column, words_array, words_column,
};
use arrow::array::RecordBatch;
use hashbrown::HashMap;
use proxima_engine::{SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{KeyGroup, KeyGroupSet};
use std::ops::Range;

// The columns of what facts have met, a line for each row of the dimension.
const FACT: usize = 0;
const PLACE: usize = 1;
const COUNT: usize = 2;
const ROW: usize = 3;
const ROW_WEIGHT: usize = 4;
/// In place of a row's number: went out with NULLs; did not go out.
const WITH_NULLS: u64 = u32::MAX as u64;
const NOT_OUT: u64 = WITH_NULLS - 1;

type Ranges = Vec<(KeyGroup, Range<usize>)>;

impl Lookup {
    pub(super) fn write_state(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let rows = self.dimension.table.begin_save(rewrite);
        let facts = self.memory.as_mut().map(|memory| memory.table.begin_save(rewrite)).unwrap_or_default();
        [&rows, &facts].iter().for_each(|save| save.tell_replaced(out));
        for run in runs(&[&rows, &facts]) {
            self.write_run(&run, &rows, &facts, out);
        }
        self.dimension.table.end_save();
        self.memory.iter_mut().for_each(|memory| memory.table.end_save());
    }

    fn write_run(&self, run: &Run, rows: &Save, facts: &Save, out: &mut StateWriter) {
        let gone = rows.of(run.kind, run.span.clone()).1;
        let of_gone = run.ranges(|span| rows.of(run.kind, span).1.len());
        out.rows(run.kind, &state_batch(self.dimension.table.columns(gone)), &of_gone);
        let (there, of_there, met, of_met) = self.sections(run, rows, facts);
        let mut columns = self.dimension.table.columns(&there);
        columns.push(weights_array(there.iter().map(|&row| self.dimension.weight(row).0)));
        out.rows(run.kind, &state_batch(columns), &of_there);
        let Some(memory) = &self.memory else { return };
        let (known, gone) = facts.of(run.kind, run.span.clone());
        for (facts, ranges) in [
            (gone, run.ranges(|span| facts.of(run.kind, span).1.len())),
            (known, run.ranges(|span| facts.of(run.kind, span).0.len())),
        ] {
            out.rows(run.kind, &state_batch(memory.table.columns(facts)), &ranges);
        }
        out.rows(run.kind, &met, &of_met);
    }

    /// The rows of the dimension of each section, and what its facts have met.
    fn sections(&self, run: &Run, rows: &Save, facts: &Save) -> (Vec<u32>, Ranges, RecordBatch, Ranges) {
        let (mut there, mut of_there, mut of_met) = (Vec::new(), Vec::new(), Vec::new());
        let mut lines: [Vec<u64>; 5] = Default::default();
        for &group in &run.groups {
            let (start, first_line) = (there.len(), lines[0].len());
            there.extend_from_slice(rows.of(run.kind, group..group + 1).0);
            self.add_lines(facts.of(run.kind, group..group + 1).0, start, &mut there, &mut lines);
            of_there.push((KeyGroup(group as u16), start..there.len()));
            of_met.push((KeyGroup(group as u16), first_line..lines[0].len()));
        }
        (there, of_there, state_batch(lines.into_iter().map(words_array).collect()), of_met)
    }

    /// Adds what facts have met. The section's rows begin at `start`; those that are missing are added.
    fn add_lines(&self, facts: &[u32], start: usize, rows: &mut Vec<u32>, lines: &mut [Vec<u64>; 5]) {
        let Some(memory) = self.memory.as_ref().filter(|_| !facts.is_empty()) else { return };
        let mut place_of: HashMap<u32, u64> = rows[start..].iter().copied().zip(0..).collect();
        let mut line = |values: [u64; 5]| lines.iter_mut().zip(values).for_each(|(line, value)| line.push(value));
        for (at, &fact) in facts.iter().enumerate() {
            for (place, met) in memory.met[fact as usize].iter().enumerate() {
                for &(row, weight) in &met.rows {
                    let next = place_of.len() as u64;
                    let named = match row {
                        NONE => WITH_NULLS,
                        row => *place_of.entry(row).or_insert_with(|| {
                            rows.push(row);
                            next
                        }),
                    };
                    line([at as u64, place as u64, met.count as u64, named, weight as u64]);
                }
                if met.rows.is_empty() {
                    line([at as u64, place as u64, met.count as u64, NOT_OUT, 0]);
                }
            }
        }
    }

    /// Takes back one section. What its facts had met before goes first, so that rows which nothing has met any more
    /// can go; then come the rows, and what the facts have met.
    pub(super) fn read_state(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let [gone_rows, rows, gone_facts, facts, met] =
            [next_rows(state)?, next_rows(state)?, next_rows(state)?, next_rows(state)?, next_rows(state)?];
        let of = state.group();
        if let Some(gone) = gone_facts {
            self.unload_facts(&gone, of)?;
        }
        let facts = facts.map(|facts| self.fact_numbers(&facts, of)).transpose()?.unwrap_or_default().0;
        if let Some(gone) = gone_rows {
            self.unload_rows(&gone, of)?;
        }
        let rows = rows.map(|rows| self.restore(&rows, of)).transpose()?.unwrap_or_default();
        met.map_or(Ok(()), |met| self.load_met(&facts, &rows, &met))
    }

    /// The numbers of loaded facts, which now have met nothing, and the hashes of all their columns.
    fn fact_numbers(&mut self, facts: &RecordBatch, of: KeyGroup) -> Result<(Vec<u32>, Vec<u64>), SnapshotError> {
        let memory = self.memory.as_mut().filter(|_| facts.num_columns() == self.spec.left.fields().len());
        let memory = memory.ok_or_else(|| misfit("the facts of a lookup"))?;
        let hashes = hash_columns(facts.columns(), facts.num_rows());
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        memory.table.resolve(facts.columns(), &hashes, &mut numbers, &mut fresh);
        memory.table.loaded(&numbers, of);
        memory.met.resize(memory.table.bound().max(memory.met.len()), Vec::new());
        for &fact in &numbers {
            for &(row, _) in std::mem::take(&mut memory.met[fact as usize]).iter().flat_map(|met| &met.rows) {
                if row != NONE {
                    self.dimension.set_own(row, self.dimension.own(row) - 1);
                }
            }
        }
        Ok((numbers, hashes))
    }

    fn unload_facts(&mut self, gone: &RecordBatch, of: KeyGroup) -> Result<(), SnapshotError> {
        let (numbers, hashes) = self.fact_numbers(gone, of)?;
        for (fact, hash) in numbers.into_iter().zip(hashes) {
            self.memory.iter_mut().for_each(|memory| memory.table.unload(fact, hash as u32));
        }
        Ok(())
    }

    fn unload_rows(&mut self, gone: &RecordBatch, of: KeyGroup) -> Result<(), SnapshotError> {
        let columns = gone.columns();
        if columns.len() != self.spec.dimension.fields().len() {
            return Err(misfit("the rows of a dimension"));
        }
        let key_of = self.keys.of_loaded(columns, &self.spec.dimension_keys);
        let mut keys = Vec::new();
        self.dimension.unload(&Loaded { columns, key_of: &key_of, of }, |key| keys.push(key));
        self.retire(keys);
        Ok(())
    }

    /// Takes back rows of the dimension with their weights.
    fn restore(&mut self, batch: &RecordBatch, of: KeyGroup) -> Result<Vec<u32>, SnapshotError> {
        let width = self.spec.dimension.fields().len();
        let weights = weights_column(batch, width)?;
        let columns = &batch.columns()[..width];
        let key_of = self.keys.of_loaded(columns, &self.spec.dimension_keys);
        Ok(self.dimension.restore(&Loaded { columns, key_of: &key_of, of }, weights, None))
    }

    fn load_met(&mut self, facts: &[u32], rows: &[u32], met: &RecordBatch) -> Result<(), SnapshotError> {
        let Some(memory) = &mut self.memory else { return Err(misfit("no facts")) };
        let column = |at| words_column(met, at);
        let lines = [column(FACT)?, column(PLACE)?, column(COUNT)?, column(ROW)?, column(ROW_WEIGHT)?];
        let lines: Vec<[u64; 5]> = (0..met.num_rows()).map(|line| lines.map(|column| column[line])).collect();
        for lines in lines.chunk_by(|a, b| a[..ROW] == b[..ROW]) {
            let fact = facts.get(lines[0][FACT] as usize).ok_or_else(|| misfit("the number of a fact"))?;
            let row_of = |line: &[u64; 5]| match line[ROW] {
                WITH_NULLS => Some(NONE),
                row => rows.get(row as usize).copied(),
            };
            let there = lines.iter().filter(|line| line[ROW] != NOT_OUT);
            let met = there.map(|line| Some((row_of(line)?, line[ROW_WEIGHT] as i64))).collect::<Option<Box<[_]>>>();
            let met = met.ok_or_else(|| misfit("the number of a row"))?;
            for &(row, _) in met.iter().filter(|&&(row, _)| row != NONE) {
                self.dimension.set_own(row, self.dimension.own(row) + 1);
            }
            memory.met[*fact as usize].push(Met { count: lines[0][COUNT] as i64, rows: met });
        }
        Ok(())
    }
}
