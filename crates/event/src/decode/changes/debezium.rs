//! Records of Debezium: `{"before":{…},"after":{…},"source":{"db":…,"table":…},"op":"u"}`, alone or as the payload beside
//! a schema.
//!
//! The schema, many times longer than the row, is the same for each record of a table: it is read once, and then
//! only compared. It says how columns are written; without it that follows from the types of the columns.

use super::members::{Then, Walked, members, present, word};
use super::table::Names;
use super::{Change, Found};
use crate::decode::columns::Form;
use crate::decode::json::{Input, skip};
use arrow::datatypes::TimeUnit;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// How the columns of a table are written, by name.
pub(super) type Forms = Arc<HashMap<String, Form>>;

/// Schemas that are known at a time. A topic has one for each table and version of it.
const SCHEMAS_MAX: usize = 128;

/// Reads records, and knows the schemas that came with them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The schemas, the most recently seen one first.
    known: VecDeque<(Box<[u8]>, Forms)>,
}

/// What was found of a record so far.
#[derive(Default)]
struct Parts<'a> {
    schema: Option<Range<usize>>,
    before: Option<Range<usize>>,
    after: Option<Range<usize>>,
    database: Option<&'a str>,
    table: Option<&'a str>,
    op: Option<&'a str>,
    /// It is the mark of a transaction, a change of a schema, or a deletion that the record before has told of.
    is_mark: bool,
    /// It tells when it was written …
    has_time: bool,
    /// … and more than that, which a heartbeat does not.
    has_more: bool,
}

impl Reader {
    /// Reads the record that begins at `at`; `None` when it is not valid JSON. `ahead` may read a row at once, and says
    /// where it ends.
    pub(super) fn read<'a>(
        &mut self,
        input: Input<'a>,
        at: usize,
        names: &Names,
        changes: &mut Vec<Change>,
        ahead: &mut dyn FnMut(usize) -> Option<usize>,
    ) -> Option<(Found<'a>, Option<Forms>)> {
        if input.text(at, input.end) == Some("null") {
            return Some((Found::Skipped, None));
        }
        let mut parts = Parts::default();
        let walked = members(input, at, |name, at| match name {
            "schema" => {
                let end = self.end_of_schema(input, at)?;
                parts.schema = (input.byte(at)? == b'{').then_some(at..end);
                Some(Then::On(end))
            }
            "payload" if input.byte(at)? == b'n' => {
                parts.is_mark = true;
                skip::end_of(input, at).map(Then::On)
            }
            "payload" => match members(input, at, |name, at| parts.member(input, name, at, names, ahead))? {
                Walked::End(end) => Some(Then::On(end)),
                Walked::Stopped => Some(Then::Stop),
            },
            _ => parts.member(input, name, at, names, ahead),
        })?;
        let Walked::End(end) = walked else { return Some((Found::Skipped, None)) };
        let found = parts.found(end, changes);
        let forms = match (&found, parts.schema) {
            (Found::Rows { .. }, Some(schema)) => Some(self.forms(&input.padded[schema])),
            _ => None,
        };
        Some((found, forms))
    }

    /// The end of a schema, most often the one of the record before.
    fn end_of_schema(&self, input: Input<'_>, at: usize) -> Option<usize> {
        let rest = &input.padded[at..input.end];
        let known = self.known.iter().find(|(text, _)| rest.starts_with(text));
        known.map_or_else(|| skip::end_of(input, at), |(text, _)| Some(at + text.len()))
    }

    fn forms(&mut self, schema: &[u8]) -> Forms {
        if let Some(place) = self.known.iter().position(|(text, _)| **text == *schema) {
            self.known.make_contiguous()[..=place].rotate_right(1);
        } else {
            self.known.truncate(SCHEMAS_MAX - 1);
            self.known.push_front((schema.into(), Arc::new(read_schema(schema))));
        }
        Arc::clone(&self.known[0].1)
    }
}

