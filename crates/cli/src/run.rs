//! A run from its start to its end: engine, stores, server and progress together.

use crate::assemble::{Assembly, Before, draft};
use crate::checkpoints::{self, Begun};
use crate::client::reachable;
use crate::data::{DataFolder, ServerInfo};
use crate::failure::Failure;
use crate::hints;
use crate::job::JobPlan;
use crate::monitor::Monitor;
use crate::progress::Progress;
use crate::rejected::RejectedFiles;
use crate::stop::Stop;
use crate::upgrade::{self, Layout};
use anyhow::{Context, Result, bail};
use proxima_engine::{
    EpochConfig, KeepRejected, KeepRejectedWrites, Restored, RunConfig, RunError, RunHandle, RunStatus,
};
use proxima_event::Generation;
use proxima_graph::PathReader;
use proxima_graph::path::WalkReader;
use proxima_publish::Evaluators;
use proxima_recommend::Service;
use proxima_serve::{
    AppState, ForgetRoute, IndexInfo, IngestRoute, Limits, RunState, Search, Server, SimilarPath, StatusSource,
};
use proxima_sink::{Counters, KvReader};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the progress line changes and signals are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// How long a run that is told to stop may take to write what it has taken in, and to make a checkpoint of it. It must be gone
/// within two seconds, of which the last answers may take one.
const LAST_WRITES: Duration = Duration::from_millis(700);

/// How long it may take to let go of them then.
const HANGING: Duration = Duration::from_millis(1_000);

/// When a job that follows its sources, and so has no end, says what can be asked.
const SETTLED: Duration = Duration::from_secs(3);

/// What to run, and how.
#[derive(Debug)]
pub struct RunRequest {
    /// The job.
    pub plan: JobPlan,
    /// Where its results rest.
    pub data: PathBuf,
    /// Threads that compute.
    pub workers: usize,
    /// Whether to end when every bounded source is read and every result is written.
    pub until_end: bool,
    /// Whether to drop what earlier runs have left, and to read every source from its beginning.
    pub fresh: bool,
    /// Whether what has changed since the last checkpoint may begin anew, while the rest goes on.
    pub restart_changed: bool,
}

/// Runs a job.
///
/// # Errors
/// When it fails, or is interrupted before the end that it was to reach.
pub fn run(request: RunRequest) -> Result<(), Failure> {
    let stop = Stop::install().map_err(Failure::Run)?;
    let ended = carry_out(&request, &stop).map_err(Failure::Run)?;
    if ended == Ended::Stopped && request.until_end { Err(Failure::Interrupted) } else { Ok(()) }
}

/// How a run ended when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Complete,
    Stopped,
}

fn carry_out(request: &RunRequest, stop: &Stop) -> Result<Ended> {
    let RunRequest { plan, data, workers, .. } = request;
    let mut data = DataFolder::open(data, &plan.name)?;
    let Beginning { generation, assembly, kept } = begin(request, &mut data)?;
    let Assembly { topology, indexes, graph, store, paths, walks, models, recommendations, ingests, .. } = assembly;
    let (judges, discarded, evaluators) = (assembly.judges, assembly.discarded, assembly.evaluators);
    let paths = served_paths(paths, walks);
    let (requests, remains) = assembly.requests.unzip();
    let lists = evaluators.iter().flat_map(Evaluators::publishers).cloned().collect();
    let readers = Readers { indexes, paths, recommendations, store, ingests, requests };
    let monitor = Monitor::new(&plan.name, *workers, models.into_values().collect(), judges);
    let monitor = Arc::new(monitor.with_graph(graph).with_lists(evaluators));
    let listen = &plan.http.listen;
    let server = Server::start(listen, readers.state(plan, &monitor))
        .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
    let address = reachable(server.address());
    data.announce(&ServerInfo { address: address.to_string(), pid: std::process::id() })?;
    let handle = proxima_engine::run(topology, run_config(plan, &data, (*workers, generation), kept)?)?;
    monitor.started(handle.control());
    if request.until_end && plan.follows() {
        let followed = plan.followed().collect::<Vec<_>>().join(", ");
        eprintln!("--until-end waits for an end that there is not: {followed} goes on until the job is stopped");
    }
    if let Some(remains) = remains {
        remains.watch(handle.control(), lists);
    }
    let ended = follow(handle, &monitor, stop, || {
        if plan.follows() && !request.until_end {
            readers.tell(address);
        }
    })
    .and_then(|ended| if ended == Ended::Complete { conclude(&data, &monitor, &discarded) } else { Ok(ended) });
    if let Ok(Ended::Complete) = ended
        && !request.until_end
    {
        readers.tell(address);
        wait(stop);
    }
    data.retract();
    server.stop().context("the HTTP server failed")?;
    ended
}

