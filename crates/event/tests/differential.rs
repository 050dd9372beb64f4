//! Random records of changes, many of them damaged, against `serde_json`: the same rows, and no good record lost.
//!
//! The oracle parses each line into a map of raw values; it shares nothing with the decoder but `serde_json` itself.
#![allow(clippy::unwrap_used)]

use arrow::datatypes::{DataType, Field};
use proxima_event::decode::Format;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::value::RawValue;
use std::collections::HashMap;
use support::{column, decode, table};

mod support;

type Object<'a> = HashMap<String, &'a RawValue>;

fn object(json: &str) -> Option<Object<'_>> {
    serde_json::from_str(json).ok()
}

fn present<'a>(object: &Object<'a>, name: &str) -> Option<&'a str> {
    object.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")
}

fn string(object: &Object<'_>, name: &str) -> Option<String> {
    serde_json::from_str(present(object, name)?).ok()
}

/// A number without exponent, with so many digits before the point at the most and exactly so many behind it.
fn exact(text: &str, whole_max: usize, scale: usize) -> Option<String> {
    let text = text.trim_ascii();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.len() > whole_max || fraction.len() > scale {
        return None;
    }
    let sign = if whole.is_empty() && fraction.is_empty() { "" } else { sign };
    let (whole, point) = (if whole.is_empty() { "0" } else { whole }, if scale > 0 { "." } else { "" });
    Some(format!("{sign}{whole}{point}{fraction:0<scale$}"))
}

/// The row that an object holds, as `support` shows it: `id BIGINT NOT NULL, name STRING, amount DECIMAL(9, 2)`.
/// With `sets`, arrays in a STRING are SETs.
fn row(object: &Object<'_>, sets: bool) -> Option<String> {
    let number = |raw: &str| serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    let id = exact(&number(present(object, "id")?), 18, 0)?;
    let name = match present(object, "name") {
        None => "~".to_owned(),
        Some(raw) if raw.starts_with('"') => serde_json::from_str(raw).ok()?,
        // Of a SET the words.
        Some(raw) if sets && raw.starts_with('[') => serde_json::from_str::<Vec<String>>(raw).ok()?.join(","),
        Some(raw) => raw.to_owned(),
    };
    let amount = match present(object, "amount") {
        None => "~".to_owned(),
        Some(raw) => exact(&number(raw), 7, 2)?,
    };
    Some(format!("{id} | {name} | {amount}"))
}

/// The rows of a record of Maxwell. The outer `None`: no change of the table, or not a good one.
fn maxwell(line: &str) -> Option<Vec<String>> {
    let record = object(line)?;
    if (string(&record, "database")?, string(&record, "table")?) != ("shop".into(), "orders".into()) {
        return None;
    }
    let data = object(present(&record, "data")?)?;
    let new = row(&data, true)?;
    Some(match string(&record, "type")?.as_str() {
        "insert" | "bootstrap-insert" => vec![format!("+ {new}")],
        "delete" => vec![format!("- {new}")],
        "update" => {
            let Some(old) = present(&record, "old") else { return Some(vec![]) };
            let before: Object<'_> = data.into_iter().chain(object(old)?).collect();
            vec![format!("+ {new}"), format!("- {}", row(&before, true)?)]
        }
        _ => return None,
    })
}

fn debezium(line: &str) -> Option<Vec<String>> {
    let record = object(line)?;
    let source = object(present(&record, "source")?)?;
    if (string(&source, "db")?, string(&source, "table")?) != ("shop".into(), "orders".into()) {
        return None;
    }
    let part = |name: &str| present(&record, name).and_then(object).and_then(|part| row(&part, false));
    Some(match string(&record, "op")?.as_str() {
        "c" | "r" => vec![format!("+ {}", part("after")?)],
        "d" => vec![format!("- {}", part("before")?)],
        "u" => vec![format!("+ {}", part("after")?), format!("- {}", part("before")?)],
        _ => return None,
    })
}

