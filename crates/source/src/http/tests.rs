//! The log on a real disk: groups, crashes, keys, bounds; and the source that reads it.

use super::*;
use parking_lot::Mutex;
use proxima_event::{Payload, Resume};
use std::path::PathBuf;
use std::sync::mpsc;
use tempfile::TempDir;

type Outcome = Result<Accepted, Refused>;

fn post(log: &HttpLog, body: &str, key: &str) -> mpsc::Receiver<Outcome> {
    let (send, receive) = mpsc::channel();
    log.accept(body.as_bytes(), key, Box::new(move |outcome| drop(send.send(outcome))));
    receive
}

fn posted(log: &HttpLog, body: &str, key: &str) -> Outcome {
    post(log, body, key).recv().unwrap()
}

fn config(folder: &TempDir) -> HttpConfig {
    HttpConfig::new("clicks", folder.path().join("log"))
}

fn open(config: &HttpConfig) -> Arc<HttpLog> {
    Arc::new(HttpLog::open(config.clone()).unwrap())
}

/// Takes down what is offered and ends the run after so many records.
struct Notes {
    resume: Resume,
    records: Mutex<Vec<(u64, String)>>,
    ends: Mutex<Vec<u64>>,
    cuts: Mutex<Vec<u64>>,
    identity: Mutex<String>,
    records_max: usize,
    enough: usize,
    /// What all checkpoints are told to when one is asked for.
    release: Mutex<Option<Release>>,
}

impl Notes {
    fn new(enough: usize, records_max: usize, resume: Resume) -> Arc<Self> {
        Arc::new(Self {
            resume,
            records: Mutex::default(),
            ends: Mutex::default(),
            cuts: Mutex::default(),
            identity: Mutex::default(),
            records_max,
            enough,
            release: Mutex::default(),
        })
    }
}

impl Intake for Notes {
    fn resume(&self) -> Resume {
        self.resume.clone()
    }

    fn cut_replayed(&self) {
        self.cuts.lock().push(self.ends.lock().last().copied().unwrap_or(0));
    }

    fn open(&self, position: Position) {
        *self.identity.lock() = position.identity;
    }

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        let Payload::Bytes { data, len, messages, .. } = &chunk.payload else { panic!("{chunk:?}") };
        let mut at = 0;
        for line in data[..*len].split_inclusive(|&byte| byte == b'\n') {
            let offset = messages.as_ref().unwrap().offset_at(at);
            self.records.lock().push((offset, String::from_utf8_lossy(line).trim().to_owned()));
            at += line.len();
        }
        assert!(chunk.records <= self.records_max);
        self.ends.lock().push(chunk.end);
        Ok(())
    }

    fn end_known(&self, _: &PartitionId, _: u64) {}

    fn caught_up(&self, _: &str) {}

    fn stopped(&self) -> bool {
        self.records.lock().len() >= self.enough
    }

    fn want_checkpoint(&self) {
        if let Some(release) = &*self.release.lock() {
            let offset = self.ends.lock().last().copied().unwrap_or(0);
            release(&[Position { partition: partition("clicks"), identity: self.identity.lock().clone(), offset }]);
        }
    }

    fn records_max(&self) -> usize {
        self.records_max
    }
}

fn read(log: &Arc<HttpLog>, notes: &Arc<Notes>) -> Result<(), SourceError> {
    let intake: Arc<dyn Intake> = Arc::clone(notes) as Arc<dyn Intake>;
    Box::new(HttpSource::new(Arc::clone(log))).run(intake)
}

/// All records of a log, as `(number, text)`.
fn all(log: &Arc<HttpLog>, count: usize) -> Vec<(u64, String)> {
    let notes = Notes::new(count, 100, Resume::default());
    read(log, &notes).unwrap();
    let records = notes.records.lock().clone();
    assert_eq!(records.len(), count);
    records
}

fn segment_files(config: &HttpConfig) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(&config.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    files.sort();
    files
}

