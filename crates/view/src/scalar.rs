//! An expression over the columns of one stream: DataFusion's physical expression, with what planning needs of it.

use arrow::datatypes::{DataType, Schema};
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An expression over numbered columns.
#[derive(Clone)]
pub(crate) struct Scalar(pub(crate) Arc<dyn PhysicalExpr>);

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ref().hash(state);
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", plain_intervals(&Sql(self.0.as_ref()).to_string()))
    }
}

/// An expression as its own `fmt_sql` writes it.
struct Sql<'a>(&'a dyn PhysicalExpr);

impl fmt::Display for Sql<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

/// Intervals are written as their structure: makes `5 min` of each.
fn plain_intervals(text: &str) -> String {
    let mut pieces = text.split("IntervalMonthDayNano { ");
    let mut plain = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (fields, rest) = piece.split_once(" }").unwrap_or((piece, ""));
        let parts = fields.split(", ").filter_map(|field| {
            let (name, number) = field.split_once(": ")?;
            let number: i64 = number.parse().ok().filter(|number| *number != 0)?;
            Some(match name {
                "nanoseconds" if number % 60_000_000_000 == 0 => format!("{} min", number / 60_000_000_000),
                "nanoseconds" if number % 1_000_000_000 == 0 => format!("{} s", number / 1_000_000_000),
                name => format!("{number} {name}"),
            })
        });
        plain += &parts.collect::<Vec<_>>().join(" ");
        plain += rest;
    }
    plain
}

impl Scalar {
    /// One column of a stream.
    pub(crate) fn column(index: usize, schema: &Schema) -> Self {
        Self(Arc::new(Column::new(schema.field(index).name(), index)))
    }

    /// The number of the column, if it is nothing but one.
    pub(crate) fn as_column(&self) -> Option<usize> {
        self.0.downcast_ref::<Column>().map(Column::index)
    }

    /// The number of the column, if different values of it stay different.
    pub(crate) fn as_renamed(&self, schema: &Schema) -> Option<usize> {
        let Some(cast) = self.0.downcast_ref::<CastExpr>() else { return self.as_column() };
        let from = cast.expr().data_type(schema).ok()?;
        let kept = match (&from, cast.cast_type()) {
            (from, to) if from.is_integer() && to.is_integer() => from.primitive_width() <= to.primitive_width(),
            (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => from <= to,
            (DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8, DataType::Utf8View) => true,
            _ => false,
        };
        Self(Arc::clone(cast.expr())).as_column().filter(|_| kept)
    }

    /// The value, if it is a literal.
    pub(crate) fn as_literal(&self) -> Option<&ScalarValue> {
        self.0.downcast_ref::<Literal>().map(Literal::value)
    }

    /// The function's name and arguments, if it is a function call.
    pub(crate) fn as_function(&self) -> Option<(&str, Vec<Scalar>)> {
        let function = self.0.downcast_ref::<ScalarFunctionExpr>()?;
        Some((function.fun().name(), function.args().iter().map(|argument| Self(Arc::clone(argument))).collect()))
    }

    /// The conditions that must all hold.
    pub(crate) fn parts(&self) -> Vec<Scalar> {
        split_conjunction(&self.0).into_iter().map(|part| Self(Arc::clone(part))).collect()
    }

    pub(crate) fn children(&self) -> Vec<Scalar> {
        self.0.children().into_iter().map(|child| Self(Arc::clone(child))).collect()
    }

    pub(crate) fn data_type(&self, schema: &Schema) -> DataType {
        self.0.data_type(schema).expect("the planner has given every expression a type")
    }

    /// Whether it costs nothing to compute it twice.
    pub(crate) fn is_cheap(&self) -> bool {
        self.as_column().is_some() || self.as_literal().is_some() || self.as_path().is_some()
    }

    /// The column and the names of the nested fields, if it is a chain of field accesses on a column.
    pub(crate) fn as_path(&self) -> Option<(usize, Vec<String>)> {
        if let Some(column) = self.as_column() {
            return Some((column, Vec::new()));
        }
        let ("get_field", arguments) = self.as_function()? else { return None };
        let (base, names) = arguments.split_first()?;
        let (column, mut path) = base.as_path()?;
        for name in names {
            path.push(name.as_literal()?.try_as_str()??.to_string());
        }
        Some((column, path))
    }

    /// The same expression with each column replaced.
    pub(crate) fn replace(&self, with: impl Fn(usize) -> Scalar) -> Self {
        let replaced = Arc::clone(&self.0).transform_up(|expr| {
            Ok(match expr.downcast_ref::<Column>() {
                Some(column) => Transformed::yes(with(column.index()).0),
                None => Transformed::no(expr),
            })
        });
        Self(replaced.expect("replacing columns cannot fail").data)
    }

    /// Adds to `leaves` what it reads of its stream: columns, and nested fields of columns.
    pub(crate) fn leaves(&self, leaves: &mut Vec<Scalar>) {
        if self.as_path().is_none() {
            self.children().iter().for_each(|child| child.leaves(leaves));
        } else if !leaves.contains(self) {
            leaves.push(self.clone());
        }
    }

    /// The expression with the number of each part in its place. The text of a whole one does not say how it is nested: no
    /// parentheses stand around what is on the right of an operator of the same rank.
    pub(crate) fn without_parts(&self) -> Self {
        let numbers = (0..self.0.children().len()).map(|part| Arc::new(Column::new(&part.to_string(), part)) as _);
        Self(Arc::clone(&self.0).with_new_children(numbers.collect()).expect("it has as many parts as before"))
    }

    /// The same expression with each of its leaves replaced.
    pub(crate) fn replace_leaves(&self, with: impl Fn(&Scalar) -> Scalar) -> Self {
        let replaced = Arc::clone(&self.0).transform_down(|expr| {
            let scalar = Scalar(expr);
            Ok(match scalar.as_path() {
                Some(_) => Transformed::new(with(&scalar).0, true, TreeNodeRecursion::Jump),
                None => Transformed::no(scalar.0),
            })
        });
        Self(replaced.expect("replacing leaves cannot fail").data)
    }

    /// How often each column is used.
    pub(crate) fn count_columns(&self, counts: &mut [usize]) {
        if let Some(column) = self.as_column() {
            counts[column] += 1;
        }
        for child in self.children() {
            child.count_columns(counts);
        }
    }

    /// Adds to `uses`, by column, what is needed to compute `demand` of this expression.
    pub(crate) fn demand(&self, demand: &Use, uses: &mut [Use]) {
        if let Some((column, path)) = self.as_path() {
            uses[column].merge(
                &path
                    .iter()
                    .rev()
                    .fold(demand.clone(), |inner, name| Use::Fields(BTreeMap::from([(name.clone(), inner)]))),
            );
            return;
        }
        for child in self.children() {
            child.demand(&Use::All, uses);
        }
    }
}

/// How much of a column is used. A list's use is that of its items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing.
    #[default]
    None,
    /// Some fields of a struct; with none of them, only that there is a value.
    Fields(BTreeMap<String, Use>),
    /// All of it.
    All,
}

