//! What the routes share: readers by name, the run's status, limits and counters.

use crate::answers::{Search, SimilarPath};
use crate::error::ApiError;
use crate::forget::ForgetRoute;
use crate::ingest::IngestRoute;
use crate::metrics::Requests;
use crate::queries::NamedQuery;
use crate::status::StatusSource;
use axum::http::StatusCode;
use proxima_recommend::Service;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Reads of memory that take longer than this on average, in microseconds, are kept off the threads that answer requests: few
/// of these would be left for those who wait.
const SLOW_US: u64 = 2_000;

/// A single read that takes longer than this, in microseconds, is felt by everybody: the thread that answers requests may be the
/// one that looks for new ones.
const FELT_US: u64 = 50_000;

/// Behind one that was felt, so many in a row must not be before such reads are taken for short again.
const SHORT_FROM: u32 = 1_000;

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest time.
    pub timeout: Duration,
    /// How many requests read stores at the same time.
    pub searches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 1 << 20, timeout: Duration::from_secs(10), searches: 16 }
    }
}

/// Everything that the routes read.
pub struct AppState {
    pub(crate) status: Arc<dyn StatusSource>,
    pub(crate) indexes: BTreeMap<String, Arc<dyn Search>>,
    pub(crate) paths: BTreeMap<String, Arc<dyn SimilarPath>>,
    pub(crate) queries: BTreeMap<String, Arc<NamedQuery>>,
    pub(crate) ingests: BTreeMap<String, Arc<IngestRoute>>,
    pub(crate) forget: Option<ForgetRoute>,
    pub(crate) recommendations: Arc<Service>,
    pub(crate) limits: Limits,
    pub(crate) requests: Requests,
    searches: Arc<Semaphore>,
    /// By recommendation.
    paces: BTreeMap<String, Pace>,
}

/// How long a kind of reads took lately. At first they are taken for short: else a burst of questions right behind the start would
/// be too many at once for the threads where reads may take their time.
#[derive(Debug)]
struct Pace {
    /// In microseconds, about the mean of the last 16 times.
    mean_us: AtomicU64,
    /// How many in a row were not [felt](FELT_US), at most [`SHORT_FROM`].
    short: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { mean_us: AtomicU64::new(0), short: AtomicU32::new(SHORT_FROM) }
    }
}

impl Pace {
    fn is_short(&self) -> bool {
        self.short.load(Relaxed) >= SHORT_FROM && self.mean_us.load(Relaxed) < SLOW_US
    }

    /// Of what ends at the same moment on two threads one may be left out.
    fn add(&self, took: Duration) {
        let (mean_us, took_us) = (self.mean_us.load(Relaxed), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.mean_us.store(mean_us - mean_us / 16 + took_us / 16, Relaxed);
        match self.short.load(Relaxed) {
            _ if took_us >= FELT_US => self.short.store(0, Relaxed),
            short if short < SHORT_FROM => self.short.store(short + 1, Relaxed),
            _ => {}
        }
    }
}

impl AppState {
    /// Routes over these readers.
    #[must_use]
    pub fn new(
        status: Arc<dyn StatusSource>,
        indexes: BTreeMap<String, Arc<dyn Search>>,
        paths: BTreeMap<String, Arc<dyn SimilarPath>>,
        limits: Limits,
    ) -> Self {
        let searches = Arc::new(Semaphore::new(limits.searches));
        let (queries, ingests) = (BTreeMap::new(), BTreeMap::new());
        let recommendations = Arc::default();
        let requests = Requests::default();
        let forget = None;
        let paces = BTreeMap::new();
        Self { status, indexes, paths, queries, ingests, forget, recommendations, limits, requests, searches, paces }
    }

    /// The same routes with these queries.
    #[must_use]
    pub fn with_queries(mut self, queries: impl IntoIterator<Item = (String, NamedQuery)>) -> Self {
        self.queries = queries.into_iter().map(|(name, query)| (name, Arc::new(query))).collect();
        self
    }

    /// The same routes with these sources, which take records.
    #[must_use]
    pub fn with_ingests(mut self, ingests: BTreeMap<String, IngestRoute>) -> Self {
        self.ingests = ingests.into_iter().map(|(name, route)| (name, Arc::new(route))).collect();
        self
    }

    /// The same routes with this, which forgets objects.
    #[must_use]
    pub fn with_forget(mut self, forget: Option<ForgetRoute>) -> Self {
        self.forget = forget;
        self
    }

    /// The same routes with these recommendations.
    #[must_use]
    pub fn with_recommendations(mut self, recommendations: Arc<Service>) -> Self {
        self.paces = recommendations.names().into_iter().map(|name| (name.to_owned(), Pace::default())).collect();
        self.recommendations = recommendations;
        self
    }

    /// The source of this name, if it takes records.
    pub(crate) fn ingest(&self, name: &str) -> Result<Arc<IngestRoute>, ApiError> {
        find(&self.ingests, name, "source_not_found", "source that takes records")
    }

    /// The index of this name.
    pub(crate) fn index(&self, name: &str) -> Result<Arc<dyn Search>, ApiError> {
        find(&self.indexes, name, "index_not_found", "index")
    }

    /// The query of this name.
    pub(crate) fn query(&self, name: &str) -> Result<Arc<NamedQuery>, ApiError> {
        find(&self.queries, name, "query_not_found", "query")
    }

    /// The path of this name.
    pub(crate) fn path(&self, name: &str) -> Result<Arc<dyn SimilarPath>, ApiError> {
        find(&self.paths, name, "path_not_found", "path")
    }

    /// Reads what a recommendation needs from memory, which mostly takes less time than handing it to another thread: here,
    /// unless that took long lately.
    pub(crate) async fn read_memory<T: Send + 'static>(
        &self,
        recommendation: &str,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Some(pace) = self.paces.get(recommendation) else { return Ok(read()) };
        let begin = Instant::now();
        let answer = if pace.is_short() { read() } else { self.read(read).await? };
        pace.add(begin.elapsed());
        Ok(answer)
    }

    /// Reads a store on a thread where that may take its time. When too many do already, the caller is told to come
    /// again: waiting would only make all of them late.
    ///
    /// A read that outlives its request keeps its place until it ends, so there are never more than the limit.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let busy = |_| {
            let message = format!("{} searches run already; come again", self.limits.searches);
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_busy", message)
        };
        let place = Arc::clone(&self.searches).try_acquire_owned().map_err(busy)?;
        let task = tokio::task::spawn_blocking(move || {
            let answer = read();
            drop(place);
            answer
        });
        match task.await {
            Ok(answer) => Ok(answer),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ApiError::internal()),
        }
    }
}

fn find<T: ?Sized>(
    all: &BTreeMap<String, Arc<T>>,
    name: &str,
    code: &'static str,
    what: &str,
) -> Result<Arc<T>, ApiError> {
    all.get(name).cloned().ok_or_else(|| {
        let known = all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {known}") };
        ApiError::not_found(code, format!("no {what} is named \"{name}\"; {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_short_while_they_were_for_long_enough() {
        let pace = Pace::default();
        let add = |took_ms, times| (0..times).for_each(|_| pace.add(Duration::from_millis(took_ms)));
        assert!(pace.is_short());
        // Rather long, for a while.
        add(10, 33);
        assert!(!pace.is_short());
        add(0, 40);
        assert!(pace.is_short());
        // A single one that is felt.
        add(51, 1);
        assert!(!pace.is_short());
        add(0, SHORT_FROM - 1);
        assert!(!pace.is_short());
        add(0, 1);
        assert!(pace.is_short());
    }
}
