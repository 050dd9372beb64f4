//! The source `kafka`: topics by name or pattern, every partition of them, in order.
//!
//! At the beginning of a record's way: [`start`] decides where each partition begins, [`replay`] reads what an earlier
//! run had read behind its last checkpoint cut by cut, [`stream`] reads on from there, [`partition`] collects messages
//! to chunks, and [`watch`] looks for new partitions meanwhile. Partitions are assigned by hand: the source is in no
//! group, so nothing is rebalanced, and offsets are committed by the checkpoint alone ([`crate::GroupOffsets`]).
//!
//! A position is a topic's id with an offset; a partition is named `TOPIC-NUMBER`. Tombstones (messages without a value)
//! and empty messages are passed by: they are no records, but their offsets count.

mod fetch;
mod partition;
mod replay;
mod start;
mod stream;
mod watch;

use crate::client::{AskError, Cluster, patiently};
use crate::config::{SourceConfig, Start};
use crate::contact::Contact;
use crate::topics;
pub(crate) use partition::split_name;
use proxima_event::{Health, Intake, Source, SourceError, Stopped};
use std::sync::Arc;

/// Reads topics.
#[derive(Debug)]
pub struct KafkaSource {
    config: SourceConfig,
    contact: Arc<Contact>,
}

impl KafkaSource {
    /// A source; the brokers are asked when it runs.
    #[must_use]
    pub fn new(config: SourceConfig) -> Self {
        let contact = Contact::new(&config.source);
        Self { config, contact }
    }
}

impl Source for KafkaSource {
    fn health(&self) -> Option<Health> {
        Some(self.contact.health().clone())
    }

    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        match read(&self.config, &self.contact, &intake) {
            Ok(()) | Err(Halt::Stopped) => Ok(()),
            Err(Halt::Failed(reason)) => {
                Err(SourceError::Server { tried: "read", place: format!("source \"{}\"", self.config.source), reason })
            }
        }
    }
}

/// Why reading ends before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The run ends.
    Stopped,
    /// It cannot go on.
    Failed(String),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<AskError> for Halt {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Stopped => Self::Stopped,
            AskError::Unreachable(reason) | AskError::Refused(reason) => Self::Failed(reason),
        }
    }
}

fn read(config: &SourceConfig, contact: &Arc<Contact>, intake: &Arc<dyn Intake>) -> Result<(), Halt> {
    let resume = intake.resume();
    let stopped = || intake.stopped();
    let cluster = Cluster::new(&config.connection, config.isolation, contact).map_err(Halt::Failed)?;
    cluster.connect(config.connect, &stopped)?;
    let required = || topics::required(&cluster, &config.topics, &config.connection.brokers);
    let described = patiently(config.connect, &stopped, required)?;
    let mut partitions = start::begin(config, &cluster, &described, &resume, &stopped)?;
    for partition in &partitions {
        intake.open(partition.position());
        intake.end_known(&partition.id, partition.end);
    }
    intake.resumed();
    // Where a partition begins that is not read from its first message nobody else knows, so that the next run must be told.
    if config.start != Start::Earliest && resume.positions.len() < partitions.len() {
        intake.want_checkpoint();
    }
    replay::replay(config, contact, &resume.cuts, &mut partitions, &**intake)?;
    let watched = if config.until_end { None } else { Some(watch::start(config, cluster, described)) };
    stream::stream(config, contact, partitions, watched.as_ref(), &**intake)
}
