//! `[models.NAME]`: read, and checked into what learns.

use super::fields::{Fields, Located};
use super::problem::{Place, Problem};
use super::tree::Text;
use proxima_model::{BindError, Encode, Encoder, FeatureKind, FeatureSpec, LearnerSpec, Missing, ModelSpec};
use proxima_view::Plan;
use std::collections::BTreeMap;
use std::time::Duration;

/// Slots where the job does not say: a quarter of a million weights are two megabytes.
const HASH_BITS: u32 = 18;

/// Samples of the recent metrics where the job does not say.
const WINDOW: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LearnerWord {
    Sgd,
    Adagrad,
    Ftrl,
}

const LEARNERS: [(&str, LearnerWord); 3] =
    [("sgd", LearnerWord::Sgd), ("adagrad", LearnerWord::Adagrad), ("ftrl", LearnerWord::Ftrl)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KindWord {
    Number,
    Log,
    Buckets,
    Category,
    Sparse,
    Cross,
}

const KINDS: [(&str, KindWord); 6] = [
    ("number", KindWord::Number),
    ("log", KindWord::Log),
    ("buckets", KindWord::Buckets),
    ("category", KindWord::Category),
    ("sparse", KindWord::Sparse),
    ("cross", KindWord::Cross),
];

/// A model as it was written.
#[derive(Debug)]
pub struct RawModel {
    place: Place,
    /// `from`
    pub from: Option<Located<Text>>,
    label: Option<Located<Text>>,
    time: Option<Located<Text>>,
    order: Option<Located<Text>>,
    wait: Option<Located<Duration>>,
    features: Vec<(String, RawFeature)>,
    bias: Option<Located<bool>>,
    hash_bits: Option<Located<u64>>,
    learner: Option<Located<LearnerWord>>,
    rate: Option<Located<f64>>,
    initial: Option<Located<f64>>,
    beta: Option<Located<f64>>,
    l1: Option<Located<f64>>,
    l2: Option<Located<f64>>,
    batch: Option<Located<u64>>,
    window: Option<Located<u64>>,
}

/// A feature as it was written.
#[derive(Debug)]
struct RawFeature {
    place: Place,
    kind: Option<Located<KindWord>>,
    column: Option<Located<Text>>,
    bounds: Option<Located<Vec<f64>>>,
    of: Option<Located<Vec<Text>>>,
    missing: Option<Located<String>>,
    namespace: Option<Located<Text>>,
}

impl RawModel {
    /// Reads the model's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            place: fields.place.clone(),
            from: fields.required_text("from", "write from = \"SELECT … AS label, … FROM …\""),
            label: fields.required_text("label", "name the column that is to be predicted"),
            time: fields.text("time"),
            order: fields.text("order"),
            wait: fields.duration("wait"),
            features: fields.sections("features", |_, fields| RawFeature::read(fields)),
            bias: fields.boolean("bias"),
            hash_bits: fields.number("hash_bits", 1),
            learner: fields.word("learner", &LEARNERS),
            rate: fields.float("rate"),
            initial: fields.float("initial"),
            beta: fields.float("beta"),
            l1: fields.float("l1"),
            l2: fields.float("l2"),
            batch: fields.number("batch", 1),
            window: fields.number("window", 1),
        }
    }

    /// Checks everything but the columns.
    fn check(&self, name: &str, problems: &mut Vec<Problem>) -> Option<ModelSpec> {
        let features = self.check_features(name, problems);
        let (hash_bits, learner) = (self.check_hash_bits(problems), self.check_learner(problems));
        if let (Some(wait), None) = (&self.wait, &self.time) {
            let problem = wait.error("a sample that waits needs a time");
            problems.push(problem.advise("write time = \"…\", the column that says when a sample was"));
        }
        let text = |written: &Option<Located<Text>>| written.as_ref().map(|written| written.value.text.clone());
        Some(ModelSpec {
            name: name.to_owned(),
            label: text(&self.label)?,
            time: text(&self.time),
            order: text(&self.order),
            wait_us: self.wait.as_ref().map(|wait| i64::try_from(wait.value.as_micros()).unwrap_or(i64::MAX)),
            features: features?,
            bias: self.bias.as_ref().is_none_or(|bias| bias.value),
            hash_bits: hash_bits?,
            learner: learner?,
            batch: self.batch.as_ref().map_or(1, |batch| u32::try_from(batch.value).unwrap_or(u32::MAX)),
            window: self.window.as_ref().map_or(WINDOW, |window| window.value),
        })
    }

    fn check_features(&self, name: &str, problems: &mut Vec<Problem>) -> Option<Vec<FeatureSpec>> {
        if self.features.is_empty() {
            let problem = Problem::error(&self.place, format!("models.{name}.features"), "the model has no features");
            problems.push(problem.advise(format!("write [models.{name}.features.…] with a kind and a column")));
            return None;
        }
        let checked: Vec<_> = self.features.iter().map(|(name, feature)| feature.check(name, problems)).collect();
        checked.into_iter().collect()
    }

    fn check_hash_bits(&self, problems: &mut Vec<Problem>) -> Option<u32> {
        let Some(bits) = &self.hash_bits else { return Some(HASH_BITS) };
        let possible = ModelSpec::HASH_BITS;
        let fitting = u32::try_from(bits.value).ok().filter(|bits| possible.contains(bits));
        if fitting.is_none() {
            let problem = bits.error(format!("{} bits are too many", bits.value));
            problems.push(problem.advise(format!(
                "write {} to {}; the default is {HASH_BITS}",
                possible.start(),
                possible.end()
            )));
        }
        fitting
    }

    fn check_learner(&self, problems: &mut Vec<Problem>) -> Option<LearnerSpec> {
        let word = self.learner.as_ref().map_or(LearnerWord::Adagrad, |learner| learner.value);
        let (name, _) = LEARNERS.iter().find(|(_, known)| *known == word).expect("every learner has its word");
        let unknown: &[(&str, &Option<Located<f64>>)] = match word {
            LearnerWord::Sgd => &[("initial", &self.initial), ("beta", &self.beta), ("l1", &self.l1)],
            LearnerWord::Adagrad => &[("beta", &self.beta), ("l1", &self.l1)],
            LearnerWord::Ftrl => &[("initial", &self.initial)],
        };
        let before = problems.len();
        for (key, written) in unknown {
            let problem = written.as_ref().map(|written| written.error(format!("learner \"{name}\" has no {key}")));
            problems.extend(problem.map(|problem| problem.advise("leave it out, or choose another learner")));
        }
        let mut number = |written: &Option<Located<f64>>, default: f32, positive: bool| {
            let Some(written) = written else { return default };
            let value = written.value;
            if !(value.is_finite() && (value > 0.0 || (!positive && value == 0.0))) {
                let wanted = if positive { "a number above 0" } else { "a number of at least 0" };
                problems.push(written.error(format!("{value} is not {wanted}")));
            }
            value as f32
        };
        let (l1, l2) = (number(&self.l1, 0.0, false), number(&self.l2, 0.0, false));
        let learner = match word {
            LearnerWord::Sgd => LearnerSpec::Sgd { rate: number(&self.rate, LearnerSpec::SGD_RATE, true), l2 },
            LearnerWord::Adagrad => LearnerSpec::Adagrad {
                rate: number(&self.rate, LearnerSpec::ADAGRAD_RATE, true),
                initial: number(&self.initial, LearnerSpec::ADAGRAD_INITIAL, false),
                l2,
            },
            LearnerWord::Ftrl => LearnerSpec::Ftrl {
                rate: number(&self.rate, LearnerSpec::FTRL_RATE, true),
                beta: number(&self.beta, LearnerSpec::FTRL_BETA, false),
                l1,
                l2,
            },
        };
        (problems.len() == before).then_some(learner)
    }

    /// A problem with a column in the words of the job.
    fn translate(&self, name: &str, error: BindError) -> Problem {
        let place = match error.key.split('.').collect::<Vec<_>>()[..] {
            ["label"] => place_of(self.label.as_ref()),
            ["time"] => place_of(self.time.as_ref()),
            ["order"] => place_of(self.order.as_ref()),
            ["features", feature, key] => {
                let feature = self.features.iter().find(|(name, _)| name == feature).map(|(_, feature)| feature);
                feature.map(|feature| {
                    let written = match key {
                        "of" => feature.of.as_ref().map(|of| &of.place),
                        _ => place_of(feature.column.as_ref()),
                    };
                    written.unwrap_or(&feature.place)
                })
            }
            _ => None,
        };
        let place = place.unwrap_or(&self.place);
        Problem::error(place, format!("models.{name}.{}", error.key), error.message).advise(error.advice)
    }
}

