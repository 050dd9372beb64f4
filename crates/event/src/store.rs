//! The contracts of key-value stores as readers see them.

use thiserror::Error;

/// Reads the newest visible value of keys. Shared by all threads that answer requests.
pub trait KeyValueRead: Send + Sync {
    /// The value of a key in a table, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of several keys. A store that is far away is asked for all of them at once.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get_many(&self, table: &str, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.get_each(&keys.iter().map(|key| (table, *key)).collect::<Vec<_>>())
    }

    /// The same, of keys each of which is in a table of its own.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get_each(&self, keys: &[(&str, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|(table, key)| self.get(table, key)).collect()
    }
}

/// A store that keeps its keys in order. A server that hashes them would have to look at all it holds.
pub trait KeyValueScan: KeyValueRead {
    /// Calls `visit` with each key that starts with `prefix` and its value, in key order, until it returns `false`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(&self, table: &str, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreError>;
}

/// Why a store could not be read or written.
#[derive(Debug, Error)]
#[error("cannot {tried} {store}: {reason}")]
pub struct StoreError {
    /// What was tried, as a verb: "open", "read".
    pub tried: &'static str,
    /// The store or table.
    pub store: String,
    /// The cause, in words.
    pub reason: String,
    /// Whether it passes by itself: the store is away, and may be back in a moment.
    pub passing: bool,
}
