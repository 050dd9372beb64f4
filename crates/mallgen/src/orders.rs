//! An order's life: placed, paid or cancelled, received, and sometimes given back.

use crate::change::{Change, Row, Value};
use crate::clock::{HOUR, Millis, SECOND};
use crate::mall::{Event, Mall, Outlet};
use crate::reductions::shares;
use crate::schema::Table;
use crate::visits::Visit;
use std::collections::HashMap;
use std::io;

/// How long an order waits for its payment.
const PATIENCE: Millis = 2 * HOUR;
/// Of 1,000 payments, how many the bank answers for; of 1,000 paid orders, for how many money is wanted back; of 1,000
/// such wishes, how many are taken back.
const ANSWERED: u32 = 930;
const REFUNDED: u32 = 90;
const WITHDRAWN: u32 = 200;

/// The statuses of orders.
const UNPAID: &str = "1001";
const PAID: &str = "1002";
const CANCELLED: &str = "1003";
const FINISHED: &str = "1004";
const REFUNDING: &str = "1005";
const RETURNED: &str = "1006";

/// A line of an order that still lives.
#[derive(Debug)]
struct Line {
    product: usize,
    num: i64,
    /// What is paid for it, in cents.
    amount: i64,
}

/// An order that still lives.
#[derive(Debug)]
struct Order {
    row: Row,
    lines: Vec<Line>,
    payment: Option<Row>,
    refund: Option<Row>,
}

/// The orders that something may still happen to.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    living: HashMap<i64, Order>,
    last_order: i64,
    last_detail: i64,
    last_log: i64,
    last_payment: i64,
    last_refund: i64,
    last_cart: i64,
}

impl Orders {
    /// How many were placed.
    pub(crate) fn placed(&self) -> u64 {
        self.last_order as u64
    }

    pub(crate) fn next_cart(&mut self) -> i64 {
        next(&mut self.last_cart)
    }

    fn status_log(&mut self, order: i64, status: &'static str, now: Millis) -> Change {
        let values = vec![next(&mut self.last_log).into(), order.into(), status.into(), Value::Moment(now)];
        Change::Insert(Row::new(Table::StatusLog, values))
    }

    /// Gives an order that lives another status.
    fn set_status(&mut self, id: i64, status: &'static str, now: Millis) -> Vec<Change> {
        let order = self.living.get_mut(&id).expect("only living orders change");
        let new = order.row.with("order_status", status).with("operate_time", Value::Moment(now));
        let old = std::mem::replace(&mut order.row, new.clone());
        vec![Change::Update { old, new }, self.status_log(id, status, now)]
    }

    fn status(&self, id: i64) -> Option<&str> {
        self.living.get(&id)?.row.text("order_status")
    }
}

fn next(last: &mut i64) -> i64 {
    *last += 1;
    *last
}

/// What an order costs, in cents.
struct Bill {
    original: i64,
    activity: i64,
    coupon: i64,
    freight: i64,
}

impl Mall {
    /// The order of what was gathered.
    pub(crate) fn place_order(&mut self, now: Millis, visit: &mut Visit, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let (Some(user), false) = (visit.client.user, visit.lines.is_empty()) else { return Ok(()) };
        let id = next(&mut self.orders.last_order);
        let prices: Vec<i64> = visit.lines.iter().map(|(product, num)| self.products.price(*product) * num).collect();
        let bill = self.bill(prices.iter().sum());
        let row = self.order_row(id, user, now, &bill);
        let mut changes = vec![Change::Insert(row.clone())];
        changes.extend(visit.lines.clone().into_iter().map(|(product, num)| self.detail(id, product, num, now)));
        changes.push(self.orders.status_log(id, UNPAID, now));
        changes.extend(self.empty_cart(user as usize - 1, &visit.lines, now));
        let (activity, coupon) = (shares(bill.activity, &prices), shares(bill.coupon, &prices));
        let line = |(number, &(product, num)): (usize, &(usize, i64))| {
            let amount = prices[number] - activity[number] - coupon[number];
            Line { product, num, amount }
        };
        let lines = visit.lines.iter().enumerate().map(line).collect();
        self.orders.living.insert(id, Order { row, lines, payment: None, refund: None });
        self.people.users[user as usize - 1].unpaid = Some(id);
        visit.order = Some(id);
        self.queue.push(now + PATIENCE, Event::Expire(id));
        self.commit(now, changes, outlet)
    }

