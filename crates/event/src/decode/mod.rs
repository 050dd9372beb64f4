//! Decoders: the bytes of a chunk become typed Arrow columns, of only the columns that the job uses.
//!
//! One bad record is one [`Rejected`] record, never a lost batch. A decoder is made once for each source and worker by
//! [`source_decoder`], and hands the tables of the source their rows; for one table, [`decoder`] makes it. It walks the records of a chunk (`csv`, `json`), reads the text of each wanted value (`values`) and
//! appends it to its column (`columns`).

mod batches;
mod changes;
mod columns;
mod csv;
mod json;
mod source;
mod values;

pub use changes::{ChangeConfig, SEQUENCE, TableName, with_sequence};
pub use source::{Each, SourceDecoded, SourceDecoder, source_decoder};

use crate::{Changes, Chunk, Rejected};
use arrow::datatypes::SchemaRef;
use std::str::FromStr;

/// What a decoder is made from.
#[derive(Clone, Debug)]
pub struct DecodeConfig {
    /// The columns to decode, by name; nested types hold only the fields that the job uses.
    pub schema: SchemaRef,
    /// The zone that timestamps without an offset are in, and to whose wall clock instants are turned.
    pub zone: chrono_tz::Tz,
    /// What bare numbers in timestamp columns count, since 1970 in UTC.
    pub epoch_unit: EpochUnit,
    /// Rows of a batch at the most: 1,024 to 2,048 stay in the cache.
    pub batch_rows: usize,
    /// For formats of changes: which changes are the table's, and its key. `None`: all of them, and it has none.
    pub changes: Option<ChangeConfig>,
}

/// The unit of numbers in timestamp columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds since 1970.
    Seconds,
    /// Thousandths of a second: what browsers and apps send.
    #[default]
    Millis,
    /// Millionths of a second.
    Micros,
}

impl EpochUnit {
    /// How many of them make a second.
    #[must_use]
    pub fn per_second(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
        }
    }
}

impl FromStr for EpochUnit {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "s" => Ok(Self::Seconds),
            "ms" => Ok(Self::Millis),
            "us" => Ok(Self::Micros),
            other => Err(format!("unknown epoch unit \"{other}\": one of 's', 'ms', 'us'")),
        }
    }
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values under a header. An empty field is NULL, `""` the empty string.
    Csv,
    /// One JSON object a line. A missing key is NULL.
    Json,
    /// Changes of MySQL's tables, as Maxwell writes them.
    Maxwell,
    /// Changes of tables, as Debezium writes them, with or without their schema.
    Debezium,
    /// Changes of MySQL's tables, as Canal writes them (flat).
    Canal,
}

impl Format {
    /// The formats' names, for messages.
    pub const NAMES: &str = "'csv', 'json', 'maxwell', 'debezium', 'canal'";

    /// Whether its records are changes, which also take rows back.
    #[must_use]
    pub fn is_of_changes(self) -> bool {
        matches!(self, Self::Maxwell | Self::Debezium | Self::Canal)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "maxwell" => Ok(Self::Maxwell),
            "debezium" => Ok(Self::Debezium),
            "canal" => Ok(Self::Canal),
            other => Err(format!("unknown format \"{other}\": one of {}", Self::NAMES)),
        }
    }
}

/// What a chunk held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The good records, in order.
    pub batches: Vec<Changes>,
    /// The bad ones, in order.
    pub rejected: Vec<Rejected>,
}

/// How the records of a decoder were read, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeStats {
    /// Records read by predicting their shape.
    pub predicted: u64,
    /// Records that went the general way, among them all that were rejected.
    pub general: u64,
}

/// Turns chunks into changes. Each worker has its own for each table.
pub trait Decoder: Send {
    /// Decodes all records of `chunk`, adding to `out`. Every record is either in a batch or rejected.
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded);

    /// How records were read so far. A format with one way only has nothing to tell.
    fn stats(&self) -> DecodeStats {
        DecodeStats::default()
    }
}

/// The decoder of a format.
///
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use proxima_event::decode::{DecodeConfig, Decoded, EpochUnit, Format, decoder};
/// use proxima_event::{Chunk, PartitionId};
/// use std::sync::Arc;
///
/// let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
/// let (zone, epoch_unit) = (chrono_tz::UTC, EpochUnit::Millis);
/// let config = DecodeConfig { schema, zone, epoch_unit, batch_rows: 1_024, changes: None };
/// let mut decoder = decoder(Format::Json, config);
///
/// let partition = Arc::new(PartitionId { source: "clicks".into(), name: "clicks.json".into() });
/// let lines = b"{\"id\":1}\n{\"id\":\"one\"}\n".to_vec();
/// let mut out = Decoded::default();
/// decoder.decode(&Chunk::from_bytes(partition, 0, lines, 2, 1, None), &mut out);
///
/// assert_eq!(out.batches[0].len(), 1);
/// assert_eq!(out.rejected[0].to_string(), "clicks.json:2: column \"id\": \"one\" is not a BIGINT");
/// ```
#[must_use]
pub fn decoder(format: Format, config: DecodeConfig) -> Box<dyn Decoder> {
    match format {
        Format::Csv => Box::new(csv::CsvDecoder::new(config)),
        Format::Json => Box::new(json::JsonDecoder::new(config)),
        Format::Maxwell | Format::Debezium | Format::Canal => Box::new(changes::ChangeDecoder::new(format, &[config])),
    }
}
