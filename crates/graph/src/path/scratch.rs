//! Memory that evaluations use again: a question should not have to ask for memory often.

use super::kept::List;
use super::memo::Keeping;
use crate::gather::Gather;
use crate::graph::{Edge, ObjectId};
use std::any::{Any, TypeId};
use std::collections::HashMap;

/// An object on the way, and its score there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// The object.
    pub object: ObjectId,
    /// The newest time of the rows that led to it; [`crate::graph::NO_TIME`] behind a jump or without times.
    pub time_us: i64,
    /// Its score.
    pub score: f64,
}

/// What evaluations leave behind for the next ones. One for each thread.
#[derive(Default)]
pub struct Scratch {
    edges: Vec<Vec<Edge>>,
    lists: Vec<Vec<Reached>>,
    gathers: Vec<Gather>,
    sums: Vec<(i64, ObjectId)>,
    places: Vec<Vec<u32>>,
    /// Empty entries of tables, by what they hold.
    entries: HashMap<TypeId, Vec<Box<dyn Any + Send>>>,
    /// Lists that need not be evaluated again.
    kept: Option<Keeping>,
}

impl Scratch {
    /// For questions that may be answered by lists that are kept.
    #[must_use]
    pub fn keeping(kept: Option<Keeping>) -> Self {
        Self { kept, ..Self::default() }
    }

    pub(super) fn kept(&self) -> Option<&Keeping> {
        self.kept.as_ref()
    }

    pub(super) fn edges(&mut self) -> Vec<Edge> {
        self.edges.pop().unwrap_or_default()
    }

    pub(super) fn keep_edges(&mut self, mut edges: Vec<Edge>) {
        edges.clear();
        self.edges.push(edges);
    }

    pub(super) fn list(&mut self) -> Vec<Reached> {
        self.lists.pop().unwrap_or_default()
    }

    pub(super) fn keep_list(&mut self, mut list: Vec<Reached>) {
        list.clear();
        self.lists.push(list);
    }

    pub(super) fn gather(&mut self) -> Gather {
        self.gathers.pop().unwrap_or_default()
    }

    /// Takes one back that is empty.
    pub(super) fn keep_gather(&mut self, gather: Gather) {
        self.gathers.push(gather);
    }

    pub(super) fn sums(&mut self) -> Vec<(i64, ObjectId)> {
        std::mem::take(&mut self.sums)
    }

    pub(super) fn keep_sums(&mut self, mut sums: Vec<(i64, ObjectId)>) {
        sums.clear();
        self.sums = sums;
    }

    /// Takes a list back, if it is one that is used again.
    pub(super) fn take_back(&mut self, list: List) {
        if let List::Own(list) = list {
            self.keep_list(list);
        }
    }

    pub(super) fn table<P: Default + Send + 'static>(&mut self) -> Table<P> {
        let entries = self.entries.get_mut(&TypeId::of::<P>()).and_then(Vec::pop);
        let entries = entries.and_then(|entries| entries.downcast().ok()).map(|entries| *entries);
        Table { places: self.places.pop().unwrap_or_default(), entries: entries.unwrap_or_default() }
    }

    /// Takes the memory of what a table held back.
    pub(super) fn keep_entries<P: Send + 'static>(&mut self, mut entries: Vec<(ObjectId, P)>) {
        entries.clear();
        self.entries.entry(TypeId::of::<P>()).or_default().push(Box::new(entries));
    }

    /// Takes a table's memory back, and gives what it holds.
    pub(super) fn entries<P>(&mut self, table: Table<P>) -> Vec<(ObjectId, P)> {
        let Table { mut places, entries } = table;
        for (object, _) in &entries {
            places[object.0 as usize] = NOWHERE;
        }
        self.places.push(places);
        entries
    }
}

/// A value for each object that was touched. Ids are nearly dense, so an array by id finds them.
pub(super) struct Table<P> {
    /// By id, the place among the entries, from 1.
    places: Vec<u32>,
    entries: Vec<(ObjectId, P)>,
}

const NOWHERE: u32 = 0;

impl<P: Default> Table<P> {
    /// The object's value; the default one when it was not touched before.
    #[inline]
    pub(super) fn at(&mut self, object: ObjectId) -> &mut P {
        let index = object.0 as usize;
        if index >= self.places.len() {
            self.places.resize((index + 1).next_power_of_two(), NOWHERE);
        }
        let place = &mut self.places[index];
        if *place == NOWHERE {
            self.entries.push((object, P::default()));
            *place = u32::try_from(self.entries.len()).expect("there are fewer objects than ids");
        }
        &mut self.entries[*place as usize - 1].1
    }
}
