//! `proxima run`: from the command line to a run.

use super::{data_path, load_job};
use crate::args::RunArgs;
use crate::failure::Failure;
use crate::run::{RunRequest, run as carry_out};
use std::num::NonZero;
use std::thread::available_parallelism;

/// Runs a job until its end, or until it is stopped.
pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let mut plan = load_job(&args.job.job, &args.job.overlay())?;
    if let Some(listen) = args.listen {
        plan.http.listen = listen;
    }
    let data = data_path(&plan, args.data.as_deref());
    let workers = args.workers.unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get));
    let (until_end, fresh, restart_changed) = (args.until_end, args.fresh, args.restart_changed);
    carry_out(RunRequest { plan, data, workers, until_end, fresh, restart_changed })
}
