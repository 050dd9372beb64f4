//! The benchmark `mall`: the mall's job from Kafka into Elasticsearch. How many events the job carries, by the clock and
//! for each CPU-second of its own (the servers' is theirs), with checkpoints each second and without; the same for
//! reading and decoding alone; and how long after its arrival in Kafka a record shows in a search.

mod freshness;
mod script;
mod site;

use super::BenchArgs;
use super::child::{Cost, run_job};
use super::figures::{Better, Figures, by_workers};
use anyhow::{Result, ensure};
use freshness::Freshness;
use serde_json::{Value, json};
use site::{Setting, Site};
use std::path::Path;
use std::time::Duration;

/// What is measured at one number of workers.
#[derive(Default)]
struct Measured {
    workers: usize,
    with: Rates,
    without: Rates,
    reading: Rates,
    /// What checkpoints cost, in percent of the events for each CPU-second: each run beside the one without.
    cost_percent: Figures,
}

/// The figures of one setting.
#[derive(Default)]
struct Rates {
    per_s: Figures,
    per_cpu_s: Figures,
    peak_mib: Figures,
}

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let mut site = Site::open(&binary)?;
    let mut measured: Vec<Measured> =
        args.workers.iter().map(|&workers| Measured { workers, ..Measured::default() }).collect();
    let mut writes = Value::Null;
    // The servers' machines warm up.
    one(&mut site, &binary, Setting::NoCheckpoints, args.workers[0], &mut Rates::default())?;
    for _ in 0..args.runs {
        for setting in &mut measured {
            let with = one(&mut site, &binary, Setting::Checkpoints, setting.workers, &mut setting.with)?;
            let without = one(&mut site, &binary, Setting::NoCheckpoints, setting.workers, &mut setting.without)?;
            one(&mut site, &binary, Setting::Reading, setting.workers, &mut setting.reading)?;
            setting.cost_percent.add((1.0 - without.0.as_secs_f64() / with.0.as_secs_f64()) * 100.0);
            writes = with.1;
        }
    }
    let highest = measured.iter().map(|setting| setting.with.per_s.median()).fold(0.0, f64::max);
    let freshness = freshness::measure(&mut site, &binary, highest / 2.0)?;
    println!("{}", figures(args, &site, &measured, &writes, &freshness));
    Ok(())
}

/// One run to the end of the topics. Gives its CPU time, and how many rows its sinks were given.
fn one(
    site: &mut Site,
    binary: &Path,
    setting: Setting,
    workers: usize,
    rates: &mut Rates,
) -> Result<(Duration, Value)> {
    let job = site.job(setting)?;
    let (cost, summary) = run_job(binary, &job.display().to_string(), workers, &[], |_| Ok(()))?;
    site.forget_results()?;
    ensure!(summary["records"] == site.records, "{} records were written: {summary}", site.records);
    let Cost { wall, cpu, peak_mib } = cost;
    eprintln!("{workers} workers, {setting:?}: {wall:.2?}, CPU {cpu:.2?}, peak {peak_mib:.0} MiB");
    let records = site.records as f64;
    rates.per_s.add(records / wall.as_secs_f64());
    rates.per_cpu_s.add(records / cpu.as_secs_f64());
    rates.peak_mib.add(peak_mib);
    let targets = summary["targets"].as_object().into_iter().flatten();
    let writes: u64 = targets.filter_map(|(_, target)| target["writes"].as_u64()).sum();
    Ok((cpu, writes.into()))
}

fn figures(args: &BenchArgs, site: &Site, measured: &[Measured], writes: &Value, freshness: &Freshness) -> Value {
    let each =
        |figure: fn(&Measured) -> f64| by_workers(measured.iter().map(|setting| (setting.workers, figure(setting))));
    json!({
        "bench": "mall",
        "records": site.records,
        "rows_written": writes,
        "runs": args.runs,
        "events_per_s": each(|setting| setting.with.per_s.median()),
        "events_per_cpu_s": each(|setting| setting.with.per_cpu_s.median()),
        "peak_mib": each(|setting| setting.with.peak_mib.best(Better::More)),
        "without_checkpoints_events_per_s": each(|setting| setting.without.per_s.median()),
        "without_checkpoints_events_per_cpu_s": each(|setting| setting.without.per_cpu_s.median()),
        "checkpoint_cost_percent": each(|setting| setting.cost_percent.median()),
        "reading_events_per_s": each(|setting| setting.reading.per_s.median()),
        "reading_events_per_cpu_s": each(|setting| setting.reading.per_cpu_s.median()),
        "freshness_events_per_s": freshness.events_per_s.round(),
        "freshness_probes": freshness.millis.len(),
        "freshness_missing": freshness.missing,
        "freshness_ms": { "p50": freshness.percentile(50), "p99": freshness.percentile(99) },
    })
}
