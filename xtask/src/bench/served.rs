//! The benchmark `served`: `proxima serve` answers recommendations and lists of the retail example from a Redis that is
//! started, while nothing changes and while orders come; its run, Redis and the load generator share the cores with it.

use super::BenchArgs;
use super::figures::Figures;
use super::live::Live;
use super::load::{Connection, Load, load};
use super::recommend::{CONNECTIONS, CUSTOMERS, LASTS, feed, path, start};
use crate::project::root;
use anyhow::{Context, Result, bail, ensure};
use proxima_servers::{Service, free_ports};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const JOB: &str = "examples/recommend-retail";
const OVERLAY: &str = "benches/recommend/redis.toml";
const PATIENCE: Duration = Duration::from_secs(30);
/// How many products are asked for, of those that customers are recommended.
const PRODUCTS: usize = 1_000;

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let redis = Service::own("redis", &[("REDIS_PORT", free_ports(1).to_string())]);
    let address = format!("sinks.lists.addresses=[\"{}\"]", redis.address());
    let more = ["--connect", OVERLAY, "--set", &address].map(str::to_owned);
    let mut parts: [Part; 4] = Default::default();
    for _ in 0..args.runs {
        redis_is_empty(&redis);
        let folder = tempfile::tempdir()?;
        let (job, orders) = start(&binary, folder.path(), &more)?;
        let served = Served::start(&binary, &more)?;
        measure(&served, &job, &orders, &mut parts)?;
    }
    let [alone, similar, few, similar_few] = parts.each_ref().map(Part::json);
    let figures = json!({
        "bench": "served", "runs": args.runs,
        "load_generator": "own, one thread, 8 connections that stay open",
        "recommend": alone, "similar": similar,
        "with_few_events": { "recommend": few, "similar": similar_few },
    });
    println!("{figures}");
    Ok(())
}

fn redis_is_empty(redis: &Service) {
    let (host, port) = redis.address().rsplit_once(':').expect("an address has a port");
    let status = Command::new("redis-cli").args(["-h", host, "-p", port, "FLUSHALL"]).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "redis-cli cannot empty {}", redis.address());
}

fn measure(served: &Served, job: &Live, orders: &Path, parts: &mut [Part; 4]) -> Result<()> {
    let products = products(&served.address)?;
    let similar = |connection: usize, number: u64| {
        let die = (number * 8 + connection as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        format!("/v1/similar/same_buyers/{}?n=10", products[die as usize % products.len()])
    };
    parts[0].add("recommend", &load(&served.address, (CONNECTIONS, LASTS), path)?);
    parts[1].add("similar", &load(&served.address, (CONNECTIONS, LASTS), similar)?);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(orders, 0, &stop));
        let loaded = load(&served.address, (CONNECTIONS, LASTS), path)
            .and_then(|recommend| Ok((recommend, load(&served.address, (CONNECTIONS, LASTS), similar)?)));
        stop.store(true, Relaxed);
        feeder.join().expect("the feeder does not panic")?;
        let (recommend, similar) = loaded?;
        parts[2].add("recommend, while orders come", &recommend);
        parts[3].add("similar, while orders come", &similar);
        anyhow::Ok(())
    })?;
    let lists = &job.status()?["lists"];
    ensure!(lists.as_array().is_some_and(|lists| !lists.is_empty()), "the run keeps no lists");
    Ok(())
}

/// The figures of one part.
#[derive(Default)]
struct Part {
    requests_per_s: Figures,
    p50_ms: Figures,
    p99_ms: Figures,
}

impl Part {
    fn add(&mut self, name: &str, load: &Load) {
        let Load { requests_per_s, p50_ms, p99_ms } = load;
        eprintln!("{name}: {requests_per_s:.0} a second, p50 {p50_ms:.3} ms, p99 {p99_ms:.3} ms");
        self.requests_per_s.add(*requests_per_s);
        self.p50_ms.add(*p50_ms);
        self.p99_ms.add(*p99_ms);
    }

    fn json(&self) -> Value {
        let Self { requests_per_s, p50_ms, p99_ms } = self;
        json!({
            "requests_per_s": requests_per_s.median().round(),
            "p50_ms": p50_ms.median(),
            "p99_ms": p99_ms.median(),
        })
    }
}

/// A `proxima serve`, which ends with the value.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(binary: &Path, more: &[String]) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_ports(1));
        let mut command = Command::new(binary);
        command.args(["serve", JOB, "--listen", &address]).args(more).current_dir(root());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("cannot start proxima serve")?;
        let served = Self { child, address };
        let begin = Instant::now();
        while Connection::open(&served.address).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "proxima serve does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Products that customers are recommended: their lists are there.
fn products(address: &str) -> Result<Vec<String>> {
    let mut connection = Connection::open(address)?;
    let mut products = std::collections::BTreeSet::new();
    for customer in CUSTOMERS.0..CUSTOMERS.1 {
        let (status, body) = connection.get(&format!("/v1/recommend/home_buyers/{customer}?n=20"))?;
        ensure!(status == 200, "answered with {status}: {}", String::from_utf8_lossy(body));
        let answer: Value = serde_json::from_slice(body)?;
        let items = answer["items"].as_array().with_context(|| format!("no items in {answer}"))?;
        // What is popular alone may have no list.
        let ranked = items.iter().filter(|item| item["origin"] == "ranked");
        products.extend(ranked.filter_map(|item| Some(item["id"].as_str()?.to_owned())));
        if products.len() >= PRODUCTS {
            return Ok(products.into_iter().collect());
        }
    }
    bail!("only {} products are recommended", products.len())
}
