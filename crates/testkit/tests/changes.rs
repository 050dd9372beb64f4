//! Changes of a made-up database, through files, decoders and views: the same as the database itself, in every format,
//! with any number of workers and any cut of epochs, although records are doubled, repeated and bootstrapped.

use proxima_engine::{EpochConfig, RunConfig};
use proxima_testkit::harness::{plan, run_files};
use proxima_testkit::rows::{Cell, sorted};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const VIEWS: &str = "
CREATE TABLE users (id BIGINT, city STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'FORMAT', table = 'shop.users');
CREATE TABLE orders (id BIGINT, user_id BIGINT, amount DECIMAL(10, 2), note STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'FORMAT', table = 'orders');
CREATE TABLE visits (user_id BIGINT, page STRING) WITH (source = 'changes', format = 'FORMAT', table = 'shop.visits');
CREATE TABLE by_city (city STRING, orders BIGINT, amount DECIMAL(20, 2), PRIMARY KEY (city) NOT ENFORCED)
  WITH (sink = 'index');
INSERT INTO by_city
SELECT u.city, count(*) AS orders, sum(o.amount) AS amount FROM orders o JOIN users u ON u.id = o.user_id GROUP BY u.city;
CREATE TABLE pages (page STRING, visits BIGINT, PRIMARY KEY (page) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO pages SELECT page, count(*) AS visits FROM visits GROUP BY page;
CREATE TABLE all_orders (id BIGINT, user_id BIGINT, amount DECIMAL(20, 2), note STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (sink = 'index');
INSERT INTO all_orders SELECT id, user_id, amount, note FROM orders;
";

type Row = Map<String, Value>;

fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        other => panic!("{other} is no row"),
    }
}

/// How a change is written.
type Write = fn(table: &str, before: Option<&Row>, after: Option<&Row>) -> String;

/// As Maxwell: of an update only what was different before.
fn maxwell(table: &str, before: Option<&Row>, after: Option<&Row>) -> String {
    let kind = match (before, after) {
        (None, _) => "insert",
        (_, None) => "delete",
        _ => "update",
    };
    let mut record = json!({"database": "shop", "table": table, "type": kind, "ts": 1, "xid": 2, "commit": true});
    record["data"] = json!(after.or(before));
    if let Some(old) = different(before, after) {
        record["old"] = json!(old);
    }
    record.to_string()
}

fn debezium(table: &str, before: Option<&Row>, after: Option<&Row>) -> String {
    let op = match (before, after) {
        (None, _) => "c",
        (_, None) => "d",
        _ => "u",
    };
    let source = json!({"connector": "mysql", "db": "shop", "table": table});
    json!({"before": before, "after": after, "source": source, "op": op, "ts_ms": 1}).to_string()
}

fn canal(table: &str, before: Option<&Row>, after: Option<&Row>) -> String {
    let kind = match (before, after) {
        (None, _) => "INSERT",
        (_, None) => "DELETE",
        _ => "UPDATE",
    };
    let texts = |row: &Row| {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let texts = row.iter().map(|(name, v)| (name.clone(), if v.is_null() { json!(null) } else { json!(text(v)) }));
        json!(texts.collect::<Row>())
    };
    let data = after.or(before).map(texts);
    let old = different(before, after).map(|old| [texts(&old)]);
    json!({"data": [data], "database": "shop", "isDdl": false, "old": old, "table": table, "type": kind}).to_string()
}

fn different(before: Option<&Row>, after: Option<&Row>) -> Option<Row> {
    let (before, after) = (before?, after?);
    Some(before.iter().filter(|(name, value)| after[*name] != **value).map(|(n, v)| (n.clone(), v.clone())).collect())
}

/// A database and what is written of its changes.
struct Database {
    users: BTreeMap<i64, Row>,
    orders: BTreeMap<i64, Row>,
    visits: Vec<Row>,
    lines: Vec<String>,
    write: Write,
}

impl Database {
    fn step(&mut self, dice: &mut ChaCha8Rng) {
        let id = dice.random_range(0..12);
        let city = ["Berlin", "上海", "a town of a long name"][dice.random_range(0..3)];
        let amount = f64::from(dice.random_range(-500..100_000)) / 100.0;
        let user = row(json!({"id": id, "city": city}));
        let note = if dice.random_bool(0.3) { Value::Null } else { json!("say \"hi\"\nand go") };
        let order = row(json!({"id": id, "user_id": dice.random_range(0..12), "amount": amount, "note": note}));
        match dice.random_range(0..12) {
            0..=2 => put(&mut self.users, "users", user, &mut self.lines, self.write),
            3..=6 => put(&mut self.orders, "orders", order, &mut self.lines, self.write),
            7 => self.move_order(id, order, dice),
            8 => {
                let rows = if dice.random() { ("users", &mut self.users) } else { ("orders", &mut self.orders) };
                if let Some(row) = rows.1.remove(&id) {
                    self.lines.push((self.write)(rows.0, Some(&row), None));
                }
            }
            9 => {
                let page = ["home", "list"][dice.random_range(0..2)];
                let visit = row(json!({"user_id": id, "page": page}));
                self.lines.push((self.write)("visits", None, Some(&visit)));
                self.visits.push(visit);
            }
            10 if !self.visits.is_empty() => {
                let visit = self.visits.swap_remove(dice.random_range(0..self.visits.len()));
                self.lines.push((self.write)("visits", Some(&visit), None));
            }
            _ => self.repeat(dice),
        }
    }

