//! The rows of one table: each change of a record becomes one or two rows with their weights.

use super::debezium::Forms;
use super::members::{Then, is_named, member, members};
use super::table::ChangeConfig;
use super::{Change, with_sequence};
use crate::Changes;
use crate::decode::columns::{Columns, Form};
use crate::decode::json::{Input, Predictor, push_record, push_value, skip};
use crate::decode::{DecodeConfig, DecodeStats, Format};
use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use std::ops::Range;
use std::sync::Arc;

/// Rows under construction.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Columns,
    predictor: Predictor,
    rows_max: usize,
    /// The key's columns, by number.
    key: Vec<usize>,
    weights: Vec<i64>,
    /// How many rows there were before the last record.
    begun: usize,
    /// Where the last row lies if it was read before it was known to be one.
    ahead: Option<Range<usize>>,
    /// Where each row stood, if there is a key.
    sequences: Vec<u64>,
    /// The columns and the sequence.
    with_sequence: SchemaRef,
    /// How each column is written where no schema says so.
    defaults: Vec<Form>,
    /// How the columns are written by the schema of the last record, if it had one.
    forms: Option<Forms>,
    stats: DecodeStats,
}

/// A record whose parts are rows of a table.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// The line and what is behind it.
    pub(super) input: Input<'a>,
    /// Its place among the records of its source.
    pub(super) order: u64,
}

/// Rows of one record that keep their order; the order of more is that of the batch.
const SEQUENCES_EACH: u64 = 1 << 16;

impl Record<'_> {
    /// Where the row that its change number `nth` takes away stands among all rows; the one that it brings is the next.
    fn sequence(self, nth: u64) -> u64 {
        self.order.wrapping_mul(SEQUENCES_EACH) + (2 * nth).min(SEQUENCES_EACH - 2)
    }
}

impl Rows {
    pub(super) fn new(format: Format, config: &DecodeConfig) -> Self {
        let changes = config.changes.clone().unwrap_or_default();
        let mut columns = Columns::new(config);
        let default = |(at, &root): (usize, &usize)| match changes.utc.contains(&at) {
            true => Form::Utc,
            false => form(format, &columns.nodes[root].data_type, &changes),
        };
        let defaults: Vec<_> = columns.roots.iter().enumerate().map(default).collect();
        for (at, &form) in defaults.iter().enumerate() {
            let root = columns.roots[at];
            columns.nodes[root].form = form;
        }
        Self {
            columns,
            defaults,
            predictor: Predictor::new(),
            rows_max: config.batch_rows.max(1),
            key: changes.key,
            weights: Vec::new(),
            begun: 0,
            ahead: None,
            sequences: Vec::new(),
            with_sequence: with_sequence(&config.schema),
            forms: None,
            stats: DecodeStats::default(),
        }
    }

    /// Begins a record, which may have a schema.
    pub(super) fn begin(&mut self, forms: Option<&Forms>) {
        self.obey(forms);
        self.begun = self.weights.len();
    }

    /// Reads columns as the record's schema says; those that it does not speak of, and all of a record without one, as
    /// the table is told.
    fn obey(&mut self, forms: Option<&Forms>) {
        let is_known = match (&self.forms, forms) {
            (Some(known), Some(forms)) => Arc::ptr_eq(known, forms),
            (None, None) => true,
            _ => false,
        };
        if is_known {
            return;
        }
        // It was read as the record before is written.
        self.forget();
        for (at, &default) in self.defaults.iter().enumerate() {
            let node = &mut self.columns.nodes[self.columns.roots[at]];
            let said = forms.and_then(|forms| forms.get(&node.name)).copied();
            node.form = said.filter(|&form| fits(form, &node.data_type)).unwrap_or(default);
        }
        self.predictor = Predictor::new();
        self.forms = forms.map(Arc::clone);
    }

    /// Reads the object at `at` as a row if it looks like the ones before, and says where it ends. It is one only if it
    /// is part of the record that is taken next; else it is forgotten. Saves looking for its end and then reading it.
    pub(super) fn read_ahead(&mut self, input: Input<'_>, at: usize) -> Option<usize> {
        if self.ahead.is_some() {
            return None;
        }
        let end = self.predictor.object(&mut self.columns, input, at)?;
        self.ahead = Some(at..end);
        Some(end)
    }

    /// Forgets what was read ahead and was no row.
    pub(super) fn forget(&mut self) {
        if self.ahead.take().is_some() {
            self.columns.rewind(self.weights.len());
        }
    }

    /// Appends the rows of a record that was begun. Where one cannot be read, the record is to be taken back.
    pub(super) fn take(&mut self, record: Record<'_>, changes: &[Change]) -> Result<(), String> {
        (0..).zip(changes).try_for_each(|(nth, change)| self.change(record, change, record.sequence(nth)))
    }

