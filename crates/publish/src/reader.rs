//! Reading back from a key-value store what is kept there: lists, attributes, shares of splits.

use crate::lately::Lately;
use proxima_event::{KeyValueRead, StoreError};
use proxima_graph::path::Clock;
use proxima_graph::{Attribute, AttributeKind, Value};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads the lists of one path, or what a relation relates objects to.
pub struct ListReader(Table);

/// Reads the attributes of the objects of one kind.
pub struct AttributeReader {
    table: Table,
    attributes: Vec<Attribute>,
    lately: Option<Lately<Arc<[Value]>>>,
}

/// Reads the shares of splits.
pub struct ShareReader {
    table: Table,
    lately: Lately<Option<Vec<(String, f64)>>>,
}

/// What a path leads to, with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The object's text.
    pub id: String,
    /// Its score.
    pub score: f64,
}

/// The same where it was read.
#[derive(Deserialize)]
struct ReadItem<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// The parser's own way to a number may miss it by the last bit.
    #[serde(borrow)]
    score: &'a RawValue,
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
struct Stored<'a> {
    /// What is kept, or a text that holds it: a hash has nothing but texts.
    #[serde(borrow, alias = "items", alias = "attributes", alias = "shares")]
    holds: &'a RawValue,
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
        let Some(row) = self.0.store.get(&self.0.name, object.as_bytes())? else { return Ok(None) };
        let mut items = Vec::new();
        self.0.items(object, &row, n, &mut |id, score| items.push(Item { id: id.to_owned(), score }))?;
        Ok(Some(items))
    }

    /// Gives what is in the lists of objects, each by its reader: the place of the list, an object's text and its score.
    /// What one store holds is read at once.
    ///
    /// # Errors
    /// As for [`ListReader::read`].
    pub fn read_each(wanted: &[(&Self, &str)], mut give: impl FnMut(usize, &str, f64)) -> Result<(), StoreError> {
        let Some((first, _)) = wanted.first() else { return Ok(()) };
        let store = &first.0.store;
        let rows = match wanted.iter().all(|(reader, _)| Arc::ptr_eq(&reader.0.store, store)) {
            true => {
                let keys = wanted.iter().map(|(reader, object)| (reader.0.name.as_str(), object.as_bytes()));
                store.get_each(&keys.collect::<Vec<_>>())?
            }
            false => {
                let rows = wanted.iter().map(|(reader, object)| reader.0.store.get(&reader.0.name, object.as_bytes()));
                rows.collect::<Result<_, _>>()?
            }
        };
        for (place, ((reader, object), row)) in wanted.iter().zip(rows).enumerate() {
            if let Some(row) = row {
                reader.0.items(object, &row, usize::MAX, &mut |id, score| give(place, id, score))?;
            }
        }
        Ok(())
    }
}

impl AttributeReader {
    /// Reads attributes, which the catalogue has in this order, from a table of a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValueRead>, table: impl Into<String>, attributes: Vec<Attribute>) -> Self {
        Self { table: Table { store, name: table.into() }, attributes, lately: None }
    }

    /// The same, giving again what was read [a moment](crate::lately::LATELY_US) ago.
    #[must_use]
    pub fn keeping(self, clock: Clock) -> Self {
        Self { lately: Some(Lately::new(clock)), ..self }
    }

    /// The attributes of each of some objects; of one that has none there is nothing but NULL.
    ///
    /// # Errors
    /// When the store cannot be read, or what stands there are no attributes.
    pub fn read(&self, objects: &[&str]) -> Result<Vec<Arc<[Value]>>, StoreError> {
        match &self.lately {
            Some(lately) => lately.get_many(objects, |objects| self.read_now(objects)),
            None => self.read_now(objects),
        }
    }

    fn read_now(&self, objects: &[&str]) -> Result<Vec<Arc<[Value]>>, StoreError> {
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
    pub fn new(store: Arc<dyn KeyValueRead>, table: impl Into<String>, clock: Clock) -> Self {
        Self { table: Table { store, name: table.into() }, lately: Lately::new(clock) }
    }

    /// The variants of a split with their shares, if the store has any.
    ///
    /// # Errors
    /// When the store cannot be read, or what stands there are no shares.
    pub fn read(&self, split: &str) -> Result<Option<Vec<(String, f64)>>, StoreError> {
        let variants: Option<Vec<Variant>> = self.table.get(split)?;
        Ok(variants.map(|variants| variants.into_iter().map(|of| (of.variant, of.share)).collect()))
    }

    /// The same as it was [a moment](crate::lately::LATELY_US) ago at the most.
    ///
    /// # Errors
    /// As for [`ShareReader::read`].
    pub fn read_lately(&self, split: &str) -> Result<Option<Vec<(String, f64)>>, StoreError> {
        let mut found = self.lately.get_many(&[split], |_| Ok(vec![self.read(split)?]))?;
        Ok(found.pop().flatten())
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
        held(value, |held| serde_json::from_str(held)).map_err(|error| self.wrong(object, &error))
    }

    /// Gives the first `n` of a list.
    fn items(&self, object: &str, row: &[u8], n: usize, give: &mut dyn FnMut(&str, f64)) -> Result<(), StoreError> {
        held(row, |held| each_item(held, n, give)).map_err(|error| self.wrong(object, &error))
    }

    fn wrong(&self, object: &str, error: &serde_json::Error) -> StoreError {
        let (store, reason) = (format!("{} of {object}", self.name), error.to_string());
        StoreError { tried: "read", store, reason, passing: false }
    }
}

/// Reads what a row holds.
fn held<T>(row: &[u8], read: impl FnOnce(&str) -> serde_json::Result<T>) -> serde_json::Result<T> {
    let stored: Stored<'_> = serde_json::from_slice(row)?;
    let held = stored.holds.get();
    if held.starts_with('"') { read(&serde_json::from_str::<String>(held)?) } else { read(held) }
}

fn each_item(list: &str, n: usize, give: &mut dyn FnMut(&str, f64)) -> serde_json::Result<()> {
    for ReadItem { id, score } in serde_json::from_str::<Vec<ReadItem<'_>>>(list)?.into_iter().take(n) {
        give(&id, score.get().parse().map_err(serde_json::Error::custom)?);
    }
    Ok(())
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

    fn items(row: &[u8]) -> serde_json::Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut give = |id: &str, score| items.push(Item { id: id.to_owned(), score });
        held(row, |held| each_item(held, usize::MAX, &mut give))?;
        Ok(items)
    }

    #[test]
    fn items_are_a_list_or_a_text_that_holds_one() {
        let list = br#"{"_version":7,"id":"a","items":[{"id":"b","score":0.5},{"id":"\"c\"","score":0.25}]}"#;
        let hash = br#"{"_version":"7","id":"a","items":"[{\"id\":\"b\",\"score\":0.5},{\"id\":\"\\\"c\\\"\",\"score\":0.25}]"}"#;
        let item = |id: &str, score| Item { id: id.to_owned(), score };
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
            assert_eq!(items(row.as_bytes()).unwrap()[0].score.to_bits(), score.to_bits());
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
        let read = reader.read(&["b", "a"]).unwrap();
        assert_eq!(read.iter().map(|values| &values[..]).collect::<Vec<_>>(), [&vec![Value::Null; 6][..], &known[..]]);
    }
}
