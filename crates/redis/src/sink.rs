//! Writes an epoch's net rows into Redis.
//!
//! Rows wait in memory until the flush, each key once; then they go out as pipelines of script calls. A script compares
//! each row's version with what stands and sets it whole, in one step, so rows may be written twice and in any order.
//! Since nobody may block Redis for long, a call takes a bounded number of rows; in a cluster all of one slot.
//!
//! **A server that falls over.** Redis answers before its disk and its replicas have a write. What was written in the
//! last seconds is kept here, and is written again over every new connection. [`Sink::sync`] waits for the disk where
//! Redis can say so (`WAITAOF`, from 7.2 on); older ones need `appendfsync always` to survive together with the job.

use crate::client::{Client, Patience};
use crate::config::{Layout, Mode, RedisConfig, SinkConfig};
use crate::fault::Fault;
use crate::link::Link;
use crate::pattern::tombstone;
use crate::rows::{Write, arguments};
use proxima_event::{Changes, Health, Sink, SinkError, Version, encode};
use redis::cluster_routing::Slot;
use redis::{Cmd, ErrorKind, RedisResult, Script, Value, cmd};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Rows of one script call: some hundred microseconds of Redis's one thread.
const CALL_ROWS: usize = 64;
/// Bytes of one script call, unless a single row has more.
const CALL_BYTES: usize = 256 << 10;
/// Bytes of one pipeline, whose answers are waited for together.
const PIPELINE_BYTES: usize = 1 << 20;
/// Writes that wait for a flush are held in memory up to here, then they are flushed early.
const WAITING_BYTES: usize = 8 << 20;
/// How long written rows are kept to be written again: with `appendfsync everysec` Redis loses up to two seconds.
const RECENT: Duration = Duration::from_secs(3);
/// Recent writes beyond this are let go, the oldest first.
const RECENT_BYTES: usize = 32 << 20;
/// How long opening tries to reach a server that does not answer.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);

const HASH: &str = include_str!("scripts/hash.lua");
const JSON: &str = include_str!("scripts/json.lua");

/// The rows of some time, by key.
type Batch = BTreeMap<String, Write>;

/// The sink of one table.
pub struct RedisSink {
    client: Client,
    config: SinkConfig,
    script: String,
    health: Health,
    waiting: Batch,
    waiting_bytes: usize,
    recent: VecDeque<Recent>,
    /// The connection that the recent writes went over.
    connection: u64,
    /// Whether Redis has said that it cannot wait for its disk.
    cannot_sync: bool,
}

struct Recent {
    at: Instant,
    bytes: usize,
    batch: Batch,
}

impl RedisSink {
    /// Connects to the servers.
    ///
    /// # Errors
    /// When they cannot be reached within ten seconds, or refuse the user.
    pub fn open(servers: RedisConfig, config: SinkConfig) -> Result<Self, SinkError> {
        let text = match config.layout {
            Layout::Hash => HASH,
            Layout::Json => JSON,
        };
        let mut client = Client::new(servers, &[text]);
        client.call(&Patience::Bounded(OPEN_PATIENCE), |_, _| Ok(())).map_err(|fault| SinkError {
            tried: "connect to",
            target: client.config().name(),
            reason: fault.reason,
        })?;
        Ok(Self {
            client,
            config,
            script: Script::new(text).get_hash().to_owned(),
            health: Health::default(),
            waiting: Batch::new(),
            waiting_bytes: 0,
            recent: VecDeque::new(),
            connection: 0,
            cannot_sync: false,
        })
    }

    fn take(&mut self, version: u64, changes: &Changes) {
        for row in 0..changes.len() {
            let weight = changes.weight(row);
            if weight == 0 {
                continue;
            }
            let id = encode::id_text(&changes.rows, &self.config.key, row);
            let key = self.config.pattern.key(&self.config.table, &id);
            let arguments = match weight > 0 {
                true => arguments(self.config.layout, &changes.rows, row, version),
                false => Vec::new(),
            };
            let write = Write { version, arguments };
            self.waiting_bytes += key.len() + write.bytes();
            if let Some(before) = self.waiting.insert(key, write) {
                self.waiting_bytes -= before.bytes();
            }
        }
    }

