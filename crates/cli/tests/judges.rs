//! Recommendations judged while they are shown: the figures in `/v1/status` are those of the lists that were answered and of
//! what came after them, by variant, also when the run is killed and goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

const JOB: &str = r#"[job]
name = "judged"
[epoch]
interval = "10ms"
[checkpoint]
every = "50ms"
[sources.views]
kind = "file"
path = "views.jsonl"
follow = true
[relations.viewed]
from = "SELECT who AS subject, what AS object FROM views"
subject = "user"
object = "item"
[paths.again]
hop = "viewed"
[paths.also]
left = { hop = "viewed", reverse = true }
right = { hop = "viewed" }
merger = "count"
[paths.for_you]
left = "again"
right = "also"
merger = "sum"
[recommendations.repeat]
from = { again = 1 }
[recommendations.other]
from = { for_you = 1 }
[recommendations.home]
split = { repeat = 50, other = 50 }
[judges.home]
by = "viewed"
k = 3
"#;

const VIEWS: &str = "CREATE TABLE views (who STRING, what STRING) WITH (source = 'views', format = 'json');";

struct Run {
    folder: TempDir,
    child: Child,
}

impl Run {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let job = folder.path().join("job");
        fs::create_dir(&job).unwrap();
        for (name, text) in [("job.toml", JOB), ("views.sql", VIEWS), ("views.jsonl", "")] {
            fs::write(job.join(name), text).unwrap();
        }
        let child = spawn(&folder, "1");
        Self { folder, child }
    }

    /// Kills the run behind a checkpoint of all that happened, and goes on with other workers. Somebody who was shown
    /// nothing does something, so that there is one; `count` rows were there before.
    fn kill_and_go_on(&mut self, file: &mut File, (count, workers): (u64, &str)) -> Value {
        let done = self.ask("/v1/status").unwrap()["epochs"]["done"].as_u64().unwrap();
        let before = self.happens(file, ("nobody", "i0"), count + 1);
        // The first that is not done may be the one that takes the row, and the last that anything comes in.
        self.wait("a checkpoint", |status| status["checkpoints"]["epoch"].as_u64() >= Some(done));
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        fs::remove_file(self.folder.path().join("data/server.json")).unwrap();
        self.child = spawn(&self.folder, workers);
        self.wait("the figures of before", |status| {
            status["records"] == count + 1 && status["judges"] == before["judges"]
        })
    }

    /// Waits for a status.
    fn wait(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended by itself");
            if let Some(status) = self.ask("/v1/status").filter(&mut wanted) {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "{what} never came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ask(&self, route: &str) -> Option<Value> {
        let note: Value = serde_json::from_slice(&fs::read(self.folder.path().join("data/server.json")).ok()?).ok()?;
        let url = format!("http://{}{route}", note["address"].as_str()?);
        serde_json::from_str(&ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?).ok()
    }

    /// Waits until the epoch of now has ended: what was shown in it can be judged.
    fn epoch_ends(&mut self) {
        let epoch = |status: &Value, which: &str| status["epochs"][which].as_u64().unwrap();
        let mut asked_in = None;
        self.wait("the end of the epoch", |status| {
            epoch(status, "done") > *asked_in.get_or_insert(epoch(status, "current"))
        });
    }

    /// Writes a row, and waits until everything knows the first `count`.
    fn happens(&mut self, file: &mut File, (who, what): (&str, &str), count: u64) -> Value {
        writeln!(file, "{{\"who\": \"{who}\", \"what\": \"{what}\"}}").unwrap();
        let begin = Instant::now();
        let mut read_in = None;
        loop {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended by itself");
            if let Some(status) = self.ask("/v1/status")
                && status["records"] == count
            {
                let epoch = |which: &str| status["epochs"][which].as_u64().unwrap();
                if epoch("done") > *read_in.get_or_insert(epoch("current")) {
                    return status;
                }
            }
            assert!(begin.elapsed() < PATIENCE, "row {count} never came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn spawn(folder: &TempDir, workers: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.arg("run").arg(folder.path().join("job")).args(["--listen", "127.0.0.1:0", "--workers", workers, "--data"]);
    command.arg(folder.path().join("data")).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_was_shown_is_judged_by_what_came_next() {
    let mut run = Run::start();
    let mut file = File::options().append(true).open(run.folder.path().join("job/views.jsonl")).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // Of each variant: questions, hits, reciprocal ranks.
    let mut naive = BTreeMap::<String, (u64, u64, f64)>::new();
    let mut last = BTreeMap::<String, (String, Vec<String>)>::new();
    let (mut status, mut more) = (Value::Null, 0);
    for count in 1..=120 {
        let (who, what) = (format!("u{}", rng.next_u32() % 6), format!("i{}", rng.next_u32() % 9));
        // Some are shown nothing before; the list that they were shown last still stands.
        if count > 1 && rng.next_u32() % 3 > 0 {
            let answer = run.ask(&format!("/v1/recommend/home/{who}?n=5")).unwrap();
            let items = answer["items"].as_array().unwrap().iter();
            let items = items.map(|item| item["id"].as_str().unwrap().to_owned()).take(3).collect();
            last.insert(who.clone(), (answer["variant"].as_str().unwrap().to_owned(), items));
            run.epoch_ends();
        }
        if let Some((variant, items)) = last.get(&who) {
            let of = naive.entry(variant.clone()).or_default();
            of.0 += 1;
            if let Some(place) = items.iter().position(|item| *item == what) {
                of.1 += 1;
                of.2 += 1.0 / (place + 1) as f64;
            }
        }
        status = run.happens(&mut file, (&who, &what), count + more);
        if count % 40 == 0 {
            status = run.kill_and_go_on(&mut file, (count + more, if count == 40 { "2" } else { "1" }));
            more += 1;
        }
    }
    assert!(naive.len() == 2 && naive.values().all(|of| of.1 > 2), "{naive:?}");
    let judge = &status["judges"][0];
    assert_eq!(
        (judge["name"].as_str(), judge["by"].as_str(), judge["k"].as_u64()),
        (Some("home"), Some("viewed"), Some(3))
    );
    for variant in judge["variants"].as_array().unwrap() {
        let (asked, hits, ranks) = naive.remove(variant["name"].as_str().unwrap()).unwrap();
        assert_eq!(variant["asked"], asked);
        assert!((variant["hit_rate"].as_f64().unwrap() - hits as f64 / asked as f64).abs() < 1e-12, "{variant}");
        assert!((variant["mrr"].as_f64().unwrap() - ranks / asked as f64).abs() < 1e-12, "{variant}");
    }
    assert!(naive.is_empty(), "each variant was judged");
}

#[test]
fn what_was_shown_before_a_stop_is_judged_behind_it() {
    let mut run = Run::start();
    let mut file = File::options().append(true).open(run.folder.path().join("job/views.jsonl")).unwrap();
    run.happens(&mut file, ("ann", "tea"), 1);
    run.wait("a checkpoint of it", |status| status["checkpoints"]["committed"].as_u64() > Some(0));
    run.ask("/v1/recommend/home/ann").unwrap();
    run.epoch_ends();
    let pid = i32::try_from(run.child.id()).unwrap();
    // SAFETY: sends a signal to a child of ours that has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert!(run.child.wait().unwrap().success());
    run.child = spawn(&run.folder, "2");
    let status = run.happens(&mut file, ("ann", "tea"), 2);
    let variants = status["judges"][0]["variants"].as_array().unwrap();
    assert_eq!(variants.iter().filter_map(|variant| variant["asked"].as_u64()).sum::<u64>(), 1, "{status}");
}
