//! Before the first write: what the cluster is, the index template, the indexes that stand.

use crate::client::{Call, Cluster, NoAnswer, Reply};
use crate::config::{Existing, Refresh, TargetConfig};
use crate::{claim, mapping, reply};
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long deletes are remembered: a write that a paused or cut-off process sends late still loses against a delete
/// for this long. The servers' own minute is too short for that.
const DELETES_REMEMBERED: &str = "1h";

/// The settings need not be much above those templates that come with the servers; the more certain name wins.
const PRIORITY: usize = 1_000;

/// Why setting up did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unready {
    /// It may next time.
    Again(String),
    /// It will not.
    Hopeless(String),
}

impl From<NoAnswer> for Unready {
    fn from(error: NoAnswer) -> Self {
        Self::Again(error.to_string())
    }
}

/// What `GET /` tells.
#[derive(Debug, Deserialize)]
struct Welcome {
    version: VersionInfo,
}

#[derive(Debug, Deserialize)]
struct VersionInfo {
    number: String,
    #[serde(default)]
    distribution: Option<String>,
}

/// What a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) is_opensearch: bool,
    pub(crate) version: (u32, u32),
}

impl Product {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let welcome: Welcome = serde_json::from_slice(body)
            .map_err(|_| "it answers, but neither as Elasticsearch nor as OpenSearch".to_owned())?;
        let mut parts = welcome.version.number.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let is_opensearch = welcome.version.distribution.as_deref() == Some("opensearch");
        if !is_opensearch && version.0 < 7 {
            return Err(format!("Elasticsearch {} is too old: 7.0 is the first that will do", welcome.version.number));
        }
        Ok(Self { is_opensearch, version })
    }

    /// Whether it has composable templates.
    fn composes(self) -> bool {
        self.is_opensearch || self.version >= (7, 8)
    }

    /// Whether documents may be sorted by their id where nobody has changed the cluster's settings.
    pub(crate) fn sorts_by_id(self) -> bool {
        self.is_opensearch || self.version < (8, 0)
    }

    /// Whether a sort by a `scaled_float` leaves out documents that belong to the first ones, and fails where a document has
    /// several values, unless scores are asked for as well. OpenSearch does: its issue 17833.
    pub(crate) fn misses_units(self) -> bool {
        self.is_opensearch
    }
}

/// Asks what the cluster is.
pub(crate) async fn product(cluster: &Cluster) -> Result<Product, Unready> {
    let reply = ask(cluster, Call::new(Method::GET, &[])).await?;
    Product::parse(&fine(reply)?).map_err(Unready::Hopeless)
}

/// Makes everything ready for writes to a target.
pub(crate) async fn prepare(cluster: &Cluster, target: &TargetConfig) -> Result<(), Unready> {
    let product = product(cluster).await?;
    if let Some(existing) = target.existing {
        settle_existing(cluster, target, existing).await?;
    }
    if !target.template {
        return Ok(());
    }
    put_template(cluster, target, product).await?;
    match target.index.fixed() {
        Some(index) => make_index(cluster, target, index).await,
        None => update(cluster, target, &target.wildcard()).await,
    }
}

async fn ask(cluster: &Cluster, call: Call<'_>) -> Result<Reply, Unready> {
    Ok(cluster.call(&call).await?)
}

/// The body of a reply that is well; otherwise whether to come again.
fn fine(reply: Reply) -> Result<Bytes, Unready> {
    match reply.status {
        200..=299 => Ok(reply.body),
        408 | 429 | 500.. => Err(Unready::Again(reply::refusal(&reply.body))),
        401 => {
            let refusal = reply::refusal(&reply.body);
            Err(Unready::Hopeless(format!("{refusal}; look at the sink's user and password, or its API key")))
        }
        _ => Err(Unready::Hopeless(reply::refusal(&reply.body))),
    }
}

/// Documents of another life of the job would stand beside ours for ever.
async fn settle_existing(cluster: &Cluster, target: &TargetConfig, existing: Existing) -> Result<(), Unready> {
    let wildcard = target.wildcard();
    match existing {
        Existing::Keep => Ok(()),
        Existing::Refuse => {
            let path = [wildcard.as_str(), "_count"];
            let query = [("ignore_unavailable", "true"), ("allow_no_indices", "true")];
            let reply = ask(cluster, Call { query: &query, ..Call::new(Method::GET, &path) }).await?;
            if reply.status == 404 {
                return Ok(());
            }
            let counted: Value = serde_json::from_slice(&fine(reply)?).unwrap_or_default();
            match counted["count"].as_u64() {
                None | Some(0) => Ok(()),
                Some(count) => Err(Unready::Hopeless(format!(
                    "{wildcard} holds {count} documents already, and this run begins from nothing; delete them, or \
                     write existing = \"delete\" or existing = \"keep\" for the sink"
                ))),
            }
        }
        Existing::Delete => {
            for index in standing(cluster, &wildcard).await? {
                let reply = ask(cluster, Call::new(Method::DELETE, &[&index])).await?;
                if reply.status != 404 {
                    fine(reply)?;
                }
            }
            claim::forget(cluster, &target.index.wildcard()).await
        }
    }
}

