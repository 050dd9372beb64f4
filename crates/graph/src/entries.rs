//! The entries of a row of pair counts: an item's id in the upper bits, a signed count in the lower ones.
//!
//! A row is a multiset of entries: what does not fit into the count bits of one stays in another; readers sum.

use crate::slab::{Array, Slab};

/// Count bits to choose from. The ids that go with them: 65 thousand, 1 million, 4, 16, 67 and 268 million.
const COUNT_BITS: [u32; 6] = [16, 12, 10, 8, 6, 4];

/// How ids and counts share an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryLayout {
    pub(crate) count_bits: u32,
}

impl EntryLayout {
    /// The layout with the largest counts that still holds this id.
    pub(crate) fn for_id(id: u32) -> Self {
        COUNT_BITS
            .into_iter()
            .map(|count_bits| Self { count_bits })
            .find(|layout| layout.holds(id))
            .expect("ids are below 2^28: no key group has a million objects")
    }

    /// Whether any layout holds this id.
    pub(crate) fn holds_any(id: u32) -> bool {
        COUNT_BITS.into_iter().any(|count_bits| Self { count_bits }.holds(id))
    }

    #[inline]
    pub(crate) fn holds(self, id: u32) -> bool {
        u64::from(id) < 1 << (32 - self.count_bits)
    }

    #[inline]
    pub(crate) fn pack(self, id: u32, count: i32) -> u32 {
        id << self.count_bits | (count as u32 & ((1 << self.count_bits) - 1))
    }

    #[inline]
    pub(crate) fn id(self, entry: u32) -> u32 {
        entry >> self.count_bits
    }

    #[inline]
    pub(crate) fn count(self, entry: u32) -> i32 {
        let unused = 32 - self.count_bits;
        (entry << unused) as i32 >> unused
    }

    #[inline]
    pub(crate) fn fits(self, count: i32) -> bool {
        let limit = 1 << (self.count_bits - 1);
        (-limit..limit).contains(&count)
    }

    /// A count as a sum of counts that fit.
    pub(crate) fn parts(self, count: i64) -> impl Iterator<Item = i32> {
        let limit = (1_i64 << (self.count_bits - 1)) - 1;
        let mut left = count;
        std::iter::from_fn(move || {
            let part = left.clamp(-limit, limit);
            left -= part;
            (part != 0).then_some(part as i32)
        })
    }
}

/// Sums the entries of each item in place and drops those that come to nothing.
pub(crate) fn compact(slab: &mut Slab, row: &mut Array, layout: EntryLayout, places: &mut [u32]) {
    let entries = slab.words_mut(row);
    let mut kept = 0;
    let mut zeros = false;
    for index in 0..entries.len() {
        let entry = entries[index];
        let id = layout.id(entry);
        let place = places[id as usize] as usize;
        if place < kept && layout.id(entries[place]) == id {
            let sum = layout.count(entries[place]) + layout.count(entry);
            if layout.fits(sum) {
                entries[place] = layout.pack(id, sum);
                zeros |= sum == 0;
                continue;
            }
        }
        places[id as usize] = kept as u32;
        entries[kept] = entry;
        kept += 1;
    }
    if zeros {
        kept = drop_zeros(&mut entries[..kept], layout);
    }
    slab.truncate(row, kept);
}

fn drop_zeros(entries: &mut [u32], layout: EntryLayout) -> usize {
    let mut kept = 0;
    for index in 0..entries.len() {
        if layout.count(entries[index]) != 0 {
            entries[kept] = entries[index];
            kept += 1;
        }
    }
    kept
}

/// The sums of a row's entries by id, without zeros. Sorts the entries in place: their order means nothing.
pub(crate) fn sum_entries(entries: &mut [u32], layout: EntryLayout, sums: &mut Vec<(u32, i64)>) {
    entries.sort_unstable();
    sums.clear();
    for &entry in entries.iter() {
        let (id, count) = (layout.id(entry), i64::from(layout.count(entry)));
        match sums.last_mut() {
            Some(last) if last.0 == id => last.1 += count,
            _ => sums.push((id, count)),
        }
    }
    sums.retain(|&(_, count)| count != 0);
}

/// Writes a row anew with as few entries as its counts allow.
pub(crate) fn rewrite(slab: &mut Slab, row: &mut Array, layout: EntryLayout, sums: &[(u32, i64)]) {
    let parts: usize = sums.iter().map(|&(_, count)| layout.parts(count).count()).sum();
    if parts == 0 {
        slab.free(row);
        return;
    }
    slab.truncate(row, 0);
    slab.grow(row, parts);
    for &(id, count) in sums {
        layout.parts(count).for_each(|part| slab.push(row, layout.pack(id, part)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_what_was_packed_up_to_the_limits() {
        for count_bits in COUNT_BITS {
            let layout = EntryLayout { count_bits };
            let (id, limit) = (u32::MAX >> count_bits, 1 << (count_bits - 1));
            for (id, count) in [(0, 0), (id, limit - 1), (id, -limit), (1, -1)] {
                let entry = layout.pack(id, count);
                assert_eq!((layout.id(entry), layout.count(entry)), (id, count));
            }
            assert!(layout.holds(id) && (count_bits == 4 || !layout.holds(id + 1)));
            assert!(!layout.fits(limit) && !layout.fits(-limit - 1));
        }
        assert_eq!(EntryLayout::for_id(1 << 20).count_bits, 10);
    }

    #[test]
    fn compaction_sums_in_place_and_drops_zeros() {
        let layout = EntryLayout { count_bits: 4 };
        let (mut slab, mut row) = (Slab::default(), Array::default());
        let entries = [(3, 5), (1, 1), (3, 4), (2, -1), (1, -1), (3, 1), (2, -8)];
        slab.grow(&mut row, entries.len());
        entries.iter().for_each(|&(id, count)| slab.push(&mut row, layout.pack(id, count)));
        // Places are never cleared: these point anywhere.
        let mut places = [6, 0, 3, 9];
        compact(&mut slab, &mut row, layout, &mut places);
        let found: Vec<_> = slab.words(&row).iter().map(|&entry| (layout.id(entry), layout.count(entry))).collect();
        assert_eq!(found, [(3, 5), (3, 5), (2, -1), (2, -8)], "sums past 7 and -8 take two entries");
        let mut sums = Vec::new();
        sum_entries(slab.words_mut(&row), layout, &mut sums);
        assert_eq!(sums, [(2, -9), (3, 10)]);
    }
}
