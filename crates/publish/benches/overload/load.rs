//! The source: fills the graph, measures what is possible, offers ten times that by the clock, and waits until it is done.

use crate::graph::{Row, catalogue};
use crate::support::batch;
use proxima_event::{Chunk, Intake, PartitionId, Payload, Position, Source, SourceError, Stopped};
use proxima_graph::graph::NO_TIME;
use proxima_graph::{RelationId, Value};
use proxima_publish::{PublishFigures, Publisher};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const USERS: u32 = 50_000;
const ITEMS: u32 = 10_000;
/// How many items each user likes. Events say so again: the graph does not grow, and each event changes twenty lists.
const LIKES: u32 = 20;

const FILL_ROWS: usize = 10_000;
/// Events that are offered and done before the next ones, to see what is possible: fewer would measure how long an epoch is,
/// more change the same lists.
const STEP: usize = 100;
const POSSIBLE: Duration = Duration::from_secs(15);
const FACTOR: f64 = 10.0;
const TICK: Duration = Duration::from_millis(10);
/// How often an event comes, and for how long, while all is calm.
const CALM: (Duration, u32) = (Duration::from_millis(20), 250);

/// What was measured.
#[derive(Default)]
pub(crate) struct Report {
    /// All that the graph was given.
    pub(crate) events: u64,
    possible_per_s: f64,
    offered: u64,
    took_s: f64,
    settled_after_s: f64,
    window_before: u64,
    window_least: u64,
    window_end: u64,
    waiting_max: u64,
    sent_again: u64,
    written: u64,
    resident_before: u64,
    resident_peaks: [u64; 2],
}

impl Report {
    pub(crate) fn to_json(&self, events_held: u64, (lists, differences): (usize, usize)) -> Json {
        let offered_per_s = self.offered as f64 / self.took_s;
        let mib = |bytes: u64| bytes >> 20;
        json!({
            "bench": "overload",
            "seconds": self.took_s.round(),
            "possible_per_s": self.possible_per_s.round(),
            "offered_per_s": offered_per_s.round(),
            "ratio": (offered_per_s / self.possible_per_s * 100.0).round() / 100.0,
            "events_offered": self.offered,
            "events_done": self.offered - (self.events - events_held.min(self.events)),
            "lists": lists,
            "lists_written": self.written,
            "window_before": self.window_before,
            "window_least": self.window_least,
            "window_end": self.window_end,
            "waiting_max": self.waiting_max,
            "sent_again": self.sent_again,
            "settled_after_s": (self.settled_after_s * 1e3).round() / 1e3,
            "before_mib": mib(self.resident_before),
            "peak_mib_middle": mib(self.resident_peaks[0]),
            "peak_mib_end": mib(self.resident_peaks[1]),
            "differences": differences,
        })
    }
}

/// The source.
pub(crate) struct Load {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) seconds: f64,
    pub(crate) report: Arc<Mutex<Report>>,
}

impl Source for Load {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let partition = Arc::new(PartitionId { source: "input".into(), name: "liked".into() });
        intake.open(Position { partition: Arc::clone(&partition), identity: "liked".into(), offset: 0 });
        let (publisher, rng) = (Arc::clone(&self.publisher), ChaCha8Rng::seed_from_u64(7));
        let relation = catalogue().relation("liked").expect("it is one of the catalogue");
        let mut events = Events { intake, publisher, partition, relation, rng, count: 0 };
        let mut report = Report::default();
        // Who is stopped has failed elsewhere, which is told there.
        let _ = self.measure(&mut events, &mut report);
        report.events = events.count;
        *self.report.lock().expect("nobody fails with it") = report;
        Ok(())
    }
}

impl Load {
    fn measure(&self, events: &mut Events, report: &mut Report) -> Result<(), Stopped> {
        events.fill()?;
        report.possible_per_s = events.possible()?;
        eprintln!("possible: {:.0} events a second", report.possible_per_s);
        report.window_before = events.calm()?;
        report.resident_before = resident_bytes();
        let (again, written) = (events.figures().masters.sent_again, events.figures().written);
        events.overload(self.seconds, report)?;
        let begin = Instant::now();
        events.settle()?;
        report.settled_after_s = begin.elapsed().as_secs_f64();
        report.sent_again = events.figures().masters.sent_again - again;
        report.written = events.figures().written - written;
        report.window_end = events.calm()?;
        Ok(())
    }
}

