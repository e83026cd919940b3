//! A client of an API server that sends only GET requests.

use super::error::{Error, ServerAddress};
use crate::watch::http_client::is_loopback;
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

/// The longest page of a list; a longer one is requested again with fewer objects.
const MAX_PAGE_BYTES: usize = 32 << 20;

/// The longest answer other than a list.
const MAX_RESPONSE_BYTES: usize = 8 << 20;

/// The longest object: etcd accepts 1.5 MiB.
pub(super) const MAX_OBJECT_BYTES: usize = 2 << 20;

/// The longest line of a watch: an object and its event.
const MAX_LINE_BYTES: usize = MAX_OBJECT_BYTES + (64 << 10);

/// Bytes of a page that are read before it waits for its turn: longer pages are read one at a time.
const LARGE_PAGE_BYTES: usize = 1 << 20;

/// Bytes by which a buffer grows for an answer of unknown length.
const BUFFER_STEP_BYTES: usize = 4 << 20;

/// A whole answer may take this many times [`ObserverSettings::timeout`](super::ObserverSettings::timeout).
const BODY_TIMEOUT_FACTOR: u32 = 6;

/// Address and credentials of a cluster.
#[derive(Debug, Clone, Default)]
pub struct KubeContext {
    /// The kubeconfig; None: KUBECONFIG, then `~/.kube/config`, then the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; None: its current one.
    pub context: Option<String>,
}

impl KubeContext {
    /// Returns the configuration, and the context that it is from; None in a pod.
    async fn load_config(&self) -> Result<(Config, Option<String>), Error> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let file = self.kubeconfig.as_ref().map_or_else(read_kubeconfig, Kubeconfig::read_from);
        let contexts = file.as_ref().map_or_else(|_| Vec::new(), |file| file.contexts.clone());
        let loaded = match file {
            Ok(file) => {
                let context = self.context.clone().or_else(|| file.current_context.clone());
                Config::from_custom_kubeconfig(file, &options).await.map(|config| (config, context))
            }
            Err(error) => Err(error),
        };
        loaded.or_else(|error| match self.kubeconfig.is_none() && self.context.is_none() {
            true if is_kubeconfig_missing(&error) => Config::incluster()
                .map(|config| (config, None))
                .map_err(|failure| Error::from_in_cluster(&failure, &error)),
            _ => {
                let names: Vec<&str> = contexts.iter().map(|context| context.name.as_str()).collect();
                Err(Error::from_kubeconfig(&error, &names))
            }
        })
    }
}

/// Reads the kubeconfig as kubectl does: of several files that KUBECONFIG lists, those that exist.
fn read_kubeconfig() -> Result<Kubeconfig, KubeconfigError> {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let present: Vec<PathBuf> = std::env::split_paths(&listed).filter(|file| file.exists()).collect();
    if present.is_empty() {
        return Kubeconfig::read();
    }
    let merge = |merged: Kubeconfig, file: &PathBuf| merged.merge(Kubeconfig::read_from(file)?);
    present.iter().try_fold(Kubeconfig::default(), merge)
}

/// Returns whether there is no kubeconfig, or an empty one.
fn is_kubeconfig_missing(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath | KubeconfigError::CurrentContextNotSet => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// A client of one API server without write calls; every request passes [`ReadOnlyLayer`].
#[derive(Clone)]
pub struct ReadOnlyClient {
    client: Client,
    server: ServerAddress,
    timeout: Duration,
}

impl std::fmt::Debug for ReadOnlyClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadOnly")
    }
}

impl ReadOnlyClient {
    /// Builds a client; nothing is sent. `timeout` limits the head of an answer and each piece of it.
    ///
    /// # Errors
    /// When the configuration leads to no cluster.
    pub(crate) async fn new(context: &KubeContext, timeout: Duration) -> Result<Self, Error> {
        let (mut config, context) = context.load_config().await?;
        let server =
            ServerAddress { url: address_text(&config.cluster_url).into(), context: context.map(Into::into) };
        config.connect_timeout = Some(timeout);
        // Callers retry themselves: a silent server must be noticed.
        config.default_retry = false;
        refuse_plain_http(&config)?;
        let builder = ClientBuilder::try_from(config).map_err(|e| Error::from_kube(&e))?;
        Ok(Self { client: builder.with_layer(&ReadOnlyLayer).build(), server, timeout })
    }

