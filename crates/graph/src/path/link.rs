//! From declarations to paths: names are looked up, kinds and selectors held against the catalogue. Everything that is
//! wrong is told at once, by the key it stands at.

use super::declare::{
    Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Formula, MergerWord, Part,
};
use super::expression::{Compile, Expression, parts_schema, row_schema};
use super::spec::{Hop, Jump, Keep, Merger, Path, Paths, RowScore, Select, Set, Step, Word};
use super::swing::SWING_MIDDLES_MAX;
use crate::catalogue::{Catalogue, Relation};
use crate::graph::{Direction, KindId};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProblem {
    /// Where it stands: the path's name, then keys within: `for_you.left.select.by`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    pub advice: String,
}

/// Paths that do not all mean something.
#[derive(Clone, Debug)]
pub struct Unlinked {
    /// Everything that is wrong with them.
    pub problems: Vec<PathProblem>,
    /// Those with which nothing is wrong.
    pub sound: Paths,
}

/// Checks and links the paths of a job. `compile` makes expressions of formulas. What is [`DeclaredStep::Broken`], and
/// what leads over it, is left out.
///
/// # Errors
/// With everything that is wrong with the others.
pub fn link(paths: &Declarations, catalogue: &Catalogue, compile: &Compile<'_>) -> Result<Paths, Unlinked> {
    let linked = BTreeMap::new();
    let mut linker = Linker { paths, catalogue, compile, linked, under_way: Vec::new(), problems: Vec::new() };
    for name in paths.keys() {
        linker.named(name);
    }
    let Linker { linked, problems, .. } = linker;
    let sound = Paths(linked.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?))).collect());
    if problems.is_empty() { Ok(sound) } else { Err(Unlinked { problems, sound }) }
}

struct Linker<'a> {
    paths: &'a Declarations,
    catalogue: &'a Catalogue,
    compile: &'a Compile<'a>,
    /// What is linked; `None` for what is wrong.
    linked: BTreeMap<&'a str, Option<Arc<Path>>>,
    /// The names on the way to the one that is being linked.
    under_way: Vec<&'a str>,
    problems: Vec<PathProblem>,
}

impl<'a> Linker<'a> {
    fn problem(&mut self, key: String, message: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(PathProblem { key, message: message.into(), advice: advice.into() });
    }

    /// Links a path that has a name. Links each once.
    fn named(&mut self, name: &'a str) -> Option<Arc<Path>> {
        if let Some(linked) = self.linked.get(name) {
            return linked.clone();
        }
        self.under_way.push(name);
        let path = self.path(name.to_owned(), Some(name), &self.paths[name]);
        self.under_way.pop();
        self.linked.insert(name, path.clone());
        path
    }

    fn path(&mut self, key: String, name: Option<&str>, declared: &'a Declaration) -> Option<Arc<Path>> {
        let shape = declared.shape.clone();
        self.check_shape(&key, declared);
        let (from, to, step) = match &declared.step {
            DeclaredStep::Hop { relation, reverse, select } => {
                let hop = self.hop(&key, relation, *reverse, select)?;
                (hop.from, hop.to, Step::Hop(hop))
            }
            DeclaredStep::Jump { left, right, merger, with_self, keep } => {
                let left = self.part(format!("{key}.left"), left);
                let right = self.part(format!("{key}.right"), right);
                let merger = self.merger(&key, merger);
                let jump = Jump { left: left?, right: right?, merger: merger?, with_self: *with_self, keep: *keep };
                self.check_jump(&key, &jump)?;
                (jump.left.from, jump.right.to, Step::Jump(jump))
            }
            DeclaredStep::Broken => return None,
        };
        let place = name.and_then(|name| self.paths.keys().position(|known| known == name));
        let number = place.map(|place| u32::try_from(place).expect("a job has fewer paths"));
        Some(Arc::new(Path { name: name.map(str::to_owned), number, from, to, step, shape }))
    }

    fn check_shape(&mut self, key: &str, declared: &Declaration) {
        if !declared.shape.decay.is_finite() || declared.shape.decay <= 0.0 {
            self.problem(format!("{key}.decay"), "a decay is a number above 0", "1 leaves scores as they are");
        }
        if !declared.shape.popularity.is_finite() {
            self.problem(format!("{key}.popularity"), "not a number", "0 leaves scores as they are");
        }
    }

    fn part(&mut self, key: String, part: &'a Part) -> Option<Arc<Path>> {
        let name = match part {
            Part::Path(path) => return self.path(key, None, path),
            Part::Name(name) => name.as_str(),
        };
        if let Some(begin) = self.under_way.iter().position(|above| *above == name) {
            let cycle = [&self.under_way[begin..], &[name]].concat().join(" -> ");
            self.problem(key, format!("the path leads back to itself: {cycle}"), "a path ends after some steps");
            return None;
        }
        let Some((name, _)) = self.paths.get_key_value(name) else {
            let known: Vec<&str> = self.paths.keys().map(String::as_str).collect();
            let advice = format!("paths here: {}", known.join(", "));
            self.problem(key, format!("there is no path \"{name}\""), advice);
            return None;
        };
        self.named(name)
    }

