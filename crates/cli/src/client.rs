//! Asks a running server.

use proxima_serve::{Answer, Status};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use ureq::http::Request;
use ureq::{Agent, SendBody};

/// How long an answer may take: longer than the server's own limit by default, so that its words arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server that is noted in the data folder may take to say that it lives.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// One request to a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The HTTP method.
    pub method: &'static str,
    /// The path and query, encoded.
    pub path: String,
    /// The body.
    pub body: String,
}

impl Ask {
    /// A request without a body.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: String::new() }
    }

    /// A request with a JSON body.
    #[must_use]
    pub fn post(path: impl Into<String>, body: impl Into<String>) -> Self {
        Self { method: "POST", path: path.into(), body: body.into() }
    }

    /// Sends it to the server at `url`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When the server cannot be reached. An answer that refuses is an answer.
    pub fn send(&self, url: &str) -> Result<Answer, ureq::Error> {
        self.send_within(url, TIMEOUT)
    }

    fn send_within(&self, url: &str, timeout: Duration) -> Result<Answer, ureq::Error> {
        let agent: Agent =
            Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build().into();
        let url = format!("{}{}", with_scheme(url), self.path);
        let request = Request::builder().method(self.method).uri(url);
        let mut response = if self.body.is_empty() {
            agent.run(request.body(SendBody::none())?)?
        } else {
            let request = request.header("content-type", "application/json");
            agent.run(request.body(self.body.as_str())?)?
        };
        Ok(Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string()? })
    }
}

/// Whether a server is there and serves this job.
#[must_use]
pub fn serves(address: &str, job: &str) -> bool {
    let answer = Ask::get("/v1/status").send_within(address, ALIVE_TIMEOUT);
    let status = answer.ok().and_then(|answer| serde_json::from_str::<Status>(&answer.body).ok());
    status.is_some_and(|status| status.job == job)
}

/// The address to connect to for one that is listened on: "any" becomes this machine.
#[must_use]
pub fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

fn with_scheme(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// Text as one part of a path: everything but letters, digits and `-._~` as `%XX`.
#[must_use]
pub fn encode(part: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    part.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_parts_become_urls() {
        assert_eq!(with_scheme("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(with_scheme("https://shop.example/"), "https://shop.example");
        assert_eq!(reachable(([0, 0, 0, 0], 80).into()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable(([10, 0, 0, 1], 80).into()).to_string(), "10.0.0.1:80");
        assert_eq!(encode("85123A"), "85123A");
        assert_eq!(encode("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }
}
