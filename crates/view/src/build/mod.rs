//! From DataFusion's logical plan to the graph of operators.
//!
//! Steps without state pile up in a [`Stream`] and become one projection where an operator with state reads them.

mod aggregate;
mod join;
mod rank;
mod unnest;

use crate::catalog::{AS_OF, Catalog, Relation};
use crate::functions;
use crate::plan::{Table, Target};
use crate::problem::Refusal;
use crate::scalar::Scalar;
use crate::tree::{Ix, Kind, Tree};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::DFSchema;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::Sort as SortExpr;
use datafusion_expr::logical_plan::{TableScan, Union};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Distinct, Expr, LogicalPlan};
use datafusion_physical_expr::expressions::CastExpr;
use datafusion_physical_expr::{conjunction, create_physical_expr, split_conjunction};
use std::collections::HashMap;
use std::sync::Arc;

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

/// A node's rows that pass the filters, seen through expressions over the node's columns.
#[derive(Clone, Debug)]
struct Stream {
    node: Ix,
    filters: Vec<Scalar>,
    columns: Vec<Scalar>,
    /// An ORDER BY that waits for its LIMIT.
    order: Vec<Order>,
}

/// One expression of an ORDER BY.
#[derive(Clone, Debug)]
struct Order {
    scalar: Scalar,
    descending: bool,
    nulls_first: bool,
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
        Ok(self.tree.add(Kind::Net { input, key: target.key.clone() }))
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

    /// A table's rows, without the late ones if it has a lifetime.
    fn table(&mut self, number: usize) -> Ix {
        let table = &self.tables[number];
        let input =
            self.tree.add(Kind::Table { table: number, schema: Arc::clone(&table.schema), key: table.key.clone() });
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

    /// The physical expression of a logical one, over the columns of `schema`.
    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Built<Scalar> {
        let context = PhysicalPlanningContext::default();
        let scalar = Scalar(create_physical_expr(expr, schema, &self.props, &context)?);
        functions::check(&scalar, schema.as_arrow())?;
        Ok(scalar)
    }

    /// The same, over a stream's node.
    fn seen_through(&self, stream: &Stream, expr: &Expr, schema: &DFSchema) -> Built<Scalar> {
        Ok(self.physical(expr, schema)?.replace(|column| stream.columns[column].clone()))
    }

    /// Expressions over a stream's columns, as expressions over its node. What costs something and is used more than
    /// once gets a node of its own, so that it is computed once.
    fn compose(&mut self, stream: Stream, exprs: &[Expr], schema: &DFSchema) -> Built<(Stream, Vec<Scalar>)> {
        let scalars = exprs.iter().map(|expr| self.physical(expr, schema)).collect::<Built<Vec<_>>>()?;
        let mut counts = vec![0; stream.columns.len()];
        scalars.iter().for_each(|scalar| scalar.count_columns(&mut counts));
        let repeated = std::iter::zip(&counts, &stream.columns).any(|(&count, column)| count > 1 && !column.is_cheap());
        let stream = if repeated { self.cut(stream, &names(schema))? } else { stream };
        let replaced = scalars.iter().map(|scalar| scalar.replace(|column| stream.columns[column].clone())).collect();
        Ok((stream, replaced))
    }

    /// The same stream behind a node of its own.
    fn cut(&mut self, stream: Stream, names: &[String]) -> Built<Stream> {
        let columns = stream.columns.clone();
        let order = stream.order.clone();
        if !order.is_empty() {
            return Ok(stream);
        }
        let (node, places) = self.project(stream, columns, names)?;
        let schema = self.tree.schema(node);
        let columns = places.iter().map(|&place| Scalar::column(place, schema)).collect();
        Ok(Stream { node, filters: Vec::new(), columns, order })
    }

    /// All columns of a node.
    fn all_of(&self, node: Ix) -> Stream {
        let schema = self.tree.schema(node);
        let columns = (0..schema.fields().len()).map(|column| Scalar::column(column, schema)).collect();
        Stream { node, filters: Vec::new(), columns, order: Vec::new() }
    }

    /// A node with these expressions as its columns, equal ones once, and the column of each.
    fn project(&mut self, stream: Stream, scalars: Vec<Scalar>, names: &[String]) -> Built<(Ix, Vec<usize>)> {
        self.refuse_unbounded(stream.node)?;
        let mut columns: Vec<(Scalar, String)> = Vec::new();
        let mut places = Vec::new();
        for (scalar, name) in scalars.into_iter().zip(names) {
            let known = columns.iter().position(|(known, _)| *known == scalar);
            places.push(known.unwrap_or(columns.len()));
            if known.is_none() {
                columns.push((scalar, name.clone()));
            }
        }
        if columns.is_empty() {
            columns.push(nothing());
        }
        Ok((self.add_project(stream, columns), places))
    }

    /// A node with exactly the stream's columns, under these names.
    fn exactly(&mut self, stream: Stream, names: &[String]) -> Built<Ix> {
        self.refuse_unbounded(stream.node)?;
        let columns: Vec<_> = stream.columns.iter().cloned().zip(names.iter().cloned()).collect();
        let schema = self.tree.schema(stream.node);
        let named =
            std::iter::zip(schema.fields(), names).all(|(field, name)| field.name() == name && field.is_nullable());
        if named {
            return Ok(self.add_project(stream, columns));
        }
        let filter = all(&stream.filters);
        Ok(self.tree.add(Kind::Project { input: stream.node, filter, columns }))
    }

    /// A projection, unless it would change nothing.
    fn add_project(&mut self, stream: Stream, columns: Vec<(Scalar, String)>) -> Ix {
        let width = self.tree.schema(stream.node).fields().len();
        let same = columns.len() == width
            && columns.iter().enumerate().all(|(place, (scalar, _))| scalar.as_column() == Some(place));
        if same && stream.filters.is_empty() {
            return stream.node;
        }
        self.tree.add(Kind::Project { input: stream.node, filter: all(&stream.filters), columns })
    }

    /// A node with the stream's columns and further expressions, and where they are.
    fn project_with(
        &mut self,
        stream: Stream,
        names: &[String],
        more: Vec<Scalar>,
    ) -> Built<(Ix, Vec<usize>, Vec<usize>)> {
        let width = stream.columns.len();
        let more_names = more.iter().map(ToString::to_string);
        let names: Vec<String> = names.iter().cloned().chain(more_names).collect();
        let scalars = stream.columns.iter().cloned().chain(more).collect();
        let (node, mut places) = self.project(stream, scalars, &names)?;
        let more = places.split_off(width);
        Ok((node, places, more))
    }

    /// The columns of a node, as a stream.
    fn seen(&self, node: Ix, places: &[usize]) -> Stream {
        let schema = self.tree.schema(node);
        let columns = places.iter().map(|&place| Scalar::column(place, schema)).collect();
        Stream { node, filters: Vec::new(), columns, order: Vec::new() }
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
