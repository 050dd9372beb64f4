//! `[recommendations.NAME]`: read, and checked against the paths, relations, attributes and models that it names.

use super::broken::Broken;
use super::fields::{Fields, Located, advise_word};
use super::kept::RawKept;
use super::problem::{Place, Problem};
use super::tree::Text;
use proxima_graph::path::Paths;
use proxima_graph::{AttributeKind, Catalogue, KindId, Value};
use proxima_model::ModelSpec;
use proxima_recommend::{
    Boost, Cap, Fallback, Feed, Is, NUMBER_MAX, Pin, Ranker, Recommendation, Require, Rules, Split, Start, walk,
};
use std::collections::BTreeMap;

/// Candidates of each path where the job does not say.
const CANDIDATES: u64 = 200;

/// Items of an answer where neither the job nor the question says.
const NUMBER: usize = 10;

/// Numbers by names, such as shares by paths.
type Numbers = Vec<(String, f64)>;

/// A recommendation, or a split over some, as it was written.
#[derive(Debug)]
pub struct RawRecommendation {
    place: Place,
    split: Option<Numbers>,
    to: Option<Located<Text>>,
    from: Option<Numbers>,
    candidates: Option<Located<u64>>,
    number: Option<Located<u64>>,
    model: Option<Located<Text>>,
    drop: Option<Located<Vec<Text>>>,
    require: Option<Located<Vec<Text>>>,
    at_most: Option<Numbers>,
    boost: Vec<(String, RawBoost)>,
    bury: Vec<(String, RawBoost)>,
    pin: Option<Numbers>,
    min_score: Option<Located<f64>>,
    fallback: Option<Located<Vec<Text>>>,
    begin: Vec<(String, Located<String>)>,
    kept: Option<RawKept>,
}

#[derive(Debug)]
struct RawBoost {
    attribute: Option<Located<Text>>,
    is: Option<Located<String>>,
    at_least: Option<Located<f64>>,
    at_most: Option<Located<f64>>,
    by: Option<Located<f64>>,
    /// Whether `by` was written, also if it is no number.
    has_by: bool,
    place: Place,
}

/// The recommendations of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecommendationPlans {
    /// Those that paths are read for.
    pub plain: BTreeMap<String, RecommendationPlan>,
    /// Those that deal objects to others.
    pub splits: BTreeMap<String, Split>,
}

/// A recommendation, and whose items it gives to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct RecommendationPlan {
    /// What it does.
    pub spec: Recommendation,
    /// The kind that it recommends to.
    pub subject: KindId,
    /// The kind that it recommends.
    pub item: KindId,
    /// The sink that holds what it is answered from where there is no run.
    pub sink: Option<String>,
}

/// What recommendations may name.
pub struct Known<'a> {
    /// The graph.
    pub catalogue: &'a Catalogue,
    /// The paths.
    pub paths: &'a Paths,
    /// The models.
    pub models: &'a BTreeMap<String, ModelSpec>,
    /// Of these what is wrong.
    pub broken: &'a Broken,
}

impl RawRecommendation {
    /// Reads the recommendation's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let place = fields.place.clone();
        let split = fields.any_floats("split");
        let mut raw = Self {
            place,
            split,
            to: None,
            from: None,
            candidates: None,
            number: None,
            model: None,
            drop: None,
            require: None,
            at_most: None,
            boost: Vec::new(),
            bury: Vec::new(),
            pin: None,
            min_score: None,
            fallback: None,
            begin: Vec::new(),
            kept: None,
        };
        if raw.split.is_some() {
            return raw;
        }
        raw.to = fields.text("to");
        raw.from = fields.any_floats("from");
        if raw.from.is_none() {
            fields.missing("from", "name paths with their shares: from = { for_you = 3, popular = 1 }");
        }
        raw.candidates = fields.number("candidates", 1);
        raw.number = fields.number("number", 1);
        raw.model = fields.text("model");
        raw.drop = fields.texts("drop");
        raw.require = fields.texts("require");
        raw.at_most = fields.any_floats("at_most");
        raw.boost = fields.sections("boost", |_, fields| RawBoost::read(fields));
        raw.bury = fields.sections("bury", |_, fields| RawBoost::read(fields));
        raw.pin = fields.any_floats("pin");
        raw.min_score = fields.float("min_score");
        raw.fallback = fields.texts("fallback");
        raw.begin = fields.any_texts("begin");
        raw.kept = RawKept::read(fields);
        raw
    }
}

