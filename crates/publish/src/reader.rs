//! Reading back from a key-value store what is kept there: lists, attributes, shares of splits.

use proxima_event::{KeyValueRead, StoreError};
use proxima_graph::{Attribute, AttributeKind, Value};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads the lists of one path, or what a relation relates objects to.
pub struct ListReader(Table);

/// Reads the attributes of the objects of one kind.
pub struct AttributeReader {
    table: Table,
    attributes: Vec<Attribute>,
}

/// Reads the shares of splits.
pub struct ShareReader(Table);

/// What a path leads to, with its score.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Item {
    /// The object's text.
    pub id: String,
    /// Its score.
    #[serde(deserialize_with = "exact")]
    pub score: f64,
}

/// A variant of a split.
#[derive(Deserialize)]
struct Variant {
    variant: String,
    #[serde(deserialize_with = "exact")]
    share: f64,
}

/// A row as it stands in a store. What else stands there is for others.
#[derive(Debug, Deserialize)]
struct Stored {
    /// What is kept, or a text that holds it: a hash has nothing but texts.
    #[serde(alias = "items", alias = "attributes", alias = "shares")]
    holds: Box<RawValue>,
}

impl ListReader {
    /// Reads lists from a table of a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValueRead>, table: impl Into<String>) -> Self {
        Self(Table { store, name: table.into() })
    }

    /// The first `n` of an object's list; `None` when it has none.
    ///
    /// # Errors
    /// When the store cannot be read, or what stands there is no list.
    pub fn read(&self, object: &str, n: usize) -> Result<Option<Vec<Item>>, StoreError> {
        let mut items: Option<Vec<Item>> = self.0.get(object)?;
        items.iter_mut().for_each(|items| items.truncate(n));
        Ok(items)
    }
}

impl AttributeReader {
    /// Reads attributes, which the catalogue has in this order, from a table of a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValueRead>, table: impl Into<String>, attributes: Vec<Attribute>) -> Self {
        Self { table: Table { store, name: table.into() }, attributes }
    }

    /// The attributes of each of some objects; of one that has none there is nothing but NULL.
    ///
    /// # Errors
    /// When the store cannot be read, or what stands there are no attributes.
    pub fn read(&self, objects: &[&str]) -> Result<Vec<Vec<Value>>, StoreError> {
        let found = self.table.get_many::<HashMap<String, Box<RawValue>>>(objects)?;
        let values = |found: Option<HashMap<String, Box<RawValue>>>| {
            let value = |of: &Attribute| {
                value(of.kind, found.as_ref().and_then(|found| found.get(&of.name)).map(AsRef::as_ref))
            };
            self.attributes.iter().map(value).collect()
        };
        Ok(found.into_iter().map(values).collect())
    }

    /// The attributes, in the order of what is read.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

impl ShareReader {
    /// Reads shares from a table of a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValueRead>, table: impl Into<String>) -> Self {
        Self(Table { store, name: table.into() })
    }

    /// The variants of a split with their shares, if the store has any.
    ///
    /// # Errors
    /// When the store cannot be read, or what stands there are no shares.
    pub fn read(&self, split: &str) -> Result<Option<Vec<(String, f64)>>, StoreError> {
        let variants: Option<Vec<Variant>> = self.0.get(split)?;
        Ok(variants.map(|variants| variants.into_iter().map(|of| (of.variant, of.share)).collect()))
    }
}

/// A table of a store.
struct Table {
    store: Arc<dyn KeyValueRead>,
    name: String,
}

impl Table {
    fn get<T: DeserializeOwned>(&self, object: &str) -> Result<Option<T>, StoreError> {
        let value = self.store.get(&self.name, object.as_bytes())?;
        value.map(|value| self.read(object, &value)).transpose()
    }

    fn get_many<T: DeserializeOwned>(&self, objects: &[&str]) -> Result<Vec<Option<T>>, StoreError> {
        let keys: Vec<&[u8]> = objects.iter().map(|object| object.as_bytes()).collect();
        let values = self.store.get_many(&self.name, &keys)?.into_iter().zip(objects);
        values.map(|(value, object)| value.map(|value| self.read(object, &value)).transpose()).collect()
    }

