//! The sources of a job and the tables that they fill.

use super::BATCH_ROWS;
use crate::data::DataFolder;
use crate::ingest::LogIngest;
use crate::job::{JobPlan, SourcePlan};
use crate::upgrade::Cohort;
use anyhow::{Context, Result, ensure};
use proxima_engine::{MakeSourceDecoder, NodeId, SourceNode, Topology};
use proxima_event::decode::{Format, source_decoder};
use proxima_kafka::KafkaSource;
use proxima_serve::IngestRoute;
use proxima_source::{FileConfig, FileSource, Framing, HttpLog, HttpSource};
use proxima_view::Table;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Adds the sources that some table reads, and the tables: for each cohort its own, by name. The tables of a source share
/// one decoder.
pub(super) fn add_tables(
    job: &JobPlan,
    cohorts: &[Cohort],
    data: &DataFolder,
    topology: &mut Topology,
    ingests: &mut BTreeMap<String, IngestRoute>,
) -> Result<Vec<HashMap<String, NodeId>>> {
    let mut nodes = vec![HashMap::new(); cohorts.len()];
    for name in sources_read(cohorts) {
        let of_cohort = |(at, cohort)| own_tables(cohort, name).map(move |table| (at, table));
        let (owners, readers): (Vec<usize>, Vec<&Table>) = cohorts.iter().enumerate().flat_map(of_cohort).unzip();
        let format = common_format(name, &readers)?;
        let node = source_node(job, data, name, format, &readers, ingests)?;
        let source = topology.source(node);
        let decoder = make_decoder(job, format, &readers);
        let names: Vec<String> = readers.iter().map(|table| table.name.clone()).collect();
        let added = topology.tables(names.clone(), source, decoder);
        for ((owner, name), node) in owners.into_iter().zip(names).zip(added) {
            nodes[owner].insert(name, node);
        }
    }
    Ok(nodes)
}

fn own_tables<'a>(cohort: &'a Cohort, source: &'a str) -> impl Iterator<Item = &'a Table> {
    cohort.plan.tables.iter().filter(move |table| table.source == source)
}

/// The sources that tables read, in the order of their first tables.
fn sources_read(cohorts: &[Cohort]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for table in cohorts.iter().flat_map(|cohort| &cohort.plan.tables) {
        if !names.contains(&table.source.as_str()) {
            names.push(&table.source);
        }
    }
    names
}

/// The format that all tables of a source read it in.
fn common_format(source: &str, readers: &[&Table]) -> Result<Format> {
    let format = format_of(readers[0])?;
    for table in readers {
        ensure!(
            format_of(table)? == format,
            "tables {} and {} read source \"{source}\" in different formats; give each a source of its own",
            readers[0].name,
            table.name
        );
    }
    Ok(format)
}

fn source_node(
    job: &JobPlan,
    data: &DataFolder,
    name: &str,
    format: Format,
    readers: &[&Table],
    ingests: &mut BTreeMap<String, IngestRoute>,
) -> Result<SourceNode> {
    let plan = job.sources.get(name).with_context(|| format!("no source is named \"{name}\""))?;
    let dimension = readers.iter().all(|table| table.dimension);
    let (path, follow) = match plan {
        SourcePlan::File { path, follow } => (path, follow),
        SourcePlan::Kafka(config) => {
            let source = Box::new(KafkaSource::new((**config).clone()));
            return Ok(SourceNode { name: name.into(), source, dimension });
        }
        SourcePlan::Http(plan) => {
            ensure!(format != Format::Csv, "source \"{name}\" takes JSON, but table {} reads CSV", readers[0].name);
            let log = Arc::new(HttpLog::open(plan.log(name, data.ingested(name)))?);
            let ingest = Arc::new(LogIngest(Arc::clone(&log)));
            let (token, origins) = (plan.token.clone(), plan.origins.clone());
            ingests.insert(name.to_owned(), IngestRoute { log: ingest, token, origins });
            return Ok(SourceNode { name: name.into(), source: Box::new(HttpSource::new(log)), dimension });
        }
    };
    let framing = match format {
        Format::Csv => Framing::Csv { delimiter: b',', quote: b'"' },
        Format::Json | Format::Maxwell | Format::Debezium | Format::Canal => Framing::Lines,
    };
    let mut config = FileConfig::new(name, path, framing);
    config.follow = *follow;
    let source = FileSource::new(config).with_context(|| format!("source \"{name}\" cannot be read"))?;
    Ok(SourceNode { name: name.into(), source: Box::new(source), dimension })
}

fn format_of(table: &Table) -> Result<Format> {
    table.format.parse().map_err(|error: String| anyhow::anyhow!("table {}: {error}", table.name))
}

fn make_decoder(job: &JobPlan, format: Format, readers: &[&Table]) -> MakeSourceDecoder {
    let configs: Vec<_> = readers.iter().map(|table| table.decode_config(job.zone, BATCH_ROWS)).collect();
    Arc::new(move || source_decoder(format, configs.clone()))
}