impl RawRecommendation {
    /// What is kept so that it is answered without a run.
    #[must_use]
    pub fn kept(&self) -> Option<&RawKept> {
        self.kept.as_ref()
    }

    /// The relations that it names.
    pub fn relations(&self) -> impl Iterator<Item = &str> {
        self.drop.iter().flat_map(|drop| drop.value.iter().map(|relation| relation.text.as_str()))
    }
}

impl RawBoost {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            attribute: fields.required_text("attribute", "name an attribute of the items"),
            is: fields.scalar("is"),
            at_least: fields.float("at_least"),
            at_most: fields.float("at_most"),
            has_by: fields.has("by"),
            by: fields.float("by"),
            place: fields.place.clone(),
        }
    }
}

/// Checks one recommendation.
struct Check<'a, 'p> {
    name: &'a str,
    raw: &'a RawRecommendation,
    known: &'a Known<'a>,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Check<'a, '_> {
    fn problem(&mut self, place: &Place, key: &str, message: String, advice: impl Into<String>) {
        let key = format!("recommendations.{}.{key}", self.name);
        self.problems.push(Problem::error(place, key, message).advise(advice.into()));
    }

    fn plan(&mut self) -> Option<RecommendationPlan> {
        let before = self.problems.len();
        let (subject, item) = self.ends()?;
        let from = self.feeds(subject, item);
        let model = self.model(subject, item);
        let rules = self.rules(subject, item);
        let fallback = self.fallback(subject, item);
        let number = self.number();
        let attributes = |kind: KindId| self.known.catalogue[kind].attributes.clone();
        let spec = Recommendation {
            name: self.name.to_owned(),
            own_kind: subject == item,
            item_attributes: attributes(item),
            subject_attributes: attributes(subject),
            from,
            model,
            rules,
            fallback,
            number,
        };
        let sink = self.raw.kept().and_then(|kept| kept.sink()).map(str::to_owned);
        (self.problems.len() == before).then_some(RecommendationPlan { spec, subject, item, sink })
    }

    /// How many items are given to who does not say.
    fn number(&mut self) -> usize {
        let Some(number) = &self.raw.number else { return NUMBER };
        let fitting = usize::try_from(number.value).ok().filter(|number| *number <= NUMBER_MAX);
        if fitting.is_none() {
            let advice = format!("write 1 to {NUMBER_MAX}");
            self.problem(&number.place, "number", format!("{} items are too many", number.value), advice);
        }
        fitting.unwrap_or(NUMBER)
    }

    /// All paths, also those that something is wrong with.
    fn path_names(&self) -> Vec<&'a str> {
        let broken = self.known.broken.paths.iter().map(String::as_str);
        self.known.paths.iter().map(|(name, _)| name).chain(broken).collect()
    }

    /// Whose items are given to whom: all paths lead to one kind; it is for the kind that the job names, or else for that
    /// where a path begins that does not begin at items, or else for items.
    fn ends(&mut self) -> Option<(KindId, KindId)> {
        let names = self.path_names();
        let from = self.raw.from.as_ref()?;
        if from.is_empty() {
            let message = "no path is named".to_owned();
            self.problem(&self.raw.place.clone(), "from", message, "write from = { PATH = 1 }");
        }
        let mut ends = Vec::new();
        for (name, share) in from {
            match self.known.paths.get(name) {
                None if self.known.broken.paths.contains(name) => {}
                None => {
                    let message = format!("the job has no path of hops and jumps \"{name}\"");
                    self.problem(&self.raw.place.clone(), "from", message, advise_word(name, &names));
                }
                Some(_) if *share <= 0.0 => {
                    let message = format!("the share of \"{name}\" is {share}");
                    self.problem(&self.raw.place.clone(), "from", message, "a share is a number above 0");
                }
                Some(path) => ends.push((path.from, path.to)),
            }
        }
        let item = ends.first()?.1;
        let first = || ends.iter().map(|(from, _)| *from).find(|from| *from != item).unwrap_or(item);
        let Some(to) = &self.raw.to else { return Some((first(), item)) };
        let named = self.known.catalogue.kind(&to.value.text);
        if named.is_none() {
            let kinds: Vec<&str> = self.known.catalogue.kinds.iter().map(|kind| kind.name.as_str()).collect();
            let message = format!("the job has no kind of objects \"{}\"", to.value.text);
            self.problem(&to.place, "to", message, advise_word(&to.value.text, &kinds));
        }
        Some((named?, item))
    }

