//! The recommendations of a run, by name: plain ones, and splits that deal subjects to them.

use crate::evaluate::LiveJudge;
use crate::kept::{KeptAnswers, Question};
use crate::recommend::{Answer, Request, explain, recommend};
use crate::score::Part;
use crate::shop::Shop;
use crate::spec::Recommendation;
use crate::split::Split;
use proxima_event::StoreError;
use proxima_graph::{Value, Version};
use proxima_publish::ShareReader;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// A recommendation and what it asks.
pub struct Recommender {
    /// What the job says of it.
    pub spec: Recommendation,
    /// What it asks.
    pub shop: Arc<dyn Asks>,
}

/// Gives a shop to who asks. One that is far away may fail to answer.
pub trait Asks: Send + Sync {
    /// Does some work with the shop. Where there is an error the work was in vain.
    ///
    /// # Errors
    /// When the shop could not be read.
    fn ask(&self, work: &mut dyn FnMut(&dyn Shop)) -> Result<(), StoreError>;

    /// Whether who asks may have to wait for another machine.
    fn is_far(&self) -> bool {
        false
    }

    /// As [`Shop::at_rest`].
    fn at_rest(&self) -> Option<Version> {
        None
    }
}

impl<S: Shop + Send + Sync> Asks for S {
    fn ask(&self, work: &mut dyn FnMut(&dyn Shop)) -> Result<(), StoreError> {
        work(self);
        Ok(())
    }

    fn at_rest(&self) -> Option<Version> {
        Shop::at_rest(self)
    }
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
    /// What only others can answer, and why.
    elsewhere: BTreeMap<String, String>,
    /// Where shares are decided, if not here.
    shares: Option<ShareReader>,
    kept: KeptAnswers,
}

/// Why a question has no answer.
#[derive(Debug)]
pub enum AskError {
    /// There is no recommendation or split of this name.
    Unknown,
    /// There is, but it is not answered here, for this reason.
    Elsewhere(String),
    /// The question names what there is not.
    Refused(String),
    /// The store cannot be read.
    Store(StoreError),
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why a split is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchError {
    /// There is no such split or variant, or the shares are no shares.
    Refused(String),
    /// The change cannot be kept.
    NotKept(String),
    /// Shares are changed elsewhere.
    Elsewhere,
}

/// An answer, and which variant gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommended {
    /// The recommendation that answered: one of the variants where a split was asked.
    pub variant: String,
    /// The items.
    pub answer: Answer,
    /// The attributes of each item.
    pub attributes: Vec<Vec<(Arc<str>, Value)>>,
    /// For whoever tells it: the same answer may have to be told again.
    pub told: OnceLock<String>,
}

impl Service {
    /// Recommendations, and splits over some of them.
    #[must_use]
    pub fn new(recommenders: BTreeMap<String, Recommender>, splits: BTreeMap<String, Split>) -> Self {
        let splits = splits.into_iter().map(|(name, split)| (name, RwLock::new(split))).collect();
        Self { recommenders, splits, ..Self::default() }
    }

    /// The same, telling these judges what is shown by the recommendation or split of their name.
    #[must_use]
    pub fn judged_by(self, judges: BTreeMap<String, Arc<LiveJudge>>) -> Self {
        Self { judges, ..self }
    }

    /// The same without a run: what is `elsewhere` is not answered here, for the reason that is given, and splits deal by
    /// the shares that a run keeps in a store.
    #[must_use]
    pub fn without_run(self, elsewhere: BTreeMap<String, String>, shares: Option<ShareReader>) -> Self {
        Self { elsewhere, shares, ..self }
    }

    /// Whether who asks may have to wait for another machine.
    #[must_use]
    pub fn is_far(&self) -> bool {
        self.shares.is_some() || self.recommenders.values().any(|recommender| recommender.shop.is_far())
    }

    /// The same, with something that keeps changes of shares for the next run.
    #[must_use]
    pub fn kept_by(self, keep: Keep) -> Self {
        Self { keep: Mutex::new(Some(keep)), ..self }
    }

