//! The `query` of a request as a tantivy query.
//!
//! Scores: words found by `match` and whole strings found by `term` are scored by BM25; everything else that matches
//! scores 1, and filters score nothing. A `range` or `term` on a date or timestamp takes ISO text, whose missing parts
//! stand for the whole stretch (`"2010-12-01"` is that day), or milliseconds since 1970.

use super::SearchError;
use super::params::{Params, shorten, single};
use super::range;
use super::value::{self, Operand};
use crate::index::mapping::{Leaf, Mapping};
use crate::index::words;
use serde_json::Value;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, ExistsQuery, Occur, Query, TermQuery, TermSetQuery,
};
use tantivy::schema::IndexRecordOption;

/// A query, or why there is none.
pub(crate) type Built = Result<Box<dyn Query>, SearchError>;

/// The most values that `terms` and `ids` take, as in Elasticsearch.
const TERMS_MAX: usize = 65_536;

/// Builds the query that a request describes.
pub(crate) fn build(mapping: &Mapping, query: &Value) -> Built {
    let (kind, body) = single("query", query)?;
    match kind {
        "match_all" => Params::of(kind, body)?.finish().map(|()| boxed(AllQuery)),
        "match_none" => Params::of(kind, body)?.finish().map(|()| boxed(EmptyQuery)),
        "term" => term(mapping, body),
        "terms" => terms(mapping, body),
        "range" => range::range(mapping, body),
        "prefix" => range::prefix(mapping, body),
        "match" => words_match(mapping, body),
        "exists" => exists(mapping, body),
        "ids" => ids(mapping, body),
        "bool" => boolean(mapping, body),
        other => Err(SearchError::parsing(format!(
            "unknown or unsupported query [{other}]; known: match_all, match_none, term, terms, range, prefix, match, \
             exists, ids, bool"
        ))),
    }
}

fn boxed(query: impl Query) -> Box<dyn Query> {
    Box::new(query)
}

/// The field of this name, or an error that names those there are.
pub(crate) fn field<'a>(mapping: &'a Mapping, name: &str) -> Result<&'a Leaf, SearchError> {
    mapping.leaf(name).ok_or_else(|| {
        let known: Vec<_> = mapping.leaves.iter().map(|leaf| leaf.path.as_str()).collect();
        let (index, known) = (&mapping.layout.name, known.join(", "));
        SearchError::argument(format!("no searchable field [{name}] in index [{index}]; it has: {known}"))
    })
}

/// The value of `{"field": value}` or `{"field": {"name": value}}`.
pub(crate) fn operand<'a>(
    what: &str,
    name: &'static str,
    body: &'a Value,
) -> Result<(&'a str, &'a Value), SearchError> {
    let (field, value) = single(what, body)?;
    if !value.is_object() {
        return Ok((field, value));
    }
    let mut params = Params::of(what, value)?;
    let value = params.need(name)?;
    params.finish()?;
    Ok((field, value))
}

fn term(mapping: &Mapping, body: &Value) -> Built {
    let (name, value) = operand("term", "value", body)?;
    if name == "_id" {
        return id_set(mapping, std::slice::from_ref(value));
    }
    equal(field(mapping, name)?, value)
}

/// Documents with this very value. Strings are scored, since a rare one says more.
fn equal(leaf: &Leaf, value: &Value) -> Built {
    match Operand::of(leaf, value)? {
        Operand::Text(text) => {
            let term = Term::from_field_text(leaf.field, &text);
            Ok(Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
        }
        Operand::Flag(flag) => Ok(constant(Term::from_field_bool(leaf.field, flag))),
        Operand::Float(number) => Ok(constant(Term::from_field_f64(leaf.field, number))),
        Operand::Units(first, last) => Ok(range::between(leaf, first.ceil(), last.floor)),
    }
}

/// Documents with this term, all with the same score.
pub(crate) fn constant(term: Term) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(Box::new(TermQuery::new(term, IndexRecordOption::Basic)), 1.0))
}

