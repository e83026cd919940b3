//! Observes a cluster through a server that fails on purpose: a snapshot is complete and correct, or there is no
//! evidence.

use crate::support::fake_cluster::{FakeCluster, Fault};
use pillion::model::workload::WorkloadKinds;
use pillion::watch::observe::{
    Error, KubeContext, MemoryBudget, Observer, ObserverSettings, StaleData, runtime,
};
use pillion::watch::snapshot::{ObservationScope, Snapshot};
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub(super) const WEB: &str = "Deployment.apps/shop/web";

pub(super) struct Seen {
    observer: Observer,
    /// How often it looked.
    looks: Cell<usize>,
    wakes: Arc<AtomicUsize>,
    woken: Receiver<()>,
    _runtime: tokio::runtime::Runtime,
}

pub(super) fn settings() -> ObserverSettings {
    ObserverSettings {
        grace: Duration::from_millis(500),
        timeout: Duration::from_secs(2),
        page_size: 3,
        watch_duration: Duration::from_secs(30),
        settle_time: Duration::from_millis(50),
        initial_backoff: Duration::from_millis(20),
        max_backoff: Duration::from_millis(100),
        rediscovery_interval: Duration::from_millis(50),
        memory: MemoryBudget::default(),
    }
}

pub(super) fn wanted(kinds: &[(&str, &str)], namespaces: &[&str]) -> ObservationScope {
    let all = WorkloadKinds::default();
    let kinds = kinds.iter().map(|(version, kind)| Arc::clone(all.find(version, kind).unwrap()));
    ObservationScope {
        kinds: kinds.collect(),
        namespaces: namespaces.iter().map(|n| Arc::from(*n)).collect(),
    }
}

fn watch_with(cluster: &FakeCluster, wanted: ObservationScope, settings: ObserverSettings) -> Seen {
    let runtime = runtime().unwrap();
    let (sender, woken) = channel();
    let place = KubeContext { kubeconfig: Some(cluster.kubeconfig()), context: None };
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&wakes);
    let wake = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = sender.send(());
    };
    let observer = Observer::start_at(runtime.handle(), place, wanted, settings, wake).unwrap();
    Seen { observer, looks: Cell::new(0), wakes, woken, _runtime: runtime }
}

/// Watches Deployments, in all namespaces.
pub(super) fn watch(cluster: &FakeCluster) -> Seen {
    watch_with(cluster, wanted(&[("apps/v1", "Deployment")], &[]), settings())
}

impl Seen {
    /// Looks until it is so.
    pub(super) fn until(
        &self,
        what: &str,
        is_so: impl Fn(&Result<Snapshot, StaleData>) -> bool,
    ) -> Result<Snapshot, StaleData> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let look = self.observer.snapshot();
            self.looks.set(self.looks.get() + 1);
            if is_so(&look) {
                return look;
            }
            assert!(Instant::now() < deadline, "{what}: {look:?}");
            let _ = self.woken.recv_timeout(Duration::from_millis(20));
        }
    }

    pub(super) fn until_pods(&self, key: &str, names: &[&str]) -> Snapshot {
        let is_so = |look: &Result<Snapshot, StaleData>| {
            let pods = look.as_ref().ok().and_then(|s| s.workloads.get(key));
            pods.is_some_and(|w| w.pods.keys().map(|n| &**n).eq(names.iter().copied()))
        };
        self.until(&format!("{key} has the pods {names:?}"), is_so).unwrap()
    }

    /// Waits until it watches, beyond having read.
    pub(super) fn until_watched(&self, cluster: &FakeCluster, list: &str) {
        let _ = self.until("it is watched", |_| cluster.watchers(list) > 0);
    }

    pub(super) fn until_blind(&self) -> StaleData {
        let is_blind = |look: &Result<Snapshot, StaleData>| {
            look.as_ref().is_err_and(|e| e.error.as_ref().is_some_and(|f| *f != Error::Expired))
        };
        self.until("there is no evidence", is_blind).unwrap_err()
    }
}

