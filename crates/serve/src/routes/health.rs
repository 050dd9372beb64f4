//! Whether the process lives, whether it can be asked, and how its run goes.

use crate::error::ApiError;
use crate::metrics;
use crate::state::AppState;
use crate::status::Status;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::sync::Arc;

/// The process answers.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The run has begun and goes on.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> Result<Json<Value>, ApiError> {
    let Status { state, reason, .. } = state.status.status();
    if state.ready() {
        return Ok(Json(json!({ "status": state.name() })));
    }
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let message = format!("the run is {}{reason}", state.name());
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message))
}

/// The run in full.
pub(super) async fn status(State(state): State<Arc<AppState>>) -> Json<Status> {
    Json(state.status.status())
}

/// The run and the requests in Prometheus' text format.
pub(super) async fn metrics(State(state): State<Arc<AppState>>) -> impl IntoResponse {
    let text = metrics::render(&state.status.status(), &state.requests);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
