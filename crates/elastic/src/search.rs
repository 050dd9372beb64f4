//! Reads a target's indexes: requests go to the cluster, in its words, and its answers come back in ours.

use crate::client::{Call, Cluster, JSON, NoAnswer, Reply};
use crate::config::TargetConfig;
use crate::mapping;
use crate::reply;
use crate::rewrite::Rewriter;
use crate::setup::{self, Unready};
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use thiserror::Error;

/// A handle that asks the cluster. Cheap to clone.
#[derive(Clone)]
pub struct ElasticReader {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Arc<Cluster>,
    wildcard: String,
    target: TargetConfig,
    /// Made with the first request, when the product is known.
    rewriter: OnceLock<Rewriter>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct AskError {
    /// The HTTP status: the cluster's own, or 503 when it cannot be reached.
    pub status: u16,
    /// The cluster's sentence.
    pub reason: String,
}

/// A document.
#[derive(Clone, Debug)]
pub struct ElasticDocument {
    /// Its id.
    pub id: String,
    /// The version of the write that made it.
    pub version: u64,
    /// The row as JSON, as it was written.
    pub source: Box<RawValue>,
}

#[derive(Deserialize)]
struct Found {
    hits: FoundHits,
}

#[derive(Deserialize)]
struct FoundHits {
    hits: Vec<FoundHit>,
}

#[derive(Deserialize)]
struct FoundHit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version")]
    version: u64,
    #[serde(rename = "_source")]
    source: Box<RawValue>,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

impl AskError {
    fn refused(reason: String) -> Self {
        Self { status: 400, reason }
    }
}

impl From<NoAnswer> for AskError {
    fn from(error: NoAnswer) -> Self {
        Self { status: 503, reason: error.to_string() }
    }
}

impl From<Unready> for AskError {
    fn from(error: Unready) -> Self {
        let (Unready::Again(reason) | Unready::Hopeless(reason)) = error;
        Self { status: 503, reason }
    }
}

impl ElasticReader {
    /// A reader of a target's indexes.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, target: TargetConfig) -> Self {
        let wildcard = target.wildcard();
        let shared = Shared { cluster: Arc::clone(cluster), wildcard, target, rewriter: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    /// The searchable fields, each with its SQL type, in the order of the columns.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        mapping::fields(&self.shared.target.schema).into_iter().map(|field| (field.path, field.sql)).collect()
    }

    /// Answers a request in Elasticsearch's shape.
    ///
    /// # Errors
    /// When the cluster refuses the request or cannot be reached.
    pub fn search(&self, request: &Value) -> Result<Box<RawValue>, AskError> {
        self.shared.cluster.wait(async {
            let rewriter = self.rewriter().await?;
            let (body, undo) = rewriter.request(request).map_err(AskError::refused)?;
            let text = self.ask("_search", &body).await?;
            rewriter.answer(&text, &undo).map_err(|error| AskError {
                status: 502,
                reason: format!("the cluster's answer is not that of a search: {error}"),
            })
        })
    }

    /// How many documents a request's `query` matches.
    ///
    /// # Errors
    /// As for [`ElasticReader::search`].
    pub fn count(&self, request: &Value) -> Result<u64, AskError> {
        self.shared.cluster.wait(async {
            let (mut body, _) = self.rewriter().await?.request(request).map_err(AskError::refused)?;
            if let Value::Object(members) = &mut body {
                // What a search adds; whatever else the caller has written, the cluster shall refuse by name.
                for (added, own) in [("sort", request.get("sort")), ("track_total_hits", None), ("track_scores", None)]
                {
                    if own.is_none() {
                        members.remove(added);
                    }
                }
                members.extend(request.get("_source").map(|source| ("_source".to_owned(), source.clone())));
            }
            let text = self.ask("_count", &body).await?;
            Ok(read::<Counted>(&text)?.count)
        })
    }

    /// The document with this id.
    ///
    /// # Errors
    /// When the cluster cannot be reached.
    pub fn document(&self, id: &str) -> Result<Option<ElasticDocument>, AskError> {
        let body = json!({ "query": { "ids": { "values": [id] } }, "version": true, "size": 1 });
        let text = self.shared.cluster.wait(self.ask("_search", &body))?;
        let found = read::<Found>(&text)?.hits.hits.into_iter().next();
        Ok(found.map(|hit| ElasticDocument { id: hit.id, version: hit.version, source: hit.source }))
    }

    async fn rewriter(&self) -> Result<&Rewriter, AskError> {
        if let Some(rewriter) = self.shared.rewriter.get() {
            return Ok(rewriter);
        }
        let product = setup::product(&self.shared.cluster).await?;
        let target = &self.shared.target;
        let tie_breaks = if product.sorts_by_id() {
            vec!["_id".to_owned()]
        } else {
            target.key.iter().map(|&column| target.schema.field(column).name().clone()).collect()
        };
        let (fields, scores_units) = (mapping::fields(&target.schema), product.misses_units());
        Ok(self.shared.rewriter.get_or_init(|| Rewriter { fields, tie_breaks, scores_units }))
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Bytes, AskError> {
        let path = [self.shared.wildcard.as_str(), what];
        let query = [("ignore_unavailable", "true"), ("allow_no_indices", "true")];
        let body = Some((JSON, Bytes::from(body.to_string())));
        let Reply { status, body } =
            self.shared.cluster.call(&Call { query: &query, body, ..Call::new(Method::POST, &path) }).await?;
        match status {
            200..=299 => Ok(body),
            status => Err(AskError { status, reason: reply::refusal(&body) }),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, AskError> {
    serde_json::from_slice(text).map_err(|error| AskError {
        status: 502,
        reason: format!("the cluster's answer is not what was asked for: {error}"),
    })
}
