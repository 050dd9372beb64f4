//! A TOML document in which every value remembers where it was written, and how such documents are laid over another.
//!
//! serde would lose both the places and all problems but the first, so the job is read from this tree instead.

use super::problem::{Origin, Place, Problem};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value (for a table: its header) stands.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// A TOML value, as far as jobs use them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or time. Jobs have no use for it; it is kept for the message.
    Datetime(String),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table: keys to values, with each key's own place.
pub type Table = BTreeMap<String, Entry>;

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub key: Place,
    /// Its value.
    pub node: Node,
}

/// A string value.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The string.
    pub text: String,
    /// Where its first character stands, if the file shows the string as it is (no escapes): SQL inside it can then
    /// be pointed at exactly.
    pub first: Option<Place>,
}

impl Value {
    /// What the value is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a truth value",
            Self::Datetime(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads a document. What cannot be parsed is a problem each; the rest is still there.
#[must_use]
pub fn parse(path: &Path, source: &str) -> (Node, Vec<Problem>) {
    let lines = Lines { origin: Arc::new(Origin::File(path.to_path_buf())), source };
    let (table, errors) = DeTable::parse_recoverable(source);
    let problems = errors.iter().map(|error| lines.syntax_error(error)).collect();
    let place = lines.place(0);
    (Node { place, value: Value::Table(lines.table(table.into_inner())) }, problems)
}

/// Reads a single value, such as `50`, `"a"`, `[1, 2]`. `None` when it is not TOML.
#[must_use]
pub fn parse_value(origin: &Arc<Origin>, source: &str) -> Option<Node> {
    let lines = Lines { origin: Arc::clone(origin), source };
    DeValue::parse(source).ok().map(|value| lines.node(value))
}

/// Lays `over` upon `base`: tables key by key, everything else replaced, also a table whose `kind` becomes another:
/// its keys mean nothing to the new one.
pub fn merge(base: &mut Node, over: Node) {
    let place = over.place;
    match (&mut base.value, over.value) {
        (Value::Table(base), Value::Table(over)) if !changes_kind(base, &over) => {
            for (key, entry) in over {
                match base.get_mut(&key) {
                    Some(below) => merge(&mut below.node, entry.node),
                    None => drop(base.insert(key, entry)),
                }
            }
        }
        (_, value) => *base = Node { place, value },
    }
}

fn changes_kind(base: &Table, over: &Table) -> bool {
    let kind = |table: &Table| match &table.get("kind")?.node.value {
        Value::Text(text) => Some(text.text.clone()),
        _ => None,
    };
    kind(over).is_some_and(|over| kind(base).is_some_and(|base| base != over))
}

/// Turns byte offsets of a source into places.
struct Lines<'a> {
    origin: Arc<Origin>,
    source: &'a str,
}

impl Lines<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = &self.source[..offset.min(self.source.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
        Place { origin: Arc::clone(&self.origin), line: clamp(line), column: clamp(column) }
    }

    fn syntax_error(&self, error: &toml::de::Error) -> Problem {
        let place = self.place(error.span().map_or(0, |span| span.start));
        Problem::error(&place, "", format!("not TOML: {}", error.message().trim()))
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let place = self.place(key.span().start);
            let mut node = self.node(value);
            if matches!(node.value, Value::Table(_)) {
                node.place = place.clone();
            }
            (std::borrow::Cow::into_owned(key.into_inner()), Entry { key: place, node })
        };
        table.into_iter().map(entry).collect()
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let place = self.place(span.start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(self.text(text.into_owned(), span)),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::Float(f64::INFINITY), Value::Integer),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(truth) => Value::Boolean(truth),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { place, value }
    }

    fn text(&self, text: String, span: Range<usize>) -> Text {
        let shown = self.source.get(span.clone()).and_then(|raw| raw.find(text.as_str()));
        let first = shown.map(|offset| self.place(span.start + offset));
        Text { text, first }
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Node {
        let (node, problems) = parse(Path::new("job.toml"), source);
        assert!(problems.is_empty(), "{problems:?}");
        node
    }

    fn find<'a>(node: &'a Node, path: &str) -> &'a Node {
        path.split('.').fold(node, |node, key| match &node.value {
            Value::Table(table) => &table[key].node,
            other => panic!("{path}: {}", other.kind()),
        })
    }

    #[test]
    fn values_know_their_places() {
        let node = read("[job]\nname = \"é\" \nzone = 1\n[a.b]\nc = true\n");
        assert_eq!(find(&node, "job.zone").place.to_string(), "job.toml:3:8");
        assert_eq!(find(&node, "a.b").place.to_string(), "job.toml:4:4");
        assert_eq!(find(&node, "a.b.c").place.to_string(), "job.toml:5:5");
    }

    #[test]
    fn sql_in_a_string_can_be_pointed_at() {
        let node = read("a = \"SELECT 1\"\nb = \"\"\"\n  SELECT 2\"\"\"\nc = \"tab\\t\"\n");
        let first = |path: &str| match &find(&node, path).value {
            Value::Text(text) => text.first.as_ref().map(ToString::to_string),
            _ => None,
        };
        assert_eq!(first("a").as_deref(), Some("job.toml:1:6"));
        assert_eq!(first("b").as_deref(), Some("job.toml:3:1"));
        assert_eq!(first("c"), None);
    }

    #[test]
    fn every_syntax_error_is_told() {
        let (_, problems) = parse(Path::new("job.toml"), "a = \nb = 1\nc = = 2\n");
        let mut lines: Vec<u32> = problems.iter().map(|problem| problem.place.line).collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines, [1, 3], "{problems:?}");
    }

    #[test]
    fn tables_merge_and_values_replace() {
        let mut base = read("[a]\nx = 1\ny = 2\n[b]\nz = 3\n");
        let (over, _) = parse(Path::new("over.toml"), "b = 4\n[a]\ny = 5\nw = [6]\n");
        merge(&mut base, over);
        assert_eq!(find(&base, "a.x").value, Value::Integer(1));
        assert_eq!(find(&base, "a.y").value, Value::Integer(5));
        assert_eq!(find(&base, "a.y").place.to_string(), "over.toml:3:5");
        assert_eq!(find(&base, "b").value, Value::Integer(4));
        assert!(matches!(&find(&base, "a.w").value, Value::List(items) if items.len() == 1));
    }
}
