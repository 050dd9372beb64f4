//! The decoder of a source: its chunks become rows of all its tables, and a bad record is rejected once.

use super::changes::ChangeDecoder;
use super::{DecodeConfig, Decoded, Decoder, Format, decoder};
use crate::{Changes, Chunk, Rejected};

/// What a chunk held for the tables of its source.
#[derive(Debug, Default)]
pub struct SourceDecoded {
    /// The rows of each table, in order.
    pub tables: Vec<Vec<Changes>>,
    /// The bad records, each once, in order.
    pub rejected: Vec<Rejected>,
    /// Records that are none of these tables': of other tables, schema changes, marks of transactions.
    pub skipped: u64,
}

impl SourceDecoded {
    /// Nothing yet, for so many tables.
    #[must_use]
    pub fn new(tables: usize) -> Self {
        Self { tables: (0..tables).map(|_| Vec::new()).collect(), ..Self::default() }
    }
}

/// Turns the chunks of a source into changes of all its tables. Each worker has its own.
pub trait SourceDecoder: Send {
    /// Decodes all records of `chunk`, adding to `out`, which has room for as many tables as this decoder knows.
    fn decode(&mut self, chunk: &Chunk, out: &mut SourceDecoded);
}

/// The decoder of a source in a format, for its tables in the order given.
///
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use proxima_event::decode::{DecodeConfig, EpochUnit, Format, SourceDecoded, source_decoder};
/// use proxima_event::{Chunk, PartitionId};
/// use std::sync::Arc;
///
/// let table = |column: &str| DecodeConfig {
///     schema: Arc::new(Schema::new(vec![Field::new(column, DataType::Int64, false)])),
///     zone: chrono_tz::UTC,
///     epoch_unit: EpochUnit::Millis,
///     batch_rows: 1_024,
///     changes: None,
/// };
/// let mut decoder = source_decoder(Format::Json, vec![table("id"), table("n")]);
///
/// let partition = Arc::new(PartitionId { source: "clicks".into(), name: "clicks.json".into() });
/// let lines = b"{\"id\":1,\"n\":2}\n{\"id\":1,}\n".to_vec();
/// let mut out = SourceDecoded::new(2);
/// decoder.decode(&Chunk::from_bytes(partition, 0, lines, 2, 1, None), &mut out);
///
/// assert_eq!((out.tables[0][0].len(), out.tables[1][0].len()), (1, 1));
/// assert_eq!(out.rejected.len(), 1);
/// ```
#[must_use]
pub fn source_decoder(format: Format, tables: Vec<DecodeConfig>) -> Box<dyn SourceDecoder> {
    if format.is_of_changes() {
        return Box::new(ChangeDecoder::new(format, &tables));
    }
    Box::new(Each(tables.into_iter().map(|table| decoder(format, table)).collect()))
}

/// Every record is one of every table: each has a decoder of its own.
pub struct Each(pub Vec<Box<dyn Decoder>>);

impl SourceDecoder for Each {
    fn decode(&mut self, chunk: &Chunk, out: &mut SourceDecoded) {
        let mut rejected = Vec::new();
        for (decoder, table) in self.0.iter_mut().zip(&mut out.tables) {
            let mut decoded = Decoded::default();
            decoder.decode(chunk, &mut decoded);
            table.append(&mut decoded.batches);
            rejected.append(&mut decoded.rejected);
        }
        // The order of equals stays: of several reasons the first table's stands.
        rejected.sort_by_key(|bad: &Rejected| bad.offset);
        rejected.dedup_by_key(|bad| bad.offset);
        out.rejected.append(&mut rejected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartitionId;
    use crate::decode::EpochUnit;
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    fn table(column: &str, data_type: DataType) -> DecodeConfig {
        let schema = Arc::new(Schema::new(vec![Field::new(column, data_type, true)]));
        DecodeConfig { schema, zone: chrono_tz::UTC, epoch_unit: EpochUnit::Millis, batch_rows: 2, changes: None }
    }

    #[test]
    fn a_record_that_several_tables_refuse_is_rejected_once() {
        let mut decoder =
            source_decoder(Format::Json, vec![table("a", DataType::Int64), table("a", DataType::Boolean)]);
        let lines = "{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":7}\n{\"a\":true}\n{\"a\":0}\n";
        let partition = Arc::new(PartitionId { source: "s".into(), name: "f".into() });
        let mut out = SourceDecoded::new(2);
        decoder.decode(&Chunk::from_bytes(partition, 0, lines.into(), 5, 1, None), &mut out);
        let rows = |table: &Vec<Changes>| table.iter().map(Changes::len).sum::<usize>();
        assert_eq!((rows(&out.tables[0]), rows(&out.tables[1])), (3, 3));
        let rejected: Vec<_> = out.rejected.iter().map(|bad| (bad.line, bad.reason.as_str())).collect();
        assert_eq!(
            rejected,
            [
                (2, "column \"a\": \"x\" is not a BIGINT"),
                (3, "column \"a\": 7 is not a BOOLEAN"),
                (4, "column \"a\": true is not a BIGINT"),
            ]
        );
    }
}
