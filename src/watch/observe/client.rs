//! How is a cluster asked, so that nothing but a read can leave?

use super::failure::Failure;
use axum::body::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use serde::Deserialize;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tower::{BoxError, Layer, Service};

/// The longest page of a list that is read; of one that is longer, a shorter one is asked for.
const LONGEST_PAGE: usize = 32 << 20;

/// The longest answer to anything but a list.
const LONGEST_ANSWER: usize = 8 << 20;

/// The longest object that is read: etcd takes 1.5 MiB.
pub(super) const LONGEST_OBJECT: usize = 2 << 20;

/// A line of a watch longer than this is no object and its event.
const LONGEST_LINE: usize = LONGEST_OBJECT + (64 << 10);

/// What is read of a page before it has to wait for its turn: longer ones are read one after the other.
const SHORT: usize = 1 << 20;

/// Memory that is taken at once for an answer of unknown length.
const STEP: usize = 4 << 20;

/// How many times [`Settings::time_out`](super::Settings::time_out) a whole answer may take.
const PIECES: u32 = 6;

/// Where a cluster's address and credentials are.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The kubeconfig; None: KUBECONFIG, then `~/.kube/config`, then the service account of the pod we run in.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; None: its current one.
    pub context: Option<String>,
}

impl Place {
    async fn config(&self) -> Result<Config, Failure> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        if let Some(path) = &self.kubeconfig {
            let file = Kubeconfig::read_from(path).map_err(|e| Failure::of_kubeconfig(&e))?;
            let config = Config::from_custom_kubeconfig(file, &options).await;
            return config.map_err(|e| Failure::of_kubeconfig(&e));
        }
        match Config::from_kubeconfig(&options).await {
            Ok(config) => Ok(config),
            Err(error) if self.context.is_none() && is_absent(&error) => {
                Config::incluster().map_err(|e| Failure::of_pod(&e))
            }
            Err(error) => Err(Failure::of_kubeconfig(&error)),
        }
    }
}

/// There is no kubeconfig, or an empty one.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath | KubeconfigError::CurrentContextNotSet => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// A client of one API server that offers no write call, and whose every request passes [`RefuseWrites`].
#[derive(Clone)]
pub struct ReadOnly {
    client: Client,
    time_out: Duration,
}

impl std::fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadOnly")
    }
}

impl ReadOnly {
    /// Makes a client; nothing is sent. `time_out` is how long the head of an answer may take, and each piece of it.
    ///
    /// # Errors
    /// When the configuration leads to no cluster.
    pub async fn new(place: &Place, time_out: Duration) -> Result<Self, Failure> {
        let mut config = place.config().await?;
        config.connect_timeout = Some(time_out);
        // Each caller knows what to try again, and when: silence has to show.
        config.default_retry = false;
        refuse_plain_http(&config)?;
        let builder = ClientBuilder::try_from(config).map_err(|e| Failure::of(&e))?;
        Ok(Self { client: builder.with_layer(&RefuseWrites).build(), time_out })
    }

