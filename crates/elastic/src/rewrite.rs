//! Requests in the words of the embedded index, put into those of a cluster, and answers back.
//!
//! Little differs: words of a text are found in the subfield `text`; a month or a year is the whole of it; all matching
//! documents are counted; between equals documents are in the order of their ids; and parts of a source are taken out of it
//! here, since clusters write its numbers anew when they do so.

use crate::mapping::{Field, Kind};
use chrono::{DateTime, SecondsFormat};
use proxima_event::{Members, Shown};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

/// The subfield that holds a text's words.
const WORDS: &str = ".text";

/// What is known of an index, for rewriting.
#[derive(Clone, Debug)]
pub(crate) struct Rewriter {
    pub(crate) fields: Vec<Field>,
    /// What breaks ties between documents.
    pub(crate) tie_breaks: Vec<String>,
    /// Whether sorts by [units](Kind::Units) are right only where scores are asked for.
    pub(crate) scores_units: bool,
}

/// What must be undone in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undo {
    /// How many values of `sort` the request did not ask for.
    added: usize,
    /// Whether it asked for any.
    sorted: bool,
    /// What those that it asked for are sorted by.
    kinds: Vec<Kind>,
    /// Whether it did not ask for the scores that come.
    scored: bool,
    /// What it shows of the sources.
    shown: Shown,
}

impl Rewriter {
    /// The request as a cluster understands it.
    ///
    /// # Errors
    /// When it says of the sources what nobody understands.
    pub(crate) fn request(&self, request: &Value) -> Result<(Value, Undo), String> {
        let mut body = request.clone();
        let Value::Object(members) = &mut body else {
            let undo = Undo { added: 0, sorted: true, kinds: Vec::new(), scored: false, shown: Shown::All };
            return Ok((body, undo));
        };
        let shown = members.get("_source").map_or(Ok(Shown::All), Shown::parse)?;
        if matches!(shown, Shown::Some(..)) {
            members.insert("_source".to_owned(), true.into());
        }
        if let Some(query) = members.get_mut("query") {
            self.query(query);
        }
        for name in ["aggs", "aggregations"] {
            if let Some(aggs) = members.get_mut(name) {
                self.aggregations(aggs);
            }
        }
        if let Some(highlight) = members.get_mut("highlight") {
            self.highlight(highlight);
        }
        members.entry("track_total_hits").or_insert(true.into());
        let undo = self.sort(members, shown);
        Ok((body, undo))
    }

    fn query(&self, query: &mut Value) {
        let Value::Object(query) = query else { return };
        for (kind, body) in query {
            match kind.as_str() {
                "match" => {
                    self.moments(body);
                    self.rename(body);
                }
                "term" | "terms" | "range" => self.moments(body),
                "bool" => self.clauses(body),
                "constant_score" => body.get_mut("filter").into_iter().for_each(|inner| self.query(inner)),
                _ => {}
            }
        }
    }

    fn clauses(&self, body: &mut Value) {
        for part in ["must", "filter", "should", "must_not"] {
            match body.get_mut(part) {
                Some(Value::Array(queries)) => queries.iter_mut().for_each(|query| self.query(query)),
                Some(query) => self.query(query),
                None => {}
            }
        }
    }

    fn aggregations(&self, aggs: &mut Value) {
        let Value::Object(aggs) = aggs else { return };
        for (_, body) in aggs {
            let Value::Object(members) = body else { continue };
            for (member, body) in members {
                match member.as_str() {
                    "aggs" | "aggregations" => self.aggregations(body),
                    "filter" => self.query(body),
                    _ => {}
                }
            }
        }
    }

    /// Members that name days and moments have them in the clusters' words.
    fn moments(&self, body: &mut Value) {
        let Value::Object(members) = body else { return };
        for (name, value) in members {
            if self.kind(name) == Kind::Moment {
                spell_moments(value);
            }
        }
    }

    fn highlight(&self, highlight: &mut Value) {
        if let Some(fields) = highlight.get_mut("fields") {
            self.rename(fields);
        }
    }

    /// Members that name a text stand for its words.
    fn rename(&self, body: &mut Value) {
        let Value::Object(members) = body else { return };
        let renamed = std::mem::take(members).into_iter().map(|(name, value)| (self.words_of(name), value));
        *members = renamed.collect::<Map<_, _>>();
    }

    fn words_of(&self, name: String) -> String {
        if self.kind(&name) == Kind::Text { name + WORDS } else { name }
    }

    fn kind(&self, path: &str) -> Kind {
        self.fields.iter().find(|field| field.path == path).map_or(Kind::Plain, |field| field.kind)
    }

