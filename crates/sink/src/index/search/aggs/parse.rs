//! From the `aggs` of a request to a plan, strictly: what is not understood is refused by name.

use super::super::params::{Params, shorten};
use super::super::value::Operand;
use super::super::{SearchError, query, sort};
use super::format::DateFormat;
use super::rounding::{Rounding, duration};
use super::{
    Agg, BUCKETS_MAX, DateHistogram, End, Figure, Histogram, Kind, OrderBy, Range, Ranges, STATES_MAX, Terms, Width,
};
use crate::index::decimal::{self, Point};
use crate::index::layout;
use crate::index::mapping::{Leaf, Mapping};
use serde_json::Value;
use tantivy::Searcher;
use tantivy::columnar::MonotonicallyMappableToU64;
use tantivy::query::EnableScoring;

/// Without end, a request could nest until the stack is used up.
const DEPTH_MAX: usize = 16;

const PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];

/// What plans are made with.
pub(crate) struct Planner<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) searcher: &'a Searcher,
}

impl Planner<'_> {
    /// Makes the plan of all aggregations in an object.
    pub(crate) fn plan(&self, aggs: &Value, depth: usize) -> Result<Vec<Agg>, SearchError> {
        if depth > DEPTH_MAX {
            return Err(SearchError::argument(format!("aggregations are nested deeper than {DEPTH_MAX}")));
        }
        let Value::Object(aggs) = aggs else {
            return Err(SearchError::parsing(format!("[aggs] must be an object, not {}", shorten(aggs))));
        };
        aggs.iter().map(|(name, body)| self.one(name, body, depth)).collect()
    }

    fn one(&self, name: &str, body: &Value, depth: usize) -> Result<Agg, SearchError> {
        let Value::Object(members) = body else {
            return Err(SearchError::parsing(format!("aggregation [{name}] must be an object, not {}", shorten(body))));
        };
        let (mut kind, mut inner) = (None, Vec::new());
        if ["aggs", "aggregations"].iter().all(|member| members.contains_key(*member)) {
            return Err(SearchError::parsing(format!("aggregation [{name}] has both [aggs] and [aggregations]")));
        }
        for (member, body) in members {
            match member.as_str() {
                "aggs" | "aggregations" => inner = self.plan(body, depth + 1)?,
                member if kind.is_none() => kind = Some((member, body)),
                member => {
                    return Err(SearchError::parsing(format!("aggregation [{name}] has a second type [{member}]")));
                }
            }
        }
        let (kind, body) =
            kind.ok_or_else(|| SearchError::parsing(format!("aggregation [{name}] has no type, such as [terms]")))?;
        let kind = self.kind(kind, body, &inner)?;
        if let (Kind::Figure(..), false) = (&kind, inner.is_empty()) {
            return Err(SearchError::parsing(format!(
                "aggregation [{name}] is a figure and has no buckets for [aggs]"
            )));
        }
        let agg = Agg { name: name.to_owned(), kind, inner };
        if agg.states() > STATES_MAX {
            return Err(SearchError::buckets(BUCKETS_MAX));
        }
        Ok(agg)
    }

    fn kind(&self, kind: &str, body: &Value, inner: &[Agg]) -> Result<Kind, SearchError> {
        match kind {
            "terms" => self.terms(body, inner),
            "histogram" => self.histogram(body),
            "date_histogram" => self.date_histogram(body),
            "range" | "date_range" => self.range(kind, body),
            "filter" => {
                let query = query::build(self.mapping, body)?;
                Ok(Kind::Filter(query.weight(EnableScoring::disabled_from_searcher(self.searcher))?))
            }
            "sum" | "avg" | "min" | "max" | "stats" | "value_count" | "cardinality" | "percentiles" => {
                self.figure(kind, body)
            }
            other => Err(SearchError::parsing(format!(
                "unknown or unsupported aggregation [{other}]; known: terms, histogram, date_histogram, range, \
                 date_range, filter, sum, avg, min, max, stats, value_count, cardinality, percentiles"
            ))),
        }
    }

    fn field(&self, params: &mut Params<'_>) -> Result<Leaf, SearchError> {
        query::field(self.mapping, params.need_text("field")?).cloned()
    }

    fn figure(&self, kind: &str, body: &Value) -> Result<Kind, SearchError> {
        let mut params = Params::of(kind, body)?;
        let leaf = self.field(&mut params)?;
        let figure = match kind {
            "sum" => Figure::Sum,
            "avg" => Figure::Average,
            "min" => Figure::Least,
            "max" => Figure::Most,
            "stats" => Figure::Stats,
            "value_count" => Figure::Count,
            "cardinality" => {
                // A hint how exact to be: we are at least as exact as the greatest allowed.
                params.count("precision_threshold")?;
                Figure::Distinct
            }
            _ => percentiles(&mut params)?,
        };
        params.finish()?;
        let fits = match figure {
            Figure::Count | Figure::Distinct => true,
            Figure::Sum | Figure::Stats => !leaf.kind.is_string() && !leaf.kind.is_temporal(),
            _ => !leaf.kind.is_string(),
        };
        if !fits {
            let (path, of) = (&leaf.path, leaf.kind);
            return Err(SearchError::argument(format!("field [{path}] of type [{of}] has no [{kind}]")));
        }
        Ok(Kind::Figure(leaf, figure))
    }

    fn terms(&self, body: &Value, inner: &[Agg]) -> Result<Kind, SearchError> {
        let mut params = Params::of("terms", body)?;
        let leaf = self.field(&mut params)?;
        let size = params.count("size")?.unwrap_or(10);
        // There is one shard, and no bucket of it is left out.
        params.count("shard_size")?;
        let count_min = params.count("min_doc_count")?.unwrap_or(1);
        let order = params.take("order").map_or_else(|| Ok(Vec::new()), |order| orders(order, inner))?;
        params.finish()?;
        if size == 0 || size > BUCKETS_MAX {
            return Err(SearchError::argument(format!("[size] of [terms] is from 1 to {BUCKETS_MAX}, not {size}")));
        }
        if count_min == 0 {
            return Err(SearchError::argument("[min_doc_count] of [terms] is from 1: buckets of nothing are not made"));
        }
        let order = if order.is_empty() { vec![(OrderBy::Count, true)] } else { order };
        Ok(Kind::Terms(leaf, Terms { size, count_min: count_min as u64, order }))
    }

    fn histogram(&self, body: &Value) -> Result<Kind, SearchError> {
        let mut params = Params::of("histogram", body)?;
        let leaf = self.field(&mut params)?;
        let interval = params.need("interval")?;
        let offset = params.take("offset");
        let count_min = params.count("min_doc_count")?.unwrap_or(0) as u64;
        let keyed = params.flag("keyed")?.unwrap_or(false);
        params.finish()?;
        if !leaf.kind.is_number() {
            let (path, of) = (&leaf.path, leaf.kind);
            return Err(SearchError::argument(format!("field [{path}] of type [{of}] has no [histogram]")));
        }
        let width = width(leaf.kind, interval, offset)?;
        Ok(Kind::Histogram(leaf, Histogram { width, count_min, keyed }))
    }

    fn date_histogram(&self, body: &Value) -> Result<Kind, SearchError> {
        let mut params = Params::of("date_histogram", body)?;
        let leaf = self.field(&mut params)?;
        let rounding = match (params.text("fixed_interval")?, params.text("calendar_interval")?) {
            (Some(fixed), None) => Rounding::fixed(fixed)?,
            (None, Some(calendar)) => Rounding::calendar(calendar)?,
            _ => return Err(SearchError::parsing("[date_histogram] needs [fixed_interval] or [calendar_interval]")),
        };
        let offset = params.text("offset")?.unwrap_or("0ms");
        let offset = duration(offset)
            .ok_or_else(|| SearchError::parsing(format!("[offset] is a duration such as [+6h], not [{offset}]")))?;
        let count_min = params.count("min_doc_count")?.unwrap_or(0) as u64;
        let keyed = params.flag("keyed")?.unwrap_or(false);
        let format = params.text("format")?.map_or(Ok(DateFormat::Iso), DateFormat::parse)?;
        if let Some(zone) = params.text("time_zone")?.filter(|zone| !["UTC", "Z", "+00:00"].contains(zone)) {
            let reason = format!(
                "[time_zone] is [UTC], not [{zone}]: for days of another zone write a column of TIMESTAMP or DATE in views.sql"
            );
            return Err(SearchError::argument(reason));
        }
        params.finish()?;
        if !leaf.kind.is_temporal() {
            let (path, of) = (&leaf.path, leaf.kind);
            return Err(SearchError::argument(format!("field [{path}] of type [{of}] has no [date_histogram]")));
        }
        let rounding = rounding.moved(offset);
        Ok(Kind::DateHistogram(leaf, DateHistogram { rounding, count_min, keyed, format }))
    }

    fn range(&self, kind: &str, body: &Value) -> Result<Kind, SearchError> {
        let mut params = Params::of(kind, body)?;
        let leaf = self.field(&mut params)?;
        let ranges = params.need("ranges")?;
        let keyed = params.flag("keyed")?.unwrap_or(false);
        params.finish()?;
        if leaf.kind.is_string() || (kind == "date_range" && !leaf.kind.is_temporal()) {
            let (path, of) = (&leaf.path, leaf.kind);
            return Err(SearchError::argument(format!("field [{path}] of type [{of}] has no [{kind}]")));
        }
        let ranges = ranges.as_array().filter(|ranges| !ranges.is_empty() && ranges.len() <= BUCKETS_MAX);
        let ranges = ranges.ok_or_else(|| SearchError::parsing("[ranges] must be a list with a range or more"))?;
        let mut ranges = ranges.iter().map(|range| one_range(&leaf, range)).collect::<Result<Vec<_>, _>>()?;
        let place = |range: &Range| {
            let from = range.from.map_or(f64::NEG_INFINITY, |end| end.shown);
            (from, range.to.map_or(f64::INFINITY, |end| end.shown))
        };
        ranges.sort_by(|a, b| {
            let (a, b) = (place(a), place(b));
            decimal::compare_floats(a.0, b.0).then(decimal::compare_floats(a.1, b.1))
        });
        Ok(Kind::Range(leaf, Ranges { ranges, keyed }))
    }
}

