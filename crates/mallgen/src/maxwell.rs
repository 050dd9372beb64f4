//! Changes as Maxwell writes them: one JSON object a row.

use crate::change::{Change, Row, Value};
use crate::clock::{self, Millis, SECOND};
use crate::json::{self, Object};
use crate::schema::DATABASE;

/// Where a row stands in its transaction.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The transaction.
    pub xid: i64,
    /// The row's number, from 0.
    pub offset: i64,
    /// Whether it is the last one.
    pub last: bool,
}

/// The line of a change, without a newline.
#[must_use]
pub fn change(change: &Change, at: Millis, place: Place) -> Vec<u8> {
    let (kind, row) = match change {
        Change::Insert(row) => ("insert", row),
        Change::Update { new, .. } => ("update", new),
        Change::Delete(row) => ("delete", row),
    };
    line(kind, row.table.name(), at, |object| {
        object.int("xid", place.xid);
        if place.last {
            object.boolean("commit", true);
        } else {
            object.int("xoffset", place.offset);
        }
        object.object("data", |data| values(data, row, |_| true));
        if let Change::Update { old, new } = change {
            object.object("old", |data| values(data, old, |column| old.values[column] != new.values[column]));
        }
    })
}

/// A line of a bootstrap: `kind` is `start`, `insert` or `complete`.
#[must_use]
pub fn bootstrap(kind: &str, table: &str, at: Millis, row: Option<&Row>) -> Vec<u8> {
    line(&format!("bootstrap-{kind}"), table, at, |object| {
        object.object("data", |data| {
            if let Some(row) = row {
                values(data, row, |_| true);
            }
        });
    })
}

fn line(kind: &str, table: &str, at: Millis, rest: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut object = Object::open(&mut out);
    object.text("database", DATABASE).text("table", table).text("type", kind).int("ts", at.div_euclid(SECOND));
    rest(&mut object);
    object.close();
    out
}

fn values(data: &mut Object<'_>, row: &Row, wanted: impl Fn(usize) -> bool) {
    for (number, (value, (name, _))) in row.values.iter().zip(row.table.columns()).enumerate() {
        if wanted(number) {
            write(data.field(name), value);
        }
    }
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int(value) => json::write_int(out, *value),
        Value::Cents(value) => json::write_cents(out, *value),
        Value::Text(value) => json::write_text(out, value),
        Value::Moment(at) => {
            out.push(b'"');
            clock::write_datetime(out, *at).expect("memory takes all that is written");
            out.push(b'"');
        }
        Value::Date(date) => {
            out.push(b'"');
            clock::write_date(out, *date).expect("memory takes all that is written");
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Table;

    #[test]
    fn an_update_says_what_was() {
        let old = Row::new(Table::Trademark, vec![Value::Int(7), "Old \"brand\"".into()]);
        let update = Change::Update { new: old.with("tm_name", "New"), old };
        let text = change(&update, clock::START, Place { xid: 9, offset: 0, last: true });
        let wanted = r#"{"database":"mall","table":"base_trademark","type":"update","ts":1772380800,"xid":9,"commit":true,"data":{"id":7,"tm_name":"New"},"old":{"tm_name":"Old \"brand\""}}"#;
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
    }

    #[test]
    fn bootstraps_have_no_transaction() {
        let text = bootstrap("start", "user_info", clock::START, None);
        let wanted = r#"{"database":"mall","table":"user_info","type":"bootstrap-start","ts":1772380800,"data":{}}"#;
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
    }
}
