//! Steps without state, piled up: filters and expressions over the columns of a node, until one projection does all.

use super::{Builder, Built, all, names, nothing};
use crate::functions;
use crate::scalar::Scalar;
use crate::tree::{Ix, Kind};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, Operator};
use datafusion_physical_expr::expressions::BinaryExpr;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use std::sync::Arc;

/// A node's rows that pass the filters, seen through expressions over the node's columns.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) node: Ix,
    pub(super) filters: Vec<Scalar>,
    pub(super) columns: Vec<Scalar>,
    /// An ORDER BY that waits for its LIMIT.
    pub(super) order: Vec<Order>,
}

/// One expression of an ORDER BY.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) scalar: Scalar,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

/// The same with arithmetic that fails where a number does not fit its type: by itself it would go on with a wrong one.
fn checked(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let check = |expr: Arc<dyn PhysicalExpr>| {
        let arithmetic = [Operator::Plus, Operator::Minus, Operator::Multiply];
        Ok(match expr.downcast_ref::<BinaryExpr>() {
            Some(binary) if arithmetic.contains(binary.op()) => {
                Transformed::yes(Arc::new(binary.clone().with_fail_on_overflow(true)) as Arc<dyn PhysicalExpr>)
            }
            _ => Transformed::no(expr),
        })
    };
    Ok(expr.transform_up(check)?.data)
}

impl Builder<'_> {
    /// The physical expression of a logical one, over the columns of `schema`.
    pub(super) fn physical(&self, expr: &Expr, schema: &DFSchema) -> Built<Scalar> {
        let context = PhysicalPlanningContext::default();
        let scalar = Scalar(checked(create_physical_expr(expr, schema, &self.props, &context)?)?);
        functions::check(&scalar, schema.as_arrow())?;
        Ok(scalar)
    }

    /// The same, over a stream's node.
    pub(super) fn seen_through(&self, stream: &Stream, expr: &Expr, schema: &DFSchema) -> Built<Scalar> {
        Ok(self.physical(expr, schema)?.replace(|column| stream.columns[column].clone()))
    }

    /// Expressions over a stream's columns, as expressions over its node. What costs something and is used more than
    /// once gets a node of its own, so that it is computed once.
    pub(super) fn compose(
        &mut self,
        stream: Stream,
        exprs: &[Expr],
        schema: &DFSchema,
    ) -> Built<(Stream, Vec<Scalar>)> {
        let scalars = exprs.iter().map(|expr| self.physical(expr, schema)).collect::<Built<Vec<_>>>()?;
        let mut counts = vec![0; stream.columns.len()];
        scalars.iter().for_each(|scalar| scalar.count_columns(&mut counts));
        let repeated = std::iter::zip(&counts, &stream.columns).any(|(&count, column)| count > 1 && !column.is_cheap());
        let stream = if repeated { self.cut(stream, &names(schema))? } else { stream };
        let replaced = scalars.iter().map(|scalar| scalar.replace(|column| stream.columns[column].clone())).collect();
        Ok((stream, replaced))
    }

    /// The same stream behind a node of its own.
    pub(super) fn cut(&mut self, stream: Stream, names: &[String]) -> Built<Stream> {
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
    pub(super) fn all_of(&self, node: Ix) -> Stream {
        let schema = self.tree.schema(node);
        let columns = (0..schema.fields().len()).map(|column| Scalar::column(column, schema)).collect();
        Stream { node, filters: Vec::new(), columns, order: Vec::new() }
    }

    /// A node with these expressions as its columns, equal ones once, and the column of each.
    pub(super) fn project(
        &mut self,
        stream: Stream,
        scalars: Vec<Scalar>,
        names: &[String],
    ) -> Built<(Ix, Vec<usize>)> {
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
    pub(super) fn exactly(&mut self, stream: Stream, names: &[String]) -> Built<Ix> {
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
    pub(super) fn add_project(&mut self, stream: Stream, columns: Vec<(Scalar, String)>) -> Ix {
        let width = self.tree.schema(stream.node).fields().len();
        let same = columns.len() == width
            && columns.iter().enumerate().all(|(place, (scalar, _))| scalar.as_column() == Some(place));
        if same && stream.filters.is_empty() {
            return stream.node;
        }
        self.tree.add(Kind::Project { input: stream.node, filter: all(&stream.filters), columns })
    }

    /// A node with the stream's columns and further expressions, and where they are.
    pub(super) fn project_with(
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
    pub(super) fn seen(&self, node: Ix, places: &[usize]) -> Stream {
        let schema = self.tree.schema(node);
        let columns = places.iter().map(|&place| Scalar::column(place, schema)).collect();
        Stream { node, filters: Vec::new(), columns, order: Vec::new() }
    }
}
