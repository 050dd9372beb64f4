//! Random `views.sql`: a chain of views, each over those before it, and targets that take them.

use super::dice::Dice;
use super::expression::{Class, Column, any, condition, literal};
use super::stream::{DIMENSION, EVENT_TIME, LIFETIME_HOURS, Shape, Table};
use std::fmt::Write;

/// A table or view that can be read.
#[derive(Clone)]
struct Relation {
    name: String,
    columns: Vec<Column>,
    /// Columns that no two rows have in common, where such are known.
    key: Option<Vec<String>>,
}

/// A view's SELECT with what is known of it. Its columns are named `c0`, `c1`, …
struct Select {
    sql: String,
    classes: Vec<Class>,
    /// How many of the first columns are a key.
    key: Option<usize>,
}

/// Writes the whole script; gives the names of its views, too.
pub(super) fn script(dice: &mut Dice, tables: &[Table], shape: Shape) -> (String, Vec<String>) {
    let mut writer = Writer { sql: String::new(), relations: Vec::new(), dimension: None };
    for table in tables {
        writer.input(table, shape);
    }
    let mut views = Vec::new();
    for number in 0..1 + dice.below(4) {
        let select = writer.select(dice, shape);
        let view = writer.view(format!("v{number}"), select);
        views.push(view.clone());
        // Later views rather build on views than on tables.
        writer.relations.extend([view.clone(), view]);
    }
    for (number, view) in views.iter().rev().enumerate() {
        if number == 0 || dice.chance(30) {
            writer.target(dice, &format!("target{number}"), view);
        }
    }
    (writer.sql, views.into_iter().map(|view| view.name).collect())
}

/// Stands behind the condition of a join for what the lifetimes of its tables add to it.
const IN_TIME: &str = " /* in time */";

/// The same SQL for a batch run, which knows no lifetimes.
pub(super) fn without_lifetimes(sql: &str) -> String {
    let lasts = |one: &str, other: &str| {
        format!("{other}.{EVENT_TIME} <= {one}.{EVENT_TIME} + INTERVAL '{LIFETIME_HOURS} hours'")
    };
    sql.replace(IN_TIME, &format!(" AND {} AND {}", lasts("a", "b"), lasts("b", "a")))
}

struct Writer {
    sql: String,
    relations: Vec<Relation>,
    dimension: Option<Relation>,
}

