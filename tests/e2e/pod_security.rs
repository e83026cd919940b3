//! Pod Security: what `plan` says about a pod is what the API server says when the pod is created.

use crate::harness::namespace::Namespace;
use pillion::rollout::{PodSecurityLevel, pod_security_violations, violations_of_level};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A pod that `restricted` admits.
fn hardened() -> Value {
    let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "web", "image": "web:1", "securityContext": context}],
    })
}

/// The hardened pod with changes, by JSON pointer; a null removes.
fn changed(changes: &[(&str, Value)]) -> Value {
    let mut spec = hardened();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.remove(key)),
            value => drop(parent.insert(key.to_owned(), value.clone())),
        }
    }
    spec
}

fn pods() -> Vec<Value> {
    let context =
        |key: &str, value: Value| changed(&[(&format!("/containers/0/securityContext/{key}"), value)]);
    let pod = |key: &str, value: Value| changed(&[(&format!("/securityContext/{key}"), value)]);
    let container = |key: &str, value: Value| changed(&[(&format!("/containers/0/{key}"), value)]);
    let volume = |source: Value| {
        let mut volume = json!({"name": "v"});
        volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        changed(&[("/volumes", json!([volume]))])
    };
    let sidecar = json!({"name": "log", "image": "log:1"});
    let privileged = json!({"privileged": true});
    let mut all = vec![
        hardened(),
        json!({"containers": [sidecar]}),
        changed(&[("/initContainers", json!([sidecar]))]),
        changed(&[("/hostNetwork", json!(true)), ("/hostPID", json!(true)), ("/hostIPC", json!(true))]),
        changed(&[("/containers/0/securityContext", privileged)]),
        context("capabilities", json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
        context("capabilities", json!({"drop": ["ALL"], "add": ["CHOWN"]})),
        context("capabilities", json!({"drop": ["ALL"], "add": ["NET_ADMIN"]})),
        context("capabilities", json!({"drop": ["NET_RAW"]})),
        context("capabilities", Value::Null),
        context("allowPrivilegeEscalation", Value::Null),
        context("allowPrivilegeEscalation", json!(true)),
        context("runAsNonRoot", json!(false)),
        context("runAsUser", json!(0)),
        context("seccompProfile", json!({"type": "Unconfined"})),
        context("seccompProfile", json!({"type": "Localhost", "localhostProfile": "p.json"})),
        context("appArmorProfile", json!({"type": "Unconfined"})),
        context("appArmorProfile", json!({"type": "RuntimeDefault"})),
        context("seLinuxOptions", json!({"type": "container_t", "level": "s0:c1"})),
        context("seLinuxOptions", json!({"type": "container_engine_t"})),
        context("seLinuxOptions", json!({"type": "spc_t"})),
        context("seLinuxOptions", json!({"user": "u"})),
        pod("runAsNonRoot", Value::Null),
        pod("runAsNonRoot", json!(false)),
        pod("runAsUser", json!(0)),
        pod("seccompProfile", Value::Null),
        pod("seccompProfile", json!({"type": "Unconfined"})),
        pod("appArmorProfile", json!({"type": "Unconfined"})),
        pod("seLinuxOptions", json!({"role": "r"})),
        pod("sysctls", json!([{"name": "net.ipv4.tcp_syncookies", "value": "1"}])),
        pod("sysctls", json!([{"name": "net.ipv4.tcp_rmem", "value": "1"}])),
        pod("sysctls", json!([{"name": "kernel.msgmax", "value": "65536"}])),
        container("ports", json!([{"containerPort": 80}])),
        container("ports", json!([{"containerPort": 80, "hostPort": 80}])),
        container("readinessProbe", json!({"httpGet": {"port": 80, "path": "/"}})),
        container("readinessProbe", json!({"httpGet": {"port": 80, "path": "/", "host": "example.com"}})),
        container("startupProbe", json!({"tcpSocket": {"port": 80, "host": "10.0.0.1"}})),
        container("lifecycle", json!({"preStop": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}})),
        volume(json!({"hostPath": {"path": "/var/log"}})),
        volume(json!({"nfs": {"server": "nfs.example", "path": "/"}})),
        volume(json!({"image": {"reference": "data:1"}})),
    ];
    let volumes = ["emptyDir", "configMap", "secret", "projected", "downwardAPI", "persistentVolumeClaim"];
    all.extend(volumes.map(|kind| {
        volume(match kind {
            "configMap" => json!({"configMap": {"name": "c"}}),
            "secret" => json!({"secret": {"secretName": "s"}}),
            "projected" => json!({"projected": {"sources": [{"configMap": {"name": "c"}}]}}),
            "persistentVolumeClaim" => json!({"persistentVolumeClaim": {"claimName": "c"}}),
            kind => json!({kind: {}}),
        })
    }));
    all.push(changed(&[
        ("/hostUsers", json!(false)),
        ("/securityContext/runAsNonRoot", json!(false)),
        ("/securityContext/runAsUser", json!(0)),
    ]));
    all.push(changed(&[
        ("/os", json!({"name": "windows"})),
        ("/securityContext", json!({"runAsNonRoot": true})),
        ("/containers/0/securityContext", json!({})),
    ]));
    all.push(changed(&[
        ("/os", json!({"name": "windows"})),
        ("/hostNetwork", json!(true)),
        ("/securityContext", json!({"windowsOptions": {"hostProcess": true}, "runAsNonRoot": true})),
        ("/containers/0/securityContext", json!({})),
    ]));
    all
}

