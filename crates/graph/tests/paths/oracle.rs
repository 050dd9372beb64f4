//! The meaning of paths, from their definition: maps of texts, every step spelt out, nothing shared with the evaluator.

use crate::expressions::{of_parts, of_row};
use crate::graph::{Row, TextGraph};
use proxima_event::hash::hash_str;
use proxima_graph::graph::NO_TIME;
use proxima_graph::path::{Hop, Jump, Merger, Path, RowScore, Set, Shape, Step, Word};
use proxima_graph::{Direction, RelationId, Value};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Where a walk has come to: by text, the score in units and the newest time.
type Reached = BTreeMap<String, (i128, i64)>;

pub(crate) struct Oracle<'a> {
    graph: &'a TextGraph,
}

fn units(x: f64) -> i128 {
    if x.is_nan() { 0 } else { (x * 2f64.powi(40)).round().clamp(-(2f64.powi(94)), 2f64.powi(94)) as i128 }
}

fn float(units: i128) -> f64 {
    units as f64 / 2f64.powi(40)
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(graph: &'a TextGraph) -> Self {
        Self { graph }
    }

    /// The list from an object: texts and the bits of scores.
    pub(crate) fn list(&self, path: &Path, start: &str) -> Vec<(String, u64)> {
        let reached = self.path(path, start);
        let mut list: Vec<_> = reached.into_iter().map(|(name, (score, _))| (Reverse(score), name)).collect();
        list.sort();
        list.into_iter().map(|(Reverse(score), name)| (name, float(score).to_bits())).collect()
    }

    fn path(&self, path: &Path, start: &str) -> Reached {
        let mut reached = match &path.step {
            Step::Hop(hop) => self.hop(hop, start),
            Step::Jump(jump) => self.jump(path, jump, start),
        };
        let Shape { idf, popularity, decay, top } = path.shape;
        let last = path.last_hop();
        for (name, (score, _)) in &mut reached {
            let degree = self.weights(last.relation, last.direction, name).len().max(1) as f64;
            let mut shaped = float(*score);
            if idf {
                shaped *= (self.graph.names(last.from).len() as f64 / degree).ln();
            }
            if popularity != 0.0 {
                shaped /= degree.powf(popularity);
            }
            *score = units(shaped * decay);
        }
        reached.retain(|_, (score, _)| *score != 0);
        first(reached, top.unwrap_or(usize::MAX), |_, score, _| Reverse(score))
    }

    /// The sums of weights, not zero, that lead to an object.
    fn weights(&self, relation: RelationId, direction: Direction, end: &str) -> BTreeMap<String, i64> {
        let mut weights = BTreeMap::new();
        for row in self.graph.rows.iter().filter(|row| row.relation == relation && row.ends(direction).1 == end) {
            *weights.entry(row.ends(direction).0.to_owned()).or_insert(0) += row.weight;
        }
        weights.retain(|_, weight| *weight != 0);
        weights
    }

    /// Steps 1 and 2 of a hop, walked from `start` in this direction.
    fn added(&self, hop: &Hop, direction: Direction, start: &str) -> Reached {
        let rows = || self.graph.rows.iter().filter(|row| row.relation == hop.relation);
        let gone = self.graph.newest_us.get(usize::from(hop.relation.0)).copied();
        let newest = rows().map(|row| row.time_us).chain(gone).max().unwrap_or(NO_TIME);
        let mut reached = Reached::new();
        for row in rows().filter(|row| row.ends(direction).0 == start) {
            let score = units(row_score(hop, row, newest));
            if score != 0 {
                let (sum, time) = reached.entry(row.ends(direction).1.to_owned()).or_insert((0, NO_TIME));
                *sum += score;
                *time = (*time).max(row.time_us);
            }
        }
        reached.retain(|_, (score, _)| *score != 0);
        reached
    }

    fn hop(&self, hop: &Hop, start: &str) -> Reached {
        let all = self.added(hop, hop.direction, start);
        let mut reached = match hop.select.set {
            Set::All => all,
            Set::Recent(k) => first(all, k, |_, _, time| Reverse(time)),
            Set::Top(k) => first(all, k, |_, score, _| Reverse(score)),
            Set::Sample { k, seed } => first(all, k, |name, _, _| lot(seed, start, name)),
        };
        if hop.select.position {
            let mut newest: Vec<_> = reached.iter().map(|(name, &(_, time))| (Reverse(time), name.clone())).collect();
            newest.sort();
            let n = newest.len() as f64;
            for (i, (_, name)) in newest.iter().enumerate() {
                let score = &mut reached.get_mut(name).unwrap().0;
                *score = units(float(*score) * ((n - i as f64) / n));
            }
        }
        if hop.select.share {
            let sum = float(reached.values().map(|(score, _)| score).sum());
            let share = |score: i128| if sum == 0.0 { 0 } else { units(float(score) / sum) };
            reached.values_mut().for_each(|(score, _)| *score = share(*score));
        }
        if let Some(power) = hop.select.power {
            reached.values_mut().for_each(|(score, _)| *score = units(float(*score).powf(power)));
        }
        reached.retain(|_, (score, _)| *score != 0);
        reached
    }

    fn jump(&self, path: &Path, jump: &Jump, start: &str) -> Reached {
        let left = self.path(&jump.left, start);
        // Objects in the middle, the highest score first.
        let mut order: Vec<_> = left.iter().map(|(name, &(score, _))| (Reverse(score), name.clone())).collect();
        order.sort();
        let rights: Vec<Reached> = order.iter().map(|(_, middle)| self.path(&jump.right, middle)).collect();
        let ends: BTreeSet<&String> = rights.iter().flat_map(BTreeMap::keys).collect();
        let itself = |end: &&&String| path.from != path.to || jump.with_self || **end != start;
        let ways = |end: &String| {
            let through = |(place, (right, (Reverse(l), _))): (usize, (&Reached, &(Reverse<i128>, String)))| {
                right.get(end).map(|&(r, time)| Way { place, l: float(*l), r: float(r), time })
            };
            rights.iter().zip(&order).enumerate().filter_map(through).collect::<Vec<_>>()
        };
        let ends: Vec<(String, Vec<Way>)> = ends.iter().filter(itself).map(|end| ((*end).clone(), ways(end))).collect();
        if let Merger::Session(session) = &jump.merger {
            return sessions(&ends, session.recent, session.neighbours);
        }
        let score = |(end, ways): &(String, Vec<Way>)| {
            let score = match &jump.merger {
                Merger::Swing(swing) => {
                    let sizes: Vec<f64> = rights.iter().map(|right| right.len() as f64).collect();
                    let weight = |place: usize| if swing.weigh { 1.0 / sizes[place].sqrt() } else { 1.0 };
                    let mut sum = 0;
                    for (after, u) in (1..).zip(ways) {
                        for v in &ways[after..] {
                            let common =
                                rights[u.place].keys().filter(|name| rights[v.place].contains_key(*name)).count();
                            sum += units(weight(u.place) * weight(v.place) / (swing.alpha + common as f64));
                        }
                    }
                    sum
                }
                merger => self.merged(merger, jump, start, end, ways),
            };
            (end.clone(), (score, NO_TIME))
        };
        ends.iter().map(score).filter(|(_, (score, _))| *score != 0).collect()
    }

    fn merged(&self, merger: &Merger, jump: &Jump, start: &str, end: &str, ways: &[Way]) -> i128 {
        let sum: i128 = ways.iter().map(|way| units(way.l * way.r)).sum();
        let max = ways.iter().map(|way| way.l * way.r).fold(f64::NEG_INFINITY, f64::max);
        let both = ways.len() as f64;
        match merger {
            Merger::Sum => sum,
            Merger::Count => units(both),
            Merger::Max => units(max),
            Merger::First => units(ways[0].l * ways[0].r),
            Merger::Expression(_) => {
                let add = |of: fn(&Way) -> f64| float(ways.iter().map(|way| units(of(way))).sum());
                let max = float(units(max));
                units(of_parts(float(sum), ways.len() as i64, max, add(|way| way.l), add(|way| way.r)))
            }
            Merger::Cosine | Merger::Jaccard | Merger::Llr | Merger::Lift => {
                let (Step::Hop(left), Step::Hop(right)) = (&jump.left.step, &jump.right.step) else { panic!("hops") };
                let own = self.added(left, left.direction, start);
                let far = self.added(right, right.direction.back(), end);
                let (l, r) = (own.len() as f64, far.len() as f64);
                let all = self.graph.names(left.to).len() as f64;
                units(match merger {
                    Merger::Cosine => {
                        let dot = products(ways.iter().map(|way| way.l * way.r));
                        let norms = (norm2(left, &own) * norm2(right, &far)).sqrt();
                        if norms == 0.0 { 0.0 } else { (dot / norms).clamp(-1.0, 1.0) }
                    }
                    Merger::Jaccard => both / (l + r - both),
                    Merger::Lift => both * all / (l * r),
                    _ => log_likelihood(both, l, r, all),
                })
            }
            Merger::Swing(_) | Merger::Session(_) => panic!("these look at more than one object"),
        }
    }
}

