//! The recommendations of a run, by name: plain ones, and splits that deal subjects to them.

use crate::evaluate::LiveJudge;
use crate::recommend::{Answer, Request, explain, recommend};
use crate::score::Part;
use crate::shop::Shop;
use crate::spec::Recommendation;
use crate::split::Split;
use proxima_graph::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A recommendation and what it asks.
pub struct Recommender {
    /// What the job says of it.
    pub spec: Recommendation,
    /// What it asks.
    pub shop: Arc<dyn Shop + Send + Sync>,
}

/// A score in units, and the parts that sum to it.
pub type Explained = (i64, Vec<Part>);

/// Keeps the shares that a split is given, before they hold; a reason where it cannot.
pub type Keep = Box<dyn Fn(&str, &[(String, f64)]) -> Result<(), String> + Send + Sync>;

/// Everything that can be asked for.
#[derive(Default)]
pub struct Service {
    recommenders: BTreeMap<String, Recommender>,
    splits: BTreeMap<String, RwLock<Split>>,
    /// One change of shares after the other; questions go on meanwhile.
    keep: Mutex<Option<Keep>>,
    judges: BTreeMap<String, Arc<LiveJudge>>,
}

/// Why a split is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchError {
    /// There is no such split or variant, or the shares are no shares.
    Refused(String),
    /// The change cannot be kept.
    NotKept(String),
}

/// An answer, and which variant gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommended {
    /// The recommendation that answered: one of the variants where a split was asked.
    pub variant: String,
    /// The items.
    pub answer: Answer,
    /// The attributes of each item.
    pub attributes: Vec<Vec<(Arc<str>, Value)>>,
}

impl Service {
    /// Recommendations, and splits over some of them.
    #[must_use]
    pub fn new(recommenders: BTreeMap<String, Recommender>, splits: BTreeMap<String, Split>) -> Self {
        let splits = splits.into_iter().map(|(name, split)| (name, RwLock::new(split))).collect();
        Self { recommenders, splits, keep: Mutex::default(), judges: BTreeMap::new() }
    }

    /// The same, telling these judges what is shown by the recommendation or split of their name.
    #[must_use]
    pub fn judged_by(self, judges: BTreeMap<String, Arc<LiveJudge>>) -> Self {
        Self { judges, ..self }
    }

    /// The same, with something that keeps changes of shares for the next run.
    #[must_use]
    pub fn kept_by(self, keep: Keep) -> Self {
        Self { keep: Mutex::new(Some(keep)), ..self }
    }

    /// All names that can be asked for.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.recommenders.keys().chain(self.splits.keys()).map(String::as_str).collect()
    }

    /// Answers a question to a recommendation or a split; `None` where there is none of this name.
    #[must_use]
    pub fn recommend(&self, name: &str, request: &Request<'_>) -> Option<Recommended> {
        let (variant, recommender) = self.of(name, request.subject)?;
        let answer = recommend(&*recommender.shop, &recommender.spec, request);
        if let Some(judge) = self.judges.get(name) {
            judge.shown(request.subject, &variant, answer.items.iter().map(|item| Arc::clone(&item.item)));
        }
        let attributes = answer.items.iter().map(|item| recommender.shop.item_attributes(item.object)).collect();
        Some(Recommended { variant, answer, attributes })
    }

    /// Explains an item's score: the variant, the score and its parts. The outer `None` is an unknown name, the inner one
    /// an item that nothing leads to.
    #[must_use]
    pub fn explain(&self, name: &str, request: &Request<'_>, item: &str) -> Option<(String, Option<Explained>)> {
        let (variant, recommender) = self.of(name, request.subject)?;
        Some((variant, explain(&*recommender.shop, &recommender.spec, request, item)))
    }

    /// The variants of a split with their shares.
    #[must_use]
    pub fn split(&self, name: &str) -> Option<Vec<(String, f64)>> {
        let split = self.splits.get(name)?;
        Some(split.read().unwrap_or_else(PoisonError::into_inner).variants().to_vec())
    }

    /// Changes the shares of a split from the next question on, once they are kept. Variants that are not named get nothing.
    ///
    /// # Errors
    /// When the shares are refused, or cannot be kept. The split is then as it was.
    pub fn switch(&self, name: &str, shares: &[(String, f64)]) -> Result<(), SwitchError> {
        let refused = |reason: String| Err(SwitchError::Refused(reason));
        let Some(split) = self.splits.get(name) else { return refused(format!("no split is named \"{name}\"")) };
        let keep = self.keep.lock().unwrap_or_else(PoisonError::into_inner);
        let known = split.read().unwrap_or_else(PoisonError::into_inner).variants().to_vec();
        if let Some((variant, _)) = shares.iter().find(|(variant, _)| !known.iter().any(|(known, _)| known == variant))
        {
            return refused(format!("split \"{name}\" has no variant \"{variant}\""));
        }
        // The order of the job stays: it decides who moves where.
        let share =
            |variant: &String| shares.iter().find(|(named, _)| named == variant).map_or(0.0, |(_, share)| *share);
        let variants = known.iter().map(|(variant, _)| (variant.clone(), share(variant))).collect();
        let Some(changed) = Split::new(name, variants) else {
            return refused("shares are numbers of at least 0, one of them above".to_owned());
        };
        if let Some(keep) = &*keep {
            keep(name, changed.variants()).map_err(SwitchError::NotKept)?;
        }
        *split.write().unwrap_or_else(PoisonError::into_inner) = changed;
        Ok(())
    }

    fn of(&self, name: &str, subject: &str) -> Option<(String, &Recommender)> {
        let variant = match self.splits.get(name) {
            Some(split) => split.read().unwrap_or_else(PoisonError::into_inner).of(subject).to_owned(),
            None => name.to_owned(),
        };
        let recommender = self.recommenders.get(&variant)?;
        Some((variant, recommender))
    }
}
