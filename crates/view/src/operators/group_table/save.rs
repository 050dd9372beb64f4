//! Groups of a table as batches of state, straight from their records.
//!
//! The groups of a key group lie all over the table. So each record is read once, ahead of its use, and its words are put
//! into columns that stay in the processor's caches until they are encoded.

use super::GroupTable;
use super::layout::{Encoding, null_bit};
use arrow::datatypes::DataType;
use proxima_engine::{BatchWriter, ColumnType, SectionKind, StateWriter, Strings, Values};
use proxima_event::KeyGroup;

/// How many groups ahead a record is fetched, and its long strings.
const AHEAD: usize = 16;
const STRING_AHEAD: usize = 6;

impl GroupTable {
    /// Some groups, each with its record fetched ahead.
    pub(crate) fn ahead(&self, groups: &[u32]) -> impl Iterator<Item = u32> {
        groups.iter().enumerate().map(|(at, &group)| {
            if let Some(&ahead) = groups.get(at + AHEAD) {
                self.records.prefetch_all(ahead);
            }
            group
        })
    }
}

/// Writes batches of one form: some key columns of a table, then some words of the payload.
pub(crate) struct BatchForm {
    keys: Vec<usize>,
    words: Vec<(usize, ColumnType)>,
    /// The words of the records that are written, column by column.
    gathered: Vec<u64>,
    nulls: Vec<bool>,
}

impl BatchForm {
    /// Batches of these key columns.
    pub(crate) fn of_keys(keys: impl IntoIterator<Item = usize>) -> Self {
        Self { keys: keys.into_iter().collect(), words: Vec::new(), gathered: Vec::new(), nulls: Vec::new() }
    }

    /// The same with words of the payload behind them, as numbers of this type.
    pub(crate) fn with_words(mut self, words: impl IntoIterator<Item = usize>, data_type: &DataType) -> Self {
        let of = ColumnType::new(data_type).expect("numbers are written value by value");
        self.words.extend(words.into_iter().map(|word| (word, of.clone())));
        self
    }

    /// Adds a batch to each of some key groups: so many of `groups`, which are those of all of them, one behind the other.
    pub(crate) fn write(
        &mut self,
        table: &GroupTable,
        (kind, counts): (SectionKind, &[(KeyGroup, usize)]),
        groups: &[u32],
        out: &mut StateWriter,
    ) {
        let (columns, rows) = (self.keys.len() + self.words.len(), groups.len());
        let none: Vec<_>;
        let counts = match columns {
            // Without columns there are no rows.
            0 => {
                none = counts.iter().map(|&(group, _)| (group, 0)).collect();
                &none
            }
            _ => counts,
        };
        out.batch((kind, counts), columns, |batch| {
            self.gather(table, groups);
            for at in 0..self.keys.len() {
                self.write_key(table, (self.keys[at], groups), batch);
            }
            for (word, of) in &self.words {
                let word = table.payload.start + word;
                batch.column(of, None, Values::Words(&self.gathered[word * rows..][..rows]));
            }
        });
    }

    fn gather(&mut self, table: &GroupTable, groups: &[u32]) {
        let (width, rows) = (table.payload.end, groups.len());
        self.gathered.resize(width * rows, 0);
        for (row, &group) in groups.iter().enumerate() {
            if let Some(&ahead) = groups.get(row + AHEAD) {
                table.records.prefetch_all(ahead);
            }
            if !table.arena.is_empty()
                && let Some(&ahead) = groups.get(row + STRING_AHEAD)
            {
                table.layout.prefetch_long(&table.records.get(ahead)[1..], &table.arena);
            }
            let record = &table.records.get(group)[..width];
            for (&word, column) in record.iter().zip(self.gathered.chunks_exact_mut(rows)) {
                column[row] = word;
            }
        }
    }

    fn write_key(&mut self, table: &GroupTable, (column, groups): (usize, &[u32]), batch: &mut BatchWriter<'_>) {
        let word = |word: usize| &self.gathered[word * groups.len()..][..groups.len()];
        let layout = &table.layout.columns[column];
        let Some(of) = table.tracking.as_ref().and_then(|tracking| tracking.types[column].as_ref()) else {
            return batch.stream(&table.column(column, groups));
        };
        let at = 1 + layout.word;
        let values = match layout.encoding {
            Encoding::Bool => Values::Bits(word(at)),
            Encoding::Word(_) | Encoding::Float(_) => Values::Words(word(at)),
            Encoding::Wide => Values::Wide(word(at), word(at + 1)),
            Encoding::View => Values::Strings(Strings { low: word(at), high: word(at + 1), long: &table.arena }),
            Encoding::Row(_) => return batch.stream(&table.column(column, groups)),
        };
        self.nulls.clear();
        if table.may_be_null(column) {
            let (null_word, bit) = null_bit(column);
            let bit = if null_word == 0 { u32::BITS as usize + bit } else { bit };
            self.nulls.extend(word(null_word).iter().map(|word| word >> bit & 1 != 0));
        }
        batch.column(of, self.nulls.contains(&true).then_some(&self.nulls[..]), values);
    }
}
