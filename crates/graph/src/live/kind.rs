//! The objects of one kind: their texts, and their attributes.
//!
//! A text becomes an id at the worker that owns its key group: the group in the lower bits of the id and a count in the
//! upper ones, so that ids are unique without any worker asking another, stay the same when groups move, and are nearly
//! dense.

use super::attributes::{Attributes, Given, NO_ROW};
use super::presence::Presence;
use crate::catalogue::Attribute;
use crate::graph::{ObjectId, Value};
use crate::names::NameTable;
use parking_lot::RwLock;
use proxima_event::{KEY_GROUPS, KeyGroup};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What finding a name needs from memory, in turn.
const PREFETCHES: [fn(&NameTable, u64); 3] =
    [NameTable::prefetch_number, NameTable::prefetch_name, NameTable::prefetch_text];
const GROUP_BITS: u32 = 8;
const _: () = assert!(KEY_GROUPS == 1 << GROUP_BITS, "an id has room for the key groups");

pub(super) struct KindStore {
    /// The texts of each key group.
    names: Vec<RwLock<Names>>,
    /// The attributes of each worker's objects.
    described: Vec<RwLock<Described>>,
    /// Which objects there are: those that edges or attributes name.
    pub(super) present: Arc<Presence>,
}

/// The texts of a key group.
#[derive(Default)]
pub(super) struct Names {
    pub(super) table: NameTable,
    /// Numbers whose texts are to be forgotten at the end of an epoch, and whether a row of a later epoch has named them
    /// again.
    leaving: BTreeMap<(u64, u32), bool>,
}

impl Names {
    /// The number of a text that a row of this epoch names; it gets one if it has none.
    fn intern(&mut self, epoch: u64, hash: u64, text: &str) -> u32 {
        let (number, _) = self.table.intern(hash, text);
        if !self.leaving.is_empty() {
            let before = self.leaving.range_mut(..(epoch, 0));
            before.filter(|((_, leaving), _)| *leaving == number).for_each(|(_, is_back)| *is_back = true);
        }
        number
    }

    /// A text is forgotten at the end of an epoch: what gives ids says so when it has given its last one of the epoch.
    fn leave(&mut self, epoch: u64, number: u32) {
        self.leaving.entry((epoch, number)).or_insert(false);
    }

    /// Takes back the texts that leave at the end of an epoch, unless they have come again, and gives their numbers.
    pub(super) fn forget(&mut self, epoch: u64) -> Vec<u32> {
        let later = self.leaving.split_off(&(epoch + 1, 0));
        let leaving = std::mem::replace(&mut self.leaving, later);
        let gone: Vec<u32> =
            leaving.into_iter().filter(|(_, is_back)| !is_back).map(|((_, number), _)| number).collect();
        gone.iter().for_each(|&number| self.table.forget(number));
        self.leaving.retain(|(_, number), _| !gone.contains(number));
        gone
    }
}

struct Described {
    attributes: Attributes,
    /// The row of each object, by key group and by the number in it.
    rows: Vec<Vec<u32>>,
}

/// The id of a number in a key group.
pub(super) fn id_of(group: KeyGroup, number: u32) -> u32 {
    assert!(number < 1 << (u32::BITS - GROUP_BITS), "a key group holds at most 16 million objects of a kind");
    number << GROUP_BITS | u32::from(group.0)
}

/// The key group of an id.
#[inline]
pub(crate) fn group_of(id: u32) -> KeyGroup {
    KeyGroup((id % KEY_GROUPS as u32) as u16)
}

/// The places of hashes by key group, in their order within each, and where those of each group that has some stand.
fn in_groups(hashes: &[u64]) -> (Vec<u32>, Vec<(KeyGroup, Range<usize>)>) {
    let group = |hash: u64| usize::from(KeyGroup::of(hash, KEY_GROUPS).0);
    let (mut next, mut ranges, mut end) = ([0; KEY_GROUPS], Vec::new(), 0);
    hashes.iter().for_each(|&hash| next[group(hash)] += 1);
    for (group, next) in (0..).map(KeyGroup).zip(&mut next) {
        let start = end;
        end += std::mem::replace(next, start);
        ranges.extend((start < end).then_some((group, start..end)));
    }
    let mut order = vec![0; hashes.len()];
    for (place, &hash) in (0..).zip(hashes) {
        let next = &mut next[group(hash)];
        order[*next] = place;
        *next += 1;
    }
    (order, ranges)
}

/// The number of an id in its key group.
fn number_of(id: u32) -> u32 {
    id >> GROUP_BITS
}