    /// The key of an order changes, which Debezium writes as a deletion and an insertion.
    fn move_order(&mut self, id: i64, order: Row, dice: &mut ChaCha8Rng) {
        let Some(old) = self.orders.keys().nth(dice.random_range(0..12)).copied() else { return };
        if old == id || self.orders.contains_key(&id) {
            return;
        }
        let before = self.orders.remove(&old).expect("it was listed");
        let line = (self.write)("orders", Some(&before), Some(&order));
        if line.contains("\"op\"") {
            self.lines.push((self.write)("orders", Some(&before), None));
            self.lines.push((self.write)("orders", None, Some(&order)));
        } else {
            self.lines.push(line);
        }
        self.orders.insert(id, order);
    }

    /// A bootstrap, or the last records of keyed tables again, and other tables' records in between.
    fn repeat(&mut self, dice: &mut ChaCha8Rng) {
        self.lines.push((self.write)("other", None, Some(&row(json!({"id": "x"})))));
        if dice.random() {
            for order in self.orders.values() {
                let line = (self.write)("orders", None, Some(order));
                self.lines.push(line.replace("\"type\":\"insert\"", "\"type\":\"bootstrap-insert\""));
            }
        } else {
            let from = self.lines.len().saturating_sub(dice.random_range(1..5));
            let again: Vec<String> = self.lines[from..].iter().filter(|l| !l.contains("visits")).cloned().collect();
            self.lines.extend(again);
        }
    }
}

fn put(rows: &mut BTreeMap<i64, Row>, table: &str, row: Row, lines: &mut Vec<String>, write: Write) {
    let before = rows.insert(row["id"].as_i64().expect("ids are numbers"), row.clone());
    lines.push(write(table, before.as_ref(), Some(&row)));
}

/// Cents, since sums of floats are not exact.
fn cents(row: &Row) -> i64 {
    (row["amount"].as_f64().expect("amounts are numbers") * 100.0).round() as i64
}

fn decimal(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// The targets by hand.
fn expected(database: &Database) -> BTreeMap<&'static str, Vec<String>> {
    let mut cities: BTreeMap<String, (u32, i64)> = BTreeMap::new();
    for order in database.orders.values() {
        if let Some(user) = order["user_id"].as_i64().and_then(|id| database.users.get(&id)) {
            let city = cities.entry(user["city"].as_str().expect("cities are text").to_owned()).or_default();
            *city = (city.0 + 1, city.1 + cents(order));
        }
    }
    let mut pages: BTreeMap<String, u32> = BTreeMap::new();
    for visit in &database.visits {
        *pages.entry(visit["page"].as_str().expect("pages are text").to_owned()).or_default() += 1;
    }
    let order = |(id, row): (&i64, &Row)| {
        let note = row["note"].as_str().unwrap_or("NULL");
        format!("{id}|{}|{}|{note}", row["user_id"], decimal(cents(row)))
    };
    let mut all = BTreeMap::from([
        (
            "by_city",
            cities.into_iter().map(|(city, (n, sum))| format!("{city}|{n}|{}", decimal(sum))).collect::<Vec<_>>(),
        ),
        ("pages", pages.into_iter().map(|(page, n)| format!("{page}|{n}")).collect()),
        ("all_orders", database.orders.iter().map(order).collect()),
    ]);
    all.values_mut().for_each(|rows| rows.sort());
    all
}

#[test]
fn views_over_changes_equal_the_database() {
    let formats: [(&str, Write); 3] = [("maxwell", maxwell), ("debezium", debezium), ("canal", canal)];
    for seed in 0..3 {
        for (format, write) in formats {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            let (users, orders) = (BTreeMap::new(), BTreeMap::new());
            let mut database = Database { users, orders, visits: Vec::new(), lines: Vec::new(), write };
            (0..800).for_each(|_| database.step(&mut dice));
            database.lines.push("{\"broken".to_owned());
            let folder = tempfile::tempdir().expect("a folder for the changes");
            let file = folder.path().join("changes.json");
            std::fs::write(&file, database.lines.join("\n") + "\n").expect("the changes are written");
            let plan = plan(&VIEWS.replace("FORMAT", format), &[]).expect("the views are right");
            let expected = expected(&database);
            for (workers, records) in [(1, 100_000), (1, 13), (2, 40), (4, 7)] {
                let epochs = EpochConfig { interval: Duration::from_millis(1), records, lag: 4 };
                let config = RunConfig { workers, epochs, ..RunConfig::default() };
                let results = run_files(&plan, &file, config, |_, _| {}).expect("the run ends");
                for (name, rows) in &expected {
                    let text = |row: Vec<Cell>| row.iter().map(Cell::to_string).collect::<Vec<_>>().join("|");
                    let mut held: Vec<_> = sorted(&results.targets[*name].rows()).into_iter().map(text).collect();
                    held.sort();
                    assert_eq!(&held, rows, "{format}, seed {seed}, {workers} workers, {records} records: {name}");
                }
                assert_eq!(results.status.rejected(), 1, "once, though three tables read it");
                let others = database.lines.iter().filter(|line| line.contains("\"other\"")).count();
                assert_eq!(results.status.sources[0].skipped, others as u64);
            }
        }
    }
}
