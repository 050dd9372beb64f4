//! A job that has changed since its last checkpoint: which results go on, and which start from here.
//!
//! Results that began together are a *cohort*: they share operators, also where they read the same table. Results that
//! began at another time share nothing with them, since their state has seen less. So whatever is added to a job, what
//! goes on is planned as if the rest were not there, and finds its state again.

mod definitions;
mod message;

pub use definitions::{Definition, definitions, model, object, path, relation, target};

use crate::job::JobPlan;
use anyhow::{Result, bail};
use proxima_event::Epoch;
use proxima_view::{HeldColumns, Plan};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a checkpoint notes of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// See [`Definition::meaning`].
    pub meaning: u64,
    /// The first epoch whose records it has seen. 0: all of them.
    pub began: Epoch,
    /// The embedded index that it is written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

/// What earlier runs have left, as far as it decides what goes on.
pub struct Past<'a> {
    /// The results of the checkpoint.
    pub noted: BTreeMap<String, Noted>,
    /// The columns of which tables of changes hold state, by when the results began.
    pub held: BTreeMap<Epoch, HeldColumns>,
    /// Since when the data folder holds a result, where that is not from the first epoch on.
    pub placed: BTreeMap<String, Epoch>,
    /// The sources of the checkpoint.
    pub sources: BTreeSet<String>,
    /// The first epoch behind the checkpoint.
    pub next: Epoch,
    /// Whether the checkpoint has the state of an operator, by its identity.
    pub knows: Box<dyn Fn(&str) -> bool + 'a>,
}

/// Results that began together.
#[derive(Debug)]
pub struct Cohort {
    /// The first epoch whose records they have seen.
    pub began: Epoch,
    /// What people call them.
    pub results: BTreeSet<String>,
    /// The SQL of these results alone.
    pub plan: Plan,
}

/// How a job goes on.
#[derive(Debug, Default)]
pub struct Layout {
    /// All results, by when they began.
    pub cohorts: Vec<Cohort>,
    /// Those that begin with this run, although others go on.
    pub restarted: BTreeSet<String>,
    /// Those that the job does not have any more.
    pub gone: BTreeMap<String, Noted>,
    /// Sources that are read from their beginnings again: only results that begin with this run read them.
    pub reset: BTreeSet<String>,
}

impl Layout {
    /// A job that begins whole.
    #[must_use]
    pub fn whole(job: &JobPlan) -> Self {
        let results = definitions(job).into_keys().collect();
        Self { cohorts: vec![Cohort { began: Epoch(0), results, plan: job.views.clone() }], ..Self::default() }
    }

    /// The epoch at which the results begin that begin with this run.
    #[must_use]
    pub fn begins(&self) -> Epoch {
        self.cohorts.last().map_or(Epoch(0), |cohort| cohort.began)
    }

    /// Whether the run goes on with other results than the run before.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.restarted.is_empty() || !self.gone.is_empty()
    }

    /// The embedded indexes of a changed job that hold nothing of what goes on.
    #[must_use]
    pub fn indexes_left(&self, job: &JobPlan) -> Vec<String> {
        let definitions = definitions(job);
        let goes_on = |name: &&String| !self.restarted.contains(*name);
        let kept: BTreeSet<_> =
            definitions.keys().filter(goes_on).filter_map(|name| definitions[name].index.as_ref()).collect();
        let restarted = self.restarted.iter().filter_map(|name| definitions[name].index.as_ref());
        let gone = self.gone.values().filter_map(|noted| noted.index.as_ref());
        restarted.chain(gone).filter(|index| !kept.contains(index)).cloned().collect()
    }

    /// Says what begins anew and what was dropped.
    pub fn tell(&self) {
        let names = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect::<Vec<_>>().join(", ");
        if !self.restarted.is_empty() {
            eprintln!("begins anew: {}", names(&mut self.restarted.iter()));
        }
        if !self.gone.is_empty() {
            eprintln!("dropped: {}", names(&mut self.gone.keys()));
        }
    }

    /// What checkpoints note of tables of changes.
    #[must_use]
    pub fn held(&self) -> BTreeMap<Epoch, HeldColumns> {
        self.cohorts.iter().map(|cohort| (cohort.began, cohort.plan.held_columns())).collect()
    }

    /// What checkpoints note of the results.
    #[must_use]
    pub fn note(&self, job: &JobPlan) -> BTreeMap<String, Noted> {
        let note = |(name, Definition { meaning, index, .. })| {
            let began = self.cohorts.iter().find(|cohort| cohort.results.contains(&name))?.began;
            Some((name, Noted { meaning, began, index }))
        };
        definitions(job).into_iter().filter_map(note).collect()
    }
}

/// Why a result cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The checkpoint does not know it.
    Added,
    /// It is another than the checkpoint's.
    Changed,
    /// It shares state with one that is changed or gone.
    Shared,
    /// A run has begun it anew in the data folder and did not come to a checkpoint.
    Emptied,
}

