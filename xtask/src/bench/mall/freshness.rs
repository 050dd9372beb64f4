//! How long after its arrival a record shows: the shop is sent at a steady rate, and new devices are looked for in the
//! index of active devices from the moment on at which their first page was sent.

use super::site::{Setting, Shop, Site, TOPICS, live_topic};
use crate::project::root;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often records are sent and devices are looked for.
const STEP: Duration = Duration::from_millis(20);
/// Making its indexes takes the cluster some seconds. What comes meanwhile waits, and would be what is measured.
const READY: Duration = Duration::from_secs(60);
/// The producers' machines and the job's first code warm up.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long it goes on, unless all is sent before.
const LASTS: Duration = Duration::from_secs(30);
/// What does not show in this time never will.
const GIVE_UP: Duration = Duration::from_secs(10);
/// The most devices that are looked for at once: asking must not be what loads the cluster.
const PROBES_MAX: usize = 20;

/// How long devices took to show.
pub(super) struct Freshness {
    pub(super) events_per_s: f64,
    pub(super) millis: Vec<f64>,
    pub(super) missing: usize,
}

impl Freshness {
    /// The time within which so many of a hundred were seen.
    pub(super) fn percentile(&self, of_100: usize) -> Option<f64> {
        let mut sorted = self.millis.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * of_100).div_ceil(100).saturating_sub(1);
        sorted.get(at).map(|millis| millis.round())
    }
}

pub(super) fn measure(site: &mut Site, binary: &Path, events_per_s: f64) -> Result<Freshness> {
    TOPICS.iter().for_each(|(_, topic, _)| site.make_topic(&live_topic(topic)));
    let shop = site.shop_of(binary, (events_per_s * LASTS.as_secs_f64()) as u64)?;
    let _job = start(site, binary)?;
    wait_until_ready(site)?;
    let mut feed = Feed::start(site, &shop, events_per_s)?;
    let index = format!("{}/{}active_devices", site.search(), site.prefix());
    let (mut waiting, mut seen) = (HashMap::new(), HashSet::new());
    let mut freshness = Freshness { events_per_s, millis: Vec::new(), missing: 0 };
    let (begin, lasts) = (Instant::now(), LASTS.min(feed.takes));
    while begin.elapsed() < lasts || !waiting.is_empty() {
        let sent = if begin.elapsed() < lasts { feed.send(begin.elapsed())? } else { Vec::new() };
        for device in sent {
            // Devices of the first seconds are known from then on, but are not looked for.
            let is_new = seen.insert(device.clone());
            if is_new && begin.elapsed() > WARM_UP && waiting.len() < PROBES_MAX {
                waiting.insert(device, Instant::now());
            }
        }
        for device in shown(&index, &waiting)? {
            let since = waiting.remove(&device).expect("only waiting devices are asked for");
            freshness.millis.push(since.elapsed().as_secs_f64() * 1000.0);
        }
        let before = waiting.len();
        waiting.retain(|_, since| since.elapsed() < GIVE_UP);
        freshness.missing += before - waiting.len();
        std::thread::sleep(STEP);
    }
    Ok(freshness)
}

/// Those of the devices that a search finds.
fn shown(index: &str, devices: &HashMap<String, Instant>) -> Result<Vec<String>> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&String> = devices.keys().collect();
    let body = json!({"size": 2 * PROBES_MAX, "_source": ["mid"], "query": {"terms": {"mid": names}}});
    let request = ureq::post(format!("{index}/_search")).config().http_status_as_error(false).build();
    let answer: Value = request.send_json(body).context("cannot ask Elasticsearch")?.body_mut().read_json()?;
    let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found: HashSet<&str> = hits.iter().filter_map(|hit| hit["_source"]["mid"].as_str()).collect();
    Ok(found.into_iter().map(str::to_owned).collect())
}

/// A process that ends with its handle.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(site: &mut Site, binary: &Path) -> Result<Ends> {
    let job = site.job(Setting::Live)?;
    let log = File::create(job.join("log"))?;
    let mut command = Command::new(binary);
    command.arg("run").arg(&job).args(["--listen", "127.0.0.1:0", "--workers", "2", "--data"]).arg(job.join("data"));
    command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(Ends(command.spawn().context("cannot start the job")?))
}

/// Waits until the job has made all of its indexes.
fn wait_until_ready(site: &Site) -> Result<()> {
    let settings = format!("{}/{}*/_settings", site.search(), site.prefix());
    let begin = Instant::now();
    while begin.elapsed() < READY {
        let made: Value = ureq::get(&settings).call().context("cannot ask Elasticsearch")?.body_mut().read_json()?;
        if made.as_object().is_some_and(|made| made.len() == site.targets) {
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
    bail!("the job has not made its indexes within a minute")
}

/// The shop on its way into topics, at a steady rate.
struct Feed {
    streams: Vec<Stream>,
    /// How long all of it would take.
    takes: Duration,
}

struct Stream {
    producer: Ends,
    text: String,
    sent: usize,
}

impl Feed {
    fn start(site: &Site, shop: &Shop, events_per_s: f64) -> Result<Self> {
        let mut streams = Vec::new();
        for (part, topic, _) in TOPICS {
            let mut producer = site.producer(&live_topic(topic));
            let producer = producer.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            streams.push(Stream { producer: Ends(producer), text: fs::read_to_string(shop.file(part))?, sent: 0 });
        }
        Ok(Self { streams, takes: Duration::from_secs_f64(shop.records as f64 / events_per_s) })
    }

    /// Sends what is due after so much time, and gives the devices whose pages were sent.
    fn send(&mut self, after: Duration) -> Result<Vec<String>> {
        let share = (after.as_secs_f64() / self.takes.as_secs_f64()).min(1.0);
        let mut devices = Vec::new();
        for Stream { producer, text, sent } in &mut self.streams {
            let upto = (text.len() as f64 * share) as usize;
            let upto = text.as_bytes()[..upto].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            if upto <= *sent {
                continue;
            }
            let Some(input) = producer.0.stdin.as_mut() else { bail!("a producer has no input") };
            input.write_all(&text.as_bytes()[*sent..upto]).and_then(|()| input.flush()).context("a producer ended")?;
            devices.extend(text[*sent..upto].lines().filter_map(device_of_page));
            *sent = upto;
        }
        Ok(devices)
    }
}

/// The device of a log line that tells of a page.
fn device_of_page(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["page"]["page_id"].as_str()?;
    line["ts"].as_i64()?;
    Some(line["common"]["mid"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let freshness = |millis: Vec<f64>| Freshness { events_per_s: 1.0, millis, missing: 0 };
        assert_eq!(freshness(Vec::new()).percentile(99), None);
        let hundred = freshness((1..=100).rev().map(f64::from).collect());
        assert_eq!((hundred.percentile(50), hundred.percentile(99)), (Some(50.0), Some(99.0)));
    }

    #[test]
    fn devices_are_those_of_whole_pages() {
        assert_eq!(device_of_page(r#"{"common":{"mid":"a"},"page":{"page_id":"home"},"ts":1}"#), Some("a".into()));
        for line in [r#"{"common":{"mid":"a"},"start":{},"ts":1}"#, r#"{"common":{"mid":"#, ""] {
            assert_eq!(device_of_page(line), None, "{line}");
        }
    }
}
