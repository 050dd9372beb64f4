//! Names of indexes with columns in them: `mall_dau_{day}` is one index for each day.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Schema;
use proxima_event::encode;
use std::fmt;
use std::str::FromStr;

/// The longest name that the servers take, in bytes.
const BYTES_MAX: usize = 255;

/// A name of literal parts and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

impl FromStr for IndexPattern {
    type Err = String;

    /// Reads `text{column}text…`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (column, after) = after.split_once('}').ok_or_else(|| format!("\"{text}\" has a {{ without a }}"))?;
            if column.is_empty() {
                return Err(format!("\"{text}\" has no column between {{ and }}"));
            }
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            parts.push(Part::Column(column.to_owned()));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        let pattern = Self { parts };
        let begins = matches!(pattern.parts.first(), Some(Part::Text(text)) if text.starts_with(fits_first));
        let fits = pattern.parts.iter().all(|part| match part {
            Part::Text(text) => text.chars().all(fits),
            Part::Column(_) => true,
        });
        if !begins || !fits || text.len() > BYTES_MAX {
            return Err(format!(
                "\"{text}\" cannot name an index: use small letters, digits, _, - and ., beginning with a letter or digit"
            ));
        }
        Ok(pattern)
    }
}

fn fits_first(sign: char) -> bool {
    sign.is_ascii_lowercase() || sign.is_ascii_digit()
}

fn fits(sign: char) -> bool {
    fits_first(sign) || matches!(sign, '_' | '-' | '.')
}

impl IndexPattern {
    /// The columns that the name depends on.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(column.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The one name, where it depends on no column.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(name)] => Some(name),
            _ => None,
        }
    }

    /// What finds all its indexes: `mall_dau_*`.
    #[must_use]
    pub fn wildcard(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Column(_) => "*".to_owned(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The name without its columns, by which people and routes call the whole: `mall_dau`.
    #[must_use]
    pub fn base_name(&self) -> String {
        if let Some(name) = self.fixed() {
            return name.to_owned();
        }
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.trim_matches(['_', '-', '.'])).filter(|text| !text.is_empty()),
            Part::Column(_) => None,
        });
        texts.collect::<Vec<_>>().join("_")
    }

    /// How many signs of the name are certain: of two patterns that fit a name, the one with more is meant.
    pub(crate) fn certainty(&self) -> usize {
        let part = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Column(_) => 0,
        };
        self.parts.iter().map(part).sum()
    }

    /// Holds the columns against a target's: each must be there and be part of its key. A row whose index could change
    /// while its key stays would have to be looked for in every index.
    ///
    /// # Errors
    /// With a sentence that names the column.
    pub fn check(&self, schema: &Schema, key: &[usize]) -> Result<(), String> {
        self.bind(schema, key).map(drop)
    }

    pub(crate) fn bind(&self, schema: &Schema, key: &[usize]) -> Result<BoundPattern, String> {
        let bind = |part: &Part| match part {
            Part::Text(text) => Ok(BoundPart::Text(text.clone())),
            Part::Column(column) => match schema.index_of(column) {
                Ok(at) if key.contains(&at) => Ok(BoundPart::Column(at)),
                Ok(_) => Err(format!("the index's name {self} needs column {column} to be part of the key")),
                Err(_) => Err(format!("the index's name {self} has a column {column}, which the target does not have")),
            },
        };
        Ok(BoundPattern { parts: self.parts.iter().map(bind).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for IndexPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Column(column) => write!(f, "{{{column}}}"),
        })
    }
}

/// A pattern whose columns are known by their numbers.
#[derive(Clone, Debug)]
pub(crate) struct BoundPattern {
    parts: Vec<BoundPart>,
}

#[derive(Clone, Debug)]
enum BoundPart {
    Text(String),
    Column(usize),
}

impl BoundPattern {
    /// Appends the name of the index that a row belongs to. What a name cannot hold becomes `_`.
    pub(crate) fn write(&self, out: &mut String, rows: &RecordBatch, row: usize) {
        for part in &self.parts {
            match part {
                BoundPart::Text(text) => out.push_str(text),
                BoundPart::Column(column) => write_value(out, rows.column(*column).as_ref(), row),
            }
        }
        // Values are of any length; every sign is one byte by now.
        out.truncate(BYTES_MAX);
    }
}

fn write_value(out: &mut String, array: &dyn Array, row: usize) {
    let mut text = Vec::new();
    encode::write_value(&mut text, array, row);
    let text = serde_json::from_slice::<String>(&text).unwrap_or_else(|_| String::from_utf8_lossy(&text).into_owned());
    let lower = text.chars().flat_map(char::to_lowercase);
    out.extend(lower.map(|sign| if fits(sign) { sign } else { '_' }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Date32Array, StringViewArray};
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(14_944), None]));
        let shops: ArrayRef = Arc::new(StringViewArray::from(vec!["Köln 1/a", "B"]));
        RecordBatch::try_from_iter([("day", days), ("shop", shops)]).unwrap()
    }

    #[test]
    fn names_come_from_columns() {
        let pattern: IndexPattern = "mall_{shop}_{day}.v1".parse().unwrap();
        assert_eq!(pattern.to_string(), "mall_{shop}_{day}.v1");
        assert_eq!((pattern.wildcard().as_str(), pattern.fixed()), ("mall_*_*.v1", None));
        assert_eq!(pattern.base_name(), "mall_v1");
        assert_eq!(pattern.columns().collect::<Vec<_>>(), ["shop", "day"]);
        let bound = pattern.bind(&rows().schema(), &[0, 1]).unwrap();
        let name = |row| {
            let mut name = String::new();
            bound.write(&mut name, &rows(), row);
            name
        };
        assert_eq!((name(0).as_str(), name(1).as_str()), ("mall_k_ln_1_a_2010-12-01.v1", "mall_b_null.v1"));
        assert_eq!("daily".parse::<IndexPattern>().unwrap().fixed(), Some("daily"));
    }

    #[test]
    fn columns_are_of_the_key() {
        let pattern: IndexPattern = "mall_{day}".parse().unwrap();
        assert_eq!(pattern.check(&rows().schema(), &[0]), Ok(()));
        let outside = pattern.check(&rows().schema(), &[1]).unwrap_err();
        assert_eq!(outside, "the index's name mall_{day} needs column day to be part of the key");
        let unknown = "mall_{hour}".parse::<IndexPattern>().unwrap().check(&rows().schema(), &[0]).unwrap_err();
        assert!(unknown.contains("column hour, which the target does not have"), "{unknown}");
    }

    #[test]
    fn what_cannot_name_an_index_is_refused() {
        for wrong in ["", "Daily", "_x", "{day}", "a{", "a{}", "a b", "a/b", ".."] {
            assert!(wrong.parse::<IndexPattern>().is_err(), "{wrong:?}");
        }
    }
}
