//! What is left in stores of who is forgotten: lists of theirs, and lists of others that name them. Both are put right after
//! the graph has forgotten, so who asked is answered only then.

use proxima_engine::RunControl;
use proxima_publish::{Figures, PublishFigures, Publisher};
use proxima_serve::Told;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How often somebody looks whether lists are right by now.
const LOOK: Duration = Duration::from_millis(5);

/// Requests that hold in the graph, on their way to be answered.
pub struct Remains(Receiver<Vec<Told>>);

impl Remains {
    /// Where to hand requests, and who waits for what is left.
    #[must_use]
    pub fn new() -> (Sender<Vec<Told>>, Self) {
        let (held, remains) = channel();
        (held, Self(remains))
    }

    /// Answers from now on, on a thread that ends with the run.
    ///
    /// # Panics
    /// When the system has no room for a thread.
    pub fn watch(self, run: RunControl, lists: Vec<Arc<Publisher>>) {
        let answer = move || {
            while let Ok(mut held) = self.0.recv() {
                held.extend(self.0.try_iter().flatten());
                if is_gone(&run, &lists).is_none() {
                    // The run is ending. The requests are in the log, and the next run carries them out.
                    return;
                }
                held.into_iter().for_each(|holds| holds(Ok(())));
            }
        };
        let thread = std::thread::Builder::new().name("forgotten".to_owned()).spawn(answer);
        drop(thread.expect("the system has room for a thread"));
    }
}

/// Waits until stores hold all lists that what the graph holds now may change; none when the run ends before.
fn is_gone(run: &RunControl, lists: &[Arc<Publisher>]) -> Option<()> {
    if lists.is_empty() {
        return Some(());
    }
    let past = |of: fn(&PublishFigures) -> Figures| {
        let since = Instant::now();
        until(run, || {
            let age = since.elapsed();
            lists.iter().all(|lists| is_past(of(&lists.figures()), age))
        })
    };
    // What waits at one place leads to what waits at the next, and in the end to lists.
    for _ in 0..lists.iter().map(|lists| lists.places()).max().unwrap_or(0) {
        past(|figures| figures.changes)?;
    }
    past(|figures| figures.masters)?;
    // The lists that have come back go out at the end of an epoch that is still open.
    let open = run.status().epoch_open;
    until(run, || run.status().epoch_done > open)
}

/// Whether nothing waits any more that waited so long ago.
fn is_past(of: Figures, age: Duration) -> bool {
    let age_us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
    of.waiting + of.in_flight == 0 || of.oldest_us < age_us
}

fn until(run: &RunControl, holds: impl Fn() -> bool) -> Option<()> {
    while !holds() {
        if run.is_stopped() {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    Some(())
}