/// The indexes that a name or wildcard stands for now.
async fn standing(cluster: &Cluster, wildcard: &str) -> Result<Vec<String>, Unready> {
    let path = [wildcard, "_settings"];
    let query = [("ignore_unavailable", "true"), ("allow_no_indices", "true"), ("flat_settings", "true")];
    let reply = ask(cluster, Call { query: &query, ..Call::new(Method::GET, &path) }).await?;
    if reply.status == 404 {
        return Ok(Vec::new());
    }
    let indexes: serde_json::Map<String, Value> = serde_json::from_slice(&fine(reply)?).unwrap_or_default();
    Ok(indexes.into_iter().map(|(name, _)| name).collect())
}

async fn put_template(cluster: &Cluster, target: &TargetConfig, product: Product) -> Result<(), Unready> {
    let name = format!("proxima-{}", target.index.wildcard().replace('*', "any"));
    let patterns = [target.index.wildcard()];
    let (settings, mappings) = (settings(target), mapping::mappings(&target.schema));
    let order = PRIORITY + target.index.certainty();
    let (kind, body) = if product.composes() {
        let template = json!({ "settings": settings, "mappings": mappings });
        ("_index_template", json!({ "index_patterns": patterns, "priority": order, "template": template }))
    } else {
        let body = json!({ "index_patterns": patterns, "order": order, "settings": settings, "mappings": mappings });
        ("_template", body)
    };
    fine(ask(cluster, Call::new(Method::PUT, &[kind, &name]).json(&body)).await?).map(drop)
}

/// The settings of a new index.
fn settings(target: &TargetConfig) -> Value {
    let mut settings = changeable(target);
    settings["index.number_of_shards"] = target.shards.into();
    match target.replicas {
        Some(replicas) => settings["index.number_of_replicas"] = replicas.into(),
        // One copy where there is a second node for it, none on a cluster of one.
        None => settings["index.auto_expand_replicas"] = "0-1".into(),
    }
    settings["analysis"] = mapping::analysis();
    settings
}

/// The settings that an index takes while it stands.
fn changeable(target: &TargetConfig) -> Value {
    let mut settings = json!({ "index.gc_deletes": DELETES_REMEMBERED });
    if target.refresh != Refresh::None {
        settings["index.refresh_interval"] = format!("{}ms", target.refresh_interval.as_millis()).into();
    }
    settings
}

/// Makes the index, or brings the one that stands up to date.
async fn make_index(cluster: &Cluster, target: &TargetConfig, index: &str) -> Result<(), Unready> {
    // The settings are given here as well: a template of older kind, or another name, must not come between.
    let body = json!({ "settings": settings(target), "mappings": mapping::mappings(&target.schema) });
    let reply = ask(cluster, Call::new(Method::PUT, &[index]).json(&body)).await?;
    let refused = reply::refusal(&reply.body);
    if reply.status == 400 && refused.contains("resource_already_exists_exception") {
        return update(cluster, target, index).await;
    }
    fine(reply).map(drop)
}

/// Gives standing indexes the columns that are new, and the settings.
async fn update(cluster: &Cluster, target: &TargetConfig, wildcard: &str) -> Result<(), Unready> {
    for index in standing(cluster, wildcard).await? {
        let path = [index.as_str(), "_mapping"];
        let reply = ask(cluster, Call::new(Method::PUT, &path).json(&mapping::mappings(&target.schema))).await?;
        if reply.status == 400 {
            return Err(Unready::Hopeless(format!(
                "index {index} has other fields than the target ({}); delete it, then the run fills it anew, or write \
                 template = false for the sink to write into it as it is",
                reply::refusal(&reply.body)
            )));
        }
        fine(reply)?;
        fine(ask(cluster, Call::new(Method::PUT, &[&index, "_settings"]).json(&changeable(target))).await?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_told_apart() {
        let parse = |text: &str| Product::parse(text.as_bytes());
        let old = parse(r#"{"version":{"number":"7.7.1"}}"#).unwrap();
        assert!(!old.composes() && old.sorts_by_id());
        let new = parse(r#"{"version":{"number":"8.11.0-SNAPSHOT","build_flavor":"default"}}"#).unwrap();
        assert!(new.composes() && !new.sorts_by_id());
        let open = parse(r#"{"version":{"distribution":"opensearch","number":"1.3.2"}}"#).unwrap();
        assert!(open.composes() && open.sorts_by_id());
        assert!(parse(r#"{"version":{"number":"6.8.0"}}"#).unwrap_err().contains("6.8.0 is too old"));
        assert!(parse("<html>").unwrap_err().contains("neither as Elasticsearch nor as OpenSearch"));
    }
}
