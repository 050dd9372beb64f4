//! Who did what: the ends of a relation's rows as texts.

use arrow::array::{AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use proxima_event::Changes;
use proxima_graph::RelationColumns;

/// The subjects and objects of a batch of rows.
pub struct Texts {
    subjects: StringViewArray,
    objects: StringViewArray,
}

impl Texts {
    /// Of rows that have these columns.
    ///
    /// # Panics
    /// When the columns of subjects and objects are not texts; the job was checked for that.
    #[must_use]
    pub fn of(rows: &Changes, columns: &RelationColumns) -> Self {
        let text = |column: usize| {
            let texts = cast(rows.column(column), &DataType::Utf8View).expect("subjects and objects are texts");
            texts.as_string_view().clone()
        };
        Self { subjects: text(columns.subject), objects: text(columns.object) }
    }

    /// Subject and object of a row.
    #[must_use]
    pub fn of_row(&self, row: usize) -> (&str, &str) {
        (self.subjects.value(row), self.objects.value(row))
    }
}
