//! The router: which request goes to which handler, and what holds for all of them.

use crate::error::ApiError;
use crate::routes::ROUTES;
use crate::state::AppState;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

/// All routes over what `state` holds. Needs no socket: tests call it as a service.
pub fn app(state: Arc<AppState>) -> Router {
    let body_bytes = state.limits.body_bytes;
    let routes = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    routes
        .fallback(route_not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), watch))
        .with_state(state)
}

async fn route_not_found(uri: Uri) -> ApiError {
    let message = format!("there is nothing at {}; /openapi.json lists what there is", uri.path());
    ApiError::not_found("route_not_found", message)
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(cause = text, "a request panicked");
    ApiError::internal().into_response()
}

/// Answers for a handler that does not come to an end; the time includes the reading of a slow body. Counts each request by
/// its route, not by its address: names and ids would make labels without end.
async fn watch(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let (start, timeout) = (Instant::now(), state.limits.timeout);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = tokio::time::timeout(timeout, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("no answer within {timeout:?}");
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
    });
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let elapsed = start.elapsed();
    state.requests.add(route, response.status().as_u16(), elapsed);
    tracing::debug!(route, status = response.status().as_u16(), elapsed_us = elapsed.as_micros(), "answered");
    response
}
