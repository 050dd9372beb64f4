//! Rows in order, by partition: what top-n and netting stand on.
//!
//! A row is kept in Arrow's row format over its columns in the order that is asked for, so that its bytes compare as
//! the rows do. The changes of an epoch are gathered, sorted and applied at its end, partition by partition; a change
//! costs a logarithm of its partition, and partitions whose first rows stay the same are not looked at. Where nothing is
//! ever taken back, rows that are not among the first are let go. A checkpoint holds the rows' bytes, which a test
//! fixes: another version of the row format would be another state.

use super::expiry::{Expirer, Expiry, times_us};
use super::group_table::{Equality, GroupTable};
use super::snapshot::{RUN_ROWS, Sorted, misfit, next_rows, state_batch, weights_column};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use proxima_engine::{ColumnType, SectionKind, SnapshotError, StateReader, StateWriter, Values};
use proxima_event::hash::{hash_bytes, hash_columns};
use proxima_event::{Changes, KeyGroup, KeyGroupSet};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A row in the form that is compared.
pub(super) type Bytes = Rc<[u8]>;

/// The order of rows: some columns first, each its own way, then all others ascending.
pub(super) struct RowOrder {
    converter: RowConverter,
    /// The columns in the order in which they are compared.
    columns: Vec<usize>,
}

impl RowOrder {
    /// An order by `first`, then by the columns that it does not name, ascending with NULLs first.
    pub(super) fn new(schema: &SchemaRef, first: &[(usize, SortOptions)]) -> Self {
        let mut order: Vec<(usize, SortOptions)> = Vec::new();
        let rest = (0..schema.fields().len()).map(|column| (column, SortOptions::default()));
        for (column, options) in first.iter().copied().chain(rest) {
            if order.iter().all(|&(other, _)| other != column) {
                order.push((column, options));
            }
        }
        let field = |&(column, options): &(usize, SortOptions)| {
            SortField::new_with_options(schema.field(column).data_type().clone(), options)
        };
        let converter = RowConverter::new(order.iter().map(field).collect());
        let converter = converter.expect("the planner refuses rows of types that have no order");
        Self { converter, columns: order.into_iter().map(|(column, _)| column).collect() }
    }

    /// The rows of a batch in the form that is compared.
    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Rows {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|&column| columns[column].clone()).collect();
        self.converter.convert_columns(&columns).expect("the rows have the columns that the order was made for")
    }

    /// The columns of some rows, in the order of their schema.
    pub(super) fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Vec<ArrayRef> {
        let parser = self.converter.parser();
        let ordered = self.converter.convert_rows(rows.into_iter().map(|row| parser.parse(row)));
        let ordered = ordered.expect("these rows came from this converter");
        let mut columns: Vec<(usize, ArrayRef)> = self.columns.iter().copied().zip(ordered).collect();
        columns.sort_by_key(|&(column, _)| column);
        columns.into_iter().map(|(_, column)| column).collect()
    }
}

/// The rows of one partition.
#[derive(Default)]
struct Partition {
    rows: BTreeMap<Bytes, i64>,
    /// The last of the first rows, if there are as many as wanted: what comes behind it changes nothing.
    last: Option<Bytes>,
    /// The newest time of its rows.
    newest_us: i64,
}

impl Partition {
    /// The first rows, each as often as it is there.
    fn first(&self, limit: usize) -> Vec<Bytes> {
        let there = self.rows.iter().filter(|&(_, &weight)| weight > 0);
        there.flat_map(|(row, &weight)| std::iter::repeat_n(row, weight as usize)).take(limit).cloned().collect()
    }

    /// Adds to a row's weight; gives the row where that is wanted, its weight, and whether it came now.
    fn add(&mut self, row: &[u8], weight: i64, wanted: bool) -> Option<(Bytes, i64, bool)> {
        match self.rows.get_mut(row) {
            Some(held) if *held + weight == 0 => self.rows.remove_entry(row).map(|(row, _)| (row, 0, false)),
            Some(held) => {
                *held += weight;
                wanted.then(|| (Bytes::from(row), *held, false))
            }
            None => {
                let row = Bytes::from(row);
                let given = wanted.then(|| (Bytes::clone(&row), weight, true));
                self.rows.insert(row, weight);
                given
            }
        }
    }
}

/// A row that has changed since the last save.
struct Dirty {
    of: KeyGroup,
    row: Bytes,
    /// What it weighed then.
    weight: i64,
    /// It came with this change.
    fresh: bool,
}

impl Dirty {
    /// Whether it is a change of the same row.
    fn is_of(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.row, &other.row) || self.row == other.row
    }
}

