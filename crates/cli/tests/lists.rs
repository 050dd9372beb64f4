//! Lists of paths in a store, on the real binary: whatever happens to the run or to the store, in the end each list is what
//! the path leads to when it is asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_servers::{Service, free_ports};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

/// Paths of the gallery that begin at items …
const OF_ITEMS: [&str; 6] = ["item_cf", "bought_together", "jaccard", "viewed_then_bought", "swing", "like_this"];
/// … and at customers.
const OF_CUSTOMERS: [&str; 7] = ["alike", "user_cf", "popular_here", "two_steps", "rp3beta", "recent", "for_you"];

/// How many objects a list holds.
const N: usize = 6;

/// An object's list: ids and scores.
type List = Vec<(String, f64)>;

/// The gallery in a folder of its own, with lists of all its paths, and a run of it.
struct Job {
    folder: TempDir,
    /// Keys of each output beside the number.
    output: String,
    settings: Vec<String>,
    run: Option<Child>,
}

impl Job {
    fn new(output: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/paths");
        fs::create_dir(folder.path().join("events")).unwrap();
        for name in ["job.toml", "views.sql", "items.jsonl", "customers.jsonl", "events/2024-03.jsonl"] {
            fs::copy(example.join(name), folder.path().join(name)).unwrap();
        }
        let mut job = fs::OpenOptions::new().append(true).open(folder.path().join("job.toml")).unwrap();
        job.write_all(more.as_bytes()).unwrap();
        Self { folder, output: output.to_owned(), settings: Vec::new(), run: None }
    }

    fn command(&self, command: &str) -> Command {
        let mut it = Command::new(env!("CARGO_BIN_EXE_proxima"));
        it.current_dir(self.folder.path()).args([command, ".", "--data", "data"]).stdin(Stdio::null());
        it
    }

    fn start(&mut self, workers: &str) {
        let mut command = self.command("run");
        command.args(["--listen", "127.0.0.1:0", "--workers", workers]);
        self.set_outputs(&mut command);
        // The one before may have left word of itself.
        let _ = fs::remove_file(self.data().join("server.json"));
        self.run = Some(command.stdout(Stdio::null()).spawn().unwrap());
    }

    fn set_outputs(&self, command: &mut Command) {
        for path in OF_ITEMS.iter().chain(&OF_CUSTOMERS) {
            command.arg("--set").arg(format!("paths.{path}.output={{n = {N}, every = \"100ms\"{}}}", self.output));
        }
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// As by `kill -9`.
    fn kill(&mut self) {
        if let Some(mut run) = self.run.take() {
            // Both fail only if it has ended already.
            let _ = run.kill();
            let _ = run.wait();
        }
    }

    /// Ctrl-C.
    fn interrupt(&mut self) {
        let mut run = self.run.take().expect("a run was started");
        let pid = i32::try_from(run.id()).unwrap();
        // SAFETY: sends a signal to a process of ours that was not waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        run.wait().unwrap();
    }

    /// Serves the lists in a process of its own, from a folder where there is no data.
    fn serve(&self) -> ListServer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(["serve", ".", "--listen", "127.0.0.1:0"]).current_dir(self.folder.path());
        self.set_outputs(&mut command);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("on http://").nth(1).and_then(|rest| rest.split(". Ask").next());
        ListServer { address: address.expect("it says where it serves").to_owned(), process }
    }

    /// `proxima similar`
    fn similar(&self, path: &str, id: &str) -> Output {
        let mut command = self.command("similar");
        self.set_outputs(&mut command);
        command.args([path, id, "-n", &N.to_string()]).output().unwrap()
    }

    fn get(&self, route: &str) -> Option<Value> {
        let note: Value = serde_json::from_slice(&fs::read(self.data().join("server.json")).ok()?).ok()?;
        let url = format!("http://{}{route}", note["address"].as_str()?);
        serde_json::from_str(&ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?).ok()
    }

    fn status(&self) -> Value {
        self.get("/v1/status").unwrap_or_default()
    }

