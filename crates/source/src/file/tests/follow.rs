//! Files that are followed: growth, new files, both ways of rotation, a prompt stop.

use super::bounded::{gzip, numbers, text};
use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
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
        self.start_as(path, resume, |config| config);
    }

    fn start_as(&mut self, path: &str, resume: Vec<Position>, change: impl FnOnce(FileConfig) -> FileConfig) {
        let config = FileConfig::new("s", self.path(path), Framing::Lines).following().resuming(resume);
        let config = FileConfig { poll: Duration::from_millis(1), rotated: Duration::from_millis(50), ..config };
        let config = change(config);
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

/// Packs a file as `gzip` does: the copy is whole before the file goes.
fn pack(following: &Following, from: &str, to: &str) {
    let text = fs::read_to_string(following.path(from)).unwrap();
    fs::write(following.path(to), gzip(&text)).unwrap();
    fs::remove_file(following.path(from)).unwrap();
}

#[test]
fn a_packed_copy_is_not_read_twice() {
    let following = Following::new("a.log*", &[("a.log", "one\ntwo\n")]);
    following.wait_for(&["one", "two"]);
    for (n, next) in ["three", "four", "five"].into_iter().enumerate() {
        if n > 1 {
            fs::rename(following.path("a.log.1.gz"), following.path(&format!("a.log.{n}.gz"))).unwrap();
        }
        fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
        following.append("a.log", &format!("{next}\n"));
        following.intake.wait(|notes| notes.texts().last() == Some(&next.to_owned()));
        pack(&following, "a.log.1", "a.log.1.gz");
        // Time for the copy to be taken up, and for the file that it was made of to be finished.
        std::thread::sleep(Duration::from_millis(150));
    }
    following.append("a.log", "six\n");
    following.wait_for(&["one", "two", "three", "four", "five", "six"]);
}

/// A log that is rotated as `logrotate` does it with `compress`, at any moment, with restarts in between.
#[test]
fn each_line_counts_once_however_files_are_rotated_and_packed() {
    for seed in 0..8 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut following = Following::new("a.log*", &[("a.log", "line 0\n")]);
        let (mut written, mut read, mut positions_by_name) = (1, Vec::new(), BTreeMap::new());
        for _ in 0..40 {
            match dice.random_range(0..10) {
                0 => {
                    // Not before the copies have taken over from their files.
                    std::thread::sleep(Duration::from_millis(100));
                    for n in (1..9).rev() {
                        for ending in ["", ".gz"] {
                            let name = |n| following.path(&format!("a.log.{n}{ending}"));
                            let _ = fs::rename(name(n), name(n + 1));
                        }
                    }
                    fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
                    following.append("a.log", &format!("line {written}\n"));
                    written += 1;
                }
                1 => {
                    let oldest = (1..10).rev().map(|n| format!("a.log.{n}")).find(|name| following.path(name).exists());
                    if let Some(name) = oldest {
                        let packed = gzip(&fs::read_to_string(following.path(&name)).unwrap());
                        let (front, back) = packed.split_at(dice.random_range(0..packed.len()));
                        fs::write(following.path(&format!("{name}.gz")), front).unwrap();
                        std::thread::sleep(Duration::from_millis(dice.random_range(0..8)));
                        let file = OpenOptions::new().append(true).open(following.path(&format!("{name}.gz")));
                        file.unwrap().write_all(back).unwrap();
                        std::thread::sleep(Duration::from_millis(dice.random_range(0..8)));
                        fs::remove_file(following.path(&name)).unwrap();
                        // One after the other.
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
                2 => {
                    following.stop();
                    read.extend(following.intake.read(Notes::texts));
                    for position in following.intake.read(Notes::positions) {
                        positions_by_name.insert(Arc::clone(&position.partition), position);
                    }
                    if dice.random() {
                        following.append("a.log", &format!("line {written}\n"));
                        written += 1;
                    }
                    following.start("a.log*", positions_by_name.values().cloned().collect());
                }
                _ => {
                    following.append("a.log", &format!("line {written}\n"));
                    written += 1;
                }
            }
            std::thread::sleep(Duration::from_millis(dice.random_range(0..12)));
        }
        // Longer than a rotated file is waited for.
        std::thread::sleep(Duration::from_millis(200));
        let last = format!("line {written}");
        following.append("a.log", &format!("{last}\n"));
        following.intake.wait(|notes| notes.texts().contains(&last));
        read.extend(following.intake.read(Notes::texts));
        read.sort_unstable_by_key(|line| line.trim_start_matches("line ").parse::<u32>().unwrap());
        let all: Vec<String> = (0..=written).map(|n| format!("line {n}")).collect();
        assert_eq!(read, all, "seed {seed}");
    }
}

#[test]
fn a_packed_copy_is_known_even_if_its_file_was_renamed_between_two_looks() {
    for round in 0..20 {
        let following = Following::new("a.log*", &[("a.log", "one\ntwo\n")]);
        following.wait_for(&["one", "two"]);
        following.append("a.log", "three\n");
        if round % 2 == 0 {
            following.wait_for(&["one", "two", "three"]);
        }
        fs::write(following.path("draft"), gzip("one\ntwo\nthree\n")).unwrap();
        fs::rename(following.path("draft"), following.path("a.log.1.gz")).unwrap();
        fs::remove_file(following.path("a.log")).unwrap();
        following.append("a.log", "four\n");
        std::thread::sleep(Duration::from_millis(100));
        following.append("a.log", "five\n");
        following.intake.wait(|notes| notes.texts().len() >= 5);
        let mut read = following.intake.read(Notes::texts);
        read.sort_unstable();
        assert_eq!(read, ["five", "four", "one", "three", "two"], "round {round}");
    }
}

#[test]
fn a_packed_copy_beside_its_file_counts_once_and_another_file_of_that_name_counts() {
    let following = Following::new("", &[("a.log", "one\n"), ("b.log", "two\n")]);
    following.wait_for(&["one", "two"]);
    fs::write(following.path("a.log.gz"), gzip("one\n")).unwrap();
    fs::write(following.path("b.log.gz"), gzip("three\n")).unwrap();
    following.wait_for(&["one", "two", "three"]);
    following.append("a.log", "four\n");
    following.wait_for(&["one", "two", "three", "four"]);
}

#[test]
fn a_packed_file_with_the_name_of_a_copy_but_other_bytes_counts() {
    let header = format!("{}\n", "column,".repeat(60));
    let whole = |rest: &str| format!("{header}{rest}\n");
    let following = Following::new("", &[("a.log", &whole("one"))]);
    following.intake.wait(|notes| notes.texts().len() == 2);
    // What the file held before it was written anew.
    fs::write(following.path("a.log.gz"), gzip(&whole("two"))).unwrap();
    following.intake.wait(|notes| notes.texts().len() == 4);
    assert_eq!(following.intake.read(Notes::texts).last().unwrap(), "two");
}

#[test]
fn a_file_that_was_packed_while_nobody_looked_goes_on_where_it_was_left() {
    let mut following = Following::new("a.log*", &[("a.log", "one\n")]);
    following.wait_for(&["one"]);
    following.stop();
    let before = following.intake.read(Notes::positions);
    following.append("a.log", "two\nthree\n");
    // As if the last run had read on to a cut behind its last checkpoint.
    let cut = before.iter().map(|position| Position { offset: 8, ..position.clone() }).collect::<Vec<_>>();
    pack(&following, "a.log", "a.log.1.gz");
    following.append("a.log", "four\n");
    following.start("a.log*", before.clone());
    following.wait_for(&["four", "two", "three"]);
    following.stop();
    let resume = Resume { positions: before, cuts: vec![cut] };
    following.intake = FakeIntake::resuming(resume, 1000);
    let config = FileConfig::new("s", following.path("a.log*"), Framing::Lines).following();
    let intake = Arc::clone(&following.intake);
    following.thread = Some(std::thread::spawn(move || run(config, &intake)));
    following.wait_for(&["two", "four", "three"]);
}

/// The last checkpoint does not know the file; the cuts behind it do.
#[test]
fn a_file_that_was_packed_right_after_it_was_found_is_read_once() {
    let mut following = Following::new("a.log*", &[("a.log", "one\ntwo\n")]);
    following.wait_for(&["one", "two"]);
    following.stop();
    let at = |offset| -> Vec<Position> {
        let positions = following.intake.read(Notes::positions);
        positions.into_iter().map(|position| Position { offset, ..position }).collect()
    };
    let cuts = vec![at(0), at(4), at(8)];
    following.append("a.log", "three\n");
    pack(&following, "a.log", "a.log.1.gz");
    following.append("a.log", "four\n");
    following.intake = FakeIntake::resuming(Resume { positions: Vec::new(), cuts }, 1000);
    let config = FileConfig::new("s", following.path("a.log*"), Framing::Lines).following();
    let intake = Arc::clone(&following.intake);
    following.thread = Some(std::thread::spawn(move || run(config, &intake)));
    following.wait_for(&["one", "two", "four", "three"]);
    assert_eq!(following.intake.read(|notes| notes.replayed.clone()), [0, 1, 2]);
}

#[test]
fn files_that_go_from_the_same_name_one_after_the_other_count_once() {
    let mut following = Following { folder: tempfile::tempdir().unwrap(), intake: FakeIntake::new(1), thread: None };
    following.append("a.log", "line 0\n");
    let slow = |config: FileConfig| FileConfig { rotated: Duration::from_secs(60), ..config };
    following.start_as("a.log*", Vec::new(), slow);
    let mut lines = vec!["line 0".to_owned()];
    for n in 1..5 {
        // With `delaycompress`: the copies of before are renamed, the last file is packed, this one renamed.
        for earlier in (2..5).rev() {
            let name = |n| following.path(&format!("a.log.{n}.gz"));
            let _ = fs::rename(name(earlier), name(earlier + 1));
        }
        if following.path("a.log.1").exists() {
            pack(&following, "a.log.1", "a.log.2.gz");
        }
        fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
        lines.push(format!("line {n}"));
        following.append("a.log", &format!("line {n}\n"));
        following.wait_for(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(50));
    }
    following.stop();
    let newest = |positions: Vec<Position>| -> Vec<Position> {
        let each = positions.into_iter().map(|position| (Arc::clone(&position.partition), position));
        each.collect::<BTreeMap<_, _>>().into_values().collect()
    };
    let positions = newest(following.intake.read(Notes::positions));
    following.start("a.log*", positions);
    following.append("a.log", "line 5\n");
    following.wait_for(&["line 5"]);
}

#[test]
fn a_file_that_was_rotated_while_nobody_looked_is_known_under_its_new_name() {
    let mut following = Following::new("a.log", &[("a.log", "one\n")]);
    following.wait_for(&["one"]);
    following.stop();
    following.append("a.log", "two\n");
    fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
    following.append("a.log", "three\n");
    let positions = following.intake.read(Notes::positions);
    following.start("a.log", positions);
    following.wait_for(&["two", "three"]);
}

#[test]
fn files_that_are_rotated_between_being_found_and_being_opened_count_once() {
    let mut following = Following::new("a.log*", &[("a.log", "one\n"), ("a.log.1", "zero\n")]);
    following.wait_for(&["one", "zero"]);
    following.stop();
    let positions = following.intake.read(Notes::positions);
    let config = FileConfig::new("s", following.path("a.log*"), Framing::Lines).following().resuming(positions);
    let source = FileSource::new(FileConfig { poll: Duration::from_millis(1), ..config }).unwrap();
    fs::rename(following.path("a.log.1"), following.path("a.log.2")).unwrap();
    fs::rename(following.path("a.log"), following.path("a.log.1")).unwrap();
    following.append("a.log", "two\n");
    following.intake = FakeIntake::new(1000);
    let intake = Arc::clone(&following.intake);
    following.thread = Some(std::thread::spawn(move || Box::new(source).run(intake as Arc<dyn Intake>)));
    following.wait_for(&["two"]);
    following.append("a.log", "three\n");
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
