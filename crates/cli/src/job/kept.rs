//! `[recommendations.NAME] output`: what is kept in Redis so that a recommendation is answered from there.
//!
//! That is the lists of its paths, what its rules drop, and attributes: outputs like those of paths, of tables of their
//! own. Tables that no path names have a dot in their names, which no path's name has.

use super::fields::{Fields, Located};
use super::outputs::{EVERY, Kept, Known, OutputPlan, check_sink};
use super::paths::RawWalk;
use super::problem::{Place, Problem};
use super::recommendations::{RawRecommendation, RecommendationPlan, RecommendationPlans};
use super::tree::Text;
use proxima_graph::{Catalogue, Direction, KindId, RelationId};
use proxima_recommend::walk;
use std::collections::BTreeMap;
use std::time::Duration;

/// The table of the shares of splits.
pub const SHARES: &str = "recommendations.shares";

/// A fallback is asked for so many objects for each that is wanted, since rules drop some.
const FALLBACK: usize = 4;

/// The table of what a relation leads to.
#[must_use]
pub fn related_table(catalogue: &Catalogue, (relation, direction): (RelationId, Direction)) -> String {
    let back = if direction == Direction::Reverse { ".reverse" } else { "" };
    format!("related.{}{back}", catalogue[relation].name)
}

/// The table of the attributes of a kind.
#[must_use]
pub fn attributes_table(catalogue: &Catalogue, kind: KindId) -> String {
    format!("attributes.{}", catalogue[kind].name)
}

/// The output of a recommendation as it was written.
#[derive(Debug)]
pub struct RawKept {
    place: Place,
    key: String,
    sink: Option<Located<Text>>,
    every: Option<Located<Duration>>,
}

impl RawKept {
    /// Reads the key `output` of a recommendation.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let key = fields.key("output");
        fields.has("output").then(|| {
            let mut section = fields.section("output");
            let place = section.place.clone();
            let sink = section.required_text("sink", "name a sink of kind redis: output = { sink = \"lists\" }");
            let kept = Self { place, key, sink, every: section.duration("every") };
            section.finish();
            kept
        })
    }

    /// The sink that it names.
    #[must_use]
    pub fn sink(&self) -> Option<&str> {
        self.sink.as_ref().map(|sink| sink.value.text.as_str())
    }
}

/// Recommendations and paths as they were written.
type Written<'a> = (&'a [(String, RawRecommendation)], &'a [(String, RawWalk)]);

/// Adds what recommendations are answered from to the outputs of a job.
pub fn check(
    (raw, walks): Written<'_>,
    (plans, catalogue): (&RecommendationPlans, &Catalogue),
    known: &Known<'_>,
    outputs: &mut BTreeMap<String, OutputPlan>,
    problems: &mut Vec<Problem>,
) {
    let kept = raw.iter().filter_map(|(name, raw)| Some((name, raw.kept()?)));
    let kept = kept.filter_map(|(name, kept)| Some((name, kept, plans.plain.get(name)?)));
    let mut first: Option<&str> = None;
    for (name, kept, plan) in kept {
        let (Some(sink), Some(located)) = (kept.sink(), &kept.sink) else { continue };
        let other = first.filter(|first| *first != sink);
        if let Some(other) = other {
            let problem = located.error(format!("other recommendations are kept in \"{other}\""));
            problems.push(problem.advise("one process answers them all: name the same sink"));
            continue;
        }
        first = Some(sink);
        if let Some(model) = &plan.spec.model {
            let problem = Problem::error(&kept.place, &kept.key, format!("model \"{model}\" ranks \"{name}\""));
            problems.push(problem.advise("a model is asked where the job runs; leave this key out"));
            continue;
        }
        let mut keep = Keep { walks, kept, sink, located, catalogue, known, outputs, problems };
        keep.all_of(plan);
    }
}

/// Adds what one recommendation needs.
struct Keep<'a, 'o> {
    walks: &'a [(String, RawWalk)],
    kept: &'a RawKept,
    sink: &'a str,
    located: &'a Located<Text>,
    catalogue: &'a Catalogue,
    known: &'a Known<'a>,
    outputs: &'o mut BTreeMap<String, OutputPlan>,
    problems: &'o mut Vec<Problem>,
}

impl Keep<'_, '_> {
    fn all_of(&mut self, plan: &RecommendationPlan) {
        let spec = &plan.spec;
        let candidates = spec.from.iter().map(|from| from.candidates).max().unwrap_or_default();
        let filling = candidates.max(spec.number.saturating_mul(FALLBACK));
        spec.from.iter().for_each(|from| self.path(&from.path, from.candidates));
        spec.fallback.iter().for_each(|fallback| self.path(&fallback.path, filling));
        for drop in &spec.rules.drop {
            if let Some(way) = walk(self.catalogue, drop, plan.subject, plan.item) {
                self.add(related_table(self.catalogue, way), usize::MAX, Kept::Related(way.0, way.1));
            }
        }
        let begins = spec.fallback.iter().any(|fallback| fallback.by.is_some());
        for kind in [Some(plan.item), begins.then_some(plan.subject)].into_iter().flatten() {
            if !self.catalogue[kind].attributes.is_empty() {
                self.add(attributes_table(self.catalogue, kind), usize::MAX, Kept::Attributes(kind));
            }
        }
    }

    /// A path that has an output of its own keeps it, if that is enough.
    fn path(&mut self, name: &str, n: usize) {
        let top = self.known.paths.get(name).and_then(|path| path.shape.top);
        let n = n.min(top.unwrap_or(usize::MAX));
        let written = self.walks.iter().find(|(path, _)| path == name).and_then(|(_, walk)| walk.output.as_ref());
        if let Some(written) = written {
            if written.sink() != Some(self.sink) {
                let message = format!("the lists of path \"{name}\" are kept elsewhere");
                let advice = format!("write output = {{ sink = \"{}\" }} there, or leave it out", self.sink);
                return self.problem(message, advice);
            }
            if written.has_n() && self.outputs.get(name).is_some_and(|output| output.n < n) {
                let message =
                    format!("lists of path \"{name}\" are shorter than the {n} candidates that are asked for");
                return self.problem(message, format!("write n = {n} there, or leave n out"));
            }
        }
        self.add(name.to_owned(), n, Kept::Path);
    }

    fn problem(&mut self, message: String, advice: String) {
        self.problems.push(Problem::error(&self.kept.place, &self.kept.key, message).advise(advice));
    }

    /// What several ask for holds enough for each, and is written as often as one of them wants.
    fn add(&mut self, table: String, n: usize, kept: Kept) {
        let every = self.kept.every.as_ref().map_or(EVERY, |every| every.value);
        match self.outputs.get_mut(&table) {
            Some(output) => {
                output.n = output.n.max(n);
                output.every = output.every.min(every);
            }
            None => {
                check_sink((&self.kept.place, &self.kept.key), &table, self.located, self.known, self.problems);
                let sink = Some(self.sink.to_owned());
                self.outputs.insert(table, OutputPlan { sink, n, every, kept });
            }
        }
    }
}
