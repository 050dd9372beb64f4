//! What a table notes for checkpoints: which groups have changed since the last save, which are gone, and to which key
//! group each number belongs, so that a save finds what it needs without hashing keys.
//!
//! Numbers that no save has given yet are the last ones of the table. They need no note: the next save writes all of them.

use super::{FREE, GONE, GroupTable, Mark};
use crate::operators::snapshot::{BATCH_ROWS, Save, Sorted};
use proxima_engine::ColumnType;
use proxima_event::{KEY_GROUPS, KeyGroup, KeyGroupSet};

const _: () = assert!(KEY_GROUPS <= 1 << u8::BITS, "the number of a key group is kept in a byte");

/// How many groups ahead a record is fetched.
const AHEAD: usize = 16;

/// The key group that a key's hash says.
fn key_group(hash: u64) -> u8 {
    KeyGroup::of(hash, KEY_GROUPS).0 as u8
}

/// What has changed since the last save.
#[derive(Default)]
pub(super) struct Tracking {
    /// The key group of each number.
    key_groups: Vec<u8>,
    /// The numbers from this one on came after the last save.
    saved: u32,
    /// Of the numbers before, those whose mark says that they have changed. A number that was freed since may come twice,
    /// or may be free.
    dirty: Vec<u32>,
    /// The groups that are gone but stand in the last save: their numbers are free when the next one has told so.
    gone: Vec<u32>,
    /// How the key columns are called in a save, where they are written value by value.
    pub(super) types: Vec<Option<ColumnType>>,
}

impl Tracking {
    pub(super) fn gone(&self) -> usize {
        self.gone.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.key_groups.capacity() + (self.dirty.capacity() + self.gone.capacity()) * size_of::<u32>()
    }

    /// Notes a new group. Says whether its number was in use at the last save.
    #[inline]
    pub(super) fn added(&mut self, group: u32, hash: u64) -> bool {
        if self.key_groups.len() == group as usize {
            self.key_groups.push(key_group(hash));
            return false;
        }
        self.key_groups[group as usize] = key_group(hash);
        let again = group < self.saved;
        if again {
            self.dirty.push(group);
        }
        again
    }
}

/// What a save has to write of a table, in the order of the table.
#[derive(Default)]
struct Listed {
    whole: Vec<u32>,
    changed: Vec<u32>,
    gone: Vec<u32>,
    /// How many groups of `changed` and `gone` were saved before.
    replaced: usize,
}

impl GroupTable {
    /// Notes from now on what changes. The table is empty still.
    pub(crate) fn track(&mut self) {
        assert_eq!(self.records.len(), 0, "changes are tracked from the first batch on");
        let types = self.layout.columns.iter().map(|column| ColumnType::new(&column.data_type)).collect();
        self.tracking = Some(Box::new(Tracking { types, ..Tracking::default() }));
    }

    /// Whether changes are noted.
    #[inline(always)]
    pub(crate) fn is_tracked(&self) -> bool {
        self.tracking.is_some()
    }

    /// Says to which key group a new group belongs, where that does not follow from the hash that it was looked up by.
    pub(crate) fn set_key_group(&mut self, group: u32, of: KeyGroup) {
        if let Some(tracking) = &mut self.tracking {
            tracking.key_groups[group as usize] = of.0 as u8;
        }
    }

    /// The key group of a group, of a table that is tracked.
    pub(crate) fn key_group(&self, group: u32) -> KeyGroup {
        let tracking = self.tracking.as_ref().expect("only tracked tables are asked for key groups");
        KeyGroup(u16::from(tracking.key_groups[group as usize]))
    }

    /// Changes of the groups below this number are to be noted: none where nothing is tracked.
    #[inline(always)]
    pub(crate) fn noted_below(&self) -> u32 {
        self.tracking.as_ref().map_or(0, |tracking| tracking.saved)
    }

    /// Notes that a group has changed.
    #[inline]
    pub(crate) fn touch(&mut self, group: u32) {
        if let Some(tracking) = &mut self.tracking
            && group < tracking.saved
            && Mark(&mut self.records.get_mut(group)[0]).make_dirty()
        {
            tracking.dirty.push(group);
        }
    }

    /// Notes groups whose marks were made dirty.
    #[inline]
    pub(crate) fn note_dirty(&mut self, group: u32) {
        if let Some(tracking) = &mut self.tracking {
            tracking.dirty.push(group);
        }
    }

    /// Begins a save: gives what it has to write, and counts that as written. The groups that are gone can be read
    /// until [`end_save`](Self::end_save).
    pub(crate) fn begin_save(&mut self, rewrite: &KeyGroupSet) -> Save {
        let listed = self.list(rewrite);
        let Listed { whole, changed, gone, replaced } = listed;
        Save { whole: self.sorted(whole), changed: self.sorted(changed), gone: self.sorted(gone), replaced }
    }

