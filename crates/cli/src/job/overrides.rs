//! `--set KEY=VALUE`: one value of the job, given on the command line.

use super::fields::advise_word;
use super::problem::{Origin, Place, Problem};
use super::tree::{self, Entry, Node, Table, Text, Value};
use std::sync::Arc;

/// The parts of a job whose tables are named by its writer. An override changes what is there; it does not add to it,
/// for a misspelt name would otherwise make a second, half-empty part.
const NAMED: &[&str] = &["sources", "sinks", "relations", "objects", "paths", "models", "recommendations"];

/// Lays `KEY=VALUE` over the job.
///
/// The value is read as TOML (`5`, `true`, `"a b"`), and as a plain string where it is none (`50ms`, `/data/in`).
///
/// # Errors
/// When the text is no `KEY=VALUE`, or names a source, sink, relation, object, path, model or recommendation that the job does not have.
pub fn apply(job: &mut Node, text: &str) -> Result<(), Problem> {
    let origin = Arc::new(Origin::Set(text.to_owned()));
    let place = Place { origin: Arc::clone(&origin), line: 0, column: 0 };
    let malformed = || Problem::error(&place, "", "not a KEY=VALUE").advise("write for example epoch.lag=8");
    let (key, value) = text.split_once('=').ok_or_else(malformed)?;
    let keys = split_key(key.trim()).ok_or_else(malformed)?;
    check_named(job, &keys, &place)?;
    let node = match tree::parse_value(&origin, value.trim()) {
        Some(node) => Node { place: place.clone(), value: node.value },
        None => Node { place: place.clone(), value: Value::Text(Text { text: value.to_owned(), first: None }) },
    };
    tree::merge(job, nest(&keys, node, &place));
    Ok(())
}

/// `a."b.c".d` as its parts.
fn split_key(key: &str) -> Option<Vec<String>> {
    let (node, problems) = tree::parse("".as_ref(), &format!("{key} = 0"));
    let mut keys = Vec::new();
    let mut at = &node.value;
    while let Value::Table(table) = at {
        let (key, entry) = table.iter().next()?;
        keys.push(key.clone());
        at = &entry.node.value;
    }
    problems.is_empty().then_some(keys)
}

fn nest(keys: &[String], leaf: Node, place: &Place) -> Node {
    keys.iter().rev().fold(leaf, |node, key| {
        let entry = Entry { key: place.clone(), node };
        Node { place: place.clone(), value: Value::Table(Table::from([(key.clone(), entry)])) }
    })
}

fn check_named(job: &Node, keys: &[String], place: &Place) -> Result<(), Problem> {
    let [part, name, ..] = keys else { return Ok(()) };
    if !NAMED.contains(&part.as_str()) {
        return Ok(());
    }
    let Value::Table(root) = &job.value else { return Ok(()) };
    let names: Vec<&str> = match root.get(part).map(|entry| &entry.node.value) {
        Some(Value::Table(table)) => table.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    if names.contains(&name.as_str()) {
        return Ok(());
    }
    let problem = Problem::error(place, keys.join("."), format!("the job has no {part}.{name}"));
    Err(problem.advise(advise_word(name, &names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Node {
        tree::parse("job.toml".as_ref(), "[epoch]\nlag = 4\n[sources.orders]\npath = \"orders\"\n").0
    }

    fn set(text: &str) -> Value {
        let mut job = job();
        apply(&mut job, text).expect("the override fits");
        let keys = split_key(text.split_once('=').expect("a pair").0).expect("a key");
        let found = keys.iter().fold(&job, |node, key| match &node.value {
            Value::Table(table) => &table[key].node,
            other => panic!("{}", other.kind()),
        });
        found.value.clone()
    }

    #[test]
    fn a_value_is_toml_or_else_a_string() {
        let text = |text: &str| Text { text: text.to_owned(), first: None };
        assert_eq!(set("epoch.lag=8"), Value::Integer(8));
        assert_eq!(set("sources.orders.follow=true"), Value::Boolean(true));
        assert_eq!(set("epoch.interval=50ms"), Value::Text(text("50ms")));
        assert_eq!(set("sources.orders.path=/data/a=b/*.csv"), Value::Text(text("/data/a=b/*.csv")));
        assert!(matches!(set("job.\"zo.ne\"=\"a b\""), Value::Text(Text { text, .. }) if text == "a b"));
    }

    #[test]
    fn a_source_that_is_not_there_is_told() {
        let problem = apply(&mut job(), "sources.order.path=x").expect_err("there is no such source");
        assert_eq!(
            problem.to_string(),
            "--set sources.order.path=x: sources.order.path: the job has no sources.order; did you mean \"orders\"?"
        );
    }

    #[test]
    fn what_is_no_pair_is_told() {
        for bad in ["epoch.lag", "=3", "a..b=3", "a b=3"] {
            let problem = apply(&mut job(), bad).expect_err(bad);
            assert!(problem.to_string().contains("not a KEY=VALUE"), "{problem}");
        }
    }
}