/// How a run begins.
struct Beginning {
    generation: Generation,
    assembly: Assembly,
    /// What it goes on from, and how it makes checkpoints, if it makes any.
    kept: Option<Begun>,
}

/// Finds what the run goes on from, clears what it does not, and begins it.
fn begin(request: &RunRequest, data: &mut DataFolder) -> Result<Beginning> {
    let RunRequest { plan, workers, fresh, restart_changed, .. } = request;
    let Some(checkpoint) = &plan.checkpoint else {
        data.clear()?;
        data.keep_at(None);
        let (generation, layout, data) = (data.next_generation(), Layout::whole(plan), &*data);
        let assembly = std::thread::scope(|scope| {
            // The disk takes its time.
            let noted = scope.spawn(|| data.begin(generation));
            let assembly = draft(plan, &layout, data, *workers)?.place(data, Before::Nothing)?;
            noted.join().expect("it gives its errors").map(|()| assembly)
        })?;
        return Ok(Beginning { generation, assembly, kept: None });
    };
    let kept_at = checkpoint.at.as_ref().map_or_else(|| "the data folder".to_owned(), ToString::to_string);
    let found = checkpoints::find(plan, checkpoint, data, (*workers, *fresh))?;
    let (before, layout) = if found.is_resumed() {
        let layout = upgrade::layout(plan, &found.past(data), *restart_changed)?;
        layout.tell();
        (Before::Checkpoint, layout)
    } else if let Some(last) = data.kept_at().filter(|&last| !fresh && (last != kept_at || found.is_new())) {
        // The state was there, but is not where it is looked for: to begin from nothing would be to lose it silently.
        match last == kept_at {
            true => {
                bail!("the checkpoints of the last run are gone from {last}: put them back, or start anew with --fresh")
            }
            false => bail!(
                "the last run kept its checkpoints in {last}, and in {kept_at} there are none: put them there, or start anew with --fresh"
            ),
        }
    } else if *fresh || data.generation() == Generation(0) {
        (Before::Nothing, Layout::whole(plan))
    } else {
        (Before::Parts, Layout::whole(plan))
    };
    let draft = draft(plan, &layout, data, *workers)?;
    match before {
        Before::Checkpoint => data.restart(&layout.restarted, layout.begins(), &layout.indexes_left(plan))?,
        Before::Nothing | Before::Parts => data.clear()?,
    }
    let begun = found.begin(plan, checkpoint, &draft.operators(), &layout)?;
    data.keep_at(Some(kept_at));
    data.begin(begun.generation)?;
    let assembly = draft.place(data, before)?;
    Ok(Beginning { generation: begun.generation, assembly, kept: Some(begun) })
}

fn run_config(
    plan: &JobPlan,
    data: &DataFolder,
    (workers, generation): (usize, Generation),
    kept: Option<Begun>,
) -> Result<RunConfig> {
    let epochs = EpochConfig {
        interval: plan.epoch.interval,
        records: usize::try_from(plan.epoch.records).unwrap_or(usize::MAX),
        lag: plan.epoch.lag,
    };
    let (checkpoints, restored) = match kept {
        Some(begun) => (Some(begun.checkpointing), begun.restored),
        None => (None, Restored::default()),
    };
    let kept = RejectedFiles::open(data.rejected(), plan.rejected_keep, restored.next_epoch())?;
    let records = Arc::new(kept);
    let writes = Arc::clone(&records);
    let rejected: KeepRejected = Arc::new(move |epoch, rejected| records.keep(epoch, rejected));
    let rejected_writes: KeepRejectedWrites = Arc::new(move |rejected| writes.keep_writes(rejected));
    Ok(RunConfig { workers, epochs, generation, rejected, rejected_writes, checkpoints, restored })
}

/// Waits for a run that is told to end. What hangs on then, in a server that does not answer, is left as a crash would
/// leave it: the next run goes on from the last checkpoint.
fn end_by(deadline: Instant, handle: RunHandle) -> Result<RunStatus, RunError> {
    let (tell, told) = std::sync::mpsc::channel();
    // Nobody listens any more where this comes too late.
    std::thread::spawn(move || drop(tell.send(handle.wait())));
    let left = deadline.saturating_duration_since(Instant::now());
    told.recv_timeout(left.max(LOOK)).unwrap_or_else(|_| {
        tracing::warn!("a server did not answer in time: what it was asked for is asked again by the next run");
        Err(RunError::Stopped)
    })
}

