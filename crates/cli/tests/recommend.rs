//! `examples/recommend-retail` on the real binary: lists for those who are known and those who are not, explanations whose
//! parts sum to the scores, baskets, and a split that is switched while it serves, and stays so when the run is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

struct Run {
    data: TempDir,
    child: Child,
}

impl Run {
    /// Runs the example over its first days, until all is read.
    fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    /// Kills the run, and runs the example again over the same data folder.
    fn again(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Self::on(std::mem::replace(&mut self.data, tempfile::tempdir().unwrap()))
    }

    fn on(data: TempDir) -> Self {
        // That of a killed run names an address that nobody listens at.
        let _ = fs::remove_file(data.path().join("server.json"));
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let orders = examples.join("retail/orders/2010-12-0[1-3].csv.zst");
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.arg("run").arg(examples.join("recommend-retail")).args(["--listen", "127.0.0.1:0", "--workers", "2"]);
        command.arg("--set").arg(format!("sources.orders.path={}", orders.display())).arg("--data").arg(data.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut run = Self { data, child };
        let begin = Instant::now();
        while run.try_ask("/v1/status", None).is_none_or(|status| status["state"] != "finished") {
            assert!(begin.elapsed() < PATIENCE && run.child.try_wait().unwrap().is_none(), "the run does not finish");
            std::thread::sleep(Duration::from_millis(50));
        }
        run
    }

    fn try_ask(&self, path: &str, body: Option<&Value>) -> Option<Value> {
        let note: Value = serde_json::from_slice(&fs::read(self.data.path().join("server.json")).ok()?).ok()?;
        let url = format!("http://{}{path}", note["address"].as_str()?);
        let answer = match body {
            Some(body) => ureq::post(&url).send_json(body),
            None => ureq::get(&url).call(),
        };
        serde_json::from_str(&answer.ok()?.body_mut().read_to_string().ok()?).ok()
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Value {
        self.try_ask(path, body).unwrap_or_else(|| panic!("{path} gave no answer"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn the_retail_example_recommends_explains_and_switches() {
    let run = Run::start();
    let home = run.ask("/v1/recommend/home/17850", None);
    assert_eq!(ids(&home).len(), 10, "{home}");
    assert!(home["items"][0]["attributes"]["description"].is_string(), "{home}");
    for item in home["items"].as_array().unwrap().iter().filter(|item| item["origin"] == "ranked") {
        let why = run.ask(&format!("/v1/explain/home/17850/{}", item["id"].as_str().unwrap()), None);
        let parts: i64 = why["parts"].as_array().unwrap().iter().map(|part| part["units"].as_i64().unwrap()).sum();
        assert_eq!((Some(parts), &why["score"]), (why["units"].as_i64(), &item["score"]), "{why}");
    }
    let nobody = run.ask("/v1/recommend/home/nobody", None);
    assert_eq!(ids(&nobody).len(), 10, "{nobody}");
    assert_eq!(nobody["items"][0]["origin"], "fallback popular");
    let french = json!({ "attributes": { "country": "France" } });
    assert_ne!(ids(&run.ask("/v1/recommend/home/nobody", Some(&french))), ids(&nobody));

    let basket = json!({ "items": ["85123A", "22423"], "filters": { "price": { "lte": 5 } }, "n": 3 });
    let basket = run.ask("/v1/recommend/basket/17850", Some(&basket));
    assert!(ids(&basket).len() == 3 && !ids(&basket).contains(&"85123A"), "{basket}");
    let prices = basket["items"].as_array().unwrap().iter().map(|item| item["attributes"]["price"].as_f64().unwrap());
    assert!(prices.into_iter().all(|price| price <= 5.0), "{basket}");

    for (variant, other) in [("home_buyers", "home_both"), ("home_both", "home_buyers")] {
        let shares = run.ask("/v1/splits/home", Some(&json!({ variant: 1 })));
        assert_eq!(shares["shares"], json!({ variant: 1.0, other: 0.0 }));
        assert_eq!(run.ask("/v1/recommend/home/17850", None)["variant"], variant);
    }
    let run = run.again();
    assert_eq!(run.ask("/v1/splits/home", None)["shares"], json!({ "home_both": 1.0, "home_buyers": 0.0 }));
    let again = run.ask("/v1/recommend/home/17850", None);
    assert_eq!(again["variant"], "home_both");
}
