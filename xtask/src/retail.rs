//! The shipped example, run from the release binary as the README says: `run`, questions over HTTP, Ctrl-C, questions to
//! the data folder, and `--until-end`.

use crate::http::ask;
use crate::project::root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The example's folder, from the root.
pub(crate) const JOB: &str = "examples/retail";
/// How long reading and computing may take on a slow machine before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the end may take after Ctrl-C.
const END: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// Checks the example against its answer key.
pub(crate) fn check(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, printed) = (folder.path().join("data"), folder.path().join("printed"));
    let mut run = Run::start(binary, &data, &printed)?;
    let address = run.wait_until_finished(&data)?;
    check_printed(&printed)?;
    let daily = json!({"size": 1000, "sort": [{"day": "asc"}]});
    check_daily(&ask(&address, "/v1/indexes/daily/_search", Some(&daily))?)?;
    check_similar(&ask(&address, "/v1/similar/bought_together/85123A?n=5", None)?)?;
    run.interrupt()?;
    let search = command(binary, &["search", JOB, "daily", &daily.to_string()], &data).output()?;
    ensure!(search.status.success(), "search failed: {}", String::from_utf8_lossy(&search.stderr));
    check_daily(&serde_json::from_slice(&search.stdout).context("search printed what is no JSON")?)?;
    until_end(binary)
}

/// A call of the binary on the example with its own data folder.
fn command(binary: &Path, args: &[&str], data: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(args).arg("--data").arg(data).current_dir(root()).stdin(Stdio::null());
    command
}

fn until_end(binary: &Path) -> Result<()> {
    let data = tempfile::tempdir()?;
    let args = ["run", JOB, "--until-end", "--listen", "127.0.0.1:0"];
    let output = command(binary, &args, data.path()).output()?;
    ensure!(output.status.success(), "--until-end failed: {}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&std::fs::read(data.path().join("summary.json"))?)?;
    ensure!(summary["rejected"] == 0, "records were rejected: {summary}");
    Ok(())
}

/// A run of the example that serves. It is killed if it is dropped before it was interrupted.
struct Run {
    child: Child,
}

impl Run {
    fn start(binary: &Path, data: &Path, printed: &Path) -> Result<Self> {
        let mut command = command(binary, &["run", JOB, "--listen", "127.0.0.1:0"], data);
        let child = command.stdout(File::create(printed)?).spawn().context("cannot start the example")?;
        Ok(Self { child })
    }

    /// Waits until everything is read, and says where the run serves.
    fn wait_until_finished(&mut self, data: &Path) -> Result<String> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("the run ended by itself: {status}");
            }
            if let Some(address) = address(data)
                && ask(&address, "/v1/status", None)?["state"] == "finished"
            {
                return Ok(address);
            }
            sleep(LOOK);
        }
        bail!("the run did not finish in {PATIENCE:?}")
    }

    /// Ctrl-C.
    fn interrupt(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: sends a signal to a process of ours that was not waited for, so the number is still its own.
        let sent = unsafe { libc::kill(pid, libc::SIGINT) };
        ensure!(sent == 0, "cannot interrupt the run");
        let begin = Instant::now();
        while begin.elapsed() < END {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the interrupted run ended with {status}");
                return Ok(());
            }
            sleep(LOOK);
        }
        bail!("the run did not end within {END:?} of Ctrl-C")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the run says can be asked must work as it stands.
fn check_printed(printed: &Path) -> Result<()> {
    let begin = Instant::now();
    let lines = loop {
        let text = std::fs::read_to_string(printed)?;
        let lines: Vec<String> =
            text.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(str::to_owned).collect();
        if lines.len() == 3 {
            break lines;
        }
        ensure!(begin.elapsed() < END, "the run did not print three curl lines, but: {text}");
        sleep(LOOK);
    };
    if Command::new("curl").arg("--version").output().is_err() {
        println!("curl is not installed: the printed lines were not tried");
        return Ok(());
    }
    for line in lines {
        let output = Command::new("sh").args(["-c", &format!("{line} --fail --silent --show-error")]).output()?;
        ensure!(output.status.success(), "{line} failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).with_context(|| format!("{line} gave what is no JSON"))?;
    }
    Ok(())
}

/// Where the run with this data folder serves, once it does.
fn address(data: &Path) -> Option<String> {
    let server: Value = serde_json::from_slice(&std::fs::read(data.join("server.json")).ok()?).ok()?;
    Some(server["address"].as_str()?.to_owned())
}

/// Each day must be as in the answer key, in all columns.
pub(crate) fn check_daily(answer: &Value) -> Result<()> {
    let key = std::fs::read_to_string(root().join(JOB).join("expected/daily.csv"))?;
    let mut lines = key.lines();
    let names: Vec<&str> = lines.next().context("the answer key is empty")?.split(',').collect();
    let hits = answer["hits"]["hits"].as_array().with_context(|| format!("no hits in {answer}"))?;
    let days: Vec<&str> = lines.collect();
    ensure!(days.len() == hits.len(), "{} days instead of {}", hits.len(), days.len());
    for (day, hit) in days.iter().zip(hits) {
        for (name, expected) in names.iter().zip(day.split(',')) {
            let found = plain(&hit["_source"][*name], expected);
            ensure!(found == expected, "{name} of {day:?} is {found}");
        }
    }
    Ok(())
}

/// A value as the answer key writes it: without quotes, with as many digits behind the point. Nineteen digits survive in a
/// decimal that is printed; a reader of JSON gets the fifteen that a float holds, which are more than any day needs.
fn plain(value: &Value, as_in: &str) -> String {
    let places = as_in.split_once('.').map_or(0, |(_, places)| places.len());
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.places$}", number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

fn check_similar(answer: &Value) -> Result<()> {
    let text = answer.to_string();
    ensure!(text.contains("description"), "similar products come without descriptions: {text}");
    Ok(())
}
