//! Recommendations: lists for an object, why an item is in one, and which variant an object gets.

use super::told::answer;
use super::{json, json_of, parse_object};
use crate::answers::Failure;
use crate::error::ApiError;
use crate::state::AppState;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use proxima_graph::Value as Attribute;
use proxima_recommend::{AskError, Is, NUMBER_MAX, Recommended, Request, Service, SwitchError, to_number};
use serde::Deserialize;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// What can be said in the address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    n: Option<usize>,
    pretty: Option<String>,
}

/// What can be said in the body.
#[derive(Debug, Default)]
struct Context {
    n: Option<usize>,
    seen: Vec<Arc<str>>,
    candidates: Option<Vec<Arc<str>>>,
    filters: Vec<(String, Is)>,
    attributes: Vec<(String, Attribute)>,
}

/// The items that an object is to be shown.
pub(super) async fn recommend(
    State(state): State<Arc<AppState>>,
    address: Result<Path<(String, String)>, PathRejection>,
    params: Result<Query<Params>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (Path((name, object)), Query(params)) = (address?, params?);
    let context = Context::read(parse_object(&body?)?)?;
    let number = params.n.or(context.n);
    if let Some(n) = number.filter(|n| !(1..=NUMBER_MAX).contains(n)) {
        return Err(ApiError::bad_request(format!("n is {n}; it must be from 1 to {NUMBER_MAX}")));
    }
    let service = Arc::clone(&state.recommendations);
    let (asked, whom) = (name.clone(), object.clone());
    let ask = move || service.recommend(&asked, &context.request(&whom, number));
    let found = read(&state, &name, ask).await?.map_err(|error| refused(error, &state.recommendations, &name))?;
    Ok(tell(found, (&name, &object), for_people(params.pretty.as_deref())))
}

/// A list as an answer. One that is kept was told before.
fn tell(found: Arc<Recommended>, (name, object): (&str, &str), for_people: bool) -> Response {
    struct Told(Arc<Recommended>);
    impl AsRef<[u8]> for Told {
        fn as_ref(&self) -> &[u8] {
            self.0.told.get().map_or(&[], String::as_bytes)
        }
    }
    let text = found.told.get_or_init(|| answer(name, object, &found));
    match for_people {
        true => json(text.clone(), true),
        false => json_of(Bytes::from_owner(Told(found))),
    }
}

/// The parts of an item's score.
pub(super) async fn explain(
    State(state): State<Arc<AppState>>,
    address: Result<Path<(String, String, String)>, PathRejection>,
    params: Result<Query<Params>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (Path((name, object, item)), Query(params)) = (address?, params?);
    let context = Context::read(parse_object(&body?)?)?;
    let number = params.n.or(context.n);
    let service = Arc::clone(&state.recommendations);
    let (asked, whom, which) = (name.clone(), object.clone(), item.clone());
    let ask = move || service.explain(&asked, &context.request(&whom, number), &which);
    let found = read(&state, &name, ask).await?;
    let (variant, explained) = found.map_err(|error| refused(error, &state.recommendations, &name))?;
    let (units, parts) = explained.ok_or_else(|| {
        ApiError::not_found("object_not_found", format!("nothing leads from \"{object}\" to \"{item}\""))
    })?;
    let parts: Vec<Value> = parts
        .into_iter()
        .map(|part| value!({ "name": part.name, "score": to_number(part.units), "units": part.units }))
        .collect();
    let score = to_number(units);
    let told = value!({
        "recommendation": name, "variant": variant, "object": object, "item": item,
        "score": score, "units": units, "parts": parts,
    });
    Ok(json(told.to_string(), for_people(params.pretty.as_deref())))
}

/// The shares of a split.
pub(super) async fn split(
    State(state): State<Arc<AppState>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let (service, of) = (Arc::clone(&state.recommendations), name.clone());
    let shares = read(&state, &name, move || service.split(&of)).await?.map_err(Failure::from)?;
    let shares = shares.ok_or_else(|| {
        ApiError::not_found("recommendation_not_found", format!("no split of recommendations is named \"{name}\""))
    })?;
    let shares: Map<String, Value> = shares.into_iter().map(|(variant, share)| (variant, value!(share))).collect();
    Ok(json(value!({ "split": name, "shares": shares }).to_string(), false))
}