    /// Takes back the rows of a record that was begun. But of a table with a key those whose keys are no more are gone all
    /// the same: nothing would ever say so again.
    pub(super) fn take_back(&mut self, record: Record<'_>, changes: &[Change]) {
        self.cut(self.begun);
        let keyed = if self.key.is_empty() { &[] } else { changes };
        for (nth, change) in (0..).zip(keyed) {
            let before = self.weights.len();
            if self.remove(record, change, record.sequence(nth)).is_err() {
                self.cut(before);
            }
        }
    }

    /// Keeps only the first so many rows.
    fn cut(&mut self, rows: usize) {
        self.ahead = None;
        self.columns.rewind(rows);
        self.weights.truncate(rows);
        self.sequences.truncate(rows);
    }

    /// What a change says: what it takes away stands at `old` in the order of all rows, what it brings right behind.
    fn change(&mut self, record: Record<'_>, change: &Change, old: u64) -> Result<(), String> {
        let keyed = !self.key.is_empty();
        let new = old + 1;
        match change {
            Change::Insert(row) => self.whole(record, row, 1, new),
            Change::Delete(row) if keyed => {
                let before = self.weights.len();
                self.whole(record, row, -1, old).or_else(|_| {
                    self.cut(before);
                    self.remove(record, change, old)
                })
            }
            Change::Delete(row) => self.whole(record, row, -1, old),
            Change::Replace { before: None, after } if keyed => self.whole(record, after, 1, new),
            Change::Replace { before: None, .. } => {
                Err("missing \"before\": without it the table needs a PRIMARY KEY".to_owned())
            }
            Change::Replace { before: Some(before), after } => {
                self.whole(record, after, 1, new)?;
                if keyed && self.has_same_key(record, before, after) {
                    return Ok(());
                }
                self.whole(record, before, -1, old)
            }
            // Nothing has changed.
            Change::Overlay { old: None, .. } if !keyed => Ok(()),
            Change::Overlay { after, old: None } => self.whole(record, after, 1, new),
            Change::Overlay { after, old: Some(different) } => {
                self.whole(record, after, 1, new)?;
                if keyed && !self.names_key(record, different) {
                    return Ok(());
                }
                self.overlaid(record, after, different)?;
                self.mark(-1, old);
                Ok(())
            }
        }
    }

    /// Appends only that a key has no row any more, if the change says so: nothing but the key need be readable.
    fn remove(&mut self, record: Record<'_>, change: &Change, sequence: u64) -> Result<(), String> {
        let (row, over) = match change {
            Change::Delete(row) => (row, None),
            Change::Replace { before: Some(before), after } if !self.has_same_key(record, before, after) => {
                (before, None)
            }
            Change::Overlay { after, old: Some(different) } if self.names_key(record, different) => {
                (after, Some(different))
            }
            _ => return Ok(()),
        };
        let input = record.input;
        for at in 0..self.columns.roots.len() {
            let root = self.columns.roots[at];
            if !self.key.contains(&at) {
                self.columns.push_blank(root);
                continue;
            }
            let name = &self.columns.nodes[root].name;
            let of = |object: &Range<usize>| member(input, object.start, name);
            let value = over.and_then(of).or_else(|| of(row)).and_then(|value| input.text(value.start, value.end));
            push_value(&mut self.columns, root, value.ok_or("no key")?, input.padded)?;
        }
        self.columns.end_row()?;
        self.mark(-1, sequence);
        Ok(())
    }

    /// Appends the row that an object holds.
    fn whole(&mut self, record: Record<'_>, object: &Range<usize>, weight: i64, sequence: u64) -> Result<(), String> {
        if self.ahead.as_ref() == Some(object) {
            self.ahead = None;
            self.stats.predicted += 1;
            self.mark(weight, sequence);
            return Ok(());
        }
        self.forget();
        let input = Input { end: object.end, ..record.input };
        let (_, predicted) = self.predictor.read(&mut self.columns, input, object.start, 1);
        if predicted == 1 {
            self.stats.predicted += 1;
        } else {
            self.stats.general += 1;
            let text = input.text(object.start, object.end).ok_or("not a whole record")?;
            push_record(&mut self.columns, text, input.padded)?;
            self.predictor.learn(&self.columns, input, object.start);
        }
        self.mark(weight, sequence);
        Ok(())
    }

    fn mark(&mut self, weight: i64, sequence: u64) {
        self.weights.push(weight);
        if !self.key.is_empty() {
            self.sequences.push(sequence);
        }
    }

