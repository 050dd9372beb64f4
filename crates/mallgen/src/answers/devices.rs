//! Active devices of each day, and how far they got on the way to a payment.

use super::tables::{Tables, age_group, sex};
use super::written::Written;
use crate::catalog::{PHONES, VERSIONS};
use crate::clock::{self, Millis};
use crate::log::{Body, Client, Record};
use chrono::Timelike;
use std::collections::BTreeMap;
use std::io;

/// The way to a payment.
const FUNNEL: [&str; 6] = ["home", "good_list", "good_detail", "cart", "trade", "payment"];
/// The same, as the document names it.
const FUNNEL_FIELDS: [&str; 6] = ["home", "list", "detail", "cart", "trade", "payment"];

/// A device on a day.
#[derive(Debug)]
struct Active {
    /// Its first page.
    ts: Millis,
    client: Client,
    /// Which pages of the way it has seen, a bit each.
    seen: u8,
}

/// By day and device.
#[derive(Debug, Default)]
pub(super) struct Devices(BTreeMap<(i32, u64), Active>);

impl Devices {
    pub(super) fn log(&mut self, record: &Record) {
        let Body::Page(page) = &record.body else { return };
        let key = (clock::day_of(record.ts), record.client.device);
        let active =
            self.0.entry(key).or_insert_with(|| Active { ts: record.ts, client: record.client.clone(), seen: 0 });
        if record.ts < active.ts {
            (active.ts, active.client) = (record.ts, record.client.clone());
        }
        if let Some(step) = FUNNEL.iter().position(|step| *step == page.id) {
            active.seen |= 1 << step;
        }
    }

    pub(super) fn write(&self, tables: &Tables, written: &Written) -> io::Result<()> {
        let mut documents = written.documents("active_devices")?;
        let mut funnel = BTreeMap::<i32, [i64; 6]>::new();
        for ((day, _), active) in &self.0 {
            let Active { ts, client, seen } = active;
            let user = client.user.map(|id| &tables.users[&id]);
            let province = &tables.provinces[&(client.province as i64 + 1)];
            let (brand, model, _, channel) = PHONES[client.phone];
            documents.add(|object| {
                object.date("day", clock::date(*day)).text("mid", &client.mid());
                object.int("hour", i64::from(clock::wall(*ts).hour())).moment("first_seen", Some(*ts));
                object.int_or_null("user_id", client.user).text_or_null("sex", user.map(sex));
                object.text_or_null("age_group", user.map(|user| age_group(user, *day)));
                object.text("province", &province.name).text_or_null("iso_code", province.iso.as_deref());
                object.text("channel", channel).text("brand", brand).text("model", model);
                object.text("version", VERSIONS[client.version].0);
                match client.newness() {
                    Some(new) => object.boolean("is_new", new),
                    None => object.null("is_new"),
                };
            });
            let reached = funnel.entry(*day).or_default();
            for (step, count) in reached.iter_mut().enumerate() {
                // All pages up to this one.
                let wanted = (2 << step) - 1;
                *count += i64::from(seen & wanted == wanted);
            }
        }
        documents.finish()?;
        let mut documents = written.documents("funnel_by_day")?;
        for (day, reached) in funnel {
            documents.add(|object| {
                object.date("day", clock::date(day));
                for (field, count) in FUNNEL_FIELDS.iter().zip(reached) {
                    object.int(field, count);
                }
            });
        }
        documents.finish()
    }
}
