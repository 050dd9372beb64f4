//! The load generator: connections that stay open, each asking as soon as it has its answer. One thread waits for all of
//! them, and asks the system for nothing but what it must: it shares the cores with what is measured.

use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Room for an answer, at first.
const BUFFER_BYTES: usize = 64 << 10;

/// A connection that stays open.
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, request: Vec::new(), buffer: vec![0; BUFFER_BYTES] })
    }

    /// Asks for a path, and gives the status and the body.
    pub(super) fn get(&mut self, path: &str) -> Result<(u16, &[u8])> {
        self.ask(path)?;
        self.answer()
    }

    fn ask(&mut self, path: &str) -> Result<()> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n")?;
        Ok(self.stream.write_all(&self.request)?)
    }

    /// Waits for the answer: the status and the body.
    fn answer(&mut self) -> Result<(u16, &[u8])> {
        let mut filled = 0;
        let head = loop {
            if let Some(head) = Head::of(&self.buffer[..filled])? {
                break head;
            }
            filled += self.read(filled)?;
        };
        let end = head.bytes + head.length;
        self.buffer.resize(self.buffer.len().max(end), 0);
        while filled < end {
            filled += self.read(filled)?;
        }
        Ok((head.status, &self.buffer[head.bytes..end]))
    }

    fn read(&mut self, filled: usize) -> Result<usize> {
        let count = self.stream.read(&mut self.buffer[filled..])?;
        ensure!(count > 0, "the server has closed the connection, or answers with more than can be read");
        Ok(count)
    }
}

/// What is said before the body.
struct Head {
    status: u16,
    bytes: usize,
    length: usize,
}

impl Head {
    /// The head of an answer, if all of it has come.
    fn of(answer: &[u8]) -> Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = answer.windows(END.len()).position(|bytes| bytes == END) else { return Ok(None) };
        let head = std::str::from_utf8(&answer[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let of_length = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        };
        let length = lines.find_map(of_length).context("no length of the answer")?;
        Ok(Some(Self { status: status.context("no status")?, bytes: end + END.len(), length }))
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
    let ready = Ready::new(all.iter().map(|connection| &connection.stream))?;
    let (begin, mut micros, mut events) = (Instant::now(), Vec::new(), vec![EVENT; connections]);
    // When each asked, and how often.
    let mut asked = vec![(begin, 0_u64); connections];
    for (number, connection) in all.iter_mut().enumerate() {
        connection.ask(&path(number, 0))?;
    }
    let mut now = begin;
    while now - begin < lasts {
        for event in ready.wait(&mut events)? {
            let number = event.u64 as usize;
            let (connection, (at, count)) = (&mut all[number], &mut asked[number]);
            let (status, body) = connection.answer()?;
            ensure!(status == 200, "answered with {status}: {}", String::from_utf8_lossy(body));
            now = Instant::now();
            micros.push(u32::try_from((now - *at).as_micros()).unwrap_or(u32::MAX));
            (*at, *count) = (now, *count + 1);
            connection.ask(&path(number, *count))?;
        }
    }
    micros.sort_unstable();
    ensure!(!micros.is_empty(), "nothing was answered");
    let at = |share: f64| f64::from(micros[((micros.len() - 1) as f64 * share) as usize]) / 1000.0;
    let requests_per_s = micros.len() as f64 / lasts.as_secs_f64();
    Ok(Load { requests_per_s, p50_ms: at(0.5), p99_ms: at(0.99) })
}

/// Says which connections have something to read.
struct Ready(OwnedFd);

const EVENT: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };

impl Ready {
    fn new<'a>(streams: impl Iterator<Item = &'a TcpStream>) -> Result<Self> {
        // SAFETY: it takes no pointer.
        let made = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        ensure!(made >= 0, "epoll_create1: {}", std::io::Error::last_os_error());
        // SAFETY: it was made just now and belongs to nobody else.
        let ready = unsafe { OwnedFd::from_raw_fd(made) };
        for (number, stream) in (0..).zip(streams) {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number };
            // SAFETY: the pointer is to a live value, which is read before the call returns.
            let added =
                unsafe { libc::epoll_ctl(ready.as_raw_fd(), libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &raw mut event) };
            ensure!(added == 0, "epoll_ctl: {}", std::io::Error::last_os_error());
        }
        Ok(Self(ready))
    }

    /// Waits until there is something to read from some of them.
    fn wait<'a>(&self, events: &'a mut [libc::epoll_event]) -> Result<&'a [libc::epoll_event]> {
        let (room, patience_ms) = (libc::c_int::try_from(events.len())?, 10_000);
        // SAFETY: the pointer is to so many live values of the right type, which nobody else reads or writes meanwhile.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, patience_ms) };
        match usize::try_from(count) {
            Ok(0) | Err(_) => bail!("no answer within 10 s"),
            Ok(count) => Ok(&events[..count]),
        }
    }
}