    fn sort(&self, members: &mut Map<String, Value>, shown: Shown) -> Undo {
        let sorted = members.contains_key("sort");
        let mut keys = match members.remove("sort") {
            None => vec![json!({ "_score": "desc" })],
            Some(Value::Array(keys)) => keys,
            Some(key) => vec![key],
        };
        let kinds: Vec<Kind> = keys.iter().map(|key| self.kind_of(key)).collect();
        let by_score = keys.iter().any(|key| named(key) == Some("_score"));
        let units = self.scores_units && kinds.contains(&Kind::Units);
        let scored = units && !by_score && members.get("track_scores") != Some(&true.into());
        if units || by_score {
            members.insert("track_scores".to_owned(), true.into());
        }
        let added = self.tie_breaks.len() + usize::from(!sorted);
        keys.extend(self.tie_breaks.iter().map(|field| json!({ field: "asc" })));
        members.insert("sort".to_owned(), keys.into());
        Undo { added, sorted, kinds, scored, shown }
    }

    fn kind_of(&self, key: &Value) -> Kind {
        named(key).map_or(Kind::Plain, |name| self.kind(name.strip_suffix(".keyword").unwrap_or(name)))
    }

    /// An answer as the embedded index gives it.
    pub(crate) fn answer(&self, text: &[u8], undo: &Undo) -> serde_json::Result<Box<RawValue>> {
        let mut answer: Parts = serde_json::from_slice(text)?;
        if let Some(hits) = answer.get_mut("hits") {
            let mut outer: Parts = serde_json::from_str(hits.get())?;
            if let Some(inner) = outer.get_mut("hits") {
                let mut found: Vec<Parts> = serde_json::from_str(inner.get())?;
                found.iter_mut().try_for_each(|hit| self.hit(hit, undo))?;
                *inner = to_raw_value(&found)?;
            }
            if undo.scored
                && let Some(score) = outer.get_mut("max_score")
            {
                *score = to_raw_value(&())?;
            }
            *hits = to_raw_value(&outer)?;
        }
        to_raw_value(&answer)
    }

    fn hit(&self, hit: &mut Parts, undo: &Undo) -> serde_json::Result<()> {
        hit.0.retain(|(name, _)| name != "_type" && (undo.sorted || name != "sort"));
        if let Shown::Some(..) = &undo.shown
            && let Some(source) = hit.get_mut("_source")
            && let Some(shown) = undo.shown.apply(source.clone())
        {
            *source = shown;
        }
        if undo.scored
            && let Some(score) = hit.get_mut("_score")
        {
            *score = to_raw_value(&())?;
        }
        if let Some(sort) = hit.get_mut("sort") {
            let mut values: Vec<Box<RawValue>> = serde_json::from_str(sort.get())?;
            values.truncate(values.len().saturating_sub(undo.added));
            for (value, kind) in values.iter_mut().zip(&undo.kinds) {
                *value = RawValue::from_string(sort_value(*kind, value.get()).to_owned())?;
            }
            *sort = to_raw_value(&values)?;
        }
        if let Some(highlight) = hit.get_mut("highlight") {
            let mut fields: Parts = serde_json::from_str(highlight.get())?;
            for (name, _) in &mut fields.0 {
                if let Some(path) = name.strip_suffix(WORDS) {
                    *name = path.to_owned();
                }
            }
            *highlight = to_raw_value(&fields)?;
        }
        Ok(())
    }
}

/// What a key of `sort` names.
fn named(key: &Value) -> Option<&str> {
    match key {
        Value::Object(members) => members.keys().next().map(String::as_str),
        key => key.as_str(),
    }
}

