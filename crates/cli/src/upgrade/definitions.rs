//! What a job gives, result by result, in terms that can be compared with what an earlier run has noted.

use crate::job::models::query_name;
use crate::job::{JobPlan, SinkKind, index_name};
use proxima_event::hash::hash_str;
use std::collections::{BTreeMap, BTreeSet};

/// A result of a job: a target, relation, object, path or model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// A number that is the same for as long as the result is.
    pub meaning: u64,
    /// The target or the query of the job's SQL that it is made from.
    pub query: String,
    /// The sources that it reads.
    pub sources: BTreeSet<String>,
    /// The embedded index that it is written to.
    pub index: Option<String>,
    /// Whether it is one of the relations and objects, which make up one graph.
    pub is_of_graph: bool,
}

/// By what people call a target.
#[must_use]
pub fn target(name: &str) -> String {
    format!("target {name}")
}

/// By what people call a relation.
#[must_use]
pub fn relation(name: &str) -> String {
    format!("relation {name}")
}

/// By what people call a type of objects.
#[must_use]
pub fn object(name: &str) -> String {
    format!("object {name}")
}

/// By what people call a model.
#[must_use]
pub fn model(name: &str) -> String {
    format!("model {name}")
}

/// By what people call a path.
#[must_use]
pub fn path(name: &str) -> String {
    format!("path {name}")
}

/// All results of a job, by what people call them.
#[must_use]
pub fn definitions(job: &JobPlan) -> BTreeMap<String, Definition> {
    let meanings = job.views.meanings();
    let define = |query: &str, more: String, index: Option<String>| Definition {
        meaning: hash_str(&format!("{:x} {more}", meanings[query])),
        query: query.to_owned(),
        sources: job.views.sources(query),
        index,
        is_of_graph: false,
    };
    let of_graph = |definition: Definition| Definition { is_of_graph: true, ..definition };
    let mut all = BTreeMap::new();
    for written in &job.views.targets {
        let kind = job.sinks.get(&written.sink);
        let index = matches!(kind, Some(SinkKind::Index)).then(|| index_name(&written.index));
        let place = format!("{} {}", kind.map_or("", SinkKind::word), written.index);
        all.insert(target(&written.name), define(&written.name, place, index));
    }
    let reads_graph = job.reads_graph();
    for (name, plan) in job.relations.iter().filter(|_| reads_graph) {
        let rules = format!("{} {} {:?}", plan.subject, plan.object, plan.rules);
        all.insert(relation(name), of_graph(define(&plan.query, rules, None)));
    }
    for (name, plan) in job.objects.iter().filter(|_| reads_graph || !job.paths.is_empty()) {
        let place = if reads_graph { "graph" } else { "documents" };
        all.insert(object(name), of_graph(define(&plan.query, place.to_owned(), None)));
    }
    for (name, plan) in &job.paths {
        let counted = format!("{:?} {}", plan.kind, plan.hot_above);
        all.insert(path(name), define(&job.relations[&plan.relation].query, counted, None));
    }
    for (name, spec) in &job.models {
        all.insert(model(name), define(&query_name(name), format!("{spec:?}"), None));
    }
    all
}
