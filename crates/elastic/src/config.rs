//! What a cluster and a target are told to be.

use crate::pattern::IndexPattern;
use arrow::datatypes::SchemaRef;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A cluster and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Its name in the job, for messages.
    pub name: String,
    /// `http://host:9200` or `https://…`; asked in rotation.
    pub addresses: Vec<String>,
    /// How we say who we are.
    pub login: Login,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The most bytes of one bulk request.
    pub bulk_bytes: usize,
    /// The most documents of one bulk request.
    pub bulk_documents: usize,
    /// How many bulk requests may be under way, over all targets.
    pub in_flight: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether the bodies of bulk requests are compressed.
    pub compress: bool,
}

impl ClusterConfig {
    /// The most bytes of one bulk request where the job does not say: larger ones make nodes no faster.
    pub const BULK_BYTES: usize = 5 << 20;
    /// The most documents of one bulk request where the job does not say.
    pub const BULK_DOCUMENTS: usize = 10_000;
    /// How many bulk requests may be under way where the job does not say.
    pub const IN_FLIGHT: usize = 4;
    /// How long a request may take where the job does not say.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// A cluster at these addresses, with the default limits.
    #[must_use]
    pub fn new(name: impl Into<String>, addresses: Vec<String>) -> Self {
        Self {
            name: name.into(),
            addresses,
            login: Login::Nobody,
            ca_file: None,
            bulk_bytes: Self::BULK_BYTES,
            bulk_documents: Self::BULK_DOCUMENTS,
            in_flight: Self::IN_FLIGHT,
            timeout: Self::TIMEOUT,
            compress: false,
        }
    }
}

/// How we say who we are. Its text never shows a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// We do not.
    #[default]
    Nobody,
    /// By name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// By an API key, as the cluster has printed it (`encoded`).
    ApiKey(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Basic { user, .. } => write!(f, "Basic({user})"),
            Self::ApiKey(_) => f.write_str("ApiKey"),
        }
    }
}

/// When written documents are seen by searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// Within the interval that the index's template sets; a flush waits for durability alone.
    #[default]
    Interval,
    /// A flush waits until searches see its documents.
    WaitFor,
    /// When the cluster pleases: the template sets no interval.
    None,
}

/// What happens to documents that stand in the target's indexes before a job's very first run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// The run does not begin: they may be somebody else's.
    #[default]
    Refuse,
    /// They stay, and those with the same id are replaced.
    Keep,
    /// The indexes are deleted first.
    Delete,
}

/// One target: an index, or a family of them, and what its documents look like.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// The index's name, or a pattern with columns in it: `mall_dau_{day}`.
    pub index: IndexPattern,
    /// The columns of the rows.
    pub schema: SchemaRef,
    /// The columns whose values identify a row. None: the index holds one row.
    pub key: Vec<usize>,
    /// Whether index template and mapping are ours to make. Otherwise they are taken as they are.
    pub template: bool,
    /// When written documents are seen by searches.
    pub refresh: Refresh,
    /// How often the indexes are refreshed, with [`Refresh::Interval`] and [`Refresh::WaitFor`].
    pub refresh_interval: Duration,
    /// Primary shards of a new index.
    pub shards: u32,
    /// Copies of each shard of a new index; `None` leaves it to the cluster.
    pub replicas: Option<u32>,
    /// What happens to documents that stand before the first run; `None` when this run goes on where another ended.
    pub existing: Option<Existing>,
    /// Indexes of other targets, which this one's pattern may find as well: they are left alone.
    pub others: Vec<IndexPattern>,
}

impl TargetConfig {
    /// How often indexes are refreshed where the job does not say: with epochs of 50 ms a change is then seen within a
    /// quarter of a second. Each refresh makes a segment of what has come, so shorter intervals cost the cluster merges.
    pub const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

    /// What finds the indexes of this target and of no other: of several patterns that a name fits, it is the more certain
    /// one's.
    pub(crate) fn wildcard(&self) -> String {
        let certainty = self.index.certainty();
        let others = self.others.iter().filter(|other| other.certainty() > certainty);
        let others = others.map(|other| format!(",-{}", other.wildcard())).collect::<String>();
        format!("{}{others}", self.index.wildcard())
    }

    /// A target with the default settings.
    #[must_use]
    pub fn new(index: IndexPattern, schema: SchemaRef, key: Vec<usize>) -> Self {
        Self {
            index,
            schema,
            key,
            template: true,
            refresh: Refresh::default(),
            refresh_interval: Self::REFRESH_INTERVAL,
            shards: 1,
            replicas: None,
            existing: None,
            others: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let mut config = ClusterConfig::new("search", vec!["http://localhost:9200".to_owned()]);
        config.login = Login::Basic { user: "proxima".to_owned(), password: "s3cret".to_owned() };
        let shown = format!("{config:?}");
        assert!(shown.contains("Basic(proxima)") && !shown.contains("s3cret"), "{shown}");
        assert!(!format!("{:?}", Login::ApiKey("s3cret".to_owned())).contains("s3cret"));
    }
}
