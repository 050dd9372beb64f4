//! Lists as they are kept and as they are handed on: what is kept is read all the time, so it takes as few words as it can.

use super::scratch::Reached;
use crate::graph::{NO_TIME, ObjectId};
use std::sync::Arc;

/// A list that is kept, by whoever has it.
#[derive(Clone, Debug)]
pub(super) enum KeptList {
    /// Some of its objects have times.
    Timed(Arc<[Reached]>),
    /// None has one, as behind every jump: half as long.
    Scores(Arc<[Scored]>),
}

/// An object and its score, whose bits are two words, so that nothing is left free between two of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    pub(super) object: ObjectId,
    score: [u32; 2],
}

/// Objects that were reached: in memory that is used again, or as somebody keeps them.
pub(super) enum List {
    Own(Vec<Reached>),
    Kept(KeptList),
}

/// What a list holds, where it lies.
pub(super) enum Entries<'a> {
    Reached(&'a [Reached]),
    Scored(&'a [Scored]),
}

impl Scored {
    fn of(reached: &Reached) -> Self {
        let bits = reached.score.to_bits();
        Self { object: reached.object, score: [bits as u32, (bits >> 32) as u32] }
    }

    #[inline]
    pub(super) fn score(&self) -> f64 {
        f64::from_bits(u64::from(self.score[1]) << 32 | u64::from(self.score[0]))
    }

    #[inline]
    fn reached(&self) -> Reached {
        Reached { object: self.object, time_us: NO_TIME, score: self.score() }
    }
}

impl KeptList {
    pub(super) fn of(list: &[Reached]) -> Self {
        match list.iter().all(|reached| reached.time_us == NO_TIME) {
            true => Self::Scores(list.iter().map(Scored::of).collect()),
            false => Self::Timed(list.into()),
        }
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        match self {
            Self::Timed(list) => Entries::Reached(list),
            Self::Scores(list) => Entries::Scored(list),
        }
    }
}

impl List {
    pub(super) fn entries(&self) -> Entries<'_> {
        match self {
            Self::Own(list) => Entries::Reached(list),
            Self::Kept(list) => list.entries(),
        }
    }
}

impl Entries<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Reached(list) => list.len(),
            Self::Scored(list) => list.len(),
        }
    }

    /// Gives one after the other.
    #[inline]
    pub(super) fn each(&self, give: impl FnMut(Reached)) {
        match self {
            Self::Reached(list) => list.iter().copied().for_each(give),
            Self::Scored(list) => list.iter().map(Scored::reached).for_each(give),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_same_whether_it_has_times_or_not() {
        for time_us in [NO_TIME, 0] {
            let reached = |object| Reached { object: ObjectId(object), time_us, score: f64::from(object) / -3.0 };
            let list: Vec<Reached> = [u32::MAX, 0, 1, 77].map(reached).into();
            let kept = KeptList::of(&list);
            assert_eq!(matches!(kept, KeptList::Scores(_)), time_us == NO_TIME);
            for kept in [List::Kept(kept), List::Own(list.clone())] {
                let mut given = Vec::new();
                kept.entries().each(|reached| given.push(reached));
                assert_eq!((&given, kept.entries().len()), (&list, 4));
            }
        }
        assert_eq!(size_of::<Scored>(), 12);
    }
}
