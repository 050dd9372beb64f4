//! Clients of a cluster: their configuration, the first contact, and what their errors mean.

use crate::config::{Connection, Isolation, RESERVED, SourceConfig};
use crate::contact::{Contact, Context};
use crate::native::{self, TopicDescription};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one question may take. Answers come within milliseconds; after this the next broker is asked.
const ASK: Duration = Duration::from_secs(5);

/// Why the brokers could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskError {
    /// They do not answer; the reason of the last attempt.
    Unreachable(String),
    /// They answer, and refuse us; asking again does not help.
    Refused(String),
    /// The run ends.
    Stopped,
}

/// Asks again and again while no answer comes, for so long: a broker that has just gone leaves its partitions without a
/// leader for some seconds.
///
/// # Errors
/// The last one, or at once when the brokers refuse us.
pub(crate) fn patiently<T>(
    patience: Duration,
    stopped: &dyn Fn() -> bool,
    ask: impl Fn() -> Result<T, AskError>,
) -> Result<T, AskError> {
    const PAUSE: Duration = Duration::from_millis(200);
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Err(AskError::Unreachable(reason)) if Instant::now() < deadline => {
                tracing::debug!(reason, "Kafka is asked again");
            }
            answer => return answer,
        }
        if stopped() {
            return Err(AskError::Stopped);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What every client is told.
pub(crate) fn base_config(connection: &Connection) -> ClientConfig {
    let mut config = ClientConfig::new();
    apply_base(connection, &mut config);
    config
}

/// Adds what every client is told. The job's own properties replace what was set before.
pub(crate) fn apply_base(connection: &Connection, config: &mut ClientConfig) {
    config.set("bootstrap.servers", &connection.brokers).set("client.id", "proxima");
    // A broker that is back is found again within a second.
    config.set("reconnect.backoff.max.ms", "1000");
    connection.security.apply(config);
    for (name, value) in &connection.properties {
        if !RESERVED.contains(&name.as_str()) {
            config.set(name, value);
        }
    }
}

/// What a client is told that reads. `queued_bytes` bounds each of its queues.
pub(crate) fn reader_config(config: &SourceConfig, queued_bytes: usize) -> ClientConfig {
    let mut client = ClientConfig::new();
    let isolation = match config.isolation {
        Isolation::ReadCommitted => "read_committed",
        Isolation::ReadUncommitted => "read_uncommitted",
    };
    let kilobytes = (queued_bytes / 1024).clamp(64, 2_097_151);
    // Large answers, few of which fill a queue. A broker gives what it has at once, and waits only where it has nothing.
    let fetched = (queued_bytes / 4).clamp(64 << 10, 512 << 20);
    client.set("queued.max.messages.kbytes", kilobytes.to_string());
    client.set("queued.min.messages", "10000000");
    client.set("fetch.max.bytes", fetched.to_string());
    client.set("message.max.bytes", fetched.min(1_000_000_000).to_string());
    client.set("max.partition.fetch.bytes", (fetched / 2).to_string());
    client.set("receive.message.max.bytes", (fetched + (64 << 20)).to_string());
    client.set("fetch.wait.max.ms", "50").set("fetch.min.bytes", "1").set("fetch.error.backoff.ms", "100");
    // A partition whose queue was full is asked for again after this, not after a second, in which the queue runs empty.
    client.set("fetch.queue.backoff.ms", "5");
    client.set("isolation.level", isolation);
    // The checksums of TCP and of the disk are enough by default, as for every client of Kafka.
    client.set("check.crcs", "false");
    apply_base(&config.connection, &mut client);
    client.set("group.id", &config.group);
    client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    client.set("enable.partition.eof", "true").set("auto.offset.reset", "error");
    client
}

/// A client that asks, and reads nothing.
pub(crate) struct Cluster {
    pub(crate) client: BaseConsumer<Context>,
    brokers: String,
    user: Option<String>,
    contact: Arc<Contact>,
}

impl Cluster {
    /// A client; the brokers are not asked yet.
    ///
    /// # Errors
    /// When the configuration is none.
    pub(crate) fn new(connection: &Connection, isolation: Isolation, contact: &Arc<Contact>) -> Result<Self, String> {
        let mut config = base_config(connection);
        if isolation == Isolation::ReadUncommitted {
            config.set("isolation.level", "read_uncommitted");
        }
        let client = config.create_with_context(Context(Arc::clone(contact)));
        Ok(Self {
            client: client.map_err(|error| config_reason(&error))?,
            brokers: connection.brokers.clone(),
            user: connection.security.login.as_ref().map(|login| login.user.clone()),
            contact: Arc::clone(contact),
        })
    }

    /// Waits until the brokers answer.
    ///
    /// # Errors
    /// When they do not within the time, or refuse us.
    pub(crate) fn connect(&self, patience: Duration, stopped: &dyn Fn() -> bool) -> Result<(), AskError> {
        const LOOK: Duration = Duration::from_millis(100);
        let deadline = Instant::now() + patience;
        loop {
            // Events such as a failed login come while the queue is polled.
            let _ = self.client.poll(Duration::ZERO);
            if self.client.client().fetch_cluster_id(LOOK).is_some() {
                self.contact.answered();
                return Ok(());
            }
            if stopped() {
                return Err(AskError::Stopped);
            }
            if let Some(refusal) = self.refusal() {
                return Err(refusal);
            }
            if Instant::now() >= deadline {
                return Err(self.unreachable());
            }
        }
    }

    /// The topics of these names, those that are missing with an error.
    ///
    /// # Errors
    /// When no broker answers.
    pub(crate) fn describe(&self, names: &[String]) -> Result<Vec<TopicDescription>, AskError> {
        // While no broker answers, a question to the controller has librdkafka connect again as soon as it was refused,
        // for as long as the question lasts: half a core. One that any broker may answer waits in between.
        if let Some(first) = names.first() {
            self.heard(self.client.fetch_metadata(Some(first), ASK).map_err(|error| error.to_string()))?;
        }
        let answer = native::describe_topics(&self.client, names, ASK);
        self.heard(answer.map_err(|(_, reason)| reason))
    }

    /// The names of all topics.
    ///
    /// # Errors
    /// When no broker answers.
    pub(crate) fn names(&self) -> Result<Vec<String>, AskError> {
        let metadata = self.heard(self.client.fetch_metadata(None, ASK).map_err(|error| error.to_string()))?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// The first offset that is kept, and the one behind the last that may be read.
    ///
    /// # Errors
    /// When no broker answers.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<(u64, u64), AskError> {
        let answer = self.client.fetch_watermarks(topic, partition, ASK);
        let (low, high) = self.heard(answer.map_err(|error| error.to_string()))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// Notes whether an answer came, and says why not.
    pub(crate) fn heard<T>(&self, answer: Result<T, String>) -> Result<T, AskError> {
        let _ = self.client.poll(Duration::ZERO);
        match answer {
            Ok(answer) => {
                self.contact.answered();
                Ok(answer)
            }
            Err(reason) => Err(self.refusal().unwrap_or(AskError::Unreachable(reason))),
        }
    }

    fn refusal(&self) -> Option<AskError> {
        let (code, reason) = self.contact.last()?;
        match code {
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
                let who = self.user.as_ref().map_or_else(String::new, |user| format!(" as \"{user}\""));
                let advice = "look at user, password and mechanism under security";
                Some(AskError::Refused(format!(
                    "Kafka at {} does not let us in{who}: {reason}; {advice}",
                    self.brokers
                )))
            }
            RDKafkaErrorCode::SSL => {
                let advice = "look at tls and ca_file under security, and whether the port is the one for TLS";
                Some(AskError::Refused(format!("no TLS connection to Kafka at {}: {reason}; {advice}", self.brokers)))
            }
            _ => None,
        }
    }

    fn unreachable(&self) -> AskError {
        let reason = self.contact.last().map_or_else(|| "no answer".to_owned(), |(_, reason)| reason);
        let advice = match &reason {
            reason if reason.contains("SSL") => {
                "look at tls, certificate_file and key_file under security, and whether the port is the one for TLS"
            }
            reason if reason == "no answer" => {
                "look at brokers, whether it runs there, and whether it wants TLS (security)"
            }
            _ => "look at brokers, and whether it runs there",
        };
        AskError::Unreachable(format!("cannot reach Kafka at {}: {reason}; {advice}", self.brokers))
    }
}

/// Why a configuration was refused, with the property's name.
pub(crate) fn config_reason(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) => format!("Kafka property \"{name}\": {reason}"),
        other => other.to_string(),
    }
}
