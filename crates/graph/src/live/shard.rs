//! One shard of a relation: the edges of the subjects of one worker, and what follows from them.
//!
//! Of a relation that keeps the newest `k` edges of a subject all are held, unless none of them is ever taken back, and the
//! newest `k` are *shown*: readers, inverted lists, norms and pair sums know only those. Edges with times lie in the
//! order of their times, so that the shown ones are the last.

use super::attributes::{Attributes, Given, NO_ROW};
use super::counts::Related;
use super::edges::{Edges, StoredEdge};
use super::expiry::Expiry;
use super::follow::{Beside, Shift};
use super::inverted::Inverted;
use super::kind::{KindStore, group_of};
use super::layout::EdgeLayout;
use super::norms::Norms;
use super::pairs::Pairs;
use super::presence::Presence;
use super::rules::RelationRules;
use super::watch::Touched;
use crate::catalogue::Relation;
use proxima_event::{KEY_GROUPS, KeyGroup};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// A row of a relation, as it comes or goes.
#[derive(Clone, Copy)]
pub(super) struct RowChange<'a> {
    pub(super) subject: u32,
    pub(super) object: u32,
    /// What is added to the weight of the edge that the row belongs to.
    pub(super) weight: i64,
    pub(super) time_us: i64,
    /// Its attributes, and which row of them.
    pub(super) given: &'a Given,
    pub(super) row: usize,
    /// The texts of the objects, where ties are to be broken by them.
    pub(super) objects: &'a KindStore,
}

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) edges: Edges,
    pub(super) attributes: Attributes,
    pub(super) inverted: Inverted,
    pub(super) norms: Norms,
    pub(super) pairs: Option<Pairs>,
    /// As the pair sums, of weights that are all one.
    pub(super) counts: Option<Pairs>,
    /// Who is there, told when a subject has its first edge and has lost its last one, and so for objects.
    pub(super) present: Ends,
    /// What is still to be told them.
    pub(super) news: Vec<(u32, News)>,
    keep: usize,
    /// Whether edges that are not shown are dropped.
    only_newest: bool,
    timed: bool,
    /// Whether a subject has at most one edge to an object.
    pub(super) is_simple: bool,
    expiry: Option<Expiry>,
    pub(super) related: Related,
    /// Where somebody watches: the ends of the edges that have changed.
    pub(super) touched: Option<Touched>,
}

/// What has come or gone in a shard.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    SubjectCame,
    SubjectWent,
    ObjectCame,
    ObjectWent,
}

/// Of both kinds of a relation, which objects there are.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) subjects: Arc<Presence>,
    pub(super) objects: Arc<Presence>,
}

impl Shard {
    /// For the subjects of some key groups.
    pub(super) fn new(relation: &Relation, rules: &RelationRules, (groups, present): (Range<usize>, Ends)) -> Self {
        Self {
            edges: Edges::new(EdgeLayout::new(relation.timed, !relation.attributes.is_empty()), groups),
            attributes: Attributes::new(&relation.attributes),
            inverted: Inverted::default(),
            norms: Norms::default(),
            pairs: rules.hot_work.map(Pairs::new),
            counts: rules.hot_counts.map(Pairs::new),
            keep: rules.keep.map_or(usize::MAX, |keep| keep as usize),
            only_newest: rules.only_newest,
            timed: relation.timed,
            is_simple: !relation.timed && relation.attributes.is_empty(),
            present,
            news: Vec::new(),
            expiry: rules.lifetime_us.map(Expiry::new),
            related: Related::default(),
            touched: None,
        }
    }

    /// The edges of a subject that are shown.
    pub(super) fn shown(&self, subject: u32) -> impl DoubleEndedIterator<Item = StoredEdge> {
        self.edges.from(subject, self.first_shown(self.edges.len(subject)))
    }

    /// Ends whatever changes edges, before anybody reads: adds what pair sums have waited for, and tells who comes and goes,
    /// for a lock waits for all that was written before it.
    pub(super) fn conclude(&mut self) {
        [&mut self.pairs, &mut self.counts].into_iter().flatten().for_each(Pairs::settle);
        for (id, news) in self.news.drain(..) {
            match news {
                News::SubjectCame => self.present.subjects.come(id),
                News::SubjectWent => self.present.subjects.go(id),
                News::ObjectCame => self.present.objects.come(id),
                News::ObjectWent => self.present.objects.go(id),
            }
        }
    }

