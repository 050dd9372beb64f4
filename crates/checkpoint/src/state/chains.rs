//! Which stored sections still matter: for each operator and key group its last full section and the changes after it.
//!
//! Files hold sections of many groups. A file is needed while one of its sections is; a group whose old sections keep
//! much dead weight alive, or that takes long to read back, is asked to write itself anew.

use crate::log::{FileRef, StoredOperator};
use crate::names::StateName;
use crate::operators::OperatorId;
use crate::state::StateKey;
use crate::state::format::{Kind, SectionInfo};
use proxima_event::{Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Changes of a group may always replace this many bytes before the group is written anew.
const CHANGES_FLOOR_BYTES: u64 = 16 * 1024;
/// Files that a group's sections are in at the most: each is one more to decode from after a crash.
const CHAIN_MAX: usize = 64;
/// A file of which less than one part in so many is needed is emptied by writing its groups anew.
const LIVE_PART: u64 = 4;

/// A section that matters to a group.
#[derive(Clone, Copy, Debug)]
struct Link {
    file: StateName,
    /// Its number within the file.
    at: usize,
    /// The group's share of its bytes, about.
    bytes: u64,
    /// How many of them take the place of what stands before in the chain.
    replaced: u64,
}

#[derive(Clone, Debug)]
struct LiveFile {
    file: FileRef,
    bytes: u64,
    links: usize,
}

/// The chains of all groups of all operators, and the files that they rest in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains {
    /// By operator and by the number of the key group.
    groups: HashMap<OperatorId, Vec<Vec<Link>>>,
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
        self.files.insert(name, LiveFile { file: file.clone(), bytes: 0, links: 0 });
        for (at, section) in sections.iter().enumerate() {
            if self.since.get(&section.operator).is_none_or(|&since| name.epoch < since) {
                continue;
            }
            let chains = self.groups.entry(section.operator).or_insert_with(|| vec![Vec::new(); KEY_GROUPS]);
            let (mut live_bytes, mut links) = (0, 0);
            let (bytes, replaced) = (shares(section, section.stored), shares(section, section.replaced()));
            for ((group, bytes), replaced) in section.groups.iter().zip(bytes).zip(replaced) {
                let chain = &mut chains[usize::from(group.0)];
                if section.kind == Kind::Full {
                    // A whole key group may take several sections of a save.
                    for dead in chain.extract_if(.., |link| !link.file.is_of_save(&name)) {
                        release(&mut self.files, dead);
                    }
                }
                chain.push(Link { file: name, at, bytes, replaced });
                live_bytes += bytes;
                links += 1;
            }
            let live = self.files.get_mut(&name).expect("the file was just taken in");
            live.bytes += live_bytes;
            live.links += links;
        }
        self.files.retain(|_, live| live.links > 0);
    }

    /// The files that are needed, in the order in which their changes apply.
    pub(crate) fn files(&self) -> Vec<FileRef> {
        self.files.values().map(|live| live.file.clone()).collect()
    }

    /// Bytes of all files that are needed.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|live| live.file.bytes).sum()
    }

    /// The sections that some of an operator's groups need: the file of each, its number there, and for which of these
    /// groups it is needed, in the order in which they apply.
    pub(crate) fn of(&self, operator: OperatorId, groups: &KeyGroupSet) -> BTreeMap<(StateName, usize), KeyGroupSet> {
        let mut sections = BTreeMap::<_, KeyGroupSet>::new();
        let Some(chains) = self.groups.get(&operator) else { return sections };
        for group in groups.iter() {
            for link in &chains[usize::from(group.0)] {
                sections.entry((link.file, link.at)).or_default().insert(group);
            }
        }
        sections
    }

    /// The groups that should be written in full, and the bytes of their sections: the longest overdue first.
    pub(crate) fn due(&self) -> Vec<(StateKey, u64)> {
        let wasteful: HashSet<StateName> =
            self.files.iter().filter(|(_, live)| is_wasteful(live)).map(|(&name, _)| name).collect();
        let chains = self.groups.iter().flat_map(|(&operator, chains)| {
            (0..).zip(chains).map(move |(group, chain)| ((operator, KeyGroup(group)), chain))
        });
        let mut due: Vec<_> =
            chains.filter_map(|(key, chain)| Some((urgency(chain, &wasteful)?, key, chain_bytes(chain)))).collect();
        due.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        due.into_iter().map(|(_, key, bytes)| (key, bytes)).collect()
    }
}

/// The first of the groups that are due, no more than `budget_bytes` in all, but one at the least.
pub(crate) fn within_budget(due: &[(StateKey, u64)], budget_bytes: u64) -> Vec<StateKey> {
    let mut left = budget_bytes;
    let mut planned = Vec::new();
    for &(key, bytes) in due {
        if bytes <= left || planned.is_empty() {
            planned.push(key);
            left = left.saturating_sub(bytes);
        }
    }
    planned
}

