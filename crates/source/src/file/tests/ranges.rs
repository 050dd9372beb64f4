//! Ranges that workers read, against naive splitting and against files that change meanwhile.

use super::super::ranges::{Planner, RangeFile};
use super::bounded::{numbers, text};
use super::*;
use proptest::prelude::*;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;

/// Plans what a file holds from `offset` on.
fn plan(path: &Path, offset: u64, range_bytes: u64, record_bytes_max: usize) -> Vec<Chunk> {
    let partition = Arc::new(PartitionId { source: "s".into(), name: "p".into() });
    let file = RangeFile::new(Arc::new(File::open(path).unwrap()), path.to_owned());
    let mut planner = Planner::new(file, partition, offset).with_limits(range_bytes, record_bytes_max);
    let intake = FakeIntake::new(usize::MAX);
    let mut chunks = Vec::new();
    while let Some(chunk) = planner.next(&*intake).unwrap() {
        assert!(chunk.records > 0, "an estimate counts for something");
        chunks.push(chunk);
    }
    chunks
}

fn file_of(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The lines of a chunk that are not blank, with their numbers.
fn lines(chunk: &Chunk) -> Vec<(u64, String)> {
    let Payload::Bytes { lines: Some(lines), .. } = &chunk.payload else { panic!("it was fetched") };
    let before = lines.lines_before(chunk.start).unwrap();
    let text = String::from_utf8(bytes_of(chunk)).unwrap();
    naive(&text, before + 1)
}

fn naive(text: &str, first: u64) -> Vec<(u64, String)> {
    let lines = text.split('\n').zip(first..).filter(|(line, _)| !matches!(*line, "" | "\r"));
    lines.map(|(line, number)| (number, line.to_owned())).collect()
}

fn fetched(chunks: Vec<Chunk>) -> Vec<Chunk> {
    let mut buffer = vec![b'?'; 99];
    chunks.into_iter().map(|chunk| chunk.fetch(std::mem::take(&mut buffer)).unwrap()).collect()
}

proptest! {
    #[test]
    fn ranges_equal_naive_splitting(
        text in "([ab\r\n]|\n\n|[a-d]{1,9}\r?\n){0,60}",
        range_bytes in 1..64_u64,
    ) {
        let file = file_of(&text);
        let chunks = fetched(plan(file.path(), 0, range_bytes, 1 << 20));
        prop_assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
        prop_assert_eq!(chunks.last().map_or(0, |chunk| chunk.end), text.len() as u64);
        prop_assert!(chunks.iter().all(|chunk| chunk.records == lines(chunk).len()));
        let found: Vec<_> = chunks.iter().flat_map(lines).collect();
        prop_assert_eq!(found, naive(&text, 1));
        // Workers reject records in any order.
        let last_first: Vec<_> = chunks.iter().rev().flat_map(|chunk| lines(chunk).into_iter().rev()).collect();
        prop_assert!(last_first.into_iter().rev().eq(naive(&text, 1)));
    }

    #[test]
    fn ranges_go_on_behind_any_range(lens in prop::collection::vec(0..40_usize, 1..20), range_bytes in 1..64_u64) {
        let text: String = lens.iter().map(|&len| "x".repeat(len) + "\n").collect();
        let file = file_of(&text);
        let whole = fetched(plan(file.path(), 0, range_bytes, 1 << 20));
        for (number, chunk) in whole.iter().enumerate() {
            let rest = fetched(plan(file.path(), chunk.end, range_bytes, 1 << 20));
            prop_assert!(rest.iter().flat_map(lines).eq(whole[number + 1..].iter().flat_map(lines)));
        }
    }

    #[test]
    fn records_beyond_the_limit_are_cut_and_split_no_others(
        lens in prop::collection::vec(0..40_usize, 1..20),
        range_bytes in 1..16_u64,
    ) {
        const LIMIT: usize = 16;
        let letters = |len: usize| "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"[..len].to_owned();
        let text: String = lens.iter().map(|&len| letters(len) + "\n").collect();
        let file = file_of(&text);
        let chunks = fetched(plan(file.path(), 0, range_bytes, LIMIT));
        let expected: Vec<_> = lens.iter().zip(1..).filter(|(len, _)| **len > 0)
            .map(|(len, number)| (number, letters((*len).min(LIMIT)))).collect();
        prop_assert_eq!(chunks.iter().flat_map(lines).collect::<Vec<_>>(), expected);
        prop_assert_eq!(chunks.last().unwrap().end, text.len() as u64);
    }
}

#[test]
fn estimates_are_near() {
    let count =
        |range: Range<usize>, len: usize| numbers(range).iter().map(|line| line[..len].to_owned() + "\n").collect();
    let all: String = count(100_000..150_000, 9);
    let file = file_of(&all);
    for chunk in plan(file.path(), 0, 100_000, 1 << 20) {
        let records = chunk.clone().fetch(Vec::new()).unwrap().records;
        assert!(chunk.records.abs_diff(records) <= 1 + records / 50, "{} for {records}", chunk.records);
    }
}

#[test]
fn a_mark_in_front_of_the_text_is_no_part_of_it() {
    let file = file_of("\u{feff}one\ntwo");
    let chunks = fetched(plan(file.path(), 0, 5, 1 << 20));
    assert_eq!(chunks[0].start, 3);
    assert_eq!(chunks.iter().flat_map(lines).collect::<Vec<_>>(), [(1, "one".to_owned()), (2, "two".to_owned())]);
}

#[test]
fn what_is_added_meanwhile_is_read_too() {
    let file = file_of("one\ntw");
    let partition = Arc::new(PartitionId { source: "s".into(), name: "p".into() });
    let ranges = RangeFile::new(Arc::new(File::open(file.path()).unwrap()), file.path().to_owned());
    let mut planner = Planner::new(ranges, partition, 0).with_limits(4, 1 << 20);
    let intake = FakeIntake::new(usize::MAX);
    let mut next = || planner.next(&*intake).unwrap().map(|chunk| lines(&chunk.fetch(Vec::new()).unwrap()));
    assert_eq!(next(), Some(vec![(1, "one".to_owned())]));
    File::options().append(true).open(file.path()).unwrap().write_all(b"o\nthree\n").unwrap();
    assert_eq!(next(), Some(vec![(2, "two".to_owned())]));
    assert_eq!(next(), Some(vec![(3, "three".to_owned())]));
    assert_eq!(next(), None);
}

#[test]
fn a_file_that_is_cut_off_before_a_worker_reads_it_is_named() {
    let file = file_of(&text(&numbers(0..100)));
    let chunks = plan(file.path(), 0, 1 << 10, 1 << 20);
    fs::write(file.path(), "number 0\n").unwrap();
    let chunk = chunks.into_iter().next().unwrap();
    let end = chunk.end;
    let error = chunk.fetch(Vec::new()).unwrap_err();
    let expected =
        format!("cannot read {}: it was cut off before byte {end} while it was being read", file.path().display());
    assert_eq!(error.to_string(), expected);
}
