//! `[sinks.NAME] kind = "elasticsearch"`: read, and checked into what the sink is told.

use super::fields::{Fields, Located};
use super::inputs;
use super::problem::Problem;
use super::secret::{RawLogin, RawSecret};
use super::tree::Text;
use proxima_elastic::{Cluster, ClusterConfig, Existing, IndexPattern, Login, Refresh, TargetConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const REFRESHES: [(&str, Refresh); 3] =
    [("interval", Refresh::Interval), ("wait_for", Refresh::WaitFor), ("none", Refresh::None)];

const EXISTING: [(&str, Existing); 3] =
    [("refuse", Existing::Refuse), ("keep", Existing::Keep), ("delete", Existing::Delete)];

/// The sink as it was written.
#[derive(Debug)]
pub struct RawElastic {
    addresses: Option<Located<Vec<Text>>>,
    login: RawLogin,
    api_key: RawSecret,
    ca_file: Option<Located<Text>>,
    bulk_bytes: Option<Located<u64>>,
    bulk_documents: Option<Located<u64>>,
    in_flight: Option<Located<u64>>,
    timeout: Option<Located<Duration>>,
    compress: Option<Located<bool>>,
    template: Option<Located<bool>>,
    refresh: Option<Located<Refresh>>,
    refresh_interval: Option<Located<Duration>>,
    shards: Option<Located<u64>>,
    replicas: Option<Located<u64>>,
    existing: Option<Located<Existing>>,
}

/// A cluster and what all of its targets have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct ElasticPlan {
    /// The cluster.
    pub cluster: ClusterConfig,
    /// Whether index templates are ours to make.
    pub template: bool,
    /// When written documents are seen by searches.
    pub refresh: Refresh,
    /// How often indexes are refreshed.
    pub refresh_interval: Duration,
    /// Primary shards of a new index.
    pub shards: u32,
    /// Copies of each shard of a new index.
    pub replicas: Option<u32>,
    /// What happens to documents that stand before the job's first run.
    pub existing: Existing,
}

impl RawElastic {
    /// Reads the sink's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            addresses: fields.required_texts("addresses", "write addresses = [\"http://host:9200\"]"),
            login: RawLogin::read(fields),
            api_key: RawSecret::read(fields, "api_key_env", "api_key_file"),
            ca_file: fields.text("ca_file"),
            bulk_bytes: fields.size("bulk_bytes"),
            bulk_documents: fields.number("bulk_documents", 1),
            in_flight: fields.number("in_flight", 1),
            timeout: fields.duration("timeout"),
            compress: fields.boolean("compress"),
            template: fields.boolean("template"),
            refresh: fields.word("refresh", &REFRESHES),
            refresh_interval: fields.duration("refresh_interval"),
            shards: fields.number("shards", 1),
            replicas: fields.number("replicas", 0),
            existing: fields.word("existing", &EXISTING),
        }
    }

    /// Checks the sink. Secrets are looked up, unless the job is only asked questions.
    pub fn check(
        &self,
        name: &str,
        folder: &Path,
        with_secrets: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<ElasticPlan> {
        let addresses = self.addresses.as_ref()?;
        let texts = addresses.value.iter().map(|address| address.text.clone()).collect();
        let mut cluster = ClusterConfig::new(name, texts);
        cluster.ca_file = self.ca_file.as_ref().map(|file| inputs::resolve(folder, &file.value.text, &file.place));
        let number = |written: &Option<Located<u64>>, default: usize| {
            written.as_ref().map_or(default, |number| usize::try_from(number.value).unwrap_or(usize::MAX))
        };
        cluster.bulk_bytes = number(&self.bulk_bytes, cluster.bulk_bytes);
        cluster.bulk_documents = number(&self.bulk_documents, cluster.bulk_documents);
        cluster.in_flight = number(&self.in_flight, cluster.in_flight);
        cluster.timeout = self.timeout.as_ref().map_or(cluster.timeout, |timeout| timeout.value);
        cluster.compress = self.compress.as_ref().is_some_and(|compress| compress.value);
        if with_secrets && let Err(error) = Cluster::new(cluster.clone()) {
            problems.push(addresses.error(error.to_string()));
        }
        cluster.login = self.login(folder, with_secrets, problems)?;
        let small = |number: &Located<u64>| u32::try_from(number.value).unwrap_or(u32::MAX);
        Some(ElasticPlan {
            cluster,
            template: self.template.as_ref().is_none_or(|template| template.value),
            refresh: self.refresh.as_ref().map(|refresh| refresh.value).unwrap_or_default(),
            refresh_interval: self.interval(problems),
            shards: self.shards.as_ref().map_or(1, small),
            replicas: self.replicas.as_ref().map(small),
            existing: self.existing.as_ref().map(|existing| existing.value).unwrap_or_default(),
        })
    }

    fn interval(&self, problems: &mut Vec<Problem>) -> Duration {
        let Some(interval) = &self.refresh_interval else { return TargetConfig::REFRESH_INTERVAL };
        if interval.value < Duration::from_millis(1) {
            problems.push(interval.error("out of bounds").advise("write 1ms or more; the default is 200ms"));
        }
        interval.value
    }

    fn login(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<Login> {
        match (self.login.place(), self.api_key.place()) {
            (None, Some(_)) => Some(Login::ApiKey(self.api_key.resolve(folder, with_secrets, problems)?)),
            (Some(_), Some(key)) => {
                let problem = key.error("a login is either user and password or an API key");
                problems.push(problem.advise("write user with password_env, or api_key_env alone"));
                None
            }
            (_, None) => Some(match self.login.resolve(folder, with_secrets, problems)? {
                Some((user, password)) => Login::Basic { user, password },
                None => Login::Nobody,
            }),
        }
    }
}

impl ElasticPlan {
    /// A target of this sink; `others` are the indexes of those beside it. `first` says that the job has never run before.
    ///
    /// # Errors
    /// When the index's name cannot be one.
    pub fn target(
        &self,
        index: &str,
        schema: &arrow::datatypes::SchemaRef,
        key: &[usize],
        (others, first): (Vec<&str>, bool),
    ) -> Result<TargetConfig, String> {
        let pattern: IndexPattern = index.parse()?;
        Ok(TargetConfig {
            template: self.template,
            refresh: self.refresh,
            refresh_interval: self.refresh_interval,
            shards: self.shards,
            replicas: self.replicas,
            existing: first.then_some(self.existing),
            others: others.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            ..TargetConfig::new(pattern, Arc::clone(schema), key.to_vec())
        })
    }
}