fn object(kind: &str, name: &str, owner: Option<&str>) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": "1"}, "labels": {"pod-template-hash": "abc"}},
        "spec": {"replicas": 2, "containers": [{"name": "app", "image": "app:1"}], "template": {"spec": {}}},
        "status": {"phase": "Running", "observedGeneration": 1},
    });
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] = json!([{"uid": format!("u-{owner}"), "controller": true}]);
    }
    object
}

fn pod(name: &str) -> Value {
    object("Pod", name, Some("web-abc"))
}

/// A Deployment with two pods.
pub(super) fn shop() -> FakeCluster {
    let cluster = FakeCluster::start();
    cluster.put("apps/v1/deployments", object("Deployment", "web", None));
    cluster.put("apps/v1/replicasets", object("ReplicaSet", "web-abc", Some("web")));
    cluster.put("v1/pods", pod("a"));
    cluster.put("v1/pods", pod("b"));
    cluster
}

#[test]
fn a_list_is_read_in_pages_and_then_watched() {
    let cluster = shop();
    for number in 0..8 {
        cluster.put("v1/pods", pod(&format!("c{number}")));
    }
    let seen = watch(&cluster);
    let names = ["a", "b", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    let snapshot = seen.until_pods(WEB, &names);
    let web = &snapshot.workloads[WEB];
    assert_eq!((web.update_revision.as_deref(), web.desired), (Some("abc"), Some(2)));
    assert_eq!(web.pods["a"].revision.as_deref(), Some("abc"));
    assert_eq!(cluster.count(&["/pods?limit=3"]), 4);

    cluster.delete("v1/pods", "shop", "a");
    cluster.put("v1/pods", pod("d"));
    let mut changed = pod("b");
    changed["status"]["phase"] = json!("Failed");
    cluster.put("v1/pods", changed);
    seen.until_pods(WEB, &["b", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "d"]);
    let is_failed = |look: &Result<Snapshot, StaleData>| {
        look.as_ref()
            .is_ok_and(|s| s.workloads[WEB].pods["b"].phase == pillion::watch::snapshot::PodPhase::Failed)
    };
    seen.until("the pod failed", is_failed).unwrap();
    assert_eq!(cluster.count(&["/pods?limit=3"]), 4, "what is watched is not listed again");
    cluster.assert_only_read();
}

#[test]
fn a_change_wakes_once_a_look() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    for name in ["c", "d", "e", "f"] {
        cluster.put("v1/pods", pod(name));
    }
    seen.until_pods(WEB, &["a", "b", "c", "d", "e", "f"]);
    while seen.woken.try_recv().is_ok() {}
    let _ = seen.until("it looks", |_| true);
    cluster.put("v1/pods", pod("g"));
    seen.woken.recv_timeout(Duration::from_secs(60)).unwrap();
    let (looks, wakes) = (seen.looks.get(), seen.wakes.load(Ordering::SeqCst));
    assert!(wakes <= looks + 1, "{wakes} wakes, {looks} looks");
}

#[test]
fn an_expired_watch_is_listed_again() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    seen.until_watched(&cluster, "v1/pods");
    let deaf = cluster.go_deaf("v1/pods");
    cluster.delete("v1/pods", "shop", "a");
    cluster.put("v1/pods", pod("c"));
    cluster.forget();
    // As an event of a watch that began with a success, as a status, and in the middle.
    drop(deaf);
    seen.until_pods(WEB, &["b", "c"]);
    assert_eq!(cluster.count(&["/pods?limit=3"]), 2);
    cluster.fail(&["/pods", "watch=1"], Fault::Status(410, "too old"), 1);
    cluster.hang_up("v1/pods");
    cluster.put("v1/pods", pod("d"));
    seen.until_pods(WEB, &["b", "c", "d"]);
    seen.until_watched(&cluster, "v1/pods");
    cluster.say("v1/pods", r#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#);
    cluster.put("v1/pods", pod("e"));
    seen.until_pods(WEB, &["b", "c", "d", "e"]);
    cluster.assert_only_read();
}

