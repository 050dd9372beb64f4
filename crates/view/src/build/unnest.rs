//! UNNEST of a list.

use super::{Builder, Built, Stream, names};
use crate::problem::Refusal;
use crate::tree::Kind;
use arrow::datatypes::DataType;
use datafusion_expr::logical_plan;

impl Builder<'_> {
    /// A row for each item of a list; lists in lists are taken apart one after the other.
    pub(super) fn unnest(&mut self, unnest: &logical_plan::Unnest) -> Built<Stream> {
        if !unnest.struct_type_columns.is_empty() {
            return Err(Refusal::new("unnest() of a STRUCT is not supported").advise("name its fields: s.a, s.b"));
        }
        let [(list, output)] = unnest.list_type_columns.as_slice() else {
            return Err(Refusal::new("several unnest() in one SELECT are not supported")
                .advise("unnest one list in a subquery, the next around it"));
        };
        let stream = self.stream(&unnest.input)?;
        let data_type = unnest.input.schema().field(*list).data_type();
        if !matches!(data_type, DataType::List(_)) {
            return Err(Refusal::new(format!("unnest() of {data_type} is not supported")).advise("unnest an ARRAY"));
        }
        // A list that is both unnested and kept is two columns.
        let mut node = self.exactly(stream, &names(unnest.input.schema()))?;
        for _ in 0..output.depth {
            node = self.tree.add(Kind::Unnest { input: node, column: *list, outer: unnest.options.preserve_nulls() });
        }
        Ok(self.seen(node, &unnest.dependency_indices))
    }
}
