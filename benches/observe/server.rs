//! A made-up API server: its pods are written when they are asked for, as big as real ones are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// The cluster that is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClusterSize {
    pub(super) pods: usize,
    /// Pods of one Deployment.
    pub(super) per_deployment: usize,
    /// ReplicaSets of one Deployment: the present one, and those that are kept.
    pub(super) replica_sets: usize,
    pub(super) nodes: usize,
}

impl ClusterSize {
    /// Reads what `words` returns.
    pub(super) fn from_words(words: &[&str]) -> Self {
        let number = |n: usize| words[n].parse().unwrap();
        Self { pods: number(0), per_deployment: number(1), replica_sets: number(2), nodes: number(3) }
    }

    pub(super) fn words(self) -> [String; 4] {
        [self.pods, self.per_deployment, self.replica_sets, self.nodes].map(|number| number.to_string())
    }

    /// The version of the list of pods when every pod has this round.
    fn version(self, round: usize) -> usize {
        (round + 1) * self.pods
    }

    pub(super) fn deployments(self) -> usize {
        self.pods.div_ceil(self.per_deployment)
    }
}

#[derive(Default)]
struct ServerState {
    /// How often every pod was changed.
    round: usize,
    /// How often all watches of pods ended as expired.
    expired: usize,
}

type Shared = Arc<(Mutex<ServerState>, Condvar)>;

pub(super) fn kubeconfig(address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: made\nclusters: [{{name: made, cluster: {{server: 'http://{address}'}}}}]\n\
         users: [{{name: made, user: {{}}}}]\ncontexts: [{{name: made, context: {{cluster: made, user: made}}}}]\n"
    )
}

pub(super) fn serve(size: ClusterSize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    println!("{} B", pod(size, 1, 0).len());
    let shared = Shared::default();
    let served = Arc::clone(&shared);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&served);
            std::thread::spawn(move || connection(stream.unwrap(), &shared, size));
        }
    });
    for line in std::io::stdin().lines() {
        let mut state = shared.0.lock().unwrap();
        match line.unwrap().as_str() {
            "change" => state.round += 1,
            _ => state.expired += 1,
        }
        drop(state);
        shared.1.notify_all();
    }
}

fn connection(stream: TcpStream, shared: &Shared, size: ClusterSize) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let request = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        let path = request.split(' ').nth(1)?;
        if path.contains("watch=1") {
            return watch(&mut out, path, shared, size);
        }
        let round = shared.0.lock().unwrap().round;
        let body = answer(path, round, size);
        write!(
            out,
            "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 10:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .ok()?;
        out.write_all(body.as_bytes()).ok()?;
    }
}

fn watch(out: &mut TcpStream, path: &str, shared: &Shared, size: ClusterSize) -> Option<()> {
    write!(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
    let version = path.split("resourceVersion=").nth(1)?.split('&').next()?;
    // The changes of pods are numbered from 0; a version is the number of those before it.
    let mut next: usize = version.parse().ok()?;
    let expired = shared.0.lock().unwrap().expired;
    loop {
        let mut state = shared.0.lock().unwrap();
        while !path.contains("/pods") || (next >= size.version(state.round) && state.expired == expired) {
            state = shared.1.wait(state).unwrap();
        }
        if state.expired > expired {
            drop(state);
            chunk(out, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n")?;
            return write!(out, "0\r\n\r\n").ok();
        }
        let end = size.version(state.round);
        drop(state);
        for change in next..end {
            let pod = pod(size, change % size.pods, change / size.pods);
            chunk(out, &format!("{{\"type\":\"MODIFIED\",\"object\":{pod}}}\n"))?;
        }
        next = end;
    }
}

fn chunk(out: &mut TcpStream, text: &str) -> Option<()> {
    write!(out, "{:x}\r\n{text}\r\n", text.len()).ok()
}

fn answer(path: &str, round: usize, size: ClusterSize) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let resources = |all: &[(&str, &str)]| {
        let one = |(name, kind): &(&str, &str)| {
            format!(
                "{{\"name\":\"{name}\",\"kind\":\"{kind}\",\"namespaced\":true,\"verbs\":[\"list\",\"watch\"]}}"
            )
        };
        format!("{{\"resources\":[{}]}}", all.iter().map(one).collect::<Vec<_>>().join(","))
    };
    let field =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).and_then(|v| v.parse().ok());
    let (limit, from): (usize, usize) =
        (field("limit=").unwrap_or(usize::MAX), field("continue=").unwrap_or(0));
    let list = |total: usize, one: &dyn Fn(usize) -> String| {
        let until = from.saturating_add(limit).min(total);
        let next = if until < total { until.to_string() } else { String::new() };
        let items = (from..until).map(one).collect::<Vec<_>>().join(",");
        let version = size.version(round);
        format!(
            "{{\"kind\":\"SomeList\",\"metadata\":{{\"resourceVersion\":\"{version}\",\"continue\":\"{next}\"}},\"items\":[{items}]}}"
        )
    };
    let groups = size.deployments();
    match path {
        "/apis" => "{\"groups\":[{\"name\":\"apps\",\"versions\":[{\"version\":\"v1\"}]}]}".to_owned(),
        "/api/v1" => resources(&[("pods", "Pod")]),
        "/apis/apps/v1" => resources(&[
            ("deployments", "Deployment"),
            ("replicasets", "ReplicaSet"),
            ("statefulsets", "StatefulSet"),
            ("daemonsets", "DaemonSet"),
            ("controllerrevisions", "ControllerRevision"),
        ]),
        "/api/v1/pods" => list(size.pods, &|number| pod(size, number, round)),
        "/apis/apps/v1/deployments" => list(groups, &|number| deployment(size, number)),
        "/apis/apps/v1/replicasets" => list(groups * size.replica_sets, &|number| replica_set(size, number)),
        "/version" => "{}".to_owned(),
        _ => list(0, &|_| String::new()),
    }
}

