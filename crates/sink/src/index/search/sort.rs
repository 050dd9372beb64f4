//! The `sort` of a request, and the order of documents that it asks for.
//!
//! Ties are broken by document id, so that the same request over the same documents always gives the same answer.

use super::SearchError;
use super::answer::Json;
use super::column::FieldColumn;
use super::params::{Params, single};
use super::query;
use super::value;
use crate::index::layout::Kind;
use crate::index::mapping::{ID, Leaf, Mapping};
use serde_json::Value;
use std::cmp::Ordering;
use tantivy::{DocId, Score, SegmentReader, TantivyError};

/// What a key of the order looks at.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// How well the document matches.
    Score,
    /// The document's id.
    Id,
    /// A field; of many values the smallest when ascending, the greatest when descending.
    Field(Leaf),
}

/// One key of the order.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// What it looks at.
    pub(crate) by: By,
    /// Greatest first.
    pub(crate) descending: bool,
    /// Documents without a value come first.
    pub(crate) missing_first: bool,
}

/// The most keys of an order: each is kept for each document of the page.
const KEYS_MAX: usize = 64;

/// Reads `sort`: a field, an object, or a list of both.
pub(crate) fn parse(mapping: &Mapping, sort: &Value) -> Result<Vec<Key>, SearchError> {
    let keys = match sort {
        Value::Array(keys) => {
            let keys = keys.iter().map(|key| keys_of(mapping, key)).collect::<Result<Vec<_>, _>>()?;
            keys.into_iter().flatten().collect()
        }
        key => keys_of(mapping, key)?,
    };
    match keys.len() {
        0..=KEYS_MAX => Ok(keys),
        more => Err(SearchError::argument(format!("[sort] takes at most {KEYS_MAX} keys, not {more}"))),
    }
}

fn keys_of(mapping: &Mapping, value: &Value) -> Result<Vec<Key>, SearchError> {
    match value {
        Value::String(name) => Ok(vec![key(mapping, name, &Value::Null)?]),
        Value::Object(keys) => keys.iter().map(|(name, body)| key(mapping, name, body)).collect(),
        other => Err(SearchError::parsing(format!("[sort] takes fields and objects, not {other}"))),
    }
}

fn key(mapping: &Mapping, name: &str, body: &Value) -> Result<Key, SearchError> {
    let by = match name {
        "_score" => By::Score,
        "_id" | "_doc" => By::Id,
        name => By::Field(query::field(mapping, name)?.clone()),
    };
    let (order, missing) = match body {
        Value::Null => (None, None),
        Value::String(order) => (Some(order.as_str()), None),
        body => {
            let mut params = Params::of("sort", body)?;
            let both = (params.text("order")?, params.text("missing")?);
            params.finish()?;
            both
        }
    };
    let descending = match order {
        None => matches!(by, By::Score),
        Some("asc") => false,
        Some("desc") => true,
        Some(other) => {
            return Err(SearchError::parsing(format!("the order of [{name}] is asc or desc, not [{other}]")));
        }
    };
    let missing_first = match missing {
        None | Some("_last") => false,
        Some("_first") => true,
        Some(other) => {
            return Err(SearchError::parsing(format!("[missing] of [{name}] is _first or _last, not [{other}]")));
        }
    };
    Ok(Key { by, descending, missing_first })
}

/// The order without a `sort`: best first.
pub(crate) fn by_score() -> Vec<Key> {
    vec![Key { by: By::Score, descending: true, missing_first: false }]
}

/// One key's columns in one segment.
pub(crate) struct SegmentKey {
    column: Option<FieldColumn>,
    descending: bool,
    missing_first: bool,
}

/// Where a document stands by one key, within its segment: less is earlier. First whether it has a value, then the
/// value, turned around when the greatest come first.
pub(crate) type Rank = (u8, u64);

impl SegmentKey {
    pub(crate) fn open(segment: &SegmentReader, key: &Key) -> Result<Self, TantivyError> {
        let column = match &key.by {
            By::Score => None,
            By::Id => Some(FieldColumn::named(segment, ID, Kind::Text)?),
            By::Field(leaf) => Some(FieldColumn::open(segment, leaf)?),
        };
        Ok(Self { column, descending: key.descending, missing_first: key.missing_first })
    }

    /// Where the document stands.
    pub(crate) fn rank(&self, document: DocId, score: Score) -> Rank {
        let value = match &self.column {
            // Scores are not negative, so their bits are in their order.
            None => Some(u64::from((score + 0.0).to_bits())),
            Some(column) if self.descending => column.values(document).max(),
            Some(column) => column.values(document).min(),
        };
        match value {
            Some(value) => (1, if self.descending { !value } else { value }),
            None => (if self.missing_first { 0 } else { 2 }, 0),
        }
    }

    /// The rank as it compares between segments.
    pub(crate) fn resolve(&self, (presence, bits): Rank) -> Place {
        let bits = if self.descending { !bits } else { bits };
        match &self.column {
            _ if presence != 1 => Place::Missing,
            Some(column) if column.kind.is_string() => Place::Text(column.text(bits)),
            _ => Place::Bits(bits),
        }
    }
}

/// A document's value for one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// No value.
    Missing,
    /// A number in its order-preserving form.
    Bits(u64),
    /// A string.
    Text(String),
}

/// Which of two documents comes first by these keys.
pub(crate) fn compare(keys: &[Key], a: &[Place], b: &[Place]) -> Ordering {
    let by_key = keys.iter().zip(a.iter().zip(b)).map(|(key, (a, b))| {
        let (missing_a, missing_b) = (*a == Place::Missing, *b == Place::Missing);
        match (missing_a || missing_b, key.missing_first) {
            (true, true) => missing_b.cmp(&missing_a),
            (true, false) => missing_a.cmp(&missing_b),
            (false, _) if key.descending => b.cmp(a),
            (false, _) => a.cmp(b),
        }
    });
    by_key.fold(Ordering::Equal, Ordering::then)
}

/// A place as the `sort` of a hit shows it: times in milliseconds, null where there is no value.
pub(crate) fn show(key: &Key, place: &Place) -> Json {
    match (place, &key.by) {
        (Place::Missing, _) => Json::null(),
        (Place::Text(text), _) => text.as_str().into(),
        (Place::Bits(bits), By::Field(leaf)) if leaf.kind == Kind::Boolean => (*bits != 0).into(),
        (Place::Bits(bits), By::Field(leaf)) => value::show(leaf.kind, value::decode(leaf.kind, *bits)),
        (Place::Bits(bits), _) => f32::from_bits(*bits as u32).into(),
    }
}

/// A name and whether it is descending: `{"_count": "desc"}`.
pub(crate) fn order_of<'a>(what: &str, value: &'a Value) -> Result<(&'a str, bool), SearchError> {
    let (name, order) = single(what, value)?;
    match order.as_str() {
        Some("asc") => Ok((name, false)),
        Some("desc") => Ok((name, true)),
        _ => Err(SearchError::parsing(format!("the order of [{name}] is asc or desc, not {order}"))),
    }
}
