//! A shop's records on their way into Kafka, at a steady rate.

use super::kafka_tool;
use crate::project::must;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How often records are sent.
const STEP: Duration = Duration::from_millis(200);

/// The records of a shop, and how far they are sent.
pub(super) struct Feed {
    streams: Vec<Stream>,
    /// How long all of it takes.
    lasts: Duration,
    /// For how long it has run.
    ran: Duration,
}

struct Stream {
    producer: Child,
    text: Vec<u8>,
    sent: usize,
}

impl Feed {
    /// Makes the topics, and producers for them.
    pub(super) fn start(shop: &Path, name: &str, seconds: f64) -> Result<Self> {
        let mut streams = Vec::new();
        for (folder, topic, partitions) in
            [("logs", format!("{name}-log"), "3"), ("changes", format!("{name}-db"), "1")]
        {
            let mut create = kafka_tool("org.apache.kafka.tools.TopicCommand");
            create.args(["--create", "--topic", &topic, "--partitions", partitions]);
            must(create)?;
            let path = shop.join(folder).join("0.jsonl");
            let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut producer = kafka_tool("org.apache.kafka.tools.ConsoleProducer");
            producer.args(["--topic", &topic, "--producer-property", "delivery.timeout.ms=600000"]);
            let producer = producer.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            streams.push(Stream { producer, text, sent: 0 });
        }
        Ok(Self { streams, lasts: Duration::from_secs_f64(seconds), ran: Duration::ZERO })
    }

    /// Sends for a while.
    pub(super) fn run(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::sleep(STEP);
            self.ran += STEP;
            let share = self.ran.as_secs_f64() / self.lasts.as_secs_f64();
            self.send(share.min(1.0))?;
        }
        Ok(())
    }

    /// Sends what is left, and waits until the brokers have all of it.
    pub(super) fn finish(mut self) -> Result<()> {
        self.send(1.0)?;
        for mut stream in self.streams {
            drop(stream.producer.stdin.take());
            let status = stream.producer.wait()?;
            ensure!(status.success(), "a producer failed: {status}");
        }
        Ok(())
    }

    fn send(&mut self, share: f64) -> Result<()> {
        for Stream { producer, text, sent } in &mut self.streams {
            let upto = (text.len() as f64 * share) as usize;
            let upto = text[..upto].iter().rposition(|&byte| byte == b'\n').map_or(*sent, |end| (end + 1).max(*sent));
            let input = producer.stdin.as_mut().context("a producer has ended")?;
            input.write_all(&text[*sent..upto]).and_then(|()| input.flush()).context("a producer has ended")?;
            *sent = upto;
        }
        Ok(())
    }
}
