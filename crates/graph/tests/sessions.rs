//! VMIS-kNN as a path, against the algorithm written down plainly, over real sessions whose clicks come one by one.
#![allow(clippy::unwrap_used)]

#[path = "support/arrays.rs"]
mod arrays;

use arrays::ArrayGraph;
use flate2::read::GzDecoder;
use proxima_graph::path::{
    Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Keep, MergerWord, Part, Scratch, Session,
    Shape, link,
};
use proxima_graph::{Graph, KindId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

const SESSION: u16 = 0;
const ITEM: u16 = 1;
/// When a session clicked an item last.
const CLICKED: u16 = 0;
/// The same, but with the time of the session's last click.
const VISITED: u16 = 1;

const RECENT: usize = 500;
const NEIGHBOURS: usize = 100;
const LIST: usize = 20;

/// Clicks as (session, item, time), in the order of the file.
fn clicks(name: &str) -> Vec<(String, String, i64)> {
    let path = format!("{}/../../examples/recommend-sessions/clicks/{name}.csv.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let click = |line: &str| {
        let mut fields = line.split(',').map(str::to_owned);
        let (session, item, at) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        let seconds = at.bytes().filter(u8::is_ascii_digit).fold(0, |time, digit| time * 10 + i64::from(digit - b'0'));
        (session, item, seconds)
    };
    text.lines().skip(1).map(click).collect()
}

/// Historical sessions: the items of each with the times of their last clicks.
#[derive(Default)]
struct Plain {
    sessions: BTreeMap<String, BTreeMap<String, i64>>,
    by_item: HashMap<String, BTreeSet<String>>,
}

fn units(x: f64) -> i128 {
    (x * 2f64.powi(40)).round() as i128
}

fn float(units: i128) -> f64 {
    units as f64 / 2f64.powi(40)
}

impl Plain {
    fn click(&mut self, session: &str, item: &str, time: i64) {
        let last = self.sessions.entry(session.to_owned()).or_default().entry(item.to_owned()).or_insert(time);
        *last = (*last).max(time);
        self.by_item.entry(item.to_owned()).or_default().insert(session.to_owned());
    }

    fn last(&self, session: &str) -> i64 {
        *self.sessions[session].values().max().unwrap()
    }

    /// Kersbergen, Sprangers and Schelter, "Serenade" (SIGMOD 2022), section 3, with |H| and h(i) counted over all
    /// sessions, the evolving one included: it is in the index already.
    fn vmis(&self, evolving: &str) -> Vec<(String, f64)> {
        // The items of the evolving session, the newest first.
        let mut items: Vec<_> = self.sessions[evolving].iter().map(|(item, time)| (Reverse(*time), item)).collect();
        items.sort();
        let length = items.len() as f64;
        // Sessions with a common item: of these the m newest.
        let common: BTreeSet<&String> =
            items.iter().flat_map(|(_, item)| &self.by_item[*item]).filter(|session| *session != evolving).collect();
        let mut newest: Vec<_> = common.into_iter().map(|session| (Reverse(self.last(session)), session)).collect();
        newest.sort();
        newest.truncate(RECENT);
        // Similarity: the sum of the decays π of common items; of these the k most similar, equals by recency.
        let similar = |&(time, session): &(Reverse<i64>, &String)| {
            let matches = items.iter().enumerate().filter(|(_, (_, item))| self.sessions[session].contains_key(*item));
            let places: Vec<usize> = matches.map(|(place, _)| place).collect();
            let similarity: i128 =
                places.iter().map(|&place| units(float(units((length - place as f64) / length)))).sum();
            (Reverse(similarity), time, session.clone(), places[0])
        };
        let mut neighbours: Vec<_> = newest.iter().map(similar).collect();
        neighbours.sort();
        neighbours.truncate(NEIGHBOURS);
        // Scores: similarities, faded by the place of the newest common item, times ln(|H| / h(i)).
        let mut scores: HashMap<&String, i128> = HashMap::new();
        for (Reverse(similarity), _, session, place) in &neighbours {
            let place = *place as f64 + 1.0;
            let weight = float(units(float(*similarity) * if place < 10.0 { 1.0 - place / 10.0 } else { 0.0 }));
            self.sessions[session].keys().for_each(|item| *scores.entry(item).or_default() += units(weight));
        }
        let all = self.sessions.len() as f64;
        let idf = |item: &String| (all / self.by_item[item].len() as f64).ln();
        let mut list: Vec<_> =
            scores.into_iter().map(|(item, sum)| (Reverse(units(float(sum) * idf(item))), item.clone())).collect();
        list.retain(|(Reverse(score), _)| *score != 0);
        list.sort();
        list.truncate(LIST);
        list.into_iter().map(|(Reverse(score), item)| (item, float(score))).collect()
    }
}

/// The paths of `examples/recommend-sessions`.
fn declarations() -> Declarations {
    let hop = |relation: &str, reverse, select| DeclaredStep::Hop { relation: relation.into(), reverse, select };
    let plain = |relation, reverse| {
        let step = hop(relation, reverse, DeclaredSelect::default());
        Part::Path(Box::new(Declaration { step, shape: Shape::default() }))
    };
    let newest_first = DeclaredSelect { recent: Some(100), position: true, ..DeclaredSelect::default() };
    let current = Declaration { step: hop("clicked", false, newest_first), shape: Shape::default() };
    let neighbours = DeclaredStep::Jump {
        left: Part::Path(Box::new(current)),
        right: plain("visited", true),
        merger: DeclaredMerger::Session(Session { recent: RECENT, neighbours: NEIGHBOURS }),
        with_self: false,
        keep: Keep::Planned,
    };
    let vmis = DeclaredStep::Jump {
        left: Part::Name("neighbours".into()),
        right: plain("visited", false),
        merger: DeclaredMerger::Word(MergerWord::Sum),
        with_self: false,
        keep: Keep::Planned,
    };
    let idf = Shape { idf: true, ..Shape::default() };
    Declarations::from([
        ("neighbours".into(), Declaration { step: neighbours, shape: Shape::default() }),
        ("vmis".into(), Declaration { step: vmis, shape: idf }),
    ])
}

/// A graph and the plain index, kept up by the same clicks.
struct Both {
    graph: ArrayGraph,
    plain: Plain,
}

impl Both {
    fn click(&mut self, session: &str, item: &str, time: i64) {
        self.plain.click(session, item, time);
        let (subject, object) = (self.graph.intern(SESSION, session), self.graph.intern(ITEM, item));
        self.graph.relate(CLICKED, subject, object, self.plain.sessions[session][item]);
        let last = self.plain.last(session);
        for item in self.plain.sessions[session].keys() {
            let object = self.graph.intern(ITEM, item);
            self.graph.relate(VISITED, subject, object, last);
        }
    }
}

#[test]
fn lists_equal_the_plain_algorithm_while_clicks_come() {
    let relations = [("clicked", SESSION, ITEM, true), ("visited", SESSION, ITEM, true)];
    let mut both = Both { graph: ArrayGraph::new(&["session", "item"], &relations), plain: Plain::default() };
    clicks("train").iter().for_each(|(session, item, time)| both.click(session, item, *time));
    let paths = link(&declarations(), &both.graph.catalogue, &|_, _| Err("no expressions here".into())).unwrap();
    let vmis = paths.get("vmis").unwrap();
    let mut scratch = Scratch::default();
    let (mut lists, mut entries) = (0, 0);
    for (session, item, time) in clicks("valid").iter().map(|(session, item, time)| (format!("v{session}"), item, time))
    {
        both.click(&session, item, *time);
        let id = both.graph.id(KindId(SESSION), &session).unwrap();
        let found = vmis.find(&both.graph, id, LIST, &mut scratch);
        let found: Vec<(String, f64)> = found.iter().map(|found| (found.name.to_string(), found.score)).collect();
        assert_eq!(found, both.plain.vmis(&session), "{session} after {item}");
        lists += 1;
        entries += found.len();
    }
    assert!(lists == 1_451 && entries > 10_000, "the lists are worth looking at: {lists} {entries}");
}
