//! The embedded stores as what the routes need.

use crate::answers::{Document, Failure, Field, IndexInfo, Search, SimilarPath};
use proxima_graph::{PathReader, Similar};
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

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        Self { status: error.status, code: error.kind, message: error.reason }
    }
}

impl SimilarPath for PathReader {
    fn similar(&self, id: &str, n: usize) -> Result<Option<Similar>, Failure> {
        Self::similar(self, id, n).map_err(|error| Failure {
            status: 500,
            code: "store_exception",
            message: error.to_string(),
        })
    }
}
