//! The benchmark `restart`: a job with millions of devices in its state is killed and started again, and what matters is
//! when it shows its first new result. Beside it what a device costs, in memory and in the checkpoint on the disk, and
//! what a checkpoint costs when little has changed.

mod job;

use super::BenchArgs;
use super::figures::{Better, Figures, by_workers};
use crate::project::target;
use anyhow::{Context, Result};
use job::Job;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Devices that the job holds when it is killed first.
const DEVICES: u64 = 10_000_000;
/// Devices that are new in the checkpoint whose cost is shown: what a shop of this size sees in a second or two.
const CHANGED: u64 = 10_000;
/// Devices that come between the last checkpoint and each kill.
const UNSAVED: u64 = 1_000;
/// When the first device is seen: 2026-03-02, 00:00.
const BEGIN_MS: u64 = 1_772_409_600_000;

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let devices = args.events.unwrap_or(DEVICES);
    let mut input = Input::make(devices)?;
    let data = tempfile::tempdir()?;
    let most = args.workers.iter().copied().max().unwrap_or(1);
    let mut job = Job::start(&binary, &input.path, data.path(), most)?;
    job.wait_for(devices)?;
    settle(&mut job, &mut input, 1)?;
    let (memory, state) = job.memory()?;
    let disk = job.checkpoint_bytes()?;
    let changes = settle(&mut job, &mut input, CHANGED)?;
    eprintln!("{devices} devices: {memory} bytes resident, {state} of them state, {disk} on disk");
    let mut seconds: Vec<Figures> = vec![Figures::default(); args.workers.len()];
    for _ in 0..args.runs {
        for (workers, seconds) in args.workers.iter().zip(&mut seconds) {
            settle(&mut job, &mut input, 1)?;
            input.add(UNSAVED)?;
            job.wait_for(input.devices)?;
            job.kill()?;
            input.add(1)?;
            job = Job::start(&binary, &input.path, data.path(), *workers)?;
            let waited = job.wait_for(input.devices)?;
            eprintln!("{workers} workers: the first new result after {waited:.2?}");
            seconds.add(waited.as_secs_f64());
        }
    }
    job.kill()?;
    let each = |figure: &dyn Fn(&Figures) -> f64| {
        by_workers(args.workers.iter().zip(&seconds).map(|(&workers, seconds)| (workers, figure(seconds))))
    };
    let per_device = |bytes: u64| (bytes as f64 / devices as f64 * 10.0).round() / 10.0;
    let figures = json!({
        "bench": "restart",
        "devices": devices,
        "runs": args.runs,
        "seconds_to_first_result": each(&Figures::median),
        "best_seconds_to_first_result": each(&|figures| figures.best(Better::Less)),
        "state_bytes_per_device": per_device(state),
        "resident_bytes_per_device": per_device(memory),
        "disk_bytes_per_device": per_device(disk),
        "checkpoint_of_changes": { "devices": CHANGED, "bytes": changes["bytes"], "seconds": changes["took_s"] },
    });
    println!("{figures}");
    Ok(())
}

/// Adds devices, and waits until a checkpoint holds them and all before. Gives its status.
fn settle(job: &mut Job, input: &mut Input, devices: u64) -> Result<Value> {
    let epoch = job.epoch()?;
    input.add(devices)?;
    job.wait_for_checkpoint(epoch)
}

/// The signs of life, a line each, in a file that grows.
struct Input {
    path: PathBuf,
    devices: u64,
}

impl Input {
    /// Writes the first devices.
    fn make(devices: u64) -> Result<Self> {
        let folder = target().join("bench-input");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("restart.jsonl");
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut input = Self { path, devices: 0 };
        input.add(devices)?;
        Ok(input)
    }

    /// Adds devices that were never seen before, ten to a millisecond.
    fn add(&mut self, devices: u64) -> Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::options().append(true).open(&self.path)?);
        for number in self.devices..self.devices + devices {
            // Any odd factor gives each its own id; this one spreads them as real ids are spread.
            let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // All on one day: its number of devices is the answer.
            let ts = BEGIN_MS + number / 10 % 86_000_000;
            writeln!(file, "{{\"mid\":\"{id:016x}\",\"ts\":{ts}}}")?;
        }
        self.devices += devices;
        file.flush().context("the input cannot be written")
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // It is made anew each time.
        let _ = std::fs::remove_file(Path::new(&self.path));
    }
}
