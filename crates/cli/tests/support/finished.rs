//! The real binary on a job whose input ends: run until all is read, then asked over HTTP, killed when it is dropped.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run that has read all.
pub(crate) struct Finished {
    child: Child,
    address: String,
}

impl Finished {
    /// Runs a job with a data folder and values for `--set`, until all is read.
    pub(crate) fn run(job: &Path, data: &Path, set: &[String]) -> Self {
        let note = data.join("server.json");
        // That of a killed run names an address that nobody listens at.
        let _ = fs::remove_file(&note);
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.arg("run").arg(job).args(["--listen", "127.0.0.1:0", "--workers", "2", "--data"]).arg(data);
        command.args(set.iter().flat_map(|value| [OsStr::new("--set"), OsStr::new(value)]));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut run = Self { child, address: String::new() };
        let begin = Instant::now();
        while run.address.is_empty() || run.try_ask("/v1/status", None).is_none_or(|of| of["state"] != "finished") {
            assert!(begin.elapsed() < PATIENCE && run.child.try_wait().unwrap().is_none(), "the run does not finish");
            std::thread::sleep(Duration::from_millis(20));
            let told = fs::read(&note).ok().and_then(|told| serde_json::from_slice::<Value>(&told).ok());
            run.address = told.map(|told| told["address"].as_str().unwrap().to_owned()).unwrap_or_default();
        }
        run
    }

    fn try_ask(&self, path: &str, body: Option<&Value>) -> Option<Value> {
        let url = format!("http://{}{path}", self.address);
        let answer = match body {
            Some(body) => ureq::post(&url).send_json(body),
            None => ureq::get(&url).call(),
        };
        serde_json::from_str(&answer.ok()?.body_mut().read_to_string().ok()?).ok()
    }

    /// What a route answers: to a GET, or to a POST of a body.
    pub(crate) fn ask(&self, path: &str, body: Option<&Value>) -> Value {
        self.try_ask(path, body).unwrap_or_else(|| panic!("{path} gave no answer"))
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
