//! What a Redis connector is told: where the servers are, who asks, how rows are laid out.

use std::fmt;
use std::time::Duration;

/// How long a tombstone stays: longer than a paused process can go unnoticed, such as one on a machine that slept over
/// night. A tombstone takes some hundred bytes.
const TOMBSTONE_TTL: Duration = Duration::from_secs(24 * 3600);

/// How long to wait for a connection, and for the answer to one pipeline.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A password. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the password.
    #[must_use]
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    /// The password, for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the servers belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One server. Of several addresses the first that answers is taken.
    Single,
    /// The addresses are those of Sentinels, which know the master of this name.
    Sentinel {
        /// The name of the master.
        master: String,
        /// The Sentinels' own password, if they have one.
        password: Option<Secret>,
    },
    /// The addresses are those of some nodes of a cluster, which know the others.
    Cluster,
}

/// An encrypted connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate of who signed the servers', as PEM. `None` trusts the public authorities.
    pub authority: Option<Vec<u8>>,
    /// A certificate and its key, as PEM, where servers ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authority, identity) = (self.authority.is_some(), self.identity.is_some());
        f.debug_struct("Tls").field("authority", &authority).field("identity", &identity).finish()
    }
}

/// Where the servers are, and who asks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Host and port of each, such as `127.0.0.1:6379`.
    pub addresses: Vec<String>,
    /// How they belong together.
    pub mode: Mode,
    /// The ACL user; none means the default user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The number of the database. A cluster has number 0 alone.
    pub database: u32,
    /// Encryption; none means plain connections.
    pub tls: Option<Tls>,
    /// How many replicas must hold a write before it counts as done.
    pub wait_replicas: u32,
    /// How long to wait for a connection, and for each answer.
    pub timeout: Duration,
}

impl RedisConfig {
    /// One server without a password.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            addresses: addresses.into_iter().map(Into::into).collect(),
            mode: Mode::Single,
            username: None,
            password: None,
            database: 0,
            tls: None,
            wait_replicas: 0,
            timeout: TIMEOUT,
        }
    }

    /// The servers, for messages.
    pub(crate) fn name(&self) -> String {
        format!("redis {}", self.addresses.join(","))
    }
}

/// The form in which a row stands in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A hash with a field for each column that is not NULL, and `_version`.
    #[default]
    Hash,
    /// A string that holds a JSON document, whose first member is `_version`.
    Json,
}

/// Which rows a sink writes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// The name that `{table}` in the pattern stands for.
    pub table: String,
    /// The columns of the row's key, by index.
    pub key: Vec<usize>,
    /// The form of a row.
    pub layout: Layout,
    /// How a row's key in Redis is made.
    pub pattern: super::KeyPattern,
    /// How long the tombstone of a deleted row stays.
    pub tombstone_ttl: Duration,
}

impl SinkConfig {
    /// Hashes under `{table}:{id}`.
    #[must_use]
    pub fn new(table: impl Into<String>, key: Vec<usize>) -> Self {
        Self {
            table: table.into(),
            key,
            layout: Layout::default(),
            pattern: super::KeyPattern::default(),
            tombstone_ttl: TOMBSTONE_TTL,
        }
    }
}
