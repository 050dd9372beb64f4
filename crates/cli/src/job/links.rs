//! Holds the SQL and the job file against each other: each names parts of the other.

use super::fields::advise_word;
use super::problem::{Place, Problem};
use super::raw::{RawJob, SinkWord};
use proxima_elastic::IndexPattern;
use proxima_sink::IndexConfig;
use proxima_view::{Plan, Table, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks that every source and sink that the SQL names is there.
pub fn check_declared(
    raw: &RawJob,
    views: &Place,
    (tables, targets): &(Vec<Table>, Vec<Target>),
    problems: &mut Vec<Problem>,
) {
    check_tables(raw, views, tables, problems);
    check_targets(raw, views, targets, problems);
}

fn check_tables(raw: &RawJob, views: &Place, tables: &[Table], problems: &mut Vec<Problem>) {
    let mut formats: BTreeMap<&str, &Table> = BTreeMap::new();
    for table in tables {
        let Table { name, source, format, .. } = table;
        let place = at(views, table.position);
        if !raw.sources.iter().any(|(known, _)| known == source) {
            let message = format!("table {name} reads source \"{source}\", which the job does not have");
            problems.push(Problem::error(&place, "", message).advise(advise_word(source, &names(&raw.sources))));
        }
        let own = raw.sources.iter().find(|(known, _)| known == source).map(|(_, raw)| raw);
        if own.is_some_and(|raw| raw.kafka.is_some()) && format == "csv" {
            let message = format!("table {name} reads source \"{source}\" as csv, but messages have no header");
            problems.push(Problem::error(&place, "", message).advise("write the topic's messages as JSON"));
        }
        if own.is_some_and(|raw| raw.http.is_some()) && format == "csv" {
            let message = format!("table {name} reads source \"{source}\" as csv, but clients post JSON");
            problems.push(Problem::error(&place, "", message).advise("write format = 'json'"));
        }
        let first = formats.entry(source).or_insert(table);
        if first.format != *format {
            let other = &first.name;
            let message =
                format!("table {name} reads source \"{source}\" as {format}, but table {other} as {}", first.format);
            problems.push(Problem::error(&place, "", message).advise("a source has one format"));
        }
    }
}

fn check_targets(raw: &RawJob, views: &Place, targets: &[Target], problems: &mut Vec<Problem>) {
    let mut indexes: BTreeMap<String, &str> = BTreeMap::new();
    for target in targets {
        let Target { name, sink, index, .. } = target;
        let place = at(views, target.position);
        if !raw.sinks.iter().any(|(known, _)| known == sink) {
            let message = format!("table {name} writes to sink \"{sink}\", which the job does not have");
            problems.push(Problem::error(&place, "", message).advise(advise_word(sink, &names(&raw.sinks))));
        }
        check_index(raw, views, target, problems);
        if !is_index_name(&index.replace(['{', '}'], "")) {
            let message = format!("table {name}: \"{index}\" cannot name an index");
            let advice = "use letters, digits, _, - and ., beginning with a letter or digit";
            problems.push(Problem::error(&place, "", message).advise(advice));
        }
        let called = super::index_name(index);
        if let Some(other) = indexes.insert(called, name) {
            let message = format!("table {name} writes to index \"{index}\", but so does table {other}");
            problems.push(Problem::error(&place, "", message).advise("give one of them another index = '…'"));
        }
    }
}

/// A name with columns in it, and any name in a cluster, must be one that a cluster takes.
fn check_index(raw: &RawJob, views: &Place, target: &Target, problems: &mut Vec<Problem>) {
    let sink = raw.sinks.iter().find(|(name, _)| *name == target.sink);
    if sink.is_some_and(|(_, sink)| sink.kafka.is_some()) && target.index.contains(['{', '}']) {
        let message = format!("table {}: \"{}\" cannot name a topic", target.name, target.index);
        let advice = "a target of Kafka is one topic; a topic for each value of a column is not possible";
        return problems.push(Problem::error(&at(views, target.position), "", message).advise(advice));
    }
    if sink.is_some_and(|(_, sink)| sink.kind.as_ref().is_some_and(|kind| kind.value == SinkWord::Index))
        && let Err(error) = IndexConfig::new(&target.index, Arc::clone(&target.schema), target.key.clone()).check()
    {
        let problem = Problem::error(&at(views, target.position), "", format!("table {}: {error}", target.name));
        problems.push(problem.advise("give the column another name"));
    }
    let in_redis = sink.is_some_and(|(_, sink)| sink.redis.is_some());
    if in_redis && target.schema.column_with_name("_version").is_some() {
        let message = format!(
            "table {}: a column cannot be named _version, under which the version of a row is kept",
            target.name
        );
        problems.push(Problem::error(&at(views, target.position), "", message).advise("give the column another name"));
    }
    let in_cluster = sink.is_some_and(|(_, sink)| sink.elastic.is_some());
    if !in_cluster && !target.index.contains(['{', '}']) {
        return;
    }
    let pattern = target.index.parse::<IndexPattern>();
    if let Err(error) = pattern.and_then(|pattern| pattern.check(&target.schema, &target.key)) {
        let message = format!("table {}: {error}", target.name);
        problems.push(Problem::error(&at(views, target.position), "", message));
    }
}

/// An index is a folder and part of an address.
fn is_index_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) && name.len() <= 200
}

