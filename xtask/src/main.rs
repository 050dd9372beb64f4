//! The project's own tasks: `cargo xtask test` runs all that CI runs, `cargo xtask bench NAME` one benchmark.
//!
//! Nothing here knows the product's code. It builds the binary, runs it as a user would and looks at what it does.

mod bench;
mod chaos;
mod http;
mod project;
mod retail;
mod servers;
mod test;

use anyhow::Result;
use clap::Parser;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Formatting, lints, all tests, and the shipped example run from the release binary.
    Test(test::TestArgs),
    /// Runs a benchmark; the last line is JSON with its figures.
    Bench(bench::BenchArgs),
    /// Runs a job on real servers, kills it and them at random, and compares its results with the answer key; the last
    /// line is JSON.
    Chaos(chaos::ChaosArgs),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Chaos(args) => chaos::run(&args),
    }
}
