//! The written files, read line by line.

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

/// All that the files hold.
#[derive(Default)]
pub(crate) struct Input {
    /// The log's records, each once, by device and time.
    pub(crate) records: BTreeMap<(String, i64), Value>,
    pub(crate) broken: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
    /// The last state of each row, by table and id.
    pub(crate) tables: BTreeMap<String, BTreeMap<i64, Value>>,
    pub(crate) kinds: BTreeMap<String, u64>,
    pub(crate) resent: u64,
    pub(crate) changed_in_bootstrap: u64,
    /// Lines of orders that came before their orders.
    pub(crate) lines_before_orders: u64,
}

/// The lines of a folder's files, in the order of their names.
fn lines(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let bytes: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(<[u8]>::to_vec).collect()
}

impl Input {
    pub(crate) fn read(folder: &Path) -> Self {
        let mut input = Self::default();
        lines(&folder.join("logs")).iter().for_each(|line| input.log(line));
        let mut seen = HashSet::new();
        for line in lines(&folder.join("changes")) {
            input.resent += u64::from(!seen.insert(line.clone()));
            input.change(&serde_json::from_slice(&line).unwrap());
        }
        input
    }

    fn log(&mut self, line: &[u8]) {
        let record: Option<Value> = serde_json::from_slice(line).ok();
        let key = record
            .as_ref()
            .and_then(|record| Some((record["common"]["mid"].as_str()?.to_owned(), record["ts"].as_i64()?)));
        let (Some(record), Some(key)) = (record, key) else {
            self.broken += 1;
            return;
        };
        let later = self.records.range((key.0.clone(), key.1 + 1)..(key.0.clone(), i64::MAX)).next().is_some();
        self.late += u64::from(later);
        let old = self.records.insert(key, record.clone());
        if let Some(old) = old {
            assert_eq!(old, record, "a device has one line of a moment");
            self.doubled += 1;
        }
    }

    fn change(&mut self, change: &Value) {
        let (kind, table) = (change["type"].as_str().unwrap(), change["table"].as_str().unwrap());
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        let (data, rows) = (&change["data"], self.tables.entry(table.to_owned()).or_default());
        let Some(id) = data["id"].as_i64() else { return };
        let known = match kind {
            "insert" | "update" | "bootstrap-insert" => rows.insert(id, data.clone()).is_some(),
            "delete" => rows.remove(&id).is_some(),
            other => panic!("unknown change {other}"),
        };
        self.changed_in_bootstrap += u64::from(kind == "bootstrap-insert" && known);
        if table == "order_detail" && !known {
            let order = data["order_id"].as_i64().unwrap();
            let there = self.tables.get("order_info").is_some_and(|orders| orders.contains_key(&order));
            self.lines_before_orders += u64::from(!there);
        }
    }

    pub(crate) fn rows(&self, table: &str) -> impl Iterator<Item = &Value> {
        self.tables[table].values()
    }

    pub(crate) fn row(&self, table: &str, id: &Value) -> &Value {
        &self.tables[table][&id.as_i64().unwrap()]
    }

    pub(crate) fn sizes_of_orders(&self) -> impl Iterator<Item = usize> + '_ {
        let size = |order: &Value| self.rows("order_detail").filter(|line| line["order_id"] == order["id"]).count();
        self.rows("order_info").map(size).collect::<BTreeSet<_>>().into_iter()
    }
}

/// The shop's clock.
pub(crate) fn wall(ts: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(ts + 8 * 3_600_000).unwrap().naive_utc()
}

pub(crate) fn day(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%d").to_string()
}

pub(crate) fn iso(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// The time cut down to so many minutes.
pub(crate) fn cut(at: NaiveDateTime, minutes: i64) -> NaiveDateTime {
    let millis = at.and_utc().timestamp_millis();
    DateTime::from_timestamp_millis(millis - millis.rem_euclid(minutes * 60_000)).unwrap().naive_utc()
}

pub(crate) fn datetime(value: &Value) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(value.as_str().unwrap(), "%Y-%m-%d %H:%M:%S").unwrap()
}

/// A decimal in cents.
pub(crate) fn cents(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 100.0).round() as i64
}

/// Cents as a decimal.
pub(crate) fn decimal(cents: i64) -> Value {
    Value::from(cents as f64 / 100.0)
}

pub(crate) fn sex(user: &Value) -> &'static str {
    match user["gender"].as_str() {
        Some("F") => "female",
        Some("M") => "male",
        _ => "unknown",
    }
}

pub(crate) fn age_group(user: &Value, day: &str) -> &'static str {
    let Some(born) = user["birthday"].as_str() else { return "unknown" };
    let number = |text: &str| text.replace('-', "").parse::<i64>().unwrap();
    match (number(day) - number(born)) / 10_000 {
        years if years < 18 => "under 18",
        years if years < 25 => "18-24",
        years if years < 35 => "25-34",
        years if years < 50 => "35-49",
        _ => "50 and over",
    }
}
