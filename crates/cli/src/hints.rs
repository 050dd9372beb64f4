//! What can be asked, and how: `curl` lines that work as they are printed, made of the job's own indexes and paths.

use crate::client::encode;
use proxima_event::KeyValueScan;
use proxima_graph::path_table;
use proxima_serve::{Asked, Field, IndexInfo, SimilarPath};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// How many objects are looked at to find one with neighbours worth showing.
const LOOKED_AT: usize = 200;

/// A path and an object that it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathHint {
    /// The path's name.
    pub path: String,
    /// An object's id.
    pub id: String,
}

/// The lines: a search, the neighbours of an object, the status.
#[must_use]
pub fn lines(address: SocketAddr, indexes: &[(String, IndexInfo)], path: Option<&PathHint>) -> String {
    let mut lines = Vec::new();
    if let Some((name, info)) = indexes.iter().max_by_key(|(_, info)| interest(info)) {
        let body = search(&info.fields);
        lines.push(format!("curl -s 'http://{address}/v1/indexes/{}/_search?pretty' -d '{body}'", encode(name)));
    }
    if let Some(PathHint { path, id }) = path {
        lines.push(format!("curl -s 'http://{address}/v1/similar/{}/{}?n=5&pretty'", encode(path), encode(id)));
    }
    lines.push(format!("curl -s 'http://{address}/v1/status'"));
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("Serving on http://{address}. Ask for example:\n{lines}")
}

/// The same for a process that serves lists alone. What objects there are only a person knows.
#[must_use]
pub fn of_lists(address: SocketAddr, paths: &[String], recommendations: &[String]) -> String {
    let line =
        |route, name: &String| format!("  curl -s 'http://{address}/v1/{route}/{}/ID?n=5&pretty'\n", encode(name));
    let paths = paths.iter().map(|path| line("similar", path));
    let lines: String = paths.chain(recommendations.iter().map(|name| line("recommend", name))).collect();
    format!("Serving lists on http://{address}. Ask, with an object's id for ID:\n{lines}")
}

/// An index over time with numbers shows more than one without; among equals the first in the job is taken.
fn interest(info: &IndexInfo) -> (bool, std::cmp::Reverse<u64>) {
    let kinds = [is_time as fn(&Field) -> bool, is_number];
    let rich = kinds.iter().all(|kind| info.fields.iter().any(kind));
    (rich && info.documents > 0, std::cmp::Reverse(info.documents))
}

/// A request that shows the newest documents and sums a number over all of them, as far as the fields allow.
fn search(fields: &[Field]) -> Value {
    let mut request = Map::new();
    request.insert("size".to_owned(), json!(3));
    if let Some(time) = fields.iter().find(|field| is_time(field)).or_else(|| fields.first()) {
        request.insert("sort".to_owned(), json!([{ time.name.as_str(): "desc" }]));
    }
    if let Some(number) = fields.iter().rev().find(|field| is_number(field)) {
        request.insert("aggs".to_owned(), json!({ "total": { "sum": { "field": number.name } } }));
    }
    Value::Object(request)
}

fn is_time(field: &Field) -> bool {
    field.kind.starts_with("DATE") || field.kind.starts_with("TIMESTAMP")
}

fn is_number(field: &Field) -> bool {
    let numbers = ["TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL"];
    numbers.iter().any(|kind| field.kind.starts_with(kind))
}

/// An object of the path that many subjects are related to, among the first ones in the store.
pub fn find_object(store: &dyn KeyValueScan, path: &str, reader: &dyn SimilarPath) -> Option<PathHint> {
    let mut ids = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        ids.extend(key.get(1..).and_then(|id| String::from_utf8(id.to_vec()).ok()));
        ids.len() < LOOKED_AT
    };
    // In a path's table `i` and a name leads to the object's id.
    store.scan(&path_table(path), b"i", &mut visit).ok()?;
    let rated = ids.into_iter().filter_map(|id| {
        let near = reader.similar(&id, Asked { n: 1, explain: false }).ok()??;
        (!near.neighbours.is_empty()).then_some((near.norm, id))
    });
    let (_, id) = rated.max()?;
    Some(PathHint { path: path.to_owned(), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(documents: u64, fields: &[(&str, &str)]) -> IndexInfo {
        let field = |&(name, kind): &(&str, &str)| Field { name: name.into(), kind: kind.into() };
        IndexInfo { documents, fields: fields.iter().map(field).collect() }
    }

    #[test]
    fn the_lines_are_of_the_jobs_own_results() {
        let customers = info(3000, &[("customer", "STRING"), ("spend", "DECIMAL(18, 3)")]);
        let daily = info(167, &[("day", "DATE"), ("rows", "BIGINT"), ("gmv_gbp", "DECIMAL(18, 3)")]);
        let indexes = [("customers".to_owned(), customers), ("daily".to_owned(), daily)];
        let path = PathHint { path: "bought_together".into(), id: "85123A/x".into() };
        let text = lines("127.0.0.1:8080".parse().expect("an address"), &indexes, Some(&path));
        let expected = "Serving on http://127.0.0.1:8080. Ask for example:
  curl -s 'http://127.0.0.1:8080/v1/indexes/daily/_search?pretty' -d '{\"size\":3,\"sort\":[{\"day\":\"desc\"}],\"aggs\":{\"total\":{\"sum\":{\"field\":\"gmv_gbp\"}}}}'
  curl -s 'http://127.0.0.1:8080/v1/similar/bought_together/85123A%2Fx?n=5&pretty'
  curl -s 'http://127.0.0.1:8080/v1/status'
";
        assert_eq!(text, expected);
    }

    #[test]
    fn lists_are_asked_for_with_ids() {
        let paths = ["also".to_owned(), "for you".to_owned()];
        let text = of_lists(([127, 0, 0, 1], 80).into(), &paths, &["home".to_owned()]);
        let expected = "Serving lists on http://127.0.0.1:80. Ask, with an object's id for ID:
  curl -s 'http://127.0.0.1:80/v1/similar/also/ID?n=5&pretty'
  curl -s 'http://127.0.0.1:80/v1/similar/for%20you/ID?n=5&pretty'
  curl -s 'http://127.0.0.1:80/v1/recommend/home/ID?n=5&pretty'
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_job_without_results_can_be_asked_for_its_status() {
        let text = lines("[::1]:80".parse().expect("an address"), &[], None);
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
