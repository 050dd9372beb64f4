//! What of a job is judged: paths and recommendations that give objects of a relation to its subjects.

use super::models::Models;
use super::replay::Variant;
use crate::assemble::recommenders;
use crate::job::JobPlan;
use anyhow::{Result, bail, ensure};
use proxima_graph::path::{Path, WalkReader};
use proxima_graph::{KindId, LiveGraph};
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

impl Chosen<'_> {
    fn is_all(&self) -> bool {
        self.paths.is_empty() && self.recommendations.is_empty()
    }

    fn has_recommendation(&self, name: &str) -> bool {
        self.is_all() || self.recommendations.iter().any(|chosen| chosen == name)
    }

    /// Whether there is what was chosen, between a relation's ends: to be told before anything is read.
    ///
    /// # Errors
    /// When there is nothing of a chosen name, or nothing at all.
    pub fn check(&self, plan: &JobPlan, ends: Ends) -> Result<()> {
        let (paths, recommendations) = (paths(plan, ends), recommendations(plan, ends));
        let kinds = [ends.0, ends.1].map(|kind| plan.catalogue[kind].name.as_str());
        ensure!(
            !(self.is_all() && paths.is_empty() && recommendations.is_empty()),
            "no path and no recommendation of the job leads from {} to {}",
            kinds[0],
            kinds[1]
        );
        let known = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        if let Some(name) = self.paths.iter().find(|name| !paths.contains_key(name.as_str())) {
            let known = known(paths.keys().copied().collect());
            bail!("no path \"{name}\" leads from {} to {}; there are: {known}", kinds[0], kinds[1]);
        }
        if let Some(name) = self.recommendations.iter().find(|name| !recommendations.contains(&name.as_str())) {
            let known = known(recommendations);
            bail!("no recommendation \"{name}\" gives {} to {}; there are: {known}", kinds[1], kinds[0]);
        }
        Ok(())
    }
}

/// The lists of what was chosen, or else of all that leads from one end of a relation to the other, asked over `graph`; but
/// for what is [`left_out`].
///
/// # Errors
/// When a model asks for what the objects do not have.
pub fn variants<'a>(
    plan: &JobPlan,
    ends: Ends,
    chosen: Chosen<'_>,
    (graph, models): (&Arc<LiveGraph>, &Models),
) -> Result<Vec<Variant<'a>>> {
    let left_out = left_out(plan, ends, chosen, models);
    let chosen_path = |name: &str| chosen.is_all() || chosen.paths.iter().any(|chosen| chosen == name);
    let of_path = |(_, path): (&str, &Arc<Path>)| of_path(plan, graph, path);
    let mut variants: Vec<_> =
        paths(plan, ends).into_iter().filter(|(name, _)| chosen_path(name)).map(of_path).collect();
    let splits = plan.recommendations.splits.clone();
    let service = Arc::new(Service::new(recommenders(plan, graph, None, &models.live)?, splits));
    let judged = recommendations(plan, ends).into_iter();
    let judged = judged.filter(|name| chosen.has_recommendation(name) && !left_out.contains_key(*name));
    variants.extend(judged.map(|name| of_recommendation(&service, name)));
    Ok(variants)
}

/// Which recommendations of those that were chosen are not judged, and why: what ranks them cannot be asked as it was.
#[must_use]
pub fn left_out(plan: &JobPlan, ends: Ends, chosen: Chosen<'_>, models: &Models) -> BTreeMap<String, String> {
    let plans = &plan.recommendations;
    let refused = |name: &str| {
        let model = plans.plain.get(name)?.spec.model.as_ref()?;
        Some(format!("ranked by model \"{model}\": {}", models.refused.get(model)?))
    };
    let reason = |name: &str| match plans.splits.get(name) {
        None => refused(name),
        Some(split) => split.variants().iter().find_map(|(name, _)| Some(format!("deals {name}, {}", refused(name)?))),
    };
    let names = recommendations(plan, ends).into_iter().filter(|name| chosen.has_recommendation(name));
    names.filter_map(|name| Some((name.to_owned(), reason(name)?))).collect()
}

/// The subjects and objects of a relation.
type Ends = (KindId, KindId);

fn paths(plan: &JobPlan, ends: Ends) -> BTreeMap<&str, &Arc<Path>> {
    plan.walks.iter().filter(|(_, path)| (path.from, path.to) == ends).collect()
}

/// Recommendations, then splits over nothing else.
fn recommendations(plan: &JobPlan, ends: Ends) -> Vec<&str> {
    let plans = &plan.recommendations;
    let fits = |name: &str| plans.plain.get(name).is_some_and(|of| (of.subject, of.item) == ends);
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
        recommended.answer.items.iter().map(|item| Arc::clone(&item.item)).collect()
    };
    Variant { name: name.to_owned(), list: Box::new(list) }
}
