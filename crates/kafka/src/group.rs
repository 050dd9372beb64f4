//! Positions as the offsets of a consumer group, so that the usual tools show how far a job is.

use crate::client::{base_config, config_reason};
use crate::config::Connection;
use crate::contact::{Contact, Context};
use crate::source::split_name;
use proxima_event::Position;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

/// Publishes offsets for a consumer group without joining it. They are for people and tools; a job resumes from its
/// checkpoint.
pub struct GroupOffsets {
    consumer: BaseConsumer<Context>,
    group: String,
}

impl GroupOffsets {
    /// A client for the group. The brokers are not asked yet.
    ///
    /// # Errors
    /// In words, when the configuration is none.
    pub fn new(connection: &Connection, group: &str) -> Result<Self, String> {
        let contact = Contact::new(group);
        let mut config = base_config(connection);
        config.set("group.id", group).set("enable.auto.commit", "false");
        let consumer = config.create_with_context(Context(contact)).map_err(|error| config_reason(&error))?;
        Ok(Self { consumer, group: group.to_owned() })
    }

    /// Commits the positions of Kafka partitions, and returns when the group's coordinator has them.
    ///
    /// # Errors
    /// In words: when no broker answers, or when members have joined the group, whose offsets these then are.
    pub fn commit(&self, positions: &[Position]) -> Result<(), String> {
        let failed = |error| format!("cannot commit the offsets of group \"{}\": {error}", self.group);
        let mut offsets = TopicPartitionList::new();
        for position in positions {
            let Some((topic, number)) = split_name(&position.partition.name) else { continue };
            let offset = Offset::Offset(i64::try_from(position.offset).unwrap_or(i64::MAX));
            offsets.add_partition_offset(topic, number, offset).map_err(failed)?;
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        self.consumer.commit(&offsets, CommitMode::Sync).map_err(failed)
    }
}
