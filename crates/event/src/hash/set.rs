//! Some of the key groups: who owns them, which of them are written anew.

use super::{KEY_GROUPS, KeyGroup};

const WORDS: usize = KEY_GROUPS / u64::BITS as usize;
const _: () = assert!(KEY_GROUPS.is_multiple_of(u64::BITS as usize), "the set has a bit for each key group");

/// A set of key groups.
///
/// ```
/// use proxima_event::{KEY_GROUPS, KeyGroup, KeyGroupSet};
///
/// let mine = KeyGroupSet::of_worker(0, 2);
/// assert!(mine.contains(KeyGroup(0)) && !mine.contains(KeyGroup(200)));
/// assert_eq!(mine.len() + KeyGroupSet::of_worker(1, 2).len(), KEY_GROUPS);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyGroupSet {
    words: [u64; WORDS],
}

impl KeyGroupSet {
    /// No key group.
    #[must_use]
    pub const fn none() -> Self {
        Self { words: [0; WORDS] }
    }

    /// All key groups.
    #[must_use]
    pub const fn all() -> Self {
        Self { words: [u64::MAX; WORDS] }
    }

    /// The key groups that one of some workers owns.
    #[must_use]
    pub fn of_worker(worker: usize, workers: usize) -> Self {
        Self::all().iter().filter(|group| group.worker(KEY_GROUPS, workers) == worker).collect()
    }

    /// Adds a key group.
    pub fn insert(&mut self, group: KeyGroup) {
        self.words[usize::from(group.0) / 64] |= 1 << (group.0 % 64);
    }

    /// Whether a key group is one of these.
    #[inline]
    #[must_use]
    pub fn contains(&self, group: KeyGroup) -> bool {
        self.words[usize::from(group.0) / 64] >> (group.0 % 64) & 1 != 0
    }

    /// The key groups that are in this set or in the other.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(other.words).for_each(|(word, other)| *word |= other);
        self
    }

    /// The key groups that are in both sets.
    #[must_use]
    pub fn intersection(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(other.words).for_each(|(word, other)| *word &= other);
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; WORDS]
    }

    /// A bit for each key group, the first ones first.
    #[must_use]
    pub fn to_le_bytes(&self) -> [u8; KEY_GROUPS / 8] {
        let mut bytes = [0; KEY_GROUPS / 8];
        bytes.as_chunks_mut().0.iter_mut().zip(self.words).for_each(|(at, word)| *at = word.to_le_bytes());
        bytes
    }

    /// The key groups whose [bits](Self::to_le_bytes) these are.
    #[must_use]
    pub fn from_le_bytes(bytes: &[u8; KEY_GROUPS / 8]) -> Self {
        let mut words = [0; WORDS];
        words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, at)| *word = u64::from_le_bytes(*at));
        Self { words }
    }

    /// The key groups, ascending.
    pub fn iter(&self) -> impl Iterator<Item = KeyGroup> + use<> {
        let set = *self;
        (0..KEY_GROUPS as u16).map(KeyGroup).filter(move |&group| set.contains(group))
    }
}

impl From<KeyGroup> for KeyGroupSet {
    fn from(group: KeyGroup) -> Self {
        [group].into_iter().collect()
    }
}

impl FromIterator<KeyGroup> for KeyGroupSet {
    fn from_iter<I: IntoIterator<Item = KeyGroup>>(groups: I) -> Self {
        let mut set = Self::none();
        groups.into_iter().for_each(|group| set.insert(group));
        set
    }
}
