//! `[sinks.NAME] kind = "redis"`: read, and checked into what the sink is told.

use super::fields::{Fields, Located};
use super::inputs;
use super::problem::Problem;
use super::secret::RawSecret;
use super::tree::Text;
use proxima_redis::{KeyPattern, Layout, Mode, RedisConfig, Secret, SinkConfig, Tls};
use std::path::Path;
use std::time::Duration;

/// How the servers belong together, by its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModeWord {
    Single,
    Sentinel,
    Cluster,
}

const MODES: [(&str, ModeWord); 3] =
    [("single", ModeWord::Single), ("sentinel", ModeWord::Sentinel), ("cluster", ModeWord::Cluster)];

const LAYOUTS: [(&str, Layout); 2] = [("hash", Layout::Hash), ("json", Layout::Json)];

/// The servers and the sink as they were written.
#[derive(Debug)]
pub struct RawRedis {
    addresses: Option<Located<Vec<Text>>>,
    mode: Option<Located<ModeWord>>,
    master: Option<Located<Text>>,
    sentinel_password: RawSecret,
    username: Option<Located<Text>>,
    password: RawSecret,
    database: Option<Located<u64>>,
    tls: Option<Located<bool>>,
    ca_file: Option<Located<Text>>,
    cert_file: Option<Located<Text>>,
    key_file: Option<Located<Text>>,
    wait_replicas: Option<Located<u64>>,
    timeout: Option<Located<Duration>>,
    layout: Option<Located<Layout>>,
    pattern: Option<Located<Text>>,
    tombstone_ttl: Option<Located<Duration>>,
}

/// The servers, and what all targets of the sink have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisPlan {
    /// The servers.
    pub servers: RedisConfig,
    /// The form of a row.
    pub layout: Layout,
    /// How a row's key is made.
    pub pattern: KeyPattern,
    /// How long the tombstone of a deleted row stays; none for the usual time.
    pub tombstone_ttl: Option<Duration>,
}

