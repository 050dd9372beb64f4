//! Random jobs: small tables, a stream of inserts and retractions, and SQL from the supported subset over them.
//!
//! A case is a pure function of its seed, so a failing test needs to print nothing else.

mod dice;
mod expression;
mod query;
mod stream;

use crate::oracle::Inputs;
use crate::rows::from_text;
use arrow::datatypes::SchemaRef;
use dice::Dice;
use proxima_event::Changes;
use std::collections::BTreeMap;

/// A job and its input.
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Its `views.sql`. All input tables read the source `input`.
    pub sql: String,
    /// The names of its views.
    pub views: Vec<String>,
    /// The columns of each input table.
    pub tables: BTreeMap<String, SchemaRef>,
    /// The input, in order of arrival. Rows of dimensions come first.
    pub events: Vec<Event>,
    /// Whether rows are taken back.
    pub retractions: bool,
    /// How long records may be late, in microseconds, where the case has late ones; their time is `eventTime`.
    pub lifetime_us: Option<i64>,
}

/// One row that comes or goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The table.
    pub table: String,
    /// Its values as text; `None` is NULL.
    pub row: Vec<Option<String>>,
    /// How often it comes (positive) or goes.
    pub weight: i64,
}

impl Case {
    /// The case of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let plan = stream::Shape::roll(&mut dice);
        let tables = stream::tables(&mut dice, plan);
        let events = stream::events(&mut dice, &tables, plan);
        let (sql, views) = query::script(&mut dice, &tables, plan);
        let tables = tables.iter().map(|table| (table.name.clone(), table.schema())).collect();
        Self { seed, sql, views, tables, events, retractions: plan.retractions, lifetime_us: plan.lifetime_us() }
    }

    /// The SQL for a batch run: what lifetimes mean for a join is said there.
    #[must_use]
    pub fn batch_sql(&self) -> String {
        query::without_lifetimes(&self.sql)
    }

    /// The changes of a run of events, one batch for each table that has any, in the order of the tables' names.
    #[must_use]
    pub fn changes(&self, events: &[Event]) -> Inputs {
        let mut inputs = Inputs::new();
        for (name, schema) in &self.tables {
            let own: Vec<&Event> = events.iter().filter(|event| event.table == *name).collect();
            if !own.is_empty() {
                let rows = from_text(schema, own.iter().map(|event| event.row.iter().map(Option::as_deref).collect()));
                let weights = own.iter().map(|event| event.weight).collect();
                inputs.insert(name.clone(), vec![Changes::weighted(rows, weights)]);
            }
        }
        inputs
    }

    /// The events that are not late: the rule, written as it is said. A record is late when it is older than the newest
    /// time of its table before it, minus the lifetime.
    #[must_use]
    pub fn in_time(&self) -> Vec<Event> {
        let Some(lifetime_us) = self.lifetime_us else { return self.events.clone() };
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        let mut is_in_time = |event: &&Event| {
            let Some(time_us) = self.time_us(event) else { return true };
            let newest = newest.entry(event.table.clone()).or_insert(time_us);
            *newest = time_us.max(*newest);
            time_us >= *newest - lifetime_us
        };
        self.events.iter().filter(|event| is_in_time(event)).cloned().collect()
    }

    fn time_us(&self, event: &Event) -> Option<i64> {
        let column = self.tables[&event.table].index_of(stream::EVENT_TIME).ok()?;
        event.row[column].as_deref().map(stream::parse_time_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Oracle;

    #[test]
    fn a_seed_gives_the_same_case_again() {
        let (one, other) = (Case::new(7), Case::new(7));
        assert_eq!((&one.sql, &one.events), (&other.sql, &other.events));
        assert_ne!(one.sql, Case::new(8).sql);
    }

    #[test]
    fn batch_runs_the_random_jobs() {
        let mut rows = 0;
        for seed in 0..40 {
            let case = Case::new(seed);
            let oracle = Oracle::run(&case.batch_sql(), "UTC", &case.changes(&case.events));
            let oracle = oracle.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", case.sql));
            rows += oracle.targets().map(|name| oracle.target(name).num_rows()).sum::<usize>();
        }
        assert!(rows > 200, "the random jobs are not about nothing: {rows} rows");
    }
}
