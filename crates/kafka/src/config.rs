//! What the connector is told: how the brokers are reached, which topics are read and from where, which is written.

use crate::security::Security;
use arrow::datatypes::SchemaRef;
use chrono::DateTime;
use regex::Regex;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// How long the first contact may take. Brokers that are being started together with the job need some seconds.
const CONNECT: Duration = Duration::from_secs(30);

/// How often it is looked for new topics and partitions.
const DISCOVER: Duration = Duration::from_secs(5);

/// Bytes that were fetched and wait to be read: enough to keep two cores busy for a tenth of a second.
const FETCH_BYTES: usize = 64 << 20;

/// How the brokers are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Addresses, `host:port`, separated by commas. One that answers names the others.
    pub brokers: String,
    /// Encryption and login.
    pub security: Security,
    /// Further properties of librdkafka, by name. They come last, so they can replace any other setting but those that
    /// exactly-once rests on; see [`RESERVED`].
    pub properties: BTreeMap<String, String>,
}

/// Properties that cannot be set freely: what the connector promises rests on them.
pub const RESERVED: [&str; 8] = [
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "auto.offset.reset",
    "enable.idempotence",
    "transactional.id",
    "group.id",
];

/// Which topics are read.
#[derive(Clone, Debug)]
pub enum Topics {
    /// These. Each must be there at the start.
    Names(Vec<String>),
    /// All whose whole name matches, also those that are made later. Internal topics (`__…`) do not match.
    Pattern(Regex),
}

impl PartialEq for Topics {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Names(one), Self::Names(other)) => one == other,
            (Self::Pattern(one), Self::Pattern(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for Topics {}

impl Topics {
    /// All topics whose whole name matches the regular expression.
    ///
    /// # Errors
    /// When it is no regular expression, with the reason.
    pub fn pattern(expression: &str) -> Result<Self, String> {
        let whole = format!("^(?:{expression})$");
        let reason = |error: regex::Error| {
            // The library draws the expression over several lines; the last one says what is wrong.
            let told = error.to_string();
            told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        Regex::new(&whole).map(Self::Pattern).map_err(reason)
    }
}

/// Where reading begins in partitions of which no checkpoint holds a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message that is kept.
    #[default]
    Earliest,
    /// Behind the newest message. (Partitions and topics that are made later are read from their beginning.)
    Latest,
    /// At the first message that is not older than this: milliseconds since 1970 in UTC.
    Timestamp(i64),
}

impl FromStr for Start {
    type Err = String;

    /// `earliest`, `latest`, or a time such as `2026-11-21T08:00:00+08:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => match DateTime::parse_from_rfc3339(time) {
                Ok(time) => Ok(Self::Timestamp(time.timestamp_millis())),
                Err(_) => {
                    let wanted = "\"earliest\", \"latest\" or a time such as \"2026-11-21T08:00:00+08:00\"";
                    Err(format!("\"{text}\" is not {wanted}"))
                }
            },
        }
    }
}

/// Which messages of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Those of committed transactions, once they are committed.
    #[default]
    ReadCommitted,
    /// All, also those of transactions that are aborted later.
    ReadUncommitted,
}

/// What to do when messages that were not read yet are gone: deleted by retention, or with their topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LostOffsets {
    /// Stop with an error that says what is missing.
    #[default]
    Fail,
    /// Warn, and go on with what is there.
    Skip,
}

/// What a Kafka source is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The source's name in the job.
    pub source: String,
    /// How the brokers are reached.
    pub connection: Connection,
    /// Which topics are read.
    pub topics: Topics,
    /// Where reading begins without a stored position.
    pub start: Start,
    /// Whether to end at what was the end of each partition at the start.
    pub until_end: bool,
    /// The consumer group that offsets are published to. The source never joins it.
    pub group: String,
    /// Which messages of transactions are read.
    pub isolation: Isolation,
    /// The most bytes that wait between broker and engine.
    pub fetch_bytes: usize,
    /// What to do about messages that are gone.
    pub lost_offsets: LostOffsets,
    /// How long the first contact with the brokers may take. Later losses are waited out for ever.
    pub connect: Duration,
    /// How often it is looked for new partitions, and for new topics of a pattern.
    pub discover: Duration,
}

impl SourceConfig {
    /// Reads these topics of these brokers, from the oldest message on, for ever.
    #[must_use]
    pub fn new(source: impl Into<String>, connection: Connection, topics: Topics) -> Self {
        let source = source.into();
        Self {
            group: format!("proxima-{source}"),
            source,
            connection,
            topics,
            start: Start::default(),
            until_end: false,
            isolation: Isolation::default(),
            fetch_bytes: FETCH_BYTES,
            lost_offsets: LostOffsets::default(),
            connect: CONNECT,
            discover: DISCOVER,
        }
    }
}

/// What a Kafka sink is told.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// How the brokers are reached.
    pub connection: Connection,
    /// The topic that is written.
    pub topic: String,
    /// The columns of the rows.
    pub schema: SchemaRef,
    /// The columns whose values identify a row, and make the message's key.
    pub key: Vec<usize>,
    /// With an id, everything between two flushes is one transaction; a later sink of the same id fences this one off.
    pub transactional_id: Option<String>,
    /// How long the first contact with the brokers may take. Later losses are waited out.
    pub connect: Duration,
}

impl SinkConfig {
    /// Writes rows to a topic, without transactions.
    #[must_use]
    pub fn new(connection: Connection, topic: impl Into<String>, schema: SchemaRef, key: Vec<usize>) -> Self {
        Self { connection, topic: topic.into(), schema, key, transactional_id: None, connect: CONNECT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_or_a_time() {
        assert_eq!("latest".parse(), Ok(Start::Latest));
        assert_eq!("1970-01-01T08:00:01+08:00".parse(), Ok(Start::Timestamp(1_000)));
        let wrong = "2026-11-21".parse::<Start>().unwrap_err();
        assert!(wrong.starts_with("\"2026-11-21\" is not \"earliest\", \"latest\" or a time"), "{wrong}");
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        let Topics::Pattern(pattern) = Topics::pattern("ods_.*|clicks").unwrap() else { panic!("it is a pattern") };
        assert!(pattern.is_match("ods_order") && pattern.is_match("clicks"));
        assert!(!pattern.is_match("old_ods_order") && !pattern.is_match("clicks2"));
        assert!(Topics::pattern("(").is_err());
    }
}
