//! A job that serves while it is measured.

use crate::http::ask;
use crate::project::root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run, which ends with the value.
pub(super) struct Live {
    child: Child,
    log: PathBuf,
    address: String,
}

impl Live {
    /// Starts a job, with its data in this folder, and waits until it serves.
    pub(super) fn start(binary: &Path, job: &str, folder: &Path, more: &[String]) -> Result<Self> {
        let (data, log) = (folder.join("data"), folder.join("log"));
        let mut command = Command::new(binary);
        command.args(["run", job, "--listen", "127.0.0.1:0", "--data"]).arg(&data).args(more).current_dir(root());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn();
        let mut live = Self { child: child.context("cannot start the job")?, log, address: String::new() };
        let note = data.join("server.json");
        let server: Value =
            live.wait_for("the job's server", || serde_json::from_slice(&fs::read(&note).ok()?).ok())?;
        live.address = server["address"].as_str().context("the server has no address")?.to_owned();
        Ok(live)
    }

    /// Where it serves.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// `/v1/status`
    pub(super) fn status(&self) -> Result<Value> {
        ask(&self.address, "/v1/status", None)
    }

    /// Waits until so many records or more were read, nothing more is there to read, and no list waits. Gives the time
    /// that took.
    pub(super) fn wait_for_rest(&mut self, records: u64) -> Result<Duration> {
        let (begin, address) = (Instant::now(), self.address.clone());
        // The epoch in which the last of them were read: lists do not wait before it is done.
        let mut last = None;
        self.wait_for("the job at rest", || {
            let status = ask(&address, "/v1/status", None).ok()?;
            let none = |part: &str, figure: &str| {
                status[part].as_array().is_none_or(|all| all.iter().all(|of| of[figure] == 0))
            };
            if status["records"].as_u64()? < records || status["queued"]["records"] != 0 || !none("sources", "lag") {
                return None;
            }
            let last = *last.get_or_insert(status["epochs"]["current"].as_u64()?);
            let done = status["epochs"]["done"].as_u64()? >= last;
            (done && none("lists", "waiting") && none("lists", "in_flight")).then_some(())
        })?;
        Ok(begin.elapsed())
    }

    /// Waits until so many records or more were read.
    pub(super) fn wait_for_records(&mut self, records: u64) -> Result<()> {
        let address = self.address.clone();
        let is_read = || ask(&address, "/v1/status", None).ok()?["records"].as_u64().filter(|&read| read >= records);
        self.wait_for("records that are read", is_read).map(|_| ())
    }

    fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the job ended by itself with {status}:\n{}", fs::read_to_string(&self.log)?);
            }
            ensure!(begin.elapsed() < PATIENCE, "{what}: never");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