    /// Activities take a tenth off what is large; coupons take off a round sum.
    fn bill(&mut self, original: i64) -> Bill {
        let activity = if original >= 20_000 && self.dice.chance(350) { original / 10 } else { 0 };
        let coupon = *self.dice.pick(&[500, 1_000, 1_999, 5_000]);
        let coupon = if coupon * 5 <= original && self.dice.chance(300) { coupon } else { 0 };
        let freight = if original >= 9_900 { 0 } else { 1_000 };
        Bill { original, activity, coupon, freight }
    }

    fn order_row(&mut self, id: i64, user: i64, now: Millis, bill: &Bill) -> Row {
        let customer = &self.people.users[user as usize - 1];
        let trade = format!("{:09}{id:06}", self.dice.below(1_000_000_000));
        let total = bill.original - bill.activity - bill.coupon + bill.freight;
        Row::new(
            Table::Order,
            vec![
                id.into(),
                customer.row.get("nick_name").clone(),
                Value::Cents(total),
                UNPAID.into(),
                user.into(),
                Value::Null,
                trade.into(),
                Value::Moment(now),
                Value::Null,
                Value::Moment(now + PATIENCE),
                customer.addresses[0].get("province_id").clone(),
                Value::Cents(bill.activity),
                Value::Cents(bill.coupon),
                Value::Cents(bill.original),
                Value::Cents(bill.freight),
            ],
        )
    }

    fn detail(&mut self, order: i64, product: usize, num: i64, now: Millis) -> Change {
        let source = ["2401", "2402", "2403", "2404"][self.dice.weighted([40, 25, 15, 20].into_iter())];
        let values = vec![
            next(&mut self.orders.last_detail).into(),
            order.into(),
            self.products.id(product).into(),
            self.products.name(product).into(),
            Value::Cents(self.products.price(product)),
            num.into(),
            Value::Moment(now),
            source.into(),
        ];
        Change::Insert(Row::new(Table::Detail, values))
    }

    fn empty_cart(&mut self, user: usize, lines: &[(usize, i64)], now: Millis) -> Vec<Change> {
        let ordered = |product: usize| lines.iter().any(|(line, _)| *line == product);
        let cart = std::mem::take(&mut self.people.users[user].cart);
        let (gone, kept) = cart.into_iter().partition(|line| ordered(line.product));
        self.people.users[user].cart = kept;
        let update = |line: crate::people::CartLine| {
            let new = line.row.with("is_ordered", 1).with("operate_time", Value::Moment(now));
            Change::Update { old: line.row, new }
        };
        Vec::into_iter(gone).map(update).collect()
    }

    /// Somebody pays: the bank is asked, and mostly answers.
    pub(crate) fn pay(&mut self, now: Millis, visit: &Visit, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(id) = visit.order.filter(|&id| self.orders.status(id) == Some(UNPAID)) else { return Ok(()) };
        if self.dice.chance(ANSWERED) {
            let answer = now + self.dice.between(2 * SECOND, 60 * SECOND);
            self.queue.push(answer, Event::Callback(id));
        }
        let kind = *self.dice.pick(&["1101", "1102", "1102", "1103"]);
        let order = self.orders.living.get_mut(&id).expect("it has a status");
        if order.payment.is_some() {
            return Ok(());
        }
        let subject =
            format!("{} and others, {} in all", self.products.name(order.lines[0].product), order.lines.len());
        let payment = Row::new(
            Table::Payment,
            vec![
                next(&mut self.orders.last_payment).into(),
                order.row.get("out_trade_no").clone(),
                id.into(),
                order.row.get("user_id").clone(),
                kind.into(),
                order.row.get("total_amount").clone(),
                subject.into(),
                "1601".into(),
                Value::Moment(now),
                Value::Null,
            ],
        );
        order.payment = Some(payment.clone());
        self.commit(now, vec![Change::Insert(payment)], outlet)
    }