fn meta(name: &str, uid: &str, owner: Option<&str>, more: &str, version: usize) -> String {
    let owner = owner.map_or_else(String::new, |owner| {
        format!(",\"ownerReferences\":[{{\"apiVersion\":\"apps/v1\",\"kind\":\"Some\",\"name\":\"some\",\"uid\":\"{owner}\",\"controller\":true,\"blockOwnerDeletion\":true}}]")
    });
    let fields = "\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"app\\\"}\":{\".\":{},\"f:image\":{},\"f:env\":{}}}},".repeat(20);
    format!(
        "{{\"name\":\"{name}\",\"namespace\":\"shop\",\"uid\":\"{uid}\",\"resourceVersion\":\"{version}\",\"generation\":1,\
         \"creationTimestamp\":\"2026-11-27T09:00:00Z\"{owner}{more},\"managedFields\":[{{\"manager\":\"kubectl\",\"operation\":\"Update\",\
         \"time\":\"2026-11-27T09:00:00Z\",\"fieldsV1\":{{{fields}\"f:x\":{{}}}}}}]}}"
    )
}

fn uid(kind: usize, number: usize) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

fn template(node: usize) -> String {
    let env: Vec<String> = (0..15)
        .map(|n| format!("{{\"name\":\"SETTING_NUMBER_{n}\",\"value\":\"a value of some length, {n}\"}}"))
        .collect();
    let container = |name: &str| {
        format!(
            "{{\"name\":\"{name}\",\"image\":\"registry.example/{name}:1.2.3\",\"env\":[{}],\"resources\":{{\"requests\":{{\"cpu\":\"100m\",\
             \"memory\":\"128Mi\"}}}},\"volumeMounts\":[{{\"name\":\"data\",\"mountPath\":\"/data\"}}],\"imagePullPolicy\":\"IfNotPresent\"}}",
            env.join(",")
        )
    };
    format!(
        "{{\"nodeName\":\"node-{node}\",\"containers\":[{},{},{}],\"volumes\":[{{\"name\":\"data\",\"emptyDir\":{{}}}}]}}",
        container("app"),
        container("agent"),
        container("proxy")
    )
}

fn pod(size: ClusterSize, number: usize, round: usize) -> String {
    let group = number / size.per_deployment;
    let name = format!("service-{group}-7d9f8c6b5-{number:05x}");
    let labels = ",\"labels\":{\"app\":\"service\",\"pod-template-hash\":\"7d9f8c6b5\"}";
    let status = |name: &str, id: usize| {
        format!(
            "{{\"name\":\"{name}\",\"image\":\"registry.example/{name}:1.2.3\",\"imageID\":\"registry.example/{name}@sha256:{id:064}\",\
             \"containerID\":\"containerd://{number:064x}\",\"ready\":true,\"started\":true,\"restartCount\":0,\
             \"state\":{{\"running\":{{\"startedAt\":\"2026-11-27T09:00:10Z\"}}}},\"lastState\":{{}}}}"
        )
    };
    let conditions: Vec<String> = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .iter()
        .map(|kind| {
            format!(
                "{{\"type\":\"{kind}\",\"status\":\"True\",\"lastTransitionTime\":\"2026-11-27T09:00:11Z\"}}"
            )
        })
        .collect();
    format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{},\"spec\":{},\"status\":{{\"phase\":\"Running\",\"conditions\":[{}],\
         \"containerStatuses\":[{},{},{}]}}}}",
        meta(
            &name,
            &uid(3, number),
            Some(&uid(2, group * size.replica_sets)),
            labels,
            round * size.pods + number + 1
        ),
        template(number % size.nodes),
        conditions.join(","),
        status("app", 1),
        status("agent", round),
        status("proxy", 2),
    )
}

fn deployment(size: ClusterSize, number: usize) -> String {
    let more =
        format!(",\"annotations\":{{\"deployment.kubernetes.io/revision\":\"{}\"}}", size.replica_sets);
    format!(
        "{{\"metadata\":{},\"spec\":{{\"replicas\":{},\"template\":{{\"spec\":{}}}}},\"status\":{{\"observedGeneration\":1}}}}",
        meta(&format!("service-{number}"), &uid(1, number), None, &more, 1),
        size.per_deployment,
        template(0)
    )
}

fn replica_set(size: ClusterSize, number: usize) -> String {
    let (group, age) = (number / size.replica_sets, number % size.replica_sets);
    let more = format!(
        ",\"annotations\":{{\"deployment.kubernetes.io/revision\":\"{}\"}},\"labels\":{{\"pod-template-hash\":\"7d9f8c6b{}\"}}",
        size.replica_sets - age,
        5 + age
    );
    format!(
        "{{\"metadata\":{},\"spec\":{{\"template\":{{\"spec\":{}}}}}}}",
        meta(&format!("service-{group}-{age}"), &uid(2, number), Some(&uid(1, group)), &more, 1),
        template(0)
    )
}
