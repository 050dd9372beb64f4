//! What was read a moment ago: what many ask for is not read from a store for each of them.

use hashbrown::HashMap;
use parking_lot::Mutex;
use proxima_event::StoreError;
use proxima_graph::path::Clock;

/// How long something is given again, in microseconds from before it was read: as long as a run gives its own lists again.
pub const LATELY_US: u64 = 250_000;

/// How many there are at the most in each half.
const HELD: usize = 32 << 10;

/// Values by text. Shared by all threads that ask.
pub struct Lately<T> {
    clock: Clock,
    halves: Mutex<Halves<T>>,
}

/// When the young half is full it becomes the old one, and what was old is forgotten.
struct Halves<T> {
    young: HashMap<Box<str>, Held<T>>,
    old: HashMap<Box<str>, Held<T>>,
}

struct Held<T> {
    value: T,
    since_us: u64,
}

impl<T: Clone> Lately<T> {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, halves: Mutex::new(Halves { young: HashMap::new(), old: HashMap::new() }) }
    }

    /// The values of texts. Those that were not read lately are read, all at once.
    ///
    /// # Errors
    /// Those of reading.
    pub fn get_many(
        &self,
        texts: &[&str],
        read: impl FnOnce(&[&str]) -> Result<Vec<T>, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let now_us = (self.clock)();
        let mut found: Vec<Option<T>> = self.held(texts, now_us);
        let missing = || texts.iter().zip(&found).filter(|(_, found)| found.is_none());
        let unread: Vec<&str> = missing().map(|(text, _)| *text).collect();
        if !unread.is_empty() {
            let read = read(&unread)?;
            self.hold(&unread, &read, now_us);
            found.iter_mut().filter(|found| found.is_none()).zip(read).for_each(|(found, read)| *found = Some(read));
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn held(&self, texts: &[&str], now_us: u64) -> Vec<Option<T>> {
        let halves = self.halves.lock();
        let is_new = |held: &&Held<T>| now_us.saturating_sub(held.since_us) <= LATELY_US;
        let get = |text: &&str| {
            let found = halves.young.get(*text).or_else(|| halves.old.get(*text));
            found.filter(is_new).map(|held| held.value.clone())
        };
        texts.iter().map(get).collect()
    }

    fn hold(&self, texts: &[&str], values: &[T], since_us: u64) {
        let mut halves = self.halves.lock();
        for (&text, value) in texts.iter().zip(values) {
            if halves.young.len() >= HELD {
                halves.old = std::mem::take(&mut halves.young);
            }
            let held = Held { value: value.clone(), since_us };
            match halves.young.get_mut(text) {
                // Who began to read earlier may come later.
                Some(known) if known.since_us > since_us => {}
                Some(known) => *known = held,
                None => _ = halves.young.insert(text.into(), held),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// With a time that is set.
    fn lately() -> (Lately<u64>, Arc<AtomicU64>) {
        let time_us = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&time_us);
        (Lately::new(Arc::new(move || clock.load(Relaxed))), time_us)
    }

    fn ask(lately: &Lately<u64>, texts: &[&str], now: u64) -> (Vec<u64>, Vec<String>) {
        let mut read = Vec::new();
        let found = lately.get_many(texts, |texts| {
            read.extend(texts.iter().map(|&text| text.to_owned()));
            Ok(texts.iter().map(|_| now).collect())
        });
        (found.unwrap(), read)
    }

    #[test]
    fn what_was_read_lately_is_not_read_again() {
        let (lately, time_us) = lately();
        assert_eq!(ask(&lately, &["a", "b"], 1), (vec![1, 1], vec!["a".into(), "b".into()]));
        time_us.store(LATELY_US, Relaxed);
        assert_eq!(ask(&lately, &["b", "c", "a"], 2), (vec![1, 2, 1], vec!["c".into()]), "each at its place");
        time_us.store(LATELY_US + 1, Relaxed);
        assert_eq!(ask(&lately, &["a", "c"], 3), (vec![3, 2], vec!["a".into()]));
    }

    #[test]
    fn what_could_not_be_read_is_not_held() {
        let (lately, _) = lately();
        let error =
            || StoreError { tried: "read", store: "it".to_owned(), reason: "it is away".to_owned(), passing: true };
        assert!(lately.get_many(&["a"], |_| Err(error())).is_err());
        assert_eq!(ask(&lately, &["a"], 1).0, [1]);
    }

    #[test]
    fn there_is_a_bound() {
        let (lately, _) = lately();
        for text in 0..3 * HELD {
            ask(&lately, &[&text.to_string()], 1);
        }
        let halves = lately.halves.lock();
        assert!(halves.young.len() <= HELD && halves.old.len() <= HELD);
        assert!(halves.young.contains_key((3 * HELD - 1).to_string().as_str()));
    }
}
