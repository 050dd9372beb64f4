//! Waiting for runs, but not for ever.

use proxima_engine::{RunHandle, RunStatus};
use std::time::{Duration, Instant};

/// No test's run lasts that long: one that does hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Waits for the end of a run, but not for ever.
///
/// # Errors
/// When the run fails or hangs.
pub fn finish(handle: RunHandle) -> Result<RunStatus, String> {
    let control = handle.control();
    let start = Instant::now();
    while !handle.is_finished() {
        if start.elapsed() > HANGS {
            let status = control.status();
            control.stop();
            return Err(format!("the run hangs: {status:?}"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    handle.wait().map_err(|error| error.to_string())
}
