//! The shop as it lives: what is planned happens in its turn, and plans more.

use crate::answers::Answers;
use crate::catalog::{PROVINCES, REGIONS};
use crate::change::{Change, Row, Transaction, Value};
use crate::clock::{DAY, HOUR, HOURS, Millis, START};
use crate::dice::Dice;
use crate::feed::Network;
use crate::log::Record;
use crate::orders::Orders;
use crate::people::People;
use crate::products::Products;
use crate::queue::Queue;
use crate::schema::Table;
use crate::settings::Settings;
use crate::target::Target;
use crate::visits::Visit;
use std::io;

/// What is planned.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody opens the app.
    Arrive,
    /// A visit goes on.
    Step(Box<Visit>),
    /// A clerk or a customer changes something.
    Upkeep,
    /// The bank answers for an order.
    Callback(i64),
    /// An order has waited too long for its payment.
    Expire(i64),
    /// An order has been received.
    Finish(i64),
    /// A customer wants money back for a line of an order.
    AskRefund(i64),
    /// The shop decides on it.
    SettleRefund(i64),
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines of logs, with doubled and broken ones.
    pub lines: u64,
    /// Of them, how many are broken.
    pub broken: u64,
    /// Of them, how many came before.
    pub doubled: u64,
    /// Rows that transactions changed.
    pub changes: u64,
    /// Orders.
    pub orders: u64,
}

/// A shop and all that is going on in it.
#[derive(Debug)]
pub struct Mall {
    pub(crate) settings: Settings,
    pub(crate) dice: Dice,
    pub(crate) people: People,
    pub(crate) products: Products,
    pub(crate) provinces: Vec<Row>,
    pub(crate) orders: Orders,
    pub(crate) queue: Queue<Event>,
    pub(crate) next_visit: u64,
    network: Network,
    changes: u64,
}

/// Where things go to: the target, and the answers if they are wanted.
pub(crate) struct Outlet<'o> {
    pub(crate) target: &'o mut dyn Target,
    pub(crate) answers: Option<&'o mut Answers>,
}

impl Mall {
    /// The shop of a seed, a moment before its first day.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut dice = Dice::new(settings.seed, 1);
        let people = People::new(settings, &mut dice);
        let products = Products::new(settings, &mut dice);
        let network = Network::new(Dice::new(settings.seed, 2), settings.broken_per_mille);
        Self {
            settings: settings.clone(),
            dice,
            people,
            products,
            provinces: provinces(),
            orders: Orders::default(),
            queue: Queue::default(),
            next_visit: 1,
            network,
            changes: 0,
        }
    }

    /// Lets the shop live through all of its days. What of its plans lies behind them does not happen; what was sent
    /// arrives.
    ///
    /// # Errors
    /// When the target cannot be written.
    pub fn run(&mut self, target: &mut dyn Target, answers: Option<&mut Answers>) -> io::Result<Counts> {
        let mut outlet = Outlet { target, answers };
        self.bootstrap(&mut outlet)?;
        let end = START + Millis::from(self.settings.days) * DAY;
        self.queue.push(START, Event::Arrive);
        self.queue.push(START + HOUR, Event::Upkeep);
        while let Some((now, event)) = self.queue.pop_before(end) {
            self.network.deliver(now, outlet.target)?;
            self.happen(now, event, &mut outlet)?;
        }
        self.network.deliver(Millis::MAX, outlet.target)?;
        outlet.target.finish()?;
        let Network { lines, broken, doubled, .. } = self.network;
        Ok(Counts { lines, broken, doubled, changes: self.changes, orders: self.orders.placed() })
    }

    fn happen(&mut self, now: Millis, event: Event, outlet: &mut Outlet<'_>) -> io::Result<()> {
        match event {
            Event::Arrive => self.arrive(now, outlet),
            Event::Step(visit) => self.step(now, visit, outlet),
            Event::Upkeep => self.upkeep(now, outlet),
            Event::Callback(order) => self.paid(now, order, outlet),
            Event::Expire(order) => self.expire(now, order, outlet),
            Event::Finish(order) => self.finish_order(now, order, outlet),
            Event::AskRefund(order) => self.ask_refund(now, order, outlet),
            Event::SettleRefund(order) => self.settle_refund(now, order, outlet),
        }
    }

    /// What the tables hold before the first day.
    fn bootstrap(&mut self, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let regions: Vec<_> = REGIONS
            .iter()
            .zip(1..)
            .map(|(&name, id)| Row::new(Table::Region, vec![Value::Int(id), name.into()]))
            .collect();
        let users: Vec<_> = self.people.users.iter().map(|user| user.row.clone()).collect();
        let addresses: Vec<_> = self.people.users.iter().flat_map(|user| user.addresses.clone()).collect();
        let [first, second, third] = &self.products.categories;
        let tables = [&regions, &self.provinces, &self.products.trademarks, first, second, third];
        for rows in tables.into_iter().chain([&self.products.products, &users, &addresses]) {
            outlet.target.bootstrap(START, rows[0].table, rows)?;
            if let Some(answers) = &mut outlet.answers {
                rows.iter().for_each(|row| answers.change(&Change::Insert(row.clone())));
            }
        }
        Ok(())
    }

    /// Reports something from a device.
    pub(crate) fn report(&mut self, record: &Record, outlet: &mut Outlet<'_>) {
        if let Some(answers) = &mut outlet.answers {
            answers.log(record);
        }
        self.network.send(record);
    }

    /// Commits changes.
    pub(crate) fn commit(&mut self, at: Millis, changes: Vec<Change>, outlet: &mut Outlet<'_>) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.changes += changes.len() as u64;
        if let Some(answers) = &mut outlet.answers {
            changes.iter().for_each(|change| answers.change(change));
        }
        outlet.target.commit(&Transaction { at, changes })
    }

    /// How long it is to the next of so many events a day, by the hour.
    pub(crate) fn gap(&mut self, now: Millis, a_day: u64) -> Millis {
        let hour = (now - START).rem_euclid(DAY) / HOUR;
        let mean = DAY as u64 / a_day.max(1);
        let busy = HOURS.iter().sum::<u64>() / HOURS.len() as u64;
        let longest = 2 * mean * busy / HOURS[hour as usize];
        self.dice.below(longest.max(1) + 1) as Millis
    }
}

/// One province's code is not known at the beginning.
fn provinces() -> Vec<Row> {
    const UNKNOWN: i64 = 26;
    let row = |(&(name, region, area, iso, _), id): (&crate::catalog::Province, i64)| {
        let iso = (id != UNKNOWN).then_some(iso);
        let values = vec![id.into(), name.into(), (region as i64 + 1).into(), area.into(), iso.into()];
        Row::new(Table::Province, values)
    };
    PROVINCES.iter().zip(1..).map(row).collect()
}
