//! Which cuts a restart follows: a decision about the files of cuts alone.
//!
//! Runs follow each other's cuts. A run goes on from a checkpoint, cuts the epochs behind it exactly as the runs before
//! it did, as far as it knows of them (`own_from`), and from there on by itself. So for each epoch the newest run that
//! has a cut of it is right, and the older ones fill in behind where that run did not get as far. What an older run
//! wrote from `own_from` on came too late: its successor had begun, and nobody was told that it is durable.

use super::{Cut, ReadCuts};
use proxima_event::Epoch;
use std::collections::BTreeMap;

/// The cuts from `first` on, as far as it is certain that none is missing between them.
pub(crate) fn replay(read: &ReadCuts, first: Epoch) -> Vec<Cut> {
    let mut known: BTreeMap<Epoch, (Epoch, &Cut)> = BTreeMap::new();
    let mut run = None;
    for (name, file) in &read.files {
        if run.replace(name.generation) != Some(name.generation) {
            known.retain(|&epoch, _| epoch < file.header.own_from);
        }
        known.extend(file.cuts().map(|(since, cut)| (cut.epoch, (since, cut))));
    }
    let mut next = first;
    let mut cuts = Vec::new();
    for (&epoch, &(since, cut)) in known.range(first..) {
        if since > next {
            break;
        }
        cuts.push(cut.clone());
        next = epoch.next();
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::super::file::{CutsFile, CutsHeader, Group};
    use super::*;
    use crate::names::CutsName;
    use proxima_event::{Generation, PartitionId, Position};
    use std::ops::Range;
    use std::sync::Arc;

    /// Files of cuts: of each the generation, from where the run cut by itself, and the epochs. The offset of a cut
    /// tells which generation it is of.
    fn read(files: &[(u64, u64, Range<u64>)]) -> ReadCuts {
        let file = |(number, (generation, own_from, epochs)): (u64, &(u64, u64, Range<u64>))| {
            let name = CutsName { generation: Generation(*generation), number, first: Epoch(epochs.start) };
            let cuts = epochs.clone().map(|epoch| cut(epoch, *generation)).collect();
            let groups = vec![Group { since: Epoch(epochs.start), cuts }];
            (name, CutsFile { header: CutsHeader { own_from: Epoch(*own_from) }, groups })
        };
        ReadCuts { files: (0..).zip(files).map(file).collect() }
    }

    fn cut(epoch: u64, offset: u64) -> Cut {
        let partition = Arc::new(PartitionId { source: "orders".into(), name: "0".into() });
        Cut { epoch: Epoch(epoch), positions: vec![Position { partition, identity: String::new(), offset }] }
    }

    fn generations(cuts: &[Cut]) -> Vec<(u64, u64)> {
        cuts.iter().map(|cut| (cut.epoch.0, cut.positions[0].offset)).collect()
    }

    #[test]
    fn a_run_that_crashed_while_replaying_leaves_the_rest_to_the_one_before() {
        let read = read(&[(1, 0, 10..15), (2, 15, 10..12)]);
        assert_eq!(generations(&replay(&read, Epoch(10))), [(10, 2), (11, 2), (12, 1), (13, 1), (14, 1)]);
        assert_eq!(generations(&replay(&read, Epoch(13))), [(13, 1), (14, 1)]);
        assert_eq!(replay(&read, Epoch(15)), []);
    }

    #[test]
    fn what_came_after_the_successor_had_looked_does_not_count() {
        let read = read(&[(1, 0, 10..20), (2, 15, 10..11)]);
        assert_eq!(replay(&read, Epoch(10)).last().map(|cut| cut.epoch), Some(Epoch(14)));
    }

    #[test]
    fn a_run_that_cut_on_by_itself_is_followed() {
        let read = read(&[(1, 0, 10..13), (2, 13, 10..12), (2, 13, 12..18), (3, 18, 10..11)]);
        let expected: Vec<_> = std::iter::once((10, 3)).chain((11..18).map(|epoch| (epoch, 2))).collect();
        assert_eq!(generations(&replay(&read, Epoch(10))), expected);
    }

    #[test]
    fn stops_at_a_gap() {
        let read = read(&[(1, 0, 10..13), (1, 0, 14..20)]);
        assert_eq!(generations(&replay(&read, Epoch(10))), [(10, 1), (11, 1), (12, 1)]);
    }

    #[test]
    fn epochs_that_held_nothing_are_no_gap() {
        let groups = [(10, vec![cut(11, 1), cut(14, 1)]), (15, vec![cut(18, 1)]), (20, vec![cut(20, 1)])];
        let groups = groups.map(|(since, cuts)| Group { since: Epoch(since), cuts }).to_vec();
        let file = CutsFile { header: CutsHeader { own_from: Epoch(0) }, groups };
        let name = CutsName { generation: Generation(1), number: 0, first: Epoch(10) };
        let read = ReadCuts { files: [(name, file)].into() };
        let epochs = |first| replay(&read, Epoch(first)).iter().map(|cut| cut.epoch.0).collect::<Vec<_>>();
        assert_eq!(epochs(10), [11, 14, 18], "19 is missing");
        assert_eq!(epochs(13), [14, 18]);
        assert_eq!(epochs(9), [0_u64; 0], "9 is missing");
    }

    #[test]
    fn a_fresh_run_forgets_all() {
        let read = read(&[(1, 0, 0..13), (2, 0, 0..1)]);
        assert_eq!(generations(&replay(&read, Epoch(0))), [(0, 2)]);
    }
}
