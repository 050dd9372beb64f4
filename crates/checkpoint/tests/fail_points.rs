//! A process dies before and after each step of the protocol, and the next one goes on.
//!
//! The test starts itself as a child that runs a small job until it dies at the point that the environment names, again
//! and again at later comings, and then once more without dying. The job appends what it reads to a file that serves as
//! its sink, an epoch a line; in the end the sink must hold every epoch, and state must fit positions.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_checkpoint::{
    CheckpointConfig, Checkpoints, Commit, Cut, FAIL_VARIABLE, FailPoint, JobFacts, Kind, LocalStore, OperatorFacts,
    OperatorId, Recovery, Retry, Section,
};
use proxima_event::offsets::{Committed, OffsetStore, Outcome};
use proxima_event::{Epoch, Generation, KeyGroup, PartitionId, Position, StoreError};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const FOLDER_VARIABLE: &str = "PROXIMA_TEST_FOLDER";
const SUM: OperatorId = OperatorId(1);
const EPOCHS: u64 = 30;

/// Offsets in a file, as text.
struct FileOffsets(PathBuf);

impl OffsetStore for FileOffsets {
    fn load(&mut self) -> Result<Option<Committed>, StoreError> {
        Ok(None)
    }

    fn commit(&mut self, committed: &Committed) -> Result<Outcome, StoreError> {
        std::fs::write(&self.0, committed.epoch.to_string()).unwrap();
        Ok(Outcome::Stored)
    }
}

/// Epoch `e` reads records up to `e · 7`, unless it follows a cut; the state is the offset itself.
fn run_job(folder: &Path) {
    let operators = vec![OperatorFacts { id: SUM, name: "sum".to_owned() }];
    let (digest, generation_seen) = ("d".to_owned(), Generation(0));
    let job = JobFacts { digest, workers: 1, key_groups: 1, operators, fresh: false, generation_seen };
    let store = Arc::new(LocalStore::open(folder.join("checkpoints")).unwrap());
    let recovery = Recovery::read(store, Retry::default(), job).unwrap();
    let offsets: Vec<Box<dyn OffsetStore>> =
        ["a", "b"].map(|name| Box::new(FileOffsets(folder.join(name))) as Box<dyn OffsetStore>).into();
    let config = CheckpointConfig { offsets, ..CheckpointConfig::default() };
    let (checkpoints, resumption) = Checkpoints::begin(recovery, config).unwrap();
    let mut offset = 0;
    if let Some(found) = &resumption.checkpoint {
        offset = found.positions()[0].offset;
        let state = found.sections(SUM, &KeyGroup(0).into()).last().unwrap();
        assert_eq!(state.bytes, offset.to_le_bytes(), "the state fits the positions");
    }
    let mut sink = OpenOptions::new().create(true).append(true).open(folder.join("sink")).unwrap();
    let mut replay: VecDeque<_> = resumption.cuts.into();
    for epoch in resumption.first_epoch.0..EPOCHS {
        let cut = replay.pop_front_if(|cut| cut.epoch.0 == epoch);
        // Every generation cuts elsewhere, if it is free to.
        let end = cut.map_or(offset + 1 + resumption.generation.0, |cut: Cut| cut.positions[0].offset);
        checkpoints.append_cut(Cut { epoch: Epoch(epoch), positions: at(end) });
        checkpoints.wait_cut(Epoch(epoch), &|| false).unwrap();
        writeln!(sink, "{offset} {end}").unwrap();
        offset = end;
        let bytes = offset.to_le_bytes().to_vec();
        let section =
            Section { operator: SUM, groups: KeyGroup(0).into(), kind: Kind::Full, added: 0, bytes: bytes.into() };
        checkpoints.write_state(Epoch(epoch), 0, vec![section]).unwrap();
        let counters = serde_json::Value::Null;
        checkpoints.commit(Commit { epoch: Epoch(epoch), positions: at(offset), counters }).unwrap();
    }
}

fn at(offset: u64) -> Vec<Position> {
    let partition = Arc::new(PartitionId { source: "orders".into(), name: "0".into() });
    vec![Position { partition, identity: String::new(), offset }]
}

/// What a child does; in the test's own process there is nothing to do.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        run_job(Path::new(&folder));
    }
}

/// Runs the job in a process of its own; whether it came to its end.
fn run_child(folder: &Path, fail: Option<String>) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--nocapture"]).env(FOLDER_VARIABLE, folder);
    match &fail {
        Some(fail) => child.env(FAIL_VARIABLE, fail),
        None => child.env_remove(FAIL_VARIABLE),
    };
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let died = fail.is_some_and(|fail| text.contains(&format!("dies at {}", fail.split(':').next().unwrap())));
    assert!(output.status.success() || died, "the job failed: {text}");
    !died
}

#[test]
fn a_run_goes_on_wherever_the_one_before_died() {
    for point in FailPoint::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut died = 0;
        for times in [1, 2, 5, 1] {
            died += usize::from(!run_child(folder.path(), Some(format!("{}:{times}", point.name()))));
        }
        assert!(died > 0, "no run came to {}", point.name());
        assert!(run_child(folder.path(), None));
        assert!(run_child(folder.path(), None), "what is done stays done");
        check_sink(folder.path(), point);
        let last = (EPOCHS - 1).to_string();
        for offsets in ["a", "b"] {
            assert_eq!(std::fs::read_to_string(folder.path().join(offsets)).unwrap(), last, "{}", point.name());
        }
    }
}

/// The sink holds each epoch, perhaps several times, and always with the same records.
fn check_sink(folder: &Path, point: FailPoint) {
    let sink = std::fs::read_to_string(folder.join("sink")).unwrap();
    let mut written: Vec<(u64, u64)> = sink
        .lines()
        .map(|line| line.split_once(' ').map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).unwrap())
        .collect();
    written.sort_unstable();
    written.dedup();
    assert_eq!(written.len() as u64, EPOCHS, "{}", point.name());
    assert!(written.windows(2).all(|pair| pair[0].1 == pair[1].0), "{}: {written:?}", point.name());
}
