//! The commands: each a file, each from its arguments to its output.

mod ask;
mod check;
mod evaluate;
mod run;
mod serve;
mod status;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::generate;
use crate::job::{JobPlan, Overlay, load};
use anyhow::Context;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Carries out what the command line asks for.
///
/// # Errors
/// With what to say and the exit code.
pub fn execute(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => check::explain(&args),
        Command::Status(args) => status::status(&args),
        Command::Search(args) => ask::search(&args),
        Command::Similar(args) => ask::similar(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Evaluate(args) => evaluate::evaluate(&args),
        Command::Generate(args) => Ok(generate::run(&args)?),
    }
}

/// Reads the job and tells its warnings.
fn load_job(folder: &Path, overlay: &Overlay) -> Result<JobPlan, Failure> {
    let plan = load(folder, overlay)?;
    for warning in &plan.warnings {
        eprintln!("{warning}");
    }
    Ok(plan)
}

/// The data folder that was given, or else the job's own in the current folder.
fn data_path(plan: &JobPlan, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| Path::new(".proxima").join(&plan.name), Path::to_path_buf)
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.context("cannot write to standard output")?),
    }
}