fn terms(mapping: &Mapping, body: &Value) -> Built {
    let (name, values) = single("terms", body)?;
    let Value::Array(values) = values else {
        return Err(SearchError::parsing(format!("[terms] takes a list of values for [{name}]")));
    };
    limit("terms", values)?;
    if name == "_id" {
        return id_set(mapping, values);
    }
    either(field(mapping, name)?, values)
}

/// Documents with any of these values.
fn either(leaf: &Leaf, values: &[Value]) -> Built {
    let mut terms = Vec::new();
    let mut stretches = Vec::new();
    for value in values {
        match Operand::of(leaf, value)? {
            Operand::Text(text) => terms.push(Term::from_field_text(leaf.field, &text)),
            Operand::Flag(flag) => terms.push(Term::from_field_bool(leaf.field, flag)),
            Operand::Float(number) => terms.push(Term::from_field_f64(leaf.field, number)),
            Operand::Units(first, last) => match range::unit_term(leaf, first, last) {
                Some(term) => terms.push(term),
                None => stretches.push((Occur::Should, range::between(leaf, first.ceil(), last.floor))),
            },
        }
    }
    let terms = boxed(ConstScoreQuery::new(boxed(TermSetQuery::new(terms)), 1.0));
    if stretches.is_empty() {
        return Ok(terms);
    }
    stretches.push((Occur::Should, terms));
    Ok(boxed(ConstScoreQuery::new(boxed(BooleanQuery::new(stretches)), 1.0)))
}

fn limit(what: &str, values: &[Value]) -> Result<(), SearchError> {
    if values.len() > TERMS_MAX {
        return Err(SearchError::argument(format!("[{what}] takes at most {TERMS_MAX} values, not {}", values.len())));
    }
    Ok(())
}

fn ids(mapping: &Mapping, body: &Value) -> Built {
    let mut params = Params::of("ids", body)?;
    let values = params.need("values")?;
    params.finish()?;
    let values = values.as_array().ok_or_else(|| SearchError::parsing("[values] of [ids] must be a list"))?;
    limit("ids", values)?;
    id_set(mapping, values)
}

fn id_set(mapping: &Mapping, values: &[Value]) -> Built {
    let term = |value: &Value| match value {
        Value::String(text) => Ok(Term::from_field_text(mapping.id, text)),
        Value::Number(number) => Ok(Term::from_field_text(mapping.id, &number.to_string())),
        other => Err(SearchError::parsing(format!("{} is no document id", shorten(other)))),
    };
    let terms = values.iter().map(term).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(ConstScoreQuery::new(Box::new(TermSetQuery::new(terms)), 1.0)))
}

fn words_match(mapping: &Mapping, body: &Value) -> Built {
    let (name, value) = single("match", body)?;
    let (value, every) = match value {
        Value::Object(_) => {
            let mut params = Params::of("match", value)?;
            let query = params.need("query")?;
            let operator = params.text("operator")?.unwrap_or("or");
            params.finish()?;
            match operator.to_ascii_lowercase().as_str() {
                "or" => (query, false),
                "and" => (query, true),
                other => return Err(SearchError::parsing(format!("[operator] is [and] or [or], not [{other}]"))),
            }
        }
        value => (value, false),
    };
    let leaf = field(mapping, name)?;
    match (leaf.words, value::text(value)) {
        (Some(words), Some(text)) if !name.ends_with(".keyword") || name == leaf.path => {
            Ok(any_or_every(words, &text, every))
        }
        _ => equal(leaf, value),
    }
}

fn any_or_every(field: tantivy::schema::Field, text: &str, every: bool) -> Box<dyn Query> {
    let occur = if every { Occur::Must } else { Occur::Should };
    let clauses: Vec<(Occur, Box<dyn Query>)> = words::words_of(text)
        .iter()
        .map(|word| {
            let term = Term::from_field_text(field, word);
            (occur, boxed(TermQuery::new(term, IndexRecordOption::WithFreqs)))
        })
        .collect();
    if clauses.is_empty() { Box::new(EmptyQuery) } else { Box::new(BooleanQuery::new(clauses)) }
}

