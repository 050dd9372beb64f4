//! Indexes: what there is, searches in Elasticsearch's words, counts, single documents.

use super::{json, parse_object};
use crate::answers::IndexInfo;
use crate::error::ApiError;
use crate::state::AppState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// An index, as the list shows it.
#[derive(Serialize)]
struct Listed {
    name: String,
    #[serde(flatten)]
    info: IndexInfo,
}

/// What can be said in the address. Anything else is refused: a part that is silently ignored makes a wrong answer
/// look right.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    from: Option<u64>,
    size: Option<u64>,
    pretty: Option<String>,
}

/// The same where there is no page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pretty: Option<String>,
}

/// `?pretty` and `?pretty=true`, as Elasticsearch has it.
fn for_people(pretty: Option<&str>) -> bool {
    pretty.is_some_and(|value| value != "false")
}

type Named<T> = Result<Path<T>, PathRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// All indexes with their fields.
pub(super) async fn list(State(state): State<Arc<AppState>>) -> Result<Json<Value>, ApiError> {
    let indexes = state.indexes.clone();
    let describe = move || indexes.into_iter().map(|(name, index)| Listed { name, info: index.describe() }).collect();
    let listed: Vec<Listed> = state.read(describe).await?;
    Ok(Json(serde_json::json!({ "indexes": listed })))
}

/// A search.
pub(super) async fn search(
    State(state): State<Arc<AppState>>,
    name: Named<String>,
    params: Asked<Params>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (Path(name), Query(params)) = (name?, params?);
    let index = state.index(&name)?;
    let mut request = parse_object(&body?)?;
    let for_people = for_people(params.pretty.as_deref());
    for (key, number) in [("from", params.from), ("size", params.size)] {
        if let Some(number) = number {
            request.insert(key.to_owned(), number.into());
        }
    }
    let answer = state.read(move || index.search(&Value::Object(request))).await??;
    Ok(json(Box::<str>::from(answer).into(), for_people))
}

/// How many documents match.
pub(super) async fn count(
    State(state): State<Arc<AppState>>,
    name: Named<String>,
    params: Asked<Shape>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (Path(name), Query(params)) = (name?, params?);
    let index = state.index(&name)?;
    let request = Value::Object(parse_object(&body?)?);
    let count = state.read(move || index.count(&request)).await??;
    Ok(json(serde_json::json!({ "count": count }).to_string(), for_people(params.pretty.as_deref())))
}

/// A document in Elasticsearch's shape.
#[derive(Serialize)]
struct Found<'a> {
    _index: &'a str,
    _id: &'a str,
    _version: u64,
    found: bool,
    _source: &'a RawValue,
}

/// One document by its id.
pub(super) async fn document(
    State(state): State<Arc<AppState>>,
    address: Named<(String, String)>,
    params: Asked<Shape>,
) -> Result<Response, ApiError> {
    let (Path((name, id)), Query(params)) = (address?, params?);
    let index = state.index(&name)?;
    let wanted = id.clone();
    let document = state.read(move || index.document(&wanted)).await??;
    let Some(document) = document else {
        let message = format!("index \"{name}\" has no document \"{id}\"");
        return Err(ApiError::not_found("document_not_found", message));
    };
    let found =
        Found { _index: &name, _id: &document.id, _version: document.version, found: true, _source: &document.source };
    let text = serde_json::to_string(&found).expect("text, numbers and JSON become JSON");
    Ok(json(text, for_people(params.pretty.as_deref())))
}
