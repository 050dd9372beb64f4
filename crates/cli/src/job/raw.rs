//! The job file as it was written: every key that `job.toml` may hold, typed but not yet checked against the rest.

use super::elastic::RawElastic;
use super::fields::{Fields, Located};
use super::forget::RawForget;
use super::functions::RawFunction;
use super::http_source::RawHttpSource;
use super::judges::RawJudge;
use super::kafka::{RawKafkaSink, RawKafkaSource};
use super::models::RawModel;
use super::paths::RawWalk;
use super::problem::Place;
use super::queries::RawNamedQuery;
use super::recommendations::RawRecommendation;
use super::redis::RawRedis;
use super::relations::RawRelation;
use super::tree::Text;
use proxima_graph::{Merger, PathKind};
use std::time::Duration;

/// A whole job file. What was not written is `None`.
#[derive(Debug)]
pub struct RawJob {
    /// `[job] name`
    pub name: Option<Located<Text>>,
    /// `[job] zone`
    pub zone: Option<Located<Text>>,
    /// `[epoch]`
    pub epoch: RawEpoch,
    /// `[checkpoint]`
    pub checkpoint: RawCheckpoint,
    /// `[sources.*]`
    pub sources: Vec<(String, RawSource)>,
    /// `[sinks.*]`
    pub sinks: Vec<(String, RawSink)>,
    /// `[relations.*]`
    pub relations: Vec<(String, RawRelation)>,
    /// `[objects.*]`
    pub objects: Vec<(String, RawQuery)>,
    /// `[forget]`
    pub forget: RawForget,
    /// `[functions.*]`
    pub functions: Vec<(String, RawFunction)>,
    /// `[paths.*]`
    pub paths: Vec<(String, RawPath)>,
    /// `[models.*]`
    pub models: Vec<(String, RawModel)>,
    /// `[paths.*]` of hops and jumps
    pub walks: Vec<(String, RawWalk)>,
    /// `[recommendations.*]`
    pub recommendations: Vec<(String, RawRecommendation)>,
    /// `[judges.*]`
    pub judges: Vec<(String, RawJudge)>,
    /// `[queries.*]`
    pub queries: Vec<(String, RawNamedQuery)>,
    /// `[rejected] keep`
    pub rejected_keep: Option<Located<u64>>,
    /// `[http]`
    pub http: RawHttp,
}

/// `[epoch]`
#[derive(Debug)]
pub struct RawEpoch {
    /// `interval`
    pub interval: Option<Located<Duration>>,
    /// `records`
    pub records: Option<Located<u64>>,
    /// `lag`
    pub lag: Option<Located<u64>>,
}

/// `[checkpoint]`
#[derive(Debug)]
pub struct RawCheckpoint {
    /// `enabled`
    pub enabled: Option<Located<bool>>,
    /// `every`
    pub every: Option<Located<Duration>>,
    /// `keep`
    pub keep: Option<Located<u64>>,
    /// `at`
    pub at: Option<Located<Text>>,
    /// `offsets`
    pub offsets: Option<Located<Text>>,
}

/// `[sources.NAME]`
#[derive(Debug)]
pub struct RawSource {
    /// Where its header stands.
    pub place: Place,
    /// `kind`
    pub kind: Option<Located<SourceWord>>,
    /// `path`
    pub path: Option<Located<Text>>,
    /// `follow`
    pub follow: Option<Located<bool>>,
    /// The keys of a source of topics.
    pub kafka: Option<RawKafkaSource>,
    /// The keys of a source that clients post to.
    pub http: Option<RawHttpSource>,
}

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceWord {
    /// Files.
    File,
    /// Topics.
    Kafka,
    /// What clients post.
    Http,
}

/// The kinds of sources by their words.
const SOURCES: [(&str, SourceWord); 3] =
    [("file", SourceWord::File), ("kafka", SourceWord::Kafka), ("http", SourceWord::Http)];

