//! The consumer: assigns partitions by hand, and says what comes out of its queues.

use super::partition::Partition;
use super::{Halt, start};
use crate::client::{config_reason, reader_config};
use crate::config::SourceConfig;
use crate::contact::{Contact, Context};
use crate::native::{self, Message, Queue};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// How long one question may take.
const ASK: Duration = Duration::from_secs(5);

/// What a queue gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A message.
    Message,
    /// The partition has no more messages now; the next one has at least the offset of the report.
    End,
    /// The brokers do not have the offset that is to be read next.
    OutOfRange,
    /// Reading cannot go on.
    Failed(String),
    /// Something that passes by itself.
    Nothing,
}

/// Why a partition does not have an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its topic was deleted, and one of the same name made.
    WithItsTopic,
    /// It holds what lies between: the first offset that is kept, and the one behind the last.
    Between(u64, u64),
}

impl Gone {
    /// In words.
    pub(crate) fn reason(self, partition: &Partition) -> String {
        match self {
            Self::WithItsTopic => start::made_anew(&partition.topic),
            Self::Between(low, high) => start::out_of_range(&partition.id.name, partition.next(), (low, high)),
        }
    }
}

/// A consumer of partitions that it is told.
pub(crate) struct Fetcher<'a> {
    pub(crate) config: &'a SourceConfig,
    contact: Arc<Contact>,
    consumer: Option<BaseConsumer<Context>>,
}

impl<'a> Fetcher<'a> {
    /// A consumer whose queues hold at most so many bytes each.
    ///
    /// # Errors
    /// When the configuration is none.
    pub(crate) fn new(config: &'a SourceConfig, contact: &Arc<Contact>, queued_bytes: usize) -> Result<Self, Halt> {
        let consumer = reader_config(config, queued_bytes).create_with_context(Context(Arc::clone(contact)));
        let consumer = consumer.map_err(|error| Halt::Failed(config_reason(&error)))?;
        Ok(Self { config, contact: Arc::clone(contact), consumer: Some(consumer) })
    }

    fn consumer(&self) -> &BaseConsumer<Context> {
        self.consumer.as_ref().expect("it is taken out in drop alone")
    }

    /// A queue for messages of several partitions.
    pub(crate) fn joint_queue(&self) -> Queue<'_> {
        Queue::new(self.consumer())
    }

    /// The queue of a partition. To be asked for before it is assigned.
    pub(crate) fn queue(&self, partition: &Partition) -> Queue<'_> {
        Queue::of_partition(self.consumer(), &partition.topic, partition.number)
    }

    /// Begins to fetch partitions, each from where it stands.
    ///
    /// # Errors
    /// When librdkafka refuses them.
    pub(crate) fn assign<'p>(&self, partitions: impl Iterator<Item = &'p Partition>) -> Result<(), Halt> {
        let failed = |error: KafkaError| Halt::Failed(format!("cannot assign partitions: {error}"));
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let offset = Offset::Offset(i64::try_from(partition.next()).unwrap_or(i64::MAX));
            list.add_partition_offset(&partition.topic, partition.number, offset).map_err(failed)?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.consumer().incremental_assign(&list).map_err(failed)
    }

    /// Lets librdkafka tell its logs and errors.
    pub(crate) fn serve(&self) {
        let _ = self.consumer().poll(Duration::ZERO);
    }

    /// The offset behind the last message of a partition, as far as an answer of the brokers has told it.
    pub(crate) fn known_end(&self, partition: &Partition) -> Option<u64> {
        native::known_watermarks(self.consumer(), &partition.topic, partition.number).map(|(_, high)| high)
    }

    /// The first offset that is kept of a partition, and the one behind the last, when the brokers are asked now.
    pub(crate) fn watermarks(&self, partition: &Partition) -> Option<(u64, u64)> {
        let answer = self.consumer().fetch_watermarks(&partition.topic, partition.number, ASK);
        answer.ok().and_then(|(low, high)| Some((u64::try_from(low).ok()?, u64::try_from(high).ok()?)))
    }

    /// Why a partition does not have the offset that is to be read next; nothing if the brokers do not tell, or have it now.
    pub(crate) fn why_gone(&self, partition: &Partition) -> Option<Gone> {
        let topics = native::describe_topics(self.consumer(), std::slice::from_ref(&partition.topic), ASK);
        let topic = topics.ok()?.into_iter().next().filter(|topic| topic.error.is_none())?;
        if start::identity(&topic) != partition.identity {
            return Some(Gone::WithItsTopic);
        }
        let (low, high) = self.watermarks(partition)?;
        (!(low..=high).contains(&partition.next())).then_some(Gone::Between(low, high))
    }

    /// Ceases to fetch partitions.
    pub(crate) fn unassign<'p>(&self, partitions: impl Iterator<Item = &'p Partition>) {
        for partition in partitions {
            let mut list = TopicPartitionList::new();
            list.add_partition(&partition.topic, partition.number);
            // What is not assigned, as after its topic went, need not be taken off; in one list it would keep the others.
            let _ = self.consumer().incremental_unassign(&list);
        }
    }

    /// What a message of a queue is.
    pub(crate) fn report(&self, message: &Message<'_>) -> Report {
        let Some(code) = message.error() else { return Report::Message };
        match code {
            RDKafkaErrorCode::PartitionEOF => {
                self.contact.answered();
                Report::End
            }
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => Report::OutOfRange,
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::MessageSizeTooLarge => {
                let reason =
                    format!("cannot read {}-{}: {}", message.topic_name(), message.partition(), message.reason());
                Report::Failed(reason)
            }
            _ => {
                tracing::debug!(%code, reason = message.reason(), "Kafka reports");
                Report::Nothing
            }
        }
    }
}

impl Drop for Fetcher<'_> {
    fn drop(&mut self) {
        // Leaving takes librdkafka some time, more so when brokers do not answer; a run that ends does not wait for it.
        let consumer = self.consumer.take();
        let _ = std::thread::Builder::new().name("kafka-leave".to_owned()).spawn(move || drop(consumer));
    }
}
