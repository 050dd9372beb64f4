//! Strings as few bytes: what repeats is written once, and so is what all begin with.
//!
//! Behind a number of different strings (`u8`), unless that is 0, come these strings, then for each row the number of its
//! string, in as many bits as the greatest one needs. Behind 0 comes what all strings begin with, its length (`u8`)
//! first, then the rest of each. Strings are their lengths as words, then all their bytes.

use super::words;

/// The longest string that lies in a view itself.
const INLINE_MAX: u64 = 12;
/// Different strings at the most, where what repeats is written once.
const DIFFERENT_MAX: usize = 128;
/// Slots that they are looked up in.
const SLOTS: usize = 512;

/// Strings as tables of groups hold them, and nearly as Arrow's views do: the lower half of the first word is the
/// length; a string of at most twelve bytes follows in the rest, with zeros behind it; of a longer one, its first four
/// bytes, then its place in `long`.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    /// The first word of each.
    pub low: &'a [u64],
    /// The second.
    pub high: &'a [u64],
    /// The bytes of long ones.
    pub long: &'a [u8],
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) lengths: Vec<u64>,
    numbers: Vec<u8>,
}

/// Strings that are put together one by one.
#[derive(Debug, Default)]
pub(super) struct Views {
    low: Vec<u64>,
    high: Vec<u64>,
    long: Vec<u8>,
}

impl Views {
    pub(super) fn clear(&mut self) {
        self.low.clear();
        self.high.clear();
        self.long.clear();
    }

    pub(super) fn push(&mut self, string: &[u8]) {
        let len = string.len();
        let mut bytes = [0; 16];
        let inline = if len as u64 <= INLINE_MAX { len } else { 4 };
        bytes[4..4 + inline].copy_from_slice(&string[..inline]);
        let view = u128::from_le_bytes(bytes) | len as u128;
        self.low.push(view as u64);
        if inline == len {
            self.high.push((view >> 64) as u64);
        } else {
            self.high.push(self.long.len() as u64);
            self.long.extend_from_slice(string);
        }
    }

    pub(super) fn strings(&self) -> Strings<'_> {
        Strings { low: &self.low, high: &self.high, long: &self.long }
    }
}

/// Appends strings; of none nothing.
pub(super) fn put(strings: Strings<'_>, room: &mut Room, out: &mut Vec<u8>) {
    if strings.low.is_empty() {
        return;
    }
    match strings.different(&mut room.numbers) {
        Some(different) => {
            out.push(different.len() as u8);
            strings.put_some(different.iter().map(|&row| row as usize), 0, &mut room.lengths, out);
            let bits = bits_of(different.len());
            if bits > 0 {
                words::put_bits(room.numbers.iter().map(|&number| u64::from(number)), bits, out);
            }
        }
        None => {
            let prefix = strings.prefix();
            out.push(0);
            out.push(prefix as u8);
            out.extend_from_slice(&inline(strings.low[0], strings.high[0]).to_le_bytes()[..prefix]);
            strings.put_some(0..strings.low.len(), prefix, &mut room.lengths, out);
        }
    }
}

/// The bits of the greatest of so many numbers.
pub(super) fn bits_of(different: usize) -> u32 {
    usize::BITS - (different - 1).leading_zeros()
}

/// The bytes of a short string, or the first four of a long one and its place.
#[inline(always)]
fn inline(low: u64, high: u64) -> u128 {
    u128::from(low >> 32) | u128::from(high) << 32
}

#[inline(always)]
fn len(low: u64) -> u64 {
    low & u64::from(u32::MAX)
}

