//! Requests in the words of the embedded index, put into those of a cluster, and answers back.
//!
//! Little differs: words of a text are found in the subfield `text`; all matching documents are counted; between equals
//! documents are in the order of their ids.

use crate::mapping::{Field, Kind};
use proxima_event::Members;
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
}

impl Rewriter {
    /// The request as a cluster understands it.
    pub(crate) fn request(&self, request: &Value) -> (Value, Undo) {
        let mut body = request.clone();
        let Value::Object(members) = &mut body else {
            return (body, Undo { added: 0, sorted: true, kinds: Vec::new() });
        };
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
        let undo = self.sort(members);
        (body, undo)
    }

    fn query(&self, query: &mut Value) {
        let Value::Object(query) = query else { return };
        for (kind, body) in query {
            match kind.as_str() {
                "match" => self.rename(body),
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
        let is_text = self.fields.iter().any(|field| field.path == name && field.kind == Kind::Text);
        if is_text { name + WORDS } else { name }
    }

    fn sort(&self, members: &mut Map<String, Value>) -> Undo {
        let sorted = members.contains_key("sort");
        let mut keys = match members.remove("sort") {
            None => vec![json!({ "_score": "desc" })],
            Some(Value::Array(keys)) => keys,
            Some(key) => vec![key],
        };
        if !sorted {
            members.insert("track_scores".to_owned(), true.into());
        }
        let kinds = keys.iter().map(|key| self.kind_of(key)).collect();
        let added = self.tie_breaks.len() + usize::from(!sorted);
        keys.extend(self.tie_breaks.iter().map(|field| json!({ field: "asc" })));
        members.insert("sort".to_owned(), keys.into());
        Undo { added, sorted, kinds }
    }

    fn kind_of(&self, key: &Value) -> Kind {
        let named = match key {
            Value::Object(members) => members.keys().next().map(String::as_str),
            key => key.as_str(),
        };
        let named = named.map(|name| name.strip_suffix(".keyword").unwrap_or(name));
        let field = self.fields.iter().find(|field| Some(field.path.as_str()) == named);
        field.map_or(Kind::Plain, |field| field.kind)
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
            *hits = to_raw_value(&outer)?;
        }
        to_raw_value(&answer)
    }

    fn hit(&self, hit: &mut Parts, undo: &Undo) -> serde_json::Result<()> {
        hit.0.retain(|(name, _)| name != "_type" && (undo.sorted || name != "sort"));
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
            fields: vec![field("name", Kind::Text), field("price", Kind::Plain), field("sold", Kind::Truth)],
            tie_breaks: vec!["_id".to_owned()],
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
        let (body, _) = rewriter().request(&request);
        let expected = json!({
            "query": {"bool": {"must": {"match": {"name.text": {"query": "red"}}}, "filter": [{"match": {"price": 3}}]}},
            "aggs": {"some": {"filter": {"match": {"name.text": "x"}}, "aggs": {"n": {"filter": {"term": {"name": "y"}}}}}},
            "highlight": {"fields": {"name.text": {}}},
            "sort": ["price", {"_id": "asc"}],
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
        let (_, undo) = rewriter().request(&json!({}));
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        let expected = concat!(
            r#"{"took":1,"hits":{"total":{"value":1,"relation":"eq"},"hits":[{"_index":"a","_id":"1","#,
            r#""_score":0.5,"_source":{"gmv":58960.790},"highlight":{"name":["<em>red</em>"]}}]}}"#
        );
        assert_eq!(shown.get(), expected);
        let (_, undo) = rewriter().request(&json!({"sort": [{"price": "desc"}]}));
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        assert!(shown.get().contains(r#""sort":[0.5]"#), "{shown}");
        let answer = r#"{"hits":{"hits":[{"_id":"1","sort":[1,"1"]}]}}"#;
        let (_, undo) = rewriter().request(&json!({"sort": "sold"}));
        let shown = rewriter().answer(answer.as_bytes(), &undo).unwrap();
        assert_eq!(shown.get(), r#"{"hits":{"hits":[{"_id":"1","sort":[true]}]}}"#);
    }
}
