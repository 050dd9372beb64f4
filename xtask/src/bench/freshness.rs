//! The benchmark `freshness`: somebody looks at an item that was never seen, and at another, and what is looked at together
//! with the new one is asked for from then on, while events come at half of the highest rate: from a file to HTTP and to
//! Redis, and from Kafka to Redis.
//!
//! The highest rate is that of some seconds in which events are written as soon as the job has read most of those before,
//! until all are read and no list waits: a shorter burst would be over before the sources are looked at twice, and half of
//! what comes of that is not what the job can take. Who writes and who looks for lists are threads of their own, so that
//! neither waits for the other; both share the cores with what is measured.
//!
//! A broker of Kafka that has just been started compiles itself for its first half minute, on the cores that are measured.
//! Those of a site do not, so the first measurement through Kafka is made twice, and counts from the second time on.

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
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

const CUSTOMERS: u64 = 5_000;
const ITEMS: u64 = 2_000;
/// Events that are there before, and those that are written at once while the highest rate is found.
const EVENTS: u64 = 100_000;
const PART: u64 = 20_000;
/// How long as many events come as can be taken in, and how many are written and not read by then.
const HIGHEST: Duration = Duration::from_secs(3);
const AHEAD: u64 = 200_000;
const LASTS: Duration = Duration::from_secs(10);
/// How often events are written …
const STEP: Duration = Duration::from_millis(10);
/// … and in each how many steps there is one that is looked for.
const PROBE_EVERY: u32 = 5;
/// What cannot be read in this time counts as this.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How long who looks for lists rests between two looks.
const LOOK: Duration = Duration::from_millis(1);
/// How many bytes kcat reads at a time. What does not fill them it holds back.
const PRODUCER_READS: usize = 1024;
/// When the first event is: 2026-03-02, 00:00.
const BEGIN_MS: u64 = 1_772_409_600_000;

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let binary = args.binary()?;
    let own = |name, port| Service::own(name, &[(port, free_ports(1).to_string())]);
    let (redis, kafka) = (own("redis", "REDIS_PORT"), own("kafka", "KAFKA_PORT"));
    let ways = [
        Way { name: "embedded", kafka: None, redis: None },
        Way { name: "redis", kafka: None, redis: Some(redis.address()) },
        Way { name: "kafka_redis", kafka: Some(&kafka), redis: Some(redis.address()) },
    ];
    let mut parts: [Part; 3] = Default::default();
    for run in 0..args.runs {
        for (way, part) in ways.iter().zip(&mut parts) {
            if way.kafka.is_some() && run == 0 {
                eprintln!("to warm the broker:");
                measure(&binary, way, "warm")?;
            }
            part.add(&measure(&binary, way, &run.to_string())?);
        }
    }
    let mut figures = json!({ "bench": "freshness", "runs": args.runs });
    for (way, part) in ways.iter().zip(&parts) {
        figures[way.name] = part.json();
    }
    println!("{figures}");
    Ok(())
}

/// From where events come, and where lists are read.
struct Way<'a> {
    name: &'static str,
    /// A file without it.
    kafka: Option<&'a Service>,
    /// HTTP without it.
    redis: Option<&'a str>,
}

/// The figures of one way.
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

/// One measurement; `run` tells its topic from others.
fn measure(binary: &Path, way: &Way<'_>, run: &str) -> Result<Seen> {
    let folder = tempfile::tempdir()?;
    let (mut feed, mut more) = match way.kafka {
        None => Feed::into_file(folder.path())?,
        Some(kafka) => Feed::into_topic(kafka, &format!("events-{run}"))?,
    };
    feed.write(EVENTS, None)?;
    if let Some(address) = way.redis {
        more.extend(connect("redis", &format!("sinks.lists.addresses=[\"{address}\"]")));
        Redis::open(address)?.ask(&["FLUSHALL"])?;
    }
    let mut job = Live::start(binary, "benches/freshness", folder.path(), &more)?;
    job.wait_for_rest(feed.written)?;
    let events_per_s = highest(&mut feed, &mut job)? / 2.0;
    let mut reader = match way.redis {
        None => Reader::Http(Connection::open(job.address())?),
        Some(address) => Reader::Redis(Redis::open(address)?),
    };
    let mut millis = probe(&mut feed, &mut reader, events_per_s)?;
    millis.sort_by(f64::total_cmp);
    let seen = Seen { events_per_s, millis };
    let (p50, p99) = (seen.percentile(50), seen.percentile(99));
    eprintln!(
        "{}: {} lists at {events_per_s:.0} events a second: p50 {p50:.0} ms, p99 {p99:.0} ms",
        way.name,
        seen.millis.len()
    );
    if way.redis.is_some() {
        eprintln!("{}", job.status()?["lists"]);
    }
    Ok(seen)
}

/// The words that lay a file over the job, and set an address in it.
fn connect(file: &str, address: &str) -> Vec<String> {
    ["--connect", &format!("benches/freshness/{file}.toml"), "--set", address].map(str::to_owned).to_vec()
}