    /// Appends the last row as it was before: with the values of `different`, an object of some of its columns.
    fn overlaid(
        &mut self,
        Record { input, .. }: Record<'_>,
        row: &Range<usize>,
        different: &Range<usize>,
    ) -> Result<(), String> {
        let before = self.columns.rows();
        let mut flaw = None;
        let walked = members(input, different.start, |name, at| {
            let end = skip::end_of(input, at)?;
            if let Some(root) = self.column(name) {
                self.columns.truncate(root, before);
                flaw = push_value(&mut self.columns, root, input.text(at, end)?, input.padded).err();
            }
            Some(if flaw.is_some() { Then::Stop } else { Then::On(end) })
        });
        if let Some(flaw) = flaw {
            return Err(flaw);
        }
        walked.ok_or("\"old\" is not an object")?;
        for at in 0..self.columns.roots.len() {
            let root = self.columns.roots[at];
            if self.columns.nodes[root].len() == before && self.columns.repeat_last(root).is_none() {
                let value = member(input, row.start, &self.columns.nodes[root].name);
                match value.and_then(|value| input.text(value.start, value.end)) {
                    Some(json) => push_value(&mut self.columns, root, json, input.padded)?,
                    None => self.columns.push_null(root)?,
                }
            }
        }
        self.columns.end_row()
    }

    fn column(&self, name: &str) -> Option<usize> {
        let is_it = |&&root: &&usize| is_named(name, &self.columns.nodes[root].name);
        self.columns.roots.iter().find(is_it).copied()
    }

    /// Whether an object has one of the key's columns.
    fn names_key(&self, record: Record<'_>, object: &Range<usize>) -> bool {
        self.key_names().any(|name| member(record.input, object.start, name).is_some())
    }

    /// Whether the key is written alike in both objects.
    fn has_same_key(&self, Record { input, .. }: Record<'_>, before: &Range<usize>, after: &Range<usize>) -> bool {
        let text = |object: &Range<usize>, name| {
            member(input, object.start, name).and_then(|value| input.text(value.start, value.end))
        };
        self.key_names().all(|name| text(before, name) == text(after, name))
    }

    fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|&column| self.columns.nodes[self.columns.roots[column]].name.as_str())
    }

    /// Hands the rows over if they fill a batch.
    pub(super) fn hand_over_full(&mut self, chunk: &Buffer, out: &mut Vec<Changes>) {
        if self.columns.rows() >= self.rows_max {
            self.hand_over(chunk, out);
        }
    }

    /// Hands over whatever rows there are.
    pub(super) fn hand_over(&mut self, chunk: &Buffer, out: &mut Vec<Changes>) {
        if self.columns.rows() == 0 {
            return;
        }
        let mut rows = self.columns.finish(chunk);
        if !self.key.is_empty() {
            let sequences: ArrayRef = Arc::new(UInt64Array::from(std::mem::take(&mut self.sequences)));
            let columns = rows.columns().iter().cloned().chain([sequences]).collect();
            rows = RecordBatch::try_new(Arc::clone(&self.with_sequence), columns).expect("each row has a sequence");
        }
        let weights = std::mem::take(&mut self.weights);
        let only_inserts = weights.iter().all(|&weight| weight == 1);
        out.push(if only_inserts { Changes::inserts(rows) } else { Changes::weighted(rows, weights) });
    }

    pub(super) fn stats(&self) -> DecodeStats {
        self.stats
    }
}

/// How a format writes the values of a column.
fn form(format: Format, data_type: &DataType, changes: &ChangeConfig) -> Form {
    let debezium = format == Format::Debezium;
    match data_type {
        data_type if data_type.is_nested() => Form::Json,
        DataType::BinaryView if format == Format::Canal => Form::Latin1,
        DataType::BinaryView => Form::Base64,
        DataType::Utf8View if format == Format::Maxwell => Form::Set,
        DataType::Timestamp(..) if debezium => Form::Wall(None),
        DataType::Timestamp(..) | DataType::Date32 => Form::Moment,
        DataType::Time64(_) => Form::Daytime(TimeUnit::Microsecond),
        DataType::Decimal128(_, scale) if debezium && changes.decimals_base64 => Form::Unscaled(*scale),
        data_type if debezium && data_type.is_integer() => Form::Bits,
        _ => Form::Plain,
    }
}

/// Whether a column can be written like this.
fn fits(form: Form, data_type: &DataType) -> bool {
    match form {
        // A DATE takes the number as it stands.
        Form::Wall(_) | Form::Days => matches!(data_type, DataType::Timestamp(..)),
        Form::Iso => matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_)),
        Form::Daytime(_) => matches!(data_type, DataType::Time64(_)),
        Form::Bits => data_type.is_integer(),
        // Others tell by the value how it is written.
        Form::Plain => matches!(data_type, DataType::Decimal128(..)),
        Form::Unscaled(_) => !data_type.is_nested() && !matches!(data_type, DataType::BinaryView),
        _ => true,
    }
}
