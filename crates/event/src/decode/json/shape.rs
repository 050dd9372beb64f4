//! Shapes: what the records of one writer have in common. A shape is learned from one record and says, for each of its
//! values, which bytes stand before it and which column it is for.
//!
//! Only values are left open. Every other byte, keys and their order, brackets and blanks, is part of the shape, so a
//! record of that shape cannot be misread, and one of another shape cannot be taken for it.

use super::super::columns::{Columns, Form, NodeId, Values};
use super::scan::{Literal, Portable, WINDOW};
use super::skip::{self, Input};

/// Parts of a shape at the most: a record of more goes the general way.
const STEPS_MAX: usize = 512;

/// What a record must look like.
#[derive(Debug)]
pub(super) struct Shape {
    /// Literal and value in turn; the last step's literal ends the record.
    pub(super) steps: Vec<Step>,
    /// Structs that are there.
    pub(super) present: Vec<NodeId>,
    /// Columns and fields that are not: NULL. None of them lies in another.
    pub(super) absent: Vec<NodeId>,
}

/// A literal and the value behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) literal: Literal,
    pub(super) value: Slot,
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// There is none: the literal goes on in the next step, or the record is at its end.
    Nothing,
    /// Nobody wants it.
    Skip,
    /// A string column's: plain strings are read at once.
    Text(NodeId),
    /// An integer's or timestamp's: plain integers are read at once.
    Integer(NodeId),
    /// A list of structs: each of them is predicted.
    List(NodeId),
    /// Any other column's: read by the general way, alone.
    Other(NodeId),
}

impl Shape {
    /// The shape of the record at `at`, which ends at `input.end`, was read the general way and is therefore valid.
    /// `None` where it cannot be predicted: a wanted key twice, or written with escapes.
    pub(super) fn learn(columns: &Columns, input: Input<'_>, at: usize) -> Option<Self> {
        Learner::new(columns, input, at).record(&columns.roots)
    }

    /// The same of a struct that a list holds.
    pub(super) fn learn_element(columns: &Columns, element: NodeId, input: Input<'_>, at: usize) -> Option<Self> {
        let mut learner = Learner::new(columns, input, at);
        learner.shape.present.push(element);
        learner.record(columns.nodes[element].fields())
    }
}

struct Learner<'l> {
    columns: &'l Columns,
    input: Input<'l>,
    /// How far it has read.
    at: usize,
    /// Where the literal under way begins.
    literal: usize,
    shape: Shape,
}

impl<'l> Learner<'l> {
    fn new(columns: &'l Columns, input: Input<'l>, at: usize) -> Self {
        let shape = Shape { steps: vec![], present: vec![], absent: vec![] };
        Self { columns, input, at, literal: at, shape }
    }

    /// Reads an object to the end of the input.
    fn record(mut self, wanted: &[NodeId]) -> Option<Shape> {
        self.blanks();
        self.object(wanted)?;
        self.at = self.input.end;
        self.end_literal(Slot::Nothing);
        (self.shape.steps.len() <= STEPS_MAX).then_some(self.shape)
    }

    /// Reads the object that begins here, whose wanted members are these.
    fn object(&mut self, wanted: &[NodeId]) -> Option<()> {
        let mut seen = vec![false; wanted.len()];
        self.expect(b'{')?;
        if !self.is(b'}') {
            loop {
                self.member(wanted, &mut seen)?;
                if !self.is(b',') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.at += 1;
        let missing = wanted.iter().zip(&seen).filter(|(_, seen)| !**seen).map(|(&node, _)| node);
        self.shape.absent.extend(missing);
        Some(())
    }

    /// Reads a key and its value, up to the comma or bracket behind.
    fn member(&mut self, wanted: &[NodeId], seen: &mut [bool]) -> Option<()> {
        let quote = skip::plain_string::<Portable>(self.input, self.at)?;
        let name = self.input.text(self.at + 1, quote)?;
        self.at = quote + 1;
        self.blanks();
        self.expect(b':')?;
        match wanted.iter().position(|&node| self.columns.nodes[node].name == name) {
            None => self.slot(Slot::Skip)?,
            Some(place) if seen[place] => return None,
            Some(place) => {
                seen[place] = true;
                self.wanted(wanted[place])?;
            }
        }
        self.blanks();
        Some(())
    }

    fn wanted(&mut self, node: NodeId) -> Option<()> {
        let form = self.columns.nodes[node].form;
        match &self.columns.nodes[node].values {
            Values::Struct(..) if form != Form::Plain => self.slot(Slot::Other(node)),
            Values::Struct(_, fields) if self.is(b'{') => {
                self.shape.present.push(node);
                self.object(fields)
            }
            // A struct that is NULL makes a shape of its own: the word is part of the literal.
            Values::Struct(..) => {
                self.shape.absent.push(node);
                self.at += b"null".len();
                Some(())
            }
            Values::List(_, element) if form == Form::Plain && self.holds_structs(*element) => {
                self.slot(Slot::List(node))
            }
            Values::Strings(_) if form.takes_text() => self.slot(Slot::Text(node)),
            Values::Int8(_) | Values::Int16(_) | Values::Int32(_) | Values::Int64(_) | Values::Stamp(..)
                if form.takes_integers() =>
            {
                self.slot(Slot::Integer(node))
            }
            _ => self.slot(Slot::Other(node)),
        }
    }

    fn holds_structs(&self, element: NodeId) -> bool {
        let element = &self.columns.nodes[element];
        matches!(element.values, Values::Struct(..)) && element.form == Form::Plain
    }

    /// A value that may be another in each record.
    fn slot(&mut self, slot: Slot) -> Option<()> {
        self.end_literal(slot);
        self.at = skip::value::<Portable>(self.input, self.at)?;
        self.literal = self.at;
        Some(())
    }

    /// The literal under way ends here. Literals longer than a window become several steps.
    fn end_literal(&mut self, slot: Slot) {
        let mut rest = &self.input.padded[self.literal..self.at];
        while rest.len() > WINDOW {
            let (head, tail) = rest.split_at(WINDOW);
            self.shape.steps.push(Step { literal: Literal::new(head), value: Slot::Nothing });
            rest = tail;
        }
        self.shape.steps.push(Step { literal: Literal::new(rest), value: slot });
    }

    fn is(&self, byte: u8) -> bool {
        self.input.byte(self.at) == Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.is(byte).then(|| self.at += 1)?;
        self.blanks();
        Some(())
    }

    fn blanks(&mut self) {
        self.at = skip::blanks(self.input, self.at);
    }
}
