//! The benchmark `freshness`: somebody looks at an item that was never seen, and at another, and what is looked at together
//! with the new one is asked for from then on, over HTTP and in Redis, while events come at half of the highest rate.

use super::BenchArgs;
use super::figures::Figures;
use super::live::Live;
use super::load::Connection;
use anyhow::{Context, Result, bail};
use proxima_servers::{Service, free_ports};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CUSTOMERS: u64 = 5_000;
const ITEMS: u64 = 2_000;
/// Events that are there before, and those by which the highest rate is found.
const EVENTS: u64 = 100_000;
const LASTS: Duration = Duration::from_secs(10);
/// How often events are written …
const STEP: Duration = Duration::from_millis(10);
/// … and in each how many steps there is one that is looked for.
const PROBE_EVERY: u64 = 5;
/// What cannot be read in this time counts as this.
const GIVE_UP: Duration = Duration::from_secs(10);
/// When the first event is: 2026-03-02, 00:00.
const BEGIN_MS: u64 = 1_772_409_600_000;

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let redis = Service::own("redis", &[("REDIS_PORT", free_ports(1).to_string())]);
    let (mut http, mut store) = (Part::default(), Part::default());
    for _ in 0..args.runs {
        http.add(&measure(&binary, None)?);
        store.add(&measure(&binary, Some(redis.address()))?);
    }
    let figures = json!({ "bench": "freshness", "runs": args.runs, "embedded": http.json(), "redis": store.json() });
    println!("{figures}");
    Ok(())
}

/// The figures of one way to read.
#[derive(Default)]
struct Part {
    events_per_s: Figures,
    p50: Figures,
    p99: Figures,
}

impl Part {
    fn add(&mut self, seen: &Seen) {
        self.events_per_s.add(seen.events_per_s);
        self.p50.add(seen.percentile(50));
        self.p99.add(seen.percentile(99));
    }

    fn json(&self) -> Value {
        let [events_per_s, p50, p99] = [&self.events_per_s, &self.p50, &self.p99].map(|figure| figure.median().round());
        json!({ "events_per_s": events_per_s, "p50_ms": p50, "p99_ms": p99 })
    }
}

/// When lists could be read.
struct Seen {
    events_per_s: f64,
    millis: Vec<f64>,
}

impl Seen {
    fn percentile(&self, of_100: usize) -> f64 {
        let at = (self.millis.len() * of_100).div_ceil(100).saturating_sub(1);
        self.millis.get(at).copied().unwrap_or(f64::NAN)
    }
}

fn measure(binary: &Path, redis: Option<&str>) -> Result<Seen> {
    let folder = tempfile::tempdir()?;
    let mut feed = Feed::new(folder.path())?;
    feed.write(EVENTS, None)?;
    let mut more = vec!["--set".to_owned(), format!("sources.events.path={}", feed.folder.display())];
    if let Some(address) = redis {
        more.extend(["--connect".to_owned(), "benches/freshness/redis.toml".to_owned()]);
        more.extend(["--set".to_owned(), format!("sinks.lists.addresses=[\"{address}\"]")]);
        Redis::open(address)?.ask(&["FLUSHALL"])?;
    }
    let mut job = Live::start(binary, "benches/freshness", folder.path(), &more)?;
    job.wait_for_rest(feed.written)?;
    let begin = Instant::now();
    feed.write(EVENTS, None)?;
    job.wait_for_rest(feed.written)?;
    let events_per_s = EVENTS as f64 / begin.elapsed().as_secs_f64() / 2.0;
    let mut reader = match redis {
        None => Reader::Http(Connection::open(job.address())?),
        Some(address) => Reader::Redis(Redis::open(address)?),
    };
    let mut millis = probe(&mut feed, &mut reader, events_per_s)?;
    millis.sort_by(f64::total_cmp);
    let seen = Seen { events_per_s, millis };
    let (p50, p99) = (seen.percentile(50), seen.percentile(99));
    let from = if redis.is_some() { "Redis" } else { "HTTP" };
    eprintln!(
        "{from}: {} lists at {events_per_s:.0} events a second: p50 {p50:.0} ms, p99 {p99:.0} ms",
        seen.millis.len()
    );
    if redis.is_some() {
        eprintln!("{}", job.status()?["lists"]);
    }
    Ok(seen)
}

