//! The benchmark `recommend`: `GET /v1/recommend` of the retail example over loopback, alone and while orders come in. The
//! load generator is our own (`load.rs`), on the same machine.

use super::BenchArgs;
use super::figures::{Better, Figures};
use super::live::Live;
use super::load::load;
use crate::project::root;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const LASTS: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 8;
/// Customers of the shop have numbers from here on, three of four of which there are.
const CUSTOMERS: (u64, u64) = (12_346, 18_288);
/// Lines that shall come in each second in the second part, and how often some come.
const LINES_PER_S: u64 = 100_000;
const STEP: Duration = Duration::from_millis(100);

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let (mut alone, mut alone_p99) = (Figures::default(), Figures::default());
    let (mut busy, mut busy_p99, mut came) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..args.runs {
        // A shop of its own each time: the orders that come make lists longer.
        let folder = tempfile::tempdir()?;
        let (job, orders) = start(&binary, folder.path())?;
        let quiet = load(job.address(), (CONNECTIONS, LASTS), path)?;
        eprintln!(
            "alone: {:.0} a second, p50 {:.3} ms, p99 {:.3} ms",
            quiet.requests_per_s, quiet.p50_ms, quiet.p99_ms
        );
        alone.add(quiet.requests_per_s);
        alone_p99.add(quiet.p99_ms);
        let (loaded, per_s) = while_orders_come(&job, &orders)?;
        eprintln!(
            "while {per_s:.0} orders a second come: {:.0} a second, p50 {:.3} ms, p99 {:.3} ms",
            loaded.requests_per_s, loaded.p50_ms, loaded.p99_ms
        );
        busy.add(loaded.requests_per_s);
        busy_p99.add(loaded.p99_ms);
        came.add(per_s);
    }
    let figures = json!({
        "bench": "recommend",
        "runs": args.runs,
        "load_generator": "own, one thread, 8 connections that stay open",
        "requests_per_s": alone.median().round(),
        "best_requests_per_s": alone.best(Better::More).round(),
        "p99_ms": alone_p99.median(),
        "with_events": {
            "events_per_s": came.median().round(),
            "requests_per_s": busy.median().round(),
            "p99_ms": busy_p99.median(),
        },
    });
    println!("{figures}");
    Ok(())
}

/// The shipped shop, when it has read its orders, and the folder that more may come to.
fn start(binary: &Path, folder: &Path) -> Result<(Live, PathBuf)> {
    let orders = folder.join("orders");
    copy_orders(&orders)?;
    let more = [
        "--set".to_owned(),
        format!("sources.orders.path={}", orders.display()),
        "--set".to_owned(),
        "sources.orders.follow=true".to_owned(),
    ];
    let mut job = Live::start(binary, "examples/recommend-retail", folder, &more)?;
    job.wait_for_rest(1)?;
    Ok((job, orders))
}

/// Asks for another customer each time.
fn path(connection: usize, number: u64) -> String {
    let die = (number * 8 + connection as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    format!("/v1/recommend/home/{}?n=10", CUSTOMERS.0 + die % (CUSTOMERS.1 - CUSTOMERS.0))
}

fn while_orders_come(job: &Live, orders: &Path) -> Result<(super::load::Load, f64)> {
    let stop = AtomicBool::new(false);
    let before = job.status()?["records"].as_u64().context("no records in the status")?;
    let begin = Instant::now();
    let loaded = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(orders, &stop));
        let loaded = load(job.address(), (CONNECTIONS, LASTS), path);
        stop.store(true, Relaxed);
        feeder.join().expect("the feeder does not panic").and(loaded)
    })?;
    let after = job.status()?["records"].as_u64().context("no records in the status")?;
    Ok((loaded, (after - before) as f64 / begin.elapsed().as_secs_f64()))
}

/// Writes a file of orders each step.
fn feed(orders: &Path, stop: &AtomicBool) -> Result<()> {
    let (begin, mut written) = (Instant::now(), 0);
    for file in 0_u32.. {
        if stop.load(Relaxed) {
            break;
        }
        let due = (begin.elapsed().as_secs_f64() * LINES_PER_S as f64) as u64;
        let mut text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n".to_owned();
        for line in written..due.max(written + 1) {
            let die = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let (customer, product) = (CUSTOMERS.0 + die % (CUSTOMERS.1 - CUSTOMERS.0), 20_000 + die / 7_919 % 3_000);
            let (invoice, second) = (600_000 + line / 20, line / 1_000 % 60);
            writeln!(text, "{invoice},{product},THING,1,2011-12-10 10:00:{second:02},1.25,{customer},France")?;
        }
        written = due.max(written + 1);
        // In another place first, so that nobody reads half of it.
        let (draft, done) = (orders.with_extension("draft"), orders.join(format!("2012-{file:05}.csv")));
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
