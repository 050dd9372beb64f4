//! `proxima serve`: answers from what a job keeps in Redis, beside the run or without it.

use super::{load_job, print};
use crate::args::ServeArgs;
use crate::client::reachable;
use crate::failure::Failure;
use crate::hints;
use crate::job::{JobPlan, Overlay};
use crate::remote::{RemoteLists, remote_lists};
use crate::stop::Stop;
use anyhow::Context;
use proxima_serve::{AppState, Limits, Memory, RunState, Server, Status, StatusSource};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often signals are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Serves until it is stopped.
pub(super) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let plan = load_job(&args.job.job, &Overlay { without_inputs: true, lists: true, ..args.job.overlay() })?;
    let lists = remote_lists(&plan);
    if lists.stores.is_empty() {
        let message = format!("job \"{}\" keeps no lists in Redis, so only its run can answer", plan.name);
        return Err(Failure::Usage(format!(
            "{message}; give a path or a recommendation output = {{ sink = \"NAME\" }}, or run the job"
        )));
    }
    let stop = Stop::install()?;
    look_at_stores(&lists)?;
    let listen = args.listen.as_ref().unwrap_or(&plan.http.listen);
    let names: Vec<String> = lists.paths.keys().cloned().collect();
    let recommended: Vec<String> = lists.recommendations.answered().map(str::to_owned).collect();
    let server = Server::start(listen, state(&plan, lists))
        .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
    print(&hints::of_lists(reachable(server.address()), &names, &recommended))?;
    while !stop.asked() {
        std::thread::sleep(LOOK);
    }
    server.stop().context("the HTTP server failed")?;
    Ok(())
}

/// A server that refuses will refuse later; one that is away may come.
fn look_at_stores(lists: &RemoteLists) -> Result<(), Failure> {
    for store in &lists.stores {
        match store.connect() {
            Err(error) if error.passing => eprintln!("warning: {error}; until it is there, questions are told so"),
            connected => connected.map_err(anyhow::Error::from)?,
        }
    }
    Ok(())
}

fn state(plan: &JobPlan, lists: RemoteLists) -> AppState {
    let http = &plan.http;
    let limits = Limits { body_bytes: http.body_limit, timeout: http.timeout, searches: http.searches };
    let state = AppState::new(status(plan.name.clone()), BTreeMap::new(), lists.paths, limits);
    state.with_recommendations(Arc::new(lists.recommendations))
}

/// There is no run to tell of.
fn status(job: String) -> Arc<dyn StatusSource> {
    let started = Instant::now();
    Arc::new(move || Status {
        job: job.clone(),
        state: RunState::Running,
        uptime_s: started.elapsed().as_secs_f64(),
        memory: Memory::of_this_process(),
        ..Status::default()
    })
}
