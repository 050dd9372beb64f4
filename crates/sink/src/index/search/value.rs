//! Values of requests as the index holds them, and back.

use super::SearchError;
use super::answer::Json;
use super::params::shorten;
use crate::index::decimal::{self, Point};
use crate::index::layout::Kind;
use crate::index::mapping::Leaf;
use crate::index::time;
use serde_json::Value;
use tantivy::columnar::MonotonicallyMappableToU64;

/// A value of a request on the field's own scale.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    /// On a grid of whole units, from its first point to its last: a day is a whole stretch of milliseconds.
    Units(Point, Point),
    /// As a float.
    Float(f64),
    /// True or false.
    Flag(bool),
    /// As a string.
    Text(String),
}

impl Operand {
    /// Reads a request's value for a field.
    pub(crate) fn of(leaf: &Leaf, value: &Value) -> Result<Self, SearchError> {
        let read = match leaf.kind {
            Kind::Boolean => flag(value).map(Self::Flag),
            Kind::Integer | Kind::Unsigned => units(value, 0),
            Kind::Decimal { scale, .. } => units(value, scale),
            Kind::Float => float(value).map(|number| Self::Float(f64::from(number as f32))),
            Kind::Double | Kind::WideDecimal { .. } => float(value).map(Self::Float),
            Kind::Text => text(value).map(Self::Text),
            Kind::Time => clock(value).map(Self::Text),
            Kind::Date => moment(value, 1_000_000),
            Kind::Timestamp { digits, .. } => moment(value, 10_i128.pow(9 - u32::from(digits))),
        };
        read.ok_or_else(|| {
            let reason = format!("{} is no value for field [{}] of type {}", shorten(value), leaf.path, leaf.kind);
            SearchError::parsing(reason)
        })
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What a value is as a string.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A number's own text, so that 58960.79 does not become 58960.790000000001.
fn units(value: &Value, scale: i8) -> Option<Operand> {
    let point = match value {
        Value::Number(number) => decimal::parse(&number.to_string(), scale)?,
        Value::String(text) => decimal::parse(text.trim(), scale)?,
        _ => return None,
    };
    Some(Operand::Units(point, point))
}

fn float(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(number + 0.0).filter(|number| !number.is_nan())
}

fn clock(value: &Value) -> Option<String> {
    let (at, _) = time::parse_time(value.as_str()?)?;
    Some(at.format("%H:%M:%S%.6f").to_string())
}

/// ISO text, or milliseconds since 1970 as a number.
fn moment(value: &Value, nanos_per_unit: i128) -> Option<Operand> {
    let millis = |text: &str| decimal::parse(text, 6).filter(|point| point.exact).map(|point| point.floor);
    let (first, last) = match value {
        Value::Number(number) => {
            let nanos = millis(&number.to_string())?;
            (nanos, nanos)
        }
        Value::String(text) => match time::parse(text) {
            Some(span) => (span.first, span.last),
            // Four digits are a year; more are milliseconds.
            None if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) => {
                let nanos = millis(text)?;
                (nanos, nanos)
            }
            None => return None,
        },
        _ => return None,
    };
    Some(Operand::Units(Point::ratio(first, nanos_per_unit), Point::ratio(last, nanos_per_unit)))
}

/// What a column's bits say, as the numbers that sums and comparisons work with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// Whole units.
    Units(i128),
    /// A float.
    Float(f64),
}

/// Reads a column's bits, which tantivy keeps in an order-preserving form.
pub(crate) fn decode(kind: Kind, bits: u64) -> Number {
    match kind {
        Kind::Integer | Kind::Decimal { .. } | Kind::Date | Kind::Timestamp { .. } => {
            Number::Units(i64::from_u64(bits).into())
        }
        Kind::Float | Kind::Double | Kind::WideDecimal { .. } => Number::Float(f64::from_u64(bits)),
        Kind::Boolean | Kind::Unsigned | Kind::Text | Kind::Time => Number::Units(bits.into()),
    }
}

/// A single value as answers show it: decimals with their digits, times in milliseconds.
pub(crate) fn show(kind: Kind, number: Number) -> Json {
    match (kind, number) {
        (Kind::Decimal { scale, .. }, Number::Units(units)) => {
            Json::number(proxima_event::encode::decimal::format(units, scale))
        }
        (kind, Number::Units(units)) => {
            let units = if kind.is_temporal() { units.div_euclid(kind.units().unwrap_or(1)) } else { units };
            Json::number(units.to_string())
        }
        (Kind::Float, Number::Float(number)) => Json::number((number as f32).to_string()),
        (_, Number::Float(number)) => Json::float(number),
    }
}

/// A sum as answers show it: that of narrow floats is a wide one.
pub(crate) fn show_sum(kind: Kind, sum: Number) -> Json {
    match sum {
        Number::Float(sum) => Json::float(sum),
        units => show(kind, units),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tantivy::schema::Field;

    fn operand(kind: Kind, value: &Value) -> Option<Operand> {
        let field = Field::from_field_id(0);
        let leaf = Leaf { path: "a".into(), kind, field, column: "c0".into(), words: None };
        Operand::of(&leaf, value).ok()
    }

    #[test]
    fn numbers_keep_the_digits_they_are_written_with() {
        let exact = |floor| Point { floor, exact: true };
        let kind = Kind::Decimal { precision: 10, scale: 3 };
        let expected = Some(Operand::Units(exact(58_960_790), exact(58_960_790)));
        assert_eq!(operand(kind, &json!(58960.79)), expected);
        assert_eq!(operand(kind, &json!("58960.790")), expected);
        assert_eq!(operand(kind, &json!(true)), None);
    }

    #[test]
    fn a_day_is_a_stretch_of_its_fields_units() {
        let Some(Operand::Units(first, last)) =
            operand(Kind::Timestamp { digits: 6, zone: false }, &json!("1970-01-02"))
        else {
            panic!("a date is a value of a timestamp");
        };
        assert_eq!((first.ceil(), last.floor), (86_400_000_000, 2 * 86_400_000_000 - 1));
    }
}
