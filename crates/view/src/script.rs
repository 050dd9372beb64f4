//! The statements of a job, read into declarations and queries; nothing is planned yet.

use crate::clauses;
use crate::declare::{Declared, declare, plain_name};
use crate::dialect::{Parsed, parse};
use crate::plan::{QuerySource, Table, Target};
use crate::problem::{Origin, Place, Problem, Refusal};
use datafusion_sql::sqlparser::ast::{
    CreateTable, CreateView, Ident, Insert, ObjectNamePart, Query, Spanned, Statement, TableObject,
};
use std::collections::HashSet;

/// A job's SQL, read.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) tables: Vec<Table>,
    pub(crate) targets: Vec<Target>,
    pub(crate) steps: Vec<Step>,
    /// Tables and targets with problems: what names them is not blamed.
    pub(crate) broken: HashSet<String>,
}

/// A statement in its place: names can only be used behind where they are declared.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) origin: Origin,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) enum What {
    /// A table, by its number.
    Table(usize),
    /// A view: its name, the names of its columns if given, its query.
    View(String, Vec<Ident>, Box<Query>),
    /// What fills a target: its number, the columns named, the query.
    Insert(usize, Vec<String>, Box<Query>),
    /// A query of the job.
    Query(String, Box<Query>),
}

impl Script {
    /// Reads everything, and says everything that is wrong with it.
    pub(crate) fn read(views_sql: &str, queries: &[QuerySource<'_>], zone: &str) -> (Self, Vec<Problem>) {
        let mut script = Self::default();
        let mut problems = Vec::new();
        // Some editors of Windows put a mark at the beginning.
        let (parsed, refused) = parse(views_sql.strip_prefix('\u{feff}').unwrap_or(views_sql));
        let is_read = refused.is_empty();
        problems.extend(refused.into_iter().map(|(refusal, place)| refusal.into_problem(&Origin::Views, place)));
        for Parsed { statement, place } in parsed {
            if let Err(refusals) = script.statement(statement, zone, place) {
                problems.extend(refusals.into_iter().map(|refusal| refusal.into_problem(&Origin::Views, place)));
            }
        }
        for query in queries {
            problems.extend(script.query(query));
        }
        // What could not be read may be what is missing.
        if is_read {
            problems.extend(script.empty_targets());
        }
        (script, problems)
    }

    fn statement(&mut self, statement: Statement, zone: &str, place: Place) -> Result<(), Vec<Refusal>> {
        match statement {
            Statement::CreateTable(create) => match self.declare(&create, zone, place)? {
                Declared::Table(table) => {
                    self.step(What::Table(self.tables.len()), place);
                    self.tables.push(*table);
                }
                Declared::Target(target) => {
                    if self.targets.iter().any(|known| known.name == target.name) {
                        return Err(vec![Refusal::new(format!("target {} is declared twice", target.name))]);
                    }
                    self.targets.push(target);
                }
            },
            Statement::CreateView(view) => self.view(view, place).map_err(|refusal| vec![refusal])?,
            Statement::Insert(insert) => self.insert(insert, place).map_err(|refusal| vec![refusal])?,
            Statement::Query(query) => {
                return Err(vec![
                    Refusal::new("a query alone goes nowhere")
                        .advise("name it: CREATE VIEW v AS SELECT …, or write it to a target: INSERT INTO t SELECT …")
                        .at(Place::of(query.span())),
                ]);
            }
            other => {
                let text = other.to_string();
                let verb: Vec<&str> = text.split_whitespace().take(2).collect();
                return Err(vec![
                    Refusal::new(format!("{} is not supported", verb.join(" ")))
                        .advise("views.sql holds CREATE TABLE, CREATE VIEW and INSERT INTO … SELECT"),
                ]);
            }
        }
        Ok(())
    }

    fn declare(&mut self, create: &CreateTable, zone: &str, place: Place) -> Result<Declared, Vec<Refusal>> {
        let declared = declare(create, zone, place);
        if let (Err(_), Ok(name)) = (&declared, plain_name(&create.name)) {
            self.broken.insert(name);
        }
        declared
    }

    fn view(&mut self, view: CreateView, place: Place) -> Result<(), Refusal> {
        if view.materialized {
            return Err(Refusal::new("CREATE MATERIALIZED VIEW is not supported")
                .advise("write CREATE VIEW: every view that a target reads is kept up to date"));
        }
        clauses::of_view(&view).map_or(Ok(()), Err)?;
        let name = plain_name(&view.name)?;
        let columns = view.columns.into_iter().map(|column| column.name).collect();
        self.step(What::View(name, columns, view.query), place);
        Ok(())
    }

    fn insert(&mut self, insert: Insert, place: Place) -> Result<(), Refusal> {
        clauses::of_insert(&insert).map_or(Ok(()), Err)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(Refusal::new("INSERT INTO wants the name of a target"));
        };
        let at = Place::of(name.span());
        let name = plain_name(name)?;
        if self.broken.contains(&name) {
            return Ok(());
        }
        let Some(target) = self.targets.iter().position(|target| target.name == name) else {
            return Err(Refusal::new(format!("there is no target {name}"))
                .advise(format!("declare it first: CREATE TABLE {name} (…) WITH (sink = '…')"))
                .at(at));
        };
        if self.steps.iter().any(|step| matches!(step.what, What::Insert(known, ..) if known == target)) {
            return Err(Refusal::new(format!("target {name} is filled twice"))
                .advise("write one INSERT with UNION ALL")
                .at(at));
        }
        let Some(query) = insert.source else {
            return Err(Refusal::new("INSERT without a query").advise("write INSERT INTO … SELECT"));
        };
        let last = |name: &ObjectNamePart| name.as_ident().map(|ident| ident.value.clone()).unwrap_or_default();
        let columns = insert.columns.iter().filter_map(|name| name.0.last().map(last)).collect();
        self.step(What::Insert(target, columns, query), place);
        Ok(())
    }

    fn query(&mut self, source: &QuerySource<'_>) -> Vec<Problem> {
        let origin = Origin::Query(source.name.to_string());
        let start = Place { line: 1, column: 1 };
        let (parsed, refused) = parse(source.sql);
        let wanted = || Refusal::new("one SELECT is wanted here").advise("write one query over tables and views");
        let mut problems: Vec<Problem> =
            refused.into_iter().map(|(refusal, place)| refusal.into_problem(&origin, place)).collect();
        let mut parsed = parsed.into_iter();
        match (parsed.next().map(|one| (one.statement, one.place)), parsed.next()) {
            (Some((Statement::Query(query), place)), None) => {
                let what = What::Query(source.name.to_string(), query);
                self.steps.push(Step { what, origin, place });
            }
            (None, None) if !problems.is_empty() => {}
            (first, second) => {
                let place = second.map(|one| one.place).or(first.map(|(_, place)| place)).unwrap_or(start);
                problems.push(wanted().into_problem(&origin, place));
            }
        }
        problems
    }

    fn empty_targets(&self) -> Vec<Problem> {
        let filled =
            |number: usize| self.steps.iter().any(|step| matches!(step.what, What::Insert(n, ..) if n == number));
        let empty = (0..self.targets.len()).filter(|&number| !filled(number)).map(|number| {
            let target = &self.targets[number];
            let (line, column) = target.position;
            Refusal::new(format!("nothing is written to target {}", target.name))
                .advise(format!("add INSERT INTO {} SELECT …", target.name))
                .into_problem(&Origin::Views, Place { line, column })
        });
        empty.collect()
    }

    fn step(&mut self, what: What, place: Place) {
        self.steps.push(Step { what, origin: Origin::Views, place });
    }
}
