//! `approx_distinct` where rows only appear: HyperLogLog with 2^14 registers, an error of about 0.8 %.
//!
//! A sketch is the maximum over its values, so it does not depend on their order. Small sets are lists of registers.
//! The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, section 4), which
//! needs no corrections for small or large sets.

use super::accumulator::{Accumulator, Cells, GroupRun, Input, mismatch, saved_batch, saved_groups};
use super::call::counts;
use crate::operators::group_table::GroupTable;
use arrow::array::{ArrayRef, AsArray, BinaryBuilder, RecordBatch};
use arrow::datatypes::DataType;
use proxima_engine::SnapshotError;
use proxima_event::KeyGroup;
use proxima_event::hash::hash_columns;
use std::ops::Range;
use std::sync::Arc;

const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;

/// The rank of a hash is at most this: the bits that choose no register, and one.
const RANK_MAX: usize = 64 - PRECISION as usize + 1;

/// A list of more registers than this becomes dense: then it takes a quarter of the dense size.
const SPARSE_MAX: usize = REGISTERS / 16;

/// A HyperLogLog sketch.
#[derive(Clone, Debug, PartialEq)]
enum Sketch {
    /// Register in the upper bits, rank in the lower eight; ascending.
    Sparse(Vec<u32>),
    Dense(Box<[u8]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self::Sparse(Vec::new())
    }
}

impl Sketch {
    fn add(&mut self, hash: u64) {
        let register = (hash >> (64 - PRECISION)) as u32;
        let rank = ((hash << PRECISION).leading_zeros() as usize + 1).min(RANK_MAX) as u8;
        self.raise(register, rank);
    }

    fn raise(&mut self, register: u32, rank: u8) {
        match self {
            Self::Dense(ranks) => {
                let held = &mut ranks[register as usize];
                *held = rank.max(*held);
            }
            Self::Sparse(entries) => {
                let entry = register << 8 | u32::from(rank);
                let at = entries.partition_point(|&other| other >> 8 < register);
                match entries.get_mut(at).filter(|other| **other >> 8 == register) {
                    Some(other) => *other = entry.max(*other),
                    None => entries.insert(at, entry),
                }
                if entries.len() > SPARSE_MAX {
                    *self = Self::Dense(dense(entries));
                }
            }
        }
    }

    fn estimate(&self) -> u64 {
        let mut of_rank = [0u32; RANK_MAX + 1];
        match self {
            Self::Dense(ranks) => ranks.iter().for_each(|&rank| of_rank[rank as usize] += 1),
            Self::Sparse(entries) => {
                entries.iter().for_each(|entry| of_rank[(entry & 0xff) as usize] += 1);
                of_rank[0] = (REGISTERS - entries.len()) as u32;
            }
        }
        estimate(&of_rank)
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Dense(_) => REGISTERS,
            Self::Sparse(entries) => entries.capacity() * 4,
        }
    }

    fn write_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Dense(ranks) => bytes.extend_from_slice(ranks),
            Self::Sparse(entries) => entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.to_le_bytes())),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() == REGISTERS {
            return Some(Self::Dense(bytes.into()));
        }
        let (entries, []) = bytes.as_chunks::<4>() else { return None };
        Some(Self::Sparse(entries.iter().map(|&entry| u32::from_le_bytes(entry)).collect()))
    }
}

fn dense(entries: &[u32]) -> Box<[u8]> {
    let mut ranks = vec![0; REGISTERS];
    for entry in entries {
        ranks[(entry >> 8) as usize] = *entry as u8;
    }
    ranks.into()
}

/// The estimated number of values, given how many registers have each rank.
fn estimate(of_rank: &[u32; RANK_MAX + 1]) -> u64 {
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(of_rank[RANK_MAX]) / m);
    for &registers in of_rank[1..RANK_MAX].iter().rev() {
        z = 0.5 * (z + f64::from(registers));
    }
    z += m * sigma(f64::from(of_rank[0]) / m);
    let alpha = 0.5 / std::f64::consts::LN_2;
    (alpha * m * m / z).round() as u64
}

