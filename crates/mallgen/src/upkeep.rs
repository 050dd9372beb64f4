//! What clerks and customers change in the course of a day: prices, names, addresses, profiles.

use crate::catalog::{CATEGORIES, PROVINCES, TRADEMARKS};
use crate::change::{Change, Row, Value};
use crate::clock::{Millis, START, date, day_of};
use crate::mall::{Event, Mall, Outlet};
use crate::people::draw_province;
use crate::products::product_name;
use std::io;

/// What is changed, each with how often.
const KINDS: [(Kind, u64); 12] = [
    (Kind::Level, 26),
    (Kind::Gender, 12),
    (Kind::Birthday, 8),
    (Kind::Moved, 16),
    (Kind::AddressAdded, 5),
    (Kind::AddressGone, 4),
    (Kind::Price, 20),
    (Kind::Sale, 3),
    (Kind::ProductName, 3),
    (Kind::TrademarkName, 1),
    (Kind::CategoryName, 1),
    (Kind::ProvinceCode, 1),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Level,
    Gender,
    Birthday,
    Moved,
    AddressAdded,
    AddressGone,
    Price,
    Sale,
    ProductName,
    TrademarkName,
    CategoryName,
    ProvinceCode,
}

/// Puts a new row in the place of an old one, and says so.
fn replace(place: &mut Row, new: Row) -> Vec<Change> {
    if *place == new {
        return Vec::new();
    }
    let old = std::mem::replace(place, new.clone());
    vec![Change::Update { old, new }]
}

impl Mall {
    /// One change, and the next one is planned.
    pub(crate) fn upkeep(&mut self, now: Millis, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let a_day = 40 + self.people.users.len() / 20 + self.products.products.len() / 5;
        let next = now + self.gap(now, a_day as u64).max(1);
        self.queue.push(next, Event::Upkeep);
        let (kind, _) = KINDS[self.dice.weighted(KINDS.iter().map(|kind| kind.1))];
        let changes = match kind {
            Kind::Level | Kind::Gender | Kind::Birthday => self.change_user(kind, now),
            Kind::Moved | Kind::AddressAdded | Kind::AddressGone => self.change_address(kind),
            Kind::Price | Kind::Sale | Kind::ProductName => self.change_product(kind, now),
            Kind::TrademarkName | Kind::CategoryName | Kind::ProvinceCode => self.change_words(kind),
        };
        self.commit(now, changes, outlet)
    }

    fn change_user(&mut self, kind: Kind, now: Millis) -> Vec<Change> {
        let number = self.dice.below(self.people.users.len() as u64) as usize;
        let row = &mut self.people.users[number].row;
        let new = match kind {
            Kind::Level => row.with("user_level", ["1", "2", "3", "4"][self.dice.below(4) as usize]),
            Kind::Gender => row.with("gender", ["F", "M"][self.dice.below(2) as usize]),
            _ => {
                let born = day_of(START) - self.dice.between(14 * 365, 68 * 365) as i32;
                row.with("birthday", Value::Date(date(born)))
            }
        };
        replace(row, new.with("operate_time", Value::Moment(now)))
    }

    fn change_address(&mut self, kind: Kind) -> Vec<Change> {
        let number = self.dice.below(self.people.users.len() as u64) as usize;
        match kind {
            Kind::AddressAdded => {
                let row = self.people.new_address(number, &mut self.dice);
                self.people.users[number].addresses.push(row.clone());
                vec![Change::Insert(row)]
            }
            Kind::AddressGone if self.people.users[number].addresses.len() > 1 => {
                self.people.users[number].addresses.pop().map(Change::Delete).into_iter().collect()
            }
            _ => {
                let province = draw_province(&mut self.dice) as i64 + 1;
                let row = &mut self.people.users[number].addresses[0];
                let new = row.with("province_id", province);
                replace(row, new)
            }
        }
    }

    fn change_product(&mut self, kind: Kind, now: Millis) -> Vec<Change> {
        let number = self.products.draw(&mut self.dice);
        let row = &self.products.products[number];
        let new = match kind {
            Kind::Price => {
                let price = row.int("price") * self.dice.between(80, 120) / 100;
                row.with("price", Value::Cents(price.max(100)))
            }
            Kind::Sale => row.with("is_sale", 1 - row.int("is_sale")),
            _ => {
                let trademark = TRADEMARKS[row.int("tm_id") as usize - 1];
                let nouns = CATEGORIES[row.int("category3_id") as usize - 1].3;
                row.with("sku_name", product_name(trademark, nouns, &mut self.dice))
            }
        };
        replace(&mut self.products.products[number], new.with("operate_time", Value::Moment(now)))
    }

    /// Names of trademarks and categories get or lose an addition; the missing code of a province is filled in.
    fn change_words(&mut self, kind: Kind) -> Vec<Change> {
        let (rows, column) = match kind {
            Kind::TrademarkName => (&mut self.products.trademarks, "tm_name"),
            Kind::CategoryName => {
                let level = self.dice.below(3) as usize;
                (&mut self.products.categories[level], "name")
            }
            _ => {
                let Some(number) = self.provinces.iter().position(|row| row.text("iso_code").is_none()) else {
                    return Vec::new();
                };
                let new = self.provinces[number].with("iso_code", PROVINCES[number].3);
                return replace(&mut self.provinces[number], new);
            }
        };
        const ADDITION: &str = " (new)";
        let number = self.dice.below(rows.len() as u64) as usize;
        let row = &mut rows[number];
        let name = row.text(column).unwrap_or_default();
        let name = name.strip_suffix(ADDITION).map_or_else(|| format!("{name}{ADDITION}"), str::to_owned);
        let new = row.with(column, name);
        replace(row, new)
    }
}
