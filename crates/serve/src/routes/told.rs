//! A list of recommendations as JSON, written at once: this is asked more often than all else.

use proxima_graph::Value as Attribute;
use proxima_recommend::{Origin, Recommended, to_number};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;

/// Room for an item in an answer: most need less.
const ITEM_BYTES: usize = 160;

/// The answer to a question for an object.
pub(super) fn answer(name: &str, object: &str, found: &Recommended) -> String {
    let items = found.answer.items.iter().zip(&found.attributes).map(|(item, attributes)| Shown {
        id: &item.item,
        score: to_number(item.units),
        origin: match &item.origin {
            Origin::Ranked => "ranked".into(),
            Origin::Pinned => "pinned".into(),
            Origin::Fallback(path) => format!("fallback {path}").into(),
        },
        attributes: Attributes(attributes),
    });
    let list = List { recommendation: name, variant: &found.variant, object, items: items.collect() };
    let mut text = Vec::with_capacity(ITEM_BYTES * (list.items.len() + 1));
    serde_json::to_writer(&mut text, &list).expect("a list is texts and numbers");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A list as it is told.
#[derive(Serialize)]
struct List<'a> {
    recommendation: &'a str,
    variant: &'a str,
    object: &'a str,
    items: Vec<Shown<'a>>,
}

/// An item as it is told.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    score: f64,
    origin: Cow<'a, str>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: Attributes<'a>,
}

/// Attributes as an object with their names.
struct Attributes<'a>(&'a [(Arc<str>, Attribute)]);

impl Attributes<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            match value {
                Attribute::Null => told.serialize_entry(name.as_ref(), &())?,
                Attribute::Bool(truth) => told.serialize_entry(name.as_ref(), truth)?,
                Attribute::Int(number) => told.serialize_entry(name.as_ref(), number)?,
                Attribute::Float(number) => told.serialize_entry(name.as_ref(), number)?,
                Attribute::Text(text) => told.serialize_entry(name.as_ref(), text.as_ref())?,
            }
        }
        told.end()
    }
}
