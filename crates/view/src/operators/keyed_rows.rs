//! The rows of one input, each stored once with its weight, in a list for each key: what joins look their matches up in.

use super::group_table::{Equality, GroupTable, NO_GROUP};
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroup};

/// The key number of rows that no key matches, as one of their key columns is NULL.
pub(super) const LOOSE: u32 = NO_GROUP;

// The words of a row's payload.
pub(super) const WEIGHT: usize = 0;
const DELTA: usize = 1;
/// Key number + 1 in the lower half; a word of the join's own in the upper.
const KEY: usize = 2;
/// The row after + 1 in the lower half, the row before + 1 in the upper.
const LINKS: usize = 3;
/// For the operator.
pub(super) const OWN: usize = 4;
const WORDS: usize = 5;

/// The list of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// The first row + 1.
    first: u32,
    total: i64,
    total_delta: i64,
}

/// A row that the epoch has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) row: u32,
    /// The lower half of its hash.
    tag: u32,
}

/// Rows of a snapshot: their columns, the number of each one's key, and the key group of all.
pub(super) struct Loaded<'a> {
    pub(super) columns: &'a [ArrayRef],
    pub(super) key_of: &'a [u32],
    pub(super) of: KeyGroup,
}

/// Rows by key, with the changes of the epoch kept apart until [`commit`](Self::commit).
pub(super) struct KeyedRows {
    pub(super) table: GroupTable,
    heads: Vec<Head>,
    changed: Vec<Changed>,
    numbers: Vec<u32>,
    fresh: Vec<u32>,
    added: usize,
}

