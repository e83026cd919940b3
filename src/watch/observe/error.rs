//! Errors of observing a cluster: whether a retry may succeed, and what to do.
//!
//! Messages consist of fixed words, numbers, addresses and the API server's own messages; never of a header, a
//! credential or the output of a credential plugin.

use crate::model::suggestion::closest_match;
use kube::client::AuthError;
use kube::config::{InClusterError, KubeconfigError};
use std::sync::Arc;
use std::time::Duration;

/// Why a request to a cluster failed. Each message says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration names no cluster.
    #[error("{reason}")]
    Configuration {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There are no credentials, or the credential plugin failed.
    #[error("no credentials for the cluster: {reason}")]
    Credentials {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A write request; it was not sent.
    #[error("pillion only reads from a cluster: a {method} request was refused before it was sent")]
    WriteRefused {
        /// The method.
        method: String,
    },
    /// The connection failed.
    #[error("cannot reach the API server{}: {reason}{}", at(.server.as_ref()), how_to_try(.server.as_ref()))]
    Unreachable {
        /// The server; None: an answer has begun, and its end is missing.
        server: Option<ServerAddress>,
        /// The reason of the network or TLS.
        reason: String,
    },
    /// No answer in time.
    #[error("the API server did not answer `{path}` within {} s", .after.as_secs())]
    Timeout {
        /// The requested path.
        path: String,
        /// The timeout.
        after: Duration,
    },
    /// An answer is too long.
    #[error("the API server's answer to `{path}` is longer than {mebibytes} MiB")]
    ResponseTooLarge {
        /// The requested path.
        path: String,
        /// The limit.
        mebibytes: usize,
    },
    /// The lists exceed the memory limit.
    #[error(
        "the lists of the cluster take more than {mebibytes} MiB: watch fewer namespaces (`--namespace`), or allow more (`--list-memory`)"
    )]
    MemoryExceeded {
        /// The limit of all lists together.
        mebibytes: usize,
    },
    /// 401.
    #[error("the API server rejects the credentials (401): renew the token or certificate of this context")]
    Unauthorized,
    /// 403.
    #[error("pillion may not {verb} {resource} {}: {message}", within(.namespace.as_deref()))]
    Forbidden {
        /// `list` or `watch`.
        verb: &'static str,
        /// `deployments.apps`, `pods`.
        resource: String,
        /// None: in all namespaces.
        namespace: Option<Arc<str>>,
        /// The server's message.
        message: String,
    },
    /// 404: the kind was removed, or the address is not an API server.
    #[error("the API server does not serve `{path}` (404)")]
    NotFound {
        /// The requested path.
        path: String,
    },
    /// 410, or an event that says so: the last known version is too old.
    #[error("the API server no longer has the version that was read last (410): the list is read again")]
    Expired,
    /// 429.
    #[error("the API server asks for fewer requests (429)")]
    Throttled {
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// Another status.
    #[error("the API server answered `{path}` with {status}: {message}")]
    Status {
        /// The requested path.
        path: String,
        /// The status.
        status: u16,
        /// The server's message.
        message: String,
    },
    /// An invalid answer.
    #[error(
        "invalid response to `{path}`: {reason}; check that the address is that of a Kubernetes API server"
    )]
    InvalidResponse {
        /// The requested path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A bug: the runtime has ended.
    #[error("the runtime of the observers has ended: restart pillion")]
    RuntimeStopped,
}

/// An API server, as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// `https://10.0.0.1:6443`.
    pub(super) url: Arc<str>,
    /// The context of the kubeconfig; None in a pod.
    pub(super) context: Option<Arc<str>>,
}

fn at(server: Option<&ServerAddress>) -> String {
    server.map_or_else(String::new, |server| {
        let context = server.context.as_ref().map_or_else(String::new, |name| format!(" (context `{name}`)"));
        format!(" at {}{context}", server.url)
    })
}

fn how_to_try(server: Option<&ServerAddress>) -> String {
    let context = server.and_then(|server| server.context.as_ref());
    // A name that a shell would interpret is not in a command to copy.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/".contains(c);
    context.filter(|name| name.chars().all(is_plain)).map_or_else(String::new, |name| {
        format!(
            "; check the address and the network: `kubectl --context {name} version` asks the same server"
        )
    })
}

/// What to do without a kubeconfig.
const SET_KUBECONFIG: &str =
    "set KUBECONFIG to the file that kubectl uses, and choose one of its contexts with `--context NAME`";

/// The message when a client can no longer be used.
const CONNECTION_CLOSED: &str = "the connection was closed; a new one is opened";

fn within(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "in all namespaces".to_owned(), |name| format!("in namespace {name}"))
}

