//! Which run writes to a target: a document in an index of our own holds the newest generation. It tells a process that
//! was paused or cut off for long that a successor has begun, before anything that it had written down goes out.

use crate::client::{Call, Cluster};
use crate::reply;
use crate::setup::Unready;
use reqwest::Method;
use serde_json::{Value, json};

/// The index that holds one document for each target.
const INDEX: &str = "proxima-runs";

/// What a run has said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The target's name, with `*` for columns.
    pub(crate) target: String,
    /// The run's generation.
    pub(crate) generation: u64,
    /// Whether the cluster lets us keep the document.
    pub(crate) is_kept: bool,
}

/// Says that this generation writes to the target now.
pub(crate) async fn claim(cluster: &Cluster, target: &str, generation: u64) -> Result<Claim, Unready> {
    let version = generation.to_string();
    let query = [("version", version.as_str()), ("version_type", "external_gte")];
    let body = json!({ "target": target, "generation": generation, "began": chrono::Utc::now().to_rfc3339() });
    let path = [INDEX, "_doc", target];
    let reply = cluster.call(&Call { query: &query, ..Call::new(Method::PUT, &path).json(&body) }).await?;
    let claim = |is_kept| Claim { target: target.to_owned(), generation, is_kept };
    match reply.status {
        200..=299 => Ok(claim(true)),
        409 => Err(succeeded(target, generation)),
        // A login that may write to the target's indexes alone. Late writes are then held off by refusing to send them.
        403 => {
            let reason = reply::refusal(&reply.body);
            tracing::warn!(index = INDEX, reason, "cannot keep which run writes: a process cut off for long will stop");
            Ok(claim(false))
        }
        408 | 429 | 500.. => Err(Unready::Again(reply::refusal(&reply.body))),
        _ => Err(Unready::Hopeless(reply::refusal(&reply.body))),
    }
}

/// Makes sure that no later generation has said so.
pub(crate) async fn confirm(cluster: &Cluster, claim: &Claim) -> Result<(), Unready> {
    if !claim.is_kept {
        let reason = "its writes could not be sent for too long; a restart begins them anew";
        return Err(Unready::Hopeless(reason.to_owned()));
    }
    let path = [INDEX, "_doc", claim.target.as_str()];
    let reply = cluster.call(&Call::new(Method::GET, &path)).await?;
    match reply.status {
        200..=299 => {
            let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            match document["_version"].as_u64() {
                Some(version) if version <= claim.generation => Ok(()),
                Some(_) => Err(succeeded(&claim.target, claim.generation)),
                None => Err(Unready::Again(format!("the answer for {INDEX} holds no version"))),
            }
        }
        404 => Err(Unready::Hopeless(format!("the document of {} in {INDEX} is gone", claim.target))),
        408 | 429 | 500.. => Err(Unready::Again(reply::refusal(&reply.body))),
        _ => Err(Unready::Hopeless(reply::refusal(&reply.body))),
    }
}

/// Forgets earlier runs, whose documents are deleted too.
pub(crate) async fn forget(cluster: &Cluster, target: &str) -> Result<(), Unready> {
    let reply = cluster.call(&Call::new(Method::DELETE, &[INDEX, "_doc", target])).await?;
    match reply.status {
        200..=299 | 404 => Ok(()),
        408 | 429 | 500.. => Err(Unready::Again(reply::refusal(&reply.body))),
        _ => Err(Unready::Hopeless(reply::refusal(&reply.body))),
    }
}

fn succeeded(target: &str, generation: u64) -> Unready {
    Unready::Hopeless(format!(
        "a later run than generation {generation} writes to {target} ({INDEX} says so): either another run of this job \
         has taken over, then stop this one, or the job's own state was removed, then write existing = \"delete\" for \
         the sink, or delete the target's indexes and its document in {INDEX}"
    ))
}
