//! What is kept of each object of a kind: where a path leads from it, what a relation relates it to, or its attributes.

use crate::message::Holds;
use crate::trace::Traces;
use proxima_graph::path::{Path, Scratch};
use proxima_graph::{Attribute, Catalogue, Direction, Edge, Graph, KindId, ObjectId, RelationId, Value};
use std::sync::Arc;

/// What is kept of each object of a kind.
#[derive(Clone, Debug)]
pub enum Content {
    /// The list of a path.
    Path(Arc<Path>),
    /// All objects that a relation leads to, each with a score of 1, ordered by their texts.
    Related {
        /// The relation.
        relation: RelationId,
        /// Which way it is walked.
        direction: Direction,
    },
    /// Its attributes.
    Attributes(KindId),
}

/// Memory that an evaluator uses again.
#[derive(Default)]
pub(crate) struct Memory {
    scratch: Scratch,
    edges: Vec<Edge>,
}

impl Memory {
    pub(crate) fn edges(&mut self) -> &mut Vec<Edge> {
        &mut self.edges
    }
}

impl From<Arc<Path>> for Content {
    fn from(path: Arc<Path>) -> Self {
        Self::Path(path)
    }
}

impl Content {
    /// The kind of the objects.
    #[must_use]
    pub fn kind(&self, catalogue: &Catalogue) -> KindId {
        match self {
            Self::Path(path) => path.from,
            Self::Related { relation, direction } => catalogue[*relation].ends(*direction).0,
            Self::Attributes(kind) => *kind,
        }
    }

    /// What it is, in words.
    pub(crate) fn describe(&self, catalogue: &Catalogue) -> String {
        match self {
            Self::Path(path) => path.describe(catalogue),
            Self::Related { relation, direction } => format!("related by {} {direction:?}", catalogue[*relation].name),
            Self::Attributes(kind) => {
                let kind = &catalogue[*kind];
                let attribute = |attribute: &Attribute| format!("{} {:?}", attribute.name, attribute.kind);
                let attributes: Vec<_> = kind.attributes.iter().map(attribute).collect();
                format!("attributes of {}: {}", kind.name, attributes.join(", "))
            }
        }
    }

    /// Whose may change when edges do.
    pub(crate) fn traces(&self) -> Traces {
        match self {
            Self::Path(path) => Traces::of(path),
            Self::Related { relation, direction } => Traces::of_edges(*relation, *direction),
            Self::Attributes(_) => Traces::default(),
        }
    }

    /// What is to be kept of an object now; of a path `n` objects at the most.
    pub(crate) fn of<G: Graph>(
        &self,
        (graph, catalogue): (&G, &Catalogue),
        (id, n): (ObjectId, usize),
        memory: &mut Memory,
    ) -> Holds {
        match self {
            Self::Path(path) => {
                let found = path.find(graph, id, n, &mut memory.scratch);
                Holds::Items(found.into_iter().map(|found| (found.name, found.score)).collect())
            }
            Self::Related { relation, direction } => {
                let edges = &mut memory.edges;
                edges.clear();
                graph.edges(*relation, *direction, id, edges);
                let kind = catalogue[*relation].ends(*direction).1;
                let mut names: Vec<_> = edges.iter().filter_map(|edge| graph.name(kind, edge.other)).collect();
                names.sort_unstable();
                names.dedup();
                Holds::Items(names.into_iter().map(|name| (name, 1.0)).collect())
            }
            Self::Attributes(kind) => {
                let places = 0..catalogue[*kind].attributes.len();
                let values: Vec<Value> = places.map(|place| graph.attribute(*kind, id, place)).collect();
                Holds::Attributes(values)
            }
        }
    }
}
