//! The threads: one sends what the supervisors' windows give out, others answer from the graph. Here, and nowhere else in
//! this crate, a clock is read.
//!
//! What changes all the time could keep all cores busy for ever. Those who answer for it give way to all others, so that
//! events are taken in first, and to one who answers for what changes now and then alone.

use crate::content::Memory;
use crate::lanes::Lane;
use crate::message::Request;
use crate::priority::give_way;
use crate::publisher::Publisher;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use proxima_graph::path::{Clock, clock};
use proxima_graph::{KindId, LiveGraph, RelationId, Touched, Watch};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Requests that wait for an evaluator. What finds no place counts as lost: it is sent again, and the window shrinks.
const QUEUE: usize = 1 << 13;

/// More of what changes now and then is not left to one: when a run begins that may be all there is.
const ALONE: usize = 64;

/// How often windows are looked at while anything waits, beside being woken …
const TICK: Duration = Duration::from_millis(5);
/// … and while nothing does.
const IDLE: Duration = Duration::from_millis(250);

/// A test's wish: every so many requests and answers, one is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of so many one; none when it is not set.
    pub drop_one_in: Option<u64>,
    /// How long each answer takes longer.
    pub delay: Duration,
}

/// All publishers of a job, and the threads that work for them. They end with the value.
pub struct Evaluators {
    publishers: Arc<Publishers>,
    stop: Arc<AtomicBool>,
    wake: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

/// Tells publishers what has changed in the graph.
struct Publishers(Vec<Arc<Publisher>>);

impl Watch for Publishers {
    fn touched(&self, relation: RelationId, touched: &Touched) {
        self.0.iter().for_each(|publisher| publisher.touched(relation, touched));
    }

    fn described(&self, kind: KindId, objects: &[u32]) {
        self.0.iter().for_each(|publisher| publisher.described(kind, objects));
    }
}

/// What publishers are made with.
pub struct Setting {
    /// The time since the beginning.
    pub clock: Clock,
    /// Wakes who sends.
    pub wake: Sender<()>,
    woken: Receiver<()>,
}

impl Default for Setting {
    fn default() -> Self {
        let (wake, woken) = bounded(1);
        Self { clock: clock(), wake, woken }
    }
}

impl Evaluators {
    /// Starts threads for the paths of a graph, which nothing has been written to yet: so many that give way, and one that
    /// does not.
    ///
    /// # Panics
    /// When the system has no room for threads.
    #[must_use]
    pub fn start(
        graph: &LiveGraph,
        publishers: Vec<Arc<Publisher>>,
        setting: Setting,
        (threads, faults): (usize, Faults),
    ) -> Self {
        let relations: BTreeSet<RelationId> = publishers.iter().flat_map(|publisher| publisher.relations()).collect();
        let kinds: BTreeSet<KindId> = publishers.iter().filter_map(|publisher| publisher.described_kind()).collect();
        let publishers = Arc::new(Publishers(publishers));
        let watch: Weak<Publishers> = Arc::downgrade(&publishers);
        graph.watch(watch, relations, kinds);
        let [(seldom, first), (often, requests)] = [bounded(ALONE), bounded(QUEUE)];
        let (stop, losses) = (Arc::new(AtomicBool::new(false)), Arc::new(Losses::new(faults)));
        let Setting { wake, woken, .. } = setting;
        let mut handles = Vec::new();
        let sender = Sends {
            publishers: Arc::clone(&publishers),
            seldom,
            often,
            woken,
            stop: Arc::clone(&stop),
            losses: Arc::clone(&losses),
        };
        handles.push(spawn("supervisors".to_owned(), move || {
            if catch_unwind(AssertUnwindSafe(|| sender.run())).is_err() {
                sender.publishers.0.iter().for_each(|publisher| publisher.break_off());
            }
        }));
        let evaluator = |requests: &Receiver<Addressed>| Evaluator {
            publishers: Arc::clone(&publishers),
            requests: requests.clone(),
            losses: Arc::clone(&losses),
        };
        let prompt = evaluator(&first);
        handles.push(spawn("evaluator".to_owned(), move || prompt.run()));
        for number in 0..threads.max(1) {
            let evaluator = evaluator(&requests);
            handles.push(spawn(format!("evaluator {number}"), move || {
                give_way();
                evaluator.run();
            }));
        }
        Self { publishers, stop, wake, threads: handles }
    }

    /// The publishers.
    #[must_use]
    pub fn publishers(&self) -> &[Arc<Publisher>] {
        &self.publishers.0
    }

    /// Nobody waits for lists any more: the run is ending.
    pub fn stop(&self) {
        self.publishers.0.iter().for_each(|publisher| publisher.stop());
    }
}

impl Drop for Evaluators {
    fn drop(&mut self) {
        self.stop();
        self.stop.store(true, SeqCst);
        // Full means that it wakes anyway.
        let _ = self.wake.try_send(());
        for thread in self.threads.drain(..) {
            // A panic was told when it happened.
            let _ = thread.join();
        }
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name).spawn(work).expect("the system has room for a thread")
}

/// A request of a worker's supervisor of a publisher.
struct Addressed {
    publisher: usize,
    worker: usize,
    request: Request,
}

/// Counts messages, and says which are lost.
struct Losses {
    faults: Faults,
    count: AtomicU64,
}

impl Losses {
    fn new(faults: Faults) -> Self {
        Self { faults, count: AtomicU64::new(0) }
    }

    fn loses(&self) -> bool {
        self.faults.drop_one_in.is_some_and(|every| self.count.fetch_add(1, Relaxed) % every == every - 1)
    }
}

struct Sends {
    publishers: Arc<Publishers>,
    seldom: Sender<Addressed>,
    often: Sender<Addressed>,
    woken: Receiver<()>,
    stop: Arc<AtomicBool>,
    losses: Arc<Losses>,
}

impl Sends {
    fn run(&self) {
        while !self.stop.load(Relaxed) {
            let mut is_idle = true;
            for (publisher, of) in self.publishers.0.iter().enumerate() {
                for worker in 0..of.workers() {
                    for (lane, request) in of.poll(worker) {
                        if !self.losses.loses() {
                            self.send(lane, Addressed { publisher, worker, request });
                        }
                    }
                }
                is_idle &= of.is_all_settled();
            }
            let _ = self.woken.recv_timeout(if is_idle { IDLE } else { TICK });
        }
    }

    fn send(&self, lane: Lane, request: Addressed) {
        let left = match lane {
            Lane::Seldom => self.seldom.try_send(request).err().map(TrySendError::into_inner),
            Lane::Often => Some(request),
        };
        if let Some(request) = left {
            // One that finds no place is sent again after the blocking time.
            let _ = self.often.try_send(request);
        }
    }
}

struct Evaluator {
    publishers: Arc<Publishers>,
    requests: Receiver<Addressed>,
    losses: Arc<Losses>,
}

impl Evaluator {
    fn run(self) {
        let mut memory = Memory::default();
        for Addressed { publisher, worker, request } in &self.requests {
            let publisher = &self.publishers.0[publisher];
            let work = AssertUnwindSafe(|| self.carry_out(publisher, worker, request, &mut memory));
            if catch_unwind(work).is_err() {
                publisher.break_off();
                return;
            }
        }
    }

    fn carry_out(&self, publisher: &Publisher, worker: usize, request: Request, memory: &mut Memory) {
        let Some(answer) = publisher.answer(worker, request, memory) else { return };
        if !self.losses.faults.delay.is_zero() {
            std::thread::sleep(self.losses.faults.delay);
        }
        if !self.losses.loses() {
            publisher.take_return(worker, answer);
        }
    }
}
