//! The benchmark `behaviour`: how many events a CPU-second carries through the whole binary, from a file of JSON lines
//! over two views to a sink that counts. What the views must hold is known, and is checked in each run.

use super::BenchArgs;
use super::child::{Cost, run_job};
use super::figures::{Better, Figures, by_workers, rounded};
use crate::project::{must, target};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const JOB: &str = "benches/behaviour";
/// The reference input.
const EVENTS: u64 = 2_000_000;
const SEED: u64 = 1;
/// What the views hold of it: found by a separate program that parsed every line and counted in hash tables.
const REFERENCE: [(&str, u64); 2] = [("devices_by_day", 298_550), ("items_by_minute", 1_664_538)];

/// The figures of one number of workers.
#[derive(Default)]
struct Measured {
    workers: usize,
    per_cpu_s: Figures,
    per_s: Figures,
    peak_mib: Figures,
    /// How many times as fast as the first setting: each run beside that one's.
    times: Figures,
    /// What checkpoints cost, in percent of the events for each CPU-second: each run beside the one without.
    checkpoint_cost_percent: Figures,
}

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let events = args.events.unwrap_or(EVENTS);
    let input = Input::make(&binary, events)?;
    let mut measured: Vec<Measured> =
        args.workers.iter().map(|&workers| Measured { workers, ..Measured::default() }).collect();
    let mut processes = Figures::default();
    // All settings by turns, so that a machine that slows down does so for all of them.
    for _ in 0..args.runs {
        let mut first = None;
        for setting in &mut measured {
            let cost = input.run(&binary, setting.workers, false)?;
            setting.add(cost, events);
            setting.times.add(*first.get_or_insert(cost.wall.as_secs_f64()) / cost.wall.as_secs_f64());
            if args.checkpoints {
                let with = input.run(&binary, setting.workers, true)?;
                setting.add_with_checkpoints(cost, with);
            }
        }
        if args.processes {
            let alone = input.run(&binary, 1, false)?.wall;
            processes.add(2.0 * alone.as_secs_f64() / input.run_two(&binary)?.as_secs_f64());
        }
    }
    measured.iter().for_each(Measured::print);
    let mut figures = figures(args, events, &measured);
    if args.processes {
        figures["two_processes_times"] = rounded(processes.median());
    }
    println!("{figures}");
    Ok(())
}

/// The generated events and what is known of them.
struct Input {
    path: PathBuf,
    events: u64,
    expected: Vec<(&'static str, u64)>,
}

impl Input {
    /// Generates the events once; later runs find them.
    fn make(binary: &Path, events: u64) -> Result<Self> {
        let folder = target().join("bench-input");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("behaviour-{events}-{SEED}.jsonl"));
        let answers = path.with_extension("answers.json");
        if !path.exists() || !answers.exists() {
            let part = path.with_extension("part");
            let mut command = Command::new(binary);
            command.args(["generate", "behaviour", "--events", &events.to_string(), "--seed", &SEED.to_string()]);
            command.arg("--out").arg(&part).arg("--answers").arg(&answers);
            must(command)?;
            std::fs::rename(&part, &path)?;
        }
        let answers: Value = serde_json::from_slice(&std::fs::read(&answers)?)?;
        let expected = REFERENCE.map(|(view, _)| (view, answers[view].as_u64().unwrap_or_default())).to_vec();
        ensure!(
            events != EVENTS || expected == REFERENCE,
            "the generator no longer gives the reference input: {answers}"
        );
        warm(&path)?;
        Ok(Self { path, events, expected })
    }

    /// One run, with its answers checked.
    fn run(&self, binary: &Path, workers: usize, checkpoints: bool) -> Result<Cost> {
        let path = format!("sources.events.path={}", self.path.display());
        let set = [path, format!("checkpoint.enabled={checkpoints}")];
        let set: Vec<String> = set.into_iter().flat_map(|value| ["--set".to_owned(), value]).collect();
        let (cost, summary) = run_job(binary, JOB, workers, &set, |_| Ok(()))?;
        ensure!(summary["records"] == self.events, "{} events were read: {summary}", self.events);
        ensure!(summary["rejected"] == 0, "events were rejected: {summary}");
        for (view, rows) in &self.expected {
            let found = groups(&summary, view);
            ensure!(found == Some(*rows), "{view} holds {found:?} rows instead of {rows}, with {workers} workers");
        }
        Ok(cost)
    }

    /// Two runs at once with one worker each: how long until both are done.
    fn run_two(&self, binary: &Path) -> Result<Duration> {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.run(binary, 1, false));
            self.run(binary, 1, false)?;
            other.join().expect("it gives its errors")?;
            Ok(begin.elapsed())
        })
    }
}

/// How many groups a view held at the end. (What its sink was given is more: a group that grew in a later epoch is
/// written again.)
fn groups(summary: &Value, view: &str) -> Option<u64> {
    let name = format!("{view}/aggregate");
    let operator = summary["operators"].as_array()?.iter().find(|operator| operator["name"] == name.as_str())?;
    operator["keys"].as_u64()
}

/// Reads a file, so that the first run finds it in memory as the others do.
fn warm(path: &Path) -> Result<()> {
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(())
}

impl Measured {
    fn add(&mut self, cost: Cost, events: u64) {
        self.per_cpu_s.add(events as f64 / cost.cpu.as_secs_f64());
        self.per_s.add(events as f64 / cost.wall.as_secs_f64());
        self.peak_mib.add(cost.peak_mib);
        let Cost { wall, cpu, peak_mib } = cost;
        eprintln!("{} workers: {wall:.2?}, CPU {cpu:.2?}, peak {peak_mib:.0} MiB, answers right", self.workers);
    }

    fn add_with_checkpoints(&mut self, without: Cost, with: Cost) {
        let cost = 1.0 - without.cpu.as_secs_f64() / with.cpu.as_secs_f64();
        self.checkpoint_cost_percent.add(cost * 100.0);
        eprintln!("{} workers, with checkpoints: {:.2?}, CPU {:.2?}", self.workers, with.wall, with.cpu);
    }

    fn print(&self) {
        let millions = |figure: f64| figure / 1e6;
        println!(
            "{} workers: best {:.2} (median {:.2}) million events per CPU-second, {:.2} ({:.2}) million a second, peak {:.0} MiB",
            self.workers,
            millions(self.per_cpu_s.best(Better::More)),
            millions(self.per_cpu_s.median()),
            millions(self.per_s.best(Better::More)),
            millions(self.per_s.median()),
            self.peak_mib.best(Better::More),
        );
    }
}

/// The medians; beside them the best of each.
fn figures(args: &BenchArgs, events: u64, measured: &[Measured]) -> Value {
    let each =
        |figure: fn(&Measured) -> f64| by_workers(measured.iter().map(|setting| (setting.workers, figure(setting))));
    let mut figures = json!({
        "bench": "behaviour",
        "events": events,
        "runs": args.runs,
        "events_per_cpu_s": each(|setting| setting.per_cpu_s.median()),
        "events_per_s": each(|setting| setting.per_s.median()),
        "peak_mib": each(|setting| setting.peak_mib.best(Better::More)),
        "times": each(|setting| setting.times.median()),
        "best_events_per_cpu_s": each(|setting| setting.per_cpu_s.best(Better::More)),
        "best_events_per_s": each(|setting| setting.per_s.best(Better::More)),
    });
    if args.checkpoints {
        figures["checkpoint_cost_percent"] = each(|setting| setting.checkpoint_cost_percent.median());
    }
    figures
}
