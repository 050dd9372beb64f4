//! What `proxima run` says when a server is not there, wants another password, lacks a topic, or holds an index of other
//! fields: on the real binary, against real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_servers::{Service, free_ports};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const VIEWS: &str = "CREATE TABLE orders (code STRING, name STRING, price DECIMAL(10, 3))
  WITH (source = 'orders', format = 'json');
CREATE TABLE TARGET (code STRING, name STRING, sold BIGINT, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'results');
INSERT INTO TARGET SELECT code, max(name) AS name, count(*) AS sold FROM orders GROUP BY code;
";
const ORDERS: &str = "{\"code\":\"a\",\"name\":\"17\",\"price\":1}\n{\"code\":\"b\",\"name\":\"Bowl\",\"price\":2}\n";
const FILE: &str = "[sources.orders]\nkind = \"file\"\npath = \"orders.jsonl\"\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// A job in a folder of its own.
struct Job {
    folder: TempDir,
    target: String,
}

impl Job {
    /// A job of a source and the sink `results`, which writes to a target of a random name.
    fn new(source: &str, sink: &str) -> Self {
        let (folder, target) = (tempfile::tempdir().unwrap(), format!("told_{}", free_name()));
        fs::write(folder.path().join("job.toml"), format!("[job]\nname = \"told\"\n{source}[sinks.results]\n{sink}\n"))
            .unwrap();
        fs::write(folder.path().join("views.sql"), VIEWS.replace("TARGET", &target)).unwrap();
        fs::write(folder.path().join("orders.jsonl"), ORDERS).unwrap();
        Self { folder, target }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(["run", ".", "--listen", "127.0.0.1:0", "--data", "data"]).current_dir(self.folder.path());
        command.env("SECRET", "a wrong secret").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn ends(&self) -> Output {
        self.command().arg("--until-end").output().unwrap()
    }

    /// What it says when it fails; never the password.
    fn fails(&self) -> String {
        let output = self.ends();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("wrong secret"), "{said}");
        said
    }
}

/// A run that is ended with the test.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_name() -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{}_{nanos}", std::process::id())
}

fn kafka(brokers: &str, topic: &str, more: &str) -> String {
    format!("[sources.orders]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\n{more}\n")
}

/// Search clusters by their kinds, with their addresses.
fn search() -> Vec<(&'static str, String)> {
    ["elasticsearch", "opensearch"].map(|kind| (kind, address(&Service::start(kind)))).to_vec()
}

fn address(service: &Service) -> String {
    format!("http://{}", service.address().trim_start_matches("http://"))
}

fn put(url: &str, body: &Value) {
    ureq::put(url).send_json(body).unwrap();
}

fn contains_all(said: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in {said}"));
}

#[test]
#[ignore = "starts Kafka"]
fn a_missing_topic_is_told_with_those_that_are_there() {
    let service = Service::start("kafka");
    let said = Job::new(&kafka(service.address(), "no-such-topic", ""), "kind = \"index\"").fails();
    contains_all(&said, &["source \"orders\"", "has no topic \"no-such-topic\"", "look at topics, or create it"]);
    let sink = format!("kind = \"kafka\"\nbrokers = \"{}\"", service.address());
    let job = Job::new(FILE, &sink);
    contains_all(&job.fails(), &[&format!("has no topic \"{}\"", job.target), "look at topics, or create it"]);
}

#[test]
#[ignore = "waits for servers that are not there"]
fn a_server_that_is_not_there_is_told() {
    let place = format!("127.0.0.1:{}", free_ports(1));
    let said = Job::new(&kafka(&place, "orders", "connect_timeout = \"1s\""), "kind = \"index\"").fails();
    contains_all(&said, &[&format!("cannot reach Kafka at {place}: "), "refused", "look at brokers"]);
    let said = Job::new(FILE, &format!("kind = \"redis\"\naddresses = [\"{place}\"]\ntimeout = \"1s\"")).fails();
    contains_all(&said, &[&format!("cannot connect to redis {place}: "), "refused"]);
}

