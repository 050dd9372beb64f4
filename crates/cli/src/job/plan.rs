//! A checked job, which leaves nothing to guess: every default is filled in, every name leads somewhere.

use super::elastic::ElasticPlan;
use super::http_source::HttpSourcePlan;
use super::judges::JudgePlan;
use super::kafka::KafkaSinkPlan;
use super::outputs::OutputPlan;
use super::problem::Problem;
use super::recommendations::RecommendationPlans;
use super::redis::RedisPlan;
use chrono_tz::Tz;
use proxima_graph::path::Paths;
use proxima_graph::{Catalogue, Merger, PathConfig, PathKind, RelationRules};
use proxima_hbase::Address;
use proxima_kafka::SourceConfig;
use proxima_model::ModelSpec;
use proxima_serve::NamedQuery;
use proxima_view::Plan;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What `run` carries out.
#[derive(Debug)]
pub struct JobPlan {
    /// The job's name.
    pub name: String,
    /// The folder that holds it.
    pub folder: PathBuf,
    /// The zone whose wall clock its TIMESTAMP columns hold.
    pub zone: Tz,
    /// When an epoch ends, and how many may be under way.
    pub epoch: EpochPlan,
    /// How checkpoints are made, if they are.
    pub checkpoint: Option<CheckpointPlan>,
    /// Its sources, by name.
    pub sources: BTreeMap<String, SourcePlan>,
    /// Its sinks, by name.
    pub sinks: BTreeMap<String, SinkKind>,
    /// Its relations, by name; their queries are in [`JobPlan::views`].
    pub relations: BTreeMap<String, RelationPlan>,
    /// Its objects, by name; their queries are in [`JobPlan::views`].
    pub objects: BTreeMap<String, QueryPlan>,
    /// The queries of `[forget]` among the compiled ones.
    pub forget: Vec<String>,
    /// What its relations and objects make up.
    pub catalogue: Catalogue,
    /// Its paths of pairs, by name.
    pub paths: BTreeMap<String, PathPlan>,
    /// Its models, by name; their queries are in [`JobPlan::views`].
    pub models: BTreeMap<String, ModelSpec>,
    /// Its paths of hops and jumps.
    pub walks: Paths,
    /// Which of these paths' lists are kept in a store, by name.
    pub outputs: BTreeMap<String, OutputPlan>,
    /// Its recommendations and the splits over them.
    pub recommendations: RecommendationPlans,
    /// What judges them while they are shown, by their names.
    pub judges: BTreeMap<String, JudgePlan>,
    /// Its named queries.
    pub queries: BTreeMap<String, NamedQuery>,
    /// How many rejected records of each source are kept in its file. All are counted.
    pub rejected_keep: u64,
    /// How it is served.
    pub http: HttpPlan,
    /// The compiled `views.sql`, with the queries of relations, objects and models.
    pub views: Plan,
    /// What a user should know although the job can run.
    pub warnings: Vec<Problem>,
}

impl JobPlan {
    /// Whether anything asks the graph that relations and objects make up. Where nothing does it is not filled.
    #[must_use]
    pub fn reads_graph(&self) -> bool {
        self.walks.iter().next().is_some() || !self.recommendations.plain.is_empty()
    }

    /// The sources that go on as their files or topics grow, so that the job has no end.
    pub fn followed(&self) -> impl Iterator<Item = &str> {
        let goes_on = |source: &SourcePlan| match source {
            SourcePlan::File { follow, .. } => *follow,
            SourcePlan::Kafka(topics) => !topics.until_end,
            SourcePlan::Http(_) => true,
        };
        self.sources.iter().filter(move |(_, source)| goes_on(source)).map(|(name, _)| name.as_str())
    }

    /// Whether there are such sources.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.followed().next().is_some()
    }
}

/// `[epoch]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochPlan {
    /// An epoch ends after this time …
    pub interval: Duration,
    /// … or when it holds this many records.
    pub records: u64,
    /// How many epochs may be read and not yet written.
    pub lag: u64,
}

