//! A row as a message.

use proxima_event::{Changes, Version, encode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

/// The header that says which epoch of which run has written a message: [`Version`] in decimal digits.
pub(crate) const VERSION_HEADER: &str = "proxima-version";

/// A message that may have to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The key columns as a JSON object.
    pub(crate) key: Vec<u8>,
    /// The row as a JSON object; `None` deletes the key.
    pub(crate) value: Option<Vec<u8>>,
    version: Version,
}

impl Record {
    /// The message of a row; `None` for a change that cancels out.
    pub(crate) fn of(changes: &Changes, row: usize, key: &[usize], version: Version) -> Option<Self> {
        let weight = changes.weight(row);
        if weight == 0 {
            return None;
        }
        let (mut name, mut value) = (Vec::with_capacity(32), None);
        encode::write_fields(&mut name, &changes.rows, key, row);
        if weight > 0 {
            let mut text = Vec::with_capacity(32 * changes.rows.num_columns());
            encode::write_row(&mut text, &changes.rows, row);
            value = Some(text);
        }
        Some(Self { key: name, value, version })
    }

    /// How much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }

    /// What the producer is handed; `place` comes back with the acknowledgement.
    pub(crate) fn message<'r>(&'r self, topic: &'r str, place: usize) -> BaseRecord<'r, [u8], [u8], usize> {
        let version = self.version.0.to_string();
        let headers = OwnedHeaders::new().insert(Header { key: VERSION_HEADER, value: Some(&version) });
        let message = BaseRecord::with_opaque_to(topic, place).key(&self.key[..]).headers(headers);
        match &self.value {
            Some(value) => message.payload(&value[..]),
            None => message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use std::sync::Arc;

    #[test]
    fn a_row_is_its_key_and_its_json() {
        let columns: [(&str, ArrayRef); 2] = [
            ("sku", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
            ("sold", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let changes = Changes::weighted(rows, vec![1, -1, 0]);
        let record = |row| Record::of(&changes, row, &[0], Version(7));
        let added = record(0).unwrap();
        assert_eq!(
            (&added.key[..], added.value.as_deref()),
            (&b"{\"sku\":\"a\"}"[..], Some(&b"{\"sku\":\"a\",\"sold\":1}"[..]))
        );
        assert_eq!(record(1).unwrap().value, None, "a delete is a tombstone");
        assert_eq!(record(2), None);
    }
}
