//! State as bytes, by key group: what a checkpoint holds of an operator.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use proxima_event::KeyGroup;
use std::collections::BTreeMap;
use thiserror::Error;

/// Collects an operator's state: for each key group a list of Arrow batches, whose meaning is the operator's own.
#[derive(Debug, Default)]
pub struct StateWriter {
    groups: BTreeMap<KeyGroup, Vec<RecordBatch>>,
}

impl StateWriter {
    /// Adds a batch to the state of a key group.
    pub fn write(&mut self, group: KeyGroup, batch: RecordBatch) {
        self.groups.entry(group).or_default().push(batch);
    }

    /// Each key group's state in Arrow's stream format, one stream after another.
    ///
    /// # Errors
    /// When a batch cannot be encoded.
    pub fn encode(self) -> Result<BTreeMap<KeyGroup, Vec<u8>>, ArrowError> {
        self.groups.into_iter().map(|(group, batches)| Ok((group, encode_batches(&batches)?))).collect()
    }
}

fn encode_batches(batches: &[RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = (batches.len() as u32).to_le_bytes().to_vec();
    for batch in batches {
        let mut stream = Vec::new();
        let mut writer = StreamWriter::try_new(&mut stream, &batch.schema())?;
        writer.write(batch)?;
        writer.finish()?;
        drop(writer);
        bytes.extend_from_slice(&(stream.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&stream);
    }
    Ok(bytes)
}

/// Stored state that cannot be read back.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The bytes end early or name impossible lengths.
    #[error("stored state of {0:?} is cut short")]
    Truncated(KeyGroup),
    /// Arrow cannot read a batch.
    #[error("stored state cannot be decoded: {0}")]
    Arrow(#[from] ArrowError),
    /// The batches are not what the operator writes.
    #[error("stored state does not fit the operator: {0}")]
    Mismatch(String),
}

/// Gives an operator back the batches of one key group, in the order they were written.
#[derive(Debug)]
pub struct StateReader<'a> {
    group: KeyGroup,
    left: u32,
    bytes: &'a [u8],
}

impl<'a> StateReader<'a> {
    /// Reads what [`StateWriter::encode`] gave for `group`.
    ///
    /// # Errors
    /// When the bytes are cut short.
    pub fn new(group: KeyGroup, bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let (count, bytes) = bytes.split_first_chunk::<4>().ok_or(SnapshotError::Truncated(group))?;
        Ok(Self { group, left: u32::from_le_bytes(*count), bytes })
    }

    /// The key group that this state belongs to.
    #[must_use]
    pub fn group(&self) -> KeyGroup {
        self.group
    }

    /// The next batch, or `None` behind the last.
    ///
    /// # Errors
    /// When the bytes cannot be decoded.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, SnapshotError> {
        if self.left == 0 {
            return Ok(None);
        }
        let truncated = || SnapshotError::Truncated(self.group);
        let (len, rest) = self.bytes.split_first_chunk::<8>().ok_or_else(truncated)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| truncated())?;
        let (stream, rest) = rest.split_at_checked(len).ok_or_else(truncated)?;
        let batch = StreamReader::try_new(stream, None)?.next().ok_or_else(truncated)??;
        self.bytes = rest;
        self.left -= 1;
        Ok(Some(batch))
    }
}