/// Decides what of a job goes on from a checkpoint. With `restart_changed` the rest starts from there.
///
/// # Errors
/// When something cannot go on, and nobody has said that it may start anew.
pub fn layout(job: &JobPlan, past: &Past<'_>, restart_changed: bool) -> Result<Layout> {
    let definitions = definitions(job);
    let (cohorts, why) = split(job, &definitions, past);
    let gone: BTreeMap<_, _> =
        past.noted.iter().filter(|(name, _)| !definitions.contains_key(*name)).map(clone).collect();
    if why.is_empty() && gone.is_empty() {
        return Ok(Layout { cohorts, ..Layout::default() });
    }
    let read = |names: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> {
        names.flat_map(|name| definitions[name].sources.clone()).collect()
    };
    let kept = read(&mut cohorts.iter().flat_map(|cohort| &cohort.results));
    let reset: BTreeSet<String> = read(&mut why.keys()).difference(&kept).cloned().collect();
    let restarted: BTreeSet<String> = why.keys().cloned().collect();
    let mut layout = Layout { cohorts, restarted, gone, reset };
    if !restart_changed && !is_free(&layout, &why, &definitions, past) {
        bail!(message::refuse(&layout, &why, &definitions));
    }
    let wanted = |query: &str| is_wanted(job, &definitions, &layout.restarted, query);
    if !layout.restarted.is_empty() {
        let plan = job.views.only(wanted, &HeldColumns::new());
        layout.cohorts.push(Cohort { began: past.next, results: layout.restarted.clone(), plan });
    }
    Ok(layout)
}

/// Whether the plan of some results holds a query: those that say what is forgotten go where the graph goes, whatever
/// they are now.
fn is_wanted(
    job: &JobPlan,
    definitions: &BTreeMap<String, Definition>,
    results: &BTreeSet<String>,
    query: &str,
) -> bool {
    let makes = |name: &String| definitions[name].query == query;
    let is_of_graph = |name: &String| definitions[name].is_of_graph;
    results.iter().any(makes) || (job.forget.iter().any(|forget| forget == query) && results.iter().any(is_of_graph))
}

/// Whether nothing is lost: what begins with this run is new, and so are the sources that it reads.
fn is_free(
    layout: &Layout,
    why: &BTreeMap<String, Why>,
    definitions: &BTreeMap<String, Definition>,
    past: &Past<'_>,
) -> bool {
    let is_new =
        |(name, why): (&String, &Why)| *why == Why::Added && definitions[name].sources.is_disjoint(&past.sources);
    layout.gone.is_empty() && why.iter().all(is_new)
}

/// The results that go on, by when they began, and why the others do not.
fn split(
    job: &JobPlan,
    definitions: &BTreeMap<String, Definition>,
    past: &Past<'_>,
) -> (Vec<Cohort>, BTreeMap<String, Why>) {
    let mut why = BTreeMap::new();
    let mut kept: BTreeMap<Epoch, BTreeSet<String>> = BTreeMap::new();
    for (name, definition) in definitions {
        let reason = match past.noted.get(name) {
            None => Why::Added,
            Some(noted) if noted.meaning != definition.meaning => Why::Changed,
            Some(noted) if past.placed.get(name).is_some_and(|placed| *placed != noted.began) => Why::Emptied,
            Some(noted) => {
                kept.entry(noted.began).or_default().insert(name.clone());
                continue;
            }
        };
        why.insert(name.clone(), reason);
    }
    // Relations and objects share the ids of what they name: they go on together, or not at all.
    let is_of_graph = |name: &String| definitions[name].is_of_graph;
    let was_of_graph = |name: &String| name.starts_with("relation ") || name.starts_with("object ");
    let gone = past.noted.keys().any(|name| was_of_graph(name) && !definitions.contains_key(name));
    if gone || why.keys().any(is_of_graph) {
        for results in kept.values_mut() {
            why.extend(results.extract_if(.., |name| is_of_graph(name)).map(|name| (name, Why::Shared)));
        }
        kept.retain(|_, results| !results.is_empty());
    }
    let is_whole = why.is_empty() && kept.len() == 1;
    let mut cohorts = Vec::new();
    for (began, mut results) in kept {
        let held = past.held.get(&began).cloned().unwrap_or_default();
        loop {
            let query = |name: &String| definitions[name].query.as_str();
            let wanted = |sql: &str| is_wanted(job, definitions, &results, sql);
            let whole = Some(&job.views).filter(|views| is_whole && views.held_columns() == held);
            let plan = whole.cloned().unwrap_or_else(|| job.views.only(wanted, &held));
            let is_lost = |name: &&String| !plan.state(query(name), began).iter().all(|state| (past.knows)(state));
            let lost: Vec<String> = results.iter().filter(is_lost).cloned().collect();
            if lost.is_empty() {
                cohorts.push(Cohort { began, results, plan });
                break;
            }
            results.retain(|name| !lost.contains(name));
            why.extend(lost.into_iter().map(|name| (name, Why::Shared)));
            if results.is_empty() {
                break;
            }
        }
    }
    (cohorts, why)
}

fn clone((name, noted): (&String, &Noted)) -> (String, Noted) {
    (name.clone(), noted.clone())
}
