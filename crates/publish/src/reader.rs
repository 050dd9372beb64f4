//! Reading lists back from a key-value store.

use proxima_event::{KeyValueRead, StoreError};
use serde::Deserialize;
use std::sync::Arc;

/// Reads the lists of one path.
pub struct ListReader {
    store: Arc<dyn KeyValueRead>,
    table: String,
}

/// A list as it stands in a store. What else stands there is for others.
#[derive(Debug, Deserialize)]
struct Stored {
    items: Vec<Item>,
}

/// What a path leads to, with its score.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Item {
    /// The object's text.
    pub id: String,
    /// Its score.
    pub score: f64,
}

impl ListReader {
    /// Reads lists from a table of a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValueRead>, table: impl Into<String>) -> Self {
        Self { store, table: table.into() }
    }

    /// The first `n` of an object's list; `None` when it has none.
    ///
    /// # Errors
    /// When the store cannot be read, or what stands there is no list.
    pub fn read(&self, object: &str, n: usize) -> Result<Option<Vec<Item>>, StoreError> {
        let Some(value) = self.store.get(&self.table, object.as_bytes())? else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&value).map_err(|error| StoreError {
            tried: "read",
            store: format!("{} of {object}", self.table),
            reason: error.to_string(),
        })?;
        Ok(Some(stored.items.into_iter().take(n).collect()))
    }
}
