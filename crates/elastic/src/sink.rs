//! The sink: rows become items of bulk requests, several of which are under way at a time.
//!
//! **Order.** A write carries its version, and the cluster lets the highest stand, so requests may overtake each other.
//! Deletes are the exception: their versions are forgotten after a while. So two requests that hold the same document
//! are never under way together, and of two versions in one request only the later is sent.
//!
//! **Memory.** One request is being filled, and the cluster's places bound those under way, over all targets.

use crate::backoff::Backoff;
use crate::bulk::{Batch, Sent};
use crate::claim::{self, Claim};
use crate::client::Cluster;
use crate::config::TargetConfig;
use crate::deliver::{Courier, Undelivered};
use crate::pattern::BoundPattern;
use crate::setup::{self, Unready};
use proxima_event::encode::{id_text, write_row};
use proxima_event::{Changes, Health, RejectedWrite, Sink, SinkError, Version};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The longest id that the servers take, in bytes.
const ID_BYTES_MAX: usize = 512;

/// How many refused writes wait to be taken; further ones are in the log alone.
const REJECTED_MAX: usize = 10_000;

/// The id of a row whose key is an empty text, which the servers do not take for an id.
const EMPTY: &str = "\\E";

/// A sink for one target.
pub struct ElasticSink {
    courier: Courier,
    target: TargetConfig,
    pattern: BoundPattern,
    /// Index template and indexes are being made; `None` once they are there.
    setup: Option<JoinHandle<Result<(), Undelivered>>>,
    /// What this run has said about itself.
    claim: Option<Arc<Claim>>,
    batch: Batch,
    under_way: Vec<UnderWay>,
    rejected: Vec<RejectedWrite>,
    /// The document and the index's name of a row; kept for their memory.
    document: Vec<u8>,
    index: String,
}

struct UnderWay {
    sent: Sent,
    task: JoinHandle<Result<Vec<RejectedWrite>, Undelivered>>,
}

impl ElasticSink {
    /// Makes a sink for a target. Template and indexes are made in the background; an unreachable cluster is waited for.
    ///
    /// # Errors
    /// With a sentence, when the index's name does not fit the target.
    pub fn new(cluster: &Arc<Cluster>, target: TargetConfig) -> Result<Self, String> {
        let pattern = target.index.bind(&target.schema, &target.key)?;
        let courier = Courier {
            cluster: Arc::clone(cluster),
            target: target.index.to_string().into(),
            refresh: target.refresh,
            health: Health::default(),
        };
        let setup = cluster.runtime().spawn(prepare(courier.clone(), target.clone()));
        Ok(Self {
            courier,
            target,
            pattern,
            setup: Some(setup),
            claim: None,
            batch: Batch::default(),
            under_way: Vec::new(),
            rejected: Vec::new(),
            document: Vec::new(),
            index: String::new(),
        })
    }

    /// Waits until template and indexes are there and this run's generation is known to the cluster.
    fn begin(&mut self, version: Version) -> Result<(), SinkError> {
        if let Some(setup) = self.setup.take() {
            let ended = self.courier.cluster.wait(setup);
            ended.map_err(|error| self.failed("prepare", &error))?.map_err(|error| self.failed("prepare", &error))?;
        }
        let generation = version.0 >> 40;
        if self.claim.as_ref().is_none_or(|claim| claim.generation != generation) {
            let target = self.target.index.wildcard();
            let claim = begin_generation(&self.courier, &target, generation);
            let claim = self.courier.cluster.wait(claim).map_err(|error| self.failed("write to", &error))?;
            self.claim = Some(Arc::new(claim));
        }
        Ok(())
    }

    fn push(&mut self, version: Version, changes: &Changes, row: usize) {
        let mut id = id_text(&changes.rows, &self.target.key, row);
        // A text that looks like the id of an empty one gets one more `\`, as one that looks like NULL has it.
        if id.is_empty() {
            EMPTY.clone_into(&mut id);
        } else if id.starts_with('\\') && id.trim_start_matches('\\') == "E" {
            id.insert(0, '\\');
        }
        let upsert = changes.weight(row) > 0;
        self.document.clear();
        if upsert {
            write_row(&mut self.document, &changes.rows, row);
        }
        if id.len() > ID_BYTES_MAX {
            let reason = format!("the key has {} bytes as text, at most {ID_BYTES_MAX} are possible", id.len());
            let document = String::from_utf8_lossy(&self.document).into_owned();
            self.keep(vec![RejectedWrite { target: self.courier.target.to_string(), key: id, reason, document }]);
            return;
        }
        self.index.clear();
        self.pattern.write(&mut self.index, &changes.rows, row);
        self.batch.push(&self.index, &id, version.0, upsert.then_some(self.document.as_slice()));
    }

