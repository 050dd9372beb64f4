//! Paths: the neighbours of an object.

use super::json;
use crate::error::ApiError;
use crate::state::AppState;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use proxima_graph::{Neighbour, Similar};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// How many neighbours can be asked for at once.
const N_MAX: usize = 1_000;

/// What can be said in the address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    n: Option<usize>,
    pretty: Option<String>,
}

/// An object's neighbours, as they are told.
#[derive(Serialize)]
struct Answer<'a> {
    path: &'a str,
    id: &'a str,
    norm: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
    neighbours: &'a [Neighbour],
}

/// The best neighbours of an object.
pub(super) async fn similar(
    State(state): State<Arc<AppState>>,
    address: Result<Path<(String, String)>, PathRejection>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Response, ApiError> {
    let (Path((path, id)), Query(params)) = (address?, params?);
    let n = params.n.unwrap_or(10);
    if !(1..=N_MAX).contains(&n) {
        return Err(ApiError::bad_request(format!("n is {n}; it must be from 1 to {N_MAX}")));
    }
    let reader = state.path(&path)?;
    let wanted = id.clone();
    let similar = state.read(move || reader.similar(&wanted, n)).await??;
    let similar = similar
        .ok_or_else(|| ApiError::not_found("object_not_found", format!("path \"{path}\" knows no object \"{id}\"")))?;
    let for_people = params.pretty.is_some_and(|value| value != "false");
    Ok(json(text(&path, &similar), for_people))
}

fn text(path: &str, similar: &Similar) -> String {
    let Similar { id, norm, attributes, neighbours } = similar;
    let answer = Answer { path, id, norm: *norm, attributes: attributes.as_deref(), neighbours };
    serde_json::to_string(&answer).expect("text, numbers and JSON become JSON")
}