    fn feeds(&mut self, subject: KindId, item: KindId) -> Vec<Feed> {
        let candidates = self.raw.candidates.as_ref().map_or(CANDIDATES, |candidates| candidates.value);
        let candidates = usize::try_from(candidates).unwrap_or(usize::MAX);
        let mut feeds = Vec::new();
        for (name, share) in self.raw.from.iter().flatten() {
            let Some(path) = self.known.paths.get(name) else { continue };
            let start = if path.from == subject { Start::Subject } else { Start::Seen };
            let fits = path.to == item && (path.from == subject || path.from == item);
            if fits {
                feeds.push(Feed { path: name.clone(), start, share: *share, candidates });
            } else {
                let kind = |kind: KindId| &self.known.catalogue[kind].name;
                let message = format!("path \"{name}\" leads from {} to {}", kind(path.from), kind(path.to));
                let advice = format!("all paths lead to {}, from there or from {}", kind(item), kind(subject));
                self.problem(&self.raw.place.clone(), "from", message, advice);
            }
        }
        feeds
    }

    fn model(&mut self, subject: KindId, item: KindId) -> Option<String> {
        let model = self.raw.model.as_ref()?;
        let name = &model.value.text;
        let Some(spec) = self.known.models.get(name) else {
            if self.known.broken.models.contains(name) {
                return Some(name.clone());
            }
            let known = self.known.models.keys().chain(&self.known.broken.models);
            let known: Vec<&str> = known.map(String::as_str).collect();
            self.problem(&model.place, "model", format!("the job has no model \"{name}\""), advise_word(name, &known));
            return Some(name.clone());
        };
        if self.is_broken(subject) || self.is_broken(item) {
            return Some(name.clone());
        }
        for error in Ranker::check(spec, self.known.catalogue, subject, item).err().unwrap_or_default() {
            self.problem(&model.place, "model", format!("model \"{name}\": {}", error.message), error.advice);
        }
        Some(name.clone())
    }

    fn rules(&mut self, subject: KindId, item: KindId) -> Rules {
        let texts = |texts: &Option<Located<Vec<Text>>>| -> Vec<(String, Place)> {
            let each = |located: &Located<Vec<Text>>| {
                located.value.iter().map(|text| (text.text.clone(), located.place.clone())).collect::<Vec<_>>()
            };
            texts.as_ref().map(each).unwrap_or_default()
        };
        let mut rules = Rules { min_score: self.raw.min_score.as_ref().map(|score| score.value), ..Rules::default() };
        for (relation, place) in texts(&self.raw.drop) {
            if walk(self.known.catalogue, &relation, subject, item).is_none() {
                let kind = |kind: KindId| &self.known.catalogue[kind].name;
                let message = format!("no relation \"{relation}\" leads from {} to {}", kind(subject), kind(item));
                let names = self.known.catalogue.relations.iter().map(|known| known.name.as_str());
                let fitting = names.filter(|name| walk(self.known.catalogue, name, subject, item).is_some());
                let advice = advise_word(&relation, &fitting.collect::<Vec<_>>());
                self.problem(&place, "drop", message, advice);
            }
            rules.drop.push(relation);
        }
        for (attribute, place) in texts(&self.raw.require) {
            self.condition(item, (&attribute, &Is::Positive), &place, "require");
            rules.require.push(Require { attribute, is: Is::Positive });
        }
        let place = self.raw.place.clone();
        for (attribute, most) in self.raw.at_most.iter().flatten() {
            self.attribute(item, attribute, &place, "at_most");
            let most = self.whole(*most, &place, "at_most", 0).unwrap_or_default();
            rules.at_most.push(Cap { attribute: attribute.clone(), most });
        }
        for (item, place_of) in self.raw.pin.iter().flatten() {
            let Some(place_of) = self.whole(*place_of, &place, "pin", 1) else { continue };
            if let Some(other) = rules.pin.iter().find(|pin| pin.place == place_of) {
                let message = format!("\"{}\" and \"{item}\" are both pinned to place {place_of}", other.item);
                self.problem(&place, "pin", message, "give each a place of its own");
            }
            rules.pin.push(Pin { item: item.clone(), place: place_of });
        }
        rules.pin.sort_by_key(|pin| pin.place);
        let raw = self.raw;
        for (part, sign, boosts) in [("boost", 1.0, &raw.boost), ("bury", -1.0, &raw.bury)] {
            for (name, boost) in boosts {
                let key = format!("{part}.{name}");
                rules.boost.extend(self.boost(name, boost, item, &key, sign));
            }
        }
        rules
    }

