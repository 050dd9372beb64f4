//! Random requests over random documents, against plain loops over the same documents.

use super::super::search::Answer;
use super::random::{CITIES, Dice, Doc, WORDS, World};
use chrono::{DateTime, Datelike};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

const CASES: u64 = 16;

type Test = Box<dyn Fn(&Doc) -> bool>;

fn cents(units: i64) -> Value {
    // As a user writes it: a number with up to two digits behind the point.
    json!(units as f64 / 100.0)
}

fn iso(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).unwrap().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn date(days: i64) -> String {
    iso(days * 86_400_000)[..10].to_owned()
}

/// A query, and the test that it means.
fn query(dice: &mut Dice, depth: u32) -> (Value, Test) {
    match dice.below(if depth == 0 { 13 } else { 17 }) {
        0 => (json!({"match_all": {}}), Box::new(|_| true)),
        1 => {
            let city = dice.pick(&CITIES);
            let name = dice.pick(&["city", "city.keyword"]);
            (json!({"term": {name: city}}), Box::new(move |doc| doc.city == Some(city)))
        }
        2 => {
            let price = dice.within(-500, 2_500);
            (json!({"term": {"price": {"value": cents(price)}}}), Box::new(move |doc| doc.price == Some(price)))
        }
        3 => {
            let (a, b) = (dice.within(-3, 6), dice.within(-3, 6));
            let test = move |doc: &Doc| [a, b].contains(&i64::from(doc.quantity));
            (json!({"terms": {"quantity": [a, b.to_string()]}}), Box::new(test))
        }
        4 => {
            // A bound between two grid points.
            let (low, high) = (dice.within(-500, 2_500), dice.within(-500, 2_500));
            let body = json!({"gt": low as f64 / 100.0 + 0.005, "lte": high as f64 / 100.0 + 0.005});
            let test = move |doc: &Doc| doc.price.is_some_and(|price| price > low && price <= high);
            (json!({"range": {"price": body}}), Box::new(test))
        }
        5 => {
            let (low, high) = (dice.within(-40, 40) as f64 / 8.0, dice.within(-40, 40) as f64 / 8.0);
            let test = move |doc: &Doc| doc.ratio.is_some_and(|ratio| ratio >= low && ratio < high);
            (json!({"range": {"ratio": {"gte": low, "lt": high}}}), Box::new(test))
        }
        6 => {
            let (low, high) = (dice.within(14_900, 15_000), dice.within(14_900, 15_000));
            let test = move |doc: &Doc| (low..=high).contains(&i64::from(doc.day));
            (json!({"range": {"day": {"gte": date(low), "lte": high * 86_400_000}}}), Box::new(test))
        }
        7 => {
            // Bounds by day on a timestamp: `gt` a day means after all of it.
            let (low, high) = (dice.within(14_900, 15_000), dice.within(14_900, 15_000));
            let test =
                move |doc: &Doc| doc.at.is_some_and(|at| (low + 1..=high).contains(&at.div_euclid(86_400_000_000)));
            (json!({"range": {"at": {"gt": date(low), "lte": date(high)}}}), Box::new(test))
        }
        8 => {
            let sold = dice.one_in(2);
            (json!({"term": {"sold": sold}}), Box::new(move |doc| doc.sold == Some(sold)))
        }
        9 => {
            let words = [dice.pick(&WORDS), dice.pick(&WORDS)];
            let operator = dice.pick(&["or", "and"]);
            let has = |doc: &Doc, word: &str| doc.text.split(' ').any(|other| other == word);
            let test = move |doc: &Doc| match operator {
                "or" => has(doc, words[0]) || has(doc, words[1]),
                _ => has(doc, words[0]) && has(doc, words[1]),
            };
            // "T-Light" is two words, that no other text shares.
            let text = words.join(", ").to_uppercase();
            (json!({"match": {"text": {"query": text, "operator": operator}}}), Box::new(test))
        }
        10 => {
            let test: (&str, Test) = match dice.below(4) {
                0 => ("city", Box::new(|doc| doc.city.is_some())),
                1 => ("price", Box::new(|doc| doc.price.is_some())),
                2 => ("at", Box::new(|doc| doc.at.is_some())),
                _ => ("tags", Box::new(|doc| !doc.tags.is_empty())),
            };
            (json!({"exists": {"field": test.0}}), test.1)
        }
        11 => {
            let ids = [dice.within(-40, 120), dice.within(-40, 120)];
            (json!({"ids": {"values": [ids[0].to_string(), ids[1]]}}), Box::new(move |doc| ids.contains(&doc.id)))
        }
        12 => match dice.below(2) {
            0 => {
                let tag = dice.within(1, 5) as i32;
                (json!({"term": {"tags": tag}}), Box::new(move |doc| doc.tags.contains(&tag)))
            }
            _ => {
                let prefix = dice.pick(&["", "A", "Ber", "Berlin", "Zü", "x"]);
                let test = move |doc: &Doc| doc.city.is_some_and(|city| city.starts_with(prefix));
                (json!({"prefix": {"city": prefix}}), Box::new(test))
            }
        },
        _ => boolean(dice, depth - 1),
    }
}

