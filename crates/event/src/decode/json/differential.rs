//! The fast way against `serde_json`, over tens of thousands of records, most of them damaged: the same rows, and the
//! same records rejected, with and without AVX2.
//!
//! The oracle shares nothing with the decoder but `serde_json` itself: it parses each line into a map of raw values and
//! renders the wanted ones by rules of its own.

use super::JsonDecoder;
use super::predict::Predictor;
use super::tests::{chunk, config, nested, text};
use crate::decode::{Decoded, Decoder};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// `user_id BIGINT, type STRING, n INT, ts TIMESTAMP NOT NULL, common STRUCT<mid STRING, vc STRING>`
fn fields() -> Vec<Field> {
    vec![
        Field::new("user_id", DataType::Int64, true),
        text("type"),
        Field::new("n", DataType::Int32, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        nested("common", vec![text("mid"), text("vc")]),
    ]
}

/// Each value as text; `None` is NULL. The last is the struct: `None`, or its two fields.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    flat: [Option<String>; 4],
    common: Option<[Option<String>; 2]>,
}

type Object<'a> = HashMap<String, &'a RawValue>;

/// `None`: rejected.
fn oracle(line: &str) -> Option<Row> {
    let record: Object<'_> = serde_json::from_str(line).ok()?;
    let integer = |name: &str, min: i64, max: i64| -> Option<Option<i64>> {
        let Some(raw) = present(&record, name) else { return Some(None) };
        let quoted: Option<String> = serde_json::from_str(raw).ok();
        let value = exact_integer(quoted.as_deref().unwrap_or(raw).trim())?;
        (min..=max).contains(&value).then_some(Some(value))
    };
    let ts = integer("ts", -62_167_219_200_000, 253_402_300_799_999)??;
    let common = match present(&record, "common") {
        None => None,
        Some(raw) => {
            let inner: Object<'_> = serde_json::from_str(raw).ok()?;
            Some([string(&inner, "mid")?, string(&inner, "vc")?])
        }
    };
    let show = |value: Option<i64>| value.map(|value| value.to_string());
    let user_id = show(integer("user_id", i64::MIN, i64::MAX)?);
    let n = show(integer("n", i32::MIN.into(), i32::MAX.into())?);
    Some(Row { flat: [user_id, string(&record, "type")?, n, show(Some(ts * 1_000))], common })
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

/// Integers however they are written, by moving the point in the text.
fn exact_integer(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if all.bytes().all(|byte| byte == b'0') {
        return Some(0);
    }
    let point = whole.len() as i64 + exponent;
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
        let common = batch.column(4).as_struct();
        for row in 0..batch.len() {
            let longs = batch.column(0).as_primitive::<Int64Type>();
            let ints = batch.column(2).as_primitive::<Int32Type>();
            let stamps = batch.column(3).as_primitive::<TimestampMicrosecondType>();
            rows.push(Row {
                flat: [
                    longs.is_valid(row).then(|| longs.value(row).to_string()),
                    strings(batch.column(1), row),
                    ints.is_valid(row).then(|| ints.value(row).to_string()),
                    Some(stamps.value(row).to_string()),
                ],
                common: common.is_valid(row).then(|| [strings(common.column(0), row), strings(common.column(1), row)]),
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
    match next() % 5 {
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
        _ => format!(
            r#"{{"type":"say \"{kind}\"","user_id":null,"ts":{ts},"ok":true,"common":{{"vc":null,"mid":"\u4f60{mid}"}}}}"#
        ),
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

#[test]
fn a_single_shape_is_learned_once() {
    let mut decoder = JsonDecoder::new(config(fields()));
    let line = "{\"ts\":1,\"type\":\"a\",\"common\":{\"mid\":\"m\"}}\n".repeat(1_000);
    let (rows, rejected) = decoded(&mut decoder, line.as_bytes());
    assert_eq!((rows.len(), rejected.len()), (1_000, 0));
    assert_eq!(decoder.stats().general, 1);
}
