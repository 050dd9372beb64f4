//! Objects in a table: what a reader sees, and what is left.

use super::memory::MemoryRows;
use super::*;

const STATE: &str = "state/00000000000000000001/00000000000000000007-0.0.bin";
/// Cells so small that everything is cut.
const LAYOUT: Layout = Layout { cell_bytes: 4, call_bytes: 12 };

fn open(table: &Arc<MemoryRows>, prefix: &str) -> RowStore {
    RowStore::open(Arc::clone(table) as Arc<dyn Rows>, prefix, "memory", LAYOUT).unwrap()
}

fn keys(table: &MemoryRows) -> usize {
    table.0.lock().keys().len()
}

#[test]
fn does_what_a_folder_does() {
    let table = Arc::new(MemoryRows::default());
    for prefix in ["", "jobs/mall/"] {
        let store = open(&table, prefix);
        assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
        assert_eq!(store.put_if_absent("log/1.json", b"theirs").unwrap(), Put::Exists);
        assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
        store.put("log/2.json", b"two and more").unwrap();
        store.put("other/3", b"larger than a call").unwrap();
        store.put(STATE, b"state").unwrap();
        let names: Vec<_> = store.list("log/").unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["log/1.json", "log/2.json"]);
        for (name, text) in
            [("log/2.json", &b"two and more"[..]), ("other/3", b"larger than a call"), (STATE, b"state")]
        {
            assert_eq!(store.get(name).unwrap().unwrap(), text);
            assert_eq!(store.size(name).unwrap(), Some(text.len() as u64));
            store.delete(name).unwrap();
            store.delete(name).unwrap();
            assert_eq!((store.get(name).unwrap(), store.size(name).unwrap()), (None, None));
        }
        store.put(STATE, b"").unwrap();
        assert_eq!(store.get(STATE).unwrap().unwrap(), b"", "a name that was deleted can be written again");
        store.delete(STATE).unwrap();
        assert!(store.append("cuts/1").unwrap().is_none());
    }
    assert_eq!(keys(&table), 2, "one log entry below each prefix");
}

#[test]
fn a_shorter_object_leaves_nothing_of_a_longer_one() {
    let store = open(&Arc::default(), "");
    for text in ["a longer one", "short", ""] {
        store.put("cuts/1", text.as_bytes()).unwrap();
        assert_eq!(store.get("cuts/1").unwrap().unwrap(), text.as_bytes());
    }
}

#[test]
fn what_does_not_fit_a_row_is_not_put_if_absent() {
    let error = open(&Arc::default(), "").put_if_absent("log/1", b"more than twelve").unwrap_err();
    assert_eq!(error.to_string(), "cannot write memory/log/1: 16 bytes do not fit the 12 of a row");
    assert!(error.lasting);
}

#[test]
fn state_carries_its_version_as_time() {
    let table = Arc::new(MemoryRows::default());
    let store = open(&table, "");
    store.put(STATE, b"two cells").unwrap();
    let table = table.0.lock();
    let parts: Vec<_> = table.keys().into_iter().filter(|key| !key.starts_with(b"n/")).collect();
    assert_eq!(parts.len(), 3);
    for key in parts {
        assert_eq!(table.get(&key, None).cells[0].stamp, (1 << 40) + 7);
    }
}

#[test]
fn a_write_that_was_not_finished_is_not_seen_and_swept() {
    let table = Arc::new(MemoryRows::default());
    let store = open(&table, "");
    let write = store.write_rows(STATE, b"whole but for the head", Some(9)).unwrap();
    assert_eq!((store.get(STATE).unwrap(), store.list("state/").unwrap()), (None, vec![]));
    drop(open(&table, "other"));
    assert_eq!(keys(&table), 7, "another prefix is left alone");
    drop(open(&table, ""));
    assert_eq!(keys(&table), 0);
    let mark = (Family::Head, mark(&write), MARKED.to_vec());
    table.put(&[NewRow { key: b"n/x".to_vec(), stamp: Some(MARK_STAMP), cells: vec![mark] }]).unwrap();
    drop(open(&table, ""));
    assert_eq!(keys(&table), 0, "a mark alone");
}

/// A writer was paused before it wrote the head, and its rows were swept meanwhile.
#[test]
fn a_writer_whose_rows_were_swept_makes_no_head() {
    let table = Arc::new(MemoryRows::default());
    let store = open(&table, "");
    let write = store.write_rows(STATE, b"state", Some(9)).unwrap();
    store.sweep().unwrap();
    // Its mark arrives once more.
    let marked = (Family::Head, mark(&write), MARKED.to_vec());
    let again = NewRow { key: store.keys.head(STATE), stamp: Some(MARK_STAMP), cells: vec![marked] };
    table.put(&[again]).unwrap();
    let head = Change::Put(vec![(Family::Head, HEAD.to_owned(), b"{}".to_vec())]);
    assert!(!table.change_if(&store.keys.head(STATE), &mark(&write), Some(MARKED), head).unwrap());
    store.put(STATE, b"state").unwrap();
    assert_eq!(store.get(STATE).unwrap().unwrap(), b"state", "it writes again");
}

#[test]
fn an_object_whose_rows_are_lost_is_missing() {
    let table = Arc::new(MemoryRows::default());
    let store = open(&table, "");
    store.put(STATE, b"some state").unwrap();
    let part = table.0.lock().keys().remove(0);
    table.delete(&[part], Some(i64::MAX)).unwrap();
    assert_eq!(store.get(STATE).unwrap(), None);
}

#[test]
fn one_of_many_threads_wins() {
    let store = open(&Arc::default(), "");
    let won: usize = std::thread::scope(|scope| {
        let store = &store;
        let put = |writer: u8| usize::from(store.put_if_absent("log/1", &[writer]).unwrap() == Put::Done);
        let writers: Vec<_> = (0..8_u8).map(|writer| scope.spawn(move || put(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
}
