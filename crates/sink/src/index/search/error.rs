//! Why a request was not answered, in the words of Elasticsearch's errors.

use tantivy::TantivyError;
use thiserror::Error;

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct SearchError {
    /// The HTTP status that fits.
    pub status: u16,
    /// The type of the error: stable, for programs.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub reason: String,
}

impl SearchError {
    /// The request has a part that is not understood.
    pub(crate) fn parsing(reason: impl Into<String>) -> Self {
        Self { status: 400, kind: "parsing_exception", reason: reason.into() }
    }

    /// The request is understood and cannot be answered.
    pub(crate) fn argument(reason: impl Into<String>) -> Self {
        Self { status: 400, kind: "illegal_argument_exception", reason: reason.into() }
    }

    /// The answer would have too many buckets.
    pub(crate) fn buckets(limit: usize) -> Self {
        let reason = format!("the aggregations make more than {limit} buckets: ask for fewer, or for wider ones");
        Self { status: 400, kind: "too_many_buckets_exception", reason }
    }

    /// Too much memory would be taken.
    pub(crate) fn memory() -> Self {
        let reason = "the aggregations take too much memory: ask for fewer buckets or fewer values".to_owned();
        // To ask again would not help.
        Self { status: 400, kind: "circuit_breaking_exception", reason }
    }
}

impl From<TantivyError> for SearchError {
    fn from(error: TantivyError) -> Self {
        Self { status: 500, kind: "index_exception", reason: format!("cannot read the index: {error}") }
    }
}
