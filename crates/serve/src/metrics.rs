//! The run and the requests in Prometheus' text format.

use crate::status::{ListStatus, ModelMetrics, Status, VariantStatus};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::Duration;

/// The bounds of the histogram of answer times, in seconds: from a look-up to the time limit.
const BOUNDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Counts requests by route and status, and their times by route.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Counts>);

#[derive(Default)]
struct Counts(BTreeMap<String, Route>);

/// The answers of a route, by status, and their times.
#[derive(Default)]
struct Route {
    answers: BTreeMap<u16, u64>,
    /// For each bound the answers that took no longer than it and longer than the one before.
    within: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Requests {
    /// Counts one answer. `route` must be one of few: each is kept for ever.
    pub(crate) fn add(&self, route: &str, status: u16, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut counts = self.0.lock();
        match counts.0.get_mut(route) {
            Some(known) => known.add(status, seconds),
            None => counts.0.entry(route.to_owned()).or_default().add(status, seconds),
        }
    }
}

impl Route {
    fn add(&mut self, status: u16, seconds: f64) {
        *self.answers.entry(status).or_default() += 1;
        if let Some(bound) = BOUNDS.iter().position(|&bound| seconds <= bound) {
            self.within[bound] += 1;
        }
        self.count += 1;
        self.seconds += seconds;
    }
}

/// Everything, as text.
pub(crate) fn render(status: &Status, requests: &Requests) -> String {
    let mut out = Text::default();
    render_run(&mut out, status);
    render_sources(&mut out, status);
    render_operators(&mut out, status);
    render_sinks(&mut out, status);
    render_models(&mut out, status);
    render_judges(&mut out, status);
    render_lists(&mut out, status);
    render_checkpoints(&mut out, status);
    render_requests(&mut out, &requests.0.lock());
    out.0
}

fn render_run(out: &mut Text, status: &Status) {
    out.family("proxima_up", "gauge", "1 while the run goes on or has finished, else 0");
    out.sample("proxima_up", &[("job", &status.job)], u8::from(status.state.ready()));
    out.family("proxima_uptime_seconds", "gauge", "Seconds since the run started");
    out.sample("proxima_uptime_seconds", &[], status.uptime_s);
    out.family("proxima_epoch_current", "gauge", "The epoch that takes records");
    out.sample("proxima_epoch_current", &[], status.epochs.current);
    out.family("proxima_epoch_done", "gauge", "Every epoch before this one is held by all sinks");
    out.sample("proxima_epoch_done", &[], status.epochs.done);
    out.family("proxima_queued_records", "gauge", "Records read and not yet taken by a worker");
    out.sample("proxima_queued_records", &[], status.queued.records);
    out.family("proxima_memory_resident_bytes", "gauge", "Memory of the process");
    out.sample("proxima_memory_resident_bytes", &[], status.memory.resident_bytes);
    out.family("proxima_memory_peak_bytes", "gauge", "The most memory the process has had");
    out.sample("proxima_memory_peak_bytes", &[], status.memory.peak_bytes);
}

fn render_sources(out: &mut Text, status: &Status) {
    out.family("proxima_source_records_total", "counter", "Records read, rejected ones included");
    for source in &status.sources {
        out.sample("proxima_source_records_total", &[("source", &source.name)], source.records);
    }
    out.family("proxima_source_rejected_total", "counter", "Records that could not be decoded");
    for source in &status.sources {
        out.sample("proxima_source_rejected_total", &[("source", &source.name)], source.rejected);
    }
    out.family("proxima_source_skipped_total", "counter", "Records of changes that no table reads");
    for source in &status.sources {
        out.sample("proxima_source_skipped_total", &[("source", &source.name)], source.skipped);
    }
    out.family("proxima_source_lag", "gauge", "Distance to the known ends of partitions, in their unit");
    for source in &status.sources {
        out.sample("proxima_source_lag", &[("source", &source.name)], source.lag);
    }
    out.family("proxima_source_waiting", "gauge", "1 while a source waits for the outside, a dimension or sinks");
    for source in &status.sources {
        out.sample("proxima_source_waiting", &[("source", &source.name)], u8::from(source.waits_for.is_some()));
    }
}

fn render_operators(out: &mut Text, status: &Status) {
    out.family("proxima_operator_keys", "gauge", "Keys that an operator holds");
    for operator in &status.operators {
        out.sample("proxima_operator_keys", &[("operator", &operator.name)], operator.keys);
    }
    out.family("proxima_operator_bytes", "gauge", "Bytes of state that an operator holds, about");
    for operator in &status.operators {
        out.sample("proxima_operator_bytes", &[("operator", &operator.name)], operator.bytes);
    }
    out.family("proxima_operator_late_total", "counter", "Records that came too late for an operator");
    for operator in &status.operators {
        out.sample("proxima_operator_late_total", &[("operator", &operator.name)], operator.late);
    }
    out.family("proxima_operator_failed_total", "counter", "Rows left out because an expression failed on them");
    for operator in &status.operators {
        out.sample("proxima_operator_failed_total", &[("operator", &operator.name)], operator.failed);
    }
}

fn render_sinks(out: &mut Text, status: &Status) {
    out.family("proxima_sink_writes_total", "counter", "Rows written: upserts and deletes");
    for sink in &status.sinks {
        out.sample("proxima_sink_writes_total", &[("sink", &sink.name)], sink.writes);
    }
    out.family("proxima_sink_flushes_total", "counter", "How often a sink made its writes visible");
    for sink in &status.sinks {
        out.sample("proxima_sink_flushes_total", &[("sink", &sink.name)], sink.flushes);
    }
    out.family("proxima_sink_rejected_total", "counter", "Writes that the outside has refused for what they hold");
    for sink in &status.sinks {
        out.sample("proxima_sink_rejected_total", &[("sink", &sink.name)], sink.rejected);
    }
    out.family("proxima_sink_epochs", "gauge", "Every epoch before this one is held by the sink");
    for sink in &status.sinks {
        out.sample("proxima_sink_epochs", &[("sink", &sink.name)], sink.epochs);
    }
    out.family("proxima_sink_waiting", "gauge", "1 while something outside does not take a sink's writes");
    for sink in &status.sinks {
        out.sample("proxima_sink_waiting", &[("sink", &sink.name)], u64::from(sink.waits_for.is_some()));
    }
    out.family("proxima_sink_in_flight", "gauge", "Rows handed to a sink that are not durable and visible yet");
    for sink in &status.sinks {
        out.sample("proxima_sink_in_flight", &[("sink", &sink.name)], sink.in_flight);
    }
    out.family("proxima_sink_retries_total", "counter", "How often the outside did not take something");
    for sink in &status.sinks {
        out.sample("proxima_sink_retries_total", &[("sink", &sink.name)], sink.retries);
    }
}

fn render_checkpoints(out: &mut Text, status: &Status) {
    let Some(checkpoints) = &status.checkpoints else { return };
    out.family("proxima_checkpoints_total", "counter", "Checkpoints committed by this run");
    out.sample("proxima_checkpoints_total", &[], checkpoints.committed);
    out.family("proxima_checkpoint_epoch", "gauge", "The epoch of the last checkpoint");
    out.sample("proxima_checkpoint_epoch", &[], checkpoints.epoch);
    out.family("proxima_checkpoint_bytes", "gauge", "Bytes of state that the last checkpoint wrote");
    out.sample("proxima_checkpoint_bytes", &[], checkpoints.bytes);
    out.family("proxima_checkpoint_seconds", "gauge", "From the cut of the last checkpoint to its commit");
    out.sample("proxima_checkpoint_seconds", &[], checkpoints.took_s);
    if let Some(age) = checkpoints.age_s {
        out.family("proxima_checkpoint_age_seconds", "gauge", "Seconds since the last checkpoint was committed");
        out.sample("proxima_checkpoint_age_seconds", &[], age);
    }
}

/// A figure of lists.
type ListFigure = fn(&ListStatus) -> f64;

fn render_lists(out: &mut Text, status: &Status) {
    if status.lists.is_empty() {
        return;
    }
    let figures: [(&str, &str, &str, ListFigure); 6] = [
        ("proxima_list_writes_total", "counter", "Lists written to a store", |of| of.written as f64),
        ("proxima_list_sent_again_total", "counter", "Requests for lists sent again", |of| of.sent_again as f64),
        ("proxima_list_waiting", "gauge", "Objects and changes that wait", |of| of.waiting as f64),
        ("proxima_list_in_flight", "gauge", "Requests that have not come back", |of| of.in_flight as f64),
        ("proxima_list_window", "gauge", "Requests that go out together", |of| of.window as f64),
        ("proxima_list_oldest_seconds", "gauge", "How long the oldest change waits", |of| of.oldest_s),
    ];
    for (name, kind, help, figure) in figures {
        out.family(name, kind, help);
        for lists in &status.lists {
            out.sample(name, &[("path", &lists.path)], figure(lists));
        }
    }
}

/// A figure of a model, where it has one.
type Figure = fn(&ModelMetrics) -> Option<f64>;

fn render_models(out: &mut Text, status: &Status) {
    if status.models.is_empty() {
        return;
    }
    out.family("proxima_model_samples_total", "counter", "Samples that a model predicted, then learned");
    for model in &status.models {
        out.sample("proxima_model_samples_total", &[("model", &model.name)], model.all.samples);
    }
    out.family("proxima_model_late_total", "counter", "Rows that came or went after they had been learned");
    for model in &status.models {
        out.sample("proxima_model_late_total", &[("model", &model.name)], model.late);
    }
    let figures: [(&str, &str, Figure); 3] = [
        ("proxima_model_log_loss", "Mean log loss of predictions made before learning", |of| Some(of.log_loss)),
        ("proxima_model_auc", "Area under the curve of predictions made before learning", |of| of.auc),
        ("proxima_model_calibration", "Sum of probabilities over positive samples", |of| of.calibration),
    ];
    for (name, help, figure) in figures {
        out.family(name, "gauge", help);
        for model in &status.models {
            for (over, metrics) in [("all", &model.all), ("recent", &model.recent)] {
                if let Some(value) = figure(metrics) {
                    out.sample(name, &[("model", &model.name), ("over", over)], value);
                }
            }
        }
    }
}

/// A figure of a variant.
type Worth = fn(&VariantStatus) -> f64;

fn render_judges(out: &mut Text, status: &Status) {
    if status.judges.is_empty() {
        return;
    }
    let figures: [(&str, &str, &str, Worth); 6] = [
        ("proxima_recommendation_judged_total", "counter", "Lists judged by what came next", |of| of.asked as f64),
        ("proxima_recommendation_hit_rate", "gauge", "Share of lists that held what came next", |of| of.hit_rate),
        ("proxima_recommendation_mrr", "gauge", "Mean reciprocal rank of what came next", |of| of.mrr),
        ("proxima_recommendation_ndcg", "gauge", "Mean normalised discounted gain of lists", |of| of.ndcg),
        ("proxima_recommendation_recall", "gauge", "Share of what came next that lists held", |of| of.recall),
        ("proxima_recommendation_coverage", "gauge", "Share of all items that stood in any list", |of| of.coverage),
    ];
    for (name, kind, help, worth) in figures {
        out.family(name, kind, help);
        for judge in &status.judges {
            for variant in &judge.variants {
                let labels = [("recommendation", judge.name.as_str()), ("variant", &variant.name)];
                out.sample(name, &labels, worth(variant));
            }
        }
    }
}

fn render_requests(out: &mut Text, counts: &Counts) {
    out.family("proxima_http_requests_total", "counter", "Answers by route and status");
    for (route, counts) in &counts.0 {
        for (status, count) in &counts.answers {
            let labels = [("route", route.as_str()), ("status", &status.to_string())];
            out.sample("proxima_http_requests_total", &labels, count);
        }
    }
    out.family("proxima_http_request_seconds", "histogram", "Time from a request to its answer");
    for (route, times) in &counts.0 {
        let mut sum = 0;
        for (bound, within) in BOUNDS.iter().zip(times.within) {
            sum += within;
            let labels = [("route", route.as_str()), ("le", &bound.to_string())];
            out.sample("proxima_http_request_seconds_bucket", &labels, sum);
        }
        let route = ("route", route.as_str());
        out.sample("proxima_http_request_seconds_bucket", &[route, ("le", "+Inf")], times.count);
        out.sample("proxima_http_request_seconds_sum", &[route], times.seconds);
        out.sample("proxima_http_request_seconds_count", &[route], times.count);
    }
}

/// Text in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string takes every text");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.0, "{name}{labels} {value}").expect("a string takes every text");
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{RunState, SourceStatus};

