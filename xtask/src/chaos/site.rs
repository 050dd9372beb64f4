//! The servers of a run, all its own: three brokers, Redis, a search cluster, and for `--source mysql` a database with
//! Maxwell. They stop when the site is dropped.

use super::plan::Victim;
use super::{ChaosArgs, Search, Source, signal};
use anyhow::{Context, Result, bail};
use proxima_servers::{Service, free_ports};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How many brokers there are: records outlive the loss of one.
pub(super) const BROKERS: usize = 3;

/// How long a killed server is away at least.
const AWAY: Duration = Duration::from_secs(2);

/// How long a server stands still. Brokers are given up after nine seconds, Redis by its clients after ten, a request to
/// the search cluster after thirty.
const PAUSE: Duration = Duration::from_secs(12);
const PAUSE_OF_SEARCH: Duration = Duration::from_secs(33);

/// Running servers.
pub(super) struct Site {
    /// Maxwell, and the database whose log it reads. First, for they stop in this order.
    database: Option<(Arc<Service>, Service)>,
    kafka: Arc<Service>,
    redis: Arc<Service>,
    search: Arc<Service>,
    product: Search,
    /// The server that is coming back.
    reviving: Option<JoinHandle<()>>,
}

/// The topics of logs and changes.
const LOGS: &str = "ods_log";
const CHANGES: &str = "ods_db";

impl Site {
    /// Starts all servers, empty, and makes the topics.
    pub(super) fn start(args: &ChaosArgs, folder: &Path) -> Result<Self> {
        let port = |name: &str, count| vec![(name.to_owned(), free_ports(count).to_string())];
        let mut settings = port("KAFKA_PORT", BROKERS as u16);
        settings
            .extend([("KAFKA_BROKERS".to_owned(), BROKERS.to_string()), ("KAFKA_HEAP".to_owned(), "384m".to_owned())]);
        let kafka = own("kafka", &settings);
        for (topic, partitions) in [(LOGS, "3"), (CHANGES, if args.source == Source::Mysql { "3" } else { "2" })] {
            let create = ["tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", kafka.address()];
            kafka.run(&[&create[..], &["--create", "--topic", topic, "--partitions", partitions]].concat());
        }
        let redis = own("redis", &port("REDIS_PORT", 1));
        let (name, upper) = (args.search.name(), args.search.name().to_uppercase());
        let http = free_ports(2);
        let search =
            [("PORT", http.to_string()), ("TRANSPORT_PORT", (http + 1).to_string()), ("HEAP", "768m".to_owned())];
        let search = own(name, &search.map(|(key, value)| (format!("{upper}_{key}"), value)));
        let database = match args.source {
            Source::Kafka => None,
            Source::Mysql => Some(database(&kafka, folder)?),
        };
        Ok(Self { database, kafka, redis, search, product: args.search, reviving: None })
    }

    /// Where the generator writes to.
    pub(super) fn outlets(&self) -> Vec<String> {
        let mut words = ["--kafka", self.kafka.address(), "--logs-topic", LOGS].map(str::to_owned).to_vec();
        match &self.database {
            None => words.extend(["--changes-topic", CHANGES].map(str::to_owned)),
            Some((_, mariadb)) => {
                let (host, port) = mariadb.address().split_once(':').unwrap_or((mariadb.address(), "3306"));
                let client = "mariadb --no-defaults --default-character-set=utf8mb4";
                words.extend(["--mysql".to_owned(), format!("{client} -h {host} -P {port} -u proxima -pproxima")]);
            }
        }
        words
    }

