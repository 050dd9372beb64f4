//! The servers of the benchmark, all its own, what is in them, and the jobs that run on them.

use crate::project::{must, root};
use anyhow::{Context, Result};
use proxima_servers::{Service, free_ports};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shop of each day: some 50,000 records.
const SHOP: [&str; 6] = ["--users", "4000", "--products", "500", "--orders-per-day", "1000"];
/// Days of the shop that the job reads to its end. With fewer, planning and starting, some 0.3 s of each run, show in the
/// figures; with more a run takes minutes.
const DAYS: u64 = 6;
/// The topics of a shop: the folder that holds the records, the name, its partitions.
pub(super) const TOPICS: [(&str, &str, &str); 2] = [("logs", "log", "3"), ("changes", "db", "1")];

/// How the job is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// With a checkpoint each second.
    Checkpoints,
    NoCheckpoints,
    /// Without checkpoints and views: reading and decoding alone.
    Reading,
    /// With a checkpoint each second, from topics that are being written; without end.
    Live,
}

/// The servers, and a shop's records in a topic of each kind.
pub(super) struct Site {
    folder: tempfile::TempDir,
    /// How many records the topics hold.
    pub(super) records: u64,
    /// How many indexes a job writes.
    pub(super) targets: usize,
    jobs: usize,
    kafka: Service,
    search: Service,
}

/// A shop's records in files.
pub(super) struct Shop {
    folder: PathBuf,
    pub(super) records: u64,
}

impl Shop {
    fn generate(binary: &Path, folder: PathBuf, days: u64) -> Result<Self> {
        let mut generate = Command::new(binary);
        generate.args(["generate", "mall", "--no-answers", "--days", &days.to_string()]).args(SHOP);
        generate.arg("--out").arg(&folder);
        must(generate)?;
        let mut shop = Self { folder, records: 0 };
        for (part, ..) in TOPICS {
            let path = shop.file(part);
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            shop.records += text.lines().count() as u64;
        }
        Ok(shop)
    }

    /// The file of a part of it.
    pub(super) fn file(&self, part: &str) -> PathBuf {
        self.folder.join(part).join("0.jsonl")
    }
}

impl Site {
    /// Starts the servers, makes a shop and writes it to topics.
    pub(super) fn open(binary: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let shop = Shop::generate(binary, folder.path().join("shop"), DAYS)?;
        let kafka = Service::own("kafka", &[("KAFKA_PORT", free_ports(1).to_string())]);
        let http = free_ports(2);
        let ports = [("ELASTICSEARCH_PORT", http), ("ELASTICSEARCH_TRANSPORT_PORT", http + 1)];
        let search = Service::own("elasticsearch", &ports.map(|(name, port)| (name, port.to_string())));
        let site = Self { folder, records: shop.records, targets: 0, jobs: 0, kafka, search };
        for (part, topic, _) in TOPICS {
            site.make_topic(topic);
            let mut produce = site.producer(topic);
            produce.arg("-l").arg(shop.file(part));
            must(produce)?;
        }
        Ok(site)
    }

    /// A shop of so many records at least.
    pub(super) fn shop_of(&self, binary: &Path, records: u64) -> Result<Shop> {
        let days = (records * DAYS).div_ceil(self.records);
        Shop::generate(binary, self.folder.path().join(format!("shop-{days}")), days + 1)
    }

    pub(super) fn make_topic(&self, topic: &str) {
        let partitions = TOPICS.iter().find(|(_, kind, _)| topic.ends_with(kind)).map_or("1", |found| found.2);
        let tool = ["tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.kafka.address()];
        self.kafka.run(&[&tool[..], &["--create", "--topic", topic, "--partitions", partitions]].concat());
    }

    /// What writes lines to a topic.
    pub(super) fn producer(&self, topic: &str) -> Command {
        let mut command = Command::new("kcat");
        command.args(["-P", "-b", self.kafka.address(), "-t", topic, "-X", "linger.ms=1"]);
        command
    }

    /// Where results go.
    pub(super) fn search(&self) -> &str {
        self.search.address()
    }

    /// What the indexes of the last job begin with.
    pub(super) fn prefix(&self) -> String {
        format!("job-{}-", self.jobs)
    }

    /// The folder of a job that nobody has run yet.
    pub(super) fn job(&mut self, setting: Setting) -> Result<PathBuf> {
        self.jobs += 1;
        let folder = self.folder.path().join(format!("job-{}", self.jobs));
        fs::create_dir(&folder)?;
        let views = fs::read_to_string(root().join("examples/mall/views.sql"))?;
        let views = match setting {
            Setting::Reading => super::script::reading_alone(&views)?,
            _ => super::script::with_indexes(&views, &self.prefix())?,
        };
        self.targets = views.matches("', index = '").count();
        fs::write(folder.join("views.sql"), views)?;
        fs::write(folder.join("job.toml"), self.job_toml(setting))?;
        Ok(folder)
    }

    fn job_toml(&self, setting: Setting) -> String {
        let live = setting == Setting::Live;
        let (broker, cluster) = (self.kafka.address(), self.search());
        let source = |name: &str, ending: &str| {
            let topic = if live { live_topic(ending) } else { ending.to_owned() };
            let until = if live { "" } else { "until = \"end\"\n" };
            format!("[sources.{name}]\nkind = \"kafka\"\nbrokers = \"{broker}\"\ntopics = [\"{topic}\"]\n{until}")
        };
        let sink = match setting {
            Setting::Reading => String::new(),
            _ => ["index", "dimensions"]
                .map(|name| format!("[sinks.{name}]\nkind = \"elasticsearch\"\naddresses = [\"{cluster}\"]\n"))
                .concat(),
        };
        let checkpoints = matches!(setting, Setting::Checkpoints | Setting::Live);
        format!(
            "[job]\nname = \"job-{}\"\nzone = \"Asia/Shanghai\"\n{}{}{sink}[sinks.layers]\nkind = \"discard\"\n\
             [checkpoint]\nenabled = {checkpoints}\n",
            self.jobs,
            source("logs", "log"),
            source("changes", "db"),
        )
    }

    /// Deletes what the last job has left in Elasticsearch, so that it does not slow down the next.
    pub(super) fn forget_results(&self) -> Result<()> {
        let url = format!("{}/{}*", self.search(), self.prefix());
        ureq::delete(url).call().context("cannot delete the results of a job")?;
        Ok(())
    }
}

/// The topic that the shop is written to at a steady rate.
pub(super) fn live_topic(kind: &str) -> String {
    format!("live-{kind}")
}
