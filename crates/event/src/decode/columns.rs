//! The columns that a decoder fills: a tree of builders that write Arrow's buffers directly.
//!
//! All nodes of the tree, nested fields included, lie in one list and are named by their number in it, so that a
//! parser that knows where a value belongs reaches its column in one step. A record is appended value by value; where
//! one proves bad, [`Columns::undo`] takes back what the record had appended so far.

mod finish;
mod form;
mod node;
mod strings;
#[cfg(test)]
mod tests;

pub(crate) use form::Form;
pub(crate) use node::{Node, Values};
pub(crate) use strings::Text;

use super::DecodeConfig;
use super::values::Flaw;
use super::values::zone::Clock;
use arrow::datatypes::SchemaRef;

/// The number of a node in [`Columns::nodes`].
pub(crate) type NodeId = usize;

/// Builders of all columns, and the rows that are whole.
#[derive(Debug)]
pub(crate) struct Columns {
    schema: SchemaRef,
    /// Reads timestamps.
    pub(crate) clock: Clock,
    /// Columns and nested fields; children behind their parents.
    pub(crate) nodes: Vec<Node>,
    /// The nodes of the schema's columns, in order.
    pub(crate) roots: Vec<NodeId>,
    rows: usize,
}

impl Columns {
    pub(crate) fn new(config: &DecodeConfig) -> Self {
        let mut nodes = Vec::new();
        let roots = config.schema.fields().iter().map(|field| Node::grow(&mut nodes, field, field.name())).collect();
        let clock = Clock::new(config.zone, config.epoch_unit);
        Self { schema: config.schema.clone(), clock, nodes, roots, rows: 0 }
    }

    /// How many whole rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The record whose values were appended is whole. Columns it had no value for get NULL.
    pub(crate) fn end_row(&mut self) -> Result<(), String> {
        for at in 0..self.roots.len() {
            self.fill_missing(self.roots[at], self.rows)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// As [`Columns::end_row`] where it is known which structs are there and which columns or fields are not.
    pub(crate) fn end_shaped_row(&mut self, present: &[NodeId], absent: &[NodeId]) {
        self.end_shape(present, absent);
        self.rows += 1;
        debug_assert!(self.roots.iter().all(|&root| self.nodes[root].len() == self.rows), "columns are equally long");
    }

    /// The same of a struct in a list: what is there and what is not, of it and below it.
    pub(crate) fn end_shape(&mut self, present: &[NodeId], absent: &[NodeId]) {
        for &node in present {
            self.push_struct(node);
        }
        for &node in absent {
            self.push_nothing(node);
        }
    }

    /// Takes back what was appended after the last whole row.
    pub(crate) fn undo(&mut self) {
        for at in 0..self.roots.len() {
            self.truncate(self.roots[at], self.rows);
        }
    }

    /// Takes back whole rows too, but for the first so many.
    pub(crate) fn rewind(&mut self, rows: usize) {
        self.rows = rows;
        self.undo();
    }

    /// Appends a value from its text. `shown` is how messages name the value: strings have their quotes in it.
    pub(crate) fn push_text(&mut self, node: NodeId, text: Text<'_>, shown: Shown<'_>) -> Result<(), String> {
        let target = &mut self.nodes[node];
        target.push_text(text, &mut self.clock).map_err(|flaw| target.flaw(flaw, shown))
    }

    /// Appends NULL, unless the column must have a value.
    pub(crate) fn push_null(&mut self, node: NodeId) -> Result<(), String> {
        if !self.nodes[node].nullable {
            return Err(format!("column \"{}\": NULL where NOT NULL is declared", self.nodes[node].path));
        }
        self.push_nothing(node);
        Ok(())
    }

    /// Appends a slot without value, also below a NULL struct whose fields may not be NULL themselves.
    pub(crate) fn push_nothing(&mut self, node: NodeId) {
        self.nodes[node].push_nothing();
        for at in 0..self.nodes[node].fields().len() {
            self.push_nothing(self.nodes[node].fields()[at]);
        }
    }

    /// Appends a slot at which nobody looks: without value, or with any where there must be one.
    pub(crate) fn push_blank(&mut self, node: NodeId) {
        self.nodes[node].push_blank();
        for at in 0..self.nodes[node].fields().len() {
            self.push_blank(self.nodes[node].fields()[at]);
        }
    }

    /// Appends a struct whose fields are appended, or left out, next.
    pub(crate) fn push_struct(&mut self, node: NodeId) {
        self.nodes[node].push_present();
    }

    /// A struct is whole: fields it had no value for get NULL.
    pub(crate) fn end_struct(&mut self, node: NodeId) -> Result<(), String> {
        let before = self.nodes[node].len() - 1;
        (0..self.nodes[node].fields().len()).try_for_each(|at| self.fill_missing(self.nodes[node].fields()[at], before))
    }

    /// A list or map is whole: its elements are what was appended to its element node since the one before.
    pub(crate) fn end_list(&mut self, node: NodeId) {
        let element = self.nodes[node].element().expect("lists have elements");
        let end = self.nodes[element].len();
        self.nodes[node].push_end(end);
    }

    fn fill_missing(&mut self, node: NodeId, before: usize) -> Result<(), String> {
        if self.nodes[node].len() > before {
            return Ok(());
        }
        if !self.nodes[node].nullable {
            return Err(format!("missing column \"{}\"", self.nodes[node].path));
        }
        self.push_nothing(node);
        Ok(())
    }

    /// Cuts a node, and what is below it, to its first `len` values.
    pub(crate) fn truncate(&mut self, node: NodeId, len: usize) {
        // A list whose elements are under way has elements beyond its last end, so lists always look below.
        if let Some(element) = self.nodes[node].element() {
            let end = self.nodes[node].truncate_list(len);
            return self.truncate(element, end);
        }
        self.nodes[node].truncate(len);
        for at in 0..self.nodes[node].fields().len() {
            self.truncate(self.nodes[node].fields()[at], len);
        }
    }
}

/// How a value stood in the record, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'a> {
    /// As it is: a JSON number, object or word.
    Bare(&'a str),
    /// A string, to be put in quotes.
    Quoted(&'a str),
}

impl Node {
    /// The message for a value that is none of this column's.
    pub(crate) fn flaw(&self, flaw: Flaw, shown: Shown<'_>) -> String {
        let reason = match shown {
            Shown::Bare(text) => flaw.reason(text, &self.data_type),
            Shown::Quoted(text) => flaw.reason(&format!("{text:?}"), &self.data_type),
        };
        format!("column \"{}\": {reason}", self.path)
    }
}