/// What is added for a cosine: units, or multiples of 2^8 above 2^54.
fn products(of: impl Iterator<Item = f64>) -> f64 {
    let (great, small): (Vec<f64>, Vec<f64>) = of.partition(|product| product.abs() > 2f64.powi(54));
    let multiple = |product: f64| (product / 256.0).round().clamp(-(2f64.powi(94)), 2f64.powi(94)) as i128;
    let great: i128 = great.into_iter().map(multiple).sum();
    float(small.into_iter().map(units).sum()) + great as f64 * 256.0
}

/// Exact for weights, as long as none can be too great.
fn norm2(hop: &Hop, vector: &Reached) -> f64 {
    let exact: i128 = vector.values().map(|(score, _)| (score >> 40) * (score >> 40)).sum();
    if matches!(hop.select.row, RowScore::Weight) && hop.select.half_life_us.is_none() && exact < 1 << 102 {
        return exact as f64;
    }
    products(vector.values().map(|&(score, _)| float(score) * float(score)))
}

/// A way to an object at the end.
struct Way {
    place: usize,
    l: f64,
    r: f64,
    time: i64,
}

fn sessions(ends: &[(String, Vec<Way>)], recent: usize, neighbours: usize) -> Reached {
    let mut found: Vec<_> = ends
        .iter()
        .map(|(name, ways)| {
            let alike: i128 = ways.iter().map(|way| units(way.l * way.r)).sum();
            let newest = ways.iter().map(|way| way.time).max().unwrap();
            (name.clone(), alike, newest, ways.iter().map(|way| way.place).min().unwrap())
        })
        .filter(|(_, alike, ..)| *alike != 0)
        .collect();
    found.sort_by_key(|(name, _, newest, _)| (Reverse(*newest), name.clone()));
    found.truncate(recent);
    found.sort_by_key(|(name, alike, newest, _)| (Reverse(*alike), Reverse(*newest), name.clone()));
    found.truncate(neighbours);
    let faded = found.into_iter().map(|(name, alike, _, place)| {
        let place = place as f64 + 1.0;
        let fades = if place < 10.0 { 1.0 - place / 10.0 } else { 0.0 };
        (name, (units(float(alike) * fades), NO_TIME))
    });
    faded.filter(|(_, (score, _))| *score != 0).collect()
}

