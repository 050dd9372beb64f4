//! `[judges.NAME]`: what a recommendation is judged by while it is shown.

use super::fields::{Fields, Located, advise_word};
use super::problem::{Place, Problem};
use super::recommendations::{RawRecommendation, RecommendationPlans};
use super::tree::Text;
use proxima_graph::{Catalogue, KindId, RelationId};
use std::collections::BTreeMap;

/// How much of a list counts where the job does not say: as for `proxima evaluate`.
const K: u64 = 20;

/// A judge as it was written.
#[derive(Debug)]
pub struct RawJudge {
    place: Place,
    by: Option<Located<Text>>,
    k: Option<Located<u64>>,
}

/// Judges the lists of a recommendation, or of the variants of a split, which has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgePlan {
    /// The relation whose rows tell what was wanted.
    pub by: RelationId,
    /// How much of a list counts.
    pub k: usize,
}

impl RawJudge {
    /// Reads the judge's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            place: fields.place.clone(),
            by: fields.required_text("by", "name the relation whose rows tell what was wanted"),
            k: fields.number("k", 1),
        }
    }

    /// The relation that it names.
    pub fn relation(&self) -> Option<&str> {
        self.by.as_ref().map(|by| by.value.text.as_str())
    }
}

/// Checks all judges.
pub fn check(
    raw: &[(String, RawJudge)],
    catalogue: &Catalogue,
    (written, recommendations): (&[(String, RawRecommendation)], &RecommendationPlans),
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, JudgePlan> {
    let mut plans = BTreeMap::new();
    for (name, judge) in raw {
        let Some(by) = &judge.by else { continue };
        let relations: Vec<&str> = catalogue.relations.iter().map(|relation| relation.name.as_str()).collect();
        let Some(id) = catalogue.relation(&by.value.text) else {
            let problem = by.error(format!("there is no relation \"{}\"", by.value.text));
            problems.push(problem.advise(advise_word(&by.value.text, &relations)));
            continue;
        };
        let plain = &recommendations.plain;
        let variant = recommendations.splits.get(name).and_then(|split| split.variants().first());
        let Some(judged) = plain.get(variant.map_or(name, |(variant, _)| variant)) else {
            if written.iter().any(|(written, _)| written == name) {
                // Something is wrong with it, which was told.
                continue;
            }
            let known: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
            let key = format!("judges.{name}");
            let problem = Problem::error(&judge.place, key, format!("there is no recommendation \"{name}\""));
            problems.push(problem.advise(advise_word(name, &known)));
            continue;
        };
        let relation = &catalogue[id];
        if (relation.subject, relation.object) != (judged.subject, judged.item) {
            let kind = |kind: KindId| catalogue[kind].name.as_str();
            let (from, to) = (kind(relation.subject), kind(relation.object));
            let message = format!("relation \"{}\" leads from {from} to {to}", relation.name);
            let advice = format!("name one from {} to {}", kind(judged.subject), kind(judged.item));
            problems.push(by.error(message).advise(advice));
            continue;
        }
        let k = judge.k.as_ref().map_or(K, |k| k.value);
        plans.insert(name.clone(), JudgePlan { by: id, k: usize::try_from(k).unwrap_or(usize::MAX) });
    }
    plans
}
