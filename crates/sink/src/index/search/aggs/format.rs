//! The `format` of a date histogram: Java's date patterns, as far as they make sense for a bucket's beginning.

use super::super::SearchError;
use crate::index::time;
use chrono::DateTime;

/// How `key_as_string` is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DateFormat {
    /// `2010-12-01T00:00:00.000Z`.
    Iso,
    /// Milliseconds since 1970.
    Millis,
    /// By chrono's pattern.
    Pattern(String),
}

impl DateFormat {
    /// Reads a pattern such as `yyyy-MM-dd HH:mm`.
    pub(crate) fn parse(text: &str) -> Result<Self, SearchError> {
        match text {
            "strict_date_optional_time" | "date_optional_time" => return Ok(Self::Iso),
            "epoch_millis" => return Ok(Self::Millis),
            _ => {}
        }
        let mut pattern = String::new();
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let run = rest.len() - rest.trim_start_matches(sign).len();
            match sign {
                '\'' => {
                    let (literal, after) = rest[1..].split_once('\'').ok_or_else(|| unknown(text, rest))?;
                    pattern.push_str(&literal.replace('%', "%%"));
                    rest = after;
                    continue;
                }
                'a'..='z' | 'A'..='Z' => {
                    pattern.push_str(part(&rest[..run]).ok_or_else(|| unknown(text, &rest[..run]))?)
                }
                '%' => pattern.push_str(&"%%".repeat(run)),
                _ => pattern.push_str(&rest[..run]),
            }
            rest = &rest[run..];
        }
        Ok(Self::Pattern(pattern))
    }

    /// Writes a moment in milliseconds since 1970.
    pub(crate) fn write(&self, millis: i64) -> String {
        match (self, DateTime::from_timestamp_millis(millis)) {
            (Self::Millis, _) | (Self::Pattern(_), None) => millis.to_string(),
            (Self::Iso, _) => time::format_millis(millis),
            (Self::Pattern(pattern), Some(at)) => at.format(pattern).to_string(),
        }
    }
}

fn part(letters: &str) -> Option<&'static str> {
    Some(match letters {
        "yyyy" | "uuuu" => "%Y",
        "yy" | "uu" => "%y",
        "MM" => "%m",
        "M" => "%-m",
        "MMM" => "%b",
        "MMMM" => "%B",
        "dd" => "%d",
        "d" => "%-d",
        "EEE" => "%a",
        "EEEE" => "%A",
        "HH" => "%H",
        "H" => "%-H",
        "mm" => "%M",
        "ss" => "%S",
        "SSS" => "%3f",
        _ => return None,
    })
}

fn unknown(format: &str, at: &str) -> SearchError {
    SearchError::parsing(format!("unknown or unsupported [{at}] in date format [{format}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_java_patterns() {
        let write = |format: &str| DateFormat::parse(format).unwrap().write(1_291_191_960_007);
        assert_eq!(write("yyyy-MM-dd"), "2010-12-01");
        assert_eq!(write("dd.MM.yy 'at' HH:mm:ss.SSS"), "01.12.10 at 08:26:00.007");
        assert_eq!(write("epoch_millis"), "1291191960007");
        assert_eq!(write("strict_date_optional_time"), "2010-12-01T08:26:00.007Z");
        assert!(DateFormat::parse("yyyy-ww").unwrap_err().reason.contains("[ww]"));
        assert!(DateFormat::parse("yyyy'T").is_err());
    }
}
