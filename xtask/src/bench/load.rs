//! The load generator: connections that stay open, each asking as soon as it has its answer.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection that stays open.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
    body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream: BufReader::new(stream), head: String::new(), body: Vec::new() })
    }

    /// Asks for a path, and gives the status and the body.
    pub(super) fn get(&mut self, path: &str) -> Result<(u16, &[u8])> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length) = (0, 0);
        loop {
            self.head.clear();
            ensure!(self.stream.read_line(&mut self.head)? > 0, "the server has closed the connection");
            let line = self.head.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse()?;
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("no length of the answer")?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok((status, &self.body))
    }
}

/// What came of it.
pub(super) struct Load {
    pub(super) requests_per_s: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Asks over so many connections for so long; `path` gives the path of the n-th request of a connection.
pub(super) fn load(
    address: &str,
    (connections, lasts): (usize, Duration),
    path: impl Fn(usize, u64) -> String + Sync,
) -> Result<Load> {
    let one = |number: usize| -> Result<Vec<u32>> {
        let mut connection = Connection::open(address)?;
        let (begin, mut micros) = (Instant::now(), Vec::new());
        while begin.elapsed() < lasts {
            let path = path(number, micros.len() as u64);
            let asked = Instant::now();
            let (status, body) = connection.get(&path)?;
            ensure!(status == 200, "{path} was answered with {status}: {}", String::from_utf8_lossy(body));
            micros.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        Ok(micros)
    };
    let all: Result<Vec<Vec<u32>>> = std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..connections).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a connection's thread does not panic")).collect()
    });
    let mut micros = all?.concat();
    micros.sort_unstable();
    ensure!(!micros.is_empty(), "nothing was answered");
    let at = |share: f64| f64::from(micros[((micros.len() - 1) as f64 * share) as usize]) / 1000.0;
    let requests_per_s = micros.len() as f64 / lasts.as_secs_f64();
    Ok(Load { requests_per_s, p50_ms: at(0.5), p99_ms: at(0.99) })
}
