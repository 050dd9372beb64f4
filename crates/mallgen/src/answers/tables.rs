//! The shop's tables as they stand in the end, as far as documents tell of them.

use super::written::Written;
use crate::change::{Change, Row, Value};
use crate::clock::{self, Millis};
use crate::schema::Table;
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::io;

/// Rows by their keys.
pub(super) type Rows<T> = BTreeMap<i64, T>;

/// A customer.
#[derive(Debug)]
pub(super) struct User {
    pub(super) birthday: Option<NaiveDate>,
    pub(super) gender: Option<String>,
    pub(super) level: String,
}

/// A product.
#[derive(Debug)]
pub(super) struct Sku {
    pub(super) name: String,
    pub(super) price: i64,
    pub(super) on_sale: bool,
    pub(super) trademark: i64,
    pub(super) category3: i64,
}

/// A province.
#[derive(Debug)]
pub(super) struct Province {
    pub(super) name: String,
    pub(super) region: i64,
    pub(super) area: String,
    pub(super) iso: Option<String>,
}

/// An order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) user: i64,
    pub(super) province: i64,
    pub(super) status: String,
    pub(super) at: Millis,
    pub(super) total: i64,
    pub(super) activity: i64,
    pub(super) coupon: i64,
    /// Its lines by their keys.
    pub(super) lines: Rows<Line>,
    /// Of its payment: the type, and when it was answered for.
    pub(super) payment: Option<(String, Option<Millis>)>,
}

/// A line of an order.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) sku: i64,
    pub(super) price: i64,
    pub(super) units: i64,
}

/// Money that is wanted back.
#[derive(Debug)]
pub(super) struct Refund {
    pub(super) status: String,
    pub(super) units: i64,
    pub(super) amount: i64,
}

/// All tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) users: Rows<User>,
    pub(super) skus: Rows<Sku>,
    pub(super) provinces: Rows<Province>,
    pub(super) orders: Rows<Order>,
    /// By order and product.
    pub(super) refunds: BTreeMap<(i64, i64), Refund>,
    regions: Rows<String>,
    trademarks: Rows<String>,
    /// Names, and the categories above.
    categories: [Rows<(String, i64)>; 3],
}

fn text(row: &Row, column: &str) -> String {
    row.text(column).unwrap_or_default().to_owned()
}

/// A DATETIME has whole seconds.
fn moment(row: &Row, column: &str) -> Option<Millis> {
    match row.get(column) {
        Value::Moment(at) => Some(at - at.rem_euclid(clock::SECOND)),
        _ => None,
    }
}