fn boolean(dice: &mut Dice, depth: u32) -> (Value, Test) {
    let mut body = serde_json::Map::new();
    let mut parts: Vec<Vec<Test>> = Vec::new();
    for part in ["must", "filter", "must_not", "should"] {
        let (queries, tests): (Vec<_>, Vec<_>) = (0..dice.below(3)).map(|_| query(dice, depth)).unzip();
        if !queries.is_empty() {
            body.insert(part.to_owned(), json!(queries));
        }
        parts.push(tests);
    }
    let should = parts[3].len();
    let least = usize::from(should > 0 && parts[0].is_empty() && parts[1].is_empty());
    let mut wanted = least;
    if should > 0 && dice.one_in(3) {
        let (count, share) = (dice.within(-2, 3), dice.within(-4, 4) * 25);
        let missing = if share < 0 { should * share.unsigned_abs() as usize / 100 } else { 0 };
        let (value, asked) = match dice.below(2) {
            0 if count < 0 => (json!(count), should.saturating_sub(count.unsigned_abs() as usize)),
            0 => (json!(count), count as usize),
            _ if share < 0 => (json!(format!("{share}%")), should - missing),
            _ => (json!(format!("{share}%")), should * share as usize / 100),
        };
        wanted = asked.max(least);
        body.insert("minimum_should_match".to_owned(), value);
    }
    let test = move |doc: &Doc| {
        parts[0].iter().chain(&parts[1]).all(|test| test(doc))
            && !parts[2].iter().any(|test| test(doc))
            && parts[3].iter().filter(|test| test(doc)).count() >= wanted
    };
    (json!({ "bool": body }), Box::new(test))
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.hits.iter().map(|hit| hit.id.clone()).collect()
}

#[test]
fn every_query_finds_what_a_loop_finds() {
    for seed in 0..CASES {
        let mut dice = Dice::new(seed);
        let world = World::new(&mut dice);
        for _ in 0..40 {
            let (query, test) = query(&mut dice, 2);
            let answer = world.reader.search(&json!({"query": query, "size": 1000, "sort": "id"})).unwrap();
            let expected: Vec<_> = world.docs.iter().filter(|doc| test(doc)).map(Doc::key).collect();
            assert_eq!(ids(&answer), expected, "seed {seed}: {query}");
            assert_eq!(answer.total, Some((expected.len() as u64, false)));
            let scored = world.reader.search(&json!({"query": query, "size": 1000})).unwrap();
            assert!(scored.hits.is_sorted_by(|a, b| a.score > b.score || (a.score == b.score && a.id < b.id)));
        }
    }
}

type Compare = Box<dyn Fn(&Doc, &Doc) -> Ordering>;

