//! Holds a job's parts against each other and against the files they name.

use super::broken::Broken;
use super::fields::{Located, advise_word, is_name};
use super::forget::RawForget;
use super::plan::{
    CheckpointPlace, CheckpointPlan, EpochPlan, HttpPlan, JobPlan, PathPlan, QueryPlan, SinkKind, SourcePlan,
};
use super::problem::{Place, Problem};
use super::raw::{RawCheckpoint, RawEpoch, RawHttp, RawJob, RawPath, RawQuery, RawSink, RawSource, SinkWord};
use super::relations::RawRelation;
use super::sql::{self, Purpose, Query};
use super::tree::Text;
use super::{
    Overlay, functions, index_name, inputs, judges, kept, links, models, outputs, paths as walks_of, queries,
    recommendations, relations,
};
use chrono_tz::Tz;
use proxima_graph::{HOT_ABOVE, Merger};
use proxima_hbase::{Address, AddressError};
use proxima_serve::NamedQuery;
use proxima_view::Plan;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How many rejected records of a source are kept where the job does not say.
const REJECTED_KEEP: u64 = 100_000;

/// Makes the plan. `None` when part of it could not be made; the problems say why.
pub fn check(folder: &Path, raw: RawJob, overlay: &Overlay, problems: &mut Vec<Problem>) -> Option<JobPlan> {
    let name = check_name(raw.name.as_ref(), problems);
    let zone = check_zone(raw.zone.as_ref(), problems);
    let sql = check_sql(folder, &raw, zone.unwrap_or(Tz::UTC), problems);
    let views = sql.as_ref().map(|sql| &sql.plan);
    let sources = check_sources(folder, &raw.sources, overlay, problems);
    let sinks = check_sinks(folder, &raw, overlay, problems);
    let paths = check_paths(&raw, problems);
    let models = models::check(&raw.models, views, problems);
    let queries = check_queries(&raw, sql.as_ref(), problems);
    let forgets = raw.forget.queries().next().is_some();
    let relations = relations::check(&raw.relations, views, forgets, problems);
    let objects = query_plans("objects", &raw.objects);
    let catalogue = views.map(|views| relations::catalogue(&relations, &objects, views));
    let mut broken = views.map(|views| Broken::find(&raw, views, &models)).unwrap_or_default();
    let functions = functions::check(folder, &raw.functions, problems);
    let walks = catalogue.as_ref().map(|catalogue| {
        let formulas = walks_of::Formulas { zone: zone.unwrap_or(Tz::UTC), functions: &functions };
        walks_of::check(&raw.walks, catalogue, &formulas, (&mut broken, problems))
    });
    let mut outputs = walks.as_ref().zip(views).map(|(paths, views)| {
        let known = outputs::Known { sinks: &raw.sinks, paths, views };
        outputs::check(&raw.walks, &known, problems)
    });
    let forget = raw.forget.queries().map(|query| query.name).collect();
    let recommendations = catalogue.as_ref().zip(walks.as_ref()).map(|(catalogue, paths)| {
        let known = recommendations::Known { catalogue, paths, models: &models, broken: &broken };
        recommendations::check(&raw.recommendations, &known, problems)
    });
    if let (Some(outputs), Some(plans), Some(catalogue)) = (&mut outputs, &recommendations, &catalogue)
        && let (Some(paths), Some(views)) = (&walks, views)
    {
        let known = outputs::Known { sinks: &raw.sinks, paths, views };
        kept::check((&raw.recommendations, &raw.walks), (plans, catalogue), &known, outputs, problems);
    }
    let judges = catalogue
        .as_ref()
        .zip(recommendations.as_ref())
        .map(|(catalogue, plans)| judges::check(&raw.judges, catalogue, (&raw.recommendations, plans), problems));
    check_forget(&raw.forget, !raw.walks.is_empty() || !raw.recommendations.is_empty(), problems);
    let http = check_http(raw.http, problems);
    let epoch = check_epoch(raw.epoch, problems);
    let checkpoint = check_checkpoint(folder, raw.checkpoint, &raw.sinks, problems);
    Some(JobPlan {
        name: name?,
        folder: folder.to_path_buf(),
        zone: zone?,
        epoch,
        checkpoint,
        sources,
        sinks,
        catalogue: catalogue?,
        walks: walks?,
        outputs: outputs?,
        relations,
        objects,
        forget,
        paths,
        models,
        recommendations: recommendations?,
        judges: judges?,
        queries,
        rejected_keep: raw.rejected_keep.map_or(REJECTED_KEEP, |keep| keep.value),
        http: http?,
        views: sql.filter(|sql| sql.is_whole)?.plan,
        warnings: Vec::new(),
    })
}

