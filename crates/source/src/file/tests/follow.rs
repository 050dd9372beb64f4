//! Files that are followed: growth, new files, both ways of rotation, a prompt stop.

use super::bounded::{gzip, numbers, positions, text};
use super::*;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A source that follows what is at a path, on a thread of its own.
struct Following {
    folder: TempDir,
    intake: Arc<FakeIntake>,
    thread: Option<JoinHandle<Result<(), SourceError>>>,
}

impl Following {
    /// Follows `path` in a folder with these files, quickly.
    fn new(path: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut following = Self { folder, intake: FakeIntake::new(1000), thread: None };
        following.start(path, Vec::new());
        following
    }

    fn start(&mut self, path: &str, resume: Vec<Position>) {
        let config = FileConfig::new("s", self.path(path), Framing::Lines).following().resuming(resume);
        let config = FileConfig { poll: Duration::from_millis(1), rotated: Duration::from_millis(50), ..config };
        self.intake = FakeIntake::new(1000);
        let intake = Arc::clone(&self.intake);
        self.thread = Some(std::thread::spawn(move || run(config, &intake)));
        self.intake.wait(|notes| notes.caught_up > 0);
    }

    fn stop(&mut self) {
        self.intake.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn wait_for(&self, lines: &[&str]) {
        self.intake.wait(|notes| notes.texts().len() >= lines.len());
        assert_eq!(self.intake.read(Notes::texts), lines);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.intake.stop();
    }
}

#[test]
fn what_grows_is_read_on_line_by_line() {
    let following = Following::new("a.log", &[("a.log", "one\ntw")]);
    following.wait_for(&["one"]);
    following.append("a.log", "o\nthr");
    following.wait_for(&["one", "two"]);
    following.append("a.log", "ee\n");
    following.wait_for(&["one", "two", "three"]);
    assert_eq!(following.intake.read(|notes| notes.caught_up), 1);
}

#[test]
fn new_files_are_found_in_a_folder_and_by_a_glob() {
    for path in ["", "*.log"] {
        let following = Following::new(path, &[]);
        following.append("a.log", "one\n");
        following.wait_for(&["one"]);
        following.append("b.log", "two\n");
        following.wait_for(&["one", "two"]);
        following.append("a.log", "three\n");
        following.wait_for(&["one", "two", "three"]);
    }
}

#[test]
fn a_file_that_is_renamed_and_created_anew_is_finished_first() {
    let following = Following::new("a.log", &[("a.log", "one\n")]);
    following.wait_for(&["one"]);
    following.append("a.log", "two\n");
    fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
    following.append("a.log.1", "three\n");
    following.append("a.log", "four\n");
    following.wait_for(&["one", "two", "three", "four"]);
    following.append("a.log", "five\n");
    following.wait_for(&["one", "two", "three", "four", "five"]);
}

#[test]
fn a_writer_may_go_on_with_a_file_that_was_renamed_or_deleted() {
    for delete in [false, true] {
        let following = Following::new("a.log", &[("a.log", "one\n")]);
        let mut old = OpenOptions::new().append(true).open(following.path("a.log")).unwrap();
        following.wait_for(&["one"]);
        if delete {
            fs::remove_file(following.path("a.log")).unwrap();
        } else {
            fs::rename(following.path("a.log"), following.path("b.log")).unwrap();
        }
        following.append("a.log", "two\n");
        following.wait_for(&["one", "two"]);
        old.write_all(b"late").unwrap();
        following.wait_for(&["one", "two", "late"]);
    }
}

#[test]
fn a_file_that_keeps_matching_under_its_new_name_is_not_read_twice() {
    let following = Following::new("a.log*", &[("a.log", "one\n")]);
    following.wait_for(&["one"]);
    fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
    following.append("a.log", "two\n");
    following.wait_for(&["one", "two"]);
    following.append("a.log.1", "three\n");
    following.wait_for(&["one", "two", "three"]);
    let files = following.intake.read(|notes| notes.lines().into_iter().map(|record| record.file).collect::<Vec<_>>());
    assert_eq!(files, ["a.log", "a.log", "a.log.1"]);
}

#[test]
fn a_file_that_is_copied_and_truncated_is_read_anew() {
    let following = Following::new("a.log", &[("a.log", "one\ntwo\n")]);
    following.wait_for(&["one", "two"]);
    fs::copy(following.path("a.log"), following.path("a.log.1")).unwrap();
    fs::write(following.path("a.log"), "three\n").unwrap();
    following.wait_for(&["one", "two", "three"]);
    // Longer than what was read before, so that only its beginning tells.
    fs::write(following.path("a.log"), "four\nfive\nsix\nseven\n").unwrap();
    following.wait_for(&["one", "two", "three", "four", "five", "six", "seven"]);
}

#[test]
fn packed_files_may_come_in_pieces_and_grow() {
    let following = Following::new("*.gz", &[]);
    let packed = gzip(&text(&numbers(0..1000)));
    let (front, back) = packed.split_at(packed.len() / 2);
    fs::write(following.path("a.gz"), front).unwrap();
    following.intake.wait(|notes| !notes.chunks.is_empty());
    let mut file = OpenOptions::new().append(true).open(following.path("a.gz")).unwrap();
    file.write_all(back).unwrap();
    following.intake.wait(|notes| notes.texts().len() == 1000);
    file.write_all(&gzip(&text(&numbers(1000..1010)))).unwrap();
    following.intake.wait(|notes| notes.texts().len() == 1010);
    assert_eq!(following.intake.read(Notes::texts), numbers(0..1010));
}

#[test]
fn a_file_that_was_rotated_while_nobody_looked_is_known_under_its_new_name() {
    let mut following = Following::new("a.log", &[("a.log", "one\n")]);
    following.wait_for(&["one"]);
    following.stop();
    following.append("a.log", "two\n");
    fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
    following.append("a.log", "three\n");
    let positions = following.intake.read(positions);
    following.start("a.log", positions);
    following.wait_for(&["two", "three"]);
}

#[test]
fn the_stored_identity_grows_with_the_file() {
    let following = Following::new("a.log", &[("a.log", "h\n")]);
    following.wait_for(&["h"]);
    following.append("a.log", "one\n");
    following.intake.wait(|notes| notes.opened.len() == 2);
    let (first, second) = following.intake.read(|notes| (notes.opened[0].clone(), notes.opened[1].clone()));
    assert_ne!(first.identity, second.identity);
    assert_eq!((first.offset, second.offset), (0, 6));
}

#[test]
fn a_source_that_waits_stops_promptly() {
    let mut following = Following::new("", &[]);
    let begin = Instant::now();
    following.stop();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}