#[test]
fn a_list_that_expires_between_pages_is_read_again() {
    let cluster = shop();
    for number in 0..8 {
        cluster.put("v1/pods", pod(&format!("c{number}")));
    }
    cluster.fail(&["/pods", "continue="], Fault::Status(410, "too old"), 100);
    let seen = watch(&cluster);
    // Without pages, because pages do not work.
    seen.until_pods(WEB, &["a", "b", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"]);
}

#[test]
fn a_connection_that_breaks_goes_on_where_it_was() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    seen.until_watched(&cluster, "v1/pods");
    cluster.fail(&["/pods", "watch=1"], Fault::Broken, 2);
    cluster.hang_up("v1/pods");
    cluster.put("v1/pods", pod("c"));
    cluster.delete("v1/pods", "shop", "b");
    seen.until_pods(WEB, &["a", "c"]);
    assert_eq!(cluster.count(&["/pods?limit=3"]), 1, "nothing was lost, so nothing is listed again");
    assert_eq!(cluster.count(&["/pods", "resourceVersion=104"]), 4);
}

#[test]
fn a_watch_that_stays_away_is_no_evidence() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    cluster.fail(&["/pods", "watch=1"], Fault::Status(503, "overloaded"), usize::MAX);
    cluster.hang_up("v1/pods");
    let why = seen.until_blind();
    assert!(why.message.contains("pods") && why.message.contains("overloaded"), "{why}");
    assert!(why.since.elapsed() > settings().grace);
    cluster.put("v1/pods", pod("c"));
    cluster.heal();
    seen.until_pods(WEB, &["a", "b", "c"]);
}

#[test]
fn a_watch_that_ends_at_once_is_no_evidence() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    cluster.fail(&["/replicasets", "watch=1"], Fault::Empty, usize::MAX);
    cluster.hang_up("apps/v1/replicasets");
    let why = seen.until_blind();
    assert!(why.message.contains("replicasets.apps"), "{why}");
}

#[test]
fn a_list_that_fails_is_tried_again() {
    let cluster = shop();
    cluster.fail(&["/deployments"], Fault::Status(500, "etcd is away"), 3);
    cluster.fail(&["/pods"], Fault::Status(429, "later"), 2);
    cluster.fail(&["/replicasets"], Fault::Broken, 2);
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    cluster.assert_only_read();
}

#[test]
fn what_is_forbidden_is_named_with_the_role_that_is_lacking() {
    let cluster = shop();
    cluster.fail(&["/replicasets"], Fault::Status(403, "User \"watcher\" cannot list"), usize::MAX);
    let seen = watch_with(&cluster, wanted(&[("apps/v1", "Deployment")], &["shop"]), settings());
    let why = seen.until_blind();
    assert!(
        why.message.contains("pillion may not list replicasets.apps in namespace shop"),
        "the verb, the resource and the namespace are named: {why}"
    );
    let failure = why.error.clone().unwrap();
    assert!(matches!(failure, Error::Forbidden { .. }) && !failure.is_retryable());
    let role = why.role.clone().unwrap();
    assert!(role.contains("kind: Role\n") && role.contains("namespace: shop"), "{role}");
    assert!(role.contains("resources: [deployments, replicasets], verbs: [get, list, watch]"), "{role}");
    assert!(!format!("{why:?} {why}").contains("top-secret"));
    // The role is applied.
    cluster.heal();
    seen.until_pods(WEB, &["a", "b"]);
}

/// L20: a buffer and its worker mean nothing to a user.
#[test]
fn credentials_that_are_refused_are_said_to_be() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    cluster.fail(&["/"], Fault::Status(401, "Unauthorized"), usize::MAX);
    for list in ["v1/pods", "apps/v1/deployments", "apps/v1/replicasets"] {
        cluster.hang_up(list);
    }
    let first = seen.until_blind();
    let mut messages = vec![first.to_string()];
    for _ in 0..60 {
        let _ = seen.woken.recv_timeout(Duration::from_millis(20));
        messages.extend(seen.observer.snapshot().err().map(|none| none.to_string()));
    }
    assert!(messages.iter().any(|s| s.contains("rejects the credentials (401)")), "{messages:?}");
    assert!(messages.iter().all(|s| !s.contains("buffer") && !s.contains("worker")), "{messages:?}");
    cluster.heal();
    seen.until_pods(WEB, &["a", "b"]);
}