#[test]
fn what_was_answered_is_read_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let log = open(&config);
    assert_eq!(posted(&log, "{\"a\":1}", ""), Ok(Accepted { records: 1, duplicate: false }));
    assert_eq!(posted(&log, "[{\"a\":2},\n{\"a\":3}]", ""), Ok(Accepted { records: 2, duplicate: false }));
    drop(log);
    let log = open(&config);
    assert_eq!(posted(&log, "{\"a\":4}", ""), Ok(Accepted { records: 1, duplicate: false }));
    let wanted = (0..4).map(|n| (n, format!("{{\"a\":{}}}", n + 1))).collect::<Vec<_>>();
    assert_eq!(all(&log, 4), wanted);
}

#[test]
fn concurrent_requests_share_groups_and_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&HttpConfig { segment_bytes: 2_000, ..config(&folder) });
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for n in 0..50 {
                    posted(&log, &format!("[\"{client}/{n}a\",\"{client}/{n}b\"]"), "").unwrap();
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let records = all(&log, 800);
    assert!(records.iter().zip(0..).all(|((number, _), wanted)| *number == wanted), "numbers have no gaps");
    for client in 0..8 {
        let own: Vec<_> = records.iter().filter(|(_, text)| text.starts_with(&format!("\"{client}/"))).collect();
        let wanted = (0..50).flat_map(|n| ["a", "b"].map(|half| format!("\"{client}/{n}{half}\"")));
        assert!(own.into_iter().map(|(_, text)| text.clone()).eq(wanted));
    }
    assert!(segment_files(&log.shared.config).len() > 1);
}

/// What the job had read before a restart does not count as its backlog.
#[test]
fn after_a_restart_only_what_is_to_be_read_is_unread() {
    let folder = tempfile::tempdir().unwrap();
    let config = HttpConfig { segment_bytes: 150, ..config(&folder) };
    let log = open(&config);
    for n in 0..20 {
        posted(&log, &format!("[{n},{n}]"), "").unwrap();
    }
    let notes = Notes::new(40, 100, Resume::default());
    read(&log, &notes).unwrap();
    let identity = notes.identity.lock().clone();
    let held: u64 = log.shared.state.lock().segments.iter().map(|segment| segment.bytes).sum();
    drop(log);
    assert!(segment_files(&config).len() > 2);
    let config = HttpConfig { backlog_bytes: 60, ..config };
    // All entries are of one length up to the tenth, and from there on.
    let large: u64 = (held - 10 * 2) / 20 + 2;
    for (offset, unread) in [(40, 0), (38, large), (39, large), (21, 10 * large), (0, held)] {
        let log = open(&config);
        let position = Position { partition: partition("clicks"), identity: identity.clone(), offset };
        let resume = Resume { positions: vec![position], cuts: Vec::new() };
        read(&log, &Notes::new(0, 100, resume)).unwrap();
        assert_eq!(log.shared.state.lock().unread, unread, "at {offset}");
        let refused = log.shared.state.lock().unread >= 60;
        if refused {
            assert!(matches!(posted(&log, "1", ""), Err(Refused::Busy(reason)) if reason.contains("bytes behind")));
        }
    }
    let log = open(&config);
    let position = Position { partition: partition("clicks"), identity, offset: 40 };
    let notes = Notes::new(1, 100, Resume { positions: vec![position], cuts: Vec::new() });
    posted(&log, "1", "").unwrap();
    read(&log, &notes).unwrap();
    assert_eq!((notes.records.lock().clone(), log.shared.state.lock().unread), (vec![(40, "1".to_owned())], 0));
}

