//! A visit: somebody opens the app, goes from page to page, looks, chooses, and sometimes orders.

use crate::catalog::KEYWORDS;
use crate::change::{Change, Row, Value};
use crate::clock::{MINUTE, Millis, SECOND, day_of};
use crate::dice::Dice;
use crate::log::{Action, Body, Client, Display, Page, Record, Start};
use crate::mall::{Event, Mall, Outlet};
use crate::people::{CartLine, NEWEST};
use crate::schema::Table;
use std::io;

/// The ways through the app, each with how many of 100 visits take it.
const PATHS: [(&[&str], u64); 11] = [
    (&["home"], 10),
    (&["good_detail"], 5),
    (&["home", "good_detail"], 13),
    (&["home", "search", "good_list", "good_detail", "good_detail"], 19),
    (&["home", "category", "good_list", "good_detail", "good_spec", "comment"], 14),
    (&["home", "mine"], 5),
    (&["home", "search", "good_list", "good_detail", "cart"], 9),
    (&["home", "good_list", "good_detail", "cart", "trade", "payment"], 12),
    (&["home", "search", "good_list", "good_detail", "login", "good_detail", "cart", "trade", "payment"], 7),
    (&["home", "good_list", "good_detail", "register", "good_detail", "cart", "trade", "payment"], 3),
    (&["home", "mine", "orders_unpaid", "payment"], 3),
];

/// Visits for each order: so many paths out of 100 lead to one, and some leave early.
pub(crate) const VISITS_PER_ORDER: u64 = 6;

/// Of 1,000 pages, how many are left for good before the path ends; of 1,000 records, how many tell of an error.
const LEFT: u32 = 40;
const FAILED: u32 = 10;

/// How many lines orders have: 1 to 10.
const LINES: [u64; 10] = [30, 22, 14, 10, 8, 5, 4, 3, 2, 2];
const CART_MAX: usize = 15;

/// A visit that goes on.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) device: usize,
    pub(crate) client: Client,
    path: &'static [&'static str],
    step: usize,
    last: Option<&'static str>,
    /// Products to be put into the cart when the page is left.
    wanted: Vec<usize>,
    /// What is about to be ordered: products and how many of each.
    pub(crate) lines: Vec<(usize, i64)>,
    /// The order that is to be paid.
    pub(crate) order: Option<i64>,
}

impl Visit {
    /// The customer's number, if somebody is logged in.
    fn user(&self) -> Option<usize> {
        self.client.user.map(|id| id as usize - 1)
    }
}

impl Mall {
    /// Somebody opens the app, if a device is free; and the next one is planned.
    pub(crate) fn arrive(&mut self, now: Millis, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let next = now + self.gap(now, u64::from(self.settings.orders_per_day) * VISITS_PER_ORDER);
        self.queue.push(next, Event::Arrive);
        let Some(device) = self.people.draw_device(now, &mut self.dice) else { return Ok(()) };
        let visit = self.open(now, device);
        let mut ts = now;
        if self.dice.chance(800) {
            let start = start(&mut self.dice);
            ts += start.loading_ms + 50;
            let error = error(&mut self.dice);
            self.report(&Record { client: visit.client.clone(), ts: now, body: Body::Start(start), error }, outlet);
        }
        self.queue.push(ts, Event::Step(Box::new(visit)));
        Ok(())
    }

    fn open(&mut self, now: Millis, number: usize) -> Visit {
        let path = PATHS[self.dice.weighted(PATHS.iter().map(|path| path.1))].0;
        let device = &mut self.people.devices[number];
        if self.dice.chance(10) {
            device.version = NEWEST;
        }
        let today = day_of(now);
        let is_new = *device.first_day.get_or_insert(today) == today;
        device.free_at = Millis::MAX;
        // Who came to log in has not done so before.
        let known = !path.contains(&"login") && self.dice.chance(850);
        let user = device.owner.filter(|_| known).map(|user| user as i64 + 1);
        let province =
            if self.dice.chance(30) { crate::people::draw_province(&mut self.dice) } else { device.province };
        let visit = self.next_visit;
        self.next_visit += 1;
        let (version, phone) = (device.version, device.phone);
        let client = Client { device: number as u64 + 1, user, version, phone, province, is_new, visit };
        Visit { device: number, client, path, step: 0, last: None, wanted: Vec::new(), lines: Vec::new(), order: None }
    }

