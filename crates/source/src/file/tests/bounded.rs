//! Files that are read once: order, resumption, compression, damage.

use super::*;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;

pub(super) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

pub(super) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("number {number}")).collect()
}

pub(super) fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn files_come_in_the_order_of_their_names_and_each_from_front_to_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, range) in [("c", 5..7), ("a", 0..3), ("b", 3..5)] {
        fs::write(folder.path().join(name), text(&numbers(range))).unwrap();
    }
    let intake = FakeIntake::new(2);
    run(FileConfig::new("s", folder.path(), Framing::Lines), &intake).unwrap();
    intake.read(|notes| {
        assert_eq!(notes.texts(), numbers(0..7));
        let files: String = notes.lines().into_iter().map(|record| record.file).collect();
        assert_eq!(files, "aaabbcc");
        assert_eq!(notes.caught_up, 1);
        assert_eq!(notes.opened.len(), 3);
        let path = folder.path().join("a").display().to_string();
        assert!(notes.ends.iter().filter(|(name, _)| *name == path).all(|(_, end)| *end == 27));
    });
}

#[test]
fn big_files_come_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let lines = numbers(0..200_000);
    fs::write(folder.path().join("a"), text(&lines)).unwrap();
    // Ranges that workers read and blocks where records must be counted before, both of 512 KiB.
    for records_max in [1 << 20, 1 << 16] {
        let intake = FakeIntake::new(records_max);
        run(FileConfig::new("s", folder.path(), Framing::Lines), &intake).unwrap();
        intake.read(|notes| {
            assert_eq!(notes.texts(), lines);
            assert!((5..8).contains(&notes.chunks.len()), "{} chunks", notes.chunks.len());
        });
    }
}

#[test]
fn a_run_resumes_behind_any_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let all = numbers(0..40);
    fs::write(folder.path().join("a"), text(&all[..13])).unwrap();
    fs::write(folder.path().join("b.gz"), gzip(&text(&all[13..25]))).unwrap();
    fs::write(folder.path().join("c"), text(&all[25..]).trim_end()).unwrap();
    let config = FileConfig::new("s", folder.path(), Framing::Lines);
    for stop in 1..15 {
        let first = FakeIntake::stopping_after(stop, 3);
        run(config.clone(), &first).unwrap();
        let second = FakeIntake::new(3);
        run(config.clone().resuming(first.read(Notes::positions)), &second).unwrap();
        let mut lines = first.read(Notes::texts);
        lines.extend(second.read(Notes::texts));
        assert_eq!(lines, all, "stopped after {stop} chunks");
        second.read(|notes| notes.chunks.iter().for_each(check_line_number));
    }
}

/// In these files line n holds the n-th number of its file.
fn check_line_number(chunk: &Chunk) {
    let begins = [("a", 0), ("b.gz", 13), ("c", 25)];
    let record = lines_of(chunk).remove(0);
    let begin = begins.iter().find(|(file, _)| *file == record.file).unwrap().1;
    let Payload::Bytes { first_line, .. } = chunk.payload else { panic!("files are bytes") };
    assert_eq!(format!("number {}", begin + first_line - 1), record.text);
}

#[test]
fn a_csv_file_gives_its_header_with_each_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "\u{feff}a,\"b\nc\"\r\n1,2\r\n3,\"4\n5\"\r\n6,7").unwrap();
    let first = FakeIntake::stopping_after(2, 1);
    let config = FileConfig::new("s", &path, Framing::CSV);
    run(config.clone(), &first).unwrap();
    let second = FakeIntake::new(1);
    run(config.resuming(first.read(Notes::positions)), &second).unwrap();
    let mut chunks = first.read(|notes| notes.chunks.clone());
    chunks.extend(second.read(|notes| notes.chunks.clone()));
    let mut records = Vec::new();
    for chunk in &chunks {
        let Payload::Bytes { header, first_line, .. } = &chunk.payload else { panic!("files are bytes") };
        assert_eq!(header.as_deref(), Some(&b"a,\"b\nc\""[..]));
        records.push((*first_line, String::from_utf8(bytes_of(chunk)).unwrap()));
    }
    let expected = [(3, "1,2\r\n"), (4, "3,\"4\n5\"\r\n"), (6, "6,7")];
    assert_eq!(records, expected.map(|(line, text)| (line, text.to_owned())));
}

#[test]
fn packed_files_may_have_several_members() {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["one\ntw", "o\n", "three"];
    fs::write(folder.path().join("a.gz"), parts.map(gzip).concat()).unwrap();
    fs::write(folder.path().join("b.zst"), parts.map(zstd).concat()).unwrap();
    assert_eq!(lines_at(folder.path()), ["one", "two", "three", "one", "two", "three"]);
}

#[test]
fn a_packed_file_that_is_cut_off_gives_what_is_whole_and_then_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let lines = numbers(0..50_000);
    for (name, packed) in [("a.gz", gzip(&text(&lines))), ("a.zst", zstd(&text(&lines)))] {
        let path = folder.path().join(name);
        fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let intake = FakeIntake::new(1000);
        let error = run(FileConfig::new("s", &path, Framing::Lines), &intake).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot read {}: ", path.display())), "{error}");
        let read = intake.read(Notes::texts);
        assert!(!read.is_empty() && read == lines[..read.len()], "{name}: {} lines", read.len());
        assert_eq!(intake.read(|notes| notes.caught_up), 0);
    }
}

#[test]
fn a_file_that_was_cut_off_and_written_anew_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, text(&numbers(0..100))).unwrap();
    let first = FakeIntake::new(1000);
    run(FileConfig::new("s", &path, Framing::Lines), &first).unwrap();
    fs::write(&path, text(&numbers(0..30))).unwrap();
    let second = FakeIntake::new(1000);
    run(FileConfig::new("s", &path, Framing::Lines).resuming(first.read(Notes::positions)), &second).unwrap();
    assert_eq!(second.read(Notes::texts), numbers(0..30));
}

#[test]
fn the_rest_of_a_file_that_was_rotated_meanwhile_is_read_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, text(&numbers(0..10))).unwrap();
    let config = FileConfig::new("s", &path, Framing::Lines);
    let first = FakeIntake::stopping_after(2, 3);
    run(config.clone(), &first).unwrap();
    fs::rename(&path, folder.path().join("a.log.1")).unwrap();
    fs::write(&path, text(&numbers(10..20))).unwrap();
    let second = FakeIntake::new(1000);
    run(config.resuming(first.read(Notes::positions)), &second).unwrap();
    assert_eq!(second.read(Notes::texts), numbers(6..20));
}

#[test]
fn positions_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "x\n").unwrap();
    let partition = Arc::new(PartitionId { source: "s".into(), name: "a".into() });
    let position = Position { partition, identity: "?".into(), offset: 1 };
    let config = FileConfig::new("s", &path, Framing::Lines).resuming(vec![position]);
    let error = run(config, &FakeIntake::new(1)).unwrap_err();
    assert_eq!(error.to_string(), "cannot resume s/a: \"?\" is no identity of a file");
}