    /// Takes in a row; [`Shard::conclude`] must follow. Rows that are equal in all but the weight are one edge, which is there
    /// while the sum of their weights is not zero.
    pub(super) fn change(&mut self, change: &RowChange<'_>) {
        let (same_time, found) = self.find(change);
        match found {
            Some(place) => {
                let weight = self.edges.get(change.subject, place).weight.wrapping_add(change.weight);
                match weight {
                    0 => self.take(change.subject, place),
                    weight => self.reweigh(change.subject, place, weight),
                }
            }
            None if change.weight == 0 => {}
            None => {
                let place = self.place_for(change, same_time);
                let row = self.attributes.insert(change.given, change.row);
                let (object, weight, time_us) = (change.object, change.weight, change.time_us);
                self.put(change.subject, place, &StoredEdge { object, weight, time_us, row });
            }
        }
    }

    /// How much of a row that is taken back is there: all of it, or what the edge weighs where that is less.
    pub(super) fn there_is(&self, change: &RowChange<'_>) -> i64 {
        let (_, Some(place)) = self.find(change) else { return 0 };
        let held = self.edges.get(change.subject, place).weight;
        let left = held.wrapping_add(change.weight);
        if held.signum() * left.signum() < 0 { -held } else { change.weight }
    }

    /// Appends an edge behind all that a subject has: how a checkpoint gives them back. [`Shard::conclude`] must follow.
    pub(super) fn append(&mut self, subject: u32, edge: StoredEdge, given: &Given, row: usize) {
        let row = self.attributes.insert(given, row);
        let place = self.edges.len(subject);
        self.put(subject, place, &StoredEdge { row, ..edge });
    }

    /// Takes away edges older than the bound, of at most so many subjects. Says whether there may be more.
    pub(super) fn expire(&mut self, bound_us: i64, subjects: usize) -> bool {
        let more = (0..subjects).all(|_| self.expire_next(bound_us));
        self.conclude();
        more
    }

    /// Takes away all edges of a subject.
    pub(super) fn forget_subject(&mut self, subject: u32) {
        while self.edges.len(subject) > 0 {
            self.take(subject, 0);
        }
        self.conclude();
    }

    /// Takes away all edges to an object, of the subjects of one key group or of all.
    pub(super) fn forget_object(&mut self, object: u32, group: Option<KeyGroup>) {
        let subjects: Vec<u32> = match self.keep {
            usize::MAX => self.inverted.candidates(object).to_vec(),
            // Edges that are not shown stand in no list.
            _ => (0..KEY_GROUPS).flat_map(|group| self.edges.subjects(group)).collect(),
        };
        let is_asked = |subject: &u32| group.is_none_or(|group| group_of(*subject) == group);
        for subject in subjects.into_iter().filter(is_asked) {
            while let Some(place) = self.edges.place_of(subject, object) {
                self.take(subject, place);
            }
        }
        self.conclude();
    }

    /// Notes from now on which edges change.
    pub(super) fn watch(&mut self) {
        self.touched.get_or_insert_default();
    }

    /// What has changed since the last call, if it is watched.
    pub(super) fn take_touched(&mut self) -> Option<Touched> {
        self.touched.as_mut().map(std::mem::take)
    }

    /// An epoch has ended.
    pub(super) fn settle(&mut self) {
        self.attributes.settle();
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let pairs: usize = [&self.pairs, &self.counts].into_iter().flatten().map(Pairs::bytes).sum();
        let expiry = self.expiry.as_ref().map_or(0, Expiry::bytes);
        self.edges.bytes() + self.attributes.bytes() + self.inverted.bytes() + self.norms.bytes() + expiry + pairs
    }

    /// How many edges of a subject are shown at the most.
    pub(super) fn shown_max(&self) -> usize {
        self.keep
    }

    pub(super) fn first_shown(&self, count: usize) -> usize {
        count.saturating_sub(self.keep)
    }

    /// The edge that a row belongs to; if there is none, the places of edges of its time.
    fn find(&self, change: &RowChange<'_>) -> (Range<usize>, Option<usize>) {
        if self.is_simple {
            let found = self.edges.place_of(change.subject, change.object);
            return (0..self.edges.len(change.subject), found);
        }
        let start = if self.timed { self.edges.first_from(change.subject, change.time_us) } else { 0 };
        if start == self.edges.len(change.subject) {
            return (start..start, None);
        }
        let (mut end, mut found) = (start, None);
        for edge in self.edges.from(change.subject, start).take_while(|edge| edge.time_us == change.time_us) {
            if edge.object == change.object && self.has_attributes(&edge, change) {
                found = Some(end);
                break;
            }
            end += 1;
        }
        (start..end, found)
    }