impl<'a> Parts<'a> {
    fn member(
        &mut self,
        input: Input<'a>,
        name: &str,
        at: usize,
        names: &Names,
        ahead: &mut dyn FnMut(usize) -> Option<usize>,
    ) -> Option<Then> {
        let end;
        match name {
            "before" => (self.before, end) = present(input, at)?,
            "after" => {
                // A schema may say that values are written in another way than those before.
                let row = if self.schema.is_none() && input.byte(at)? == b'{' { ahead(at) } else { None };
                (self.after, end) = match row {
                    Some(end) => (Some(at..end), end),
                    None => present(input, at)?,
                };
            }
            "op" => {
                (self.op, end) = word(input, at)?;
                // Truncations and messages of the database have no rows.
                self.is_mark |= matches!(self.op, Some("t" | "m"));
            }
            "source" if input.byte(at)? == b'{' => {
                let walked = members(input, at, |name, at| {
                    let end;
                    match name {
                        "db" => (self.database, end) = word(input, at)?,
                        "table" => (self.table, end) = word(input, at)?,
                        _ => end = skip::end_of(input, at)?,
                    }
                    Some(Then::On(end))
                })?;
                let Walked::End(behind) = walked else { return None };
                end = behind;
            }
            "status" | "ddl" | "tableChanges" => {
                self.is_mark = true;
                end = skip::end_of(input, at)?;
            }
            _ => {
                let is_time = name.starts_with("ts_");
                self.has_time |= is_time;
                self.has_more |= !is_time;
                end = skip::end_of(input, at)?;
            }
        }
        let of_others =
            matches!((self.database, self.table), (Some(database), Some(table)) if !names.has(database, table));
        Some(if of_others || self.is_mark { Then::Stop } else { Then::On(end) })
    }

    fn found(&mut self, end: usize, changes: &mut Vec<Change>) -> Found<'a> {
        if self.is_mark {
            return Found::Skipped;
        }
        let (before, after) = (self.before.take(), self.after.take());
        let change = match (self.op, before, after) {
            (Some("c" | "r"), _, Some(after)) => Change::Insert(after),
            (Some("u"), before, Some(after)) => Change::Replace { before, after },
            (Some("d"), Some(before), _) => Change::Delete(before),
            (Some("c" | "r" | "u"), _, None) => return Found::lacks("after"),
            (Some("d"), None, _) => return Found::lacks("before"),
            (Some(other), ..) => return Found::Bad(format!("unknown op \"{other}\"")),
            (None, None, None) if self.has_time && !self.has_more && self.table.is_none() => return Found::Skipped,
            (None, ..) => {
                let what = "missing \"op\": a record of Debezium has its envelope (no ExtractNewRecordState)";
                return Found::Bad(what.to_owned());
            }
        };
        let (Some(database), Some(table)) = (self.database, self.table) else {
            return Found::lacks("source.db\" or \"source.table");
        };
        changes.push(change);
        Found::Rows { database, table, end }
    }
}

/// A field of a schema of Kafka Connect, as far as it is looked at.
#[derive(Deserialize)]
struct Field {
    #[serde(rename = "type")]
    kind: Option<String>,
    field: Option<String>,
    name: Option<String>,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    parameters: HashMap<String, String>,
}

/// The forms of the columns that have one by the schema of a record.
fn read_schema(schema: &[u8]) -> HashMap<String, Form> {
    let Ok(schema) = serde_json::from_slice::<Field>(schema) else { return HashMap::new() };
    let rows = schema.fields.into_iter().filter(|part| matches!(part.field.as_deref(), Some("before" | "after")));
    rows.flat_map(|row| row.fields)
        .filter_map(|column| Some((form(&column)?, column.field?)))
        .map(|(form, name)| (name, form))
        .collect()
}

fn form(column: &Field) -> Option<Form> {
    let Some(name) = column.name.as_deref() else {
        // A DECIMAL as text or as a number: `decimal.handling.mode` is `string` or `double`.
        return (column.kind.as_deref()? != "bytes").then_some(Form::Plain);
    };
    Some(match name {
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
            Form::Wall(Some(TimeUnit::Millisecond))
        }
        "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Form::Days,
        "io.debezium.time.IsoTimestamp" | "io.debezium.time.IsoDate" | "io.debezium.time.IsoTime" => Form::Iso,
        "io.debezium.time.MicroTimestamp" => Form::Wall(Some(TimeUnit::Microsecond)),
        "io.debezium.time.NanoTimestamp" => Form::Wall(Some(TimeUnit::Nanosecond)),
        "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Form::Daytime(TimeUnit::Millisecond),
        "io.debezium.time.MicroTime" => Form::Daytime(TimeUnit::Microsecond),
        "io.debezium.time.NanoTime" => Form::Daytime(TimeUnit::Nanosecond),
        "org.apache.kafka.connect.data.Decimal" => Form::Unscaled(column.parameters.get("scale")?.parse().ok()?),
        "io.debezium.data.Bits" => Form::Bits,
        _ => return None,
    })
}