/// A search cluster that is not there is waited for, and the status says so.
#[test]
#[ignore = "waits for a server that is not there"]
fn a_search_cluster_is_waited_for() {
    let place = format!("http://127.0.0.1:{}", free_ports(1));
    let job = Job::new(FILE, &format!("kind = \"elasticsearch\"\naddresses = [\"{place}\"]"));
    let mut run = Run(job.command().stderr(Stdio::null()).spawn().unwrap());
    let begin = Instant::now();
    loop {
        assert!(run.0.try_wait().unwrap().is_none(), "it is waited for");
        let note = fs::read_to_string(job.folder.path().join("data/server.json")).unwrap_or_default();
        let server = serde_json::from_str::<Value>(&note).unwrap_or_default()["address"].to_string();
        let status = ureq::get(format!("http://{}/v1/status", server.trim_matches('"'))).call();
        let status = status.ok().and_then(|mut answer| answer.body_mut().read_to_string().ok()).unwrap_or_default();
        if status.contains("waits_for") && status.contains(&format!("{place}: ")) && status.contains("refused") {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "the status never says it: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "starts Kafka and Redis with logins"]
fn a_wrong_password_is_told_and_never_shown() {
    let port = free_ports(1);
    let settings = [("KAFKA_SASL", "1"), ("KAFKA_PORT", &port.to_string()), ("KAFKA_HEAP", "320m")];
    let _kafka = Service::own("kafka", &settings.map(|(key, value)| (key, value.to_owned())));
    let security = "security = { user = \"proxima\", password_env = \"SECRET\", mechanism = \"PLAIN\" }";
    let source = kafka(&format!("127.0.0.1:{}", port + 50), "orders", security);
    let said = Job::new(&source, "kind = \"index\"").fails();
    contains_all(&said, &["does not let us in as \"proxima\"", "look at user, password and mechanism"]);

    let redis = Service::own("redis", &[("REDIS_PORT", free_ports(1).to_string())]);
    let (host, port) = redis.address().split_once(':').unwrap();
    let set = ["-h", host, "-p", port, "config", "set", "requirepass", "right"];
    assert!(Command::new("redis-cli").args(set).stdout(Stdio::null()).status().unwrap().success());
    let sink = format!("kind = \"redis\"\naddresses = [\"{}\"]\npassword_env = \"SECRET\"", redis.address());
    let said = Job::new(FILE, &sink).fails();
    contains_all(&said, &["cannot connect to redis", "check username and password"]);
}

#[test]
#[ignore = "starts OpenSearch with logins and TLS"]
fn a_search_cluster_lets_in_who_has_the_password() {
    let port = free_ports(1);
    let settings = [
        ("OPENSEARCH_SECURITY", "1".to_owned()),
        ("OPENSEARCH_PORT", port.to_string()),
        ("OPENSEARCH_TRANSPORT_PORT", (port + 100).to_string()),
        ("OPENSEARCH_HEAP", "512m".to_owned()),
    ];
    let service = Service::own("opensearch", &settings);
    let (address, authority) = (service.address(), service.data().join("config/tls/ca.pem").display().to_string());
    let sink = format!(
        "kind = \"opensearch\"\naddresses = [\"{address}\"]\nuser = \"proxima\"\npassword_env = \"SECRET\"\n\
         ca_file = \"{authority}\"\nrefresh = \"wait_for\""
    );
    let job = Job::new(FILE, &sink);
    let place = format!("cannot prepare {} at {address}: Unauthorized", job.target);
    contains_all(&job.fails(), &[&place, "look at the sink's user and password"]);

    let output = job.command().arg("--until-end").env("SECRET", "proxima").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let count = format!("{address}/{}/_count", job.target);
    let found = Command::new("curl").args(["-s", "--cacert", &authority, "-u", "proxima:proxima", &count]).output();
    let found: Value = serde_json::from_slice(&found.unwrap().stdout).unwrap();
    assert_eq!(found["count"], 2, "{found}");
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn an_index_of_other_fields_is_told() {
    for (kind, address) in search() {
        let job = Job::new(FILE, &format!("kind = \"{kind}\"\naddresses = [\"{address}\"]"));
        let index = format!("{address}/{}", job.target);
        put(&index, &json!({"mappings": {"properties": {"name": {"type": "long"}}}}));
        contains_all(&job.fails(), &[&job.target, "has other fields than the target", "template = false"]);
        ureq::delete(&index).call().unwrap();
    }
}

/// With somebody's own mapping, documents that do not fit it are kept with the server's reason, and the rest is written.
#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn a_document_that_does_not_fit_is_kept_with_the_reason() {
    for (kind, address) in search() {
        let sink = format!("kind = \"{kind}\"\naddresses = [\"{address}\"]\ntemplate = false\nrefresh = \"wait_for\"");
        let job = Job::new(FILE, &sink);
        let index = format!("{address}/{}", job.target);
        put(&index, &json!({"mappings": {"properties": {"name": {"type": "long"}}}}));
        let output = job.ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let kept = fs::read_to_string(job.folder.path().join(format!("data/rejected/{}.jsonl", job.target))).unwrap();
        assert_eq!(kept.lines().count(), 1, "{kept}");
        contains_all(&kept, &["Bowl", "failed to parse field [name] of type [long]"]);
        let found: Value = ureq::get(format!("{index}/_search")).call().unwrap().body_mut().read_json().unwrap();
        assert_eq!(found["hits"]["hits"].as_array().unwrap().len(), 1, "{found}");
        ureq::delete(&index).call().unwrap();
    }
}

/// Redis holds the offsets and hangs: the run ends all the same, and the next one knows nothing less.
#[test]
#[ignore = "starts Redis"]
fn a_stop_does_not_wait_for_a_server_that_hangs() {
    let redis = Service::own("redis", &[("REDIS_PORT", free_ports(1).to_string())]);
    let sinks = format!(
        "kind = \"index\"\n[sinks.red]\nkind = \"redis\"\naddresses = [\"{}\"]\n[checkpoint]\noffsets = \"red\"",
        redis.address()
    );
    let job = Job::new(&format!("{FILE}follow = true\n"), &sinks);
    let log = job.folder.path().join("log");
    let child = job.command().stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut run = Run(child);
    let signal = |name: &str, process: &str| {
        assert!(Command::new("kill").args([name, process]).status().unwrap().success());
    };
    let sold = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(["search", ".", &job.target, "{}", "--data", "data"]).current_dir(job.folder.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap().matches("\"sold\": 1").count()
    };
    let begin = Instant::now();
    while sold() < 2 {
        assert!(begin.elapsed() < PATIENCE, "{}", fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    let server = redis.processes()[0].1.to_string();
    signal("-STOP", &server);
    let mut orders = fs::File::options().append(true).open(job.folder.path().join("orders.jsonl")).unwrap();
    orders.write_all(b"{\"code\":\"c\",\"name\":\"Cup\",\"price\":3}\n").unwrap();
    let begin = Instant::now();
    while sold() < 3 {
        assert!(begin.elapsed() < PATIENCE, "the third order never came");
        std::thread::sleep(Duration::from_millis(100));
    }
    // A checkpoint hangs by now.
    std::thread::sleep(Duration::from_secs(2));
    signal("-TERM", &run.0.id().to_string());
    let begin = Instant::now();
    while run.0.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(8), "it waits for Redis");
        std::thread::sleep(Duration::from_millis(50));
    }
    signal("-CONT", &server);
    assert!(job.command().args(["--until-end", "--set", "sources.orders.follow=false"]).status().unwrap().success());
    assert_eq!(sold(), 3);
}
