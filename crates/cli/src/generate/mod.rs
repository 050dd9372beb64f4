//! `proxima generate`: input for benchmarks and trials, from a seed.
//!
//! A generator is a function of its arguments: the same seed gives the same bytes on every machine, in every version,
//! for ever. So the answers are known before anything is computed, and a benchmark can check what it measured.

mod answers;
mod behaviour;
mod mall;
mod outlets;

pub use answers::Answers;
pub use behaviour::{Behaviour, Event, write_lines};
pub use mall::GenerateMall;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

/// Writes to a pipe or a disk are at least this large.
const WRITE_BYTES: usize = 1024 * 1024;

/// Generates input from a seed.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// What to generate.
    #[command(subcommand)]
    pub what: Generate,
}

/// What can be generated.
#[derive(Subcommand, Clone, Debug)]
pub enum Generate {
    /// What people do in a shop: views, clicks, carts of two days, one JSON object a line.
    Behaviour(GenerateBehaviour),
    /// A shop: the logs of its app, the changes of its database, and what examples/mall must answer.
    Mall(GenerateMall),
}

/// How to generate behaviour.
#[derive(Args, Clone, Debug)]
pub struct GenerateBehaviour {
    /// How many events.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    pub events: u64,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The file to write ("-": standard output).
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Also writes what the benchmark's views must hold, as JSON, to this file.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
}

/// Generates.
///
/// # Errors
/// When a file cannot be written.
pub fn run(args: &GenerateArgs) -> Result<()> {
    match &args.what {
        Generate::Behaviour(args) => generate_behaviour(args),
        Generate::Mall(args) => mall::generate(args),
    }
}

fn generate_behaviour(args: &GenerateBehaviour) -> Result<()> {
    let mut answers = Answers::default();
    let events = Behaviour::new(args.seed, args.events).inspect(|event| {
        if args.answers.is_some() {
            answers.add(event);
        }
    });
    let place = || format!("cannot write {}", args.out.display());
    let mut out = BufWriter::with_capacity(WRITE_BYTES, open(&args.out).with_context(place)?);
    write_lines(events, &mut out).and_then(|()| out.flush()).with_context(place)?;
    if let Some(path) = &args.answers {
        let text = serde_json::to_string(&answers.key())?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn open(path: &Path) -> std::io::Result<Box<dyn Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(stdout().lock()));
    }
    Ok(Box::new(File::create(path)?))
}