    /// Asks for a path, and returns the answer when its status is a success.
    ///
    /// # Errors
    /// When there is none in time, or another status.
    pub async fn get(&self, path: &str) -> Result<Response<Body>, Failure> {
        let request = Request::builder().method(Method::GET).uri(path).header("Accept", "application/json");
        let request = request.body(Body::empty()).map_err(|e| Failure::garbage(path, e))?;
        let answer = self.in_time(path, self.client.send(request)).await?.map_err(|e| Failure::of(&e))?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(path, answer).await) }
    }

    /// Asks for a path, and returns the whole answer.
    ///
    /// # Errors
    /// As [`Self::get`], and when it breaks off, or is too long or too slow.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.whole(path, self.get(path).await?.into_body(), LONGEST_ANSWER).await
    }

    /// As [`Self::read`], for a page of a list. Of all pages that share `turns`, few are in memory at a time: what is
    /// handed out with a page is its turn.
    pub(super) async fn page<'t>(
        &self,
        path: &str,
        turns: &'t Semaphore,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'t>>), Failure> {
        let mut body = self.get(path).await?.into_body();
        let (mut found, mut turn) = (Vec::new(), None);
        let mut until = Instant::now() + self.time_out * PIECES;
        while let Some(piece) = self.piece(path, &mut body, until).await? {
            if turn.is_none() && found.len() + piece.len() > SHORT {
                let asked = Instant::now();
                turn = turns.acquire().await.ok();
                until += asked.elapsed();
            }
            take(path, &mut found, &piece, LONGEST_PAGE)?;
        }
        Ok((found, turn))
    }

    /// Asks for the API server's clock: seconds, rounded down.
    ///
    /// # Errors
    /// When there is no answer, or none with a time.
    pub async fn time(&self) -> Result<Timestamp, Failure> {
        let answer = self.get("/version").await?;
        let date = answer.headers().get(http::header::DATE).and_then(|value| value.to_str().ok());
        let date = date.ok_or_else(|| Failure::garbage("/version", "it has no header `Date`"))?;
        let time = jiff::fmt::rfc2822::parse(date);
        let time = time.map_err(|_| Failure::garbage("/version", "its header `Date` is no time"))?;
        // Read to its end, so that the connection can be used again.
        let _ = self.whole("/version", answer.into_body(), 1 << 20).await;
        Ok(time.timestamp())
    }

    async fn whole(&self, path: &str, body: Body, most: usize) -> Result<Vec<u8>, Failure> {
        let (mut found, mut body) = (Vec::new(), body);
        let until = Instant::now() + self.time_out * PIECES;
        while let Some(piece) = self.piece(path, &mut body, until).await? {
            take(path, &mut found, &piece, most)?;
        }
        Ok(found)
    }

    /// Returns the next piece of an answer; None at its end.
    async fn piece(&self, path: &str, body: &mut Body, until: Instant) -> Result<Option<Bytes>, Failure> {
        if until <= Instant::now() {
            return Err(Failure::Slow { path: path.to_owned(), after: self.time_out * PIECES });
        }
        let Some(frame) = self.in_time(path, body.frame()).await? else { return Ok(None) };
        let frame = frame.map_err(|e| Failure::Unreachable { reason: deepest(&e) })?;
        Ok(Some(frame.into_data().unwrap_or_default()))
    }

    async fn in_time<T>(&self, path: &str, answer: impl Future<Output = T>) -> Result<T, Failure> {
        let slow = || Failure::Slow { path: path.to_owned(), after: self.time_out };
        tokio::time::timeout(self.time_out, answer).await.map_err(|_| slow())
    }

    /// Says why the server did not answer with what was asked for.
    async fn refusal(&self, path: &str, answer: Response<Body>) -> Failure {
        let status = answer.status().as_u16();
        let after = answer.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        let text = self.whole(path, answer.into_body(), 1 << 20).await.unwrap_or_default();
        let said: Refusal = serde_json::from_slice(&text).unwrap_or_default();
        let message = said.message.unwrap_or_else(|| "without saying why".to_owned());
        match status {
            401 => Failure::Unauthorized,
            403 => Failure::Forbidden { verb: "get", resource: path.to_owned(), namespace: None, message },
            404 => Failure::NotFound { path: path.to_owned() },
            410 => Failure::Expired,
            429 => Failure::Throttled { after },
            _ => Failure::Status { path: path.to_owned(), status, message },
        }
    }
}

/// Adds a piece to an answer, unless that becomes too long.
fn take(path: &str, found: &mut Vec<u8>, piece: &[u8], most: usize) -> Result<(), Failure> {
    let length = found.len() + piece.len();
    if length > most {
        return Err(Failure::TooLong { path: path.to_owned(), mebibytes: most >> 20 });
    }
    if length > found.capacity() {
        // Not twice as much, as a vector takes by itself.
        found.reserve_exact(piece.len().max(STEP.min(most - found.len())));
    }
    found.extend_from_slice(piece);
    Ok(())
}

/// Credentials are not sent in the clear; to this machine itself they do not travel.
fn refuse_plain_http(config: &Config) -> Result<(), Failure> {
    let auth = &config.auth_info;
    let is_secret = auth.token.is_some()
        || auth.token_file.is_some()
        || auth.password.is_some()
        || auth.exec.is_some()
        || auth.auth_provider.is_some();
    let host = config.cluster_url.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|a| a.is_loopback());
    if is_secret && config.cluster_url.scheme_str() != Some("https") && !is_here {
        let reason = format!(
            "the API server's address `http://{host}` would get the credentials of the kubeconfig's user in the clear: write https://, or take the credentials out"
        );
        return Err(Failure::Configuration { reason });
    }
    Ok(())
}

/// What is read of a `Status`.
#[derive(Deserialize, Default)]
struct Refusal {
    message: Option<String>,
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The lines of an answer that goes on and on.
pub(super) struct Lines {
    path: String,
    body: Body,
    buffer: Vec<u8>,
    /// How much of the buffer was given out.
    start: usize,
    /// How much of it is known to hold no line end.
    searched: usize,
}

impl Lines {
    pub(super) fn new(path: &str, body: Body) -> Self {
        Self { path: path.to_owned(), body, buffer: Vec::new(), start: 0, searched: 0 }
    }