impl<'a> Strings<'a> {
    #[inline(always)]
    fn bytes_of_long(&self, row: usize) -> &'a [u8] {
        &self.long[self.high[row] as usize..][..len(self.low[row]) as usize]
    }

    /// The first row of each different string, and each row's string by number in `numbers`; `None` where they are not
    /// much fewer than the rows.
    fn different(&self, numbers: &mut Vec<u8>) -> Option<Vec<u32>> {
        let most = DIFFERENT_MAX.min(self.low.len() / 2);
        let mut slots = [u8::MAX; SLOTS];
        let mut different: Vec<u32> = Vec::new();
        numbers.clear();
        for row in 0..self.low.len() {
            let mut slot = self.slot(row);
            let number = loop {
                match slots[slot] {
                    u8::MAX if different.len() == most => return None,
                    u8::MAX => {
                        slots[slot] = different.len() as u8;
                        different.push(row as u32);
                        break slots[slot];
                    }
                    number if self.same(row, different[usize::from(number)] as usize) => break number,
                    _ => slot = (slot + 1) % SLOTS,
                }
            };
            numbers.push(number);
        }
        Some(different)
    }

    #[inline(always)]
    fn slot(&self, row: usize) -> usize {
        let (low, mut high) = (self.low[row], self.high[row]);
        if len(low) > INLINE_MAX {
            // The end, as names differ there rather than where they begin.
            let bytes = self.bytes_of_long(row);
            high = u64::from_le_bytes(*bytes.last_chunk().expect("a long string has more than twelve bytes"));
        }
        let mixed = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - SLOTS.trailing_zeros())) as usize
    }

    #[inline(always)]
    fn same(&self, row: usize, other: usize) -> bool {
        self.low[row] == self.low[other]
            && (self.high[row] == self.high[other]
                || len(self.low[row]) > INLINE_MAX && self.bytes_of_long(row) == self.bytes_of_long(other))
    }

    /// How many bytes all begin with; of long strings no more than lie in the view.
    fn prefix(&self) -> usize {
        let first = inline(self.low[0], self.high[0]);
        let (mut differ, mut least) = (0, u64::MAX);
        for (&low, &high) in self.low.iter().zip(self.high) {
            differ |= inline(low, high) ^ first;
            least = least.min(if len(low) > INLINE_MAX { 4 } else { len(low) });
        }
        (differ.trailing_zeros() as usize / 8).min(least as usize)
    }

    /// Appends the strings of some rows without their first bytes.
    fn put_some(
        &self,
        rows: impl Iterator<Item = usize> + Clone,
        skip: usize,
        lengths: &mut Vec<u64>,
        out: &mut Vec<u8>,
    ) {
        lengths.clear();
        lengths.extend(rows.clone().map(|row| len(self.low[row]) - skip as u64));
        words::put(lengths, out);
        let mut at = out.len();
        let end = at + lengths.iter().sum::<u64>() as usize;
        // A short string is written with all the zeros behind it, over which the next one goes.
        out.resize(end + size_of::<u128>(), 0);
        for (row, &len) in rows.zip(&*lengths) {
            let len = len as usize;
            if len + skip > INLINE_MAX as usize {
                out[at..at + len].copy_from_slice(&self.bytes_of_long(row)[skip..]);
            } else {
                let bytes = inline(self.low[row], self.high[row]) >> (8 * skip);
                out[at..at + size_of::<u128>()].copy_from_slice(&bytes.to_le_bytes());
            }
            at += len;
        }
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_all(strings: &[&str]) -> Vec<u8> {
        let mut views = Views::default();
        strings.iter().for_each(|string| views.push(string.as_bytes()));
        let mut out = Vec::new();
        put(views.strings(), &mut Room::default(), &mut out);
        out
    }

    /// What stands in checkpoints: a change needs another version in `proxima_checkpoint`'s files.
    #[test]
    fn strings_have_these_bytes() {
        // What all begin with, then the lengths of the rest in a byte each, and the rest.
        assert_eq!(put_all(&["mid_1", "mid_22", "mid_"]), b"\0\x04mid_\x01\x01\x02\x00122");
        // Two different ones, their lengths and bytes, and a bit for each row.
        assert_eq!(put_all(&["cart", "home", "home", "cart", "home"]), b"\x02\x01\x04\x04carthome\x16");
        let long = "a name of many words";
        assert_eq!(put_all(&[long, long]), [b"\x01\x01\x14", long.as_bytes()].concat());
        assert_eq!(put_all(&["", ""]), b"\x01\0");
        assert_eq!(put_all(&[]), b"");
    }

    #[test]
    fn long_strings_share_at_most_four_bytes() {
        assert_eq!(put_all(&["name of a shop", "name of one"])[..8], *b"\0\x04name\x01\x0a");
    }
}
