//! One binary: checks a job, runs it, serves its results.

use clap::Parser;
use mimalloc::MiMalloc;
use proxima_cli::args::Cli;
use proxima_cli::commands::execute;
use std::io::stderr;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Workers allocate at the same time; with the system's allocator two were hardly faster than one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).init();
    match execute(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(&failure)
        }
    }
}
