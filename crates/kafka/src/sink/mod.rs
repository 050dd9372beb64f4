//! The sink `kafka`: rows of a target as messages of a topic.
//!
//! The last step of a record's way where other programs read on. A row is one message: its key the target's key columns
//! as a JSON object, its value the whole row as JSON ([`record`]), nothing (a tombstone) for a delete. The header
//! `proxima-version` says which epoch wrote it: of two messages with one key the greater version stands.
//!
//! The producer is idempotent: it tries on for as long as brokers are away, and nothing is lost, doubled or out of order.
//! With a transactional id, all that is written between two flushes is one transaction ([`transaction`]), and another
//! sink that opens with the same id shuts this one out.

mod deliver;
mod record;
mod transaction;

use crate::client::{AskError, Cluster, apply_base, config_reason, patiently};
use crate::config::{Isolation, SinkConfig, Topics};
use crate::contact::Contact;
use crate::topics;
pub(crate) use deliver::Deliveries;
use deliver::Failure;
use proxima_event::{Changes, Health, RejectedWrite, Sink, SinkError, Version};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use record::Record;
use std::time::Duration;

/// How long to wait for acknowledgements before it is looked whether the run ends.
const WAIT: Duration = Duration::from_millis(50);

/// Messages that wait for a flush are held up to here; then they are flushed early, but for those of a transaction.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Writes rows to a topic.
pub struct KafkaSink {
    config: SinkConfig,
    producer: BaseProducer<Deliveries>,
    contact: std::sync::Arc<Contact>,
    /// What was sent since the last flush: some of it may have to be sent again.
    waiting: Vec<Record>,
    waiting_bytes: usize,
    in_transaction: bool,
    rejected: Vec<RejectedWrite>,
}

impl KafkaSink {
    /// Reaches the brokers, looks for the topic, and, with a transactional id, shuts out an earlier sink of this id.
    ///
    /// # Errors
    /// When the brokers cannot be reached, the topic is missing, or the configuration is none.
    pub fn open(config: SinkConfig) -> Result<Self, SinkError> {
        let contact = Contact::new(&config.topic);
        let failed = |reason| SinkError { tried: "open", target: format!("topic {}", config.topic), reason };
        let asked = |error| match error {
            AskError::Stopped => failed("the run ends".to_owned()),
            AskError::Unreachable(reason) | AskError::Refused(reason) => failed(reason),
        };
        let cluster = Cluster::new(&config.connection, Isolation::default(), &contact).map_err(failed)?;
        let stopped = || contact.health().is_stopped();
        cluster.connect(config.connect, &stopped).map_err(asked)?;
        let names = Topics::Names(vec![config.topic.clone()]);
        let required = || topics::required(&cluster, &names, &config.connection.brokers);
        patiently(config.connect, &stopped, required).map_err(asked)?;
        let producer: BaseProducer<Deliveries> = producer_config(&config)
            .create_with_context(Deliveries::new(&contact))
            .map_err(|error| failed(config_reason(&error)))?;
        if config.transactional_id.is_some() {
            transaction::init(&producer, config.connect).map_err(failed)?;
        }
        Ok(Self {
            config,
            producer,
            contact,
            waiting: Vec::new(),
            waiting_bytes: 0,
            in_transaction: false,
            rejected: Vec::new(),
        })
    }

    fn failed(&self, tried: &'static str, reason: impl Into<String>) -> SinkError {
        SinkError { tried, target: format!("topic {}", self.config.topic), reason: reason.into() }
    }

    fn is_stopped(&self) -> bool {
        self.contact.health().is_stopped()
    }

    fn transactional(&self) -> bool {
        self.config.transactional_id.is_some()
    }

