//! Rows once more in the order of their times, with a question before each.

use super::gather::{Gathered, RelationRows};
use super::models::Models;
use super::texts::Texts;
use proxima_graph::{Feed, Graph, LiveGraph, RelationId};
use proxima_recommend::evaluate::{Judge, Metrics, Popular};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What is asked, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Before each row from this time on, in microseconds since 1970, whose subject has an earlier one: what comes next?
    BeforeEach {
        /// Rows before it are only learned from.
        from_us: i64,
    },
    /// Once for each subject, when all rows but the newest `n` objects of each subject are known: what are these?
    HoldOut {
        /// How many objects are kept back. Subjects with no more than these are not asked for.
        n: usize,
    },
}

/// The first so many objects for a subject.
type List<'a> = Box<dyn Fn(&str, usize) -> Vec<Arc<str>> + 'a>;

/// A list that is judged: its name, and what it holds for a subject.
pub struct Variant<'a> {
    /// Its name.
    pub name: String,
    /// The first so many objects for a subject.
    pub list: List<'a>,
}

/// What is judged, and how.
pub struct Replay<'a> {
    /// The relation whose rows are to be foretold.
    pub relation: RelationId,
    /// When what is asked.
    pub protocol: Protocol,
    /// How much of each list counts.
    pub k: usize,
    /// The lists, over the graph that is written.
    pub variants: Vec<Variant<'a>>,
}

/// The name under which the list of the most frequent objects is judged.
const POPULARITY: &str = "popularity";

/// A row by its place.
#[derive(Clone, Copy)]
struct Place {
    relation: usize,
    batch: usize,
    row: usize,
}

/// Replays rows into `graph`, which is empty and has one worker, and has `models` learn beside it. Gives the figures of each
/// variant and, last, of what is popular. Relations without times are known from the beginning, and so are attributes.
///
/// # Panics
/// When the relation that is to be foretold was not gathered.
#[must_use]
pub fn replay(
    gathered: &Gathered,
    graph: &Arc<LiveGraph>,
    models: &mut Models,
    replay: &Replay<'_>,
) -> Vec<(String, Metrics)> {
    let mut feed = Feed::new(Arc::clone(graph));
    for (kind, id, attributes, batches) in &gathered.objects {
        batches.iter().for_each(|rows| feed.describe(*kind, *id, attributes.clone(), rows.clone()));
    }
    let relations = &gathered.relations;
    let mut fed: Vec<_> =
        relations.iter().map(|of| feed.relation(of.relation, of.columns, of.attributes.clone())).collect();
    for (of, fed) in relations.iter().zip(&mut fed).filter(|(of, _)| of.columns.time.is_none()) {
        of.rows.iter().for_each(|rows| feed.relate(fed, rows.clone()));
    }
    let asked = relations.iter().position(|of| of.relation == replay.relation).expect("the relation was gathered");
    let texts: Vec<Vec<Texts>> = relations.iter().map(texts).collect();
    let ends = |relation: RelationId| {
        let relation = &graph.catalogue()[relation];
        (relation.subject, relation.object)
    };
    let mut bench = Bench::new(replay);
    // What a lifetime or `keep` has hidden in the end could be shown once.
    let (mut items, kind) = (HashSet::new(), ends(replay.relation).1);
    let order = in_time(relations, asked);
    let held = match replay.protocol {
        Protocol::HoldOut { n } => newest(&order, (&relations[asked], asked), &texts[asked], n),
        Protocol::BeforeEach { .. } => Held::default(),
    };
    for place in &order {
        let of = &relations[place.relation];
        let (subject, object) = texts[place.relation][place.batch].of_row(place.row);
        // Also where another relation between the same kinds tells of it, in whichever direction.
        let is_held = |subject: &str, object: &str| held.get(subject).is_some_and(|held| held.objects.contains(object));
        if match ends(of.relation) {
            own if own == ends(replay.relation) => is_held(subject, object),
            (from, to) => (to, from) == ends(replay.relation) && is_held(object, subject),
        } {
            continue;
        }
        let (from, to) = ends(of.relation);
        items.extend([(from, subject), (to, object)].into_iter().filter(|end| end.0 == kind).map(|end| end.1));
        if place.relation == asked {
            let (subject, object) = arcs((subject, object));
            let time_us = of.times_us[place.batch][place.row];
            if let Protocol::BeforeEach { .. } = replay.protocol {
                models.learn_before(time_us);
            }
            bench.row(&subject, &object, time_us);
        }
        feed.relate(&mut fed[place.relation], of.rows[place.batch].take(&[place.row as u32]));
    }
    // What ranks has learned nothing of what is held out of the subject, nor of what came after it.
    let mut held: Vec<_> = held.into_iter().collect();
    held.sort_by_key(|(_, held)| held.first_us);
    for (subject, HeldOut { objects, first_us }) in held {
        models.learn_before(first_us);
        bench.ask(&subject, &objects.into_iter().collect::<Vec<_>>());
    }
    let there = usize::try_from(graph.population(kind)).unwrap_or(usize::MAX);
    bench.into_figures(items.len().max(there))
}

