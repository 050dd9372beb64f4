//! Models on the real binary: `examples/ctr` in one pass, and the documented job whose labels come later.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What Vowpal Wabbit 9.11's default, with logistic loss, has over the same file: `cargo xtask bench lr` runs it.
const VOWPAL_WABBIT: f64 = 0.332_230;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a job to its end and gives the metrics of its only model.
fn run(job: &Path, more: &[&str]) -> Value {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.arg("run").arg(job).args(["--until-end", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
    let output = command.args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&fs::read(data.path().join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["rejected"], 0);
    summary["models"][0].clone()
}

#[test]
fn one_pass_over_a9a_is_as_good_as_vowpal_wabbit_on_any_number_of_workers() {
    let job = root().join("examples/ctr");
    let model = run(&job, &["--workers", "1"]);
    assert_eq!((&model["name"], &model["all"]["samples"]), (&json!("income"), &json!(32_560)));
    let loss = model["all"]["log_loss"].as_f64().unwrap();
    assert!(loss <= VOWPAL_WABBIT, "log loss {loss}");
    for workers in ["2", "4"] {
        let again = run(&job, &["--workers", workers, "--set", "epoch.records=1000"]);
        assert_eq!(again["all"], model["all"], "{workers} workers");
    }
}

/// The job of `docs/models.md`, over files of its own.
fn documented() -> TempDir {
    let text = fs::read_to_string(root().join("docs/models.md")).unwrap();
    let block = |language: &str| {
        let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str| format!("[sources.{name}]\nkind = \"file\"\npath = \"{name}.jsonl\"\n");
    let job = format!("[job]\nname = \"clicks\"\n{}{}{}", source("shows"), source("clicks"), block("toml"));
    fs::write(folder.path().join("job.toml"), job).unwrap();
    fs::write(folder.path().join("views.sql"), block("sql")).unwrap();
    folder
}

#[test]
fn labels_that_come_later_are_learned_and_those_that_come_too_late_are_not() {
    let folder = documented();
    let (mut shows, mut clicks) = (String::new(), String::new());
    for show in 0..600 {
        let at = 1_600_000_000 + show * 10;
        let item = show % 5;
        writeln!(shows, r#"{{"id":"s{show:04}","at":{at}000,"item":"i{item}","price":{item}.5}}"#).unwrap();
        // Item 3 is clicked after 9 minutes, item 4 after 11, which is too late.
        if let 3 | 4 = item {
            let at = at + if item == 3 { 540 } else { 660 };
            writeln!(clicks, r#"{{"show":"s{show:04}","at":{at}000}}"#).unwrap();
        }
    }
    fs::write(folder.path().join("shows.jsonl"), shows).unwrap();
    fs::write(folder.path().join("clicks.jsonl"), clicks).unwrap();
    // In one epoch: nothing says which of two files is read first, and shows that are an hour older than the newest go.
    let model = run(folder.path(), &["--workers", "2", "--set", "epoch.interval=60s"]);
    assert_eq!(model["late"], 0, "{model}");
    assert_eq!((&model["all"]["samples"], &model["all"]["positives"]), (&json!(600), &json!(120)), "{model}");
    let (loss, baseline) = (model["all"]["log_loss"].as_f64().unwrap(), model["all"]["baseline"].as_f64().unwrap());
    assert!(loss < baseline / 2.0, "{model}");
}
