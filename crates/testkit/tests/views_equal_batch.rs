//! Maintained views equal a batch run of the same SQL: random jobs, at 1, 2 and 4 workers, however epochs are cut.
//!
//! A failure prints its seeds. `PROXIMA_SEED=17 cargo test -p proxima-testkit --test views_equal_batch` runs one alone.

use proxima_testkit::harness::{Cut, Results, batches, plan, plan_changelog, run_memory};
use proxima_testkit::oracle::Oracle;
use proxima_testkit::random::Case;
use proxima_testkit::rows::difference;
use std::collections::BTreeMap;

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
    let mut seen: Option<Bytes> = None;
    for cut in Cut::ALL {
        let epochs = cut.events(&case);
        let kept = case.in_time(&epochs);
        let oracle = Oracle::run(&case.sql, "UTC", &case.changes(&kept)).map_err(|error| format!("batch: {error}"))?;
        if case.lifetime_us.is_some() {
            seen = None;
        }
        for workers in WORKERS {
            let place = format!("{cut:?}, {workers} workers");
            let results = run_memory(&plan, batches(&case, &epochs), workers).map_err(|e| format!("{place}: {e}"))?;
            compare(&results, &oracle, &queries).map_err(|difference| format!("{place}: {difference}"))?;
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

/// Runs all seeds, so that one failure does not hide what the others say; shows the first few.
fn check_all(seeds: impl Iterator<Item = u64>) {
    let only: Option<u64> = std::env::var("PROXIMA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = seeds.filter(|seed| only.is_none_or(|only| only == *seed));
    let failed: Vec<(u64, String)> = seeds.filter_map(|seed| check(seed).err().map(|error| (seed, error))).collect();
    for (seed, error) in failed.iter().take(3) {
        eprintln!("seed {seed}: {error}\n{}\n", Case::new(*seed).sql);
    }
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "{} seeds fail: {seeds:?}", seeds.len());
}

#[test]
fn random_jobs_0_to_119() {
    check_all(0..120);
}

#[test]
fn random_jobs_120_to_239() {
    check_all(120..240);
}
