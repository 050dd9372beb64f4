//! The fast way against `serde_json`, over tens of thousands of records, most of them damaged: the same rows, and the
//! same records rejected, with and without AVX2.
//!
//! The oracle shares nothing with the decoder but `serde_json` itself: it parses each line into a map of raw values and
//! renders the wanted ones by rules of its own.

use super::JsonDecoder;
use super::predict::Predictor;
use super::tests::{chunk, config, nested, text};
use crate::decode::{DecodeStats, Decoded, Decoder};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// `user_id BIGINT, type STRING, n INT, ts TIMESTAMP NOT NULL, common STRUCT<mid STRING, vc STRING>,
/// shown ARRAY<STRUCT<item STRING, n INT>>`
fn fields() -> Vec<Field> {
    let shown = nested("element", vec![text("item"), Field::new("n", DataType::Int32, true)]);
    vec![
        Field::new("user_id", DataType::Int64, true),
        text("type"),
        Field::new("n", DataType::Int32, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        nested("common", vec![text("mid"), text("vc")]),
        Field::new("shown", DataType::List(Arc::new(shown)), true),
    ]
}

/// Each value as text; `None` is NULL: `common` and each of `shown` as such, or by field.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    flat: [Option<String>; 4],
    common: Option<[Option<String>; 2]>,
    shown: Option<Vec<Option<[Option<String>; 2]>>>,
}

type Object<'a> = HashMap<String, &'a RawValue>;

/// `None`: rejected.
fn oracle(line: &str) -> Option<Row> {
    let record: Object<'_> = serde_json::from_str(line).ok()?;
    // Milliseconds with six digits behind their point at the most, cut to the microseconds of the column.
    let ts = number(&record, "ts", 6, -62_167_219_200_000_000_000..=253_402_300_799_999_999_999)??.div_euclid(1_000);
    let common = match present(&record, "common") {
        None => None,
        Some(raw) => {
            let inner: Object<'_> = serde_json::from_str(raw).ok()?;
            Some([string(&inner, "mid")?, string(&inner, "vc")?])
        }
    };
    let shown = match present(&record, "shown") {
        None => None,
        Some(raw) => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            let element = |raw: &&RawValue| match raw.get() {
                "null" => Some(None),
                raw => {
                    let inner: Object<'_> = serde_json::from_str(raw).ok()?;
                    Some(Some([string(&inner, "item")?, show(integer(&inner, "n", INT)?)]))
                }
            };
            Some(elements.iter().map(element).collect::<Option<_>>()?)
        }
    };
    let user_id = show(integer(&record, "user_id", i64::MIN.into()..=i64::MAX.into())?);
    let n = show(integer(&record, "n", INT)?);
    Some(Row { flat: [user_id, string(&record, "type")?, n, show(Some(ts))], common, shown })
}

const INT: RangeInclusive<i128> = i32::MIN as i128..=i32::MAX as i128;

fn show(value: Option<i128>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn integer(object: &Object<'_>, name: &str, range: RangeInclusive<i128>) -> Option<Option<i128>> {
    number(object, name, 0, range)
}

fn number(object: &Object<'_>, name: &str, digits: i64, range: RangeInclusive<i128>) -> Option<Option<i128>> {
    let Some(raw) = present(object, name) else { return Some(None) };
    let quoted: Option<String> = serde_json::from_str(raw).ok();
    let value = exact_integer(quoted.as_deref().unwrap_or(raw).trim(), digits)?;
    range.contains(&value).then_some(Some(value))
}

fn present<'a>(object: &Object<'a>, name: &str) -> Option<&'a str> {
    object.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")
}

fn string(object: &Object<'_>, name: &str) -> Option<Option<String>> {
    match present(object, name) {
        None => Some(None),
        Some(raw) if raw.starts_with('"') => serde_json::from_str(raw).ok().map(Some),
        Some(raw) => Some(Some(raw.to_owned())),
    }
}

