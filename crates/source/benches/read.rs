//! Reading alone, on one core: what a line costs before anybody looks at it. Lines of 260 bytes in a file that is in
//! memory already, cut into chunks, counted and dropped; by the thread's CPU time, so that other work on the machine
//! disturbs it little. Ends with one line of JSON.

use parking_lot::Mutex;
use proxima_event::{Chunk, Intake, PartitionId, Payload, Position, Source, Stopped};
use proxima_source::{FileConfig, FileSource, Framing};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const LINES: usize = 1_000_000;
const LINE_BYTES: usize = 260;
const RUNS: usize = 5;

/// Counts records and drops them; reads what the source left to workers, into one buffer as they do.
#[derive(Default)]
struct Counter(AtomicUsize, Mutex<Vec<u8>>);

impl Intake for Counter {
    fn open(&self, _position: Position) {}

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        let mut buffer = self.1.lock();
        let chunk = chunk.fetch(std::mem::take(&mut buffer)).expect("the file stays");
        self.0.fetch_add(chunk.records, Relaxed);
        if let Payload::Bytes { data, .. } = chunk.payload {
            *buffer = data.into_vec().unwrap_or_default();
        }
        Ok(())
    }

    fn end_known(&self, _partition: &PartitionId, _offset: u64) {}

    fn caught_up(&self, _source: &str) {}

    fn stopped(&self) -> bool {
        false
    }

    fn records_max(&self) -> usize {
        262_144
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("lines");
    write(&path).expect("the lines can be written");
    let lines = best_ns(&path, Framing::Lines);
    let csv = best_ns(&path, Framing::CSV);
    println!("a line of {LINE_BYTES} bytes: {lines:.1} ns as lines, {csv:.1} ns as CSV (best of {RUNS})");
    println!("{{\"bench\":\"read\",\"ns_per_line\":{lines:.1},\"ns_per_line_csv\":{csv:.1}}}");
}

/// Lines of three fields, the middle one in quotes.
fn write(path: &std::path::Path) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    for number in 0..LINES {
        writeln!(out, "{number:08},\"{:1$}\",{number:08}", "field", LINE_BYTES - 21)?;
    }
    out.flush()
}

/// The best time for a line.
fn best_ns(path: &std::path::Path, framing: Framing) -> f64 {
    let one = || {
        let source = FileSource::new(FileConfig::new("bench", path, framing)).expect("the file is there");
        let counter = Arc::new(Counter::default());
        let begin = cpu_ns();
        Box::new(source).run(Arc::clone(&counter) as Arc<dyn Intake>).expect("the file can be read");
        let time = cpu_ns() - begin;
        assert_eq!(counter.0.load(Relaxed), LINES - usize::from(framing != Framing::Lines));
        time as f64 / LINES as f64
    };
    (0..RUNS).map(|_| one()).fold(f64::INFINITY, f64::min)
}

/// The CPU time of this thread, user and system.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this benchmark needs Linux");
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.expect("the first number is the time on a CPU")
}
