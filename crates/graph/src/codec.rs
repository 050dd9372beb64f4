//! Keys and values of a path's table in the key-value store. Whoever reads the store reads these, so they are fixed:
//!
//! | key | value |
//! |---|---|
//! | `i` name | the object's id: 4 bytes, big-endian |
//! | `n` id | the object's name |
//! | `r` id, shard | the row: for each neighbour, by id, the distance to the id before and the count |
//! | `c` block, shard | the norms of [`NORM_BLOCK`] ids in a row: in how many of the shard's subjects each is |
//! | `g` shard | for each block of the shard the number of its publication, so that readers know what to read again |
//!
//! Ids and blocks in keys are 4 bytes, shards 2, big-endian. Numbers in values are LEB128 varints. Subjects are spread
//! over shards, one on each worker; the counts of a row, and its norm, are the sums over its shards.

/// How many ids share a block of norms.
pub(crate) const NORM_BLOCK: usize = 1024;

/// A part of the subjects, whose pairs one worker counts: named by a key group that this worker owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shard(pub(crate) u16);

pub(crate) fn id_key(name: &str) -> Vec<u8> {
    [b"i", name.as_bytes()].concat()
}

pub(crate) fn name_key(id: u32) -> Vec<u8> {
    [b"n", &id.to_be_bytes()[..]].concat()
}

/// What the keys of all shards of a row begin with.
pub(crate) fn row_prefix(id: u32) -> Vec<u8> {
    [b"r", &id.to_be_bytes()[..]].concat()
}

pub(crate) fn row_key(id: u32, shard: Shard) -> Vec<u8> {
    [b"r", &id.to_be_bytes()[..], &shard.0.to_be_bytes()].concat()
}

pub(crate) fn norms_key(block: u32, shard: Shard) -> Vec<u8> {
    [b"c", &block.to_be_bytes()[..], &shard.0.to_be_bytes()].concat()
}

/// What the keys of all shards' publication numbers begin with.
pub(crate) const PUBLISHED_PREFIX: &[u8] = b"g";

pub(crate) fn published_key(shard: Shard) -> Vec<u8> {
    [PUBLISHED_PREFIX, &shard.0.to_be_bytes()].concat()
}

pub(crate) fn published_shard(key: &[u8]) -> Option<Shard> {
    let bytes = key.strip_prefix(PUBLISHED_PREFIX)?.try_into().ok()?;
    Some(Shard(u16::from_be_bytes(bytes)))
}

pub(crate) fn decode_id(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Writes a row, whose neighbours come by rising id with positive counts.
pub(crate) fn encode_row(row: &[(u32, i64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row.len() * 3);
    let mut last = 0;
    for &(id, count) in row {
        let count = u64::try_from(count).expect("what is counted down was counted up before");
        write_number(&mut bytes, u64::from(id - last));
        write_number(&mut bytes, count);
        last = id;
    }
    bytes
}

/// Reads a row, or gives `None` when the bytes are not one.
pub(crate) fn decode_row(mut bytes: &[u8]) -> Option<Vec<(u32, u64)>> {
    let mut row = Vec::with_capacity(bytes.len() / 2);
    let mut last = 0_u32;
    while !bytes.is_empty() {
        let distance = u32::try_from(read_number(&mut bytes)?).ok()?;
        last = last.checked_add(distance)?;
        row.push((last, read_number(&mut bytes)?));
    }
    Some(row)
}

pub(crate) fn encode_numbers(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.for_each(|number| write_number(&mut bytes, number));
    bytes
}

pub(crate) fn decode_numbers(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::with_capacity(bytes.len());
    while !bytes.is_empty() {
        numbers.push(read_number(&mut bytes)?);
    }
    Some(numbers)
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[inline]
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_numbers_come_back_as_they_were() {
        let row = [(0, 1), (5, 127), (6, 128), (1 << 27, i64::MAX), (u32::MAX, 3)];
        let expected: Vec<_> = row.iter().map(|&(id, count)| (id, count as u64)).collect();
        assert_eq!(decode_row(&encode_row(&row)), Some(expected));
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::MAX];
        assert_eq!(decode_numbers(&encode_numbers(numbers.into_iter())), Some(numbers.to_vec()));
    }

    #[test]
    fn bytes_that_are_no_row_are_refused() {
        assert_eq!(decode_row(&[0x80]), None, "cut inside a number");
        assert_eq!(decode_row(&[1]), None, "no count");
        assert_eq!(decode_row(&[0xff; 11]), None, "a number without end");
        assert_eq!(decode_id(&[1, 2, 3]), None);
        assert_eq!(published_shard(b"g\x00"), None);
    }

    #[test]
    fn a_row_key_starts_with_its_prefix_and_no_other() {
        let key = row_key(0x0102, Shard(3));
        assert!(key.starts_with(&row_prefix(0x0102)));
        assert!(!key.starts_with(&row_prefix(0x0103)));
        assert_eq!(published_shard(&published_key(Shard(700))), Some(Shard(700)));
    }
}
