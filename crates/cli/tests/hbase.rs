//! A job whose checkpoints are in HBase: killed and started again without its disk, and while HBase is slow or gone. On
//! the real binary, against a real HBase.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_servers::Service;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const VIEWS: &str = "CREATE TABLE orders (number BIGINT, code STRING, customer STRING, price DECIMAL(10, 3))
  WITH (source = 'orders', format = 'json');
CREATE TABLE sales (code STRING, sold BIGINT, customers BIGINT, revenue DECIMAL(20, 3), PRIMARY KEY (code) NOT ENFORCED)
  WITH (sink = 'results');
INSERT INTO sales SELECT code, count(*) AS sold, count(DISTINCT customer) AS customers, sum(price) AS revenue
FROM orders GROUP BY code;
";
/// Orders in each piece that is appended.
const PIECE: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A job with its sink, in a folder of its own, and a run of it.
struct Job {
    folder: TempDir,
    run: Option<Child>,
    orders: u64,
}

impl Job {
    /// The checkpoints are below a prefix that nobody else uses, behind this gateway.
    fn new(gateway: &str, sink: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
        let job = format!(
            "[job]\nname = \"kept\"\n[sources.orders]\nkind = \"file\"\npath = \"orders.jsonl\"\nfollow = true\n\
             [sinks.results]\nkind = \"{sink}\"\n\
             [checkpoint]\nevery = \"100ms\"\nat = \"hbase://{gateway}/proxima_test/{prefix}\"\n"
        );
        fs::write(folder.path().join("job.toml"), job).unwrap();
        fs::write(folder.path().join("views.sql"), VIEWS).unwrap();
        fs::write(folder.path().join("orders.jsonl"), "").unwrap();
        Self { folder, run: None, orders: 0 }
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(["run", ".", "--listen", "127.0.0.1:0", "--data", "data", "--workers", "2"]);
        self.run =
            Some(command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    }

    /// As by `kill -9`.
    fn kill(&mut self) {
        if let Some(mut run) = self.run.take() {
            // Both fail only if it has ended already.
            let _ = run.kill();
            let _ = run.wait();
        }
    }

    /// Ctrl-C; gives how long the end took.
    fn interrupt(&mut self) -> Duration {
        let mut run = self.run.take().expect("a run was started");
        let pid = i32::try_from(run.id()).unwrap();
        let begin = Instant::now();
        // SAFETY: sends a signal to a process of ours that was not waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        run.wait().unwrap();
        begin.elapsed()
    }

    /// Loses all of the disk but what is told.
    fn lose_disk(&self, but: &[&str]) {
        for entry in fs::read_dir(self.folder.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            if but.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }

    fn append(&mut self) {
        let path = self.folder.path().join("orders.jsonl");
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        let lines: String = (self.orders..self.orders + PIECE).map(|number| line(number) + "\n").collect();
        file.write_all(lines.as_bytes()).unwrap();
        self.orders += PIECE;
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Option<Value> {
        let note = fs::read(self.folder.path().join("data/server.json")).ok()?;
        let note: Value = serde_json::from_slice(&note).ok()?;
        let url = format!("http://{}{path}", note["address"].as_str()?);
        let answer = match body {
            Some(body) => ureq::post(&url).send_json(body),
            None => ureq::get(&url).call(),
        };
        answer.ok()?.body_mut().read_json().ok()
    }

    /// Asks until the answer is as wanted.
    fn wait(&mut self, path: &str, body: Option<&Value>, wanted: impl Fn(&Value) -> bool) -> Value {
        let (begin, mut last) = (Instant::now(), None);
        while begin.elapsed() < PATIENCE {
            let run = self.run.as_mut().expect("a run was started");
            assert!(run.try_wait().unwrap().is_none(), "the run ended by itself; last answer {last:?}");
            last = self.ask(path, body);
            if let Some(answer) = last.clone().filter(&wanted) {
                return answer;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{path} never gave what was wanted, at last {last:?}")
    }

    fn wait_status(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait("/v1/status", None, wanted)
    }

    /// Waits until the results are those of all orders.
    fn wait_results(&mut self) {
        let expected = sales(self.orders);
        let all = json!({"query": {"match_all": {}}, "sort": [{"code": "asc"}], "size": 1000});
        self.wait("/v1/indexes/sales/_search", Some(&all), |answer| {
            let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
            let row = |hit: &Value| {
                let row = &hit["_source"];
                let revenue = (row["revenue"].as_f64()? * 1000.0).round() as u64;
                Some((row["code"].as_str()?.to_owned(), (row["sold"].as_u64()?, row["customers"].as_u64()?, revenue)))
            };
            hits.iter().filter_map(row).collect::<BTreeMap<_, _>>() == expected
        });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.kill();
    }
}

fn order(number: u64) -> (String, u64, u64) {
    let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    (format!("c{:03}", dice % 97), dice / 97 % 5_000, dice % 10_000)
}

fn line(number: u64) -> String {
    let (code, customer, price) = order(number);
    let (whole, part) = (price / 1000, price % 1000);
    format!(r#"{{"number":{number},"code":"{code}","customer":"u{customer}","price":{whole}.{part:03}}}"#)
}

/// Of each code how many were sold, to how many customers, and the revenue in thousandths.
fn sales(orders: u64) -> BTreeMap<String, (u64, u64, u64)> {
    let mut sales: BTreeMap<String, (u64, std::collections::BTreeSet<u64>, u64)> = BTreeMap::new();
    for (code, customer, price) in (0..orders).map(order) {
        let of = sales.entry(code).or_default();
        of.0 += 1;
        of.1.insert(customer);
        of.2 += price;
    }
    sales
        .into_iter()
        .map(|(code, (sold, customers, revenue))| (code, (sold, customers.len() as u64, revenue)))
        .collect()
}

fn committed(status: &Value) -> u64 {
    status["checkpoints"]["committed"].as_u64().unwrap_or(0)
}

fn waits_for(status: &Value) -> &str {
    status["checkpoints"]["waits_for"].as_str().unwrap_or_default()
}

/// The embedded index stands for a sink elsewhere: all that operators hold comes from HBase.
#[test]
#[ignore = "starts HBase"]
fn a_killed_run_without_its_disk_goes_on_from_hbase_alone() {
    let service = Service::start("hbase");
    let mut job = Job::new(service.address(), "index");
    for _ in 0..3 {
        job.append();
        job.start();
        job.wait_status(|status| committed(status) >= 1);
        job.append();
        let records = job.orders - PIECE / 2;
        job.wait_status(|status| status["records"].as_u64() > Some(records));
        job.kill();
        job.lose_disk(&["index", "proxima.json"]);
    }
    job.start();
    job.wait_results();
}

/// Nothing at all is left of the data folder, and what was read before has changed since: it is not read again.
#[test]
#[ignore = "starts HBase"]
fn a_run_on_an_empty_disk_goes_on_from_hbase_alone() {
    let service = Service::start("hbase");
    let mut job = Job::new(service.address(), "discard");
    job.append();
    job.start();
    let keys = |status: &Value| -> u64 {
        let operators = status["operators"].as_array().into_iter().flatten();
        operators.filter_map(|operator| operator["keys"].as_u64()).sum()
    };
    let read = |records: u64| {
        move |status: &Value| status["records"].as_u64() == Some(records) && status["operators"][0]["keys"] == 97
    };
    let before = job.wait_status(read(PIECE));
    // The next piece comes in this epoch or a later one. A checkpoint of it holds the first piece, and perhaps both.
    let epoch = job.wait_status(|_| true)["epochs"]["current"].as_u64();
    job.append();
    job.wait_status(|status| status["checkpoints"]["epoch"].as_u64() >= epoch);
    job.kill();
    fs::remove_dir_all(job.folder.path().join("data")).unwrap();
    let path = job.folder.path().join("orders.jsonl");
    let orders = fs::read_to_string(&path).unwrap();
    let (code, _, _) = order(PIECE / 2);
    let mut lines: Vec<_> = orders.lines().map(str::to_owned).collect();
    lines[PIECE as usize / 2] = lines[PIECE as usize / 2].replace(&code, "zzzz");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    job.append();
    job.start();
    let status = job.wait_status(read(job.orders));
    assert_eq!(keys(&status), keys(&before), "no code is new: {status}");
}

/// Lets connections through to the gateway, until it is closed.
struct Door {
    listening: Option<thread::JoinHandle<()>>,
    address: String,
    through: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Door {
    fn open(address: &str, gateway: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let through = Arc::new(Mutex::new(Some(Vec::new())));
        let (all, gateway) = (Arc::clone(&through), gateway.to_owned());
        let listening = Some(thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let server = TcpStream::connect(&gateway).unwrap();
                let Some(all) = &mut *all.lock().unwrap() else { return };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
                all.extend([client, server]);
            }
        }));
        Self { listening, address, through }
    }

    /// Cuts all connections, and takes no more.
    fn close(&mut self) {
        let through = self.through.lock().unwrap().take();
        through.iter().flatten().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        let _ = TcpStream::connect(&self.address);
        self.listening.take().unwrap().join().unwrap();
    }
}

#[test]
#[ignore = "starts HBase"]
fn a_gateway_that_is_gone_is_waited_for() {
    let service = Service::start("hbase");
    let mut door = Door::open("127.0.0.1:0", service.address());
    let mut job = Job::new(&door.address, "index");
    job.append();
    job.start();
    job.wait_status(|status| committed(status) >= 1);
    door.close();
    job.append();
    let status = job.wait_status(|status| waits_for(status).contains("refused"));
    assert!(waits_for(&status).contains(&door.address), "{status}");
    let _door = Door::open(&door.address, service.address());
    job.append();
    job.wait_results();
    job.wait_status(|status| waits_for(status).is_empty());
}

/// Lets a frozen server go on, also when a test fails.
struct Frozen<'a>(&'a Service);

impl<'a> Frozen<'a> {
    fn freeze(service: &'a Service) -> Self {
        service.run(&["pause"]);
        Self(service)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.run(&["resume"]);
    }
}

#[test]
#[ignore = "starts HBase"]
fn a_frozen_hbase_is_waited_for() {
    let service = Service::start("hbase");
    let mut job = Job::new(service.address(), "index");
    job.append();
    job.start();
    job.wait_status(|status| committed(status) >= 1);
    let frozen = Frozen::freeze(&service);
    job.append();
    job.wait_status(|status| waits_for(status).contains("has not answered for"));
    let begin = Instant::now();
    job.wait_status(|status| waits_for(status).contains("no answer within"));
    assert!(begin.elapsed() < Duration::from_secs(30), "waiting for one answer is bounded");
    drop(frozen);
    job.append();
    job.wait_results();
}

#[test]
#[ignore = "starts HBase"]
fn a_run_that_waits_ends_at_ctrl_c() {
    let service = Service::start("hbase");
    let mut job = Job::new(service.address(), "index");
    job.append();
    job.start();
    job.wait_status(|status| committed(status) >= 1);
    let frozen = Frozen::freeze(&service);
    job.append();
    job.wait_status(|status| waits_for(status).contains("has not answered for"));
    let took = job.interrupt();
    assert!(took < Duration::from_secs(5), "the end took {took:?}");
    drop(frozen);
    job.start();
    job.wait_results();
}
