//! The container that timely carries: a batch of changes, and its way to other workers.

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroup, Weights};
use std::cell::OnceCell;
use std::io::Write;
use std::ops::Range;
use timely::Accountable;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};

/// A batch in the dataflow. Timely wants a default, and hands the empty one back often: it must cost nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    changes: Option<Changes>,
    /// Where a broadcast copy goes.
    target: u32,
    /// The bytes for another process, made once for the length and the write that follows it.
    encoded: OnceCell<Vec<u8>>,
}

impl Batch {
    pub(crate) fn new(changes: Changes) -> Self {
        Self { changes: Some(changes), ..Self::default() }
    }

    pub(crate) fn to_worker(changes: Changes, target: usize) -> Self {
        Self { changes: Some(changes), target: target as u32, ..Self::default() }
    }

    pub(crate) fn take(&mut self) -> Option<Changes> {
        self.changes.take()
    }
}

impl Accountable for Batch {
    fn record_count(&self) -> i64 {
        self.changes.as_ref().map_or(0, |changes| changes.len() as i64)
    }
}

/// The hashes of the key made of `columns`.
pub(crate) fn key_hashes(changes: &Changes, columns: &[usize]) -> Vec<u64> {
    let columns: Vec<_> = columns.iter().map(|&column| changes.column(column).clone()).collect();
    hash_columns(&columns, changes.len())
}

/// Sends each row to the worker that owns its key.
pub(crate) struct ByKey {
    columns: Vec<usize>,
    /// The worker of each key group.
    workers: Vec<u16>,
    parts: Vec<Part>,
}

/// The rows of a batch that one worker gets.
struct Part {
    /// The worker's key groups, which are a run.
    groups: Range<u16>,
    /// As long as the longest batch so far, so that a row is put down without a look at the capacity.
    rows: Vec<u32>,
    len: usize,
}

/// Up to so many workers, a pass for each two of them finds their rows, and keeps the ends of their lists in registers. One
/// pass that writes to all lists waits for their lengths, changed a moment ago: as long as some three such passes take.
const PAIRS: usize = 3;

impl ByKey {
    pub(crate) fn new(columns: Vec<usize>, peers: usize) -> Self {
        let workers: Vec<_> =
            (0..KEY_GROUPS).map(|group| KeyGroup(group as u16).worker(KEY_GROUPS, peers) as u16).collect();
        let first = |worker| workers.partition_point(|&other| usize::from(other) < worker) as u16;
        let part = |worker| Part { groups: first(worker)..first(worker + 1), rows: Vec::new(), len: 0 };
        let parts = (0..peers).map(part).collect();
        Self { columns, workers, parts }
    }

    /// Deals the rows out by the hashes of their keys.
    fn split(&mut self, hashes: &[u64]) {
        for part in &mut self.parts {
            part.rows.resize(part.rows.len().max(hashes.len()), 0);
            part.len = 0;
        }
        if self.parts.len() <= 2 * PAIRS {
            let (pairs, single) = self.parts.as_chunks_mut::<2>();
            pairs.iter_mut().for_each(|pair| Part::find(pair, hashes));
            single.as_chunks_mut::<1>().0.iter_mut().for_each(|part| Part::find(part, hashes));
            return;
        }
        for (row, &hash) in hashes.iter().enumerate() {
            let KeyGroup(group) = KeyGroup::of(hash, KEY_GROUPS);
            let part = &mut self.parts[usize::from(self.workers[usize::from(group)])];
            part.rows[part.len] = row as u32;
            part.len += 1;
        }
    }
}

impl Part {
    /// Each row is put down, and the next one over it where it is another worker's: so there is no branch to guess.
    fn find<const N: usize>(parts: &mut [Self; N], hashes: &[u64]) {
        let mut lens = [0; N];
        let owned = parts.each_ref().map(|part| (part.groups.start, part.groups.len() as u16));
        let rows = parts.each_mut().map(|part| &mut part.rows[..hashes.len()]);
        for (row, &hash) in hashes.iter().enumerate() {
            let KeyGroup(group) = KeyGroup::of(hash, KEY_GROUPS);
            for at in 0..N {
                let (first, count) = owned[at];
                rows[at][lens[at]] = row as u32;
                lens[at] += usize::from(group.wrapping_sub(first) < count);
            }
        }
        for (part, len) in parts.iter_mut().zip(lens) {
            part.len = len;
        }
    }
}

