//! What a recommendation asks: paths, relations, attributes and models, by their names in the job.

use crate::recommend::Request;
use proxima_graph::Value;
use std::sync::Arc;

/// An object that a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its text.
    pub item: Arc<str>,
    /// The path's score.
    pub score: f64,
}

/// Answers a recommendation's questions. An object that is not known has no candidates, relations and attributes.
pub trait Shop {
    /// The `n` best objects that a path leads to, the best first.
    fn candidates(&self, path: &str, start: &str, n: usize) -> Vec<Candidate>;

    /// The objects that a relation leads to from an object.
    fn related(&self, relation: &str, subject: &str) -> Vec<Arc<str>>;

    /// An attribute of the object that is recommended to.
    fn subject_attribute(&self, subject: &str, attribute: &str) -> Value;

    /// An attribute of an item.
    fn item_attribute(&self, item: &str, attribute: &str) -> Value;

    /// The attributes of an item that are known, for those who show it.
    fn item_attributes(&self, _item: &str) -> Vec<(String, Value)> {
        Vec::new()
    }

    /// The units of the log odds that a model gives each item for who asks.
    fn rank(&self, model: &str, request: &Request<'_>, items: &[Arc<str>]) -> Vec<i64>;

    /// The features of a model and what each adds for an item: these sum to what [`rank`](Self::rank) gives.
    fn rank_parts(&self, model: &str, request: &Request<'_>, item: &str) -> Vec<(String, i64)>;
}
