//! Keeps connections to the gateways: as many as calls are under way at once.

use crate::address::Address;
use crate::calls::Call;
use crate::fault::Fault;
use crate::link::Link;
use parking_lot::Mutex;
use proxima_checkpoint::store::rows::RowsError;
use proxima_event::Health;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a connection rests before it is let go of: gateways close theirs after a minute.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Speaks with any of the gateways. When one fails the next call goes to the next.
pub(crate) struct Client {
    address: Address,
    health: Health,
    /// Which gateway is asked.
    turn: AtomicUsize,
    resting: Mutex<Vec<Resting>>,
}

struct Resting {
    link: Link,
    gateway: usize,
    since: Instant,
}

impl Client {
    pub(crate) fn new(address: Address, health: Health) -> Self {
        Self { address, health, turn: AtomicUsize::new(0), resting: Mutex::default() }
    }

    /// Makes one call, once: what failed may have had its effect, and the caller knows what that means.
    pub(crate) fn call<C: Call>(&self, call: &C) -> Result<C::Answer, RowsError> {
        let gateway = self.turn.load(Ordering::Relaxed) % self.address.gateways.len();
        let called = self.link(gateway).and_then(|mut link| Ok((link.call(call)?, link)));
        match called {
            Ok((answer, link)) => {
                self.resting.lock().push(Resting { link, gateway, since: Instant::now() });
                Ok(answer)
            }
            Err(fault) => {
                // One of several callers that have failed there moves on.
                let next = gateway + 1;
                let _ = self.turn.compare_exchange(gateway, next % self.count(), Ordering::Relaxed, Ordering::Relaxed);
                Err(fault.at(&self.address.gateways[gateway]))
            }
        }
    }

    fn count(&self) -> usize {
        self.address.gateways.len()
    }

    fn link(&self, gateway: usize) -> Result<Link, Fault> {
        let mut resting = self.resting.lock();
        resting.retain(|resting| resting.gateway == gateway && resting.since.elapsed() < IDLE_MAX);
        match resting.pop() {
            Some(found) => Ok(found.link),
            None => {
                drop(resting);
                Link::open(&self.address.gateways[gateway], self.address.transport, &self.health)
            }
        }
    }
}