#[test]
fn only_the_namespaces_that_are_wanted_are_read() {
    let cluster = shop();
    let mut elsewhere = pod("elsewhere");
    elsewhere["metadata"]["namespace"] = json!("bank");
    cluster.put("v1/pods", elsewhere);
    let seen = watch_with(&cluster, wanted(&[("apps/v1", "Deployment")], &["shop", "tools"]), settings());
    seen.until_pods(WEB, &["a", "b"]);
    for list in ["pods", "deployments", "replicasets"] {
        assert_eq!(cluster.count(&["/v1/", list]), cluster.count(&["/v1/namespaces/", list]));
        assert!(cluster.count(&["/namespaces/tools/", list]) > 0);
    }
    cluster.put("v1/pods", pod("c"));
    seen.until_pods(WEB, &["a", "b", "c"]);
}

#[test]
fn no_answer_is_no_evidence() {
    let cluster = shop();
    cluster.fail(&["/pods"], Fault::Silence, usize::MAX);
    let seen = watch_with(
        &cluster,
        wanted(&[("apps/v1", "Deployment")], &[]),
        ObserverSettings { timeout: Duration::from_millis(700), ..settings() },
    );
    assert!(seen.observer.snapshot().is_err(), "what was not read yet is not empty");
    let why = seen.until_blind();
    assert!(matches!(why.error, Some(Error::Timeout { .. })), "{why}");
    cluster.heal();
    seen.until_pods(WEB, &["a", "b"]);
    // A list of which the head comes, and nothing more.
    cluster.forget();
    cluster.fail(&["/pods?limit"], Fault::Deaf, usize::MAX);
    cluster.hang_up("v1/pods");
    let why = seen.until_blind();
    assert!(matches!(why.error, Some(Error::Timeout { .. })), "{why}");
}

#[test]
fn a_watch_that_fell_silent_is_asked_for_anew() {
    let cluster = shop();
    let quick = ObserverSettings {
        watch_duration: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        ..settings()
    };
    let seen = watch_with(&cluster, wanted(&[("apps/v1", "Deployment")], &[]), quick);
    seen.until_pods(WEB, &["a", "b"]);
    seen.until_watched(&cluster, "v1/pods");
    let deaf = cluster.go_deaf("v1/pods");
    cluster.put("v1/pods", pod("c"));
    seen.until_pods(WEB, &["a", "b", "c"]);
    drop(deaf);
}

#[test]
fn the_servers_clock_counts() {
    let cluster = shop();
    cluster.date("Thu, 01 Jan 2004 10:00:00 GMT");
    let seen = watch(&cluster);
    let snapshot = seen.until_pods(WEB, &["a", "b"]);
    assert_eq!(snapshot.now.to_string(), "2004-01-01T10:00:00Z");
    // Without an answer it stands still; not for long.
    cluster.fail(&["/version"], Fault::Status(500, "no time"), usize::MAX);
    assert_eq!(seen.observer.snapshot().unwrap().now, snapshot.now);
    let why = seen.until_blind();
    assert!(why.message.contains("the API server's time is unknown"), "{why}");
    cluster.heal();
    cluster.date("whenever");
    let why = seen.until_blind();
    assert!(matches!(why.error, Some(Error::InvalidResponse { .. })), "{why}");
}

#[test]
fn time_stands_still_while_a_list_is_not_seen() {
    let cluster = shop();
    cluster.date("Thu, 01 Jan 2004 10:00:00 GMT");
    let patient = ObserverSettings { grace: Duration::from_secs(60), ..settings() };
    let seen = watch_with(&cluster, wanted(&[("apps/v1", "Deployment")], &[]), patient);
    let known =
        |look: &Result<Snapshot, StaleData>| look.as_ref().map(|s| s.now.to_string()).unwrap_or_default();
    let is_whole = |look: &_| known(look) == "2004-01-01T10:00:00Z";
    let _ = seen.until("all is seen", is_whole);
    cluster.fail(&["/pods", "watch=1"], Fault::Status(503, "overloaded"), usize::MAX);
    cluster.hang_up("v1/pods");
    let is_back = |look: &_| *known(look) < *"2004-01-01T09:59:59Z" && !known(look).is_empty();
    let _ = seen.until("the moment of the last look stays behind", is_back);
    cluster.heal();
    let _ = seen.until("all is seen again", is_whole);
}

