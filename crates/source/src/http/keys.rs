//! The keys of the last requests: a request that comes again is known by its key.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How many keys are remembered: at a hundred requests a second those of a quarter of an hour.
pub const KEYS_MAX: usize = 100_000;

/// Where the keys of deleted segments are kept.
const FILE: &str = "keys";

/// The records that a request was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub first: u64,
    pub end: u64,
}

/// Keys with what their requests were given, oldest first. Bounded in number.
#[derive(Debug, Default)]
pub(super) struct Keys {
    given: HashMap<Arc<str>, Given>,
    order: VecDeque<Arc<str>>,
}

impl Keys {
    /// What the request of this key was given, if it is remembered.
    pub(super) fn get(&self, key: &str) -> Option<Given> {
        self.given.get(key).copied()
    }

    /// Remembers a key, and forgets the oldest if there are too many. No key is none.
    pub(super) fn put(&mut self, key: &str, given: Given) {
        if key.is_empty() {
            return;
        }
        let key: Arc<str> = key.into();
        if self.given.insert(Arc::clone(&key), given).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > KEYS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.given.remove(&oldest);
            }
        }
    }

    /// Forgets the keys of records from `end` on, which could not be written.
    pub(super) fn forget_from(&mut self, end: u64) {
        self.given.retain(|_, given| given.end <= end);
        self.order.retain(|key| self.given.contains_key(key));
    }

    /// Reads the keys that were kept in a folder.
    pub(super) fn load(folder: &Path) -> io::Result<Self> {
        let mut keys = Self::default();
        let text = match std::fs::read_to_string(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(keys),
            Err(error) => return Err(error),
        };
        for line in text.lines() {
            let mut parts = line.splitn(3, ' ');
            let mut number = || parts.next()?.parse().ok();
            let given = number().zip(number()).map(|(first, end)| Given { first, end });
            let (Some(given), Some(key)) = (given, parts.next()) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("\"{line}\" is no key")));
            };
            keys.put(key, given);
        }
        Ok(keys)
    }

    /// Keeps the keys of records before `end` in a folder, whole or not at all.
    pub(super) fn save(&self, folder: &Path, end: u64) -> io::Result<()> {
        let mut text = String::new();
        for (key, given) in self.order.iter().filter_map(|key| Some((key, self.get(key)?))) {
            if given.end <= end {
                text.push_str(&format!("{} {} {key}\n", given.first, given.end));
            }
        }
        super::replace(folder, FILE, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Keys::default();
        for n in 0..KEYS_MAX as u64 + 10 {
            keys.put(&format!("key {n}"), Given { first: n, end: n + 1 });
        }
        keys.put("", Given { first: 0, end: 1 });
        assert_eq!((keys.get("key 9"), keys.get("")), (None, None));
        keys.save(folder.path(), KEYS_MAX as u64).unwrap();
        let kept = Keys::load(folder.path()).unwrap();
        assert_eq!(kept.get("key 10"), Some(Given { first: 10, end: 11 }));
        assert_eq!(kept.get(&format!("key {KEYS_MAX}")), None, "not written yet at that time");
        keys.forget_from(11);
        assert_eq!((keys.order.len(), keys.get("key 10").is_some()), (1, true));
    }
}
