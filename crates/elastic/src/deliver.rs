//! One bulk request on its way, until each of its items is settled.

use crate::backoff::Backoff;
use crate::bulk::Bulk;
use crate::claim::{self, Claim};
use crate::client::{Call, Cluster, LINES, Reply};
use crate::config::Refresh;
use crate::reply::{self, BulkReply, Verdict};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use proxima_event::{Health, RejectedWrite};
use reqwest::Method;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How often a wait looks whether the run is ending.
const LOOK: Duration = Duration::from_millis(100);

/// Writes that are older than this are sent only by the run that is still the newest: deletes are remembered for an
/// hour, and what a run wrote down before it was paused or cut off must not come after that.
const FRESH: Duration = Duration::from_secs(20 * 60);

/// What the answer leaves out: it would repeat every id.
const FILTER: &str = "items.*.status,items.*.error";

/// Why a request was given up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Undelivered {
    /// The run is ending.
    #[error("the run is ending")]
    Stopped,
    /// Trying again would not help.
    #[error("{0}")]
    Hopeless(String),
}

/// Carries requests of one target.
#[derive(Clone)]
pub(crate) struct Courier {
    pub(crate) cluster: Arc<Cluster>,
    /// The target's index name or pattern, for messages.
    pub(crate) target: Arc<str>,
    pub(crate) refresh: Refresh,
    pub(crate) health: Health,
}

/// What one try has led to.
enum Step {
    /// Each item has its verdict; some are to be sent again, for this reason.
    Answered { again: Vec<usize>, reason: Option<String>, rejected: Vec<RejectedWrite> },
    /// Nothing was done.
    Later(String),
    /// The cluster takes no request of this size.
    TooLarge(String),
    /// There is no use in going on.
    Hopeless(String),
}

impl Courier {
    /// Sends a request until every item is settled. Items that the cluster will never take come back.
    pub(crate) async fn deliver(&self, bulk: Bulk, claim: &Claim) -> Result<Vec<RejectedWrite>, Undelivered> {
        let (mut rejected, mut backoff) = (Vec::new(), Backoff::default());
        let mut written_down = Instant::now();
        let mut queue = vec![bulk];
        while let Some(bulk) = queue.pop() {
            if written_down.elapsed() > FRESH {
                self.reclaim(claim, &mut backoff).await?;
                written_down = Instant::now();
            }
            match self.send(&bulk, claim.generation).await {
                Step::Answered { again, reason, rejected: refused } => {
                    rejected.extend(refused);
                    if again.is_empty() {
                        self.go_on();
                        backoff = Backoff::default();
                        continue;
                    }
                    if again.len() < bulk.items.len() {
                        backoff = Backoff::default();
                    }
                    queue.push(bulk.only(again));
                    self.pause(&mut backoff, reason.as_deref().unwrap_or("busy")).await?;
                }
                Step::Later(reason) => {
                    queue.push(bulk);
                    self.pause(&mut backoff, &reason).await?;
                }
                Step::TooLarge(reason) => match bulk.items.len() {
                    1 => rejected.push(self.refuse(&bulk, 0, reason)),
                    many => queue.extend([bulk.only(many / 2..many), bulk.only(0..many / 2)]),
                },
                Step::Hopeless(reason) => return Err(Undelivered::Hopeless(reason)),
            }
        }
        Ok(rejected)
    }

    async fn send(&self, bulk: &Bulk, generation: u64) -> Step {
        let mut query = vec![("filter_path", FILTER)];
        if self.refresh == Refresh::WaitFor {
            query.push(("refresh", "wait_for"));
        }
        let compressed = self.cluster.config.compress;
        let body = if compressed { compress(&bulk.body) } else { bulk.body.clone() };
        let path = ["_bulk"];
        let call = Call { query: &query, body: Some((LINES, body)), compressed, ..Call::new(Method::POST, &path) };
        match self.cluster.call(&call).await {
            Ok(reply) => self.read(bulk, &reply, generation),
            Err(error) => Step::Later(error.to_string()),
        }
    }

    fn read(&self, bulk: &Bulk, reply: &Reply, generation: u64) -> Step {
        match reply.status {
            200..=299 => {}
            413 => return Step::TooLarge(format!("the cluster takes no request of {} bytes", bulk.body.len())),
            408 | 429 | 500.. => return Step::Later(reply::refusal(&reply.body)),
            _ => return Step::Hopeless(reply::refusal(&reply.body)),
        }
        let outcomes = match BulkReply::parse(&reply.body) {
            Ok(outcomes) if outcomes.len() == bulk.items.len() => outcomes,
            Ok(outcomes) => {
                return Step::Later(format!("{} answers came for {} items", outcomes.len(), bulk.items.len()));
            }
            Err(error) => return Step::Later(format!("the answer is not that of a bulk request: {error}")),
        };
        let (mut again, mut reason, mut rejected) = (Vec::new(), None, Vec::new());
        for (at, outcome) in outcomes.iter().enumerate() {
            match outcome.verdict(bulk.items[at].is_delete(), generation) {
                Verdict::Done => {}
                Verdict::Again(why) => {
                    again.push(at);
                    reason = Some(why);
                }
                Verdict::Rejected(why) => rejected.push(self.refuse(bulk, at, why)),
                Verdict::Hopeless(why) => return Step::Hopeless(why),
            }
        }
        Step::Answered { again, reason, rejected }
    }

    fn refuse(&self, bulk: &Bulk, at: usize, reason: String) -> RejectedWrite {
        let document = bulk.document(at).unwrap_or_default();
        RejectedWrite { target: self.target.to_string(), key: bulk.items[at].id.to_string(), reason, document }
    }

    /// Makes sure that no later run has begun.
    async fn reclaim(&self, claim: &Claim, backoff: &mut Backoff) -> Result<(), Undelivered> {
        loop {
            match claim::confirm(&self.cluster, claim).await {
                Ok(()) => return Ok(()),
                Err(crate::setup::Unready::Hopeless(reason)) => return Err(Undelivered::Hopeless(reason)),
                Err(crate::setup::Unready::Again(reason)) => self.pause(backoff, &reason).await?,
            }
        }
    }

    /// Says what is waited for, and waits.
    pub(crate) async fn pause(&self, backoff: &mut Backoff, reason: &str) -> Result<(), Undelivered> {
        if self.health.waits_for().is_none() {
            tracing::warn!(target = %self.target, sink = self.cluster.config.name, reason, "a sink waits");
        }
        let times = if backoff.tries() == 0 { "once".to_owned() } else { format!("{} times", backoff.tries() + 1) };
        // A lost connection names the address that was lost.
        let at = if reason.starts_with("http") { String::new() } else { format!("{}: ", self.cluster.address()) };
        self.health.wait_for(format!("{at}{reason} (tried {times})"));
        let end = Instant::now() + backoff.next();
        loop {
            if self.health.is_stopped() {
                return Err(Undelivered::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Says that nothing is waited for.
    pub(crate) fn go_on(&self) {
        if self.health.waits_for().is_some() {
            tracing::info!(target = %self.target, sink = self.cluster.config.name, "a sink goes on");
            self.health.go_on();
        }
    }
}

fn compress(body: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes every byte").into()
}
