//! `cargo xtask bench NAME`: lines for people, then one line of JSON.
//!
//! The jobs (`behaviour`, `retail`, `mall`, `restart`) are measured from outside, as a user meets them: the release binary in
//! a process of its own, from its start to its end. The others are benchmarks of single crates.

mod behaviour;
mod child;
mod figures;
mod freshness;
mod live;
mod load;
mod lr;
mod mall;
mod recommend;
mod restart;
mod retail;
mod served;

use crate::project::{build_release, cargo, must};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The benchmark.
    name: Name,
    /// How often each setting is run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The numbers of workers to try.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    workers: Vec<usize>,
    /// How many events (`behaviour`) or devices (`restart`), in place of those that all figures are of.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
    /// Runs each setting with a checkpoint each second as well, to say what they cost (`behaviour` only).
    #[arg(long)]
    checkpoints: bool,
    /// Runs two processes with one worker each beside each other as well: what the machine gives to two that share
    /// nothing (`behaviour` only).
    #[arg(long)]
    processes: bool,
    /// Measures this binary instead of one built from the tree: to compare with an earlier one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl BenchArgs {
    fn binary(&self) -> Result<PathBuf> {
        match &self.binary {
            Some(binary) => binary.canonicalize().with_context(|| format!("cannot find {}", binary.display())),
            None => build_release(),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Two views over two million behaviour events: events a second, events per CPU-second, memory.
    Behaviour,
    /// The shipped example, to its end.
    Retail,
    /// Item-to-item counting alone: pair updates a second and core, bytes a pair.
    Pairs,
    /// Logistic regression alone: examples a second and core, log loss; beside Vowpal Wabbit.
    Lr,
    /// Each algorithm as a path against a loop written by hand for it: how many times the loop's time.
    Paths,
    /// Item-to-item over the live graph: events a second and core, bytes a pair, reads.
    Itemcf,
    /// Forgetting a person with a thousand relations.
    Forget,
    /// Decoding alone: JSON and CSV to columns.
    Decode,
    /// Reading files alone: blocks cut at record ends.
    Read,
    /// Reading and decoding a topic of a real Kafka alone, which is started.
    Kafka,
    /// The mall from Kafka into Elasticsearch, which are started: events a second and CPU-second, time until visible.
    Mall,
    /// Recommendations over loopback: requests a second and their times, alone and while orders come in.
    Recommend,
    /// Recommendations and lists that `proxima serve` answers from a Redis, which is started.
    Served,
    /// How soon after an event a list that it changes can be read: over HTTP, from Redis, and through Kafka and Redis,
    /// which are started.
    Freshness,
    /// Ten times the events that lists can follow, for two minutes: what waits, windows, memory, lists that differ after it.
    Overload,
    /// Ten million devices in state, killed and started again: time until the first new result, bytes a device.
    Restart,
}

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    match args.name {
        Name::Behaviour => behaviour::run(args),
        Name::Retail => retail::run(args),
        Name::Pairs => crate_bench("proxima-graph", "pairs"),
        Name::Lr => lr::run(),
        Name::Paths => crate_bench("proxima-graph", "paths"),
        Name::Itemcf => crate_bench("proxima-graph", "itemcf"),
        Name::Forget => crate_bench("proxima-graph", "forget"),
        Name::Decode => crate_bench("proxima-event", "decode"),
        Name::Read => crate_bench("proxima-source", "read"),
        Name::Kafka => crate_bench("proxima-kafka", "kafka"),
        Name::Mall => mall::run(args),
        Name::Recommend => recommend::run(args),
        Name::Served => served::run(args),
        Name::Freshness => freshness::run(args),
        Name::Overload => crate_bench("proxima-publish", "overload"),
        Name::Restart => restart::run(args),
    }
}

/// A benchmark of one crate prints its own lines and ends with its JSON.
fn crate_bench(package: &str, name: &str) -> Result<()> {
    must(cargo(["bench", "--quiet", "--package", package, "--bench", name]))
}
