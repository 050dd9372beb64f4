//! Requests to forget somebody, on the real binary: who is answered to be forgotten is, through kills at any moment, and
//! what comes of them later is a new beginning.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::{Value, json};
use std::process::Command;
use support::Shop;
use tempfile::TempDir;

const JOB: &str = "[job]
name = \"shop\"
[epoch]
interval = \"10ms\"
[checkpoint]
every = \"150ms\"
[sources.clicks]
kind = \"http\"
[relations.viewed]
from = \"SELECT user_id AS subject, item AS object FROM clicks\"
subject = \"user\"
object = \"item\"
[forget]
requests = true
[paths.seen]
hop = \"viewed\"
[paths.also]
left = { hop = \"viewed\", reverse = true }
right = { hop = \"viewed\" }
merger = \"cosine\"
";
/// Paths whose lists are kept: those of a person, and those in which persons stand.
const LISTS: &str = "[paths.kept]
hop = \"viewed\"
output = { n = 10 }
[paths.alike]
left = { hop = \"viewed\" }
right = { hop = \"viewed\", reverse = true }
merger = \"count\"
output = { n = 10 }
";
const VIEWS: &str =
    "CREATE TABLE clicks (user_id STRING, item STRING) WITH (source = 'clicks', format = 'json') -- the last line";
impl Shop {
    /// Posts a click, once.
    fn click(&mut self, user: &str, item: &str) {
        let (body, key) = (json!({ "user_id": user, "item": item }).to_string(), format!("{user} {item}"));
        self.wait("an answer", |address| {
            let request = ureq::post(&format!("http://{address}/v1/ingest/clicks")).header("idempotency-key", &key);
            request.send(&body).ok()
        });
    }

    /// Waits until a path leads from an object to these others; to none where it is not known.
    fn leads(&mut self, path: &str, from: &str, to: &[String]) {
        let mut last = None;
        self.wait(&format!("{path} from {from} to {to:?}"), |address| {
            last = Some(ask(address, path, from)?);
            (last.as_deref().unwrap() == to).then_some(())
        });
    }

    /// What a path leads to at this moment.
    fn now(&mut self, path: &str, from: &str) -> Vec<String> {
        self.wait("an answer", |address| ask(address, path, from))
    }

    fn forget(&mut self, user: &str) -> Value {
        self.wait("an answer", |address| {
            let mut answer = ureq::delete(&format!("http://{address}/v1/objects/user/{user}")).call().ok()?;
            serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
        })
    }
}

/// What a path leads to, by text; nothing from an object that is not known.
fn ask(address: &str, path: &str, from: &str) -> Option<Vec<String>> {
    match ureq::get(&format!("http://{address}/v1/similar/{path}/{from}")).call() {
        Err(ureq::Error::StatusCode(404)) => Some(Vec::new()),
        Err(_) => None,
        Ok(mut answer) => {
            let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
            let ids = answer["neighbours"].as_array()?.iter().map(|one| one["id"].as_str().unwrap().to_owned());
            let mut ids: Vec<String> = ids.collect();
            ids.sort();
            Some(ids)
        }
    }
}

/// What the store in the data folder holds for an object, while nobody runs.
fn stored(folder: &TempDir, path: &str, of: &str) -> Option<Vec<String>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    let output = command.args(["similar", "shop", path, of]).current_dir(folder.path()).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    let ids = answer["neighbours"].as_array()?.iter().map(|one| one["id"].as_str().unwrap().to_owned());
    Some(ids.collect())
}

/// Nothing of any list waits, and all have been written.
fn wait_for_lists(shop: &mut Shop) {
    let mut since = None;
    shop.wait("all lists", |address| {
        let status = ureq::get(&format!("http://{address}/v1/status")).call().ok()?.body_mut().read_to_string().ok()?;
        let status: Value = serde_json::from_str(&status).ok()?;
        let is_at_rest = |lists: &Value| lists["waiting"] == 0 && lists["in_flight"] == 0 && lists["written"] != 0;
        if !status["lists"].as_array()?.iter().all(is_at_rest) {
            since = None;
            return None;
        }
        // What was put out last is in the store when its epoch is done.
        let since = *since.get_or_insert(status["epochs"]["current"].as_u64()?);
        (status["epochs"]["done"].as_u64()? > since).then_some(())
    });
}

#[test]
fn when_it_is_answered_no_list_in_the_store_names_who_is_forgotten() {
    let mut shop = Shop::start(&format!("{JOB}{LISTS}"), VIEWS);
    for (user, item) in [("ann", "a"), ("ann", "b"), ("bob", "a"), ("bob", "c")] {
        shop.click(user, item);
    }
    wait_for_lists(&mut shop);
    shop.interrupt_and_go_on(|folder| {
        assert_eq!(stored(folder, "kept", "ann").unwrap().len(), 2);
        assert_eq!(stored(folder, "alike", "bob").unwrap(), ["ann"]);
    });
    for round in 0..3 {
        // Lists that were just written are held back before they are written again.
        shop.click("ann", &format!("r{round}"));
        shop.click("bob", &format!("r{round}"));
        wait_for_lists(&mut shop);
        shop.leads("alike", "bob", &["ann".to_owned()]);
        assert_eq!(shop.forget("ann")["forgotten"], true);
        let left = [shop.now("kept", "ann"), shop.now("alike", "ann"), shop.now("alike", "bob")];
        assert!(left.iter().all(Vec::is_empty), "{left:?}");
        shop.interrupt_and_go_on(|folder| {
            for (path, of) in [("kept", "ann"), ("alike", "ann"), ("alike", "bob")] {
                assert_eq!(stored(folder, path, of).unwrap_or_default(), Vec::<String>::new(), "{path} of {of}");
            }
            assert_eq!(stored(folder, "kept", "bob").unwrap().len(), 3 + round, "of nobody else is anything gone");
        });
    }
}

#[test]
fn who_is_forgotten_stays_so_through_kills_and_may_come_back() {
    let mut shop = Shop::start(JOB, VIEWS);
    for (user, item) in [("ann", "a"), ("ann", "b"), ("bob", "a"), ("bob", "c")] {
        shop.click(user, item);
    }
    let mut seen = vec!["a".to_owned(), "b".to_owned()];
    for round in 0..4 {
        let (item, again) = (format!("r{round}"), format!("n{round}"));
        shop.click("ann", &item);
        shop.leads("also", &item, &seen);
        assert_eq!(shop.forget("ann"), json!({ "kind": "user", "id": "ann", "forgotten": true }));
        // It holds when it is answered, and not some time after; of nobody else is anything gone.
        let left = [shop.now("seen", "ann"), shop.now("also", &item), shop.now("also", "a")];
        assert_eq!(left, [vec![], vec![], vec!["c".to_owned()]]);
        // What comes now is a new beginning: nothing older comes with it, nor is it taken for older.
        if round % 2 == 0 {
            shop.kill_and_go_on();
            shop.click("ann", &again);
        } else {
            shop.click("ann", &again);
            shop.kill_and_go_on();
        }
        seen = vec![again];
        shop.leads("seen", "ann", &seen);
        shop.leads("also", "a", &["c".to_owned()]);
    }
    assert_eq!(shop.forget("nobody")["forgotten"], true);
}

/// Orders as a shop's database tells them: bought so often, and when the last time.
const ORDERS: &str = "[job]
name = \"shop\"
[epoch]
interval = \"10ms\"
[checkpoint]
every = \"150ms\"
[sources.shop]
kind = \"http\"
[relations.bought]
from = \"SELECT user_id AS subject, item AS object, sum(number) AS weight FROM orders GROUP BY user_id, item\"
subject = \"user\"
object = \"item\"
[relations.last]
from = \"SELECT user_id AS subject, item AS object, max(at) AS time FROM orders GROUP BY user_id, item\"
subject = \"user\"
object = \"item\"
[forget]
requests = true
[paths.buyers]
hop = \"bought\"
reverse = true
[paths.last_buyers]
hop = \"last\"
reverse = true
";
const ORDERS_VIEWS: &str = "CREATE TABLE orders (
  id BIGINT, user_id STRING, item STRING, number BIGINT, at TIMESTAMP, PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'shop', format = 'maxwell', table = 'shop.orders')";

#[test]
fn what_is_taken_back_of_who_was_forgotten_counts_nothing() {
    let mut shop = Shop::start(ORDERS, ORDERS_VIEWS);
    let mut sent = 0;
    let mut change = |shop: &mut Shop, kind: &str, (id, user, item, number): (i64, &str, &str, i64)| {
        sent += 1;
        let at = format!("2026-01-01 00:00:{:02}", 10 + sent);
        let data = json!({ "id": id, "user_id": user, "item": item, "number": number, "at": at });
        let record =
            json!({ "database": "shop", "table": "orders", "type": kind, "ts": 1_767_225_600 + sent, "data": data });
        let key = format!("{sent}");
        shop.wait("an answer", |address| {
            let request = ureq::post(&format!("http://{address}/v1/ingest/shop")).header("idempotency-key", &key);
            request.send(record.to_string()).ok()
        });
    };
    let (ann, bob, carl) = (|| "ann".to_owned(), || "bob".to_owned(), || "carl".to_owned());
    for order in [(1, "ann", "tea", 5), (2, "ann", "cup", 1), (3, "bob", "tea", 1), (4, "bob", "cup", 1)] {
        change(&mut shop, "insert", order);
    }
    shop.leads("buyers", "tea", &[ann(), bob()]);
    assert_eq!(shop.forget("ann")["forgotten"], true);
    shop.kill_and_go_on();
    // Her rows go from the shop behind that.
    change(&mut shop, "delete", (2, "ann", "cup", 1));
    change(&mut shop, "delete", (4, "bob", "cup", 1));
    // What is new of her counts, and no more than that, though the sum over her rows is greater and told anew.
    change(&mut shop, "insert", (5, "ann", "tea", 1));
    change(&mut shop, "insert", (6, "carl", "tea", 2));
    shop.leads("buyers", "tea", &[ann(), bob(), carl()]);
    shop.leads("last_buyers", "tea", &[ann(), bob(), carl()]);
    assert_eq!([shop.now("buyers", "cup"), shop.now("last_buyers", "cup")], [vec![], Vec::<String>::new()]);
    shop.kill_and_go_on();
    shop.leads("buyers", "tea", &[ann(), bob(), carl()]);
    shop.leads("last_buyers", "tea", &[ann(), bob(), carl()]);
    // Her old row goes, which takes no more than there is.
    change(&mut shop, "delete", (1, "ann", "tea", 5));
    change(&mut shop, "delete", (5, "ann", "tea", 1));
    shop.leads("buyers", "tea", &[bob(), carl()]);
    shop.leads("last_buyers", "tea", &[bob(), carl()]);
    shop.kill_and_go_on();
    shop.leads("buyers", "tea", &[bob(), carl()]);
}

#[test]
fn signed_weights_are_taken_back_whatever_their_sum() {
    const MOVES: &str = "[job]
name = \"shop\"
[epoch]
interval = \"10ms\"
[sources.moves]
kind = \"http\"
[relations.net]
from = \"SELECT user_id AS subject, item AS object, number AS weight FROM moves\"
subject = \"user\"
object = \"item\"
signed = true
[forget]
requests = true
[paths.net]
hop = \"net\"
";
    const MOVES_VIEWS: &str = "CREATE TABLE moves (id BIGINT, user_id STRING, item STRING, number BIGINT,
        PRIMARY KEY (id) NOT ENFORCED) WITH (source = 'moves', format = 'maxwell', table = 'shop.moves')";
    let mut shop = Shop::start(MOVES, MOVES_VIEWS);
    let steps = [
        ("insert", 1, 2, Some(2)),
        ("insert", 2, -3, Some(-1)),
        ("delete", 2, -3, Some(2)),
        ("update", 1, -2, Some(-2)),
    ];
    for (kind, id, number, expected) in steps {
        let row = json!({ "id": id, "user_id": "ann", "item": "tea", "number": number });
        let old = if kind == "update" { json!({ "number": 2 }) } else { Value::Null };
        let record = json!({ "database": "shop", "table": "moves", "type": kind, "ts": 1, "data": row, "old": old });
        let key = format!("{kind} {id}");
        shop.wait("an answer", |address| {
            let request = ureq::post(&format!("http://{address}/v1/ingest/moves")).header("idempotency-key", &key);
            request.send(&record.to_string()).ok()
        });
        shop.wait(&format!("{expected:?} behind {key}"), |address| {
            let mut answer = ureq::get(&format!("http://{address}/v1/similar/net/ann")).call().ok()?;
            let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
            let score = answer["neighbours"].get(0).and_then(|one| one["score"].as_f64());
            (score == expected.map(f64::from)).then_some(())
        });
    }
}
