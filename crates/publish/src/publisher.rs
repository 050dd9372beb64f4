//! The supervisors of one path: one for each worker, for the key groups that it owns.
//!
//! What an epoch has changed is marked when the epoch ends, so it is known before any checkpoint of that epoch is saved. A
//! master stays marked until its list has been put out, by the operator, in an epoch of its own; a change stays known until
//! all that it leads to has been marked, and one save longer: whose save was a moment earlier does not have these marks.

use crate::content::{Content, Memory};
use crate::evaluate::Subject;
use crate::lanes::{Lane, Lanes, Returned};
use crate::message::{Changed, Found, List, ReqDirect, ReqIndirect, Request, RetDirect};
use crate::trace::{End, Place, Traces};
use crate::window::{Figures, Send as ToSend, WindowRules};
use crossbeam_channel::{Receiver, Sender, bounded};
use hashbrown::HashSet;
use parking_lot::Mutex;
use proxima_event::{Epoch, KEY_GROUPS, KeyGroup};
use proxima_graph::graph::NO_TIME;
use proxima_graph::path::Clock;
use proxima_graph::{Graph, KindId, LiveGraph, ObjectId, RelationId, Touched};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

/// Objects that are marked under one lock: some hundred microseconds.
const PIECE: usize = 1 << 12;

/// How often somebody who waits looks whether there is still something to wait for.
const LOOK: Duration = Duration::from_millis(20);

/// How the identities of operators begin that put lists out. One without state puts all of them out.
pub const PUBLISHES: &str = "publish ";

/// How a path's lists are published.
#[derive(Clone, Debug)]
pub struct PublishRules {
    /// The path's name.
    pub name: String,
    /// How many objects a list holds at the most.
    pub n: usize,
    /// The first epoch that the graph has seen.
    pub began: Epoch,
    /// How its supervisors send.
    pub window: WindowRules,
}

/// Keeps the lists of one path, or what else is kept of each object of a kind.
pub struct Publisher {
    graph: Arc<LiveGraph>,
    content: Content,
    rules: PublishRules,
    traces: Traces,
    clock: Clock,
    supervisors: Vec<Supervisor>,
    /// Nothing more comes: nothing is held back.
    hurry: AtomicBool,
    /// The run is ending: nobody waits for lists.
    stopped: AtomicBool,
    broken: AtomicBool,
    /// An earlier run has put lists out.
    resumed: AtomicBool,
    /// The store has lost what was put out.
    emptied: AtomicBool,
    written: AtomicU64,
    /// Wakes who sends.
    wake: Sender<()>,
}

struct Supervisor {
    state: Mutex<State>,
    /// Rings when an answer has come.
    bell: (Sender<()>, Receiver<()>),
}

struct State {
    masters: Lanes<u32>,
    changes: Lanes<Changed>,
    /// Lists that have not been put out.
    returned: BTreeMap<u32, Option<List>>,
    /// Where checkpoints are on: changes whose marks a save of another worker may not have.
    done: Option<HashSet<Changed>>,
    seen: Seen,
}

/// What changes all lists, as it was when all masters were marked last.
#[derive(PartialEq, Eq)]
struct Seen {
    at_us: u64,
    times: Vec<i64>,
    populations: Vec<u64>,
}

/// How the lists of a path stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishFigures {
    /// The path's name.
    pub path: String,
    /// Objects whose lists may have changed.
    pub masters: Figures,
    /// Changes whose masters are not known yet.
    pub changes: Figures,
    /// Lists that were put out.
    pub written: u64,
}

impl Publisher {
    /// Keeps lists over a graph; `wake` wakes who calls [`Publisher::poll`].
    #[must_use]
    pub fn new(
        graph: Arc<LiveGraph>,
        content: impl Into<Content>,
        rules: PublishRules,
        clock: Clock,
        wake: Sender<()>,
    ) -> Self {
        let content = content.into();
        let traces = content.traces();
        let supervisor = || Supervisor {
            state: Mutex::new(State {
                masters: Lanes::new(rules.window),
                // On the way to a master there may be several of them, which shall not add up.
                changes: Lanes::new(WindowRules { interval_us: rules.window.interval_us / 4, ..rules.window }),
                returned: BTreeMap::new(),
                done: None,
                seen: Seen {
                    at_us: 0,
                    times: vec![NO_TIME; traces.times().len()],
                    populations: vec![0; traces.populations().len()],
                },
            }),
            bell: bounded(1),
        };
        let supervisors = (0..graph.workers()).map(|_| supervisor()).collect();
        let [hurry, stopped, broken, resumed, emptied] = [(); 5].map(|()| AtomicBool::new(false));
        let written = AtomicU64::new(0);
        Self {
            graph,
            content,
            rules,
            traces,
            clock,
            supervisors,
            hurry,
            stopped,
            broken,
            resumed,
            emptied,
            written,
            wake,
        }
    }

