//! `proxima evaluate`: how good the lists of a job would have been.

use super::{load_job, print};
use crate::args::EvaluateArgs;
use crate::assemble::empty_graph;
use crate::evaluate::{Protocol, Replay, Variant, gather, replay};
use crate::failure::Failure;
use crate::job::JobPlan;
use anyhow::{Context, Result, anyhow, ensure};
use proxima_graph::path::{Path, WalkReader};
use proxima_graph::{LiveGraph, Relation};
use proxima_recommend::evaluate::{Metrics, plot, table};
use serde_json::{Value, json};
use std::sync::Arc;

/// Judges a job's paths by the rows of one of its relations.
pub(super) fn evaluate(args: &EvaluateArgs) -> Result<(), Failure> {
    let plan = load_job(&args.job.job, &args.job.overlay())?;
    let figures = judge(&plan, args)?;
    let title = format!("{}: what comes next in {}", plan.name, args.relation);
    if let Some(file) = &args.svg {
        let written = std::fs::write(file, plot(&title, args.k, &figures));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    match args.json {
        true => print(&format!("{}\n", to_json(args.k, &figures))),
        false => print(&table(args.k, &figures)),
    }
}

fn judge(plan: &JobPlan, args: &EvaluateArgs) -> Result<Vec<(String, Metrics)>> {
    let names: Vec<_> = plan.catalogue.relations.iter().map(|relation| relation.name.as_str()).collect();
    let id = plan.catalogue.relation(&args.relation);
    let id =
        id.with_context(|| format!("no relation is named \"{}\"; there are: {}", args.relation, names.join(", ")))?;
    let relation = &plan.catalogue[id];
    ensure!(
        relation.timed,
        "relation \"{}\" has no time, so that nothing comes next: add a column time",
        args.relation
    );
    let protocol = match args.hold_out {
        Some(n) => Protocol::HoldOut { n },
        None => Protocol::BeforeEach { from_us: args.from.as_deref().map_or(Ok(i64::MIN), instant)? },
    };
    let paths = paths(plan, relation, &args.path)?;
    let gathered = gather(plan)?;
    let graph = empty_graph(plan, 1);
    let variants = paths.iter().map(|path| variant(plan, &graph, path)).collect();
    Ok(replay(&gathered, &graph, &Replay { relation: id, protocol, k: args.k, variants }))
}

/// The paths that were named, or all that lead from the relation's subjects to its objects.
fn paths(plan: &JobPlan, relation: &Relation, named: &[String]) -> Result<Vec<Arc<Path>>> {
    let fits = |path: &Path| path.from == relation.subject && path.to == relation.object;
    let all: Vec<_> = plan.walks.iter().filter(|(_, path)| fits(path)).collect();
    let kinds = [relation.subject, relation.object].map(|kind| plan.catalogue[kind].name.as_str());
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    ensure!(!all.is_empty(), "no path of the job leads from {} to {}", kinds[0], kinds[1]);
    if named.is_empty() {
        return Ok(all.into_iter().map(|(_, path)| Arc::clone(path)).collect());
    }
    let find = |name: &String| {
        let found = all.iter().find(|(known, _)| known == name).map(|(_, path)| Arc::clone(path));
        found.ok_or_else(|| anyhow!("no path \"{name}\" leads from {} to {}; there are: {names}", kinds[0], kinds[1]))
    };
    named.iter().map(find).collect()
}

fn variant<'a>(plan: &JobPlan, graph: &Arc<LiveGraph>, path: &Arc<Path>) -> Variant<'a> {
    let reader = WalkReader::new(Arc::clone(graph) as _, Arc::new(plan.catalogue.clone()), Arc::clone(path));
    let list = move |subject: &str, k: usize| {
        let walked = reader.walk(subject, k, false);
        walked.into_iter().flat_map(|walked| walked.neighbours).map(|to| to.found.name).collect()
    };
    Variant { name: path.name.clone().unwrap_or_default(), list: Box::new(list) }
}

/// A point in time by the job's wall clock, in microseconds since 1970 by that clock, as times in relations are.
fn instant(text: &str) -> Result<i64> {
    let advice = || format!("\"{text}\" is no time: write 2011-06-01 or 2011-06-01T12:00:00");
    let whole = if text.contains(['T', ' ']) { text.replace(' ', "T") } else { format!("{text}T00:00:00") };
    let time: chrono::NaiveDateTime = whole.parse().with_context(advice)?;
    Ok(time.and_utc().timestamp_micros())
}

fn to_json(k: usize, figures: &[(String, Metrics)]) -> Value {
    let variant = |(name, of): &(String, Metrics)| {
        let figures = json!({
            "asked": of.asked, "answered": of.answered, "hit_rate": of.hit_rate, "mrr": of.mrr, "ndcg": of.ndcg,
            "recall": of.recall, "coverage": of.coverage,
        });
        (name.clone(), figures)
    };
    json!({ "k": k, "variants": figures.iter().map(variant).collect::<serde_json::Map<_, _>>() })
}