    /// Requests a path and returns a successful response.
    ///
    /// # Errors
    /// When there is none in time, or another status.
    pub(crate) async fn get(&self, path: &str) -> Result<Response<Body>, Error> {
        let request = Request::builder().method(Method::GET).uri(path).header("Accept", "application/json");
        let request = request.body(Body::empty()).map_err(|e| Error::invalid_response(path, e))?;
        let response = self.with_timeout(path, self.client.send(request)).await?;
        let response = response.map_err(|e| Error::from_kube(&e).of_server(&self.server))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.status_error(path, response).await)
        }
    }

    /// Requests a path and returns the whole body.
    ///
    /// # Errors
    /// As [`Self::get`], and when it breaks off, or is too long or too slow.
    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.read_body(path, self.get(path).await?.into_body(), MAX_RESPONSE_BYTES).await
    }

    /// Like [`Self::read`], for a page of a list. Pages that share `turns` are read one at a time if they are long:
    /// the permit is returned with the page.
    pub(super) async fn read_page<'t>(
        &self,
        path: &str,
        turns: &'t Semaphore,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'t>>), Error> {
        let mut body = self.get(path).await?.into_body();
        let (mut found, mut turn) = (Vec::new(), None);
        let mut until = Instant::now() + self.timeout * BODY_TIMEOUT_FACTOR;
        while let Some(piece) = self.next_chunk(path, &mut body, until).await? {
            if turn.is_none() && found.len() + piece.len() > LARGE_PAGE_BYTES {
                let asked = Instant::now();
                turn = turns.acquire().await.ok();
                until += asked.elapsed();
            }
            append_chunk(path, &mut found, &piece, MAX_PAGE_BYTES)?;
        }
        Ok((found, turn))
    }

    /// Requests the API server's time, rounded down to seconds.
    ///
    /// # Errors
    /// When there is no answer, or none with a time.
    pub(crate) async fn server_time(&self) -> Result<Timestamp, Error> {
        let response = self.get("/version").await?;
        let date = response.headers().get(http::header::DATE).and_then(|value| value.to_str().ok());
        let date = date.ok_or_else(|| Error::invalid_response("/version", "it has no header `Date`"))?;
        let time = jiff::fmt::rfc2822::parse(date);
        let time =
            time.map_err(|_| Error::invalid_response("/version", "its header `Date` is not a time"))?;
        // Read to its end, so that the connection is reused.
        let _ = self.read_body("/version", response.into_body(), 1 << 20).await;
        Ok(time.timestamp())
    }

    async fn read_body(&self, path: &str, body: Body, max_bytes: usize) -> Result<Vec<u8>, Error> {
        let (mut found, mut body) = (Vec::new(), body);
        let until = Instant::now() + self.timeout * BODY_TIMEOUT_FACTOR;
        while let Some(piece) = self.next_chunk(path, &mut body, until).await? {
            append_chunk(path, &mut found, &piece, max_bytes)?;
        }
        Ok(found)
    }

    /// Returns the next piece of a body; None at its end.
    async fn next_chunk(&self, path: &str, body: &mut Body, until: Instant) -> Result<Option<Bytes>, Error> {
        if until <= Instant::now() {
            return Err(Error::Timeout { path: path.to_owned(), after: self.timeout * BODY_TIMEOUT_FACTOR });
        }
        let Some(frame) = self.with_timeout(path, body.frame()).await? else { return Ok(None) };
        let frame = frame.map_err(|e| Error::unreachable(root_cause(&e)).of_server(&self.server))?;
        Ok(Some(frame.into_data().unwrap_or_default()))
    }

    async fn with_timeout<T>(&self, path: &str, response: impl Future<Output = T>) -> Result<T, Error> {
        let slow = || Error::Timeout { path: path.to_owned(), after: self.timeout };
        tokio::time::timeout(self.timeout, response).await.map_err(|_| slow())
    }

    /// Explains an unsuccessful response.
    async fn status_error(&self, path: &str, response: Response<Body>) -> Error {
        let status = response.status().as_u16();
        let after = response.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        let text = self.read_body(path, response.into_body(), 1 << 20).await.unwrap_or_default();
        let status_object: ErrorStatusWire = serde_json::from_slice(&text).unwrap_or_default();
        let message = status_object.message.unwrap_or_else(|| "no reason given".to_owned());
        match status {
            401 => Error::Unauthorized,
            403 => Error::Forbidden { verb: "get", resource: path.to_owned(), namespace: None, message },
            404 => Error::NotFound { path: path.to_owned() },
            410 => Error::Expired,
            429 => Error::Throttled { after },
            _ => Error::Status { path: path.to_owned(), status, message },
        }
    }
}

/// Appends a piece to a body, unless it becomes too long.
fn append_chunk(path: &str, found: &mut Vec<u8>, piece: &[u8], max_bytes: usize) -> Result<(), Error> {
    let length = found.len() + piece.len();
    if length > max_bytes {
        return Err(Error::ResponseTooLarge { path: path.to_owned(), mebibytes: max_bytes >> 20 });
    }
    if length > found.capacity() {
        // A vector would double its capacity.
        found.reserve_exact(piece.len().max(BUFFER_STEP_BYTES.min(max_bytes - found.len())));
    }
    found.extend_from_slice(piece);
    Ok(())
}

/// Returns an address as messages have it: without a user and password.
fn address_text(url: &http::Uri) -> String {
    let (scheme, host) = (url.scheme_str().unwrap_or("https"), url.host().unwrap_or_default());
    let port = url.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    format!("{scheme}://{host}{port}{}", url.path().trim_end_matches('/'))
}