/// By batch; none where the relation has no times, since its rows are not replayed.
fn texts(of: &RelationRows) -> Vec<Texts> {
    of.rows.iter().take(of.times_us.len()).map(|rows| Texts::of(rows, &of.columns)).collect()
}

/// The rows of all timed relations, the oldest first. Of equal times first come those that are asked for: another relation
/// may tell of the same event. Then all stay in the order in which they came.
fn in_time(relations: &[RelationRows], asked: usize) -> Vec<Place> {
    let mut places = Vec::new();
    for (relation, of) in relations.iter().enumerate() {
        for (batch, times) in of.times_us.iter().enumerate() {
            places.extend(times.iter().enumerate().map(|(row, &time)| (time, Place { relation, batch, row })));
        }
    }
    places.sort_by_key(|(time, place)| (*time, place.relation != asked));
    places.into_iter().map(|(_, place)| place).collect()
}

/// What is kept back of each subject.
type Held = BTreeMap<Arc<str>, HeldOut>;

/// Objects that are kept back, with all rows that lead to them.
struct HeldOut {
    objects: HashSet<Arc<str>>,
    /// The time of the first of these rows.
    first_us: i64,
}

/// The newest `n` objects of each subject that has more.
fn newest(order: &[Place], (of, asked): (&RelationRows, usize), texts: &[Texts], n: usize) -> Held {
    // The objects of each subject, the newest first, each with the time of its first row.
    let mut objects: BTreeMap<Arc<str>, Vec<(Arc<str>, i64)>> = BTreeMap::new();
    for place in order.iter().rev().filter(|place| place.relation == asked) {
        let (subject, object) = arcs(texts[place.batch].of_row(place.row));
        let time_us = of.times_us[place.batch][place.row];
        let known = objects.entry(subject).or_default();
        match known.iter_mut().find(|(known, _)| *known == object) {
            Some((_, first_us)) => *first_us = time_us,
            None => known.push((object, time_us)),
        }
    }
    let more = objects.into_iter().filter(|(_, objects)| objects.len() > n);
    let held_out = |objects: Vec<(Arc<str>, i64)>| {
        let first_us = objects.iter().take(n).map(|(_, first_us)| *first_us).min().unwrap_or(i64::MAX);
        HeldOut { objects: objects.into_iter().take(n).map(|(object, _)| object).collect(), first_us }
    };
    more.map(|(subject, objects)| (subject, held_out(objects))).collect()
}

fn arcs((subject, object): (&str, &str)) -> (Arc<str>, Arc<str>) {
    (subject.into(), object.into())
}

/// The judges, and what they have to know of the rows so far.
struct Bench<'a> {
    replay: &'a Replay<'a>,
    judges: Vec<Judge>,
    popular: Popular,
    popular_judge: Judge,
    known: HashSet<Arc<str>>,
}

impl<'a> Bench<'a> {
    fn new(replay: &'a Replay<'a>) -> Self {
        let judges = replay.variants.iter().map(|_| Judge::new(replay.k)).collect();
        let popular_judge = Judge::new(replay.k);
        Self { replay, judges, popular: Popular::default(), popular_judge, known: HashSet::new() }
    }

    /// A row comes: it is asked for, if it is time, and then known.
    fn row(&mut self, subject: &Arc<str>, object: &Arc<str>, time_us: i64) {
        if let Protocol::BeforeEach { from_us } = self.replay.protocol
            && time_us >= from_us
            && self.known.contains(subject)
        {
            self.ask(subject, std::slice::from_ref(object));
        }
        self.known.insert(Arc::clone(subject));
        self.popular.count(object);
    }

    fn ask(&mut self, subject: &str, wanted: &[Arc<str>]) {
        let k = self.replay.k;
        for (variant, judge) in self.replay.variants.iter().zip(&mut self.judges) {
            judge.judge(&(variant.list)(subject, k), wanted);
        }
        self.popular_judge.judge(&self.popular.list(k), wanted);
    }

    /// The figures, where there are so many items to show.
    fn into_figures(self, items: usize) -> Vec<(String, Metrics)> {
        let variants = self.replay.variants.iter().zip(&self.judges);
        let mut figures: Vec<_> =
            variants.map(|(variant, judge)| (variant.name.clone(), judge.metrics(items))).collect();
        figures.push((POPULARITY.to_owned(), self.popular_judge.metrics(items)));
        figures
    }
}
