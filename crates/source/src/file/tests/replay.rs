//! A source that is restarted replays the cuts of the run before, and then goes on.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io::Write;

/// Files of random lines, the last of them without its end, one packed.
fn write_files(folder: &Path, dice: &mut ChaCha8Rng) {
    for name in ["a.jsonl", "b.jsonl.gz", "c.jsonl"] {
        let lines: String = (0..dice.random_range(1..30)).map(|n| format!("{name} {n}\n")).collect();
        let lines = lines.trim_end();
        let file = std::fs::File::create(folder.join(name)).unwrap();
        if name.ends_with(".gz") {
            flate2::write::GzEncoder::new(file, flate2::Compression::fast()).write_all(lines.as_bytes()).unwrap();
        } else {
            (&file).write_all(lines.as_bytes()).unwrap();
        }
    }
}

/// Positions that the files pass one after another, interleaved at random: what a following run may have seen.
fn passed(folder: &Path, dice: &mut ChaCha8Rng) -> Vec<Position> {
    let intake = FakeIntake::new(1);
    run(FileConfig::new("s", folder, Framing::Lines), &intake).unwrap();
    let mut files = BTreeMap::<Arc<PartitionId>, std::collections::VecDeque<Position>>::new();
    intake.read(|notes| {
        for chunk in &notes.chunks {
            let opened = notes.opened.iter().find(|opened| opened.partition == chunk.partition).unwrap();
            files
                .entry(Arc::clone(&chunk.partition))
                .or_default()
                .push_back(Position { offset: chunk.end, ..opened.clone() });
        }
    });
    let mut passed = Vec::new();
    while let Some(next) = {
        files.retain(|_, left| !left.is_empty());
        files.len().checked_sub(1)
    } {
        let file = dice.random_range(0..=next);
        passed.extend(files.values_mut().nth(file).unwrap().pop_front());
    }
    passed
}

/// Where each partition stands after these.
fn last_of(passed: &[Position]) -> BTreeMap<Arc<PartitionId>, Position> {
    passed.iter().map(|position| (Arc::clone(&position.partition), position.clone())).collect()
}

#[test]
fn cuts_are_replayed_exactly() {
    for seed in 0..60 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path(), &mut dice);
        let passed = passed(dir.path(), &mut dice);
        let mut ends: Vec<usize> = (0..4).map(|_| dice.random_range(0..=passed.len())).collect();
        ends.sort_unstable();
        let positions = last_of(&passed[..ends[0]]);
        let cuts: Vec<_> = ends.windows(2).map(|pair| last_of(&passed[pair[0]..pair[1]])).collect();
        let resume = Resume {
            positions: positions.values().cloned().collect(),
            cuts: cuts.iter().map(|cut| cut.values().cloned().collect()).collect(),
        };
        let intake = FakeIntake::resuming(resume, dice.random_range(1..10));
        run(FileConfig::new("s", dir.path(), Framing::Lines), &intake).unwrap();
        intake.read(|notes| {
            let mut at: BTreeMap<_, u64> = positions.into_iter().map(|(id, position)| (id, position.offset)).collect();
            let mut begin = 0;
            for (cut, &end) in cuts.iter().zip(&notes.replayed) {
                for chunk in &notes.chunks[begin..end] {
                    let reached = at.entry(Arc::clone(&chunk.partition)).or_default();
                    assert_eq!(chunk.start, *reached, "seed {seed}");
                    *reached = chunk.end;
                }
                for position in cut.values() {
                    assert_eq!(at[&position.partition], position.offset, "seed {seed}");
                }
                begin = end;
            }
            assert_eq!(notes.replayed.len(), 3, "seed {seed}");
            let left: Vec<String> = notes.texts();
            assert_eq!(
                left.len(),
                passed.len() - ends[0],
                "seed {seed}: every record behind the checkpoint comes once"
            );
        });
    }
}

#[test]
fn a_file_that_is_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path(), &mut ChaCha8Rng::seed_from_u64(1));
    let cut = passed(dir.path(), &mut ChaCha8Rng::seed_from_u64(1));
    std::fs::remove_file(dir.path().join("a.jsonl")).unwrap();
    let intake = FakeIntake::resuming(Resume { positions: Vec::new(), cuts: vec![cut] }, 10);
    let error = run(FileConfig::new("s", dir.path(), Framing::Lines), &intake).unwrap_err().to_string();
    assert!(error.contains("a.jsonl was read to byte") && error.contains("--fresh"), "{error}");
}