impl RawRedis {
    /// Reads the sink's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            addresses: fields.required_texts("addresses", "write addresses = [\"host:6379\"]"),
            mode: fields.word("mode", &MODES),
            master: fields.text("master"),
            sentinel_password: RawSecret::read(fields, "sentinel_password_env", "sentinel_password_file"),
            username: fields.text("username"),
            password: RawSecret::read(fields, "password_env", "password_file"),
            database: fields.number("database", 0),
            tls: fields.boolean("tls"),
            ca_file: fields.text("ca_file"),
            cert_file: fields.text("cert_file"),
            key_file: fields.text("key_file"),
            wait_replicas: fields.number("wait_replicas", 0),
            timeout: fields.duration("timeout"),
            layout: fields.word("layout", &LAYOUTS),
            pattern: fields.text("pattern"),
            tombstone_ttl: fields.duration("tombstone_ttl"),
        }
    }

    /// Checks the sink. Secrets are looked up, unless the job is only asked questions.
    pub fn check(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<RedisPlan> {
        let servers = self.servers(folder, with_secrets, problems);
        let pattern = match &self.pattern {
            None => Some(KeyPattern::default()),
            Some(written) => match written.value.text.parse() {
                Ok(pattern) => Some(pattern),
                Err(reason) => {
                    let reason: String = reason;
                    problems.push(written.error(reason).advise("write pattern = \"dim:{table}:{id}\""));
                    None
                }
            },
        };
        Some(RedisPlan {
            servers: servers?,
            layout: self.layout.as_ref().map(|layout| layout.value).unwrap_or_default(),
            pattern: pattern?,
            tombstone_ttl: self.tombstone_ttl.as_ref().map(|ttl| ttl.value),
        })
    }

    fn servers(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<RedisConfig> {
        let addresses = self.addresses.as_ref()?;
        for address in &addresses.value {
            if !super::check::is_address(&address.text) {
                let problem = addresses.error(format!("\"{}\" is not an address", address.text));
                problems.push(problem.advise("write host:port, such as \"127.0.0.1:6379\""));
            }
        }
        let mut servers = RedisConfig::new(addresses.value.iter().map(|address| address.text.clone()));
        servers.mode = self.mode(folder, with_secrets, problems)?;
        servers.username = self.username.as_ref().map(|name| name.value.text.clone());
        if self.password.is_written() {
            servers.password = Some(Secret::new(self.password.resolve(folder, with_secrets, problems)?));
        }
        let small = |number: &Located<u64>| u32::try_from(number.value).unwrap_or(u32::MAX);
        servers.database = self.database.as_ref().map_or(0, small);
        if let (Some(database), Mode::Cluster) = (&self.database, &servers.mode)
            && database.value > 0
        {
            problems.push(database.error("a cluster has database 0 alone").advise("leave this key out"));
        }
        servers.wait_replicas = self.wait_replicas.as_ref().map_or(0, small);
        servers.timeout = self.timeout.as_ref().map_or(servers.timeout, |timeout| timeout.value);
        servers.tls = self.tls(folder, problems);
        Some(servers)
    }

    fn mode(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<Mode> {
        let word = self.mode.as_ref().map_or(ModeWord::Single, |mode| mode.value);
        match (word, &self.master) {
            (ModeWord::Sentinel, Some(master)) => {
                let password = &self.sentinel_password;
                let password = match password.is_written() {
                    true => Some(Secret::new(password.resolve(folder, with_secrets, problems)?)),
                    false => None,
                };
                Some(Mode::Sentinel { master: master.value.text.clone(), password })
            }
            (ModeWord::Sentinel, None) => {
                let mode = self.mode.as_ref()?;
                let problem = mode.error("Sentinels are asked for a master by its name");
                problems.push(problem.advise("write master = \"mymaster\""));
                None
            }
            (_, Some(master)) => {
                problems.push(master.error("only Sentinels know a master").advise("write mode = \"sentinel\""));
                None
            }
            (ModeWord::Single, None) => Some(Mode::Single),
            (ModeWord::Cluster, None) => Some(Mode::Cluster),
        }
    }

    fn tls(&self, folder: &Path, problems: &mut Vec<Problem>) -> Option<Tls> {
        let mut read = |file: &Option<Located<Text>>| {
            let file = file.as_ref()?;
            let path = inputs::resolve(folder, &file.value.text, &file.place);
            match std::fs::read(&path) {
                Ok(bytes) => Some(bytes),
                Err(error) => {
                    problems.push(file.error(format!("cannot read {}: {error}", path.display())));
                    None
                }
            }
        };
        let (authority, certificate, key) = (read(&self.ca_file), read(&self.cert_file), read(&self.key_file));
        if let (Some(alone), None) | (None, Some(alone)) = (&self.cert_file, &self.key_file) {
            problems.push(alone.error("a certificate and its key belong together").advise("write both files"));
        }
        let wanted = self.tls.as_ref().is_some_and(|tls| tls.value);
        let files = [&self.ca_file, &self.cert_file, &self.key_file].into_iter().flatten().next();
        match (wanted, files) {
            (false, Some(file)) => {
                problems.push(file.error("certificates are for encrypted connections").advise("write tls = true"));
                None
            }
            (false, None) => None,
            (true, _) => Some(Tls { authority, identity: certificate.zip(key) }),
        }
    }
}

impl RedisPlan {
    /// A target of this sink.
    #[must_use]
    pub fn target(&self, table: &str, key: &[usize]) -> SinkConfig {
        let config = SinkConfig::new(table, key.to_vec());
        SinkConfig {
            layout: self.layout,
            pattern: self.pattern.clone(),
            tombstone_ttl: self.tombstone_ttl.unwrap_or(config.tombstone_ttl),
            ..config
        }
    }
}
