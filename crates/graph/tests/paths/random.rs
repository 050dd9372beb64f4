//! Random paths over the test catalogue.

use crate::graph::{ITEM, TAG, USER, catalogue};
use proxima_graph::path::{
    Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Formula, Keep, MergerWord, Part, Session,
    Shape, Swing,
};
use proxima_graph::{AttributeKind, Direction, KindId, Relation};
use rand::{Rng, RngExt};

/// The greatest depth: a hop has depth 1.
const DEPTH: usize = 4;

/// So many paths `top0`, `top1` …, and those that they name.
pub(crate) fn paths(rng: &mut impl Rng, count: usize) -> Declarations {
    let mut paths = Declarations::new();
    for number in 0..count {
        let from = [USER, ITEM, TAG][rng.random_range(0..3)];
        let depth = rng.random_range(1..=DEPTH);
        let (path, _) = path(rng, from, depth, &mut paths);
        paths.insert(format!("top{number}"), path);
    }
    paths
}

/// Every walk there and back, with the mergers whose sums or counts can be kept.
pub(crate) fn there_and_back() -> Declarations {
    let mut paths = Declarations::new();
    for relation in &catalogue().relations {
        for reverse in [false, true] {
            for (word, merger) in [
                ("sum", MergerWord::Sum),
                ("cosine", MergerWord::Cosine),
                ("count", MergerWord::Count),
                ("jaccard", MergerWord::Jaccard),
                ("llr", MergerWord::Llr),
                ("lift", MergerWord::Lift),
            ] {
                let hop = |reverse| {
                    let select = DeclaredSelect::default();
                    let step = DeclaredStep::Hop { relation: relation.name.clone(), reverse, select };
                    Part::Path(Box::new(Declaration { step, shape: Shape::default() }))
                };
                let (left, right, merger) = (hop(reverse), hop(!reverse), DeclaredMerger::Word(merger));
                let step = DeclaredStep::Jump { left, right, merger, with_self: false, keep: Keep::Maintained };
                let name = format!("{}_{reverse}_{word}", relation.name);
                paths.insert(name, Declaration { step, shape: Shape::default() });
            }
        }
    }
    paths
}

/// Every walk there and back, by cosine: of weights alone, of any scores, and of rows that fade.
pub(crate) fn cosines(rng: &mut impl Rng) -> Declarations {
    let mut paths = Declarations::new();
    for relation in &catalogue().relations {
        for (name, path) in cosine_of(&relation.name, None) {
            paths.insert(format!("{}_{name}", relation.name), path);
        }
        for half_life_us in [100, 500, 2_000].map(|seconds| seconds * 1_000_000) {
            let fading =
                if relation.timed { cosine_of(&relation.name, Some(half_life_us)) } else { Declarations::new() };
            paths.extend(
                fading.into_iter().map(|(name, path)| (format!("{}_{half_life_us}_{name}", relation.name), path)),
            );
        }
        let mut scored = cosine_of(&relation.name, None);
        for path in scored.values_mut() {
            let DeclaredStep::Jump { right: Part::Path(right), .. } = &mut path.step else { panic!("it is a jump") };
            let DeclaredStep::Hop { select: right, .. } = &mut right.step else { panic!("of hops") };
            *right = select(rng, relation, false);
        }
        paths.extend(scored.into_iter().map(|(name, path)| (format!("{}_scored_{name}", relation.name), path)));
    }
    paths
}

/// A hop along a relation that fades, shaped by how many lead to an object: `popular` and `idf`.
pub(crate) fn fading_of(relation: &str, half_life_us: i64) -> Declarations {
    let path = |shape| {
        let select = DeclaredSelect { half_life_us: Some(half_life_us), ..DeclaredSelect::default() };
        Declaration { step: DeclaredStep::Hop { relation: relation.to_owned(), reverse: false, select }, shape }
    };
    let mut paths = Declarations::new();
    paths.insert("popular".to_owned(), path(Shape { popularity: 0.5, ..Shape::default() }));
    paths.insert("idf".to_owned(), path(Shape { idf: true, ..Shape::default() }));
    paths
}

