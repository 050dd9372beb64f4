//! Paths: the neighbours of an object.

use super::json;
use crate::answers::{Asked, Near};
use crate::error::ApiError;
use crate::state::AppState;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many neighbours can be asked for at once.
const N_MAX: usize = 1_000;

/// What can be said in the address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    n: Option<usize>,
    explain: Option<bool>,
    pretty: Option<String>,
}

/// An object's neighbours, as they are told.
#[derive(Serialize)]
struct Answer<'a> {
    path: &'a str,
    id: &'a str,
    #[serde(flatten)]
    near: &'a Near,
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
    let asked = Asked { n, explain: params.explain.unwrap_or(false) };
    let near = state.read(move || reader.similar(&wanted, asked)).await??;
    let near = near
        .ok_or_else(|| ApiError::not_found("object_not_found", format!("path \"{path}\" knows no object \"{id}\"")))?;
    let for_people = params.pretty.is_some_and(|value| value != "false");
    let answer = Answer { path: &path, id: &id, near: &near };
    let text = serde_json::to_string(&answer).expect("text, numbers and JSON become JSON");
    Ok(json(text, for_people))
}
