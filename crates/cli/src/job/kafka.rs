//! `kind = "kafka"`, as a source and as a sink: read, and checked into what the connector is told.

use super::fields::{Fields, Located};
use super::inputs;
use super::problem::Problem;
use super::secret::RawLogin;
use super::tree::Text;
use proxima_kafka::{
    Connection, Isolation, Login, LostOffsets, Mechanism, RESERVED, Security, SinkConfig, SourceConfig, Start, Tls,
    Topics,
};
use std::path::Path;
use std::time::Duration;

const MECHANISMS: [(&str, Mechanism); 3] =
    [("PLAIN", Mechanism::Plain), ("SCRAM-SHA-256", Mechanism::ScramSha256), ("SCRAM-SHA-512", Mechanism::ScramSha512)];

const ISOLATIONS: [(&str, Isolation); 2] =
    [("read_committed", Isolation::ReadCommitted), ("read_uncommitted", Isolation::ReadUncommitted)];

const LOST_OFFSETS: [(&str, LostOffsets); 2] = [("fail", LostOffsets::Fail), ("skip", LostOffsets::Skip)];

/// The keys of a source.
#[derive(Debug)]
pub struct RawKafkaSource {
    connection: RawConnection,
    topics: Option<Located<Vec<Text>>>,
    pattern: Option<Located<Text>>,
    start: Option<Located<Text>>,
    until: Option<Located<()>>,
    group: Option<Located<Text>>,
    isolation: Option<Located<Isolation>>,
    fetch_bytes: Option<Located<u64>>,
    lost_offsets: Option<Located<LostOffsets>>,
}

/// The keys of a sink.
#[derive(Debug)]
pub struct RawKafkaSink {
    connection: RawConnection,
    transactions: Option<Located<bool>>,
}

/// The keys that say how brokers are reached.
#[derive(Debug)]
struct RawConnection {
    brokers: Option<Located<Text>>,
    connect_timeout: Option<Located<Duration>>,
    security: RawSecurity,
    properties: Vec<(String, Located<String>)>,
}

/// `security`
#[derive(Debug)]
struct RawSecurity {
    mechanism: Option<Located<Mechanism>>,
    login: RawLogin,
    tls: Option<Located<bool>>,
    ca_file: Option<Located<Text>>,
    certificate_file: Option<Located<Text>>,
    key_file: Option<Located<Text>>,
}

/// A Kafka cluster and how all of a sink's topics are written.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaSinkPlan {
    /// How the brokers are reached.
    pub connection: Connection,
    /// Whether all that is written between two flushes is one transaction.
    pub transactions: bool,
    /// How long the first contact may take.
    pub connect: Option<Duration>,
}

impl RawKafkaSource {
    /// Reads the source's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let connection = RawConnection::read(fields);
        let pattern = fields.text("pattern");
        let topics = match pattern {
            Some(_) => fields.texts("topics"),
            None => fields.required_texts("topics", "write topics = [\"…\"], or pattern = \"…\" for all that match"),
        };
        Self {
            connection,
            topics,
            pattern,
            start: fields.text("start"),
            until: fields.word("until", &[("end", ())]),
            group: fields.text("group"),
            isolation: fields.word("isolation", &ISOLATIONS),
            fetch_bytes: fields.size("fetch_bytes"),
            lost_offsets: fields.word("lost_offsets", &LOST_OFFSETS),
        }
    }

    /// Checks the source. Secrets are looked up, unless the job is only asked questions.
    pub fn check(
        &self,
        name: &str,
        folder: &Path,
        with_secrets: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<SourceConfig> {
        let connection = self.connection.check(folder, with_secrets, problems);
        let topics = self.check_topics(problems);
        let start = self.check_start(problems);
        if let Some(bytes) = self.fetch_bytes.as_ref().filter(|bytes| bytes.value < 1 << 20) {
            problems.push(bytes.error("out of bounds").advise("write 1 MiB or more; the default is 64 MiB"));
        }
        let mut config = SourceConfig::new(name, connection?, topics?);
        config.start = start?;
        config.until_end = self.until.is_some();
        if let Some(group) = &self.group {
            config.group.clone_from(&group.value.text);
        }
        config.isolation = self.isolation.as_ref().map(|isolation| isolation.value).unwrap_or_default();
        config.lost_offsets = self.lost_offsets.as_ref().map(|lost| lost.value).unwrap_or_default();
        if let Some(bytes) = &self.fetch_bytes {
            config.fetch_bytes = usize::try_from(bytes.value).unwrap_or(usize::MAX);
        }
        if let Some(timeout) = &self.connection.connect_timeout {
            config.connect = timeout.value;
        }
        Some(config)
    }

    fn check_topics(&self, problems: &mut Vec<Problem>) -> Option<Topics> {
        match (&self.topics, &self.pattern) {
            (Some(topics), None) => Some(Topics::Names(topics.value.iter().map(|topic| topic.text.clone()).collect())),
            (None, Some(pattern)) => {
                let read = Topics::pattern(&pattern.value.text);
                read.map_err(|error| problems.push(pattern.error(format!("no regular expression: {error}")))).ok()
            }
            (Some(_), Some(pattern)) => {
                problems.push(pattern.error("topics are named or matched").advise("leave topics or pattern out"));
                None
            }
            (None, None) => None,
        }
    }

    fn check_start(&self, problems: &mut Vec<Problem>) -> Option<Start> {
        let Some(start) = &self.start else { return Some(Start::default()) };
        let read = start.value.text.parse();
        let wrong = |error: String| problems.push(start.error(error));
        read.map_err(wrong).ok()
    }
}

