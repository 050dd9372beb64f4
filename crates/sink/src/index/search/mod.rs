//! Answers requests in the words of Elasticsearch's `_search`.
//!
//! Understood are `query` (`match_all`, `match_none`, `term`, `terms`, `range`, `prefix`, `match`, `exists`, `ids`,
//! `bool`), `sort`, `from`, `size`, `_source`, `track_total_hits`, `highlight` and `aggs`. Anything else is refused by name: a part
//! that was silently ignored would make a wrong answer look right.
//!
//! Where it differs: `name` and `name.keyword` are the same field; matching documents are always counted to the end;
//! without a `sort`, and between equals, documents are in the order of their ids.

mod aggs;
mod answer;
mod collect;
mod column;
mod error;
mod highlight;
mod params;
mod query;
mod range;
mod sort;
mod value;

pub use answer::{Answer, Hit, Json};
pub use error::SearchError;

use super::mapping::Mapping;
use super::reader;
use aggs::Agg;
use aggs::answer::Writer;
use aggs::parse::Planner;
use aggs::segment::Budget;
use collect::{Found, Gathered, Pass};
use highlight::Highlight;
use params::Params;
use proxima_event::Shown;
use serde_json::Value;
use sort::{By, Key};
use std::time::Instant;
use tantivy::Searcher;
use tantivy::query::{AllQuery, Query};

/// How deep a request can page, as in Elasticsearch.
const WINDOW_MAX: usize = 10_000;

/// A request that was understood.
struct Request {
    query: Box<dyn Query>,
    keys: Vec<Key>,
    /// Whether the request has a `sort` of its own, whose values the hits then show.
    sorted: bool,
    from: usize,
    size: usize,
    shown: Shown,
    /// Up to where matching documents are told; `None` for not at all.
    track: Option<u64>,
    aggs: Option<Vec<Agg>>,
    highlight: Option<Highlight>,
}

impl Request {
    fn parse(searcher: &Searcher, mapping: &Mapping, body: &Value) -> Result<Self, SearchError> {
        let mut params = Params::of("request", body)?;
        let looked_for = params.take("query");
        let query = match looked_for {
            Some(query) => query::build(mapping, query)?,
            None => Box::new(AllQuery),
        };
        let sort = params.take("sort").filter(|sort| sort.as_array().is_none_or(|keys| !keys.is_empty()));
        let mut keys = sort.map_or_else(|| Ok(sort::by_score()), |sort| sort::parse(mapping, sort))?;
        keys.push(Key { by: By::Id, descending: false, missing_first: false });
        let (from, size) = window(&mut params)?;
        let shown = params.take("_source").map_or(Ok(Shown::All), Shown::parse).map_err(SearchError::parsing)?;
        let track = params.take("track_total_hits").map_or(Ok(Some(u64::MAX)), tracked)?;
        let aggs = aggs::parse::member(&mut params)?;
        let aggs = aggs.map(|aggs| Planner { mapping, searcher }.plan(aggs, 1)).transpose()?;
        let highlight = params.take("highlight");
        let highlight = highlight.map(|value| Highlight::parse(mapping, value, looked_for)).transpose()?;
        params.finish()?;
        Ok(Self { highlight, query, keys, sorted: sort.is_some(), from, size, shown, track, aggs })
    }
}

fn window(params: &mut Params<'_>) -> Result<(usize, usize), SearchError> {
    let from = params.count("from")?.unwrap_or(0);
    let size = params.count("size")?.unwrap_or(10);
    if from.saturating_add(size) > WINDOW_MAX {
        let reason = format!("[from] and [size] make {}, at most {WINDOW_MAX} are possible", from.saturating_add(size));
        return Err(SearchError::argument(reason));
    }
    Ok((from, size))
}

fn tracked(value: &Value) -> Result<Option<u64>, SearchError> {
    match value {
        Value::Bool(true) => Ok(Some(u64::MAX)),
        Value::Bool(false) => Ok(None),
        value => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| SearchError::parsing(format!("[track_total_hits] is true, false or a number, not {value}"))),
    }
}

/// Answers one request.
pub(super) fn run(searcher: &Searcher, mapping: &Mapping, body: &Value) -> Result<Answer, SearchError> {
    let start = Instant::now();
    let request = Request::parse(searcher, mapping, body)?;
    let keep = if request.size == 0 { 0 } else { request.from + request.size };
    let scored = keep > 0 && collect::needs_scores(&request.keys);
    let aggs = request.aggs.as_deref().unwrap_or_default();
    let pass = Pass { keys: request.keys.clone(), keep, scored, aggs, budget: Budget::default() };
    let gathered = searcher.search(&*request.query, &pass)?;
    if pass.budget.is_exceeded() {
        return Err(SearchError::memory());
    }
    let aggregations = match &request.aggs {
        Some(aggs) => Some(Json::Object(Writer::default().all(aggs, &gathered.states)?)),
        None => None,
    };
    let hits = hits(searcher, mapping, &request, scored, &gathered)?;
    Ok(Answer {
        index: mapping.layout.name.clone(),
        took_ms: start.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        total: request.track.map(|limit| (gathered.total.min(limit), gathered.total > limit)),
        max_score: gathered.score_max.filter(|_| scored),
        hits,
        aggregations,
    })
}

fn hits(
    searcher: &Searcher,
    mapping: &Mapping,
    request: &Request,
    scored: bool,
    gathered: &Gathered,
) -> Result<Vec<Hit>, SearchError> {
    let page = gathered.found.iter().skip(request.from);
    let hit = |found: &Found| {
        let document = reader::read(searcher, mapping, found.address)?;
        // The id is the last key, added to break ties: hits show what the request asked for.
        let asked = &request.keys[..request.keys.len() - 1];
        let sort = || asked.iter().zip(&found.places).map(|(key, place)| sort::show(key, place)).collect();
        let highlight = request.highlight.as_ref().and_then(|highlight| highlight.of(document.source.get()));
        Ok(Hit {
            highlight,
            id: document.id,
            score: scored.then_some(found.score),
            source: request.shown.apply(document.source),
            sort: request.sorted.then(sort),
        })
    };
    page.map(hit).collect()
}
