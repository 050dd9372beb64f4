//! The load generator: connections that stay open, each asking as soon as it has its answer. One thread waits for all of
//! them: a thread for each would take as much of the cores as what is measured.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
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
        self.ask(path)?;
        self.answer()
    }

    fn ask(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    /// Waits for the answer: the status and the body.
    fn answer(&mut self) -> Result<(u16, &[u8])> {
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
    path: impl Fn(usize, u64) -> String,
) -> Result<Load> {
    let mut all = (0..connections).map(|_| Connection::open(address)).collect::<Result<Vec<_>>>()?;
    let mut sockets: Vec<_> = all.iter().map(|connection| socket(connection.stream.get_ref())).collect();
    let (begin, mut micros) = (Instant::now(), Vec::new());
    // When each asked, and how often.
    let mut asked = vec![(begin, 0_u64); connections];
    for (number, connection) in all.iter_mut().enumerate() {
        connection.ask(&path(number, 0))?;
    }
    while begin.elapsed() < lasts {
        wait(&mut sockets)?;
        for (number, connection) in all.iter_mut().enumerate().filter(|(number, _)| sockets[*number].revents != 0) {
            let (at, count) = &mut asked[number];
            let (status, body) = connection.answer()?;
            ensure!(status == 200, "answered with {status}: {}", String::from_utf8_lossy(body));
            micros.push(u32::try_from(at.elapsed().as_micros()).unwrap_or(u32::MAX));
            *count += 1;
            let next = path(number, *count);
            *at = Instant::now();
            connection.ask(&next)?;
        }
    }
    micros.sort_unstable();
    ensure!(!micros.is_empty(), "nothing was answered");
    let at = |share: f64| f64::from(micros[((micros.len() - 1) as f64 * share) as usize]) / 1000.0;
    let requests_per_s = micros.len() as f64 / lasts.as_secs_f64();
    Ok(Load { requests_per_s, p50_ms: at(0.5), p99_ms: at(0.99) })
}

fn socket(stream: &TcpStream) -> libc::pollfd {
    libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Waits until there is something to read from some of them, which are marked then.
fn wait(sockets: &mut [libc::pollfd]) -> Result<()> {
    let (count, patience_ms) = (libc::nfds_t::try_from(sockets.len())?, 10_000);
    // SAFETY: the pointer is to so many live values of the right type, which nobody else reads or writes meanwhile.
    let ready = unsafe { libc::poll(sockets.as_mut_ptr(), count, patience_ms) };
    ensure!(ready > 0, "no answer within 10 s");
    Ok(())
}