fn place_of(written: Option<&Located<Text>>) -> Option<&Place> {
    written.map(|written| &written.place)
}

impl RawFeature {
    fn read(fields: &mut Fields<'_>) -> Self {
        let kind = fields.required_word("kind", &KINDS);
        let word = kind.as_ref().map(|kind| kind.value);
        let mut feature = Self {
            place: fields.place.clone(),
            kind,
            column: None,
            bounds: None,
            of: None,
            missing: None,
            namespace: fields.text("namespace"),
        };
        match word {
            Some(KindWord::Cross) => {
                feature.of = fields.required_texts("of", "name features of the model: of = [\"…\", \"…\"]");
            }
            Some(word) => {
                feature.column = fields.text("column");
                feature.missing = fields.scalar("missing");
                if word == KindWord::Buckets {
                    feature.bounds = fields.required_floats("bounds", "write bounds = [10, 20, 50]");
                }
            }
            None => fields.ignore_rest(),
        }
        feature
    }

    fn check(&self, name: &str, problems: &mut Vec<Problem>) -> Option<FeatureSpec> {
        let missing = self.check_missing(problems);
        let column = self.column.as_ref().map_or(name, |column| &column.value.text).to_owned();
        let namespace = self.namespace.as_ref().map_or(name, |namespace| &namespace.value.text).to_owned();
        let kind = match self.kind.as_ref()?.value {
            KindWord::Number => FeatureKind::Number,
            KindWord::Log => FeatureKind::Log,
            KindWord::Category => FeatureKind::Category,
            KindWord::Sparse => FeatureKind::Sparse,
            KindWord::Buckets => FeatureKind::Buckets(self.check_bounds(problems)?),
            KindWord::Cross => {
                FeatureKind::Cross(self.of.as_ref()?.value.iter().map(|part| part.text.clone()).collect())
            }
        };
        Some(FeatureSpec { name: name.to_owned(), column, kind, missing: missing?, namespace })
    }

