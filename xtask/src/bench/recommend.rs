//! The benchmark `recommend`: `GET /v1/recommend` of the retail example over loopback, while nothing changes, while few
//! orders come in, so that no answer is given twice, and while many do. The load generator is our own (`load.rs`), on the
//! same machine.

use super::BenchArgs;
use super::figures::{Better, Figures};
use super::live::Live;
use super::load::{Load, load};
use crate::project::root;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub(super) const LASTS: Duration = Duration::from_secs(5);
pub(super) const CONNECTIONS: usize = 8;
/// Customers of the shop have numbers from here on, three of four of which there are.
pub(super) const CUSTOMERS: (u64, u64) = (12_346, 18_288);
/// Lines that shall come in each second in the second and in the third part, and how often some come.
const LINES_PER_S: [u64; 2] = [10, 100_000];
const STEP: Duration = Duration::from_millis(100);

/// What was measured of one part, over all runs.
#[derive(Default)]
struct Measured {
    requests_per_s: Figures,
    p99_ms: Figures,
    events_per_s: Figures,
}

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let (mut alone, mut busy) = (Measured::default(), [Measured::default(), Measured::default()]);
    for _ in 0..args.runs {
        // A shop of its own each time: the orders that come make lists longer.
        let folder = tempfile::tempdir()?;
        let (job, orders) = start(&binary, folder.path(), &[])?;
        alone.add(&load(job.address(), (CONNECTIONS, LASTS), path)?, 0.0);
        for (part, measured) in busy.iter_mut().enumerate() {
            let (loaded, per_s) = while_orders_come(&job, &orders, part)?;
            measured.add(&loaded, per_s);
        }
    }
    let [few, many] = busy.map(|measured| {
        json!({
            "events_per_s": measured.events_per_s.median().round(),
            "requests_per_s": measured.requests_per_s.median().round(),
            "p99_ms": measured.p99_ms.median(),
        })
    });
    let figures = json!({
        "bench": "recommend",
        "runs": args.runs,
        "load_generator": "own, one thread, 8 connections that stay open",
        "requests_per_s": alone.requests_per_s.median().round(),
        "best_requests_per_s": alone.requests_per_s.best(Better::More).round(),
        "p99_ms": alone.p99_ms.median(),
        "with_few_events": few,
        "with_events": many,
    });
    println!("{figures}");
    Ok(())
}

impl Measured {
    fn add(&mut self, load: &Load, events_per_s: f64) {
        let Load { requests_per_s, p50_ms, p99_ms } = load;
        eprintln!(
            "while {events_per_s:.0} orders a second come: {requests_per_s:.0} a second, p50 {p50_ms:.3} ms, p99 {p99_ms:.3} ms"
        );
        self.requests_per_s.add(*requests_per_s);
        self.p99_ms.add(*p99_ms);
        self.events_per_s.add(events_per_s);
    }
}

/// The shipped shop, when it has read its orders, and the folder that more may come to.
pub(super) fn start(binary: &Path, folder: &Path, more: &[String]) -> Result<(Live, PathBuf)> {
    let orders = folder.join("orders");
    copy_orders(&orders)?;
    let path = format!("sources.orders.path={}", orders.display());
    let own = ["--set", &path, "--set", "sources.orders.follow=true"].map(str::to_owned);
    let more = [&own, more].concat();
    let mut job = Live::start(binary, "examples/recommend-retail", folder, &more)?;
    job.wait_for_rest(1)?;
    Ok((job, orders))
}

/// Asks for another customer each time.
pub(super) fn path(connection: usize, number: u64) -> String {
    let die = (number * 8 + connection as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    format!("/v1/recommend/home/{}?n=10", CUSTOMERS.0 + die % (CUSTOMERS.1 - CUSTOMERS.0))
}

fn while_orders_come(job: &Live, orders: &Path, part: usize) -> Result<(Load, f64)> {
    let stop = AtomicBool::new(false);
    let before = job.status()?["records"].as_u64().context("no records in the status")?;
    let begin = Instant::now();
    let loaded = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(orders, part, &stop));
        let loaded = load(job.address(), (CONNECTIONS, LASTS), path);
        stop.store(true, Relaxed);
        feeder.join().expect("the feeder does not panic").and(loaded)
    })?;
    let after = job.status()?["records"].as_u64().context("no records in the status")?;
    Ok((loaded, (after - before) as f64 / begin.elapsed().as_secs_f64()))
}

/// Writes a file of orders each step, as many as the part wants.
pub(super) fn feed(orders: &Path, part: usize, stop: &AtomicBool) -> Result<()> {
    let (begin, mut written) = (Instant::now(), 0);
    for file in 0_u32.. {
        if stop.load(Relaxed) {
            break;
        }
        let due = (begin.elapsed().as_secs_f64() * LINES_PER_S[part] as f64) as u64;
        let mut text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n".to_owned();
        for line in written..due.max(written + 1) {
            let die = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let (customer, product) = (CUSTOMERS.0 + die % (CUSTOMERS.1 - CUSTOMERS.0), 20_000 + die / 7_919 % 3_000);
            let (invoice, second) = (600_000 + line / 20, line / 1_000 % 60);
            writeln!(text, "{invoice},{product},THING,1,2011-12-10 10:00:{second:02},1.25,{customer},France")?;
        }
        written = due.max(written + 1);
        // In another place first, so that nobody reads half of it.
        let (draft, done) = (orders.with_extension("draft"), orders.join(format!("2012-{part}-{file:05}.csv")));
        fs::write(&draft, text)?;
        fs::rename(&draft, &done)?;
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// Copies the shipped orders.
fn copy_orders(to: &Path) -> Result<()> {
    let from = root().join("examples/retail/orders");
    fs::create_dir(to)?;
    for file in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}