impl Use {
    pub(crate) fn is_used(&self) -> bool {
        *self != Self::None
    }

    pub(crate) fn merge(&mut self, other: &Use) {
        match (&mut *self, other) {
            (Self::All, _) | (_, Self::None) => {}
            (Self::None, other) => *self = other.clone(),
            (_, Self::All) => *self = Self::All,
            (Self::Fields(mine), Self::Fields(theirs)) => {
                for (name, theirs) in theirs {
                    mine.entry(name.clone()).or_default().merge(theirs);
                }
            }
        }
    }

    /// The type with only what is used of it. A struct keeps at least one field: without any it could not be stored.
    pub(crate) fn prune(&self, data_type: &DataType) -> DataType {
        match (data_type, self) {
            (DataType::List(item), _) => {
                let pruned = self.prune(item.data_type());
                DataType::List(Arc::new(item.as_ref().clone().with_data_type(pruned)))
            }
            (DataType::Struct(fields), Self::Fields(used)) => {
                let kept = |field: &&arrow::datatypes::FieldRef| used.get(field.name()).is_some_and(Use::is_used);
                let mut pruned: Vec<_> = fields
                    .iter()
                    .filter(kept)
                    .map(|field| field.as_ref().clone().with_data_type(used[field.name()].prune(field.data_type())))
                    .collect();
                if pruned.is_empty() {
                    let first = fields.first().expect("a declared struct has fields").as_ref().clone();
                    let narrow = Self::Fields(BTreeMap::new()).prune(first.data_type());
                    pruned.push(first.with_data_type(narrow));
                }
                DataType::Struct(pruned.into())
            }
            _ => data_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Fields};

    fn used(names: &[&str]) -> Use {
        Use::Fields(names.iter().map(|name| ((*name).to_string(), Use::All)).collect())
    }

    fn fields(names: &[&str]) -> Fields {
        names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect()
    }

    #[test]
    fn uses_add_up_to_all() {
        let mut both = used(&["a"]);
        both.merge(&used(&["b"]));
        assert_eq!(both, used(&["a", "b"]));
        both.merge(&Use::None);
        both.merge(&Use::All);
        both.merge(&used(&["c"]));
        assert_eq!(both, Use::All);
    }

    #[test]
    fn structs_lose_unused_fields_inside_lists_too() {
        let whole = DataType::Struct(fields(&["a", "b", "c"]));
        let list = DataType::List(Arc::new(Field::new("item", whole.clone(), true)));
        assert_eq!(used(&["c", "a"]).prune(&whole), DataType::Struct(fields(&["a", "c"])));
        let DataType::List(item) = used(&["b"]).prune(&list) else { panic!("a list stays a list") };
        assert_eq!(item.data_type(), &DataType::Struct(fields(&["b"])));
        assert_eq!(used(&[]).prune(&whole), DataType::Struct(fields(&["a"])));
        assert_eq!(Use::All.prune(&list), list);
    }
}
