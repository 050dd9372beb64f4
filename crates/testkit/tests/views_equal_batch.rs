//! Maintained views equal a batch run of the same SQL: random jobs, at 1, 2 and 4 workers, however epochs are cut.
//!
//! A failure prints its seeds. `PROXIMA_SEEDS=17 cargo test -p proxima-testkit --test views_equal_batch` runs one alone,
//! `PROXIMA_SEEDS=240..2000` many others.

use proxima_testkit::harness::{Cut, Results, batches, plan, plan_changelog, run_memory};
use proxima_testkit::oracle::Oracle;
use proxima_testkit::random::{Case, Event};
use proxima_testkit::rows::difference;
use std::collections::BTreeMap;
use std::ops::Range;

/// Batch sums floats in the order of the rows; ours are exact and rounded once.
const FLOATS: f64 = 1e-9;
const WORKERS: [usize; 3] = [1, 2, 4];

/// The bytes of every target and view.
type Bytes = BTreeMap<String, Vec<Vec<u8>>>;

fn check(seed: u64) -> Result<(), String> {
    let case = Case::new(seed);
    let queries: Vec<(String, String)> =
        case.views.iter().map(|view| (view.clone(), format!("SELECT * FROM {view}"))).collect();
    let named: Vec<(&str, &str)> = queries.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
    let plan = if case.retractions { plan_changelog(&case.sql, &named)? } else { plan(&case.sql, &named)? };
    let kept = case.in_time();
    let oracle =
        Oracle::run(&case.batch_sql(), "UTC", &case.changes(&kept)).map_err(|error| format!("batch: {error}"))?;
    let read =
        |events: &[Event]| events.iter().filter(|event| plan.tables.iter().any(|t| t.name == event.table)).count();
    let late = read(&case.events) - read(&kept);
    let mut seen: Option<Bytes> = None;
    for cut in Cut::ALL {
        let epochs = cut.events(&case);
        for workers in WORKERS {
            let place = format!("{cut:?}, {workers} workers");
            let results = run_memory(&plan, batches(&case, &epochs), workers).map_err(|e| format!("{place}: {e}"))?;
            compare(&results, &oracle, &queries).map_err(|difference| format!("{place}: {difference}"))?;
            let counted: u64 = results.status.operators.iter().map(|operator| operator.stats.late).sum();
            if counted != late as u64 {
                return Err(format!("{place}: {counted} records are counted as late, not {late}"));
            }
            let bytes = bytes(&results);
            if let Some((name, _)) = seen.iter().flatten().find(|(name, seen)| bytes[*name] != **seen) {
                return Err(format!("{place}: the bytes of {name} are not those of the runs before"));
            }
            seen = Some(bytes);
        }
    }
    Ok(())
}

fn compare(results: &Results, oracle: &Oracle, queries: &[(String, String)]) -> Result<(), String> {
    for (name, sql) in queries {
        let expected = oracle.query(sql).map_err(|error| format!("batch: {error}"))?;
        if let Some(difference) = difference(&results.queries[name].rows(), &expected, FLOATS) {
            return Err(format!("view {name}: {difference}"));
        }
    }
    for name in oracle.targets() {
        if let Some(difference) = difference(&results.targets[name].rows(), oracle.target(name), FLOATS) {
            return Err(format!("target {name}: {difference}"));
        }
    }
    Ok(())
}

fn bytes(results: &Results) -> Bytes {
    results.targets.iter().chain(&results.queries).map(|(name, rows)| (name.clone(), rows.bytes())).collect()
}

/// The seeds of one of the two tests, which run side by side.
fn seeds(own: Range<u64>, half: u64) -> Vec<u64> {
    let Ok(wanted) = std::env::var("PROXIMA_SEEDS") else { return own.collect() };
    let number = |text: &str| text.parse::<u64>().expect("PROXIMA_SEEDS is a number, or two with .. between them");
    let range = match wanted.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&wanted)..number(&wanted) + 1,
    };
    range.filter(|seed| seed % 2 == half).collect()
}

/// Runs all seeds, so that one failure does not hide what the others say; shows the first few.
fn check_all(seeds: &[u64]) {
    let failed: Vec<(u64, String)> =
        seeds.iter().filter_map(|&seed| check(seed).err().map(|error| (seed, error))).collect();
    for (seed, error) in failed.iter().take(3) {
        eprintln!("seed {seed}: {error}\n{}\n", Case::new(*seed).sql);
    }
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "{} seeds fail: {seeds:?}", seeds.len());
}

#[test]
fn random_jobs_0_to_119() {
    check_all(&seeds(0..120, 0));
}

#[test]
fn random_jobs_120_to_239() {
    check_all(&seeds(120..240, 1));
}