/// One change of the epoch.
#[derive(Clone, Copy)]
struct Pending {
    partition: u32,
    tag: u32,
    batch: u32,
    row: u32,
    weight: i64,
}

/// Rows in order, by partition.
pub(super) struct Ordered {
    keys: Vec<usize>,
    limit: usize,
    append_only: bool,
    pub(super) order: RowOrder,
    table: GroupTable,
    partitions: Vec<Partition>,
    batches: Vec<Rows>,
    pending: Vec<Pending>,
    held: usize,
    expirer: Option<Expirer>,
    /// Where changes are noted: the rows that have changed since the last save.
    dirty: Option<Vec<Dirty>>,
}

impl Ordered {
    /// No rows yet. Of each partition (by `keys`) the first `limit` rows are of interest, and no others where rows are
    /// never taken back (`append_only`).
    pub(super) fn new(
        schema: &SchemaRef,
        keys: Vec<usize>,
        order: RowOrder,
        (limit, append_only): (usize, bool),
        expiry: Option<Expiry>,
    ) -> Self {
        let types = keys.iter().map(|&key| schema.field(key).data_type().clone()).collect();
        Self {
            table: GroupTable::new(types, Equality::Grouped, 0),
            keys,
            limit,
            append_only,
            order,
            partitions: Vec::new(),
            batches: Vec::new(),
            pending: Vec::new(),
            held: 0,
            expirer: expiry.map(Expirer::new),
            dirty: None,
        }
    }

    /// Takes in rows, or bounds where `input` is that of the bounds.
    pub(super) fn apply(&mut self, input: usize, changes: &Changes) {
        match &mut self.expirer {
            Some(expirer) if expirer.expiry.input == input => expirer.raise(changes),
            _ => self.change(changes),
        }
    }

    fn change(&mut self, changes: &Changes) {
        let columns = changes.rows.columns();
        let keys: Vec<ArrayRef> = self.keys.iter().map(|&key| columns[key].clone()).collect();
        let computed = changes.hashes.is_none().then(|| hash_columns(&keys, changes.len()));
        let hashes: &[u64] = changes.hashes.as_deref().unwrap_or_else(|| computed.as_deref().unwrap_or_default());
        let partitions = self.number(&keys, hashes);
        self.note_times(columns, &partitions);
        let batch = self.batches.len() as u32;
        self.batches.push(self.order.encode(columns));
        self.pending.extend(partitions.into_iter().enumerate().map(|(row, partition)| Pending {
            partition,
            tag: hashes[row] as u32,
            batch,
            row: row as u32,
            weight: changes.weight(row),
        }));
    }

