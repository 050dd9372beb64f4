//! An open connection to one server or to a cluster: sends pipelines, gives their answers.
//!
//! After any error a link is of no more use, because answers may be on their way that nobody waits for: its owner lets
//! it go and opens another. Opening loads the scripts, so a server that has lost them gets them again.

use crate::config::{Mode, RedisConfig, Secret, Tls};
use redis::cluster::{ClusterClient, ClusterConnection, cluster_pipe};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, Cmd, Connection, ConnectionAddr, ConnectionInfo, ConnectionLike, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, Script, TlsCertificates, Value, cmd, pipe,
};

/// How often a cluster's client follows a moved slot before it gives up; then the link is opened anew.
const REDIRECTS: u32 = 3;
/// How long it waits in between at the most, in milliseconds: who asks waits for it, and has a patience of its own.
const REDIRECT_WAIT_MS: u64 = 20;

/// An open connection.
pub(crate) enum Link {
    /// To one server, which may be the master that Sentinels named.
    Server(Box<Connection>),
    /// To the masters of a cluster.
    Cluster(Box<ClusterConnection>),
}

impl Link {
    /// Connects and loads the scripts.
    pub(crate) fn open(config: &RedisConfig, scripts: &[Script]) -> RedisResult<Self> {
        let mut link = match &config.mode {
            Mode::Single => Self::Server(Box::new(first_of(config, |address| server(config, address))?)),
            Mode::Sentinel { master, password } => {
                let ask = |address: &str| ask_sentinel(config, address, master, password.as_ref());
                let address = first_of(config, ask)?;
                Self::Server(Box::new(server(config, &address)?))
            }
            Mode::Cluster => Self::Cluster(Box::new(cluster(config)?)),
        };
        for script in scripts {
            script.load(link.connection())?;
        }
        Ok(link)
    }

    /// Sends commands, each for one slot, and waits for all answers.
    pub(crate) fn send(&mut self, commands: Vec<Cmd>) -> RedisResult<()> {
        self.ask_all(commands).map(drop)
    }

    /// The same, with the answers.
    pub(crate) fn ask_all(&mut self, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let answers = match self {
            Self::Server(connection) => {
                let mut pipeline = pipe();
                for command in commands {
                    pipeline.add_command(command);
                }
                pipeline.query(connection.as_mut())
            }
            Self::Cluster(connection) => {
                let mut pipeline = cluster_pipe();
                for command in commands {
                    pipeline.add_command(command);
                }
                pipeline.query(connection)
            }
        };
        answers.map_err(first_answer)
    }

    /// Sends one command; in a cluster to the master of its key, or to all masters where it has none.
    pub(crate) fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.connection().req_command(command)?.extract_error()
    }

    fn connection(&mut self) -> &mut dyn ConnectionLike {
        match self {
            Self::Server(connection) => connection.as_mut(),
            Self::Cluster(connection) => connection.as_mut(),
        }
    }
}

/// A pipeline's error is told by the first command that was refused.
fn first_answer(error: RedisError) -> RedisError {
    let refused = error.clone().into_server_errors();
    refused.and_then(|refused| refused.first().cloned()).map_or(error, |(_, refused)| refused.into())
}

/// Tries the addresses in their order; the last error stands.
fn first_of<T>(config: &RedisConfig, mut attempt: impl FnMut(&str) -> RedisResult<T>) -> RedisResult<T> {
    let mut failed = RedisError::from((ErrorKind::InvalidClientConfig, "there is no address"));
    for address in &config.addresses {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn server(config: &RedisConfig, address: &str) -> RedisResult<Connection> {
    let mut login = RedisConnectionInfo::default().set_db(config.database.into());
    if let Some(username) = &config.username {
        login = login.set_username(username);
    }
    if let Some(password) = &config.password {
        login = login.set_password(password.reveal());
    }
    connect(config, address, login)
}

/// Asks a Sentinel for the address of the master.
fn ask_sentinel(config: &RedisConfig, address: &str, master: &str, password: Option<&Secret>) -> RedisResult<String> {
    let mut login = RedisConnectionInfo::default();
    if let Some(password) = password {
        login = login.set_password(password.reveal());
    }
    let mut sentinel = connect(config, address, login)?;
    let found: Option<(String, String)> =
        cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master).query(&mut sentinel)?;
    match found {
        Some((host, port)) => Ok(format!("{host}:{port}")),
        None => {
            let detail = format!("the Sentinel at {address} knows no master \"{master}\"");
            Err((ErrorKind::MasterNameNotFoundBySentinel, "no such master", detail).into())
        }
    }
}

fn connect(config: &RedisConfig, address: &str, login: RedisConnectionInfo) -> RedisResult<Connection> {
    let info = connection_info(config, address)?.set_redis_settings(login);
    let client = match config.tls.as_ref().and_then(certificates) {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    };
    let connection = client.get_connection_with_timeout(config.timeout).map_err(|error| at(address, error))?;
    connection.set_read_timeout(Some(config.timeout))?;
    connection.set_write_timeout(Some(config.timeout))?;
    Ok(connection)
}

/// An error that says nothing of where it happened says it then.
fn at(address: &str, error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::Io => (ErrorKind::Io, "no connection", format!("{address}: {error}")).into(),
        _ => error,
    }
}

fn connection_info(config: &RedisConfig, address: &str) -> RedisResult<ConnectionInfo> {
    let wrong = || (ErrorKind::InvalidClientConfig, "an address is host:port", format!("not \"{address}\""));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let address = match config.tls {
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host, port),
    };
    Ok(address.into_connection_info()?.set_tcp_settings(tcp_settings()))
}

/// Pipelines are written whole: the last bytes of one must not wait for more.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn cluster(config: &RedisConfig) -> RedisResult<ClusterConnection> {
    let nodes: Vec<_> =
        config.addresses.iter().map(|address| connection_info(config, address)).collect::<RedisResult<_>>()?;
    let mut builder = ClusterClient::builder(nodes)
        .retries(REDIRECTS)
        .min_retry_wait(1)
        .max_retry_wait(REDIRECT_WAIT_MS)
        .connection_timeout(config.timeout)
        .response_timeout(config.timeout)
        .tcp_settings(tcp_settings());
    if let Some(username) = &config.username {
        builder = builder.username(username);
    }
    if let Some(password) = &config.password {
        builder = builder.password(password.reveal());
    }
    if let Some(certificates) = config.tls.as_ref().and_then(certificates) {
        builder = builder.certs(certificates);
    }
    builder.build()?.get_connection()
}

fn certificates(tls: &Tls) -> Option<TlsCertificates> {
    if tls.authority.is_none() && tls.identity.is_none() {
        return None;
    }
    let identity = tls.identity.clone();
    Some(TlsCertificates {
        client_tls: identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
        root_cert: tls.authority.clone(),
    })
}
