//! Rows of the shop's database, and what a transaction does to them.

use crate::clock::Millis;
use crate::schema::Table;
use chrono::NaiveDate;
use std::borrow::Cow;

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A DECIMAL with two digits, in cents.
    Cents(i64),
    /// A text.
    Text(Cow<'static, str>),
    /// A DATETIME: whole seconds of it are kept.
    Moment(Millis),
    /// A DATE.
    Date(NaiveDate),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose row it is.
    pub table: Table,
    /// One value for each column, the key first.
    pub values: Vec<Value>,
}

impl Row {
    /// A row.
    ///
    /// # Panics
    /// When there is not one value for each column.
    #[must_use]
    pub fn new(table: Table, values: Vec<Value>) -> Self {
        assert_eq!(values.len(), table.columns().len(), "{} takes one value a column", table.name());
        Self { table, values }
    }

    /// The value of a column.
    ///
    /// # Panics
    /// When the table has no such column.
    #[must_use]
    pub fn get(&self, column: &str) -> &Value {
        &self.values[self.table.column(column)]
    }

    /// The same row with another value in one column.
    ///
    /// # Panics
    /// When the table has no such column.
    #[must_use]
    pub fn with(&self, column: &str, value: impl Into<Value>) -> Self {
        let mut row = self.clone();
        row.values[self.table.column(column)] = value.into();
        row
    }

    /// The key.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.int("id")
    }

    /// A whole number.
    ///
    /// # Panics
    /// When the column is of another type.
    #[must_use]
    pub fn int(&self, column: &str) -> i64 {
        match self.get(column) {
            Value::Int(value) | Value::Cents(value) | Value::Moment(value) => *value,
            other => panic!("{}.{column} is no number: {other:?}", self.table.name()),
        }
    }

    /// A text; none for NULL.
    ///
    /// # Panics
    /// When the column is of another type.
    #[must_use]
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.get(column) {
            Value::Text(text) => Some(text),
            Value::Null => None,
            other => panic!("{}.{column} is no text: {other:?}", self.table.name()),
        }
    }
}

/// What happens to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It comes.
    Insert(Row),
    /// It becomes another; the key stays.
    Update {
        /// As it was.
        old: Row,
        /// As it is.
        new: Row,
    },
    /// It goes.
    Delete(Row),
}

impl Change {
    /// Whose row it is.
    #[must_use]
    pub fn table(&self) -> Table {
        match self {
            Self::Insert(row) | Self::Update { new: row, .. } | Self::Delete(row) => row.table,
        }
    }
}

/// Changes that are committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// When.
    pub at: Millis,
    /// In the order of the statements.
    pub changes: Vec<Change>,
}