/// A sort key, and the comparison that it means.
fn sort_key(dice: &mut Dice) -> (Value, Compare) {
    let descending = dice.one_in(2);
    let first = dice.one_in(2);
    let name = dice.pick(&["city", "price", "quantity", "ratio", "sold", "day", "at", "tags"]);
    let place = move |doc: &Doc| -> Option<(f64, &'static str)> {
        match name {
            "city" => doc.city.map(|city| (0.0, city)),
            "price" => doc.price.map(|price| (price as f64, "")),
            "quantity" => Some((f64::from(doc.quantity), "")),
            "ratio" => doc.ratio.map(|ratio| (ratio, "")),
            "sold" => doc.sold.map(|sold| (f64::from(u8::from(sold)), "")),
            "day" => Some((f64::from(doc.day), "")),
            "at" => doc.at.map(|at| (at as f64, "")),
            _ if descending => doc.tags.iter().max().map(|&tag| (f64::from(tag), "")),
            _ => doc.tags.iter().min().map(|&tag| (f64::from(tag), "")),
        }
    };
    let compare = move |a: &Doc, b: &Doc| match (place(a), place(b)) {
        (Some(a), Some(b)) if descending => b.partial_cmp(&a).unwrap(),
        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
        (a, b) if first => a.is_some().cmp(&b.is_some()),
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    let order = if descending { "desc" } else { "asc" };
    (json!({name: {"order": order, "missing": if first { "_first" } else { "_last" }}}), Box::new(compare))
}

#[test]
fn every_order_is_that_of_a_sort() {
    for seed in 0..CASES {
        let mut dice = Dice::new(seed + 1_000);
        let world = World::new(&mut dice);
        for _ in 0..20 {
            let keys: Vec<_> = (0..1 + dice.below(2)).map(|_| sort_key(&mut dice)).collect();
            let (from, size) = (dice.below(30) as usize, dice.below(30) as usize);
            let sort: Vec<_> = keys.iter().map(|key| &key.0).collect();
            let answer = world.reader.search(&json!({"sort": sort, "from": from, "size": size})).unwrap();
            let mut expected: Vec<&Doc> = world.docs.iter().collect();
            expected.sort_by(|a, b| {
                let by_keys = keys.iter().map(|key| key.1(a, b)).fold(Ordering::Equal, Ordering::then);
                by_keys.then_with(|| a.key().cmp(&b.key()))
            });
            let expected: Vec<_> = expected.into_iter().skip(from).take(size).map(Doc::key).collect();
            assert_eq!(ids(&answer), expected, "seed {seed}: {sort:?} from {from} size {size}");
        }
    }
}

/// Runs aggregations over a random query's documents; they and the answer are handed to a check.
fn aggregated(seeds: std::ops::Range<u64>, aggs: &Value, check: impl Fn(&[&Doc], &Value)) {
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let world = World::new(&mut dice);
        let (query, test) = query(&mut dice, 1);
        let docs: Vec<_> = world.docs.iter().filter(|doc| test(doc)).collect();
        let answer = world.reader.search(&json!({"query": query, "size": 0, "aggs": aggs})).unwrap();
        assert!(answer.hits.is_empty());
        println!("seed {seed}: {query}");
        check(&docs, &serde_json::to_value(&answer).unwrap()["aggregations"]);
    }
}

fn near(found: &Value, expected: Option<f64>) {
    match expected {
        None => assert!(found.is_null(), "{found}"),
        Some(expected) => {
            let found = found.as_f64().unwrap_or(f64::NAN);
            assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
        }
    }
}