/// How many events a second are taken in, and all their lists done, while they come for some seconds.
fn highest(feed: &mut Feed, job: &mut Live) -> Result<f64> {
    let (begin, before) = (Instant::now(), feed.written);
    while begin.elapsed() < HIGHEST {
        feed.write(PART, None)?;
        job.wait_for_records(feed.written.saturating_sub(AHEAD))?;
    }
    job.wait_for_rest(feed.written)?;
    Ok((feed.written - before) as f64 / begin.elapsed().as_secs_f64())
}

/// An item whose list is looked for, and since when.
type Probe = (String, Instant);

/// Writes at a rate, while somebody else looks for the lists of new items.
fn probe(feed: &mut Feed, reader: &mut Reader, events_per_s: f64) -> Result<Vec<f64>> {
    let (sender, probes) = mpsc::channel();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || look_for(reader, &probes));
        let (begin, before) = (Instant::now(), feed.written);
        for step in 1.. {
            std::thread::sleep((STEP * step).saturating_sub(begin.elapsed()));
            if begin.elapsed() > LASTS {
                break;
            }
            let due = (begin.elapsed().as_secs_f64() * events_per_s) as u64;
            let name = step.is_multiple_of(PROBE_EVERY).then(|| format!("probe-{step}"));
            feed.write(due.saturating_sub(feed.written - before), name.as_deref())?;
            // Who has failed looks for nothing more, and says why below.
            name.into_iter().for_each(|name| _ = sender.send((name, Instant::now())));
        }
        drop(sender);
        reading.join().expect("who reads does not panic")
    })
}

/// Looks for lists until nobody asks for more of them, and gives how long each took.
fn look_for(reader: &mut Reader, probes: &Receiver<Probe>) -> Result<Vec<f64>> {
    let (mut waiting, mut millis, mut is_over) = (Vec::<Probe>::new(), Vec::new(), false);
    while !is_over || !waiting.is_empty() {
        is_over = loop {
            match probes.try_recv() {
                Ok(probe) => waiting.push(probe),
                Err(error) => break error == TryRecvError::Disconnected,
            }
        };
        let mut left = Vec::new();
        for (name, since) in waiting {
            if reader.sees(&name)? || since.elapsed() > GIVE_UP {
                millis.push(since.elapsed().as_secs_f64() * 1000.0);
            } else {
                left.push((name, since));
            }
        }
        waiting = left;
        std::thread::sleep(LOOK);
    }
    Ok(millis)
}

/// Looks at items, a line each, into a file that grows or a topic.
struct Feed {
    input: Box<dyn Write>,
    written: u64,
    producer: Option<Child>,
}

impl Feed {
    /// With the words that tell a job of it.
    fn into_file(folder: &Path) -> Result<(Self, Vec<String>)> {
        let folder = folder.join("events");
        fs::create_dir(&folder)?;
        let input = Box::new(File::create(folder.join("events.jsonl"))?);
        let words = ["--set".to_owned(), format!("sources.events.path={}", folder.display())];
        Ok((Self { input, written: 0, producer: None }, words.to_vec()))
    }

    fn into_topic(kafka: &Service, topic: &str) -> Result<(Self, Vec<String>)> {
        let broker = kafka.address();
        let tool = ["tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", broker];
        kafka.run(&[&tool[..], &["--create", "--topic", topic, "--partitions", "1"]].concat());
        let mut command = Command::new("kcat");
        command.args(["-P", "-b", broker, "-t", topic, "-X", "linger.ms=1"]).stdin(Stdio::piped());
        let mut producer = command.spawn().context("cannot start kcat")?;
        let input = Box::new(producer.stdin.take().expect("it is piped"));
        let mut words = connect("kafka", &format!("sources.events.brokers={broker}"));
        words.extend(["--set".to_owned(), format!("sources.events.topics=[\"{topic}\"]")]);
        Ok((Self { input, written: 0, producer: Some(producer) }, words))
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
        if self.producer.is_some() {
            fill_reads(&mut lines);
        }
        self.input.write_all(lines.as_bytes()).and_then(|()| self.input.flush()).context("the input cannot be written")
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(producer) = &mut self.producer {
            // Both fail only if it has ended already.
            let _ = producer.kill();
            let _ = producer.wait();
        }
    }
}

/// Puts blanks into the last line, so that all lines together fill whole reads.
fn fill_reads(lines: &mut String) {
    let blanks = lines.len().wrapping_neg() % PRODUCER_READS;
    if let Some(end) = lines.strip_suffix("}\n").map(str::len) {
        lines.insert_str(end, &" ".repeat(blanks));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fill_whole_reads() -> Result<()> {
        let mut lines = String::new();
        fill_reads(&mut lines);
        assert_eq!(lines, "");
        for event in 0..40 {
            line(&mut lines, "c1", "i1", event)?;
            fill_reads(&mut lines);
            assert_eq!(lines.len() % PRODUCER_READS, 0);
        }
        assert_eq!(lines.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 40);
        Ok(())
    }
}
