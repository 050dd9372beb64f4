//! `cargo xtask chaos mall`: the mall's job on real servers, killed at random, compared with the answer key.
//!
//! A generated shop flows into three brokers of Kafka at a steady rate, or its rows into MariaDB, from where a real
//! Maxwell tells of them. Meanwhile the job is killed, paused and started again, and so are the servers ([`plan`]). In
//! the end every document in Elasticsearch or OpenSearch and every dimension in Redis must be that of the key, which the
//! generator computes with none of the engine's code. The servers are the run's own ([`site`]); with `--kills 0` nothing
//! happens to them, which is the plain test of a job on a cluster.

mod compare;
mod feed;
mod job;
mod plan;
mod site;

use crate::project::build_release;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use compare::Answers;
use feed::Feed;
use job::Job;
use plan::Blow;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use site::{BROKERS, Site};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the results may take to be whole after the last record.
const SETTLES: Duration = Duration::from_secs(180);
/// Longer than the time-outs of the job's connections, but for that of a search request.
const PAUSE: Duration = Duration::from_secs(12);
/// How long a shop that nothing happens to takes.
const QUIET: f64 = 15.0;

/// What to run.
#[derive(Args)]
pub(crate) struct ChaosArgs {
    /// The job.
    #[arg(value_parser = ["mall"])]
    job: String,
    /// How often the job is killed; servers in proportion.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// The seed of the shop and of all that happens.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two blows, on average.
    #[arg(long, default_value_t = 5.0)]
    pace: f64,
    /// About how many orders the shop has on each of its two days; each is some 50 records.
    #[arg(long, default_value_t = 200)]
    orders: u32,
    /// Where results are searched.
    #[arg(long, value_enum, default_value = "elasticsearch")]
    search: Search,
    /// Where changes come from.
    #[arg(long, value_enum, default_value = "kafka")]
    source: Source,
    /// Leaves the servers alone.
    #[arg(long)]
    spare_servers: bool,
    /// A binary, in place of a release build.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// A search cluster, by the script of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Search {
    Elasticsearch,
    Opensearch,
}

impl Search {
    fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Opensearch => "opensearch",
        }
    }
}

/// Where changes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The generator writes them as Maxwell would.
    Kafka,
    /// MariaDB commits them, and Maxwell reads its log.
    Mysql,
}

pub(crate) fn run(args: &ChaosArgs) -> Result<()> {
    let binary = args.binary.clone().map_or_else(build_release, Ok)?;
    let binary = fs::canonicalize(&binary).with_context(|| format!("there is no {}", binary.display()))?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let outcome = play(args, &binary, folder.path());
    if outcome.is_err() {
        eprintln!("what the run has left is in {}", folder.keep().display());
    }
    outcome
}

/// The short form that CI runs, from a database to either search cluster: once without a blow, once with some.
pub(crate) fn short(binary: &Path) -> Result<()> {
    for (kills, search) in [(0, Search::Opensearch), (5, Search::Elasticsearch)] {
        run(&ChaosArgs {
            job: "mall".to_owned(),
            kills,
            seed: 1,
            pace: 4.0,
            orders: 100,
            search,
            source: Source::Mysql,
            spare_servers: false,
            binary: Some(binary.to_owned()),
        })?;
    }
    Ok(())
}

fn play(args: &ChaosArgs, binary: &Path, folder: &Path) -> Result<()> {
    let begin = Instant::now();
    let mut dice = ChaCha8Rng::seed_from_u64(args.seed);
    let blows = plan::plan(args.kills, !args.spare_servers, args.source == Source::Mysql, BROKERS, &mut dice);
    let shop = feed::make(binary, args, folder)?;
    let answers = compare::answers(&folder.join("answers"))?;
    let mut site = Site::start(args, folder)?;
    let overlay = site.overlay(folder)?;
    let rate = shop.records as f64 / (args.pace * blows.len() as f64).max(QUIET);
    let mut feed = Feed::start(binary, args, &site, folder, rate)?;
    let mut job = Job::start(binary, &overlay, folder)?;
    for (number, &blow) in blows.iter().enumerate() {
        watch(&mut feed, &mut job, Duration::from_secs_f64(dice.random_range(0.2..2.0 * args.pace)))?;
        eprintln!("{:4} s, {} of {}: {blow:?}", begin.elapsed().as_secs(), number + 1, blows.len());
        strike(blow, &mut job, &mut site)?;
    }
    watch(&mut feed, &mut job, Duration::from_secs_f64(QUIET / 2.0))?;
    site.settle()?;
    site.bootstrap("user_info");
    feed.finish()?;
    site.settle()?;
    let mut differences = settle(&answers, &mut job, &site)?;
    let rejected = fs::read_to_string(folder.join("data/rejected/logs.jsonl")).context("nothing was rejected")?;
    let rejected = rejected.lines().count();
    if rejected != shop.broken {
        differences.push(format!("{rejected} records were rejected, and {} were broken", shop.broken));
    }
    job.stop()?;
    report(&blows, &answers, &differences, begin.elapsed());
    ensure!(
        differences.is_empty(),
        "the results are not those of the answer key: {:#?}",
        &differences[..differences.len().min(5)]
    );
    Ok(())
}

/// Lets things go on for a while; neither the job nor the generator may end by itself.
fn watch(feed: &mut Feed, job: &mut Job, time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        feed.has_ended()?;
        job.check()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn strike(blow: Blow, job: &mut Job, site: &mut Site) -> Result<()> {
    match blow {
        Blow::Kill { workers } => job.kill_and_start(workers),
        Blow::Pause => job.pause(PAUSE),
        Blow::KillServer(victim) => site.kill(victim),
        Blow::PauseServer(victim) => site.pause(victim),
    }
}

/// Waits until the servers hold the answers, and says what is different if they never do.
fn settle(answers: &Answers, job: &mut Job, site: &Site) -> Result<Vec<String>> {
    let begin = Instant::now();
    loop {
        job.check()?;
        let differences = compare::differences(answers, site)?;
        if differences.is_empty() || begin.elapsed() > SETTLES {
            return Ok(differences);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn report(blows: &[Blow], answers: &Answers, differences: &[String], time: Duration) {
    let count = |is: fn(&Blow) -> bool| blows.iter().filter(|blow| is(blow)).count();
    println!(
        "{}",
        json!({
            "kills": count(|blow| matches!(blow, Blow::Kill { .. })),
            "servers_killed": count(|blow| matches!(blow, Blow::KillServer(_))),
            "pauses": count(|blow| matches!(blow, Blow::Pause | Blow::PauseServer(_))),
            "documents": answers.iter().map(|(_, documents)| documents.len()).sum::<usize>(),
            "differences": differences.len(),
            "seconds": time.as_secs(),
        })
    );
}

/// Sends a signal to a process of this run.
fn signal(pid: i32, number: i32) -> Result<()> {
    // SAFETY: a plain system call; it touches no memory of ours.
    let sent = unsafe { libc::kill(pid, number) };
    ensure!(sent == 0, "cannot signal process {pid}: {}", std::io::Error::last_os_error());
    Ok(())
}
