//! Lines of orders with all that belongs to them.

use super::tables::{Line, Order, Refund, Tables, age_group, sex};
use super::written::Written;
use crate::clock;
use crate::reductions::shares;
use chrono::Timelike;
use std::collections::BTreeMap;
use std::io;

/// The status of a cancelled order, and that of money that was given back.
const CANCELLED: &str = "1003";
const GIVEN_BACK: &str = "0705";

/// A line of an order, with its shares.
pub(super) struct Wide<'t> {
    id: i64,
    pub(super) order_id: i64,
    pub(super) order: &'t Order,
    pub(super) line: &'t Line,
    first_order: bool,
    activity: i64,
    coupon: i64,
    refund: Option<&'t Refund>,
}

impl Wide<'_> {
    fn original(&self) -> i64 {
        self.line.price * self.line.units
    }

    /// What is to be paid for it, in cents.
    pub(super) fn amount(&self) -> i64 {
        self.original() - self.activity - self.coupon
    }

    pub(super) fn cancelled(&self) -> bool {
        self.order.status == CANCELLED
    }

    pub(super) fn paid_at(&self) -> Option<i64> {
        self.order.payment.as_ref().and_then(|(_, at)| *at)
    }

    /// Units and cents that were given back.
    pub(super) fn given_back(&self) -> (i64, i64) {
        let refund = self.refund.filter(|refund| refund.status == GIVEN_BACK);
        refund.map_or((0, 0), |refund| (refund.units, refund.amount))
    }
}

/// All lines of all orders, by their ids.
pub(super) fn lines(tables: &Tables) -> Vec<Wide<'_>> {
    let mut first = BTreeMap::new();
    for (id, order) in &tables.orders {
        let earliest = first.entry(order.user).or_insert((order.at, *id));
        *earliest = (*earliest).min((order.at, *id));
    }
    let mut lines = Vec::new();
    for (&order_id, order) in &tables.orders {
        let amounts: Vec<i64> = order.lines.values().map(|line| line.price * line.units).collect();
        let (activity, coupon) = (shares(order.activity, &amounts), shares(order.coupon, &amounts));
        for (number, (&id, line)) in order.lines.iter().enumerate() {
            let (activity, coupon) = (activity[number], coupon[number]);
            let first_order = first[&order.user].1 == order_id;
            // What is given back of a product stands at its first line.
            let is_first = order.lines.values().take(number).all(|before| before.sku != line.sku);
            let refund = tables.refunds.get(&(order_id, line.sku)).filter(|_| is_first);
            lines.push(Wide { id, order_id, order, line, first_order, activity, coupon, refund });
        }
    }
    lines.sort_by_key(|line| line.id);
    lines
}

/// Writes a document for each line.
pub(super) fn write(lines: &[Wide<'_>], tables: &Tables, written: &Written) -> io::Result<()> {
    let mut documents = written.documents("orders_wide")?;
    for wide in lines {
        let Wide { order, line, .. } = wide;
        let (user, province) = (&tables.users[&order.user], &tables.provinces[&order.province]);
        let sku = &tables.skus[&line.sku];
        let [category1, category2, category3] = tables.categories(sku);
        let day = clock::day_of(order.at);
        let (units_back, amount_back) = wide.given_back();
        documents.add(|object| {
            object.int("detail_id", wide.id).int("order_id", wide.order_id).date("day", clock::date(day));
            object.int("hour", i64::from(clock::wall(order.at).hour())).moment("ordered_at", Some(order.at));
            object.text("status", &order.status).int("user_id", order.user).text("sex", sex(user));
            object.text("age_group", age_group(user, day)).text("user_level", &user.level);
            object.boolean("first_order", wide.first_order).text("province", &province.name);
            object.text("region", tables.region(province)).text_or_null("iso_code", province.iso.as_deref());
            object.int("sku_id", line.sku).text("sku_name", &sku.name).text("trademark", tables.trademark(sku));
            object.text("category1", category1).text("category2", category2).text("category3", category3);
            object.cents("price", line.price).int("units", line.units).cents("original_amount", wide.original());
            object.cents("activity_share", wide.activity).cents("coupon_share", wide.coupon);
            object.cents("amount", wide.amount()).cents("order_amount", order.total);
            object.text_or_null("payment_type", order.payment.as_ref().map(|(kind, _)| kind.as_str()));
            object.moment("paid_at", wide.paid_at());
            object.text_or_null("refund_status", wide.refund.map(|refund| refund.status.as_str()));
            object.int("refund_units", units_back).cents("refund_amount", amount_back);
        });
    }
    documents.finish()
}
