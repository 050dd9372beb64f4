//! Where the results of views go: a sink for each target.

use super::{Assembly, Before, check_there};
use crate::data::DataFolder;
use crate::job::{JobPlan, SinkKind, index_name};
use crate::upgrade::{self, Cohort, Layout};
use anyhow::{Context, Result};
use proxima_elastic::{Cluster, ElasticReader, ElasticSink};
use proxima_engine::SinkNode;
use proxima_event::Sink;
use proxima_kafka::KafkaSink;
use proxima_redis::RedisSink;
use proxima_sink::{Counters, DiscardSink, IndexConfig, IndexSink};
use proxima_view::Lowered;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn add_targets(
    job: &JobPlan,
    data: &DataFolder,
    before: Before,
    (layout, cohort, lowered): (&Layout, &Cohort, &Lowered),
    assembly: &mut Assembly,
) -> Result<()> {
    let mut clusters = BTreeMap::<&str, Arc<Cluster>>::new();
    for target in &cohort.plan.targets {
        let before = match before {
            Before::Checkpoint if layout.restarted.contains(&upgrade::target(&target.name)) => Before::Nothing,
            before => before,
        };
        let kind = job.sinks.get(&target.sink).with_context(|| format!("no sink is named \"{}\"", target.sink))?;
        let sink: Box<dyn Sink> = match kind {
            SinkKind::Index => {
                let name = index_name(&target.index);
                let config = IndexConfig::new(&name, Arc::clone(&target.schema), target.key.clone());
                check_there(&data.indexes().join(&name), before)?;
                let sink = IndexSink::open(&data.indexes(), &config)?;
                assembly.indexes.insert(name, Arc::new(sink.reader()));
                Box::new(sink)
            }
            SinkKind::Elastic(plan) => {
                let cluster = match clusters.get(target.sink.as_str()) {
                    Some(cluster) => Arc::clone(cluster),
                    None => Cluster::new(plan.cluster.clone())?,
                };
                clusters.insert(&target.sink, Arc::clone(&cluster));
                let fits = |error| anyhow::anyhow!("table {}: {error}", target.name);
                let first = before == Before::Nothing;
                let others =
                    job.views.targets.iter().filter(|other| other.sink == target.sink && other.name != target.name);
                let others = others.map(|other| other.index.as_str()).collect();
                let config = plan.target(&target.index, &target.schema, &target.key, (others, first)).map_err(fits)?;
                let reader = ElasticReader::new(&cluster, config.clone());
                assembly.indexes.insert(index_name(&target.index), Arc::new(reader));
                Box::new(ElasticSink::new(&cluster, config).map_err(fits)?)
            }
            SinkKind::Kafka(plan) => {
                let config = plan.target(&job.name, &target.index, &target.schema, &target.key);
                Box::new(KafkaSink::open(config)?)
            }
            SinkKind::Redis(plan) => {
                let config = plan.target(&target.index, &target.key);
                Box::new(RedisSink::open(plan.servers.clone(), config)?)
            }
            SinkKind::Discard => {
                let counters = Arc::new(Counters::default());
                assembly.discarded.insert(target.name.clone(), Arc::clone(&counters));
                Box::new(DiscardSink::new(counters))
            }
        };
        let input = lowered.targets[&target.name];
        assembly.topology.sink(SinkNode { name: target.name.clone(), input, sink });
    }
    Ok(())
}
