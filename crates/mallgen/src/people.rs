//! Customers, their addresses and carts, and the devices that they use.

use crate::catalog::{PHONES, PROVINCES, VERSIONS};
use crate::change::{Row, Value};
use crate::clock::{DAY, Millis, START, date};
use crate::dice::Dice;
use crate::schema::Table;
use crate::settings::Settings;
use crate::zipf::Zipf;

/// A line of a cart.
#[derive(Debug)]
pub(crate) struct CartLine {
    pub(crate) row: Row,
    pub(crate) product: usize,
}

/// A customer.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) row: Row,
    /// The first is where orders go.
    pub(crate) addresses: Vec<Row>,
    pub(crate) cart: Vec<CartLine>,
    /// The order that waits to be paid.
    pub(crate) unpaid: Option<i64>,
}

/// A device with the app on it.
#[derive(Debug)]
pub(crate) struct Device {
    /// The customer who uses it, by number.
    pub(crate) owner: Option<usize>,
    pub(crate) version: usize,
    pub(crate) phone: usize,
    pub(crate) province: usize,
    /// The first day on which it was seen.
    pub(crate) first_day: Option<i32>,
    /// From when on it may visit again: not while it does, nor within half an hour after.
    pub(crate) free_at: Millis,
}

/// All customers and devices.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) users: Vec<User>,
    pub(crate) devices: Vec<Device>,
    pub(crate) next_address: i64,
    activity: Zipf,
}

impl People {
    pub(crate) fn new(settings: &Settings, dice: &mut Dice) -> Self {
        let count = settings.users as usize;
        // One in seven has a second device, and one device in six has no customer yet.
        let devices = count + count / 7 + count / 6 + 1;
        let activity = Zipf::new(devices as u64, (devices / 20) as u64);
        let mut people =
            Self { users: Vec::with_capacity(count), devices: Vec::with_capacity(devices), next_address: 1, activity };
        for _ in 0..count {
            let since = START - dice.between(1, 900) * DAY;
            people.add_user(since, dice);
        }
        for number in 0..devices {
            let owner = match number {
                _ if number < count => Some(number),
                _ if number < count + count / 7 => Some((number - count) * 7 % count),
                _ => None,
            };
            let province = match owner {
                Some(user) => people.users[user].addresses[0].int("province_id") as usize - 1,
                None => draw_province(dice),
            };
            // The first phones and the last versions are the commonest.
            let phone = (dice.below(PHONES.len() as u64)).min(dice.below(PHONES.len() as u64)) as usize;
            let version = dice.weighted([3, 5, 22, 50, 20].into_iter());
            let seen = owner.is_some() && dice.chance(800);
            let first_day = seen.then(|| crate::clock::day_of(START) - dice.between(1, 300) as i32);
            people.devices.push(Device { owner, version, phone, province, first_day, free_at: START });
        }
        people
    }

    /// Adds a customer with an address, and gives the number.
    pub(crate) fn add_user(&mut self, since: Millis, dice: &mut Dice) -> usize {
        let number = self.users.len();
        let id = number as i64 + 1;
        let born = crate::clock::day_of(START) - dice.between(14 * 365, 68 * 365) as i32;
        let gender = [Some("F"), Some("F"), Some("M"), Some("M"), None][dice.below(5) as usize];
        let birthday = if dice.chance(900) { Value::Date(date(born)) } else { Value::Null };
        let row = Row::new(
            Table::User,
            vec![
                Value::Int(id),
                format!("user{id:06}").into(),
                format!("Nick {id}").into(),
                birthday,
                gender.into(),
                ["1", "1", "1", "2", "3"][dice.below(5) as usize].into(),
                Value::Moment(since),
                Value::Null,
            ],
        );
        self.users.push(User { row, addresses: Vec::new(), cart: Vec::new(), unpaid: None });
        let extra = usize::from(dice.chance(200));
        for _ in 0..=extra {
            let address = self.new_address(number, dice);
            self.users[number].addresses.push(address);
        }
        number
    }

    /// An address for a customer.
    pub(crate) fn new_address(&mut self, user: usize, dice: &mut Dice) -> Row {
        let id = self.next_address;
        self.next_address += 1;
        let province = draw_province(dice) as i64 + 1;
        let street = format!("{} Lane, house {}", dice.below(400) + 1, dice.below(90) + 1);
        let first = i64::from(self.users[user].addresses.is_empty());
        let values = vec![Value::Int(id), Value::Int(user as i64 + 1), province.into(), street.into(), first.into()];
        Row::new(Table::Address, values)
    }

    /// The number of a device that is free, the active ones more often; none if many draws found none.
    pub(crate) fn draw_device(&self, now: Millis, dice: &mut Dice) -> Option<usize> {
        const DRAWS: usize = 12;
        let count = self.devices.len() as u64;
        let ranks = (0..DRAWS).map(|_| u64::from(self.activity.draw(dice.rng())));
        let mut drawn = ranks.map(|rank| ((rank * 104_729 + 7) % count) as usize);
        drawn.find(|&device| self.devices[device].free_at <= now)
    }
}

/// The number of a province, by how many live there.
pub(crate) fn draw_province(dice: &mut Dice) -> usize {
    dice.weighted(PROVINCES.iter().map(|province| province.4))
}

/// The newest version of the app, by number.
pub(crate) const NEWEST: usize = VERSIONS.len() - 1;