    /// The bank says that an order is paid.
    pub(crate) fn paid(&mut self, now: Millis, id: i64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        if self.orders.status(id) != Some(UNPAID) {
            return Ok(());
        }
        let order = self.orders.living.get_mut(&id).expect("it has a status");
        let old = order.payment.take().expect("the bank was asked");
        let new = old.with("payment_status", "1602").with("callback_time", Value::Moment(now));
        let way = old.get("payment_type").clone();
        let user = order.row.int("user_id") as usize - 1;
        let mut changes = vec![Change::Update { old, new }];
        let mut order_changes = self.orders.set_status(id, PAID, now);
        if let Change::Update { new, .. } = &mut order_changes[0] {
            new.values[Table::Order.column("payment_way")] = way;
            self.orders.living.get_mut(&id).expect("it has a status").row = new.clone();
        }
        changes.extend(order_changes);
        self.people.users[user].unpaid = None;
        self.after_payment(now, id);
        self.commit(now, changes, outlet)
    }

    /// What becomes of an order that is paid.
    fn after_payment(&mut self, now: Millis, id: i64) {
        if self.dice.chance(REFUNDED) {
            let ask = now + self.dice.between(HOUR / 2, 12 * HOUR);
            self.queue.push(ask, Event::AskRefund(id));
        } else {
            let received = now + self.dice.between(6 * HOUR, 36 * HOUR);
            self.queue.push(received, Event::Finish(id));
        }
    }

    /// An order that nobody has paid is cancelled.
    pub(crate) fn expire(&mut self, now: Millis, id: i64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        if self.orders.status(id) != Some(UNPAID) {
            return Ok(());
        }
        let changes = self.orders.set_status(id, CANCELLED, now);
        let order = self.orders.living.remove(&id).expect("it has a status");
        self.people.users[order.row.int("user_id") as usize - 1].unpaid = None;
        self.commit(now, changes, outlet)
    }

    /// An order has been received.
    pub(crate) fn finish_order(&mut self, now: Millis, id: i64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let changes = self.orders.set_status(id, FINISHED, now);
        self.orders.living.remove(&id);
        self.commit(now, changes, outlet)
    }

    /// Money is wanted back for some of a line.
    pub(crate) fn ask_refund(&mut self, now: Millis, id: i64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let refund_id = next(&mut self.orders.last_refund);
        let order = self.orders.living.get_mut(&id).expect("a paid order lives until it is received or given back");
        let line = &order.lines[self.dice.below(order.lines.len() as u64) as usize];
        let num = self.dice.between(1, line.num);
        let row = Row::new(
            Table::Refund,
            vec![
                refund_id.into(),
                order.row.get("user_id").clone(),
                id.into(),
                self.products.id(line.product).into(),
                if num == line.num { "1502" } else { "1501" }.into(),
                num.into(),
                Value::Cents(line.amount * num / line.num),
                "0701".into(),
                Value::Moment(now),
                Value::Null,
            ],
        );
        order.refund = Some(row.clone());
        let mut changes = vec![Change::Insert(row)];
        changes.extend(self.orders.set_status(id, REFUNDING, now));
        let decision = now + self.dice.between(HOUR / 2, 6 * HOUR);
        self.queue.push(decision, Event::SettleRefund(id));
        self.commit(now, changes, outlet)
    }

    /// The money is given back, unless the customer has thought better of it.
    pub(crate) fn settle_refund(&mut self, now: Millis, id: i64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let order = self.orders.living.get_mut(&id).expect("an order lives until its refund is settled");
        let old = order.refund.take().expect("it was asked for");
        if self.dice.chance(WITHDRAWN) {
            let mut changes = vec![Change::Delete(old)];
            changes.extend(self.orders.set_status(id, PAID, now));
            let received = now + self.dice.between(6 * HOUR, 24 * HOUR);
            self.queue.push(received, Event::Finish(id));
            return self.commit(now, changes, outlet);
        }
        let new = old.with("refund_status", "0705").with("operate_time", Value::Moment(now));
        let mut changes = vec![Change::Update { old, new }];
        changes.extend(self.orders.set_status(id, RETURNED, now));
        self.orders.living.remove(&id);
        self.commit(now, changes, outlet)
    }
}