impl RawKafkaSink {
    /// Reads the sink's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self { connection: RawConnection::read(fields), transactions: fields.boolean("transactions") }
    }

    /// Checks the sink. Secrets are looked up, unless the job is only asked questions.
    pub fn check(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<KafkaSinkPlan> {
        Some(KafkaSinkPlan {
            connection: self.connection.check(folder, with_secrets, problems)?,
            transactions: self.transactions.as_ref().is_some_and(|transactions| transactions.value),
            connect: self.connection.connect_timeout.as_ref().map(|timeout| timeout.value),
        })
    }
}

impl KafkaSinkPlan {
    /// What the sink of one target is told. Its transactions belong to the job and the topic: a later run of the job
    /// shuts out what is left of this one.
    #[must_use]
    pub fn target(&self, job: &str, topic: &str, schema: &arrow::datatypes::SchemaRef, key: &[usize]) -> SinkConfig {
        let mut config = SinkConfig::new(self.connection.clone(), topic, schema.clone(), key.to_vec());
        config.transactional_id = self.transactions.then(|| format!("proxima-{job}-{topic}"));
        config.connect = self.connect.unwrap_or(config.connect);
        config
    }
}

impl RawConnection {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            brokers: fields.required_text("brokers", "write brokers = \"host:9092\", several separated by commas"),
            connect_timeout: fields.duration("connect_timeout"),
            security: RawSecurity::read(fields.section("security")),
            properties: fields.any_texts("properties"),
        }
    }

    fn check(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<Connection> {
        let brokers = self.brokers.as_ref();
        if let Some(brokers) = brokers
            && !brokers.value.text.split(',').all(|address| super::check::is_address(address.trim()))
        {
            let problem = brokers.error(format!("\"{}\" is no list of addresses", brokers.value.text));
            problems.push(problem.advise("write host:port, several separated by commas"));
        }
        let security = self.security.check(folder, with_secrets, problems);
        for (name, value) in &self.properties {
            if RESERVED.contains(&name.as_str()) {
                let advice = "what a job promises rests on it; look for a key of its own";
                problems.push(value.error("this property cannot be set").advise(advice));
            }
        }
        let properties = self.properties.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect();
        Some(Connection { brokers: brokers?.value.text.clone(), security: security?, properties })
    }
}

impl RawSecurity {
    fn read(mut fields: Fields<'_>) -> Self {
        let security = Self {
            mechanism: fields.word("mechanism", &MECHANISMS),
            login: RawLogin::read(&mut fields),
            tls: fields.boolean("tls"),
            ca_file: fields.text("ca_file"),
            certificate_file: fields.text("certificate_file"),
            key_file: fields.text("key_file"),
        };
        fields.finish();
        security
    }

    fn check(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<Security> {
        let file = |file: &Option<Located<Text>>| {
            file.as_ref().map(|file| inputs::resolve(folder, &file.value.text, &file.place))
        };
        let files = [&self.ca_file, &self.certificate_file, &self.key_file];
        let tls = self.tls.as_ref().map_or(files.iter().any(|file| file.is_some()), |tls| tls.value);
        let tls = tls.then(|| Tls {
            ca_file: file(&self.ca_file),
            certificate_file: file(&self.certificate_file),
            key_file: file(&self.key_file),
        });
        let mechanism = self.mechanism.as_ref().map_or(Mechanism::ScramSha512, |mechanism| mechanism.value);
        let login = self.login.resolve(folder, with_secrets, problems)?;
        Some(Security { tls, login: login.map(|(user, password)| Login { mechanism, user, password }) })
    }
}
