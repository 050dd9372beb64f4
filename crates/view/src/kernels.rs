//! Our own evaluation of the few shapes of expressions that every job computes for every row.
//!
//! DataFusion evaluates them too, more generally: a timestamp becomes a day by way of a calendar, row by row. Here the
//! shapes are found in an expression and replaced; the tests hold both to the same answers.

use crate::scalar::Scalar;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Date32Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr, InListExpr};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// The same expression with the shapes that we know replaced by our own.
pub(crate) fn replace(scalar: &Scalar, schema: &Schema) -> Arc<dyn PhysicalExpr> {
    let replaced = Arc::clone(&scalar.0).transform_up(|expr| {
        Ok(match kernel(&expr, schema) {
            Some(kernel) => Transformed::yes(Arc::new(kernel) as Arc<dyn PhysicalExpr>),
            None => Transformed::no(expr),
        })
    });
    replaced.expect("replacing expressions cannot fail").data
}

/// One of our own evaluations, over the expression that it replaces the top of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kernel {
    shape: Shape,
    /// What it stands for, for display and for its type.
    whole: Scalar,
    argument: Scalar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    /// `CAST(ts AS DATE)` of a timestamp without zone.
    Day,
    /// `date_trunc(unit, ts)` of a timestamp without zone, to so many seconds.
    Trunc(i64),
    /// `text = 'short'`, where the text is inline in its view: the view to compare with.
    Text(u128),
    /// `number IN (…)` of integers that lie close together: the smallest, and a bit for each of them from there on.
    Among(i64, u64),
}

/// Text of at most this length stands in its view.
const INLINE_MAX: usize = 12;

