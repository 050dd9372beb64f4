//! `examples/mall` on the real binary: generated logs and changes in, every document of every index compared with the
//! answer key, at other numbers of workers, cuts of epochs and files.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_mallgen::{Answers, Counts, Files, Mall, Settings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long answers may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

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

/// The command that runs the job over a shop to its end.
fn run(shop: &Path, data: &Path, workers: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.arg("run").arg(job()).args(["--until-end", "--listen", "127.0.0.1:0", "--workers", workers]);
    command.arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for name in ["logs", "changes"] {
        command.arg("--set").arg(format!("sources.{name}.path={}", shop.join(name).display()));
    }
    command.args(more);
    command
}

/// Runs the job over a shop, and compares all that it holds.
fn assert_run(shop: &Path, counts: Counts, workers: &str, more: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let output = run(shop, data.path(), workers, more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_answers(shop, counts, data.path());
}

/// Compares all that a run has left with the answer key.
fn assert_answers(shop: &Path, counts: Counts, data: &Path) {
    let rejected = fs::read_to_string(data.join("rejected/logs.jsonl")).unwrap();
    assert_eq!(rejected.lines().count() as u64, counts.broken, "each broken line is rejected, and no other one");
    for file in fs::read_dir(shop.join("answers")).unwrap() {
        let path = file.unwrap().path();
        let index = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = documents(text.lines().map(|line| serde_json::from_str(line).unwrap()));
        let found = indexed(data, index);
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let wrong: Vec<_> = found.difference(&expected).take(3).collect();
        assert!(
            !expected.is_empty() && missing.is_empty() && wrong.is_empty(),
            "{index}: {missing:#?}, not {wrong:#?}"
        );
    }
}

/// Where the process dies in the state protocol, and how often it comes there before.
const DEATHS: [&str; 14] = [
    "after-begin:1",
    "after-first-cuts:1",
    "after-cut:3",
    "before-cut:9",
    "before-state-file:1",
    "after-state-file:2",
    "before-commit:1",
    "after-commit:1",
    "after-cut:40",
    "after-commit:3",
    "after-offsets:2",
    "before-sweep:1",
    "after-sweep:1",
    "before-commit:4",
];

#[test]
fn a_job_that_dies_again_and_again_answers_as_the_key_does() {
    let shop = tempfile::tempdir().unwrap();
    let counts = generate(shop.path(), 5, 3);
    let data = tempfile::tempdir().unwrap();
    let cuts = ["--set", "checkpoint.every=10ms", "--set", "epoch.interval=5ms", "--set", "epoch.records=300"];
    let mut died = 0;
    for (at, death) in DEATHS.iter().enumerate() {
        let workers = ["1", "2", "4"][at % 3];
        let output = run(shop.path(), data.path(), workers, &cuts).env("PROXIMA_FAIL", death).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("the process dies at"), "{death}: {said}");
        died += usize::from(!output.status.success());
    }
    assert!(died >= DEATHS.len() / 2, "{died} deaths only: the job has come to its end too soon to prove anything");
    let output = run(shop.path(), data.path(), "2", &cuts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_answers(shop.path(), counts, data.path());
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

/// A run that serves.
struct Serving {
    child: Child,
    data: tempfile::TempDir,
}

impl Serving {
    fn start(shop: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.arg("run").arg(job()).args(["--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        for name in ["logs", "changes"] {
            command.arg("--set").arg(format!("sources.{name}.path={}", shop.join(name).display()));
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, data }
    }

    fn ask(&self, query: &str) -> Option<Value> {
        let note: Value = serde_json::from_slice(&fs::read(self.data.path().join("server.json")).ok()?).ok()?;
        let url = format!("http://{}/v1/queries/{query}", note["address"].as_str()?);
        let text = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Asks until the answer is as wanted.
    fn wait(&mut self, query: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < PATIENCE {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended by itself");
            last = self.ask(query);
            if let Some(answer) = last.take_if(|answer| wanted(answer)) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{query} never gave what was wanted, at last {last:?}")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(shop: &Path, index: &str) -> Vec<Value> {
    let text = fs::read_to_string(shop.join("answers").join(index).with_extension("jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn cents(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 100.0).round() as i64
}

#[test]
fn named_queries_answer_from_what_the_key_holds() {
    let shop = tempfile::tempdir().unwrap();
    generate(shop.path(), 3, 1);
    let mut serving = Serving::start(shop.path());

    let devices = answers(shop.path(), "active_devices");
    let mut hours = BTreeMap::<(String, i64), i64>::new();
    for device in &devices {
        *hours.entry((device["day"].as_str().unwrap().into(), device["hour"].as_i64().unwrap())).or_default() += 1;
    }
    let rows = |answer: &Value| {
        let row = |row: &Value| {
            let day = row["days"].as_str().unwrap()[..10].to_owned();
            ((day, row["hours"].as_i64().unwrap()), row["documents"].as_i64().unwrap())
        };
        answer["rows"].as_array().unwrap().iter().map(row).collect::<BTreeMap<_, _>>()
    };
    serving.wait("active_devices_by_hour?day=2026-03-03", |answer| rows(answer) == hours);

    let lines = answers(shop.path(), "orders_wide");
    for by in ["sex", "province", "sku_name"] {
        let mut groups = BTreeMap::<String, (i64, i64)>::new();
        for line in lines.iter().filter(|line| line["day"] == "2026-03-02" && line["status"] != "1003") {
            let group = groups.entry(line[by].as_str().unwrap().into()).or_default();
            group.0 += line["units"].as_i64().unwrap();
            group.1 += cents(&line["amount"]);
        }
        let rows = |answer: &Value| {
            let row = |row: &Value| {
                let units = row["units"].as_f64().unwrap() as i64;
                (row["groups"].as_str().unwrap().to_owned(), (units, cents(&row["amount"])))
            };
            answer["rows"].as_array().unwrap().iter().map(row).collect::<BTreeMap<_, _>>()
        };
        serving.wait(&format!("orders_by?day=2026-03-02&by={by}&groups=100"), |answer| rows(answer) == groups);
    }

    let named = |line: &&Value| line["sku_name"].as_str().unwrap().split(' ').any(|word| word == "lamp");
    let lamps = lines.iter().filter(named).count();
    assert!(lamps > 3, "{lamps} lines with lamps");
    let found = serving.wait("search_orders?words=lamp&size=2&from=1", |answer| {
        answer["hits"]["total"]["value"].as_u64() == Some(lamps as u64)
    });
    let hits = found["hits"]["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2);
    assert!(hits[0]["highlight"]["sku_name"][0].as_str().unwrap().contains("<em>lamp</em>"), "{found}");
    let share = found["aggregations"]["sexes"]["buckets"].as_array().unwrap();
    let sum: u64 = share.iter().map(|bucket| bucket["doc_count"].as_u64().unwrap()).sum();
    assert_eq!(sum, lamps as u64);
}