    /// The same in pieces that follow each other in the table: what is read for one stays in the processor's caches,
    /// where the groups of one key group would lie all over the table.
    pub(crate) fn begin_save_in_pieces(&mut self, rewrite: &KeyGroupSet) -> Vec<Save> {
        let Listed { whole, changed, gone, replaced } = self.list(rewrite);
        let pieces = |groups: &[u32]| groups.len().div_ceil(BATCH_ROWS);
        let count = pieces(&whole).max(pieces(&changed)).max(usize::from(!gone.is_empty()));
        let mut saves: Vec<Save> = (0..count)
            .map(|at| {
                let piece =
                    |groups: &[u32]| self.sorted(groups.chunks(BATCH_ROWS).nth(at).unwrap_or_default().to_vec());
                Save { whole: piece(&whole), changed: piece(&changed), ..Save::default() }
            })
            .collect();
        // A key may be gone and there again: what is gone goes first.
        if let Some(first) = saves.first_mut() {
            first.gone = self.sorted(gone);
            first.replaced = replaced;
        }
        saves
    }

    fn sorted(&self, groups: Vec<u32>) -> Sorted {
        let key_groups = self.tracking.as_ref().map_or(&[][..], |tracking| &tracking.key_groups);
        Sorted::new(groups, |group| key_groups[group as usize])
    }

    /// Lists what a save has to write, and counts that as written.
    fn list(&mut self, rewrite: &KeyGroupSet) -> Listed {
        let Some(mut tracking) = self.tracking.take() else { return Listed::default() };
        let is_whole = |group: u32| rewrite.contains(KeyGroup(u16::from(tracking.key_groups[group as usize])));
        let dirty = std::mem::take(&mut tracking.dirty);
        let (mut changed, mut replaced) = (Vec::with_capacity(dirty.len()), 0);
        for (at, &group) in dirty.iter().enumerate() {
            if let Some(&ahead) = dirty.get(at + AHEAD) {
                self.records.prefetch_first(ahead);
            }
            let mut mark = Mark(&mut self.records.get_mut(group)[0]);
            let was_saved = mark.is_saved();
            if mark.is_live() && mark.make_saved() && !is_whole(group) {
                replaced += usize::from(was_saved);
                changed.push(group);
            }
        }
        let end = self.records.len() as u32;
        let (saved, none_free) = (std::mem::replace(&mut tracking.saved, end), self.free.is_empty());
        let added = (saved..end).filter(|&group| none_free || self.is_live(group));
        changed.extend(added.filter(|&group| rewrite.is_empty() || !is_whole(group)));
        let whole = if rewrite.is_empty() { 0..0 } else { 0..end };
        let whole = whole.filter(|&group| is_whole(group) && self.is_live(group)).collect();
        let gone: Vec<u32> = tracking.gone.iter().copied().filter(|&group| !is_whole(group)).collect();
        replaced += gone.len();
        self.tracking = Some(tracking);
        Listed { whole, changed, gone, replaced }
    }

    /// The save is written: frees the numbers of the groups that are gone.
    pub(crate) fn end_save(&mut self) {
        let gone = self.tracking.as_mut().map(|tracking| std::mem::take(&mut tracking.gone));
        let gone = gone.unwrap_or_default();
        for (at, &group) in gone.iter().enumerate() {
            if let Some(&ahead) = gone.get(at + AHEAD) {
                self.records.prefetch_first(ahead);
            }
            self.free(group);
        }
    }

    /// Groups were loaded: they stand in the save that they came from, and have not changed.
    pub(crate) fn loaded(&mut self, groups: &[u32], of: KeyGroup) {
        let Some(tracking) = &mut self.tracking else { return };
        for &group in groups {
            Mark(&mut self.records.get_mut(group)[0]).make_saved();
            tracking.key_groups[group as usize] = of.0 as u8;
        }
        tracking.saved = self.records.len() as u32;
    }

    /// Forgets a loaded group, of which a later section says that it is gone.
    pub(crate) fn unload(&mut self, group: u32, tag: u32) {
        Mark(&mut self.records.get_mut(group)[0]).make_new();
        self.remove(group, tag);
    }

    /// Keeps a group that leaves the table until the next save has told so. Says no where no save knows of it.
    pub(super) fn keep_gone(&mut self, group: u32) -> bool {
        let Some(tracking) = &mut self.tracking else { return false };
        let mut mark = Mark(&mut self.records.get_mut(group)[0]);
        let keep = group < tracking.saved && mark.is_saved();
        if keep {
            mark.replace(GONE);
            tracking.gone.push(group);
        }
        keep
    }

    /// Gives a group's number free.
    pub(super) fn free(&mut self, group: u32) {
        let record = self.records.get_mut(group);
        self.arena_garbage += self.layout.long_bytes(&record[1..]);
        record[0] = u64::from(FREE);
        self.free.push(group);
        self.compact_arena();
    }
}
