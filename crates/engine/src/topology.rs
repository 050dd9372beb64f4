//! A job as a graph: what is read, computed and written, before any worker exists.

use crate::operator::Operator;
use proxima_event::decode::{Decoder, Each, SourceDecoder};
use proxima_event::{Changes, Sink, Source};
use std::collections::HashMap;
use std::sync::Arc;

/// A node of the topology, and with it the stream of changes that it puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// How the batches of a stream find the workers of the operator that reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Stay on the worker they are on.
    Local,
    /// Go to the worker that owns the key made of these columns (by index). No columns: all to one worker.
    ByKey(Vec<usize>),
    /// Go to every worker.
    Broadcast,
}

/// Makes an operator for one worker.
pub type MakeOperator = Arc<dyn Fn() -> Box<dyn Operator> + Send + Sync>;
/// Makes the decoder of one table for one worker.
pub type MakeDecoder = Arc<dyn Fn() -> Box<dyn Decoder> + Send + Sync>;
/// Makes the decoder that tables of one source share, for one worker.
pub type MakeSourceDecoder = Arc<dyn Fn() -> Box<dyn SourceDecoder> + Send + Sync>;

/// The newest event time of some rows, in microseconds; `None` if no row has one.
pub type NewestTime = Arc<dyn Fn(&Changes) -> Option<i64> + Send + Sync>;

/// A source of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(crate) usize);

/// A source: one connector, whose chunks are spread over the workers.
pub struct SourceNode {
    /// The source's name in the job.
    pub name: Arc<str>,
    /// What reads it. Taken by the run.
    pub source: Box<dyn Source>,
    /// Whether other sources wait until this one has caught up with what existed at the start.
    pub dimension: bool,
}

/// An operator and what it reads.
pub struct OperatorNode {
    /// Its name, for status: `daily/aggregate`.
    pub name: String,
    /// The streams it reads and how they are routed, by input number.
    pub inputs: Vec<(NodeId, Route)>,
    /// Makes it, once a worker.
    pub make: MakeOperator,
}

/// A sink and the stream it writes.
pub struct SinkNode {
    /// The target's name.
    pub name: String,
    /// The stream it writes; already netted by the target's key, and on the worker that owns the key.
    pub input: NodeId,
    /// What writes it.
    pub sink: Box<dyn Sink>,
}

pub(crate) struct TableNode {
    /// The table's name, for messages.
    pub(crate) name: String,
    /// The number of the reader that makes its rows. Tables of one reader come in the order of its decoder's.
    pub(crate) reader: usize,
    /// How times are read, if each batch is to come with the newest time of what was read before it.
    pub(crate) newest: Option<NewestTime>,
}

/// What makes the rows of tables from the chunks of a source.
pub(crate) struct ReaderNode {
    pub(crate) source: SourceId,
    /// `None` when the chunks come decoded; then there is one table.
    pub(crate) decoder: Option<MakeSourceDecoder>,
}

pub(crate) enum Node {
    Table(TableNode),
    Operator(OperatorNode),
}

impl Graph {
    /// The names of the operators, in order. Operators of one name are told apart by their number.
    pub(crate) fn operator_names(&self) -> impl Iterator<Item = String> {
        let mut seen = HashMap::<&str, usize>::new();
        self.nodes.iter().filter_map(move |node| {
            let Node::Operator(node) = node else { return None };
            let number = seen.entry(&node.name).or_default();
            *number += 1;
            Some(if *number == 1 { node.name.clone() } else { format!("{}#{number}", node.name) })
        })
    }

    /// For each node, whether no operator and no sink reads it.
    pub(crate) fn unread(&self) -> Vec<bool> {
        let mut unread = vec![true; self.nodes.len()];
        let operators = self.nodes.iter().filter_map(|node| match node {
            Node::Operator(operator) => Some(operator.inputs.iter().map(|(input, _)| *input)),
            Node::Table(_) => None,
        });
        for input in operators.flatten().chain(self.sinks.iter().map(|(_, input)| *input)) {
            unread[input.0] = false;
        }
        unread
    }
}

/// The graph of a job. Streams only lead from earlier nodes to later ones.
#[derive(Default)]
pub struct Topology {
    pub(crate) sources: Vec<SourceNode>,
    pub(crate) graph: Graph,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    identities: HashMap<NodeId, (String, bool)>,
}

/// An operator, as its state is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorInfo {
    /// Its name, which no other operator of the topology has.
    pub name: String,
    /// What it computes.
    pub identity: String,
    /// Whether it may hold anything between two epochs.
    pub has_state: bool,
}

/// What every worker makes for itself of a topology.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// What the tables among the nodes are filled by.
    pub(crate) readers: Vec<ReaderNode>,
    /// The name and the input of each sink.
    pub(crate) sinks: Vec<(String, NodeId)>,
}

