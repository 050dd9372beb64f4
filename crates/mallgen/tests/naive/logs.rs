//! What the log says, recomputed.

use crate::Documents;
use crate::input::{Input, age_group, cut, day, iso, sex, wall};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A page's record with its parts at hand.
struct Page<'i> {
    mid: &'i str,
    ts: i64,
    common: &'i Value,
    record: &'i Value,
    id: &'i str,
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

fn user_id(common: &Value) -> Value {
    common["uid"].as_str().map_or(Value::Null, |uid| uid.parse::<i64>().unwrap().into())
}

fn is_new(common: &Value) -> Value {
    common["is_new"].as_str().map_or(Value::Null, |new| Value::from(new == "1"))
}

/// The province that a log line names, by code or id.
fn province<'i>(input: &'i Input, common: &Value) -> &'i Value {
    let place = common["ar"].as_str().unwrap();
    let named = |row: &&Value| row["area_code"] == place || row["id"].as_i64() == place.parse().ok();
    input.rows("base_province").find(named).unwrap()
}

pub(crate) fn recompute(input: &Input, documents: &mut Documents) {
    let pages: Vec<Page<'_>> = input
        .records
        .iter()
        .filter_map(|((mid, ts), record)| {
            let id = record["page"]["page_id"].as_str()?;
            Some(Page { mid, ts: *ts, common: &record["common"], record, id })
        })
        .collect();
    layers(input, &pages, documents);
    devices(input, &pages, documents);
    traffic(&pages, documents);
    interest(input, &pages, documents);
    counters(input, documents);
}

/// The columns that starts and pages share.
fn client(mid: &str, ts: i64, common: &Value) -> Value {
    json!({
        "mid": mid, "ts": iso(wall(ts)), "user_id": user_id(common), "place": common["ar"], "channel": common["ch"],
        "brand": common["ba"], "model": common["md"], "os": common["os"], "version": common["vc"],
        "is_new": is_new(common),
    })
}

fn with(mut object: Value, more: Value) -> Value {
    let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) else { panic!("both are objects") };
    fields.extend(more);
    object
}

