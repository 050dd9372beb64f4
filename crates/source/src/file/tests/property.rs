//! The reader against naive splitting, however its bytes come and however few records a chunk may hold.

use super::super::reader::Reader;
use super::*;
use proptest::prelude::*;

/// A record with its line (from 1), as the oracle and the reader agree to see it.
type Line = (u64, String);

/// Feeds `text` in pieces of the given sizes, again and again, and gives the chunks.
fn chunks(
    framing: Framing,
    text: &[u8],
    pieces: &[usize],
    records_max: usize,
    block: usize,
    limit: usize,
) -> Vec<Chunk> {
    let partition = Arc::new(PartitionId { source: "s".into(), name: "p".into() });
    let mut reader = Reader::new(partition, framing).with_limits(block, limit);
    let (mut chunks, mut at, mut pieces) = (Vec::new(), 0, pieces.iter().cycle());
    while at < text.len() {
        let (mut bytes, room) = reader.buffer(*pieces.next().unwrap() as u64);
        let end = text.len().min(at + room);
        bytes.extend_from_slice(&text[at..end]);
        at = end;
        reader.block(bytes, records_max, |chunk| take(&mut chunks, chunk)).unwrap();
        assert_eq!(reader.taken(), at as u64);
    }
    reader.finish(|chunk| take(&mut chunks, chunk)).unwrap();
    chunks
}

fn take(chunks: &mut Vec<Chunk>, chunk: Chunk) -> Result<(), Stopped> {
    chunks.push(chunk);
    Ok(())
}

/// Chunks follow one another without gaps, and none has too many records.
fn check_positions(chunks: &[Chunk], records_max: usize) {
    assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(chunks.iter().all(|chunk| chunk.records <= records_max));
}

fn first_line(chunk: &Chunk) -> u64 {
    let Payload::Bytes { first_line, .. } = chunk.payload else { panic!("files are bytes") };
    first_line
}

/// All lines that are not blank, with their numbers.
fn naive(text: &str, first: u64) -> impl Iterator<Item = Line> {
    let lines = text.split('\n').zip(first..).filter(|(line, _)| !matches!(*line, "" | "\r"));
    lines.map(|(line, number)| (number, line.to_owned()))
}

/// The records of chunks of lines.
fn lines(chunks: &[Chunk]) -> Vec<Line> {
    let mut records = Vec::new();
    for chunk in chunks {
        let text = String::from_utf8(bytes_of(chunk)).unwrap();
        let before = records.len();
        records.extend(naive(&text, first_line(chunk)));
        assert_eq!(records.len() - before, chunk.records);
    }
    records
}

/// The records of CSV text by another parser.
fn csv_records(text: &[u8]) -> Vec<Vec<String>> {
    let mut parser = csv_core::Reader::new();
    let (mut records, mut record, mut input) = (Vec::new(), Vec::new(), text);
    let mut field = vec![0; text.len() + 1];
    let mut written_before = 0;
    loop {
        let (result, read, written) = parser.read_field(input, &mut field[written_before..]);
        input = &input[read..];
        match result {
            csv_core::ReadFieldResult::InputEmpty => written_before += written,
            csv_core::ReadFieldResult::OutputFull => panic!("a field is no longer than its text"),
            csv_core::ReadFieldResult::End => return records,
            csv_core::ReadFieldResult::Field { record_end } => {
                record.push(String::from_utf8(field[..written_before + written].to_vec()).unwrap());
                written_before = 0;
                if record_end {
                    records.push(std::mem::take(&mut record));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn lines_equal_naive_splitting(
        text in "([ab\r\n]|\n\n|[a-d]{1,9}\r?\n){0,60}",
        pieces in prop::collection::vec(1..40_usize, 1..5),
        records_max in 1..5_usize,
        block in 1..64_usize,
    ) {
        let expected: Vec<Line> = naive(&text, 1).collect();
        let chunks = chunks(Framing::Lines, text.as_bytes(), &pieces, records_max, block, 1 << 20);
        check_positions(&chunks, records_max);
        let found: Vec<Line> = lines(&chunks);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn csv_records_equal_those_of_another_parser(
        text in "([ab,\"\n\r]|\"\"|\r\n|[a-d]{1,5},\"([a\n,]|\"\"){0,4}\"\r?\n){0,40}",
        pieces in prop::collection::vec(1..40_usize, 1..5),
        records_max in 1..5_usize,
        block in 1..64_usize,
    ) {
        let text = format!("h\n{text}");
        let chunks = chunks(Framing::CSV, text.as_bytes(), &pieces, records_max, block, 1 << 20);
        check_positions(&chunks, records_max);
        let mut found = Vec::new();
        for chunk in &chunks {
            let records = csv_records(&bytes_of(chunk));
            // A lone carriage return ends a line for this parser; a chunk is cut at newlines only.
            prop_assert!(records.len() == chunk.records || bytes_of(chunk).contains(&b'\r'));
            let newlines = text.as_bytes()[..chunk.start as usize].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(first_line(chunk), 1 + newlines as u64);
            found.extend(records);
        }
        prop_assert_eq!(found, csv_records(text.as_bytes()).split_off(1));
    }

    #[test]
    fn records_beyond_the_limit_are_cut_and_split_no_others(
        lens in prop::collection::vec(0..40_usize, 1..20),
        pieces in prop::collection::vec(1..40_usize, 1..5),
        block in 1..64_usize,
    ) {
        const LIMIT: usize = 16;
        let letters = |len: usize| "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"[..len].to_owned();
        let text: String = lens.iter().map(|&len| letters(len) + "\n").collect();
        let chunks = chunks(Framing::Lines, text.as_bytes(), &pieces, 3, block, LIMIT);
        check_positions(&chunks, 3);
        let expected: Vec<Line> = lens.iter().zip(1..).filter(|(len, _)| **len > 0)
            .map(|(len, number)| (number, letters((*len).min(LIMIT)))).collect();
        prop_assert_eq!(lines(&chunks), expected);
        prop_assert_eq!(chunks.last().map_or(0, |chunk| chunk.end), if chunks.is_empty() { 0 } else { text.len() as u64 });
    }
}
