//! Random tables and the rows that come and go in them.

use super::Event;
use super::dice::Dice;
use super::expression::{Class, Column};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// The time column of every table, in mixed case: names are taken as they are written.
pub(super) const EVENT_TIME: &str = "eventTime";
/// The table that is looked up, where there is one.
pub(super) const DIMENSION: &str = "dim";

/// What kind of case it is.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Rows may come too late.
    pub(super) late: bool,
    /// Rows may be taken back.
    pub(super) retractions: bool,
    /// There is a dimension to look up.
    pub(super) dimension: bool,
}

impl Shape {
    /// Late records and retractions do not come together: a retraction that is late would leave its row behind.
    pub(super) fn roll(dice: &mut Dice) -> Self {
        let late = dice.chance(20);
        Self { late, retractions: !late && dice.chance(50), dimension: !late && dice.chance(25) }
    }

    pub(super) fn lifetime_us(self) -> Option<i64> {
        self.late.then_some(LIFETIME_HOURS * 3_600_000_000)
    }
}

/// Event times spread over two days, so that a good part of them is late.
pub(super) const LIFETIME_HOURS: i64 = 10;

/// An input table.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<(Column, &'static str)>,
}

impl Table {
    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|(column, sql)| Field::new(&column.name, arrow_type(sql), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// The columns that tables draw from.
const COLUMNS: [(&str, Class, &str); 10] = [
    ("k", Class::Int, "INT"),
    ("g", Class::Text, "STRING"),
    ("v", Class::Int, "BIGINT"),
    ("d", Class::Decimal(2), "DECIMAL(9, 2)"),
    ("x", Class::Dyadic, "DOUBLE"),
    ("r", Class::Rounded, "DOUBLE"),
    ("b", Class::Bool, "BOOLEAN"),
    ("day", Class::Date, "DATE"),
    ("h", Class::Text, "STRING"),
    ("s", Class::Int, "SMALLINT"),
];

fn arrow_type(sql: &str) -> DataType {
    match sql {
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "DECIMAL(9, 2)" => DataType::Decimal128(9, 2),
        "DOUBLE" => DataType::Float64,
        "BOOLEAN" => DataType::Boolean,
        "DATE" => DataType::Date32,
        "TIMESTAMP(3)" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "STRING" => DataType::Utf8View,
        other => unreachable!("no table has a column of {other}"),
    }
}

/// One to three tables; the dimension is the last.
pub(super) fn tables(dice: &mut Dice, shape: Shape) -> Vec<Table> {
    let count = 1 + dice.below(2);
    let mut tables: Vec<Table> = (0..count).map(|number| table(dice, format!("t{number}"))).collect();
    if shape.dimension {
        tables.push(table(dice, DIMENSION.into()));
    }
    tables
}

/// The first two columns are always there: something to join and to group by.
fn table(dice: &mut Dice, name: String) -> Table {
    let drawn = COLUMNS.iter().enumerate().filter(|(number, _)| *number < 2 || dice.chance(55));
    let drawn: Vec<_> = drawn.map(|(_, (name, class, sql))| (Column::new(*name, *class), *sql)).collect();
    let mut columns = drawn;
    let place = dice.below(columns.len() + 1);
    columns.insert(place, (Column::new(EVENT_TIME, Class::Time), "TIMESTAMP(3)"));
    Table { name, columns }
}

/// The rows of the dimension, one for each key, then what comes and goes in the other tables.
pub(super) fn events(dice: &mut Dice, tables: &[Table], shape: Shape) -> Vec<Event> {
    let (dimension, facts): (Vec<&Table>, Vec<&Table>) = tables.iter().partition(|table| table.name == DIMENSION);
    let mut events = Vec::new();
    for table in dimension {
        for key in (0..KEYS).filter(|_| dice.chance(80)).collect::<Vec<_>>() {
            let mut row = row(dice, table);
            let column = table.columns.iter().position(|(column, _)| column.name == "k").expect("every table has k");
            row[column] = Some(key.to_string());
            events.push(Event { table: table.name.clone(), row, weight: 1 });
        }
    }
    let mut live: Vec<Event> = Vec::new();
    for _ in 0..dice.range(8, 45) {
        let event = if shape.retractions && !live.is_empty() && dice.chance(35) {
            let gone = live.swap_remove(dice.below(live.len()));
            Event { weight: -1, ..gone }
        } else if !live.is_empty() && dice.chance(10) {
            dice.pick(&live).clone()
        } else {
            let table = *dice.pick(&facts);
            Event { table: table.name.clone(), row: row(dice, table), weight: 1 }
        };
        if event.weight > 0 {
            live.push(event.clone());
        }
        events.push(event);
    }
    events
}

/// Keys are few, so that groups fill and joins match.
const KEYS: i64 = 5;

fn row(dice: &mut Dice, table: &Table) -> Vec<Option<String>> {
    table.columns.iter().map(|(column, _)| if dice.chance(8) { None } else { Some(value(dice, column)) }).collect()
}

fn value(dice: &mut Dice, column: &Column) -> String {
    const TEXTS: [&str; 7] =
        ["a", "b", "ab", "", "Ünïcode €", "longer than the twelve bytes inside", "longer than that again"];
    match (column.class, column.name.as_str()) {
        (Class::Int, "v") => dice.range(-1_000, 1_000).to_string(),
        (Class::Int, _) => dice.range(0, KEYS).to_string(),
        (Class::Text, _) => (*dice.pick(&TEXTS)).to_string(),
        (Class::Decimal(_), _) => format!("{}.{:02}", dice.range(-50, 400), dice.range(0, 100)),
        (Class::Dyadic, _) => (dice.range(-400, 400) as f64 / 8.0).to_string(),
        (Class::Rounded, _) => {
            (dice.range(1, 100_000) as f64 / 7.0 * 10_f64.powi(dice.range(-3, 9) as i32)).to_string()
        }
        (Class::Bool, _) => dice.chance(50).to_string(),
        (Class::Date, _) => format!("2024-01-0{}", dice.range(1, 5)),
        (Class::Time, _) => {
            let minutes = dice.range(0, 144) * 20;
            format!("2024-01-0{}T{:02}:{:02}:00", 1 + minutes / 1440, minutes / 60 % 24, minutes % 60)
        }
    }
}

/// Microseconds since the first of January 2024 of a time made above.
pub(super) fn parse_time_us(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("times are made of digits");
    (((number(8..10) - 1) * 24 + number(11..13)) * 60 + number(14..16)) * 60_000_000
}
