//! What the ingest route needs of a source's log: one small contract, so that this crate knows no log and a handler can
//! be tested without one.

use crate::answers::Failure;
use axum::http::{HeaderMap, header};
use std::sync::Arc;

/// What became of a request's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// How many records the request held.
    pub records: u64,
    /// Whether the request was known by its key already, and nothing was written again.
    pub duplicate: bool,
}

/// Hears what became of a request, on any thread.
pub type IngestAnswer = Box<dyn FnOnce(Result<Ingested, Failure>) + Send>;

/// A log that takes records.
pub trait Ingest: Send + Sync {
    /// Takes the records of a body, and calls `answer` once they are durable, or refused. Does not wait.
    fn accept(&self, body: &[u8], key: &str, answer: IngestAnswer);
}

/// A log, and who may write to it.
#[derive(Clone)]
pub struct IngestRoute {
    /// The log.
    pub log: Arc<dyn Ingest>,
    /// What a client must bring; none lets everybody write.
    pub token: Option<String>,
    /// The web origins whose pages may post, such as `https://shop.example`; `*` is any.
    pub origins: Vec<String>,
}

impl IngestRoute {
    /// Whether what a client brought is the token.
    pub(crate) fn admits(&self, brought: Option<&str>) -> bool {
        admits(self.token.as_deref(), brought)
    }

    /// Whether pages of this origin may post.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == "*" || known == origin)
    }
}

/// The token of an `authorization` header; how its scheme is written makes no difference (RFC 7235).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

/// Whether what a client brought is the token, if one is wanted. The time that it takes does not tell how much of it was
/// right.
pub(crate) fn admits(token: Option<&str>, brought: Option<&str>) -> bool {
    let Some(token) = token else { return true };
    let brought = brought.unwrap_or_default().as_bytes();
    let differs = token.bytes().zip(brought).fold(0, |differs, (a, b)| differs | (a ^ b));
    differs == 0 && token.len() == brought.len()
}
