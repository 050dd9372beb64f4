//! Answering a request from the graph.

use crate::content::{Content, Memory};
use crate::message::{Changed, Found, List, ReqDirect, ReqIndirect, Request, RetDirect};
use crate::trace::Traces;
use proxima_graph::graph::NO_TIME;
use proxima_graph::{Edge, Graph, LiveGraph, ObjectId};

/// What evaluations read.
pub(crate) struct Subject<'a> {
    pub(crate) graph: &'a LiveGraph,
    pub(crate) content: &'a Content,
    pub(crate) traces: &'a Traces,
    /// How many objects a list holds at the most.
    pub(crate) n: usize,
}

impl Subject<'_> {
    pub(crate) fn answer(&self, request: Request, memory: &mut Memory) -> RetDirect {
        let found = match request {
            Request::Direct(ReqDirect { master, .. }) => Found::List(self.list(ObjectId(master), memory)),
            Request::Indirect(ReqIndirect { through, .. }) => self.nearer(through, memory.edges()),
        };
        RetDirect { request, found }
    }

    fn list(&self, master: ObjectId, memory: &mut Memory) -> Option<List> {
        let catalogue = self.graph.catalogue();
        let name = self.graph.name(self.content.kind(catalogue), master)?;
        let times = self.traces.relations().into_iter().map(|relation| self.graph.newest_us(relation));
        let time_us = times.max().filter(|time_us| *time_us != NO_TIME);
        Some(List { name, time_us, holds: self.content.of((self.graph, catalogue), (master, self.n), memory) })
    }

    /// One leg is one read of the graph, so that no request takes long; what several changes lead to waits once.
    fn nearer(&self, Changed { place, object }: Changed, edges: &mut Vec<Edge>) -> Found {
        let leg = self.traces.leg(place).expect("who is a master is asked for its list");
        edges.clear();
        self.graph.edges(leg.relation, leg.direction, ObjectId(object), edges);
        let mut objects: Vec<u32> = edges.iter().map(|edge| edge.other.0).collect();
        objects.sort_unstable();
        objects.dedup();
        Found::Nearer(leg.to, objects)
    }
}