    fn check_bounds(&self, problems: &mut Vec<Problem>) -> Option<Vec<f64>> {
        let bounds = self.bounds.as_ref()?;
        if bounds.value.is_sorted_by(|a, b| a < b) && bounds.value.iter().all(|bound| bound.is_finite()) {
            return Some(bounds.value.clone());
        }
        problems.push(bounds.error("the bounds do not rise").advise("write them from the least to the greatest"));
        None
    }

    fn check_missing(&self, problems: &mut Vec<Problem>) -> Option<Missing> {
        let Some(missing) = &self.missing else { return Some(Missing::Own) };
        let word = self.kind.as_ref()?.value;
        let of_numbers = matches!(word, KindWord::Number | KindWord::Log | KindWord::Buckets);
        match (missing.value.as_str(), missing.value.parse::<f64>()) {
            ("own", _) => Some(Missing::Own),
            ("skip", _) => Some(Missing::Skip),
            (_, Ok(value)) if of_numbers && value.is_finite() => Some(Missing::Value(value)),
            (other, _) => {
                let advice = match of_numbers {
                    true => "write \"own\" for a slot of its own, \"skip\", or a number",
                    false => "write \"own\" for a slot of its own, or \"skip\"",
                };
                problems.push(missing.error(format!("\"{other}\" cannot stand for NULL")).advise(advice));
                None
            }
        }
    }
}

/// Checks all models, also against the columns of their queries where these could be compiled.
pub fn check(
    models: &[(String, RawModel)],
    views: Option<&Plan>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, ModelSpec> {
    let mut checked = BTreeMap::new();
    for (name, raw) in models {
        let Some(spec) = raw.check(name, problems) else { continue };
        let query = views.and_then(|plan| plan.queries.iter().find(|query| query.name == query_name(name)));
        if let Some(query) = query {
            let columns = Encode::bind(&spec, &query.schema).err().unwrap_or_default();
            let features = Encoder::bind(&spec, &query.schema).err().unwrap_or_default();
            problems.extend(columns.into_iter().chain(features).map(|error| raw.translate(name, error)));
        }
        checked.insert(name.clone(), spec);
    }
    checked
}

/// The name of a model's query among the compiled ones.
#[must_use]
pub fn query_name(model: &str) -> String {
    format!("models.{model}")
}