fn row_score(hop: &Hop, row: &Row, newest: i64) -> f64 {
    let age_us = (row.time_us != NO_TIME).then(|| newest - row.time_us);
    let mut score = match &hop.select.row {
        RowScore::Weight => row.weight as f64,
        RowScore::Weights(scores) => {
            scores.iter().find(|(weight, _)| *weight == row.weight).map_or(0.0, |(_, score)| *score)
        }
        RowScore::Attribute { attribute, scores } => {
            let word = match &row.attributes[*attribute] {
                Value::Bool(value) => Some(Word::Bool(*value)),
                Value::Int(value) => Some(Word::Int(*value)),
                Value::Text(value) => Some(Word::Text(value.clone())),
                Value::Null | Value::Float(_) => None,
            };
            let found = scores.iter().find(|(known, _)| Some(known) == word.as_ref());
            row.weight as f64 * found.map_or(0.0, |(_, score)| *score)
        }
        RowScore::Expression(_) => of_row(row.weight, age_us.map(|age| age as f64 / 1e6)).unwrap_or(f64::NAN),
    };
    if let Some(half_life) = hop.select.half_life_us {
        score *= (-(age_us.unwrap_or(0) as f64 / half_life as f64)).exp2();
    }
    score
}

/// The first `k` by a key; equals by text.
fn first<K: Ord>(all: Reached, k: usize, key: impl Fn(&str, i128, i64) -> K) -> Reached {
    let mut list: Vec<_> = all.into_iter().collect();
    list.sort_by_cached_key(|(name, (score, time))| (key(name, *score, *time), name.clone()));
    list.truncate(k);
    list.into_iter().collect()
}

/// The documented lot: splitmix64's finaliser.
fn lot(seed: u64, start: &str, object: &str) -> u64 {
    let mut bits = hash_str(object) ^ hash_str(start).rotate_left(32) ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9_u64), (27, 0x94D0_49BB_1331_11EB)] {
        bits = (bits ^ (bits >> shift)).wrapping_mul(factor);
    }
    bits ^ (bits >> 31)
}

/// Twice the sum over the cells of k·ln(k), less that over rows and columns, plus that of the total.
fn log_likelihood(both: f64, left: f64, right: f64, all: f64) -> f64 {
    let x = |k: f64| if k > 0.0 { k * k.ln() } else { 0.0 };
    let cells = [both, (left - both).max(0.0), (right - both).max(0.0), (all - left - right + both).max(0.0)];
    let [a, b, c, d] = cells;
    let cells = x(a) + x(b) + x(c) + x(d);
    (2.0 * (cells - (x(a + b) + x(c + d)) - (x(a + c) + x(b + d)) + x(a + b + c + d))).max(0.0)
}
