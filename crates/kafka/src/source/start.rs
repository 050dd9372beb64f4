//! Where each partition begins: at its stored position, else where the configuration says.

use super::Halt;
use super::partition::{Partition, partition_name, split_name};
use crate::client::{Cluster, patiently};
use crate::config::{LostOffsets, SourceConfig, Start, Topics};
use crate::native::TopicDescription;
use proxima_event::{Position, Resume};
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::time::Duration;

/// How long the brokers may take to find offsets of a time.
const FIND: Duration = Duration::from_secs(30);

/// All partitions that are there, each with its first offset and its present end.
pub(crate) fn begin(
    config: &SourceConfig,
    cluster: &Cluster,
    described: &[TopicDescription],
    resume: &Resume,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<Partition>, Halt> {
    let stored: HashMap<&str, &Position> =
        resume.positions.iter().map(|position| (&*position.partition.name, position)).collect();
    check_missing(config, described, &resume.positions)?;
    let times = times(config, cluster, described)?;
    let mut partitions = Vec::new();
    for topic in described {
        for &number in &topic.partitions {
            let (low, high) = patiently(config.connect, stopped, || cluster.watermarks(&topic.name, number))?;
            let offset = match stored.get(&*partition_name(&topic.name, number)) {
                Some(position) => resumed(config, topic, position, (low, high))?,
                None if joined_since(config, &topic.name, &resume.positions) => low,
                None => match config.start {
                    Start::Earliest => low,
                    Start::Latest => high,
                    Start::Timestamp(_) => times.get(&(&*topic.name, number)).map_or(high, |&offset| offset.max(low)),
                },
            };
            partitions.push(Partition::new(&config.source, &topic.name, number, identity(topic), offset, high));
        }
    }
    Ok(partitions)
}

/// Whether a partition that an earlier run did not know came after that run began, as [`join`] would have found it: one of
/// a topic that was read, or of a topic of a pattern. Topics that are named begin anew where the job names one more.
fn joined_since(config: &SourceConfig, topic: &str, stored: &[Position]) -> bool {
    match config.topics {
        Topics::Pattern(_) => !stored.is_empty(),
        Topics::Names(_) => {
            stored.iter().any(|position| split_name(&position.partition.name).is_some_and(|(name, _)| name == topic))
        }
    }
}

/// Partitions that were found while the source runs: read from their beginning, for it was not there at the start.
pub(crate) fn join(config: &SourceConfig, topic: &TopicDescription, number: i32, watermarks: (u64, u64)) -> Partition {
    let (low, high) = watermarks;
    Partition::new(&config.source, &topic.name, number, identity(topic), low, high)
}

/// A topic's id; for brokers that do not give ids its name.
pub(crate) fn identity(topic: &TopicDescription) -> &str {
    if topic.id.is_empty() { &topic.name } else { &topic.id }
}

/// Where reading of a partition goes on that holds what lies between two offsets: the first one that is kept, and the
/// one behind the last that may be read.
fn resumed(
    config: &SourceConfig,
    topic: &TopicDescription,
    position: &Position,
    kept: (u64, u64),
) -> Result<u64, Halt> {
    let wanted = position.offset;
    if position.identity != identity(topic) {
        lost(config, &made_anew(&topic.name))?;
        return Ok(kept.0);
    }
    if (kept.0..=kept.1).contains(&wanted) {
        return Ok(wanted);
    }
    lost(config, &out_of_range(&position.partition.name, wanted, kept))?;
    Ok(wanted.clamp(kept.0, kept.1))
}

/// A topic's id is not the one that was stored.
pub(crate) fn made_anew(topic: &str) -> String {
    format!("topic \"{topic}\" was deleted and made anew since it was last read, so stored offsets mean nothing in it")
}

/// A partition does not hold the offset that is to be read next.
pub(crate) fn out_of_range(name: &str, wanted: u64, (low, high): (u64, u64)) -> String {
    let there =
        if low == high { format!("is empty, and goes on at {high}") } else { format!("holds {low} to {}", high - 1) };
    format!("partition {name} is to be read from offset {wanted} on, but it {there}")
}

/// Stops for messages that are gone, or says that they are passed by.
///
/// # Errors
/// Unless the job says that they may be lost.
pub(crate) fn lost(config: &SourceConfig, what: &str) -> Result<(), Halt> {
    match config.lost_offsets {
        LostOffsets::Skip => {
            tracing::warn!(source = config.source, "{what}; going on with what is there");
            Ok(())
        }
        LostOffsets::Fail => Err(Halt::Failed(format!(
            "{what}; with lost_offsets = \"skip\" the source goes on with what is there, and what is gone is missing \
             from the results (keep messages longer by the topic's retention.ms)"
        ))),
    }
}

/// Stored partitions must still be there.
fn check_missing(config: &SourceConfig, described: &[TopicDescription], stored: &[Position]) -> Result<(), Halt> {
    for position in stored {
        let name = &position.partition.name;
        let there = split_name(name).is_some_and(|(topic, number)| {
            described.iter().any(|described| described.name == topic && described.partitions.contains(&number))
        });
        if !there {
            lost(config, &format!("partition {name} was read up to {}, and is there no more", position.offset))?;
        }
    }
    Ok(())
}

/// For a start at a time: the first offset of each partition that is not older. Partitions without one are left out.
fn times<'d>(
    config: &SourceConfig,
    cluster: &Cluster,
    described: &'d [TopicDescription],
) -> Result<HashMap<(&'d str, i32), u64>, Halt> {
    let Start::Timestamp(millis) = config.start else { return Ok(HashMap::new()) };
    let mut wanted = TopicPartitionList::new();
    for topic in described {
        for &number in &topic.partitions {
            let added = wanted.add_partition_offset(&topic.name, number, Offset::Offset(millis));
            added.map_err(|error| Halt::Failed(format!("start at a time: {error}")))?;
        }
    }
    let found = cluster.heard(cluster.client.offsets_for_times(wanted, FIND).map_err(|error| error.to_string()))?;
    let mut offsets = HashMap::new();
    for topic in described {
        for &number in &topic.partitions {
            if let Some(Offset::Offset(offset)) = found.find_partition(&topic.name, number).map(|found| found.offset())
            {
                offsets.insert((&*topic.name, number), u64::try_from(offset).unwrap_or(0));
            }
        }
    }
    Ok(offsets)
}
