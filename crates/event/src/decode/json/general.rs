//! The general way: walks one record with `serde_json`, straight into the columns, without building its tree.
//!
//! Wanted values are taken as their own text, so that decimals keep every digit; unwanted ones are passed over.

use super::super::columns::{Columns, Form, NodeId, Shown, Text, Values};
use super::super::values::Flaw;
use super::skip::Input;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;

/// Appends the record that `line` holds. `chunk` is what it is a part of: long strings are left there.
///
/// # Errors
/// Why it is no such record. What was appended of it must be undone then.
pub(in crate::decode) fn push_record(columns: &mut Columns, line: &str, chunk: &[u8]) -> Result<(), String> {
    walk(columns, None, line, chunk)?;
    columns.end_row()
}

/// Appends one value of a record, given as its JSON text, which is a part of the chunk.
pub(in crate::decode) fn push_value(
    columns: &mut Columns,
    node: NodeId,
    json: &str,
    chunk: &[u8],
) -> Result<(), String> {
    if columns.nodes[node].data_type.is_nested() {
        return walk(columns, Some(node), json, chunk);
    }
    Walk { columns, chunk: address(chunk), flaw: None }.push_flat(node, json)
}

/// Appends a value from JSON text that stands alone, such as a nested column in CSV.
pub(in crate::decode) fn push_json(columns: &mut Columns, node: NodeId, text: &str) -> Result<(), String> {
    walk(columns, Some(node), text, &[])
}

/// Why a record that begins at `start` and ends where the input does is not valid JSON, or too deep to be passed over.
pub(in crate::decode) fn invalid(input: Input<'_>, start: usize) -> String {
    let line = input.text(start, input.end).unwrap_or_default();
    match serde_json::from_str::<IgnoredAny>(line) {
        Ok(_) => "not a record of changes: nested too deeply, or not an object".to_owned(),
        Err(error) => syntax(&error),
    }
}

fn walk(columns: &mut Columns, node: Option<NodeId>, text: &str, chunk: &[u8]) -> Result<(), String> {
    let mut walk = Walk { columns, chunk: address(chunk), flaw: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Value { walk: &mut walk, node }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| walk.flaw.unwrap_or_else(|| syntax(&error)))
}

/// Appends a nested value that stood in quotes: JSON, or the words of a SET for a list.
fn push_quoted(columns: &mut Columns, node: NodeId, text: &str) -> Result<(), String> {
    match columns.nodes[node].element() {
        Some(element) if matches!(columns.nodes[element].values, Values::Strings(_)) && !text.starts_with('[') => {
            for word in text.split(',').filter(|word| !word.is_empty()) {
                columns.push_text(element, Text::Elsewhere(word), Shown::Quoted(word))?;
            }
            columns.end_list(node);
            Ok(())
        }
        _ => push_json(columns, node, text),
    }
}

/// The addresses of some bytes: tells whether a text is a part of them, and where.
fn address(bytes: &[u8]) -> Range<usize> {
    let start = bytes.as_ptr().addr();
    start..start + bytes.len()
}

/// A syntax error with its place in the record, which is always one line.
fn syntax(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    format!("not valid JSON: {what} at byte {}", error.column())
}

/// The walk through one record.
struct Walk<'w> {
    columns: &'w mut Columns,
    chunk: Range<usize>,
    /// Why the record is refused, where that is not its syntax: what ends the walk, since `serde` only carries errors.
    flaw: Option<String>,
}

impl Walk<'_> {
    fn check<E: Error>(&mut self, done: Result<(), String>) -> Result<(), E> {
        done.map_err(|flaw| {
            self.flaw = Some(flaw);
            E::custom("refused")
        })
    }

    /// A value of the wrong kind for a nested column, or for the record as a whole.
    fn refuse<E: Error>(&mut self, node: Option<NodeId>, shown: &str) -> Result<(), E> {
        let flaw = match node {
            Some(node) => self.columns.nodes[node].flaw(Flaw::Kind, Shown::Bare(shown)),
            None => format!("expected an object, found {shown}"),
        };
        self.check(Err(flaw))
    }

    /// Appends a flat value, given as its JSON text.
    fn push_flat(&mut self, node: NodeId, json: &str) -> Result<(), String> {
        let target = &self.columns.nodes[node];
        let wants_text = matches!(target.values, Values::Strings(_));
        if target.form != Form::Plain
            && json != "null"
            && let Some(done) = self.columns.push_formed(node, json)
        {
            return done;
        }
        match json.as_bytes()[0] {
            b'n' => self.columns.push_null(node),
            b'"' => self.push_string(node, json),
            b'{' | b'[' if !wants_text => Err(self.columns.nodes[node].flaw(Flaw::Kind, Shown::Bare(json))),
            _ => self.columns.push_text(node, self.place(json), Shown::Bare(json)),
        }
    }

    fn push_string(&mut self, node: NodeId, json: &str) -> Result<(), String> {
        let inner = &json[1..json.len() - 1];
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return self.columns.push_text(node, self.place(inner), Shown::Quoted(inner));
        }
        match serde_json::from_str::<String>(json) {
            Ok(text) => self.columns.push_text(node, Text::Elsewhere(&text), Shown::Quoted(&text)),
            Err(_) => {
                Err(format!("column \"{}\": {json} has an escape of no character", self.columns.nodes[node].path))
            }
        }
    }

    fn place<'t>(&self, text: &'t str) -> Text<'t> {
        let start = text.as_ptr().addr();
        if self.chunk.contains(&start) { Text::InChunk(start - self.chunk.start, text) } else { Text::Elsewhere(text) }
    }

    /// The fields of a struct, or the columns where there is no node.
    fn fields(&self, node: Option<NodeId>) -> &[NodeId] {
        node.map_or(&self.columns.roots, |node| self.columns.nodes[node].fields())
    }
}

