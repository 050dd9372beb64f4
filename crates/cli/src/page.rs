//! How a run goes, as a page for a terminal: what `proxima status` shows of `/v1/status`.

use crate::progress::grouped;
use proxima_serve::{Checkpoints, JudgeStatus, ModelStatus, OperatorStatus, SinkStatus, SourceStatus, Status};
use std::fmt::Write as _;

/// Partitions of a source that are shown: those that are furthest behind.
const PARTITIONS_SHOWN: usize = 8;
/// Operators that are shown: those that hold most.
const OPERATORS_SHOWN: usize = 12;

/// The page.
#[must_use]
pub fn page(status: &Status) -> String {
    let mut text = head(status);
    text += &sources(&status.sources);
    text += &sinks(&status.sinks, status.epochs.current);
    if let Some(checkpoints) = &status.checkpoints {
        text += &checkpoint_line(checkpoints);
    }
    text += &models(&status.models);
    text += &judges(&status.judges);
    text += &operators(&status.operators);
    text
}

fn head(status: &Status) -> String {
    let Status { job, state, workers, epochs, memory, .. } = status;
    let mut text = format!(
        "{job}: {} for {}, {workers} workers, memory {} (at most {})\n",
        state.name(),
        duration(status.uptime_s),
        bytes(memory.resident_bytes),
        bytes(memory.peak_bytes),
    );
    if let Some(reason) = &status.reason {
        let _ = writeln!(text, "  {reason}");
    }
    let _ = writeln!(
        text,
        "{} records, {} a second, {} rejected; epoch {}, {} on their way; {} records queued",
        grouped(status.records),
        grouped(status.records_per_s as u64),
        grouped(status.rejected),
        epochs.current,
        epochs.current.saturating_sub(epochs.done),
        grouped(status.queued.records),
    );
    text
}

fn sources(sources: &[SourceStatus]) -> String {
    let mut table = Table::new(["source", "records", "a second", "rejected", "skipped", "lag", ""]);
    for source in sources {
        let waits = source.waits_for.as_ref().map(|what| format!("waits: {what}")).unwrap_or_default();
        let numbers = [source.records, source.records_per_s as u64, source.rejected, source.skipped, source.lag];
        let [records, rate, rejected, skipped, lag] = numbers.map(grouped);
        table.row([source.name.clone(), records, rate, rejected, skipped, lag, waits]);
        let behind = |partition: &&proxima_serve::PartitionStatus| {
            partition.end.map_or(0, |end| end.saturating_sub(partition.position))
        };
        let mut partitions: Vec<_> = source.partitions.iter().collect();
        partitions.sort_by_key(|partition| std::cmp::Reverse(behind(partition)));
        for partition in partitions.iter().take(PARTITIONS_SHOWN) {
            let end = partition.end.map_or_else(String::new, |end| format!(" of {}", grouped(end)));
            let place = format!("at {}{end}", grouped(partition.position));
            let (name, records) = (format!("  {}", partition.name), grouped(partition.records));
            let lag = grouped(behind(partition));
            table.row([name, records, String::new(), String::new(), String::new(), lag, place]);
        }
        if let Some(more) = partitions.len().checked_sub(PARTITIONS_SHOWN).filter(|&more| more > 0) {
            let mut row = [const { String::new() }; 7];
            row[0] = format!("  and {more} more");
            table.row(row);
        }
    }
    table.print()
}

fn sinks(sinks: &[SinkStatus], current: u64) -> String {
    let mut table = Table::new(["sink", "writes", "in flight", "rejected", "retries", "epochs behind", ""]);
    for sink in sinks {
        let note = match (&sink.waits_for, &sink.last_error) {
            (Some(what), _) => format!("waits: {what}"),
            (None, Some(last)) => format!("goes on; last waited for: {last}"),
            (None, None) => String::new(),
        };
        let behind = current.saturating_sub(sink.epochs);
        // Epochs that held nothing for a sink are not handed to it: it is behind only while something is in flight.
        let behind = if sink.in_flight > 0 { behind } else { 0 };
        let [writes, in_flight, rejected, retries, behind] =
            [sink.writes, sink.in_flight, sink.rejected, sink.retries, behind].map(grouped);
        table.row([sink.name.clone(), writes, in_flight, rejected, retries, behind, note]);
    }
    table.print()
}

fn checkpoint_line(checkpoints: &Checkpoints) -> String {
    let waits = checkpoints.waits_for.as_ref().map(|what| format!("; waits: {what}")).unwrap_or_default();
    let Some(age) = checkpoints.age_s else {
        let from = match checkpoints.epoch {
            0 => String::new(),
            epoch => format!("; goes on from that of epoch {epoch}"),
        };
        return format!("\ncheckpoints: none yet{from}{waits}\n");
    };
    format!(
        "\ncheckpoints: {}; the last of epoch {} {} ago, took {:.3} s, wrote {}{waits}\n",
        grouped(checkpoints.committed),
        checkpoints.epoch,
        duration(age),
        checkpoints.took_s,
        bytes(checkpoints.bytes),
    )
}

fn models(models: &[ModelStatus]) -> String {
    let mut table = Table::new(["model", "samples", "log loss", "of the newest", "baseline", "late"]);
    for ModelStatus { name, all, recent, late } in models {
        let [loss, newest, baseline] = [all.log_loss, recent.log_loss, all.baseline].map(|loss| format!("{loss:.4}"));
        table.row([name.clone(), grouped(all.samples), loss, newest, baseline, grouped(*late)]);
    }
    table.print()
}

