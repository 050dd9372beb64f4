//! The progress line: what a person sees while a job runs.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proxima_serve::Status;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a line is written where lines stay: to a file, to a service's log.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Shows how a run goes, on standard error.
pub struct Progress {
    how: How,
    last: Option<String>,
}

enum How {
    /// One line that changes.
    Live(ProgressBar),
    /// A new line now and then.
    Plain { next: Instant },
}

impl Progress {
    /// A line that changes on a terminal, else a plain line every few seconds.
    #[must_use]
    pub fn start() -> Self {
        let how = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is a constant"));
            How::Live(bar)
        } else {
            How::Plain { next: Instant::now() + PLAIN_EVERY }
        };
        Self { how, last: None }
    }

    /// Shows this moment. To be called several times a second.
    pub fn tick(&mut self, status: &Status) {
        match &mut self.how {
            How::Live(bar) => {
                bar.set_message(line(status));
                bar.tick();
            }
            How::Plain { next } => {
                if Instant::now() >= *next {
                    *next = Instant::now() + PLAIN_EVERY;
                    self.say(line(status));
                }
            }
        }
    }

    /// Shows the last line for good.
    pub fn finish(&mut self, status: &Status) {
        if let How::Live(bar) = &self.how {
            bar.finish_and_clear();
        }
        self.say(line(status));
    }

    /// Writes a line, unless it says what the last one said.
    fn say(&mut self, line: String) {
        if self.last.as_ref() != Some(&line) {
            eprintln!("{line}");
            self.last = Some(line);
        }
    }
}

/// One moment in one line.
fn line(status: &Status) -> String {
    let Status { job, records, records_per_s, epochs, rejected, operators, sinks, .. } = status;
    let mut line = format!(
        "{job}: {} records, {} a second, epoch {}, {} rejected",
        grouped(*records),
        grouped(*records_per_s as u64),
        grouped(epochs.current),
        grouped(*rejected)
    );
    let late = operators.iter().map(|operator| operator.late).sum();
    let failed = operators.iter().map(|operator| operator.failed).sum();
    let refused = sinks.iter().map(|sink| sink.rejected).sum();
    let more = [(late, "late"), (failed, "left out since an expression failed"), (refused, "refused by their target")];
    for (number, what) in more {
        if number > 0 {
            let _ = write!(line, ", {} {what}", grouped(number));
        }
    }
    line
}

/// Digits in groups of three: 1,234,567.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_serve::{Epochs, OperatorStatus};

    #[test]
    fn a_moment_is_a_line() {
        let epochs = Epochs { current: 1200, done: 1196 };
        let status =
            Status { job: "retail".into(), records: 245_903, records_per_s: 99.9, epochs, ..Status::default() };
        let told = "retail: 245,903 records, 99 a second, epoch 1,200, 0 rejected";
        assert_eq!(line(&status), told);
        let operators =
            [(1, 0), (2, 1_000)].map(|(late, failed)| OperatorStatus { late, failed, ..Default::default() });
        let status = Status { operators: operators.into(), ..status };
        assert_eq!(line(&status), format!("{told}, 3 late, 1,000 left out since an expression failed"));
    }

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