/// One value on its way into the columns. Without a node it is the record itself.
struct Value<'v, 'w> {
    walk: &'v mut Walk<'w>,
    node: Option<NodeId>,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.node {
            Some(node) if !self.walk.columns.nodes[node].data_type.is_nested() => {
                let text = <&RawValue>::deserialize(json)?;
                let done = self.walk.push_flat(node, text.get());
                self.walk.check(done)
            }
            _ => json.deserialize_any(self),
        }
    }
}

/// Records, structs, lists and maps.
impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a nested value")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        match self.node.map(|node| (node, &self.walk.columns.nodes[node].values)) {
            None => self.visit_fields(entries),
            Some((node, Values::Struct(..))) => {
                self.walk.columns.push_struct(node);
                Value { walk: self.walk, node: Some(node) }.visit_fields(entries)?;
                let done = self.walk.columns.end_struct(node);
                self.walk.check(done)
            }
            Some((node, &Values::Map(_, entry))) => self.visit_entries(entries, node, entry),
            Some(_) => self.walk.refuse(self.node, "{…}"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Some((node, &Values::List(_, element))) =
            self.node.map(|node| (node, &self.walk.columns.nodes[node].values))
        else {
            return self.walk.refuse(self.node, "[…]");
        };
        while elements.next_element_seed(Value { walk: self.walk, node: Some(element) })?.is_some() {}
        self.walk.columns.end_list(node);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        let Some(node) = self.node else { return self.walk.refuse(None, "null") };
        let done = self.walk.columns.push_null(node);
        self.walk.check(done)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.walk.refuse(self.node, if value { "true" } else { "false" })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.walk.refuse(self.node, &value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.walk.refuse(self.node, &value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.walk.refuse(self.node, &value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if let Some(node) = self.node
            && self.walk.columns.nodes[node].form == Form::Json
        {
            let done = push_quoted(self.walk.columns, node, value);
            return self.walk.check(done);
        }
        self.walk.refuse(self.node, &format!("{value:?}"))
    }
}

impl Value<'_, '_> {
    /// The keys of a record or struct, each to the field of its name.
    fn visit_fields<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let before = match self.node {
            Some(node) => self.walk.columns.nodes[node].len() - 1,
            None => self.walk.columns.rows(),
        };
        let mut likely = 0;
        while let Some(field) = entries.next_key_seed(Key { walk: self.walk, node: self.node, likely })? {
            let Some(field) = field else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            likely = field + 1;
            let node = self.walk.fields(self.node)[field];
            if self.walk.columns.nodes[node].len() > before {
                self.walk.columns.truncate(node, before);
            }
            entries.next_value_seed(Value { walk: self.walk, node: Some(node) })?;
        }
        Ok(())
    }

    fn visit_entries<'de, A: MapAccess<'de>>(
        self,
        mut entries: A,
        node: NodeId,
        entry: NodeId,
    ) -> Result<(), A::Error> {
        let &[key, value] = self.walk.columns.nodes[entry].fields() else { unreachable!("an entry is key and value") };
        while let Some(name) = entries.next_key::<std::borrow::Cow<'_, str>>()? {
            self.walk.columns.push_struct(entry);
            let done = self.walk.columns.push_text(key, self.walk.place(&name), Shown::Quoted(&name));
            self.walk.check(done)?;
            entries.next_value_seed(Value { walk: self.walk, node: Some(value) })?;
        }
        self.walk.columns.end_list(node);
        Ok(())
    }
}

/// A key: which of the wanted fields it names. `likely` is the one to be tried first, since keys come in some order.
struct Key<'k, 'w> {
    walk: &'k Walk<'w>,
    node: Option<NodeId>,
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        let nodes = &self.walk.columns.nodes;
        let fields = self.walk.fields(self.node);
        if fields.get(self.likely).is_some_and(|&field| nodes[field].name == name) {
            return Ok(Some(self.likely));
        }
        Ok(fields.iter().position(|&field| nodes[field].name == name))
    }
}