impl Error {
    /// Returns whether a retry may succeed without a change by a person.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::Expired
                | Self::Throttled { .. }
                | Self::InvalidResponse { .. }
                | Self::ResponseTooLarge { .. }
                | Self::MemoryExceeded { .. }
        ) || matches!(self, Self::Status { status, .. } if *status >= 500)
    }

    /// Returns the pause that the server asks for.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Throttled { after: Some(after) } => *after,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn invalid_response(path: &str, reason: impl ToString) -> Self {
        Self::InvalidResponse { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Converts an error of kube, from building a client or sending a request.
    pub(super) fn from_kube(error: &kube::Error) -> Self {
        match error {
            kube::Error::Auth(error) => return Self::from_auth(error),
            kube::Error::InferKubeconfig(error) => return Self::from_kubeconfig(error, &[]),
            kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
                let reason =
                    "the kubeconfig names a proxy (`proxy-url`), which pillion cannot use: remove it"
                        .to_owned();
                return Self::Configuration { reason };
            }
            kube::Error::RustlsTls(error) => {
                let reason = format!("the certificates of the kubeconfig cannot be used for TLS: {error}");
                return Self::Configuration { reason };
            }
            _ => {}
        }
        let mut deepest: &(dyn std::error::Error + 'static) = error;
        loop {
            if let Some(error) = deepest.downcast_ref::<AuthError>() {
                return Self::from_auth(error);
            }
            if let Some(Self::WriteRefused { method }) = deepest.downcast_ref::<Self>() {
                return Self::WriteRefused { method: method.clone() };
            }
            let Some(source) = deepest.source() else { break };
            deepest = source;
        }
        let reason = deepest.to_string();
        // tower reports its internal queue, which means nothing to a user.
        if reason.contains("buffer's worker closed") {
            return Self::unreachable(CONNECTION_CLOSED);
        }
        Self::unreachable(reason)
    }

    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        Self::Unreachable { server: None, reason: reason.into() }
    }

    /// Adds the server that a request was for.
    pub(super) fn of_server(self, server: &ServerAddress) -> Self {
        match self {
            Self::Unreachable { reason, .. } => Self::Unreachable { server: Some(server.clone()), reason },
            other => other,
        }
    }

    /// Returns whether a client with the current configuration may succeed.
    pub(super) fn needs_new_client(&self) -> bool {
        match self {
            Self::Unauthorized | Self::Credentials { .. } => true,
            Self::Unreachable { reason, .. } => reason == CONNECTION_CLOSED,
            _ => false,
        }
    }

    /// kube's messages contain the output of the plugin, and so the token.
    fn from_auth(error: &AuthError) -> Self {
        let reason = match error {
            AuthError::AuthExecRun { cmd, out } => {
                let program = cmd.split_whitespace().next().unwrap_or("");
                let program = program.trim_matches(['"', '\'']);
                format!("the plugin `{program}` failed ({}): run it by hand to see why", out.status)
            }
            AuthError::AuthExecStart(error) => {
                format!("the plugin of the kubeconfig's user cannot be run: {error}")
            }
            AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
                "the plugin of the kubeconfig's user printed no ExecCredential".to_owned()
            }
            AuthError::ReadTokenFile(error, path) => {
                format!("the token file `{}` cannot be read: {error}", path.display())
            }
            AuthError::MissingCommand => "the kubeconfig's user has `exec` without `command`".to_owned(),
            AuthError::InvalidBearerToken(_) => {
                "the token has characters that a header cannot have: check it for a line break".to_owned()
            }
            AuthError::InvalidBasicAuth(_) => {
                "the user name or password has characters that a header cannot have".to_owned()
            }
            _ => "the kubeconfig's user cannot be used: try a service account's token".to_owned(),
        };
        Self::Credentials { reason }
    }

    /// The parser's messages may quote the file, and so a token. `contexts` are those of the kubeconfig.
    pub(super) fn from_kubeconfig(error: &KubeconfigError, contexts: &[&str]) -> Self {
        let reason = match error {
            KubeconfigError::Parse(_) => {
                "the kubeconfig is not valid: run `kubectl config view` to see where".to_owned()
            }
            KubeconfigError::CurrentContextNotSet => {
                "the kubeconfig has no current-context: name a context in pillion.yaml, or run `kubectl config use-context`".to_owned()
            }
            KubeconfigError::LoadContext(name) => {
                let near = closest_match(name, contexts.iter().copied());
                let near = near.map_or(";".to_owned(), |near| format!(", but `{near}`: did you mean that?"));
                format!("the kubeconfig has no context `{name}`{near} `kubectl config get-contexts` lists them")
            }
            KubeconfigError::LoadClusterOfContext(name) => {
                format!("the context's cluster `{name}` is not in the kubeconfig")
            }
            KubeconfigError::FindPath => {
                "there is no kubeconfig and this is not a pod: set KUBECONFIG".to_owned()
            }
            KubeconfigError::ReadConfig(error, path) => {
                format!("the kubeconfig `{}` cannot be read: {error}; {SET_KUBECONFIG}", path.display())
            }
            other => other.to_string(),
        };
        Self::Configuration { reason }
    }

    /// Converts the error of the service account of a pod, where there is no kubeconfig: `missing` says so.
    pub(super) fn from_in_cluster(error: &InClusterError, missing: &KubeconfigError) -> Self {
        let kubeconfig = match missing {
            KubeconfigError::ReadConfig(_, path) => format!("there is no kubeconfig `{}`", path.display()),
            KubeconfigError::CurrentContextNotSet => "the kubeconfig has no current-context".to_owned(),
            _ => "there is no kubeconfig".to_owned(),
        };
        let reason = match error {
            InClusterError::ReadEnvironmentVariable(_) => {
                format!("{kubeconfig}, and pillion does not run in a pod: {SET_KUBECONFIG}")
            }
            error => format!(
                "{kubeconfig}, and the service account of the pod cannot be used ({error}): mount its token (`automountServiceAccountToken: true`)"
            ),
        };
        Self::Configuration { reason }
    }
}