/// `[sinks.NAME]`
#[derive(Debug)]
pub struct RawSink {
    /// Where its header stands.
    pub place: Place,
    /// `kind`
    pub kind: Option<Located<SinkWord>>,
    /// The keys of a sink for a cluster.
    pub elastic: Option<RawElastic>,
    /// The keys of a sink for topics.
    pub kafka: Option<RawKafkaSink>,
    /// The keys of a sink for Redis.
    pub redis: Option<RawRedis>,
}

/// The kinds of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkWord {
    /// The embedded search index.
    Index,
    /// Counts rows and forgets them.
    Discard,
    /// Elasticsearch or OpenSearch.
    Elastic,
    /// Topics of Kafka.
    Kafka,
    /// Redis.
    Redis,
}

/// The kinds of sinks by their words.
const SINKS: [(&str, SinkWord); 6] = [
    ("index", SinkWord::Index),
    ("discard", SinkWord::Discard),
    ("elasticsearch", SinkWord::Elastic),
    ("opensearch", SinkWord::Elastic),
    ("kafka", SinkWord::Kafka),
    ("redis", SinkWord::Redis),
];

/// `[objects.NAME]`, or what `[relations.NAME]` has besides its own keys.
#[derive(Debug)]
pub struct RawQuery {
    /// Where its header stands.
    pub place: Place,
    /// `from`
    pub from: Option<Located<Text>>,
}

/// `[paths.NAME]`
#[derive(Debug)]
pub struct RawPath {
    /// `kind`
    pub kind: Option<Located<PathKind>>,
    /// `relation`
    pub relation: Option<Located<Text>>,
    /// `merger`
    pub merger: Option<Located<Merger>>,
    /// `object`
    pub object: Option<Located<Text>>,
    /// `publish`
    pub publish: Option<Located<Duration>>,
    /// `hot_above`
    pub hot_above: Option<Located<u64>>,
}

/// The mergers by their words.
const MERGERS: [(&str, Merger); 3] =
    [("cosine", Merger::Cosine), ("jaccard", Merger::Jaccard), ("count", Merger::Count)];

/// `[http]`
#[derive(Debug)]
pub struct RawHttp {
    /// `listen`
    pub listen: Option<Located<Text>>,
    /// `body_limit`
    pub body_limit: Option<Located<u64>>,
    /// `timeout`
    pub timeout: Option<Located<Duration>>,
    /// `searches`
    pub searches: Option<Located<u64>>,
}

impl RawJob {
    /// Reads the whole file. Problems go to the reader.
    pub fn read(mut root: Fields<'_>) -> Self {
        let (name, zone) = read_job(root.section("job"));
        let mut walks = Vec::new();
        let paths = root.sections("paths", |name, fields| {
            if RawWalk::is_one(fields) {
                walks.push((name.to_owned(), RawWalk::read(fields)));
                return None;
            }
            Some(RawPath::read(fields))
        });
        let mut raw = Self {
            name,
            zone,
            epoch: RawEpoch::read(root.section("epoch")),
            checkpoint: RawCheckpoint::read(root.section("checkpoint")),
            sources: root.sections("sources", |_, fields| RawSource::read(fields)),
            sinks: root.sections("sinks", |_, fields| RawSink::read(fields)),
            relations: root.sections("relations", |_, fields| RawRelation::read(fields)),
            objects: root
                .sections("objects", |_, fields| RawQuery::read(fields, "write from = \"SELECT … AS id, … FROM …\"")),
            forget: RawForget::read(root.section("forget")),
            functions: root.sections("functions", |_, fields| RawFunction::read(fields)),
            models: root.sections("models", |_, fields| RawModel::read(fields)),
            paths: paths.into_iter().filter_map(|(name, path)| Some((name, path?))).collect(),
            walks,
            recommendations: root.sections("recommendations", |_, fields| RawRecommendation::read(fields)),
            judges: root.sections("judges", |_, fields| RawJudge::read(fields)),
            queries: root.sections("queries", |_, fields| RawNamedQuery::read(fields)),
            rejected_keep: read_rejected(root.section("rejected")),
            http: RawHttp::read(root.section("http")),
        };
        root.finish();
        let requests = raw.forget.take_source();
        raw.sources.extend(requests);
        raw
    }
}

