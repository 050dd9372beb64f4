//! Where chunks become rows on a worker: the decoder of a source, and the tables that it fills.

use crate::arrivals::{Arrivals, Arrived, Newest, Place};
use crate::assemble::TableInput;
use crate::batch::Batch;
use crate::topology::{Graph, NewestTime, Node};
use proxima_event::decode::{SourceDecoded, SourceDecoder};
use proxima_event::{Changes, Chunk, Payload};
use std::collections::VecDeque;

/// A decoder of a source with its tables' ways into the dataflow.
pub(crate) struct Reader {
    /// The number of its source.
    pub(crate) source: usize,
    /// Its own number.
    index: usize,
    /// `None` when the chunks come decoded.
    decoder: Option<Box<dyn SourceDecoder>>,
    /// In the decoder's order.
    tables: Vec<Table>,
    /// The epoch that the tables are in, save those that are read in order and have rows that wait.
    epoch: u64,
    /// Rows of tables that are read in order, with those before them not known yet; and all that came behind.
    early: VecDeque<Early>,
}

/// A table and its way into the dataflow.
struct Table {
    name: String,
    input: TableInput,
    newest: Option<NewestTime>,
}

/// Batches of a table that is read in order, each with its newest time.
type Timed = Vec<(Option<i64>, Changes)>;

/// What waits of a chunk: for each table that is read in order its batches.
struct Early {
    epoch: u64,
    place: Place,
    /// What came before them, if that is known.
    before: Option<Newest>,
    batches: Vec<Timed>,
}

impl Reader {
    /// The readers of a graph; `inputs` are those of its tables, each with its node's number.
    pub(crate) fn all(graph: &Graph, inputs: Vec<(usize, TableInput)>) -> Vec<Self> {
        let reader = |(index, node): (usize, &crate::topology::ReaderNode)| Self {
            source: node.source.0,
            index,
            decoder: node.decoder.as_ref().map(|make| make()),
            tables: Vec::new(),
            epoch: 0,
            early: VecDeque::new(),
        };
        let mut readers: Vec<Self> = graph.readers.iter().enumerate().map(reader).collect();
        for (id, input) in inputs {
            let Node::Table(table) = &graph.nodes[id] else { unreachable!("only tables have inputs") };
            let (name, newest) = (table.name.clone(), table.newest.clone());
            readers[table.reader].tables.push(Table { name, input, newest });
        }
        readers
    }

    /// Nothing of an epoch before this one will come, but for what waits.
    pub(crate) fn advance_to(&mut self, epoch: u64) {
        self.epoch = epoch;
        let of_early = self.early.front().map_or(epoch, |early| early.epoch);
        for table in &mut self.tables {
            table.advance_to(if table.newest.is_some() { of_early } else { epoch });
        }
    }

    /// Sends the rows of a chunk to their tables, and gives back what was left out. Says, too, whether other workers'
    /// rows have waited for these.
    pub(crate) fn feed(&mut self, chunk: &Chunk, place: Place, arrivals: &Arrivals) -> (SourceDecoded, bool) {
        let mut decoded = SourceDecoded::new(self.tables.len());
        match (&mut self.decoder, &chunk.payload) {
            (None, Payload::Changes(changes)) => decoded.tables[0].push(changes.clone()),
            (Some(decoder), _) => decoder.decode(chunk, &mut decoded),
            (None, _) => panic!("table {} needs a decoder for {}", self.tables[0].name, chunk.partition),
        }
        let mut in_order = Vec::new();
        for (table, rows) in self.tables.iter_mut().zip(&mut decoded.tables) {
            rows.retain(|changes| !changes.is_empty());
            match &table.newest {
                Some(newest) => in_order.push(rows.drain(..).map(|changes| (newest(&changes), changes)).collect()),
                None => rows.drain(..).for_each(|changes| table.send(changes)),
            }
        }
        let others = !in_order.is_empty() && self.feed_in_order(in_order, place, arrivals);
        (decoded, others)
    }

    fn feed_in_order(&mut self, batches: Vec<Timed>, place: Place, arrivals: &Arrivals) -> bool {
        let newest = batches.iter().map(|batches| batches.iter().filter_map(|(newest, _)| *newest).max());
        let (before, others) = match arrivals.arrive(self.index, place, newest.collect()) {
            Arrived::Known { before, others } => (Some(before), others),
            Arrived::Early => (None, false),
        };
        self.early.push_back(Early { epoch: self.epoch, place, before, batches });
        self.release(arrivals);
        others
    }

    /// Whether rows wait for what comes before them.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.early.is_empty()
    }

    /// Sends the rows that have waited and need not any more.
    pub(crate) fn release(&mut self, arrivals: &Arrivals) {
        let mut is_released = false;
        while let Some(early) = self.early.front_mut() {
            let before = early.before.take().or_else(|| arrivals.before(self.index, early.place));
            let Some(before) = before else { break };
            let Early { epoch, batches, .. } = self.early.pop_front().expect("it was there");
            let tables = self.tables.iter_mut().filter(|table| table.newest.is_some());
            for ((table, rows), before) in tables.zip(batches).zip(before) {
                table.advance_to(epoch);
                table.send_in_order(rows, before);
            }
            is_released = true;
        }
        if is_released {
            self.advance_to(self.epoch);
        }
    }
}

impl Table {
    fn advance_to(&mut self, epoch: u64) {
        if *self.input.time() < epoch {
            self.input.advance_to(epoch);
        }
    }

    fn send(&mut self, changes: Changes) {
        self.input.send_batch(&mut Batch::new(changes));
    }

    fn send_in_order(&mut self, batches: Timed, mut before: Option<i64>) {
        for (own, mut changes) in batches {
            changes.preceded_us = Some(before.unwrap_or(i64::MIN));
            before = before.max(own);
            self.send(changes);
        }
    }
}