impl Topology {
    /// The operators, in order.
    #[must_use]
    pub fn operators(&self) -> Vec<OperatorInfo> {
        let is_operator = |&id: &usize| matches!(self.graph.nodes[id], Node::Operator(_));
        let info = |(id, name)| OperatorInfo {
            name,
            identity: self.identity(NodeId(id)),
            has_state: self.identities.get(&NodeId(id)).is_none_or(|(_, has_state)| *has_state),
        };
        (0..self.graph.nodes.len()).filter(is_operator).zip(self.graph.operator_names()).map(info).collect()
    }

    /// Says what a node computes, so that its state is only ever loaded by one that computes the same, and whether it
    /// has any.
    pub fn identify(&mut self, node: NodeId, identity: impl Into<String>, has_state: bool) {
        self.identities.insert(node, (identity.into(), has_state));
    }

    /// What a node computes: as [`identify`](Self::identify) has said, or else its name over what it reads.
    fn identity(&self, node: NodeId) -> String {
        if let Some((identity, _)) = self.identities.get(&node) {
            return identity.clone();
        }
        match &self.graph.nodes[node.0] {
            Node::Table(table) => table.name.clone(),
            Node::Operator(operator) => {
                let inputs: Vec<_> = operator.inputs.iter().map(|(input, _)| self.identity(*input)).collect();
                format!("{}({})", operator.name, inputs.join(", "))
            }
        }
    }

    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source.
    pub fn source(&mut self, source: SourceNode) -> SourceId {
        self.sources.push(source);
        SourceId(self.sources.len() - 1)
    }

    /// Adds a table: the rows that `decoder` makes of a source's chunks, or the rows of chunks that come decoded.
    ///
    /// # Panics
    /// When the source is not of this topology.
    pub fn table(&mut self, name: impl Into<String>, source: SourceId, decoder: Option<MakeDecoder>) -> NodeId {
        let alone = |make: MakeDecoder| -> MakeSourceDecoder { Arc::new(move || Box::new(Each(vec![make()]))) };
        let reader = self.reader(source, decoder.map(alone));
        self.add(Node::Table(TableNode { name: name.into(), reader, newest: None }))
    }

    /// Has each batch of a table come with the newest time of the rows before it ([`Changes::preceded_us`]): before it
    /// in its partition, or in its source if that reads its partitions [one after another](Source::is_sequence). So
    /// that time is the same wherever epochs are cut, and on any number of workers.
    ///
    /// # Panics
    /// When the node is not a table.
    pub fn read_in_order(&mut self, table: NodeId, newest: NewestTime) {
        let Node::Table(table) = &mut self.graph.nodes[table.0] else { panic!("only tables are read") };
        table.newest = Some(newest);
    }

    /// Adds the tables of a source that share a decoder, in the decoder's order.
    ///
    /// # Panics
    /// When the source is not of this topology.
    pub fn tables(
        &mut self,
        names: impl IntoIterator<Item = String>,
        source: SourceId,
        decoder: MakeSourceDecoder,
    ) -> Vec<NodeId> {
        let reader = self.reader(source, Some(decoder));
        names.into_iter().map(|name| self.add(Node::Table(TableNode { name, reader, newest: None }))).collect()
    }

    fn reader(&mut self, source: SourceId, decoder: Option<MakeSourceDecoder>) -> usize {
        assert!(source.0 < self.sources.len(), "a source is added before its tables");
        self.graph.readers.push(ReaderNode { source, decoder });
        self.graph.readers.len() - 1
    }

    /// Adds an operator that reads streams of nodes added before.
    ///
    /// # Panics
    /// When an input is not a node of this topology.
    pub fn operator(
        &mut self,
        name: impl Into<String>,
        inputs: Vec<(NodeId, Route)>,
        make: impl Fn() -> Box<dyn Operator> + Send + Sync + 'static,
    ) -> NodeId {
        assert!(
            inputs.iter().all(|(node, _)| node.0 < self.graph.nodes.len()),
            "inputs are added before their readers"
        );
        self.add(Node::Operator(OperatorNode { name: name.into(), inputs, make: Arc::new(make) }))
    }

    /// Adds a sink.
    ///
    /// # Panics
    /// When its input is not a node of this topology.
    pub fn sink(&mut self, sink: SinkNode) {
        assert!(sink.input.0 < self.graph.nodes.len(), "a sink's input is added before it");
        self.graph.sinks.push((sink.name, sink.input));
        self.sinks.push(sink.sink);
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.graph.nodes.push(node);
        NodeId(self.graph.nodes.len() - 1)
    }
}