fn kernel(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Kernel> {
    let (shape, argument) = day(expr, schema)
        .or_else(|| trunc(expr, schema))
        .or_else(|| text(expr, schema))
        .or_else(|| among(expr, schema))?;
    Some(Kernel { shape, whole: Scalar(Arc::clone(expr)), argument: Scalar(argument) })
}

type Found = Option<(Shape, Arc<dyn PhysicalExpr>)>;

fn is_wall_clock(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    matches!(expr.data_type(schema), Ok(DataType::Timestamp(_, None)))
}

fn day(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Found {
    let cast = expr.downcast_ref::<CastExpr>()?;
    let fits = *cast.cast_type() == DataType::Date32 && is_wall_clock(cast.expr(), schema);
    fits.then(|| (Shape::Day, Arc::clone(cast.expr())))
}

fn trunc(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Found {
    let scalar = Scalar(Arc::clone(expr));
    let ("date_trunc", arguments) = scalar.as_function()? else { return None };
    let [unit, time] = arguments.as_slice() else { return None };
    let seconds = match unit.as_literal()?.try_as_str()??.to_ascii_lowercase().as_str() {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    is_wall_clock(&time.0, schema).then(|| (Shape::Trunc(seconds), Arc::clone(&time.0)))
}

fn text(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Found {
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    if *binary.op() != Operator::Eq {
        return None;
    }
    let literal = |side: &Arc<dyn PhysicalExpr>| match Scalar(Arc::clone(side)).as_literal() {
        Some(ScalarValue::Utf8View(Some(text))) if text.len() <= INLINE_MAX => Some(inline_view(text)),
        _ => None,
    };
    let (view, argument) = match (literal(binary.left()), literal(binary.right())) {
        (None, Some(view)) => (view, binary.left()),
        (Some(view), None) => (view, binary.right()),
        _ => return None,
    };
    let is_text = matches!(argument.data_type(schema), Ok(DataType::Utf8View));
    is_text.then(|| (Shape::Text(view), Arc::clone(argument)))
}

fn among(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Found {
    let list = expr.downcast_ref::<InListExpr>()?;
    let fits = matches!(list.expr().data_type(schema), Ok(DataType::Int32 | DataType::Int64)) && !list.negated();
    let number = |item: &Arc<dyn PhysicalExpr>| match Scalar(Arc::clone(item)).as_literal() {
        Some(ScalarValue::Int32(Some(number))) => Some(i64::from(*number)),
        Some(ScalarValue::Int64(Some(number))) => Some(*number),
        _ => None,
    };
    let numbers = list.list().iter().map(number).collect::<Option<Vec<i64>>>()?;
    let least = *numbers.iter().min()?;
    let bit = |&number: &i64| number.checked_sub(least).filter(|above| *above < 64).map(|above| 1 << above);
    let bits = numbers.iter().map(bit).collect::<Option<Vec<u64>>>()?.into_iter().fold(0, |all, bit| all | bit);
    fits.then(|| (Shape::Among(least, bits), Arc::clone(list.expr())))
}

/// The view of a short text: its length, then its bytes, then zeros.
fn inline_view(text: &str) -> u128 {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
    bytes[4..4 + text.len()].copy_from_slice(text.as_bytes());
    u128::from_le_bytes(bytes)
}

impl Shape {
    fn compute(self, argument: &ArrayRef) -> Option<ArrayRef> {
        match (self, argument.data_type()) {
            (Self::Text(view), DataType::Utf8View) => Some(Arc::new(equal_views(argument, view))),
            (Self::Among(least, bits), DataType::Int32) => Some(Arc::new(one_of::<Int32Type>(argument, least, bits))),
            (Self::Among(least, bits), DataType::Int64) => Some(Arc::new(one_of::<Int64Type>(argument, least, bits))),
            (Self::Text(_) | Self::Among(..), _) => None,
            (_, DataType::Timestamp(TimeUnit::Second, None)) => self.time::<TimestampSecondType, 1>(argument),
            (_, DataType::Timestamp(TimeUnit::Millisecond, None)) => {
                self.time::<TimestampMillisecondType, 1_000>(argument)
            }
            (_, DataType::Timestamp(TimeUnit::Microsecond, None)) => {
                self.time::<TimestampMicrosecondType, 1_000_000>(argument)
            }
            (_, DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
                self.time::<TimestampNanosecondType, 1_000_000_000>(argument)
            }
            _ => None,
        }
    }

    /// The divisors are known when this is compiled, so that no row pays for a division.
    fn time<T: ArrowPrimitiveType<Native = i64>, const TICKS: i64>(self, times: &ArrayRef) -> Option<ArrayRef> {
        let times = times.as_primitive::<T>();
        Some(match self {
            Self::Day => {
                let days: Date32Array = times.unary(|time| time.div_euclid(86_400 * TICKS) as i32);
                Arc::new(days)
            }
            Self::Trunc(1) => Arc::new(times.unary::<_, T>(|time| time - time.rem_euclid(TICKS))),
            Self::Trunc(60) => Arc::new(times.unary::<_, T>(|time| time - time.rem_euclid(60 * TICKS))),
            Self::Trunc(3_600) => Arc::new(times.unary::<_, T>(|time| time - time.rem_euclid(3_600 * TICKS))),
            Self::Trunc(86_400) => Arc::new(times.unary::<_, T>(|time| time - time.rem_euclid(86_400 * TICKS))),
            Self::Trunc(_) | Self::Text(_) | Self::Among(..) => return None,
        })
    }
}

fn equal_views(texts: &ArrayRef, view: u128) -> BooleanArray {
    let texts = texts.as_string_view();
    let views = texts.views();
    let equal = BooleanBuffer::collect_bool(views.len(), |row| views[row] == view);
    BooleanArray::new(equal, texts.nulls().cloned())
}

fn one_of<T: ArrowPrimitiveType<Native: Into<i64>>>(numbers: &ArrayRef, least: i64, bits: u64) -> BooleanArray {
    let numbers = numbers.as_primitive::<T>();
    let values = numbers.values();
    let found = BooleanBuffer::collect_bool(values.len(), |row| {
        let above = values[row].into().wrapping_sub(least) as u64;
        above < 64 && bits >> above & 1 == 1
    });
    BooleanArray::new(found, numbers.nulls().cloned())
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.whole.0)
    }
}

impl PhysicalExpr for Kernel {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.whole.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.whole.0.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        match self.argument.0.evaluate(batch)? {
            ColumnarValue::Array(argument) => match self.shape.compute(&argument) {
                Some(computed) => Ok(ColumnarValue::Array(computed)),
                None => self.whole.0.evaluate(batch),
            },
            ColumnarValue::Scalar(_) => self.whole.0.evaluate(batch),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.argument.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let argument = Scalar(children.remove(0));
        let moved = |child: Scalar| if child == self.argument { argument.0.clone() } else { child.0 };
        let children = self.whole.children().into_iter().map(moved).collect();
        let whole = Scalar(Arc::clone(&self.whole.0).with_new_children(children)?);
        Ok(Arc::new(Self { shape: self.shape, whole, argument }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whole.0.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{PrimitiveArray, StringViewArray};
    use arrow::datatypes::Field;
    use datafusion_common::DFSchema;
    use datafusion_expr::execution_props::ExecutionProps;
    use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
    use datafusion_expr::{Expr, cast, col, lit};
    use datafusion_physical_expr::create_physical_expr;
    use rand::{RngExt, SeedableRng};

    /// Evaluates an expression both ways; the replaced one must really hold a kernel.
    fn assert_same(expr: &Expr, batch: &RecordBatch) {
        let schema = DFSchema::try_from(batch.schema().as_ref().clone()).unwrap();
        let context = PhysicalPlanningContext::default();
        let theirs = create_physical_expr(expr, &schema, &ExecutionProps::new(), &context).unwrap();
        let ours = replace(&Scalar(Arc::clone(&theirs)), &batch.schema());
        assert!(ours.downcast_ref::<Kernel>().is_some(), "{expr} has no kernel");
        let rows = batch.num_rows();
        let value = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch).unwrap().into_array(rows).unwrap();
        assert_eq!(&value(&ours), &value(&theirs), "{expr}");
        assert_eq!(value(&ours).data_type(), &ours.data_type(&batch.schema()).unwrap());
    }

    fn times<T: ArrowPrimitiveType<Native = i64>>(ticks: i64) -> RecordBatch {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let century = 100 * 366 * 86_400;
        let mut values = vec![Some(0), None, Some(-1), Some(1), Some(-86_400 * ticks), Some(86_400 * ticks - 1)];
        values.extend(
            (0..1_000).map(|_| Some(random.random_range(-century..century) * ticks + random.random_range(0..ticks))),
        );
        let array: PrimitiveArray<T> = values.into_iter().collect();
        let schema = Schema::new(vec![Field::new("ts", array.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(array)]).unwrap()
    }

    fn all_units() -> [RecordBatch; 4] {
        [
            times::<TimestampSecondType>(1),
            times::<TimestampMillisecondType>(1_000),
            times::<TimestampMicrosecondType>(1_000_000),
            times::<TimestampNanosecondType>(1_000_000_000),
        ]
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for batch in all_units() {
            assert_same(&cast(col("ts"), DataType::Date32), &batch);
        }
    }

    #[test]
    fn truncated_times_are_those_of_date_trunc() {
        let date_trunc = datafusion_functions::datetime::date_trunc();
        for batch in all_units() {
            for unit in ["second", "minute", "HOUR", "day"] {
                assert_same(&date_trunc.call(vec![lit(unit), col("ts")]), &batch);
            }
        }
    }

    #[test]
    fn numbers_are_found_in_lists_that_lie_close_together() {
        let edges = [0, 1, 2, 3, 4, 5, 62, 63, 64, 65, -1, -2, i64::MAX, i64::MIN];
        let wide: PrimitiveArray<Int64Type> = edges.into_iter().map(Some).chain([None]).collect();
        let narrow: PrimitiveArray<Int32Type> =
            edges.into_iter().map(|number| Some(number as i32)).chain([None]).collect();
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = Schema::new(vec![field("wide", DataType::Int64), field("narrow", DataType::Int32)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(wide), Arc::new(narrow)]).unwrap();
        for list in [vec![1, 2, 3, 4], vec![-1, 62, 5, 0], vec![i64::MIN, i64::MIN + 1], vec![1, 64, 3, 3]] {
            assert_same(&col("wide").in_list(list.iter().map(|number| lit(*number)).collect(), false), &batch);
            let list = list.iter().map(|number| lit(*number as i32)).collect();
            assert_same(&col("narrow").in_list(list, false), &batch);
        }
    }

    #[test]
    fn short_texts_are_compared_whole() {
        let texts = ["", "a", "ab", "twelve bytes", "twelve byte", "more than twelve bytes", "twelve byteS", "é"];
        let array: StringViewArray = texts.iter().map(|text| Some(*text)).chain([None]).collect();
        let schema = Schema::new(vec![Field::new("text", DataType::Utf8View, true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(array)]).unwrap();
        for text in texts.iter().filter(|text| text.len() <= INLINE_MAX) {
            let literal = Expr::Literal(ScalarValue::Utf8View(Some((*text).to_string())), None);
            assert_same(&col("text").eq(literal.clone()), &batch);
            assert_same(&literal.eq(col("text")), &batch);
        }
    }
}