    fn boost(&mut self, name: &str, boost: &RawBoost, item: KindId, key: &str, sign: f64) -> Option<Boost> {
        let attribute = boost.attribute.as_ref()?;
        if boost.has_by && boost.by.is_none() {
            return None;
        }
        let Some(by) = boost.by.as_ref().filter(|by| by.value > 0.0) else {
            self.problem(&boost.place, &format!("{key}.by"), "there is nothing to add".into(), "write by = 0.2");
            return None;
        };
        let is = match (&boost.is, &boost.at_least, &boost.at_most) {
            (None, None, None) => Is::Positive,
            (Some(value), None, None) => Is::Equal(value_of(&value.value, self.kind_of(item, &attribute.value.text))),
            (None, Some(least), None) => Is::AtLeast(least.value),
            (None, None, Some(most)) => Is::AtMost(most.value),
            _ => {
                let message = "there are several conditions".to_owned();
                self.problem(&boost.place, key, message, "write one of is, at_least and at_most");
                return None;
            }
        };
        self.condition(item, (&attribute.value.text, &is), &attribute.place, &format!("{key}.attribute"));
        Some(Boost { name: name.to_owned(), attribute: attribute.value.text.clone(), is, by: sign * by.value })
    }

    /// A path begins at the object itself, or at one of another kind: the object's attribute of that kind's name, else the
    /// one that `begin` names.
    fn fallback(&mut self, subject: KindId, item: KindId) -> Vec<Fallback> {
        let Some(fallback) = &self.raw.fallback else {
            self.begins(&[]);
            return Vec::new();
        };
        let names = self.path_names();
        let mut fallbacks = Vec::new();
        for path in &fallback.value {
            let name = &path.text;
            if self.known.broken.paths.contains(name) {
                continue;
            }
            let Some(found) = self.known.paths.get(name).filter(|path| path.to == item) else {
                let message =
                    format!("no path of hops and jumps \"{name}\" leads to {}", self.known.catalogue[item].name);
                self.problem(&fallback.place, "fallback", message, advise_word(name, &names));
                continue;
            };
            let kind = &self.known.catalogue[found.from].name;
            let has = self.known.catalogue[subject].attributes.iter().any(|attribute| attribute.name == *kind);
            let at = self.raw.begin.iter().find(|(of, _)| of == kind).map(|(_, text)| text.value.clone());
            let own = found.from == subject;
            if !own && !has && at.is_none() && !self.is_broken(subject) {
                let message = format!("path \"{name}\" begins at {kind}, which nothing names");
                let advice = format!("write begin = {{ {kind} = \"…\" }}, or give the objects an attribute {kind}");
                self.problem(&fallback.place, "fallback", message, advice);
            }
            let by = (has && !own).then(|| kind.clone());
            fallbacks.push(Fallback { path: name.clone(), own, by, at });
        }
        self.begins(&fallbacks);
        fallbacks
    }

