//! A shop's database as SQL: its tables, their rows, and each transaction, for a client of MariaDB or MySQL.

use crate::change::{Change, Row, Transaction, Value};
use crate::clock::{self, Millis};
use crate::json;
use crate::schema::{Table, ddl};
use crate::target::Target;
use std::io::{self, Write};

/// Rows of one INSERT at the beginning.
const ROWS: usize = 200;

/// Writes statements; log lines are none, so another target takes them.
#[derive(Debug)]
pub struct Statements<W> {
    out: W,
    /// The statement that is being written.
    text: Vec<u8>,
}

impl<W: Write> Statements<W> {
    /// Writes to a client's standard input, the tables first. They must not be there.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"SET NAMES utf8mb4;\n")?;
        out.write_all(ddl().as_bytes())?;
        Ok(Self { out, text: Vec::new() })
    }

    fn insert(&mut self, rows: &[Row]) -> io::Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        write!(self.text, "INSERT INTO {} VALUES ", first.table.name())?;
        for (number, row) in rows.iter().enumerate() {
            self.text.extend_from_slice(if number == 0 { b"(" } else { b",\n(" });
            for (number, value) in row.values.iter().enumerate() {
                if number > 0 {
                    self.text.push(b',');
                }
                write_value(&mut self.text, value);
            }
            self.text.push(b')');
        }
        self.end()
    }

    fn update(&mut self, old: &Row, new: &Row) -> io::Result<()> {
        let names = new.table.columns().iter().map(|(name, _)| name);
        let values = names.zip(&old.values).zip(&new.values);
        let changed: Vec<_> = values.filter(|((_, old), new)| old != new).map(|((name, _), new)| (name, new)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        write!(self.text, "UPDATE {} SET ", new.table.name())?;
        for (number, (name, value)) in changed.into_iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(self.text, "{comma}`{name}` = ")?;
            write_value(&mut self.text, value);
        }
        write!(self.text, " WHERE id = {}", old.id())?;
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.text.extend_from_slice(b";\n");
        self.out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

impl<W: Write> Target for Statements<W> {
    fn bootstrap(&mut self, _: Millis, _: Table, rows: &[Row]) -> io::Result<()> {
        rows.chunks(ROWS).try_for_each(|rows| self.insert(rows))
    }

    fn log(&mut self, _: Millis, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a database takes no log"))
    }

    fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        self.out.write_all(b"BEGIN;\n")?;
        for change in &transaction.changes {
            match change {
                Change::Insert(row) => self.insert(std::slice::from_ref(row))?,
                Change::Update { old, new } => self.update(old, new)?,
                Change::Delete(row) => writeln!(self.out, "DELETE FROM {} WHERE id = {};", row.table.name(), row.id())?,
            }
        }
        self.out.write_all(b"COMMIT;\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Int(value) => json::write_int(out, *value),
        Value::Cents(value) => json::write_cents(out, *value),
        Value::Text(value) => quoted(out, |out| write_text(out, value)),
        Value::Moment(at) => quoted(out, |out| clock::write_datetime(out, *at).expect(MEMORY)),
        Value::Date(date) => quoted(out, |out| clock::write_date(out, *date).expect(MEMORY)),
    }
}

const MEMORY: &str = "memory takes all that is written";

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'\'');
    write(out);
    out.push(b'\'');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte == b'\'' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_what_changes() {
        let old = Row::new(Table::Trademark, vec![Value::Int(7), "Old".into()]);
        let new = old.with("tm_name", "It's \\ new");
        let other = Row::new(Table::Trademark, vec![Value::Int(8), "Other".into()]);
        let changes = vec![
            Change::Insert(old.clone()),
            Change::Update { old: old.clone(), new: new.clone() },
            Change::Update { old: new.clone(), new },
            Change::Delete(other),
        ];
        let mut statements = Statements { out: Vec::new(), text: Vec::new() };
        statements.commit(&Transaction { at: clock::START, changes }).unwrap();
        let wanted = "BEGIN;\n\
            INSERT INTO base_trademark VALUES (7,'Old');\n\
            UPDATE base_trademark SET `tm_name` = 'It\\'s \\\\ new' WHERE id = 7;\n\
            DELETE FROM base_trademark WHERE id = 8;\n\
            COMMIT;\n";
        assert_eq!(String::from_utf8(statements.out).unwrap(), wanted);
    }

    #[test]
    fn values_are_written_as_mysql_reads_them() {
        let values = [
            Value::Null,
            Value::Cents(-1205),
            Value::Moment(clock::START),
            Value::Date(clock::date(clock::day_of(clock::START))),
        ];
        let mut out = Vec::new();
        for value in &values {
            write_value(&mut out, value);
            out.push(b' ');
        }
        assert_eq!(String::from_utf8(out).unwrap(), "NULL -12.05 '2026-03-02 00:00:00' '2026-03-02' ");
    }
}
