//! `CREATE TABLE` read from the syntax tree: input tables (with a source) and targets (with a sink).

use crate::clauses;
use crate::duration::parse_duration;
use crate::plan::{EventTime, Table, Target};
use crate::problem::{Place, Refusal};
use crate::types::arrow_type;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_sql::sqlparser::ast::{
    ColumnOption, CreateTable, CreateTableOptions, Expr, Ident, ObjectName, Spanned, SqlOption, TableConstraint, Value,
};
use proxima_event::decode::{ChangeConfig, EpochUnit, Format, TableName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a `CREATE TABLE` declares.
#[derive(Debug)]
pub(crate) enum Declared {
    Table(Box<Table>),
    Target(Target),
}

const TABLE_OPTIONS: [&str; 9] =
    ["source", "format", "table", "decimals", "utc", "event_time", "lifetime", "dimension", "epoch_unit"];
const TARGET_OPTIONS: [&str; 3] = ["sink", "index", "one_row_per_key"];

/// Reads a declaration, and says everything that is wrong with it.
pub(crate) fn declare(create: &CreateTable, zone: &str, place: Place) -> Result<Declared, Vec<Refusal>> {
    let mut refusals = Vec::new();
    if create.query.is_some() {
        refusals.push(
            Refusal::new("CREATE TABLE … AS SELECT is not supported")
                .advise("declare the table, then write INSERT INTO … SELECT"),
        );
    }
    refusals.extend(clauses::of_table(create));
    let name = plain_name(&create.name).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        create.name.to_string()
    });
    let schema = Arc::new(Schema::new(fields(create, zone, &mut refusals)));
    let key = key(create, &schema, &mut refusals);
    let options = options(create, &mut refusals);
    let declaration = Declaration { name, schema, key, options, place, refusals };
    match (declaration.options.contains_key("source"), declaration.options.contains_key("sink")) {
        (true, false) => declaration.table(),
        (false, true) => declaration.target(),
        (both, _) => {
            let mut refusals = declaration.refusals;
            let what = if both { "both a source and a sink" } else { "neither a source nor a sink" };
            refusals.push(
                Refusal::new(format!("table {} has {what}", declaration.name))
                    .advise("write WITH (source = '…', format = '…') for an input or WITH (sink = '…') for a target"),
            );
            Err(refusals)
        }
    }
}

/// The name of a table or view, which has one part only.
pub(crate) fn plain_name(name: &ObjectName) -> Result<String, Refusal> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.clone()),
        _ => None,
    }
    .ok_or_else(|| {
        Refusal::new(format!("name {name} has several parts")).advise("use a plain name").at(Place::of(name.span()))
    })
}

fn fields(create: &CreateTable, zone: &str, refusals: &mut Vec<Refusal>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    if create.columns.is_empty() {
        refusals
            .push(Refusal::new(format!("table {} has no columns", create.name)).advise("name them and their types"));
    }
    for column in &create.columns {
        let place = Place::of(column.name.span);
        if fields.iter().any(|field| field.name() == &column.name.value) {
            refusals.push(Refusal::new(format!("column {} is declared twice", column.name.value)).at(place));
        }
        let data_type = arrow_type(&column.data_type, zone).unwrap_or_else(|message| {
            refusals.push(
                Refusal::new(format!("column {}: {message}", column.name.value))
                    .advise(
                        "use BOOLEAN, TINYINT to BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), STRING, BYTES, DATE, TIME, \
                         TIMESTAMP(p), TIMESTAMP_LTZ(p), ARRAY<…> or STRUCT<…>",
                    )
                    .at(place),
            );
            DataType::Null
        });
        let mut required = false;
        for option in &column.options {
            match &option.option {
                ColumnOption::NotNull | ColumnOption::PrimaryKey(_) => required = true,
                ColumnOption::Null | ColumnOption::Comment(_) => {}
                other => refusals
                    .push(Refusal::new(format!("column {}: {other} is not supported", column.name.value)).at(place)),
            }
        }
        fields.push(Field::new(&column.name.value, data_type, !required));
    }
    fields
}

/// The columns of the primary key, by number.
fn key(create: &CreateTable, schema: &Schema, refusals: &mut Vec<Refusal>) -> Vec<usize> {
    let mut key = Vec::new();
    for (number, column) in create.columns.iter().enumerate() {
        if column.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_))) {
            key.push(number);
        }
    }
    for constraint in &create.constraints {
        let TableConstraint::PrimaryKey(primary) = constraint else {
            refusals.push(
                Refusal::new(format!("constraint {constraint} is not supported"))
                    .advise("only PRIMARY KEY (…) NOT ENFORCED is")
                    .at(Place::of(constraint.span())),
            );
            continue;
        };
        for column in &primary.columns {
            let place = Place::of(column.column.expr.span());
            match &column.column.expr {
                Expr::Identifier(Ident { value, .. }) => match schema.index_of(value) {
                    Ok(number) => key.push(number),
                    Err(_) => refusals.push(
                        Refusal::new(format!("key column {value} is not declared"))
                            .advise("name columns of the table")
                            .at(place),
                    ),
                },
                other => refusals.push(Refusal::new(format!("key column {other} is not a name")).at(place)),
            }
        }
    }
    key
}

