//! The job while it runs: started, asked, killed.

use crate::http::ask;
use crate::project::root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const JOB: &str = "benches/restart";
/// How often the job is asked: the error of what is measured.
const LOOK: Duration = Duration::from_millis(10);
/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run of the job, from its start on.
pub(super) struct Job {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    started: Instant,
}

impl Job {
    pub(super) fn start(binary: &Path, input: &Path, folder: &Path, workers: usize) -> Result<Self> {
        let (data, log) = (folder.join("data"), folder.join("log"));
        // The address of a run that was killed stands there still.
        let _ = fs::remove_file(data.join("server.json"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(binary);
        command.args(["run", JOB, "--listen", "127.0.0.1:0", "--workers", &workers.to_string(), "--set"]);
        command.arg(format!("sources.events.path={}", input.display())).arg("--data").arg(&data);
        command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let started = Instant::now();
        let child = command.spawn().context("cannot start the job")?;
        Ok(Self { child, data, log, started })
    }

    /// Waits until the result counts so many devices. Gives the time since the job was started.
    pub(super) fn wait_for(&mut self, devices: u64) -> Result<Duration> {
        let mut shown = 0;
        let begin = Instant::now();
        while shown < devices {
            ensure!(begin.elapsed() < PATIENCE, "{shown} devices of {devices} are shown, and no more come");
            self.look()?;
            shown = self.shown().unwrap_or_default();
        }
        ensure!(shown == devices, "{shown} devices are shown, and there are {devices}");
        Ok(self.started.elapsed())
    }

    /// The result: how many devices the job has seen. `None` while it cannot be asked.
    fn shown(&self) -> Option<u64> {
        let answer = ask(&self.address()?, "/v1/indexes/devices_by_day/_search", Some(&json!({}))).ok()?;
        answer["hits"]["hits"][0]["_source"]["devices"].as_u64()
    }

    /// The epoch that takes what comes now, or one before it.
    pub(super) fn epoch(&self) -> Result<u64> {
        self.status()?["epochs"]["current"].as_u64().context("no epochs in the status")
    }

    /// Waits for the first checkpoint that ends with this epoch or a later one, and gives its status.
    pub(super) fn wait_for_checkpoint(&mut self, epoch: u64) -> Result<Value> {
        let begin = Instant::now();
        loop {
            let checkpoint = self.status()?["checkpoints"].take();
            if checkpoint["committed"].as_u64() > Some(0) && checkpoint["epoch"].as_u64() >= Some(epoch) {
                return Ok(checkpoint);
            }
            ensure!(begin.elapsed() < PATIENCE, "no checkpoint of epoch {epoch} comes: {checkpoint}");
            self.look()?;
        }
    }

    /// Bytes resident, and bytes of state as the operators count them.
    pub(super) fn memory(&self) -> Result<(u64, u64)> {
        let status = self.status()?;
        let resident = status["memory"]["resident_bytes"].as_u64().context("no memory in the status")?;
        let operators = status["operators"].as_array().context("no operators in the status")?;
        Ok((resident, operators.iter().filter_map(|operator| operator["bytes"].as_u64()).sum()))
    }

    /// Bytes of the files that checkpoints rest in.
    pub(super) fn checkpoint_bytes(&self) -> Result<u64> {
        bytes_below(&self.data.join("checkpoints"))
    }

    /// Ends the job as a crash would.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the job")?;
        self.child.wait()?;
        Ok(())
    }

    fn status(&self) -> Result<Value> {
        ask(&self.address().context("the job serves no more")?, "/v1/status", None)
    }

    fn address(&self) -> Option<String> {
        let server: Value = serde_json::from_slice(&fs::read(self.data.join("server.json")).ok()?).ok()?;
        Some(server["address"].as_str()?.to_owned())
    }

    /// Waits a little; fails when the job has ended by itself.
    fn look(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the job ended by itself with {status}:\n{}", fs::read_to_string(&self.log)?);
        }
        std::thread::sleep(LOOK);
        Ok(())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
