//! A run of the binary in a process of its own, and what it cost.

use crate::project::{root, shown};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What one run cost, from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub wall: Duration,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// The most memory it held.
    pub peak_mib: f64,
}

/// Runs a job to its end and gives its cost and its summary. `check` may look at the data folder before it goes.
pub(super) fn run_job(
    binary: &Path,
    job: &str,
    workers: usize,
    more: &[String],
    check: impl FnOnce(&Path) -> Result<()>,
) -> Result<(Cost, Value)> {
    let data = tempfile::tempdir()?;
    let mut command = Command::new(binary);
    command.args(["run", job, "--until-end", "--listen", "127.0.0.1:0", "--workers", &workers.to_string()]);
    command.args(more).arg("--data").arg(data.path().join("data")).current_dir(root());
    let log = data.path().join("log");
    command.stdin(Stdio::null()).stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
    let (cost, status) = measure(&mut command)?;
    ensure!(status == 0, "{} failed ({status}):\n{}", shown(&command), std::fs::read_to_string(&log)?);
    let summary = data.path().join("data/summary.json");
    let text = std::fs::read(&summary).with_context(|| format!("{} left no summary", shown(&command)))?;
    check(&data.path().join("data"))?;
    Ok((cost, serde_json::from_slice(&text)?))
}

/// Runs a command to its end and gives its cost and its wait status.
fn measure(command: &mut Command) -> Result<(Cost, i32)> {
    let begin = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot run {}", shown(command)))?;
    let pid = i32::try_from(child.id())?;
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: waits for a child of ours that nobody else waits for; both pointers are to live values of the right types.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    let wall = begin.elapsed();
    ensure!(waited == pid, "cannot wait for {}: {}", shown(command), std::io::Error::last_os_error());
    // SAFETY: `wait4` has filled it in, and all zeroes are a value as well.
    let usage = unsafe { usage.assume_init() };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok((Cost { wall, cpu, peak_mib: usage.ru_maxrss as f64 / 1024.0 }, status))
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_measured_and_its_failure_noticed() {
        let (cost, status) = measure(Command::new("sh").args(["-c", "exit 3"])).unwrap();
        assert_ne!(status, 0);
        assert!(cost.peak_mib > 0.1 && cost.wall >= cost.cpu / 2, "{cost:?}");
        let (_, status) = measure(&mut Command::new("true")).unwrap();
        assert_eq!(status, 0);
    }
}
