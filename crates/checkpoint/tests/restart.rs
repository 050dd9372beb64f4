//! A run in a folder, ended at one place or another, and what the next one goes on from.

#![allow(clippy::unwrap_used, reason = "tests say by a panic what failed")]

use proxima_checkpoint::{
    CheckpointConfig, CheckpointError, Checkpoints, Commit, Cut, JobFacts, Kind, LocalStore, OperatorFacts, OperatorId,
    Recovery, Resumption, Retry, Section,
};
use proxima_event::{Epoch, Generation, KeyGroup, PartitionId, Position};
use std::path::Path;
use std::sync::Arc;

const DAILY: OperatorId = OperatorId(7);

fn job(operators: &[(OperatorId, &str)]) -> JobFacts {
    let operators = operators.iter().map(|&(id, name)| OperatorFacts { id, name: name.to_owned() }).collect();
    JobFacts {
        digest: "d1".to_owned(),
        workers: 1,
        key_groups: 4,
        operators,
        fresh: false,
        generation_seen: Generation(0),
    }
}

fn begin_as(folder: &Path, job: JobFacts) -> Result<(Checkpoints, Resumption), CheckpointError> {
    let store = Arc::new(LocalStore::open(folder).unwrap());
    let recovery = Recovery::read(store, Retry::default(), job)?;
    Checkpoints::begin(recovery, CheckpointConfig::default())
}

fn begin(folder: &Path) -> (Checkpoints, Resumption) {
    begin_as(folder, job(&[(DAILY, "daily")])).unwrap()
}

fn at(offset: u64) -> Vec<Position> {
    let partition = Arc::new(PartitionId { source: "orders".into(), name: "0".into() });
    vec![Position { partition, identity: "i".to_owned(), offset }]
}

fn cut(epoch: u64) -> Cut {
    Cut { epoch: Epoch(epoch), positions: at(epoch * 10) }
}

fn section(kind: Kind, text: &str) -> Section {
    Section { operator: DAILY, groups: KeyGroup(1).into(), kind, added: 0, bytes: text.as_bytes().to_vec().into() }
}

fn commit(checkpoints: &Checkpoints, epoch: u64, kind: Kind, text: &str) -> Result<(), CheckpointError> {
    checkpoints.write_state(Epoch(epoch), 0, vec![section(kind, text)])?;
    let counters = serde_json::json!({ "epoch": epoch });
    checkpoints.commit(Commit { epoch: Epoch(epoch), positions: at(epoch * 10), counters })
}

fn state(resumption: &Resumption) -> Vec<String> {
    let restored = resumption.checkpoint.as_ref().expect("there is a checkpoint");
    let sections = restored.sections(DAILY, &KeyGroup(1).into());
    sections.map(|section| String::from_utf8(section.bytes).unwrap()).collect()
}

fn epochs(resumption: &Resumption) -> Vec<u64> {
    resumption.cuts.iter().map(|cut| cut.epoch.0).collect()
}

const GO_ON: &dyn Fn() -> bool = &|| false;

#[test]
fn a_restart_finds_state_positions_counters_and_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let (first, resumption) = begin(folder.path());
    assert_eq!((resumption.generation, resumption.first_epoch), (Generation(1), Epoch(0)));
    assert!(resumption.checkpoint.is_none() && resumption.cuts.is_empty());
    for epoch in 0..6 {
        first.append_cut(cut(epoch));
    }
    first.wait_cut(Epoch(5), GO_ON).unwrap();
    commit(&first, 2, Kind::Full, "a").unwrap();
    commit(&first, 3, Kind::Changes, "b").unwrap();
    assert_eq!((first.status().committed, first.status().epoch), (2, Epoch(3)));
    drop(first);

    let (second, resumption) = begin(folder.path());
    assert_eq!((second.generation(), resumption.first_epoch), (Generation(2), Epoch(4)));
    assert_eq!(state(&resumption), ["a", "b"]);
    let restored = resumption.checkpoint.as_ref().unwrap();
    assert_eq!((restored.epoch(), restored.positions()), (Epoch(3), &at(30)[..]));
    assert_eq!(restored.counters(), &serde_json::json!({"epoch": 3}));
    assert_eq!(resumption.cuts, [cut(4), cut(5)]);
}

#[test]
fn a_run_without_a_checkpoint_leaves_its_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = begin(folder.path());
    first.append_cut(cut(3));
    first.append_cut(cut(7));
    first.wait_cut(Epoch(9), GO_ON).unwrap();
    drop(first);
    let (_, resumption) = begin(folder.path());
    assert!(resumption.checkpoint.is_none());
    assert_eq!((resumption.first_epoch, epochs(&resumption)), (Epoch(0), vec![3, 7]));
}

