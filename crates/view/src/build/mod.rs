//! From DataFusion's logical plan to the graph of operators.
//!
//! Steps without state pile up in a [`Stream`] and become one projection where an operator with state reads them.

mod aggregate;
mod join;
mod rank;
mod stream;
mod unnest;

use crate::catalog::{AS_OF, Catalog, Relation};
use crate::plan::{Table, Target};
use crate::problem::Refusal;
use crate::scalar::Scalar;
use crate::tree::{Ix, Kind, Tree};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::DFSchema;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::Sort as SortExpr;
use datafusion_expr::logical_plan::{TableScan, Union};
use datafusion_expr::{Distinct, Expr, LogicalPlan};
use datafusion_physical_expr::expressions::CastExpr;
use datafusion_physical_expr::{conjunction, split_conjunction};
use std::collections::HashMap;
use std::sync::Arc;
use stream::{Order, Stream};

/// How the planner names a list that it takes apart.
const UNNESTED: &str = "__unnest_placeholder(";

type Built<T> = Result<T, Refusal>;

/// Builds the graph of all views of a job.
pub(crate) struct Builder<'a> {
    pub(crate) tree: Tree,
    catalog: &'a Catalog,
    tables: &'a [Table],
    built: HashMap<LogicalPlan, Stream>,
    props: ExecutionProps,
    /// Whether the right side of a lookup is being built.
    looking_up: bool,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(catalog: &'a Catalog, tables: &'a [Table]) -> Self {
        let mut props = ExecutionProps::new();
        props.config_options = Some(Arc::new(catalog.config().clone()));
        Self { tree: Tree::default(), catalog, tables, built: HashMap::new(), props, looking_up: false }
    }

    /// The node that puts out the rows of a plan, with its columns and their names.
    pub(crate) fn query(&mut self, plan: &LogicalPlan) -> Built<Ix> {
        if plan.schema().fields().is_empty() {
            return Err(
                Refusal::new("a query without columns is not supported").advise("name what is wanted: SELECT …")
            );
        }
        let stream = self.stream(plan)?;
        self.exactly(stream, &names(plan.schema()))
    }

    /// Looks whether a view can be maintained. A bound on its row numbers may still come from those who read it.
    pub(crate) fn view(&mut self, plan: &LogicalPlan) -> Built<()> {
        self.stream(plan).map(|_| ())
    }

    /// The node that keeps a target: the plan's rows, given in the target's columns, netted by its key.
    pub(crate) fn target(&mut self, plan: &LogicalPlan, from: &[Option<usize>], target: &Target) -> Built<Ix> {
        let mut stream = self.stream(plan)?;
        let columns = std::iter::zip(from, target.schema.fields())
            .map(|(&from, field)| match from {
                Some(column) => Ok(cast(&stream.columns[column], self.tree.schema(stream.node), field.data_type())),
                None => null(field.data_type()),
            })
            .collect::<Built<_>>()?;
        stream.columns = columns;
        let names: Vec<String> = target.schema.fields().iter().map(|field| field.name().clone()).collect();
        let input = self.exactly(stream, &names)?;
        Ok(self.tree.add(Kind::Net { input, key: target.key.clone(), trusted: target.one_row_per_key }))
    }

    fn stream(&mut self, plan: &LogicalPlan) -> Built<Stream> {
        if join::looked_up(plan).is_some() {
            return self.build(plan);
        }
        if let Some(built) = self.built.get(plan) {
            return Ok(built.clone());
        }
        let stream = self.build(plan)?;
        self.built.insert(plan.clone(), stream.clone());
        Ok(stream)
    }

    fn build(&mut self, plan: &LogicalPlan) -> Built<Stream> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.stream(&alias.input),
            LogicalPlan::Projection(projection) => {
                let stream = self.stream(&projection.input)?;
                let (stream, columns) = self.compose(stream, &projection.expr, projection.input.schema())?;
                Ok(Stream { columns, ..stream })
            }
            LogicalPlan::Filter(filter) => {
                let stream = self.stream(&filter.input)?;
                self.filter(stream, &filter.predicate, filter.input.schema())
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let stream = self.stream(input)?;
                self.distinct(stream, &names(input.schema()))
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(distinct),
            LogicalPlan::Window(window) => self.rank(window),
            LogicalPlan::Sort(sort) => {
                let stream = self.stream(&sort.input)?;
                let order = self.order(&stream, &sort.expr, sort.input.schema())?;
                Ok(Stream { order, ..stream })
            }
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                Err(Refusal::new("a query without FROM is not supported").advise("read the rows from a table"))
            }
            other => Err(Refusal::new(format!("{} is not supported", other.display()))
                .advise("see docs/sql.md for what can be maintained")),
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Built<Stream> {
        let name = scan.table_name.table();
        if let Some(dimension) = name.strip_suffix(AS_OF) {
            if self.looking_up {
                return self.dimension(dimension);
            }
            return Err(Refusal::new("FOR SYSTEM_TIME AS OF is only supported on the right side of a JOIN")
                .advise("write facts [LEFT] JOIN dimension FOR SYSTEM_TIME AS OF facts.time AS d ON …"));
        }
        let Some(Relation::Table(number, _)) = self.catalog.relation(name) else {
            unreachable!("views are inlined by the planner");
        };
        let node = self.table(*number);
        let stream = self.all_of(node);
        Ok(match &scan.projection {
            Some(kept) => {
                Stream { columns: kept.iter().map(|&column| stream.columns[column].clone()).collect(), ..stream }
            }
            None => stream,
        })
    }

    /// A table's rows: of a table of changes with a key the newest of each key, and without the late ones if it has a
    /// lifetime.
    fn table(&mut self, number: usize) -> Ix {
        let table = &self.tables[number];
        let (schema, key) = (Arc::clone(&table.schema), table.key.clone());
        let mut input = self.tree.add(Kind::Table { table: number, schema, key, append_only: table.append_only });
        if let Some(key) = table.change_key() {
            input = self.tree.add(Kind::Normalize { input, key: key.to_vec() });
        }
        match (&table.event_time, table.lifetime) {
            (Some(time), Some(lifetime)) => {
                let lifetime_us = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
                let bounds = self.tree.add(Kind::Bounds { input, time: time.column, lifetime_us });
                self.tree.add(Kind::DropLate { input, bounds, time: time.column })
            }
            _ => input,
        }
    }

    fn filter(&mut self, stream: Stream, predicate: &Expr, schema: &DFSchema) -> Built<Stream> {
        let (mut stream, predicate) = self.compose(stream, std::slice::from_ref(predicate), schema)?;
        for part in split_conjunction(&predicate[0].0) {
            let part = Scalar(Arc::clone(part));
            if self.bound_rank(&mut stream, &part) {
                continue;
            }
            if !stream.filters.contains(&part) {
                stream.filters.push(part);
            }
        }
        Ok(stream)
    }

    fn union(&mut self, union: &Union) -> Built<Stream> {
        let names = names(&union.schema);
        let mut inputs = Vec::new();
        for input in &union.inputs {
            let mut stream = self.stream(input)?;
            let schema = self.tree.schema(stream.node);
            let types = union.schema.fields().iter().map(|field| field.data_type());
            stream.columns = stream.columns.iter().zip(types).map(|(column, to)| cast(column, schema, to)).collect();
            inputs.push(self.exactly(stream, &names)?);
        }
        let node = self.tree.add(Kind::Union { inputs });
        Ok(self.all_of(node))
    }

    fn limit(&mut self, limit: &datafusion_expr::logical_plan::Limit) -> Built<Stream> {
        let stream = self.stream(&limit.input)?;
        let skip = limit.skip.as_deref().map_or(Ok(0), whole_number)?;
        let fetch = match limit.fetch.as_deref() {
            Some(fetch) => whole_number(fetch)?,
            None => return Err(Refusal::new("OFFSET without LIMIT is not supported").advise("add LIMIT n")),
        };
        if stream.order.is_empty() {
            return Err(Refusal::new("LIMIT without ORDER BY has no fixed answer").advise("add ORDER BY"));
        }
        let names = names(limit.input.schema());
        self.top(stream, &names, skip, fetch)
    }

    fn order(&self, stream: &Stream, sorts: &[SortExpr], schema: &DFSchema) -> Built<Vec<Order>> {
        sorts
            .iter()
            .map(|sort| {
                let scalar = self.seen_through(stream, &sort.expr, schema)?;
                Ok(Order { scalar, descending: !sort.asc, nulls_first: sort.nulls_first })
            })
            .collect()
    }
}

