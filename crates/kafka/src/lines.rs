//! Lines into topics, as they are: for generators and collectors.
//!
//! Beside the sinks: a line is a message without a key, and the caller chooses its partition. The producer is idempotent
//! and tries on for as long as brokers are away, as that of a sink does.

use crate::client::{AskError, Cluster, base_config, config_reason, patiently};
use crate::config::{Connection, Isolation, Topics};
use crate::contact::Contact;
use crate::sink::Deliveries;
use crate::topics;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

/// How long the first contact may take.
const CONNECT: Duration = Duration::from_secs(30);

/// How long to wait for room or for acknowledgements before it is looked what went wrong.
const WAIT: Duration = Duration::from_millis(50);

/// Writes lines.
pub struct LineWriter {
    producer: BaseProducer<Deliveries>,
    partitions: Vec<(String, usize)>,
}

impl LineWriter {
    /// Reaches the brokers and looks for the topics.
    ///
    /// # Errors
    /// In words, when the brokers cannot be reached, a topic is missing, or the configuration is none.
    pub fn open(connection: &Connection, names: &[&str]) -> Result<Self, String> {
        let contact = Contact::new("lines");
        let asked = |error| match error {
            AskError::Stopped => "the run ends".to_owned(),
            AskError::Unreachable(reason) | AskError::Refused(reason) => reason,
        };
        let cluster = Cluster::new(connection, Isolation::default(), &contact)?;
        cluster.connect(CONNECT, &|| false).map_err(asked)?;
        let wanted = Topics::Names(names.iter().map(|&name| name.to_owned()).collect());
        let required = || topics::required(&cluster, &wanted, &connection.brokers);
        let described = patiently(CONNECT, &|| false, required).map_err(asked)?;
        let partitions = described.into_iter().map(|topic| (topic.name, topic.partitions.len())).collect();
        let mut config = base_config(connection);
        config.set("compression.type", "lz4").set("linger.ms", "5");
        config.set("enable.idempotence", "true").set("message.timeout.ms", "0");
        let producer = config.create_with_context(Deliveries::new(&contact));
        Ok(Self { producer: producer.map_err(|error| config_reason(&error))?, partitions })
    }

    /// How many partitions a topic has.
    #[must_use]
    pub fn partitions(&self, topic: &str) -> usize {
        self.partitions.iter().find(|(name, _)| name == topic).map_or(0, |(_, count)| *count)
    }

    /// Hands a line over, with patience when much is under way.
    ///
    /// # Errors
    /// In words, when the brokers have refused one for good.
    pub fn write(&self, topic: &str, partition: i32, line: &[u8]) -> Result<(), String> {
        let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, 0).partition(partition).payload(line);
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    message = refused;
                    self.serve(WAIT)?;
                }
                Err((error, _)) => return Err(format!("cannot write to topic {topic}: {error}")),
            }
        }
    }

    /// Lets acknowledgements in, for so long at the most.
    ///
    /// # Errors
    /// In words, when the brokers have refused a line for good.
    pub fn serve(&self, wait: Duration) -> Result<(), String> {
        self.producer.poll(wait);
        match self.producer.context().take_failures().first() {
            Some(failure) => Err(format!("a line was refused: {}", failure.reason)),
            None => Ok(()),
        }
    }

    /// Waits until the brokers have acknowledged every line.
    ///
    /// # Errors
    /// In words, when they have refused one for good.
    pub fn flush(&self) -> Result<(), String> {
        while self.producer.in_flight_count() > 0 {
            self.serve(WAIT)?;
        }
        self.serve(Duration::ZERO)
    }
}