fn exists(mapping: &Mapping, body: &Value) -> Built {
    let mut params = Params::of("exists", body)?;
    let name = params.need_text("field")?;
    params.finish()?;
    let below: Vec<_> = mapping.below(name).map(|leaf| (Occur::Should, exists_leaf(leaf))).collect();
    if below.is_empty() {
        return Ok(exists_leaf(field(mapping, name)?));
    }
    Ok(Box::new(ConstScoreQuery::new(Box::new(BooleanQuery::new(below)), 1.0)))
}

/// Documents with any value.
pub(crate) fn exists_leaf(leaf: &Leaf) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(Box::new(ExistsQuery::new(leaf.column.clone(), false)), 1.0))
}

fn boolean(mapping: &Mapping, body: &Value) -> Built {
    let mut params = Params::of("bool", body)?;
    let must = clauses(mapping, params.take("must"))?;
    let filter = clauses(mapping, params.take("filter"))?;
    let should = clauses(mapping, params.take("should"))?;
    let must_not = clauses(mapping, params.take("must_not"))?;
    let wanted = params.take("minimum_should_match");
    params.finish()?;
    let optional = should.is_empty() || !must.is_empty() || !filter.is_empty();
    // Where there is nothing else to be met, one of them is to be in any case.
    let least = usize::from(!optional);
    let wanted = wanted.map_or(Ok(least), |value| minimum(value, should.len()))?.max(least);
    // Without any clause that is to be met there is nothing to count.
    let wanted = if must.is_empty() && filter.is_empty() && should.is_empty() { 0 } else { wanted };
    if wanted > should.len() {
        return Ok(Box::new(EmptyQuery));
    }
    // A query of nothing but exclusions begins with all documents, none of them scored.
    let all = must.is_empty() && filter.is_empty() && should.is_empty();
    let unscored = |query: Box<dyn Query>| boxed(ConstScoreQuery::new(query, 0.0));
    let empty = must.is_empty() && filter.is_empty() && should.is_empty() && must_not.is_empty();
    if empty {
        return Ok(Box::new(AllQuery));
    }
    let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    if all {
        parts.push((Occur::Must, unscored(Box::new(AllQuery))));
    }
    parts.extend(must.into_iter().map(|query| (Occur::Must, query)));
    parts.extend(filter.into_iter().map(|query| (Occur::Must, unscored(query))));
    parts.extend(should.into_iter().map(|query| (Occur::Should, query)));
    parts.extend(must_not.into_iter().map(|query| (Occur::MustNot, query)));
    Ok(Box::new(BooleanQuery::with_minimum_required_clauses(parts, wanted)))
}

/// One query or a list of them.
fn clauses(mapping: &Mapping, value: Option<&Value>) -> Result<Vec<Box<dyn Query>>, SearchError> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(queries)) => queries.iter().map(|query| build(mapping, query)).collect(),
        Some(query) => Ok(vec![build(mapping, query)?]),
    }
}

/// A number of clauses, or a negative one of those that may be missing; the same as a share: `"75%"`.
fn minimum(value: &Value, clauses: usize) -> Result<usize, SearchError> {
    let wrong = || SearchError::parsing(format!("[minimum_should_match] cannot be {}", shorten(value)));
    let clauses = i64::try_from(clauses).map_err(|_| wrong())?;
    let wanted = match value {
        Value::Number(number) => number.as_i64().ok_or_else(wrong)?,
        Value::String(text) => match text.strip_suffix('%') {
            Some(share) => {
                let share = share.parse::<i64>().map_err(|_| wrong())?.clamp(-100, 100);
                // A share that may be missing is rounded down before it is taken off.
                clauses * share / 100 + if share < 0 { clauses } else { 0 }
            }
            None => text.parse().map_err(|_| wrong())?,
        },
        _ => return Err(wrong()),
    };
    let wanted = if wanted < 0 { clauses.saturating_add(wanted).max(0) } else { wanted };
    usize::try_from(wanted).map_err(|_| wrong())
}
