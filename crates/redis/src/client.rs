//! Keeps a connection to Redis through everything that passes: lost connections, loading servers, fail-overs.

use crate::config::RedisConfig;
use crate::fault::Fault;
use crate::link::Link;
use proxima_event::Health;
use redis::{RedisResult, Script};
use std::time::{Duration, Instant};

/// The first pause after a failure; each further one is twice as long …
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// … up to this: a server that is back is noticed within a second.
const PAUSE_MOST: Duration = Duration::from_secs(1);
/// How often a pause looks whether the run ends.
const LOOK: Duration = Duration::from_millis(50);

/// How long to try.
#[derive(Clone, Debug)]
pub(crate) enum Patience {
    /// So long from the first failure on.
    Bounded(Duration),
    /// Until the run ends: sources wait as long as their sinks do. What is waited for is said here.
    Run(Health),
}

impl Patience {
    fn is_over(&self, since: Instant) -> bool {
        match self {
            Self::Bounded(most) => since.elapsed() >= *most,
            Self::Run(health) => health.is_stopped(),
        }
    }

    fn waits(&self, server: &str, why: &str, attempts: u32) {
        if attempts == 1 {
            tracing::warn!(server, why, "the server is away: trying again");
        }
        if let Self::Run(health) = self {
            health.wait_for(format!("{server}: {why}; tried {attempts} times"));
        }
    }

    fn goes_on(&self, server: &str, attempts: u32) {
        tracing::info!(server, attempts, "the server answers again");
        if let Self::Run(health) = self {
            health.go_on();
        }
    }
}

/// A connection that is opened again when it is lost.
pub(crate) struct Client {
    config: RedisConfig,
    scripts: Vec<Script>,
    link: Option<Link>,
    /// How often a link was opened.
    opened: u64,
}

impl Client {
    pub(crate) fn new(config: RedisConfig, scripts: &[&str]) -> Self {
        let scripts = scripts.iter().map(|text| Script::new(text)).collect();
        Self { config, scripts, link: None, opened: 0 }
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// Does some work over a connection, again from its beginning after each failure that passes. The work must do no
    /// harm when it is done twice. It is told the number of the connection: what was sent over an earlier one may be
    /// lost with the server that it led to.
    pub(crate) fn call<T>(
        &mut self,
        patience: &Patience,
        mut work: impl FnMut(&mut Link, u64) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        let since = Instant::now();
        let (mut pause, mut attempts) = (PAUSE_FIRST, 0);
        loop {
            let fault = match self.attempt(&mut work) {
                Ok(done) => {
                    if attempts > 0 {
                        patience.goes_on(&self.config.name(), attempts);
                    }
                    return Ok(done);
                }
                Err(error) => Fault::from(&error),
            };
            self.link = None;
            if !fault.passing || patience.is_over(since) {
                return Err(fault);
            }
            attempts += 1;
            patience.waits(&self.config.name(), &fault.reason, attempts);
            rest(pause, patience, since);
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    fn attempt<T>(&mut self, work: &mut impl FnMut(&mut Link, u64) -> RedisResult<T>) -> RedisResult<T> {
        if self.link.is_none() {
            self.link = Some(Link::open(&self.config, &self.scripts)?);
            self.opened += 1;
        }
        work(self.link.as_mut().expect("it was opened above"), self.opened)
    }
}

fn rest(pause: Duration, patience: &Patience, since: Instant) {
    let begun = Instant::now();
    while begun.elapsed() < pause && !patience.is_over(since) {
        std::thread::sleep(LOOK.min(pause));
    }
}