/// Writes at a rate, and looks for the lists of new items.
fn probe(feed: &mut Feed, reader: &mut Reader, events_per_s: f64) -> Result<Vec<f64>> {
    let (begin, before) = (Instant::now(), feed.written);
    let (mut waiting, mut millis): (Vec<(String, Instant)>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut step = 0;
    while begin.elapsed() < LASTS || !waiting.is_empty() {
        if begin.elapsed() < LASTS && begin.elapsed() >= STEP * u32::try_from(step)? {
            step += 1;
            let due = (begin.elapsed().as_secs_f64() * events_per_s) as u64;
            let name = (step % PROBE_EVERY == 0).then(|| format!("probe-{step}"));
            feed.write(due.saturating_sub(feed.written - before), name.as_deref())?;
            waiting.extend(name.map(|name| (name, Instant::now())));
        }
        let mut left = Vec::new();
        for (name, since) in waiting {
            if reader.sees(&name)? || since.elapsed() > GIVE_UP {
                millis.push(since.elapsed().as_secs_f64() * 1000.0);
            } else {
                left.push((name, since));
            }
        }
        waiting = left;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(millis)
}

/// Looks at items, a line each, in a file that grows.
struct Feed {
    folder: PathBuf,
    file: File,
    written: u64,
}

impl Feed {
    fn new(folder: &Path) -> Result<Self> {
        let folder = folder.join("events");
        fs::create_dir(&folder)?;
        let file = File::create(folder.join("events.jsonl"))?;
        Ok(Self { folder, file, written: 0 })
    }

    /// Writes so many events, and one of somebody who is looked for.
    fn write(&mut self, events: u64, probe: Option<&str>) -> Result<()> {
        let mut lines = String::new();
        for event in self.written..self.written + events {
            let die = event.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
            self::line(&mut lines, &format!("c{}", die % CUSTOMERS), &item(die / CUSTOMERS), event)?;
        }
        self.written += events;
        if let Some(name) = probe {
            line(&mut lines, name, name, self.written)?;
            line(&mut lines, name, &item(self.written), self.written)?;
            self.written += 2;
        }
        self.file.write_all(lines.as_bytes()).context("the input cannot be written")
    }
}

fn line(lines: &mut String, customer: &str, item: &str, event: u64) -> std::fmt::Result {
    writeln!(lines, "{{\"customer\":\"{customer}\",\"item\":\"{item}\",\"at\":{}}}", BEGIN_MS + event / 100)
}

/// Some items are looked at more than others: the lesser of two throws.
fn item(die: u64) -> String {
    format!("i{}", (die % ITEMS).min(die / ITEMS % ITEMS))
}

/// Where lists are read.
enum Reader {
    Http(Connection),
    Redis(Redis),
}

impl Reader {
    fn sees(&mut self, item: &str) -> Result<bool> {
        match self {
            Self::Http(connection) => {
                let (status, body) = connection.get(&format!("/v1/similar/together/{item}?n=1"))?;
                Ok(status == 200 && serde_json::from_slice::<Value>(body)?["neighbours"][0].is_object())
            }
            Self::Redis(redis) => Ok(redis.ask(&["GET", &format!("together:{item}")])?.contains("\"items\":[{")),
        }
    }
}

/// The least that asks a Redis.
struct Redis(BufReader<TcpStream>);

impl Redis {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Gives an answer that is one text; an empty one for none.
    fn ask(&mut self, words: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        words.iter().try_for_each(|word| write!(request, "${}\r\n{word}\r\n", word.len()))?;
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.trim_end().split_at(1) {
            ("+", text) => Ok(text.to_owned()),
            ("$", "-1") => Ok(String::new()),
            ("$", length) => {
                let mut text = vec![0; length.parse::<usize>()? + 2];
                self.0.read_exact(&mut text)?;
                Ok(String::from_utf8(text)?)
            }
            _ => bail!("Redis answered {line}"),
        }
    }
}