impl Tables {
    /// Takes a change over.
    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::Insert(row) | Change::Update { new: row, .. } => self.put(row),
            Change::Delete(row) if row.table == Table::Refund => {
                self.refunds.remove(&(row.int("order_id"), row.int("sku_id")));
            }
            // Carts and addresses are in no document.
            Change::Delete(_) => {}
        }
    }

    fn put(&mut self, row: &Row) {
        match row.table {
            Table::Region => drop(self.regions.insert(row.id(), text(row, "region_name"))),
            Table::Trademark => drop(self.trademarks.insert(row.id(), text(row, "tm_name"))),
            Table::Category1 => drop(self.categories[0].insert(row.id(), (text(row, "name"), 0))),
            Table::Category2 => {
                self.categories[1].insert(row.id(), (text(row, "name"), row.int("category1_id")));
            }
            Table::Category3 => {
                self.categories[2].insert(row.id(), (text(row, "name"), row.int("category2_id")));
            }
            Table::Province => self.put_province(row),
            Table::Sku => self.put_sku(row),
            Table::User => self.put_user(row),
            Table::Order => self.put_order(row),
            Table::Detail => self.put_line(row),
            Table::Payment => {
                let order = self.orders.get_mut(&row.int("order_id")).expect("orders come before their payments");
                let paid = row.text("payment_status") == Some("1602");
                let at = moment(row, "callback_time").filter(|_| paid);
                order.payment = Some((text(row, "payment_type"), at));
            }
            Table::Refund => {
                let (status, units, amount) =
                    (text(row, "refund_status"), row.int("refund_num"), row.int("refund_amount"));
                self.refunds.insert((row.int("order_id"), row.int("sku_id")), Refund { status, units, amount });
            }
            Table::Address | Table::Cart | Table::StatusLog => {}
        }
    }

    fn put_province(&mut self, row: &Row) {
        let iso = row.text("iso_code").map(str::to_owned);
        let province =
            Province { name: text(row, "name"), region: row.int("region_id"), area: text(row, "area_code"), iso };
        self.provinces.insert(row.id(), province);
    }

    fn put_sku(&mut self, row: &Row) {
        let sku = Sku {
            name: text(row, "sku_name"),
            price: row.int("price"),
            on_sale: row.int("is_sale") == 1,
            trademark: row.int("tm_id"),
            category3: row.int("category3_id"),
        };
        self.skus.insert(row.id(), sku);
    }

    fn put_user(&mut self, row: &Row) {
        let birthday = match row.get("birthday") {
            Value::Date(date) => Some(*date),
            _ => None,
        };
        let gender = row.text("gender").map(str::to_owned);
        self.users.insert(row.id(), User { birthday, gender, level: text(row, "user_level") });
    }

    fn put_order(&mut self, row: &Row) {
        if let Some(order) = self.orders.get_mut(&row.id()) {
            order.status = text(row, "order_status");
            return;
        }
        let order = Order {
            user: row.int("user_id"),
            province: row.int("province_id"),
            status: text(row, "order_status"),
            at: moment(row, "create_time").expect("orders say when they were placed"),
            total: row.int("total_amount"),
            activity: row.int("activity_reduce_amount"),
            coupon: row.int("coupon_reduce_amount"),
            lines: Rows::new(),
            payment: None,
        };
        self.orders.insert(row.id(), order);
    }

    fn put_line(&mut self, row: &Row) {
        let line = Line { sku: row.int("sku_id"), price: row.int("order_price"), units: row.int("sku_num") };
        let order = self.orders.get_mut(&row.int("order_id")).expect("orders come before their lines");
        order.lines.insert(row.id(), line);
    }

    pub(super) fn region(&self, province: &Province) -> &str {
        &self.regions[&province.region]
    }

    pub(super) fn trademark(&self, sku: &Sku) -> &str {
        &self.trademarks[&sku.trademark]
    }

    /// The names of a product's categories, the uppermost first.
    pub(super) fn categories(&self, sku: &Sku) -> [&str; 3] {
        let (third, second) = &self.categories[2][&sku.category3];
        let (second, first) = &self.categories[1][second];
        [&self.categories[0][first].0, second, third]
    }

    /// Writes the dimensions.
    pub(super) fn write_dimensions(&self, written: &Written) -> io::Result<()> {
        let mut documents = written.documents("dim_province")?;
        for (id, province) in &self.provinces {
            documents.add(|object| {
                object.int("id", *id).text("name", &province.name).text("region", self.region(province));
                object.text("area_code", &province.area).text_or_null("iso_code", province.iso.as_deref());
            });
        }
        documents.finish()?;
        let mut documents = written.documents("dim_user")?;
        for (id, user) in &self.users {
            documents.add(|object| {
                object.int("id", *id).text("sex", sex(user));
                match user.birthday {
                    Some(birthday) => object.date("birthday", birthday),
                    None => object.null("birthday"),
                };
                object.text("user_level", &user.level);
            });
        }
        documents.finish()?;
        let mut documents = written.documents("dim_product")?;
        for (id, sku) in &self.skus {
            let [first, second, third] = self.categories(sku);
            documents.add(|object| {
                object.int("id", *id).text("name", &sku.name).cents("price", sku.price);
                object.boolean("on_sale", sku.on_sale).text("trademark", self.trademark(sku));
                object.text("category1", first).text("category2", second).text("category3", third);
            });
        }
        documents.finish()
    }
}

/// A customer's sex in documents.
pub(super) fn sex(user: &User) -> &'static str {
    match user.gender.as_deref() {
        Some("F") => "female",
        Some("M") => "male",
        _ => "unknown",
    }
}

/// A customer's age group on a day.
pub(super) fn age_group(user: &User, day: i32) -> &'static str {
    let Some(birthday) = user.birthday else { return "unknown" };
    match clock::years_between(birthday, clock::date(day)) {
        ..18 => "under 18",
        18..25 => "18-24",
        25..35 => "25-34",
        35..50 => "35-49",
        _ => "50 and over",
    }
}