    /// Hands one of the waiting records to the producer, with patience when its queue is full.
    fn send(&self, place: usize) -> Result<(), SinkError> {
        let mut message = self.waiting[place].message(&self.config.topic, place);
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    message = refused;
                    self.producer.poll(WAIT);
                }
                Err((error, _)) => match error.rdkafka_error_code() {
                    Some(code) if deliver::concerns_one_message(code) => {
                        self.producer.context().fail(Failure { place, code, reason: code.to_string() });
                        return Ok(());
                    }
                    _ => return Err(self.failed("write to", error.to_string())),
                },
            }
            if self.is_stopped() {
                return Err(self.failed("write to", "the run ends"));
            }
        }
    }

    /// Waits until the brokers have acknowledged or refused everything, and gives what they have refused.
    fn settle(&self) -> Result<Vec<Failure>, SinkError> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(WAIT);
            if self.is_stopped() {
                return Err(self.failed("write to", "the run ends"));
            }
        }
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return Err(self.failed("write to", fatal(code, &reason)));
        }
        self.contact.answered();
        let mut failures = self.producer.context().take_failures();
        failures.sort_by_key(|failure| failure.place);
        // A transaction can be sent again as a whole; without one, what librdkafka gives up is lost to it.
        let given_up = |failure: &&Failure| match self.transactional() {
            true => deliver::is_permanent(failure.code),
            false => !deliver::concerns_one_message(failure.code),
        };
        match failures.iter().find(given_up) {
            Some(failure) => Err(self.failed("write to", failure.reason.clone())),
            None => Ok(failures),
        }
    }

    /// Refused messages may have been refused for others of their batch: each is sent again alone, unless its key was
    /// written again since, and rejected if it is refused again.
    fn settle_one_by_one(&mut self) -> Result<(), SinkError> {
        for failure in self.settle()? {
            let record = &self.waiting[failure.place];
            if self.waiting[failure.place + 1..].iter().any(|later| later.key == record.key) {
                continue;
            }
            self.send(failure.place)?;
            if let Some(failure) = self.settle()?.pop() {
                self.reject(&failure);
            }
        }
        Ok(())
    }

    fn reject(&mut self, failure: &Failure) {
        let record = &self.waiting[failure.place];
        self.rejected.push(RejectedWrite {
            target: self.config.topic.clone(),
            key: String::from_utf8_lossy(&record.key).into_owned(),
            reason: failure.reason.clone(),
            document: record.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        });
    }
}

impl Sink for KafkaSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for batch in changes {
            for row in 0..batch.len() {
                let Some(record) = Record::of(batch, row, &self.config.key, version) else { continue };
                if !self.transactional() && self.waiting_bytes > WAITING_BYTES_MAX {
                    self.flush()?;
                }
                self.begin_if_needed()?;
                self.waiting_bytes += record.bytes();
                self.waiting.push(record);
                self.send(self.waiting.len() - 1)?;
            }
        }
        // Lets acknowledgements in, so that the producer's queue does not grow with them.
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.transactional() {
            self.commit()?;
        } else {
            self.settle_one_by_one()?;
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn health(&self) -> Option<Health> {
        Some(self.contact.health().clone())
    }

    fn take_rejected(&mut self) -> Vec<RejectedWrite> {
        std::mem::take(&mut self.rejected)
    }
}

fn producer_config(config: &SinkConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    // Keys go to the partitions that producers of other languages choose for them.
    client.set("partitioner", "murmur2_random");
    client.set("compression.type", "lz4").set("linger.ms", "5");
    client.set("queue.buffering.max.kbytes", "65536").set("queue.buffering.max.messages", "100000");
    apply_base(&config.connection, &mut client);
    client.set("enable.idempotence", "true");
    if let Some(id) = &config.transactional_id {
        client.set("transactional.id", id);
    } else {
        // No message is given up: brokers that are away are waited for.
        client.set("message.timeout.ms", "0");
    }
    client
}

fn fatal(code: RDKafkaErrorCode, reason: &str) -> String {
    match code {
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch => {
            format!("another run of this job has taken over: {reason}")
        }
        _ => reason.to_owned(),
    }
}
