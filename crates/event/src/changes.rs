//! A changelog batch: Arrow rows, each with a weight (+1 a row appears, −1 it goes).

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use std::sync::Arc;

/// How often each row of a batch appears (positive) or goes (negative).
#[derive(Clone, Debug, Default)]
pub enum Weights {
    /// Every row appears once: what append-only sources give. Costs no memory.
    #[default]
    Ones,
    /// One weight for each row.
    Rows(ScalarBuffer<i64>),
}

impl Weights {
    /// The weight of one row.
    #[must_use]
    pub fn get(&self, row: usize) -> i64 {
        match self {
            Self::Ones => 1,
            Self::Rows(weights) => weights[row],
        }
    }

    /// The weights of the chosen rows, in their order.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        match self {
            Self::Ones => Self::Ones,
            Self::Rows(weights) => Self::Rows(rows.iter().map(|&row| weights[row as usize]).collect()),
        }
    }
}

impl From<Vec<i64>> for Weights {
    fn from(weights: Vec<i64>) -> Self {
        Self::Rows(weights.into())
    }
}

/// What flows between operators.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The rows, in columns.
    pub rows: RecordBatch,
    /// The weight of each row.
    pub weights: Weights,
    /// The key hash of each row, where the batch was routed by key; see [`crate::hash`].
    pub hashes: Option<ScalarBuffer<u64>>,
    /// The newest event time, in microseconds, of the rows before these in what is read in order; `i64::MIN` if none has
    /// one. Only rows of a table whose lateness goes by it have that, as they come from the decoder.
    pub preceded_us: Option<i64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self::empty(Arc::new(Schema::empty()))
    }
}

impl Changes {
    /// Rows that appear, each once.
    #[must_use]
    pub fn inserts(rows: RecordBatch) -> Self {
        Self { rows, weights: Weights::Ones, hashes: None, preceded_us: None }
    }

    /// Rows with their weights.
    ///
    /// # Panics
    /// When there are not as many weights as rows.
    #[must_use]
    pub fn weighted(rows: RecordBatch, weights: Vec<i64>) -> Self {
        assert_eq!(rows.num_rows(), weights.len(), "one weight for each row");
        Self { rows, weights: weights.into(), hashes: None, preceded_us: None }
    }

    /// No rows.
    #[must_use]
    pub fn empty(schema: SchemaRef) -> Self {
        Self::inserts(RecordBatch::new_empty(schema))
    }

    /// How many rows there are, whatever their weights.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weight of one row.
    #[must_use]
    pub fn weight(&self, row: usize) -> i64 {
        self.weights.get(row)
    }

    /// One column.
    #[must_use]
    pub fn column(&self, index: usize) -> &ArrayRef {
        self.rows.column(index)
    }

    /// The chosen rows with their weights and hashes, in the order given.
    ///
    /// # Panics
    /// When a row number is out of bounds.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        let indices = UInt32Array::from(rows.to_vec());
        Self {
            rows: take_record_batch(&self.rows, &indices).expect("row numbers are within the batch"),
            weights: self.weights.take(rows),
            hashes: self.hashes.as_ref().map(|hashes| rows.iter().map(|&row| hashes[row as usize]).collect()),
            preceded_us: None,
        }
    }

    /// The same weights over other columns, as a stateless step leaves them. Hashes do not carry over.
    #[must_use]
    pub fn with_rows(&self, rows: RecordBatch) -> Self {
        debug_assert_eq!(rows.num_rows(), self.len(), "a projection keeps every row");
        Self { rows, weights: self.weights.clone(), hashes: None, preceded_us: None }
    }

    /// Bytes held by the columns; shared buffers count in full.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.rows.columns().iter().map(|column| column.get_array_memory_size()).sum()
    }
}