/// The options, each with its place.
fn options(create: &CreateTable, refusals: &mut Vec<Refusal>) -> BTreeMap<String, (String, Option<Place>)> {
    let given = match &create.table_options {
        CreateTableOptions::None => &[][..],
        CreateTableOptions::With(given) => given,
        other => {
            refusals
                .push(Refusal::new(format!("options {other} are not supported")).advise("write WITH (name = 'value')"));
            &[]
        }
    };
    let mut options = BTreeMap::new();
    for option in given {
        let SqlOption::KeyValue { key, value } = option else {
            refusals.push(Refusal::new(format!("option {option} is not supported")).advise("write name = 'value'"));
            continue;
        };
        let place = Place::of(key.span);
        let text = match value {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) | Value::Number(text, _) => {
                    text.clone()
                }
                Value::Boolean(flag) => flag.to_string(),
                other => other.to_string(),
            },
            Expr::Identifier(name) => name.value.clone(),
            other => other.to_string(),
        };
        if options.insert(key.value.clone(), (text, place)).is_some() {
            refusals.push(Refusal::new(format!("option {} is given twice", key.value)).at(place));
        }
    }
    options
}

/// The format as it was written.
fn options_format(options: &BTreeMap<String, String>) -> String {
    options.get("format").cloned().unwrap_or_default()
}

struct Declaration {
    name: String,
    schema: Arc<Schema>,
    key: Vec<usize>,
    options: BTreeMap<String, (String, Option<Place>)>,
    place: Place,
    refusals: Vec<Refusal>,
}

impl Declaration {
    fn take(&mut self, option: &str) -> Option<(String, Option<Place>)> {
        self.options.remove(option)
    }

    fn refuse(&mut self, place: Option<Place>, message: String, advice: &str) {
        self.refusals.push(Refusal::new(message).advise(advice).at(place));
    }

    /// An option that is off unless it is given.
    fn flag(&mut self, option: &str) -> bool {
        let Some((text, place)) = self.take(option) else { return false };
        if !["true", "false"].contains(&text.as_str()) {
            let message = format!("{option} = '{text}' is neither true nor false");
            self.refuse(place, message, &format!("write {option} = 'true'"));
        }
        text == "true"
    }

    fn table(mut self) -> Result<Declared, Vec<Refusal>> {
        let options = self.options.iter().map(|(option, (text, _))| (option.clone(), text.clone())).collect();
        let source = self.take("source").map(|(text, _)| text).unwrap_or_default();
        let (format, format_place) = self.format();
        let changes = self.changes(format, format_place);
        let event_time = self.event_time();
        let lifetime = self.take("lifetime").and_then(|(text, place)| {
            let lifetime = parse_duration(&text);
            if lifetime.is_none() {
                self.refuse(place, format!("lifetime '{text}' is not a duration"), "write '30 days' or '1 h'");
            } else if event_time.is_none() {
                self.refuse(
                    place,
                    "lifetime needs an event time".into(),
                    "add event_time = '…', the column to measure by",
                );
            }
            lifetime
        });
        let dimension = self.flag("dimension");
        let epoch_unit = self.take("epoch_unit").map_or(EpochUnit::Millis, |(text, place)| match text.as_str() {
            "s" => EpochUnit::Seconds,
            "ms" => EpochUnit::Millis,
            "us" => EpochUnit::Micros,
            _ => {
                self.refuse(place, format!("epoch_unit '{text}' is not known"), "'s', 'ms' and 'us' are");
                EpochUnit::Millis
            }
        });
        let unknown = std::mem::take(&mut self.options);
        self.refuse_unknown(unknown, &TABLE_OPTIONS);
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        Ok(Declared::Table(Box::new(Table {
            name: self.name,
            source,
            format: options_format(&options),
            options,
            schema: self.schema,
            key: self.key,
            event_time,
            lifetime,
            dimension,
            epoch_unit,
            append_only: changes.is_none(),
            changes,
            position: (self.place.line, self.place.column),
        })))
    }

    fn format(&mut self) -> (Option<Format>, Option<Place>) {
        let Some((name, place)) = self.take("format") else {
            let advice = format!("add format = '…', one of {}", Format::NAMES);
            self.refuse(None, format!("table {} has no format", self.name), &advice);
            return (None, None);
        };
        let format = name.parse().ok();
        if format.is_none() {
            self.refuse(place, format!("format '{name}' is not known"), &format!("known are {}", Format::NAMES));
        }
        (format, place)
    }

