//! Where chunks become rows on a worker: the decoder of a source, and the tables that it fills.

use crate::assemble::TableInput;
use crate::batch::Batch;
use crate::topology::{Graph, Node};
use proxima_event::decode::{SourceDecoded, SourceDecoder};
use proxima_event::{Chunk, Payload};

/// A decoder of a source with its tables' ways into the dataflow.
pub(crate) struct Reader {
    /// The number of its source.
    pub(crate) source: usize,
    /// `None` when the chunks come decoded.
    decoder: Option<Box<dyn SourceDecoder>>,
    /// The tables in the decoder's order, each with its name.
    tables: Vec<(String, TableInput)>,
}

impl Reader {
    /// The readers of a graph; `inputs` are those of its tables, each with its node's number.
    pub(crate) fn all(graph: &Graph, inputs: Vec<(usize, TableInput)>) -> Vec<Self> {
        let reader = |node: &crate::topology::ReaderNode| Self {
            source: node.source.0,
            decoder: node.decoder.as_ref().map(|make| make()),
            tables: Vec::new(),
        };
        let mut readers: Vec<Self> = graph.readers.iter().map(reader).collect();
        for (id, input) in inputs {
            let Node::Table(table) = &graph.nodes[id] else { unreachable!("only tables have inputs") };
            readers[table.reader].tables.push((table.name.clone(), input));
        }
        readers
    }

    /// Nothing of an epoch before this one will come.
    pub(crate) fn advance_to(&mut self, epoch: u64) {
        for (_, input) in &mut self.tables {
            if *input.time() < epoch {
                input.advance_to(epoch);
            }
        }
    }

    /// Sends the rows of a chunk to their tables, and gives back what was left out.
    pub(crate) fn feed(&mut self, chunk: &Chunk) -> SourceDecoded {
        let mut decoded = SourceDecoded::new(self.tables.len());
        match (&mut self.decoder, &chunk.payload) {
            (None, Payload::Changes(changes)) => decoded.tables[0].push(changes.clone()),
            (Some(decoder), _) => decoder.decode(chunk, &mut decoded),
            (None, _) => panic!("table {} needs a decoder for {}", self.tables[0].0, chunk.partition),
        }
        for ((_, input), rows) in self.tables.iter_mut().zip(&mut decoded.tables) {
            for changes in rows.drain(..).filter(|changes| !changes.is_empty()) {
                input.send_batch(&mut Batch::new(changes));
            }
        }
        decoded
    }
}
