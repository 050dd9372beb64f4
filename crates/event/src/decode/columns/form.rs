//! Values that a format of changes writes in a way of its own: base64, numbers that stand for times, sets.

use super::node::{Node, Values};
use super::{Columns, NodeId, Shown, Text};
use crate::decode::values::{Flaw, number};
use arrow::datatypes::TimeUnit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use std::borrow::Cow;

/// How the values of a column are written, where not as in plain JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As everywhere.
    #[default]
    Plain,
    /// BYTES in base64.
    Base64,
    /// BYTES as a text of which each character is a byte.
    Latin1,
    /// A SET in a STRING: an array of words is joined with commas, as MySQL shows it.
    Set,
    /// A nested column in a string: JSON, or for a list the words of a SET.
    Json,
    /// DATE and TIMESTAMP, of which MySQL's zero date is NULL.
    Moment,
    /// The same of a TIMESTAMP whose text is the clock of UTC, without saying so.
    Utc,
    /// A number in a TIMESTAMP is the wall clock's time since 1970, in this unit, or in the first of milliseconds,
    /// microseconds and nanoseconds in which it lies before the year 10000.
    Wall(Option<TimeUnit>),
    /// A number in a TIMESTAMP counts the days since 1970.
    Days,
    /// The text of a DATE, TIME or TIMESTAMP without a zone, behind which stands `Z` all the same.
    Iso,
    /// A number in a TIME is that of the day, in this unit.
    Daytime(TimeUnit),
    /// A number without its point, with so many digits behind it, as big-endian bytes in base64.
    Unscaled(i8),
    /// BIT(n) as little-endian bytes in base64.
    Bits,
}

impl Form {
    /// Whether a plain string is the column's value as it stands.
    pub(crate) fn takes_text(self) -> bool {
        matches!(self, Self::Plain | Self::Set)
    }

    /// Whether a plain integer is the column's value as it stands.
    pub(crate) fn takes_integers(self) -> bool {
        matches!(self, Self::Plain | Self::Bits | Self::Moment)
    }
}

impl Columns {
    /// Appends a value that is not NULL from its JSON text, if the column's form has a way of its own for it.
    pub(crate) fn push_formed(&mut self, node: NodeId, json: &str) -> Option<Result<(), String>> {
        let target = &mut self.nodes[node];
        let is_string = json.starts_with('"');
        let done = match target.form {
            Form::Moment | Form::Utc | Form::Wall(_) if json.starts_with("\"0000-00-00") => {
                return Some(self.push_null(node));
            }
            Form::Utc if is_string => unescaped(json).and_then(|text| self.push_made(node, &format!("{text}Z"))),
            Form::Base64 if is_string => base64(json).map(|bytes| target.push_bytes(&bytes)),
            Form::Latin1 if is_string => latin1(json).map(|bytes| target.push_bytes(&bytes)),
            Form::Unscaled(scale) if is_string => unscaled(json, scale).and_then(|text| self.push_made(node, &text)),
            Form::Bits if is_string && number::integer(&json[1..json.len() - 1]).is_err() => {
                bits(json).and_then(|value| self.push_made(node, &value.to_string()))
            }
            Form::Bits if json == "true" => self.push_made(node, "1"),
            Form::Bits if json == "false" => self.push_made(node, "0"),
            Form::Set if json.starts_with('[') => set(json).and_then(|text| self.push_made(node, &text)),
            Form::Wall(unit) if !is_string => match &mut target.values {
                Values::Stamp(values, stamp) => self.clock.wall(json, unit, *stamp).map(|value| values.push(value)),
                _ => return None,
            },
            Form::Days if !is_string => day(json).and_then(|text| self.push_made(node, &text)),
            Form::Iso if is_string => {
                unescaped(json).and_then(|text| self.push_made(node, text.strip_suffix('Z').unwrap_or(&text)))
            }
            Form::Daytime(unit) if !is_string => match &mut target.values {
                Values::Time(values) => micros_of_day(json, unit).map(|micros| values.push(micros)),
                _ => return None,
            },
            _ => return None,
        };
        Some(done.map_err(|flaw| self.nodes[node].flaw(flaw, Shown::Bare(json))))
    }

    fn push_made(&mut self, node: NodeId, text: &str) -> Result<(), Flaw> {
        self.nodes[node].push_text(Text::Elsewhere(text), &mut self.clock)
    }

    /// Appends the value of the last whole row once more. `None` for a nested column, which has none in one place.
    pub(crate) fn repeat_last(&mut self, node: NodeId) -> Option<()> {
        let last = self.rows() - 1;
        self.nodes[node].repeat(last)
    }
}

impl Node {
    fn push_bytes(&mut self, bytes: &[u8]) {
        let Values::Strings(strings) = &mut self.values else { unreachable!("only BYTES have such a form") };
        strings.push_bytes(bytes);
    }
}

