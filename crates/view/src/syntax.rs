//! What can be refused by looking at the syntax tree: there each thing still has its place in the text.
//!
//! Also takes `FOR SYSTEM_TIME AS OF` out of the tree before the planner, which would drop the clause without a word.

use crate::aggregates;
use crate::catalog::{AS_OF, Catalog};
use crate::clauses;
use crate::problem::{Place, Refusal};
use datafusion_expr::Volatility;
use datafusion_sql::sqlparser::ast::{
    Distinct, Expr, Function, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, SetExpr, SetOperator, Spanned, TableAlias, TableFactor, TableVersion,
    Visit, VisitMut, Visitor, VisitorMut, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowType,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Functions whose value depends on when they run, under all their names.
const CLOCKS: [&str; 8] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "today",
    "localtimestamp",
    "localtime",
    "unix_timestamp",
];

/// Everything in `query` that is outside the supported subset of SQL.
pub(crate) fn check(query: &Query, catalog: &Catalog) -> Vec<Refusal> {
    let mut checker = Checker { catalog, refusals: Vec::new() };
    let _ = query.visit(&mut checker);
    checker.refusals
}

struct Checker<'a> {
    catalog: &'a Catalog,
    refusals: Vec<Refusal>,
}

impl Checker<'_> {
    fn refuse(&mut self, place: Option<Place>, message: impl Into<String>, advice: &str) {
        self.refusals.push(Refusal::new(message).advise(advice).at(place));
    }

    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::SetOperation { left, op, right, .. } => {
                if !matches!(op, SetOperator::Union) {
                    let advice =
                        "write EXCEPT as a LEFT JOIN with WHERE … IS NULL, INTERSECT as a JOIN of DISTINCT rows";
                    self.refuse(Place::of(left.span()), format!("{op} is not supported"), advice);
                }
                self.body(left);
                self.body(right);
            }
            SetExpr::Values(values) => {
                self.refuse(
                    Place::of(body.span()),
                    format!("{values} is not supported"),
                    "read the rows from a source",
                );
            }
            _ => {}
        }
    }

    fn join(&mut self, operator: &JoinOperator, relation: &TableFactor) {
        let place = Place::of(relation.span());
        let constraint = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint) => constraint,
            JoinOperator::CrossJoin(_) if matches!(relation, TableFactor::UNNEST { .. }) => return,
            JoinOperator::CrossJoin(_) => {
                let advice = "join with ON a = b; to unnest a list write SELECT …, unnest(list) AS item in a subquery";
                return self.refuse(place, "CROSS JOIN is not supported", advice);
            }
            JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) | JoinOperator::RightSemi(_) => {
                let advice = "join with a subquery that selects DISTINCT keys";
                return self.refuse(place, "a semi join is not supported", advice);
            }
            JoinOperator::Anti(_) | JoinOperator::LeftAnti(_) | JoinOperator::RightAnti(_) => {
                let advice = "write a LEFT JOIN with WHERE right.key IS NULL";
                return self.refuse(place, "an anti join is not supported", advice);
            }
            _ => {
                return self.refuse(place, "this kind of join is not supported", "use [LEFT | RIGHT | FULL] JOIN … ON");
            }
        };
        if matches!(constraint, JoinConstraint::None) {
            self.refuse(place, "a join without a condition is not supported", "add ON a = b");
        }
    }

    fn function(&mut self, function: &Function) {
        let place = Place::of(function.name.span());
        let name = function.name.to_string().to_lowercase();
        if CLOCKS.contains(&name.as_str()) {
            let advice = "use a time from the records: a replay must give the same answer";
            return self.refuse(place, format!("{name}() reads the clock"), advice);
        }
        if let Some(scalar) = self.catalog.scalar(&name) {
            if scalar.signature().volatility == Volatility::Volatile {
                let advice = "use a value from the records: a replay must give the same answer";
                self.refuse(place, format!("{name}() gives another value each time"), advice);
            }
            return;
        }
        match (&function.over, self.catalog.has_aggregate(&name)) {
            (Some(_), _) if name == "row_number" => {}
            (Some(_), _) => {
                let advice =
                    "ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) with a bound is; for sums and counts use GROUP BY";
                self.refuse(place, format!("window function {name}() is not supported"), advice);
            }
            (None, true) => {}
            (None, false) if aggregates::is_unsupported(&name) => {
                let advice = format!("use {}", aggregates::SUPPORTED.join(", "));
                self.refuse(place, format!("aggregate {name}() is not supported"), &advice);
            }
            (None, false) if self.catalog.knows_function(&name) => {
                self.refuse(
                    place,
                    format!("{name}() needs OVER (…)"),
                    "write ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)",
                );
            }
            (None, false) if name == "unnest" || name == "grouping" => {}
            // Some words are functions without parentheses.
            (None, false) if matches!(function.args, FunctionArguments::None) => {
                let advice = format!("if a column is meant, write \"{}\" in double quotes", function.name);
                self.refuse(place, format!("{name} is a word of SQL that is not supported"), &advice);
            }
            (None, false) => {
                let near = self.catalog.nearest_function(&name);
                let advice =
                    near.map_or_else(|| "see DataFusion's scalar functions".into(), |near| format!("is it {near}()?"));
                self.refuse(place, format!("there is no function {name}()"), &advice);
            }
        }
    }
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let place = Place::of(query.span());
        self.refusals.extend(clauses::of_query(query));
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            self.refuse(place, "WITH RECURSIVE is not supported", "write each step as a view");
        }
        match (&query.limit_clause, &query.order_by) {
            (Some(_), None) => self.refuse(place, "LIMIT without ORDER BY has no fixed answer", "add ORDER BY"),
            (None, Some(_)) if query.fetch.is_none() && !is_distinct_on(&query.body) => {
                self.refuse(place, "ORDER BY has no meaning in a maintained view", "remove it, or add LIMIT n");
            }
            _ => {}
        }
        self.body(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.refusals.extend(clauses::of_select(select));
        for from in &select.from {
            for join in &from.joins {
                self.join(&join.join_operator, &join.relation);
            }
        }
        if matches!(&select.group_by, GroupByExpr::Expressions(_, modifiers) | GroupByExpr::All(modifiers) if !modifiers.is_empty())
        {
            let advice = "write one INSERT or UNION ALL branch for each grouping";
            self.refuse(Place::of(select.span()), "GROUP BY … WITH is not supported", advice);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let place = Place::of(factor.span());
        self.refusals.extend(clauses::of_factor(factor));
        match factor {
            TableFactor::Table { args: Some(_), name, .. } => {
                self.refuse(
                    Place::of(name.span()),
                    format!("table function {name}() is not supported"),
                    "name a table or view",
                );
            }
            TableFactor::Table { version: Some(version), name, .. }
                if !matches!(version, TableVersion::ForSystemTimeAsOf(_)) =>
            {
                let advice = "write FOR SYSTEM_TIME AS OF t.time";
                self.refuse(Place::of(name.span()), "this table version is not supported", advice);
            }
            TableFactor::Table { .. }
            | TableFactor::Derived { lateral: false, .. }
            | TableFactor::NestedJoin { .. } => {}
            TableFactor::UNNEST { .. } => {
                let advice = "write SELECT …, unnest(list) AS item FROM t in a subquery";
                self.refuse(place, "UNNEST in FROM is not supported", advice);
            }
            _ => self.refuse(place, "this is not supported in FROM", "name a table or view, or write a subquery"),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.function(function),
            Expr::InSubquery { negated, .. } => {
                let advice = if *negated {
                    "write a LEFT JOIN with WHERE right.key IS NULL"
                } else {
                    "write a JOIN with a subquery that selects DISTINCT keys"
                };
                self.refuse(Place::of(expr.span()), "IN (SELECT …) is not supported", advice);
            }
            Expr::Exists { .. } => {
                let advice = "write a JOIN with a subquery that selects DISTINCT keys";
                self.refuse(Place::of(expr.span()), "EXISTS is not supported", advice);
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } if !matches!(**right, Expr::Subquery(_)) => {
                let advice = "write array_has(list, value), or value IN (1, 2)";
                self.refuse(Place::of(expr.span()), "ANY and ALL of a list are not supported", advice);
            }
            Expr::Subquery(_) | Expr::AnyOp { .. } | Expr::AllOp { .. } => {
                let advice = "write a JOIN with the subquery";
                self.refuse(Place::of(expr.span()), "a subquery in an expression is not supported", advice);
            }
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                let advice = "write one UNION ALL branch for each grouping";
                self.refuse(Place::of(expr.span()), "GROUPING SETS, CUBE and ROLLUP are not supported", advice);
            }
            Expr::RLike { expr: text, .. } => {
                let advice = "write regexp_like(text, pattern)";
                self.refuse(Place::of(text.span()), "RLIKE is not supported", advice);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Where a query calls the function of this name, or has this text as a literal; the first time.
pub(crate) fn place_of(query: &Query, word: &str) -> Option<Place> {
    struct Search<'a>(&'a str);
    impl Visitor for Search<'_> {
        type Break = Option<Place>;

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Option<Place>> {
            let found = match expr {
                Expr::Function(function) => function.name.to_string().eq_ignore_ascii_case(self.0),
                Expr::Value(value) => value.value.clone().into_string().is_some_and(|text| text == self.0),
                _ => false,
            };
            if found { ControlFlow::Break(Place::of(expr.span())) } else { ControlFlow::Continue(()) }
        }
    }
    query.visit(&mut Search(word)).break_value().flatten()
}

/// Whether an ORDER BY says which rows DISTINCT ON takes.
fn is_distinct_on(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::On(_))))
}

