//! The `highlight` of a request: the words that its query looks for, marked in the texts of the hits.
//!
//! A text is shown whole, as Elasticsearch does with `number_of_fragments: 0`, and with texts of one short sentence anyway.

use super::SearchError;
use super::answer::Json;
use super::params::Params;
use super::query;
use crate::index::mapping::{Leaf, Mapping};
use crate::index::words;
use proxima_event::Members;
use serde_json::Value;
use std::collections::HashSet;

/// What is marked in which fields.
pub(crate) struct Highlight {
    fields: Vec<Field>,
    before: String,
    after: String,
}

struct Field {
    /// As the request calls it.
    name: String,
    path: String,
    words: HashSet<String>,
}

impl Highlight {
    /// Reads a request's `highlight`, for its `query`.
    pub(crate) fn parse(mapping: &Mapping, value: &Value, query: Option<&Value>) -> Result<Self, SearchError> {
        let mut params = Params::of("highlight", value)?;
        let before = tag(params.take("pre_tags"), "<em>")?;
        let after = tag(params.take("post_tags"), "</em>")?;
        hints(&mut params)?;
        let named = params.need("fields")?;
        params.finish()?;
        let Value::Object(named) = named else {
            return Err(SearchError::parsing("[fields] of [highlight] must be an object"));
        };
        let mut fields = Vec::new();
        for (name, settings) in named {
            let mut settings = Params::of(name.as_str(), settings)?;
            hints(&mut settings)?;
            settings.finish()?;
            let leaf = query::field(mapping, name)?;
            let mut words = HashSet::new();
            if let Some(query) = query {
                gather(mapping, query, leaf, &mut words);
            }
            fields.push(Field { name: name.clone(), path: leaf.path.clone(), words });
        }
        Ok(Self { fields, before, after })
    }

    /// What to show of a document; `None` where nothing is marked.
    pub(crate) fn of(&self, source: &str) -> Option<Json> {
        let source: Value = serde_json::from_str(source).ok()?;
        let mut members = Vec::new();
        for field in &self.fields {
            let mut texts = Vec::new();
            collect(&source, &field.path, &mut texts);
            let marked = texts.iter().filter_map(|text| words::mark(text, &field.words, &self.before, &self.after));
            let marked: Vec<Json> = marked.map(Json::from).collect();
            if !marked.is_empty() {
                members.push((field.name.clone(), Json::List(marked)));
            }
        }
        (!members.is_empty()).then_some(Json::Object(Members(members)))
    }
}

/// How long and how many the parts of a text may be: they are whole texts here.
fn hints(params: &mut Params<'_>) -> Result<(), SearchError> {
    params.count("number_of_fragments")?;
    params.count("fragment_size")?;
    Ok(())
}

fn tag(value: Option<&Value>, default: &str) -> Result<String, SearchError> {
    let tag = match value {
        None => return Ok(default.to_owned()),
        Some(Value::Array(tags)) => tags.first(),
        value => value,
    };
    let wrong = || SearchError::parsing("[pre_tags] and [post_tags] of [highlight] are lists of one string");
    tag.and_then(Value::as_str).map(str::to_owned).ok_or_else(wrong)
}

/// The words that a query looks for in a field, but for those that must not be there.
fn gather(mapping: &Mapping, query: &Value, leaf: &Leaf, found: &mut HashSet<String>) {
    let Value::Object(query) = query else { return };
    for (kind, body) in query {
        match (kind.as_str(), body) {
            ("match", Value::Object(fields)) => {
                for (name, value) in fields {
                    let text = value.get("query").unwrap_or(value).as_str();
                    let is_field = mapping.leaf(name).is_some_and(|asked| asked.path == leaf.path);
                    if let (Some(text), true) = (text, is_field) {
                        found.extend(words::words_of(text));
                    }
                }
            }
            ("bool", Value::Object(parts)) => {
                let wanted = parts.iter().filter(|(part, _)| *part != "must_not");
                for (_, queries) in wanted {
                    match queries {
                        Value::Array(queries) => queries.iter().for_each(|one| gather(mapping, one, leaf, found)),
                        one => gather(mapping, one, leaf, found),
                    }
                }
            }
            _ => {}
        }
    }
}

/// The texts at a path, through objects and lists.
fn collect<'a>(value: &'a Value, path: &str, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if path.is_empty() => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, texts)),
        Value::Object(members) => {
            for (name, value) in members {
                let rest = path.strip_prefix(name.as_str());
                let rest = rest.and_then(|rest| if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') });
                if let Some(rest) = rest {
                    collect(value, rest, texts);
                }
            }
        }
        _ => {}
    }
}
