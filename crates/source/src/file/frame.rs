//! Where records end: the pure part that looks at every byte, so it does so with vector instructions.
//!
//! The reader shows the bytes that are pending, and the framer says how many of them are whole records. What it has
//! seen of an unfinished record it remembers, so that no byte is looked at twice however slowly a record grows.

use super::Framing;
use memchr::{memchr_iter, memchr2_iter};
use proxima_event::chunk::is_blank;

/// The longest run of whole records at the front of the pending bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// How many bytes they take, line ends included.
    pub len: usize,
    /// How many they are; blank lines are no records.
    pub records: usize,
    /// How many lines they take, blank ones and those within quotes included.
    pub lines: u64,
}

impl Run {
    /// Takes the record that ends with the newline at `newline`, unless that is one too many.
    /// Blank lines go with the record before them, so that a run of records does not begin with them.
    fn take(&mut self, pending: &[u8], newline: usize, lines: u64, records_max: usize) -> bool {
        let record = !is_blank(&pending[self.len..newline]);
        if record && self.records >= records_max {
            return false;
        }
        self.records += usize::from(record);
        self.lines += lines;
        self.len = newline + 1;
        true
    }
}

/// Where the scan of an unfinished CSV record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quotes {
    #[default]
    Outside,
    Inside,
    /// Behind a quote inside quotes, at this place in the record: it ends the quotes unless another one follows.
    Ending(usize),
}

/// Finds the ends of records.
#[derive(Debug)]
pub(super) struct Framer {
    framing: Framing,
    /// How many of the pending bytes were looked at without finding the end of their record.
    seen: usize,
    quotes: Quotes,
    /// Newlines within quotes in what was seen.
    lines_quoted: u64,
}

impl Framer {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, seen: 0, quotes: Quotes::Outside, lines_quoted: 0 }
    }

    /// The run of at most `records_max` whole records at the front of `pending`. The next call must show what is
    /// behind that run, with or without more.
    pub(super) fn run(&mut self, pending: &[u8], records_max: usize) -> Run {
        let records_max = records_max.max(1);
        match self.framing {
            Framing::Lines => self.run_of_lines(pending, records_max),
            Framing::Csv { delimiter, quote } => self.run_of_csv(pending, records_max, delimiter, quote),
        }
    }

    /// Forgets an unfinished record: the next bytes begin another one.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.framing);
    }

    fn run_of_lines(&mut self, pending: &[u8], records_max: usize) -> Run {
        let mut run = Run::default();
        let seen = std::mem::take(&mut self.seen);
        for newline in memchr_iter(b'\n', &pending[seen..]) {
            if !run.take(pending, seen + newline, 1, records_max) {
                return run;
            }
        }
        self.seen = pending.len() - run.len;
        run
    }

    fn run_of_csv(&mut self, pending: &[u8], records_max: usize, delimiter: u8, quote: u8) -> Run {
        let mut run = Run::default();
        let seen = self.seen;
        for place in memchr2_iter(b'\n', quote, &pending[seen..]) {
            let at = seen + place;
            if pending[at] == quote {
                self.quotes = self.behind_quote(pending, run.len, at, delimiter);
            } else if self.quotes == Quotes::Inside {
                self.lines_quoted += 1;
            } else {
                let lines = self.lines_quoted + 1;
                self.reset();
                if !run.take(pending, at, lines, records_max) {
                    return run;
                }
            }
        }
        self.seen = pending.len() - run.len;
        run
    }

    /// What holds behind a quote at `at` in the record that begins at `start`. As usual for CSV, a quote opens only
    /// where a field begins (`5" nail` holds a plain character) and is written twice to stand for itself. A lone
    /// carriage return ends a line for decoders, so a field begins behind it too.
    fn behind_quote(&self, pending: &[u8], start: usize, at: usize, delimiter: u8) -> Quotes {
        match self.quotes {
            Quotes::Inside => Quotes::Ending(at - start),
            Quotes::Ending(quote) if start + quote + 1 == at => Quotes::Inside,
            _ if at == start || [delimiter, b'\r'].contains(&pending[at - 1]) => Quotes::Inside,
            _ => Quotes::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, records_max: usize) -> Run {
        Framer::new(Framing::Lines).run(text.as_bytes(), records_max)
    }

    fn csv(text: &str) -> Run {
        Framer::new(Framing::CSV).run(text.as_bytes(), usize::MAX)
    }

    #[test]
    fn an_unfinished_line_is_left() {
        assert_eq!(lines("a\nb\nc", 9), Run { len: 4, records: 2, lines: 2 });
        assert_eq!(lines("abc", 9), Run::default());
    }

    #[test]
    fn blank_lines_are_no_records_and_go_with_the_record_before() {
        assert_eq!(lines("a\n\n\r\nb\n", 1), Run { len: 5, records: 1, lines: 3 });
        assert_eq!(lines("\n\na\nb\n", 1), Run { len: 4, records: 1, lines: 3 });
        assert_eq!(lines("\n\n", 1), Run { len: 2, records: 0, lines: 2 });
    }

    #[test]
    fn line_ends_within_quotes_do_not_end_a_record() {
        assert_eq!(csv("a,\"b\nc\"\nd,e\n"), Run { len: 12, records: 2, lines: 3 });
        assert_eq!(csv("\"a\"\"\n\",b\r\nc\n"), Run { len: 12, records: 2, lines: 3 });
        assert_eq!(csv("\"\"\n\"\"\"\"\n"), Run { len: 8, records: 2, lines: 2 });
        assert_eq!(csv("a,\"b\nc\n"), Run::default());
    }

    #[test]
    fn a_quote_within_a_plain_field_is_a_character() {
        assert_eq!(csv("5\" nail,1\n6\" nail,2\n"), Run { len: 20, records: 2, lines: 2 });
        assert_eq!(csv("\"a\"b\"c,1\nd\n"), Run { len: 11, records: 2, lines: 2 });
    }

    #[test]
    fn bytes_that_come_one_by_one_give_the_same_runs() {
        let text = b"h,\"i\n\"\"j\"\n\"\"\n\n\"k\"\"\n\",\"l\"\nm\"n\n";
        for framing in [Framing::Lines, Framing::CSV] {
            let whole = Framer::new(framing).run(text, usize::MAX);
            let (mut framer, mut sum, mut begin) = (Framer::new(framing), Run::default(), 0);
            for end in 1..=text.len() {
                let run = framer.run(&text[begin..end], usize::MAX);
                begin += run.len;
                sum = Run { len: begin, records: sum.records + run.records, lines: sum.lines + run.lines };
            }
            assert_eq!(sum, whole, "{framing:?}");
        }
    }
}