    fn number(&mut self, keys: &[ArrayRef], hashes: &[u64]) -> Vec<u32> {
        let (mut partitions, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(keys, hashes, &mut partitions, &mut fresh);
        self.partitions.resize_with(self.table.bound().max(self.partitions.len()), Partition::default);
        for partition in fresh {
            self.partitions[partition as usize] = Partition { newest_us: i64::MIN, ..Partition::default() };
        }
        partitions
    }

    fn note_times(&mut self, columns: &[ArrayRef], partitions: &[u32]) {
        let Some(expirer) = &mut self.expirer else { return };
        expirer.added(partitions.len());
        let column = &columns[expirer.expiry.column];
        let times = times_us(column);
        for (row, &partition) in partitions.iter().enumerate() {
            // A row without time is never over.
            let time = if column.is_null(row) { i64::MAX } else { times[row] };
            let newest = &mut self.partitions[partition as usize].newest_us;
            *newest = time.max(*newest);
        }
    }

    /// Applies the epoch. `changed` is given the first rows of each partition before and after, where they differ.
    pub(super) fn finish(&mut self, mut changed: impl FnMut(&[Bytes], &[Bytes])) {
        let mut pending = std::mem::take(&mut self.pending);
        let batches = std::mem::take(&mut self.batches);
        let bytes = |change: &Pending| batches[change.batch as usize].row(change.row as usize).data();
        pending.sort_unstable_by(|a, b| a.partition.cmp(&b.partition).then_with(|| bytes(a).cmp(bytes(b))));
        for of_partition in pending.chunk_by(|a, b| a.partition == b.partition) {
            let rows = of_partition.chunk_by(|a, b| bytes(a) == bytes(b));
            let net = rows.map(|run| (bytes(&run[0]), run.iter().map(|change| change.weight).sum::<i64>()));
            let net: Vec<(&[u8], i64)> = net.filter(|&(_, weight)| weight != 0).collect();
            self.change_partition(of_partition[0], &net, &mut changed);
        }
        self.expire();
    }

    fn change_partition(&mut self, of: Pending, net: &[(&[u8], i64)], changed: &mut impl FnMut(&[Bytes], &[Bytes])) {
        let partition = &mut self.partitions[of.partition as usize];
        let behind = match (net.first(), &partition.last) {
            (Some(&(least, _)), Some(last)) => least > &**last,
            _ => net.is_empty(),
        };
        if behind && self.append_only && !partition.rows.is_empty() {
            return;
        }
        let before = if behind { Vec::new() } else { partition.first(self.limit) };
        let held = partition.rows.len();
        let tracked = self.dirty.is_some();
        let mut note = |row, weight, fresh| {
            if let Some(dirty) = &mut self.dirty {
                dirty.push(Dirty { of: self.table.key_group(of.partition), row, weight, fresh });
            }
        };
        for &(row, weight) in net {
            if let Some((row, weight, fresh)) = partition.add(row, weight, tracked) {
                note(row, weight, fresh);
            }
        }
        while self.append_only
            && partition.rows.len() > self.limit
            && let Some((row, _)) = partition.rows.pop_last()
        {
            note(row, 0, false);
        }
        self.held = self.held + partition.rows.len() - held;
        if !behind {
            let after = partition.first(self.limit);
            partition.last = (after.len() == self.limit).then(|| after.last().cloned()).flatten();
            if before != after {
                changed(&before, &after);
            }
        }
        if partition.rows.is_empty() {
            *partition = Partition::default();
            self.table.remove(of.partition, of.tag);
        }
    }

    /// Forgets the partitions all of whose rows are over; what they have shown stands.
    fn expire(&mut self) {
        let Some(expirer) = &mut self.expirer else { return };
        if !expirer.is_due(self.held) {
            return;
        }
        let is_over = |&partition: &u32| expirer.is_over(self.partitions[partition as usize].newest_us);
        let over: Vec<u32> = self.table.groups().filter(is_over).collect();
        let hashes = hash_columns(&self.table.columns(&over), over.len());
        for (partition, hash) in over.into_iter().zip(hashes) {
            let rows = std::mem::take(&mut self.partitions[partition as usize]).rows;
            self.held -= rows.len();
            if let Some(dirty) = &mut self.dirty {
                let of = self.table.key_group(partition);
                dirty.extend(rows.into_keys().map(|row| Dirty { of, row, weight: 0, fresh: false }));
            }
            self.table.remove(partition, hash as u32);
        }
    }

    /// Notes from now on which rows change.
    pub(super) fn track(&mut self) {
        self.table.track();
        self.dirty = Some(Vec::new());
    }

    /// Writes rows of key groups with their weights; those that are gone weigh nothing.
    pub(super) fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let whole = self.table.begin_save(rewrite).whole;
        self.table.end_save();
        self.save_whole(&whole, rewrite, out);
        let mut dirty = self.dirty.take().unwrap_or_default();
        save_changes(&dirty, rewrite, out);
        // As many will come again until the next save.
        let count = dirty.len();
        dirty.clear();
        dirty.shrink_to(2 * count);
        self.dirty = Some(dirty);
    }

    fn save_whole(&self, whole: &Sorted, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let mut held = SavedRows::new(SectionKind::Full);
        for group in rewrite.iter() {
            for &partition in whole.of(usize::from(group.0)..usize::from(group.0) + 1) {
                let rows = &self.partitions[partition as usize].rows;
                rows.iter().for_each(|(row, &weight)| held.push(group, (row, weight), out));
            }
        }
        held.write(out);
    }

    /// Takes back a section.
    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let Some(batch) = next_rows(state)? else { return Ok(()) };
        let rows = batch.column(0).as_binary_opt::<i64>().ok_or_else(|| misfit("rows in order as bytes"))?;
        let columns = self.order.decode(rows.iter().flatten());
        let weights = weights_column(&batch, 1)?;
        let weights = if state.kind() == SectionKind::Full { weights.to_vec() } else { self.added(&columns, weights) };
        self.change(&Changes::weighted(state_batch(columns), weights));
        // The rows were shown before they were saved.
        self.finish(|_, _| {});
        self.dirty.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    /// By how much the weights of rows are to change to be those that were saved.
    fn added(&mut self, columns: &[ArrayRef], weights: &[i64]) -> Vec<i64> {
        let keys: Vec<ArrayRef> = self.keys.iter().map(|&key| columns[key].clone()).collect();
        let partitions = self.number(&keys, &hash_columns(&keys, weights.len()));
        let rows = self.order.encode(columns);
        let held = |row: usize| self.partitions[partitions[row] as usize].rows.get(rows.row(row).data()).copied();
        weights.iter().enumerate().map(|(row, weight)| weight - held(row).unwrap_or(0)).collect()
    }