    /// Each `begin` is of a kind that a fallback path begins at.
    fn begins(&mut self, fallbacks: &[Fallback]) {
        if fallbacks.len() < self.raw.fallback.as_ref().map_or(0, |fallback| fallback.value.len()) {
            return;
        }
        let begin = |fallback: &Fallback| self.known.paths.get(&fallback.path).map(|path| path.from);
        let others = fallbacks.iter().filter(|fallback| !fallback.own).filter_map(begin);
        let kinds: Vec<&str> = others.map(|kind| self.known.catalogue[kind].name.as_str()).collect();
        let raw = self.raw;
        for (kind, text) in raw.begin.iter().filter(|(kind, _)| !kinds.contains(&kind.as_str())) {
            let message = format!("no fallback path begins at \"{kind}\"");
            self.problem(&text.place, &format!("begin.{kind}"), message, advise_word(kind, &kinds));
        }
    }

    /// Whether it is not known which attributes objects of a kind have.
    fn is_broken(&self, kind: KindId) -> bool {
        self.known.broken.objects.contains(&self.known.catalogue[kind].name)
    }

    fn attribute(&mut self, kind: KindId, name: &str, place: &Place, key: &str) {
        let kind = &self.known.catalogue[kind];
        let known: Vec<&str> = kind.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        if !known.contains(&name) && !self.known.broken.objects.contains(&kind.name) {
            let message = format!("{} has no attribute \"{name}\"", kind.name);
            self.problem(place, key, message, advise_word(name, &known));
        }
    }

    fn kind_of(&self, kind: KindId, attribute: &str) -> Option<AttributeKind> {
        let mut attributes = self.known.catalogue[kind].attributes.iter();
        attributes.find(|known| known.name == attribute).map(|known| known.kind)
    }

    /// An attribute that there is, and of which the condition says something.
    fn condition(&mut self, kind: KindId, (name, is): (&str, &Is), place: &Place, key: &str) {
        self.attribute(kind, name, place, key);
        if let Some(misfit) = self.kind_of(kind, name).and_then(|kind| is.misfit(kind)) {
            let (never, advice) = match is {
                Is::Positive => {
                    ("it has to be true, or above 0", "name an attribute that is true or false, or a number")
                }
                _ => ("this never holds", "compare it with a value of its type"),
            };
            self.problem(place, key, format!("attribute \"{name}\" {misfit}: {never}"), advice);
        }
    }

    fn whole(&mut self, number: f64, place: &Place, key: &str, least: usize) -> Option<usize> {
        let fits = number.fract() == 0.0 && number >= least as f64 && number <= 1e6;
        if !fits {
            let advice = format!("write a whole number of at least {least}");
            self.problem(place, key, format!("{number} does not fit"), advice);
        }
        fits.then_some(number as usize)
    }
}

/// A value as it was written, for an attribute of this kind.
fn value_of(text: &str, kind: Option<AttributeKind>) -> Value {
    if kind == Some(AttributeKind::Text) {
        return Value::Text(text.into());
    }
    match (text, text.parse::<i64>(), text.parse::<f64>()) {
        ("true" | "false", ..) => Value::Bool(text == "true"),
        (_, Ok(number), _) => Value::Int(number),
        (_, _, Ok(number)) => Value::Float(number),
        _ => Value::Text(text.into()),
    }
}

/// Checks all recommendations.
pub fn check(
    raw: &[(String, RawRecommendation)],
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> RecommendationPlans {
    let mut plans = RecommendationPlans::default();
    for (name, raw_one) in raw {
        let mut check = Check { name, raw: raw_one, known, problems };
        match &raw_one.split {
            None => {
                let plan = check.plan();
                plans.plain.extend(plan.map(|plan| (name.clone(), plan)));
            }
            Some(shares) => {
                let plain: Vec<&str> =
                    raw.iter().filter(|(_, other)| other.split.is_none()).map(|(name, _)| name.as_str()).collect();
                for (variant, _) in shares.iter().filter(|(variant, _)| !plain.contains(&variant.as_str())) {
                    let message = format!("the job has no recommendation \"{variant}\" that is no split");
                    check.problem(&raw_one.place, "split", message, advise_word(variant, &plain));
                }
                match Split::new(name, shares.clone()) {
                    Some(split) => drop(plans.splits.insert(name.clone(), split)),
                    None => {
                        let advice = "shares are numbers of at least 0, one of them above";
                        check.problem(&raw_one.place, "split", "these are no shares".into(), advice);
                    }
                }
            }
        }
    }
    plans
}
