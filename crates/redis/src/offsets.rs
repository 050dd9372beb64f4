//! Offsets in Redis: one hash that people can read, and that an older run cannot turn back.
//!
//! ```console
//! $ redis-cli HGETALL 'proxima:{mall}:offsets'
//! generation       7
//! epoch            81234
//! checkpoint       log/00000000000000000017.json
//! orders/topic-3   1841
//! ```

use crate::client::{Client, Patience};
use crate::config::RedisConfig;
use crate::fault::Fault;
use crate::sink::{sync, wait_for_replicas};
use proxima_event::offsets::{Committed, OffsetStore, Outcome};
use proxima_event::{Epoch, Generation, Health, PartitionId, Position, StoreError};
use redis::{Cmd, FromRedisValue, RedisResult, Script, Value, cmd};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SCRIPT: &str = include_str!("scripts/offsets.lua");

/// Before the name of a partition in the field that tells it from another of the same name. No source's name has a
/// blank, so no partition's field begins so.
const IDENTITY: &str = "identity ";

/// How long opening and loading try to reach a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the newest checkpoint of a job in the hash `proxima:{JOB}:offsets`.
pub struct RedisOffsets {
    client: Client,
    key: String,
    script: String,
    health: Health,
    cannot_sync: bool,
}

impl RedisOffsets {
    /// Connects to the servers.
    ///
    /// # Errors
    /// When they cannot be reached within ten seconds, or refuse the user.
    pub fn open(servers: RedisConfig, job: &str) -> Result<Self, StoreError> {
        let mut client = Client::new(servers, &[SCRIPT]);
        let connected = client.call(&Patience::Bounded(PATIENCE), |_, _| Ok(()));
        let store = client.config().name();
        connected.map_err(|Fault { reason, passing }| StoreError { tried: "connect to", store, reason, passing })?;
        Ok(Self {
            client,
            // The braces make the job's name decide the slot of a cluster, whatever else is kept beside it later.
            key: format!("proxima:{{{job}}}:offsets"),
            script: Script::new(SCRIPT).get_hash().to_owned(),
            health: Health::default(),
            cannot_sync: false,
        })
    }

    /// The same, waiting by a handle that others wait by as well.
    #[must_use]
    pub fn waiting_by(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// The handle by which a commit that waits for its server says so, and learns that the run is ending.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The key of the hash.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn store(&mut self, call: &Cmd) -> Result<Outcome, Fault> {
        let patience = Patience::Run(self.health.clone());
        let (replicas, timeout) = (self.client.config().wait_replicas, self.client.config().timeout);
        // A server that was exchanged between write and sync may have lost the write: then it is written again.
        loop {
            let (answer, connection) = self.client.call(&patience, |link, connection| {
                let answer = link.ask(call)?;
                wait_for_replicas(link, replicas, timeout)?;
                Ok((answer, connection))
            })?;
            let outcome = outcome(answer)?;
            if sync(&mut self.client, &patience, &mut self.cannot_sync)? == connection {
                return Ok(outcome);
            }
        }
    }

    fn failed(&self, tried: &'static str, fault: Fault) -> StoreError {
        let store = format!("{} of {}", self.key, self.client.config().name());
        StoreError { tried, store, reason: fault.reason, passing: fault.passing }
    }
}

impl OffsetStore for RedisOffsets {
    fn load(&mut self) -> Result<Option<Committed>, StoreError> {
        let key = self.key.clone();
        let read =
            self.client.call(&Patience::Bounded(PATIENCE), |link, _| fields(link.ask(cmd("HGETALL").arg(&key))?));
        let fields = read.map_err(|fault| self.failed("load offsets from", fault))?;
        parse(&fields).map_err(|reason| self.failed("load offsets from", reason.into()))
    }

    fn commit(&mut self, committed: &Committed) -> Result<Outcome, StoreError> {
        let mut call = cmd("EVALSHA");
        call.arg(&self.script).arg(1).arg(&self.key).arg(committed.generation.0).arg(committed.epoch.0);
        for (field, value) in listed(committed) {
            call.arg(field).arg(value);
        }
        self.store(&call).map_err(|fault| self.failed("commit offsets to", fault))
    }
}

fn fields(answer: Value) -> RedisResult<BTreeMap<String, String>> {
    Ok(BTreeMap::from_redis_value(answer)?)
}

/// The fields beside generation and epoch.
fn listed(committed: &Committed) -> Vec<(String, String)> {
    let mut fields = vec![("checkpoint".to_owned(), committed.checkpoint.clone())];
    for position in &committed.positions {
        fields.push((position.partition.to_string(), position.offset.to_string()));
        if !position.identity.is_empty() {
            fields.push((format!("{IDENTITY}{}", position.partition), position.identity.clone()));
        }
    }
    fields
}

fn parse(fields: &BTreeMap<String, String>) -> Result<Option<Committed>, String> {
    if fields.is_empty() {
        return Ok(None);
    }
    let text = |name: &str| fields.get(name).ok_or_else(|| format!("the field {name} is missing"));
    let number = |name: &str, text: &str| {
        text.parse::<u64>().map_err(|_| format!("the field {name} holds \"{text}\", which is no number"))
    };
    let mut positions = Vec::new();
    for (name, value) in fields {
        let Some((source, partition)) = name.split_once('/').filter(|_| !name.starts_with(IDENTITY)) else { continue };
        let identity = fields.get(&format!("{IDENTITY}{name}")).cloned().unwrap_or_default();
        let partition = Arc::new(PartitionId { source: source.into(), name: partition.into() });
        positions.push(Position { partition, identity, offset: number(name, value)? });
    }
    positions.sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok(Some(Committed {
        generation: Generation(number("generation", text("generation")?)?),
        checkpoint: text("checkpoint")?.clone(),
        epoch: Epoch(number("epoch", text("epoch")?)?),
        positions,
    }))
}

fn outcome(answer: Value) -> Result<Outcome, String> {
    let words: Vec<String> = Vec::from_redis_value(answer).map_err(|error| error.to_string())?;
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["stored"] => Ok(Outcome::Stored),
        ["overtaken"] => Ok(Outcome::Overtaken),
        ["fenced", by] => match by.parse() {
            Ok(by) => Ok(Outcome::Fenced { by: Generation(by) }),
            Err(_) => Err(format!("the field generation holds \"{by}\", which is no number")),
        },
        other => Err(format!("the script answered {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_read_back() {
        let position = |source: &str, name: &str, identity: &str, offset| Position {
            partition: Arc::new(PartitionId { source: source.into(), name: name.into() }),
            identity: identity.to_owned(),
            offset,
        };
        let committed = Committed {
            generation: Generation(7),
            checkpoint: "log/17.json".to_owned(),
            epoch: Epoch(81_234),
            positions: vec![
                position("logs", "/var/log/identity a/b.json", "1:2:3", 5),
                position("orders", "topic-3", "", u64::MAX),
            ],
        };
        let mut fields: BTreeMap<String, String> = listed(&committed).into_iter().collect();
        assert_eq!(fields["orders/topic-3"], u64::MAX.to_string());
        fields.insert("generation".to_owned(), "7".to_owned());
        fields.insert("epoch".to_owned(), "81234".to_owned());
        assert_eq!(parse(&fields), Ok(Some(committed)));
        assert_eq!(parse(&BTreeMap::new()), Ok(None));
        fields.remove("checkpoint");
        assert_eq!(parse(&fields), Err("the field checkpoint is missing".to_owned()));
        fields.insert("orders/topic-3".to_owned(), "x".to_owned());
        assert!(parse(&fields).unwrap_err().contains("orders/topic-3 holds \"x\""));
    }
}
