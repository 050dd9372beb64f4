//! Objects that shall be forgotten.

use super::json;
use crate::answers::Failure;
use crate::error::ApiError;
use crate::forget::{ForgetRoute, Told};
use crate::ingest::{admits, bearer};
use crate::state::AppState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The parts of the longest time for a request, and how many of them are waited for: the rest is for the answer.
const PARTS: u32 = 10;
const PARTS_WAITED: u32 = 9;

/// Forgets an object, and answers when nothing is left of it; earlier only if that takes too long.
pub(super) async fn forget(
    State(state): State<Arc<AppState>>,
    address: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Path((kind, id)) = address?;
    let ForgetRoute { requests, token } = state.forget.clone().ok_or_else(|| {
        let message = "this job takes no requests to forget; write [forget] requests = true";
        ApiError::not_found("route_not_found", message)
    })?;
    if !admits(token.as_deref(), bearer(&headers)) {
        let message = "forgetting wants its token: as `authorization: Bearer …`";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
    }
    let ((durable, is_durable), (holds, is_held)) = (told(), told());
    requests.forget(&kind, &id, durable, holds);
    is_durable.await.map_err(|_| ApiError::internal())??;
    let held = tokio::time::timeout(state.limits.timeout / PARTS * PARTS_WAITED, is_held).await;
    let (status, forgotten) = match held {
        Ok(held) => {
            held.map_err(|_| ApiError::internal())??;
            (StatusCode::OK, true)
        }
        // It will be: the request is in the log.
        Err(_) => (StatusCode::ACCEPTED, false),
    };
    let answer = serde_json::json!({ "kind": kind, "id": id, "forgotten": forgotten });
    let mut response = json(answer.to_string(), false);
    *response.status_mut() = status;
    Ok(response)
}

/// Something to call, and what hears of it.
fn told() -> (Told, oneshot::Receiver<Result<(), Failure>>) {
    let (send, hear) = oneshot::channel();
    // Should the client be gone, nobody wants to hear it.
    (Box::new(move |outcome| drop(send.send(outcome))), hear)
}
