//! Where a generated shop goes beside files: topics of Kafka, and a database by its own client.

use anyhow::{Context, Result, anyhow};
use proxima_kafka::{Connection, LineWriter};
use proxima_mallgen::change::{Row, Transaction};
use proxima_mallgen::clock::Millis;
use proxima_mallgen::schema::Table;
use proxima_mallgen::{Lines, Statements, Stream, Target};
use std::io::{self, BufWriter};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Partitions of topics.
pub(super) struct TopicLines {
    writer: LineWriter,
    logs: String,
    /// Stays away when a database takes the changes.
    changes: Option<String>,
}

impl TopicLines {
    pub(super) fn open(brokers: &str, logs: &str, changes: Option<&str>) -> Result<Self> {
        let connection = Connection { brokers: brokers.to_owned(), ..Connection::default() };
        let names: Vec<&str> = [logs].into_iter().chain(changes).collect();
        let writer = LineWriter::open(&connection, &names).map_err(|reason| anyhow!(reason))?;
        Ok(Self { writer, logs: logs.to_owned(), changes: changes.map(str::to_owned) })
    }

    fn topic(&self, stream: Stream) -> &str {
        match stream {
            Stream::Logs => &self.logs,
            Stream::Changes => self.changes.as_deref().expect("a database that takes changes takes all of them"),
        }
    }
}

impl Lines for TopicLines {
    fn partitions(&self, stream: Stream) -> usize {
        self.writer.partitions(self.topic(stream))
    }

    fn write(&mut self, stream: Stream, partition: usize, line: &[u8]) -> io::Result<()> {
        let partition = i32::try_from(partition).map_err(io::Error::other)?;
        self.writer.write(self.topic(stream), partition, line).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.serve(Duration::ZERO).map_err(io::Error::other)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(io::Error::other)
    }
}

/// A database, by a client that commits the statements that it is given.
pub(super) struct Database {
    command: String,
    client: Child,
    /// Dropped when all is said, which ends the client.
    statements: Option<Statements<BufWriter<ChildStdin>>>,
}

impl Database {
    pub(super) fn open(command: &str) -> Result<Self> {
        let mut words = command.split_whitespace();
        let program = words.next().context("the command of --mysql has no word")?;
        let mut client = Command::new(program);
        client.args(words).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut client = client.spawn().with_context(|| format!("cannot run {command}"))?;
        let input = client.stdin.take().expect("it is piped");
        let statements =
            Statements::new(BufWriter::new(input)).with_context(|| format!("cannot write to {command}"))?;
        Ok(Self { command: command.to_owned(), client, statements: Some(statements) })
    }

    fn statements(&mut self) -> &mut Statements<BufWriter<ChildStdin>> {
        self.statements.as_mut().expect("nothing is written behind the end")
    }
}

impl Target for Database {
    fn bootstrap(&mut self, at: Millis, table: Table, rows: &[Row]) -> io::Result<()> {
        self.statements().bootstrap(at, table, rows)
    }

    fn log(&mut self, arrival: Millis, device: u64, line: &[u8]) -> io::Result<()> {
        self.statements().log(arrival, device, line)
    }

    fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        self.statements().commit(transaction)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.statements().flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.statements = None;
        let status = self.client.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("{} ended with {status}", self.command))) }
    }
}
