//! Embedded stores and clusters as what the routes need.

use crate::answers::{Asked, Because, Document, Failure, Field, IndexInfo, Near, Neighbour, Search, SimilarPath};
use proxima_elastic::{AskError, ElasticReader};
use proxima_event::StoreError;
use proxima_graph::path::{WalkReader, WalkedTo};
use proxima_graph::{PathReader, Similar, Value as Attribute};
use proxima_publish::{Item, ListReader};
use proxima_sink::{IndexReader, SearchError};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

impl Search for IndexReader {
    fn describe(&self) -> IndexInfo {
        let fields = self.fields().map(|(name, kind)| Field { name: name.to_owned(), kind });
        IndexInfo { documents: self.count(), fields: fields.collect() }
    }

    fn search(&self, request: &Value) -> Result<Box<RawValue>, Failure> {
        let answer = Self::search(self, request)?;
        Ok(to_raw_value(&answer).expect("an answer is text, numbers and JSON"))
    }

    /// A search that shows nothing but how many match. Keys other than `query` are refused as a search refuses them.
    fn count(&self, request: &Value) -> Result<u64, Failure> {
        let mut search = json!({ "size": 0, "track_total_hits": true });
        if let (Value::Object(search), Value::Object(request)) = (&mut search, request) {
            if let Some(key) = request.keys().find(|key| *key != "query") {
                let message = format!("unknown key [{key}]: a count takes [query] alone");
                return Err(Failure { status: 400, code: "parsing_exception", message });
            }
            search.extend(request.clone());
        }
        let (total, _) = Self::search(self, &search)?.total.expect("the search asked for it");
        Ok(total)
    }

    fn document(&self, id: &str) -> Result<Option<Document>, Failure> {
        let document = self.get(id)?;
        Ok(document.map(|document| Document { id: document.id, version: document.version, source: document.source }))
    }
}

impl Search for ElasticReader {
    /// The number of documents is zero while the cluster cannot be reached.
    fn describe(&self) -> IndexInfo {
        let fields = self.fields().into_iter().map(|(name, kind)| Field { name, kind });
        IndexInfo { documents: Self::count(self, &json!({})).unwrap_or(0), fields: fields.collect() }
    }

    fn search(&self, request: &Value) -> Result<Box<RawValue>, Failure> {
        Ok(Self::search(self, request)?)
    }

    fn count(&self, request: &Value) -> Result<u64, Failure> {
        Ok(Self::count(self, request)?)
    }

    fn document(&self, id: &str) -> Result<Option<Document>, Failure> {
        let document = Self::document(self, id)?;
        Ok(document.map(|document| Document { id: document.id, version: document.version, source: document.source }))
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let code = match error.status {
            429 => "too_busy",
            400..=499 => "illegal_argument_exception",
            _ => "store_exception",
        };
        Self { status: error.status, code, message: error.reason }
    }
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        Self { status: error.status, code: error.kind, message: error.reason }
    }
}

/// A store that is away may be asked again.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let status = if error.passing { 503 } else { 500 };
        Self { status, code: "store_exception", message: error.to_string() }
    }
}

impl SimilarPath for PathReader {
    /// Pairs are their own explanation.
    fn similar(&self, id: &str, asked: Asked) -> Result<Option<Near>, Failure> {
        let similar = Self::similar(self, id, asked.n).map_err(|error| Failure {
            status: 500,
            code: "store_exception",
            message: error.to_string(),
        })?;
        Ok(similar.map(Near::from))
    }
}

impl From<Similar> for Near {
    fn from(similar: Similar) -> Self {
        let neighbour = |neighbour: proxima_graph::Neighbour| {
            let proxima_graph::Neighbour { id, score, pairs, norm, attributes } = neighbour;
            Neighbour { id, score, pairs: Some(pairs), norm: Some(norm), attributes, because: None }
        };
        let neighbours = similar.neighbours.into_iter().map(neighbour).collect();
        Self { norm: Some(similar.norm), attributes: similar.attributes, neighbours }
    }
}

impl SimilarPath for WalkReader {
    fn similar(&self, id: &str, asked: Asked) -> Result<Option<Near>, Failure> {
        let Some(walked) = self.walk(id, asked.n, asked.explain) else { return Ok(None) };
        let neighbour = |to: WalkedTo| Neighbour {
            id: to.found.name.as_ref().to_owned(),
            score: to.found.score,
            pairs: None,
            norm: None,
            attributes: document(to.attributes),
            because: to.because.map(|parts| parts.into_iter().map(part).collect()),
        };
        let neighbours = walked.neighbours.into_iter().map(neighbour).collect();
        Ok(Some(Near { norm: None, attributes: document(walked.attributes), neighbours }))
    }
}

