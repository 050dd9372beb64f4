//! `proxima run` on the real binary: a job that follows its files answers over HTTP while it runs, ends at Ctrl-C in
//! time, and leaves results that can be read.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const JOB: &str = "[job]
name = \"shop\"
[sources.orders]
kind = \"file\"
path = \"orders\"
follow = true
[sinks.index]
kind = \"index\"
[relations.bought]
from = \"SELECT customer AS subject, code AS object FROM orders\"
subject = \"customer\"
object = \"product\"
[objects.product]
from = \"SELECT code AS id, max(name) AS name FROM orders GROUP BY code\"
[paths.together]
kind = \"pairs\"
relation = \"bought\"
object = \"product\"
[paths.also]
left = { hop = \"bought\", reverse = true }
right = { hop = \"bought\" }
merger = \"cosine\"
top = 100
[paths.for_you]
left = { hop = \"bought\", select = { sql = \"2 * weight\" } }
right = \"also\"
merger = \"sum\"
";
const VIEWS: &str = "CREATE TABLE orders (customer STRING, code STRING, name STRING, price DECIMAL(10, 3))
  WITH (source = 'orders', format = 'csv');
CREATE TABLE sales (code STRING, sold BIGINT, revenue DECIMAL(20, 3), PRIMARY KEY (code) NOT ENFORCED)
  WITH (sink = 'index');
INSERT INTO sales SELECT code, count(*) AS sold, sum(price) AS revenue FROM orders GROUP BY code;
";
const FIRST: &str = "customer,code,name,price\nann,a,Apple,0.100\nann,b,Bowl,2.5\nbob,a,Apple,0.2\n";

/// The design's promise is 2 s; everything else may take as long as a busy machine needs.
const END: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

struct Run {
    folder: TempDir,
    child: Child,
}

impl Run {
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("shop/orders")).unwrap();
        fs::write(folder.path().join("shop/job.toml"), JOB).unwrap();
        fs::write(folder.path().join("shop/views.sql"), VIEWS).unwrap();
        fs::write(folder.path().join("shop/orders/1.csv"), FIRST).unwrap();
        let child = run(&folder, args);
        Self { folder, child }
    }

    /// Starts it again, when it has ended.
    fn again(&mut self, args: &[&str]) {
        self.child = run(&self.folder, args);
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join(".proxima/shop")
    }

    /// Adds lines to a file that the run follows.
    fn append(&self, lines: &str) {
        let path = self.folder.path().join("shop/orders/1.csv");
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(lines.as_bytes()).unwrap();
    }

    fn address(&self) -> Option<String> {
        let note: Value = serde_json::from_slice(&fs::read(self.data().join("server.json")).ok()?).ok()?;
        Some(note["address"].as_str()?.to_owned())
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Option<String> {
        let url = format!("http://{}{path}", self.address()?);
        let answer = match body {
            Some(body) => ureq::post(&url).send_json(body),
            None => ureq::get(&url).call(),
        };
        answer.ok()?.body_mut().read_to_string().ok()
    }

    /// Asks until the answer is as wanted; panics with the last one when it never is.
    fn wait(&mut self, path: &str, body: Option<&Value>, wanted: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < PATIENCE {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended by itself; last answer {last:?}");
            last = self.ask(path, body);
            if let Some(answer) = last.as_ref().filter(|answer| wanted(answer.as_str())) {
                return answer.clone();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{path} never gave what was wanted, at last {last:?}")
    }

    /// Ctrl-C; gives the exit code and how long the end took.
    fn interrupt(&mut self) -> (Option<i32>, Duration) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: sends a signal to a process of ours that was not waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        let begin = Instant::now();
        let status = self.child.wait().unwrap();
        (status.code(), begin.elapsed())
    }
}

fn run(folder: &TempDir, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.args(["run", "shop", "--listen", "127.0.0.1:0", "--workers", "2"]).args(args);
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether an answer holds this row, its decimal written with all its places.
fn sales(code: &str, sold: i64, revenue: &str) -> impl Fn(&str) -> bool {
    let row = format!("{{\"code\":\"{code}\",\"sold\":{sold},\"revenue\":{revenue}}}");
    move |answer| answer.split_whitespace().collect::<String>().contains(&row)
}

#[test]
fn results_follow_the_files_until_ctrl_c_and_stay() {
    let mut run = Run::start(&[]);
    let all = json!({"query": {"match_all": {}}, "sort": [{"code": "asc"}]});
    let search = "/v1/indexes/sales/_search";
    run.wait(search, Some(&all), sales("a", 2, "0.300"));
    run.append("cid,b,Bowl,2.5\ncid,c,\"Cup, blue\",1\nbroken\n");
    run.wait(search, Some(&all), sales("b", 2, "5.000"));
    let both = |answer: &str| answer.contains("Cup, blue") && answer.contains("Apple");
    run.wait("/v1/similar/together/b?n=10", None, both);
    // Apple is a and b's, Bowl is a's, b's and c's, Cup is c's: 1 / √(2·1) shared buyers' worth to each.
    let near = |id: &str, name: &str| {
        let score = "\"score\":0.70710678118";
        let (id, because) = (format!("{{\"id\":\"{id}\",{score}"), "\"because\":[{\"through\":");
        let name = format!("\"attributes\":{{\"name\":\"{name}\"}}");
        move |answer: &str| answer.contains(&id) && answer.contains(because) && answer.contains(&name)
    };
    run.wait("/v1/similar/also/b?explain=true", None, near("c", "Cup, blue"));
    run.wait("/v1/similar/for_you/cid?n=1", None, |answer| answer.contains("\"neighbours\":[{\"id\":"));
    let status = run.wait("/v1/status", None, |_| true);
    assert!(status.contains("orders"), "{status}");
    let page = Command::new(env!("CARGO_BIN_EXE_proxima"))
        .args(["status", "shop"])
        .current_dir(run.folder.path())
        .output()
        .unwrap();
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(
        page.starts_with("shop: running for ") && page.contains("\norders ") && page.contains("\nsales "),
        "{page}"
    );

    let (_, took) = run.interrupt();
    assert!(took < END, "the end took {took:?}");
    let gone = Command::new(env!("CARGO_BIN_EXE_proxima"))
        .args(["status", "shop"])
        .current_dir(run.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(gone.stderr).unwrap();
    assert!(gone.status.code() == Some(3) && said.contains("job \"shop\" does not run"), "{said}");
    let mut search = Command::new(env!("CARGO_BIN_EXE_proxima"));
    let output =
        search.args(["search", "shop", "sales", &all.to_string()]).current_dir(run.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(sales("a", 2, "0.300")(&answer) && sales("c", 1, "1.000")(&answer), "{answer}");
    let rejected = fs::read_to_string(run.data().join("rejected/orders.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 1, "{rejected}");
    assert!(rejected.contains("broken"), "{rejected}");
}

#[test]
fn until_end_ends_when_all_is_written() {
    let mut run = Run::start(&["--until-end", "--set", "sources.orders.follow=false"]);
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    let mut similar = Command::new(env!("CARGO_BIN_EXE_proxima"));
    let output = similar.args(["similar", "shop", "together", "a"]).current_dir(run.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Bowl"));
}

#[test]
fn a_stop_leaves_a_checkpoint_of_all_that_was_read() {
    // None is due before.
    let rarely = ["--set", "checkpoint.every=1h"];
    let mut run = Run::start(&rarely);
    let (search, all) = ("/v1/indexes/sales/_search", json!({}));
    run.wait(search, Some(&all), sales("a", 2, "0.300"));
    let (_, took) = run.interrupt();
    assert!(took < END, "the end took {took:?}");
    // Nothing of what was read is needed again: logrotate's copytruncate may come while nobody reads.
    fs::write(run.folder.path().join("shop/orders/1.csv"), "customer,code,name,price\ncid,a,Apple,1\n").unwrap();
    run.again(&rarely);
    run.wait(search, Some(&all), sales("a", 3, "1.300"));
    run.append("cid,b,Bowl,1\n");
    run.wait(search, Some(&all), sales("b", 2, "3.500"));
}