impl Default for EpochPlan {
    /// Short enough that results look live, long enough that the work of ending an epoch does not show.
    fn default() -> Self {
        Self { interval: Duration::from_millis(50), records: 1 << 18, lag: 4 }
    }
}

/// `[checkpoint]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointPlan {
    /// How long from one to the next.
    pub every: Duration,
    /// How many are kept at the least.
    pub keep: usize,
    /// `None` is a folder inside the data folder.
    pub at: Option<CheckpointPlace>,
    /// The sink of kind `redis` that is told the offsets of each checkpoint.
    pub offsets: Option<String>,
}

/// Where checkpoints are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointPlace {
    /// A folder.
    Folder(PathBuf),
    /// `s3://bucket/prefix`
    ObjectStore(String),
    /// `hbase://host:port/table/prefix`
    HBase(Address),
}

impl fmt::Display for CheckpointPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::ObjectStore(at) => f.write_str(at),
            Self::HBase(at) => write!(f, "{at}"),
        }
    }
}

impl Default for CheckpointPlan {
    /// Each second: what a crash costs is read again in a moment.
    fn default() -> Self {
        Self { every: Duration::from_secs(1), keep: 3, at: None, offsets: None }
    }
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePlan {
    /// Files.
    File {
        /// A file, folder or glob; absolute, or relative to the current folder.
        path: PathBuf,
        /// Whether reading goes on as files grow and come.
        follow: bool,
    },
    /// Topics of Kafka.
    Kafka(Box<SourceConfig>),
    /// What clients post.
    Http(HttpSourcePlan),
}

/// A kind of sink.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    /// The embedded search index.
    Index,
    /// Counts rows and forgets them.
    Discard,
    /// Elasticsearch or OpenSearch.
    Elastic(Box<ElasticPlan>),
    /// Topics of Kafka.
    Kafka(Box<KafkaSinkPlan>),
    /// Redis.
    Redis(Box<RedisPlan>),
}

impl SinkKind {
    /// The kind in the job's word; Elasticsearch stands for OpenSearch too.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Discard => "discard",
            Self::Elastic(_) => "elasticsearch",
            Self::Kafka(_) => "kafka",
            Self::Redis(_) => "redis",
        }
    }
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationPlan {
    /// The query's name among the compiled ones: `relations.bought`.
    pub query: String,
    /// The kind of its subjects.
    pub subject: String,
    /// The kind of its objects.
    pub object: String,
    /// What of it is forgotten.
    pub rules: RelationRules,
}

/// A kind of objects: a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPlan {
    /// The query's name among the compiled ones: `objects.product`.
    pub query: String,
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPlan {
    /// How it is computed.
    pub kind: PathKind,
    /// The relation it goes along.
    pub relation: String,
    /// How the parts of a pair become a score.
    pub merger: Merger,
    /// The objects whose attributes are shown with its results.
    pub object: Option<String>,
    /// How long changes of a row are held back to coalesce them.
    pub publish: Duration,
    /// Objects with more subjects than this keep their counts; those of others are gathered when they are published.
    pub hot_above: u32,
}

impl PathPlan {
    /// How long changes of a row are held back where the job does not say: a list that changes with every event is of
    /// more use to nobody, and writing it costs the most.
    pub const PUBLISH: Duration = Duration::from_secs(1);

    /// The path in the words of its readers.
    #[must_use]
    pub fn config(&self) -> PathConfig {
        let Self { kind, relation, merger, object, hot_above, .. } = self.clone();
        PathConfig { kind, relation, merger, object, publish: None, hot_above }
    }
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPlan {
    /// Host and port.
    pub listen: String,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// How many requests may search at the same time; more are told to come again.
    pub searches: usize,
}

impl Default for HttpPlan {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            body_limit: 1 << 20,
            timeout: Duration::from_secs(10),
            searches: 16,
        }
    }
}
