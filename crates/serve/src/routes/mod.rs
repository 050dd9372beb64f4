//! The handlers, and the table of routes that the router and the test of the OpenAPI document share.

mod health;
mod indexes;
mod ingest;
mod objects;
mod once;
mod pages;
mod queries;
pub(crate) mod recommend;
mod similar;
mod told;

use crate::error::ApiError;
use crate::pretty::pretty;
use crate::state::AppState;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use once::OnceEach;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One route.
pub(crate) struct Route {
    /// The path, in the router's words.
    pub(crate) path: &'static str,
    /// The methods that it takes.
    #[cfg_attr(not(test), expect(dead_code, reason = "the test of the OpenAPI document reads it"))]
    pub(crate) methods: &'static [&'static str],
    /// What answers.
    pub(crate) handler: fn() -> MethodRouter<Arc<AppState>>,
}

const DELETE: &[&str] = &["delete"];
const GET: &[&str] = &["get"];
const GET_POST: &[&str] = &["get", "post"];
const OPTIONS_POST: &[&str] = &["options", "post"];

/// All routes. Ids are wildcards: they may hold slashes.
pub(crate) const ROUTES: &[Route] = &[
    Route { path: "/", methods: GET, handler: || get(pages::dashboard) },
    Route { path: "/healthz", methods: GET, handler: || get(health::healthz) },
    Route { path: "/readyz", methods: GET, handler: || get(health::readyz) },
    Route { path: "/metrics", methods: GET, handler: || get(health::metrics) },
    Route { path: "/openapi.json", methods: GET, handler: || get(pages::openapi) },
    Route { path: "/v1/status", methods: GET, handler: || get(health::status) },
    Route { path: "/v1/indexes", methods: GET, handler: || get(indexes::list) },
    Route {
        path: "/v1/indexes/{name}/_search",
        methods: GET_POST,
        handler: || get(indexes::search).post(indexes::search),
    },
    Route {
        path: "/v1/indexes/{name}/_count",
        methods: GET_POST,
        handler: || get(indexes::count).post(indexes::count),
    },
    Route { path: "/v1/indexes/{name}/_doc/{*id}", methods: GET, handler: || get(indexes::document) },
    Route { path: "/v1/queries", methods: GET, handler: || get(queries::list) },
    Route { path: "/v1/queries/{name}", methods: GET_POST, handler: || get(queries::ask).post(queries::ask) },
    Route {
        path: "/v1/ingest/{name}",
        methods: OPTIONS_POST,
        handler: || post(ingest::post).options(ingest::preflight),
    },
    Route { path: "/v1/objects/{kind}/{*id}", methods: DELETE, handler: || delete(objects::forget) },
    Route {
        path: "/v1/recommend/{name}/{*object}",
        methods: GET_POST,
        handler: || get(recommend::recommend).post(recommend::recommend),
    },
    Route {
        path: "/v1/explain/{name}/{object}/{*item}",
        methods: GET_POST,
        handler: || get(recommend::explain).post(recommend::explain),
    },
    Route { path: "/v1/splits/{name}", methods: GET_POST, handler: || get(recommend::split).post(recommend::switch) },
    Route { path: "/v1/similar/{path}/{*id}", methods: GET, handler: || get(similar::similar) },
];

/// JSON text as an answer, laid out for people if they asked for it.
fn json(text: String, for_people: bool) -> Response {
    json_of(if for_people { pretty(&text) } else { text })
}

/// JSON text as it is.
fn json_of(text: impl Into<Body>) -> Response {
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    response.body(text.into()).expect("the only header is a constant")
}

/// The body as a JSON object. No body asks for everything.
fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let malformed = |message| ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", message);
    match serde_json::from_slice(body).map(|OnceEach(value)| value) {
        Ok(Value::Object(request)) => Ok(request),
        Ok(_) => Err(malformed("the body must be a JSON object".to_owned())),
        Err(error) => Err(malformed(format!("the body is not JSON: {error}"))),
    }
}