/// A full log takes nothing, so neither a segment nor a checkpoint would ever follow by itself.
#[test]
fn a_full_log_that_was_read_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let config = HttpConfig { log_bytes: 400, ..config(&folder) };
    let log = open(&config);
    let fill = || (0..).take_while(|_| posted(&log, "1", "").is_ok()).count();
    let mut taken = fill();
    let source = HttpSource::new(Arc::clone(&log));
    let release = source.release().unwrap();
    let at = |offset| Position { partition: partition("clicks"), identity: log.shared.identity.clone(), offset };
    // While an older checkpoint is kept, what it needs stays.
    release(&[at(3)]);
    taken += fill();
    assert!(matches!(posted(&log, "2", ""), Err(Refused::Busy(reason)) if reason.contains("no checkpoint")));
    assert!((1..=3).contains(&log.shared.state.lock().segments[0].base));
    let notes = Notes::new(taken - 3 + 1, 100, Resume { positions: vec![at(3)], cuts: Vec::new() });
    *notes.release.lock() = Some(release);
    let (reading, intake) = (Arc::clone(&log), Arc::clone(&notes));
    let reader = std::thread::spawn(move || read(&reading, &intake));
    let begin = std::time::Instant::now();
    while posted(&log, "2", "").is_err() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the log is full for ever");
        std::thread::yield_now();
    }
    reader.join().unwrap().unwrap();
    assert_eq!(notes.records.lock().last(), Some(&(taken as u64, "2".to_owned())));
    drop((source, log));
    // What stands behind the checkpoints is still there, and nothing else.
    let log = open(&config);
    let first = log.shared.state.lock().segments[0].base;
    assert_eq!((first, segment_files(&config).len()), (taken as u64, 1));
}

/// A crash leaves any part of the last request: it goes whole, and everything before it stays.
#[test]
fn a_torn_tail_is_cut_off_at_any_byte() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let log = open(&config);
    posted(&log, "{\"a\":1}", "k1").unwrap();
    let file = segment_files(&config).remove(0);
    let whole = fs::metadata(&file).unwrap().len();
    posted(&log, "[{\"a\":2},{\"a\":3}]", "k2").unwrap();
    drop(log);
    let bytes = fs::read(&file).unwrap();
    for cut in usize::try_from(whole).unwrap()..bytes.len() {
        fs::write(&file, &bytes[..cut]).unwrap();
        let log = open(&config);
        assert_eq!(fs::metadata(&file).unwrap().len(), whole, "cut at {cut}");
        assert_eq!(posted(&log, "{\"a\":4}", "k2"), Ok(Accepted { records: 1, duplicate: false }));
        assert_eq!(posted(&log, "{\"a\":1}", "k1"), Ok(Accepted { records: 1, duplicate: true }));
        assert_eq!(all(&log, 2), [(0, "{\"a\":1}".to_owned()), (1, "{\"a\":4}".to_owned())]);
        drop(log);
    }
    // Damage that is not at the end of the log is not a torn tail.
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    fs::write(config.folder.join(format!("{:020}.log", 3)), b"").unwrap();
    let error = HttpLog::open(config).map(drop).unwrap_err().to_string();
    assert!(error.contains("is damaged at byte") && error.contains("move the log away"), "{error}");
}

#[test]
fn a_key_is_known_again_through_restart_and_release() {
    let folder = tempfile::tempdir().unwrap();
    let config = HttpConfig { segment_bytes: 1, ..config(&folder) };
    let log = open(&config);
    // The second comes while the first may still be on its way to the disk.
    let both = [post(&log, "[1,2]", "order-1"), post(&log, "[1,2]", "order-1")];
    let both = both.map(|outcome| outcome.recv().unwrap().unwrap());
    assert_eq!(both.map(|accepted| accepted.duplicate), [false, true]);
    for n in 0..5 {
        posted(&log, &format!("{n}"), &format!("key {n}")).unwrap();
    }
    assert_eq!(segment_files(&config).len(), 6);
    log.release(6).unwrap();
    assert_eq!(segment_files(&config).len(), 1, "all but the last, which is being written");
    drop(log);
    let log = open(&config);
    assert_eq!(posted(&log, "[1,2]", "order-1"), Ok(Accepted { records: 2, duplicate: true }));
    assert_eq!(posted(&log, "7", "key 7"), Ok(Accepted { records: 1, duplicate: false }));
    assert_eq!(all(&log, 2), [(6, "4".to_owned()), (7, "7".to_owned())]);
    assert!(matches!(posted(&log, "1", "a\nb"), Err(Refused::BadKey(_))));
    assert!(matches!(posted(&log, "1", &"k".repeat(257)), Err(Refused::BadKey(_))));
}