/// From objects to objects and from subjects to subjects of a relation: `cosine` and `cosine_back`.
pub(crate) fn cosine_of(relation: &str, half_life_us: Option<i64>) -> Declarations {
    let hop = |reverse| {
        let select = DeclaredSelect { half_life_us, ..DeclaredSelect::default() };
        let step = DeclaredStep::Hop { relation: relation.to_owned(), reverse, select };
        Part::Path(Box::new(Declaration { step, shape: Shape::default() }))
    };
    let jump = |(name, reverse): (&str, bool)| {
        let (left, right, merger) = (hop(reverse), hop(!reverse), DeclaredMerger::Word(MergerWord::Cosine));
        let step = DeclaredStep::Jump { left, right, merger, with_self: false, keep: Keep::Planned };
        (name.to_owned(), Declaration { step, shape: Shape::default() })
    };
    [("cosine", true), ("cosine_back", false)].map(jump).into()
}

/// A path of exactly this depth, and where it leads.
fn path(rng: &mut impl Rng, from: KindId, depth: usize, paths: &mut Declarations) -> (Declaration, KindId) {
    if depth == 1 {
        let (step, to) = hop(rng, from, false, None);
        let shape = if rng.random_bool(0.3) { shape(rng) } else { Shape::default() };
        return (Declaration { step, shape }, to);
    }
    let (step, to) =
        if depth == 2 && rng.random_bool(0.7) { special(rng, from) } else { plain(rng, from, depth, paths) };
    let shape = if rng.random_bool(0.5) { shape(rng) } else { Shape::default() };
    (Declaration { step, shape }, to)
}

/// A jump between any paths.
fn plain(rng: &mut impl Rng, from: KindId, depth: usize, paths: &mut Declarations) -> (DeclaredStep, KindId) {
    let other = rng.random_range(1..depth);
    let (ldepth, rdepth) = if rng.random_bool(0.5) { (depth - 1, other) } else { (other, depth - 1) };
    let (left, middle) = path(rng, from, ldepth, paths);
    let (right, to) = path(rng, middle, rdepth, paths);
    let merger = match rng.random_range(0..5) {
        0 => DeclaredMerger::Word(MergerWord::Sum),
        1 => DeclaredMerger::Word(MergerWord::Count),
        2 => DeclaredMerger::Word(MergerWord::Max),
        3 => DeclaredMerger::Word(MergerWord::First),
        _ => DeclaredMerger::Formula(Formula::Sql("of parts".to_owned())),
    };
    let (left, right) = (part(rng, left, paths), part(rng, right, paths));
    let with_self = rng.random_bool(0.3);
    (DeclaredStep::Jump { left, right, merger, with_self, keep: keep(rng) }, to)
}

/// A jump between two hops by a merger that wants such.
fn special(rng: &mut impl Rng, from: KindId) -> (DeclaredStep, KindId) {
    let kind = rng.random_range(0..6);
    let bounded = kind == 4;
    let (mut left, mut middle) = hop(rng, from, bounded, None);
    let merger = match kind {
        0 => DeclaredMerger::Word(MergerWord::Cosine),
        1 => DeclaredMerger::Word(MergerWord::Jaccard),
        2 => DeclaredMerger::Word(MergerWord::Llr),
        3 => DeclaredMerger::Word(MergerWord::Lift),
        4 => DeclaredMerger::Swing(Swing { alpha: rng.random_range(0..3).into(), weigh: rng.random_bool(0.5) }),
        _ => {
            // Tags have no relation with times.
            while middle == TAG {
                (left, middle) = hop(rng, from, false, None);
                if from == TAG {
                    break;
                }
            }
            DeclaredMerger::Session(Session { recent: rng.random_range(1..9), neighbours: rng.random_range(1..6) })
        }
    };
    let timed = matches!(merger, DeclaredMerger::Session(_)).then_some(true);
    let (right, to) = hop(rng, middle, false, timed);
    let part = |step| Part::Path(Box::new(Declaration { step, shape: Shape::default() }));
    let with_self = rng.random_bool(0.3);
    (DeclaredStep::Jump { left: part(left), right: part(right), merger, with_self, keep: keep(rng) }, to)
}