    fn has_attributes(&self, edge: &StoredEdge, change: &RowChange<'_>) -> bool {
        edge.row == NO_ROW || self.attributes.compare(edge.row, change.given, change.row).is_eq()
    }

    /// Where a new edge belongs among those of its time. Which ones are kept must not depend on who came first: the
    /// least text goes to the end, where the shown ones are.
    fn place_for(&self, change: &RowChange<'_>, same_time: Range<usize>) -> usize {
        if self.keep == usize::MAX || same_time.is_empty() {
            return same_time.end;
        }
        let behind = |edge: &StoredEdge| {
            let texts = change.objects.compare(edge.object, change.object);
            let order = texts.then_with(|| match edge.row {
                NO_ROW => Ordering::Equal,
                row => self.attributes.compare(row, change.given, change.row),
            });
            order.is_lt()
        };
        let edges = self.edges.from(change.subject, same_time.start).take(same_time.len());
        same_time.start + edges.take_while(|edge| !behind(edge)).count()
    }

    fn put(&mut self, subject: u32, place: usize, edge: &StoredEdge) {
        let count = self.edges.len(subject);
        let first = self.first_shown(count);
        let is_full = self.only_newest && count >= self.keep;
        if is_full && place <= first {
            return self.attributes.remove(edge.row);
        }
        if count == 0 {
            self.news.push((subject, News::SubjectCame));
        }
        let shown = Shift { object: edge.object, before: 0, after: edge.weight };
        if count < self.keep {
            self.follow(&Beside { subject, others: first..count, except: None }, None, Some(&shown));
        } else if place > first {
            let hidden = self.edges.get(subject, first);
            let hidden = Shift { object: hidden.object, before: hidden.weight, after: 0 };
            self.follow(&Beside { subject, others: first + 1..count, except: None }, Some(&hidden), Some(&shown));
        }
        self.edges.insert(subject, place, edge);
        if let Some(expiry) = &mut self.expiry {
            expiry.add(edge.time_us, subject);
        }
        if is_full {
            self.drop_hidden(subject);
        }
        self.promote();
    }

    /// Drops the edges of a subject that are not shown.
    fn drop_hidden(&mut self, subject: u32) {
        for _ in 0..self.first_shown(self.edges.len(subject)) {
            let hidden = self.edges.get(subject, 0);
            self.edges.remove(subject, 0);
            self.attributes.remove(hidden.row);
        }
    }

    fn take(&mut self, subject: u32, place: usize) {
        let edge = self.edges.get(subject, place);
        let first = self.first_shown(self.edges.len(subject));
        self.edges.remove(subject, place);
        self.attributes.remove(edge.row);
        let count = self.edges.len(subject);
        if count == 0 {
            self.news.push((subject, News::SubjectWent));
        }
        if place < first {
            return;
        }
        let hidden = Shift { object: edge.object, before: edge.weight, after: 0 };
        let next = first.checked_sub(1).map(|next| self.edges.get(subject, next));
        let shown = next.map(|next| Shift { object: next.object, before: 0, after: next.weight });
        self.follow(&Beside { subject, others: first..count, except: None }, Some(&hidden), shown.as_ref());
        self.promote();
    }

    fn reweigh(&mut self, subject: u32, place: usize, weight: i64) {
        let edge = self.edges.get(subject, place);
        let count = self.edges.len(subject);
        let first = self.first_shown(count);
        if place >= first {
            let shift = Shift { object: edge.object, before: edge.weight, after: weight };
            self.shift(&Beside { subject, others: first..count, except: Some(place) }, &[&shift]);
        }
        self.edges.set_weight(subject, place, weight);
    }

    fn oldest_us(&self, subject: u32) -> Option<i64> {
        Some(self.edges.from(subject, 0).next()?.time_us)
    }

    /// Takes away the old edges of the next subject that may have some. False when there is none.
    fn expire_next(&mut self, bound_us: i64) -> bool {
        let Some(expiry) = &mut self.expiry else { return false };
        match expiry.next(bound_us) {
            Some(subject) => self.expire_subject(subject, bound_us),
            None => return expiry.open(bound_us, &self.edges),
        }
        true
    }

    fn expire_subject(&mut self, subject: u32, bound_us: i64) {
        let mut expired = false;
        while let Some(oldest_us) = self.oldest_us(subject) {
            if oldest_us >= bound_us {
                if let (true, Some(expiry)) = (expired, &mut self.expiry) {
                    expiry.expired(subject, oldest_us);
                }
                return;
            }
            self.take(subject, 0);
            expired = true;
        }
    }
}