/// Returns the controls that an error of the API server names: `hostPort (container …), privileged (…)`.
fn controls(listed: &str) -> BTreeSet<String> {
    let (mut depth, mut word, mut found) = (0_usize, String::new(), BTreeSet::new());
    for c in listed.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => drop(found.insert(std::mem::take(&mut word).trim().to_owned())),
            c if depth == 0 => word.push(c),
            _ => {}
        }
    }
    found.insert(word.trim().to_owned());
    found
}

/// Returns what the API server says to each pod, without creating it.
fn refusals(
    namespace: &Namespace,
    level: PodSecurityLevel,
    pods: &[Value],
) -> BTreeMap<usize, BTreeSet<String>> {
    let manifest = |(i, spec): (usize, &Value)| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{i}")}, "spec": spec})
            .to_string()
    };
    let manifests: Vec<String> = pods.iter().enumerate().map(manifest).collect();
    let output =
        namespace.kubectl.try_run(&["create", "--dry-run=server", "-f", "-"], &manifests.join("\n---\n"));
    let text = String::from_utf8(output.stderr).unwrap();
    let violates = format!("is forbidden: violates PodSecurity \"{level}:latest\": ");
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("Error from server")) {
        let (head, listed) = line.split_once(&violates).unwrap_or_else(|| panic!("another error: {text}"));
        let name = head.split('"').nth(3).or_else(|| head.split('"').nth(1)).unwrap();
        found.insert(name.trim_start_matches("pod-").parse().unwrap(), controls(listed));
    }
    found
}

#[test]
#[ignore = "needs a control plane: cargo test --test e2e -- --ignored"]
fn the_api_server_refuses_what_the_plan_says() {
    let pods = pods();
    for level in [PodSecurityLevel::Baseline, PodSecurityLevel::Restricted] {
        let namespace = Namespace::new(&format!("pod-security-{level}"));
        let namespace = namespace.label(&format!("pod-security.kubernetes.io/enforce={level}"));
        let refused = refusals(&namespace, level, &pods);
        assert!(!refused.contains_key(&0), "the hardened pod");
        for (i, spec) in pods.iter().enumerate() {
            let all = pod_security_violations(&json!({"spec": spec}));
            let ours: BTreeSet<String> =
                violations_of_level(&all, level).map(|violation| violation.control.to_owned()).collect();
            assert_eq!(ours, refused.get(&i).cloned().unwrap_or_default(), "{level}: {spec}");
        }
    }
}
