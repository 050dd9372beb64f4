//! The protocol over a real HBase.

#![allow(clippy::unwrap_used, reason = "tests")]

use proxima_checkpoint::store::Put;
use proxima_checkpoint::store::rows::{Family, NewRow, RowStore, Rows, Seen};
use proxima_checkpoint::{
    CheckpointConfig, CheckpointError, Checkpoints, Commit, Cut, JobFacts, Kind, OperatorFacts, OperatorId, Recovery,
    Resumption, Retry, Section, Store,
};
use proxima_event::{Epoch, Generation, Health, KeyGroup};
use proxima_hbase::{Address, HBaseTable};
use proxima_servers::Service;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

const SUM: OperatorId = OperatorId(1);

/// A part of the one table of all tests that nobody else uses.
fn unique() -> Address {
    let service = Service::start("hbase");
    let gateway = service.address();
    let prefix = format!("{:016x}", RandomState::new().hash_one(0));
    Address::parse(&format!("hbase://{gateway}/proxima_test/{prefix}")).unwrap()
}

fn open(address: &Address) -> RowStore {
    proxima_hbase::open(address, Health::default(), Retry::default()).unwrap()
}

#[test]
#[ignore = "needs HBase"]
fn does_what_a_folder_does() {
    let address = unique();
    let store = open(&address);
    let state = "state/00000000000000000002/00000000000000000007-0.0.bin";
    assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
    assert_eq!(store.put_if_absent("log/1.json", b"theirs").unwrap(), Put::Exists);
    assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
    let large: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
    for (name, bytes) in [("cuts/1", &large[..2_500_000]), ("cuts/2", b""), (state, &large[..]), (state, b"small")] {
        store.put(name, bytes).unwrap();
        assert_eq!(store.size(name).unwrap(), Some(bytes.len() as u64));
        assert!(store.get(name).unwrap().unwrap() == bytes, "{name}");
    }
    let names = |prefix: &str| store.list(prefix).unwrap().into_iter().map(|listed| listed.name).collect::<Vec<_>>();
    assert_eq!((names("cuts/"), names("state/")), (vec!["cuts/1".to_owned(), "cuts/2".to_owned()], vec![state.into()]));
    for name in ["log/1.json", "cuts/1", "cuts/2", state] {
        store.delete(name).unwrap();
        store.delete(name).unwrap();
        assert_eq!((store.get(name).unwrap(), store.size(name).unwrap()), (None, None));
    }
    assert_eq!(store.put_if_absent("log/1.json", b"again").unwrap(), Put::Done, "a place that was swept is free");
    assert_eq!(rows_left(&address), 1, "nothing else is left");
}

/// The rows below the address's prefix.
fn rows_left(address: &Address) -> usize {
    let table = HBaseTable::new(address.clone(), Health::default());
    let below = |first: char| {
        let range = format!("{first}/{}/", address.prefix)..format!("{first}/{}0", address.prefix);
        table.scan(range.start.as_bytes()..range.end.as_bytes(), Seen::Keys, 10_000).unwrap().len()
    };
    "0123456789abcdefn".chars().map(below).sum()
}