/// Refuses to send credentials unencrypted, except to a loopback address.
fn refuse_plain_http(config: &Config) -> Result<(), Error> {
    let auth = &config.auth_info;
    let is_secret = auth.token.is_some()
        || auth.token_file.is_some()
        || auth.password.is_some()
        || auth.exec.is_some()
        || auth.auth_provider.is_some();
    let host = config.cluster_url.host().unwrap_or_default();
    if is_secret && config.cluster_url.scheme_str() != Some("https") && !is_loopback(host) {
        let reason = format!(
            "the API server's address `http://{host}` would get the kubeconfig's credentials in the clear: use https://, or remove the credentials"
        );
        return Err(Error::Configuration { reason });
    }
    Ok(())
}

/// The message of a `Status` object.
#[derive(Deserialize, Default)]
struct ErrorStatusWire {
    message: Option<String>,
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The lines of a watch.
pub(super) struct WatchLines {
    path: String,
    body: Body,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were returned.
    start: usize,
    /// Bytes of the buffer that contain no line end.
    searched: usize,
}

impl WatchLines {
    pub(super) fn new(path: &str, body: Body) -> Self {
        Self { path: path.to_owned(), body, buffer: Vec::new(), start: 0, searched: 0 }
    }

    /// Returns the next line; None at the end. Cancellation loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
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
            if self.searched > MAX_LINE_BYTES {
                return Err(Error::invalid_response(&self.path, "a line is too long"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(Error::unreachable(root_cause(&error))),
                None if self.searched == 0 => return Ok(None),
                None => {
                    return Err(Error::unreachable("the response was cut off within a line"));
                }
            }
        }
    }
}

/// A layer that refuses every method but GET.
#[derive(Debug, Clone, Copy)]
pub struct ReadOnlyLayer;

impl<S> Layer<S> for ReadOnlyLayer {
    type Service = ReadOnlyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReadOnlyService { inner }
    }
}

/// The service of [`ReadOnlyLayer`].
#[derive(Debug, Clone)]
pub struct ReadOnlyService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ReadOnlyService<S>
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
            return Box::pin(async move { Err(Error::WriteRefused { method }.into()) });
        }
        let response = self.inner.call(request);
        Box::pin(async move { response.await.map_err(Into::into) })
    }
}

/// A client that is rebuilt when its credentials expire.
pub(super) struct ClientHandle {
    context: KubeContext,
    timeout: Duration,
    client: std::sync::RwLock<Arc<ReadOnlyClient>>,
}

impl ClientHandle {
    pub(super) async fn connect(context: KubeContext, timeout: Duration) -> Result<Self, Error> {
        let client = ReadOnlyClient::new(&context, timeout).await?;
        Ok(Self { context, timeout, client: std::sync::RwLock::new(Arc::new(client)) })
    }

    pub(super) fn client(&self) -> Arc<ReadOnlyClient> {
        Arc::clone(&self.client.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Reads the configuration again: client certificates are not renewed otherwise.
    pub(super) async fn renew(&self) {
        if let Ok(client) = ReadOnlyClient::new(&self.context, self.timeout).await {
            *self.client.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::formatdoc;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn nothing_but_get_passes() {
        let echo = tower::service_fn(|request: Request<()>| async move {
            Ok::<_, BoxError>(request.method().to_string())
        });
        let guarded = ReadOnlyLayer.layer(echo);
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "CONNECT", "TRACE", "get"] {
            let request = Request::builder().method(method).uri("/api/v1/pods").body(()).unwrap();
            let error = guarded.clone().oneshot(request).await.unwrap_err();
            let refused = Error::WriteRefused { method: method.to_owned() };
            assert_eq!(error.downcast_ref::<Error>(), Some(&refused));
            assert_eq!(Error::from_kube(&kube::Error::Service(error)), refused);
        }
        let request = Request::builder().uri("/api/v1/pods").body(()).unwrap();
        assert_eq!(guarded.oneshot(request).await.unwrap(), "GET");
    }

    #[tokio::test]
    async fn credentials_are_not_sent_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let made = async |server: &str, user: &str| {
            let text = formatdoc! {"
                apiVersion: v1
                kind: Config
                current-context: c
                clusters:
                - name: c
                  cluster:
                    server: '{server}'
                users:
                - name: c
                  user: {{{user}}}
                contexts:
                - name: c
                  context:
                    cluster: c
                    user: c
            "};
            std::fs::write(&path, text).unwrap();
            let context = KubeContext { kubeconfig: Some(path.clone()), context: None };
            ReadOnlyClient::new(&context, Duration::from_secs(1)).await.map(drop)
        };
        for user in [
            "token: top-secret",
            "username: u, password: top-secret",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: top-secret, interactiveMode: Never}",
        ] {
            for server in ["http://api.example:6443", "http://10.0.0.1", "http://[2001:db8::1]:80"] {
                let error = made(server, user).await.unwrap_err();
                assert!(error.to_string().contains("in the clear"), "{server} {user}: {error}");
                assert!(!error.to_string().contains("top-secret"));
                assert!(!error.is_retryable());
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
        let context = KubeContext { kubeconfig: Some(path), context: None };
        let error = ReadOnlyClient::new(&context, Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, Error::Configuration { .. }));
        assert!(!format!("{error} {error:?}").contains("top-secret"), "{error}");
        assert!(!error.is_retryable());
    }
}