/// Requests to forget are answered by the graph, which is filled where something asks it.
fn check_forget(raw: &RawForget, is_asked: bool, problems: &mut Vec<Problem>) {
    if let Some(written) = raw.requested().filter(|_| !is_asked) {
        let problem = written.error("nothing is kept that could be forgotten");
        problems.push(problem.advise("relations are kept where a path of hops or a recommendation asks for them"));
    }
}

fn check_name(name: Option<&Located<Text>>, problems: &mut Vec<Problem>) -> Option<String> {
    let name = name?;
    if is_name(&name.value.text) {
        return Some(name.value.text.clone());
    }
    let problem = name.error(format!("\"{}\" is no name", name.value.text));
    problems.push(problem.advise("use letters, digits, _ and -, at most 64 of them"));
    None
}

fn check_zone(zone: Option<&Located<Text>>, problems: &mut Vec<Problem>) -> Option<Tz> {
    let Some(zone) = zone else { return Some(Tz::UTC) };
    let text = &zone.value.text;
    if let Ok(zone) = text.parse() {
        return Some(zone);
    }
    let problem = zone.error(format!("unknown time zone \"{text}\""));
    let near = super::nearest::nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
    problems.push(match near {
        Some(near) => problem.advise(format!("did you mean \"{near}\"?")),
        None => problem.advise("write an IANA name such as \"Europe/London\", or \"UTC\""),
    });
    None
}

fn check_epoch(raw: RawEpoch, problems: &mut Vec<Problem>) -> EpochPlan {
    let default = EpochPlan::default();
    if let Some(interval) = &raw.interval {
        let fits = (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&interval.value);
        if !fits {
            problems.push(interval.error("out of bounds").advise("write 1ms to 60s; the default is 50ms"));
        }
    }
    EpochPlan {
        interval: raw.interval.map_or(default.interval, |interval| interval.value),
        records: raw.records.map_or(default.records, |records| records.value),
        lag: raw.lag.map_or(default.lag, |lag| lag.value),
    }
}

fn check_checkpoint(
    folder: &Path,
    raw: RawCheckpoint,
    sinks: &[(String, RawSink)],
    problems: &mut Vec<Problem>,
) -> Option<CheckpointPlan> {
    let default = CheckpointPlan::default();
    let offsets = refer(raw.offsets.as_ref(), "sink", sinks, problems);
    let kind = |name: &String| sinks.iter().find(|(sink, _)| sink == name).and_then(|(_, sink)| sink.kind.as_ref());
    if let (Some(written), Some(name)) = (&raw.offsets, &offsets)
        && kind(name).is_some_and(|kind| kind.value != SinkWord::Redis)
    {
        let problem = written.error(format!("sink \"{name}\" keeps no offsets"));
        problems.push(problem.advise("name a sink of kind \"redis\", or leave this key out"));
    }
    let at = raw.at.and_then(|at| check_place(folder, at, problems));
    let enabled = raw.enabled.is_none_or(|enabled| enabled.value);
    enabled.then(|| CheckpointPlan {
        every: raw.every.map_or(default.every, |every| every.value),
        keep: raw.keep.map_or(default.keep, |keep| to_usize(keep.value)),
        at,
        offsets,
    })
}

fn check_place(folder: &Path, at: Located<Text>, problems: &mut Vec<Problem>) -> Option<CheckpointPlace> {
    let text = &at.value.text;
    if Address::is_meant(text) {
        let address = Address::parse(text);
        let problem = |error: AddressError| at.error(error.what.clone()).advise(error.advice);
        return address.map(CheckpointPlace::HBase).map_err(|error| problems.push(problem(error))).ok();
    }
    if text.starts_with("s3://") {
        return Some(CheckpointPlace::ObjectStore(text.clone()));
    }
    if let Some((scheme, _)) = text.split_once("://") {
        let problem = at.error(format!("checkpoints cannot be kept at {scheme}://"));
        problems.push(problem.advise("write a folder, s3://BUCKET/PREFIX or hbase://HOST:PORT/TABLE"));
        return None;
    }
    Some(CheckpointPlace::Folder(inputs::resolve(folder, text, &at.place)))
}

