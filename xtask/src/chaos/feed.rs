//! A shop's records on their way in, at a steady rate: the generator as a process of its own, which nothing stops.

use super::ChaosArgs;
use super::site::Site;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to hand over what is left when nothing is killed any more.
const ENDS: Duration = Duration::from_secs(300);

/// What a shop holds.
pub(super) struct Shop {
    /// Log lines and changed rows.
    pub(super) records: usize,
    /// Log lines that must be rejected.
    pub(super) broken: usize,
}

/// Makes the shop and its answer key, as files.
pub(super) fn make(binary: &Path, args: &ChaosArgs, folder: &Path) -> Result<Shop> {
    let output = generate(binary, args, folder).output().context("cannot run the generator")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "the generator failed: {said}");
    let lines = |name: &str| -> Result<usize> {
        let path = folder.join(name).join("0.jsonl");
        Ok(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?.split(|&b| b == b'\n').count())
    };
    let broken = said.split_once(" log lines (").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    let broken = broken.with_context(|| format!("the generator does not say how many lines are broken: {said}"))?;
    Ok(Shop { records: lines("logs")? + lines("changes")?, broken })
}

fn generate(binary: &Path, args: &ChaosArgs, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["generate", "mall", "--days", "2", "--users", "800", "--products", "150"]);
    command.args(["--orders-per-day", &args.orders.to_string(), "--seed", &args.seed.to_string(), "--out"]).arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The generator while it writes.
pub(super) struct Feed {
    child: Child,
    log: PathBuf,
}

impl Feed {
    /// Lets the same shop live once more, in the servers, for about so long.
    pub(super) fn start(binary: &Path, args: &ChaosArgs, site: &Site, folder: &Path, rate: f64) -> Result<Self> {
        let again = folder.join("again");
        fs::create_dir_all(&again)?;
        let log = folder.join("feed.log");
        let mut command = generate(binary, args, &again);
        command.args(["--no-answers", "--rate", &(rate.ceil() as u32).max(1).to_string()]).args(site.outlets());
        let child = command.stderr(File::create(&log)?).spawn().context("cannot run the generator")?;
        Ok(Self { child, log })
    }

    /// Whether it has written everything. It must not fail.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        match self.child.try_wait()? {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => {
                bail!("the generator ended with {status}: {}", fs::read_to_string(&self.log).unwrap_or_default())
            }
        }
    }

    /// Waits until the servers have all of it.
    pub(super) fn finish(mut self) -> Result<()> {
        let begin = Instant::now();
        while !self.has_ended()? {
            ensure!(begin.elapsed() < ENDS, "the generator does not end");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