    fn read<T: DeserializeOwned>(&self, object: &str, value: &[u8]) -> Result<T, StoreError> {
        held(value).map_err(|error| StoreError {
            tried: "read",
            store: format!("{} of {object}", self.name),
            reason: error.to_string(),
            passing: false,
        })
    }
}

fn held<T: DeserializeOwned>(row: &[u8]) -> serde_json::Result<T> {
    let stored: Stored = serde_json::from_slice(row)?;
    let held = stored.holds.get();
    if held.starts_with('"') {
        serde_json::from_str(&serde_json::from_str::<String>(held)?)
    } else {
        serde_json::from_str(held)
    }
}

/// The number that was written: the parser's own way may miss it by the last bit.
fn exact<'de, D: Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Box::<RawValue>::deserialize(number)?.get().parse().map_err(D::Error::custom)
}

/// A value that is there as the catalogue has it; one of another type is NULL, as one that is not there.
fn value(kind: AttributeKind, written: Option<&RawValue>) -> Value {
    let Some(written) = written else { return Value::Null };
    let found = match kind {
        AttributeKind::Float => written.get().parse().ok().map(Value::Float),
        AttributeKind::Int | AttributeKind::Time => written.get().parse().ok().map(Value::Int),
        AttributeKind::Bool | AttributeKind::Text => match serde_json::from_str(written.get()) {
            Ok(Json::Bool(truth)) => Some(Value::Bool(truth)),
            Ok(Json::String(text)) => Some(Value::Text(text.into())),
            _ => None,
        },
    };
    found.unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_a_list_or_a_text_that_holds_one() {
        let list = br#"{"_version":7,"id":"a","items":[{"id":"b","score":0.5},{"id":"\"c\"","score":0.25}]}"#;
        let hash = br#"{"_version":"7","id":"a","items":"[{\"id\":\"b\",\"score\":0.5},{\"id\":\"\\\"c\\\"\",\"score\":0.25}]"}"#;
        let item = |id: &str, score| Item { id: id.to_owned(), score };
        let items = held::<Vec<Item>>;
        assert_eq!(items(list).unwrap(), [item("b", 0.5), item("\"c\"", 0.25)]);
        assert_eq!(items(hash).unwrap(), items(list).unwrap());
        assert!(items(b"{\"id\":\"a\"}").is_err());
    }

    #[test]
    fn scores_are_those_that_were_written() {
        // Scores are whole numbers of 2^-40; here are many, and some of more digits than that.
        for number in 0..20_000_u64 {
            let score = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) as f64 / (1_u64 << 40) as f64;
            let row = format!("{{\"items\":[{{\"id\":\"a\",\"score\":{score}}}]}}");
            assert_eq!(held::<Vec<Item>>(row.as_bytes()).unwrap()[0].score.to_bits(), score.to_bits());
        }
    }

    #[test]
    fn attributes_have_the_types_of_the_catalogue() {
        struct One;
        impl KeyValueRead for One {
            fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
                assert_eq!(table, "attributes.item");
                let row = r#"{"id":"a","attributes":{"new":true,"size":5,"price":5.0,"name":"x\"y","gone":null}}"#;
                Ok((key == b"a").then(|| row.into()))
            }
        }
        use AttributeKind::{Bool, Float, Int, Text};
        let attribute = |(name, kind): (&str, _)| Attribute { name: name.to_owned(), kind };
        let attributes =
            [("name", Text), ("new", Bool), ("size", Int), ("price", Float), ("gone", Int), ("none", Text)];
        let reader = AttributeReader::new(Arc::new(One), "attributes.item", attributes.map(attribute).to_vec());
        let text = Value::Text("x\"y".into());
        let known = [text, Value::Bool(true), Value::Int(5), Value::Float(5.0), Value::Null, Value::Null];
        assert_eq!(reader.read(&["b", "a"]).unwrap(), [vec![Value::Null; 6], known.to_vec()]);
    }
}