    /// Lays the run's addresses over the example's cluster.
    pub(super) fn overlay(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join("chaos.toml");
        let (brokers, redis, search) = (self.kafka.address(), self.redis.address(), self.search_address());
        let kind = self.product.name();
        let text = format!(
            "[checkpoint]\nevery = \"300ms\"\n\
             [sources.logs]\nbrokers = \"{brokers}\"\ntopics = [\"{LOGS}\"]\n\
             [sources.changes]\nbrokers = \"{brokers}\"\ntopics = [\"{CHANGES}\"]\n\
             [sinks.index]\nkind = \"{kind}\"\naddresses = [\"{search}\"]\n\
             [sinks.dimensions]\naddresses = [\"{redis}\"]\nlayout = \"json\"\n"
        );
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    pub(super) fn search_address(&self) -> String {
        format!("http://{}", self.search.address().trim_start_matches("http://"))
    }

    pub(super) fn redis_address(&self) -> &str {
        self.redis.address()
    }

    /// Has the rows of a table sent once more while the shop lives, as Maxwell's bootstrap does.
    pub(super) fn bootstrap(&self, table: &str) {
        if let Some((maxwell, _)) = &self.database {
            maxwell.run(&["bootstrap", "mall", table]);
        }
    }

    /// Kills a server as a crash would. It comes back while other things happen; only one is away at a time.
    pub(super) fn kill(&mut self, victim: Victim) -> Result<()> {
        self.settle()?;
        let (service, pid) = self.victim(victim)?;
        signal(pid, libc::SIGKILL)?;
        let revive = move || {
            std::thread::sleep(AWAY);
            service.run(&["start"]);
        };
        self.reviving = Some(std::thread::Builder::new().name("revive".to_owned()).spawn(revive)?);
        Ok(())
    }

    /// Lets a server stand still until those who wait for it have given up.
    pub(super) fn pause(&mut self, victim: Victim) -> Result<()> {
        self.settle()?;
        let (_, pid) = self.victim(victim)?;
        signal(pid, libc::SIGSTOP)?;
        std::thread::sleep(if victim == Victim::Search { PAUSE_OF_SEARCH } else { PAUSE });
        signal(pid, libc::SIGCONT)
    }

    /// Waits until the server that was killed is back. Maxwell gives up when it cannot write; then it begins again.
    pub(super) fn settle(&mut self) -> Result<()> {
        if let Some(reviving) = self.reviving.take()
            && reviving.join().is_err()
        {
            bail!("a server does not come back");
        }
        if let Some((maxwell, _)) = &self.database
            && maxwell.processes().is_empty()
        {
            maxwell.run(&["start"]);
        }
        Ok(())
    }

    fn victim(&self, victim: Victim) -> Result<(Arc<Service>, i32)> {
        let (service, place) = match victim {
            Victim::Broker(number) => (&self.kafka, number),
            Victim::Redis => (&self.redis, 0),
            Victim::Search => (&self.search, 0),
            Victim::Maxwell => (&self.database.as_ref().context("there is no Maxwell")?.0, 0),
        };
        let processes = service.processes();
        let (_, pid) = processes.get(place).with_context(|| format!("{victim:?} does not run"))?;
        Ok((Arc::clone(service), *pid))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What comes back late would stay behind.
        if let Some(reviving) = self.reviving.take() {
            let _ = reviving.join();
        }
    }
}

fn database(kafka: &Service, folder: &Path) -> Result<(Arc<Service>, Service)> {
    let mariadb = Service::own("mariadb", &[("MARIADB_PORT", free_ports(1).to_string())]);
    // By default Maxwell passes by what it cannot write. Here it waits, and gives up rather than lose a row.
    let config = folder.join("maxwell.properties");
    fs::write(
        &config,
        "ignore_producer_error=false\nproducer_partition_by=primary_key\nkafka.acks=all\n\
         kafka.enable.idempotence=true\nkafka.delivery.timeout.ms=600000\nkafka.compression.type=lz4\n",
    )?;
    let settings = [
        ("MAXWELL_DB", mariadb.address().to_owned()),
        ("MAXWELL_KAFKA", kafka.address().to_owned()),
        ("MAXWELL_TOPIC", CHANGES.to_owned()),
        ("MAXWELL_ARGS", format!("--config={}", config.display())),
    ];
    let maxwell = Arc::new(Service::own("maxwell", &settings));
    Ok((maxwell, mariadb))
}

fn own(name: &str, settings: &[(String, String)]) -> Arc<Service> {
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    Arc::new(Service::own(name, &settings))
}