/// Changes the shares of a split, from the next question on, once they are kept.
pub(super) async fn switch(
    state: State<Arc<AppState>>,
    name: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let shares = parse_object(&body?)?.into_iter().map(|(variant, share)| {
        let number = share.as_f64();
        number
            .map(|share| (variant.clone(), share))
            .ok_or_else(|| ApiError::bad_request(format!("the share of \"{variant}\" is {share}, not a number")))
    });
    let shares = shares.collect::<Result<Vec<_>, _>>()?;
    // Without shares this is a question; without a split it is answered below.
    if !shares.is_empty() && state.recommendations.has_split(&name) {
        let (service, of) = (Arc::clone(&state.recommendations), name.clone());
        state.read(move || service.switch(&of, &shares)).await?.map_err(|error| match error {
            SwitchError::Refused(reason) => ApiError::bad_request(reason),
            SwitchError::Elsewhere => not_here("shares are changed where the job runs"),
            SwitchError::NotKept(reason) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "store_exception", reason),
        })?;
    }
    split(state, Ok(Path(name))).await
}

/// Reads memory, or a store that may have to be waited for.
async fn read<T: Send + 'static>(
    state: &AppState,
    name: &str,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    match state.recommendations.is_far() {
        true => state.read(ask).await,
        false => state.read_memory(name, ask).await,
    }
}

fn refused(error: AskError, service: &Service, name: &str) -> ApiError {
    match error {
        AskError::Unknown => unknown(service, name),
        AskError::Elsewhere(reason) => not_here(reason),
        AskError::Refused(reason) => ApiError::bad_request(reason),
        AskError::Store(error) => Failure::from(error).into(),
    }
}

/// It is there, but not in this process.
fn not_here(reason: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "recommendation_not_here", reason)
}

fn unknown(service: &Service, name: &str) -> ApiError {
    let known = service.names().join(", ");
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {known}") };
    ApiError::not_found("recommendation_not_found", format!("no recommendation is named \"{name}\"; {known}"))
}

fn for_people(pretty: Option<&str>) -> bool {
    pretty.is_some_and(|value| value != "false")
}

impl Context {
    /// Reads the body of a question.
    fn read(mut body: Map<String, Value>) -> Result<Self, ApiError> {
        let mut context = Self::default();
        if let Some(n) = body.remove("n") {
            let number = n.as_u64().and_then(|n| usize::try_from(n).ok());
            context.n = Some(number.ok_or_else(|| ApiError::bad_request(format!("n is {n}, not a whole number")))?);
        }
        context.seen = texts(&mut body, "items")?.unwrap_or_default();
        context.candidates = texts(&mut body, "candidates")?;
        for (name, wanted) in object(&mut body, "filters")? {
            context.filters.extend(conditions(&wanted)?.into_iter().map(|is| (name.clone(), is)));
        }
        for (name, value) in object(&mut body, "attributes")? {
            context.attributes.push((name, plain(&value)?));
        }
        match body.keys().next() {
            None => Ok(context),
            Some(key) => {
                let known = "items, candidates, filters, attributes and n";
                Err(ApiError::bad_request(format!("unknown key \"{key}\"; a question may have {known}")))
            }
        }
    }

    fn request<'a>(&'a self, subject: &'a str, number: Option<usize>) -> Request<'a> {
        Request {
            subject,
            number,
            seen: &self.seen,
            candidates: self.candidates.as_deref(),
            filters: &self.filters,
            attributes: &self.attributes,
        }
    }
}

fn texts(body: &mut Map<String, Value>, key: &str) -> Result<Option<Vec<Arc<str>>>, ApiError> {
    let Some(list) = body.remove(key) else { return Ok(None) };
    let texts = list.as_array().map(|list| list.iter().map(|text| text.as_str().map(Arc::from)).collect::<Option<_>>());
    texts.flatten().map(Some).ok_or_else(|| ApiError::bad_request(format!("\"{key}\" must be a list of texts")))
}

fn object(body: &mut Map<String, Value>, key: &str) -> Result<Map<String, Value>, ApiError> {
    match body.remove(key) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(ApiError::bad_request(format!("\"{key}\" must be an object"))),
    }
}

