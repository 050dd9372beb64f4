//! Which stored sections still matter: for each operator and key group its last full section and the changes after it.
//!
//! Files hold sections of many groups. A file is needed while one of its sections is; a group whose old sections keep
//! much dead weight alive, or that takes long to read back, is asked to write itself anew.

use crate::log::{FileRef, StoredOperator};
use crate::names::StateName;
use crate::operators::OperatorId;
use crate::state::StateKey;
use crate::state::format::{Kind, SectionInfo};
use proxima_event::Epoch;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Changes of a group may always come to this many bytes before the group is written anew.
const CHANGES_FLOOR_BYTES: u64 = 16 * 1024;
/// Sections of a group at the most: each is one more to decode after a crash.
const CHAIN_MAX: usize = 64;
/// A file of which less than one part in so many is needed is emptied by writing its groups anew.
const LIVE_PART: u64 = 4;

/// A section that matters.
#[derive(Clone, Copy, Debug)]
struct Link {
    file: StateName,
    /// Its number within the file.
    at: usize,
    kind: Kind,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct LiveFile {
    file: FileRef,
    bytes: u64,
    sections: usize,
}

/// The chains of all groups of all operators, and the files that they rest in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains {
    groups: HashMap<StateKey, Vec<Link>>,
    files: BTreeMap<StateName, LiveFile>,
    since: HashMap<OperatorId, Epoch>,
}

impl Chains {
    /// No state yet. Sections of other operators than these, or from before they began, are dead.
    pub(crate) fn new(operators: &[StoredOperator]) -> Self {
        let since = operators.iter().map(|operator| (operator.id, operator.since)).collect();
        Self { since, ..Self::default() }
    }

    /// Takes in a file, behind all those taken in before.
    pub(crate) fn add(&mut self, name: StateName, file: &FileRef, sections: &[SectionInfo]) {
        self.files.insert(name, LiveFile { file: file.clone(), bytes: 0, sections: 0 });
        for (at, section) in sections.iter().enumerate() {
            if self.since.get(&section.operator).is_none_or(|&since| name.epoch < since) {
                continue;
            }
            let chain = self.groups.entry(section.key()).or_default();
            if section.kind == Kind::Full {
                for dead in chain.drain(..) {
                    release(&mut self.files, dead);
                }
            }
            chain.push(Link { file: name, at, kind: section.kind, bytes: section.stored });
            let live = self.files.get_mut(&name).expect("the file was just taken in");
            live.bytes += section.stored;
            live.sections += 1;
        }
        self.files.retain(|_, live| live.sections > 0);
    }

    /// The files that are needed, in the order in which their changes apply.
    pub(crate) fn files(&self) -> Vec<FileRef> {
        self.files.values().map(|live| live.file.clone()).collect()
    }

    /// Bytes of all files that are needed.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|live| live.file.bytes).sum()
    }

    /// The file of each of a group's sections and its number there, in order.
    pub(crate) fn of(&self, key: StateKey) -> impl Iterator<Item = (StateName, usize)> + '_ {
        self.groups.get(&key).into_iter().flatten().map(|link| (link.file, link.at))
    }

    /// The groups that should be written in full at the next checkpoint: the longest overdue first, and no more than
    /// `budget_bytes` in all, but at least one if any is due.
    pub(crate) fn plan_rewrites(&self, budget_bytes: u64) -> Vec<StateKey> {
        let wasteful: HashSet<StateName> =
            self.files.iter().filter(|(_, live)| is_wasteful(live)).map(|(&name, _)| name).collect();
        let mut due: Vec<_> = self
            .groups
            .iter()
            .filter_map(|(&key, chain)| Some((urgency(chain, &wasteful)?, key, chain_bytes(chain))))
            .collect();
        due.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut left = budget_bytes;
        let mut planned = Vec::new();
        for (_, key, bytes) in due {
            if bytes <= left || planned.is_empty() {
                planned.push(key);
                left = left.saturating_sub(bytes);
            }
        }
        planned
    }
}

/// Lets go of a section, and of its file with the last one.
fn release(files: &mut BTreeMap<StateName, LiveFile>, link: Link) {
    if let Some(live) = files.get_mut(&link.file) {
        live.bytes -= link.bytes;
        live.sections -= 1;
    }
}

/// Whether little of a file is needed: what it weighs besides is dead.
fn is_wasteful(live: &LiveFile) -> bool {
    live.file.bytes > CHANGES_FLOOR_BYTES && live.bytes < live.file.bytes / LIVE_PART
}

fn chain_bytes(chain: &[Link]) -> u64 {
    chain.iter().map(|link| link.bytes).sum()
}

/// How much a group should be written anew, in hundredths of what makes it due; `None` when it need not be.
fn urgency(chain: &[Link], wasteful: &HashSet<StateName>) -> Option<u64> {
    let full = chain.first().filter(|link| link.kind == Kind::Full).map_or(0, |link| link.bytes);
    let changes = chain_bytes(chain) - full;
    let by_bytes = changes * 100 / full.max(CHANGES_FLOOR_BYTES);
    let by_length = chain.len() as u64 * 100 / CHAIN_MAX as u64;
    let urgency = by_bytes.max(by_length);
    if urgency > 100 {
        return Some(urgency);
    }
    chain.iter().any(|link| wasteful.contains(&link.file)).then_some(100)
}
