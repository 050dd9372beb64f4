//! Waiting for runs, but not for ever.

use proxima_engine::{RunHandle, RunStatus};
use std::time::Duration;

/// No test's run lasts that long: one that does hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Waits for the end of a run, but not for ever.
///
/// # Errors
/// When the run fails or hangs.
pub fn finish(handle: RunHandle) -> Result<RunStatus, String> {
    let control = handle.control();
    if !handle.ends_within(HANGS) {
        let status = control.status();
        control.stop();
        return Err(format!("the run hangs: {status:?}"));
    }
    handle.wait().map_err(|error| error.to_string())
}