/// A filter: a value to be equal to, or `{"gte": …, "lte": …}`.
fn conditions(wanted: &Value) -> Result<Vec<Is>, ApiError> {
    let Value::Object(bounds) = wanted else { return Ok(vec![Is::Equal(plain(wanted)?)]) };
    let bound = |(name, bound): (&String, &Value)| match (name.as_str(), bound.as_f64()) {
        ("gte", Some(least)) => Ok(Is::AtLeast(least)),
        ("lte", Some(most)) => Ok(Is::AtMost(most)),
        _ => Err(ApiError::bad_request(format!(
            "a filter is a value or {{\"gte\": number, \"lte\": number}}, not {wanted}"
        ))),
    };
    bounds.iter().map(bound).collect()
}

fn plain(value: &Value) -> Result<Attribute, ApiError> {
    let float = || value.as_f64().map(Attribute::Float);
    let found = match value {
        Value::Null => Some(Attribute::Null),
        Value::Bool(truth) => Some(Attribute::Bool(*truth)),
        Value::Number(number) => number.as_i64().map(Attribute::Int).or_else(float),
        Value::String(text) => Some(Attribute::Text(text.as_str().into())),
        Value::Array(_) | Value::Object(_) => None,
    };
    found.ok_or_else(|| ApiError::bad_request(format!("{value} is not a single value")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{AppState, Limits, Status};
    use proxima_graph::ObjectId;
    use proxima_recommend::{Candidate, Feed, Recommendation, Recommender, Shop, Split, Start};
    use std::collections::BTreeMap;

    /// Leads everybody to the same two items.
    struct Two;

    const TWO: [&str; 2] = ["{item}", "b/c"];

    impl Shop for Two {
        fn item(&self, text: &str) -> Option<ObjectId> {
            (0..).zip(TWO).find(|(_, known)| *known == text).map(|(place, _)| ObjectId(place))
        }

        fn text(&self, item: ObjectId) -> Option<Arc<str>> {
            TWO.get(item.0 as usize).map(|text| (*text).into())
        }

        fn candidates(&self, _path: &str, _start: &str, n: usize) -> Vec<Candidate> {
            let candidate = |(item, score)| Candidate { item: ObjectId(item), score };
            [(0, 2.0), (1, 1.0)].map(candidate).into_iter().take(n).collect()
        }

        fn related(&self, _relation: &str, _subject: &str) -> Vec<ObjectId> {
            Vec::new()
        }

        fn subject_attribute(&self, _subject: &str, _attribute: &str) -> Attribute {
            Attribute::Null
        }

        fn item_attribute(&self, item: ObjectId, _attribute: &str) -> Attribute {
            if item == ObjectId(1) { Attribute::Int(5) } else { Attribute::Null }
        }

        fn item_attributes(&self, item: ObjectId) -> Vec<(Arc<str>, Attribute)> {
            vec![("price".into(), self.item_attribute(item, "price"))]
        }

        fn rank(&self, _model: &str, _request: &Request<'_>, items: &[ObjectId]) -> Vec<i64> {
            vec![0; items.len()]
        }

        fn rank_parts(&self, _model: &str, _request: &Request<'_>, _item: ObjectId) -> Vec<(String, i64)> {
            Vec::new()
        }
    }

    /// The recommendation `one`, and the split `daily` that deals everybody to it.
    pub(crate) fn service() -> Service {
        let from = vec![Feed { path: "p".into(), start: Start::Subject, share: 1.0, candidates: 10 }];
        let item_attributes =
            vec![proxima_graph::Attribute { name: "price".into(), kind: proxima_graph::AttributeKind::Int }];
        let spec =
            Recommendation { name: "one".into(), from, number: 10, item_attributes, ..Recommendation::default() };
        let recommenders = BTreeMap::from([("one".to_owned(), Recommender { spec, shop: Arc::new(Two) })]);
        let split = Split::new("daily", vec![("one".into(), 1.0)]).unwrap();
        Service::new(recommenders, BTreeMap::from([("daily".to_owned(), split)]))
    }

    fn ask(method: &str, uri: &str, body: &str) -> (u16, Value) {
        ask_of(service(), method, uri, body)
    }

    fn ask_of(service: Service, method: &str, uri: &str, body: &str) -> (u16, Value) {
        let status = Arc::new(Status::default);
        let state = AppState::new(status, BTreeMap::new(), BTreeMap::new(), Limits::default());
        let answer = crate::ask(state.with_recommendations(Arc::new(service)), method, uri, body.to_owned()).unwrap();
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    #[test]
    fn a_list_names_its_variant_and_an_explanation_its_parts() {
        let (status, list) = ask("GET", "/v1/recommend/daily/ann?n=1", "");
        assert_eq!((status, &list["variant"], &list["items"][0]["score"]), (200, &value!("one"), &value!(1.0)));
        let (_, filtered) = ask("POST", "/v1/recommend/one/ann/lee", r#"{"filters": {"price": {"gte": 5}}}"#);
        assert_eq!(filtered["object"], "ann/lee");
        let item = value!([{ "id": "b/c", "score": 0.5, "origin": "ranked", "attributes": { "price": 5 } }]);
        assert_eq!(filtered["items"], item);
        let (_, why) = ask("GET", "/v1/explain/daily/ann/b/c", "");
        assert_eq!(why["parts"], value!([{ "name": "path p", "score": 0.5, "units": 2_147_483_648_u64 }]));
        assert_eq!((&why["units"], &why["item"]), (&value!(2_147_483_648_u64), &value!("b/c")));
    }

    #[test]
    fn shares_are_read_and_switched() {
        assert_eq!(ask("GET", "/v1/splits/daily", "").1["shares"], value!({ "one": 1.0 }));
        assert_eq!(ask("POST", "/v1/splits/daily", r#"{"one": 3}"#).1["shares"], value!({ "one": 3.0 }));
        assert_eq!(ask("POST", "/v1/splits/daily", r#"{"two": 3}"#).0, 400);
        assert_eq!(ask("GET", "/v1/splits/one", "").0, 404);
        assert_eq!(ask("GET", "/v1/recommend/none/ann", "").1["error"]["code"], "recommendation_not_found");
        assert_eq!(ask("GET", "/v1/explain/one/ann/none", "").1["error"]["code"], "object_not_found");
        assert_eq!(ask("GET", "/v1/recommend/one/ann?n=0", "").0, 400);
    }

    #[test]
    fn shares_that_cannot_be_kept_do_not_hold() {
        let full = || service().kept_by(Box::new(|_, _| Err("cannot write splits.json: the disk is full".to_owned())));
        let (status, answer) = ask_of(full(), "POST", "/v1/splits/daily", r#"{"one": 3}"#);
        assert_eq!((status, &answer["error"]["code"]), (500, &value!("store_exception")), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().ends_with("the disk is full"), "{answer}");
        let full = full();
        full.switch("daily", &[("one".to_owned(), 3.0)]).unwrap_err();
        assert_eq!(full.split("daily").unwrap(), Some(vec![("one".to_owned(), 1.0)]));
    }

    fn context(body: Value) -> Result<Context, ApiError> {
        Context::read(body.as_object().expect("the test gives an object").clone())
    }

    #[test]
    fn a_question_is_read() {
        let body = value!({
            "n": 5, "items": ["a", "b"], "candidates": ["c"],
            "filters": { "category": "toys", "price": { "gte": 1, "lte": 2.5 } }, "attributes": { "country": "uk" },
        });
        let context = context(body).unwrap();
        assert_eq!((context.n, context.seen.len(), context.candidates.unwrap().len()), (Some(5), 2, 1));
        let toys = Is::Equal(Attribute::Text("toys".into()));
        let filter = |name: &str, is| (name.to_owned(), is);
        let wanted = [filter("category", toys), filter("price", Is::AtLeast(1.0)), filter("price", Is::AtMost(2.5))];
        assert_eq!(context.filters, wanted);
        assert_eq!(context.attributes, [("country".to_owned(), Attribute::Text("uk".into()))]);
    }

    #[test]
    fn what_is_no_question_is_told() {
        for (body, told) in [
            (value!({ "item": [] }), "unknown key \"item\""),
            (value!({ "items": "a" }), "\"items\" must be a list of texts"),
            (value!({ "n": -1 }), "n is -1, not a whole number"),
            (value!({ "filters": { "price": { "gt": 1 } } }), "a filter is a value or"),
            (value!({ "attributes": { "country": [] } }), "[] is not a single value"),
        ] {
            let error = context(body).unwrap_err();
            assert!(error.message.starts_with(told), "{}", error.message);
        }
    }
}
