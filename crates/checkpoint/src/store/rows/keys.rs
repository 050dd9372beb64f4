//! The keys of rows.
//!
//! ```text
//! n/{prefix}{name}                                a head: heads of one prefix stand together, so that a list is one scan
//! {digit}/{prefix}{name}\0{write}\0{number}       a part: the first digit of the write spreads them over 16 regions
//! ```

use std::ops::Range;

/// The digits that parts begin with.
const DIGITS: &[u8; 16] = b"0123456789abcdef";
const HEADS: &[u8] = b"n/";

/// Where a table is cut into regions, so that parts are spread over its servers from the beginning.
#[must_use]
pub fn region_splits() -> Vec<Vec<u8>> {
    DIGITS[1..].iter().chain(&HEADS[..1]).map(|&first| vec![first]).collect()
}

/// The name of the column that holds the value's cell of this number.
pub(super) fn cell(at: usize) -> String {
    format!("{at:08}")
}

/// The keys below a prefix.
pub(super) struct Keys {
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        Self { prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") } }
    }

    pub(super) fn head(&self, name: &str) -> Vec<u8> {
        [HEADS, self.prefix.as_bytes(), name.as_bytes()].concat()
    }

    /// The heads of names with this beginning.
    pub(super) fn heads(&self, names: &str) -> Range<Vec<u8>> {
        beginning_with(self.head(names))
    }

    /// The name that a head's key says.
    pub(super) fn name<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(key.strip_prefix(HEADS)?).ok()?.strip_prefix(&*self.prefix)
    }

    pub(super) fn part(&self, name: &str, write: &str, at: usize) -> Vec<u8> {
        [&self.parts(name, write).start[..], cell(at).as_bytes()].concat()
    }

    /// The parts of one write.
    pub(super) fn parts(&self, name: &str, write: &str) -> Range<Vec<u8>> {
        let digit = write.as_bytes().first().copied().unwrap_or(DIGITS[0]);
        let of_name = [&[digit, b'/'], self.prefix.as_bytes(), name.as_bytes()].concat();
        beginning_with([&of_name[..], &[0], write.as_bytes(), &[0]].concat())
    }

    /// Where all parts below the prefix stand.
    pub(super) fn all_parts(&self) -> impl Iterator<Item = Range<Vec<u8>>> {
        DIGITS.iter().map(|&digit| beginning_with([&[digit, b'/'], self.prefix.as_bytes()].concat()))
    }

    /// The name and the write that a part's key says.
    pub(super) fn written<'a>(&self, key: &'a [u8]) -> Option<(&'a str, &'a str)> {
        let rest = std::str::from_utf8(key.get(2..)?).ok()?.strip_prefix(&*self.prefix)?;
        let (name, rest) = rest.split_once('\0')?;
        Some((name, rest.split_once('\0')?.0))
    }
}

/// All keys with this beginning. It ends below 0xff: names are text.
fn beginning_with(start: Vec<u8>) -> Range<Vec<u8>> {
    let mut end = start.clone();
    *end.last_mut().expect("a beginning is not empty") += 1;
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back() {
        for prefix in ["", "jobs/mall"] {
            let keys = Keys::new(prefix);
            assert_eq!(keys.name(&keys.head("log/1.json")), Some("log/1.json"));
            let part = keys.part("state/1", "a7", 3);
            assert_eq!(keys.written(&part), Some(("state/1", "a7")));
            assert!(keys.parts("state/1", "a7").contains(&part));
            assert!(!keys.parts("state/1", "a").contains(&part), "another write");
            assert!(!keys.parts("state/", "a7").contains(&part), "another name");
            assert_eq!(keys.all_parts().filter(|range| range.contains(&part)).count(), 1);
            assert!(keys.heads("log/").contains(&keys.head("log/9")) && !keys.heads("log/").contains(&part));
        }
    }

    #[test]
    fn prefixes_are_kept_apart() {
        let (mall, malls) = (Keys::new("mall"), Keys::new("malls"));
        assert!(!mall.heads("").contains(&malls.head("log/1")));
        assert_eq!(mall.name(&malls.head("log/1")), None);
    }

    #[test]
    fn each_digit_and_the_heads_have_a_region() {
        let splits = region_splits();
        assert_eq!(splits.len(), 16);
        assert!(splits.is_sorted() && splits.iter().all(|split| split.len() == 1));
        assert!(*splits.last().unwrap() <= Keys::new("").head("x"));
    }
}
