//! `cargo xtask chaos mall`: the mall's job on real servers, killed at random, compared with the answer key.
//!
//! A generated shop flows into Kafka at a steady rate. Meanwhile the job is killed, paused and started again, and so are
//! the servers. In the end every document in Elasticsearch must be that of the key, which the generator computes with
//! none of the engine's code. The indexes of `examples/mall` in that Elasticsearch are deleted first, with what runs have
//! noted there.

mod feed;
mod victims;

use crate::project::{build_release, must, root};
use crate::servers::{Running, Server, script};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use feed::Feed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use victims::{Job, kill_server};

/// Where `services/elasticsearch.sh` listens.
const ELASTICSEARCH: &str = "http://127.0.0.1:9200";
/// Where sinks note which run writes to the indexes.
const RUNS: &str = "proxima-runs";
/// Where `services/kafka.sh` listens.
const BROKER: &str = "127.0.0.1:19092";
/// How long the results may take to be whole after the last record.
const SETTLES: Duration = Duration::from_secs(180);
/// Documents that one answer of `_search` holds at the most.
const DOCUMENTS_MAX: usize = 10_000;
/// Longer than the time-outs of all connections.
const PAUSE: Duration = Duration::from_secs(12);

/// What to run.
#[derive(Args)]
pub(crate) struct ChaosArgs {
    /// The job.
    #[arg(value_parser = ["mall"])]
    job: String,
    /// How often the job is killed.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// The seed of the shop and of all kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two kills, on average.
    #[arg(long, default_value_t = 5.0)]
    pace: f64,
    /// Leaves the servers alone.
    #[arg(long)]
    spare_servers: bool,
    /// A binary, in place of a release build.
    #[arg(long)]
    binary: Option<PathBuf>,
}

pub(crate) fn run(args: &ChaosArgs) -> Result<()> {
    let binary = args.binary.clone().map_or_else(build_release, Ok)?;
    let _running = Running::start(&[Server::Kafka, Server::Redis, Server::Elasticsearch])?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut dice = ChaCha8Rng::seed_from_u64(args.seed);
    generate(&binary, folder.path(), args.seed)?;
    let name = format!("chaos-{}-{}", args.seed, std::process::id());
    let overlay = overlay(folder.path(), &name)?;
    let answers = answers(&folder.path().join("answers"))?;
    for index in answers.iter().map(|(index, _)| index.as_str()).chain([RUNS]) {
        delete_index(index)?;
    }
    let mut feed = Feed::start(folder.path(), &name, args.kills as f64 * args.pace)?;
    let mut job = Job::start(&binary, &overlay, folder.path())?;
    let (mut kills, mut paused, mut servers) = (0, 0, 0);
    while kills < args.kills {
        feed.run(Duration::from_secs_f64(dice.random_range(0.2..2.0 * args.pace)))?;
        job.check()?;
        match dice.random_range(0..10) {
            0 if !args.spare_servers => {
                kill_server([Server::Kafka, Server::Redis, Server::Elasticsearch][servers % 3])?;
                servers += 1;
            }
            1 if paused < 3 => {
                job.pause(PAUSE)?;
                paused += 1;
            }
            _ => {
                job = job.kill_and_start(dice.random_range(1..=2))?;
                kills += 1;
            }
        }
        eprintln!("{kills} kills, {paused} pauses, {servers} servers killed");
    }
    feed.finish()?;
    let differences = settle(&answers, &mut job)?;
    let rejected = lines(&folder.path().join("data/rejected/logs.jsonl"))?;
    job.stop()?;
    let documents: usize = answers.iter().map(|(_, documents)| documents.len()).sum();
    println!(
        "{}",
        json!({
            "kills": kills, "pauses": paused, "servers_killed": servers, "documents": documents,
            "differences": differences.len(), "rejected": rejected,
        })
    );
    ensure!(
        differences.is_empty(),
        "the results are not those of the answer key: {:#?}",
        &differences[..differences.len().min(5)]
    );
    Ok(())
}

/// Makes the shop and its answer key.
fn generate(binary: &Path, folder: &Path, seed: u64) -> Result<()> {
    let mut command = Command::new(binary);
    command.args(["generate", "mall", "--days", "2", "--users", "400", "--products", "80", "--orders-per-day", "80"]);
    command.arg("--seed").arg(seed.to_string()).arg("--out").arg(folder);
    must(command)
}

/// Lays the run's own topics and keys over the example's cluster.
fn overlay(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join("chaos.toml");
    let text = format!(
        "[job]\nname = \"{name}\"\n[checkpoint]\nevery = \"300ms\"\n\
         [sources.logs]\ntopics = [\"{name}-log\"]\n[sources.changes]\ntopics = [\"{name}-db\"]\n\
         [sinks.dimensions]\npattern = \"{name}:{{table}}:{{id}}\"\n"
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

type Answers = Vec<(String, BTreeSet<String>)>;

/// The documents of each index that the cluster holds; dimensions are in Redis.
fn answers(folder: &Path) -> Result<Answers> {
    let mut answers = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = file?.path();
        let index = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if index.starts_with("dim_") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let documents = text.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?.to_string()));
        answers.push((index, documents.collect::<Result<_>>()?));
    }
    ensure!(!answers.is_empty(), "the generator wrote no answers");
    Ok(answers)
}

/// Waits until the cluster holds the answers, and says what is different if it never does.
fn settle(answers: &Answers, job: &mut Job) -> Result<Vec<String>> {
    let begin = Instant::now();
    loop {
        job.check()?;
        let mut differences = Vec::new();
        for (index, expected) in answers {
            let found = indexed(index)?;
            differences.extend(expected.difference(&found).map(|document| format!("{index} lacks {document}")));
            differences.extend(found.difference(expected).map(|document| format!("{index} holds {document}")));
        }
        if differences.is_empty() || begin.elapsed() > SETTLES {
            return Ok(differences);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn indexed(index: &str) -> Result<BTreeSet<String>> {
    let request = ureq::post(format!("{ELASTICSEARCH}/{index}/_search")).config().http_status_as_error(false).build();
    let mut answer = request.send_json(json!({"size": DOCUMENTS_MAX})).context("cannot ask Elasticsearch")?;
    let answer: Value = answer.body_mut().read_json()?;
    let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    if hits.len() == DOCUMENTS_MAX {
        bail!("{index} holds more documents than one answer gives");
    }
    Ok(hits.iter().map(|hit| hit["_source"].to_string()).collect())
}

fn delete_index(index: &str) -> Result<()> {
    let request = ureq::delete(format!("{ELASTICSEARCH}/{index}")).config().http_status_as_error(false).build();
    request.call().with_context(|| format!("cannot delete index {index}"))?;
    Ok(())
}

fn lines(path: &Path) -> Result<usize> {
    Ok(fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?.lines().count())
}

/// A command of Kafka's own tools.
fn kafka_tool(class: &str) -> Command {
    let mut command = script(Server::Kafka, "tool");
    command.arg(class).args(["--bootstrap-server", BROKER]).current_dir(root());
    command
}