    fn hop(&mut self, key: &str, name: &str, reverse: bool, declared: &DeclaredSelect) -> Option<Hop> {
        let catalogue = self.catalogue;
        let Some(id) = catalogue.relation(name) else {
            let known: Vec<&str> = catalogue.relations.iter().map(|relation| relation.name.as_str()).collect();
            let advice = format!("relations here: {}", known.join(", "));
            self.problem(format!("{key}.hop"), format!("there is no relation \"{name}\""), advice);
            return None;
        };
        let relation = &catalogue[id];
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let (from, to) = relation.ends(direction);
        let select = self.select(&format!("{key}.select"), relation, declared)?;
        let columns = matches!(select.row, RowScore::Expression(_)).then(|| row_schema(relation));
        let many = relation.timed || !relation.attributes.is_empty();
        Some(Hop { relation: id, direction, from, to, timed: relation.timed, many, columns, select })
    }

    fn select(&mut self, key: &str, relation: &Relation, declared: &DeclaredSelect) -> Option<Select> {
        let before = self.problems.len();
        let row = self.row_score(key, relation, declared);
        let set = self.set(key, declared);
        let needs_time = [
            ("half_life", declared.half_life_us.is_some()),
            ("recent", declared.recent.is_some()),
            ("position", declared.position),
        ];
        for (word, _) in needs_time.iter().filter(|(_, written)| *written && !relation.timed) {
            let message = format!("relation \"{}\" has no times", relation.name);
            self.problem(format!("{key}.{word}"), message, "add a column time of type TIMESTAMP to its query");
        }
        if declared.half_life_us.is_some_and(|half_life| half_life <= 0) {
            self.problem(format!("{key}.half_life"), "must be above 0", "write a duration such as \"7 days\"");
        }
        if declared.power.is_some_and(|power| !power.is_finite()) {
            self.problem(format!("{key}.power"), "not a number", "1 leaves scores as they are");
        }
        let &DeclaredSelect { half_life_us, position, share, power, .. } = declared;
        let select = Select { row: row?, half_life_us, set: set?, position, share, power };
        (self.problems.len() == before).then_some(select)
    }

    fn set(&mut self, key: &str, declared: &DeclaredSelect) -> Option<Set> {
        let sets = [
            ("recent", declared.recent.map(Set::Recent)),
            ("top", declared.top.map(Set::Top)),
            ("sample", declared.sample.map(|k| Set::Sample { k, seed: declared.seed })),
        ];
        let written: Vec<_> = sets.into_iter().filter_map(|(word, set)| Some((word, set?))).collect();
        match written[..] {
            [] => Some(Set::All),
            [(_, set)] => Some(set),
            _ => {
                let words: Vec<&str> = written.iter().map(|(word, _)| *word).collect();
                self.problem(key.to_owned(), format!("{} exclude each other", words.join(" and ")), "keep one of them");
                None
            }
        }
    }

    fn row_score(&mut self, key: &str, relation: &Relation, declared: &DeclaredSelect) -> Option<RowScore> {
        match (&declared.scores, &declared.by, &declared.formula) {
            (None, None, None) => Some(RowScore::Weight),
            (Some(scores), None, None) => self.weight_scores(key, scores),
            (Some(scores), Some(by), None) => self.attribute_scores(key, relation, by, scores),
            (None, None, Some(formula)) => {
                let advice = "weight, age, time and the relation's attributes are known";
                self.formula(key, formula, &row_schema(relation), advice).map(RowScore::Expression)
            }
            (None, Some(_), _) => {
                let advice = "say what each value stands for: scores = { view = 1, buy = 5 }";
                self.problem(format!("{key}.by"), "an attribute alone gives no scores", advice);
                None
            }
            (Some(_), _, Some(formula)) => {
                let word = formula.key();
                self.problem(
                    format!("{key}.{word}"),
                    format!("scores and {word} exclude each other"),
                    "keep one of them",
                );
                None
            }
        }
    }

    fn formula(
        &mut self,
        key: &str,
        formula: &Formula,
        columns: &SchemaRef,
        advice: &str,
    ) -> Option<Arc<dyn Expression>> {
        let compiled = (self.compile)(formula, columns);
        compiled.map_err(|message| self.problem(format!("{key}.{}", formula.key()), message, advice)).ok()
    }

    fn weight_scores(&mut self, key: &str, scores: &[(String, f64)]) -> Option<RowScore> {
        let mut weights = Vec::new();
        for (word, score) in scores {
            match word.parse() {
                Ok(weight) => weights.push((weight, *score)),
                Err(_) => {
                    let advice = "name the attribute whose values these are: by = \"action\"";
                    self.problem(format!("{key}.scores.{word}"), format!("\"{word}\" is no weight"), advice);
                }
            }
        }
        (weights.len() == scores.len()).then_some(RowScore::Weights(weights))
    }

