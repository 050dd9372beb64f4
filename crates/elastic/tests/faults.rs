//! The sink while its server is killed and comes back, and while it cannot be reached at all.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use proxima_elastic::{Cluster, ClusterConfig};
use proxima_event::{Changes, Sink};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{documents, eventually, id, name, rows, run_script, server, sink, version};
use tempfile::TempDir;

/// A server of the test's own, which it may kill.
struct Own {
    product: &'static str,
    folder: TempDir,
    ports: [u16; 2],
}

impl Own {
    fn new(product: &'static str) -> Self {
        // Installs what is missing, and says where.
        server(product);
        let home = std::env::var("PROXIMA_SERVICES_DIR")
            .map(PathBuf::from)
            .unwrap_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/proxima-services"));
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join(product)).unwrap();
        let lib = format!("{product}/lib");
        std::os::unix::fs::symlink(home.join(&lib), folder.path().join(&lib)).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { product, folder, ports: [free(), free()] }
    }

    fn settings(&self) -> Vec<(String, String)> {
        let upper = self.product.to_uppercase();
        vec![
            ("PROXIMA_SERVICES_DIR".to_owned(), self.folder.path().display().to_string()),
            (format!("{upper}_PORT"), self.ports[0].to_string()),
            (format!("{upper}_TRANSPORT_PORT"), self.ports[1].to_string()),
            (format!("{upper}_HEAP"), "512m".to_owned()),
        ]
    }

    fn run(&self, command: &str) -> String {
        let settings = self.settings();
        let settings: Vec<(&str, String)> =
            settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        run_script(self.product, command, &settings)
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    fn kill(&self) {
        let file = self.folder.path().join(self.product).join(format!("{}.pid", self.product));
        let text = std::fs::read_to_string(file).unwrap();
        let pid = text.split_whitespace().next().unwrap();
        assert!(std::process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.folder.path().exists() {
            self.run("stop");
        }
    }
}

#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn nothing_is_lost_when_the_server_is_killed() {
    const EPOCHS: u64 = 60;
    for product in support::PRODUCTS {
        let own = Own::new(product);
        own.run("start");
        let index = name("killed");
        let mut sink = sink(&support::cluster(&own.address()), &index);
        let (health, written) = (sink.health().unwrap(), Arc::new(AtomicU64::new(0)));
        let progress = Arc::clone(&written);
        let writer = std::thread::spawn(move || {
            for epoch in 1..=EPOCHS {
                // Each epoch changes what the one before has written, and adds and deletes something.
                let first = epoch as i64 * 50;
                let all: Vec<_> = (first - 50..first + 50).map(|id| (id, Some("red"), i128::from(epoch))).collect();
                let weights = all.iter().map(|row| if row.0 % 7 == 0 && row.0 < first { -1 } else { 1 }).collect();
                sink.write(version(1, epoch), &[Changes::weighted(rows(&all), weights)]).unwrap();
                sink.flush().unwrap();
                progress.store(epoch, Ordering::Relaxed);
            }
        });
        for stop in [5, 25] {
            eventually("some epochs", || written.load(Ordering::Relaxed) >= stop);
            own.kill();
            eventually("the reason to be seen", || health.waits_for().is_some());
            println!("{product}: {:?}", health.waits_for());
            own.run("start");
        }
        writer.join().unwrap();
        assert_eq!(health.waits_for(), None);
        let mut expected: Vec<(String, u64)> = Vec::new();
        for of in 0..(EPOCHS as i64 + 1) * 50 {
            let epoch = (of / 50 + 1).min(EPOCHS as i64);
            let is_gone = of % 7 == 0 && of / 50 < EPOCHS as i64;
            expected.extend((!is_gone).then(|| (id(of), version(1, epoch as u64).0)));
        }
        expected.sort();
        let found: Vec<_> =
            documents(&own.address(), &index).into_iter().map(|(id, version, ..)| (id, version)).collect();
        assert_eq!(found.len(), expected.len());
        assert_eq!(found, expected);
    }
}

/// Of several addresses one is enough, whichever it is.
#[test]
#[ignore = "starts Elasticsearch and OpenSearch"]
fn an_address_that_is_dead_is_passed_over() {
    for product in support::PRODUCTS {
        let alive = server(product);
        let dead =
            format!("http://127.0.0.1:{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        for addresses in [[&dead, &alive], [&alive, &dead]] {
            let index = name("several");
            let config = ClusterConfig::new("search", addresses.map(Clone::clone).to_vec());
            let mut sink = sink(&Cluster::new(config).unwrap(), &index);
            for epoch in 1..=5 {
                let written: Vec<_> = (0..200).map(|id| (id, Some("red"), i128::from(epoch))).collect();
                support::write(&mut sink, version(1, epoch), &written, &[]);
            }
            assert_eq!(sink.health().unwrap().waits_for(), None, "{product}");
            let found = documents(&alive, &index);
            assert_eq!(found.len(), 200);
            assert!(found.iter().all(|(_, found, ..)| *found == version(1, 5).0), "{product}");
        }
    }
}

#[test]
fn an_unreachable_cluster_is_waited_for_until_the_run_ends() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::new(ClusterConfig::new("search", vec![format!("http://127.0.0.1:{port}")])).unwrap();
    let mut sink = sink(&cluster, "daily");
    let (health, stop) = (sink.health().unwrap(), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    health.stop_when(move || stopped.load(Ordering::Relaxed));
    let writer = std::thread::spawn(move || sink.write(version(1, 1), &[Changes::inserts(rows(&[(1, None, 1)]))]));
    eventually("the reason to be seen", || health.waits_for().is_some_and(|why| why.contains("refused")));
    assert!(health.waits_for().unwrap().starts_with(&format!("http://127.0.0.1:{port}: ")), "{health:?}");
    assert!(!writer.is_finished());
    stop.store(true, Ordering::Relaxed);
    let error = writer.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("the run is ending"), "{error}");
}

/// A server that refuses every login but one, in the words of Elasticsearch, whose security layer is not free; the real one
/// of OpenSearch is met by the tests of the binary.
fn guarded() -> (String, Arc<AtomicU64>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            let head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let known = head
                .take_while(|line| !line.is_empty())
                .any(|line| line.eq_ignore_ascii_case("authorization: ApiKey right"));
            let body = r#"{"error":{"type":"security_exception","reason":"unable to authenticate user [proxima]"},"status":401}"#;
            let (status, body) = if known { ("503 Busy", "{}") } else { ("401 Unauthorized", body) };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
                .unwrap();
        }
    });
    (address, asked)
}

#[test]
fn a_wrong_login_ends_the_run_at_once() {
    let (address, asked) = guarded();
    let mut config = ClusterConfig::new("search", vec![address.clone()]);
    config.login = proxima_elastic::Login::Basic { user: "proxima".to_owned(), password: "wrong".to_owned() };
    let mut refused = sink(&Cluster::new(config.clone()).unwrap(), "daily");
    let error = refused.write(version(1, 1), &[]).unwrap_err().to_string();
    let reason = "security_exception: unable to authenticate user [proxima]";
    let advice = "look at the sink's user and password, or its API key";
    let expected = format!("cannot prepare daily at {address}: {reason}; {advice}");
    assert_eq!((error, asked.load(Ordering::Relaxed)), (expected, 1));
    config.login = proxima_elastic::Login::ApiKey("right".to_owned());
    let known = sink(&Cluster::new(config).unwrap(), "daily");
    eventually("the key to be taken", || known.health().unwrap().waits_for().is_some());
}
