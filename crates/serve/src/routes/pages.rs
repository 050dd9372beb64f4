//! Pages that are files in the binary: the dashboard and the OpenAPI document.

use axum::http::header;
use axum::response::IntoResponse;

/// The document that describes all routes.
pub(crate) const OPENAPI: &str = include_str!("../../assets/openapi.json");
const DASHBOARD: &str = include_str!("../../assets/dashboard.html");

/// What the dashboard may load: itself, and answers of this server.
const POLICY: &str = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A page that shows the run and its indexes.
pub(super) async fn dashboard() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, DASHBOARD)
}

/// The OpenAPI document.
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
