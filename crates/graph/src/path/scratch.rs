//! Memory that evaluations use again: a question should not have to ask for memory often.

use crate::graph::{Edge, ObjectId};

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
#[derive(Debug, Default)]
pub struct Scratch {
    edges: Vec<Vec<Edge>>,
    lists: Vec<Vec<Reached>>,
    places: Vec<Vec<u32>>,
}

impl Scratch {
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

    pub(super) fn table<P: Default>(&mut self) -> Table<P> {
        Table { places: self.places.pop().unwrap_or_default(), entries: Vec::new() }
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
