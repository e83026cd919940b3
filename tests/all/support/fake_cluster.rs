//! An API server that holds the objects of a test, fails on demand, and records every request. It rejects everything
//! but GET.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use indoc::formatdoc;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, with a `Status` that says why.
    Status(u16, &'static str),
    /// This text, as if it were the answer.
    Text(&'static str),
    /// The head, half a line, and then the connection breaks.
    Broken,
    /// Nothing, for ever.
    Silence,
    /// The head, and then nothing, for ever.
    Deaf,
    /// An empty answer.
    Empty,
}

struct Rule {
    words: Vec<&'static str>,
    fault: Fault,
    times: usize,
}

/// What is sent to those who watch a list.
#[derive(Clone)]
enum WatchItem {
    Text(Bytes),
    Break,
}

#[derive(Default)]
struct ClusterState {
    /// `group/version` to (plural, kind, namespaced).
    served: BTreeMap<String, Vec<(String, String, bool)>>,
    /// `group/version/plural` to `namespace/name` to object.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// What happened to a list, by version.
    history: BTreeMap<String, Vec<(u64, &'static str, Value)>>,
    watchers: Vec<(String, Option<String>, UnboundedSender<WatchItem>)>,
    version: u64,
    /// Versions up to this one are forgotten.
    forgotten: u64,
    rules: Vec<Rule>,
    date: Option<String>,
    asked: Vec<(String, String)>,
}

/// The server; it ends with its runtime, when it is dropped.
pub(crate) struct FakeCluster {
    state: Arc<Mutex<ClusterState>>,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

fn locked(state: &Mutex<ClusterState>) -> MutexGuard<'_, ClusterState> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl FakeCluster {
    /// Serves the kinds of Kubernetes itself that matter.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(ClusterState { version: 100, ..ClusterState::default() }));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let served = Arc::clone(&state);
        runtime.spawn(async move {
            let app = axum::Router::new().fallback(answer).with_state(served);
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = formatdoc! {"
            apiVersion: v1
            kind: Config
            current-context: fake
            clusters:
            - name: fake
              cluster:
                server: 'http://{address}'
            users:
            - name: fake
              user:
                token: top-secret
            contexts:
            - name: fake
              context:
                cluster: fake
                user: fake
        "};
        std::fs::write(folder.path().join("config"), kubeconfig).unwrap();
        let cluster = Self { state, folder, _runtime: runtime };
        for (list, kind) in [
            ("v1/pods", "Pod"),
            ("apps/v1/deployments", "Deployment"),
            ("apps/v1/replicasets", "ReplicaSet"),
            ("apps/v1/statefulsets", "StatefulSet"),
            ("apps/v1/daemonsets", "DaemonSet"),
            ("apps/v1/controllerrevisions", "ControllerRevision"),
        ] {
            cluster.serve(list, kind);
        }
        cluster
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Serves a kind; `list` is `[group/]version/plural`.
    pub(crate) fn serve(&self, list: &str, kind: &str) {
        let (version, plural) = list.rsplit_once('/').unwrap();
        let mut state = locked(&self.state);
        state.served.entry(version.to_owned()).or_default().push((plural.to_owned(), kind.to_owned(), true));
        state.objects.entry(list.to_owned()).or_default();
    }

    /// Serves a kind no more.
    pub(crate) fn take_away(&self, list: &str) {
        let (version, plural) = list.rsplit_once('/').unwrap();
        let mut state = locked(&self.state);
        state.served.entry(version.to_owned()).or_default().retain(|(name, ..)| name != plural);
        state.objects.remove(list);
        state.watchers.retain(|(of, ..)| of != list);
    }

    /// Makes an object or changes it.
    pub(crate) fn put(&self, list: &str, mut object: Value) {
        let mut state = locked(&self.state);
        state.version += 1;
        let version = state.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let place = place(&object);
        let old = state.objects.get_mut(list).unwrap().insert(place, object.clone());
        state.tell(list, version, if old.is_some() { "MODIFIED" } else { "ADDED" }, object);
    }

    pub(crate) fn delete(&self, list: &str, namespace: &str, name: &str) {
        let mut state = locked(&self.state);
        state.version += 1;
        let version = state.version;
        let mut object = state.objects.get_mut(list).unwrap().remove(&format!("{namespace}/{name}")).unwrap();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        state.tell(list, version, "DELETED", object);
    }

    /// Lets requests with a path that holds all these words fail, so many times.
    pub(crate) fn fail(&self, words: &[&'static str], fault: Fault, times: usize) {
        locked(&self.state).rules.push(Rule { words: words.to_vec(), fault, times });
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        locked(&self.state).rules.clear();
    }

    /// Sends a line to those who watch a list.
    pub(crate) fn say(&self, list: &str, line: &str) {
        let item = WatchItem::Text(Bytes::from(format!("{line}\n")));
        locked(&self.state)
            .watchers
            .retain(|(of, _, sender)| of != list || sender.send(item.clone()).is_ok());
    }

    /// How many watch a list.
    pub(crate) fn watchers(&self, list: &str) -> usize {
        locked(&self.state).watchers.iter().filter(|(of, ..)| of == list).count()
    }

    /// Breaks the connections of those who watch a list.
    pub(crate) fn hang_up(&self, list: &str) {
        locked(&self.state)
            .watchers
            .retain(|(of, _, sender)| of != list || sender.send(WatchItem::Break).is_err());
    }

    /// Forgets what happened, so that no watch can go on from what it has seen.
    pub(crate) fn forget(&self) {
        let mut state = locked(&self.state);
        state.history.clear();
        state.version += 1;
        state.forgotten = state.version;
    }

    /// Stops telling those who watch, without a word to them.
    pub(crate) fn go_deaf(&self, list: &str) -> Vec<impl Sized + use<>> {
        let mut state = locked(&self.state);
        let (deaf, rest) = state.watchers.drain(..).partition(|(of, ..)| of == list);
        state.watchers = rest;
        deaf
    }

    /// Sets the clock.
    pub(crate) fn date(&self, date: &str) {
        locked(&self.state).date = Some(date.to_owned());
    }

    /// Every method and path that was asked for.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        locked(&self.state).asked.clone()
    }

    /// How often something was asked for with a path that holds all these words.
    pub(crate) fn count(&self, words: &[&str]) -> usize {
        self.asked().iter().filter(|(_, path)| words.iter().all(|word| path.contains(word))).count()
    }

    /// Nothing but list, watch, discovery and the time was asked for.
    pub(crate) fn assert_only_read(&self) {
        for (method, path) in self.asked() {
            let path = path.split('?').next().unwrap();
            let is_group = ["/api/v1", "/apis"].iter().any(|root| path.starts_with(root));
            // Lists end in a plural; no object is asked for by its name, and no `status` or `exec` of one.
            let depth = path.split('/').count();
            let is_known = path == "/version" || (is_group && depth <= 7 && !path.contains("/exec"));
            assert!(method == "GET" && is_known, "{method} {path} was asked for");
        }
    }
}

fn place(object: &Value) -> String {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or("").to_owned();
    format!("{}/{}", text("namespace"), text("name"))
}

impl ClusterState {
    fn tell(&mut self, list: &str, version: u64, kind: &'static str, object: Value) {
        let line = event(kind, &object);
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        self.history.entry(list.to_owned()).or_default().push((version, kind, object));
        self.watchers.retain(|(of, within, sender)| {
            let is_theirs = of == list && (within.is_none() || *within == namespace);
            !is_theirs || sender.send(WatchItem::Text(line.clone())).is_ok()
        });
    }

    fn groups(&self) -> Value {
        let names: Vec<&String> = self.served.keys().filter(|v| v.contains('/')).collect();
        let group = |version: &&String| {
            let (name, one) = version.split_once('/').unwrap();
            let version = json!({"groupVersion": version, "version": one});
            json!({"name": name, "versions": [version], "preferredVersion": version})
        };
        json!({"kind": "APIGroupList", "groups": names.iter().map(group).collect::<Vec<_>>()})
    }

    fn resources(&self, version: &str) -> Option<Value> {
        let served = self.served.get(version)?;
        let one = |(name, kind, namespaced): &(String, String, bool)| json!({"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["get", "list", "watch"]});
        let mut resources: Vec<Value> = served.iter().map(one).collect();
        resources.push(
            json!({"name": "pods/status", "kind": "Pod", "namespaced": true, "verbs": ["get", "patch"]}),
        );
        Some(json!({"kind": "APIResourceList", "resources": resources}))
    }

    /// A page of a list; the token of the next one is a number and the version.
    fn page(&self, list: &str, namespace: Option<&str>, limit: usize, next: &str) -> Option<Response> {
        let (from, version) = match next.split_once('_') {
            Some((from, version)) => (from.parse().unwrap(), version.parse().unwrap()),
            None => (0, self.version),
        };
        if version < self.forgotten {
            return Some(status(410, "the provided continue parameter is too old"));
        }
        let is_there = |object: &&Value| namespace.is_none_or(|n| object["metadata"]["namespace"] == n);
        let all: Vec<&Value> = self.objects.get(list)?.values().filter(is_there).collect();
        let items: Vec<&Value> = all.iter().skip(from).take(limit).copied().collect();
        let left = all.len() - from - items.len();
        let token = if left > 0 { format!("{}_{version}", from + items.len()) } else { String::new() };
        let (_, plural) = list.rsplit_once('/').unwrap();
        let meta =
            json!({"resourceVersion": version.to_string(), "continue": token, "remainingItemCount": left});
        Some(whole(
            &json!({"kind": format!("{plural}List"), "apiVersion": "v1", "metadata": meta, "items": items}),
        ))
    }

    /// What happened since a version, and then what happens.
    fn watch(&mut self, list: &str, namespace: Option<String>, version: u64) -> Option<Response> {
        self.objects.get(list)?;
        if version < self.forgotten {
            let expired = json!({"kind": "Status", "status": "Failure", "code": 410, "message": "too old resource version"});
            return Some(Body::from(event("ERROR", &expired)).into_response());
        }
        let (sender, receiver) = unbounded_channel();
        for (_, kind, object) in self.history.get(list).into_iter().flatten().filter(|(at, ..)| *at > version)
        {
            if namespace.as_deref().is_none_or(|n| object["metadata"]["namespace"] == n) {
                let _ = sender.send(WatchItem::Text(event(kind, object)));
            }
        }
        self.watchers.push((list.to_owned(), namespace, sender));
        Some(flowing(receiver))
    }
}

fn event(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))
}

fn whole(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn status(code: u16, message: &str) -> Response {
    let status = json!({"kind": "Status", "status": "Failure", "code": code, "message": message});
    (StatusCode::from_u16(code).unwrap(), status.to_string()).into_response()
}

fn flowing(receiver: UnboundedReceiver<WatchItem>) -> Response {
    let parts = stream::unfold(receiver, |mut receiver| async move {
        let part = match receiver.recv().await? {
            WatchItem::Text(text) => Ok(text),
            WatchItem::Break => Err(std::io::Error::other("broken on purpose")),
        };
        Some((part, receiver))
    });
    Body::from_stream(parts).into_response()
}

async fn answer(State(state): State<Arc<Mutex<ClusterState>>>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let fault = {
        let mut state = locked(&state);
        state.asked.push((method.to_string(), uri.to_string()));
        let text = uri.to_string();
        let rule =
            state.rules.iter_mut().find(|r| r.times > 0 && r.words.iter().all(|word| text.contains(word)));
        rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        })
    };
    if method != Method::GET {
        return status(405, "this server is only read");
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    if token != Some("Bearer top-secret") {
        return status(401, "Unauthorized");
    }
    match fault {
        Some(Fault::Status(code, message)) => return status(code, message),
        Some(Fault::Text(text)) => return text.into_response(),
        Some(Fault::Empty) => return Body::empty().into_response(),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Deaf) => {
            return Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()).into_response();
        }
        Some(Fault::Broken) => {
            let parts = [Ok(Bytes::from("{\"type\":\"AD")), Err(std::io::Error::other("broken on purpose"))];
            return Body::from_stream(stream::iter(parts)).into_response();
        }
        None => {}
    }
    let query: BTreeMap<&str, &str> =
        uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')).collect();
    let mut state = locked(&state);
    let path = uri.path().trim_start_matches('/');
    let Some(path) = path.strip_prefix("apis").or_else(|| path.strip_prefix("api")) else {
        let date = state.date.clone();
        let version = whole(&json!({"gitVersion": "v1.36.0"}));
        return match (path, date) {
            ("version", Some(date)) => ([(header::DATE, date)], version).into_response(),
            ("version", None) => version,
            _ => status(404, "page not found"),
        };
    };
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return whole(&state.groups());
    }
    if let Some(resources) = state.resources(path) {
        return whole(&resources);
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    let mut namespace = None;
    if let Some(at) = parts.iter().position(|part| *part == "namespaces") {
        namespace = parts.get(at + 1).map(|name| (*name).to_owned());
        parts.drain(at..at + 2);
    }
    let list = parts.join("/");
    let version = query.get("resourceVersion").and_then(|v| v.parse().ok()).unwrap_or(0);
    let found = if query.get("watch") == Some(&"1") {
        state.watch(&list, namespace, version)
    } else {
        let limit = query.get("limit").and_then(|l| l.parse().ok()).unwrap_or(usize::MAX);
        state.page(&list, namespace.as_deref(), limit, query.get("continue").unwrap_or(&""))
    };
    found.unwrap_or_else(|| status(404, "the server could not find the requested resource"))
}