fn judges(judges: &[JudgeStatus]) -> String {
    let mut table = Table::new(["shown", "variant", "judged", "HR", "MRR", "NDCG", "recall", "coverage"]);
    for JudgeStatus { name, variants, .. } in judges {
        for of in variants {
            let [hits, ranks, gain, recall, coverage] =
                [of.hit_rate, of.mrr, of.ndcg, of.recall, of.coverage].map(|figure| format!("{figure:.4}"));
            let (name, variant) = (name.clone(), of.name.clone());
            table.row([name, variant, grouped(of.asked), hits, ranks, gain, recall, coverage]);
        }
    }
    table.print()
}

fn operators(operators: &[OperatorStatus]) -> String {
    let mut table = Table::new(["operator", "keys", "state", "late", "failed"]);
    let is_worth_it = |operator: &&OperatorStatus| operator.keys + operator.bytes + operator.late + operator.failed > 0;
    let mut shown: Vec<_> = operators.iter().filter(is_worth_it).collect();
    shown.sort_by_key(|operator| std::cmp::Reverse(operator.bytes));
    for operator in shown.iter().take(OPERATORS_SHOWN) {
        let [keys, late, failed] = [operator.keys, operator.late, operator.failed].map(grouped);
        table.row([operator.name.clone(), keys, bytes(operator.bytes), late, failed]);
    }
    let more = shown.len().saturating_sub(OPERATORS_SHOWN);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    table.print() + &more
}

/// Columns: the first and an untitled last one to the left, numbers to the right.
struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    fn new(titles: [&str; N]) -> Self {
        Self(vec![titles.map(str::to_owned)])
    }

    fn row(&mut self, cells: [String; N]) {
        self.0.push(cells);
    }

    /// The table below an empty line; nothing when it has no rows.
    fn print(&self) -> String {
        if self.0.len() < 2 {
            return String::new();
        }
        let mut widths = [0; N];
        for row in &self.0 {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let is_note = at + 1 == N && self.0[0][at].is_empty();
                let _ = match (at, is_note) {
                    (0, _) => write!(line, "{cell:width$}"),
                    (_, true) => write!(line, "  {cell}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            let _ = write!(text, "\n{}", line.trim_end());
        }
        text + "\n"
    }
}

fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, _) => format!("{seconds:.1} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_serve::{Epochs, Memory, ModelMetrics, PartitionStatus, RunState};

    #[test]
    fn a_page_shows_what_waits_and_why() {
        let partition = |name: &str, position, end| PartitionStatus { name: name.into(), position, end, records: 9 };
        let source = SourceStatus {
            name: "logs".into(),
            records: 1_234_567,
            records_per_s: 1_000.4,
            lag: 90,
            partitions: vec![partition("ods-0", 10, Some(10)), partition("ods-1", 10, Some(100))],
            waits_for: Some("daily: http://search-1: refused".into()),
            ..SourceStatus::default()
        };
        let sink = SinkStatus {
            name: "daily".into(),
            writes: 7,
            in_flight: 3,
            epochs: 10,
            retries: 2,
            waits_for: Some("http://search-1: refused".into()),
            ..SinkStatus::default()
        };
        let operator = OperatorStatus { name: "daily/aggregate".into(), keys: 5, bytes: 2_048, late: 1, failed: 0 };
        let status = Status {
            job: "mall".into(),
            state: RunState::Running,
            uptime_s: 75.0,
            workers: 2,
            records: 1_234_567,
            epochs: Epochs { current: 14, done: 10 },
            sources: vec![source],
            sinks: vec![sink],
            operators: vec![operator, OperatorStatus { name: "daily/net".into(), ..OperatorStatus::default() }],
            checkpoints: Some(Checkpoints {
                committed: 3,
                epoch: 9,
                age_s: Some(0.5),
                took_s: 0.012,
                bytes: 3 << 20,
                waits_for: None,
            }),
            models: vec![ModelStatus {
                name: "click".into(),
                all: ModelMetrics { samples: 2_000, log_loss: 0.33214, baseline: 0.55, ..ModelMetrics::default() },
                ..ModelStatus::default()
            }],
            memory: Memory { resident_bytes: 100 << 20, peak_bytes: 1 << 30 },
            ..Status::default()
        };
        let wanted = "\
mall: running for 1 min 15 s, 2 workers, memory 100.0 MiB (at most 1.0 GiB)
1,234,567 records, 0 a second, 0 rejected; epoch 14, 4 on their way; 0 records queued

source     records  a second  rejected  skipped  lag
logs     1,234,567     1,000         0        0   90  waits: daily: http://search-1: refused
  ods-1          9                                90  at 10 of 100
  ods-0          9                                 0  at 10 of 10

sink   writes  in flight  rejected  retries  epochs behind
daily       7          3         0        2              4  waits: http://search-1: refused

checkpoints: 3; the last of epoch 9 0.5 s ago, took 0.012 s, wrote 3.0 MiB

model  samples  log loss  of the newest  baseline  late
click    2,000    0.3321         0.0000    0.5500     0

operator         keys    state  late  failed
daily/aggregate     5  2.0 KiB     1       0
";
        assert_eq!(page(&status), wanted);
    }

    #[test]
    fn a_page_of_nothing_is_short() {
        assert_eq!(page(&Status::default()).lines().count(), 2);
        assert_eq!([bytes(0), bytes(1023), bytes(1536)], ["0 B", "1023 B", "1.5 KiB"]);
        assert_eq!([0.25, 61.0, 7_300.0, 90_000.0].map(duration), ["0.2 s", "1 min 1 s", "2 h 1 min", "1 d 1 h"]);
    }
}
