//! What is sold: products, their trademarks and categories, and how popular they are.

use crate::catalog::{CATEGORIES, Category, QUALITIES, TRADEMARKS, VARIANTS};
use crate::change::{Row, Value};
use crate::clock::{DAY, START};
use crate::dice::Dice;
use crate::schema::Table;
use crate::settings::Settings;
use crate::zipf::Zipf;

/// How alike the most popular products are.
const FLAT: u64 = 4;

/// The rows of products, trademarks and categories as they stand.
#[derive(Debug)]
pub(crate) struct Products {
    pub(crate) products: Vec<Row>,
    pub(crate) trademarks: Vec<Row>,
    pub(crate) categories: [Vec<Row>; 3],
    popularity: Zipf,
}

impl Products {
    pub(crate) fn new(settings: &Settings, dice: &mut Dice) -> Self {
        let trademarks = TRADEMARKS.iter().zip(1..).map(|(name, id)| row(Table::Trademark, id, name, None)).collect();
        let products = (1..=i64::from(settings.products)).map(|id| product(id, dice)).collect();
        let popularity = Zipf::new(u64::from(settings.products), FLAT);
        Self { products, trademarks, categories: categories(), popularity }
    }

    /// The number of a product, the popular ones more often. Ids do not tell the rank.
    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let rank = u64::from(self.popularity.draw(dice.rng()));
        let count = self.products.len() as u64;
        ((rank * 7_919 + 13) % count) as usize
    }

    pub(crate) fn id(&self, product: usize) -> i64 {
        self.products[product].id()
    }

    /// The price in cents.
    pub(crate) fn price(&self, product: usize) -> i64 {
        self.products[product].int("price")
    }

    pub(crate) fn name(&self, product: usize) -> String {
        self.products[product].text("sku_name").unwrap_or_default().to_owned()
    }
}

fn product(id: i64, dice: &mut Dice) -> Row {
    let category = dice.below(CATEGORIES.len() as u64) as usize;
    let (.., nouns, low, high) = CATEGORIES[category];
    let trademark = dice.below(TRADEMARKS.len() as u64) as usize;
    let name = product_name(TRADEMARKS[trademark], nouns, dice);
    let price = dice.between(low, high) * 100 + *dice.pick(&[0, 0, 50, 90, 99, 99]);
    let created = START - dice.between(30, 900) * DAY;
    Row::new(
        Table::Sku,
        vec![
            Value::Int(id),
            Value::Cents(price),
            name.into(),
            Value::Int(trademark as i64 + 1),
            Value::Int(category as i64 + 1),
            Value::Int(1),
            Value::Moment(created),
            Value::Null,
        ],
    )
}

/// `Redpine Compact desk lamp white`.
pub(crate) fn product_name(trademark: &str, nouns: &[&str], dice: &mut Dice) -> String {
    format!("{trademark} {} {} {}", dice.pick(&QUALITIES), dice.pick(nouns), dice.pick(&VARIANTS))
}

fn row(table: Table, id: i64, name: &'static str, parent: Option<i64>) -> Row {
    let values = [Value::Int(id), name.into()].into_iter().chain(parent.map(Value::Int));
    Row::new(table, values.collect())
}

/// The three levels, from the list of lowest ones.
fn categories() -> [Vec<Row>; 3] {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let number = |names: &mut Vec<&'static str>, name: &'static str| {
        let place = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        place as i64 + 1
    };
    let mut levels = [Vec::new(), Vec::new(), Vec::new()];
    for (&(name, middle, upper, ..), id) in (&CATEGORIES as &[Category]).iter().zip(1..) {
        let (known_first, known_second) = (first.len(), second.len());
        let upper_id = number(&mut first, upper);
        let middle_id = number(&mut second, middle);
        if first.len() > known_first {
            levels[0].push(row(Table::Category1, upper_id, upper, None));
        }
        if second.len() > known_second {
            levels[1].push(row(Table::Category2, middle_id, middle, Some(upper_id)));
        }
        levels[2].push(row(Table::Category3, id, name, Some(middle_id)));
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_category_is_there_once() {
        let [first, second, third] = categories();
        assert_eq!((first.len(), second.len(), third.len()), (5, 12, 20));
        assert!(second.iter().all(|row| first.iter().any(|parent| parent.id() == row.int("category1_id"))));
    }
}
