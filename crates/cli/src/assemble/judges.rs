//! Judges of recommendations, told what happens by the rows of relations.

use crate::evaluate::Texts;
use crate::job::JobPlan;
use proxima_engine::{SinkNode, Topology};
use proxima_event::{Changes, Sink, SinkError, Version};
use proxima_graph::{Graph, KindId, LiveGraph, RelationColumns, RelationInput};
use proxima_recommend::evaluate::{LiveJudge, Metrics};
use std::sync::Arc;

/// A judge at work.
#[derive(Clone)]
pub struct Judged {
    /// The recommendation or split that is judged.
    pub name: String,
    /// The relation whose rows tell what was wanted.
    pub by: String,
    /// What judges.
    pub judge: Arc<LiveJudge>,
    graph: Arc<LiveGraph>,
    item: KindId,
}

impl Judged {
    /// The figures of each variant.
    #[must_use]
    pub fn metrics(&self) -> Vec<(String, Metrics)> {
        let items = self.graph.population(self.item);
        self.judge.metrics(usize::try_from(items).unwrap_or(usize::MAX))
    }
}

/// The judges of a job, told of each new row of their relations. Rows that are taken back have happened all the same.
pub(super) fn add_judges(
    job: &JobPlan,
    relations: &[RelationInput],
    graph: &Arc<LiveGraph>,
    topology: &mut Topology,
) -> Vec<Judged> {
    let mut judges = Vec::new();
    for (name, plan) in &job.judges {
        let input = relations.iter().find(|input| input.relation == plan.by).expect("every relation has an input");
        let judge = Arc::new(LiveJudge::new(plan.k));
        let sink = Happenings { judge: Arc::clone(&judge), columns: input.columns };
        topology.sink(SinkNode { name: format!("judge of {name}"), input: input.rows, sink: Box::new(sink) });
        let relation = &job.catalogue[plan.by];
        let (by, item) = (relation.name.clone(), relation.object);
        judges.push(Judged { name: name.clone(), by, judge, graph: Arc::clone(graph), item });
    }
    judges
}

/// Tells a judge of new rows. It keeps nothing that a checkpoint would have to wait for.
struct Happenings {
    judge: Arc<LiveJudge>,
    columns: RelationColumns,
}

impl Sink for Happenings {
    fn write(&mut self, _version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for rows in changes {
            let texts = Texts::of(rows, &self.columns);
            for row in (0..rows.len()).filter(|&row| rows.weight(row) > 0) {
                let (subject, object) = texts.of_row(row);
                self.judge.happened(subject, object);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