/// Tells which parts nothing uses.
pub fn check_unused(raw: &RawJob, plan: &Plan, problems: &mut Vec<Problem>) {
    let read: BTreeSet<&str> = plan.tables.iter().map(|table| table.source.as_str()).collect();
    let mut written: BTreeSet<&str> = plan.targets.iter().map(|target| target.sink.as_str()).collect();
    written.extend(raw.walks.iter().filter_map(|(_, walk)| walk.output.as_ref()?.sink()));
    let paths = || raw.paths.iter().map(|(_, path)| path);
    let mut along: BTreeSet<&str> =
        paths().filter_map(|path| Some(path.relation.as_ref()?.value.text.as_str())).collect();
    let mut shown: BTreeSet<&str> =
        paths().filter_map(|path| Some(path.object.as_ref()?.value.text.as_str())).collect();
    for (_, walk) in &raw.walks {
        along.extend(walk.relations());
    }
    for (_, recommendation) in &raw.recommendations {
        along.extend(recommendation.relations());
    }
    along.extend(raw.judges.iter().filter_map(|(_, judge)| judge.relation()));
    for (_, relation) in raw.relations.iter().filter(|(name, _)| along.contains(name.as_str())) {
        let kinds = [&relation.subject, &relation.object].into_iter().flatten();
        shown.extend(kinds.map(|kind| kind.value.text.as_str()));
    }
    let mut tell = |part: &str, name: &str, place: &Place, used: &BTreeSet<&str>, message: &str| {
        if !used.contains(name) {
            problems.push(Problem::warning(place, format!("{part}.{name}"), message));
        }
    };
    for (name, source) in &raw.sources {
        tell("sources", name, &source.place, &read, "no result needs this source; it is not read");
    }
    for (name, sink) in &raw.sinks {
        tell("sinks", name, &sink.place, &written, "no target is written to this sink");
    }
    for (name, relation) in &raw.relations {
        tell("relations", name, &relation.place, &along, "no path goes along this relation");
    }
    for (name, object) in &raw.objects {
        tell("objects", name, &object.place, &shown, "no path shows these objects");
    }
}

fn names<T>(parts: &[(String, T)]) -> Vec<&str> {
    parts.iter().map(|(name, _)| name.as_str()).collect()
}

fn at(views: &Place, (line, column): (u64, u64)) -> Place {
    let clamp = |number| u32::try_from(number).unwrap_or(u32::MAX);
    views.at(clamp(line), clamp(column))
}