fn keep(rng: &mut impl Rng) -> Keep {
    if rng.random_bool(0.5) { Keep::Planned } else { Keep::Requested }
}

fn part(rng: &mut impl Rng, path: Declaration, paths: &mut Declarations) -> Part {
    if rng.random_bool(0.5) {
        return Part::Path(Box::new(path));
    }
    let name = format!("part{}", paths.len());
    paths.insert(name.clone(), path);
    Part::Name(name)
}

fn shape(rng: &mut impl Rng) -> Shape {
    Shape {
        idf: rng.random_bool(0.3),
        popularity: if rng.random_bool(0.3) { rng.random_range(0.1..1.0) } else { 0.0 },
        decay: if rng.random_bool(0.5) { rng.random_range(0.1..1.5) } else { 1.0 },
        top: rng.random_bool(0.5).then(|| rng.random_range(1..6)),
    }
}

fn hop(rng: &mut impl Rng, from: KindId, bounded: bool, timed: Option<bool>) -> (DeclaredStep, KindId) {
    let catalogue = catalogue();
    let mut ways = Vec::new();
    for relation in &catalogue.relations {
        for direction in [Direction::Forward, Direction::Reverse] {
            if relation.ends(direction).0 == from && timed.is_none_or(|timed| relation.timed == timed) {
                ways.push((relation, direction));
            }
        }
    }
    let (relation, direction) = ways[rng.random_range(0..ways.len())];
    let select =
        if bounded || rng.random_bool(0.7) { select(rng, relation, bounded) } else { DeclaredSelect::default() };
    let reverse = direction == Direction::Reverse;
    (DeclaredStep::Hop { relation: relation.name.clone(), reverse, select }, relation.ends(direction).1)
}

fn select(rng: &mut impl Rng, relation: &Relation, bounded: bool) -> DeclaredSelect {
    let mut select = DeclaredSelect::default();
    let score = |rng: &mut _| f64::from(RngExt::random_range(rng, 1..40_u32)) / 8.0;
    match rng.random_range(0..5) {
        0 => select.scores = Some((1..5).map(|weight: i64| (weight.to_string(), score(rng))).collect()),
        1 if relation.timed => select.formula = Some(Formula::Sql("of row".to_owned())),
        2 if !relation.attributes.is_empty() => {
            let attribute = &relation.attributes[rng.random_range(0..relation.attributes.len())];
            let words: &[&str] = match attribute.kind {
                AttributeKind::Bool => &["true", "false"],
                AttributeKind::Int => &["1", "3"],
                _ => &["view", "cart", "buy"],
            };
            select.by = Some(attribute.name.clone());
            select.scores = Some(words.iter().map(|word| ((*word).to_owned(), score(rng))).collect());
        }
        _ => {}
    }
    if relation.timed && rng.random_bool(0.4) {
        select.half_life_us = Some(rng.random_range(1..20) * 500_000_000);
    }
    let k = rng.random_range(1..6);
    match rng.random_range(if bounded { 1 } else { 0 }..4) {
        0 => {}
        1 => select.top = Some(k),
        2 if relation.timed => select.recent = Some(k),
        _ => (select.sample, select.seed) = (Some(k), rng.random_range(0..3)),
    }
    select.position = relation.timed && rng.random_bool(0.2);
    select.share = rng.random_bool(0.2);
    select.power = rng.random_bool(0.2).then(|| rng.random_range(0.3..2.0));
    select
}