fn percentiles(params: &mut Params<'_>) -> Result<Figure, SearchError> {
    let keyed = params.flag("keyed")?.unwrap_or(true);
    let Some(percents) = params.take("percents") else {
        return Ok(Figure::Percentiles { percents: PERCENTS.to_vec(), keyed });
    };
    let one = |value: &Value| value.as_f64().filter(|percent| (0.0..=100.0).contains(percent));
    let percents: Option<Vec<f64>> = percents.as_array().and_then(|percents| percents.iter().map(one).collect());
    let percents = percents.filter(|percents| !percents.is_empty() && percents.len() <= 1000);
    let percents =
        percents.ok_or_else(|| SearchError::parsing("[percents] must be a list of numbers from 0 to 100"))?;
    Ok(Figure::Percentiles { percents, keyed })
}

fn orders(order: &Value, inner: &[Agg]) -> Result<Vec<(OrderBy, bool)>, SearchError> {
    let one = |order: &Value| {
        let (name, descending) = sort::order_of("order", order)?;
        Ok((order_by(name, inner)?, descending))
    };
    match order {
        Value::Array(orders) => orders.iter().map(one).collect(),
        order => Ok(vec![one(order)?]),
    }
}

fn order_by(name: &str, inner: &[Agg]) -> Result<OrderBy, SearchError> {
    match name {
        "_count" => return Ok(OrderBy::Count),
        "_key" | "_term" => return Ok(OrderBy::Key),
        _ => {}
    }
    let (agg, part) = name.split_once('.').map_or((name, None), |(agg, part)| (agg, Some(part)));
    let found = inner.iter().position(|inner| inner.name == agg);
    let fits = found.is_some_and(|at| match (&inner[at].kind, part) {
        (Kind::Figure(_, Figure::Stats), Some(part)) => ["count", "min", "max", "avg", "sum"].contains(&part),
        (Kind::Figure(_, Figure::Stats | Figure::Percentiles { .. }), _) => false,
        (Kind::Figure(..), part) => part.is_none_or(|part| part == "value"),
        _ => false,
    });
    match found {
        Some(at) if fits => Ok(OrderBy::Figure(at, part.map(str::to_owned))),
        _ => Err(SearchError::argument(format!(
            "[order] of [terms] is by [_count], [_key] or a figure inside of it, such as [name] or [name.avg], not [{name}]"
        ))),
    }
}

