//! Every column and field that a query names and that there is not.
//!
//! The planner stops at the first. That one is taken for a NULL, and the query is planned again, until nothing of this kind
//! is left. Whatever else it says after that may follow from the NULLs, and is not told.

use crate::catalog::Catalog;
use crate::frontend::analyse;
use crate::problem::{Place, Refusal};
use datafusion_common::{DataFusionError, SchemaError};
use datafusion_sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, Query, Select, SelectItem, Spanned, Subscript, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use std::ops::ControlFlow;

/// The name that the planner looks for in vain, if that is what it says: of a column, or of a field of a STRUCT.
pub(crate) fn missing(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
            _ => None,
        },
        // It has no error of its own for this.
        DataFusionError::Plan(message) | DataFusionError::Execution(message) => {
            let (field, _) = message.strip_prefix("Field ")?.split_once(" not found in struct")?;
            Some(field.to_owned())
        }
        _ => None,
    }
}

/// What a query names and there is not. The calls at the places of `refused` are taken for NULLs: they were told of before.
/// Where something else was, nobody knows what the query would name without it.
pub(crate) fn unknown_names(catalog: &Catalog, mut query: Query, refused: &[Option<Place>]) -> Vec<Refusal> {
    if !refused.iter().all(|place| place.is_some_and(|place| blank(&mut query, place))) {
        return Vec::new();
    }
    let mut refusals: Vec<Refusal> = Vec::new();
    while let Err(error) = analyse(catalog, query.clone()) {
        let Some(name) = missing(&error) else { break };
        let refusal = Refusal::from(error);
        let place = refusal.place.or_else(|| lone_place(&query, &name));
        refusals.push(refusal.at(place));
        if !place.is_some_and(|place| blank(&mut query, place)) {
            break;
        }
    }
    refusals
}

/// Where a column, a field or a call starts.
fn place(expr: &Expr) -> Option<Place> {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } | Expr::Function(_) => {
            Place::of(expr.span())
        }
        _ => None,
    }
}

/// Whether an expression names a column or a field so.
fn names(expr: &Expr, name: &str) -> bool {
    let is_text = |expr: &Expr| match expr {
        Expr::Value(value) => value.value.clone().into_string().is_some_and(|text| text == name),
        _ => false,
    };
    match expr {
        Expr::Identifier(ident) => ident.value == name,
        Expr::CompoundIdentifier(parts) => parts.iter().skip(1).any(|part| part.value == name),
        Expr::CompoundFieldAccess { access_chain, .. } => access_chain.iter().any(|access| match access {
            AccessExpr::Dot(field) => names(field, name),
            AccessExpr::Subscript(Subscript::Index { index }) => is_text(index),
            AccessExpr::Subscript(Subscript::Slice { .. }) => false,
        }),
        _ => false,
    }
}

/// Where a query has this name, if it does so once.
fn lone_place(query: &Query, name: &str) -> Option<Place> {
    struct Search<'a>(&'a str, Vec<Option<Place>>);
    impl Visitor for Search<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if names(expr, self.0) {
                self.1.push(place(expr));
            }
            ControlFlow::Continue(())
        }
    }
    let mut search = Search(name, Vec::new());
    let _ = query.visit(&mut search);
    match search.1[..] {
        [place] => place,
        _ => None,
    }
}

/// Puts a NULL in the place of the column, field or call that starts there, under the same name if a SELECT gives it.
/// Whether there was one.
fn blank(query: &mut Query, at: Place) -> bool {
    struct Blank(Place);
    impl VisitorMut for Blank {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) = item
                    && place(expr) == Some(self.0)
                {
                    let alias = match &*expr {
                        Expr::Identifier(ident) => ident.clone(),
                        Expr::CompoundIdentifier(parts) => parts.last().expect("an identifier has parts").clone(),
                        other => Ident::with_quote('"', other.to_string()),
                    };
                    *item = SelectItem::ExprWithAlias { expr: Expr::value(Value::Null), alias };
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if place(expr) == Some(self.0) {
                *expr = Expr::value(Value::Null);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    query.visit(&mut Blank(at)).is_break()
}