impl Writer {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.sql.write_fmt(line).expect("a String takes all");
        self.sql.push_str(";\n");
    }

    fn input(&mut self, table: &Table, shape: Shape) {
        let columns: Vec<_> = table.columns.iter().map(|(column, sql)| format!("{} {sql}", column.name)).collect();
        let dimension = table.name == DIMENSION;
        let options = match (dimension, shape.late) {
            (true, _) => ", dimension = 'true'".to_string(),
            (_, true) => format!(", event_time = '{EVENT_TIME}', lifetime = '{LIFETIME_HOURS} hours'"),
            _ => String::new(),
        };
        let key = if dimension { ", PRIMARY KEY (k) NOT ENFORCED" } else { "" };
        let (name, columns) = (&table.name, columns.join(", "));
        self.line(format_args!(
            "CREATE TABLE {name} ({columns}{key}) WITH (source = 'input', format = 'json'{options})"
        ));
        let columns = table.columns.iter().map(|(column, _)| column.clone()).collect();
        let relation = Relation { name: table.name.clone(), columns, key: None };
        if dimension {
            self.dimension = Some(relation);
        } else {
            self.relations.push(relation);
        }
    }

    fn view(&mut self, name: String, select: Select) -> Relation {
        self.line(format_args!("CREATE VIEW {name} AS {}", select.sql));
        let columns: Vec<Column> = select
            .classes
            .iter()
            .enumerate()
            .map(|(number, class)| Column::new(format!("c{number}"), *class))
            .collect();
        let key = select.key.map(|first| columns[..first].iter().map(|column| column.name.clone()).collect());
        Relation { name, columns, key }
    }

    /// A view with a key goes out as it is; of others, each distinct row and how often it is there.
    fn target(&mut self, dice: &mut Dice, name: &str, view: &Relation) {
        let mut columns: Vec<String> = view.columns.iter().map(|c| format!("{} {}", c.name, c.class.sql())).collect();
        if let (Some(key), true) = (&view.key, dice.chance(80)) {
            let (columns, key) = (columns.join(", "), key.join(", "));
            self.line(format_args!(
                "CREATE TABLE {name} ({columns}, PRIMARY KEY ({key}) NOT ENFORCED) WITH (sink = 'index')"
            ));
            return self.line(format_args!("INSERT INTO {name} SELECT * FROM {}", view.name));
        }
        let shown: Vec<&Column> = view.columns.iter().filter(|column| column.class.decides()).collect();
        let names = shown.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        if shown.is_empty() {
            return self.line(format_args!(
                "CREATE TABLE {name} (one BIGINT, n BIGINT, PRIMARY KEY (one) NOT ENFORCED) WITH (sink = 'index'); \
                 INSERT INTO {name} SELECT one, count(*) FROM (SELECT 1 AS one FROM {}) GROUP BY one",
                view.name
            ));
        }
        columns = shown.iter().map(|c| format!("{} {}", c.name, c.class.sql())).collect();
        let columns = columns.join(", ");
        self.line(format_args!(
            "CREATE TABLE {name} ({columns}, n BIGINT, PRIMARY KEY ({names}) NOT ENFORCED) WITH (sink = 'index')"
        ));
        self.line(format_args!("INSERT INTO {name} SELECT {names}, count(*) AS n FROM {} GROUP BY {names}", view.name));
    }

    fn select(&self, dice: &mut Dice, shape: Shape) -> Select {
        let relation = dice.pick(&self.relations).clone();
        match dice.below(12) {
            0 => project(dice, &relation),
            1..=3 => aggregate(dice, &relation),
            4 => distinct(dice, &relation),
            5 => self.union_all(dice, &relation),
            6 => top_n(dice, &relation),
            7 => hop(dice, &relation),
            8 if self.dimension.is_some() => self.lookup(dice, &relation),
            _ if shape.late => self.join_in_time(dice),
            _ => self.join(dice, &relation),
        }
    }

    /// The same classes from two relations.
    fn union_all(&self, dice: &mut Dice, left: &Relation) -> Select {
        let right = dice.pick(&self.relations).clone();
        let mut pairs = Vec::new();
        for column in &left.columns {
            let fit: Vec<&Column> = right.columns.iter().filter(|other| other.class == column.class).collect();
            if !fit.is_empty() {
                pairs.push((column.clone(), dice.pick(&fit).name.clone()));
            }
        }
        if pairs.is_empty() {
            return project(dice, left);
        }
        let list = |names: Vec<&str>| {
            names.iter().enumerate().map(|(n, name)| format!("{name} AS c{n}")).collect::<Vec<_>>().join(", ")
        };
        let lefts = list(pairs.iter().map(|(column, _)| column.name.as_str()).collect());
        let rights = list(pairs.iter().map(|(_, name)| name.as_str()).collect());
        let filter = condition(dice, &right.columns, 1);
        let sql =
            format!("SELECT {lefts} FROM {} UNION ALL SELECT {rights} FROM {} WHERE {filter}", left.name, right.name);
        Select { sql, classes: pairs.iter().map(|(column, _)| column.class).collect(), key: None }
    }

    /// Of tables with lifetimes, whose rows match where neither was over at the time of the other.
    fn join_in_time(&self, dice: &mut Dice) -> Select {
        let tables: Vec<&Relation> =
            self.relations.iter().filter(|relation| relation.columns.iter().any(|c| c.name == EVENT_TIME)).collect();
        let (left, right) = (*dice.pick(&tables), *dice.pick(&tables));
        let kind = *dice.pick(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let mut joined = joined(dice, left, right, kind, "").unwrap_or_else(|| project(dice, left));
        joined.sql += IN_TIME;
        joined
    }

    fn join(&self, dice: &mut Dice, left: &Relation) -> Select {
        let right = dice.pick(&self.relations).clone();
        let kind = *dice.pick(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        joined(dice, left, &right, kind, "").unwrap_or_else(|| project(dice, left))
    }

    fn lookup(&self, dice: &mut Dice, left: &Relation) -> Select {
        let dimension = self.dimension.clone().expect("only called with one");
        let Some(time) = left.columns.iter().find(|column| column.class == Class::Time) else {
            return project(dice, left);
        };
        let kind = *dice.pick(&["JOIN", "LEFT JOIN"]);
        let version = format!(" FOR SYSTEM_TIME AS OF a.{}", time.name);
        joined(dice, left, &dimension, kind, &version).unwrap_or_else(|| project(dice, left))
    }
}

/// A join on one or two pairs of columns; a lookup only on the dimension's key.
fn joined(dice: &mut Dice, left: &Relation, right: &Relation, kind: &str, version: &str) -> Option<Select> {
    let mut pairs = Vec::new();
    for a in left.columns.iter().filter(|column| column.class.decides()) {
        for b in right.columns.iter().filter(|column| column.class == a.class) {
            if version.is_empty() || b.name == "k" {
                pairs.push(format!("a.{} = b.{}", a.name, b.name));
            }
        }
    }
    if pairs.is_empty() {
        return None;
    }
    let mut on = dice.pick(&pairs).clone();
    if version.is_empty() && dice.chance(30) {
        on = format!("{on} AND {}", dice.pick(&pairs));
    }
    let columns = |relation: &Relation, side: &str| -> Vec<Column> {
        relation.columns.iter().map(|column| Column::new(format!("{side}.{}", column.name), column.class)).collect()
    };
    let shown = dice.some(&[columns(left, "a"), columns(right, "b")].concat());
    let list: Vec<_> = shown.iter().enumerate().map(|(number, c)| format!("{} AS c{number}", c.name)).collect();
    let (left, right, list) = (&left.name, &right.name, list.join(", "));
    let sql = format!("SELECT {list} FROM {left} AS a {kind} {right}{version} AS b ON {on}");
    Some(Select { sql, classes: shown.iter().map(|column| column.class).collect(), key: None })
}

fn project(dice: &mut Dice, relation: &Relation) -> Select {
    let mut list = Vec::new();
    let mut classes = Vec::new();
    for number in 0..2 + dice.below(4) {
        let (sql, class) = any(dice, &relation.columns);
        list.push(format!("{sql} AS c{number}"));
        classes.push(class);
    }
    let filter =
        if dice.chance(60) { format!(" WHERE {}", condition(dice, &relation.columns, 2)) } else { String::new() };
    Select { sql: format!("SELECT {} FROM {}{filter}", list.join(", "), relation.name), classes, key: None }
}

fn distinct(dice: &mut Dice, relation: &Relation) -> Select {
    let deciding: Vec<Column> = relation.columns.iter().filter(|column| column.class.decides()).cloned().collect();
    if deciding.is_empty() {
        return project(dice, relation);
    }
    let shown = dice.some(&deciding);
    let list: Vec<_> = shown.iter().enumerate().map(|(number, c)| format!("{} AS c{number}", c.name)).collect();
    let sql = format!("SELECT DISTINCT {} FROM {}", list.join(", "), relation.name);
    Select { sql, classes: shown.iter().map(|column| column.class).collect(), key: Some(shown.len()) }
}

/// What a group is named by: a column, or a bucket of a time.
fn group_key(dice: &mut Dice, column: &Column) -> (String, Class) {
    let name = &column.name;
    match (column.class, dice.below(5)) {
        (Class::Time, 0) => (format!("tumble({name}, INTERVAL '1 hour')"), Class::Time),
        (Class::Time, 1) => (format!("date_trunc('hour', {name})"), Class::Time),
        (Class::Time, 2) => (format!("tumble({name}, INTERVAL '1 day')"), Class::Time),
        (Class::Time, 3) => (format!("CAST({name} AS DATE)"), Class::Date),
        (class, _) => (name.clone(), class),
    }
}

fn aggregate(dice: &mut Dice, relation: &Relation) -> Select {
    let deciding: Vec<Column> = relation.columns.iter().filter(|column| column.class.decides()).cloned().collect();
    if deciding.is_empty() {
        return project(dice, relation);
    }
    let mut keys = dice.some(&deciding);
    keys.truncate(3);
    let keys: Vec<_> = keys.iter().map(|column| group_key(dice, column)).collect();
    let calls: Vec<_> = (0..1 + dice.below(4)).map(|_| call(dice, &relation.columns)).collect();
    let both = keys.iter().chain(&calls);
    let list: Vec<_> = both.clone().enumerate().map(|(number, (sql, _))| format!("{sql} AS c{number}")).collect();
    // A key that stands twice is one.
    let again = keys.first().filter(|_| keys.len() == calls.len());
    let by: Vec<_> = keys.iter().chain(again).map(|(sql, _)| sql.as_str()).collect();
    let filter =
        if dice.chance(30) { format!(" WHERE {}", condition(dice, &relation.columns, 1)) } else { String::new() };
    let (call, class) = dice.pick(&calls).clone();
    let having = match class {
        class if class.decides() && dice.chance(25) => format!(" HAVING {call} >= {}", literal(dice, class)),
        _ => String::new(),
    };
    let (list, by, name) = (list.join(", "), by.join(", "), &relation.name);
    let sql = format!("SELECT {list} FROM {name}{filter} GROUP BY {by}{having}");
    Select { sql, classes: both.map(|(_, class)| *class).collect(), key: Some(keys.len()) }
}

/// A random aggregate call and what it gives.
fn call(dice: &mut Dice, columns: &[Column]) -> (String, Class) {
    let Column { name, class } = dice.pick(columns).clone();
    let (sql, class) = match (dice.below(7), class) {
        (0, class) if class.decides() => (format!("count(DISTINCT {name})"), Class::Int),
        (1, _) => (format!("count({name})"), Class::Int),
        (2 | 3, Class::Int | Class::Dyadic | Class::Rounded) => (format!("sum({name})"), class),
        (2 | 3, Class::Decimal(scale)) => (format!("sum({name})"), Class::Decimal(scale)),
        (4, Class::Int | Class::Dyadic | Class::Rounded) => (format!("avg({name})"), Class::Rounded),
        (4, Class::Decimal(scale)) if scale <= 2 => (format!("avg({name})"), Class::Decimal(scale + 4)),
        (2..=4, _) => ("count(*)".into(), Class::Int),
        (5, class) if class != Class::Bool => (format!("min({name})"), class),
        (6, class) if class != Class::Bool => (format!("max({name})"), class),
        _ => ("count(*)".into(), Class::Int),
    };
    if dice.chance(20) {
        return (format!("{sql} FILTER (WHERE {})", condition(dice, columns, 1)), class);
    }
    (sql, class)
}

/// The first rows of each partition. All columns are in the order, so that it does not matter which of two equals wins.
fn top_n(dice: &mut Dice, relation: &Relation) -> Select {
    let deciding: Vec<Column> = relation.columns.iter().filter(|column| column.class.decides()).cloned().collect();
    if deciding.is_empty() {
        return project(dice, relation);
    }
    let partition = dice.pick(&deciding).name.clone();
    let first = dice.below(deciding.len());
    let order: Vec<_> = (0..deciding.len())
        .map(|number| {
            let direction = dice.pick(&["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]);
            format!("{}{direction}", deciding[(first + number) % deciding.len()].name)
        })
        .collect();
    let names = deciding.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let numbered = dice.chance(50);
    let limit = *dice.pick(&["= 1", "<= 2", "<= 3", "< 3"]);
    let list: Vec<_> = deciding.iter().enumerate().map(|(number, c)| format!("{} AS c{number}", c.name)).collect();
    let mut classes: Vec<_> = deciding.iter().map(|column| column.class).collect();
    let mut list = list.join(", ");
    if numbered {
        let _ = write!(list, ", CAST(place AS BIGINT) AS c{}", classes.len());
        classes.push(Class::Int);
    }
    let sql = format!(
        "SELECT {list} FROM (SELECT {names}, ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {}) AS place FROM {}) \
         WHERE place {limit}",
        order.join(", "),
        relation.name
    );
    Select { sql, classes, key: None }
}

/// Counts in overlapping buckets.
fn hop(dice: &mut Dice, relation: &Relation) -> Select {
    let Some(time) = relation.columns.iter().find(|column| column.class == Class::Time).cloned() else {
        return aggregate(dice, relation);
    };
    let columns: Vec<Column> = relation.columns.iter().filter(|column| column.name != time.name).cloned().collect();
    if columns.is_empty() {
        return aggregate(dice, relation);
    }
    let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let (call, class) = call(dice, &columns);
    let sql = format!(
        "SELECT bucket AS c0, {call} AS c1 FROM \
         (SELECT unnest(hop({}, INTERVAL '1 hour', INTERVAL '3 hours')) AS bucket, {names} FROM {}) GROUP BY bucket",
        time.name, relation.name
    );
    Select { sql, classes: vec![Class::Time, class], key: Some(1) }
}
