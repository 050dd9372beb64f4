//! Every route and every error, without a socket.

use crate::error::CODES;
use crate::queries::{Kind, NamedQuery, Parameter};
use crate::routes::ROUTES;
use crate::{
    AppState, Asked, Because, Document, Failure, Field, Forget, ForgetRoute, IndexInfo, Ingest, IngestAnswer,
    IngestRoute, Ingested, Limits, Near, Neighbour, RunState, Search, SimilarPath, SourceStatus, Status, Told, app,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

/// Answers with the request itself, so that a test sees what arrived.
struct Echo;

impl Search for Echo {
    fn describe(&self) -> IndexInfo {
        IndexInfo { documents: 2, fields: vec![Field { name: "day".into(), kind: "DATE".into() }] }
    }

    fn search(&self, request: &Value) -> Result<Box<RawValue>, Failure> {
        if request.get("panic").is_some() {
            panic!("the test asked for it");
        }
        if request.get("colour").is_some() {
            let message = "unknown key [colour]".to_owned();
            return Err(Failure { status: 400, code: "parsing_exception", message });
        }
        Ok(raw(&format!("{{\"exact\":1.2300,\"request\":{request}}}")))
    }

    fn count(&self, request: &Value) -> Result<u64, Failure> {
        Ok(if request.get("query").is_some() { 1 } else { 2 })
    }

    fn document(&self, id: &str) -> Result<Option<Document>, Failure> {
        let source = raw("{\"gmv\":10.250}");
        Ok(id.starts_with("2010").then(|| Document { id: id.to_owned(), version: 7, source }))
    }
}

/// Says that it was called, then waits for a word.
struct Slow {
    called: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Search for Slow {
    fn describe(&self) -> IndexInfo {
        IndexInfo::default()
    }

    fn search(&self, _: &Value) -> Result<Box<RawValue>, Failure> {
        self.called.send(()).expect("the test listens");
        let _ = self.go.lock().unwrap().recv();
        Ok(raw("{}"))
    }

    fn count(&self, _: &Value) -> Result<u64, Failure> {
        Ok(0)
    }

    fn document(&self, _: &str) -> Result<Option<Document>, Failure> {
        Err(Failure { status: 500, code: "index_exception", message: "cannot read the index".into() })
    }
}

struct Pairs;

impl SimilarPath for Pairs {
    fn similar(&self, id: &str, asked: Asked) -> Result<Option<Near>, Failure> {
        let part = Because { through: Some("u".to_owned()), score: 0.5, units: (1_u64 << 39).to_string() };
        let neighbour = |i| Neighbour {
            id: format!("{id}-{i}"),
            score: 0.5,
            pairs: Some(2),
            norm: Some(4),
            attributes: None,
            because: asked.explain.then(|| vec![part.clone()]),
        };
        let attributes = Some(raw("{\"description\":\"A HEART\"}"));
        let neighbours = (0..asked.n).map(neighbour).collect();
        Ok((id != "unknown").then_some(Near { norm: Some(4), attributes, neighbours }))
    }
}

/// Takes every request but two; the number of records is the length of body and key.
struct Note;

impl Ingest for Note {
    fn accept(&self, body: &[u8], key: &str, answer: IngestAnswer) {
        let failure = |status, code| Failure { status, code, message: "as the test wants".to_owned() };
        let records = (body.len() + key.len()) as u64;
        // Another thread answers, as the log's does.
        let outcome = match body {
            b"busy" => Err(failure(429, "too_busy")),
            b"full" => Err(failure(503, "log_exception")),
            _ => Ok(Ingested { records, duplicate: key == "again" }),
        };
        std::thread::spawn(move || answer(outcome));
    }
}

async fn post_with(app: &Router, uri: &str, headers: &[(&str, &str)], body: &str) -> axum::response::Response {
    let method = if body == "preflight" { "OPTIONS" } else { "POST" };
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

#[tokio::test]
async fn records_are_taken_with_their_key_and_token() {
    let app = echo();
    let body = |response: axum::response::Response| async {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let plain = post_with(&app, "/v1/ingest/daily", &[("content-type", "text/plain")], "{}").await;
    assert_eq!(body(plain).await, json!({ "records": 2, "duplicate": false }));
    let again = post_with(&app, "/v1/ingest/daily", &[("idempotency-key", "again")], "{}").await;
    assert_eq!(body(again).await, json!({ "records": 7, "duplicate": true }));

    for (uri, headers, status) in [
        ("/v1/ingest/kept", vec![], 401),
        ("/v1/ingest/kept", vec![("authorization", "Bearer s3cre")], 401),
        ("/v1/ingest/kept?token=s3cret2", vec![], 401),
        ("/v1/ingest/kept", vec![("authorization", "Bearer s3cret")], 200),
        ("/v1/ingest/kept", vec![("authorization", "bearer s3cret")], 200),
        ("/v1/ingest/kept?token=s3cret", vec![], 200),
        ("/v1/ingest/lost", vec![], 404),
    ] {
        assert_eq!(post_with(&app, uri, &headers, "{}").await.status(), status, "{uri} {headers:?}");
    }
    let plain = post_with(&app, "/v1/ingest/daily", &[("content-encoding", "identity")], "{}").await;
    assert_eq!(plain.status(), 200);
    let packed = post_with(&app, "/v1/ingest/daily", &[("content-encoding", "GZIP")], "{}").await;
    assert_eq!(packed.status(), 415);
    let error = body(packed).await["error"].clone();
    assert_eq!(error["code"], "encoding_not_supported");
    assert!(error["message"].as_str().unwrap().contains("content-encoding gzip"), "{error}");
    let busy = post_with(&app, "/v1/ingest/daily", &[], "busy").await;
    assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    let full = refused(&app, "POST", "/v1/ingest/daily", "full").await;
    assert_eq!((full.0, full.1.as_str()), (503, "log_exception"));
}

/// Forgets, but for those who will not be forgotten.
struct Oblivion;

impl Forget for Oblivion {
    fn forget(&self, kind: &str, id: &str, durable: Told, holds: Told) {
        let failure = |status, code| Err(Failure { status, code, message: "as the test wants".to_owned() });
        match (kind, id) {
            ("user", "busy") => durable(failure(429, "too_busy")),
            ("user", "slow") => {
                durable(Ok(()));
                std::mem::forget(holds);
            }
            ("user", _) => drop(std::thread::spawn(move || {
                durable(Ok(()));
                holds(Ok(()));
            })),
            _ => durable(failure(404, "kind_not_found")),
        }
    }
}

#[tokio::test]
async fn who_is_to_be_forgotten_is_when_it_is_said() {
    let route = |token: Option<&str>| ForgetRoute { requests: Arc::new(Oblivion), token: token.map(str::to_owned) };
    let served = |forget| {
        let limits = Limits { timeout: Duration::from_millis(200), ..Limits::default() };
        let state = AppState::new(Arc::new(|| status_of(RunState::Running)), BTreeMap::new(), BTreeMap::new(), limits);
        app(Arc::new(state.with_forget(forget)))
    };
    let delete = |app: Router, uri: &'static str, token: &'static str| async move {
        let request = Request::builder().method("DELETE").uri(uri).header("authorization", token);
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice::<Value>(&bytes).unwrap())
    };
    let open = || served(Some(route(None)));
    let gone = |id: &str, forgotten: bool| json!({ "kind": "user", "id": id, "forgotten": forgotten });
    assert_eq!(delete(open(), "/v1/objects/user/a/b%20c", "").await, (200, gone("a/b c", true)));
    assert_eq!(delete(open(), "/v1/objects/user/slow", "").await, (202, gone("slow", false)));
    let code = |(status, answer): (u16, Value)| (status, answer["error"]["code"].as_str().unwrap().to_owned());
    for (app, uri, token, status, expected) in [
        (open(), "/v1/objects/user/busy", "", 429, "too_busy"),
        (open(), "/v1/objects/planet/x", "", 404, "kind_not_found"),
        (served(None), "/v1/objects/user/x", "", 404, "route_not_found"),
        (served(Some(route(Some("s3cret")))), "/v1/objects/user/x", "Bearer s3cre", 401, "unauthorized"),
    ] {
        assert_eq!(code(delete(app, uri, token).await), (status, expected.to_owned()), "{uri}");
    }
    assert_eq!(delete(served(Some(route(Some("s3cret")))), "/v1/objects/user/x", "Bearer s3cret").await.0, 200);
}

#[tokio::test]
async fn pages_of_listed_origins_may_post() {
    let app = echo();
    let (known, stranger) = ([("origin", "https://shop.example")], [("origin", "https://evil.example")]);
    let preflight = post_with(&app, "/v1/ingest/kept", &known, "preflight").await;
    assert_eq!(preflight.status(), 204);
    let told = |name: &str| preflight.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(told("access-control-allow-origin"), "https://shop.example");
    assert_eq!(told("access-control-allow-methods"), "POST");
    assert!(told("access-control-allow-headers").contains("idempotency-key"));
    for headers in [&stranger[..], &[]] {
        let preflight = post_with(&app, "/v1/ingest/kept", headers, "preflight").await;
        assert!(!preflight.headers().contains_key("access-control-allow-origin"));
    }
    // A page may read the reason of an error too.
    let wrong = post_with(&app, "/v1/ingest/kept", &known, "{}").await;
    assert_eq!(
        (wrong.status().as_u16(), &wrong.headers()["access-control-allow-origin"]),
        (401, &known[0].1.parse().unwrap())
    );
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn status_of(state: RunState) -> Status {
    let sources = vec![SourceStatus { name: "orders".into(), records: 7, ..SourceStatus::default() }];
    Status { job: "retail".into(), state, sources, ..Status::default() }
}

fn app_with(state: RunState, indexes: Vec<(&str, Arc<dyn Search>)>, limits: Limits) -> Router {
    let indexes = indexes.into_iter().map(|(name, index)| (name.to_owned(), index)).collect();
    let paths: BTreeMap<String, Arc<dyn SimilarPath>> = [("together".to_owned(), Arc::new(Pairs) as _)].into();
    let status = Arc::new(move || status_of(state));
    let state = AppState::new(status, indexes, paths, limits).with_queries([("daily".to_owned(), query())]);
    let open = IngestRoute { log: Arc::new(Note), token: None, origins: Vec::new() };
    let origins = vec!["https://shop.example".to_owned()];
    let kept = IngestRoute { log: Arc::new(Note), token: Some("s3cret".to_owned()), origins };
    let state = state.with_recommendations(Arc::new(crate::routes::recommend::tests::service()));
    let state = state.with_forget(Some(ForgetRoute { requests: Arc::new(Oblivion), token: None }));
    app(Arc::new(state.with_ingests([("daily".to_owned(), open), ("kept".to_owned(), kept)].into())))
}

fn query() -> NamedQuery {
    let parameter = |name: &str, kind, default| Parameter::new(name.to_owned(), kind, Some(default)).unwrap();
    let parameters = vec![parameter("day", Kind::Date, "2010-12-01"), parameter("size", Kind::Integer, "10")];
    let body = r#"{"size": "{{size}}", "query": {"term": {"day": "{{day}}"}}}"#;
    NamedQuery::new("daily".to_owned(), parameters, body, None).unwrap()
}

fn echo() -> Router {
    app_with(RunState::Running, vec![("daily", Arc::new(Echo))], Limits::default())
}

async fn ask(app: &Router, method: &str, uri: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(uri).body(Body::from(body.to_owned())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(app: &Router, uri: &str) -> (StatusCode, Value) {
    let (status, body) = ask(app, "GET", uri, "").await;
    (status, serde_json::from_str(&body).unwrap())
}

/// The status and code of an error, whose form is checked.
async fn refused(app: &Router, method: &str, uri: &str, body: &str) -> (u16, String, String) {
    let (status, body) = ask(app, method, uri, body).await;
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body:?} is not JSON"));
    assert_eq!(body["status"], status.as_u16());
    let text = |key: &str| body["error"][key].as_str().unwrap().to_owned();
    assert!(CODES.contains(&text("code").as_str()));
    (status.as_u16(), text("code"), text("message"))
}

#[tokio::test]
async fn a_search_reaches_its_index_and_keeps_every_digit() {
    let app = echo();
    let body = r#"{"query": {"match_all": {}}, "size": 3}"#;
    for method in ["GET", "POST"] {
        let (status, answer) = ask(&app, method, "/v1/indexes/daily/_search", body).await;
        assert_eq!(status, 200);
        assert_eq!(answer, r#"{"exact":1.2300,"request":{"query":{"match_all":{}},"size":3}}"#);
    }
    let (_, answer) = get(&app, "/v1/indexes/daily/_search?size=1&from=2").await;
    assert_eq!(answer["request"], json!({"from": 2, "size": 1}));
    let (_, answer) = ask(&app, "POST", "/v1/indexes/daily/_search?pretty", "{}").await;
    assert_eq!(answer, "{\n  \"exact\": 1.2300,\n  \"request\": {}\n}\n");
}

#[tokio::test]
async fn counts_and_documents_have_elasticsearchs_shape() {
    let app = echo();
    assert_eq!(get(&app, "/v1/indexes/daily/_count").await, (StatusCode::OK, json!({"count": 2})));
    let (_, counted) = ask(&app, "POST", "/v1/indexes/daily/_count", r#"{"query": {"match_all": {}}}"#).await;
    assert_eq!(counted, r#"{"count":1}"#);
    let (status, found) = ask(&app, "GET", "/v1/indexes/daily/_doc/2010%2F12/1", "").await;
    assert_eq!(status, 200);
    let expected = r#"{"_index":"daily","_id":"2010/12/1","_version":7,"found":true,"_source":{"gmv":10.250}}"#;
    assert_eq!(found, expected);
    let missing = refused(&app, "GET", "/v1/indexes/daily/_doc/1999", "").await;
    assert_eq!((missing.0, missing.1.as_str()), (404, "document_not_found"));
}

#[tokio::test]
async fn indexes_are_listed_with_their_fields() {
    let (status, listed) = get(&echo(), "/v1/indexes").await;
    assert_eq!(status, 200);
    let fields = json!([{"name": "day", "type": "DATE"}]);
    assert_eq!(listed, json!({"indexes": [{"name": "daily", "documents": 2, "fields": fields}]}));
}

#[tokio::test]
async fn neighbours_come_with_attributes() {
    let app = echo();
    let (status, answer) = get(&app, "/v1/similar/together/a%20b?n=1").await;
    assert_eq!(status, 200);
    let neighbours = json!([{"id": "a b-0", "score": 0.5, "pairs": 2, "norm": 4}]);
    let attributes = json!({"description": "A HEART"});
    let expected =
        json!({"path": "together", "id": "a b", "norm": 4, "attributes": attributes, "neighbours": neighbours});
    assert_eq!(answer, expected);
    let (_, explained) = get(&app, "/v1/similar/together/a?n=1&explain=true").await;
    let because = json!([{"through": "u", "score": 0.5, "units": "549755813888"}]);
    assert_eq!(explained["neighbours"][0]["because"], because);
    let (_, ten) = get(&app, "/v1/similar/together/a").await;
    assert_eq!(ten["neighbours"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let app = echo();
    let search = "/v1/indexes/daily/_search";
    let big = format!("{{\"query\": \"{}\"}}", "x".repeat(1 << 20));
    let cases: &[(&str, &str, &str, u16, &str, &str)] = &[
        ("GET", "/v1/nothing", "", 404, "route_not_found", "nothing at /v1/nothing"),
        ("GET", "/v1/similar/together/", "", 404, "route_not_found", "/openapi.json"),
        ("DELETE", search, "", 405, "method_not_allowed", "does not take DELETE"),
        ("POST", "/v1/status", "", 405, "method_not_allowed", "does not take POST"),
        (
            "POST",
            "/v1/indexes/dialy/_search",
            "{}",
            404,
            "index_not_found",
            "no index is named \"dialy\"; there are: daily",
        ),
        ("POST", "/v1/indexes/dialy/_count", "{}", 404, "index_not_found", "dialy"),
        ("GET", "/v1/indexes/dialy/_doc/1", "", 404, "index_not_found", "dialy"),
        ("GET", "/v1/similar/apart/a", "", 404, "path_not_found", "there are: together"),
        ("GET", "/v1/similar/together/unknown", "", 404, "object_not_found", "knows no object \"unknown\""),
        ("GET", "/v1/queries/dialy", "", 404, "query_not_found", "there are: daily"),
        ("GET", "/v1/queries/daily?colour=red", "", 400, "bad_request", "no parameter \"colour\""),
        ("GET", "/v1/queries/daily?day=tomorrow", "", 400, "bad_request", "day: \"tomorrow\" is not a date"),
        ("GET", "/v1/similar/together/a?n=0", "", 400, "bad_request", "from 1 to 1000"),
        ("GET", "/v1/similar/together/a?n=1001", "", 400, "bad_request", "from 1 to 1000"),
        ("GET", "/v1/similar/together/a?n=ten", "", 400, "bad_request", "n"),
        ("GET", "/v1/similar/together/a?m=10", "", 400, "bad_request", "m"),
        ("GET", "/v1/similar/together/%ff", "", 400, "bad_request", "UTF-8"),
        ("GET", "/v1/indexes/daily/_search?q=heart", "", 400, "bad_request", "q"),
        ("POST", search, "{\"size\": 1,}", 400, "malformed_json", "at line 1 column 12"),
        ("POST", search, "[]", 400, "malformed_json", "must be a JSON object"),
        ("POST", search, "{\"colour\": 1}", 400, "parsing_exception", "unknown key [colour]"),
        ("POST", search, &big, 413, "body_too_large", "larger"),
    ];
    for (method, uri, body, status, code, message) in cases {
        let found = refused(&app, method, uri, body).await;
        assert_eq!((found.0, found.1.as_str()), (*status, *code), "{method} {uri}: {}", found.2);
        assert!(found.2.contains(message), "{method} {uri}: {}", found.2);
    }
}

#[tokio::test]
async fn queries_are_searches_with_arguments() {
    let app = echo();
    let (status, found) = get(&app, "/v1/queries/daily?size=3").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["request"], json!({"size": 3, "query": {"term": {"day": "2010-12-01"}}}));
    let (_, text) = ask(&app, "POST", "/v1/queries/daily?size=4", r#"{"day": "2010-12-02", "size": 5}"#).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["request"], json!({"size": 4, "query": {"term": {"day": "2010-12-02"}}}));
    let (_, listed) = get(&app, "/v1/queries").await;
    assert_eq!(listed["queries"][0]["parameters"][1], json!({"name": "size", "type": "integer", "default": 10}));
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_next_request_is_served() {
    let app = echo();
    let found = refused(&app, "POST", "/v1/indexes/daily/_search", r#"{"panic": 1}"#).await;
    assert_eq!((found.0, found.1.as_str()), (500, "internal"));
    assert_eq!(ask(&app, "POST", "/v1/indexes/daily/_search", "{}").await.0, 200);
}

#[tokio::test]
async fn a_store_that_fails_is_told() {
    let (called, _) = channel();
    let slow = Slow { called, go: Mutex::new(channel().1) };
    let app = app_with(RunState::Running, vec![("slow", Arc::new(slow))], Limits::default());
    let found = refused(&app, "GET", "/v1/indexes/slow/_doc/1", "").await;
    assert_eq!(found, (500, "index_exception".to_owned(), "cannot read the index".to_owned()));
}

#[tokio::test]
async fn too_many_searches_are_sent_away() {
    let ((called, is_called), (go, may_go)) = (channel(), channel());
    let slow = Arc::new(Slow { called, go: Mutex::new(may_go) });
    let limits = Limits { searches: 1, ..Limits::default() };
    let app = app_with(RunState::Running, vec![("slow", slow)], limits);
    let first = tokio::spawn({
        let app = app.clone();
        async move { ask(&app, "GET", "/v1/indexes/slow/_search", "").await.0 }
    });
    tokio::task::spawn_blocking(move || is_called.recv().unwrap()).await.unwrap();
    let request = Request::get("/v1/indexes/slow/_search").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    let second = refused(&app, "GET", "/v1/indexes/slow/_search", "").await;
    assert_eq!((second.0, second.1.as_str()), (429, "too_busy"));
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), 200);
}

#[tokio::test]
async fn a_search_without_end_is_answered_in_time() {
    let ((called, _is_called), (go, may_go)) = (channel(), channel());
    let slow = Arc::new(Slow { called, go: Mutex::new(may_go) });
    let limits = Limits { timeout: Duration::from_millis(20), ..Limits::default() };
    let app = app_with(RunState::Running, vec![("slow", slow)], limits);
    let found = refused(&app, "GET", "/v1/indexes/slow/_search", "").await;
    assert_eq!((found.0, found.1.as_str()), (504, "timeout"));
    drop(go);
}

#[tokio::test]
async fn a_run_is_ready_while_it_goes_on() {
    for (state, expected) in [
        (RunState::Starting, 503),
        (RunState::Running, 200),
        (RunState::Finished, 200),
        (RunState::Stopping, 503),
        (RunState::Failed, 503),
    ] {
        let app = app_with(state, vec![], Limits::default());
        assert_eq!(get(&app, "/readyz").await.0.as_u16(), expected, "{state:?}");
        assert_eq!(get(&app, "/healthz").await, (StatusCode::OK, json!({"status": "ok"})));
    }
}

#[tokio::test]
async fn status_and_metrics_tell_the_run() {
    let app = echo();
    let (status, told) = get(&app, "/v1/status").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_value::<Status>(told).unwrap(), status_of(RunState::Running));
    let (status, text) = ask(&app, "GET", "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(text.contains("proxima_source_records_total{source=\"orders\"} 7\n"), "{text}");
    assert!(text.contains("proxima_http_requests_total{route=\"/v1/status\",status=\"200\"} 1\n"), "{text}");
}

#[tokio::test]
async fn the_dashboard_loads_nothing_from_elsewhere() {
    let (status, page) = ask(&echo(), "GET", "/", "").await;
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

/// The routes that the OpenAPI document describes, with their methods.
fn documented(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |(path, item): (&String, &Value)| {
        let methods: Vec<String> =
            item.as_object().unwrap().keys().filter(|key| *key != "parameters").cloned().collect();
        methods.into_iter().map(|method| (path.clone(), method)).collect::<Vec<_>>()
    };
    paths.flat_map(methods).collect()
}

#[tokio::test]
async fn the_openapi_document_and_the_router_agree() {
    let app = echo();
    let (_, document) = get(&app, "/openapi.json").await;
    let methods = |route: &crate::routes::Route| {
        let path = route.path.replace("{*", "{");
        route.methods.iter().map(move |method| (path.clone(), (*method).to_owned())).collect::<Vec<_>>()
    };
    let routed: BTreeSet<_> = ROUTES.iter().flat_map(methods).collect();
    assert_eq!(documented(&document), routed);
    for (path, _) in &routed {
        let uri = path
            .replace("{kind}", "user")
            .replace("{name}", "daily")
            .replace("{path}", "together")
            .replace("{id}", "2010");
        for method in ["get", "post", "put", "delete"] {
            let taken = routed.contains(&(path.clone(), method.to_owned()));
            let (status, body) = ask(&app, &method.to_uppercase(), &uri, "").await;
            assert_eq!(status != 405, taken, "{method} {uri}: {body}");
            assert_eq!(status.is_success(), taken, "{method} {uri}: {body}");
        }
    }
}

#[test]
fn the_openapi_document_lists_every_code() {
    let document: Value = serde_json::from_str(include_str!("../assets/openapi.json")).unwrap();
    let listed = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
    assert_eq!(listed.iter().map(|code| code.as_str().unwrap()).collect::<Vec<_>>(), CODES);
    let text = document.to_string();
    for code in CODES {
        assert!(text.contains(&format!("`{code}`")), "no answer is described with {code}");
    }
}

#[test]
fn every_reference_of_the_openapi_document_leads_somewhere() {
    let document: Value = serde_json::from_str(include_str!("../assets/openapi.json")).unwrap();
    let text = document.to_string();
    let references: Vec<&str> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 10);
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

fn state() -> AppState {
    let indexes: BTreeMap<String, Arc<dyn Search>> = [("daily".to_owned(), Arc::new(Echo) as _)].into();
    AppState::new(Arc::new(|| status_of(RunState::Running)), indexes, BTreeMap::new(), Limits::default())
}

#[test]
fn routes_can_be_asked_without_a_socket() {
    let answer = crate::ask(state(), "POST", "/v1/indexes/daily/_count", "{}".to_owned()).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"count\":2}"));
}

#[test]
fn a_server_answers_until_it_is_stopped() {
    use std::io::{Read, Write};
    let server = crate::Server::start("127.0.0.1:0", state()).unwrap();
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
    let address = server.address();
    server.stop().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}
