//! From a job's statements to a plan: every query is planned by DataFusion, then all become one graph.
//!
//! Planning is done twice. The first graph shows which nested fields are used; the second time the tables have no
//! others, so that decoders need not make them.

use crate::assign::insert;
use crate::build::Builder;
use crate::catalog::{Catalog, Relation};
use crate::names;
use crate::needs::nested_fields;
use crate::plan::{EventTime, HeldColumns, Options, Plan, Query, QuerySource, Table, Target};
use crate::problem::{Origin, Problem, Refusal};
use crate::prune::prune;
use crate::script::{Script, Step, What};
use crate::spans::Spans;
use crate::syntax;
use crate::tree::{Ix, Tree};
use crate::wall_clock::WallClock;
use arrow::datatypes::SchemaRef;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::logical_plan::LogicalPlanBuilder;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext, OptimizerRule};
use datafusion_sql::planner::{ParserOptions, SqlToRel};
use datafusion_sql::sqlparser::ast::{self, Ident, ObjectName, Statement, Visit, Visitor};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// See [`crate::compile`].
pub(crate) fn compile(
    views_sql: &str,
    queries: &[QuerySource<'_>],
    options: &Options,
    append_only: bool,
) -> Result<Plan, Vec<Problem>> {
    let (mut script, mut problems) = Script::read(views_sql, queries, options.zone.name());
    script.tables.iter_mut().for_each(|table| table.append_only &= append_only);
    match plan(&Arc::new(script), options.zone, &|_| true, &BTreeMap::new()) {
        Ok(plan) if problems.is_empty() => Ok(plan),
        Ok(_) => Err(sorted(problems)),
        Err(more) => {
            problems.extend(more);
            Err(sorted(problems))
        }
    }
}

/// See [`crate::declared`].
pub(crate) fn declared(views_sql: &str, zone: chrono_tz::Tz) -> (Vec<Table>, Vec<Target>) {
    let (script, _) = Script::read(views_sql, &[], zone.name());
    (script.tables, script.targets)
}

/// See [`crate::sound`].
pub(crate) fn sound(views_sql: &str, queries: &[QuerySource<'_>], options: &Options) -> Plan {
    let (script, _) = Script::read(views_sql, queries, options.zone.name());
    let Attempt { tree, targets, queries, problems: _ } =
        attempt(&script, &script.tables, options.zone.name(), &|_| true);
    let placed = std::iter::zip(&script.targets, targets).filter_map(|(target, ix)| Some((target.clone(), ix?)));
    let (declared, targets) = placed.unzip();
    let planned = Planned { tree, targets, queries };
    finish(script.tables.clone(), declared, planned, &BTreeMap::new(), (Arc::new(script), options.zone))
}

/// Plans the targets and queries that are wanted, as if there were no others. Tables of changes keep the columns that
/// `held` names.
pub(crate) fn plan(
    script: &Arc<Script>,
    zone: chrono_tz::Tz,
    wanted: &dyn Fn(&str) -> bool,
    held: &HeldColumns,
) -> Result<Plan, Vec<Problem>> {
    let planned = plan_all(script, &script.tables, zone.name(), wanted)?;
    let tables = without_unused_fields(&script.tables, &planned);
    let (tables, planned) = match plan_all(script, &tables, zone.name(), wanted) {
        Ok(pruned) => (tables, pruned),
        // Types that the query spells out in full cannot lose fields: then the tables keep theirs.
        Err(_) => (script.tables.clone(), planned),
    };
    let targets = script.targets.iter().filter(|target| wanted(&target.name)).cloned().collect();
    Ok(finish(tables, targets, planned, held, (Arc::clone(script), zone)))
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    let rank = |origin: &Origin| match origin {
        Origin::Views => (0, String::new()),
        Origin::Query(name) => (1, name.clone()),
    };
    problems.sort_by_key(|problem| (rank(&problem.origin), problem.line, problem.column));
    problems.dedup();
    problems
}

/// The graph of a job: its nodes for targets, in their order, and for queries.
struct Planned {
    tree: Tree,
    targets: Vec<Ix>,
    queries: Vec<(String, Ix)>,
}

impl Planned {
    fn results(&self) -> Vec<Ix> {
        self.targets.iter().copied().chain(self.queries.iter().map(|(_, ix)| *ix)).collect()
    }
}

fn without_unused_fields(tables: &[Table], planned: &Planned) -> Vec<Table> {
    let used: HashMap<usize, SchemaRef> = nested_fields(&planned.tree, &planned.results());
    let pruned = |(number, table): (usize, &Table)| match used.get(&number) {
        Some(schema) => Table { schema: Arc::clone(schema), ..table.clone() },
        None => table.clone(),
    };
    tables.iter().enumerate().map(pruned).collect()
}

/// Takes unused columns out, and says which tables and columns are left.
fn finish(
    tables: Vec<Table>,
    targets: Vec<Target>,
    planned: Planned,
    held: &HeldColumns,
    (script, zone): (Arc<Script>, chrono_tz::Tz),
) -> Plan {
    let of_table = |(number, table): (usize, &Table)| {
        let names = held.get(&table.name)?;
        Some((number, names.iter().filter_map(|name| table.schema.index_of(name).ok()).collect()))
    };
    let held = tables.iter().enumerate().filter_map(of_table).collect();
    let pruned = prune(&planned.tree, &planned.results(), &held);
    let read = |(number, mut table): (usize, Table)| {
        let kept = pruned.tables.get(&number)?;
        table.schema = Arc::new(table.schema.project(kept).expect("kept columns are columns of the table"));
        let place = |column: usize| kept.iter().position(|&kept| kept == column);
        table.key = table.key.iter().map(|&column| place(column)).collect::<Option<_>>().unwrap_or_default();
        if let Some(changes) = &mut table.changes {
            changes.key = changes.key.iter().map(|&column| place(column).expect("the key is read")).collect();
            changes.utc = changes.utc.iter().filter_map(|&column| place(column)).collect();
        }
        table.event_time = table.event_time.and_then(|time| {
            let column = place(time.column)?;
            Some(EventTime { column, ..time })
        });
        Some(table)
    };
    let table_names = pruned.tables.keys().map(|&number| (number, tables[number].name.clone())).collect();
    let tables = tables.into_iter().enumerate().filter_map(read).collect();
    let query = |((name, _), &ix): (&(String, Ix), &Ix)| Query {
        name: name.clone(),
        schema: Arc::clone(pruned.tree.schema(ix)),
        append_only: pruned.tree.facts(ix).append_only,
    };
    let queries = planned.queries.iter().zip(&pruned.results[targets.len()..]).map(query).collect();
    Plan { tables, targets, queries, table_names, tree: pruned.tree, results: pruned.results, script, zone }
}

/// Plans every statement in its order, with these columns of the tables.
fn plan_all(
    script: &Script,
    tables: &[Table],
    zone: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Planned, Vec<Problem>> {
    let Attempt { tree, targets, queries, problems } = attempt(script, tables, zone, wanted);
    let placed = std::iter::zip(&script.targets, targets).filter(|(target, _)| wanted(&target.name));
    match (problems.is_empty(), placed.map(|(_, ix)| ix).collect::<Option<Vec<Ix>>>()) {
        (true, Some(targets)) => Ok(Planned { tree, targets, queries }),
        _ => Err(problems),
    }
}

/// What became of every statement.
struct Attempt {
    tree: Tree,
    /// The node of each target, unless something is wrong with it or it is not wanted.
    targets: Vec<Option<Ix>>,
    queries: Vec<(String, Ix)>,
    problems: Vec<Problem>,
}

fn attempt(script: &Script, tables: &[Table], zone: &str, wanted: &dyn Fn(&str) -> bool) -> Attempt {
    let mut planner = Planner { catalog: Catalog::new(zone), broken: script.broken.clone(), problems: Vec::new() };
    let plans: Vec<Option<LogicalPlan>> = script.steps.iter().map(|step| planner.step(step, tables)).collect();
    let Planner { catalog, mut problems, .. } = planner;
    let mut builder = Builder::new(&catalog, tables);
    let mut targets: Vec<Option<Ix>> = vec![None; script.targets.len()];
    let mut queries = Vec::new();
    for (step, plan) in script.steps.iter().zip(&plans) {
        let Some(plan) = plan else { continue };
        let built = match &step.what {
            What::Table(_) => continue,
            What::Insert(target, ..) if !wanted(&script.targets[*target].name) => continue,
            What::Query(name, _) if !wanted(name) => continue,
            What::View(..) => builder.view(plan).map_err(|refusal| vec![refusal]),
            What::Insert(target, columns, _) => {
                insert(&mut builder, plan, &script.targets[*target], columns).map(|ix| targets[*target] = Some(ix))
            }
            What::Query(name, _) => {
                builder.query(plan).map(|ix| queries.push((name.clone(), ix))).map_err(|refusal| vec![refusal])
            }
        };
        let refusals = built.err().into_iter().flatten();
        problems.extend(refusals.map(|refusal| refusal.into_problem(&step.origin, step.place)));
    }
    Attempt { tree: builder.tree, targets, queries, problems }
}

/// Plans queries, and keeps what they may name.
struct Planner {
    catalog: Catalog,
    /// Views with problems: what reads them is not blamed.
    broken: HashSet<String>,
    problems: Vec<Problem>,
}

impl Planner {
    fn step(&mut self, step: &Step, tables: &[Table]) -> Option<LogicalPlan> {
        match &step.what {
            What::Table(number) => {
                let table = &tables[*number];
                self.declare(step, &table.name, Relation::Table(*number, Arc::clone(&table.schema)));
                None
            }
            What::View(name, columns, query) => {
                let plan = self.plan(step, query).and_then(|plan| self.renamed(step, plan, columns));
                match &plan {
                    Some(plan) => self.declare(step, name, Relation::View(Arc::new(plan.clone()))),
                    None => {
                        self.broken.insert(name.clone());
                    }
                }
                plan
            }
            What::Insert(_, _, query) => {
                let mut query = query.clone();
                syntax::tell_apart(&mut query);
                self.plan(step, &query)
            }
            What::Query(_, query) => self.plan(step, query),
        }
    }

    fn declare(&mut self, step: &Step, name: &str, relation: Relation) {
        if !self.catalog.add(name, relation) {
            self.refuse(step, Refusal::new(format!("{name} is declared twice")).advise("use another name"));
        }
    }

    fn refuse(&mut self, step: &Step, refusal: Refusal) {
        self.problems.push(refusal.into_problem(&step.origin, step.place));
    }

    fn plan(&mut self, step: &Step, query: &ast::Query) -> Option<LogicalPlan> {
        let refusals = syntax::check(query, &self.catalog);
        let refused: Vec<_> = refusals.iter().map(|refusal| refusal.place).collect();
        let supported = refusals.is_empty();
        refusals.into_iter().for_each(|refusal| self.refuse(step, refusal));
        if reads_any(query, &self.broken) {
            return None;
        }
        let mut prepared = query.clone();
        syntax::prepare(&mut prepared);
        if supported {
            match analyse(&self.catalog, prepared.clone()) {
                Ok(plan) => return Some(plan),
                Err(error) if names::missing(&error).is_some() => {}
                Err(error) => {
                    let refusal = Refusal::from(error);
                    let place = refusal.about().and_then(|word| syntax::place_of(query, word));
                    self.refuse(step, refusal.at(place));
                    return None;
                }
            }
        }
        for refusal in names::unknown_names(&self.catalog, prepared, &refused) {
            self.refuse(step, refusal);
        }
        None
    }

    fn renamed(&mut self, step: &Step, plan: LogicalPlan, columns: &[Ident]) -> Option<LogicalPlan> {
        if columns.is_empty() {
            return Some(plan);
        }
        let schema = Arc::clone(plan.schema());
        if schema.fields().len() != columns.len() {
            let message =
                format!("the view names {} columns, its query gives {}", columns.len(), schema.fields().len());
            self.refuse(step, Refusal::new(message));
            return None;
        }
        let alias = |(column, name): (datafusion_common::Column, &Ident)| Expr::Column(column).alias(&name.value);
        let exprs: Vec<Expr> = schema.columns().into_iter().zip(columns).map(alias).collect();
        match LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build) {
            Ok(plan) => Some(plan),
            Err(error) => {
                self.refuse(step, error.into());
                None
            }
        }
    }
}

/// Whether a query names one of these.
fn reads_any(query: &ast::Query, names: &HashSet<String>) -> bool {
    struct Names<'a>(&'a HashSet<String>);
    impl Visitor for Names<'_> {
        type Break = ();

        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            let found =
                relation.0.last().and_then(|part| part.as_ident()).is_some_and(|name| self.0.contains(&name.value));
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    query.visit(&mut Names(names)).is_break()
}

/// A query's plan, with types resolved, constants folded, and equalities of joins found.
pub(crate) fn analyse(catalog: &Catalog, query: ast::Query) -> datafusion_common::Result<LogicalPlan> {
    let options = ParserOptions::new().with_enable_ident_normalization(false).with_collect_spans(true);
    let planner = SqlToRel::new_with_options(catalog, options);
    let plan = planner.sql_statement_to_plan(Statement::Query(Box::new(query)))?;
    let mut analyzer = Analyzer::new();
    analyzer.add_function_rewrite(Arc::new(WallClock));
    analyzer.add_function_rewrite(Arc::new(Spans));
    let plan = analyzer.execute_and_check(plan, catalog.config(), |_, _| {})?;
    // Finding the types has put in casts of its own: of an instant beside a DATE, for one.
    let mut casts = Analyzer::with_rules(Vec::new());
    casts.add_function_rewrite(Arc::new(WallClock));
    casts.add_function_rewrite(Arc::new(Spans));
    let plan = casts.execute_and_check(plan, catalog.config(), |_, _| {})?;
    let context = OptimizerContext::new_with_config_options(Arc::new(catalog.config().clone()))
        .without_query_execution_start_time()
        .with_max_passes(1);
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateCrossJoin::new()),
    ];
    let plan = Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {})?;
    // Conditions go in front of a join, so that it keeps fewer rows; further down they would part views that are shared.
    let pushed = plan.transform_up(|node| match &node {
        LogicalPlan::Filter(filter) if matches!(*filter.input, LogicalPlan::Join(_)) => {
            PushDownFilter::new().rewrite(node, &context)
        }
        _ => Ok(datafusion_common::tree_node::Transformed::no(node)),
    })?;
    Ok(pushed.data)
}