fn names(schema: &DFSchema) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| if field.name().starts_with(UNNESTED) { "item" } else { field.name() }.to_string())
        .collect()
}

/// The column of a stream of which only the number of rows matters: a batch without any column has none.
pub(crate) fn nothing() -> (Scalar, String) {
    (Scalar(datafusion_physical_expr::expressions::lit(true)), "row".to_string())
}

/// All of the conditions; `None` when there is none.
pub(crate) fn all(filters: &[Scalar]) -> Option<Scalar> {
    (!filters.is_empty()).then(|| Scalar(conjunction(filters.iter().map(|filter| Arc::clone(&filter.0)))))
}

/// `scalar` as another type.
fn cast(scalar: &Scalar, schema: &Schema, to: &DataType) -> Scalar {
    if scalar.data_type(schema) == *to {
        return scalar.clone();
    }
    Scalar(Arc::new(CastExpr::new(Arc::clone(&scalar.0), to.clone(), None)))
}

fn null(data_type: &DataType) -> Built<Scalar> {
    let value = datafusion_common::ScalarValue::try_new_null(data_type)?;
    Ok(Scalar(datafusion_physical_expr::expressions::lit(value)))
}

fn whole_number(expr: &Expr) -> Built<usize> {
    let Expr::Literal(value, _) = expr else {
        return Err(Refusal::new(format!("{expr} is not a plain number")).advise("write LIMIT with a number"));
    };
    let number = value.cast_to(&DataType::UInt64)?;
    match number {
        datafusion_common::ScalarValue::UInt64(Some(number)) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        _ => Err(Refusal::new(format!("{value} is not a number of rows")).advise("write LIMIT with a number")),
    }
}
