//! One call to a cluster: which of its addresses, who we say we are, and what came back. Nothing is tried twice here,
//! except that an address that cannot be reached hands the call on to the next.

use crate::config::{ClusterConfig, Login};
use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Method, Url};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

/// How long an address may take to answer a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// How long an address that could not be reached is passed over while others are there.
const PASSED_OVER: Duration = Duration::from_secs(10);

/// A cluster that can be called. All targets and readers of a sink share it, and with it the number of requests that
/// may be under way.
pub struct Cluster {
    /// What it was told to be.
    pub(crate) config: ClusterConfig,
    /// Places for bulk requests.
    pub(crate) places: Arc<Semaphore>,
    http: Client,
    addresses: Vec<Address>,
    next: AtomicUsize,
    runtime: Option<Runtime>,
}

struct Address {
    url: Url,
    failed: Mutex<Option<Instant>>,
}

/// Why a cluster cannot be called at all.
#[derive(Debug, Error)]
#[error("sink {name} cannot use {what}: {reason}")]
pub struct ClusterError {
    name: String,
    what: String,
    reason: String,
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{address}: {reason}")]
pub(crate) struct NoAnswer {
    address: String,
    reason: String,
}

/// What was asked.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// Below the address, without a slash before it. Each part is escaped where it must be.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// Whether the body is compressed.
    pub(crate) compressed: bool,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// The type of a body that is one JSON value.
pub(crate) const JSON: &str = "application/json";
/// The type of a body of JSON lines.
pub(crate) const LINES: &str = "application/x-ndjson";

impl<'a> Call<'a> {
    /// A call without a body.
    pub(crate) fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self { method, path, query: &[], body: None, compressed: false }
    }

    /// The same call with a JSON body.
    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        Self { body: Some((JSON, body.to_string().into())), ..self }
    }
}

impl Cluster {
    /// Makes ready to call; nothing is called yet.
    ///
    /// # Errors
    /// When an address is none, the CA file cannot be read, or a secret cannot be sent.
    pub fn new(config: ClusterConfig) -> Result<Arc<Self>, ClusterError> {
        let failed =
            |what: &str, reason: String| ClusterError { name: config.name.clone(), what: what.to_owned(), reason };
        let address = |text: &String| {
            let url = Url::parse(text).map_err(|error| failed(text, error.to_string()))?;
            match url.scheme() {
                "http" | "https" if url.has_host() => Ok(Address { url, failed: Mutex::default() }),
                _ => Err(failed(text, "write http://host:9200 or https://host:9200".to_owned())),
            }
        };
        let addresses = config.addresses.iter().map(address).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(failed("no address", "write addresses = [\"http://host:9200\"]".to_owned()));
        }
        let http = client(&config, &failed)?;
        // The requests are few and wait most of the time: one thread serves them all.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("sink {}", config.name))
            .enable_all()
            .build()
            .map_err(|error| failed("a thread of its own", error.to_string()))?;
        let places = Arc::new(Semaphore::new(config.in_flight.max(1)));
        Ok(Arc::new(Self { config, places, http, addresses, next: AtomicUsize::new(0), runtime: Some(runtime) }))
    }

    /// Where requests run.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.as_ref().expect("it is there until the cluster is dropped").handle()
    }

    /// Waits for an answer on a thread that may wait.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime().block_on(work)
    }

    /// Calls the addresses in rotation until one can be reached.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Reply, NoAnswer> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.addresses.len();
        let rotated: Vec<&Address> = (0..count).map(|at| &self.addresses[(first + at) % count]).collect();
        let (well, ill): (Vec<_>, Vec<_>) = rotated.into_iter().partition(|address| !address.is_passed_over());
        let mut last = None;
        for address in well.into_iter().chain(ill) {
            match self.call_one(address, call).await {
                Ok(reply) => {
                    *address.failed.lock() = None;
                    return Ok(reply);
                }
                Err(error) => {
                    *address.failed.lock() = Some(Instant::now());
                    last = Some(error);
                }
            }
        }
        Err(last.expect("there is at least one address"))
    }

    async fn call_one(&self, address: &Address, call: &Call<'_>) -> Result<Reply, NoAnswer> {
        let mut url = address.url.clone();
        url.path_segments_mut().expect("http addresses have a path").pop_if_empty().extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let mut request = self.http.request(call.method.clone(), url);
        if let Some((kind, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        if call.compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let no_answer = |error: reqwest::Error| NoAnswer { address: shown(&address.url), reason: causes(&error) };
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(no_answer)?;
        Ok(Reply { status, body })
    }

    /// The first of its addresses, for messages.
    pub(crate) fn address(&self) -> String {
        shown(&self.addresses[0].url)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The last handle may go inside of another runtime, where waiting for ours is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Address {
    fn is_passed_over(&self) -> bool {
        self.failed.lock().is_some_and(|at| at.elapsed() < PASSED_OVER)
    }
}

fn client(config: &ClusterConfig, failed: &dyn Fn(&str, String) -> ClusterError) -> Result<Client, ClusterError> {
    let mut headers = HeaderMap::new();
    if let Some(text) = authorization(&config.login) {
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| failed("its login", "a secret has signs that cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let mut builder = Client::builder().default_headers(headers).connect_timeout(CONNECT).timeout(config.timeout);
    if let Some(file) = &config.ca_file {
        let shown = file.display().to_string();
        let pem = std::fs::read(file).map_err(|error| failed(&shown, error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(&shown, causes(&error)))?;
        if certificates.is_empty() {
            return Err(failed(&shown, "it holds no certificate in PEM form".to_owned()));
        }
        builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    builder.build().map_err(|error| failed("its addresses", causes(&error)))
}

fn authorization(login: &Login) -> Option<String> {
    use base64::Engine;
    match login {
        Login::Nobody => None,
        Login::Basic { user, password } => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {pair}"))
        }
        Login::ApiKey(key) => Some(format!("ApiKey {key}")),
    }
}

/// An address without what may be secret in it.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// An error with its causes, without the address, which is told anyway.
fn causes(error: &dyn std::error::Error) -> String {
    let mut causes = Vec::new();
    let mut at = error.source();
    while let Some(cause) = at {
        causes.push(cause.to_string());
        at = cause.source();
    }
    // The last cause says it best: "connection refused", "invalid peer certificate".
    causes.pop().unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_says_what_it_cannot_use() {
        let error = |config| Cluster::new(config).err().unwrap().to_string();
        let none = error(ClusterConfig::new("search", Vec::new()));
        assert_eq!(none, "sink search cannot use no address: write addresses = [\"http://host:9200\"]");
        let other = error(ClusterConfig::new("search", vec!["localhost:9200".to_owned()]));
        assert!(other.contains("localhost:9200: write http://host:9200"), "{other}");
        let mut config = ClusterConfig::new("search", vec!["https://localhost:9200".to_owned()]);
        config.ca_file = Some("/nowhere/ca.pem".into());
        assert!(error(config).contains("/nowhere/ca.pem: No such file"));
    }

    #[test]
    fn secrets_in_addresses_are_not_shown() {
        let url = Url::parse("https://user:secret@search:9200/path").unwrap();
        assert_eq!(shown(&url), "https://search:9200");
    }
}
