//! Names with dense numbers: the text of each subject or object is kept once, and everything else uses the number.

use crate::numbers::Numbers;
use crate::slab::prefetch;
use hashbrown::HashSet;

/// Names in the order they were first seen; a name's number is its place in that order.
#[derive(Debug, Default)]
pub(crate) struct NameTable {
    text: Vec<u8>,
    /// Where each name ends in `text`, and its key hash.
    names: Vec<Name>,
    numbers: Numbers,
    /// The numbers whose names were taken back; nothing gets them again.
    forgotten: HashSet<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    end: usize,
    hash: u64,
}

impl NameTable {
    /// The number of a name, and whether it is new. `hash` is the key hash of the name.
    pub(crate) fn intern(&mut self, hash: u64, name: &str) -> (u32, bool) {
        if let Some(number) = self.find(hash, name) {
            return (number, false);
        }
        let number = u32::try_from(self.names.len()).expect("a table holds fewer than 2^32 names");
        self.text.extend_from_slice(name.as_bytes());
        self.names.push(Name { end: self.text.len(), hash });
        let names = &self.names;
        self.numbers.insert(hash, number, |number| names[number as usize].hash);
        (number, true)
    }

    /// The number of a name, if it has one. `hash` is the key hash of the name.
    pub(crate) fn find(&self, hash: u64, name: &str) -> Option<u32> {
        self.numbers.find(hash, |number| self.bytes_of(number) == name.as_bytes())
    }

    /// Asks the processor to load where a name of this hash stands, the first of three things in turn that finding it needs.
    #[inline]
    pub(crate) fn prefetch_number(&self, hash: u64) {
        self.numbers.prefetch(hash);
    }

    /// The second one: where its text stands.
    #[inline]
    pub(crate) fn prefetch_name(&self, hash: u64) {
        self.likely(hash).into_iter().for_each(|number| prefetch(&self.names[number as usize]));
    }

    /// The last one: its text.
    #[inline]
    pub(crate) fn prefetch_text(&self, hash: u64) {
        let start = self.likely(hash).map(|number| span(&self.names, number).start);
        start.and_then(|start| self.text.get(start)).into_iter().for_each(prefetch);
    }

    /// The number of a name that probably has this hash.
    #[inline]
    fn likely(&self, hash: u64) -> Option<u32> {
        self.numbers.find(hash, |_| true)
    }

    /// Overwrites a name and gives its number to nobody again. An empty text stands in its place.
    pub(crate) fn forget(&mut self, number: u32) {
        let hash = self.hash(number);
        if self.is_there(number) {
            let names = &self.names;
            self.numbers.remove(hash, number, |number| names[number as usize].hash);
            self.text[span(&self.names, number)].fill(0);
            self.names[number as usize].hash = 0;
            self.forgotten.insert(number);
        }
    }

    /// Takes up the next number without a name.
    pub(crate) fn skip(&mut self) {
        self.forgotten.insert(u32::try_from(self.names.len()).expect("a table holds fewer than 2^32 names"));
        self.names.push(Name { end: self.text.len(), hash: 0 });
    }

    /// The name with this number, unless it was taken back or never given.
    pub(crate) fn get(&self, number: u32) -> Option<&str> {
        self.is_there(number).then(|| self.name(number))
    }

    /// The bytes of the name with this number, which are in the order of the names.
    pub(crate) fn get_bytes(&self, number: u32) -> Option<&[u8]> {
        self.is_there(number).then(|| self.bytes_of(number))
    }

    fn is_there(&self, number: u32) -> bool {
        (number as usize) < self.names.len() && !self.forgotten.contains(&number)
    }

    fn bytes_of(&self, number: u32) -> &[u8] {
        &self.text[span(&self.names, number)]
    }

    /// The name with this number.
    ///
    /// # Panics
    /// When no name has it.
    pub(crate) fn name(&self, number: u32) -> &str {
        std::str::from_utf8(self.bytes_of(number)).expect("only whole names were put in")
    }

    /// The key hash of the name with this number.
    pub(crate) fn hash(&self, number: u32) -> u64 {
        self.names[number as usize].hash
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity() + self.names.capacity() * size_of::<Name>() + self.numbers.bytes()
    }
}

/// Where a name stands in the text.
fn span(names: &[Name], number: u32) -> std::ops::Range<usize> {
    let number = number as usize;
    let start = if number == 0 { 0 } else { names[number - 1].end };
    start..names[number].end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_keeps_the_number_it_got_first() {
        let mut names = NameTable::default();
        let hash_of = |number: u32| u64::from(number / 10).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for round in 0..2 {
            for number in 0..5_000_u32 {
                // Ten share each hash, as if the hash function had failed.
                let found = names.intern(hash_of(number), &format!("name {number}"));
                assert_eq!(found, (number, round == 0));
            }
        }
        assert_eq!((names.name(0), names.name(4_999), names.hash(4_999)), ("name 0", "name 4999", hash_of(4_999)));
        assert_eq!(names.intern(1, ""), (5_000, true));
        assert_eq!((names.name(5_000), names.len()), ("", 5_001));
    }

    #[test]
    fn a_forgotten_name_leaves_no_text_and_its_number_is_not_given_again() {
        let mut names = NameTable::default();
        let hashes = [("ann", 7), ("bob", 7), ("cid", 9)];
        hashes.iter().for_each(|&(name, hash)| assert!(names.intern(hash, name).1));
        names.forget(1);
        assert_eq!([0, 1, 2, 3].map(|number| names.get(number)), [Some("ann"), None, Some("cid"), None]);
        assert!(!names.text.windows(3).any(|text| text == b"bob"));
        assert_eq!((names.find(7, "bob"), names.intern(7, "bob")), (None, (3, true)));
        names.skip();
        assert_eq!(names.get(4), None);
        assert_eq!(names.intern(1, "dan"), (5, true));
    }
}