    /// All names that can be asked for.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let all = self.recommenders.keys().chain(self.splits.keys()).chain(self.elsewhere.keys());
        all.map(String::as_str).collect()
    }

    /// Those that are answered here.
    pub fn answered(&self) -> impl Iterator<Item = &str> {
        self.recommenders.keys().map(String::as_str)
    }

    /// Answers a question to a recommendation or a split.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be asked here or now.
    pub fn recommend(&self, name: &str, request: &Request<'_>) -> Result<Arc<Recommended>, AskError> {
        let (variant, recommender) = self.of(name, request)?;
        // A model learns on while all else rests.
        let rests = || (request.is_plain() && recommender.spec.model.is_none()).then(|| recommender.shop.at_rest())?;
        let found = match rests() {
            Some(version) => {
                let question = Question { name, variant: &variant, subject: request.subject, number: request.number };
                let kept = self.kept.get(version, question);
                kept.map_or_else(|| self.make(&variant, recommender, request, Some((version, question))), Ok)
            }
            None => self.make(&variant, recommender, request, None),
        }?;
        if let Some(judge) = self.judges.get(name) {
            let items = found.answer.items.iter().map(|item| Arc::clone(&item.item));
            judge.shown(request.subject, &variant, items);
        }
        Ok(found)
    }

    /// Makes an answer, and keeps it if it is to be kept.
    fn make(
        &self,
        variant: &str,
        Recommender { spec, shop }: &Recommender,
        request: &Request<'_>,
        keep: Option<(Version, Question<'_>)>,
    ) -> Result<Arc<Recommended>, AskError> {
        let (mut answer, mut attributes) = (Answer::default(), Vec::new());
        shop.ask(&mut |shop| {
            answer = recommend(shop, spec, request);
            shop.prepare(&answer.items.iter().map(|item| item.object).collect::<Vec<_>>());
            attributes = answer.items.iter().map(|item| shop.item_attributes(item.object)).collect();
        })?;
        let found = Arc::new(Recommended { variant: variant.to_owned(), answer, attributes, told: OnceLock::new() });
        if let Some((version, question)) = keep {
            self.kept.put(version, question, &found);
        }
        Ok(found)
    }

    /// Explains an item's score: the variant, the score and its parts; these are `None` for an item that nothing leads to.
    ///
    /// # Errors
    /// As for [`Service::recommend`].
    pub fn explain(
        &self,
        name: &str,
        request: &Request<'_>,
        item: &str,
    ) -> Result<(String, Option<Explained>), AskError> {
        let (variant, Recommender { spec, shop }) = self.of(name, request)?;
        let mut explained = None;
        shop.ask(&mut |shop| explained = explain(shop, spec, request, item))?;
        Ok((variant, explained))
    }

    /// The variants of a split with their shares; `None` where there is none of this name.
    ///
    /// # Errors
    /// When the store that holds them cannot be read.
    pub fn split(&self, name: &str) -> Result<Option<Vec<(String, f64)>>, StoreError> {
        Ok(self.split_by(name, ShareReader::read)?.map(|split| split.variants().to_vec()))
    }

    /// Whether there is a split of this name.
    #[must_use]
    pub fn has_split(&self, name: &str) -> bool {
        self.splits.contains_key(name)
    }

    /// A split as it deals by the shares that are read. Where nobody has kept any yet, those of the job hold.
    fn split_by(
        &self,
        name: &str,
        read: impl FnOnce(&ShareReader, &str) -> Result<Option<Vec<(String, f64)>>, StoreError>,
    ) -> Result<Option<Split>, StoreError> {
        let Some(split) = self.splits.get(name) else { return Ok(None) };
        let split = split.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(shares) = &self.shares else { return Ok(Some(split)) };
        let kept = read(shares, name)?.and_then(|kept| Split::new(name, kept));
        Ok(Some(kept.unwrap_or(split)))
    }

    /// The shares of all splits, as they are changed here.
    #[must_use]
    pub fn shares(&self) -> BTreeMap<String, Vec<(String, f64)>> {
        let shares = |split: &RwLock<Split>| split.read().unwrap_or_else(PoisonError::into_inner).variants().to_vec();
        self.splits.iter().map(|(name, split)| (name.clone(), shares(split))).collect()
    }

    /// Changes the shares of a split from the next question on, once they are kept. Variants that are not named get nothing.
    ///
    /// # Errors
    /// When the shares are refused, or cannot be kept. The split is then as it was.
    pub fn switch(&self, name: &str, shares: &[(String, f64)]) -> Result<(), SwitchError> {
        let refused = |reason: String| Err(SwitchError::Refused(reason));
        let Some(split) = self.splits.get(name) else { return refused(format!("no split is named \"{name}\"")) };
        if self.shares.is_some() {
            return Err(SwitchError::Elsewhere);
        }
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

    /// Who answers a question.
    fn of(&self, name: &str, request: &Request<'_>) -> Result<(String, &Recommender), AskError> {
        let subject = request.subject;
        let variant = match &self.shares {
            Some(_) => {
                let split = self.split_by(name, ShareReader::read_lately)?;
                split.map(|split| split.of(subject).to_owned())
            }
            None => self
                .splits
                .get(name)
                .map(|split| split.read().unwrap_or_else(PoisonError::into_inner).of(subject).to_owned()),
        };
        let variant = variant.unwrap_or_else(|| name.to_owned());
        match (self.recommenders.get(&variant), self.elsewhere.get(&variant)) {
            (Some(recommender), _) => {
                request.check(&recommender.spec).map_err(AskError::Refused)?;
                Ok((variant, recommender))
            }
            (None, Some(reason)) => Err(AskError::Elsewhere(format!("recommendation \"{variant}\" {reason}"))),
            (None, None) => Err(AskError::Unknown),
        }
    }
}
