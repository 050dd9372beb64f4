//! Which records are a table's, and what it wants of them.

use std::fmt;
use std::str::FromStr;

/// The name of a table in a database: `gmall.order_info`, or `order_info` in whichever database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    database: Option<Box<str>>,
    table: Box<str>,
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (database, table) = match text.split_once('.') {
            Some((database, table)) => (Some(database), table),
            None => (None, text),
        };
        if table.is_empty() || database.is_some_and(str::is_empty) {
            return Err(format!("'{text}' is no name of a table: write 'table' or 'database.table'"));
        }
        Ok(Self { database: database.map(Into::into), table: table.into() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = &self.database {
            write!(f, "{database}.")?;
        }
        f.write_str(&self.table)
    }
}

/// What a table wants of the records of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeConfig {
    /// Whose changes; every table's where there is none.
    pub table: Option<TableName>,
    /// The columns of its key, by number. With a key each row says where it stood: its last column is
    /// [`SEQUENCE`](super::SEQUENCE), and of an update only the new row is given, unless its key has changed.
    pub key: Vec<usize>,
    /// Whether DECIMALs in a string are the base64 of their digits, where no schema says so: what Debezium writes with
    /// `decimal.handling.mode=precise`.
    pub decimals_base64: bool,
    /// The columns, by number, whose texts are the clock of UTC: MySQL's TIMESTAMP as Maxwell writes it.
    pub utc: Vec<usize>,
}

/// What Maxwell keeps its own state in.
const MAXWELL: &str = "maxwell";

/// The tables of a source.
#[derive(Debug)]
pub(super) struct Names(pub(super) Vec<Option<TableName>>);

impl Names {
    /// The tables that want the changes of this one.
    pub(super) fn of(&self, database: &str, table: &str) -> impl Iterator<Item = usize> {
        let is_same = move |name: &Option<TableName>| match name {
            None => true,
            Some(TableName { database: None, table: wanted }) => **wanted == *table && database != MAXWELL,
            Some(TableName { database: Some(of), table: wanted }) => **wanted == *table && **of == *database,
        };
        self.0.iter().enumerate().filter(move |(_, name)| is_same(name)).map(|(at, _)| at)
    }

    /// Whether any table wants the changes of this one.
    pub(super) fn has(&self, database: &str, table: &str) -> bool {
        self.of(database, table).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_database_or_any() {
        let names = Names(["shop.orders", "orders", "shop.items"].map(|name| name.parse().ok()).to_vec());
        let of = |database, table| names.of(database, table).collect::<Vec<_>>();
        assert_eq!(of("shop", "orders"), [0, 1]);
        assert_eq!(of("other", "orders"), [1]);
        assert!(of("maxwell", "orders").is_empty());
        assert!(!names.has("other", "items"));
        assert_eq!("".parse::<TableName>().unwrap_err(), "'' is no name of a table: write 'table' or 'database.table'");
        assert!("shop.".parse::<TableName>().is_err() && ".orders".parse::<TableName>().is_err());
        assert_eq!("gmall-flink.a.b".parse::<TableName>().unwrap().to_string(), "gmall-flink.a.b");
    }
}
