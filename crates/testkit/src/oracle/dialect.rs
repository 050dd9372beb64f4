//! Reads `views.sql` apart: input tables, views and inserts, in the order in which they stand.

use super::tables::schema_of;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{self, CreateTableOptions, ObjectName, SqlOption, TableObject};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::BTreeMap;

/// What `views.sql` says.
pub struct Script {
    /// Its statements, without the declarations of targets.
    pub statements: Vec<Statement>,
}

/// One statement.
pub enum Statement {
    /// A table that a source fills.
    Input {
        /// Its name.
        name: String,
        /// Its columns.
        schema: SchemaRef,
    },
    /// A view.
    View {
        /// Its name.
        name: String,
        /// What it selects.
        query: Box<ast::Query>,
    },
    /// What goes to a target.
    Insert {
        /// The target's name.
        target: String,
        /// The columns that the target declares.
        schema: SchemaRef,
        /// What is inserted.
        query: Box<ast::Query>,
    },
}

impl Script {
    /// Reads the statements.
    ///
    /// # Errors
    /// When they are not of our dialect.
    pub fn parse(sql: &str, zone: &str) -> Result<Self> {
        let mut declared = BTreeMap::new();
        let mut statements = Vec::new();
        for statement in parse(sql)? {
            match statement {
                ast::Statement::CreateTable(table) => {
                    let (name, schema) = (bare(&table.name), schema_of(&table.columns, zone)?);
                    if has_option(&table.table_options, "source") {
                        statements.push(Statement::Input { name, schema });
                    } else {
                        declared.insert(name, schema);
                    }
                }
                ast::Statement::CreateView(view) => {
                    statements.push(Statement::View { name: bare(&view.name), query: view.query });
                }
                ast::Statement::Insert(insert) => statements.push(read_insert(insert, &declared)?),
                other => return Err(DataFusionError::Plan(format!("not of our dialect: {other}"))),
            }
        }
        Ok(Self { statements })
    }
}

/// Reads one query.
pub(super) fn parse_query(sql: &str) -> Result<Box<ast::Query>> {
    match parse(sql)?.pop() {
        Some(ast::Statement::Query(query)) => Ok(query),
        _ => Err(DataFusionError::Plan(format!("not a query: {sql}"))),
    }
}

fn parse(sql: &str) -> Result<Vec<ast::Statement>> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize().map_err(|error| DataFusionError::Plan(error.to_string()))?;
    let tokens = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let mut parser = Parser::new(&dialect).with_tokens(without_versions(tokens));
    parser.parse_statements().map_err(|error| DataFusionError::Plan(error.to_string()))
}

/// In batch a dimension has no past: `FOR SYSTEM_TIME AS OF o.time` and `FOR SYSTEM_TIME AS OF PROCTIME()` go.
fn without_versions(tokens: Vec<Token>) -> Vec<Token> {
    const CLAUSE: [&str; 4] = ["FOR", "SYSTEM_TIME", "AS", "OF"];
    let is = |token: &Token, word: &str| matches!(token, Token::Word(found) if found.value.eq_ignore_ascii_case(word));
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        if rest.len() > CLAUSE.len() && CLAUSE.iter().zip(rest).all(|(word, token)| is(token, word)) {
            at += CLAUSE.len() + 1;
            while matches!(tokens.get(at), Some(Token::Period)) {
                at += 2;
            }
            if matches!(tokens.get(at..at + 2), Some([Token::LParen, Token::RParen])) {
                at += 2;
            }
        } else {
            kept.push(rest[0].clone());
            at += 1;
        }
    }
    kept
}

fn read_insert(insert: ast::Insert, declared: &BTreeMap<String, SchemaRef>) -> Result<Statement> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(DataFusionError::Plan("a target is named".into()));
    };
    let target = bare(name);
    let schema = declared.get(&target).cloned();
    let schema = schema.ok_or_else(|| DataFusionError::Plan(format!("target {target} is not declared")))?;
    let query = insert.source.ok_or_else(|| DataFusionError::Plan(format!("nothing is inserted into {target}")))?;
    Ok(Statement::Insert { target, schema, query })
}

fn bare(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map_or_else(|| name.to_string(), |ident| ident.value.clone())
}

fn has_option(options: &CreateTableOptions, wanted: &str) -> bool {
    let CreateTableOptions::With(options) = options else { return false };
    options.iter().any(|option| matches!(option, SqlOption::KeyValue { key, .. } if key.value == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_dimension_is_left_out() {
        let sql = "SELECT * FROM o JOIN d FOR SYSTEM_TIME AS OF o.at AS d2 ON o.k = d2.k \
                   JOIN e FOR SYSTEM_TIME AS OF PROCTIME() ON e.k = o.k";
        let query = parse_query(sql).unwrap().to_string();
        assert_eq!(query, "SELECT * FROM o JOIN d AS d2 ON o.k = d2.k JOIN e ON e.k = o.k");
    }
}