fn check_sources(
    folder: &Path,
    sources: &[(String, RawSource)],
    overlay: &Overlay,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, SourcePlan> {
    let mut plans = BTreeMap::new();
    for (name, source) in sources {
        if let Some(topics) = &source.kafka {
            let config = topics.check(name, folder, !overlay.without_inputs, problems);
            plans.extend(config.map(|config| (name.clone(), SourcePlan::Kafka(Box::new(config)))));
        }
        if let Some(http) = &source.http {
            let plan = http.check(folder, !overlay.without_inputs, problems);
            plans.extend(plan.map(|plan| (name.clone(), SourcePlan::Http(plan))));
        }
        let Some(written) = &source.path else { continue };
        let path = inputs::resolve(folder, &written.value.text, &written.place);
        let follow = source.follow.as_ref().is_some_and(|follow| follow.value);
        // A followed folder may still be empty.
        if !follow && !overlay.without_inputs && !inputs::any(&path) {
            let problem = written.error(format!("there is no file {}", path.display()));
            problems.push(problem.advise("name a file, a folder or a glob, relative to the file this is written in"));
        }
        plans.insert(name.clone(), SourcePlan::File { path, follow });
    }
    plans
}

fn check_sinks(
    folder: &Path,
    raw: &RawJob,
    overlay: &Overlay,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, SinkKind> {
    let holds_lists = |name: &str| {
        let of_paths = raw.walks.iter().filter_map(|(_, walk)| walk.output.as_ref()?.sink());
        let others = raw.recommendations.iter().filter_map(|(_, raw)| raw.kept()?.sink());
        of_paths.chain(others).any(|sink| sink == name)
    };
    let mut check = |name: &str, sink: &RawSink| match sink.kind.as_ref()?.value {
        SinkWord::Index => Some(SinkKind::Index),
        SinkWord::Discard => Some(SinkKind::Discard),
        SinkWord::Elastic => {
            let plan = sink.elastic.as_ref()?.check(name, folder, !overlay.without_inputs, problems)?;
            Some(SinkKind::Elastic(Box::new(plan)))
        }
        SinkWord::Kafka => {
            let plan = sink.kafka.as_ref()?.check(folder, !overlay.without_inputs, problems)?;
            Some(SinkKind::Kafka(Box::new(plan)))
        }
        SinkWord::Redis => {
            let is_used = !overlay.without_inputs || overlay.lists && holds_lists(name);
            let plan = sink.redis.as_ref()?.check(folder, is_used, problems)?;
            Some(SinkKind::Redis(Box::new(plan)))
        }
    };
    raw.sinks.iter().filter_map(|(name, sink)| Some((name.clone(), check(name, sink)?))).collect()
}

/// Without the SQL nobody knows which indexes there are.
fn check_queries(raw: &RawJob, sql: Option<&Sql>, problems: &mut Vec<Problem>) -> BTreeMap<String, NamedQuery> {
    sql.map(|sql| queries::check(&raw.queries, &sql.indexes, problems)).unwrap_or_default()
}

fn check_paths(raw: &RawJob, problems: &mut Vec<Problem>) -> BTreeMap<String, PathPlan> {
    let mut plans = BTreeMap::new();
    for (name, path) in &raw.paths {
        let relation = refer(path.relation.as_ref(), "relation", &raw.relations, problems);
        let object = refer(path.object.as_ref(), "object", &raw.objects, problems);
        problems.extend(not_counted(raw, path));
        if let Some(plan) = path_plan(path, relation, object) {
            plans.insert(name.clone(), plan);
        }
    }
    plans
}

/// What a path of this kind would not obey: it counts the rows of its relation's query by itself, beside the graph.
fn not_counted(raw: &RawJob, path: &RawPath) -> Option<Problem> {
    let (kind, name) = (path.kind.as_ref()?, &path.relation.as_ref()?.value.text);
    let (_, relation) = raw.relations.iter().find(|(declared, _)| declared == name)?;
    let what = match relation {
        _ if raw.forget.queries().next().is_some() => "a job that forgets objects".to_owned(),
        RawRelation { lifetime: Some(_), .. } => format!("relation \"{name}\", which has a lifetime"),
        RawRelation { keep: Some(_), .. } => format!("relation \"{name}\", which keeps the newest"),
        _ => return None,
    };
    let problem = kind.error(format!("pairs are counted beside the graph and for good: not for {what}"));
    Some(problem.advise(format!(
        "write a jump: left = {{ hop = \"{name}\", reverse = true }}, right = {{ hop = \"{name}\" }}, merger = …"
    )))
}

fn path_plan(path: &RawPath, relation: Option<String>, object: Option<String>) -> Option<PathPlan> {
    let kind = path.kind.as_ref()?.value;
    let merger = path.merger.as_ref().map_or_else(Merger::default, |merger| merger.value);
    let publish = path.publish.as_ref().map_or(PathPlan::PUBLISH, |publish| publish.value);
    let hot_above = path.hot_above.as_ref().map_or(HOT_ABOVE, |above| u32::try_from(above.value).unwrap_or(u32::MAX));
    Some(PathPlan { kind, relation: relation?, merger, object, publish, hot_above })
}

/// A name that must be one of those that the job declares.
fn refer<T>(
    name: Option<&Located<Text>>,
    what: &str,
    declared: &[(String, T)],
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let name = name?;
    let text = &name.value.text;
    if declared.iter().any(|(declared, _)| declared == text) {
        return Some(text.clone());
    }
    let known: Vec<&str> = declared.iter().map(|(declared, _)| declared.as_str()).collect();
    let problem = name.error(format!("the job has no {what} \"{text}\""));
    problems.push(problem.advise(advise_word(text, &known)));
    None
}

fn check_http(raw: RawHttp, problems: &mut Vec<Problem>) -> Option<HttpPlan> {
    let default = HttpPlan::default();
    let listen = match raw.listen {
        Some(listen) => check_listen(&listen, problems)?,
        None => default.listen,
    };
    Some(HttpPlan {
        listen,
        body_limit: raw.body_limit.map_or(default.body_limit, |limit| check_body_limit(&limit, problems)),
        timeout: raw.timeout.map_or(default.timeout, |timeout| timeout.value),
        searches: raw.searches.map_or(default.searches, |searches| to_usize(searches.value)),
    })
}

fn check_body_limit(limit: &Located<u64>, problems: &mut Vec<Problem>) -> usize {
    /// What a source over HTTP logs at once must have room for it.
    const MOST: u64 = 64 << 20;
    if limit.value > MOST {
        problems.push(limit.error("a body is held in memory and logged as one").advise("write at most \"64 MiB\""));
    }
    to_usize(limit.value)
}

fn check_listen(listen: &Located<Text>, problems: &mut Vec<Problem>) -> Option<String> {
    let text = &listen.value.text;
    if is_address(text) {
        return Some(text.clone());
    }
    let problem = listen.error(format!("\"{text}\" is not an address"));
    problems.push(problem.advise("write host:port, such as \"127.0.0.1:8080\""));
    None
}

/// Whether a text has the form `host:port`.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn query_plans(part: &str, queries: &[(String, RawQuery)]) -> BTreeMap<String, QueryPlan> {
    queries.iter().map(|(name, _)| (name.clone(), QueryPlan { query: format!("{part}.{name}") })).collect()
}

/// A job's SQL.
struct Sql {
    /// What is right of it.
    plan: Plan,
    /// Whether that is all.
    is_whole: bool,
    /// The indexes that it declares.
    indexes: Vec<String>,
}

fn check_sql(folder: &Path, raw: &RawJob, zone: Tz, problems: &mut Vec<Problem>) -> Option<Sql> {
    let file = folder.join("views.sql");
    let place = Place::file(&file);
    let sql = match std::fs::read_to_string(&file) {
        Ok(sql) => sql,
        Err(error) => {
            let problem = Problem::error(&place, "", format!("cannot read: {error}"));
            problems.push(problem.advise("a job is a folder with job.toml and views.sql"));
            return None;
        }
    };
    let sql = raw.forget.add_table(sql);
    let declared = proxima_view::declared(&sql, zone);
    links::check_declared(raw, &place, &declared, problems);
    let (plan, is_whole) = sql::compile(&place, &sql, &part_queries(raw), zone, problems);
    if is_whole {
        links::check_unused(raw, &plan, problems);
    }
    Some(Sql { plan, is_whole, indexes: declared.1.iter().map(|target| index_name(&target.index)).collect() })
}

/// The queries of relations, then those of objects, then those of models.
fn part_queries(raw: &RawJob) -> Vec<Query<'_>> {
    let relations =
        raw.relations.iter().map(|(name, relation)| ("relations", Purpose::Relation, name, &relation.query));
    let objects = raw.objects.iter().map(|(name, query)| ("objects", Purpose::Objects, name, query));
    let all = relations.chain(objects).map(|(part, purpose, name, query)| (part, purpose, name, query.from.as_ref()));
    let models = raw.models.iter().map(|(name, model)| ("models", Purpose::Model, name, model.from.as_ref()));
    let written = all.chain(models).filter_map(|(part, purpose, name, from)| {
        let from = from?;
        Some(Query { name: format!("{part}.{name}"), purpose, sql: &from.value, place: &from.place })
    });
    written.chain(raw.forget.queries()).collect()
}
