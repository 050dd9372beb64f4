//! The benchmark `retail`: the shipped example to its end, with its daily numbers checked in each run.

use super::BenchArgs;
use super::child::{Cost, run_job};
use super::figures::{Better, Figures, by_workers};
use crate::project::root;
use crate::retail::{JOB, check_daily};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The figures of one number of workers.
#[derive(Default)]
struct Measured {
    workers: usize,
    seconds: Figures,
    cpu_s: Figures,
    peak_mib: Figures,
}

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let mut measured: Vec<Measured> =
        args.workers.iter().map(|&workers| Measured { workers, ..Measured::default() }).collect();
    let mut records = Value::Null;
    for _ in 0..args.runs {
        for setting in &mut measured {
            let (cost, summary) = run_job(&binary, JOB, setting.workers, &[], |data| check(&binary, data))?;
            setting.add(cost);
            records = summary["records"].clone();
        }
    }
    measured.iter().for_each(Measured::print);
    let each =
        |figure: fn(&Measured) -> f64| by_workers(measured.iter().map(|setting| (setting.workers, figure(setting))));
    let figures = json!({
        "bench": "retail",
        "records": records,
        "runs": args.runs,
        "seconds": each(|setting| setting.seconds.median()),
        "cpu_s": each(|setting| setting.cpu_s.median()),
        "peak_mib": each(|setting| setting.peak_mib.best(Better::More)),
    });
    println!("{figures}");
    Ok(())
}

/// Asks the data folder for the daily numbers.
fn check(binary: &Path, data: &Path) -> Result<()> {
    let body = json!({"size": 1000, "sort": [{"day": "asc"}]}).to_string();
    let output =
        Command::new(binary).args(["search", JOB, "daily", &body, "--data"]).arg(data).current_dir(root()).output()?;
    ensure!(output.status.success(), "search failed: {}", String::from_utf8_lossy(&output.stderr));
    check_daily(&serde_json::from_slice(&output.stdout)?)
}

impl Measured {
    fn add(&mut self, cost: Cost) {
        let Cost { wall, cpu, peak_mib } = cost;
        self.seconds.add(wall.as_secs_f64());
        self.cpu_s.add(cpu.as_secs_f64());
        self.peak_mib.add(peak_mib);
        eprintln!("{} workers: {wall:.2?}, CPU {cpu:.2?}, peak {peak_mib:.0} MiB, answers right", self.workers);
    }

    fn print(&self) {
        println!(
            "{} workers: best {:.2} s (median {:.2} s), CPU {:.2} s, peak {:.0} MiB",
            self.workers,
            self.seconds.best(Better::Less),
            self.seconds.median(),
            self.cpu_s.median(),
            self.peak_mib.best(Better::More),
        );
    }
}