    /// Waits until so many events are in.
    fn wait_events(&mut self, wanted: u64) {
        wait_until(&format!("{wanted} events"), || {
            assert!(self.run.as_mut().unwrap().try_wait().unwrap().is_none(), "the run ended by itself");
            let found = self.get("/v1/indexes/daily/_search?size=10000")?;
            let hits = found["hits"]["hits"].as_array()?.clone();
            (hits.iter().map(|hit| hit["_source"]["events"].as_u64().unwrap()).sum::<u64>() == wanted).then_some(())
        });
    }

    fn append_events(&self, name: &str, count: usize, seed: usize) {
        let mut events = String::new();
        for event in 0..count {
            let die = (event + 1) * (2 * seed + 7_919) % 104_729;
            let (customer, item) = (die % 12, die / 12 % 20);
            let action = ["view", "view", "cart", "buy"][die / 240 % 4];
            let (day, minute) = (1 + event * 27 / count, event % 60);
            events.push_str(&format!(
                "{{\"customer\": \"ann-{customer:02}\", \"item\": \"item-{item:02}\", \"action\": \"{action}\", \
                 \"at\": \"2024-04-{day:02} 10:{minute:02}:00\"}}\n"
            ));
        }
        fs::write(self.folder.path().join("events").join(name), events).unwrap();
    }

    /// Every path with every object that it may begin at.
    fn questions(&self) -> Vec<(&'static str, String)> {
        let ids = |file: &str, key: &str| -> Vec<String> {
            let text = fs::read_to_string(self.folder.path().join(file)).unwrap();
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()[key].as_str().unwrap().into())
                .collect()
        };
        let (items, customers) = (ids("items.jsonl", "item"), ids("customers.jsonl", "customer"));
        let all = |paths: &'static [&str], ids: Vec<String>| {
            paths.iter().flat_map(move |path| ids.clone().into_iter().map(move |id| (*path, id)))
        };
        all(&OF_ITEMS, items).chain(all(&OF_CUSTOMERS, customers)).collect()
    }

    /// What the paths lead to when they are asked; lists that are not empty.
    fn asked(&self) -> BTreeMap<(&'static str, String), List> {
        let ask = |(path, id): (&'static str, String)| {
            let answer = self.get(&format!("/v1/similar/{path}/{id}?n={N}"))?;
            Some(((path, id), list(&answer["neighbours"])?))
        };
        self.questions().into_iter().filter_map(ask).filter(|(_, list)| !list.is_empty()).collect()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.kill();
    }
}

fn list(items: &Value) -> Option<List> {
    items.as_array()?.iter().map(|item| Some((item["id"].as_str()?.to_owned(), item["score"].as_f64()?))).collect()
}

/// Waits until something is there.
fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: never");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Nothing of any list waits.
fn is_at_rest(status: &Value) -> bool {
    let lists = status["lists"].as_array().cloned().unwrap_or_default();
    let rests = |lists: &Value| lists["waiting"] == 0 && lists["in_flight"] == 0;
    lists.len() == OF_ITEMS.len() + OF_CUSTOMERS.len() && lists.iter().all(rests)
}

/// What the data folder holds, for nobody but who stops the run.
fn from_folder(job: &Job) -> BTreeMap<(&'static str, String), List> {
    let ask = |(path, id): (&'static str, String)| {
        let answer: Value = serde_json::from_slice(&job.similar(path, &id).stdout).ok()?;
        Some(((path, id), list(&answer["neighbours"])?))
    };
    // Each is a process: some of each path are enough.
    let some = job.questions().into_iter().enumerate().filter(|(place, _)| place % 4 == 1).map(|(_, asked)| asked);
    some.filter_map(ask).collect()
}

