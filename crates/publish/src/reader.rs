//! Reading lists back from a key-value store.

use proxima_event::{KeyValueRead, StoreError};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Reads the lists of one path.
pub struct ListReader {
    store: Arc<dyn KeyValueRead>,
    table: String,
}

/// A list as it stands in a store. What else stands there is for others.
#[derive(Debug, Deserialize)]
struct Stored {
    /// The items, or a text that holds them: a hash has nothing but texts.
    items: Box<RawValue>,
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
        let mut items = items(&value).map_err(|error| StoreError {
            tried: "read",
            store: format!("{} of {object}", self.table),
            reason: error.to_string(),
            passing: false,
        })?;
        items.truncate(n);
        Ok(Some(items))
    }
}

fn items(list: &[u8]) -> serde_json::Result<Vec<Item>> {
    let stored: Stored = serde_json::from_slice(list)?;
    let items = stored.items.get();
    if items.starts_with('"') {
        serde_json::from_str(&serde_json::from_str::<String>(items)?)
    } else {
        serde_json::from_str(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_a_list_or_a_text_that_holds_one() {
        let list = br#"{"_version":7,"id":"a","items":[{"id":"b","score":0.5},{"id":"\"c\"","score":0.25}]}"#;
        let hash = br#"{"_version":"7","id":"a","items":"[{\"id\":\"b\",\"score\":0.5},{\"id\":\"\\\"c\\\"\",\"score\":0.25}]"}"#;
        let item = |id: &str, score| Item { id: id.to_owned(), score };
        assert_eq!(items(list).unwrap(), [item("b", 0.5), item("\"c\"", 0.25)]);
        assert_eq!(items(hash).unwrap(), items(list).unwrap());
        assert!(items(b"{\"id\":\"a\"}").is_err());
    }
}
