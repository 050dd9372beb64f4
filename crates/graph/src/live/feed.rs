//! A live graph without a dataflow: rows are written one after the other on one worker, for replays that ask in between.

use super::{Describe, LiveGraph, NameObjects, Relate, TellNewest};
use crate::config::RelationColumns;
use crate::graph::{KindId, RelationId};
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::{Changes, Epoch};
use std::sync::Arc;

/// Writes a graph that was made for one worker. Each call is an epoch.
pub struct Feed {
    graph: Arc<LiveGraph>,
    epoch: u64,
    out: Outbox,
}

/// Writes one relation of a graph; see [`Feed::relation`].
pub struct FedRelation {
    names: NameObjects,
    newest: TellNewest,
    relate: Relate,
    /// Whether [`Relate`] has an input for the newest times.
    bounded: bool,
}

impl Feed {
    /// Writes `graph`, which has one worker and no dataflow that writes it.
    #[must_use]
    pub fn new(graph: Arc<LiveGraph>) -> Self {
        Self { graph, epoch: 0, out: Outbox::default() }
    }

    /// What takes the rows of a relation; `attributes` are the columns of its attributes in the order of the catalogue.
    #[must_use]
    pub fn relation(&self, relation: RelationId, columns: RelationColumns, attributes: Vec<usize>) -> FedRelation {
        FedRelation {
            names: NameObjects::new(Arc::clone(&self.graph), relation, columns, attributes),
            newest: TellNewest::default(),
            relate: Relate::new(Arc::clone(&self.graph), relation),
            bounded: self.graph.store(relation).rules.lifetime_us.is_some(),
        }
    }

    /// Writes rows of a relation.
    pub fn relate(&mut self, relation: &mut FedRelation, rows: Changes) {
        let end = self.end();
        relation.names.apply(0, rows, &mut self.out);
        let named: Vec<_> = self.out.drain().collect();
        for rows in named {
            if relation.bounded {
                relation.newest.apply(0, rows.clone(), &mut self.out);
            }
            relation.relate.apply(0, rows, &mut self.out);
        }
        relation.newest.finish(end, &mut self.out);
        let newest: Vec<_> = self.out.drain().collect();
        for newest in newest {
            relation.relate.apply(1, newest, &mut self.out);
        }
        relation.relate.finish(end, &mut self.out);
        self.out.drain();
    }

    /// Writes attributes of objects of a kind: each id at most once. `id` is the column of the id's text, `attributes` are
    /// those of the attributes in the order of the catalogue.
    pub fn describe(&mut self, kind: KindId, id: usize, attributes: Vec<usize>, rows: Changes) {
        let end = self.end();
        let mut describe = Describe::new(Arc::clone(&self.graph), kind, id, attributes);
        describe.apply(0, rows, &mut self.out);
        describe.finish(end, &mut self.out);
        self.out.drain();
    }

    fn end(&mut self) -> EpochEnd {
        self.epoch += 1;
        EpochEnd { epoch: Epoch(self.epoch), last: false }
    }
}