/// x + Σ x^(2^k) · 2^(k−1) for k ≥ 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut power) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum == before {
            return sum;
        }
    }
}

/// (1 − x − Σ (1 − x^(2^−k))² · 2^−k for k ≥ 1) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut power) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x).powi(2) * power;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// Counts different values, nearly. One word: the estimate.
pub(super) struct Sketches {
    output: DataType,
    sketches: Vec<Sketch>,
    /// Bytes that the sketches hold on the heap.
    heap: usize,
}

impl Sketches {
    pub(super) fn new(output: DataType) -> Self {
        Self { output, sketches: Vec::new(), heap: 0 }
    }

    fn grow(&mut self, groups: usize) {
        self.sketches.resize_with(groups.max(self.sketches.len()), Sketch::default);
    }
}

impl Accumulator for Sketches {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, table: &mut GroupTable, _own: Range<usize>, input: &Input<'_>) {
        self.grow(table.bound());
        let hashes = hash_columns(std::slice::from_ref(input.values()), input.groups.len());
        for (row, group, _) in input.rows() {
            let sketch = &mut self.sketches[group as usize];
            self.heap -= sketch.heap_bytes();
            sketch.add(hashes[row]);
            self.heap += sketch.heap_bytes();
        }
    }

    fn settles(&self) -> bool {
        true
    }

    fn settle(&mut self, group: u32, words: &mut [u64]) {
        words[0] = self.sketches[group as usize].estimate();
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        counts(&self.output, cells.iter().map(|words| words[0]))
    }

    fn forget(&mut self, groups: &[u32]) {
        for &group in groups {
            if let Some(sketch) = self.sketches.get_mut(group as usize) {
                self.heap -= sketch.heap_bytes();
                *sketch = Sketch::default();
            }
        }
    }

    fn has_more(&self) -> bool {
        true
    }

    fn save(&self, run: &GroupRun<'_>) -> Option<RecordBatch> {
        let mut sketches = BinaryBuilder::new();
        let mut bytes = Vec::new();
        for &group in run.groups {
            bytes.clear();
            self.sketches[group as usize].write_to(&mut bytes);
            sketches.append_value(&bytes);
        }
        Some(saved_batch(run.places(), vec![("sketch", Arc::new(sketches.finish()))]))
    }

    fn load(
        &mut self,
        table: &GroupTable,
        groups: &[u32],
        saved: &RecordBatch,
        _of: KeyGroup,
    ) -> Result<(), SnapshotError> {
        self.grow(table.bound());
        let sketches = saved.column(1).as_binary_opt::<i32>().ok_or_else(|| mismatch("a column of sketches"))?;
        for (group, bytes) in saved_groups(groups, saved)?.into_iter().zip(sketches) {
            let sketch = bytes.and_then(Sketch::from_bytes).ok_or_else(|| mismatch("the bytes of a sketch"))?;
            self.heap += sketch.heap_bytes();
            let before = std::mem::replace(&mut self.sketches[group as usize], sketch);
            self.heap -= before.heap_bytes();
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.heap + self.sketches.capacity() * size_of::<Sketch>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_within_three_percent() {
        for count in [0u64, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000] {
            let mut sketch = Sketch::default();
            let mut state = 1u64;
            for _ in 0..count {
                // A Weyl sequence through splitmix64: different values, well mixed.
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                sketch.add(mixed ^ mixed >> 31);
            }
            let error = sketch.estimate() as f64 - count as f64;
            assert!(error.abs() <= 0.03 * count as f64, "{count}: {}", sketch.estimate());
            let mut bytes = Vec::new();
            sketch.write_to(&mut bytes);
            assert_eq!(Sketch::from_bytes(&bytes), Some(sketch));
        }
    }
}