#[test]
fn a_run_that_was_succeeded_can_neither_cut_nor_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (stale, _) = begin(folder.path());
    commit(&stale, 1, Kind::Full, "a").unwrap();
    stale.append_cut(cut(2));
    stale.wait_cut(Epoch(2), GO_ON).unwrap();
    let (second, resumption) = begin(folder.path());
    assert_eq!(epochs(&resumption), [2]);
    let orphaned = CheckpointError::Orphaned { own: 1, by: 2 };
    assert_eq!(commit(&stale, 2, Kind::Full, "stale"), Err(orphaned.clone()));
    stale.append_cut(cut(3));
    assert_eq!(stale.wait_cut(Epoch(3), GO_ON), Err(orphaned));
    drop((stale, second));
    let (_, resumption) = begin(folder.path());
    assert_eq!((state(&resumption), epochs(&resumption)), (vec!["a".to_owned()], vec![2]));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_its_cuts_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = begin(folder.path());
    for epoch in 0..5 {
        first.append_cut(cut(epoch));
    }
    first.wait_cut(Epoch(4), GO_ON).unwrap();
    commit(&first, 1, Kind::Full, "a").unwrap();
    commit(&first, 3, Kind::Full, "b").unwrap();
    drop(first);
    let state_folder = folder.path().join("state").join(format!("{:020}", 1));
    let newest = std::fs::read_dir(&state_folder).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&newest, &bytes).unwrap();
    let (second, resumption) = begin(folder.path());
    assert_eq!((state(&resumption), epochs(&resumption)), (vec!["a".to_owned()], vec![2, 3, 4]));
    drop(second);

    for entry in std::fs::read_dir(&state_folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let error = begin_as(folder.path(), job(&[(DAILY, "daily")])).err().unwrap().to_string();
    assert!(error.starts_with("no checkpoint can be used: that of epoch 1: state/"), "{error}");
    assert!(error.contains("is missing") && error.ends_with("start anew with --fresh"), "{error}");
}

#[test]
fn a_fresh_run_goes_on_from_nothing_and_so_do_those_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = begin(folder.path());
    first.append_cut(cut(0));
    first.wait_cut(Epoch(0), GO_ON).unwrap();
    commit(&first, 5, Kind::Full, "a").unwrap();
    drop(first);
    let (fresh, resumption) = begin_as(folder.path(), JobFacts { fresh: true, ..job(&[(DAILY, "daily")]) }).unwrap();
    assert_eq!((resumption.generation, resumption.first_epoch), (Generation(2), Epoch(0)));
    drop(fresh);
    let (_, resumption) = begin(folder.path());
    assert!(resumption.checkpoint.is_none() && resumption.cuts.is_empty());
}

#[test]
fn an_operator_that_was_gone_does_not_find_its_old_state() {
    let folder = tempfile::tempdir().unwrap();
    let other = OperatorId(8);
    let both = job(&[(DAILY, "daily"), (other, "other")]);
    let (first, _) = begin_as(folder.path(), both.clone()).unwrap();
    let kept = Section { operator: other, ..section(Kind::Full, "kept") };
    first.write_state(Epoch(1), 0, vec![section(Kind::Full, "old"), kept]).unwrap();
    first.commit(Commit { epoch: Epoch(1), positions: at(1), counters: serde_json::Value::Null }).unwrap();
    drop(first);

    let store = Arc::new(LocalStore::open(folder.path()).unwrap());
    let without = Recovery::read(store, Retry::default(), job(&[(other, "other")])).unwrap();
    assert_eq!(without.fit().dropped, ["daily"]);
    assert!(without.fit().is_whole());
    let (second, _) = Checkpoints::begin(without, CheckpointConfig::default()).unwrap();
    second.commit(Commit { epoch: Epoch(2), positions: at(2), counters: serde_json::Value::Null }).unwrap();
    drop(second);

    let store = Arc::new(LocalStore::open(folder.path()).unwrap());
    let again = Recovery::read(store, Retry::default(), job(&[])).unwrap();
    assert!(again.knows(other) && !again.knows(DAILY));
    let again = again.with_operators(both.operators.clone());
    assert_eq!((again.fit().empty, again.fit().resumed), (vec!["daily".to_owned()], vec!["other".to_owned()]));
    let (third, resumption) = Checkpoints::begin(again, CheckpointConfig::default()).unwrap();
    assert_eq!(state(&resumption), [""; 0]);
    third.write_state(Epoch(3), 0, vec![section(Kind::Changes, "new")]).unwrap();
    third.commit(Commit { epoch: Epoch(3), positions: at(3), counters: serde_json::Value::Null }).unwrap();
    drop(third);
    let (_, resumption) = begin_as(folder.path(), both).unwrap();
    assert_eq!(state(&resumption), ["new"]);
}

#[test]
fn key_groups_are_fixed_when_the_job_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = begin(folder.path());
    commit(&first, 1, Kind::Full, "a").unwrap();
    drop(first);
    let error = begin_as(folder.path(), JobFacts { key_groups: 8, ..job(&[(DAILY, "daily")]) }).err().unwrap();
    assert_eq!(error, CheckpointError::KeyGroups { stored: 4, job: 8 });
}

#[test]
fn old_checkpoints_and_what_they_alone_need_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = begin(folder.path());
    for epoch in 0..100 {
        first.append_cut(cut(epoch));
        first.wait_cut(Epoch(epoch), GO_ON).unwrap();
        commit(&first, epoch, Kind::Full, &format!("state {epoch}")).unwrap();
    }
    let files = |below: &str| {
        let folders = std::fs::read_dir(folder.path().join(below)).unwrap();
        folders
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { path.read_dir().unwrap().count() } else { 1 })
            .sum::<usize>()
    };
    let oldest = first.oldest_positions()[0].offset;
    assert!((890..=970).contains(&oldest), "{oldest}: of three that are kept at the least");
    // Three are kept, eight come between two sweeps, and the log forgets with the sweep after.
    for below in ["state", "log", "cuts"] {
        assert!((3..=20).contains(&files(below)), "{below}: {}", files(below));
    }
    drop(first);
    let (_, resumption) = begin(folder.path());
    assert_eq!(state(&resumption), ["state 99"]);
}