/// Offers events, and sees what becomes of them.
struct Events {
    intake: Arc<dyn Intake>,
    publisher: Arc<Publisher>,
    partition: Arc<PartitionId>,
    relation: RelationId,
    rng: ChaCha8Rng,
    count: u64,
}

impl Events {
    fn fill(&mut self) -> Result<(), Stopped> {
        let likes: Vec<(u32, u32)> = (0..USERS).flat_map(|user| (0..LIKES).map(move |nth| (user, nth))).collect();
        likes.chunks(FILL_ROWS).try_for_each(|likes| self.offer(likes))?;
        self.until(|figures| figures.written > 0)?;
        self.settle()
    }

    /// How many events a second come to all their lists, while no more come than do.
    fn possible(&mut self) -> Result<f64, Stopped> {
        let (begin, mut done) = (Instant::now(), 0);
        while begin.elapsed() < POSSIBLE {
            let written = self.figures().written;
            self.draw(STEP)?;
            self.until(|figures| figures.written > written)?;
            self.settle()?;
            done += STEP;
        }
        Ok(done as f64 / begin.elapsed().as_secs_f64())
    }

    /// One event now and then. Gives the window after it.
    fn calm(&mut self) -> Result<u64, Stopped> {
        for _ in 0..CALM.1 {
            self.draw(1)?;
            std::thread::sleep(CALM.0);
        }
        Ok(self.figures().masters.window)
    }

    fn overload(&mut self, seconds: f64, report: &mut Report) -> Result<(), Stopped> {
        let (begin, rate) = (Instant::now(), FACTOR * report.possible_per_s);
        report.window_least = u64::MAX;
        while begin.elapsed().as_secs_f64() < seconds {
            let elapsed = begin.elapsed().as_secs_f64();
            let due = (elapsed * rate) as u64;
            self.draw((due - report.offered) as usize)?;
            report.offered = due;
            let figures = self.figures();
            report.window_least = report.window_least.min(figures.masters.window);
            report.waiting_max = report.waiting_max.max(figures.masters.waiting + figures.changes.waiting);
            let peak = &mut report.resident_peaks[usize::from(elapsed > seconds / 2.0)];
            *peak = resident_bytes().max(*peak);
            std::thread::sleep(TICK);
        }
        report.took_s = begin.elapsed().as_secs_f64();
        Ok(())
    }

    /// Until nothing waits.
    fn settle(&self) -> Result<(), Stopped> {
        self.until(|figures| {
            let waiting = [figures.masters, figures.changes];
            waiting.iter().all(|figures| figures.waiting + figures.in_flight == 0)
        })
    }

    fn until(&self, holds: impl Fn(&PublishFigures) -> bool) -> Result<(), Stopped> {
        while !holds(&self.figures()) {
            if self.intake.stopped() {
                return Err(Stopped);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn figures(&self) -> PublishFigures {
        self.publisher.figures()
    }

    /// So many events, drawn of what users like.
    fn draw(&mut self, count: usize) -> Result<(), Stopped> {
        let likes: Vec<_> =
            (0..count).map(|_| (self.rng.random_range(0..USERS), self.rng.random_range(0..LIKES))).collect();
        if likes.is_empty() { Ok(()) } else { self.offer(&likes) }
    }

    fn offer(&mut self, likes: &[(u32, u32)]) -> Result<(), Stopped> {
        let rows: Vec<_> = likes.iter().map(|like| (0.0, 1, self.row(*like))).collect();
        let changes = batch(&rows.iter().collect::<Vec<_>>(), self.relation);
        let (start, end) = (self.count, self.count + likes.len() as u64);
        self.count = end;
        let (partition, payload) = (Arc::clone(&self.partition), Payload::Changes(changes));
        self.intake.offer(Chunk { partition, start, end, records: likes.len(), order: 0, payload })
    }

    fn row(&self, (user, nth): (u32, u32)) -> Row {
        // Any item, but the same each time.
        let item = (u64::from(user * LIKES + nth).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % u64::from(ITEMS);
        Row {
            relation: self.relation,
            subject: format!("user{user}"),
            object: format!("item{item}"),
            weight: 1,
            time_us: NO_TIME,
            attributes: vec![Value::Null],
        }
    }
}

/// Resident memory of this process, where the system tells.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
