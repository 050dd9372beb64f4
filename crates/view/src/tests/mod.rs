//! Planning from SQL text to the operators, and what is refused.

mod documented;
mod explained;
mod lowered;
mod meant;
mod odd;
mod pruned;
mod refused;

use crate::{Options, Plan, Problem, QuerySource, compile};

/// The inputs that the tests read.
const TABLES: &str = "\
CREATE TABLE orders (InvoiceNo STRING, StockCode STRING, Description STRING, Quantity INT, InvoiceDate TIMESTAMP(3),
  UnitPrice DECIMAL(10, 3), CustomerID STRING, Country STRING) WITH (source = 'orders', format = 'csv');
CREATE TABLE clicks (mid STRING, item BIGINT, type INT, ts TIMESTAMP(3),
  common STRUCT<ar STRING, os STRING, device STRUCT<brand STRING, model STRING>>,
  displays ARRAY<STRUCT<item STRING, place INT, kind STRING>>)
  WITH (source = 'clicks', format = 'json', event_time = 'ts', lifetime = '1 hour');
CREATE TABLE items (id BIGINT, name STRING, category STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'items', format = 'json', dimension = 'true');
";

fn plan(sql: &str, queries: &[&str]) -> Plan {
    let names: Vec<String> = (1..=queries.len()).map(|number| format!("q{number}")).collect();
    let queries: Vec<_> = names.iter().zip(queries).map(|(name, sql)| QuerySource { name, sql }).collect();
    compile(&format!("{TABLES}{sql}"), &queries, &Options::default()).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    })
}

/// The plan of one query, as text.
fn explain(query: &str) -> String {
    plan("", &[query]).explain()
}

/// The problems of a text behind the tables.
fn problems(sql: &str, queries: &[&str]) -> Vec<Problem> {
    let names: Vec<String> = (1..=queries.len()).map(|number| format!("q{number}")).collect();
    let queries: Vec<_> = names.iter().zip(queries).map(|(name, sql)| QuerySource { name, sql }).collect();
    compile(&format!("{TABLES}{sql}"), &queries, &Options::default()).err().unwrap_or_default()
}