/// Bytes of a section, dealt to its groups.
fn shares(section: &SectionInfo, bytes: u64) -> impl Iterator<Item = u64> + use<> {
    let groups = section.groups.len() as u64;
    (0..groups).map(move |at| bytes * (at + 1) / groups - bytes * at / groups)
}

/// Lets go of a section, and of its file with the last one.
fn release(files: &mut BTreeMap<StateName, LiveFile>, link: Link) {
    if let Some(live) = files.get_mut(&link.file) {
        live.bytes -= link.bytes;
        live.links -= 1;
    }
}

/// Whether little of a file is needed: what it weighs besides is dead.
fn is_wasteful(live: &LiveFile) -> bool {
    live.file.bytes > CHANGES_FLOOR_BYTES && live.bytes < live.file.bytes / LIVE_PART
}

fn chain_bytes(chain: &[Link]) -> u64 {
    chain.iter().map(|link| link.bytes).sum()
}

/// How much a group should be written anew, in hundredths of what makes it due; `None` when it need not be. What was only
/// ever added would be as large again.
fn urgency(chain: &[Link], wasteful: &HashSet<StateName>) -> Option<u64> {
    let dead = chain.iter().map(|link| link.replaced).sum::<u64>();
    let by_bytes = dead * 100 / (chain_bytes(chain) - dead).max(CHANGES_FLOOR_BYTES);
    let by_length = chain.chunk_by(|a, b| a.file == b.file).count() as u64 * 100 / CHAIN_MAX as u64;
    let urgency = by_bytes.max(by_length);
    if urgency > 100 {
        return Some(urgency);
    }
    chain.iter().any(|link| wasteful.contains(&link.file)).then_some(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::OperatorFacts;
    use crate::state::format::{Section, tests::encode};
    use proptest::prelude::*;
    use proxima_event::Generation;

    const OPERATOR: OperatorId = OperatorId(1);

    fn chains() -> Chains {
        let facts = OperatorFacts { id: OPERATOR, name: "a".to_owned() };
        Chains::new(&[StoredOperator::new(&facts, Epoch(2))])
    }

    /// Takes in the file of an epoch: of each section the group, whether it is full, and its bytes.
    fn add(chains: &mut Chains, epoch: u64, sections: &[(u16, bool, usize)]) -> StateName {
        add_with(chains, epoch, sections, 0)
    }

    /// The same with sections of which so much only adds.
    fn add_with(chains: &mut Chains, epoch: u64, sections: &[(u16, bool, usize)], added: u8) -> StateName {
        let name = StateName { epoch: Epoch(epoch), generation: Generation(1), worker: 0, part: 0 };
        let section = |&(group, full, bytes): &(u16, bool, usize)| {
            let kind = if full { Kind::Full } else { Kind::Changes };
            // Noise, so that it does not compress to nothing.
            let bytes: Vec<u8> =
                (0..bytes as u64).map(|at| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) as u8).collect();
            Section { operator: OPERATOR, groups: KeyGroup(group).into(), kind, added, bytes: bytes.into() }
        };
        let (bytes, infos) = encode(&sections.iter().map(section).collect::<Vec<_>>()).unwrap();
        let file = FileRef { name: name.print(), bytes: bytes.len() as u64, checksum: 0 };
        chains.add(name, &file, &infos);
        name
    }

    fn epochs(chains: &Chains, group: u16) -> Vec<u64> {
        chains.of(OPERATOR, &KeyGroup(group).into()).keys().map(|(name, _)| name.epoch.0).collect()
    }

    fn planned(chains: &Chains, budget: u64) -> Vec<u16> {
        within_budget(&chains.due(), budget).into_iter().map(|(_, group)| group.0).collect()
    }

    proptest! {
        #[test]
        fn keeps_what_is_behind_the_last_full_section(
            files in prop::collection::vec(prop::collection::btree_map(0_u16..4, prop::bool::weighted(0.3), 0..4), 0..12),
        ) {
            let mut chains = chains();
            let mut naive: [Vec<u64>; 4] = Default::default();
            for (epoch, sections) in (2..).zip(&files) {
                let listed: Vec<_> = sections.iter().map(|(&group, &full)| (group, full, 9)).collect();
                add(&mut chains, epoch, &listed);
                for (&group, &full) in sections {
                    if full {
                        naive[group as usize].clear();
                    }
                    naive[group as usize].push(epoch);
                }
            }
            for group in 0..4 {
                prop_assert_eq!(&epochs(&chains, group), &naive[group as usize]);
            }
            let mut needed = naive.concat();
            needed.sort_unstable();
            needed.dedup();
            let files: Vec<_> = chains.files().iter().map(|file| StateName::parse(&file.name).unwrap().epoch.0).collect();
            prop_assert_eq!(files, needed);
        }
    }

    #[test]
    fn sections_of_several_groups_are_needed_while_one_group_needs_them() {
        let mut chains = chains();
        let groups = |groups: &[u16]| groups.iter().copied().map(KeyGroup).collect::<KeyGroupSet>();
        let add_of = |chains: &mut Chains, epoch, part, sections: &[(&[u16], Kind)]| {
            let section = |&(of, kind): &(&[u16], Kind)| Section {
                operator: OPERATOR,
                groups: groups(of),
                kind,
                added: 0,
                bytes: vec![7; 1000].into(),
            };
            let name = StateName { epoch: Epoch(epoch), generation: Generation(1), worker: 0, part };
            let (bytes, infos) = encode(&sections.iter().map(section).collect::<Vec<_>>()).unwrap();
            chains.add(name, &FileRef { name: name.print(), bytes: bytes.len() as u64, checksum: 0 }, &infos);
        };
        add_of(&mut chains, 2, 0, &[(&[0, 1, 2], Kind::Full), (&[3, 4], Kind::Full)]);
        add_of(&mut chains, 3, 0, &[(&[1, 2, 3], Kind::Changes)]);
        // A save that did not fit one file, nor the key group 1 one section.
        add_of(&mut chains, 4, 0, &[(&[0, 1], Kind::Full)]);
        add_of(&mut chains, 4, 1, &[(&[1, 4], Kind::Full)]);
        let of: Vec<_> = chains.of(OPERATOR, &groups(&[0, 1, 2, 4])).into_iter().collect();
        let of: Vec<_> = of.iter().map(|((name, at), of)| ((name.epoch.0, name.part, *at), *of)).collect();
        let expected = [((2, 0, 0), &[2][..]), ((3, 0, 0), &[2]), ((4, 0, 0), &[0, 1]), ((4, 1, 0), &[1, 4])];
        assert_eq!(of, expected.map(|(section, of)| (section, groups(of))));
        assert_eq!(chains.files().len(), 4);
        assert!(chains.groups.values().flatten().flatten().all(|link| (333..=1000).contains(&link.bytes)));
        add_of(&mut chains, 5, 0, &[(&[2, 3], Kind::Full)]);
        assert_eq!(chains.files().len(), 3, "nothing of the first two files is needed");
    }

    #[test]
    fn state_from_before_an_operator_began_is_dead() {
        let mut chains = chains();
        add(&mut chains, 1, &[(0, true, 10)]);
        assert!(chains.files().is_empty());
        add(&mut chains, 2, &[(0, false, 10)]);
        assert_eq!(epochs(&chains, 0), [2]);
    }

    #[test]
    fn groups_whose_changes_outweigh_them_are_rewritten_the_heaviest_first() {
        let mut chains = chains();
        add(&mut chains, 2, &[(0, true, 50_000), (1, true, 50_000), (2, true, 100)]);
        add(&mut chains, 3, &[(0, false, 40_000), (1, false, 60_000), (2, false, 10_000)]);
        assert_eq!(planned(&chains, u64::MAX), [1]);
        add(&mut chains, 4, &[(0, false, 90_000), (2, false, 10_000)]);
        assert_eq!(planned(&chains, u64::MAX), [0, 2, 1]);
        assert_eq!(planned(&chains, 1), [0], "one at least");
        assert_eq!(planned(&chains, 201_000), [0, 2]);
    }

    #[test]
    fn groups_that_only_grew_are_not_rewritten() {
        let mut chains = chains();
        add(&mut chains, 2, &[(0, true, 50_000)]);
        for epoch in 3..13 {
            add_with(&mut chains, epoch, &[(0, false, 50_000)], 63);
        }
        assert_eq!(planned(&chains, u64::MAX), [0_u16; 0]);
        for epoch in 13..24 {
            add_with(&mut chains, epoch, &[(0, false, 50_000)], 0);
        }
        assert_eq!(planned(&chains, u64::MAX), [0_u16; 0], "as much as is alive: half of it is dead");
        add(&mut chains, 24, &[(0, false, 50_000)]);
        assert_eq!(planned(&chains, u64::MAX), [0]);
    }

    #[test]
    fn a_long_chain_is_rewritten() {
        let mut chains = chains();
        for epoch in 2..67 {
            assert_eq!(planned(&chains, u64::MAX), [0_u16; 0], "{epoch}");
            add(&mut chains, epoch, &[(0, false, 1)]);
        }
        add(&mut chains, 67, &[(0, false, 1)]);
        assert_eq!(planned(&chains, u64::MAX), [0]);
    }

    #[test]
    fn a_file_that_is_mostly_dead_is_emptied() {
        let mut chains = chains();
        add(&mut chains, 2, &[(0, true, 100_000), (1, true, 1000)]);
        add(&mut chains, 3, &[(0, true, 100_000)]);
        assert_eq!(planned(&chains, u64::MAX), [1]);
        add(&mut chains, 4, &[(1, true, 1000)]);
        assert_eq!((planned(&chains, u64::MAX), chains.files().len()), (vec![], 2));
    }
}
