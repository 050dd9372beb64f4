//! The hash of a key and its key group: the same on every machine, in every version, for ever.
//!
//! State, snapshots and the spread of work go by key group, so a change here would orphan every stored checkpoint.
//! The test vectors in `hash/tests.rs` hold it in place. Values that are equal in SQL hash alike whatever their Arrow
//! encoding: `Utf8`, `LargeUtf8`, `Utf8View` and dictionaries of them agree, and so do all integer widths, both float
//! widths, and all units of times, timestamps and durations. (Decimals hash by unscaled value and scale: the planner
//! brings both sides of a comparison to one scale before they meet.)
//!
//! Every value gives two 64-bit words (`hash/words.rs`); a column is mixed into a row's running hash by one 64 × 64 → 128 bit
//! multiplication whose halves are folded together, and one more such step ends the row. Both ends of the result are
//! usable: [`KeyGroup`] takes the upper bits, hash tables the lower ones.

mod nested;
mod set;
#[cfg(test)]
mod tests;
mod words;

pub use set::KeyGroupSet;

use arrow::array::ArrayRef;

/// How many key groups a job has unless it says otherwise.
pub const KEY_GROUPS: usize = 256;

/// A share of the key space: state lives and moves in key groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u16);

impl KeyGroup {
    /// The group of a key: the upper bits of its hash. (The lower ones index hash tables.)
    #[must_use]
    pub fn of(hash: u64, groups: usize) -> Self {
        Self(((u128::from(hash) * groups as u128) >> 64) as u16)
    }

    /// The worker that owns this group: groups are dealt in equal runs.
    #[must_use]
    pub fn worker(self, groups: usize, workers: usize) -> usize {
        self.0 as usize * workers / groups
    }
}

/// What a row starts from, and what its words are mixed with: odd numbers from the digits of π without structure of
/// their own. They are part of the stored format.
const START: u64 = 0x243f_6a88_85a3_08d3;
const MIX: u64 = 0x1319_8a2e_0370_7345;
const END: u64 = 0xa409_3822_299f_31d1;
const LAST: u64 = 0x082e_fa98_ec4e_6c89;

/// The two words that stand for a value while it is hashed.
type Words = [u64; 2];

/// The words of NULL, which no other value is likely to have.
const NULL: Words = [0x4528_21e6_38d0_1377, 0xbe54_66cf_34e9_0c6c];

/// The hash of each row over the given columns. With no columns every row hashes alike (one group for all).
///
/// # Panics
/// When a column is not `rows` long, or of a type that SQL tables here cannot have (unions, run-end encoding, views of
/// lists).
///
/// ```
/// use arrow::array::{ArrayRef, Int32Array, Int64Array};
/// use proxima_event::hash::hash_columns;
/// use std::sync::Arc;
///
/// let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
/// let wide: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
/// assert_eq!(hash_columns(&[narrow], 2), hash_columns(&[wide], 2));
/// ```
#[must_use]
pub fn hash_columns(columns: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut hashes = vec![START; rows];
    for column in columns {
        assert_eq!(column.len(), rows, "every column has the rows that are hashed");
        words::mix_column(&mut hashes, column.as_ref());
    }
    hashes.iter_mut().for_each(|hash| *hash = finish(*hash));
    hashes
}

/// The hash of a row whose only column is this text: what [`hash_columns`] gives for it in a batch.
#[must_use]
pub fn hash_str(text: &str) -> u64 {
    hash_bytes(text.as_bytes())
}

/// The hash of a row whose only column is these bytes.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    finish(mix(START, words::of_bytes(bytes)))
}

/// One hash of two, in their order: of a name and a value within it.
#[must_use]
pub fn combine(left: u64, right: u64) -> u64 {
    fold(fold(left ^ START, MIX) ^ right, LAST)
}

/// One value more in a row's running hash.
fn mix(running: u64, [low, high]: Words) -> u64 {
    fold(running ^ low, MIX ^ high)
}

/// The end of a row: after it each input bit reaches both ends of the hash.
fn finish(running: u64) -> u64 {
    fold(running ^ END, LAST)
}

/// The product in 128 bits, its halves folded together.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
