//! Recommendations over the live graph, its paths and the models of a job.

use crate::data::DataFolder;
use crate::job::JobPlan;
use crate::splits;
use anyhow::Result;
use proxima_graph::LiveGraph;
use proxima_graph::path::Memo;
use proxima_model::LiveModel;
use proxima_recommend::{LiveShop, Ranker, Recommender, Service};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What answers for the recommendations of a run: splits deal by the shares that were kept.
pub(super) fn service(
    job: &JobPlan,
    data: &DataFolder,
    (graph, memo): (Option<&Arc<LiveGraph>>, &Arc<Memo>),
    models: &BTreeMap<String, Arc<LiveModel>>,
) -> Result<Service> {
    let Some(graph) = graph else { return Ok(Service::default()) };
    let recommenders = recommenders(job, graph, Some(memo), models)?;
    let (splits, keep) = splits::restore(data.splits(), &job.recommendations.splits)?;
    Ok(Service::new(recommenders, splits).kept_by(keep))
}

/// The recommendations of a job by their names, without splits; what their paths lead to may be kept in a memo. One that
/// is ranked by a model is there with its model only.
///
/// # Errors
/// When a model asks for what the objects do not have.
pub fn recommenders(
    job: &JobPlan,
    graph: &Arc<LiveGraph>,
    memo: Option<&Arc<Memo>>,
    models: &BTreeMap<String, Arc<LiveModel>>,
) -> Result<BTreeMap<String, Recommender>> {
    let catalogue = Arc::new(job.catalogue.clone());
    let paths: BTreeMap<_, _> = job.walks.iter().map(|(name, path)| (name.to_owned(), Arc::clone(path))).collect();
    let mut recommenders = BTreeMap::new();
    for (name, plan) in &job.recommendations.plain {
        let (subject, item) = (plan.subject, plan.item);
        let mut rankers = BTreeMap::new();
        if let Some(model) = &plan.spec.model {
            let Some(live) = models.get(model) else { continue };
            let ranker = Ranker::new(Arc::clone(live), &catalogue, subject, item);
            rankers.insert(model.clone(), ranker.map_err(|error| anyhow::anyhow!("recommendation {name}: {error}"))?);
        }
        let graph = Arc::clone(graph) as _;
        let shop = LiveShop::new(graph, Arc::clone(&catalogue), (subject, item), paths.clone(), rankers);
        let shop = match memo {
            Some(memo) => shop.keeping(Arc::clone(memo)),
            None => shop,
        };
        recommenders.insert(name.clone(), Recommender { spec: plan.spec.clone(), shop: Arc::new(shop) });
    }
    Ok(recommenders)
}
