//! Scores of rows: by weight, by what weights or attributes stand for, by age, by an expression.

use super::expression::Expression;
use super::fixed::rounded;
use super::spec::{Hop, RowScore, Word};
use crate::graph::{Edge, Graph, NO_TIME, Value};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, SchemaRef};
use std::sync::Arc;

/// A score for each row, rounded to units.
pub(super) fn scores<G: Graph + ?Sized>(graph: &G, hop: &Hop, edges: &[Edge]) -> Vec<f64> {
    let newest_us = graph.newest_us(hop.relation);
    let mut scores: Vec<f64> = match &hop.select.row {
        RowScore::Weight => edges.iter().map(|edge| edge.weight as f64).collect(),
        RowScore::Weights(scores) => edges.iter().map(|edge| stands_for(scores, &edge.weight)).collect(),
        RowScore::Attribute { attribute, scores } => {
            let of = |edge: &Edge| match graph.edge_attribute(hop.relation, edge.row, *attribute) {
                Value::Null | Value::Float(_) => 0.0,
                Value::Bool(value) => stands_for(scores, &Word::Bool(value)),
                Value::Int(value) => stands_for(scores, &Word::Int(value)),
                Value::Text(value) => stands_for(scores, &Word::Text(value)),
            };
            edges.iter().map(|edge| edge.weight as f64 * of(edge)).collect()
        }
        RowScore::Expression(expression) => expressed(graph, hop, edges, newest_us, expression.as_ref()),
    };
    if let Some(half_life_us) = hop.select.half_life_us {
        for (edge, score) in edges.iter().zip(&mut scores) {
            *score *= (-(age_us(edge, newest_us) as f64 / half_life_us as f64)).exp2();
        }
    }
    scores.iter_mut().for_each(|score| *score = rounded(*score));
    scores
}

fn stands_for<W: PartialEq>(scores: &[(W, f64)], word: &W) -> f64 {
    scores.iter().find(|(known, _)| known == word).map_or(0.0, |(_, score)| *score)
}

/// How much older a row is than the newest of its relation.
fn age_us(edge: &Edge, newest_us: i64) -> i64 {
    if edge.time_us == NO_TIME { 0 } else { newest_us.saturating_sub(edge.time_us).max(0) }
}

fn expressed<G: Graph + ?Sized>(
    graph: &G,
    hop: &Hop,
    edges: &[Edge],
    newest_us: i64,
    expression: &dyn Expression,
) -> Vec<f64> {
    let mut scores = Vec::with_capacity(edges.len());
    if edges.is_empty() {
        return scores;
    }
    let schema = hop.columns.as_ref().expect("a hop with an expression has columns");
    expression.evaluate(&batch(graph, hop, schema, edges, newest_us), &mut scores);
    assert_eq!(scores.len(), edges.len(), "an expression gives a number for each row");
    scores
}

/// The columns of [`super::expression::row_schema`].
fn batch<G: Graph + ?Sized>(graph: &G, hop: &Hop, schema: &SchemaRef, edges: &[Edge], newest_us: i64) -> RecordBatch {
    let time = |edge: &Edge| (edge.time_us != NO_TIME).then_some(edge.time_us);
    let age = |edge: &Edge| (edge.time_us != NO_TIME).then(|| age_us(edge, newest_us) as f64 / 1e6);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(edges.iter().map(|edge| Some(edge.weight)).collect::<Int64Array>()),
        Arc::new(edges.iter().map(time).collect::<TimestampMicrosecondArray>()),
        Arc::new(edges.iter().map(age).collect::<Float64Array>()),
    ];
    for (attribute, field) in schema.fields().iter().skip(columns.len()).enumerate() {
        let values = edges.iter().map(|edge| graph.edge_attribute(hop.relation, edge.row, attribute));
        columns.push(column(field.data_type(), values));
    }
    RecordBatch::try_new(Arc::clone(schema), columns).expect("the columns are those of the schema")
}

fn column(kind: &DataType, values: impl Iterator<Item = Value>) -> ArrayRef {
    let int = |value| if let Value::Int(value) = value { Some(value) } else { None };
    match kind {
        DataType::Boolean => {
            let bool = |value| if let Value::Bool(value) = value { Some(value) } else { None };
            Arc::new(values.map(bool).collect::<BooleanArray>())
        }
        DataType::Int64 => Arc::new(values.map(int).collect::<Int64Array>()),
        DataType::Float64 => {
            let float = |value| if let Value::Float(value) = value { Some(value) } else { None };
            Arc::new(values.map(float).collect::<Float64Array>())
        }
        DataType::Timestamp(..) => Arc::new(values.map(int).collect::<TimestampMicrosecondArray>()),
        _ => {
            let text = |value| if let Value::Text(value) = value { Some(value) } else { None };
            Arc::new(values.map(text).collect::<StringViewArray>())
        }
    }
}