fn read_job(mut fields: Fields<'_>) -> (Option<Located<Text>>, Option<Located<Text>>) {
    let read = (fields.required_text("name", "write [job] name = \"…\""), fields.text("zone"));
    fields.finish();
    read
}

fn read_rejected(mut fields: Fields<'_>) -> Option<Located<u64>> {
    let keep = fields.number("keep", 0);
    fields.finish();
    keep
}

impl RawEpoch {
    fn read(mut fields: Fields<'_>) -> Self {
        // A lag of two is the least at which sources and sinks work at the same time.
        let epoch = Self {
            interval: fields.duration("interval"),
            records: fields.number("records", 1),
            lag: fields.number("lag", 2),
        };
        fields.finish();
        epoch
    }
}

impl RawCheckpoint {
    fn read(mut fields: Fields<'_>) -> Self {
        let checkpoint = Self {
            enabled: fields.boolean("enabled"),
            every: fields.duration("every"),
            keep: fields.number("keep", 1),
            at: fields.text("at"),
            offsets: fields.text("offsets"),
        };
        fields.finish();
        checkpoint
    }
}

impl RawSource {
    fn read(fields: &mut Fields<'_>) -> Self {
        let kind = fields.required_word("kind", &SOURCES);
        let mut source = Self { place: fields.place.clone(), kind, path: None, follow: None, kafka: None, http: None };
        match source.kind.as_ref().map(|kind| kind.value) {
            Some(SourceWord::File) => {
                source.path = fields.required_text("path", "name a file, a folder or a glob");
                source.follow = fields.boolean("follow");
            }
            Some(SourceWord::Http) => source.http = Some(RawHttpSource::read(fields)),
            Some(SourceWord::Kafka) => source.kafka = Some(RawKafkaSource::read(fields)),
            None => fields.ignore_rest(),
        }
        source
    }
}

impl RawSink {
    fn read(fields: &mut Fields<'_>) -> Self {
        let kind = fields.required_word("kind", &SINKS);
        let mut sink = Self { place: fields.place.clone(), kind, elastic: None, kafka: None, redis: None };
        match sink.kind.as_ref().map(|kind| kind.value) {
            Some(SinkWord::Elastic) => sink.elastic = Some(RawElastic::read(fields)),
            Some(SinkWord::Kafka) => sink.kafka = Some(RawKafkaSink::read(fields)),
            Some(SinkWord::Redis) => sink.redis = Some(RawRedis::read(fields)),
            Some(SinkWord::Index | SinkWord::Discard) => {}
            None => fields.ignore_rest(),
        }
        sink
    }
}

impl RawQuery {
    /// Reads the query's keys.
    pub fn read(fields: &mut Fields<'_>, advice: &str) -> Self {
        Self { place: fields.place.clone(), from: fields.required_text("from", advice) }
    }
}

impl RawPath {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            kind: fields.required_word("kind", &[("pairs", PathKind::Pairs)]),
            relation: fields.required_text("relation", "name one of the job's relations"),
            merger: fields.word("merger", &MERGERS),
            object: fields.text("object"),
            publish: fields.duration("publish"),
            hot_above: fields.number("hot_above", 0),
        }
    }
}

impl RawHttp {
    fn read(mut fields: Fields<'_>) -> Self {
        let http = Self {
            listen: fields.text("listen"),
            body_limit: fields.size("body_limit"),
            timeout: fields.duration("timeout"),
            searches: fields.number("searches", 1),
        };
        fields.finish();
        http
    }
}
