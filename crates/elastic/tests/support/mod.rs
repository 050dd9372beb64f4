//! What the tests against real servers share: servers, rows, and a second way to look at an index.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it, as a module of its own")]

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use proxima_elastic::{Cluster, ClusterConfig, ElasticSink, IndexPattern, TargetConfig};
use proxima_event::{Changes, Epoch, Generation, Sink, Version};
use reqwest::{Client, Method};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The products that every test is carried out on.
pub const PRODUCTS: [&str; 2] = ["elasticsearch", "opensearch"];

/// The address of the server that all tests share.
pub fn server(product: &str) -> String {
    static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = STARTING.lock().unwrap();
    run_script(product, "start", &[])
}

/// Runs a service's script, which says the address at its end.
pub fn run_script(product: &str, command: &str, settings: &[(&str, String)]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../services/{product}.sh"));
    let mut script = Command::new(script);
    script.arg(command).stdin(Stdio::null()).envs(settings.iter().map(|(name, value)| (name, value)));
    let output = script.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{product}.sh {command}: {said}");
    said.lines()
        .rev()
        .find_map(|line| line.split_once("ready: "))
        .map(|(_, at)| at.trim().to_owned())
        .unwrap_or_default()
}

/// A name that no other test uses.
pub fn name(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    format!("test_{what}_{}_{}_{nanos}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn cluster(address: &str) -> Arc<Cluster> {
    Cluster::new(ClusterConfig::new("search", vec![address.to_owned()])).unwrap()
}

/// A row of the tests' target: its key, a text, hundredths.
pub type Row<'a> = (i64, Option<&'a str>, i128);

pub fn rows(rows: &[Row<'_>]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let names: ArrayRef = Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row.1)));
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| (row.0.rem_euclid(3)) as i32)));
    let prices = Decimal128Array::from_iter_values(rows.iter().map(|row| row.2));
    let prices: ArrayRef = Arc::new(prices.with_precision_and_scale(16, 2).unwrap());
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, false),
        ("name", names, true),
        ("day", days, false),
        ("price", prices, true),
    ])
    .unwrap()
}

pub fn target(index: &str) -> TargetConfig {
    let pattern: IndexPattern = index.parse().unwrap();
    TargetConfig::new(pattern, rows(&[]).schema(), vec![0, 2])
}

pub fn sink(cluster: &Arc<Cluster>, index: &str) -> ElasticSink {
    ElasticSink::new(cluster, target(index)).unwrap()
}

pub fn version(generation: u64, epoch: u64) -> Version {
    Version::new(Generation(generation), Epoch(epoch))
}

/// Writes rows (weight 1) and deletes (weight −1), and flushes.
pub fn write(sink: &mut ElasticSink, version: Version, upserts: &[Row<'_>], deletes: &[i64]) {
    let mut all = upserts.to_vec();
    all.extend(deletes.iter().map(|&id| (id, None, 0)));
    let weights = upserts.iter().map(|_| 1).chain(deletes.iter().map(|_| -1)).collect();
    sink.write(version, &[Changes::weighted(rows(&all), weights)]).unwrap();
    sink.flush().unwrap();
}

/// The id of a row, as it is made of `id` and `day`.
pub fn id(of: i64) -> String {
    format!("{of}|1970-01-0{}", of.rem_euclid(3) + 1)
}

/// Asks a server directly.
pub fn ask(method: Method, url: &str, body: Option<Value>) -> (u16, Value) {
    static ASKING: OnceLock<(Runtime, Client)> = OnceLock::new();
    let (runtime, client) = ASKING.get_or_init(|| (Runtime::new().unwrap(), Client::new()));
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    runtime.block_on(async {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    })
}

/// Every document of an index: id, version, name and price, in the order of ids.
pub fn documents(address: &str, index: &str) -> Vec<(String, u64, Value, Value)> {
    ask(Method::POST, &format!("{address}/{index}/_refresh"), None);
    let body = serde_json::json!({"size": 10_000, "version": true, "sort": ["_id"]});
    let (status, answer) = ask(Method::POST, &format!("{address}/{index}/_search"), Some(body));
    assert_eq!(status, 200, "{answer}");
    let hits = answer["hits"]["hits"].as_array().unwrap().iter();
    hits.map(|hit| {
        let source = &hit["_source"];
        let id = hit["_id"].as_str().unwrap().to_owned();
        (id, hit["_version"].as_u64().unwrap(), source["name"].clone(), source["price"].clone())
    })
    .collect()
}

/// Waits for something that must come to be, for a generous time.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Takes the test's indexes away again.
pub struct Cleanup(pub String, pub String);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let Self(address, index) = self;
        let (_, found) = ask(Method::GET, &format!("{address}/{index}/_settings"), None);
        for name in found.as_object().into_iter().flat_map(|found| found.keys()) {
            ask(Method::DELETE, &format!("{address}/{name}"), None);
        }
        let template = format!("proxima-{}", index.replace('*', "any"));
        ask(Method::DELETE, &format!("{address}/_index_template/{template}"), None);
    }
}
