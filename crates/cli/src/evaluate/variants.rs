//! What of a job is judged: paths and recommendations that give objects of a relation to its subjects.

use super::replay::Variant;
use crate::assemble::recommenders;
use crate::job::JobPlan;
use anyhow::{Result, bail, ensure};
use proxima_graph::path::{Path, WalkReader};
use proxima_graph::{KindId, LiveGraph, Relation};
use proxima_recommend::{Request, Service};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was chosen, by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'a> {
    /// Paths.
    pub paths: &'a [String],
    /// Recommendations and splits.
    pub recommendations: &'a [String],
}

/// The lists of what was chosen, or else of all that leads from the relation's subjects to its objects, asked over `graph`.
///
/// # Errors
/// When there is nothing of a chosen name, or nothing at all.
pub fn variants<'a>(
    plan: &JobPlan,
    relation: &Relation,
    chosen: Chosen<'_>,
    graph: &Arc<LiveGraph>,
) -> Result<Vec<Variant<'a>>> {
    let ends = (relation.subject, relation.object);
    let (paths, recommendations) = (paths(plan, ends), recommendations(plan, ends));
    let kinds = [ends.0, ends.1].map(|kind| plan.catalogue[kind].name.as_str());
    let all = chosen.paths.is_empty() && chosen.recommendations.is_empty();
    ensure!(
        !(all && paths.is_empty() && recommendations.is_empty()),
        "no path and no recommendation of the job leads from {} to {}",
        kinds[0],
        kinds[1]
    );
    let known = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if let Some(name) = chosen.paths.iter().find(|name| !paths.contains_key(name.as_str())) {
        let known = known(paths.keys().copied().collect());
        bail!("no path \"{name}\" leads from {} to {}; there are: {known}", kinds[0], kinds[1]);
    }
    if let Some(name) = chosen.recommendations.iter().find(|name| !recommendations.contains(&name.as_str())) {
        if let Some(model) = plan.recommendations.plain.get(name).and_then(|plan| plan.spec.model.as_ref()) {
            bail!("recommendation \"{name}\" is ranked by model \"{model}\", which a replay does not train");
        }
        let known = known(recommendations);
        bail!("no recommendation \"{name}\" gives {} to {}; there are: {known}", kinds[1], kinds[0]);
    }
    let chosen_path = |name: &str| all || chosen.paths.iter().any(|chosen| chosen == name);
    let chosen_recommendation = |name: &str| all || chosen.recommendations.iter().any(|chosen| chosen == name);
    let of_path = |(_, path): (&str, &Arc<Path>)| of_path(plan, graph, path);
    let mut variants: Vec<_> = paths.into_iter().filter(|(name, _)| chosen_path(name)).map(of_path).collect();
    let splits = plan.recommendations.splits.clone();
    let service = Arc::new(Service::new(recommenders(plan, graph, &BTreeMap::new())?, splits));
    let recommendations = recommendations.into_iter().filter(|name| chosen_recommendation(name));
    variants.extend(recommendations.map(|name| of_recommendation(&service, name)));
    Ok(variants)
}

type Ends = (KindId, KindId);

fn paths(plan: &JobPlan, ends: Ends) -> BTreeMap<&str, &Arc<Path>> {
    plan.walks.iter().filter(|(_, path)| (path.from, path.to) == ends).collect()
}

/// Recommendations that no model ranks, then splits over nothing else.
fn recommendations(plan: &JobPlan, ends: Ends) -> Vec<&str> {
    let plans = &plan.recommendations;
    let fits =
        |name: &str| plans.plain.get(name).is_some_and(|of| (of.subject, of.item) == ends && of.spec.model.is_none());
    let plain = plans.plain.keys().map(String::as_str).filter(|name| fits(name));
    let splits = plans.splits.iter().filter(|(_, split)| split.variants().iter().all(|(name, _)| fits(name)));
    plain.chain(splits.map(|(name, _)| name.as_str())).collect()
}

fn of_path<'a>(plan: &JobPlan, graph: &Arc<LiveGraph>, path: &Arc<Path>) -> Variant<'a> {
    let reader = WalkReader::new(Arc::clone(graph) as _, Arc::new(plan.catalogue.clone()), Arc::clone(path));
    let list = move |subject: &str, k: usize| {
        let walked = reader.walk(subject, k, false);
        walked.into_iter().flat_map(|walked| walked.neighbours).map(|to| to.found.name).collect()
    };
    Variant { name: path.name.clone().unwrap_or_default(), list: Box::new(list) }
}

fn of_recommendation<'a>(service: &Arc<Service>, name: &str) -> Variant<'a> {
    let (service, asked) = (Arc::clone(service), name.to_owned());
    let list = move |subject: &str, k: usize| {
        let request = Request { subject, number: Some(k), ..Request::default() };
        let recommended = service.recommend(&asked, &request).expect("it is one of the service");
        recommended.answer.items.into_iter().map(|item| item.item).collect()
    };
    Variant { name: name.to_owned(), list: Box::new(list) }
}
