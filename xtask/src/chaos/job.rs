//! The job while it runs: started, killed, paused, asked to end.

use super::signal;
use crate::project::root;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the job may take to end when it is asked to.
const ENDS: Duration = Duration::from_secs(20);

/// The job while it runs.
pub(super) struct Job {
    binary: PathBuf,
    overlay: PathBuf,
    folder: PathBuf,
    child: Child,
}

impl Job {
    pub(super) fn start(binary: &Path, overlay: &Path, folder: &Path) -> Result<Self> {
        let child = spawn(binary, overlay, folder, 2)?;
        Ok(Self { binary: binary.into(), overlay: overlay.into(), folder: folder.into(), child })
    }

    /// Fails when the job has ended by itself: nothing that is done to it or its servers may do that.
    pub(super) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let said = std::fs::read_to_string(self.folder.join("job.log")).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            bail!("the job ended by itself with {status}: {last:#?}");
        }
        Ok(())
    }

    /// Ends the job as a crash would, and starts it again with a number of workers.
    pub(super) fn kill_and_start(&mut self, workers: usize) -> Result<()> {
        self.child.kill().context("cannot kill the job")?;
        self.child.wait()?;
        self.child = spawn(&self.binary, &self.overlay, &self.folder, workers)?;
        Ok(())
    }

    /// Stops the job for a while, so that its connections time out.
    pub(super) fn pause(&self, time: Duration) -> Result<()> {
        self.signal(libc::SIGSTOP)?;
        std::thread::sleep(time);
        self.signal(libc::SIGCONT)
    }

    /// Asks the job to end.
    pub(super) fn stop(mut self) -> Result<()> {
        self.signal(libc::SIGINT)?;
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begin.elapsed() < ENDS, "the job does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// To our child, which has not been waited for, so its number is not that of another process.
    fn signal(&self, number: i32) -> Result<()> {
        signal(self.child.id() as i32, number).context("cannot signal the job")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &Path, overlay: &Path, folder: &Path, workers: usize) -> Result<Child> {
    let mut command = Command::new(binary);
    command.args(["run", "examples/mall", "--listen", "127.0.0.1:0", "--workers", &workers.to_string()]);
    command.args(["--connect", "examples/mall/cluster.toml", "--connect"]).arg(overlay);
    command.arg("--data").arg(folder.join("data")).current_dir(root());
    let log = File::options().create(true).append(true).open(folder.join("job.log"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().context("cannot start the job")
}
