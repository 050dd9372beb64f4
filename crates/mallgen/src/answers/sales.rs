//! Orders, buyers and revenue by whatever they are told apart by, a day and a minute each.

use super::tables::{Tables, age_group, sex};
use super::wide::Wide;
use super::written::{Documents, Written};
use crate::clock::{self, MINUTE, Millis};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

#[derive(Debug, Default)]
struct Sales {
    orders: BTreeSet<i64>,
    buyers: BTreeSet<i64>,
    units: i64,
    ordered: i64,
    revenue: i64,
}

/// By time, dimension and value.
type Cube<'t, T> = BTreeMap<(T, &'static str, &'t str), Sales>;

/// Writes both metrics. Cancelled orders do not count; revenue is what was paid and not given back.
pub(super) fn write(lines: &[Wide<'_>], tables: &Tables, written: &Written) -> io::Result<()> {
    let (mut days, mut minutes) = (Cube::<i32>::new(), Cube::<Millis>::new());
    for wide in lines.iter().filter(|wide| !wide.cancelled()) {
        let (day, minute) = (clock::day_of(wide.order.at), wide.order.at - wide.order.at.rem_euclid(MINUTE));
        for (dimension, value) in dimensions(wide, tables, day) {
            count(days.entry((day, dimension, value)).or_default(), wide);
            count(minutes.entry((minute, dimension, value)).or_default(), wide);
        }
    }
    let mut documents = written.documents("sales_by_day")?;
    for ((day, dimension, value), sales) in &days {
        document(&mut documents, dimension, value, sales, |object| {
            object.date("day", clock::date(*day));
        });
    }
    documents.finish()?;
    let mut documents = written.documents("sales_by_minute")?;
    for ((minute, dimension, value), sales) in &minutes {
        document(&mut documents, dimension, value, sales, |object| {
            object.moment("minute", Some(*minute));
        });
    }
    documents.finish()
}

/// What sales are told apart by, and what a line is there.
fn dimensions<'t>(wide: &Wide<'t>, tables: &'t Tables, day: i32) -> [(&'static str, &'t str); 6] {
    let (user, sku) = (&tables.users[&wide.order.user], &tables.skus[&wide.line.sku]);
    [
        ("all", "all"),
        ("province", &tables.provinces[&wide.order.province].name),
        ("trademark", tables.trademark(sku)),
        ("category", tables.categories(sku)[2]),
        ("sex", sex(user)),
        ("age_group", age_group(user, day)),
    ]
}

fn count(sales: &mut Sales, wide: &Wide<'_>) {
    sales.orders.insert(wide.order_id);
    sales.buyers.insert(wide.order.user);
    sales.units += wide.line.units;
    sales.ordered += wide.amount();
    if wide.paid_at().is_some() {
        sales.revenue += wide.amount() - wide.given_back().1;
    }
}

fn document(
    documents: &mut Documents,
    dimension: &str,
    value: &str,
    sales: &Sales,
    time: impl FnOnce(&mut crate::json::Object<'_>),
) {
    documents.add(|object| {
        time(object);
        object.text("dimension", dimension).text("value", value).int("orders", sales.orders.len() as i64);
        object.int("buyers", sales.buyers.len() as i64).int("units", sales.units);
        object.cents("ordered", sales.ordered).cents("revenue", sales.revenue);
    });
}
