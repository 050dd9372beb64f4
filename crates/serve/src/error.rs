//! Errors as answers: `{"error": {"code": …, "message": …}, "status": …}`, the code for programs, the message for people.

use crate::answers::Failure;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Every code that an answer can hold. They are stable: programs may rely on them.
pub(crate) const CODES: &[&str] = &[
    "bad_request",
    "body_too_large",
    "circuit_breaking_exception",
    "document_not_found",
    "encoding_not_supported",
    "illegal_argument_exception",
    "index_exception",
    "index_not_found",
    "internal",
    "kind_not_found",
    "log_exception",
    "malformed_json",
    "method_not_allowed",
    "not_ready",
    "object_not_found",
    "parsing_exception",
    "path_not_found",
    "query_not_found",
    "recommendation_not_found",
    "recommendation_not_here",
    "route_not_found",
    "source_not_found",
    "store_exception",
    "timeout",
    "too_busy",
    "too_many_buckets_exception",
    "unauthorized",
];

/// An error on its way to an answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        debug_assert!(CODES.contains(&code), "every code is in the list: {code}");
        Self { status, code, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn internal() -> Self {
        let message = "this request met a fault of the server; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": { "code": self.code, "message": self.message },
            "status": self.status.as_u16(),
        });
        let mut response = (self.status, axum::Json(body)).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Who waits for a store asks again and again.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::debug!(code = failure.code, message = failure.message, "a store is away");
        } else if status.is_server_error() {
            tracing::error!(code = failure.code, message = failure.message, "a store could not answer");
        }
        Self::new(status, failure.code, failure.message)
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than this server takes")
            }
            _ => Self::bad_request(rejection.body_text()),
        }
    }
}