    fn is_full(&self) -> bool {
        let config = &self.courier.cluster.config;
        self.batch.bytes() >= config.bulk_bytes || self.batch.len() >= config.bulk_documents
    }

    /// Sends what was gathered, as soon as there is a place for it.
    fn send(&mut self) -> Result<(), SinkError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.settle_finished()?;
        if self.under_way.iter().any(|other| self.batch.overlaps(&other.sent)) {
            self.settle_all()?;
        }
        let cluster = Arc::clone(&self.courier.cluster);
        let place = cluster.wait(Arc::clone(&cluster.places).acquire_owned()).expect("places are never closed");
        let mut bulk = std::mem::take(&mut self.batch).close();
        let sent = bulk.take_sent();
        let courier = self.courier.clone();
        let claim = Arc::clone(self.claim.as_ref().expect("a write begins with the claim"));
        let task = cluster.runtime().spawn(async move {
            let delivered = courier.deliver(bulk, &claim).await;
            drop(place);
            delivered
        });
        self.under_way.push(UnderWay { sent, task });
        Ok(())
    }

    fn settle_finished(&mut self) -> Result<(), SinkError> {
        let (ended, going) = std::mem::take(&mut self.under_way).into_iter().partition(|one| one.task.is_finished());
        self.under_way = going;
        self.settle(ended)
    }

    fn settle_all(&mut self) -> Result<(), SinkError> {
        let all = std::mem::take(&mut self.under_way);
        self.settle(all)
    }

    fn settle(&mut self, requests: Vec<UnderWay>) -> Result<(), SinkError> {
        for request in requests {
            let ended = self.courier.cluster.wait(request.task).map_err(|error| self.failed("write to", &error))?;
            let rejected = ended.map_err(|error| self.failed("write to", &error))?;
            self.keep(rejected);
        }
        Ok(())
    }

    /// Keeps refused writes until somebody takes them.
    fn keep(&mut self, rejected: Vec<RejectedWrite>) {
        let Some(first) = rejected.first() else { return };
        let (count, key, reason) = (rejected.len(), &first.key, &first.reason);
        tracing::warn!(target = %self.courier.target, count, key, reason, "the cluster has refused writes");
        let room = REJECTED_MAX.saturating_sub(self.rejected.len());
        self.rejected.extend(rejected.into_iter().take(room));
    }

    fn failed(&self, tried: &'static str, reason: &dyn std::fmt::Display) -> SinkError {
        let target = format!("{} at {}", self.courier.target, self.courier.cluster.address());
        SinkError { tried, target, reason: reason.to_string() }
    }
}

impl Sink for ElasticSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        self.begin(version)?;
        for changes in changes {
            for row in 0..changes.len() {
                if changes.weight(row) == 0 {
                    continue;
                }
                self.push(version, changes, row);
                if self.is_full() {
                    self.send()?;
                }
            }
        }
        Ok(())
    }

    /// Returns when every item is acknowledged, which the servers do once it is in their log on the disk.
    fn flush(&mut self) -> Result<(), SinkError> {
        self.send()?;
        self.settle_all()
    }

    fn health(&self) -> Option<Health> {
        Some(self.courier.health.clone())
    }

    fn take_rejected(&mut self) -> Vec<RejectedWrite> {
        std::mem::take(&mut self.rejected)
    }
}

async fn prepare(courier: Courier, target: TargetConfig) -> Result<(), Undelivered> {
    let mut backoff = Backoff::default();
    loop {
        match setup::prepare(&courier.cluster, &target).await {
            Ok(()) => {
                courier.go_on();
                return Ok(());
            }
            Err(Unready::Again(reason)) => courier.pause(&mut backoff, &reason).await?,
            Err(Unready::Hopeless(reason)) => {
                tracing::error!(target = %courier.target, reason, "a sink cannot begin");
                courier.health.wait_for(reason.clone());
                return Err(Undelivered::Hopeless(reason));
            }
        }
    }
}

async fn begin_generation(courier: &Courier, target: &str, generation: u64) -> Result<Claim, Undelivered> {
    let mut backoff = Backoff::default();
    loop {
        match claim::claim(&courier.cluster, target, generation).await {
            Ok(claim) => {
                courier.go_on();
                return Ok(claim);
            }
            Err(Unready::Again(reason)) => courier.pause(&mut backoff, &reason).await?,
            Err(Unready::Hopeless(reason)) => return Err(Undelivered::Hopeless(reason)),
        }
    }
}
