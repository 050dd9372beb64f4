//! Reads rows back, for a process that answers from what a sink keeps.
//!
//! Who asks is a person's page: so nobody waits long. A question that finds the servers away tries again for a moment,
//! which a restart may take; while they stay away one question at a time looks whether they are back, and all others are
//! told at once.

use crate::client::{Client, Patience};
use crate::config::{Layout, Mode, RedisConfig};
use crate::fault::Fault;
use crate::link::Link;
use crate::pattern::KeyPattern;
use parking_lot::Mutex;
use proxima_event::{KeyValueRead, StoreError};
use redis::{Cmd, FromRedisValue, RedisResult, Value, cmd};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The longest that an address or an answer is waited for, whatever the sink's own `timeout` says.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long a question tries again after its first failure …
const PATIENCE: Duration = Duration::from_secs(1);
/// … and in a cluster, where other keys may be well: long enough for another connection.
const PATIENCE_CLUSTER: Duration = Duration::from_millis(100);
/// How often servers that are away are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Reads the rows that a sink with the same layout and pattern writes. Free to use from any thread: each that reads at
/// the same time has a connection of its own, which stays for the next.
pub struct RedisReader {
    servers: RedisConfig,
    layout: Layout,
    pattern: KeyPattern,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that nobody uses now.
    idle: Vec<Client>,
    /// That the servers are away, and when somebody looked last.
    away: Option<(Fault, Instant)>,
}

impl RedisReader {
    /// A reader that connects when it is first asked.
    #[must_use]
    pub fn new(servers: RedisConfig, layout: Layout, pattern: KeyPattern) -> Self {
        let timeout = servers.timeout.min(TIMEOUT);
        Self { servers: RedisConfig { timeout, ..servers }, layout, pattern, state: Mutex::default() }
    }

    /// Connects.
    ///
    /// # Errors
    /// When the servers cannot be reached, or refuse the user.
    pub fn connect(&self) -> Result<(), StoreError> {
        self.read(|_| Ok(())).map_err(|fault| failed("connect to", self.servers.name(), fault))
    }

    fn read<T>(&self, mut work: impl FnMut(&mut Link) -> RedisResult<T>) -> Result<T, Fault> {
        let (mut client, patience) = self.begin()?;
        let read = client.call(&Patience::Bounded(patience), |link, _| work(link));
        self.end(client, read.as_ref().err());
        read
    }

    /// A connection, and how long to try; or what was found a moment ago.
    fn begin(&self) -> Result<(Client, Duration), Fault> {
        let mut state = self.state.lock();
        let patience = match &mut state.away {
            None if self.servers.mode == Mode::Cluster => PATIENCE_CLUSTER,
            None => PATIENCE,
            Some((fault, looked)) if looked.elapsed() < LOOK_AGAIN => return Err(fault.clone()),
            Some((_, looked)) => {
                *looked = Instant::now();
                Duration::ZERO
            }
        };
        let client = state.idle.pop().unwrap_or_else(|| Client::new(self.servers.clone(), &[]));
        Ok((client, patience))
    }

    fn not_read(&self, table: &str, fault: Fault) -> StoreError {
        failed("read", format!("table {table} of {}", self.servers.name()), fault)
    }

    fn end(&self, client: Client, fault: Option<&Fault>) {
        let mut state = self.state.lock();
        state.idle.push(client);
        match fault {
            None => state.away = None,
            // In a cluster one master may be away while the others answer.
            Some(fault) if fault.passing && self.servers.mode != Mode::Cluster => {
                state.away = Some((fault.clone(), Instant::now()));
            }
            Some(_) => {}
        }
    }
}

impl KeyValueRead for RedisReader {
    /// A row as a JSON object; one that stands as a hash with all its values as texts.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let key = self.pattern.key(table, &String::from_utf8_lossy(key));
        let row = self.read(|link| row(self.layout, link.ask(&command(self.layout, &key))?));
        row.map_err(|fault| self.not_read(table, fault))
    }

    /// All in one pipeline.
    fn get_each(&self, keys: &[(&str, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let row_keys = keys.iter().map(|(table, key)| self.pattern.key(table, &String::from_utf8_lossy(key)));
        let commands: Vec<Cmd> = row_keys.map(|key| command(self.layout, &key)).collect();
        let rows = self.read(|link| {
            let answers = link.ask_all(commands.clone())?;
            answers.into_iter().map(|answer| row(self.layout, answer)).collect()
        });
        rows.map_err(|fault| {
            let mut tables: Vec<&str> = keys.iter().map(|(table, _)| *table).collect();
            tables.dedup();
            self.not_read(&tables.join(", "), fault)
        })
    }
}

fn command(layout: Layout, key: &str) -> Cmd {
    let mut command = cmd(match layout {
        Layout::Json => "GET",
        Layout::Hash => "HGETALL",
    });
    command.arg(key);
    command
}

fn row(layout: Layout, answer: Value) -> RedisResult<Option<Vec<u8>>> {
    match layout {
        Layout::Json => Ok(Option::from_redis_value(answer)?),
        Layout::Hash => {
            let fields: BTreeMap<String, String> = BTreeMap::from_redis_value(answer)?;
            let object = || serde_json::to_vec(&fields).expect("texts become JSON");
            Ok((!fields.is_empty()).then(object))
        }
    }
}

fn failed(tried: &'static str, store: String, Fault { reason, passing }: Fault) -> StoreError {
    StoreError { tried, store, reason, passing }
}