/// A JSON string's text.
pub(crate) fn unescaped(json: &str) -> Result<Cow<'_, str>, Flaw> {
    let inner = &json[1..json.len() - 1];
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(json).map(Cow::Owned).map_err(|_| Flaw::Kind)
}

/// The date of a day since 1970.
fn day(json: &str) -> Result<String, Flaw> {
    let seconds = json.parse::<i64>().ok().and_then(|days| days.checked_mul(86_400));
    let date = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(Flaw::Kind)?;
    Ok(date.date_naive().to_string())
}

fn base64(json: &str) -> Result<Vec<u8>, Flaw> {
    STANDARD.decode(unescaped(json)?.as_bytes()).map_err(|_| Flaw::Kind)
}

fn latin1(json: &str) -> Result<Vec<u8>, Flaw> {
    unescaped(json)?.chars().map(|character| u8::try_from(u32::from(character)).map_err(|_| Flaw::Kind)).collect()
}

fn bits(json: &str) -> Result<u64, Flaw> {
    let bytes = base64(json)?;
    let mut word = [0; 8];
    word.get_mut(..bytes.len()).ok_or(Flaw::Range)?.copy_from_slice(&bytes);
    Ok(u64::from_le_bytes(word))
}

/// The number as text, with its point.
fn unscaled(json: &str, scale: i8) -> Result<String, Flaw> {
    let bytes = base64(json)?;
    let negative = bytes.first().ok_or(Flaw::Kind)? & 0x80 != 0;
    let mut word = [if negative { 0xff } else { 0 }; 16];
    let start = word.len().checked_sub(bytes.len()).ok_or(Flaw::Range)?;
    word[start..].copy_from_slice(&bytes);
    let value = i128::from_be_bytes(word);
    let scale = usize::try_from(scale).map_err(|_| Flaw::Range)?;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if negative { "-" } else { "" }, if scale > 0 { "." } else { "" });
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

fn set(json: &str) -> Result<String, Flaw> {
    let words: Vec<Cow<'_, str>> = serde_json::from_str(json).map_err(|_| Flaw::Kind)?;
    Ok(words.join(","))
}

fn micros_of_day(json: &str, unit: TimeUnit) -> Result<i64, Flaw> {
    const DAY_US: i64 = 86_400_000_000;
    let value = number::integer(json)?;
    let micros = match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1_000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => Some(value.div_euclid(1_000)),
    };
    micros.filter(|micros| (0..DAY_US).contains(micros)).ok_or(Flaw::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_come_out_of_their_bytes() {
        for (bytes, scale, text) in [
            (&[0x00_u8][..], 2, "0.00"),
            (&[0x7b], 0, "123"),
            (&[0x7b], 2, "1.23"),
            (&[0x7b], 5, "0.00123"),
            (&[0x97], 2, "-1.05"),
            (&[0x00, 0x98, 0x96, 0x76], 2, "99999.90"),
            (&[0xff], 0, "-1"),
        ] {
            let json = format!("\"{}\"", STANDARD.encode(bytes));
            assert_eq!(unscaled(&json, scale).as_deref(), Ok(text), "{json}");
        }
        assert_eq!(unscaled("\"\"", 2), Err(Flaw::Kind));
        assert_eq!(unscaled(&format!("\"{}\"", STANDARD.encode([1; 17])), 2), Err(Flaw::Range));
        assert_eq!(unscaled("\"12.30\"", 2), Err(Flaw::Kind));
    }

    #[test]
    fn bits_begin_with_the_least() {
        assert_eq!(bits("\"qgI=\""), Ok(682));
        assert_eq!(bits("\"//////////8=\""), Ok(u64::MAX));
        assert_eq!(bits("\"AAAAAAAAAAAA\""), Err(Flaw::Range));
    }

    #[test]
    fn sets_and_single_bytes() {
        assert_eq!(set(r#"["gift","expr\u00e9ss"]"#).as_deref(), Ok("gift,expréss"));
        assert_eq!(set("[]").as_deref(), Ok(""));
        assert_eq!(latin1("\"a\u{ff}\\u0000\""), Ok(vec![b'a', 0xff, 0]));
        assert_eq!(latin1("\"€\""), Err(Flaw::Kind));
    }

    #[test]
    fn times_of_day_have_a_unit() {
        assert_eq!(micros_of_day("86399000000", TimeUnit::Microsecond), Ok(86_399_000_000));
        assert_eq!(micros_of_day("86399000", TimeUnit::Millisecond), Ok(86_399_000_000));
        assert_eq!(micros_of_day("86400000000", TimeUnit::Microsecond), Err(Flaw::Range));
        assert_eq!(micros_of_day("-1", TimeUnit::Microsecond), Err(Flaw::Range));
    }
}
