//! The binary as scripts meet it: what it prints, where, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use proxima_event::{Changes, Sink, Version};
use proxima_serve::{AppState, Document, Failure, IndexInfo, Limits, RunState, Search, Server, Status};
use proxima_sink::{IndexConfig, IndexSink};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

const JOB: &str = "[job]
name = \"shop\"
[sources.orders]
kind = \"file\"
path = \"orders\"
[sinks.index]
kind = \"index\"
";

const VIEWS: &str = "CREATE TABLE orders (code STRING) WITH (source = 'orders', format = 'csv');
CREATE TABLE codes (code STRING, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO codes SELECT DISTINCT code FROM orders;
";

/// A job and a place to run commands in.
struct Shop(TempDir);

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("shop/orders")).unwrap();
        fs::write(folder.path().join("shop/job.toml"), JOB).unwrap();
        fs::write(folder.path().join("shop/views.sql"), VIEWS).unwrap();
        Self(folder)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join(".proxima/shop")
    }

    /// Results as a run leaves them.
    fn with_results(self) -> Self {
        let codes: ArrayRef = Arc::new(StringViewArray::from(vec!["22423", "85123A"]));
        let rows = RecordBatch::try_from_iter([("code", codes)]).unwrap();
        let indexes = self.data().join("index");
        fs::create_dir_all(&indexes).unwrap();
        let mut sink = IndexSink::open(&indexes, &IndexConfig::new("codes", rows.schema(), vec![0])).unwrap();
        sink.write(Version(1), &[Changes::inserts(rows)]).unwrap();
        sink.flush().unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        told(self.command(args).output().unwrap())
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn ids(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let hits = answer["hits"]["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_right_job_is_said_to_be_right() {
    let (code, out, err) = Shop::new().run(&["check", "shop"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "shop: 1 source, 1 target, 0 relations, 0 paths, 0 models, 0 recommendations; the job is right\n");
}

#[test]
fn a_wrong_job_ends_with_code_2_and_all_problems() {
    let shop = Shop::new();
    let set = ["--set", "epoch.lag=1", "--set", "sources.orders.path=nowhere"];
    let (code, out, err) = shop.run(&[&["check", "shop"], &set[..]].concat());
    assert_eq!((code, out.as_str()), (2, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 3, "{err}");
    assert!(lines[0].starts_with("--set epoch.lag=1: epoch.lag: "), "{err}");
    assert!(lines[1].starts_with("--set sources.orders.path=nowhere: sources.orders.path: there is no file"), "{err}");
    assert_eq!(lines[2], "error: the job has 2 problems");
    assert_eq!(shop.run(&[&["run", "shop"], &set[..]].concat()).0, 2, "a wrong job does not run");
    assert_eq!(shop.run(&["check"]).0, 2, "no job was named");
}

#[test]
fn operators_are_explained_without_the_inputs() {
    let shop = Shop::new();
    fs::remove_dir(shop.0.path().join("shop/orders")).unwrap();
    let (code, out, _) = shop.run(&["explain", "shop"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("target codes\n"), "{out}");
}

#[test]
fn a_search_reads_the_data_folder() {
    let shop = Shop::new().with_results();
    let (code, out, err) = shop.run(&["search", "shop", "codes"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(ids(&out), ["22423", "85123A"]);
    fs::write(shop.0.path().join("body.json"), "{\"query\": {\"term\": {\"code\": \"85123A\"}}}").unwrap();
    assert_eq!(ids(&shop.run(&["search", "shop", "codes", "@body.json"]).1), ["85123A"]);
    let mut child = shop.command(&["search", "shop", "codes", "-"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"size\": 1}").unwrap();
    assert_eq!(ids(&told(child.wait_with_output().unwrap()).1), ["22423"]);
}

#[test]
fn questions_that_fail_have_their_codes() {
    let shop = Shop::new();
    let (code, _, err) = shop.run(&["search", "shop", "codes"]);
    assert_eq!(code, 3);
    assert!(err.starts_with("error: the job has no results in .proxima/shop; run it first"), "{err}");
    let shop = shop.with_results();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["search", "shop", "cods"], 3, "no index is named \"cods\"; there are: codes"),
        (&["search", "shop", "codes", "{\"size\":"], 2, "the body is not JSON"),
        (&["search", "shop", "codes", "{\"colour\": 1}"], 2, "colour"),
        (&["search", "shop", "codes", "--server", "127.0.0.1:1"], 3, "cannot reach 127.0.0.1:1"),
        (&["similar", "shop", "together", "22423"], 3, "no path is named \"together\""),
    ];
    for (args, expected, message) in cases {
        let (code, out, err) = shop.run(args);
        assert_eq!((code, out.as_str()), (expected, ""), "{args:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(message), "{args:?}: {err}");
    }
}

/// An index whose answer tells that a server gave it.
struct Living;

impl Search for Living {
    fn describe(&self) -> IndexInfo {
        IndexInfo::default()
    }

    fn search(&self, request: &Value) -> Result<Box<RawValue>, Failure> {
        Ok(to_raw_value(&serde_json::json!({ "from": "the server", "request": request })).unwrap())
    }

    fn count(&self, _: &Value) -> Result<u64, Failure> {
        Ok(0)
    }

    fn document(&self, _: &str) -> Result<Option<Document>, Failure> {
        Ok(None)
    }
}

fn serve(job: &'static str) -> Server {
    let indexes: BTreeMap<String, Arc<dyn Search>> = [("codes".to_owned(), Arc::new(Living) as _)].into();
    let status = Arc::new(move || Status { job: job.to_owned(), state: RunState::Running, ..Status::default() });
    Server::start("127.0.0.1:0", AppState::new(status, indexes, BTreeMap::new(), Limits::default())).unwrap()
}

fn note(data: &Path, server: &Server) {
    let note = serde_json::json!({ "address": server.address().to_string(), "pid": std::process::id() });
    fs::write(data.join("server.json"), note.to_string()).unwrap();
}

#[test]
fn a_search_asks_the_server_that_runs_the_job() {
    let shop = Shop::new().with_results();
    let server = serve("shop");
    note(&shop.data(), &server);
    let (code, out, err) = shop.run(&["search", "shop", "codes", "{\"size\": 1}"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "{\n  \"from\": \"the server\",\n  \"request\": {\n    \"size\": 1\n  }\n}\n");
    let address = server.address().to_string();
    let (code, out, _) = shop.run(&["search", "shop", "codes", "--server", &address]);
    assert_eq!(code, 0);
    assert!(out.contains("the server"));
    server.stop().unwrap();
    let (code, out, _) = shop.run(&["search", "shop", "codes"]);
    assert_eq!(code, 0);
    assert_eq!(ids(&out).len(), 2, "a server that is gone is not asked");
}

#[test]
fn a_server_of_another_job_is_not_asked() {
    let shop = Shop::new().with_results();
    let server = serve("mall");
    note(&shop.data(), &server);
    let (code, out, _) = shop.run(&["search", "shop", "codes"]);
    assert_eq!((code, ids(&out).len()), (0, 2));
}