    /// Writes what waits; over a new connection also what was written last.
    fn send(&mut self) -> Result<(), Fault> {
        let Self { client, config, script, waiting, recent, connection, health, .. } = self;
        let patience = Patience::Run(health.clone());
        let in_cluster = client.config().mode == Mode::Cluster;
        let replicas = client.config().wait_replicas;
        let timeout = client.config().timeout;
        *connection = client.call(&patience, |link, number| {
            let again = recent.iter().filter(|_| number != *connection).map(|recent| &recent.batch);
            for batch in again.chain([&*waiting]) {
                send_batch(link, script, config, batch, in_cluster)?;
            }
            wait_for_replicas(link, replicas, timeout)?;
            Ok(number)
        })?;
        Ok(())
    }

    fn keep_recent(&mut self) {
        let batch = std::mem::take(&mut self.waiting);
        let bytes = std::mem::take(&mut self.waiting_bytes);
        if !batch.is_empty() {
            self.recent.push_back(Recent { at: Instant::now(), bytes, batch });
        }
        let mut kept: usize = self.recent.iter().map(|recent| recent.bytes).sum();
        while let Some(oldest) = self.recent.front()
            && (oldest.at.elapsed() > RECENT || kept > RECENT_BYTES)
        {
            kept -= oldest.bytes;
            self.recent.pop_front();
        }
    }

    fn failed(&self, tried: &'static str, fault: Fault) -> SinkError {
        let target = format!("table {} of {}", self.config.table, self.client.config().name());
        SinkError { tried, target, reason: fault.reason }
    }
}

impl Sink for RedisSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for batch in changes {
            self.take(version.0, batch);
            if self.waiting_bytes > WAITING_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if !self.waiting.is_empty() {
            self.send().map_err(|fault| self.failed("write to", fault))?;
            self.keep_recent();
        }
        Ok(())
    }

    fn health(&self) -> Option<Health> {
        Some(self.health.clone())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        let held = sync(&mut self.client, &Patience::Run(self.health.clone()), &mut self.cannot_sync);
        let connection = held.map_err(|fault| self.failed("sync", fault))?;
        if connection != self.connection {
            // The server was another one in between: it gets the last writes again before they count as kept.
            self.send().map_err(|fault| self.failed("write to", fault))?;
            return self.sync();
        }
        if !self.cannot_sync {
            self.recent.clear();
        }
        Ok(())
    }
}

fn send_batch(link: &mut Link, script: &str, config: &SinkConfig, batch: &Batch, in_cluster: bool) -> RedisResult<()> {
    let mut slots: HashMap<Option<Slot>, Vec<(&String, &Write)>> = HashMap::new();
    for row in batch {
        slots.entry(in_cluster.then(|| Slot::for_key(row.0))).or_default().push(row);
    }
    let (mut calls, mut bytes) = (Vec::new(), 0);
    for mut rows in slots.values().map(Vec::as_slice) {
        while !rows.is_empty() {
            let (count, size) = fitting(rows);
            calls.push(call(script, config, &rows[..count]));
            rows = &rows[count..];
            bytes += size;
            if bytes >= PIPELINE_BYTES {
                link.send(std::mem::take(&mut calls))?;
                bytes = 0;
            }
        }
    }
    link.send(calls)
}

/// How many of the rows fit one call, and their size.
fn fitting(rows: &[(&String, &Write)]) -> (usize, usize) {
    let mut bytes = 0;
    for (count, (key, write)) in rows.iter().enumerate().take(CALL_ROWS) {
        let size = 2 * key.len() + write.bytes();
        if count > 0 && bytes + size > CALL_BYTES {
            return (count, bytes);
        }
        bytes += size;
    }
    (rows.len().min(CALL_ROWS), bytes)
}