/// Follows the run until every bounded source is read and every result written, or until it is told to stop. Calls
/// `settled` once when the run has had time to show its first results.
fn follow(handle: RunHandle, monitor: &Monitor, stop: &Stop, settled: impl FnOnce()) -> Result<Ended> {
    let mut progress = Progress::start();
    let control = handle.control();
    let (started, mut settled, mut stopping) = (Instant::now(), Some(settled), None::<Instant>);
    loop {
        if started.elapsed() >= SETTLED
            && let Some(settled) = settled.take()
        {
            settled();
        }
        match stopping {
            None if stop.asked() => {
                monitor.set(RunState::Stopping);
                if monitor.has_unsaved_lists() {
                    control.want_checkpoint();
                }
                control.close();
                stopping = Some(Instant::now());
            }
            Some(since) if since.elapsed() > LAST_WRITES => control.stop(),
            _ => {}
        }
        if stopping.is_some() || control.is_stopped() {
            monitor.let_lists_be();
        }
        progress.tick(&monitor.status());
        if handle.ends_within(LOOK) || stopping.is_some_and(|since| since.elapsed() > LAST_WRITES + HANGING) {
            break;
        }
    }
    let ended = match stopping {
        None => handle.wait(),
        Some(since) => end_by(since + LAST_WRITES + HANGING, handle),
    };
    progress.finish(&monitor.status());
    match ended {
        Ok(_) if stopping.is_none() => Ok(Ended::Complete),
        Ok(_) | Err(RunError::Stopped) => Ok(Ended::Stopped),
        Err(RunError::Failed(reason)) => {
            monitor.fail(&reason);
            Err(anyhow::anyhow!(reason))
        }
    }
}

/// Leaves word of what a complete run did, for programs.
fn conclude(data: &DataFolder, monitor: &Monitor, discarded: &BTreeMap<String, Arc<Counters>>) -> Result<Ended> {
    monitor.set(RunState::Finished);
    let status = monitor.status();
    let target = |name: &str, writes: u64| match discarded.get(name) {
        Some(counted) => json!({ "writes": writes, "upserts": counted.upserts(), "deletes": counted.deletes() }),
        None => json!({ "writes": writes }),
    };
    let targets: serde_json::Map<String, Value> =
        status.sinks.iter().map(|sink| (sink.name.clone(), target(&sink.name, sink.writes))).collect();
    data.summarise(&json!({
        "records": status.records,
        "rejected": status.rejected,
        "seconds": status.uptime_s,
        "targets": targets,
        "operators": status.operators,
        "models": status.models,
        "judges": status.judges,
    }))?;
    Ok(Ended::Complete)
}

fn wait(stop: &Stop) {
    while !stop.asked() {
        std::thread::sleep(LOOK);
    }
}

/// All paths by what serves them.
fn served_paths(
    pairs: BTreeMap<String, Arc<PathReader>>,
    walks: BTreeMap<String, Arc<WalkReader>>,
) -> BTreeMap<String, Arc<dyn SimilarPath>> {
    let pairs = pairs.into_iter().map(|(name, reader)| (name, reader as Arc<dyn SimilarPath>));
    let walks = walks.into_iter().map(|(name, reader)| (name, reader as Arc<dyn SimilarPath>));
    pairs.chain(walks).collect()
}

/// What answers questions while the job runs and after.
struct Readers {
    indexes: BTreeMap<String, Arc<dyn Search>>,
    paths: BTreeMap<String, Arc<dyn SimilarPath>>,
    recommendations: Arc<Service>,
    store: Option<KvReader>,
    ingests: BTreeMap<String, IngestRoute>,
    requests: Option<ForgetRoute>,
}

impl Readers {
    fn state(&self, plan: &JobPlan, monitor: &Arc<Monitor>) -> AppState {
        let http = &plan.http;
        let limits = Limits { body_bytes: http.body_limit, timeout: http.timeout, searches: http.searches };
        let status = Arc::clone(monitor) as Arc<dyn StatusSource>;
        let queries = plan.queries.iter().map(|(name, query)| (name.clone(), query.clone()));
        AppState::new(status, self.indexes.clone(), self.paths.clone(), limits)
            .with_queries(queries)
            .with_ingests(self.ingests.clone())
            .with_forget(self.requests.clone())
            .with_recommendations(Arc::clone(&self.recommendations))
    }

    /// Says what can be asked, and how.
    fn tell(&self, address: SocketAddr) {
        let described: Vec<(String, IndexInfo)> =
            self.indexes.iter().map(|(name, index)| (name.clone(), index.describe())).collect();
        let path = self.store.as_ref().and_then(|store| {
            self.paths.iter().find_map(|(name, path)| hints::find_object(store, name, path.as_ref()))
        });
        println!("{}", hints::lines(address, &described, path.as_ref()));
    }
}
