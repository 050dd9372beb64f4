//! The gathered figures in Elasticsearch's shape, and as what buckets are ordered by.

use super::super::answer::Json;
use super::super::value::{self, Number};
use super::state::{Key, Numbers, State};
use super::{Agg, Figure, Kind};
use crate::index::decimal::float_text;
use crate::index::layout;
use crate::index::time::format_millis;

/// The number that buckets are ordered by.
pub(super) fn value(agg: &Agg, state: &State<Key>, part: Option<&str>) -> Option<Number> {
    let Kind::Figure(leaf, figure) = &agg.kind else { return None };
    let numbers = match state {
        State::Distinct(distinct) => return Some(Number::Units(distinct.count().into())),
        State::Numbers(numbers) => numbers,
        _ => return None,
    };
    let decoded = |bits: Option<u64>| bits.map(|bits| value::decode(leaf.kind, bits));
    match (figure, part) {
        (Figure::Count, _) | (Figure::Stats, Some("count")) => Some(Number::Units(numbers.count.into())),
        (Figure::Sum, _) | (Figure::Stats, Some("sum")) => Some(numbers.sum(leaf.kind)),
        (Figure::Least, _) | (Figure::Stats, Some("min")) => decoded(numbers.least),
        (Figure::Most, _) | (Figure::Stats, Some("max")) => decoded(numbers.most),
        _ => numbers.average(leaf.kind).map(Number::Float),
    }
}

/// A figure's answer; without a state it is that of no documents.
pub(super) fn answer(kind: layout::Kind, figure: &Figure, state: Option<&State<Key>>) -> Json {
    let none = Numbers::default();
    let numbers = match state {
        Some(State::Numbers(numbers)) => numbers,
        _ => &none,
    };
    let shown = |bits: Option<u64>| bits.map_or_else(Json::null, |bits| value::show(kind, value::decode(kind, bits)));
    let average = || numbers.average(kind).map_or_else(Json::null, Json::float);
    let millis = |bits: Option<u64>| match value::decode(kind, bits?) {
        Number::Units(units) => i64::try_from(units.div_euclid(kind.units().unwrap_or(1))).ok(),
        Number::Float(_) => None,
    };
    match figure {
        Figure::Sum => Json::object([("value", value::show_sum(kind, numbers.sum(kind)))]),
        Figure::Average => with_text(kind, average(), numbers.average(kind).map(|millis| millis as i64)),
        Figure::Least => with_text(kind, shown(numbers.least), millis(numbers.least)),
        Figure::Most => with_text(kind, shown(numbers.most), millis(numbers.most)),
        Figure::Count => Json::object([("value", numbers.count.into())]),
        Figure::Stats => Json::object([
            ("count", numbers.count.into()),
            ("min", shown(numbers.least)),
            ("max", shown(numbers.most)),
            ("avg", average()),
            ("sum", value::show_sum(kind, numbers.sum(kind))),
        ]),
        Figure::Distinct => {
            let count = match state {
                Some(State::Distinct(distinct)) => distinct.count(),
                _ => 0,
            };
            Json::object([("value", count.into())])
        }
        Figure::Percentiles { percents, keyed } => percentiles(percents, *keyed, state),
    }
}

/// A moment is shown as text too.
fn with_text(kind: layout::Kind, value: Json, millis: Option<i64>) -> Json {
    match millis.filter(|_| kind.is_temporal()) {
        Some(millis) => Json::object([("value", value), ("value_as_string", format_millis(millis).into())]),
        None => Json::object([("value", value)]),
    }
}

fn percentiles(percents: &[f64], keyed: bool, state: Option<&State<Key>>) -> Json {
    let values = match state {
        Some(State::Spread(spread)) => spread.percentiles(percents),
        _ => vec![None; percents.len()],
    };
    let shown =
        percents.iter().zip(values).map(|(&percent, value)| (percent, value.map_or_else(Json::null, Json::float)));
    let values = if keyed {
        Json::Object(shown.map(|(percent, value)| (float_text(percent), value)).collect())
    } else {
        Json::List(
            shown.map(|(percent, value)| Json::object([("key", Json::float(percent)), ("value", value)])).collect(),
        )
    };
    Json::object([("values", values)])
}