#[test]
fn figures_are_those_of_a_loop() {
    let aggs = json!({
        "sum": {"sum": {"field": "price"}}, "avg": {"avg": {"field": "ratio"}}, "min": {"min": {"field": "price"}},
        "max": {"max": {"field": "at"}}, "stats": {"stats": {"field": "quantity"}},
        "count": {"value_count": {"field": "tags"}}, "cities": {"cardinality": {"field": "city"}},
        "prices": {"cardinality": {"field": "price"}},
        "spread": {"percentiles": {"field": "ratio", "percents": [0, 37.5, 100]}},
    });
    aggregated(0..CASES, &aggs, |docs, found| {
        let prices: Vec<i64> = docs.iter().filter_map(|doc| doc.price).collect();
        let mut ratios: Vec<f64> = docs.iter().filter_map(|doc| doc.ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let ends =
            |values: &[f64]| values.iter().copied().reduce(f64::min).zip(values.iter().copied().reduce(f64::max));
        near(&found["sum"]["value"], Some(prices.iter().sum::<i64>() as f64 / 100.0));
        let mean = (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64);
        near(&found["avg"]["value"], mean);
        near(&found["min"]["value"], prices.iter().min().map(|&price| price as f64 / 100.0));
        let latest = docs.iter().filter_map(|doc| doc.at).max().map(|at| at.div_euclid(1000));
        near(&found["max"]["value"], latest.map(|at| at as f64));
        assert_eq!(found["max"].get("value_as_string"), latest.map(|at| json!(iso(at))).as_ref());
        let quantities: Vec<f64> = docs.iter().map(|doc| f64::from(doc.quantity)).collect();
        assert_eq!(found["stats"]["count"], quantities.len());
        near(&found["stats"]["sum"], Some(quantities.iter().sum()));
        near(&found["stats"]["min"], ends(&quantities).map(|ends| ends.0));
        near(&found["stats"]["max"], ends(&quantities).map(|ends| ends.1));
        let mean = (!docs.is_empty()).then(|| quantities.iter().sum::<f64>() / quantities.len() as f64);
        near(&found["stats"]["avg"], mean);
        assert_eq!(found["count"]["value"], docs.iter().map(|doc| distinct(&doc.tags).1).sum::<usize>());
        assert_eq!(found["cities"]["value"], docs.iter().filter_map(|doc| doc.city).collect::<BTreeSet<_>>().len());
        assert_eq!(found["prices"]["value"], prices.iter().collect::<BTreeSet<_>>().len());
        let at = |share: f64| {
            let rank = share * (ratios.len().checked_sub(1)? as f64);
            let (low, high) = (ratios[rank as usize], ratios[rank.ceil() as usize]);
            Some(low + (high - low) * (rank - rank.floor()))
        };
        for (name, share) in [("0.0", 0.0), ("37.5", 0.375), ("100.0", 1.0)] {
            near(&found["spread"]["values"][name], at(share));
        }
    });
}

/// How many values a field has, different ones and all.
fn distinct(tags: &[i32]) -> (usize, usize) {
    (tags.iter().collect::<BTreeSet<_>>().len(), tags.len())
}

#[test]
fn terms_are_counted_ordered_and_cut_as_a_loop_does() {
    let aggs = json!({
        "cities": {"terms": {"field": "city", "size": 3}, "aggs": {"spend": {"sum": {"field": "price"}}}},
        "by_spend": {
            "terms": {"field": "city.keyword", "order": {"spend": "desc"}, "min_doc_count": 2},
            "aggs": {"spend": {"sum": {"field": "price"}}},
        },
        "tags": {"terms": {"field": "tags", "order": {"_key": "desc"}}},
    });
    aggregated(100..100 + CASES, &aggs, |docs, found| {
        let mut cities: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
        for doc in docs {
            if let Some(city) = doc.city {
                let city = cities.entry(city).or_default();
                city.0 += 1;
                city.1 += doc.price.unwrap_or(0);
            }
        }
        let shown = |cities: &[(&str, (usize, i64))]| -> Vec<Value> {
            cities.iter().map(|(city, (count, spend))| json!([city, count, (*spend as f64 / 100.0)])).collect()
        };
        let read = |found: &Value| -> Vec<Value> {
            let buckets = found["buckets"].as_array().unwrap().iter();
            buckets.map(|b| json!([b["key"], b["doc_count"], b["spend"]["value"].as_f64().unwrap()])).collect()
        };
        let mut sorted: Vec<_> = cities.into_iter().collect();
        sorted.sort_by_key(|city| std::cmp::Reverse(city.1.0));
        assert_eq!(read(&found["cities"]), shown(&sorted[..sorted.len().min(3)]));
        let others: usize = sorted.iter().skip(3).map(|city| city.1.0).sum();
        assert_eq!(found["cities"]["sum_other_doc_count"], others);
        sorted.retain(|city| city.1.0 >= 2);
        sorted.sort_by_key(|city| (std::cmp::Reverse(city.1.1), city.0));
        assert_eq!(read(&found["by_spend"]), shown(&sorted));
        let tags = (1..=5).rev().map(|tag| (tag, docs.iter().filter(|doc| doc.tags.contains(&tag)).count()));
        let tags: Vec<_> =
            tags.filter(|tag| tag.1 > 0).map(|(key, count)| json!({"key": key, "doc_count": count})).collect();
        assert_eq!(found["tags"]["buckets"], json!(tags));
    });
}

#[test]
fn stretches_hold_what_a_loop_puts_in_them() {
    let aggs = json!({
        "months": {
            "date_histogram": {"field": "at", "calendar_interval": "month", "format": "yyyy-MM"},
            "aggs": {"sold": {"filter": {"term": {"sold": true}}, "aggs": {"units": {"sum": {"field": "quantity"}}}}},
        },
        "weeks": {"date_histogram": {"field": "day", "fixed_interval": "7d", "offset": "4d", "min_doc_count": 1}},
        "prices": {"histogram": {"field": "price", "interval": 2.5, "offset": 0.01}},
        "ratios": {"histogram": {"field": "ratio", "interval": 0.5, "min_doc_count": 1}},
    });
    aggregated(200..200 + CASES, &aggs, |docs, found| {
        let months: BTreeMap<_, Vec<_>> = grouped(docs, |doc| {
            let at = DateTime::from_timestamp_micros(doc.at?).unwrap();
            Some(at.year() * 12 + at.month0() as i32)
        });
        let mut expected = Vec::new();
        if let Some((first, last)) = months.keys().next().zip(months.keys().last()) {
            for month in *first..=*last {
                let docs = months.get(&month).map_or(&[][..], Vec::as_slice);
                let sold: Vec<_> = docs.iter().filter(|doc| doc.sold == Some(true)).collect();
                let units: i32 = sold.iter().map(|doc| doc.quantity).sum();
                let text = format!("{:04}-{:02}", month / 12, month % 12 + 1);
                expected.push(json!([text, docs.len(), sold.len(), units]));
            }
        }
        let read = found["months"]["buckets"].as_array().unwrap().iter().map(|bucket| {
            json!([
                bucket["key_as_string"],
                bucket["doc_count"],
                bucket["sold"]["doc_count"],
                bucket["sold"]["units"]["value"]
            ])
        });
        assert_eq!(read.collect::<Vec<_>>(), expected);
        // 1970-01-05 was a Monday.
        let weeks = grouped(docs, |doc| Some((i64::from(doc.day) - 4).div_euclid(7) * 7 + 4));
        let weeks: Vec<_> = weeks
            .iter()
            .map(|(day, docs)| {
                let millis = day * 86_400_000;
                json!({"key_as_string": iso(millis), "key": millis, "doc_count": docs.len()})
            })
            .collect();
        assert_eq!(found["weeks"]["buckets"], json!(weeks));
        let prices = grouped(docs, |doc| Some((doc.price? - 1).div_euclid(250)));
        let mut expected = Vec::new();
        if let Some((first, last)) = prices.keys().next().zip(prices.keys().last()) {
            for at in *first..=*last {
                let count = prices.get(&at).map_or(0, Vec::len);
                expected.push(json!({"key": (at * 250 + 1) as f64 / 100.0, "doc_count": count}));
            }
        }
        assert_eq!(found["prices"]["buckets"], json!(expected));
        let ratios = grouped(docs, |doc| Some((doc.ratio? * 2.0).floor() as i64));
        let ratios: Vec<_> =
            ratios.iter().map(|(at, docs)| json!({"key": *at as f64 / 2.0, "doc_count": docs.len()})).collect();
        assert_eq!(found["ratios"]["buckets"], json!(ratios));
    });
}

fn grouped<'a, K: Ord>(docs: &[&'a Doc], key: impl Fn(&Doc) -> Option<K>) -> BTreeMap<K, Vec<&'a Doc>> {
    let mut groups: BTreeMap<K, Vec<&Doc>> = BTreeMap::new();
    for doc in docs {
        if let Some(key) = key(doc) {
            groups.entry(key).or_default().push(doc);
        }
    }
    groups
}