    /// An earlier run has put lists out: what stands in the store is not known. To be called before the run begins.
    pub fn resume(&self) {
        self.resumed.store(true, SeqCst);
    }

    /// The store has lost what was put out: all of it is put out again. To be called before the run begins.
    pub fn refill(&self) {
        self.emptied.store(true, SeqCst);
    }

    pub(crate) fn is_emptied(&self) -> bool {
        self.emptied.load(Relaxed)
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed.load(Relaxed)
    }

    /// The path's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.rules.name
    }

    /// What is put out, in words: what is still to do of other lists, or of another graph, means nothing here.
    #[must_use]
    pub fn identity(&self) -> String {
        let PublishRules { n, began, .. } = &self.rules;
        format!("{PUBLISHES}{n} since {} of {}", began.0, self.content.describe(self.graph.catalogue()))
    }

    /// The relations whose edges matter.
    pub(crate) fn relations(&self) -> impl Iterator<Item = RelationId> {
        self.traces.relations().into_iter()
    }

    /// The kind whose attributes matter, if any does.
    pub(crate) fn described_kind(&self) -> Option<KindId> {
        match self.content {
            Content::Attributes(kind) => Some(kind),
            Content::Path(_) | Content::Related { .. } => None,
        }
    }

    /// What is put out.
    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    pub(crate) fn graph(&self) -> &LiveGraph {
        &self.graph
    }

    /// The kind of the masters.
    pub(crate) fn kind(&self) -> KindId {
        self.content.kind(self.graph.catalogue())
    }

    pub(crate) fn workers(&self) -> usize {
        self.supervisors.len()
    }

    /// Checkpoints are on for this worker's supervisor.
    pub(crate) fn track(&self, worker: usize) {
        self.state(worker).done.get_or_insert_default();
    }

    fn state(&self, worker: usize) -> parking_lot::MutexGuard<'_, State> {
        self.supervisors[worker].state.lock()
    }

    fn owner(&self, object: u32) -> usize {
        ObjectId(object).key_group().worker(KEY_GROUPS, self.supervisors.len())
    }

    /// Edges of a relation have changed.
    pub(crate) fn touched(&self, relation: RelationId, touched: &Touched) {
        for (end, place) in self.traces.starts(relation) {
            match end {
                End::Subject => self.mark(place, touched.subjects()),
                End::Object => self.mark(place, touched.objects()),
            }
        }
        self.wake();
    }

    /// Attributes of objects of a kind have changed.
    pub(crate) fn described(&self, kind: KindId, objects: &[u32]) {
        if self.described_kind() == Some(kind) {
            self.mark(Place::MASTER, objects);
            self.wake();
        }
    }

    /// Objects have changed at a place: of masters the list, of others the edges.
    pub(crate) fn mark(&self, place: Place, objects: &[u32]) {
        let mut parts = vec![Vec::new(); self.supervisors.len()];
        objects.iter().for_each(|&object| parts[self.owner(object)].push(object));
        let now_us = (self.clock)();
        for (worker, objects) in parts.iter().enumerate() {
            for piece in objects.chunks(PIECE) {
                let mut state = self.state(worker);
                for &object in piece {
                    match place {
                        Place::MASTER => state.masters.mark(object, now_us),
                        place => state.changes.mark(Changed { place, object }, now_us),
                    }
                }
            }
        }
    }

    /// Marks all masters of these key groups that have texts.
    pub(crate) fn mark_all(&self, groups: impl Iterator<Item = KeyGroup>) {
        for group in groups {
            let masters: Vec<u32> = self.graph.named(self.kind(), group).iter().map(|object| object.0).collect();
            self.mark(Place::MASTER, &masters);
        }
        self.wake();
    }

    /// A master was forgotten: answers about it as it was do not count. If its text has come again, it
    /// begins anew, by the number that is returned.
    pub(crate) fn forget(&self, worker: usize, name: &str) -> Option<u32> {
        let id = self.graph.id(self.kind(), name);
        let mut state = self.state(worker);
        let returned = state.returned.iter().filter(|(_, list)| list.as_ref().is_some_and(|list| *list.name == *name));
        let known: Vec<u32> = returned.map(|(master, _)| *master).chain(id.map(|id| id.0)).collect();
        for master in known {
            state.returned.remove(&master);
            state.masters.forget(master);
        }
        if let Some(id) = id {
            state.masters.mark(id.0, (self.clock)());
        }
        id.map(|id| id.0)
    }

    /// What a worker's supervisor sends now.
    pub fn poll(&self, worker: usize) -> Vec<(Lane, Request)> {
        let now_us = (self.clock)();
        let hurry = self.hurry.load(Relaxed);
        self.mark_changed_all(worker, now_us, hurry);
        let state = &mut *self.state(worker);
        let changes = state.changes.poll(now_us, usize::MAX, hurry);
        // Lists that nobody takes, since a store is slow, hold new ones back: so memory is bounded.
        let room = self.rules.window.big.saturating_sub(state.returned.len());
        let masters = state.masters.poll(now_us, room, hurry);
        let indirect = |(lane, send): (Lane, ToSend<Changed>)| {
            (lane, Request::Indirect(ReqIndirect { through: send.key, attempt: send.attempt }))
        };
        let direct = |(lane, send): (Lane, ToSend<u32>)| {
            (lane, Request::Direct(ReqDirect { master: send.key, attempt: send.attempt }))
        };
        changes.into_iter().map(indirect).chain(masters.into_iter().map(direct)).collect()
    }

    /// Marks all masters of a worker, if something has changed that changes all lists: at most once an interval.
    fn mark_changed_all(&self, worker: usize, now_us: u64, hurry: bool) {
        if self.traces.times().is_empty() && self.traces.populations().is_empty() {
            return;
        }
        let times = self.traces.times().iter().map(|&relation| self.graph.newest_us(relation));
        let populations = self.traces.populations().iter();
        {
            let mut state = self.state(worker);
            // Who ends the run may have looked since the time was taken.
            let since_us = now_us.saturating_sub(state.seen.at_us);
            if !hurry && state.seen.at_us != 0 && since_us < self.rules.window.interval_us {
                return;
            }
            let populations = populations.map(|&kind| self.graph.population(kind));
            let seen = Seen { at_us: state.seen.at_us, times: times.collect(), populations: populations.collect() };
            if seen == state.seen {
                return;
            }
            state.seen = Seen { at_us: now_us.max(1), ..seen };
        }
        let groups = (0..KEY_GROUPS as u16).map(KeyGroup);
        self.mark_all(groups.filter(|group| group.worker(KEY_GROUPS, self.supervisors.len()) == worker));
    }

    /// Whether an answer to a request would count.
    fn expects(&self, worker: usize, request: Request) -> bool {
        let state = self.state(worker);
        match request {
            Request::Direct(ReqDirect { master, attempt }) => state.masters.expects(master, attempt),
            Request::Indirect(ReqIndirect { through, attempt }) => state.changes.expects(through, attempt),
        }
    }

    /// Answers a request of a worker's supervisor, if it is still of use.
    pub(crate) fn answer(&self, worker: usize, request: Request, memory: &mut Memory) -> Option<RetDirect> {
        let subject = Subject { graph: &self.graph, content: &self.content, traces: &self.traces, n: self.rules.n };
        self.expects(worker, request).then(|| subject.answer(request, memory))
    }

    /// Takes an answer to a request of a worker's supervisor.
    pub fn take_return(&self, worker: usize, RetDirect { request, found }: RetDirect) {
        if let Found::Nearer(place, objects) = &found {
            // Before the change is done with: a checkpoint has the one or the other.
            self.mark(*place, objects);
        }
        let now_us = (self.clock)();
        let state = &mut *self.state(worker);
        let is_round_over = match (request, found) {
            (Request::Direct(ReqDirect { master, attempt }), Found::List(list)) => {
                let Returned { counts, is_round_over } = state.masters.returned(master, attempt, now_us);
                if counts {
                    state.returned.insert(master, list);
                }
                is_round_over
            }
            (Request::Indirect(ReqIndirect { through, attempt }), Found::Nearer(..)) => {
                let Returned { counts, is_round_over } = state.changes.returned(through, attempt, now_us);
                if counts && let Some(done) = &mut state.done {
                    done.insert(through);
                }
                is_round_over
            }
            (request, found) => unreachable!("{found:?} is no answer to {request:?}"),
        };
        if is_round_over {
            self.wake();
            // Nobody waits when it is full: somebody will look anyway.
            let _ = self.supervisors[worker].bell.0.try_send(());
        }
    }

    /// The lists that have come back since the last call.
    ///
    /// # Panics
    /// When no more come, since a thread that works for it has failed.
    pub(crate) fn take_lists(&self, worker: usize) -> BTreeMap<u32, Option<List>> {
        assert!(!self.broken.load(Relaxed), "the evaluation of path {} failed: see the log above", self.name());
        let lists = std::mem::take(&mut self.state(worker).returned);
        if !lists.is_empty() {
            self.wake();
        }
        lists
    }

    /// How many places a change goes through before its masters are known, at the most.
    #[must_use]
    pub fn places(&self) -> usize {
        self.traces.places()
    }

    /// Waits until nothing of a worker's waits any more, and gives the lists that have come until then. Nothing more may
    /// be written to the graph.
    pub(crate) fn drain(&self, worker: usize) -> BTreeMap<u32, Option<List>> {
        self.mark_changed_all(worker, (self.clock)(), true);
        self.hurry.store(true, SeqCst);
        self.wake();
        let mut lists = self.take_lists(worker);
        while !self.is_settled(worker) && !self.stopped.load(Relaxed) {
            // Also without the bell: another worker's changes lead to masters here.
            let _ = self.supervisors[worker].bell.1.recv_timeout(LOOK);
            lists.extend(self.take_lists(worker));
        }
        lists
    }

    fn is_settled(&self, worker: usize) -> bool {
        let changes = |supervisor: &Supervisor| supervisor.state.lock().changes.is_settled();
        if !self.supervisors.iter().all(changes) {
            return false;
        }
        let state = self.state(worker);
        state.masters.is_settled() && state.returned.is_empty()
    }

    /// Whether nothing waits anywhere.
    #[must_use]
    pub fn is_all_settled(&self) -> bool {
        (0..self.supervisors.len()).all(|worker| self.is_settled(worker))
    }

    /// What a checkpoint must hold of a worker, by key group: the objects that have something to do, with their places.
    pub(crate) fn save(&self, worker: usize) -> BTreeMap<KeyGroup, Vec<Changed>> {
        let state = &mut *self.state(worker);
        let masters = state.masters.keys().chain(state.returned.keys().copied());
        let masters = masters.map(|object| Changed { place: Place::MASTER, object });
        let done = state.done.as_mut().map(std::mem::take).unwrap_or_default();
        let mut all: Vec<Changed> = masters.chain(state.changes.keys()).chain(done).collect();
        all.sort_unstable();
        all.dedup();
        let mut groups = BTreeMap::<KeyGroup, Vec<Changed>>::new();
        all.into_iter()
            .for_each(|changed| groups.entry(ObjectId(changed.object).key_group()).or_default().push(changed));
        groups
    }

    pub(crate) fn count_written(&self, lists: u64) {
        self.written.fetch_add(lists, Relaxed);
    }

    /// Nobody waits for lists any more.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    /// A thread that works for it cannot go on.
    pub(crate) fn break_off(&self) {
        self.broken.store(true, SeqCst);
    }

    fn wake(&self) {
        // Who is full has been told already.
        let _ = self.wake.try_send(());
    }

    /// How the lists stand, over all workers.
    #[must_use]
    pub fn figures(&self) -> PublishFigures {
        let now_us = (self.clock)();
        let mut all = PublishFigures {
            path: self.name().to_owned(),
            written: self.written.load(Relaxed),
            ..PublishFigures::default()
        };
        for supervisor in &self.supervisors {
            let state = supervisor.state.lock();
            all.masters = all.masters.joined(state.masters.figures(now_us));
            all.changes = all.changes.joined(state.changes.figures(now_us));
            all.masters.waiting += state.returned.len() as u64;
        }
        all
    }
}
