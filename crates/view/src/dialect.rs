//! The dialect of `views.sql`, and its text cut into statements.
//!
//! It is sqlparser's generic dialect with one ability more, `FOR SYSTEM_TIME AS OF`, an `IS DISTINCT FROM` that ends where it
//! should, and with three spellings of types that Flink's users know: `ROW<…>`, `TIMESTAMP_LTZ` and `WITH LOCAL TIME ZONE`.

use crate::problem::{Place, Refusal};
use datafusion_sql::sqlparser::ast::{Expr, Statement};
use datafusion_sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use std::any::TypeId;

/// The generic dialect, with table versions.
#[derive(Debug)]
struct ViewDialect(GenericDialect);

/// Passes abilities on to the generic dialect.
macro_rules! as_generic {
    ($($ability:ident),* $(,)?) => {
        $(fn $ability(&self) -> bool {
            self.0.$ability()
        })*
    };
}

impl Dialect for ViewDialect {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    /// What `IS [NOT] DISTINCT FROM` compares with ends before an `AND`; sqlparser would take that in as well.
    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let is_distinct = parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]);
        let form = if is_distinct {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        Some(parser.parse_subexpr(precedence).map(|right| form(Box::new(left.clone()), Box::new(right))))
    }

    as_generic! {
        supports_unicode_string_literal,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_connect_by,
        supports_match_recognize,
        supports_pipe_operator,
        supports_start_transaction_modifier,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_create_view_comment_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_limit_comma,
        supports_update_order_by,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_asc_desc_in_column_definition,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_user_host_grantee,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_select_wildcard_replace,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_optimize_table,
        supports_install,
        supports_detach,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_comma_separated_trim,
        supports_cte_without_as,
        supports_select_item_multi_column_alias,
        supports_xml_expressions,
    }
}

/// One statement of a text, with the place where it starts.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    pub(crate) place: Place,
}

/// The statements of a text, in order, and what cannot be read of it. A statement that cannot be parsed does not hide
/// the mistakes of the others.
pub(crate) fn parse(sql: &str) -> (Vec<Parsed>, Vec<(Refusal, Place)>) {
    let dialect = ViewDialect(GenericDialect);
    let tokens = match Tokenizer::new(&dialect, sql).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(error) => {
            let place = Place::at(error.location).unwrap_or(Place { line: 1, column: 1 });
            return (Vec::new(), vec![(Refusal::new(error.message), place)]);
        }
    };
    let mut parsed = Vec::new();
    let mut refused = Vec::new();
    for piece in tokens.split(|token| token.token == Token::SemiColon) {
        let Some(place) = start(piece) else { continue };
        match parse_one(&dialect, respell(piece)) {
            Ok(statement) => parsed.push(Parsed { statement, place }),
            Err(refusal) => refused.push((refusal, place)),
        }
    }
    (parsed, refused)
}

fn start(piece: &[TokenWithSpan]) -> Option<Place> {
    piece.iter().find(|token| !matches!(token.token, Token::Whitespace(_))).and_then(|token| Place::of(token.span))
}

fn parse_one(dialect: &ViewDialect, tokens: Vec<TokenWithSpan>) -> Result<Statement, Refusal> {
    let mut parser = Parser::new(dialect).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(syntax_error)?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(statement),
        _ => Err(Refusal::new(format!("unexpected {} behind the end of the statement", rest.token))
            .advise("end each statement with a semicolon")
            .at(Place::of(rest.span))),
    }
}

/// The parser puts the place at the end of its message: it is taken out from there.
fn syntax_error(error: ParserError) -> Refusal {
    let (ParserError::ParserError(text) | ParserError::TokenizerError(text)) = error else {
        return Refusal::new("the statement is nested too deeply");
    };
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return Refusal::new(text);
    };
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Place { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
    });
    Refusal::new(message).at(place)
}

/// Turns the spellings of types that the parser does not know into those that it does, and lets columns be named as indexes
/// are elsewhere.
fn respell(piece: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut tokens: Vec<TokenWithSpan> =
        piece.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).cloned().collect();
    for at in 0..tokens.len() {
        if is_word(&tokens[at], "ROW") && tokens.get(at + 1).is_some_and(|next| next.token == Token::Lt) {
            tokens[at].token = keyword("STRUCT", Keyword::STRUCT);
        }
    }
    // To the generic dialect `key` and `index` begin a constraint in a list of columns. Here they name a column.
    for at in 1..tokens.len() {
        if matches!(tokens[at - 1].token, Token::LParen | Token::Comma)
            && let Token::Word(word) = &mut tokens[at].token
            && matches!(word.keyword, Keyword::KEY | Keyword::INDEX)
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
    let mut at = 0;
    while at + 3 < tokens.len() {
        if is_word(&tokens[at], "WITH") && is_word(&tokens[at + 1], "LOCAL") && is_word(&tokens[at + 2], "TIME") {
            tokens.remove(at + 1);
        }
        at += 1;
    }
    tokens
}

fn is_word(token: &TokenWithSpan, text: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

fn keyword(text: &str, keyword: Keyword) -> Token {
    Token::Word(datafusion_sql::sqlparser::tokenizer::Word { value: text.to_string(), quote_style: None, keyword })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_statement_does_not_hide_the_others() {
        let (parsed, refused) = parse("SELECT 1;\n  SELECT a b c;\n\nSELECT 2");
        assert_eq!(parsed.iter().map(|one| (one.place.line, one.place.column)).collect::<Vec<_>>(), [(1, 1), (4, 1)]);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].1, Place { line: 2, column: 3 });
        assert_eq!(refused[0].0.place.map(|place| place.line), Some(2));
    }

    #[test]
    fn flink_spellings_are_read() {
        let sql = "CREATE TABLE t (a ROW<b STRING, c ARRAY<ROW<d INT>>>, e TIMESTAMP(3) WITH LOCAL TIME ZONE, f TIMESTAMP_LTZ(3)); \
                   SELECT * FROM t JOIN d FOR SYSTEM_TIME AS OF t.e AS x ON t.a = x.a";
        let (parsed, refused) = parse(sql);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(parsed.len(), 2);
    }

    #[test]
    fn columns_may_be_named_key_and_index() {
        let (parsed, refused) = parse("CREATE TABLE t (key STRING, index INT, PRIMARY KEY (key) NOT ENFORCED)");
        assert!(refused.is_empty(), "{refused:?}");
        let Statement::CreateTable(table) = &parsed[0].statement else { panic!("{:?}", parsed[0].statement) };
        assert_eq!(table.columns.iter().map(|column| column.name.value.as_str()).collect::<Vec<_>>(), ["key", "index"]);
        assert_eq!(table.constraints.len(), 1);
    }
}
