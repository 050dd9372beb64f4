//! What SQL can name: the job's tables and views, and the functions. It is what DataFusion's planner asks.

use crate::{aggregates, functions};
use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::utils::datafusion_strsim::levenshtein;
use datafusion_common::{FunctionalDependencies, Result, TableReference, plan_err};
use datafusion_expr::logical_plan::Projection;
use datafusion_expr::planner::{
    ContextProvider, ExprPlanner, PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
    TypePlanner,
};
use datafusion_expr::{AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::sqlparser::ast::{DataType as SqlType, TableFactor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Marks the name of a table that is looked up (`FOR SYSTEM_TIME AS OF`): the planner would drop the clause.
pub(crate) const AS_OF: &str = " FOR SYSTEM_TIME AS OF";

/// The names of a job's SQL.
#[derive(Debug)]
pub(crate) struct Catalog {
    relations: HashMap<String, Relation>,
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    windows: HashMap<String, Arc<WindowUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    types: Arc<dyn TypePlanner>,
    relation_planners: [Arc<dyn RelationPlanner>; 1],
    config: ConfigOptions,
}

/// A table or a view.
#[derive(Clone, Debug)]
pub(crate) enum Relation {
    /// An input table: its number in the plan and its columns.
    Table(usize, SchemaRef),
    /// A view: its analysed plan. It stands in for the view's name wherever that is used.
    View(Arc<LogicalPlan>),
}

impl Catalog {
    /// No tables and views yet; all functions. `zone` is that of the job.
    pub(crate) fn new(zone: &str) -> Self {
        let mut config = ConfigOptions::default();
        config.execution.time_zone = Some(zone.to_string());
        let scalars = datafusion_functions::all_default_functions()
            .into_iter()
            .chain(datafusion_functions_nested::all_default_nested_functions())
            .chain(functions::all());
        Self {
            relations: HashMap::new(),
            scalars: by_name(scalars, |f| (f.name(), f.aliases())),
            aggregates: by_name(aggregates::all().into_iter(), |f: &AggregateUDF| (f.name(), f.aliases())),
            windows: by_name(
                datafusion_functions_window::all_default_window_functions().into_iter(),
                |f: &WindowUDF| (f.name(), f.aliases()),
            ),
            planners: vec![
                Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
                Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
                Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
                Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
                Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
                Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
                Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
            ],
            types: Arc::new(Types { zone: zone.to_string() }),
            relation_planners: [Arc::new(Independent::default())],
            config,
        }
    }

    /// Adds a table or view; says whether the name was free.
    pub(crate) fn add(&mut self, name: &str, relation: Relation) -> bool {
        self.relations.insert(name.to_string(), relation).is_none()
    }

    pub(crate) fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.get(name)
    }

    pub(crate) fn config(&self) -> &ConfigOptions {
        &self.config
    }

    pub(crate) fn scalar(&self, name: &str) -> Option<&ScalarUDF> {
        self.scalars.get(name).map(Arc::as_ref)
    }

    /// Whether there is an aggregate of that name.
    pub(crate) fn has_aggregate(&self, name: &str) -> bool {
        self.aggregates.contains_key(name)
    }

    /// The function whose name is closest to a name that there is not, if one is close.
    pub(crate) fn nearest_function(&self, name: &str) -> Option<String> {
        let near = |known: &String| (levenshtein(name, known), name.len().abs_diff(known.len()), known.clone());
        let (distance, _, nearest) = self.scalars.keys().chain(self.aggregates.keys()).map(near).min()?;
        (distance <= 1 + name.len() / 4).then_some(nearest)
    }

    /// Whether there is any function of that name.
    pub(crate) fn knows_function(&self, name: &str) -> bool {
        self.scalars.contains_key(name) || self.aggregates.contains_key(name) || self.windows.contains_key(name)
    }
}

fn by_name<F>(all: impl Iterator<Item = Arc<F>>, names: impl Fn(&F) -> (&str, &[String])) -> HashMap<String, Arc<F>> {
    let mut map = HashMap::new();
    for function in all {
        let (name, aliases) = names(&function);
        for name in aliases.iter().map(String::as_str).chain([name]) {
            map.insert(name.to_string(), Arc::clone(&function));
        }
    }
    map
}

/// An input table, or a table or view that is looked up, in a plan.
struct Input {
    schema: SchemaRef,
}

impl TableSource for Input {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A view in a plan: the planner puts its plan in its place.
struct View {
    schema: SchemaRef,
    plan: Arc<LogicalPlan>,
}

impl TableSource for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

impl ContextProvider for Catalog {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if name.schema().is_some() {
            return plan_err!("name {name} has several parts: use a plain name");
        }
        let name = name.table();
        let (plain, looked_up) = match name.strip_suffix(AS_OF) {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        Ok(match (self.relations.get(plain), looked_up) {
            (None, _) => return plan_err!("there is no table or view '{plain}' before this statement"),
            (Some(Relation::Table(_, schema)), _) => Arc::new(Input { schema: Arc::clone(schema) }),
            (Some(Relation::View(plan)), true) => {
                Arc::new(Input { schema: Arc::new(plan.schema().as_arrow().clone()) })
            }
            (Some(Relation::View(plan)), false) => {
                Arc::new(View { schema: Arc::new(plan.schema().as_arrow().clone()), plan: Arc::clone(plan) })
            }
        })
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        sorted(self.scalars.keys())
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        sorted(self.aggregates.keys())
    }

    fn udwf_names(&self) -> Vec<String> {
        sorted(self.windows.keys())
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort();
    names
}

/// Types in casts that DataFusion does not know by their Flink names.
#[derive(Debug)]
struct Types {
    zone: String,
}

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let SqlType::Custom(name, _) = sql_type else { return Ok(None) };
        if !name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") {
            return Ok(None);
        }
        let data_type = crate::types::arrow_type(sql_type, &self.zone)
            .unwrap_or(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(self.zone.as_str()))));
        Ok(Some(Arc::new(arrow::datatypes::Field::new("", data_type, true))))
    }
}

/// Makes the planner forget which columns of a relation depend on which.
///
/// It adds dependent columns to a GROUP BY, and takes `CAST(m AS DATE)` for `m` when it does so: grouping the minutes
/// of a subquery by day would also group by whatever the subquery has for each minute.
#[derive(Debug, Default)]
struct Independent {
    /// Set while the planner is asked to plan a relation as it always does.
    inside: AtomicBool,
}

impl RelationPlanner for Independent {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if self.inside.swap(false, Ordering::Relaxed) {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        self.inside.store(true, Ordering::Relaxed);
        let planned = context.plan(relation);
        self.inside.store(false, Ordering::Relaxed);
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(independent(planned?)?, None))))
    }
}

fn independent(plan: LogicalPlan) -> Result<LogicalPlan> {
    if plan.schema().functional_dependencies().is_empty() {
        return Ok(plan);
    }
    let schema = plan.schema().as_ref().clone().with_functional_dependencies(FunctionalDependencies::empty())?;
    let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(columns, Arc::new(plan), Arc::new(schema))?))
}