fn values(random: &mut impl Rng) -> String {
    let name = match random.random_range(0..6) {
        0 => "null".to_owned(),
        1 => r#""say \"hi\" \u4f60""#.to_owned(),
        2 => r#"["gift","express"]"#.to_owned(),
        3 => format!("\"{}\"", "é".repeat(random.random_range(0..30))),
        _ => format!("\"name {}\"", random.random_range(0..1_000_000)),
    };
    let id = random.random_range(0..1_000_000);
    let amount = format!("{}.{:02}", random.random_range(-9_999..9_999), random.random_range(0..100));
    match random.random_range(0..4) {
        0 => format!(r#"{{"id":{id},"name":{name},"amount":{amount},"x":[1,{{"y":"z"}}]}}"#),
        1 => format!(r#"{{"id":{id},"other":"a value that nobody wants","amount":"{amount}","name":{name}}}"#),
        2 => format!(r#"{{ "amount" : null, "id":"{id}" }}"#),
        _ => format!(r#"{{"id":{id},"name":{name},"amount":{amount}}}"#),
    }
}

fn maxwell_record(random: &mut impl Rng) -> String {
    let kind = *["insert", "update", "update", "delete", "bootstrap-insert", "bootstrap-start"].choose(random).unwrap();
    let table = *["orders", "orders", "orders", "items"].choose(random).unwrap();
    let data = values(random);
    let old = match (kind, random.random_range(0..4)) {
        ("update", 0) => r#","old":{"name":null}"#.to_owned(),
        ("update", 1) => format!(r#","old":{}"#, values(random)),
        ("update", 2) => r#","old":{"amount":0.10,"nobody":1}"#.to_owned(),
        _ => String::new(),
    };
    match random.random_range(0..5) {
        0 => format!(r#"{{"type":"{kind}","data":{data}{old},"table":"{table}","database":"shop"}}"#),
        _ => format!(r#"{{"database":"shop","table":"{table}","type":"{kind}","ts":1,"xid":7,"data":{data}{old}}}"#),
    }
}

fn debezium_record(random: &mut impl Rng) -> String {
    let op = *["c", "r", "u", "u", "d"].choose(random).unwrap();
    let table = *["orders", "orders", "orders", "items"].choose(random).unwrap();
    let (before, after) = (values(random), values(random));
    let before = if matches!(op, "c" | "r") { "null" } else { &before };
    let after = if op == "d" { "null" } else { &after };
    let source = format!(r#""source":{{"version":"3","db":"shop","sequence":null,"table":"{table}"}}"#);
    match random.random_range(0..3) {
        0 => format!(r#"{{"op":"{op}","after":{after},{source},"before":{before}}}"#),
        _ => format!(r#"{{"before":{before},"after":{after},{source},"transaction":null,"op":"{op}","ts_ms":1}}"#),
    }
}

/// Damages a record in one of the ways that happen, or that only an adversary finds.
fn damage(line: &mut Vec<u8>, random: &mut impl Rng) {
    let at = random.random_range(0..line.len());
    match random.random_range(0..7) {
        0 => line[at] ^= 1 << random.random_range(0..7),
        1 => line[at] = *b"0123456789-+.\"\\{}[],: \t\rnull\x01\x7f".choose(random).unwrap(),
        2 => drop(line.remove(at)),
        3 => line.insert(at, *b" \t\r\"\\0,}{".choose(random).unwrap()),
        4 => line.truncate(at),
        5 => line.extend(b"  "),
        _ => {
            let end = (at + random.random_range(0..20)).min(line.len());
            line.drain(at..end);
        }
    }
    line.retain(|&byte| byte != b'\n');
}

fn check(format: Format, record: fn(&mut ChaCha8Rng) -> String, oracle: fn(&str) -> Option<Vec<String>>) {
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        column("name", DataType::Utf8View),
        column("amount", DataType::Decimal128(9, 2)),
    ];
    let tables = [table("shop.orders", fields, 0)];
    let (mut good, mut bad) = (0, 0);
    for seed in 0..60 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut lines = Vec::new();
        while lines.len() < 300 {
            let mut line = record(&mut random).into_bytes();
            if random.random_bool(0.4) {
                damage(&mut line, &mut random);
            }
            // What is no text is tested with JSON.
            lines.extend(String::from_utf8(line).ok());
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let given = decode(format, &tables, &lines, 40);
        let expected: Vec<Option<Vec<String>>> = lines.iter().map(|line| oracle(line)).collect();
        let rows: Vec<&String> = expected.iter().flatten().flatten().collect();
        let differs = given.tables[0].iter().zip(&rows).find(|(given, row)| given != *row);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(given.tables[0].len(), rows.len(), "seed {seed}");
        for rejected in &given.rejected {
            let line = rejected.line as usize - 1;
            assert_eq!(expected[line], None, "seed {seed}: {} was rejected: {}", lines[line], rejected.reason);
        }
        good += rows.len();
        bad += given.rejected.len();
    }
    assert!(good > 5_000 && bad > 1_000, "{good} rows, {bad} rejected");
}

#[test]
fn maxwell_as_serde_json_reads_it() {
    check(Format::Maxwell, maxwell_record, maxwell);
}

#[test]
fn debezium_as_serde_json_reads_it() {
    check(Format::Debezium, debezium_record, debezium);
}