    #[test]
    fn the_run_and_the_requests_are_told() {
        let source =
            SourceStatus { name: "or\"ders".into(), records: 7, rejected: 1, lag: 3, ..SourceStatus::default() };
        let status =
            Status { job: "retail".into(), state: RunState::Running, sources: vec![source], ..Status::default() };
        let requests = Requests::default();
        requests.add("/v1/status", 200, Duration::from_millis(2));
        requests.add("/v1/status", 200, Duration::from_secs(60));
        requests.add("/v1/status", 503, Duration::from_micros(10));
        let text = render(&status, &requests);
        for line in [
            "# TYPE proxima_up gauge",
            "proxima_up{job=\"retail\"} 1",
            "proxima_source_records_total{source=\"or\\\"ders\"} 7",
            "proxima_source_lag{source=\"or\\\"ders\"} 3",
            "proxima_http_requests_total{route=\"/v1/status\",status=\"200\"} 2",
            "proxima_http_request_seconds_bucket{route=\"/v1/status\",le=\"0.001\"} 1",
            "proxima_http_request_seconds_bucket{route=\"/v1/status\",le=\"0.0025\"} 2",
            "proxima_http_request_seconds_bucket{route=\"/v1/status\",le=\"10\"} 2",
            "proxima_http_request_seconds_bucket{route=\"/v1/status\",le=\"+Inf\"} 3",
            "proxima_http_request_seconds_count{route=\"/v1/status\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }
}
