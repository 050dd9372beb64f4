//! Reads a job's sources to their end and keeps the rows of its relations and objects.

use crate::assemble::{GraphStreams, ModelStream, graph_streams};
use crate::data::DataFolder;
use crate::job::JobPlan;
use anyhow::{Context, Result, ensure};
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit};
use arrow::row::{OwnedRow, RowConverter, SortField};
use chrono::TimeZone;
use parking_lot::Mutex;
use proxima_engine::{NodeId, RunConfig, SinkNode, Topology};
use proxima_event::{Changes, Sink, SinkError, Version};
use proxima_graph::{KindId, RelationColumns, RelationId};
use std::collections::HashMap;
use std::sync::Arc;

/// What a job's relations and objects came to.
pub struct Gathered {
    /// The rows of each relation.
    pub relations: Vec<RelationRows>,
    /// The attributes of each kind of objects, whose ids are in the column.
    pub objects: Vec<(KindId, usize, Vec<usize>, Vec<Changes>)>,
    /// The rows of models.
    pub models: Vec<ModelRows>,
}

/// The rows of a model's query, less those that were taken back.
pub struct ModelRows {
    /// The model.
    pub name: String,
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in the order in which they came.
    pub rows: Vec<Changes>,
}

/// The rows of a relation, less those that were taken back.
pub struct RelationRows {
    /// The relation.
    pub relation: RelationId,
    /// Where its columns are.
    pub columns: RelationColumns,
    /// The columns of its attributes.
    pub attributes: Vec<usize>,
    /// The rows, in the order in which they came.
    pub rows: Vec<Changes>,
    /// The time of each row in microseconds, by batch; nothing where the relation has none.
    pub times_us: Vec<Vec<i64>>,
}

/// Runs a job on one worker until its sources end, without its targets, and keeps the rows of these models beside those of
/// relations and objects.
///
/// # Errors
/// When the job follows a source, so that it has no end, or when its run fails.
pub fn gather<'a>(plan: &JobPlan, models: impl IntoIterator<Item = &'a String>) -> Result<Gathered> {
    let followed: Vec<_> = plan.followed().collect();
    ensure!(
        followed.is_empty(),
        "the job has no end, since it goes on reading {}: take a file or folder with --set sources.NAME.follow=false, \
         leave requests to forget away with --set forget.requests=false, or read from a copy of the job with files",
        followed.join(", ")
    );
    // Nothing is written there: what writes are the targets, and the sources that take records over HTTP.
    let nowhere = DataFolder::existing(std::env::temp_dir().join("proxima-evaluate"));
    let models = models.into_iter().collect();
    let GraphStreams { mut topology, relations, objects, models } = graph_streams(plan, &nowhere, &models)?;
    let relations: Vec<_> = relations.into_iter().map(|input| (keep(&mut topology, input.rows), input)).collect();
    let objects: Vec<_> = objects.into_iter().map(|input| (keep(&mut topology, input.rows), input)).collect();
    let models: Vec<_> = models.into_iter().map(|input| (keep(&mut topology, input.rows), input)).collect();
    proxima_engine::run(topology, RunConfig::default())?.wait().context("the job's sources could not be read")?;
    let rows_of = |(kept, input): (Kept, proxima_graph::RelationInput)| {
        let related = kept.take().into_iter().map(|rows| input.columns.without_nulls(rows)).collect();
        let rows = without_taken_back(related)?;
        let times_us = input.columns.time.map(|time| times(&rows, time)).unwrap_or_default();
        let proxima_graph::RelationInput { relation, columns, attributes, .. } = input;
        Ok(RelationRows { relation, columns, attributes, rows, times_us })
    };
    let relations = relations.into_iter().map(rows_of).collect::<Result<_>>()?;
    let described = |(kept, input): (Kept, proxima_graph::ObjectInput)| {
        Ok((input.kind, input.id, input.attributes, without_taken_back(kept.take())?))
    };
    let learned = |(kept, input): (Kept, ModelStream)| {
        Ok(ModelRows { name: input.name, schema: input.schema, rows: without_taken_back(kept.take())? })
    };
    let objects = objects.into_iter().map(described).collect::<Result<_>>()?;
    Ok(Gathered { relations, objects, models: models.into_iter().map(learned).collect::<Result<_>>()? })
}