/// Integers however they are written, by moving the point in the text, and `digits` further.
fn exact_integer(text: &str, digits: i64) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (sign, number) = match mantissa.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if all.bytes().all(|byte| byte == b'0') {
        return Some(0);
    }
    let point = whole.len() as i64 + exponent + digits;
    if !(-40..=40).contains(&point) {
        return None;
    }
    let split = point.clamp(0, all.len() as i64) as usize;
    let padding = "0".repeat(point.max(0) as usize - split.min(point.max(0) as usize));
    let lost = if point < 0 { &all[..] } else { &all[split..] };
    if !lost.bytes().all(|byte| byte == b'0') {
        return None;
    }
    format!("{sign}0{}{padding}", &all[..split]).parse().ok()
}

fn decoded(decoder: &mut JsonDecoder, lines: &[u8]) -> (Vec<Row>, Vec<u64>) {
    let mut out = Decoded::default();
    decoder.decode(&chunk(lines), &mut out);
    let mut rows = vec![];
    for batch in &out.batches {
        let strings =
            |column: &dyn Array, row| (!column.is_null(row)).then(|| column.as_string_view().value(row).to_owned());
        let numbers = |column: &dyn Array, row| {
            (!column.is_null(row)).then(|| column.as_primitive::<Int32Type>().value(row).to_string())
        };
        let common = batch.column(4).as_struct();
        let shown = batch.column(5).as_list::<i32>();
        let element = |list: &dyn Array, at| {
            let list = list.as_struct();
            list.is_valid(at).then(|| [strings(list.column(0), at), numbers(list.column(1), at)])
        };
        for row in 0..batch.len() {
            let longs = batch.column(0).as_primitive::<Int64Type>();
            let stamps = batch.column(3).as_primitive::<TimestampMicrosecondType>();
            rows.push(Row {
                flat: [
                    longs.is_valid(row).then(|| longs.value(row).to_string()),
                    strings(batch.column(1), row),
                    numbers(batch.column(2), row),
                    Some(stamps.value(row).to_string()),
                ],
                common: common.is_valid(row).then(|| [strings(common.column(0), row), strings(common.column(1), row)]),
                shown: shown.is_valid(row).then(|| {
                    let list = shown.value(row);
                    (0..list.len()).map(|at| element(&list, at)).collect()
                }),
            });
        }
    }
    (rows, out.rejected.iter().map(|bad| bad.line).collect())
}