fn layers(input: &Input, pages: &[Page<'_>], documents: &mut Documents) {
    for ((mid, ts), record) in &input.records {
        let (common, start) = (&record["common"], &record["start"]);
        if start.is_object() {
            let row = json!({
                "entry": start["entry"], "loading_ms": start["loading_time"], "ad_id": start["open_ad_id"],
                "ad_ms": start["open_ad_ms"], "skip_ms": start["open_ad_skip_ms"],
            });
            documents.entry("dwd_start").or_default().push(with(client(mid, *ts, common), row));
        }
        if record["err"].is_object() {
            let code = &record["err"]["error_code"];
            let row = json!({"mid": mid, "ts": iso(wall(*ts)), "version": common["vc"], "error_code": code});
            documents.entry("dwd_error").or_default().push(row);
        }
    }
    for page in pages {
        let Page { mid, ts, common, record, id } = *page;
        let about = &record["page"];
        let row = json!({
            "sid": common["sid"], "page_id": id, "last_page_id": about["last_page_id"], "item": about["item"],
            "item_type": about["item_type"], "during_ms": about["during_time"],
        });
        documents.entry("dwd_page").or_default().push(with(client(mid, ts, common), row));
        for shown in record["displays"].as_array().into_iter().flatten() {
            let place = if shown["order"].is_null() { &shown["pos_seq"] } else { &shown["order"] };
            documents.entry("dwd_display").or_default().push(json!({
                "mid": mid, "ts": iso(wall(ts)), "place": place, "page_id": id, "item": shown["item"],
                "item_type": shown["item_type"], "display_type": shown["display_type"], "pos_id": shown["pos_id"],
            }));
        }
        for act in record["actions"].as_array().into_iter().flatten() {
            documents.entry("dwd_action").or_default().push(json!({
                "mid": mid, "ts": iso(wall(ts)), "action_id": act["action_id"], "acted_at": iso(wall(int(&act["ts"]))),
                "page_id": id, "item": act["item"], "item_type": act["item_type"],
            }));
        }
    }
}

fn devices(input: &Input, pages: &[Page<'_>], documents: &mut Documents) {
    let mut seen = BTreeMap::<(String, &str), Vec<&Page<'_>>>::new();
    for page in pages {
        seen.entry((day(wall(page.ts)), page.mid)).or_default().push(page);
    }
    let mut funnel = BTreeMap::<String, [i64; 6]>::new();
    for ((day, mid), pages) in &seen {
        let first = pages.iter().min_by_key(|page| page.ts).unwrap();
        let (common, at) = (first.common, wall(first.ts));
        let user = common["uid"].as_str().map(|uid| input.row("user_info", &json!(uid.parse::<i64>().unwrap())));
        let province = province(input, common);
        documents.entry("active_devices").or_default().push(json!({
            "day": day, "mid": mid, "hour": at.format("%H").to_string().parse::<i64>().unwrap(),
            "first_seen": iso(at), "user_id": user_id(common), "sex": user.map(sex),
            "age_group": user.map(|user| age_group(user, day)), "province": province["name"],
            "iso_code": province["iso_code"], "channel": common["ch"], "brand": common["ba"], "model": common["md"],
            "version": common["vc"], "is_new": is_new(common),
        }));
        let way = ["home", "good_list", "good_detail", "cart", "trade", "payment"];
        let reached = funnel.entry(day.clone()).or_default();
        for (step, count) in reached.iter_mut().enumerate() {
            *count += i64::from(way[..=step].iter().all(|wanted| pages.iter().any(|page| page.id == *wanted)));
        }
    }
    for (day, [home, list, detail, cart, trade, payment]) in funnel {
        documents.entry("funnel_by_day").or_default().push(json!({
            "day": day, "home": home, "list": list, "detail": detail, "cart": cart, "trade": trade,
            "payment": payment,
        }));
    }
}

/// By key: page views, visits, bounces, milliseconds.
type Traffic = BTreeMap<Vec<String>, [i64; 4]>;

fn traffic(pages: &[Page<'_>], documents: &mut Documents) {
    let (mut days, mut minutes) = (Traffic::new(), Traffic::new());
    let mut count = |ts: i64, channel: &str, what: [i64; 4]| {
        let at = wall(ts);
        let day = days.entry(vec![day(at), channel.to_owned()]).or_default();
        let minute = minutes.entry(vec![iso(cut(at, 1))]).or_default();
        for (place, more) in day.iter_mut().zip(what).chain(minute.iter_mut().zip(what)) {
            *place += more;
        }
    };
    // Pages of a device are in their order here. A visit begins where no page was before.
    let mut visits: Vec<Vec<&Page<'_>>> = Vec::new();
    for page in pages {
        count(page.ts, page.common["ch"].as_str().unwrap(), [1, 0, 0, int(&page.record["page"]["during_time"])]);
        match visits.last_mut() {
            Some(visit) if visit[0].mid == page.mid && !page.record["page"]["last_page_id"].is_null() => {
                visit.push(page);
            }
            _ => visits.push(vec![page]),
        }
    }
    for visit in &visits {
        assert!(visit.iter().all(|page| page.common["sid"] == visit[0].common["sid"]));
        let bounced = i64::from(visit.len() == 1);
        count(visit[0].ts, visit[0].common["ch"].as_str().unwrap(), [0, 1, bounced, 0]);
    }
    let counts = |[views, visits, bounces, ms]: [i64; 4]| json!({"page_views": views, "visits": visits, "bounces": bounces, "seconds": ms / 1_000});
    for (key, traffic) in days {
        let row = with(json!({"day": key[0], "channel": key[1]}), counts(traffic));
        documents.entry("traffic_by_day").or_default().push(row);
    }
    for (key, traffic) in minutes {
        documents.entry("traffic_by_minute").or_default().push(with(json!({"minute": key[0]}), counts(traffic)));
    }
}

fn interest(input: &Input, pages: &[Page<'_>], documents: &mut Documents) {
    let mut interest = BTreeMap::<(String, i64), [i64; 4]>::new();
    let mut windows = BTreeMap::<String, BTreeMap<i64, i64>>::new();
    let sku = |item: &Value| item.as_str().unwrap().parse::<i64>().unwrap();
    for page in pages {
        let today = day(wall(page.ts));
        for shown in page.record["displays"].as_array().into_iter().flatten() {
            if shown["item_type"] == "sku_id" {
                interest.entry((today.clone(), sku(&shown["item"]))).or_default()[0] += 1;
            }
        }
        for act in page.record["actions"].as_array().into_iter().flatten() {
            let place = if act["action_id"] == "favor_add" { 2 } else { 3 };
            interest.entry((day(wall(int(&act["ts"]))), sku(&act["item"]))).or_default()[place] += 1;
        }
        if page.id == "good_detail" {
            let item = sku(&page.record["page"]["item"]);
            interest.entry((today, item)).or_default()[1] += 1;
            for back in 0..6 {
                let window = iso(cut(wall(page.ts - back * 600_000), 10));
                *windows.entry(window).or_default().entry(item).or_default() += 1;
            }
        }
    }
    for ((day, sku), [displays, views, favours, carts]) in interest {
        documents.entry("product_interest").or_default().push(json!({
            "day": day, "sku_id": sku, "displays": displays, "views": views, "favours": favours, "carts": carts,
        }));
    }
    for (window, counts) in windows {
        let mut ranked: Vec<_> = counts.into_iter().collect();
        ranked.sort_by_key(|&(sku, views)| (std::cmp::Reverse(views), sku));
        for (number, (sku, views)) in ranked.into_iter().take(10).enumerate() {
            let name = &input.row("sku_info", &json!(sku))["sku_name"];
            documents.entry("top_products").or_default().push(json!({
                "window_start": window, "place": number + 1, "sku_id": sku, "sku_name": name, "views": views,
            }));
        }
    }
}

fn counters(input: &Input, documents: &mut Documents) {
    let mut starts = BTreeMap::<(String, String), [i64; 4]>::new();
    let mut errors = BTreeMap::<(String, String, i64), (i64, BTreeSet<&str>)>::new();
    for ((mid, ts), record) in &input.records {
        let today = day(wall(*ts));
        let start = &record["start"];
        if start.is_object() {
            let counts = starts.entry((today.clone(), start["entry"].as_str().unwrap().to_owned())).or_default();
            let skipped = i64::from(int(&start["open_ad_skip_ms"]) > 0);
            let more = [1, int(&start["loading_time"]), int(&start["open_ad_ms"]), skipped];
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        if record["err"].is_object() {
            let version = record["common"]["vc"].as_str().unwrap().to_owned();
            let entry = errors.entry((today, version, int(&record["err"]["error_code"]))).or_default();
            entry.0 += 1;
            entry.1.insert(mid);
        }
    }
    for ((day, entry), [count, loading, ad, skipped]) in starts {
        documents.entry("starts_by_day").or_default().push(json!({
            "day": day, "entry": entry, "starts": count, "loading_ms": loading, "ad_ms": ad, "skipped": skipped,
        }));
    }
    for ((day, version, code), (count, devices)) in errors {
        documents.entry("errors_by_day").or_default().push(json!({
            "day": day, "version": version, "error_code": code, "errors": count, "devices": devices.len(),
        }));
    }
}
