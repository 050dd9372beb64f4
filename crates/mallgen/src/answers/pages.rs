//! Traffic, what is looked at, starts and errors: counts that need no dimension but a product's name.

use super::tables::Tables;
use super::written::Written;
use crate::catalog::{PHONES, VERSIONS};
use crate::clock::{self, HOUR, MINUTE, Millis};
use crate::log::{Body, Page, Record};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

/// The sliding hour of the top products goes on by this.
const SLIDE: Millis = 10 * MINUTE;
/// How many products it shows.
const PLACES: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    views: i64,
    visits: i64,
    bounces: i64,
    ms: i64,
}

/// A visit that may go on.
#[derive(Debug)]
struct Visit {
    number: u64,
    start: Millis,
    channel: &'static str,
    pages: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Interest {
    displays: i64,
    views: i64,
    favours: i64,
    carts: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Starts {
    starts: i64,
    loading_ms: i64,
    ad_ms: i64,
    skipped: i64,
}

/// All that is counted of logs.
#[derive(Debug, Default)]
pub(super) struct Pages {
    days: BTreeMap<(i32, &'static str), Traffic>,
    minutes: BTreeMap<Millis, Traffic>,
    /// The last visit of each device.
    visits: HashMap<u64, Visit>,
    interest: BTreeMap<(i32, i64), Interest>,
    /// Views of products by the start of the sliding hour.
    windows: BTreeMap<Millis, BTreeMap<i64, i64>>,
    starts: BTreeMap<(i32, &'static str), Starts>,
    errors: BTreeMap<(i32, &'static str, i64), (i64, BTreeSet<u64>)>,
}

/// The start of the minute.
fn minute(ts: Millis) -> Millis {
    ts - ts.rem_euclid(MINUTE)
}

impl Pages {
    pub(super) fn log(&mut self, record: &Record) {
        let day = clock::day_of(record.ts);
        if let Some(code) = record.error {
            let version = VERSIONS[record.client.version].0;
            let (errors, devices) = self.errors.entry((day, version, code)).or_default();
            *errors += 1;
            devices.insert(record.client.device);
        }
        match &record.body {
            Body::Start(start) => {
                let starts = self.starts.entry((day, start.entry)).or_default();
                starts.starts += 1;
                starts.loading_ms += start.loading_ms;
                starts.ad_ms += start.ad_ms;
                starts.skipped += i64::from(start.skip_ms > 0);
            }
            Body::Page(page) => self.page(record, page, day),
        }
    }

    fn page(&mut self, record: &Record, page: &Page, day: i32) {
        let channel = PHONES[record.client.phone].3;
        let traffic =
            [self.days.entry((day, channel)).or_default(), self.minutes.entry(minute(record.ts)).or_default()];
        for traffic in traffic {
            traffic.views += 1;
            traffic.ms += page.during_ms;
        }
        self.visit(record, channel);
        for shown in page.displays.iter().filter(|shown| shown.item_type == "sku_id") {
            self.interest.entry((day, shown.item)).or_default().displays += 1;
        }
        for action in &page.actions {
            let interest = self.interest.entry((clock::day_of(action.ts), action.sku)).or_default();
            match action.id {
                "favor_add" => interest.favours += 1,
                _ => interest.carts += 1,
            }
        }
        if let (Some((_, sku)), "good_detail") = (&page.item, page.id) {
            let sku = sku.parse().expect("details are of products");
            self.interest.entry((day, sku)).or_default().views += 1;
            let newest = record.ts - record.ts.rem_euclid(SLIDE);
            for back in 0..HOUR / SLIDE {
                *self.windows.entry(newest - back * SLIDE).or_default().entry(sku).or_default() += 1;
            }
        }
    }

    /// Pages of a device come in their order, and visits do not overlap.
    fn visit(&mut self, record: &Record, channel: &'static str) {
        let number = record.client.visit;
        let visit = self.visits.entry(record.client.device);
        let fresh = Visit { number, start: record.ts, channel, pages: 0 };
        let last = visit.or_insert(Visit { number, ..fresh });
        let done = if last.number == number { None } else { Some(std::mem::replace(last, fresh)) };
        last.pages += 1;
        if let Some(done) = done {
            self.count_visit(&done);
        }
    }

    fn count_visit(&mut self, visit: &Visit) {
        let day = clock::day_of(visit.start);
        let traffic =
            [self.days.entry((day, visit.channel)).or_default(), self.minutes.entry(minute(visit.start)).or_default()];
        for traffic in traffic {
            traffic.visits += 1;
            traffic.bounces += i64::from(visit.pages == 1);
        }
    }

    pub(super) fn write(mut self, tables: &Tables, written: &Written) -> io::Result<()> {
        for visit in std::mem::take(&mut self.visits).values() {
            self.count_visit(visit);
        }
        self.write_traffic(written)?;
        self.write_interest(tables, written)?;
        let mut documents = written.documents("starts_by_day")?;
        for ((day, entry), starts) in &self.starts {
            documents.add(|object| {
                object.date("day", clock::date(*day)).text("entry", entry).int("starts", starts.starts);
                object.int("loading_ms", starts.loading_ms).int("ad_ms", starts.ad_ms);
                object.int("skipped", starts.skipped);
            });
        }
        documents.finish()?;
        let mut documents = written.documents("errors_by_day")?;
        for ((day, version, code), (errors, devices)) in &self.errors {
            documents.add(|object| {
                object.date("day", clock::date(*day)).text("version", version).int("error_code", *code);
                object.int("errors", *errors).int("devices", devices.len() as i64);
            });
        }
        documents.finish()
    }

    fn write_traffic(&self, written: &Written) -> io::Result<()> {
        let counts = |object: &mut crate::json::Object<'_>, traffic: &Traffic| {
            object.int("page_views", traffic.views).int("visits", traffic.visits).int("bounces", traffic.bounces);
            object.int("seconds", traffic.ms / 1_000);
        };
        let mut documents = written.documents("traffic_by_day")?;
        for ((day, channel), traffic) in &self.days {
            documents.add(|object| {
                object.date("day", clock::date(*day)).text("channel", channel);
                counts(object, traffic);
            });
        }
        documents.finish()?;
        let mut documents = written.documents("traffic_by_minute")?;
        for (minute, traffic) in &self.minutes {
            documents.add(|object| {
                object.moment("minute", Some(*minute));
                counts(object, traffic);
            });
        }
        documents.finish()
    }

    fn write_interest(&self, tables: &Tables, written: &Written) -> io::Result<()> {
        let mut documents = written.documents("product_interest")?;
        for ((day, sku), interest) in &self.interest {
            documents.add(|object| {
                object.date("day", clock::date(*day)).int("sku_id", *sku).int("displays", interest.displays);
                object.int("views", interest.views).int("favours", interest.favours).int("carts", interest.carts);
            });
        }
        documents.finish()?;
        let mut documents = written.documents("top_products")?;
        for (window, views) in &self.windows {
            let mut ranked: Vec<(i64, i64)> = views.iter().map(|(sku, views)| (-views, *sku)).collect();
            ranked.sort_unstable();
            for ((views, sku), place) in ranked.into_iter().take(PLACES).zip(1..) {
                documents.add(|object| {
                    object.moment("window_start", Some(*window)).int("place", place).int("sku_id", sku);
                    object.text("sku_name", &tables.skus[&sku].name).int("views", -views);
                });
            }
        }
        documents.finish()
    }
}
