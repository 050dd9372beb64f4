//! The protocol over a real server that speaks S3 with put-if-absent (`If-None-Match: *`): that of `services/s3.sh`, or the
//! one whose address `PROXIMA_S3` names, such as MinIO, with a bucket `proxima-test`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_checkpoint::store::Put;
use proxima_checkpoint::{
    CheckpointConfig, CheckpointError, Checkpoints, Commit, Cut, JobFacts, Kind, ObjectStore, ObjectStoreConfig,
    OperatorFacts, OperatorId, Recovery, Resumption, Retry, Section, Store,
};
use proxima_event::{Epoch, Generation, KeyGroup};
use proxima_servers::Service;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

const SUM: OperatorId = OperatorId(1);

fn store(prefix: &str) -> Arc<ObjectStore> {
    let endpoint = std::env::var("PROXIMA_S3").unwrap_or_else(|_| Service::start("s3").address().to_owned());
    let config = ObjectStoreConfig {
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        access_key: Some("test".to_owned()),
        secret_key: Some("test".to_owned()),
    };
    Arc::new(ObjectStore::open(&format!("s3://proxima-test/{prefix}"), &config).unwrap())
}

fn fresh_prefix() -> String {
    format!("{:016x}", RandomState::new().hash_one(0))
}

fn begin(prefix: &str) -> (Checkpoints, Resumption) {
    let operators = vec![OperatorFacts { id: SUM, name: "sum".to_owned() }];
    let (digest, generation_seen) = ("d".to_owned(), Generation(0));
    let job = JobFacts { digest, workers: 1, key_groups: 1, operators, fresh: false, generation_seen };
    let recovery = Recovery::read(store(prefix), Retry::default(), job).unwrap();
    Checkpoints::begin(recovery, CheckpointConfig::default()).unwrap()
}

fn commit(checkpoints: &Checkpoints, epoch: u64) -> Result<(), CheckpointError> {
    let bytes = vec![epoch as u8; 1000];
    checkpoints.append_cut(Cut { epoch: Epoch(epoch), positions: Vec::new() });
    checkpoints.wait_cut(Epoch(epoch), &|| false)?;
    let section =
        Section { operator: SUM, groups: KeyGroup(0).into(), kind: Kind::Full, added: 0, bytes: bytes.into() };
    checkpoints.write_state(Epoch(epoch), 0, vec![section])?;
    checkpoints.commit(Commit { epoch: Epoch(epoch), positions: Vec::new(), counters: serde_json::Value::Null })
}

#[test]
#[ignore = "starts a server that speaks S3"]
fn one_of_many_writers_wins() {
    let store = store(&fresh_prefix());
    let won: usize = std::thread::scope(|scope| {
        let store = &store;
        let writers: Vec<_> =
            (0..8_u8).map(|writer| scope.spawn(move || store.put_if_absent("log/1", &[writer]).unwrap())).collect();
        writers.into_iter().map(|writer| usize::from(writer.join().unwrap() == Put::Done)).sum()
    });
    assert_eq!(won, 1);
}

#[test]
#[ignore = "starts a server that speaks S3"]
fn a_run_is_restored_and_a_stale_one_stops() {
    let prefix = fresh_prefix();
    let (first, _) = begin(&prefix);
    for epoch in 0..20 {
        commit(&first, epoch).unwrap();
    }
    first.append_cut(Cut { epoch: Epoch(20), positions: Vec::new() });
    first.wait_cut(Epoch(20), &|| false).unwrap();
    let (second, resumption) = begin(&prefix);
    let restored = resumption.checkpoint.unwrap();
    let section = restored.sections(SUM, &KeyGroup(0).into()).next().unwrap();
    assert_eq!((restored.epoch(), section.bytes), (Epoch(19), vec![19; 1000]));
    assert_eq!(resumption.cuts.len(), 1);
    assert_eq!(commit(&first, 21), Err(CheckpointError::Orphaned { own: 1, by: 2 }));
    commit(&second, 20).unwrap();
    assert!(store(&prefix).list("state/").unwrap().len() < 15, "old state is swept");
}
