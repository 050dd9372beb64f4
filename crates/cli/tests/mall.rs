//! `examples/mall` on the real binary: generated logs and changes in, every document of every index compared with the
//! answer key, at other numbers of workers, cuts of epochs and files.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_mallgen::{Answers, Counts, Files, Mall, Settings};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The job's folder.
fn job() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mall")
}

/// Makes a shop with its answers in a folder.
fn generate(folder: &Path, seed: u64, partitions: usize) -> Counts {
    let settings = Settings { seed, days: 2, users: 300, products: 60, orders_per_day: 60, ..Settings::default() };
    let mut answers = Answers::create(&folder.join("answers"), false).unwrap();
    let mut files = Files::create(folder, partitions, seed).unwrap();
    let counts = Mall::new(&settings).run(&mut files, Some(&mut answers)).unwrap();
    answers.write().unwrap();
    counts
}

fn proxima(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn documents(texts: impl Iterator<Item = Value>) -> BTreeSet<String> {
    texts.map(|document| document.to_string()).collect()
}

/// What an index holds.
fn indexed(data: &Path, index: &str) -> BTreeSet<String> {
    let all = r#"{"query": {"match_all": {}}, "size": 10000}"#;
    let answer = proxima(&["search", job().to_str().unwrap(), index, all, "--data", data.to_str().unwrap()]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    documents(answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_source"].clone()))
}

/// Runs the job over a shop, and compares all that it holds.
fn assert_run(shop: &Path, counts: Counts, workers: &str, more: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let sources = ["logs", "changes"].map(|name| format!("sources.{name}.path={}", shop.join(name).display()));
    let job = job();
    let mut args = vec!["run", job.to_str().unwrap(), "--until-end", "--listen", "127.0.0.1:0", "--workers", workers];
    args.extend(["--data", data.path().to_str().unwrap(), "--set", &sources[0], "--set", &sources[1]]);
    args.extend(more);
    proxima(&args);
    let rejected = fs::read_to_string(data.path().join("rejected/logs.jsonl")).unwrap();
    assert_eq!(rejected.lines().count() as u64, counts.broken, "each broken line is rejected, and no other one");
    for file in fs::read_dir(shop.join("answers")).unwrap() {
        let path = file.unwrap().path();
        let index = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = documents(text.lines().map(|line| serde_json::from_str(line).unwrap()));
        let found = indexed(data.path(), index);
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let wrong: Vec<_> = found.difference(&expected).take(3).collect();
        assert!(
            !expected.is_empty() && missing.is_empty() && wrong.is_empty(),
            "{index}: {missing:#?}, not {wrong:#?}"
        );
    }
}

#[test]
fn the_job_answers_as_the_key_does() {
    let shop = tempfile::tempdir().unwrap();
    let counts = generate(shop.path(), 1, 1);
    assert_run(shop.path(), counts, "1", &[]);
    assert_run(shop.path(), counts, "4", &["--set", "epoch.records=400"]);
}

#[test]
fn partitions_in_any_order_make_no_difference() {
    let shop = tempfile::tempdir().unwrap();
    let counts = generate(shop.path(), 2, 5);
    assert_run(shop.path(), counts, "2", &["--set", "epoch.records=1000", "--set", "epoch.interval=1ms"]);
}