    /// Returns the next line; None at the end. What is cancelled is not lost.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', rest) {
                let line = self.start..self.searched + at;
                self.start = line.end + 1;
                self.searched = self.start;
                if line.is_empty() {
                    continue;
                }
                return Ok(self.buffer.get(line));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.searched = self.buffer.len();
            if self.searched > LONGEST_LINE {
                return Err(Failure::garbage(&self.path, "a line has no end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(Failure::Unreachable { reason: deepest(&error) }),
                None if self.searched == 0 => return Ok(None),
                None => {
                    return Err(Failure::Unreachable { reason: "the answer broke off in a line".to_owned() });
                }
            }
        }
    }
}

/// A layer that lets GET pass and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct RefuseWrites;

impl<S> Layer<S> for RefuseWrites {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner }
    }
}

/// What [`RefuseWrites`] makes of a service.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = R>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    R: Send + 'static,
{
    type Response = R;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method() != Method::GET {
            let method = request.method().to_string();
            return Box::pin(async move { Err(Failure::Refused { method }.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

/// Writes a value into a query.
pub(super) fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

/// How a client is had: made anew when its credentials ran out.
pub(super) struct Door {
    place: Place,
    time_out: Duration,
    client: std::sync::RwLock<Arc<ReadOnly>>,
}

impl Door {
    pub(super) async fn open(place: Place, time_out: Duration) -> Result<Self, Failure> {
        let client = ReadOnly::new(&place, time_out).await?;
        Ok(Self { place, time_out, client: std::sync::RwLock::new(Arc::new(client)) })
    }

    pub(super) fn client(&self) -> Arc<ReadOnly> {
        Arc::clone(&self.client.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Reads the configuration again: client certificates are not renewed otherwise.
    pub(super) async fn renew(&self) {
        if let Ok(client) = ReadOnly::new(&self.place, self.time_out).await {
            *self.client.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn nothing_but_get_passes() {
        let echo = tower::service_fn(|request: Request<()>| async move {
            Ok::<_, BoxError>(request.method().to_string())
        });
        let guarded = RefuseWrites.layer(echo);
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "CONNECT", "TRACE", "get"] {
            let request = Request::builder().method(method).uri("/api/v1/pods").body(()).unwrap();
            let error = guarded.clone().oneshot(request).await.unwrap_err();
            let refused = Failure::Refused { method: method.to_owned() };
            assert_eq!(error.downcast_ref::<Failure>(), Some(&refused));
            assert_eq!(Failure::of(&kube::Error::Service(error)), refused);
        }
        let request = Request::builder().uri("/api/v1/pods").body(()).unwrap();
        assert_eq!(guarded.oneshot(request).await.unwrap(), "GET");
    }

    #[test]
    fn a_value_of_a_query_is_quoted() {
        assert_eq!(quoted("eyJ2Ijoi+/=&x"), "eyJ2Ijoi%2B%2F%3D%26x");
    }

    #[tokio::test]
    async fn credentials_are_not_sent_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let made = async |server: &str, user: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: c, user: {{{user}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n"
            );
            std::fs::write(&path, text).unwrap();
            let place = Place { kubeconfig: Some(path.clone()), context: None };
            ReadOnly::new(&place, Duration::from_secs(1)).await.map(drop)
        };
        for user in [
            "token: top-secret",
            "username: u, password: top-secret",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: top-secret, interactiveMode: Never}",
        ] {
            for server in ["http://api.example:6443", "http://10.0.0.1", "http://[2001:db8::1]:80"] {
                let failure = made(server, user).await.unwrap_err();
                assert!(failure.to_string().contains("in the clear"), "{server} {user}: {failure}");
                assert!(!failure.to_string().contains("top-secret"));
                assert!(!failure.is_retryable());
            }
        }
        for server in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            made(server, "token: top-secret").await.unwrap();
        }
        made("http://api.example:8001", "").await.unwrap();
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, "users:\n- name: a\n  user: {token: top-secret\n").unwrap();
        let place = Place { kubeconfig: Some(path), context: None };
        let failure = ReadOnly::new(&place, Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Configuration { .. }));
        assert!(!format!("{failure} {failure:?}").contains("top-secret"), "{failure}");
        assert!(!failure.is_retryable());
    }
}
