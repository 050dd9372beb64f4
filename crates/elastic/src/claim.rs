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

/// What stands in the index for a target.
enum Standing {
    /// No run has said anything.
    Nothing,
    /// The newest run, and what its document must still be when it is replaced.
    Run { generation: u64, seq_no: u64, primary_term: u64 },
    /// We may not look.
    Forbidden(String),
}

/// Says that this generation writes to the target now.
pub(crate) async fn claim(cluster: &Cluster, target: &str, generation: u64) -> Result<Claim, Unready> {
    let claim = |is_kept| Claim { target: target.to_owned(), generation, is_kept };
    let condition = match standing(cluster, target).await? {
        Standing::Run { generation: newest, .. } if newest > generation => {
            return Err(succeeded(target, newest, generation));
        }
        Standing::Run { seq_no, primary_term, .. } => {
            vec![("if_seq_no", seq_no.to_string()), ("if_primary_term", primary_term.to_string())]
        }
        Standing::Nothing => {
            make_index(cluster).await?;
            vec![("op_type", "create".to_owned())]
        }
        Standing::Forbidden(reason) => return Ok(without(reason, claim(false))),
    };
    let query: Vec<_> = condition.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = json!({ "target": target, "generation": generation, "began": chrono::Utc::now().to_rfc3339() });
    let path = [INDEX, "_doc", target];
    let reply = cluster.call(&Call { query: &query, ..Call::new(Method::PUT, &path).json(&body) }).await?;
    match reply.status {
        200..=299 => Ok(claim(true)),
        // Somebody was quicker; the next look tells who.
        409 => Err(Unready::Again(format!("another run writes to {INDEX} at the same time"))),
        403 => Ok(without(reply::refusal(&reply.body), claim(false))),
        status => Err(refused(status, &reply.body)),
    }
}

/// The index is small and its loss would harm nothing but safety: one shard, and a copy where there is a second node.
async fn make_index(cluster: &Cluster) -> Result<(), Unready> {
    let body = json!({ "settings": { "index.number_of_shards": 1, "index.auto_expand_replicas": "0-1" } });
    let reply = cluster.call(&Call::new(Method::PUT, &[INDEX]).json(&body)).await?;
    match reply.status {
        // It stands already, or we may not make it; the write tells what matters.
        200..=299 | 400 | 403 => Ok(()),
        status => Err(refused(status, &reply.body)),
    }
}

/// A login may write to the target's indexes alone. Late writes are then held off by refusing to send them.
fn without(reason: String, claim: Claim) -> Claim {
    tracing::warn!(index = INDEX, reason, "cannot keep which run writes: one that is cut off for long will stop");
    claim
}

/// Makes sure that no later generation has said so.
pub(crate) async fn confirm(cluster: &Cluster, claim: &Claim) -> Result<(), Unready> {
    if !claim.is_kept {
        let reason = "its writes could not be sent for too long; a restart begins them anew";
        return Err(Unready::Hopeless(reason.to_owned()));
    }
    match standing(cluster, &claim.target).await? {
        Standing::Run { generation, .. } if generation <= claim.generation => Ok(()),
        Standing::Run { generation, .. } => Err(succeeded(&claim.target, generation, claim.generation)),
        Standing::Nothing => Err(Unready::Hopeless(format!("the document of {} in {INDEX} is gone", claim.target))),
        Standing::Forbidden(reason) => Err(Unready::Hopeless(reason)),
    }
}

/// Forgets earlier runs, whose documents are deleted too.
pub(crate) async fn forget(cluster: &Cluster, target: &str) -> Result<(), Unready> {
    let reply = cluster.call(&Call::new(Method::DELETE, &[INDEX, "_doc", target])).await?;
    match reply.status {
        200..=299 | 403 | 404 => Ok(()),
        status => Err(refused(status, &reply.body)),
    }
}

async fn standing(cluster: &Cluster, target: &str) -> Result<Standing, Unready> {
    let path = [INDEX, "_doc", target];
    let reply = cluster.call(&Call::new(Method::GET, &path)).await?;
    match reply.status {
        200..=299 => {
            let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let generation = document["_source"]["generation"].as_u64();
            match (generation, document["_seq_no"].as_u64(), document["_primary_term"].as_u64()) {
                (Some(generation), Some(seq_no), Some(primary_term)) => {
                    Ok(Standing::Run { generation, seq_no, primary_term })
                }
                _ => Err(Unready::Hopeless(format!("the document of {target} in {INDEX} is not ours; delete it"))),
            }
        }
        404 => Ok(Standing::Nothing),
        403 => Ok(Standing::Forbidden(reply::refusal(&reply.body))),
        status => Err(refused(status, &reply.body)),
    }
}

fn refused(status: u16, body: &[u8]) -> Unready {
    match status {
        408 | 429 | 500.. => Unready::Again(reply::refusal(body)),
        _ => Unready::Hopeless(reply::refusal(body)),
    }
}

fn succeeded(target: &str, newest: u64, generation: u64) -> Unready {
    Unready::Hopeless(format!(
        "a later run (generation {newest}, this one is {generation}) writes to {target}, as {INDEX} says: either \
         another run of this job has taken over, then stop this one, or the job's own state was removed, then write \
         existing = \"delete\" for the sink, or delete the target's indexes and its document in {INDEX}"
    ))
}