    /// Rows held.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// Bytes held, estimated.
    pub(super) fn bytes(&self) -> usize {
        // A row has its bytes, their counts, and its share of a tree node; its length is not looked up for each.
        const ROW: usize = 96;
        self.table.bytes() + self.partitions.capacity() * size_of::<Partition>() + self.held * ROW
    }
}

/// Writes the rows that have changed as they are now, those of a key group in the order of their hashes: to compare their
/// bytes would cost more than all the rest.
fn save_changes(dirty: &[Dirty], rewrite: &KeyGroupSet, out: &mut StateWriter) {
    let key = |change: &Dirty| u64::from(change.of.0) << HASH_BITS | hash_bytes(&change.row) >> (u64::BITS - HASH_BITS);
    let keys = (0..).zip(dirty).filter(|(_, change)| !rewrite.contains(change.of));
    let mut order: Vec<(u64, u32)> = keys.map(|(at, change)| (key(change), at)).collect();
    // Changes of one row stay in the order in which they came.
    order.sort_unstable();
    let (mut changed, mut replaced, mut written) = (SavedRows::new(SectionKind::Changes), 0, 0);
    let mut alike: Vec<&Dirty> = Vec::new();
    for of_hash in order.chunk_by(|a, b| a.0 == b.0) {
        alike.clear();
        alike.extend(of_hash.iter().map(|&(_, at)| &dirty[at as usize]));
        // Hashes of different rows are hardly ever the same.
        if !alike.iter().all(|change| change.is_of(alike[0])) {
            alike.sort_by(|a, b| a.row.cmp(&b.row));
        }
        for changes in alike.chunk_by(|a, b| a.is_of(b)) {
            let (first, last) = (changes[0], changes[changes.len() - 1]);
            // What came since the last save and is gone again needs no word.
            if last.weight != 0 || !first.fresh {
                changed.push(first.of, (&first.row, last.weight), out);
                written += 1;
                replaced += usize::from(!first.fresh);
            }
        }
    }
    changed.write(out);
    out.replaces(replaced, written);
}

/// The bits of a hash that lie below a key group's number.
const HASH_BITS: u32 = 48;

/// Rows to save with their weights, by rising key group: their bytes as they are held, since to make columns of them
/// was half of what checkpoints cost.
struct SavedRows<'a> {
    kind: SectionKind,
    types: [ColumnType; 2],
    rows: Vec<&'a Bytes>,
    weights: Vec<u64>,
    counts: Vec<(KeyGroup, usize)>,
}

impl<'a> SavedRows<'a> {
    fn new(kind: SectionKind) -> Self {
        let types = [DataType::LargeBinary, DataType::Int64];
        let types = types.map(|of| ColumnType::new(&of).expect("bytes and numbers are written value by value"));
        Self { kind, types, rows: Vec::new(), weights: Vec::new(), counts: Vec::new() }
    }

    fn push(&mut self, group: KeyGroup, (row, weight): (&'a Bytes, i64), out: &mut StateWriter) {
        match self.counts.last_mut().filter(|(of, _)| *of == group) {
            Some((_, count)) => *count += 1,
            None => {
                if self.rows.len() >= RUN_ROWS {
                    self.write(out);
                }
                self.counts.push((group, 1));
            }
        }
        self.rows.push(row);
        self.weights.push(weight as u64);
    }

    fn write(&mut self, out: &mut StateWriter) {
        if !self.rows.is_empty() {
            let [rows, weights] = &self.types;
            out.batch((self.kind, &self.counts), 2, |batch| {
                batch.bytes(rows, self.rows.iter().map(|row| &row[..]));
                batch.column(weights, None, Values::Words(&self.weights));
            });
        }
        self.rows.clear();
        self.weights.clear();
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    #[test]
    fn saved_rows_have_these_bytes() {
        let fields = [Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8View, true)];
        let order = RowOrder::new(&Arc::new(Schema::new(fields.to_vec())), &[(1, SortOptions::default())]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(-2), None])),
            Arc::new(StringViewArray::from(vec!["shop", "a name of more than eight bytes, and of more than 32"])),
        ];
        let rows = order.encode(&columns);
        let hex = |row: usize| rows.row(row).data().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(0), "0273686f700000000004017ffffffffffffffe");
        let long = "0261206e616d65206fff66206d6f72652074ff68616e2065696768ff742062797465732cff20\
                    616e64206f66206d6f7265207468616e20333200000000000000000000000014000000000000000000";
        assert_eq!(hex(1), long);
        assert_eq!(order.decode([rows.row(0).data(), rows.row(1).data()]), columns);
    }
}