/// Gives columns of the same text names of their own, where names do not count.
pub(crate) fn tell_apart(query: &mut Query) {
    fn set(body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => {
                let mut known = HashSet::new();
                for (place, item) in select.projection.iter_mut().enumerate() {
                    if let SelectItem::UnnamedExpr(expr) = item
                        && !known.insert(expr.to_string())
                    {
                        let alias = Ident::with_quote('"', format!("{expr} #{place}"));
                        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                    }
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                set(left);
                set(right);
            }
            SetExpr::Query(query) => set(&mut query.body),
            _ => {}
        }
    }
    set(&mut query.body);
}

/// Makes a query ready for the planner: marks each table that is looked up by its name, taking the clause away, and gives
/// window functions a frame that fits any order.
pub(crate) fn prepare(query: &mut Query) {
    let _ = query.visit(&mut Preparer);
}

struct Preparer;

impl VisitorMut for Preparer {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, version, .. } = factor else { return ControlFlow::Continue(()) };
        if version.take().is_none() {
            return ControlFlow::Continue(());
        }
        let Some(ident) = name.0.last().and_then(ObjectNamePart::as_ident).cloned() else {
            return ControlFlow::Continue(());
        };
        if alias.is_none() {
            *alias = Some(TableAlias { explicit: true, name: ident.clone(), columns: Vec::new(), at: None });
        }
        let marked = Ident { value: format!("{}{AS_OF}", ident.value), quote_style: Some('"'), span: ident.span };
        *name = ObjectName(vec![ObjectNamePart::Identifier(marked)]);
        ControlFlow::Continue(())
    }

    /// A number in an order has no frame. The one that would be put in compares values, of which not all types are capable.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { over: Some(WindowType::WindowSpec(window)), .. }) = expr {
            window.window_frame.get_or_insert(WindowFrame {
                units: WindowFrameUnits::Rows,
                start_bound: WindowFrameBound::Preceding(None),
                end_bound: None,
            });
        }
        ControlFlow::Continue(())
    }
}
