//! Named queries of the job.

use super::{json, parse_object};
use crate::error::ApiError;
use crate::queries::Kind;
use crate::state::AppState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All queries with their parameters.
pub(super) async fn list(State(state): State<Arc<AppState>>) -> Json<Value> {
    let word = |kind: Kind| Kind::WORDS.iter().find(|(_, known)| *known == kind).map(|(word, _)| *word);
    let listed = state.queries.iter().map(|(name, query)| {
        let parameters = query.parameters().iter().map(|parameter| {
            serde_json::json!({ "name": parameter.name, "type": word(parameter.kind), "default": parameter.default })
        });
        serde_json::json!({ "name": name, "index": query.index, "parameters": parameters.collect::<Vec<_>>() })
    });
    Json(serde_json::json!({ "queries": listed.collect::<Vec<_>>() }))
}

/// Asks a query. Arguments come in the address, or as a JSON object in the body; those in the address win.
pub(super) async fn ask(
    State(state): State<Arc<AppState>>,
    name: Result<Path<String>, PathRejection>,
    address: Result<Query<BTreeMap<String, String>>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (Path(name), Query(mut address)) = (name?, address?);
    let query = state.query(&name)?;
    let for_people = address.remove("pretty").is_some_and(|value| value != "false");
    let mut arguments: Map<String, Value> = parse_object(&body?)?;
    arguments.extend(address.into_iter().map(|(name, value)| (name, value.into())));
    let index = state.index(&query.index)?;
    let request = query.request(&arguments)?;
    let answer = state.read(move || query.answer(index.search(&request)?)).await??;
    Ok(json(Box::<str>::from(answer).into(), for_people))
}
