//! Serves /healthz, /readyz and /metrics.
//!
//! The watcher is healthy while it completes evaluations: a hanging watcher in a Ready pod would go unnoticed.

use super::metrics::{CONTENT_TYPE, Metrics};
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE as CONTENT_TYPE_HEADER;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Records when evaluations are completed.
#[derive(Debug)]
pub struct Liveness {
    limit: Duration,
    started: Instant,
    last: Mutex<Option<Instant>>,
}

impl Liveness {
    /// Starts now; it is healthy while an evaluation was completed within `limit`, or since the start.
    pub fn new(limit: Duration) -> Self {
        Self { limit, started: Instant::now(), last: Mutex::new(None) }
    }

    /// Records a completed evaluation.
    pub fn record_evaluation(&self) {
        self.record_evaluation_at(Instant::now());
    }

    fn record_evaluation_at(&self, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Returns whether a first evaluation was completed.
    pub(crate) fn is_ready(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns the time since the last completed evaluation if it exceeds the limit.
    pub(crate) fn overdue(&self, now: Instant) -> Option<Duration> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(self.started);
        Some(now.saturating_duration_since(last)).filter(|age| *age > self.limit)
    }
}

/// The HTTP server of health and metrics. Dropping it stops it.
#[derive(Debug)]
pub struct StatusServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How long responses in progress may take when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(200);

impl StatusServer {
    /// Serves `/metrics`, `/healthz` and `/readyz` on its own thread.
    ///
    /// # Errors
    /// When it cannot listen on the address.
    pub fn start(address: SocketAddr, metrics: Arc<Metrics>, health: Arc<Liveness>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(|error| {
            let what = format!("cannot listen on {address} ({error}): choose a free address");
            io::Error::new(error.kind(), what)
        })?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = async move {
            let (ending, ended) = oneshot::channel::<()>();
            let signal = async move {
                // A dropped sender stops the server, too.
                drop(stopped.await);
                drop(ending);
            };
            let served = axum::serve(listener, routes(metrics, health)).with_graceful_shutdown(signal);
            let grace = async move {
                drop(ended.await);
                tokio::time::sleep(SHUTDOWN_GRACE).await;
            };
            // Open connections do not delay the shutdown.
            tokio::select! { _ = served => {}, () = grace => {} }
        };
        let thread = thread::Builder::new()
            .name("pillion-serve".to_owned())
            .spawn(move || runtime.block_on(serving))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the address it listens on: with the actual port if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: no new connections, and open ones are closed.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            drop(thread.join());
        }
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn routes(metrics: Arc<Metrics>, health: Arc<Liveness>) -> Router {
    let ready = Arc::clone(&health);
    Router::new()
        .route("/metrics", get(async move || ([(CONTENT_TYPE_HEADER, CONTENT_TYPE)], metrics.encode_text())))
        .route("/healthz", get(async move || healthz(&health, Instant::now())))
        .route("/readyz", get(async move || readyz(&ready)))
}

fn healthz(health: &Liveness, now: Instant) -> (StatusCode, String) {
    match health.overdue(now) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(age) => {
            let text = format!(
                "no evaluation was completed for {} s, the limit is {} s: see the log\n",
                age.as_secs(),
                health.limit.as_secs()
            );
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

fn readyz(health: &Liveness) -> (StatusCode, &'static str) {
    if health.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first evaluation is not completed yet\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_an_evaluation_within_the_limit() {
        let health = Liveness::new(Duration::from_secs(60));
        let later = |seconds| health.started + Duration::from_secs(seconds);
        assert_eq!(health.overdue(later(60)), None, "it has just begun");
        assert_eq!(health.overdue(later(61)), Some(Duration::from_secs(61)));
        assert!(!health.is_ready());
        health.record_evaluation_at(later(100));
        assert!(health.is_ready());
        assert_eq!(healthz(&health, later(160)).0, StatusCode::OK);
        let (status, text) = healthz(&health, later(175));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.starts_with("no evaluation was completed for 75 s, the limit is 60 s"), "{text}");
    }
}
