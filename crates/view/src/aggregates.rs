//! The aggregates that SQL can name, as the planner sees them: names and rules of types. Operators of ours compute them.

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion_functions_aggregate::approx_distinct::ApproxDistinct;
use datafusion_functions_aggregate::average::Avg;
use datafusion_functions_aggregate::count::Count;
use datafusion_functions_aggregate::min_max::{Max, Min};
use datafusion_functions_aggregate::sum::Sum;
use std::hash::Hash;
use std::sync::Arc;

/// The aggregates that views keep up to date.
pub(crate) const SUPPORTED: [&str; 6] = ["count", "sum", "min", "max", "avg", "approx_distinct"];

/// Aggregates that users of SQL know and may ask for, so that they are told what there is in place of them.
const KNOWN_ELSEWHERE: [&str; 33] = [
    "any_value",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "covar",
    "covar_pop",
    "covar_samp",
    "first_value",
    "last_value",
    "listagg",
    "median",
    "nth_value",
    "percentile_cont",
    "quantile_cont",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "var",
    "var_pop",
    "var_samp",
    "variance",
];

/// Whether an aggregate of this name is known, but not supported.
pub(crate) fn is_unsupported(name: &str) -> bool {
    KNOWN_ELSEWHERE.contains(&name)
}

/// The supported aggregates.
pub(crate) fn all() -> [Arc<AggregateUDF>; 6] {
    [
        planned(Count::new()),
        planned(Sum::new()),
        planned(Min::new()),
        planned(Max::new()),
        planned(Avg::new()),
        planned(ApproxDistinct::new()),
    ]
}

fn planned<F: AggregateUDFImpl + Eq + Hash + 'static>(function: F) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Planned(function)))
}

/// An aggregate of DataFusion's without what would compute it, which would be a tenth of the binary.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Planned<F>(F);

impl<F: AggregateUDFImpl + Eq + Hash + 'static> AggregateUDFImpl for Planned<F> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.0.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.0.return_field(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.0.is_nullable()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(arguments)
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.0.default_value(kind)
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("{}() is kept by an operator of its own", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_aggregate_of_the_planner_is_supported_or_known() {
        let ours = all();
        let names: Vec<_> = ours.iter().map(|function| function.name()).collect();
        assert_eq!(names, SUPPORTED);
        for theirs in datafusion_functions_aggregate::all_default_aggregate_functions() {
            let name = theirs.name().to_owned();
            let supported = SUPPORTED.contains(&name.as_str());
            assert!(supported || is_unsupported(&name) || name.starts_with("regr_") || name == "grouping", "{name}");
        }
    }
}
