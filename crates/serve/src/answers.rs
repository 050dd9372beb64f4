//! What the routes need of result stores: two small contracts, so that a handler can be tested without a store and a
//! store can be another process.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// An index that can be asked.
pub trait Search: Send + Sync {
    /// The number of documents and the fields.
    fn describe(&self) -> IndexInfo;

    /// Answers a request in the shape of Elasticsearch's `_search`, with an answer in that shape.
    ///
    /// # Errors
    /// When the request is not understood or the index cannot be read.
    fn search(&self, request: &Value) -> Result<Box<RawValue>, Failure>;

    /// How many documents a request's `query` matches.
    ///
    /// # Errors
    /// As for [`Search::search`].
    fn count(&self, request: &Value) -> Result<u64, Failure>;

    /// The document with this id.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn document(&self, id: &str) -> Result<Option<Document>, Failure>;
}

/// A path that can be asked for the neighbours of an object.
pub trait SimilarPath: Send + Sync {
    /// The object's best neighbours; `None` when the path does not know the object.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn similar(&self, id: &str, asked: Asked) -> Result<Option<Near>, Failure>;
}

/// What is asked of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How many neighbours.
    pub n: usize,
    /// Whether each shall come with the parts of its score.
    pub explain: bool,
}

/// What a path leads to from an object.
#[derive(Clone, Debug, Serialize)]
pub struct Near {
    /// How many subjects the object is related to, where the path counts pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<u64>,
    /// The object's attributes, a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
    /// The neighbours, the highest score first; equal scores by id.
    pub neighbours: Vec<Neighbour>,
}

/// A neighbour.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbour {
    /// Its id.
    pub id: String,
    /// Its score.
    pub score: f64,
    /// How many subjects both are related to, where the path counts pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u64>,
    /// How many subjects the neighbour is related to, where the path counts pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<u64>,
    /// Its attributes, a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
    /// The parts of its score, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Vec<Because>>,
}

/// A part of a score.
#[derive(Clone, Debug, Serialize)]
pub struct Because {
    /// The object in the middle; nothing where one hop led here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// Its part of the score.
    pub score: f64,
    /// The same in units of 2^-40, of which the parts sum exactly to those of the score.
    pub units: String,
}

/// What an index holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IndexInfo {
    /// How many documents.
    pub documents: u64,
    /// Which fields.
    pub fields: Vec<Field>,
}

/// A field of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name; nested ones with dots.
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One document of an index.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// The version of the write that made it.
    pub version: u64,
    /// The row as JSON.
    pub source: Box<RawValue>,
}

/// Why a store gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status that fits.
    pub status: u16,
    /// A word for programs; one of those that the OpenAPI document lists.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}