/// A record as a logger would write it, of one of a few shapes.
fn record(random: &mut impl Rng) -> String {
    let word = |random: &mut dyn FnMut() -> u32| -> String {
        match random() % 8 {
            0 => String::new(),
            1 => "x".repeat(random() as usize % 90),
            2 => "双十一大促销活动页面".into(),
            3 => "é".repeat(random() as usize % 40),
            _ => format!("mid_{}", random() % 100_000),
        }
    };
    let mut next = || random.random::<u32>();
    let (user, ts) = (next() % 1_000_000, 1_594_652_955_000_u64 + u64::from(next()));
    let (mid, kind, version) = (word(&mut next), word(&mut next), word(&mut next));
    let shown = shown(&mut next);
    match next() % 7 {
        0 => format!(
            r#"{{"user_id":{user},"type":"{kind}","ts":{ts},"common":{{"mid":"{mid}","ar":"{user}","vc":"{version}"}},"n":{}}}"#,
            next() % 70
        ),
        1 => format!(
            r#"{{"common":{{"ar":"110000","mid":"{mid}","os":"Android 11.0","vc":"{version}"}},"start":{{"entry":"notice","ms":[{user},1.5,null]}},"ts":{ts},"a very long key of which nobody wants anything":{user}}}"#
        ),
        2 => format!(
            r#"{{ "ts": "{ts}", "type": "{kind}", "n": -{user}, "x": {{"y":[{{"z":"{mid}"}}]}}, "common": null }}"#
        ),
        3 => format!(r#"{{"n":{}.0,"type":{user},"user_id":"{user}","ts":{ts},"x":{{}}}}"#, next()),
        4 => format!(r#"{{"common":{{"mid":"{mid}"}},"shown":{shown},"ts":{ts}}}"#),
        5 => format!(r#"{{"common":{{"mid":"{mid}","vc":"{version}"}},"n":{},"shown":{shown},"ts":{ts}}}"#, next() % 9),
        _ => format!(
            r#"{{"type":"say \"{kind}\"","user_id":null,"ts":{ts},"ok":true,"common":{{"vc":null,"mid":"\u4f60{mid}"}}}}"#
        ),
    }
}

/// A list of structs, of a few shapes as well.
fn shown(next: &mut dyn FnMut() -> u32) -> String {
    let element = |next: &mut dyn FnMut() -> u32| match next() % 16 {
        0 => "null".to_owned(),
        1 => "{}".to_owned(),
        2 => format!(r#"{{ "n": "{}", "item": null }}"#, next() % 90),
        3 => r#"{"item":"one \"two\"","n":1}"#.to_owned(),
        4..8 => format!(r#"{{"n":{},"item":"{}","place":{{"x":[1,2]}}}}"#, next() % 90, next()),
        _ => format!(r#"{{"kind":"promotion","item":"{}","n":{}}}"#, next(), next() % 90),
    };
    match next() % 8 {
        0 => "null".to_owned(),
        1 => "[ ]".to_owned(),
        2 => format!("[ {} , {} ]", element(next), element(next)),
        _ => {
            let elements: Vec<_> = (0..next() % 5).map(|_| element(next)).collect();
            format!("[{}]", elements.join(","))
        }
    }
}

/// Damages a record in one of the ways that happen, or that only an adversary finds.
fn damage(line: &mut Vec<u8>, random: &mut impl Rng) {
    let at = random.random_range(0..line.len());
    match random.random_range(0..12) {
        0 => line[at] ^= 1 << random.random_range(0..8),
        1 => line[at] = *b"0123456789-+.eE\"\\{}[],: \t\rnulltrue\x01\x7f".choose(random).unwrap(),
        2 => drop(line.remove(at)),
        3 => line.insert(at, *b" \t\r\"\\0,}{".choose(random).unwrap()),
        4 => line.truncate(at),
        5 => line.splice(at..at, *b"\\n").for_each(drop),
        6 => replace(line, b"mid", b"mjd"),
        7 => replace(line, b"\"ts\":", b"\"ts\":-"),
        8 => replace(line, b"\"ts\":", b"\"ts\":1,\"ts\":"),
        9 => replace(line, b"\"n\":", b"\"n\":9999999999"),
        10 => line.extend(b"  "),
        _ => {
            let end = (at + random.random_range(0..20)).min(line.len());
            line.drain(at..end);
        }
    }
    line.retain(|&byte| byte != b'\n');
}

fn replace(line: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    if let Some(at) = memchr::memmem::find(line, from) {
        line.splice(at..at + from.len(), to.iter().copied()).for_each(drop);
    }
}

#[test]
fn both_ways_give_the_same_rows_and_rejections() {
    const CHUNKS: u64 = 150;
    const LINES: usize = 400;
    let mut decoders = [JsonDecoder::new(config(fields())), JsonDecoder::new(config(fields()))];
    decoders[1].predictor = Predictor::portable();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..CHUNKS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut lines, mut rows, mut rejected) = (vec![], vec![], vec![]);
        // Some chunks hold whole records only, as most chunks do.
        let damaged = [0.0, 0.1, 0.6][seed as usize % 3];
        for number in 0..LINES {
            let mut line = record(&mut random).into_bytes();
            if random.random_bool(damaged) {
                damage(&mut line, &mut random);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                match std::str::from_utf8(&line).ok().and_then(oracle) {
                    Some(row) => rows.push(row),
                    None => rejected.push(11 + number as u64),
                }
            }
            lines.extend(line);
            if number + 1 < LINES || seed.is_multiple_of(2) {
                lines.push(b'\n');
            }
        }
        for decoder in &mut decoders {
            let (read, refused) = decoded(decoder, &lines);
            assert_eq!(refused, rejected, "rejected lines of seed {seed}");
            for (at, (read, row)) in read.iter().zip(&rows).enumerate() {
                assert_eq!(read, row, "good record {at} of seed {seed}");
            }
            assert_eq!(read.len(), rows.len(), "seed {seed}");
        }
        good += rows.len();
        bad += rejected.len();
    }
    let stats = decoders[0].stats();
    assert_eq!(stats.predicted + stats.general, (good + bad) as u64);
    assert_eq!(stats, decoders[1].stats(), "the machine's instructions change nothing");
    assert!(stats.predicted > good as u64 * 8 / 10, "most good records are predicted: {stats:?} of {good}");
    assert!(bad > 5_000, "the damage is real: {bad}");
}

/// A record with its parts in any order, each there or not: hundreds of shapes.
fn composed(random: &mut impl Rng) -> String {
    let mut parts = vec![
        format!(r#""user_id":{}"#, random.random_range(0..1_000)),
        r#""type":"page""#.to_owned(),
        ["null", r#"{"ar":"1","mid":"m"}"#, r#"{"mid":"m","vc":"2"}"#]
            .choose(random)
            .map(|common| format!(r#""common":{common}"#))
            .unwrap(),
        r#""shown":[{"item":"a","n":1}]"#.to_owned(),
        r#""unknown":{"a":{}}"#.to_owned(),
    ];
    parts.retain(|_| random.random_bool(0.5));
    parts.push(format!(r#""ts":{}"#, random.random_range(0..1_000)));
    format!("{{{}}}", parts.join(","))
}

#[test]
fn hundreds_of_shapes_are_told_apart() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut decoder = JsonDecoder::new(config(fields()));
    for chunk in 0..20 {
        let lines: Vec<_> = (0..1_000).map(|_| composed(&mut random)).collect();
        let expected: Vec<_> = lines.iter().filter_map(|line| oracle(line)).collect();
        let (rows, rejected) = decoded(&mut decoder, lines.join("\n").as_bytes());
        assert_eq!((rows, rejected.len()), (expected, 0), "chunk {chunk}");
    }
    let DecodeStats { predicted, general, .. } = decoder.stats();
    assert!(general < 400 && predicted > 19_000, "each shape is learned once: {predicted}, {general}");
}

/// More shapes than are kept: they are forgotten and learned again, and nothing else changes.
#[test]
fn too_many_shapes_are_forgotten() {
    let mut decoder = JsonDecoder::new(config(fields()));
    for round in 0..3 {
        for number in 0..6_000 {
            let line = format!(r#"{{"key {number}":0,"n":{number},"ts":1}}"#);
            let (rows, rejected) = decoded(&mut decoder, format!("{line}\n{line}").as_bytes());
            assert_eq!((rows.len(), rejected.len()), (2, 0), "round {round}");
            assert!(rows.iter().all(|row| row.flat[2] == Some(number.to_string())), "round {round}: {rows:?}");
        }
    }
    assert!(decoder.stats().predicted >= 18_000, "the second of two is predicted: {:?}", decoder.stats());
}

#[test]
fn a_single_shape_is_learned_once() {
    let mut decoder = JsonDecoder::new(config(fields()));
    let line = "{\"ts\":1,\"type\":\"a\",\"common\":{\"mid\":\"m\"}}\n".repeat(1_000);
    let (rows, rejected) = decoded(&mut decoder, line.as_bytes());
    assert_eq!((rows.len(), rejected.len()), (1_000, 0));
    assert_eq!(decoder.stats().general, 1);
}
