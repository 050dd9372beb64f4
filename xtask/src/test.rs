//! `cargo xtask test`: everything that CI runs, cheapest first.

use crate::chaos;
use crate::project::{build_release, cargo, must, shown};
use crate::retail;
use crate::servers::{self, Running, Server};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// What is tested besides what everybody gets.
const FEATURES: &str = "proxima/wasm";

/// What to leave out.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leaves out what is run from the release build: the examples, and the mall on real servers.
    #[arg(long)]
    skip_release: bool,
    /// Leaves out all that needs real servers.
    #[arg(long)]
    skip_servers: bool,
    /// Real servers to test against, by the scripts in `services/`: they are installed and started when they do not run,
    /// and stopped in the end.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "kafka,redis,elasticsearch,opensearch,hbase,s3"
    )]
    servers: Vec<Server>,
}

pub(crate) fn run(args: &TestArgs) -> Result<()> {
    must(cargo(["fmt", "--all", "--check"]))?;
    let clippy =
        ["clippy", "--workspace", "--features", FEATURES, "--all-targets", "--quiet", "--", "--deny", "warnings"];
    must(cargo(clippy))?;
    let mut suites = run_tests(&["--workspace", "--features", FEATURES], false)?;
    let mut again = Vec::new();
    if args.skip_servers {
        println!("real servers: skipped");
    } else {
        suites.extend(on_servers(&args.servers, &mut again)?);
    }
    if args.skip_release {
        println!("release: skipped");
    } else {
        let binary = build_release()?;
        retail::check(&binary).context("the example, run from the release binary, failed")?;
        println!("release: examples/retail holds, over HTTP and from the data folder");
        if !args.skip_servers {
            chaos::short(&binary).context("the mall on real servers failed")?;
        }
    }
    if !again.is_empty() {
        println!("real servers: failed, and passed when run again; look into it: {}", again.join(", "));
    }
    println!("{}", Totals::of(&suites));
    Ok(())
}

/// The tests that need servers, while these run. Servers do not always do the same in the same order: what fails is run
/// once more, and `again` holds the crates for which that went well.
fn on_servers(servers: &[Server], again: &mut Vec<&'static str>) -> Result<Vec<String>> {
    let _running = Running::start(servers)?;
    let mut suites = Vec::new();
    for name in servers::crates(servers) {
        let features: &[&str] = if name == "proxima" { &["--features", FEATURES] } else { &[] };
        let which = [&["--package", name], features].concat();
        suites.extend(match run_tests(&which, true) {
            Ok(passed) => passed,
            Err(error) => {
                eprintln!("{name}: {error}; once more");
                again.push(name);
                run_tests(&which, true)?
            }
        });
    }
    Ok(suites)
}

/// Runs tests and gives the closing line of each suite. `ignored` are those that need a server, and only those.
fn run_tests(which: &[&str], ignored: bool) -> Result<Vec<String>> {
    let mut command = cargo(["test"]);
    command.args(which);
    if ignored {
        command.args(["--", "--ignored"]);
    }
    eprintln!("$ {}", shown(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run the tests")?;
    let stdout = child.stdout.take().expect("it is piped");
    let mut suites = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        if line.starts_with("test result:") {
            suites.push(line);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "tests failed: {}", Totals::of(&suites));
    Ok(suites)
}

/// The sums over all suites.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    suites: usize,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    fn of(suites: &[String]) -> Self {
        let mut totals = Self { suites: suites.len(), ..Self::default() };
        for line in suites {
            totals.passed += count(line, "passed");
            totals.failed += count(line, "failed");
            totals.ignored += count(line, "ignored");
        }
        totals
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.failed == 0 { "ok" } else { "FAILED" };
        let Self { suites, passed, failed, ignored } = self;
        write!(f, "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; in {suites} suites")
    }
}

/// The number before a word in a closing line of the test runner.
fn count(line: &str, word: &str) -> u64 {
    let parts = line.split([';', '.']).map(str::trim);
    parts.filter_map(|part| part.strip_suffix(word)?.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Parser, ValueEnum};

    #[test]
    fn everything_is_tested_unless_it_is_left_out() {
        let crate::Task::Test(args) = crate::Task::parse_from(["cargo xtask", "test"]) else { panic!("it is named") };
        assert_eq!(args.servers, Server::value_variants());
        assert!(!args.skip_servers && !args.skip_release);
    }

    #[test]
    fn closing_lines_add_up() {
        let lines = [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.49s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ];
        let totals = Totals::of(&lines.map(str::to_owned));
        assert_eq!(totals, Totals { suites: 2, passed: 15, failed: 2, ignored: 1 });
        assert_eq!(totals.to_string(), "test result: FAILED. 15 passed; 2 failed; 1 ignored; in 2 suites");
    }
}
