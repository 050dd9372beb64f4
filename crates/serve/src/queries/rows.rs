//! Answers as plain rows: the found documents, or the buckets of aggregations.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

/// What becomes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// Each found document.
    Hits,
    /// Each bucket of the last of these aggregations, which lie in each other.
    Buckets(Vec<String>),
}

impl Rows {
    /// Reads `hits`, or names of aggregations that the body has: `by_day.by_hour`.
    pub(super) fn parse(text: &str, body: &Value) -> Result<Self, String> {
        if text == "hits" {
            return Ok(Self::Hits);
        }
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        let mut at = body;
        for name in &names {
            let aggs = at.get("aggs").or_else(|| at.get("aggregations"));
            at = aggs.and_then(|aggs| aggs.get(name)).ok_or_else(|| {
                format!("rows = \"{text}\": the body has no aggregation \"{name}\" there; write \"hits\" or names of aggregations")
            })?;
        }
        Ok(Self::Buckets(names))
    }

    /// The rows of an answer, and how many documents have matched.
    pub(super) fn shape(&self, answer: &RawValue) -> Result<Box<RawValue>, String> {
        match self {
            Self::Hits => hits(answer.get()).map_err(|error| error.to_string()),
            Self::Buckets(names) => {
                let answer: Value = serde_json::from_str(answer.get()).map_err(|error| error.to_string())?;
                let mut rows = Vec::new();
                buckets(&answer["aggregations"], names, &Map::new(), &mut rows)?;
                let shaped = json!({ "total": answer["hits"]["total"]["value"], "rows": rows });
                Ok(to_raw_value(&shaped).expect("values become JSON"))
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Found {
    hits: FoundHits,
}

#[derive(serde::Deserialize)]
struct FoundHits {
    #[serde(default)]
    total: Value,
    hits: Vec<Hit>,
}

#[derive(serde::Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_score", default)]
    score: Option<Value>,
    #[serde(rename = "_source", default)]
    source: Option<Box<RawValue>>,
    #[serde(default)]
    highlight: Option<Value>,
}

/// Documents with every digit of their source.
#[derive(serde::Serialize)]
struct Row {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<Value>,
}

#[derive(serde::Serialize)]
struct Shaped {
    total: Value,
    rows: Vec<Row>,
}

fn hits(answer: &str) -> serde_json::Result<Box<RawValue>> {
    let found: Found = serde_json::from_str(answer)?;
    let row = |hit: Hit| Row { id: hit.id, document: hit.source, highlight: hit.highlight, score: hit.score };
    let rows = found.hits.hits.into_iter().map(row).collect();
    to_raw_value(&Shaped { total: found.hits.total["value"].clone(), rows })
}

fn buckets(aggs: &Value, names: &[String], outer: &Map<String, Value>, rows: &mut Vec<Value>) -> Result<(), String> {
    let Some((name, inner)) = names.split_first() else { return Ok(()) };
    let found = &aggs[name];
    let list = match &found["buckets"] {
        Value::Array(buckets) => buckets.iter().map(|bucket| (key_of(bucket), bucket)).collect(),
        Value::Object(buckets) => buckets.iter().map(|(key, bucket)| (json!(key), bucket)).collect(),
        // A single bucket, such as that of a filter, has no key.
        _ if found["doc_count"].is_u64() => vec![(Value::Null, found)],
        _ => return Err(format!("aggregation {name} has no buckets")),
    };
    for (key, bucket) in list {
        let mut row = outer.clone();
        if !key.is_null() {
            row.insert(name.clone(), key);
        }
        match inner {
            [] => {
                row.insert("documents".to_owned(), bucket["doc_count"].clone());
                figures(bucket, &mut row);
                rows.push(row.into());
            }
            inner => buckets(bucket, inner, &row, rows)?,
        }
    }
    Ok(())
}

fn key_of(bucket: &Value) -> Value {
    bucket.get("key_as_string").unwrap_or(&bucket["key"]).clone()
}

/// The figures of a bucket by their names; of a single bucket inside of it, how many documents it has.
fn figures(bucket: &Value, row: &mut Map<String, Value>) {
    for (name, inside) in bucket.as_object().into_iter().flatten() {
        let figure = inside.get("value").or_else(|| inside.get("values")).or_else(|| inside.get("doc_count"));
        if let Some(figure) = figure {
            row.insert(name.clone(), plain(figure));
        }
    }
}

/// A figure in one form for all servers: some write a sum of whole numbers as 142.0.
fn plain(figure: &Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match figure.as_f64() {
        Some(number) if figure.is_f64() && number.fract() == 0.0 && number.abs() < EXACT => json!(number as i64),
        _ => figure.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: &str, body: &Value, answer: &str) -> String {
        let answer = RawValue::from_string(answer.to_owned()).unwrap();
        Rows::parse(rows, body).unwrap().shape(&answer).unwrap().get().to_owned()
    }

    #[test]
    fn documents_keep_their_digits() {
        let answer = r#"{"hits":{"total":{"value":1},"hits":[{"_id":"a","_score":null,"_source":{"gmv":58960.790}}]}}"#;
        let expected = r#"{"total":1,"rows":[{"id":"a","document":{"gmv":58960.790}}]}"#;
        assert_eq!(shape("hits", &json!({}), answer), expected);
    }

    #[test]
    fn buckets_in_buckets_are_rows() {
        let body = json!({"aggs": {"day": {"aggs": {"sex": {"terms": {}}}}}});
        let answer = r#"{"hits":{"total":{"value":3}},"aggregations":{"day":{"buckets":[{"key":1,"key_as_string":"d1",
            "doc_count":3,"sex":{"buckets":[{"key":"f","doc_count":2,"spend":{"value":1.5},"sum":{"value":142.0}},{"key":"m","doc_count":1,
            "spend":{"value":null},"new":{"doc_count":1}}]}}]}}}"#;
        let expected = r#"{"total":3,"rows":[{"day":"d1","sex":"f","documents":2,"spend":1.5,"sum":142},{"day":"d1","sex":"m","documents":1,"spend":null,"new":1}]}"#;
        assert_eq!(shape("day.sex", &body, answer), expected);
        assert!(Rows::parse("day.age", &body).unwrap_err().contains("no aggregation \"age\" there"));
    }
}
