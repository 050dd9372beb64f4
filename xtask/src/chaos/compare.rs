//! What stands in the search cluster and in Redis, beside the answer key.

use super::site::Site;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Documents that one answer of `_search` holds at the most.
const PAGE: usize = 10_000;

/// Indexes by their names, with their documents. Those of dimensions are in Redis.
pub(super) type Answers = Vec<(String, BTreeSet<String>)>;

/// The answer key.
pub(super) fn answers(folder: &Path) -> Result<Answers> {
    let mut answers = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = file?.path();
        let index = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let documents = text.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?.to_string()));
        answers.push((index, documents.collect::<Result<_>>()?));
    }
    ensure!(!answers.is_empty(), "the generator wrote no answers");
    Ok(answers)
}

/// What the servers hold and should not, and what they lack.
pub(super) fn differences(answers: &Answers, site: &Site) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for (index, expected) in answers {
        let found = match index.starts_with("dim_") {
            true => kept(site.redis_address(), index)?,
            false => indexed(&site.search_address(), index)?,
        };
        differences.extend(expected.difference(&found).map(|document| format!("{index} lacks {document}")));
        differences.extend(found.difference(expected).map(|document| format!("{index} holds {document}")));
    }
    Ok(differences)
}

/// All documents of an index, page by page.
fn indexed(address: &str, index: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut body = json!({"size": PAGE, "sort": ["_id"]});
    loop {
        let request = ureq::post(format!("{address}/{index}/_search")).config().http_status_as_error(false).build();
        let mut answer = request.send_json(&body).context("cannot ask the search cluster")?;
        let answer: Value = answer.body_mut().with_config().limit(1 << 30).read_json()?;
        let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
        found.extend(hits.iter().map(|hit| hit["_source"].to_string()));
        match hits.last() {
            Some(last) if hits.len() == PAGE => body["search_after"] = last["sort"].clone(),
            _ => return Ok(found),
        }
    }
}

/// All rows of a table in Redis, as its own client shows them, without their versions.
fn kept(address: &str, table: &str) -> Result<BTreeSet<String>> {
    let keys = redis(address, &["--scan", "--pattern", &format!("{table}:*")], "")?;
    let gets: String = keys.lines().map(|key| format!("GET {key}\n")).collect();
    let mut found = BTreeSet::new();
    for line in redis(address, &[], &gets)?.lines() {
        let mut row: Value = serde_json::from_str(line).with_context(|| format!("{table} holds {line}"))?;
        if let Some(fields) = row.as_object_mut() {
            fields.shift_remove("_version");
        }
        found.insert(row.to_string());
    }
    Ok(found)
}

fn redis(address: &str, arguments: &[&str], input: &str) -> Result<String> {
    let (host, port) = address.split_once(':').context("Redis has no port")?;
    let mut command = Command::new("redis-cli");
    command.args(["-h", host, "-p", port]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run redis-cli")?;
    let mut pipe = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // It answers while it is asked.
    let asking = std::thread::spawn(move || pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    asking.join().expect("writing does not panic")?;
    ensure!(output.status.success(), "redis-cli failed: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
