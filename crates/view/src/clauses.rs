//! Clauses of other dialects: the parser reads them, and the planner would pass over many of them without a word.
//!
//! Each syntax tree is taken apart field by field, so that a clause which a new version of the parser knows has to be
//! decided upon here.

use crate::problem::{Place, Refusal};
use datafusion_sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion_sql::sqlparser::ast::{
    CreateTable, CreateTableOptions, CreateView, Insert, LimitClause, OrderByKind, Query, Select, Spanned, TableFactor,
};

/// What is told where there is nothing to write in its place.
const LEAVE_OUT: &str = "leave it out";

/// Clauses that were found, with what to write in their place.
#[derive(Default)]
struct Found(Vec<(&'static str, &'static str)>);

impl Found {
    fn note(&mut self, is_there: bool, clause: &'static str, advice: &'static str) {
        if is_there {
            self.0.push((clause, advice));
        }
    }

    fn refusals(self, place: Option<Place>) -> Vec<Refusal> {
        let refusal = |(clause, advice)| Refusal::new(format!("{clause} is not supported")).advise(advice).at(place);
        self.0.into_iter().map(refusal).collect()
    }
}

/// The clauses around the body of a query.
pub(crate) fn of_query(query: &Query) -> Vec<Refusal> {
    let Query {
        with: _,
        body: _,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    let mut found = Found::default();
    if let Some(order_by) = order_by {
        found.note(order_by.interpolate.is_some(), "INTERPOLATE", LEAVE_OUT);
        if let OrderByKind::Expressions(expressions) = &order_by.kind {
            found.note(expressions.iter().any(|by| by.with_fill.is_some()), "WITH FILL", LEAVE_OUT);
        }
    }
    let limits_groups = matches!(limit_clause, Some(LimitClause::LimitOffset { limit_by, .. }) if !limit_by.is_empty());
    found.note(limits_groups, "LIMIT … BY", "write ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) with a bound");
    found.note(fetch.is_some(), "FETCH", "write LIMIT n");
    found.note(!locks.is_empty(), "FOR UPDATE or FOR SHARE", LEAVE_OUT);
    found.note(for_clause.is_some(), "FOR XML, FOR JSON or FOR BROWSE", LEAVE_OUT);
    found.note(settings.is_some(), "SETTINGS", LEAVE_OUT);
    found.note(format_clause.is_some(), "FORMAT", LEAVE_OUT);
    found.note(!pipe_operators.is_empty(), "the pipe |>", "write it as SELECT … FROM (SELECT …)");
    found.refusals(Place::of(query.span()))
}

/// The clauses of a SELECT.
pub(crate) fn of_select(select: &Select) -> Vec<Refusal> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    let mut found = Found::default();
    found.note(select_modifiers.is_some(), "a modifier of SELECT", LEAVE_OUT);
    found.note(top.is_some(), "TOP", "write ORDER BY … LIMIT n");
    found.note(exclude.is_some(), "EXCLUDE behind the columns", "write * EXCLUDE (…), or name the columns");
    found.note(into.is_some(), "SELECT INTO", "write INSERT INTO t SELECT …");
    found.note(!lateral_views.is_empty(), "LATERAL VIEW", "write SELECT …, unnest(list) AS item FROM t in a subquery");
    found.note(prewhere.is_some(), "PREWHERE", "write WHERE");
    found.note(!connect_by.is_empty(), "CONNECT BY", "write each step as a view");
    found.note(!cluster_by.is_empty(), "CLUSTER BY", LEAVE_OUT);
    found.note(!distribute_by.is_empty(), "DISTRIBUTE BY", LEAVE_OUT);
    found.note(!sort_by.is_empty(), "SORT BY", "write ORDER BY … LIMIT n");
    found.note(value_table_mode.is_some(), "SELECT AS STRUCT or AS VALUE", "name the columns");
    found.refusals(Place::of(select.span()))
}

/// The clauses behind a name or a subquery in FROM.
pub(crate) fn of_factor(factor: &TableFactor) -> Vec<Refusal> {
    const HASHED: &str = "keep a part by a value of the records: WHERE id % 10 = 0";
    let mut found = Found::default();
    match factor {
        TableFactor::Table {
            name: _,
            alias: _,
            args: _,
            with_hints,
            version: _,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            found.note(!with_hints.is_empty() || !index_hints.is_empty(), "a hint behind a table", LEAVE_OUT);
            found.note(*with_ordinality, "WITH ORDINALITY", LEAVE_OUT);
            found.note(!partitions.is_empty(), "PARTITION (…) behind a table", "write WHERE");
            found.note(json_path.is_some(), "a path behind a table", "write column['field']");
            found.note(sample.is_some(), "TABLESAMPLE", HASHED);
        }
        TableFactor::Derived { sample, .. } => found.note(sample.is_some(), "TABLESAMPLE", HASHED),
        _ => {}
    }
    found.refusals(Place::of(factor.span()))
}

/// Refuses what a table's declaration has beside columns, constraints and options.
pub(crate) fn of_table(create: &CreateTable) -> Option<Refusal> {
    let mut plain = CreateTableBuilder::new(create.name.clone())
        .or_replace(create.or_replace)
        .temporary(create.temporary)
        .if_not_exists(create.if_not_exists)
        .columns(create.columns.clone())
        .constraints(create.constraints.clone())
        .table_options(create.table_options.clone())
        .query(create.query.clone())
        .build();
    plain.comment.clone_from(&create.comment);
    (plain != *create).then(|| {
        Refusal::new("a clause of CREATE TABLE is not supported")
            .advise("write CREATE TABLE t (columns) WITH (options)")
    })
}

/// Refuses what a view's declaration has beside its columns and its query.
pub(crate) fn of_view(view: &CreateView) -> Option<Refusal> {
    let plain = CreateView {
        or_alter: false,
        secure: false,
        options: CreateTableOptions::None,
        cluster_by: Vec::new(),
        with_no_schema_binding: false,
        copy_grants: false,
        to: None,
        params: None,
        ..view.clone()
    };
    (plain != *view)
        .then(|| Refusal::new("a clause of CREATE VIEW is not supported").advise("write CREATE VIEW v AS SELECT …"))
}

/// Refuses what an INSERT has beside its columns and its query.
pub(crate) fn of_insert(insert: &Insert) -> Option<Refusal> {
    let plain = Insert {
        or: None,
        ignore: false,
        table_alias: None,
        overwrite: false,
        assignments: Vec::new(),
        partitioned: None,
        after_columns: Vec::new(),
        on: None,
        returning: None,
        output: None,
        replace_into: false,
        priority: None,
        insert_alias: None,
        settings: None,
        format_clause: None,
        multi_table_insert_type: None,
        multi_table_into_clauses: Vec::new(),
        ..insert.clone()
    };
    (plain != *insert).then(|| {
        let advice = "write INSERT INTO t (columns) SELECT …: a row takes the place of the one with its key anyway";
        Refusal::new("a clause of INSERT is not supported").advise(advice)
    })
}
