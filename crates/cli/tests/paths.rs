//! The examples of paths on the real binary: each path answers over HTTP while the job runs, and again when it goes on
//! from its checkpoint.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(example: &str, data: &Path, workers: &str, set: &[&str]) -> Run {
    let job = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example);
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.arg("run").arg(job).args(["--listen", "127.0.0.1:0", "--workers", workers, "--data"]).arg(data);
    set.iter().for_each(|value| _ = command.args(["--set", value]));
    Run(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
}

fn get(data: &Path, route: &str) -> Option<Value> {
    let note: Value = serde_json::from_slice(&std::fs::read(data.join("server.json")).ok()?).ok()?;
    let url = format!("http://{}{route}", note["address"].as_str()?);
    serde_json::from_str(&ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?).ok()
}

/// Waits until so many records are in, and the index holds them.
fn wait(run: &mut Run, data: &Path, index: &str, field: &str, wanted: u64) {
    let begin = Instant::now();
    let route = format!("/v1/indexes/{index}/_search?size=10000");
    loop {
        assert!(run.0.try_wait().unwrap().is_none(), "the run ended by itself");
        let sum = get(data, &route).map(|found| {
            let hits = found["hits"]["hits"].as_array().unwrap().clone();
            hits.iter().map(|hit| hit["_source"][field].as_u64().unwrap()).sum::<u64>()
        });
        if sum == Some(wanted) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{index} never held all, at last {sum:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The paths of the gallery, each with an object to ask it about.
const GALLERY: [(&str, &str); 14] = [
    ("item_cf", "item-04"),
    ("bought_together", "item-04"),
    ("jaccard", "item-04"),
    ("viewed_then_bought", "item-04"),
    ("swing", "item-04"),
    ("like_this", "item-04"),
    ("alike", "ann-07"),
    ("user_cf", "ann-07"),
    ("popular_here", "ann-07"),
    ("two_steps", "ann-07"),
    ("rp3beta", "ann-07"),
    ("recent", "ann-07"),
    ("for_you", "ann-07"),
    ("for_you", "ann-08"),
];

/// Rows of sums for all objects of one relation, and of counts for some of another.
const KEPT: [&str; 2] = ["paths.bought_together.keep=maintained", "paths.jaccard.keep=40"];

/// All lists, as soon as every path knows its object: a run that goes on serves before it has loaded what it knew.
fn lists(data: &Path) -> Vec<Value> {
    let begin = Instant::now();
    let list = |(path, object): &(&str, &str)| get(data, &format!("/v1/similar/{path}/{object}?n=5&explain=true"));
    loop {
        if let Some(lists) = GALLERY.iter().map(list).collect() {
            return lists;
        }
        assert!(begin.elapsed() < PATIENCE, "a path never knew its object");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_gallery_answers_the_same_on_any_number_of_workers_whatever_is_kept_and_after_a_restart() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut run = start("paths", one.path(), "1", &[]);
    wait(&mut run, one.path(), "daily", "events", 600);
    let first = lists(one.path());
    for ((path, object), list) in GALLERY.iter().zip(&first) {
        let neighbours = list["neighbours"].as_array().unwrap();
        assert!(neighbours.len() >= 3, "{path} from {object}: {list}");
        for neighbour in neighbours {
            let parts = neighbour["because"].as_array().unwrap();
            let units: i128 = parts.iter().map(|part| part["units"].as_str().unwrap().parse::<i128>().unwrap()).sum();
            let score = neighbour["score"].as_f64().unwrap();
            // This reader of JSON is not exact to the last bit.
            assert!((units as f64 / 2f64.powi(40) - score).abs() <= 1e-14 * score.abs(), "{path}: {neighbour}");
        }
    }
    let mut other = start("paths", two.path(), "3", &KEPT);
    wait(&mut other, two.path(), "daily", "events", 600);
    assert_eq!(lists(two.path()), first);
    // A checkpoint comes each second.
    let begin = Instant::now();
    while get(one.path(), "/v1/status")
        .is_none_or(|status| status["checkpoints"]["committed"].as_u64().unwrap_or(0) == 0)
    {
        assert!(begin.elapsed() < PATIENCE, "no checkpoint came");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(run);
    let _ = std::fs::remove_file(one.path().join("server.json"));
    let mut again = start("paths", one.path(), "2", &KEPT);
    wait(&mut again, one.path(), "daily", "events", 600);
    let begin = Instant::now();
    while lists(one.path()) != first {
        assert!(begin.elapsed() < PATIENCE, "the lists never became what they were");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_ways_of_paths_are_explained() {
    let explain_with = |path: &str, set: &[&str]| {
        let job = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/paths");
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.arg("explain").arg(job).arg(path);
        set.iter().for_each(|value| _ = command.args(["--set", value]));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let explain = |path: &str| explain_with(path, &[]);
    let (_, kept) = explain("bought_together");
    assert!(kept.contains("maintained: a sum over the middle of bought there and back"), "{kept}");
    let (_, counted) = explain("jaccard");
    assert!(counted.contains("maintained: a count over the middle of viewed there and back"), "{counted}");
    assert!(counted.contains("kept for objects that would take more than 262144 rows to gather"), "{counted}");
    let (_, all) = explain_with("bought_together", &KEPT);
    assert!(all.contains("there and back; kept for every object\n"), "{all}");
    let (_, some) = explain_with("jaccard", &KEPT);
    assert!(some.contains("kept for objects that would take more than 40 rows to gather"), "{some}");
    let (_, told) = explain_with("jaccard", &["paths.jaccard.keep=requested"]);
    assert!(told.contains("requested: the job says keep = \"requested\""), "{told}");
    assert_eq!(explain_with("item_cf", &["paths.item_cf.keep=40"]).0, Some(2), "it cannot be maintained");
    let (_, asked) = explain("item_cf");
    assert!(asked.contains("requested: a selector depends on more than the weights"), "{asked}");
    assert_eq!(explain("nothing").0, Some(3));
}
