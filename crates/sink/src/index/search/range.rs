//! Queries for stretches of values: `range`, `prefix`, and a `term` that is a whole day.

use super::SearchError;
use super::params::{Params, single};
use super::query::{Built, constant, exists_leaf, field, operand};
use super::value::Operand;
use crate::index::decimal::Point;
use crate::index::layout::Kind;
use crate::index::mapping::{Leaf, Mapping};
use serde_json::Value;
use std::ops::Bound;
use tantivy::Term;
use tantivy::query::{EmptyQuery, Query, RangeQuery};

/// A range with one bound or two; without any it is `exists`.
pub(crate) fn range(mapping: &Mapping, body: &Value) -> Built {
    let (name, value) = single("range", body)?;
    let leaf = field(mapping, name)?;
    let mut params = Params::of("range", value)?;
    let mut bound = |name| params.take(name).filter(|value| !value.is_null());
    let (gt, gte, lt, lte) = (bound("gt"), bound("gte"), bound("lt"), bound("lte"));
    params.finish()?;
    if (gt.is_some() && gte.is_some()) || (lt.is_some() && lte.is_some()) {
        return Err(SearchError::parsing(format!("[range] on [{name}] has two bounds on one side")));
    }
    if gt.or(gte).or(lt).or(lte).is_none() {
        return Ok(exists_leaf(leaf));
    }
    let read = |value: Option<&Value>| value.map(|value| Operand::of(leaf, value)).transpose();
    let (gt, gte, lt, lte) = (read(gt)?, read(gte)?, read(lt)?, read(lte)?);
    if leaf.kind.units().is_some() {
        return Ok(unit_range(leaf, [gt, gte, lt, lte]));
    }
    if leaf.kind == Kind::Boolean {
        return Ok(flag_range(leaf, [gt, gte, lt, lte]));
    }
    let lower = gt.map(Bound::Excluded).or(gte.map(Bound::Included)).unwrap_or(Bound::Unbounded);
    let upper = lt.map(Bound::Excluded).or(lte.map(Bound::Included)).unwrap_or(Bound::Unbounded);
    let term = |operand: Operand| match operand {
        Operand::Text(text) => Term::from_field_text(leaf.field, &text),
        Operand::Flag(flag) => Term::from_field_bool(leaf.field, flag),
        Operand::Float(number) => Term::from_field_f64(leaf.field, number),
        Operand::Units(..) => unreachable!("fields with units have been dealt with"),
    };
    Ok(Box::new(RangeQuery::new(lower.map(term), upper.map(term))))
}

/// False lies before true.
fn flag_range(leaf: &Leaf, bounds: [Option<Operand>; 4]) -> Box<dyn Query> {
    let [gt, gte, lt, lte] = bounds.map(|bound| match bound {
        Some(Operand::Flag(flag)) => Some(u8::from(flag)),
        _ => None,
    });
    let is_within = |flag: &u8| {
        gt.is_none_or(|bound| *flag > bound)
            && gte.is_none_or(|bound| *flag >= bound)
            && lt.is_none_or(|bound| *flag < bound)
            && lte.is_none_or(|bound| *flag <= bound)
    };
    match [0, 1].into_iter().filter(is_within).collect::<Vec<_>>()[..] {
        [] => Box::new(EmptyQuery),
        [flag] => constant(Term::from_field_bool(leaf.field, flag == 1)),
        _ => exists_leaf(leaf),
    }
}

/// On a grid every bound can be one that includes: above 1.2345 means from 1.235 on.
fn unit_range(leaf: &Leaf, [gt, gte, lt, lte]: [Option<Operand>; 4]) -> Box<dyn Query> {
    let ends = |operand| match operand {
        Some(Operand::Units(first, last)) => Some((first, last)),
        _ => None,
    };
    let lower = ends(gt).map(|(_, last)| last.floor.saturating_add(1)).or(ends(gte).map(|(first, _)| first.ceil()));
    let upper = ends(lt).map(|(first, _)| first.ceil().saturating_sub(1)).or(ends(lte).map(|(_, last)| last.floor));
    between(leaf, lower.unwrap_or(i128::MIN), upper.unwrap_or(i128::MAX))
}

/// Strings that begin so.
pub(crate) fn prefix(mapping: &Mapping, body: &Value) -> Built {
    let (name, value) = operand("prefix", "value", body)?;
    let leaf = field(mapping, name)?;
    let (Kind::Text, Value::String(text)) = (leaf.kind, value) else {
        return Err(SearchError::argument(format!(
            "[prefix] takes a STRING field and a string, not [{name}]: {value}"
        )));
    };
    let lower = Bound::Included(Term::from_field_text(leaf.field, text));
    // No text goes on with the last code point, which stands for no sign.
    let upper = Bound::Excluded(Term::from_field_text(leaf.field, &format!("{text}\u{10FFFF}")));
    Ok(Box::new(RangeQuery::new(lower, upper)))
}

/// Documents whose units are within both ends.
pub(crate) fn between(leaf: &Leaf, first: i128, last: i128) -> Box<dyn Query> {
    let (least, most) = match leaf.kind {
        Kind::Unsigned => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let (first, last) = (first.max(least), last.min(most));
    if first > last {
        return Box::new(EmptyQuery);
    }
    let term = |units| term_of(leaf, units);
    if first == last {
        return constant(term(first));
    }
    Box::new(RangeQuery::new(Bound::Included(term(first)), Bound::Included(term(last))))
}

/// The term of a single value that is on the grid; `None` for a stretch, and for what no document can have.
pub(crate) fn unit_term(leaf: &Leaf, first: Point, last: Point) -> Option<Term> {
    let fits = match leaf.kind {
        Kind::Unsigned => u64::try_from(first.floor).is_ok(),
        _ => i64::try_from(first.floor).is_ok(),
    };
    (fits && first.exact && first.floor == last.floor).then(|| term_of(leaf, first.floor))
}

/// The term of units that fit the field's 64 bits.
fn term_of(leaf: &Leaf, units: i128) -> Term {
    match leaf.kind {
        Kind::Unsigned => Term::from_field_u64(leaf.field, units as u64),
        _ => Term::from_field_i64(leaf.field, units as i64),
    }
}
