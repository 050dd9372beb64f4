//! The answer in Elasticsearch's shape. Numbers that must keep their digits are carried as text up to the last byte.

use proxima_event::Members;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A JSON value whose numbers may have more digits than a float keeps.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Json {
    /// Anything that serde's own type holds without loss.
    Plain(Value),
    /// Text that is JSON as it stands.
    Raw(Box<RawValue>),
    /// A list.
    List(Vec<Json>),
    /// An object, in its order.
    Object(Members<Json>),
}

impl Json {
    /// A number by its text.
    pub(crate) fn number(text: String) -> Self {
        RawValue::from_string(text).map_or(Self::Plain(Value::Null), Self::Raw)
    }

    /// A float; what JSON cannot say is null.
    pub(crate) fn float(number: f64) -> Self {
        Self::Plain(json!(number))
    }

    /// Nothing.
    pub(crate) fn null() -> Self {
        Self::Plain(Value::Null)
    }

    /// An object.
    pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl<T: Into<Value>> From<T> for Json {
    fn from(value: T) -> Self {
        Self::Plain(value.into())
    }
}

/// What a search found. It serialises to Elasticsearch's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The index's name.
    pub index: String,
    /// How long it took.
    pub took_ms: u64,
    /// How many documents match, and whether there may be more; `None` when the request asked not to tell.
    pub total: Option<(u64, bool)>,
    /// The highest score, when documents are ordered by score.
    pub max_score: Option<f32>,
    /// The chosen documents.
    pub hits: Vec<Hit>,
    /// The aggregations by name, when there were any in the request.
    pub aggregations: Option<Json>,
}

/// One found document.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// Its score, where documents are scored.
    pub score: Option<f32>,
    /// The row, or the part of it that was asked for.
    pub source: Option<Box<RawValue>>,
    /// Its texts with marks around the words that were looked for.
    pub highlight: Option<Json>,
    /// The values it was sorted by, where the request sorts.
    pub sort: Option<Vec<Json>>,
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        answer.serialize_entry("took", &self.took_ms)?;
        answer.serialize_entry("timed_out", &false)?;
        answer.serialize_entry("_shards", &json!({"total": 1, "successful": 1, "skipped": 0, "failed": 0}))?;
        answer.serialize_entry("hits", &Hits(self))?;
        if let Some(aggregations) = &self.aggregations {
            answer.serialize_entry("aggregations", aggregations)?;
        }
        answer.end()
    }
}

struct Hits<'a>(&'a Answer);

impl Serialize for Hits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut hits = serializer.serialize_map(None)?;
        if let Some((value, more)) = self.0.total {
            hits.serialize_entry("total", &json!({"value": value, "relation": if more { "gte" } else { "eq" }}))?;
        }
        hits.serialize_entry("max_score", &self.0.max_score)?;
        let found: Vec<_> = self.0.hits.iter().map(|hit| OneHit { index: &self.0.index, hit }).collect();
        hits.serialize_entry("hits", &found)?;
        hits.end()
    }
}

struct OneHit<'a> {
    index: &'a str,
    hit: &'a Hit,
}

impl Serialize for OneHit<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut hit = serializer.serialize_struct("hit", 6)?;
        hit.serialize_field("_index", self.index)?;
        hit.serialize_field("_id", &self.hit.id)?;
        hit.serialize_field("_score", &self.hit.score)?;
        if let Some(source) = &self.hit.source {
            hit.serialize_field("_source", source)?;
        }
        if let Some(highlight) = &self.hit.highlight {
            hit.serialize_field("highlight", highlight)?;
        }
        if let Some(sort) = &self.hit.sort {
            hit.serialize_field("sort", sort)?;
        }
        hit.end()
    }
}
