//! `proxima generate mall`: a shop's logs, its database's changes, and the answers to both.

use super::outlets::{Database, TopicLines};
use anyhow::{Context, Result};
use clap::Args;
use proxima_mallgen::{Answers, Counts, Files, Mall, Paced, Settings, Shipped, Split, Target};
use std::path::PathBuf;

/// How to generate a shop.
#[derive(Args, Clone, Debug)]
pub struct GenerateMall {
    /// The folder to write: logs/*.jsonl, changes/*.jsonl as Maxwell has them, ddl.sql, answers/*.jsonl. With --kafka or
    /// --mysql, what does not go there.
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
    /// How many files logs and changes have each; topics have as many partitions as they have.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub partitions: u32,
    /// Of 1,000 log lines, how many are followed by a broken one.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub broken: u32,
    /// Log lines and changed rows in a second, together [default: as fast as can be].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// The brokers to send to: host:port, separated by commas. The topics must be there.
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// The topic of the logs.
    #[arg(long, value_name = "TOPIC", default_value = "ods_log", requires = "kafka")]
    pub logs_topic: String,
    /// The topic of the changes, as Maxwell writes them; without --mysql.
    #[arg(long, value_name = "TOPIC", default_value = "ods_db", requires = "kafka")]
    pub changes_topic: String,
    /// Commits changes to a database, and leaves it to a real Maxwell to tell of them: a command that takes statements on
    /// its standard input, such as "mariadb -h 127.0.0.1 -u shop". The database `mall` must not be there.
    #[arg(long, value_name = "COMMAND")]
    pub mysql: Option<String>,
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

    /// Where logs go, and changes unless a database takes them.
    fn shipped(&self) -> Result<Box<dyn Target>> {
        let Some(brokers) = &self.kafka else {
            let files = Files::create(&self.out, self.partitions as usize, self.seed);
            return Ok(Box::new(files.with_context(|| format!("cannot write {}", self.out.display()))?));
        };
        let changes = self.mysql.is_none().then_some(&*self.changes_topic);
        Ok(Box::new(Shipped::new(TopicLines::open(brokers, &self.logs_topic, changes)?, self.seed)))
    }

    fn target(&self) -> Result<Box<dyn Target>> {
        let logs = self.shipped()?;
        let target: Box<dyn Target> = match &self.mysql {
            Some(command) => Box::new(Split { logs, changes: Database::open(command)? }),
            None => logs,
        };
        Ok(match self.rate {
            Some(per_second) => Box::new(Paced::new(target, per_second)),
            None => target,
        })
    }
}

/// Generates a shop, and says on standard error how much it is.
pub(super) fn generate(args: &GenerateMall) -> Result<()> {
    let place = || format!("cannot write {}", args.out.display());
    let mut answers = match args.no_answers {
        true => None,
        false => Some(Answers::create(&args.out.join("answers"), args.layers).with_context(place)?),
    };
    let mut target = args.target()?;
    let run = Mall::new(&args.settings()).run(&mut *target, answers.as_mut());
    let counts = run.context("cannot write the shop's records")?;
    if let Some(answers) = answers {
        answers.write().with_context(place)?;
    }
    let Counts { lines, broken, doubled, changes, orders } = counts;
    eprintln!("{lines} log lines ({broken} broken, {doubled} doubled), {changes} changed rows, {orders} orders");
    Ok(())
}
