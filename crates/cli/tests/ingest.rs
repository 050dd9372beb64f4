//! The source `http` on the real binary: what was answered survives a kill, nothing comes twice, and the log lets go of
//! what no checkpoint needs.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};
use support::{PATIENCE, Shop};

const JOB: &str = "[job]
name = \"shop\"
[epoch]
interval = \"10ms\"
[checkpoint]
every = \"50ms\"
[sources.clicks]
kind = \"http\"
segment_bytes = \"1 KiB\"
[sinks.index]
kind = \"index\"
";
const VIEWS: &str = "CREATE TABLE clicks (item BIGINT, n BIGINT) WITH (source = 'clicks', format = 'json');
CREATE TABLE counts (item BIGINT, clicks BIGINT, total BIGINT, PRIMARY KEY (item) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO counts SELECT item, count(*), sum(n) FROM clicks GROUP BY item;
";
impl Shop {
    /// Posts a record, again until it is answered, and gives the answer.
    fn post(&mut self, item: u64, n: u64, key: &str) -> Value {
        let body = format!("{{\"item\":{item},\"n\":{n}}}");
        self.wait("an answer", |address| {
            let request = ureq::post(&format!("http://{address}/v1/ingest/clicks")).header("idempotency-key", key);
            let text = request.send(&body).ok()?.body_mut().read_to_string().ok()?;
            serde_json::from_str(&text).ok()
        })
    }

    /// Waits until the index holds these counts of items.
    fn holds(&mut self, wanted: &[(u64, u64, u64)]) {
        let rows: Vec<String> = wanted.iter().map(|(item, clicks, total)| format!("{item} {clicks} {total}")).collect();
        self.wait(&format!("{rows:?}"), |address| {
            let body = r#"{"sort": [{"item": "asc"}], "size": 100}"#;
            let request = ureq::post(&format!("http://{address}/v1/indexes/counts/_search"));
            let text = request.content_type("application/json").send(body).ok()?.body_mut().read_to_string().ok()?;
            let answer: Value = serde_json::from_str(&text).ok()?;
            let row = |hit: &Value| {
                let row = &hit["_source"];
                format!("{} {} {}", row["item"], row["clicks"], row["total"])
            };
            let found: Vec<String> = answer["hits"]["hits"].as_array()?.iter().map(row).collect();
            (found == rows).then_some(())
        });
    }

    fn segments(&self) -> usize {
        let files = fs::read_dir(self.folder.path().join(".proxima/shop/ingest/clicks")).unwrap();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "log")).count()
    }
}

#[test]
fn what_was_answered_is_counted_once_through_kills() {
    let mut shop = Shop::start(JOB, VIEWS);
    let (mut clicks, mut totals) = ([0; 3], [0; 3]);
    for round in 0..4 {
        for n in 0..40 {
            let item = (n % 3) as usize;
            let answer = shop.post(n % 3, n, &format!("{round}/{n}"));
            assert_eq!(answer["records"], 1);
            clicks[item] += 1;
            totals[item] += n;
        }
        // The last ones have been answered and may be in no checkpoint yet.
        shop.kill_and_go_on();
        let again = shop.post(0, 39, &format!("{round}/39"));
        assert_eq!(again["duplicate"], true, "the key is known after the restart");
    }
    let wanted: Vec<_> = (0..3).map(|item| (item as u64, clicks[item], totals[item])).collect();
    shop.holds(&wanted);
}

/// Nothing comes while the log is full, so nothing but the job itself can make room.
#[test]
fn a_full_log_takes_records_again_once_they_are_read() {
    let job =
        JOB.replace("every = \"50ms\"", "every = \"1h\"").replace("\"1 KiB\"", "\"1 KiB\"\nlog_bytes = \"4 KiB\"");
    let mut shop = Shop::start(&job, VIEWS);
    let mut refused = 0;
    for n in 0..200 {
        let body = format!("{{\"item\":1,\"n\":{n}}}");
        shop.wait("room in the log", |address| {
            let request = ureq::post(&format!("http://{address}/v1/ingest/clicks"));
            match request.send(&body) {
                Ok(_) => Some(()),
                Err(error) => {
                    refused += u32::from(matches!(error, ureq::Error::StatusCode(429)));
                    None
                }
            }
        });
    }
    assert!(refused > 0, "the log was never full");
    shop.holds(&[(1, 200, 199 * 100)]);
    // What a run finds full is let go of just so.
    shop.kill_and_go_on();
    for n in 0..100 {
        shop.post(2, n, &format!("{n}"));
    }
    shop.holds(&[(1, 200, 199 * 100), (2, 100, 99 * 50)]);
}

#[test]
fn the_log_lets_go_of_what_no_checkpoint_needs() {
    let mut shop = Shop::start(JOB, VIEWS);
    let mut most = 0;
    for n in 0..400 {
        shop.post(1, n, &format!("a/{n}"));
        most = most.max(shop.segments());
    }
    // A checkpoint needs records to come, and the oldest that is kept moves on with every eighth: a record now and then.
    let (begin, mut n) = (Instant::now(), 400);
    while shop.segments() > most / 2 {
        assert!(begin.elapsed() < PATIENCE, "{} segments of {most} are left", shop.segments());
        shop.post(1, n, &format!("a/{n}"));
        n += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    shop.kill_and_go_on();
    shop.post(2, 1, "b");
    shop.holds(&[(1, n, n * (n - 1) / 2), (2, 1, 1)]);
}