    /// Leaves a page, with what comes of it, and goes to the next one.
    pub(crate) fn step(&mut self, now: Millis, mut visit: Box<Visit>, outlet: &mut Outlet<'_>) -> io::Result<()> {
        if visit.step > 0 {
            self.leave_page(now, &mut visit, outlet)?;
        }
        let page = visit.path.get(visit.step).copied();
        let stays = visit.step == 0 || !self.dice.chance(LEFT);
        let Some(page) = page.filter(|page| stays && self.may_enter(page, &mut visit)) else {
            self.people.devices[visit.device].free_at = now + 31 * MINUTE;
            return Ok(());
        };
        let record = self.look(now, page, &mut visit, outlet)?;
        let next = record.sent() + self.dice.between(20, SECOND);
        self.report(&record, outlet);
        visit.last = Some(page);
        visit.step += 1;
        self.queue.push(next, Event::Step(visit));
        Ok(())
    }

    /// Carts and what comes after are for customers only; and there must be an order to be paid.
    fn may_enter(&self, page: &str, visit: &mut Visit) -> bool {
        let owner = self.people.devices[visit.device].owner;
        match page {
            "register" => owner.is_none(),
            "login" => owner.is_some(),
            "cart" | "mine" => {
                visit.client.user = owner.map(|user| user as i64 + 1);
                owner.is_some()
            }
            "trade" => visit.user().is_some_and(|user| self.people.users[user].unpaid.is_none()),
            "payment" if visit.order.is_none() => {
                visit.order = visit.user().and_then(|user| self.people.users[user].unpaid);
                visit.order.is_some()
            }
            _ => true,
        }
    }

    fn leave_page(&mut self, now: Millis, visit: &mut Visit, outlet: &mut Outlet<'_>) -> io::Result<()> {
        match visit.path[visit.step - 1] {
            "good_detail" => {
                let wanted = std::mem::take(&mut visit.wanted);
                let Some(user) = visit.user() else { return Ok(()) };
                self.fill_cart(now, user, &wanted, outlet)
            }
            "login" => {
                let owner = self.people.devices[visit.device].owner;
                visit.client.user = owner.map(|user| user as i64 + 1);
                Ok(())
            }
            "register" => self.register(now, visit, outlet),
            "cart" => self.tidy_cart(now, visit, outlet),
            "trade" => self.place_order(now, visit, outlet),
            "payment" => self.pay(now, visit, outlet),
            _ => Ok(()),
        }
    }

    fn register(&mut self, now: Millis, visit: &mut Visit, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let user = self.people.add_user(now, &mut self.dice);
        self.people.devices[visit.device].owner = Some(user);
        visit.client.user = Some(user as i64 + 1);
        let added = &self.people.users[user];
        let rows = std::iter::once(&added.row).chain(&added.addresses);
        let changes = rows.map(|row| Change::Insert(row.clone())).collect();
        self.commit(now, changes, outlet)
    }

    /// Puts products into a cart, as far as it has room.
    fn fill_cart(&mut self, now: Millis, user: usize, wanted: &[usize], outlet: &mut Outlet<'_>) -> io::Result<()> {
        let mut changes = Vec::new();
        for &product in wanted {
            let cart = &self.people.users[user].cart;
            if cart.len() >= CART_MAX || cart.iter().any(|line| line.product == product) {
                continue;
            }
            let num = 1 + i64::from(self.dice.chance(200)) + i64::from(self.dice.chance(50));
            let row = Row::new(
                Table::Cart,
                vec![
                    Value::Int(self.orders.next_cart()),
                    Value::Int(user as i64 + 1),
                    Value::Int(self.products.id(product)),
                    Value::Cents(self.products.price(product)),
                    Value::Int(num),
                    Value::Int(0),
                    Value::Moment(now),
                    Value::Null,
                ],
            );
            changes.push(Change::Insert(row.clone()));
            self.people.users[user].cart.push(CartLine { row, product });
        }
        self.commit(now, changes, outlet)
    }