impl KindStore {
    pub(super) fn new(attributes: &[Attribute], shards: usize) -> Self {
        let described = || Described { attributes: Attributes::new(attributes), rows: vec![Vec::new(); KEY_GROUPS] };
        Self {
            names: (0..KEY_GROUPS).map(|_| RwLock::default()).collect(),
            described: (0..shards).map(|_| RwLock::new(described())).collect(),
            present: Arc::default(),
        }
    }

    /// The ids of the texts that rows of this epoch name; those that have none get one. `hashes` are the key hashes of the
    /// texts. A key group's rows come together, so that its lock is taken once; what they will need is asked for while those
    /// of the groups before them are looked up.
    pub(super) fn intern_all<'a>(&self, epoch: u64, hashes: &[u64], text: impl Fn(usize) -> &'a str) -> Vec<u32> {
        let mut ids = vec![0; hashes.len()];
        let (order, groups) = in_groups(hashes);
        for turn in 0..groups.len() + PREFETCHES.len() {
            for (prefetch, ahead) in PREFETCHES.iter().zip((0..=turn).rev()) {
                if let Some((group, rows)) = groups.get(ahead) {
                    let names = self.names(*group).read();
                    order[rows.clone()].iter().for_each(|&row| prefetch(&names.table, hashes[row as usize]));
                }
            }
            let Some((group, rows)) = turn.checked_sub(PREFETCHES.len()).map(|turn| &groups[turn]) else { continue };
            let mut names = self.names(*group).write();
            for &row in &order[rows.clone()] {
                let row = row as usize;
                ids[row] = id_of(*group, names.intern(epoch, hashes[row], text(row)));
            }
        }
        ids
    }

    /// The id of one text; see [`KindStore::intern_all`].
    pub(super) fn intern(&self, epoch: u64, hash: u64, text: &str) -> u32 {
        let group = KeyGroup::of(hash, KEY_GROUPS);
        id_of(group, self.names(group).write().intern(epoch, hash, text))
    }

    /// The id of a text that is forgotten at the end of an epoch, if it has one. Said by each that gives ids of the key
    /// group, when it ends the epoch: what it names later is somebody who came back.
    pub(super) fn leave(&self, epoch: u64, hash: u64, text: &str) -> Option<u32> {
        let group = KeyGroup::of(hash, KEY_GROUPS);
        let mut names = self.names(group).write();
        let number = names.table.find(hash, text)?;
        names.leave(epoch, number);
        Some(id_of(group, number))
    }

    /// The id of a text, if it has one.
    pub(super) fn find(&self, hash: u64, text: &str) -> Option<u32> {
        let group = KeyGroup::of(hash, KEY_GROUPS);
        Some(id_of(group, self.names(group).read().table.find(hash, text)?))
    }

    /// The text of an id, if it has one.
    pub(super) fn text(&self, id: u32) -> Option<Arc<str>> {
        self.names(group_of(id)).read().table.get(number_of(id)).map(Into::into)
    }

    /// The order of the texts of two ids.
    pub(super) fn compare(&self, left: u32, right: u32) -> Ordering {
        if left == right {
            return Ordering::Equal;
        }
        let own = self.names(group_of(left)).read();
        // Past writers that wait: they may wait for this very reader.
        let other = self.names(group_of(right)).read_recursive();
        own.table.get_bytes(number_of(left)).cmp(&other.table.get_bytes(number_of(right)))
    }

    /// The texts of a key group.
    pub(super) fn names(&self, group: KeyGroup) -> &RwLock<Names> {
        &self.names[usize::from(group.0)]
    }

    /// Gives an object these attributes in place of those that it had.
    pub(super) fn describe(&self, id: u32, given: &Given, row: usize) {
        let mut described = self.described(id).write();
        let old = described.row(id);
        described.attributes.remove(old);
        // An object may have a row without columns.
        let new = described.attributes.insert(given, row).min(NO_ROW - 1);
        let rows = &mut described.rows[usize::from(group_of(id).0)];
        let number = number_of(id) as usize;
        if number >= rows.len() {
            rows.resize(number + 1, NO_ROW);
        }
        rows[number] = new;
        if old == NO_ROW {
            self.present.come(id);
        }
    }

    /// Takes an object's attributes away.
    pub(super) fn undescribe(&self, id: u32) {
        let mut described = self.described(id).write();
        let old = described.row(id);
        if old != NO_ROW {
            described.attributes.remove(old);
            described.rows[usize::from(group_of(id).0)][number_of(id) as usize] = NO_ROW;
            self.present.go(id);
        }
    }

    pub(super) fn value(&self, id: u32, attribute: usize) -> Value {
        let described = self.described(id).read();
        match described.row(id) {
            NO_ROW => Value::Null,
            row => described.attributes.value(row, attribute),
        }
    }

    /// Appends the values of objects, under one lock for all.
    pub(super) fn values(&self, ids: &[ObjectId], attribute: usize, values: &mut Vec<Value>) {
        let described: Vec<_> = self.described.iter().map(RwLock::read).collect();
        values.extend(ids.iter().map(|&ObjectId(id)| {
            let described = &described[group_of(id).worker(KEY_GROUPS, described.len())];
            match described.row(id) {
                NO_ROW => Value::Null,
                row => described.attributes.value(row, attribute),
            }
        }));
    }

    /// The objects of a key group that have attributes.
    pub(super) fn described_in(&self, group: KeyGroup) -> Vec<u32> {
        let described = self.described(u32::from(group.0)).read();
        let rows = (0..).zip(&described.rows[usize::from(group.0)]);
        rows.filter(|(_, row)| **row != NO_ROW).map(|(number, _)| id_of(group, number)).collect()
    }

    /// The attributes of objects of one key group that have some, as a checkpoint holds them.
    pub(super) fn export(&self, ids: &[u32]) -> Vec<arrow::array::ArrayRef> {
        let described = self.described(ids.first().copied().unwrap_or_default()).read();
        described.attributes.export(&ids.iter().map(|&id| described.row(id)).collect::<Vec<_>>())
    }

    /// Whether an object has attributes.
    pub(super) fn is_described(&self, id: u32) -> bool {
        self.described(id).read().row(id) != NO_ROW
    }

    /// An epoch has ended on the worker that has this key group.
    pub(super) fn settle(&self, group: KeyGroup) {
        self.described(u32::from(group.0)).write().attributes.settle();
    }

    /// How many ids were given, and the bytes that texts and tables take.
    pub(super) fn size(&self, group: KeyGroup) -> (u64, u64) {
        let names = self.names(group).read();
        (names.table.len() as u64, names.table.bytes() as u64)
    }

    fn described(&self, id: u32) -> &RwLock<Described> {
        &self.described[group_of(id).worker(KEY_GROUPS, self.described.len())]
    }
}

