//! Every shipped job runs straight, and again with a stop at each checkpoint: both hold the same in the end.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_mallgen::{Files, Mall, Settings};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A job that is never done stops here.
const STOPS_MAX: usize = 200;
/// Fewer prove little.
const STOPS_MIN: usize = 6;

/// A job of `examples`, with inputs of its own.
struct Job {
    folder: PathBuf,
    set: Vec<String>,
}

impl Job {
    fn new(name: &str, set: &[String]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        Self { folder, set: set.to_vec() }
    }

    fn run(&self, data: &Path, workers: &str, fail: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.arg("run").arg(&self.folder).args(["--until-end", "--listen", "127.0.0.1:0", "--workers", workers]);
        command.arg("--data").arg(data).stdin(Stdio::null());
        for set in &self.set {
            command.arg("--set").arg(set);
        }
        if let Some(fail) = fail {
            command.env("PROXIMA_FAIL", fail);
        }
        command.output().unwrap()
    }

    /// What a run gives that nothing stops.
    fn straight(&self, data: &Path) {
        let output = self.run(data, "2", None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs that each die at their first checkpoint, as soon as it is committed, until one has no other to make.
    fn stopped(&self, data: &Path) -> usize {
        for stops in 0..STOPS_MAX {
            let output = self.run(data, ["1", "2", "3"][stops % 3], Some("after-commit:1"));
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                return stops;
            }
            assert!(said.contains("the process dies at after-commit"), "{said}");
        }
        panic!("{STOPS_MAX} checkpoints, and no end");
    }

    fn ask(&self, data: &Path, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.arg(args[0]).arg(&self.folder).args(&args[1..]).arg("--data").arg(data).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The documents of an index.
    fn documents(&self, data: &Path, index: &str) -> BTreeSet<String> {
        let answer = self.ask(data, &["search", index, r#"{"size": 10000}"#]);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_source"].to_string()).collect()
    }
}

/// The names of the indexes in a data folder.
fn indexes(data: &Path) -> Vec<String> {
    let folders = fs::read_dir(data.join("index")).into_iter().flatten();
    let mut names: Vec<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a job both ways and compares; gives the folders, for what else there is to compare.
fn compare(job: &Job) -> [TempDir; 2] {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [straight, stopped] = [folders[0].path(), folders[1].path()];
    job.straight(straight);
    let stops = job.stopped(stopped);
    assert!(stops >= STOPS_MIN, "{stops} stops only");
    assert_eq!(indexes(straight), indexes(stopped));
    for index in indexes(straight) {
        let [wanted, found] = [straight, stopped].map(|data| job.documents(data, &index));
        let missing: Vec<_> = wanted.difference(&found).take(3).collect();
        let wrong: Vec<_> = found.difference(&wanted).take(3).collect();
        assert!(!wanted.is_empty() && missing.is_empty() && wrong.is_empty(), "{index}: {missing:#?}, not {wrong:#?}");
    }
    folders
}

fn cuts(records: u32) -> [String; 3] {
    ["checkpoint.every=1ms".into(), "epoch.interval=5ms".into(), format!("epoch.records={records}")]
}

#[test]
fn retail_is_the_same_with_a_stop_at_each_checkpoint() {
    let orders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/retail/orders");
    // Some days are enough: of more there would only be more of the same.
    let days = tempfile::tempdir().unwrap();
    let mut files: Vec<_> = fs::read_dir(orders).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files[..5] {
        fs::copy(file, days.path().join(file.file_name().unwrap())).unwrap();
    }
    let mut set = cuts(1_000).to_vec();
    set.push(format!("sources.orders.path={}", days.path().display()));
    let job = Job::new("retail", &set);
    let folders = compare(&job);
    for product in ["85123A", "22423", "47566"] {
        let [wanted, found] =
            [&folders[0], &folders[1]].map(|data| job.ask(data.path(), &["similar", "bought_together", product]));
        assert_eq!(wanted, found, "{product}");
    }
}

#[test]
fn the_mall_is_the_same_with_a_stop_at_each_checkpoint() {
    let shop = tempfile::tempdir().unwrap();
    let settings = Settings { seed: 3, days: 1, users: 120, products: 30, orders_per_day: 40, ..Settings::default() };
    let mut files = Files::create(shop.path(), 2, settings.seed).unwrap();
    Mall::new(&settings).run(&mut files, None).unwrap();
    let mut set = cuts(250).to_vec();
    for name in ["logs", "changes"] {
        set.push(format!("sources.{name}.path={}", shop.path().join(name).display()));
    }
    compare(&Job::new("mall", &set));
}

#[test]
fn a_model_is_the_same_with_a_stop_at_each_checkpoint() {
    let folders = compare(&Job::new("ctr", &cuts(3_000)));
    let [wanted, found] = folders.each_ref().map(|data| {
        let summary = fs::read(data.path().join("summary.json")).unwrap();
        let summary: Value = serde_json::from_slice(&summary).unwrap();
        summary["models"][0]["all"].clone()
    });
    assert!(wanted["samples"].as_u64() > Some(30_000), "{wanted}");
    assert_eq!(wanted, found);
}