    /// Whose changes are read. The columns of their key are never NULL.
    fn changes(&mut self, format: Option<Format>, place: Option<Place>) -> Option<ChangeConfig> {
        let of_changes = format.is_some_and(Format::is_of_changes);
        let (name, decimals) = (self.take("table"), self.take("decimals"));
        let utc = self.utc(format);
        if format == Some(Format::Debezium)
            && let Some((_, place)) = self.options.get("epoch_unit")
        {
            let advice = "leave it out: the schema of a record says what its numbers count, or else their size does";
            self.refuse(*place, "epoch_unit is not for format 'debezium'".into(), advice);
        }
        let decimals_base64 = decimals.is_some_and(|(text, place)| {
            if format.is_some_and(|format| format != Format::Debezium) || !["base64", "text"].contains(&text.as_str()) {
                let advice = "write decimals = 'base64' or 'text' for format 'debezium', or leave it out";
                self.refuse(place, format!("decimals = '{text}' is not known here"), advice);
            }
            text == "base64"
        });
        match name {
            None if of_changes => {
                let message = format!("table {} does not say whose changes it reads", self.name);
                self.refuse(place, message, "add table = 'database.table'");
                None
            }
            None => None,
            Some(_) if format.is_none() => None,
            Some((_, place)) if !of_changes => {
                let advice = "leave it out, or use format 'maxwell', 'debezium' or 'canal'";
                self.refuse(place, "option table is for formats of changes".into(), advice);
                None
            }
            Some((text, place)) => match text.parse::<TableName>() {
                Ok(table) => {
                    self.require_key();
                    Some(ChangeConfig { table: Some(table), key: self.key.clone(), decimals_base64, utc })
                }
                Err(message) => {
                    self.refuse(place, message, "name the table as the database does");
                    None
                }
            },
        }
    }

    /// The columns whose texts are the clock of UTC.
    fn utc(&mut self, format: Option<Format>) -> Vec<usize> {
        let Some((names, place)) = self.take("utc") else { return Vec::new() };
        if format.is_some_and(|format| !matches!(format, Format::Maxwell | Format::Canal)) {
            let advice = "leave it out: only Maxwell and Canal write times of UTC without saying so";
            self.refuse(place, "option utc is for formats 'maxwell' and 'canal'".into(), advice);
        }
        let mut columns = Vec::new();
        for name in names.split(',').map(str::trim) {
            let found = self.schema.column_with_name(name);
            match found.filter(|(_, field)| matches!(field.data_type(), DataType::Timestamp(..))) {
                Some((column, _)) => columns.push(column),
                None => {
                    let advice = "name columns that are declared as TIMESTAMP: utc = 'created_at, updated_at'";
                    self.refuse(place, format!("utc: table {} has no TIMESTAMP \"{name}\"", self.name), advice);
                }
            }
        }
        columns
    }

    fn require_key(&mut self) {
        let field = |(at, field): (usize, &Arc<Field>)| {
            field.as_ref().clone().with_nullable(field.is_nullable() && !self.key.contains(&at))
        };
        let fields: Vec<Field> = self.schema.fields().iter().enumerate().map(field).collect();
        self.schema = Arc::new(Schema::new(fields));
    }

    fn event_time(&mut self) -> Option<EventTime> {
        let (name, place) = self.take("event_time")?;
        let Ok(column) = self.schema.index_of(&name) else {
            self.refuse(place, format!("event_time: there is no column {name}"), "name a TIMESTAMP or DATE column");
            return None;
        };
        let data_type = self.schema.field(column).data_type().clone();
        if !matches!(data_type, DataType::Timestamp(..) | DataType::Date32) {
            self.refuse(place, format!("event_time: column {name} holds no time"), "name a TIMESTAMP or DATE column");
        }
        Some(EventTime { name, column })
    }

    fn target(mut self) -> Result<Declared, Vec<Refusal>> {
        let sink = self.take("sink").map(|(text, _)| text).unwrap_or_default();
        let index = self.take("index").map_or_else(|| self.name.clone(), |(text, _)| text);
        let one_row_per_key = self.flag("one_row_per_key");
        let unknown = std::mem::take(&mut self.options);
        self.refuse_unknown(unknown, &TARGET_OPTIONS);
        if self.key.is_empty() {
            self.refuse(None, format!("target {} has no key", self.name), "add PRIMARY KEY (…) NOT ENFORCED");
        }
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        let position = (self.place.line, self.place.column);
        Ok(Declared::Target(Target {
            name: self.name,
            sink,
            index,
            schema: self.schema,
            key: self.key,
            one_row_per_key,
            position,
        }))
    }

    fn refuse_unknown(&mut self, unknown: BTreeMap<String, (String, Option<Place>)>, known: &[&str]) {
        for (option, (_, place)) in unknown {
            self.refuse(place, format!("option {option} is not known"), &format!("known are {}", known.join(", ")));
        }
    }
}
