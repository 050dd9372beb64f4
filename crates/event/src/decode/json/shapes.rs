//! All known shapes of the records of one writer, as a tree: what begins alike shares its first steps. A record is so read
//! from its beginning to its end once, whichever of many shapes it has.

use super::super::columns::{Columns, NodeId};
use super::scan::{Scan, Window};
use super::shape::{Shape, Step};
use super::skip::Input;

/// Steps of all shapes at the most; with more of them all are forgotten, and those that are still about learned again.
const STEPS_MAX: usize = 4_096;

/// Steps that are looked for in one place besides the first, which are those that came last: keys that are data, ever new
/// ones, must not make each record slower.
const OTHERS_MAX: usize = 64;

/// Records of ever new shapes are not worth learning from, each time: once that many have taught nothing, only one in
/// [`LEARN_RARELY`] is.
const LESSONS_MAX: u32 = 64;
const LEARN_RARELY: u32 = 64;

/// The number of no step.
const NONE: u32 = u32::MAX;

/// The known shapes.
#[derive(Debug)]
pub(super) struct Shapes {
    steps: Vec<Known>,
    /// The first of the steps that a record may begin with.
    first: u32,
    /// Records learned from since a prediction held.
    lessons: u32,
}

/// A step and where it leads.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) step: Step,
    /// The first of the steps that may follow it: the one that did the last time.
    next: u32,
    /// What may stand in its place.
    other: u32,
    /// What is known of a record that ends with it.
    pub(super) end: Option<Box<End>>,
}

/// What is known of a record at its end.
#[derive(Debug)]
pub(super) struct End {
    /// Structs that are there.
    pub(super) present: Vec<NodeId>,
    /// Columns and fields that are not.
    pub(super) absent: Vec<NodeId>,
}

/// How far a record is read, in the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The last step.
    at: u32,
    /// The first that may follow it.
    next: u32,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { steps: Vec::new(), first: NONE, lessons: 0 }
    }
}

impl Shapes {
    /// Before the first step.
    #[inline(always)]
    pub(super) fn start(&self) -> Place {
        Place { at: NONE, next: self.first }
    }

    /// Goes on to the step whose literal stands in the window.
    #[inline(always)]
    pub(super) fn next<S: Scan>(&mut self, place: &mut Place, window: &Window) -> Option<&Known> {
        let mut at = place.next;
        if !S::begins_with(window, &self.steps.get(at as usize)?.step.literal) {
            at = self.other::<S>(*place, window)?;
        }
        let known = &self.steps[at as usize];
        *place = Place { at, next: known.next };
        Some(known)
    }

    /// The step behind a place, where it is not what it was the last time.
    #[inline(always)]
    fn other<S: Scan>(&mut self, place: Place, window: &Window) -> Option<u32> {
        let mut before = place.next;
        for _ in 0..OTHERS_MAX {
            let at = self.steps[before as usize].other;
            if S::begins_with(window, &self.steps.get(at as usize)?.step.literal) {
                self.put_first(place.at, before, at);
                return Some(at);
            }
            before = at;
        }
        None
    }

    /// Makes a step the first behind a place. `before` is the one that it is behind.
    fn put_first(&mut self, place: u32, before: u32, at: u32) {
        self.steps[before as usize].other = self.steps[at as usize].other;
        self.steps[at as usize].other = self.first_behind(place);
        self.set_first_behind(place, at);
    }

    /// What is known of a record that is read to this place.
    pub(super) fn end(&self, place: Place) -> Option<&End> {
        self.steps.get(place.at as usize)?.end.as_deref()
    }

    fn first_behind(&self, at: u32) -> u32 {
        self.steps.get(at as usize).map_or(self.first, |known| known.next)
    }

    fn set_first_behind(&mut self, at: u32, first: u32) {
        *self.steps.get_mut(at as usize).map_or(&mut self.first, |known| &mut known.next) = first;
    }

    /// A prediction held.
    #[inline(always)]
    pub(super) fn held(&mut self) {
        self.lessons = 0;
    }

    /// Learns from the record at `at`, which `input` ends with and which no shape fitted.
    pub(super) fn learn(&mut self, columns: &Columns, input: Input<'_>, at: usize) {
        if self.may_learn()
            && let Some(shape) = Shape::learn(columns, input, at)
        {
            self.add(shape);
        }
    }

    /// The same from a struct that a list holds.
    pub(super) fn learn_element(&mut self, columns: &Columns, element: NodeId, input: Input<'_>, at: usize) {
        if self.may_learn()
            && let Some(shape) = Shape::learn_element(columns, element, input, at)
        {
            self.add(shape);
        }
    }

    fn may_learn(&mut self) -> bool {
        self.lessons = self.lessons.wrapping_add(1);
        self.lessons <= LESSONS_MAX || self.lessons.is_multiple_of(LEARN_RARELY)
    }

    fn add(&mut self, Shape { steps, present, absent }: Shape) {
        if self.steps.len() + steps.len() > STEPS_MAX {
            *self = Self { lessons: self.lessons, ..Self::default() };
        }
        let mut place = NONE;
        for step in steps {
            let (mut before, mut at) = (NONE, self.first_behind(place));
            while let Some(known) = self.steps.get(at as usize).filter(|known| known.step != step) {
                (before, at) = (at, known.other);
            }
            if at == NONE {
                at = self.steps.len() as u32;
                self.steps.push(Known { step, next: NONE, other: self.first_behind(place), end: None });
                self.set_first_behind(place, at);
            } else if before != NONE {
                self.put_first(place, before, at);
            }
            place = at;
        }
        self.steps[place as usize].end = Some(Box::new(End { present, absent }));
    }
}