/// What a stream has put out.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Changes>>>);

impl Kept {
    fn take(&self) -> Vec<Changes> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Sink for Kept {
    fn write(&mut self, _version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        self.0.lock().extend(changes.iter().cloned());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn keep(topology: &mut Topology, input: NodeId) -> Kept {
    let kept = Kept::default();
    topology.sink(SinkNode { name: format!("{input:?}/kept"), input, sink: Box::new(kept.clone()) });
    kept
}

/// Rows that came and stayed: each that was taken back goes, and with it the one that took it.
fn without_taken_back(batches: Vec<Changes>) -> Result<Vec<Changes>> {
    if batches.iter().all(|batch| (0..batch.len()).all(|row| batch.weight(row) > 0)) {
        return Ok(batches);
    }
    let schema = batches[0].rows.schema();
    let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let mut standing: HashMap<OwnedRow, Vec<(usize, usize)>> = HashMap::new();
    let mut weights: Vec<Vec<i64>> = batches.iter().map(|batch| vec![0; batch.len()]).collect();
    for (number, batch) in batches.iter().enumerate() {
        let rows = converter.convert_columns(batch.rows.columns())?;
        for row in 0..batch.len() {
            let places = standing.entry(rows.row(row).owned()).or_default();
            if batch.weight(row) > 0 {
                places.push((number, row));
                weights[number][row] = batch.weight(row);
                continue;
            }
            let mut owed = -batch.weight(row);
            while let (true, Some(&(batch, row))) = (owed > 0, places.last()) {
                let taken = owed.min(weights[batch][row]);
                weights[batch][row] -= taken;
                owed -= taken;
                if weights[batch][row] == 0 {
                    places.pop();
                }
            }
        }
    }
    let standing = batches.iter().zip(weights).map(|(batch, weights)| {
        let kept: Vec<u32> = (0..).zip(&weights).filter(|(_, weight)| **weight > 0).map(|(row, _)| row).collect();
        let rows = batch.take(&kept).rows;
        Changes::weighted(rows, weights.into_iter().filter(|&weight| weight > 0).collect())
    });
    Ok(standing.collect())
}

/// The times of rows in microseconds, instants as the clock of their zone shows them; none is NULL.
fn times(batches: &[Changes], column: usize) -> Vec<Vec<i64>> {
    let of = |batch: &Changes| {
        let column = batch.column(column);
        let zone = match column.data_type() {
            DataType::Timestamp(_, Some(zone)) => zone.parse::<chrono_tz::Tz>().ok(),
            _ => None,
        };
        let column = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None));
        let column = column.and_then(|column| cast(&column, &DataType::Int64)).expect("a relation's time is a time");
        let wall = |time_us: i64| {
            let instant = zone.and_then(|zone| Some(zone.timestamp_micros(time_us).single()?.naive_local()));
            instant.map_or(time_us, |shown| shown.and_utc().timestamp_micros())
        };
        column.as_primitive::<Int64Type>().values().iter().map(|&time_us| wall(time_us)).collect()
    };
    batches.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    fn rows(values: &[i64], weights: Vec<i64>) -> Changes {
        let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        Changes::weighted(RecordBatch::try_from_iter([("value", values)]).unwrap(), weights)
    }

    #[test]
    fn what_was_taken_back_goes_with_what_took_it() {
        let batches = vec![rows(&[1, 2, 2], vec![1, 1, 2]), rows(&[2, 3, 1, 1], vec![-2, 1, -1, 1])];
        let left = without_taken_back(batches).unwrap();
        let values: Vec<_> = left
            .iter()
            .flat_map(|batch| {
                (0..batch.len()).map(|row| (batch.column(0).as_primitive::<Int64Type>().value(row), batch.weight(row)))
            })
            .collect();
        assert_eq!(values, [(2, 1), (3, 1), (1, 1)]);
    }
}