impl Distributor<Batch> for ByKey {
    fn partition<T: Clone, P: Push<Message<T, Batch>>>(&mut self, batch: &mut Batch, time: &T, pushers: &mut [P]) {
        let Some(changes) = batch.take() else { return };
        let hashes = key_hashes(&changes, &self.columns);
        self.split(&hashes);
        let changes = Changes { hashes: Some(hashes.into()), ..changes };
        for (part, pusher) in self.parts.iter().zip(pushers).filter(|(part, _)| part.len > 0) {
            let sent = if part.len == changes.len() { changes.clone() } else { changes.take(&part.rows[..part.len]) };
            Message::push_at(&mut Batch::new(sent), time.clone(), pusher);
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Batch>>>(&mut self, _time: &T, _pushers: &mut [P]) {}
}

/// Sends each batch to the worker it is addressed to.
pub(crate) struct ByTarget;

impl Distributor<Batch> for ByTarget {
    fn partition<T: Clone, P: Push<Message<T, Batch>>>(&mut self, batch: &mut Batch, time: &T, pushers: &mut [P]) {
        let target = batch.target as usize;
        Message::push_at(batch, time.clone(), &mut pushers[target]);
    }

    fn flush<T: Clone, P: Push<Message<T, Batch>>>(&mut self, _time: &T, _pushers: &mut [P]) {}
}

const HAS_WEIGHTS: u8 = 1;
const HAS_HASHES: u8 = 2;

/// The bytes of a batch between processes: flags, weights, hashes, then the rows as an Arrow stream.
fn encode(changes: &Changes) -> Vec<u8> {
    let mut flags = 0;
    let mut head = Vec::new();
    if let Weights::Rows(weights) = &changes.weights {
        flags |= HAS_WEIGHTS;
        head.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
    }
    if let Some(hashes) = &changes.hashes {
        flags |= HAS_HASHES;
        head.extend(hashes.iter().flat_map(|hash| hash.to_le_bytes()));
    }
    let mut bytes = vec![flags];
    bytes.extend((changes.len() as u64).to_le_bytes());
    bytes.extend(head);
    let mut writer = StreamWriter::try_new(&mut bytes, &changes.rows.schema()).expect("the schema can be encoded");
    writer.write(&changes.rows).expect("writing to memory does not fail");
    writer.finish().expect("writing to memory does not fail");
    drop(writer);
    bytes
}

fn decode(bytes: &[u8]) -> Changes {
    const SENT: &str = "the peer sent what encode() wrote";
    let (&flags, bytes) = bytes.split_first().expect(SENT);
    let (rows, mut bytes) = bytes.split_first_chunk::<8>().expect(SENT);
    let rows = u64::from_le_bytes(*rows) as usize;
    let mut words = |present: bool| {
        present.then(|| {
            let (words, rest) = bytes.split_at(rows * 8);
            bytes = rest;
            words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect::<Vec<_>>()
        })
    };
    let weights = words(flags & HAS_WEIGHTS != 0);
    let hashes = words(flags & HAS_HASHES != 0);
    let rows = StreamReader::try_new(bytes, None).expect(SENT).next().expect(SENT).expect(SENT);
    let weights =
        weights.map_or(Weights::Ones, |words| Weights::from(words.into_iter().map(|w| w as i64).collect::<Vec<_>>()));
    Changes { weights, hashes: hashes.map(Into::into), ..Changes::inserts(rows) }
}

impl ContainerBytes for Batch {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        match bytes.split_first_chunk::<8>() {
            Some((target, bytes)) => Self::to_worker(decode(bytes), u64::from_le_bytes(*target) as usize),
            None => Self::default(),
        }
    }

    fn length_in_bytes(&self) -> usize {
        self.changes.as_ref().map_or(0, |changes| 8 + self.encoded.get_or_init(|| encode(changes)).len())
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        if let Some(changes) = &self.changes {
            let encoded = self.encoded.get_or_init(|| encode(changes));
            writer.write_all(&u64::from(self.target).to_le_bytes()).expect("the slab has the length asked for");
            writer.write_all(encoded).expect("the slab has the length asked for");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, RecordBatch, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn each_row_goes_to_the_owner_of_its_key_in_order() {
        let hashes: Vec<u64> = (0..1_000u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for peers in [1, 2, 3, 2 * PAIRS, 2 * PAIRS + 1, 64] {
            let mut by_key = ByKey::new(vec![0], peers);
            // A longer batch first: nothing of it may be left in a shorter one.
            for hashes in [&hashes[..], &hashes[..100], &[]] {
                by_key.split(hashes);
                let mut expected = vec![Vec::new(); peers];
                for (row, &hash) in hashes.iter().enumerate() {
                    expected[KeyGroup::of(hash, KEY_GROUPS).worker(KEY_GROUPS, peers)].push(row as u32);
                }
                let found: Vec<_> = by_key.parts.iter().map(|part| part.rows[..part.len].to_vec()).collect();
                assert_eq!(found, expected, "{peers} workers, {} rows", hashes.len());
            }
        }
    }

    #[test]
    fn a_batch_survives_the_way_to_another_process() {
        let rows = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![Some(1), None])) as _),
            ("s", Arc::new(StringViewArray::from(vec!["short", "longer than twelve bytes"])) as _),
        ])
        .unwrap();
        let plain = Changes::inserts(rows.clone());
        let mut full = Changes::weighted(rows, vec![1, -3]);
        full.hashes = Some(vec![7, u64::MAX].into());
        for changes in [plain, full] {
            let back = decode(&encode(&changes));
            assert_eq!(back.rows, changes.rows);
            assert_eq!((back.weight(0), back.weight(1)), (changes.weight(0), changes.weight(1)));
            assert_eq!(back.hashes, changes.hashes);
        }
    }
}