#[test]
fn lists_are_in_the_data_folder_when_the_run_has_ended() {
    let mut job = Job::new("", "");
    job.start("2");
    job.wait_events(600);
    job.append_events("2024-04.jsonl", 300, 1);
    job.wait_events(900);
    // Whatever a checkpoint covers is there or to do, wherever the run dies.
    job.kill();
    job.start("1");
    job.wait_events(900);
    wait_until("all lists", || is_at_rest(&job.status()).then_some(()));
    let asked = job.asked();
    assert!(asked.len() > 100, "{asked:?}");
    let metrics = {
        let note: Value = serde_json::from_slice(&fs::read(job.data().join("server.json")).unwrap()).unwrap();
        let url = format!("http://{}/metrics", note["address"].as_str().unwrap());
        ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()
    };
    assert!(metrics.contains("proxima_list_waiting{path=\"item_cf\"} 0"), "{metrics}");
    // What has come back goes out with the next epochs.
    let epoch = |job: &Job| job.status()["epochs"]["done"].as_u64().unwrap();
    let now = epoch(&job);
    wait_until("some epochs", || (epoch(&job) > now + 3).then_some(()));
    job.interrupt();
    let held = from_folder(&job);
    assert!(held.len() > 30, "{held:?}");
    for (question, list) in held {
        assert_eq!(Some(&list), asked.get(&question), "{question:?}");
    }
}

/// The whole of it to the end, at once.
#[test]
fn a_run_to_the_end_leaves_all_lists() {
    let mut job = Job::new("", "");
    job.settings.push("sources.events.follow=false".to_owned());
    let mut command = job.command("run");
    command.args(["--until-end", "--listen", "127.0.0.1:0", "--workers", "2"]);
    job.set_outputs(&mut command);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let held = from_folder(&job);
    job.settings.clear();
    job.start("1");
    job.wait_events(600);
    wait_until("what was asked before", || {
        let asked = job.asked();
        held.iter().all(|(question, list)| asked.get(question) == Some(list)).then_some(())
    });
    assert!(held.len() > 30, "{held:?}");
}

/// A Redis of the test's own, its port and the job's sink.
fn redis() -> (Service, String, String) {
    let service = Service::own("redis", &[("REDIS_PORT", free_ports(1).to_string())]);
    let (_, port) = service.address().split_once(':').unwrap();
    let port = port.to_owned();
    let sink = format!(
        "\n[sinks.lists]\nkind = \"redis\"\naddresses = [\"{}\"]\nlayout = \"json\"\npattern = \"shop:{{table}}:{{id}}\"\n\
         timeout = \"1s\"\n",
        service.address()
    );
    (service, port, sink)
}

/// What a service of the shop finds under `shop:PATH:OBJECT`.
fn from_redis(job: &Job, port: &str) -> BTreeMap<(&'static str, String), List> {
    let questions = job.questions();
    let mut command = Command::new("redis-cli");
    command.args(["-p", port, "--raw", "MGET"]);
    command.args(questions.iter().map(|(path, id)| format!("shop:{path}:{id}")));
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let lists = output.lines().map(|line| {
        let stored: Value = serde_json::from_str(line).ok()?;
        assert!(stored["_version"].as_u64().is_some(), "{stored}");
        list(&stored["items"])
    });
    questions.into_iter().zip(lists).filter_map(|(question, list)| Some((question, list?))).collect()
}

/// `proxima serve`
struct ListServer {
    process: Child,
    address: String,
}

impl ListServer {
    fn get(&self, route: &str) -> (u16, Value) {
        let url = format!("http://{}{route}", self.address);
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(&url).call().unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&body).unwrap())
    }

    fn list(&self, path: &str, id: &str) -> Option<List> {
        let (status, answer) = self.get(&format!("/v1/similar/{path}/{id}?n={N}"));
        assert!(status == 200 || status == 404 && answer["error"]["code"] == "object_not_found", "{status}: {answer}");
        list(&answer["neighbours"])
    }
}

