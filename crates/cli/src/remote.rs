//! What a job keeps in Redis, for reading alone: lists of paths, and what recommendations are answered from.

use crate::job::kept::{SHARES, attributes_table, related_table};
use crate::job::recommendations::RecommendationPlan;
use crate::job::{JobPlan, Kept, SinkKind};
use proxima_event::KeyValueRead;
use proxima_graph::KindId;
use proxima_graph::path::clock;
use proxima_publish::{AttributeReader, ListReader, ShareReader};
use proxima_recommend::{Recommender, Service, StoredShop, walk};
use proxima_redis::RedisReader;
use proxima_serve::SimilarPath;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What of a job is in Redis.
pub struct RemoteLists {
    /// The sinks that it is read from.
    pub stores: Vec<Arc<RedisReader>>,
    /// The paths whose lists are there.
    pub paths: BTreeMap<String, Arc<dyn SimilarPath>>,
    /// The recommendations, as far as they are answered from there.
    pub recommendations: Service,
}

/// What reads what a job keeps in Redis; nothing is connected yet.
#[must_use]
pub fn remote_lists(plan: &JobPlan) -> RemoteLists {
    let mut stores: BTreeMap<&str, Arc<RedisReader>> = BTreeMap::new();
    let mut paths = BTreeMap::<String, Arc<dyn SimilarPath>>::new();
    for (name, output) in &plan.outputs {
        let Some((sink, SinkKind::Redis(redis))) = output.sink.as_ref().and_then(|sink| plan.sinks.get_key_value(sink))
        else {
            continue;
        };
        let open = || Arc::new(RedisReader::new(redis.servers.clone(), redis.layout, redis.pattern.clone()));
        let store = Arc::clone(stores.entry(sink).or_insert_with(open));
        if output.kept == Kept::Path {
            // There the table of the lists has the path's own name.
            paths.insert(name.clone(), Arc::new(ListReader::new(store as _, name)));
        }
    }
    let recommendations = recommendations(plan, &stores);
    RemoteLists { stores: stores.into_values().collect(), paths, recommendations }
}

fn recommendations(plan: &JobPlan, stores: &BTreeMap<&str, Arc<RedisReader>>) -> Service {
    let plans = &plan.recommendations;
    let (mut recommenders, mut elsewhere, mut shares) = (BTreeMap::new(), BTreeMap::new(), None);
    for (name, of) in &plans.plain {
        match of.sink.as_ref().and_then(|sink| stores.get(sink.as_str())) {
            Some(store) => {
                let store = Arc::clone(store) as Arc<dyn KeyValueRead>;
                shares = Some(ShareReader::new(Arc::clone(&store), SHARES, clock()));
                let shop = Arc::new(shop(plan, of, &store));
                recommenders.insert(name.clone(), Recommender { spec: of.spec.clone(), shop });
            }
            None => drop(elsewhere.insert(name.clone(), reason(of))),
        }
    }
    Service::new(recommenders, plans.splits.clone()).without_run(elsewhere, shares)
}

fn reason(of: &RecommendationPlan) -> String {
    match &of.spec.model {
        Some(model) => format!("is ranked by model \"{model}\", which only the run of the job asks"),
        None => "has no output in Redis, so only the run of the job answers".to_owned(),
    }
}

fn shop(plan: &JobPlan, of: &RecommendationPlan, store: &Arc<dyn KeyValueRead>) -> StoredShop {
    let list = |table: String| ListReader::new(Arc::clone(store), table);
    let attributes = |kind: KindId| {
        let table = attributes_table(&plan.catalogue, kind);
        let kept = plan.outputs.contains_key(&table);
        kept.then(|| AttributeReader::new(Arc::clone(store), table, plan.catalogue[kind].attributes.clone()))
    };
    let paths = of.spec.from.iter().map(|from| &from.path);
    let paths = paths.chain(of.spec.fallback.iter().map(|fallback| &fallback.path));
    let related = of.spec.rules.drop.iter().filter_map(|drop| {
        let way = walk(&plan.catalogue, drop, of.subject, of.item)?;
        Some((drop.clone(), list(related_table(&plan.catalogue, way))))
    });
    StoredShop {
        lists: paths.map(|path| (path.clone(), list(path.clone()))).collect(),
        related: related.collect(),
        subjects: attributes(of.subject),
        items: attributes(of.item).map(|reader| reader.keeping(clock())),
    }
}
