//! A connection to a gateway: one request, one answer, within a time.
//!
//! After any error a link is of no more use, because an answer may be on its way that nobody waits for: its owner lets
//! it go and opens another.

use crate::address::Transport;
use crate::calls::Call;
use crate::fault::Fault;
use parking_lot::Mutex;
use proxima_event::Health;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thrift::TConfiguration;
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};
use thrift::transport::{TBufferedReadTransport, TFramedReadTransport};

/// How long a gateway may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a call may take: some MiB through a busy HBase, not the minutes for which its client tries again.
const ANSWER: Duration = Duration::from_secs(20);
/// When those who watch the run are told that an answer is waited for.
const TOLD: Duration = Duration::from_secs(2);
/// How often a waiting thread looks whether the run ends.
const LOOK: Duration = Duration::from_millis(100);
/// What is read from the socket at once.
const BUFFER: usize = 64 * 1024;
/// Bytes of one value that are believed: we never write a larger one.
const VALUE_MAX: usize = 64 << 20;

/// An open connection.
pub(crate) struct Link {
    requests: Patient,
    answers: TBinaryInputProtocol<Box<dyn Read + Send>>,
    framed: bool,
    sequence: i32,
}

impl Link {
    /// Connects to `host:port`.
    pub(crate) fn open(gateway: &str, transport: Transport, health: &Health) -> Result<Self, Fault> {
        let stream = connect(gateway).map_err(link)?;
        stream.set_read_timeout(Some(LOOK)).map_err(link)?;
        stream.set_write_timeout(Some(LOOK)).map_err(link)?;
        stream.set_nodelay(true).map_err(link)?;
        let wait = Wait { until: Arc::default(), gateway: gateway.to_owned(), health: health.clone() };
        let reading = Patient { stream: stream.try_clone().map_err(link)?, wait: wait.clone() };
        let input: Box<dyn Read + Send> = match transport {
            Transport::Buffered => Box::new(TBufferedReadTransport::with_capacity(BUFFER, reading)),
            Transport::Framed => Box::new(TFramedReadTransport::new(reading)),
        };
        let limits = TConfiguration::builder().max_string_size(Some(VALUE_MAX)).build()?;
        let answers = TBinaryInputProtocol::with_config(input, true, limits);
        let framed = transport == Transport::Framed;
        Ok(Self { requests: Patient { stream, wait }, answers, framed, sequence: 0 })
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<C: Call>(&mut self, call: &C) -> Result<C::Answer, Fault> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Vec::new();
        if self.framed {
            request.extend([0; 4]);
        }
        call.write(TBinaryOutputProtocol::new(&mut request, true), self.sequence)?;
        if self.framed {
            let length = u32::try_from(request.len() - 4).expect("calls are of some MiB");
            request[..4].copy_from_slice(&length.to_be_bytes());
        }
        self.requests.wait.begin();
        self.requests.write_all(&request).map_err(link)?;
        call.read(&mut self.answers, self.sequence)
    }
}

fn link(error: io::Error) -> Fault {
    Fault::Link(error.to_string())
}

/// Tries every address that the name has.
fn connect(gateway: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in gateway.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Until when an answer is waited for. Shared by both directions of a link.
#[derive(Clone)]
struct Wait {
    until: Arc<Mutex<Option<Instant>>>,
    gateway: String,
    health: Health,
}

impl Wait {
    fn begin(&self) {
        *self.until.lock() = Some(Instant::now() + ANSWER);
    }

    /// Nothing moved for a moment: whether to wait on.
    fn go_on(&self) -> io::Result<()> {
        let left = self.until.lock().map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if self.health.is_stopped() {
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "the run ends"));
        }
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, format!("no answer within {} s", ANSWER.as_secs())));
        }
        let waited = ANSWER - left;
        if waited >= TOLD {
            self.health.wait_for(format!("gateway {} has not answered for {} s", self.gateway, waited.as_secs()));
        }
        Ok(())
    }
}

/// A stream whose reads and writes wait in small steps, for as long as [`Wait`] lets them.
struct Patient {
    stream: TcpStream,
    wait: Wait,
}

