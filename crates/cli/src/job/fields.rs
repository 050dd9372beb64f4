//! Takes typed values out of a table, key by key; what is left over in the end nobody knows, and is a problem.

use super::nearest::nearest;
use super::problem::{Origin, Place, Problem};
use super::tree::{Node, Table, Text, Value};
use super::units;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A value that was read, and where from.
#[derive(Clone, Debug, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
    /// The path of its key.
    pub key: String,
}

impl<T> Located<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), place: self.place, key: self.key }
    }

    /// A problem with this value.
    pub fn error(&self, message: impl Into<String>) -> Problem {
        Problem::error(&self.place, &self.key, message)
    }
}

/// A table that is being read.
pub struct Fields<'p> {
    /// The table's own path; empty for the root.
    pub path: String,
    /// Where its header stands.
    pub place: Place,
    table: Table,
    known: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Fields<'p> {
    /// Begins to read a table. Anything else is a problem, and reads as an empty table.
    pub fn new(path: impl Into<String>, node: Node, problems: &'p mut Vec<Problem>) -> Self {
        let path = path.into();
        let table = match node.value {
            Value::Table(table) => table,
            other => {
                problems.push(wrong_kind(&node.place, &path, "a table", &other));
                Table::new()
            }
        };
        Self { path, place: node.place, table, known: Vec::new(), problems }
    }

    /// The path of one of the table's keys.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Adds a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds the problem that a key is missing.
    pub fn missing(&mut self, name: &str, advice: &str) {
        let problem = Problem::error(&self.place, self.key(name), "this key is missing").advise(advice);
        self.problems.push(problem);
    }

    /// Whether a key is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether a key is there and holds a table.
    #[must_use]
    pub fn holds_table(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|entry| matches!(entry.node.value, Value::Table(_)))
    }

    /// Whether the value of a key is a whole number.
    #[must_use]
    pub fn holds_integer(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|entry| matches!(entry.node.value, Value::Integer(_)))
    }

    /// Where this table stands and every value in it, by the paths of their keys.
    #[must_use]
    pub fn places(&self) -> BTreeMap<String, Place> {
        let mut places = BTreeMap::from([(self.path.clone(), self.place.clone())]);
        add_places(&self.path, &self.table, &mut places);
        places
    }

    fn take(&mut self, name: &'static str) -> Option<Node> {
        self.known.push(name);
        self.table.remove(name).map(|entry| entry.node)
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<Located<T>> {
        let node = self.take(name)?;
        let key = self.key(name);
        match read(&node.value) {
            Some(value) => Some(Located { value, place: node.place, key }),
            None => {
                self.problems.push(wrong_kind(&node.place, &key, wanted, &node.value));
                None
            }
        }
    }

    /// A string. An override is a string however it looks: `--set sources.orders.path=2024` names a folder.
    pub fn text(&mut self, name: &'static str) -> Option<Located<Text>> {
        let origin = self.table.get(name).map(|entry| Arc::clone(&entry.node.place.origin));
        self.typed(name, "a string", |value| match (value, origin.as_deref()) {
            (Value::Text(text), _) => Some(text.clone()),
            (Value::List(_) | Value::Table(_), _) => None,
            (_, Some(Origin::Set(text))) => {
                text.split_once('=').map(|(_, value)| Text { text: value.to_owned(), first: None })
            }
            _ => None,
        })
    }

    /// A string that must be there.
    pub fn required_text(&mut self, name: &'static str, advice: &str) -> Option<Located<Text>> {
        if !self.table.contains_key(name) {
            self.known.push(name);
            self.missing(name, advice);
            return None;
        }
        self.text(name)
    }

    /// A string, a number or a truth value, as text.
    pub fn scalar(&mut self, name: &'static str) -> Option<Located<String>> {
        self.typed(name, "a string, a number or true or false", |value| match value {
            Value::Text(text) => Some(text.text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(truth) => Some(truth.to_string()),
            _ => None,
        })
    }

    /// A list of strings, or one string, that must be there.
    pub fn required_texts(&mut self, name: &'static str, advice: &str) -> Option<Located<Vec<Text>>> {
        if !self.table.contains_key(name) {
            self.known.push(name);
            self.missing(name, advice);
            return None;
        }
        self.texts(name)
    }

    /// A string, or a list of strings.
    pub fn texts(&mut self, name: &'static str) -> Option<Located<Vec<Text>>> {
        self.typed(name, "a string or a list of some", |value| match value {
            Value::Text(text) => Some(vec![text.clone()]),
            Value::List(nodes) if !nodes.is_empty() => {
                let text = |node: &Node| match &node.value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                };
                nodes.iter().map(text).collect()
            }
            _ => None,
        })
    }

    /// A table of any keys whose values are strings, whole numbers, true or false: what is handed on to a library.
    pub fn any_texts(&mut self, name: &'static str) -> Vec<(String, Located<String>)> {
        let mut section = self.section(name);
        let table = std::mem::take(&mut section.table);
        let mut texts = Vec::new();
        for (name, entry) in table {
            let key = section.key(&name);
            let value = match &entry.node.value {
                Value::Text(text) => text.text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
                other => {
                    let problem = wrong_kind(&entry.node.place, &key, "a string, a whole number, true or false", other);
                    section.problem(problem);
                    continue;
                }
            };
            texts.push((name, Located { value, place: entry.node.place, key }));
        }
        texts
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str) -> Option<Located<bool>> {
        self.typed(name, "true or false", |value| match value {
            Value::Boolean(truth) => Some(*truth),
            _ => None,
        })
    }

    /// A whole number of at least `least`.
    pub fn number(&mut self, name: &'static str, least: u64) -> Option<Located<u64>> {
        self.typed(name, &format!("a whole number of at least {least}"), |value| match value {
            Value::Integer(number) => u64::try_from(*number).ok().filter(|number| *number >= least),
            _ => None,
        })
    }

    /// A number.
    pub fn float(&mut self, name: &'static str) -> Option<Located<f64>> {
        self.typed(name, "a number", as_float)
    }

    /// A list of numbers that must be there.
    pub fn required_floats(&mut self, name: &'static str, advice: &str) -> Option<Located<Vec<f64>>> {
        if !self.table.contains_key(name) {
            self.known.push(name);
            self.missing(name, advice);
            return None;
        }
        self.typed(name, "a list of numbers", |value| match value {
            Value::List(nodes) if !nodes.is_empty() => nodes.iter().map(|node| as_float(&node.value)).collect(),
            _ => None,
        })
    }

    /// A table of any keys whose values are numbers. `None` where there is no such key.
    pub fn any_floats(&mut self, name: &'static str) -> Option<Vec<(String, f64)>> {
        if !self.has(name) {
            self.known.push(name);
            return None;
        }
        let mut section = self.section(name);
        let table = std::mem::take(&mut section.table);
        let mut floats = Vec::new();
        for (name, entry) in table {
            match as_float(&entry.node.value) {
                Some(float) => floats.push((name, float)),
                None => {
                    let key = section.key(&name);
                    section.problem(wrong_kind(&entry.node.place, &key, "a number", &entry.node.value));
                }
            }
        }
        Some(floats)
    }

    /// A duration such as "50ms".
    pub fn duration(&mut self, name: &'static str) -> Option<Located<Duration>> {
        self.typed(name, "a duration such as \"50ms\", \"1s\" or \"7 days\"", |value| match value {
            Value::Text(text) => units::duration(&text.text),
            _ => None,
        })
    }

    /// A size such as "1 MiB", or a number of bytes.
    pub fn size(&mut self, name: &'static str) -> Option<Located<u64>> {
        self.typed(name, "a size such as \"64 KiB\" or \"1 MiB\"", |value| match value {
            Value::Text(text) => units::size(&text.text),
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            _ => None,
        })
    }

    /// One of a list of words. Another word is a problem that names the nearest.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&'static str, T)]) -> Option<Located<T>> {
        let located = self.text(name)?;
        let text = &located.value.text;
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            let value = *value;
            return Some(located.map(|_| value));
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let problem = located.error(format!("unknown {name} \"{text}\"")).advise(advise_word(text, &names));
        self.problems.push(problem);
        None
    }

    /// One of a list of words that must be there.
    pub fn required_word<T: Copy>(&mut self, name: &'static str, words: &[(&'static str, T)]) -> Option<Located<T>> {
        if !self.table.contains_key(name) {
            self.known.push(name);
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.missing(name, &format!("write {name} = {}", list(&names)));
            return None;
        }
        self.word(name, words)
    }

    /// A table within this one. One that is not there reads as an empty table.
    pub fn section(&mut self, name: &'static str) -> Fields<'_> {
        let path = self.key(name);
        let node = self.take(name);
        let node = node.unwrap_or_else(|| Node { place: self.place.clone(), value: Value::Table(Table::new()) });
        Fields::new(path, node, self.problems)
    }

    /// The tables within the table `name`, such as all `[sources.*]`, by name.
    pub fn sections<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&str, &mut Fields<'_>) -> T,
    ) -> Vec<(String, T)> {
        let outer = self.section(name);
        let (path, problems) = (outer.path, outer.problems);
        let read_one = |(name, entry): (String, super::tree::Entry)| {
            let path = format!("{path}.{name}");
            check_name(&entry.key, &path, &name, problems);
            let mut fields = Fields::new(path, entry.node, problems);
            let value = read(&name, &mut fields);
            fields.finish();
            (name, value)
        };
        outer.table.into_iter().map(read_one).collect()
    }

    /// Forgets the keys that were not asked for, where a graver problem makes them meaningless.
    pub fn ignore_rest(&mut self) {
        self.table.clear();
    }

    /// Ends the reading: each key that was not asked for is a problem.
    pub fn finish(self) {
        for (name, entry) in &self.table {
            let problem = Problem::error(&entry.key, self.key(name), "unknown key");
            self.problems.push(problem.advise(advise_word(name, &self.known)));
        }
    }
}

fn add_places(path: &str, table: &Table, places: &mut BTreeMap<String, Place>) {
    for (name, entry) in table {
        let path = format!("{path}.{name}");
        if let Value::Table(table) = &entry.node.value {
            add_places(&path, table, places);
        }
        places.insert(path, entry.node.place.clone());
    }
}

fn check_name(place: &Place, path: &str, name: &str, problems: &mut Vec<Problem>) {
    if !is_name(name) {
        let problem = Problem::error(place, path, format!("\"{name}\" is no name"));
        problems.push(problem.advise("use letters, digits, _ and -, at most 64 of them"));
    }
}

/// Whether a text can name a part of a job: names become folders, parts of addresses, and labels.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn wrong_kind(place: &Place, key: &str, wanted: &str, found: &Value) -> Problem {
    let found = match found {
        Value::Text(text) => format!("\"{}\"", text.text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(time) => time.clone(),
        other => other.kind().to_owned(),
    };
    Problem::error(place, key, format!("{found} is not {wanted}"))
}

/// "did you mean …" when a word is near, else all of them.
#[must_use]
pub fn advise_word(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if known.is_empty() => "there is none here".to_owned(),
        None => format!("known here: {}", list(known)),
    }
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
