//! Tests that talk to real servers: which crates have them, and the servers' lives around them.

use crate::project::{root, shown};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::process::{Command, Stdio};

/// A server that tests talk to, by the script of its name in `services/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    Kafka,
    Redis,
    Elasticsearch,
    Opensearch,
    Hbase,
    S3,
}

/// The crates whose ignored tests need servers, and which.
const NEEDS: [(&str, &[Server]); 6] = [
    ("proxima-checkpoint", &[Server::S3]),
    ("proxima-kafka", &[Server::Kafka]),
    ("proxima-redis", &[Server::Redis]),
    ("proxima-elastic", &[Server::Elasticsearch, Server::Opensearch]),
    ("proxima-hbase", &[Server::Hbase]),
    ("proxima", &[Server::Kafka, Server::Redis, Server::Elasticsearch, Server::Opensearch, Server::Hbase]),
];

/// The crates that can be tested with these servers.
pub(crate) fn crates(servers: &[Server]) -> Vec<&'static str> {
    let there = |needed: &[Server]| needed.iter().all(|server| servers.contains(server));
    NEEDS.iter().filter(|(_, needed)| there(needed)).map(|(name, _)| *name).collect()
}

/// Servers that run; those that did not run before are stopped when this is dropped.
pub(crate) struct Running(Vec<Server>);

impl Running {
    /// Starts the servers that do not run; what they need is installed first.
    pub(crate) fn start(servers: &[Server]) -> Result<Self> {
        let mut running = Self(Vec::new());
        for &server in servers {
            if script(server, "status").stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                continue;
            }
            running.0.push(server);
            let mut start = script(server, "start");
            eprintln!("$ {}", shown(&start));
            let status = start.status().with_context(|| format!("cannot run {}", shown(&start)))?;
            ensure!(status.success(), "{} failed: {status}; without it nothing is tested", shown(&start));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for &server in &self.0 {
            if let Err(error) = script(server, "stop").status() {
                eprintln!("{server:?} was left running: {error}");
            }
        }
    }
}

/// The script of a server, with one of its commands.
fn script(server: Server, command: &str) -> Command {
    let name = server.to_possible_value().expect("no server is hidden").get_name().to_owned();
    let mut script = Command::new(root().join("services").join(format!("{name}.sh")));
    script.arg(command).stdin(Stdio::null());
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_tested_when_all_its_servers_are_there() {
        assert_eq!(crates(&[]), Vec::<&str>::new());
        assert_eq!(crates(&[Server::Opensearch, Server::Kafka]), ["proxima-kafka"]);
        assert_eq!(crates(Server::value_variants()).len(), NEEDS.len());
        for server in Server::value_variants() {
            let name = server.to_possible_value().expect("no server is hidden").get_name().to_owned();
            assert!(root().join(format!("services/{name}.sh")).exists(), "{name} has a script");
        }
    }
}
