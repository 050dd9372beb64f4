//! A job over the changes that real Maxwell wrote: what it holds in the end, and what is said of declarations that are
//! wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const CHANGES: &str = include_str!("../../event/tests/samples/maxwell-mariadb-default.json");
const JOB: &str = "[job]
name = \"shop\"
[sources.changes]
kind = \"file\"
path = \"changes.json\"
[sinks.index]
kind = \"index\"
";
const VIEWS: &str = "CREATE TABLE orders (id BIGINT, status STRING, amount DECIMAL(12, 2), coupon STRING,
    PRIMARY KEY (id) NOT ENFORCED) WITH (source = 'changes', format = 'maxwell', table = 'shop.orders');
CREATE TABLE events (a INT, b STRING) WITH (source = 'changes', format = 'maxwell', table = 'event_no_key');
CREATE TABLE by_status (status STRING, orders BIGINT, amount DECIMAL(20, 2), PRIMARY KEY (status) NOT ENFORCED)
  WITH (sink = 'index');
INSERT INTO by_status SELECT status, count(*) AS orders, sum(amount) AS amount FROM orders GROUP BY status;
CREATE TABLE all_events (a INT, n BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO all_events SELECT a, count(*) AS n FROM events GROUP BY a;
";

fn shop(views: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("shop")).unwrap();
    fs::write(folder.path().join("shop/job.toml"), JOB).unwrap();
    fs::write(folder.path().join("shop/views.sql"), views).unwrap();
    fs::write(folder.path().join("shop/changes.json"), format!("{CHANGES}{{\"broken\n")).unwrap();
    folder
}

fn proxima(folder: &TempDir, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    let output = command.args(args).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn documents(folder: &TempDir, index: &str) -> Vec<Value> {
    let (code, out, err) = proxima(folder, &["search", "shop", index]);
    assert_eq!(code, 0, "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    let hits = answer["hits"]["hits"].as_array().unwrap();
    let mut documents: Vec<Value> = hits.iter().map(|hit| hit["_source"].clone()).collect();
    documents.sort_by_key(Value::to_string);
    documents
}

#[test]
fn a_job_holds_what_the_database_holds() {
    let folder = shop(VIEWS);
    let (code, _, err) = proxima(&folder, &["run", "shop", "--until-end", "--workers", "2", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 0, "{err}");
    let by_status = documents(&folder, "by_status");
    let row = |status: &str, orders: i64, amount: f64| json!({"status": status, "orders": orders, "amount": amount});
    assert_eq!(by_status, [row("paid", 2, 11.29), row("created", 1, 5.0)].into_iter().rev().collect::<Vec<_>>());
    assert_eq!(documents(&folder, "all_events"), [json!({"a": 1, "n": 1}), json!({"a": 3, "n": 1})]);
    let rejected: Vec<_> = fs::read_dir(folder.path().join(".proxima/shop/rejected")).unwrap().collect();
    let lines = fs::read_to_string(rejected[0].as_ref().unwrap().path()).unwrap();
    assert_eq!((rejected.len(), lines.lines().count()), (1, 1), "a bad record is kept once, though two tables read it");
}

#[test]
fn a_format_of_changes_needs_its_table() {
    let folder = shop(&VIEWS.replace(", table = 'shop.orders'", ""));
    let (code, _, err) = proxima(&folder, &["check", "shop"]);
    assert_eq!(code, 2);
    assert!(err.contains("views.sql:2:") && err.contains("add table = 'database.table'"), "{err}");
}

#[test]
fn what_is_newest_goes_by_the_order_in_which_files_are_read() {
    // The same 40 orders change from file to file, and stand anywhere in each; every seventh is deleted in the end.
    let mut held: Vec<(usize, usize)> = Vec::new();
    let folder = shop(VIEWS);
    fs::create_dir(folder.path().join("shop/days")).unwrap();
    for day in 0..6 {
        let mut lines = String::new();
        for place in 0..40 {
            let id = (place * [1, 3, 7, 11, 13, 17][day] + day) % 40;
            if day == 5 && id % 7 == 0 {
                let data = json!({ "id": id, "status": held[id].1.to_string(), "amount": "1.00", "coupon": null });
                let record = json!({ "database": "shop", "table": "orders", "type": "delete", "data": data });
                lines += &format!("{record}\n");
                continue;
            }
            let data = json!({ "id": id, "status": day.to_string(), "amount": "1.00", "coupon": null });
            let record = match day {
                0 => json!({ "database": "shop", "table": "orders", "type": "insert", "data": data }),
                _ => json!({
                    "database": "shop", "table": "orders", "type": "update", "data": data,
                    "old": { "status": (day - 1).to_string() },
                }),
            };
            lines += &format!("{record}\n");
        }
        held = (0..40).map(|id| (id, day)).collect();
        fs::write(folder.path().join(format!("shop/days/{day}.json")), lines).unwrap();
    }
    let count = held.iter().filter(|(id, _)| id % 7 != 0).count();
    let expected = [json!({ "status": "5", "orders": count, "amount": count as f64 })];
    for (workers, records) in [("1", "262144"), ("2", "262144"), ("2", "30"), ("1", "1")] {
        let (path, epoch) = ("sources.changes.path=days", format!("epoch.records={records}"));
        let args = ["run", "shop", "--until-end", "--fresh", "--workers", workers, "--listen", "127.0.0.1:0"];
        let (code, _, err) = proxima(&folder, &[&args[..], &["--set", path, "--set", &epoch]].concat());
        assert_eq!(code, 0, "{err}");
        assert_eq!(documents(&folder, "by_status"), expected, "{workers} workers, {records} records an epoch");
    }
}