fn call(script: &str, config: &SinkConfig, rows: &[(&String, &Write)]) -> Cmd {
    let mut call = cmd("EVALSHA");
    call.arg(script).arg(2 * rows.len());
    for (key, _) in rows {
        call.arg(key.as_str()).arg(tombstone(key));
    }
    call.arg(u64::try_from(config.tombstone_ttl.as_millis()).unwrap_or(u64::MAX).max(1));
    for (_, write) in rows {
        call.arg(write.version).arg(write.arguments.len());
        for argument in &write.arguments {
            call.arg(argument.as_slice());
        }
    }
    call
}

/// Waits until so many replicas hold what was sent over this link. Too few are an error that passes.
pub(crate) fn wait_for_replicas(link: &mut Link, replicas: u32, timeout: Duration) -> RedisResult<()> {
    if replicas == 0 {
        return Ok(());
    }
    let held = link.ask(cmd("WAIT").arg(replicas).arg(wait_ms(timeout)))?;
    match held {
        Value::Int(held) if held >= i64::from(replicas) => Ok(()),
        held => Err((ErrorKind::Io, "too few replicas hold a write", format!("{held:?} of {replicas}")).into()),
    }
}

/// Half of the time after which an answer counts as lost.
fn wait_ms(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis() / 2).unwrap_or(u64::MAX)
}

/// Waits until what was sent is on the disk, and gives the number of the connection that says so.
pub(crate) fn sync(client: &mut Client, patience: &Patience, cannot: &mut bool) -> Result<u64, Fault> {
    let timeout = client.config().timeout;
    client.call(patience, |link, number| {
        if !*cannot {
            match link.ask(cmd("WAITAOF").arg(1).arg(0).arg(wait_ms(timeout))) {
                Ok(held) if on_disk(&held) => return Ok(number),
                Ok(_) => return Err((ErrorKind::Io, "the disk of the server does not keep up").into()),
                // An older server, one without an append-only file, or a user without leave.
                Err(error) if error.is_io_error() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "Redis cannot say when writes are on its disk: a crash of its machine together with this process may lose the last second, unless it runs with appendfsync always");
                    *cannot = true;
                }
            }
        }
        link.ask(&cmd("PING")).map(|_| number)
    })
}

/// Whether each server that answered has the writes on its disk: `[1, replicas]`, in a cluster by address.
fn on_disk(answer: &Value) -> bool {
    match answer {
        Value::Array(held) => match held.as_slice() {
            [Value::Int(local), Value::Int(_)] => *local >= 1,
            servers => servers.iter().all(on_disk),
        },
        Value::Map(servers) => servers.iter().all(|(_, held)| on_disk(held)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(bytes: usize) -> Write {
        Write { version: 1, arguments: vec![vec![0; bytes]] }
    }

    #[test]
    fn calls_are_bounded_in_rows_and_bytes() {
        let key = "k".to_owned();
        let (small, large) = (write(10), write(200 << 10));
        let many = vec![(&key, &small); 100];
        assert_eq!(fitting(&many).0, CALL_ROWS);
        assert_eq!(fitting(&many[..3]).0, 3);
        assert_eq!(fitting(&[(&key, &large), (&key, &large)]).0, 1);
        let huge = write(1 << 20);
        assert_eq!(fitting(&[(&key, &huge), (&key, &small)]).0, 1);
    }

    #[test]
    fn the_disk_of_every_server_counts() {
        let server = |local| Value::Array(vec![Value::Int(local), Value::Int(0)]);
        assert!(on_disk(&server(1)));
        assert!(!on_disk(&server(0)));
        let named = |local| (Value::BulkString(b"127.0.0.1:1".to_vec()), server(local));
        assert!(on_disk(&Value::Map(vec![named(1), named(1)])));
        assert!(!on_disk(&Value::Map(vec![named(1), named(0)])));
    }
}
