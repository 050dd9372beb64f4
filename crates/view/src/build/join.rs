//! Joins of two streams by equal keys, and lookups in a dimension.

use super::{Builder, Built, Scalar, Stream, names};
use crate::catalog::{AS_OF, Relation};
use crate::operators::JoinKind;
use crate::problem::Refusal;
use crate::tree::{Ix, Kind};
use datafusion_common::{DFSchema, JoinConstraint, JoinType, NullEquality};
use datafusion_expr::utils::split_conjunction_owned;
use datafusion_expr::{Expr, LogicalPlan, logical_plan};

impl Builder<'_> {
    /// A join of two streams, or a lookup where the right side says `FOR SYSTEM_TIME AS OF`.
    pub(super) fn join(&mut self, join: &logical_plan::Join) -> Built<Stream> {
        let kind = kind(join)?;
        if join.join_constraint == JoinConstraint::Using && matches!(kind, JoinKind::Right | JoinKind::Full) {
            // The one column of both would be that of the left side, which rows of the right side alone do not have.
            return Err(Refusal::new("USING and NATURAL are not supported in RIGHT and FULL joins")
                .advise("write ON a.key = b.key, and coalesce(a.key, b.key) where the key is shown"));
        }
        let left = self.stream(&join.left)?;
        let dimension = looked_up(&join.right);
        let outside = std::mem::replace(&mut self.looking_up, dimension.is_some());
        let right = self.stream(&join.right);
        self.looking_up = outside;
        let right = right?;
        let (left, right, behind) = self.residual(join, kind, left, right)?;
        let (left_exprs, right_exprs): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
        let (left, left_keys) = self.compose(left, &left_exprs, join.left.schema())?;
        let (right, right_keys) = self.compose(right, &right_exprs, join.right.schema())?;
        let (left, left_places, left_keys) = self.side(left, &names(join.left.schema()), left_keys)?;
        let (right, right_places, right_keys) = self.side(right, &names(join.right.schema()), right_keys)?;
        let node = match (dimension, kind) {
            (None, _) => {
                let bounds = self.tree.join_bounds(left, right);
                self.tree.add(Kind::Join { left, right, left_keys, right_keys, kind, bounds })
            }
            (Some(_), JoinKind::Inner | JoinKind::Left) => {
                let outer = kind == JoinKind::Left;
                self.tree.add(Kind::Lookup { left, dimension: right, left_keys, dimension_keys: right_keys, outer })
            }
            (Some(name), _) => {
                return Err(Refusal::new(format!("only JOIN and LEFT JOIN can look up {name} FOR SYSTEM_TIME AS OF"))
                    .advise("put the facts on the left"));
            }
        };
        let width = self.tree.schema(left).fields().len();
        let places: Vec<usize> =
            left_places.into_iter().chain(right_places.iter().map(|place| place + width)).collect();
        let stream = self.seen(node, &places);
        behind.iter().try_fold(stream, |stream, filter| self.filter(stream, filter, &join.schema))
    }

    /// A side of a join: its columns, its keys, and its event time, by which its rows are matched and forgotten.
    fn side(&mut self, stream: Stream, labels: &[String], keys: Vec<Scalar>) -> Built<(Ix, Vec<usize>, Vec<usize>)> {
        let count = keys.len();
        let mut more = keys;
        if let Some((time, _)) = self.tree.facts(stream.node).finest_time() {
            more.push(Scalar::column(time, self.tree.schema(stream.node)));
        }
        let (node, places, mut more) = self.project_with(stream, labels, more)?;
        more.truncate(count);
        Ok((node, places, more))
    }

    /// Conditions beside the equalities: in front of the side that they are about, or behind an inner join.
    fn residual(
        &mut self,
        join: &logical_plan::Join,
        kind: JoinKind,
        left: Stream,
        right: Stream,
    ) -> Built<(Stream, Stream, Vec<Expr>)> {
        let (mut left, mut right, mut behind) = (left, right, Vec::new());
        for filter in join.filter.iter().cloned().flat_map(split_conjunction_owned) {
            let only = |schema: &DFSchema| filter.column_refs().iter().all(|column| schema.has_column(column));
            if matches!(kind, JoinKind::Inner | JoinKind::Left) && only(join.right.schema()) {
                right = self.filter(right, &filter, join.right.schema())?;
            } else if matches!(kind, JoinKind::Inner | JoinKind::Right) && only(join.left.schema()) {
                left = self.filter(left, &filter, join.left.schema())?;
            } else if kind == JoinKind::Inner {
                behind.push(filter);
            } else {
                return Err(Refusal::new(format!("the condition {filter} of an outer join is not supported"))
                    .advise("only equalities between the two sides are, and conditions on the side that may be NULL"));
            }
        }
        Ok((left, right, behind))
    }

    /// The rows of a table or view that is looked up.
    pub(super) fn dimension(&mut self, name: &str) -> Built<Stream> {
        match self.catalog.relation(name) {
            Some(Relation::Table(number, _)) => {
                let node = self.table(*number);
                Ok(self.all_of(node))
            }
            Some(Relation::View(plan)) => {
                let plan = std::sync::Arc::clone(plan);
                self.stream(&plan)
            }
            None => Err(Refusal::new(format!("there is no table or view '{name}'"))),
        }
    }
}

/// The name of the table that a side of a join looks up; conditions on it may have been put in front of the join.
pub(super) fn looked_up(plan: &LogicalPlan) -> Option<&str> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => looked_up(&alias.input),
        LogicalPlan::Filter(filter) => looked_up(&filter.input),
        LogicalPlan::TableScan(scan) => scan.table_name.table().strip_suffix(AS_OF),
        _ => None,
    }
}

fn kind(join: &logical_plan::Join) -> Built<JoinKind> {
    if join.on.is_empty() {
        return Err(Refusal::new("a join without an equality between its sides is not supported")
            .advise("add ON left.a = right.b; other conditions may stand beside it"));
    }
    if join.null_equality == NullEquality::NullEqualsNull {
        return Err(Refusal::new("a join by IS NOT DISTINCT FROM is not supported")
            .advise("use =, or coalesce() the NULLs of both sides to a value"));
    }
    match join.join_type {
        JoinType::Inner => Ok(JoinKind::Inner),
        JoinType::Left => Ok(JoinKind::Left),
        JoinType::Right => Ok(JoinKind::Right),
        JoinType::Full => Ok(JoinKind::Full),
        other => {
            Err(Refusal::new(format!("a {other} join is not supported")).advise("use [LEFT | RIGHT | FULL] JOIN … ON"))
        }
    }
}
