//! The socket: takes connections until it is told to stop. Beside it the way to ask the same routes without one.

use crate::app::app;
use crate::state::AppState;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::serve::ListenerExt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tower::ServiceExt;

/// How long requests that are under way may take after the stop. A stopping run must be gone within two seconds.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Threads that read requests and write answers: as many as there are cores, since more would only take turns, but at
/// least so many, and no more than that. Searches run on others.
const THREADS: RangeInclusive<usize> = 2..=4;

/// A server on threads of its own.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens on `address` ("host:port"; port 0 takes any free one) and serves `state` from now on.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(address: &str, state: AppState) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_multi_thread().worker_threads(threads()).thread_name("http").enable_all().build()?;
        let serving = move || {
            let shutdown = async {
                // A server that was dropped stops as well.
                let _ = stopped.await;
            };
            let served = runtime
                .block_on(async { serve(TcpListener::from_std(listener)?, app(Arc::new(state)), shutdown).await });
            // A search that is still under way must not hold up the end of the process.
            runtime.shutdown_background();
            served
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(serving)?;
        Ok(Self { address, stop, thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, gives requests under way a moment, and ends.
    ///
    /// # Errors
    /// When serving had failed.
    pub fn stop(self) -> io::Result<()> {
        // If serving has failed, nobody listens any more; the thread tells why.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the HTTP server panicked")))
    }
}

fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(*THREADS.start(), NonZero::get);
    cores.clamp(*THREADS.start(), *THREADS.end())
}

/// Serves `app` on `listener` until `shutdown` comes to its end, and for a moment longer for requests under way.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        // The receiver is gone only if serving failed before.
        let _ = stopping.send(());
    };
    let listener = listener.tap_io(|stream| {
        // Answers are small: they must not wait for more to come. A socket without this option is only slower.
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, app).with_graceful_shutdown(shutdown).into_future();
    let patience = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(LAST_ANSWERS).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serving => served,
        () = patience => Ok(()),
    }
}

/// An answer: the HTTP status and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Asks the routes over `state` without a socket: for commands that read the data folder themselves.
///
/// # Errors
/// When the address is none, or no runtime can be started.
pub fn ask(state: AppState, method: &str, uri: &str, body: String) -> io::Result<Answer> {
    let request = Request::builder().method(method).uri(uri).body(Body::from(body)).map_err(io::Error::other)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let Ok(response) = app(Arc::new(state)).oneshot(request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.map_err(io::Error::other)?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    })
}
