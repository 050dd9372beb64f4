//! `proxima generate mall`: a shop's logs, its database's changes, and the answers to both, in a folder.

use anyhow::{Context, Result};
use clap::Args;
use proxima_mallgen::{Answers, Counts, Files, Mall, Paced, Settings, Target};
use std::path::PathBuf;

/// How to generate a shop.
#[derive(Args, Clone, Debug)]
pub struct GenerateMall {
    /// The folder to write: logs/*.jsonl, changes/*.jsonl as Maxwell has them, ddl.sql, answers/*.jsonl.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many days the shop is watched.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// How many customers it has at the beginning.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub users: u32,
    /// How many products it sells.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub products: u32,
    /// About how many orders are placed on a day; each comes with some 30 log lines and 20 changed rows.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub orders_per_day: u32,
    /// How many files logs and changes have each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub partitions: u32,
    /// Of 1,000 log lines, how many are followed by a broken one.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub broken: u32,
    /// Log lines and changed rows in a second, together [default: as fast as can be].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Leaves the answers out: memory then does not grow with the number of days.
    #[arg(long, conflicts_with = "layers")]
    pub no_answers: bool,
    /// Also answers with the rows of the layers between logs and indexes, which are as large as the logs.
    #[arg(long)]
    pub layers: bool,
}

impl GenerateMall {
    fn settings(&self) -> Settings {
        Settings {
            seed: self.seed,
            days: self.days,
            users: self.users,
            products: self.products,
            orders_per_day: self.orders_per_day,
            broken_per_mille: self.broken,
        }
    }
}

/// Generates a shop, and says on standard error how much it is.
pub(super) fn generate(args: &GenerateMall) -> Result<()> {
    let place = || format!("cannot write {}", args.out.display());
    let mut answers = match args.no_answers {
        true => None,
        false => Some(Answers::create(&args.out.join("answers"), args.layers).with_context(place)?),
    };
    let files = Files::create(&args.out, args.partitions as usize, args.seed).with_context(place)?;
    let mut target: Box<dyn Target> = match args.rate {
        Some(per_second) => Box::new(Paced::new(files, per_second)),
        None => Box::new(files),
    };
    let counts = Mall::new(&args.settings()).run(&mut *target, answers.as_mut()).with_context(place)?;
    if let Some(answers) = answers {
        answers.write().with_context(place)?;
    }
    let Counts { lines, broken, doubled, changes, orders } = counts;
    eprintln!("{lines} log lines ({broken} broken, {doubled} doubled), {changes} changed rows, {orders} orders");
    Ok(())
}
