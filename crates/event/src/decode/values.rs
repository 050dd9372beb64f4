//! Text to typed values: what a CSV field, a JSON string or a JSON number means for a column's type.
//!
//! Shared by all text formats, so that the same text means the same everywhere. Exact or refused: no digit of a number
//! is ever lost without a word. (Fractions of a second finer than the column's are cut, as its type says.)

pub(crate) mod moment;
pub(crate) mod number;
pub(crate) mod zone;

use arrow::datatypes::{DataType, TimeUnit};

/// Why a text is no value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It does not read as one.
    Kind,
    /// It does, but the type has no room for it.
    Range,
    /// It has digits behind the point that the type would lose.
    Digits,
}

impl Flaw {
    /// The reason in words; `shown` is the text as it stood in the record.
    pub(crate) fn reason(self, shown: &str, data_type: &DataType) -> String {
        let (shown, name) = (cut(shown), sql_name(data_type));
        match self {
            Self::Kind => format!("{shown} is not {}", article(&name)),
            Self::Range => format!("{shown} does not fit {name}"),
            Self::Digits => format!("{shown} has more decimals than {name}"),
        }
    }
}

/// A value as messages show it: whole if short.
fn cut(shown: &str) -> String {
    // A reason is a line that people read; the whole record is kept beside it.
    const SHOWN_MAX: usize = 64;
    match shown.char_indices().nth(SHOWN_MAX) {
        None => shown.to_owned(),
        Some((end, _)) => format!("{}…", &shown[..end]),
    }
}

fn article(name: &str) -> String {
    let vowel = name.starts_with(['A', 'I', 'O', 'U']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// The name of a column's type as its declaration would say it.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8View => "STRING".into(),
        DataType::BinaryView => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", precision(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", precision(*unit)),
        DataType::List(_) => "ARRAY".into(),
        DataType::Struct(_) => "STRUCT".into(),
        DataType::Map(_, _) => "MAP".into(),
        other => other.to_string(),
    }
}

fn precision(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// BOOLEAN: `true` and `false` in any case, and 1 and 0 as MySQL has them.
pub(crate) fn boolean(text: &str) -> Result<bool, Flaw> {
    match text.trim_ascii() {
        "1" => Ok(true),
        "0" => Ok(false),
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Flaw::Kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_value_and_type() {
        assert_eq!(Flaw::Kind.reason("\"x\"", &DataType::Int32), "\"x\" is not an INT");
        assert_eq!(Flaw::Kind.reason("12", &DataType::Date32), "12 is not a DATE");
        assert_eq!(Flaw::Range.reason("300", &DataType::Int8), "300 does not fit TINYINT");
        let reason = Flaw::Digits.reason("1.239", &DataType::Decimal128(10, 2));
        assert_eq!(reason, "1.239 has more decimals than DECIMAL(10, 2)");
        assert_eq!(Flaw::Kind.reason(&"é".repeat(100), &DataType::Int32), format!("{}… is not an INT", "é".repeat(64)));
    }

    #[test]
    fn booleans_read_as_words_or_as_mysql_has_them() {
        assert_eq!(boolean(" TRUE "), Ok(true));
        assert_eq!(boolean("False"), Ok(false));
        assert_eq!(boolean("0"), Ok(false));
        assert_eq!(boolean("yes"), Err(Flaw::Kind));
        assert_eq!(boolean(""), Err(Flaw::Kind));
    }
}
