//! A plan becomes nodes of a topology.

use super::{TABLES, plan};
use crate::{Options, QuerySource, compile};
use proxima_engine::{SourceNode, Topology};
use proxima_event::{Intake, Source, SourceError};
use std::collections::HashMap;
use std::sync::Arc;

/// Never has anything.
struct Empty;

impl Source for Empty {
    fn run(self: Box<Self>, _intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        Ok(())
    }
}

#[test]
fn every_result_has_a_node() {
    let target = "CREATE TABLE t (a STRING, n BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH (sink = 's');
                  INSERT INTO t SELECT Country, count(*) FROM orders GROUP BY Country;";
    let plan = plan(target, &["SELECT mid FROM clicks WHERE type = 1"]);
    let mut topology = Topology::new();
    let source = SourceNode { name: "s".into(), source: Box::new(Empty), dimension: false };
    let source = topology.source(source);
    let tables: HashMap<_, _> =
        plan.tables.iter().map(|table| (table.name.clone(), topology.table(&table.name, source, None))).collect();
    let lowered = plan.lower(&mut topology, &tables);
    assert_eq!(lowered.targets.keys().collect::<Vec<_>>(), ["t"]);
    assert_eq!(lowered.queries.keys().collect::<Vec<_>>(), ["q1"]);
}

#[test]
fn planning_twice_gives_the_same() {
    let queries = [QuerySource { name: "q", sql: "SELECT Country, sum(Quantity) AS n FROM orders GROUP BY Country" }];
    let explain = || compile(TABLES, &queries, &Options::default()).unwrap().explain();
    assert_eq!(explain(), explain());
}