    fn attribute_scores(
        &mut self,
        key: &str,
        relation: &Relation,
        by: &str,
        scores: &[(String, f64)],
    ) -> Option<RowScore> {
        let Some(attribute) = relation.attributes.iter().position(|attribute| attribute.name == by) else {
            let known: Vec<&str> = relation.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            let message = format!("relation \"{}\" has no attribute \"{by}\"", relation.name);
            let advice = match known[..] {
                [] => "add a column of this name to its query".to_owned(),
                _ => format!("attributes here: {}", known.join(", ")),
            };
            self.problem(format!("{key}.by"), message, advice);
            return None;
        };
        let kind = relation.attributes[attribute].kind;
        let mut words = Vec::new();
        for (text, score) in scores {
            match Word::read(text, kind) {
                Some(word) => words.push((word, *score)),
                None => {
                    let message = format!("\"{text}\" is no value that \"{by}\" can be compared with");
                    self.problem(
                        format!("{key}.scores.{text}"),
                        message,
                        "texts, whole numbers, true and false can be",
                    );
                }
            }
        }
        (words.len() == scores.len()).then_some(RowScore::Attribute { attribute, scores: words })
    }

    fn merger(&mut self, key: &str, declared: &DeclaredMerger) -> Option<Merger> {
        Some(match declared {
            DeclaredMerger::Word(word) => match word {
                MergerWord::Sum => Merger::Sum,
                MergerWord::Count => Merger::Count,
                MergerWord::Max => Merger::Max,
                MergerWord::First => Merger::First,
                MergerWord::Cosine => Merger::Cosine,
                MergerWord::Jaccard => Merger::Jaccard,
                MergerWord::Llr => Merger::Llr,
                MergerWord::Lift => Merger::Lift,
            },
            DeclaredMerger::Swing(swing) => {
                if !swing.alpha.is_finite() || swing.alpha < 0.0 {
                    self.problem(format!("{key}.merger.alpha"), "must be at least 0", "its authors take 1");
                    return None;
                }
                Merger::Swing(*swing)
            }
            DeclaredMerger::Session(session) => Merger::Session(*session),
            DeclaredMerger::Formula(formula) => {
                let advice = "dot, middles, best, left_sum and right_sum are known";
                Merger::Expression(self.formula(&format!("{key}.merger"), formula, &parts_schema(), advice)?)
            }
        })
    }

    fn check_jump(&mut self, key: &str, jump: &Jump) -> Option<()> {
        let before = self.problems.len();
        let (ends, begins) = (jump.left.to, jump.right.from);
        if ends != begins {
            let name = |kind: KindId| &self.catalogue[kind].name;
            let message = format!("left ends at \"{}\", but right begins at \"{}\"", name(ends), name(begins));
            self.problem(key.to_owned(), message, "reverse a hop, or put another between them");
        }
        let word = jump.merger.word();
        let at = format!("{key}.merger");
        if jump.merger.needs_norms() && jump.left.as_hop().zip(jump.right.as_hop()).is_none() {
            let message = format!("\"{word}\" compares what two single hops lead to");
            self.problem(at.clone(), message, "make left and right hops without decay or top, or take \"sum\"");
        }
        if matches!(jump.merger, Merger::Swing(_)) && middles(&jump.left).is_none_or(|most| most > SWING_MIDDLES_MAX) {
            let message = "\"swing\" looks at all pairs of objects in the middle, and their number has no bound";
            let advice = format!("give left a recent, top or sample of at most {SWING_MIDDLES_MAX}");
            self.problem(at.clone(), message, advice);
        }
        let timed = matches!(&jump.right.step, Step::Hop(hop) if hop.timed);
        if matches!(jump.merger, Merger::Session(_)) && !(timed && jump.right.shape.changes_nothing()) {
            let message = "\"session\" looks at the newest sessions, but right is no hop with times";
            self.problem(at, message, "make right a hop along a relation with times, without decay or top");
        }
        if matches!(jump.keep, Keep::Maintained | Keep::Above(_))
            && let Err(why) = jump.there_and_back()
        {
            let advice = "leave keep away, or write keep = \"requested\"";
            self.problem(format!("{key}.keep"), format!("no sums can be kept: {why}"), advice);
        }
        (self.problems.len() == before).then_some(())
    }
}

/// The most objects that a path can lead to, where that has a bound.
fn middles(path: &Path) -> Option<usize> {
    let of_step = match &path.step {
        Step::Hop(hop) => match hop.select.set {
            Set::All => None,
            Set::Recent(k) | Set::Top(k) | Set::Sample { k, .. } => Some(k),
        },
        Step::Jump(Jump { merger: Merger::Session(session), .. }) => Some(session.neighbours),
        Step::Jump(_) => None,
    };
    [of_step, path.shape.top].into_iter().flatten().min()
}