#[test]
fn ranges_hold_what_a_loop_puts_in_them() {
    let aggs = json!({
        "prices": {"range": {"field": "price", "ranges": [{"to": 5}, {"from": 2.5, "to": 10.01}, {"from": 10.01}]}},
        "days": {"date_range": {"field": "at", "keyed": true, "ranges": [
            {"key": "early", "to": "2010-12-01"}, {"key": "late", "from": "2010-12-01"},
        ]}},
    });
    aggregated(300..300 + CASES, &aggs, |docs, found| {
        let count = |low: i64, high: i64| {
            docs.iter().filter(|doc| doc.price.is_some_and(|price| (low..high).contains(&price))).count()
        };
        let expected = json!([
            {"key": "*-5.0", "to": 5.0, "doc_count": count(i64::MIN, 500)},
            {"key": "2.5-10.01", "from": 2.5, "to": 10.01, "doc_count": count(250, 1_001)},
            {"key": "10.01-*", "from": 10.01, "doc_count": count(1_001, i64::MAX)},
        ]);
        assert_eq!(found["prices"]["buckets"], expected);
        let december = 14_944 * 86_400_000_000;
        let count = |early| docs.iter().filter(|doc| doc.at.is_some_and(|at| (at < december) == early)).count();
        let days = &found["days"]["buckets"];
        assert_eq!(days["early"]["doc_count"], count(true));
        assert_eq!(days["late"]["doc_count"], count(false));
        assert_eq!(days["late"]["from_as_string"], "2010-12-01T00:00:00.000Z");
    });
}
