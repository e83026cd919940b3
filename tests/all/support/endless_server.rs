//! An API server with lists that never end.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use indoc::formatdoc;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endless {
    /// Pages with objects of their own.
    Pages,
    /// One page, with the same token each time.
    SamePage,
    /// Pages without objects, with tokens of their own.
    EmptyPages,
    /// The text of a page.
    Text,
    /// Pages, each with one object of many MiB.
    BigObjects,
}

/// The server; it ends with the tests.
pub(crate) struct EndlessServer {
    folder: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

impl EndlessServer {
    pub(crate) fn start(what: Endless) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(move |uri: Uri| {
            let counted = Arc::clone(&counted);
            async move { answer(what, &uri, &counted) }
        });
        thread::spawn(move || runtime.block_on(async { axum::serve(listener, routes).await }));
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = formatdoc! {"
            apiVersion: v1
            kind: Config
            current-context: c
            clusters:
            - name: c
              cluster:
                server: 'http://{address}'
            users:
            - name: c
              user: {{}}
            contexts:
            - name: c
              context:
                cluster: c
                user: c
        "};
        std::fs::write(folder.path().join("config"), kubeconfig).unwrap();
        Self { folder, asked }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// How many pages of lists were asked for.
    pub(crate) fn pages(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(what: Endless, uri: &Uri, asked: &AtomicUsize) -> Response {
    let whole = |value: Value| value.to_string().into_response();
    let served = |resources: &[(&str, &str)]| {
        let one = |(name, kind): &(&str, &str)| json!({"name": name, "kind": kind, "namespaced": true, "verbs": ["list", "watch"]});
        whole(json!({"kind": "APIResourceList", "resources": resources.iter().map(one).collect::<Vec<_>>()}))
    };
    match uri.path() {
        "/version" => return whole(json!({"gitVersion": "v1.36.0"})),
        "/apis" => {
            let version = json!({"groupVersion": "apps/v1", "version": "v1"});
            let apps = json!({"name": "apps", "versions": [version], "preferredVersion": version});
            return whole(json!({"kind": "APIGroupList", "groups": [apps]}));
        }
        "/api/v1" => return served(&[("pods", "Pod")]),
        "/apis/apps/v1" => {
            return served(&[
                ("deployments", "Deployment"),
                ("replicasets", "ReplicaSet"),
                ("statefulsets", "StatefulSet"),
                ("daemonsets", "DaemonSet"),
                ("controllerrevisions", "ControllerRevision"),
            ]);
        }
        _ => {}
    }
    let page = asked.fetch_add(1, Ordering::SeqCst);
    if what == Endless::Text {
        let piece = Bytes::from(" ".repeat(1 << 20));
        let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"kind\": \"PodList\","))]);
        let rest = stream::repeat_with(move || Ok(piece.clone()));
        return Body::from_stream(futures_util::StreamExt::chain(start, rest)).into_response();
    }
    let items: Vec<Value> = match what {
        Endless::SamePage => (0..500).map(|n| object(&n.to_string(), "")).collect(),
        Endless::Pages => (0..500).map(|n| object(&format!("{page}-{n}"), "")).collect(),
        Endless::BigObjects => vec![object(&page.to_string(), &"[0,0],".repeat(4 << 20))],
        Endless::EmptyPages | Endless::Text => Vec::new(),
    };
    let token = if what == Endless::SamePage { "again".to_owned() } else { page.to_string() };
    whole(json!({"kind": "List", "metadata": {"resourceVersion": "1", "continue": token}, "items": items}))
}

fn object(name: &str, note: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "annotations": {"note": note}},
        "spec": {"containers": [{"name": "app", "image": "app:1"}], "template": {"spec": {}}}, "status": {"phase": "Running"}})
}
