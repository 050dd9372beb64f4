//! What a cluster's answers mean for a writer: decisions from status and error, without I/O.

use serde::Deserialize;
use std::borrow::Cow;

/// The answer to a bulk request, as far as it matters.
#[derive(Debug, Deserialize)]
pub(crate) struct BulkReply<'a> {
    #[serde(borrow, default)]
    items: Vec<ItemReply<'a>>,
}

/// The answer for one item, under the name of its action.
#[derive(Debug, Deserialize)]
struct ItemReply<'a> {
    #[serde(borrow, alias = "delete", alias = "create", alias = "update")]
    index: Outcome<'a>,
}

/// What became of an item.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<Fault<'a>>,
}

/// Why an item or a request was not carried out.
#[derive(Debug, Deserialize)]
pub(crate) struct Fault<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Box<Fault<'a>>>,
    /// What failed first, where many shards did.
    #[serde(borrow, default)]
    root_cause: Vec<Fault<'a>>,
}

/// The answer to a request that was refused as a whole.
#[derive(Debug, Deserialize)]
struct Refused<'a> {
    #[serde(borrow)]
    error: Fault<'a>,
}

/// What to do about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done, or a newer version stands.
    Done,
    /// Ask again later.
    Again(String),
    /// The cluster will never take this document.
    Rejected(String),
    /// Nothing that we write has a chance.
    Hopeless(String),
}

impl<'a> BulkReply<'a> {
    /// Reads an answer.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Vec<Outcome<'a>>, serde_json::Error> {
        let reply: Self = serde_json::from_slice(body)?;
        Ok(reply.items.into_iter().map(|item| item.index).collect())
    }
}

impl Outcome<'_> {
    /// What to do about an item that was asked for by this generation.
    pub(crate) fn verdict(&self, is_delete: bool, generation: u64) -> Verdict {
        let kind = self.error.as_ref().map_or("", |fault| &*fault.kind);
        let reason = || self.error.as_ref().map_or_else(|| format!("status {}", self.status), Fault::text);
        match self.status {
            200..=299 => Verdict::Done,
            404 if is_delete && kind.is_empty() => Verdict::Done,
            409 => match self.error.as_ref().and_then(standing_version) {
                Some(standing) if standing >> 40 > generation => {
                    Verdict::Hopeless(succeeded(standing >> 40, generation))
                }
                _ => Verdict::Done,
            },
            // A full disk makes indexes read-only: with 403 in old versions, with 429 in new ones.
            _ if kind == "cluster_block_exception" => Verdict::Again(reason()),
            // Made again by the template once somebody allows it; not the document's fault.
            404 if kind == "index_not_found_exception" => Verdict::Again(reason()),
            401 | 403 => Verdict::Hopeless(reason()),
            408 | 429 | 500.. => Verdict::Again(reason()),
            _ => Verdict::Rejected(reason()),
        }
    }
}

fn succeeded(standing: u64, own: u64) -> String {
    format!(
        "its documents were written by a later run (generation {standing}, this one is {own}): either another run of \
         this job has taken over, then stop this one, or the job's own state was removed, then delete the index too"
    )
}

/// The version that stands, out of "version conflict, current version [5] is higher than the one provided [4]".
fn standing_version(fault: &Fault<'_>) -> Option<u64> {
    let (_, rest) = fault.reason.as_deref()?.split_once("current version [")?;
    rest.split_once(']')?.0.parse().ok()
}

impl Fault<'_> {
    /// The sentence of the fault and of what it came from, with its kind before it.
    pub(crate) fn text(&self) -> String {
        let own = self.reason.as_deref().unwrap_or("no reason given");
        let cause = self.caused_by.as_deref().or(self.root_cause.first()).filter(|cause| cause.reason != self.reason);
        let cause = cause.map(|cause| format!("; {}", cause.text())).unwrap_or_default();
        format!("{}: {own}{cause}", self.kind)
    }
}

/// The sentence of an error's body; the body itself where it has none.
pub(crate) fn refusal(body: &[u8]) -> String {
    const SHOWN: usize = 500;
    match serde_json::from_slice::<Refused<'_>>(body) {
        Ok(refused) => refused.error.text(),
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            text.trim().chars().take(SHOWN).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(item: &str, is_delete: bool) -> Verdict {
        let body = format!(r#"{{"errors":true,"items":[{item}]}}"#);
        BulkReply::parse(body.as_bytes()).unwrap()[0].verdict(is_delete, 1)
    }

    #[test]
    fn what_stands_already_is_done() {
        assert_eq!(verdict(r#"{"index":{"status":201}}"#, false), Verdict::Done);
        assert_eq!(verdict(r#"{"delete":{"status":404}}"#, true), Verdict::Done);
        let conflict = r#"{"index":{"status":409,"error":{"type":"version_conflict_engine_exception",
            "reason":"[1]: version conflict, current version [1099511627781] is higher than the one provided [4]"}}}"#;
        assert_eq!(verdict(conflict, false), Verdict::Done, "the same generation");
    }

    #[test]
    fn a_later_generation_ends_an_earlier_one() {
        let conflict = r#"{"delete":{"status":409,"error":{"type":"version_conflict_engine_exception",
            "reason":"[1]: version conflict, current version [2199023255552] is higher than the one provided [4]"}}}"#;
        let Verdict::Hopeless(reason) = verdict(conflict, true) else { panic!("generation 2 stands") };
        assert!(reason.contains("generation 2, this one is 1"), "{reason}");
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, kind) in [
            (429, "es_rejected_execution_exception"),
            (503, "unavailable_shards_exception"),
            (403, "cluster_block_exception"),
            (404, "index_not_found_exception"),
        ] {
            let item = format!(r#"{{"index":{{"status":{status},"error":{{"type":"{kind}","reason":"busy"}}}}}}"#);
            assert_eq!(verdict(&item, false), Verdict::Again(format!("{kind}: busy")));
        }
        let delete = r#"{"delete":{"status":404,"error":{"type":"index_not_found_exception","reason":"no such"}}}"#;
        assert!(matches!(verdict(delete, true), Verdict::Again(_)));
    }

    #[test]
    fn a_bad_document_is_rejected_with_the_servers_reason() {
        let item = r#"{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse [n]",
            "caused_by":{"type":"number_format_exception","reason":"For input string: \"x\""}}}}"#;
        let expected =
            "mapper_parsing_exception: failed to parse [n]; number_format_exception: For input string: \"x\"";
        assert_eq!(verdict(item, false), Verdict::Rejected(expected.to_owned()));
    }

    #[test]
    fn a_refusal_has_a_sentence() {
        let body = br#"{"error":{"type":"security_exception","reason":"missing credentials"},"status":401}"#;
        assert_eq!(refusal(body), "security_exception: missing credentials");
        let body = br#"{"error":{"root_cause":[{"type":"query_shard_exception","reason":"No mapping found for [x]"}],
            "type":"search_phase_execution_exception","reason":"all shards failed"},"status":400}"#;
        let expected =
            "search_phase_execution_exception: all shards failed; query_shard_exception: No mapping found for [x]";
        assert_eq!(refusal(body), expected);
        assert_eq!(refusal(b"<html>bad gateway</html>\n"), "<html>bad gateway</html>");
    }
}