impl SimilarPath for ListReader {
    /// The list as it was written: without attributes, and without the parts of its scores.
    fn similar(&self, id: &str, asked: Asked) -> Result<Option<Near>, Failure> {
        let items = self.read(id, asked.n)?;
        let neighbour = |item: Item| Neighbour {
            id: item.id,
            score: item.score,
            pairs: None,
            norm: None,
            attributes: None,
            because: None,
        };
        let near = |items: Vec<Item>| Near {
            norm: None,
            attributes: None,
            neighbours: items.into_iter().map(neighbour).collect(),
        };
        Ok(items.map(near))
    }
}

fn part(part: proxima_graph::path::Because) -> Because {
    let through = part.through.map(|through| through.as_ref().to_owned());
    Because { through, score: part.score, units: part.units.to_string() }
}

/// Attributes as a JSON object; nothing without any.
fn document(attributes: Vec<(String, Attribute)>) -> Option<Box<RawValue>> {
    if attributes.is_empty() {
        return None;
    }
    let value = |value| match value {
        Attribute::Null => Value::Null,
        Attribute::Bool(value) => Value::from(value),
        Attribute::Int(value) => Value::from(value),
        Attribute::Float(value) => Value::from(value),
        Attribute::Text(value) => Value::from(value.as_ref()),
    };
    let document: serde_json::Map<String, Value> =
        attributes.into_iter().map(|(name, attribute)| (name, value(attribute))).collect();
    Some(to_raw_value(&document).expect("text and numbers become JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch};
    use proxima_event::{Changes, Sink, Version};
    use proxima_sink::{IndexConfig, IndexSink};
    use std::sync::Arc;

    /// An index of three days, on the disk.
    fn daily(folder: &std::path::Path) -> IndexReader {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![14_944, 14_945, 14_946]));
        let gmv = Decimal128Array::from(vec![10_250, 1, 20_000]).with_precision_and_scale(18, 3).unwrap();
        let rows = RecordBatch::try_from_iter([("day", days), ("gmv", Arc::new(gmv) as ArrayRef)]).unwrap();
        let mut sink = IndexSink::open(folder, &IndexConfig::new("daily", rows.schema(), vec![0])).unwrap();
        sink.write(Version(7), &[Changes::inserts(rows)]).unwrap();
        sink.flush().unwrap();
        sink.reader()
    }

    #[test]
    fn an_embedded_index_answers_the_routes() {
        let folder = tempfile::tempdir().unwrap();
        let index = daily(folder.path());
        let names: Vec<String> = index.describe().fields.iter().map(|f| format!("{} {}", f.name, f.kind)).collect();
        assert_eq!(names, ["day DATE", "gmv DECIMAL(18, 3)"]);
        assert_eq!(index.describe().documents, 3);
        let search = json!({"size": 1, "sort": [{"gmv": "desc"}], "query": {"range": {"day": {"lt": "2010-12-03"}}}});
        let answer = Search::search(&index, &search).unwrap();
        assert!(answer.get().contains(r#""_source":{"day":"2010-12-01","gmv":10.250}"#), "{answer}");
        let document = index.document("2010-12-02").unwrap().unwrap();
        assert_eq!((document.version, document.source.get()), (7, r#"{"day":"2010-12-02","gmv":0.001}"#));
        assert!(index.document("1999-12-31").unwrap().is_none());
    }

    #[test]
    fn a_store_that_is_away_may_be_asked_again() {
        let failure = |passing| {
            let (store, reason) = ("redis one:6379".to_owned(), "no connection".to_owned());
            Failure::from(StoreError { tried: "read", store, reason, passing })
        };
        assert_eq!((failure(true).status, failure(false).status), (503, 500));
        assert_eq!(
            (failure(true).code, failure(true).message.as_str()),
            ("store_exception", "cannot read redis one:6379: no connection")
        );
    }

    #[test]
    fn a_count_takes_a_query_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let index = daily(folder.path());
        assert_eq!(Search::count(&index, &json!({})), Ok(3));
        assert_eq!(Search::count(&index, &json!({"query": {"range": {"gmv": {"gte": 10}}}})), Ok(2));
        let refused = Search::count(&index, &json!({"size": 1})).unwrap_err();
        assert_eq!((refused.status, refused.code), (400, "parsing_exception"));
    }

    #[test]
    fn a_refused_search_keeps_its_kind_as_code() {
        let folder = tempfile::tempdir().unwrap();
        let index = daily(folder.path());
        let refused = Search::search(&index, &json!({"colour": 1})).unwrap_err();
        assert_eq!(refused.status, 400);
        assert!(crate::error::CODES.contains(&refused.code), "{refused:?}");
        assert!(refused.message.contains("colour"), "{refused:?}");
    }
}