    /// Takes a line out of the cart, now and then.
    fn tidy_cart(&mut self, now: Millis, visit: &Visit, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(user) = visit.user() else { return Ok(()) };
        let cart = &mut self.people.users[user].cart;
        if cart.is_empty() || !self.dice.chance(100) {
            return Ok(());
        }
        let line = cart.remove(self.dice.below(cart.len() as u64) as usize);
        self.commit(now, vec![Change::Delete(line.row)], outlet)
    }

    /// What is seen and done on a page.
    fn look(
        &mut self,
        now: Millis,
        id: &'static str,
        visit: &mut Visit,
        outlet: &mut Outlet<'_>,
    ) -> io::Result<Record> {
        let during_ms = self.dice.between(800, 12 * SECOND).max(self.dice.between(800, 12 * SECOND));
        let mut page = Page { id, last: visit.last, item: None, during_ms, displays: Vec::new(), actions: Vec::new() };
        match id {
            "home" => page.displays = self.shown(&["promotion", "recommend", "activity"], 3, 8),
            "good_list" => page.displays = self.shown(&["query", "promotion"], 4, 10),
            "search" => page.item = Some(("keyword", (*self.dice.pick(&KEYWORDS)).to_owned())),
            "good_detail" => {
                let product = self.products.draw(&mut self.dice);
                page.item = Some(("sku_id", self.products.id(product).to_string()));
                page.displays = self.shown(&["recommend"], 1, 4);
                page.actions = self.choose(now, product, during_ms, visit);
            }
            "trade" => {
                self.gather(now, visit, outlet)?;
                let ids = visit.lines.iter().map(|(product, _)| self.products.id(*product).to_string());
                page.item = Some(("sku_ids", ids.collect::<Vec<_>>().join(",")));
            }
            _ => {}
        }
        let error = error(&mut self.dice);
        Ok(Record { client: visit.client.clone(), ts: now, body: Body::Page(page), error })
    }

    /// Makes up what is about to be ordered: what the cart holds, and more of what the shop offers beside it.
    fn gather(&mut self, now: Millis, visit: &mut Visit, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(user) = visit.user() else { return Ok(()) };
        let count = 1 + self.dice.weighted(LINES.into_iter());
        let mut tries = 0;
        while self.people.users[user].cart.len() < count && tries < 50 {
            tries += 1;
            let product = self.products.draw(&mut self.dice);
            self.fill_cart(now, user, &[product], outlet)?;
        }
        let newest = self.people.users[user].cart.iter().rev().take(count);
        visit.lines = newest.map(|line| (line.product, line.row.int("sku_num"))).collect();
        Ok(())
    }

    fn choose(&mut self, now: Millis, product: usize, during_ms: i64, visit: &mut Visit) -> Vec<Action> {
        let sku = self.products.id(product);
        let mut actions = Vec::new();
        for (id, per_mille) in [("favor_add", 80), ("cart_add", 350)] {
            if self.dice.chance(per_mille) {
                let ts = now + self.dice.between(during_ms / 10, during_ms);
                actions.push(Action { id, sku, ts });
                if id == "cart_add" {
                    visit.wanted.push(product);
                }
            }
        }
        actions
    }

    fn shown(&mut self, kinds: &[&'static str], low: i64, high: i64) -> Vec<Display> {
        let count = self.dice.between(low, high);
        let one = |_| {
            let kind = *self.dice.pick(kinds);
            let part = self.dice.between(1, 5);
            match kind {
                "activity" => Display { kind, item_type: "activity_id", item: self.dice.between(1, 3), part },
                _ => {
                    let product = self.products.draw(&mut self.dice);
                    Display { kind, item_type: "sku_id", item: self.products.id(product), part }
                }
            }
        };
        (0..count).map(one).collect()
    }
}

fn start(dice: &mut Dice) -> Start {
    let ad_ms = dice.between(1_000, 9_000);
    Start {
        entry: ["icon", "icon", "icon", "notice", "install"][dice.below(5) as usize],
        loading_ms: dice.between(600, 9_000),
        ad: dice.between(1, 20),
        ad_ms,
        skip_ms: if dice.chance(400) { dice.between(200, ad_ms) } else { 0 },
    }
}

fn error(dice: &mut Dice) -> Option<i64> {
    dice.chance(FAILED).then(|| 1_000 + dice.between(1, 40) * 7)
}
