//! Sums and counts over the middle in machine words: what nearly all jumps need. Where a sum might not fit, or a product
//! not be exact, [`super::fold`] has wider ones.

use super::fixed::{narrow_units, score, share};
use super::jump::behind_jump;
use super::kept::Entries;
use super::rows;
use super::scratch::Reached;
use super::spec::{Hop, Jump, Path, Set, Step};
use super::walk::Walk;
use crate::gather::{Each, Gather, Rows};
use crate::graph::{Graph, ObjectId};
use std::cmp::Reverse;

/// What leads from the middle to the end, by how it can be added up.
enum Right<'a> {
    /// Rows that count as their weights.
    Weights(&'a Hop),
    /// Rows that have scores, none of which depends on others.
    Scores(&'a Hop),
    /// Rows that count as their parts of the sum of all weights.
    Shares(&'a Hop),
    /// Lists.
    Lists(&'a Path),
}

/// What sums are whole numbers of.
#[derive(Clone, Copy)]
enum Unit {
    One,
    Smallest,
}

impl<G: Graph + ?Sized> Walk<'_, G> {
    /// Puts the sums of l·r over the middle into an empty list: at least the `n` highest, and all that tie with them. False,
    /// with nothing there, where they might not fit.
    pub(super) fn narrow_sums(
        &mut self,
        path: &Path,
        jump: &Jump,
        start: ObjectId,
        n: usize,
        list: &mut Vec<Reached>,
    ) -> bool {
        let mut left = self.scratch.list();
        self.path(&jump.left, start, &mut left);
        let (right, mut gather) = (Right::of(&jump.right), self.scratch.gather());
        let unit = right.unit(&left);
        let fits = left.iter().all(|middle| match &right {
            Right::Weights(hop) => self.add_weights(hop, middle.object, unit.of(middle.score), &mut gather),
            Right::Scores(hop) => match whole(middle.score) {
                Some(times) => self.add_scores(hop, middle.object, times, &mut gather),
                None => self.add_list(&jump.right, middle, &mut gather),
            },
            Right::Shares(hop) => self.add_shares(hop, middle, &mut gather),
            Right::Lists(path) => self.add_list(path, middle, &mut gather),
        });
        let (itself, mut sums) = (jump.leaves_out(path, start), self.scratch.sums());
        gather.drain(|object, sum| sums.push((sum, object)));
        if fits {
            sums.retain(|(_, object)| Some(*object) != itself);
            keep_highest(&mut sums, n);
            list.extend(sums.iter().map(|&(sum, object)| behind_jump(object, unit.score(sum))));
        }
        self.scratch.keep_sums(sums);
        self.scratch.keep_gather(gather);
        self.scratch.keep_list(left);
        fits
    }

    /// Puts the numbers of objects in the middle into an empty list.
    pub(super) fn counts(&mut self, path: &Path, jump: &Jump, start: ObjectId, list: &mut Vec<Reached>) {
        let mut left = self.scratch.list();
        self.path(&jump.left, start, &mut left);
        let mut gather = self.scratch.gather();
        let right = Right::of(&jump.right);
        gather.begin(Each::One);
        for middle in &left {
            match &right {
                Right::Weights(hop) if !hop.many => {
                    self.graph.gather(hop.relation, hop.direction, middle.object, &mut gather);
                }
                _ => {
                    let ends = self.all(&jump.right, middle.object);
                    ends.entries().each(|end| gather.extend(std::iter::once((end.object, 1))));
                    self.scratch.take_back(ends);
                }
            }
        }
        let itself = jump.leaves_out(path, start);
        gather.drain(|object, count| {
            if Some(object) != itself {
                list.push(behind_jump(object, count as f64));
            }
        });
        self.scratch.keep_gather(gather);
        self.scratch.keep_list(left);
    }

    fn add_weights(&self, hop: &Hop, middle: ObjectId, times: i64, gather: &mut Gather) -> bool {
        gather.begin(Each::Times(times));
        self.graph.gather(hop.relation, hop.direction, middle, gather);
        gather.end(hop.rows())
    }

    /// Rows to the same object are not added before they are multiplied by a whole number, which gives the same.
    fn add_scores(&mut self, hop: &Hop, middle: ObjectId, times: i64, gather: &mut Gather) -> bool {
        let mut edges = self.scratch.edges();
        self.graph.edges(hop.relation, hop.direction, middle, &mut edges);
        let scores = rows::scores(self.graph, hop, &edges);
        gather.begin(Each::Times(times));
        gather.extend(edges.iter().zip(scores).map(|(edge, score)| (edge.other, narrow_units(score))));
        self.scratch.keep_edges(edges);
        gather.end(hop.rows())
    }

    fn add_shares(&self, hop: &Hop, middle: &Reached, gather: &mut Gather) -> bool {
        gather.begin(Each::Part);
        self.graph.gather(hop.relation, hop.direction, middle.object, gather);
        gather.end_parts(|weight, total| narrow_units(middle.score * share(weight as f64, total as f64)))
    }

    fn add_list(&mut self, path: &Path, middle: &Reached, gather: &mut Gather) -> bool {
        let ends = self.all(path, middle.object);
        let product = |score: f64| narrow_units(middle.score * score);
        gather.begin(Each::Times(1));
        match ends.entries() {
            Entries::Reached(ends) => gather.extend(ends.iter().map(|end| (end.object, product(end.score)))),
            Entries::Scored(ends) => gather.extend(ends.iter().map(|end| (end.object, product(end.score())))),
        }
        self.scratch.take_back(ends);
        gather.end_sums()
    }
}

/// Drops sums that are not among the `n` highest and tie with none of these as floats.
fn keep_highest(sums: &mut Vec<(i64, ObjectId)>, n: usize) {
    if n == 0 || n >= sums.len() {
        return;
    }
    let (_, &mut (last, _), _) = sums.select_nth_unstable_by_key(n - 1, |(sum, _)| Reverse(*sum));
    let mut kept = n;
    for place in n..sums.len() {
        if sums[place].0 as f64 >= last as f64 {
            sums.swap(place, kept);
            kept += 1;
        }
    }
    sums.truncate(kept);
}

impl<'a> Right<'a> {
    fn of(path: &'a Path) -> Self {
        let Step::Hop(hop) = &path.step else { return Self::Lists(path) };
        let select = &hop.select;
        let is_more = select.set != Set::All || select.position || select.power.is_some();
        match (select.is_weight(), select.share) {
            _ if is_more || !path.shape.changes_nothing() => Self::Lists(path),
            (true, false) => Self::Weights(hop),
            (true, true) if !hop.many => Self::Shares(hop),
            (false, false) => Self::Scores(hop),
            _ => Self::Lists(path),
        }
    }

    /// Products of whole numbers have room for greater ones.
    fn unit(&self, left: &[Reached]) -> Unit {
        match self {
            Self::Weights(_) if left.iter().all(|middle| whole(middle.score).is_some()) => Unit::One,
            _ => Unit::Smallest,
        }
    }
}

impl Unit {
    fn of(self, score: f64) -> i64 {
        match self {
            Self::One => score as i64,
            Self::Smallest => narrow_units(score),
        }
    }

    fn score(self, sum: i64) -> f64 {
        match self {
            Self::One => sum as f64,
            Self::Smallest => score(i128::from(sum)),
        }
    }
}

impl Hop {
    fn rows(&self) -> Rows {
        if self.many { Rows::Many } else { Rows::One }
    }
}

/// The score, if it is a whole number that has room for a factor.
fn whole(score: f64) -> Option<i64> {
    const GREATEST: f64 = (1_u64 << 52) as f64;
    (score.abs() < GREATEST && score as i64 as f64 == score).then_some(score as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, Kind, Relation};
    use crate::graph::{KindId, RelationId};
    use crate::live::{LiveGraph, RelationRules};
    use crate::path::fold::Sum;
    use crate::path::{
        Declaration, DeclaredMerger, DeclaredSelect, DeclaredStep, Keep, MergerWord, Part, Scratch, Shape, link,
    };
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const OBJECTS: u32 = 20;

    /// Two relations, one of them with times, whose weights have up to so many bits.
    fn graph(rng: &mut ChaCha8Rng, bits: u32) -> LiveGraph {
        let kind = || Kind { name: "thing".into(), attributes: Vec::new() };
        let relation = |timed: bool| Relation {
            name: format!("timed_{timed}"),
            subject: KindId(0),
            object: KindId(0),
            timed,
            attributes: Vec::new(),
        };
        let catalogue = Catalogue { kinds: vec![kind()], relations: [false, true].map(relation).into() };
        let graph = LiveGraph::new(catalogue, &[RelationRules::default(); 2], 1);
        for timed in [false, true] {
            for _ in 0..120 {
                let [subject, object] = [(); 2].map(|()| rng.random_range(0..OBJECTS));
                let weight = rng.random::<i64>() >> (63 - rng.random_range(0..=bits));
                let time_us = rng.random_range(0..10) * 1_000_000;
                let times_us = if timed { vec![time_us] } else { Vec::new() };
                graph.relate(RelationId(timed.into()), vec![subject], vec![object], vec![weight], times_us);
            }
        }
        graph
    }

    fn hop(rng: &mut ChaCha8Rng) -> Part {
        let timed = rng.random_bool(0.5);
        let select = DeclaredSelect {
            half_life_us: (timed && rng.random_bool(0.3)).then_some(2_000_000),
            share: rng.random_bool(0.2),
            power: rng.random_bool(0.2).then_some(0.5),
            top: rng.random_bool(0.2).then_some(3),
            ..DeclaredSelect::default()
        };
        let step = DeclaredStep::Hop { relation: format!("timed_{timed}"), reverse: rng.random_bool(0.5), select };
        Part::Path(Box::new(Declaration { step, shape: Shape::default() }))
    }

    fn jump(rng: &mut ChaCha8Rng, catalogue: &Catalogue) -> Arc<Path> {
        let (left, right, merger) = (hop(rng), hop(rng), DeclaredMerger::Word(MergerWord::Sum));
        let step = DeclaredStep::Jump { left, right, merger, with_self: true, keep: Keep::Requested };
        let path = Declaration { step, shape: Shape::default() };
        let paths = link(&BTreeMap::from([("path".to_owned(), path)]), catalogue, &|_, _| Err(String::new()));
        Arc::clone(paths.unwrap().get("path").unwrap())
    }

    /// By id, what is not zero.
    fn sorted(list: &[Reached]) -> Vec<(ObjectId, u64)> {
        let scores = list.iter().filter(|reached| reached.score != 0.0);
        let mut scores: Vec<_> = scores.map(|reached| (reached.object, reached.score.to_bits())).collect();
        scores.sort_unstable();
        scores
    }

    #[test]
    fn sums_in_words_are_the_wide_ones_or_refused() {
        let (mut scratch, mut given, mut refused) = (Scratch::default(), [0; 4], [0; 4]);
        for seed in 0..400 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let size = seed as usize % 4;
            let graph = graph(&mut rng, [2, 12, 26, 62][size]);
            let path = jump(&mut rng, graph.catalogue());
            let Step::Jump(jump) = &path.step else { panic!("it is a jump") };
            for start in (0..OBJECTS).map(ObjectId) {
                let mut walk = Walk::new(&graph, &mut scratch);
                let (mut narrow, mut wide) = (Vec::new(), Vec::new());
                walk.gather::<Sum>(&path, jump, start, &mut wide);
                if walk.narrow_sums(&path, jump, start, usize::MAX, &mut narrow) {
                    assert_eq!(sorted(&narrow), sorted(&wide), "seed {seed}, from {start:?}\n{path:#?}");
                    let (mut best, n) = (Vec::new(), 1 + seed as usize % 7);
                    walk.narrow_sums(&path, jump, start, n, &mut best);
                    narrow.sort_by(|a, b| b.score.total_cmp(&a.score));
                    let least = narrow.get(n - 1).map_or(f64::NEG_INFINITY, |last| last.score);
                    narrow.retain(|reached| reached.score >= least);
                    assert_eq!(sorted(&best), sorted(&narrow), "seed {seed}, the first {n} from {start:?}");
                    given[size] += sorted(&wide).len();
                } else {
                    assert_eq!(narrow, []);
                    refused[size] += wide.len();
                }
            }
        }
        assert!(given.iter().all(|&objects| objects > 300), "{given:?}, refused {refused:?}");
        assert!(refused[0] * 10 < given[0] && refused[3] > 10 * given[3], "{given:?}, refused {refused:?}");
    }
}