fn width(kind: layout::Kind, interval: &Value, offset: Option<&Value>) -> Result<Width, SearchError> {
    let number = |value: &Value| match value {
        Value::Number(number) => Ok(number.to_string()),
        other => Err(SearchError::parsing(format!("[interval] and [offset] are numbers, not {}", shorten(other)))),
    };
    let interval = number(interval)?;
    let offset = offset.map_or_else(|| Ok("0".to_owned()), number)?;
    let float = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let positive = float(&interval) > 0.0;
    if !positive || !float(&interval).is_finite() {
        return Err(SearchError::parsing(format!("[interval] must be above 0, not [{interval}]")));
    }
    let scale = match kind {
        layout::Kind::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let exact = |text: &str| decimal::parse(text, scale).filter(|point| point.exact).map(|point| point.floor);
    Ok(match (kind.units(), exact(&interval), exact(&offset)) {
        (Some(_), Some(interval), Some(offset)) => Width::Units { interval, offset },
        _ => Width::Float { interval: float(&interval), offset: float(&offset) },
    })
}

fn one_range(leaf: &Leaf, range: &Value) -> Result<Range, SearchError> {
    let mut params = Params::of("ranges", range)?;
    let key = params.text("key")?.map(str::to_owned);
    let mut end = |name| match params.take(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => end(leaf, value).map(Some),
    };
    let (from, to) = (end("from")?, end("to")?);
    params.finish()?;
    Ok(Range { key, from, to })
}

fn end(leaf: &Leaf, value: &Value) -> Result<End, SearchError> {
    Ok(match Operand::of(leaf, value)? {
        Operand::Units(first, _) => {
            let units = leaf.kind.units().unwrap_or(1);
            End { bits: unit_bits(leaf.kind, first), shown: shown(leaf.kind, value, first, units) }
        }
        Operand::Float(number) => End { bits: Some(number.to_u64()), shown: written(value).unwrap_or(number) },
        Operand::Flag(flag) => End { bits: Some(flag.into()), shown: f64::from(u8::from(flag)) },
        Operand::Text(_) => unreachable!("strings have no ranges"),
    })
}

/// A number is shown as it was written, a moment in milliseconds.
fn shown(kind: layout::Kind, value: &Value, first: Point, units: i128) -> f64 {
    let written = if kind.is_temporal() { value.as_f64() } else { written(value) };
    written.unwrap_or(first.floor as f64 / units as f64)
}

/// The number that a value is, also as a string.
fn written(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn unit_bits(kind: layout::Kind, point: Point) -> Option<u64> {
    let first = point.ceil();
    match kind {
        layout::Kind::Unsigned if first > i128::from(u64::MAX) => None,
        layout::Kind::Unsigned => Some(u64::try_from(first).unwrap_or(0)),
        _ if first > i128::from(i64::MAX) => None,
        _ => Some(i64::try_from(first).unwrap_or(i64::MIN).to_u64()),
    }
}

/// Reads `aggs` or `aggregations`, whichever the request has.
pub(crate) fn member<'a>(params: &mut Params<'a>) -> Result<Option<&'a Value>, SearchError> {
    match (params.take("aggs"), params.take("aggregations")) {
        (Some(_), Some(_)) => Err(SearchError::parsing("[request] has both [aggs] and [aggregations]")),
        (aggs, aggregations) => Ok(aggs.or(aggregations)),
    }
}
