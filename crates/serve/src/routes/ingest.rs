//! Records that clients post to a source, also straight from web pages.
//!
//! A page's beacon can set no header: its body is `text/plain`, and its token stands in the address.

use crate::error::ApiError;
use crate::ingest::{IngestRoute, Ingested, bearer};
use crate::state::AppState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::oneshot;

/// By what a request is known again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a browser need not ask again, in seconds.
const PREFLIGHT_S: HeaderValue = HeaderValue::from_static("86400");

/// What can be said in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    token: Option<String>,
}

type Name = Result<Path<String>, PathRejection>;

/// Takes records, and answers when they are durable.
pub(super) async fn post(
    State(state): State<Arc<AppState>>,
    name: Name,
    params: Result<Query<Params>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let route = state.ingest(&name)?;
    let taken = match params {
        Ok(Query(params)) => take(&route, params.token.as_deref(), &headers, body).await,
        Err(rejection) => Err(rejection.into()),
    };
    let response = match taken {
        Ok(Ingested { records, duplicate }) => {
            Json(json!({ "records": records, "duplicate": duplicate })).into_response()
        }
        Err(error) => error.into_response(),
    };
    // Errors too: without it a page could not read why.
    Ok(allow(response, &route, &headers))
}

async fn take(
    route: &IngestRoute,
    token: Option<&str>,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Ingested, ApiError> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if !route.admits(bearer(headers).or(token)) {
        let message = "this source wants its token: as `authorization: Bearer …`, or for beacons as `?token=…`";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
    }
    refuse_encoded(headers)?;
    if headers.contains_key(&IDEMPOTENCY_KEY) && text(IDEMPOTENCY_KEY).is_none() {
        return Err(ApiError::bad_request("an idempotency key is plain text"));
    }
    let (send, answered) = oneshot::channel();
    // Should the client be gone, nobody wants to hear it.
    let answer = Box::new(move |outcome| drop(send.send(outcome)));
    route.log.accept(&body?, text(IDEMPOTENCY_KEY).unwrap_or_default(), answer);
    Ok(answered.await.map_err(|_| ApiError::internal())??)
}

/// Refuses a body that is packed: it would only look like bad JSON.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), ApiError> {
    let words = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter().map(words);
    match encodings.find(|encoding| !matches!(encoding.as_str(), "" | "identity")) {
        None => Ok(()),
        Some(encoding) => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoding_not_supported",
            format!("a body with content-encoding {encoding} is not taken: send it as it is, without compression"),
        )),
    }
}

/// Says to a browser what its pages may send.
pub(super) async fn preflight(
    State(state): State<Arc<AppState>>,
    name: Name,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let route = state.ingest(&name)?;
    let mut response = allow(StatusCode::NO_CONTENT.into_response(), &route, &headers);
    let told = response.headers_mut();
    told.insert(header::ALLOW, HeaderValue::from_static("OPTIONS, POST"));
    if told.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        let names = HeaderValue::from_static("authorization, content-type, idempotency-key");
        told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        told.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S);
    }
    Ok(response)
}

/// Lets a page of an allowed origin read the answer.
fn allow(mut response: Response, route: &IngestRoute, headers: &HeaderMap) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    let allowed = |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| route.allows(origin));
    let origin = headers.get(header::ORIGIN).filter(allowed);
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    response
}