impl Described {
    fn row(&self, id: u32) -> u32 {
        let rows = &self.rows[usize::from(group_of(id).0)];
        rows.get(number_of(id) as usize).copied().unwrap_or(NO_ROW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_event::hash::hash_str;

    #[test]
    fn a_text_has_one_id_and_an_id_one_text() {
        let kind = KindStore::new(&[], 3);
        let texts: Vec<String> = (0..5_000).map(|number| format!("object {number}")).collect();
        let ids: Vec<u32> = texts.iter().map(|text| kind.intern(0, hash_str(text), text)).collect();
        let hashes: Vec<u64> = texts.iter().rev().map(|text| hash_str(text)).collect();
        let again = kind.intern_all(0, &hashes, |row| &texts[texts.len() - 1 - row]);
        assert!(again.iter().rev().eq(&ids), "together they have the same");
        let other = KindStore::new(&[], 3);
        assert_eq!(other.intern_all(0, &hashes, |row| &texts[texts.len() - 1 - row]).len(), ids.len());
        for (text, &id) in texts.iter().zip(&ids) {
            assert_eq!((kind.intern(0, hash_str(text), text), kind.find(hash_str(text), text)), (id, Some(id)));
            assert_eq!(kind.text(id).as_deref(), Some(text.as_str()));
            assert_eq!(group_of(id), KeyGroup::of(hash_str(text), KEY_GROUPS));
        }
        assert_eq!((kind.find(hash_str("nobody"), "nobody"), kind.text(u32::MAX)), (None, None));
        assert!(ids.iter().max().unwrap() < &(2 * 5_000), "ids are nearly dense");
        assert_eq!(kind.compare(ids[0], ids[1]), Ordering::Less);
    }

    /// What an id costs beside its text, which is held once.
    #[test]
    fn an_id_costs_few_bytes() {
        let kind = KindStore::new(&[], 1);
        let texts: Vec<String> = (0..200_000).map(|number| format!("{number:011}")).collect();
        let ids: std::collections::HashSet<u32> =
            texts.iter().map(|text| kind.intern(0, hash_str(text), text)).collect();
        assert_eq!(ids.len(), texts.len());
        let bytes: u64 = (0..KEY_GROUPS as u16).map(|group| kind.size(KeyGroup(group)).1).sum();
        let each = bytes as f64 / texts.len() as f64;
        assert!(each < 11.0 + 48.0, "{each:.1} bytes for an id and its text of 11");
    }
}