impl Drop for ListServer {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until Redis holds what the paths lead to, and nothing else.
fn wait_equal(job: &Job, port: &str) {
    let mut last = Default::default();
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let (held, asked) = (from_redis(job, port), job.asked());
        if held == asked && held.len() > 100 {
            return;
        }
        last = (held, asked);
        std::thread::sleep(Duration::from_millis(200));
    }
    let (held, asked) = last;
    let differ = |(question, list): &(_, List)| held.get(question) != Some(list);
    panic!("{:?} are not in Redis", asked.into_iter().filter(differ).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs a Redis of its own: `cargo xtask test` runs it"]
fn lists_are_in_redis_whatever_happens_to_it_and_to_the_run() {
    let (service, port, sink) = redis();
    let mut job = Job::new(", sink = \"lists\"", &sink);
    job.start("2");
    job.wait_events(600);
    wait_equal(&job, &port);

    // Redis is away: the run waits, says so, and loses nothing.
    service.run(&["stop"]);
    job.append_events("2024-04.jsonl", 300, 1);
    wait_until("the status says what is waited for", || {
        let sinks = job.status()["sinks"].as_array()?.clone();
        sinks.iter().any(|sink| sink["waits_for"].as_str().is_some_and(|what| what.contains("redis"))).then_some(())
    });
    service.run(&["start"]);
    job.wait_events(900);
    wait_equal(&job, &port);

    // Killed with lists on their way, and again while Redis is away.
    job.append_events("2024-05.jsonl", 300, 2);
    std::thread::sleep(Duration::from_millis(150));
    job.kill();
    job.start("1");
    job.wait_events(1_200);
    service.run(&["stop"]);
    job.append_events("2024-06.jsonl", 300, 3);
    std::thread::sleep(Duration::from_millis(500));
    job.kill();
    service.run(&["start"]);
    job.start("2");
    job.wait_events(1_500);
    wait_equal(&job, &port);
}

/// Another process answers as the run did, which is gone with its data folder.
#[test]
#[ignore = "needs a Redis of its own: `cargo xtask test` runs it"]
fn lists_in_redis_are_served_without_the_run() {
    for layout in ["json", "hash"] {
        let (service, port, sink) = redis();
        let sink = sink.replace("layout = \"json\"", &format!("layout = \"{layout}\""));
        let mut job = Job::new(", sink = \"lists\"", &sink);
        job.start("2");
        job.wait_events(600);
        wait_until("all lists", || is_at_rest(&job.status()).then_some(()));
        let asked = job.asked();
        let server = job.serve();
        let questions = job.questions();
        let served = || -> BTreeMap<_, _> {
            let answer = |(path, id): &(&'static str, String)| Some(((*path, id.clone()), server.list(path, id)?));
            questions.iter().filter_map(answer).collect()
        };
        wait_until("what the run answers", || (served() == asked).then_some(()));
        assert!(asked.len() > 100, "{asked:?}");
        job.kill();
        fs::remove_dir_all(job.data()).unwrap();
        assert_eq!(served(), asked);

        let ((path, id), list) = asked.first_key_value().unwrap();
        let (_, first) = server.get(&format!("/v1/similar/{path}/{id}?n=1"));
        assert_eq!(self::list(&first["neighbours"]).unwrap(), list[..1]);
        let by_command: Value = serde_json::from_slice(&job.similar(path, id).stdout).unwrap();
        assert_eq!(self::list(&by_command["neighbours"]).as_ref(), Some(list));
        assert_eq!(job.similar(path, "nobody").status.code(), Some(3));
        let (status, answer) = server.get(&format!("/v1/similar/{path}/nobody"));
        assert_eq!((status, &answer["error"]["code"]), (404, &Value::from("object_not_found")));
        assert_eq!(server.get("/v1/similar/nothing/x").1["error"]["code"], "path_not_found");
        assert_eq!(server.get("/v1/status").1["job"], "paths");

        service.run(&["stop"]);
        for _ in 0..3 {
            let begin = Instant::now();
            let (status, answer) = server.get(&format!("/v1/similar/{path}/{id}"));
            assert_eq!((status, &answer["error"]["code"]), (503, &Value::from("store_exception")), "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("redis 127.0.0.1:{port}")), "{message}");
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        }
        assert_eq!(job.similar(path, id).status.code(), Some(1));
        // A process that begins meanwhile is there when Redis is.
        let second = job.serve();
        service.run(&["start"]);
        for server in [&server, &second] {
            wait_until("Redis is back", || (server.get(&format!("/v1/similar/{path}/{id}")).0 == 200).then_some(()));
            assert_eq!(server.list(path, id).as_ref(), Some(list));
        }
        assert_eq!(served(), asked);
    }
}