impl KeyedRows {
    /// No rows of this schema.
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let types = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        Self {
            table: GroupTable::new(types, Equality::Exact, WORDS),
            heads: Vec::new(),
            changed: Vec::new(),
            numbers: Vec::new(),
            fresh: Vec::new(),
            added: 0,
        }
    }

    /// Notes from now on what changes.
    pub(super) fn track(&mut self) {
        self.table.track();
    }

    /// Notes the changes of a batch. `key_of` gives the key number of each row, or [`LOOSE`], and `key_hashes` the hash
    /// of its key; these are asked for only where changes are tracked and rows are new.
    pub(super) fn change(&mut self, changes: &Changes, key_of: &[u32], key_hashes: &[u64]) {
        let columns = changes.rows.columns();
        let hashes = hash_columns(columns, changes.len());
        let mut numbers = std::mem::take(&mut self.numbers);
        self.fresh.clear();
        self.table.resolve(columns, &hashes, &mut numbers, &mut self.fresh);
        self.added += self.fresh.len();
        for (at, &row) in numbers.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(row);
            payload[DELTA] = payload[DELTA].wrapping_add_signed(changes.weight(at));
            if !mark.is_on() {
                mark.turn_on();
                self.changed.push(Changed { row, tag: hashes[at] as u32 });
            }
            if payload[KEY] == 0 {
                self.link(row, key_of[at]);
                if let Some(&hash) = key_hashes.get(at) {
                    self.table.set_key_group(row, KeyGroup::of(hash, KEY_GROUPS));
                }
            }
        }
        self.numbers = numbers;
    }

    /// Puts a new row into its key's list.
    fn link(&mut self, row: u32, key: u32) {
        self.table.payload_mut(row)[KEY] = u64::from(key) + 1;
        if key == LOOSE {
            return;
        }
        if self.heads.len() <= key as usize {
            self.heads.resize(key as usize + 1, Head::default());
        }
        let first = std::mem::replace(&mut self.heads[key as usize].first, row + 1);
        self.set_next(row, first);
        if first != 0 {
            self.set_before(first - 1, row + 1);
        }
    }

    fn unlink(&mut self, row: u32) {
        let links = self.table.payload(row)[LINKS];
        let (next, before) = (links as u32, (links >> 32) as u32);
        if before != 0 {
            self.set_next(before - 1, next);
        } else {
            let key = self.key(row);
            self.heads[key as usize].first = next;
        }
        if next != 0 {
            self.set_before(next - 1, before);
        }
    }

    fn set_next(&mut self, row: u32, next: u32) {
        let links = &mut self.table.payload_mut(row)[LINKS];
        *links = *links >> 32 << 32 | u64::from(next);
    }

    fn set_before(&mut self, row: u32, before: u32) {
        let links = &mut self.table.payload_mut(row)[LINKS];
        *links = u64::from(*links as u32) | u64::from(before) << 32;
    }

    /// The rows that this epoch has changed, in the order of their first change.
    pub(super) fn changed(&self) -> &[Changed] {
        &self.changed
    }

    /// The rows of a key, present, past (weight 0 now) and to come (weight 0 before).
    pub(super) fn of_key(&self, key: u32) -> impl Iterator<Item = u32> {
        let mut next = self.heads.get(key as usize).map_or(0, |head| head.first);
        std::iter::from_fn(move || {
            let row = next.checked_sub(1)?;
            next = self.table.payload(row)[LINKS] as u32;
            Some(row)
        })
    }

    /// The key number of a row.
    pub(super) fn key(&self, row: u32) -> u32 {
        (self.table.payload(row)[KEY] - 1) as u32
    }

    /// A row's weight before the epoch, and what the epoch adds to it.
    pub(super) fn weight(&self, row: u32) -> (i64, i64) {
        let payload = self.table.payload(row);
        (payload[WEIGHT] as i64, payload[DELTA] as i64)
    }

    /// The operator's own word of a row, 0 at first.
    pub(super) fn own(&self, row: u32) -> i64 {
        self.table.payload(row)[OWN] as i64
    }

    /// Sets the operator's own word of a row.
    pub(super) fn set_own(&mut self, row: u32, own: i64) {
        self.table.payload_mut(row)[OWN] = own as u64;
    }

    /// Adds the changes of the epoch up for each key. Once, before [`total`](Self::total).
    pub(super) fn add_up(&mut self) {
        for at in 0..self.changed.len() {
            let row = self.changed[at].row;
            let key = self.key(row);
            if key != LOOSE {
                self.heads[key as usize].total_delta += self.weight(row).1;
            }
        }
    }

    /// How many rows a key has before and after the epoch.
    pub(super) fn total(&self, key: u32) -> (i64, i64) {
        let head = self.heads.get(key as usize).copied().unwrap_or_default();
        (head.total, head.total + head.total_delta)
    }

    /// Whether a key has no rows in its list.
    pub(super) fn is_empty(&self, key: u32) -> bool {
        self.heads.get(key as usize).is_none_or(|head| head.first == 0)
    }

    /// Makes the changes of the epoch part of the state. Rows that are gone leave it, unless `keep` holds them for the
    /// operator; `changed_key` hears the keys of all changed rows.
    pub(super) fn commit(&mut self, keep: impl Fn(i64) -> bool, mut changed_key: impl FnMut(u32)) {
        let noted_below = self.table.noted_below();
        for Changed { row, tag } in std::mem::take(&mut self.changed) {
            let (mut mark, payload) = self.table.marked_mut(row);
            mark.turn_off();
            let delta = std::mem::take(&mut payload[DELTA]) as i64;
            let dirtied = row < noted_below && delta != 0 && mark.make_dirty();
            payload[WEIGHT] = payload[WEIGHT].wrapping_add_signed(delta);
            let gone = payload[WEIGHT] == 0 && !keep(payload[OWN] as i64);
            if dirtied {
                self.table.note_dirty(row);
            }
            let key = self.key(row);
            if key == LOOSE {
                self.table.remove(row, tag);
                continue;
            }
            let head = &mut self.heads[key as usize];
            head.total += delta;
            head.total_delta = 0;
            if gone {
                self.unlink(row);
                self.table.remove(row, tag);
            }
            changed_key(key);
        }
    }

    /// Removes rows from the state between epochs, whatever their weight.
    pub(super) fn remove(&mut self, rows: &[u32], mut changed_key: impl FnMut(u32)) {
        let hashes = hash_columns(&self.table.columns(rows), rows.len());
        for (&row, hash) in rows.iter().zip(hashes) {
            let key = self.key(row);
            self.heads[key as usize].total -= self.weight(row).0;
            self.unlink(row);
            self.table.remove(row, hash as u32);
            changed_key(key);
        }
    }

    /// How many rows came since this was asked last.
    pub(super) fn take_added(&mut self) -> usize {
        std::mem::take(&mut self.added)
    }

    /// Takes back rows of a key group from a snapshot, with their weights and the operator's words, if it saves them.
    /// Gives the rows' numbers.
    pub(super) fn restore(&mut self, rows: &Loaded<'_>, weights: &[i64], own: Option<&[i64]>) -> Vec<u32> {
        let (numbers, _) = self.loaded_numbers(rows);
        self.table.loaded(&numbers, rows.of);
        for (at, &row) in numbers.iter().enumerate() {
            let payload = self.table.payload_mut(row);
            let before = std::mem::replace(&mut payload[WEIGHT], weights[at] as u64) as i64;
            if let Some(own) = own {
                payload[OWN] = own[at] as u64;
            }
            if payload[KEY] == 0 {
                self.link(row, rows.key_of[at]);
            }
            self.heads[rows.key_of[at] as usize].total += weights[at] - before;
        }
        numbers
    }

    /// Forgets rows of which a later section says that they are gone; `changed_key` hears their keys.
    pub(super) fn unload(&mut self, rows: &Loaded<'_>, mut changed_key: impl FnMut(u32)) {
        let (numbers, hashes) = self.loaded_numbers(rows);
        for ((row, hash), &key) in numbers.into_iter().zip(hashes).zip(rows.key_of) {
            // A row that no section before has named is not in a list.
            if self.table.payload(row)[KEY] != 0 {
                self.heads[key as usize].total -= self.weight(row).0;
                self.unlink(row);
            }
            self.table.unload(row, hash as u32);
            changed_key(key);
        }
    }

    /// Forgets loaded rows that a later section replaces.
    pub(super) fn unload_rows(&mut self, rows: &[u32]) {
        let hashes = hash_columns(&self.table.columns(rows), rows.len());
        for (&row, hash) in rows.iter().zip(hashes) {
            let key = self.key(row);
            self.heads[key as usize].total -= self.weight(row).0;
            self.unlink(row);
            self.table.unload(row, hash as u32);
        }
    }

    fn loaded_numbers(&mut self, rows: &Loaded<'_>) -> (Vec<u32>, Vec<u64>) {
        let hashes = hash_columns(rows.columns, rows.key_of.len());
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(rows.columns, &hashes, &mut numbers, &mut fresh);
        (numbers, hashes)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.table.bytes() + self.heads.capacity() * size_of::<Head>()
    }
}