#[test]
fn overload_is_refused_until_the_job_has_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&HttpConfig { backlog_bytes: 200, ..config(&folder) });
    let mut taken = 0;
    let refused = loop {
        match posted(&log, "{\"a\":1}", "") {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(&refused, Refused::Busy(reason) if reason.contains("bytes behind")), "{refused:?}");
    assert!((2..10).contains(&taken));
    all(&log, taken);
    posted(&log, "{\"a\":2}", "").unwrap();
    let log = open(&HttpConfig { log_bytes: 10, ..HttpConfig::new("clicks", folder.path().join("other")) });
    posted(&log, "{\"a\":1}", "").unwrap();
    assert!(matches!(posted(&log, "2", ""), Err(Refused::Busy(reason)) if reason.contains("no checkpoint")));
}

#[test]
fn a_restarted_source_replays_its_cuts_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let config = HttpConfig { segment_bytes: 100, ..config(&folder) };
    let log = open(&config);
    for request in 0..20 {
        let records: Vec<_> = (0..5).map(|n| (request * 5 + n).to_string()).collect();
        posted(&log, &format!("[{}]", records.join(",")), "").unwrap();
    }
    let first = Notes::new(1, 100, Resume::default());
    read(&log, &first).unwrap();
    let identity = first.identity.lock().clone();
    let at = |offset| {
        let partition = super::partition("clicks");
        Position { partition, identity: identity.clone(), offset }
    };
    for (begin, cuts) in [(0, vec![3, 3, 50]), (7, vec![8, 61, 62]), (99, vec![100])] {
        let named = cuts.iter().map(|&offset| if offset == 62 { Vec::new() } else { vec![at(offset)] }).collect();
        let resume = Resume { positions: vec![at(begin)], cuts: named };
        let notes = Notes::new(usize::try_from(100 - begin).unwrap(), 7, resume);
        read(&log, &notes).unwrap();
        let records = notes.records.lock().clone();
        assert!(records.iter().cloned().eq((begin..100).map(|n| (n, n.to_string()))), "{records:?}");
        let ends = notes.ends.lock().clone();
        for &cut in cuts.iter().filter(|&&cut| cut != 62) {
            assert!(cut == begin || ends.contains(&cut), "{cut} in {ends:?}");
        }
        let replayed: Vec<u64> = cuts.iter().map(|&cut| if cut == 62 { 61 } else { cut }).collect();
        assert_eq!(*notes.cuts.lock(), replayed);
    }
    // A run that had no checkpoint yet says where it began, too.
    let notes = Notes::new(100, 7, Resume { positions: Vec::new(), cuts: vec![vec![at(0), at(3)], vec![at(5)]] });
    read(&log, &notes).unwrap();
    assert_eq!(*notes.cuts.lock(), [3, 5]);
    let refused = |position: Position| {
        let resume = Resume { positions: vec![position], cuts: Vec::new() };
        read(&log, &Notes::new(1, 7, resume)).unwrap_err().to_string()
    };
    assert!(refused(at(101)).contains("at record 101") && refused(at(101)).contains("holds records 0 to 100"));
    assert!(refused(Position { identity: "x".into(), ..at(5) }).contains("another log than the checkpoint's"));
    // What a checkpoint has released is gone for good.
    let source = HttpSource::new(Arc::clone(&log));
    source.release().unwrap()(&[at(60)]);
    assert!(refused(at(5)).contains("at record 5"));
    let notes = Notes::new(40, 100, Resume { positions: vec![at(60)], cuts: Vec::new() });
    read(&log, &notes).unwrap();
    assert_eq!(notes.records.lock()[0].0, 60);
}

/// A disk that refuses answers nobody, and what was answered before is whole.
#[test]
fn a_log_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = HttpConfig { segment_bytes: 1, ..config(&folder) };
    let log = open(&config);
    posted(&log, "1", "a").unwrap();
    // The next segment cannot be made where a folder has its name.
    let blocked = config.folder.join(format!("{:020}.log", 1));
    fs::create_dir(&blocked).unwrap();
    let refused = posted(&log, "2", "b").unwrap_err();
    assert!(
        matches!(&refused, Refused::Unavailable(reason) if reason.contains("cannot make a segment")),
        "{refused:?}"
    );
    fs::remove_dir(&blocked).unwrap();
    assert_eq!(posted(&log, "2", "b"), Ok(Accepted { records: 1, duplicate: false }));
    drop(log);
    assert_eq!(all(&open(&config), 2).len(), 2);
}