#[test]
fn a_kind_that_is_installed_later_is_noticed() {
    let cluster = shop();
    let kinds = wanted(&[("apps/v1", "Deployment"), ("apps.kruise.io/v1alpha1", "CloneSet")], &[]);
    let seen = watch_with(&cluster, kinds, settings());
    seen.until_pods(WEB, &["a", "b"]);
    assert_eq!(seen.observer.missing(), ["CloneSet.apps.kruise.io"]);
    let list = "apps.kruise.io/v1alpha1/clonesets";
    cluster.serve(list, "CloneSet");
    cluster.put(list, object("CloneSet", "front", None));
    cluster.put("v1/pods", object("Pod", "front-1", Some("front")));
    let front = "CloneSet.apps.kruise.io/shop/front";
    seen.until_pods(front, &["front-1"]);
    assert!(seen.observer.missing().is_empty());
    // And when it is taken away, it is gone; not at once, and never as if it were still there.
    cluster.take_away(list);
    let is_gone = |look: &Result<Snapshot, StaleData>| {
        look.as_ref().is_ok_and(|s| !s.workloads.contains_key(front) && s.workloads.contains_key(WEB))
    };
    seen.until("the CloneSet is gone", is_gone).unwrap();
    cluster.assert_only_read();
}

#[test]
fn a_group_whose_server_is_away_is_not_one_that_is_not_installed() {
    let cluster = shop();
    cluster.serve("apps.kruise.io/v1alpha1/clonesets", "CloneSet");
    cluster.fail(&["/apis/apps.kruise.io/v1alpha1"], Fault::Status(503, "no endpoints"), usize::MAX);
    let kinds = wanted(&[("apps/v1", "Deployment"), ("apps.kruise.io/v1alpha1", "CloneSet")], &[]);
    let seen = watch_with(&cluster, kinds, settings());
    let why = seen.until_blind();
    assert!(why.message.contains("discovery has not succeeded"), "{why}");
    cluster.heal();
    seen.until_pods(WEB, &["a", "b"]);
}

#[test]
fn a_cluster_that_is_away_is_no_evidence_and_no_error() {
    let cluster = shop();
    let path = cluster.kubeconfig();
    let kept = tempfile::tempdir().unwrap();
    let place = KubeContext { kubeconfig: Some(kept.path().join("config")), context: None };
    std::fs::copy(path, kept.path().join("config")).unwrap();
    drop(cluster);
    let runtime = runtime().unwrap();
    let wanted = wanted(&[("apps/v1", "Deployment")], &[]);
    let observer =
        Observer::start_at(runtime.handle(), place.clone(), wanted.clone(), settings(), || {}).unwrap();
    let why = observer.snapshot().unwrap_err();
    assert!(matches!(why.error, Some(Error::Unreachable { .. })), "{why}");
    // What can never work is said at once.
    let place = KubeContext { context: Some("nowhere".to_owned()), ..place };
    let failure = Observer::start_at(runtime.handle(), place, wanted, settings(), || {}).unwrap_err();
    assert!(failure.to_string().contains("no context `nowhere`"), "{failure}");
}

#[test]
fn clusters_are_watched_side_by_side() {
    let (one, other) = (shop(), FakeCluster::start());
    other.put("apps/v1/deployments", object("Deployment", "elsewhere", None));
    let runtime = runtime().unwrap();
    let observers: Vec<Observer> = [&one, &other]
        .iter()
        .map(|cluster| {
            let place =
                KubeContext { kubeconfig: Some(cluster.kubeconfig()), context: Some("fake".to_owned()) };
            let wanted = wanted(&[("apps/v1", "Deployment")], &[]);
            Observer::start_at(runtime.handle(), place, wanted, settings(), || {}).unwrap()
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    for (observer, key) in observers.iter().zip([WEB, "Deployment.apps/shop/elsewhere"]) {
        while !observer.snapshot().is_ok_and(|s| s.workloads.keys().map(|k| &**k).eq([key])) {
            assert!(Instant::now() < deadline, "{key} is not seen");
            std::thread::yield_now();
        }
    }
}
