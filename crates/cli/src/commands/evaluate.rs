//! `proxima evaluate`: how good the lists of a job would have been.

use super::{load_job, print};
use crate::args::EvaluateArgs;
use crate::assemble::empty_graph;
use crate::evaluate::{Chosen, Models, Protocol, Replay, gather, left_out, replay, variants};
use crate::failure::Failure;
use crate::job::JobPlan;
use anyhow::{Context, Result};
use proxima_recommend::evaluate::{Metrics, plot, table};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Judges a job's paths and recommendations by the rows of one of its relations.
pub(super) fn evaluate(args: &EvaluateArgs) -> Result<(), Failure> {
    let plan = load_job(&args.job.job, &args.job.overlay())?;
    let Judged { figures, left_out } = judge(&plan, args)?;
    let title = format!("{}: what comes next in {}", plan.name, args.relation);
    if let Some(file) = &args.svg {
        let written = std::fs::write(file, plot(&title, args.k, &figures));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    match args.json {
        true => print(&format!("{}\n", to_json(args.k, &figures, &left_out))),
        false => {
            let left_out = left_out.iter().map(|(name, reason)| format!("left out: {name}, {reason}\n"));
            print(&(table(args.k, &figures) + &left_out.collect::<String>()))
        }
    }
}

/// The figures of each variant, and why others have none.
struct Judged {
    figures: Vec<(String, Metrics)>,
    left_out: BTreeMap<String, String>,
}

fn judge(plan: &JobPlan, args: &EvaluateArgs) -> Result<Judged, Failure> {
    let names: Vec<_> = plan.catalogue.relations.iter().map(|relation| relation.name.as_str()).collect();
    let id = plan.catalogue.relation(&args.relation);
    let id = id.ok_or_else(|| {
        let known = names.join(", ");
        Failure::NotFound(format!("no relation is named \"{}\"; there are: {known}", args.relation))
    })?;
    let relation = &plan.catalogue[id];
    if !relation.timed {
        let why = "has no time, so that nothing comes next: add a column time";
        return Err(Failure::Usage(format!("relation \"{}\" {why}", args.relation)));
    }
    let protocol = match args.hold_out {
        Some(n) => Protocol::HoldOut { n },
        None => Protocol::BeforeEach { from_us: args.from.as_deref().map_or(Ok(i64::MIN), instant).map_err(usage)? },
    };
    let ends = (relation.subject, relation.object);
    let chosen = Chosen { paths: &args.path, recommendations: &args.recommendation };
    chosen.check(plan, ends).map_err(|error| Failure::NotFound(error.to_string()))?;
    let mut models = Models::of(plan, ends);
    let gathered = gather(plan, models.live.keys())?;
    models.teach(&gathered)?;
    let graph = empty_graph(plan, 1);
    let variants = variants(plan, ends, chosen, (&graph, &models))?;
    let left_out = left_out(plan, ends, chosen, &models);
    let figures = replay(&gathered, &graph, &mut models, &Replay { relation: id, protocol, k: args.k, variants });
    Ok(Judged { figures, left_out })
}

fn usage(error: anyhow::Error) -> Failure {
    Failure::Usage(format!("{error:#}"))
}

/// A point in time by the job's wall clock, in microseconds since 1970 by that clock, as times in relations are.
fn instant(text: &str) -> Result<i64> {
    let advice = || format!("\"{text}\" is no time: write 2011-06-01 or 2011-06-01T12:00:00");
    let whole = if text.contains(['T', ' ']) { text.replace(' ', "T") } else { format!("{text}T00:00:00") };
    let time: chrono::NaiveDateTime = whole.parse().with_context(advice)?;
    Ok(time.and_utc().timestamp_micros())
}

fn to_json(k: usize, figures: &[(String, Metrics)], left_out: &BTreeMap<String, String>) -> Value {
    let variant = |(name, of): &(String, Metrics)| {
        let figures = json!({
            "asked": of.asked, "answered": of.answered, "hit_rate": of.hit_rate, "mrr": of.mrr, "ndcg": of.ndcg,
            "recall": of.recall, "coverage": of.coverage,
        });
        (name.clone(), figures)
    };
    let variants = figures.iter().map(variant).collect::<serde_json::Map<_, _>>();
    json!({ "k": k, "variants": variants, "left_out": left_out })
}
