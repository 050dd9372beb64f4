//! What the route that forgets somebody needs: one small contract, so that this crate knows no graph.

use crate::answers::Failure;
use std::sync::Arc;

/// Hears how far a request has come, on any thread.
pub type Told = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// Forgets objects.
pub trait Forget: Send + Sync {
    /// Asks that an object be forgotten. Calls `durable` once no crash can undo the request, or when it is refused, and
    /// `holds` once nothing is left of the object. Does not wait.
    fn forget(&self, kind: &str, id: &str, durable: Told, holds: Told);
}

/// What forgets, and who may ask for it.
#[derive(Clone)]
pub struct ForgetRoute {
    /// What forgets.
    pub requests: Arc<dyn Forget>,
    /// What a client must bring; none lets everybody ask.
    pub token: Option<String>,
}
