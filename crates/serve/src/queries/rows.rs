//! Answers as plain rows: the found documents, or the buckets of aggregations.

use proxima_event::Members;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::LazyLock;

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
                let answer: Json = serde_json::from_str(answer.get()).map_err(|error| error.to_string())?;
                let mut rows = Vec::new();
                buckets(answer.get("aggregations"), names, &Members::default(), &mut rows)?;
                let total = answer.get("hits").get("total").get("value").clone();
                let shaped = Members(vec![("total".to_owned(), total), ("rows".to_owned(), Json::List(rows))]);
                Ok(to_raw_value(&shaped).expect("values become JSON"))
            }
        }
    }
}

/// JSON whose numbers keep every digit.
#[derive(Clone, Debug)]
enum Json {
    Object(Members<Json>),
    List(Vec<Json>),
    /// Anything else, as it is written.
    Plain(Box<RawValue>),
}

impl Json {
    /// A member of an object; null where there is none.
    fn get(&self, name: &str) -> &Self {
        static NULL: LazyLock<Json> = LazyLock::new(|| Json::plain("null"));
        match self {
            Self::Object(members) => members.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    fn plain(text: &str) -> Self {
        Self::Plain(RawValue::from_string(text.to_owned()).expect("the text is JSON"))
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if text.get() == "null")
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?;
        let read = match text.get().as_bytes().first() {
            Some(b'{') => serde_json::from_str(text.get()).map(Self::Object),
            Some(b'[') => serde_json::from_str(text.get()).map(Self::List),
            _ => Ok(Self::Plain(text.to_owned())),
        };
        read.map_err(D::Error::custom)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(members) => members.serialize(serializer),
            Self::List(values) => values.serialize(serializer),
            Self::Plain(text) => text.serialize(serializer),
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

fn buckets(aggs: &Json, names: &[String], outer: &Members<Json>, rows: &mut Vec<Json>) -> Result<(), String> {
    let Some((name, inner)) = names.split_first() else { return Ok(()) };
    let found = aggs.get(name);
    let list = match found.get("buckets") {
        Json::List(buckets) => buckets.iter().map(|bucket| (key_of(bucket), bucket)).collect(),
        Json::Object(buckets) => {
            let text = |key: &String| Json::Plain(to_raw_value(key).expect("a string is JSON"));
            buckets.0.iter().map(|(key, bucket)| (text(key), bucket)).collect()
        }
        // A single bucket, such as that of a filter, has no key.
        Json::Plain(_) if !found.get("doc_count").is_null() => vec![(Json::plain("null"), found)],
        Json::Plain(_) => return Err(format!("aggregation {name} has no buckets")),
    };
    for (key, bucket) in list {
        let mut row = outer.clone();
        if !key.is_null() {
            row.insert(name.clone(), key);
        }
        match inner {
            [] => {
                row.insert("documents".to_owned(), bucket.get("doc_count").clone());
                figures(bucket, &mut row);
                rows.push(Json::Object(row));
            }
            inner => buckets(bucket, inner, &row, rows)?,
        }
    }
    Ok(())
}

fn key_of(bucket: &Json) -> Json {
    match bucket.get("key_as_string") {
        text if !text.is_null() => text.clone(),
        _ => bucket.get("key").clone(),
    }
}

/// The figures of a bucket by their names (those of `stats` as an object); of a single bucket inside of it, how many
/// documents it has.
fn figures(bucket: &Json, row: &mut Members<Json>) {
    let Json::Object(members) = bucket else { return };
    for (name, inside) in &members.0 {
        let Json::Object(parts) = inside else { continue };
        let figure = ["value", "values", "doc_count"].iter().find_map(|part| parts.get(part));
        let is_stats = || parts.get("count").is_some() && parts.get("sum").is_some();
        if let Some(figure) = figure.or_else(|| is_stats().then_some(inside)) {
            row.insert(name.clone(), plain(figure));
        }
    }
}

/// A figure in one form for all servers: some write a sum of whole numbers as 142.0.
fn plain(figure: &Json) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match figure {
        Json::Object(parts) => Json::Object(parts.0.iter().map(|(name, part)| (name.clone(), plain(part))).collect()),
        Json::List(parts) => Json::List(parts.iter().map(plain).collect()),
        Json::Plain(text) => match text.get().parse::<f64>() {
            Ok(number) if number.fract() == 0.0 && number.abs() < EXACT => Json::plain(&(number as i64).to_string()),
            _ => figure.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let body = json!({"aggs": {"by": {"terms": {}}}});
        let answer = r#"{"hits":{"total":{"value":3}},"aggregations":{"by":{"buckets":[{"key":-9999999999999999.99,"doc_count":3,
            "sum":{"value":23580246791358047.39},"all":{"count":2,"min":1.0,"max":null,"avg":0.5,"sum":1.0},
            "half":{"values":{"50.0":7.25}}}]}}}"#;
        let expected = r#"{"total":3,"rows":[{"by":-9999999999999999.99,"documents":3,"sum":23580246791358047.39,"all":{"count":2,"min":1,"max":null,"avg":0.5,"sum":1},"half":{"50.0":7.25}}]}"#;
        assert_eq!(shape("by", &body, answer), expected, "every digit and every figure");
        let body = json!({"aggs": {"day": {"aggs": {"sex": {"terms": {}}}}}});
        assert!(Rows::parse("day.age", &body).unwrap_err().contains("no aggregation \"age\" there"));
    }
}
