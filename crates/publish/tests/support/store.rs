//! A store of lists in memory that outlives runs, and sinks that crash.

use super::Lists;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use proxima_event::{Changes, Sink, SinkError, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// What the crash is called.
pub(crate) const CRASH: &str = "the crash that the test wants";

type Stored = BTreeMap<String, (u64, Option<Vec<(String, u64)>>)>;

/// Lists by object, with the version of their last write; deleted ones too.
#[derive(Clone, Default)]
pub(crate) struct ListStore(Arc<Mutex<Stored>>);

impl ListStore {
    pub(crate) fn lists(&self) -> Lists {
        let stored = self.0.lock().unwrap();
        stored.iter().filter_map(|(name, (_, list))| Some((name.clone(), list.clone()?))).collect()
    }

    pub(crate) fn sink(&self, bomb: &Bomb) -> ListSink {
        ListSink { store: self.clone(), bomb: bomb.clone(), seen: (0, BTreeSet::new()) }
    }
}

/// Goes off at one write, for all sinks of a run.
#[derive(Clone)]
pub(crate) struct Bomb {
    left: Arc<AtomicUsize>,
    /// Whether it goes off before the write or behind it.
    before: bool,
}

impl Bomb {
    pub(crate) fn never() -> Self {
        Self::after(usize::MAX, false)
    }

    pub(crate) fn after(writes: usize, before: bool) -> Self {
        Self { left: Arc::new(AtomicUsize::new(writes)), before }
    }

    /// Counts a write, and says whether it is the one.
    fn tick(&self) -> bool {
        let count = |left: usize| if left == usize::MAX { left } else { left.saturating_sub(1) };
        self.left.fetch_update(SeqCst, SeqCst, |left| Some(count(left))) == Ok(0)
    }
}

pub(crate) struct ListSink {
    store: ListStore,
    bomb: Bomb,
    /// The keys of the newest version: none may come twice.
    seen: (u64, BTreeSet<String>),
}

impl Sink for ListSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        let crash = || SinkError { tried: "write to", target: "a store".into(), reason: CRASH.into() };
        let goes_off = self.bomb.tick();
        if goes_off && self.bomb.before {
            return Err(crash());
        }
        if self.seen.0 != version.0 {
            self.seen = (version.0, BTreeSet::new());
        }
        let mut stored = self.store.0.lock().unwrap();
        for changes in changes {
            let names = changes.column(0).as_string::<i32>();
            let lists = changes.column(2).as_list::<i32>();
            for row in 0..changes.len() {
                let name = names.value(row).to_owned();
                assert!(self.seen.1.insert(name.clone()), "{name} comes once in a version");
                let items = lists.value(row);
                let items = items.as_struct();
                let (texts, scores) =
                    (items.column(0).as_string::<i32>(), items.column(1).as_primitive::<Float64Type>());
                let items = (0..items.len()).map(|item| (texts.value(item).to_owned(), scores.value(item).to_bits()));
                let list = (changes.weight(row) > 0).then(|| items.collect());
                let standing = stored.get(&name).map_or(0, |(version, _)| *version);
                if version.0 >= standing {
                    stored.insert(name, (version.0, list));
                }
            }
        }
        if goes_off { Err(crash()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
