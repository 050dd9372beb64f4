//! The parts of the `proxima` command: job files checked into plans, commands, progress.
//!
//! The way of a command: [`args`] reads the command line, [`commands`] carries it out, [`job`] makes the checked plan
//! of a job, [`run`] joins it to engine, stores and server, and [`failure`] says how it went wrong.

pub mod args;
pub mod assemble;
pub mod checkpoints;
pub mod client;
pub mod commands;
mod consumer_group;
pub mod data;
pub mod evaluate;
pub mod failure;
mod forget;
pub mod functions;
pub mod generate;
pub mod hints;
pub mod ingest;
pub mod job;
pub mod monitor;
pub mod page;
pub mod progress;
pub mod rejected;
pub mod remains;
pub mod remote;
pub mod run;
pub mod splits;
pub mod stop;
pub mod stores;
pub mod upgrade;

use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// The whole of `proxima`, with functions that its jobs' paths may name.
#[must_use]
pub fn main(functions: functions::Functions) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    functions::offer(functions);
    match commands::execute(args::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(&failure)
        }
    }
}