impl Patient {
    fn patiently<T>(&mut self, mut step: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            match step(&mut self.stream) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.wait.go_on()?;
                }
                answer => return answer,
            }
        }
    }
}

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.patiently(|stream| stream.read(bytes))? {
            // Said here, because the layers above only know that less came than there should be.
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the gateway has closed the connection")),
            read => Ok(read),
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::calls::Exists;
    use crate::client::Client;
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};
    use thrift::protocol::{TMessageIdentifier, TMessageType, TOutputProtocol};

    /// A gateway that gives these bytes to whoever asks, once.
    fn gateway(answer: Vec<u8>) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(&answer).unwrap();
        });
        (address, thread)
    }

    fn ask(gateway: &str, query: &str, health: &Health) -> Result<bool, (String, bool)> {
        let address = Address::parse(&format!("hbase://{gateway}/t{query}")).unwrap();
        let answer = Client::new(address, health.clone()).call(&Exists((None, "t")));
        answer.map_err(|error| (error.reason, error.lasting))
    }

    fn told(answer: Vec<u8>, query: &str) -> Result<bool, (String, bool)> {
        let (address, thread) = gateway(answer);
        let told = ask(&address, query, &Health::default());
        thread.join().unwrap();
        told.map_err(|(reason, lasting)| (reason.replace(&address, "G"), lasting))
    }

    /// An answer to the first call of a connection, with these bytes as its structure.
    fn message(kind: TMessageType, sequence: i32, fields: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = TBinaryOutputProtocol::new(&mut bytes, true);
        out.write_message_begin(&TMessageIdentifier::new("tableExists", kind, sequence)).unwrap();
        bytes.extend(fields);
        bytes
    }

    const TRUE: [u8; 5] = [2, 0, 0, 1, 0];

    #[test]
    fn an_answer_is_read_in_both_ways() {
        let whole = message(TMessageType::Reply, 1, &TRUE);
        assert_eq!(told(whole.clone(), ""), Ok(true));
        let framed = [&u32::try_from(whole.len()).unwrap().to_be_bytes()[..], &whole].concat();
        assert_eq!(told(framed, "?transport=framed"), Ok(true));
    }

    #[test]
    fn half_an_answer_is_none() {
        let whole = message(TMessageType::Reply, 1, &TRUE);
        for length in 0..whole.len() {
            let (reason, lasting) = told(whole[..length].to_vec(), "").unwrap_err();
            assert!(!lasting && reason.starts_with("gateway G: "), "{length}: {reason}");
        }
        let empty = told(message(TMessageType::Reply, 1, &[0]), "").unwrap_err();
        assert_eq!(empty, ("gateway G: the answer is empty".to_owned(), false));
    }

    #[test]
    fn an_answer_to_another_call_is_none() {
        let (reason, _) = told(message(TMessageType::Reply, 7, &TRUE), "").unwrap_err();
        assert_eq!(reason, "gateway G: the gateway answered something else than tableExists");
    }

    #[test]
    fn what_hbase_refuses_is_told_by_its_first_line() {
        let text = b"java.io.IOException: no\n\tat java.base";
        let error = [&[12, 0, 1, 11, 0, 1, 0, 0, 0, text.len() as u8][..], text, &[0, 0]].concat();
        let told = told(message(TMessageType::Reply, 1, &error), "").unwrap_err();
        assert_eq!(told, ("gateway G: java.io.IOException: no".to_owned(), false));
    }

    #[test]
    fn who_does_not_know_the_call_is_no_gateway_of_ours() {
        let unknown = [&[11, 0, 1, 0, 0, 0, 2][..], b"no", &[8, 0, 2, 0, 0, 0, 1, 0]].concat();
        let (reason, lasting) = told(message(TMessageType::Exception, 1, &unknown), "").unwrap_err();
        assert!(lasting && reason.contains("is it a Thrift2 gateway"), "{reason}");
        let (reason, lasting) = told(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "").unwrap_err();
        assert!(lasting && reason.contains("is it a Thrift2 gateway"), "{reason}");
    }

    #[test]
    fn a_run_that_ends_waits_for_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let health = Health::default();
        health.stop_when(|| true);
        let begun = Instant::now();
        let (reason, _) = ask(&address, "", &health).unwrap_err();
        assert!(reason.ends_with("the run ends") && begun.elapsed() < ANSWER / 2, "{reason}");
    }

    #[test]
    fn the_next_gateway_is_asked_when_one_is_gone() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, thread) = gateway(message(TMessageType::Reply, 1, &TRUE));
        let address = Address::parse(&format!("hbase://{gone},{address}/t")).unwrap();
        let client = Client::new(address, Health::default());
        let error = client.call(&Exists((None, "t"))).unwrap_err();
        assert!(error.reason.contains("refused"), "{}", error.reason);
        assert_eq!(client.call(&Exists((None, "t"))), Ok(true));
        thread.join().unwrap();
    }
}
