//! From the body of a request to its records: pure.

use serde_json::value::RawValue;

/// Takes a body apart: one JSON value, an array of values, or values one after another (NDJSON among them). Every value
/// is a record.
///
/// # Errors
/// In words, when the body holds no JSON, or none at all.
pub(super) fn split(body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut records = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
        let value = value.map_err(|error| format!("record {} is not JSON: {error}", records.len() + 1))?;
        if value.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
            records.extend(items.into_iter().map(bytes));
        } else {
            records.push(bytes(value));
        }
    }
    if records.is_empty() { Err("the body holds no record".to_owned()) } else { Ok(records) }
}

fn bytes(value: &RawValue) -> Vec<u8> {
    value.get().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        split(body.as_bytes()).unwrap().into_iter().map(|record| String::from_utf8(record).unwrap()).collect()
    }

    #[test]
    fn one_an_array_or_lines() {
        assert_eq!(texts("{\n \"a\": 1\n}"), ["{\n \"a\": 1\n}"]);
        assert_eq!(texts(" [{\"a\":1}, {\"b\":[2]}] "), ["{\"a\":1}", "{\"b\":[2]}"]);
        assert_eq!(texts("{\"a\":1}\n\n{\"b\":2}\r\n"), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(texts("\u{feff}{\"n\":1.10}"), ["{\"n\":1.10}"]);
    }

    #[test]
    fn what_is_no_json_is_told_by_its_number() {
        assert_eq!(split(b" "), Err("the body holds no record".to_owned()));
        assert_eq!(split(b"[]"), Err("the body holds no record".to_owned()));
        let error = split(b"{\"a\":1}\n{\"b\":").unwrap_err();
        assert!(error.starts_with("record 2 is not JSON: EOF"), "{error}");
        assert!(split(b"\xff").unwrap_err().starts_with("record 1 is not JSON"));
    }
}