/// Moments as a cluster takes them for what they are in the embedded index: a month or a year is all of it, and a number is
/// milliseconds, never a year.
fn spell_moments(value: &mut Value) {
    let moment = |ms| Some(DateTime::from_timestamp_millis(ms)?.to_rfc3339_opts(SecondsFormat::Millis, true));
    match value {
        Value::String(text) => {
            let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
            let (year, month) = text.split_once('-').unwrap_or((text, "01"));
            if digits(year, 4) && digits(month, 2) {
                text.push_str(if text.len() == 4 { "||/y" } else { "||/M" });
            } else if let Some(moment) = text.parse().ok().and_then(moment) {
                *text = moment;
            }
        }
        Value::Number(number) => {
            if let Some(moment) = number.as_i64().and_then(moment) {
                *value = moment.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(spell_moments),
        Value::Object(members) if !members.contains_key("format") => {
            for name in ["value", "query", "gte", "gt", "lte", "lt"] {
                members.get_mut(name).into_iter().for_each(spell_moments);
            }
        }
        _ => {}
    }
}

/// A value of `sort` as the embedded index shows it: the servers say 1 for true, and the greatest or smallest number
/// where there is no value.
fn sort_value(kind: Kind, shown: &str) -> &str {
    match (kind, shown) {
        (Kind::Text, shown) => shown,
        (_, "9223372036854775807" | "-9223372036854775808" | "\"Infinity\"" | "\"-Infinity\"") => "null",
        (Kind::Truth, "0") => "false",
        (Kind::Truth, "1") => "true",
        (Kind::Truth, _) => "null",
        (_, shown) => shown,
    }
}

/// The members of an object, values as they are written: no digit is lost.
type Parts = Members<Box<RawValue>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriter() -> Rewriter {
        let field = |path: &str, kind| Field { path: path.to_owned(), sql: String::new(), kind };
        Rewriter {
            fields: vec![
                field("name", Kind::Text),
                field("price", Kind::Units),
                field("sold", Kind::Truth),
                field("day", Kind::Moment),
            ],
            tie_breaks: vec!["_id".to_owned()],
            scores_units: true,
        }
    }

    #[test]
    fn words_are_looked_for_where_they_are() {
        let request = json!({
            "query": {"bool": {"must": {"match": {"name": {"query": "red"}}}, "filter": [{"match": {"price": 3}}]}},
            "aggs": {"some": {"filter": {"match": {"name": "x"}}, "aggs": {"n": {"filter": {"term": {"name": "y"}}}}}},
            "highlight": {"fields": {"name": {}}},
            "sort": "price",
        });
        let (body, _) = rewriter().request(&request).unwrap();
        let expected = json!({
            "query": {"bool": {"must": {"match": {"name.text": {"query": "red"}}}, "filter": [{"match": {"price": 3}}]}},
            "aggs": {"some": {"filter": {"match": {"name.text": "x"}}, "aggs": {"n": {"filter": {"term": {"name": "y"}}}}}},
            "highlight": {"fields": {"name.text": {}}},
            "sort": ["price", {"_id": "asc"}],
            "track_scores": true,
            "track_total_hits": true,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn answers_lose_what_was_added_and_no_digit() {
        let answer = concat!(
            r#"{"took":1,"hits":{"total":{"value":1,"relation":"eq"},"hits":[{"_index":"a","_type":"_doc","_id":"1","#,
            r#""_score":0.5,"_source":{"gmv":58960.790},"highlight":{"name.text":["<em>red</em>"]},"sort":[0.5,"1"]}]}}"#
        );
        let (_, undo) = rewriter().request(&json!({})).unwrap();
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        let expected = concat!(
            r#"{"took":1,"hits":{"total":{"value":1,"relation":"eq"},"hits":[{"_index":"a","_id":"1","#,
            r#""_score":0.5,"_source":{"gmv":58960.790},"highlight":{"name":["<em>red</em>"]}}]}}"#
        );
        assert_eq!(shown.get(), expected);
        let (_, undo) = rewriter().request(&json!({"sort": [{"price": "desc"}]})).unwrap();
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        assert!(shown.get().contains(r#""sort":[0.5]"#), "{shown}");
        assert!(shown.get().contains(r#""_score":null"#), "{shown}");
        let (body, undo) = rewriter().request(&json!({"_source": ["gmv"]})).unwrap();
        assert_eq!(body["_source"], true);
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        assert!(shown.get().contains(r#""_source":{"gmv":58960.790}"#), "{shown}");
        assert!(rewriter().request(&json!({"_source": 7})).is_err());
        let answer = r#"{"hits":{"hits":[{"_id":"1","sort":[1,"1"]}]}}"#;
        let (_, undo) = rewriter().request(&json!({"sort": "sold"})).unwrap();
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        assert_eq!(shown.get(), r#"{"hits":{"hits":[{"_id":"1","sort":[true]}]}}"#);
    }

    #[test]
    fn moments_are_what_they_are_in_the_embedded_index() {
        let request = json!({"query": {"bool": {
            "filter": [{"range": {"day": {"gte": "2024", "lt": "2024-03", "boost": 2}}}, {"term": {"day": {"value": "2024-02"}}}],
            "must_not": {"terms": {"day": ["2024-02-01", "2023", -86_400_000, 2024, "-1"]}},
            "should": [{"match": {"day": "2024-02"}}, {"term": {"name": "2024"}}],
        }}});
        let (body, _) = rewriter().request(&request).unwrap();
        let expected = json!({"bool": {
            "filter": [
                {"range": {"day": {"gte": "2024||/y", "lt": "2024-03||/M", "boost": 2}}},
                {"term": {"day": {"value": "2024-02||/M"}}},
            ],
            "must_not": {"terms": {"day": [
                "2024-02-01", "2023||/y", "1969-12-31T00:00:00.000Z", "1970-01-01T00:00:02.024Z", "1969-12-31T23:59:59.999Z",
            ]}},
            "should": [{"match": {"day": "2024-02||/M"}}, {"term": {"name": "2024"}}],
        }});
        assert_eq!(body["query"], expected);
    }
}