#[test]
#[ignore = "needs HBase"]
fn one_of_many_writers_wins() {
    let store = open(&unique());
    let won: usize = std::thread::scope(|scope| {
        let store = &store;
        let put = |writer: u8| usize::from(store.put_if_absent("log/1", &[writer]).unwrap() == Put::Done);
        let writers: Vec<_> = (0..8_u8).map(|writer| scope.spawn(move || put(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
}

#[test]
#[ignore = "needs HBase"]
fn what_a_dead_writer_left_is_swept() {
    let address = unique();
    let store = open(&address);
    store.put("state/00000000000000000001/00000000000000000007-0.0.bin", b"kept").unwrap();
    let table = HBaseTable::new(address.clone(), Health::default());
    let rows = ["mark", "part"].map(|what| match what {
        "mark" => NewRow {
            key: format!("n/{}/state/x", address.prefix).into_bytes(),
            stamp: Some(1),
            cells: vec![(Family::Head, "w:abc".to_owned(), b"1".to_vec())],
        },
        _ => NewRow {
            key: format!("a/{}/state/x\0abc\000000000000", address.prefix).into_bytes(),
            stamp: None,
            cells: vec![(Family::Value, "00000000".to_owned(), b"lost".to_vec())],
        },
    });
    table.put(&rows).unwrap();
    assert_eq!(rows_left(&address), 4);
    drop(open(&address));
    assert_eq!(rows_left(&address), 2);
}

fn begin(address: &Address) -> (Checkpoints, Resumption) {
    let operators = vec![OperatorFacts { id: SUM, name: "sum".to_owned() }];
    let (digest, generation_seen) = ("d".to_owned(), Generation(0));
    let job = JobFacts { digest, workers: 1, key_groups: 8, operators, fresh: false, generation_seen };
    let recovery = Recovery::read(Arc::new(open(address)), Retry::default(), job).unwrap();
    Checkpoints::begin(recovery, CheckpointConfig::default()).unwrap()
}

fn section(group: u16, bytes: Vec<u8>) -> Section {
    Section { operator: SUM, groups: KeyGroup(group).into(), kind: Kind::Full, added: 0, bytes: bytes.into() }
}

fn commit(checkpoints: &Checkpoints, epoch: u64, sections: Vec<Section>) -> Result<(), CheckpointError> {
    checkpoints.append_cut(Cut { epoch: Epoch(epoch), positions: Vec::new() });
    checkpoints.wait_cut(Epoch(epoch), &|| false)?;
    checkpoints.write_state(Epoch(epoch), 0, sections)?;
    checkpoints.commit(Commit { epoch: Epoch(epoch), positions: Vec::new(), counters: serde_json::Value::Null })
}

#[test]
#[ignore = "needs HBase"]
fn a_run_is_restored_and_a_stale_one_stops() {
    let address = unique();
    let (first, _) = begin(&address);
    for epoch in 0..20 {
        commit(&first, epoch, vec![section(0, vec![epoch as u8; 1000])]).unwrap();
    }
    first.append_cut(Cut { epoch: Epoch(20), positions: Vec::new() });
    first.wait_cut(Epoch(20), &|| false).unwrap();
    let (second, resumption) = begin(&address);
    let restored = resumption.checkpoint.unwrap();
    let found = restored.sections(SUM, &KeyGroup(0).into()).next().unwrap();
    assert_eq!((restored.epoch(), found.bytes), (Epoch(19), vec![19; 1000]));
    assert_eq!(resumption.cuts.len(), 1);
    assert_eq!(commit(&first, 21, vec![]), Err(CheckpointError::Orphaned { own: 1, by: 2 }));
    commit(&second, 20, vec![section(0, vec![20; 1000])]).unwrap();
    assert!(open(&address).list("state/").unwrap().len() < 15, "old state is swept");
}

/// Prints how long a checkpoint of 100 MB takes that cannot be compressed: to write and to load.
#[test]
#[ignore = "needs HBase; a measurement"]
fn a_hundred_megabytes_come_back() {
    let address = unique();
    let (checkpoints, _) = begin(&address);
    let mut word = 88_172_645_463_325_252_u64;
    let mut noise = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_le_bytes()
    };
    let sections: Vec<_> = (0..8).map(|group| section(group, (0..1_562_500).flat_map(|_| noise()).collect())).collect();
    for (epoch, bytes) in [(0, 1000), (1, usize::MAX)] {
        let of =
            |section: &Section| Section { bytes: section.bytes.slice(..bytes.min(section.bytes.len())), ..*section };
        let cut: Vec<_> = sections.iter().map(of).collect();
        let begun = Instant::now();
        commit(&checkpoints, epoch, cut).unwrap();
        eprintln!("written in {:?}, at most {bytes} bytes a section", begun.elapsed());
    }
    drop(checkpoints);
    let begun = Instant::now();
    let (_, resumption) = begin(&address);
    let restored = resumption.checkpoint.unwrap();
    eprintln!("loaded in {:?}", begun.elapsed());
    for section in sections {
        assert!(restored.sections(SUM, &section.groups).next().unwrap().bytes == section.bytes, "{:?}", section.groups);
    }
}
