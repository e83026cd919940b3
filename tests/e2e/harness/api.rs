//! Reads from the API server that cost a millisecond: plain HTTP to `kubectl proxy`.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// Where `kubectl proxy` listens.
pub(crate) const PORT: u16 = 8001;

/// A kind of object by its path: `/api/v1` or `/apis/GROUP/VERSION`, and the plural.
#[derive(Clone, Copy)]
pub(crate) struct Kind(&'static str, &'static str);

pub(crate) const NODES: Kind = Kind("/api/v1", "nodes");
pub(crate) const PODS: Kind = Kind("/api/v1", "pods");
pub(crate) const SERVICE_ACCOUNTS: Kind = Kind("/api/v1", "serviceaccounts");
pub(crate) const JOBS: Kind = Kind("/apis/batch/v1", "jobs");
pub(crate) const DEPLOYMENTS: Kind = Kind("/apis/apps/v1", "deployments");
pub(crate) const STATEFUL_SETS: Kind = Kind("/apis/apps/v1", "statefulsets");
pub(crate) const CRDS: Kind = Kind("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions");
pub(crate) const SIDECAR_SETS: Kind = Kind("/apis/apps.kruise.io/v1alpha1", "sidecarsets");
pub(crate) const APPLICATIONS: Kind = Kind("/apis/argoproj.io/v1alpha1", "applications");
pub(crate) const CLONE_SETS: Kind = Kind("/apis/apps.kruise.io/v1alpha1", "clonesets");

impl Kind {
    /// The path of an object, or of the list with an empty name; without a namespace those of the cluster.
    pub(crate) fn path(self, namespace: Option<&str>, name: &str) -> String {
        let within = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        let last = if name.is_empty() { String::new() } else { format!("/{name}") };
        format!("{}{within}/{}{last}", self.0, self.1)
    }
}

/// An object or a list, or what is wrong with it in the words of the server.
pub(crate) fn get(path: &str) -> Result<Value, String> {
    let (status, body) = http(PORT, path)?;
    if status != 200 {
        return Err(format!("{path}: {status} {body}"));
    }
    serde_json::from_str(&body).map_err(|error| format!("{path}: {error}"))
}

/// Changes an object as the administrator, by a strategic merge; a status has a path of its own.
#[track_caller]
pub(crate) fn patch(path: &str, patch: &Value) {
    let (status, body) = send("PATCH", PORT, path, "application/strategic-merge-patch+json", patch).unwrap();
    assert_eq!(status, 200, "{path}: {body}");
}

/// Status and body of the answer to a `POST`.
pub(crate) fn post(port: u16, path: &str, body: &Value) -> Result<(u16, String), String> {
    send("POST", port, path, "application/json", body)
}

fn send(verb: &str, port: u16, path: &str, kind: &str, body: &Value) -> Result<(u16, String), String> {
    let body = body.to_string();
    let request = format!(
        "{verb} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(port, path, &request)
}

/// Status and body of a `GET`.
pub(crate) fn http(port: u16, path: &str) -> Result<(u16, String), String> {
    ask(port, path, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"))
}

/// The events of a list from now on, those of what is there first, until the server ends them.
pub(crate) fn follow(path: &str) -> Result<impl Iterator<Item = Value> + Send + use<>, String> {
    let begin = || -> std::io::Result<_> {
        let mut stream = TcpStream::connect(("127.0.0.1", PORT))?;
        let request = format!("GET {path}?watch=1 HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        Ok(BufReader::new(stream).lines().map_while(Result::ok))
    };
    let mut lines = begin().map_err(|error| format!("{path}: {error}"))?;
    // The head of the answer ends with an empty line.
    let _ = lines.find(String::is_empty);
    Ok(lines.filter_map(|line| serde_json::from_str(&line).ok()))
}

/// Status and body of an answer. As HTTP/1.0 there are no chunks, and the body ends with the connection.
fn ask(port: u16, path: &str, request: &str) -> Result<(u16, String), String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = exchange().map_err(|error| format!("{path}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or("no HTTP status")?;
    Ok((status, body.to_owned()))
}
