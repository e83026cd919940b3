//! Normalizes pods: fields that the API server fills in and zero values with the same meaning are removed.

use pillion::model::quantity::Quantity;
use serde_json::{Map, Value, json};

const EMPTY_COLLECTIONS: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "ports",
    "resources",
    "volumeMounts",
    "volumeDevices",
    "initContainers",
    "ephemeralContainers",
    "imagePullSecrets",
    "volumes",
    "tolerations",
    "annotations",
    "labels",
    "finalizers",
    "ownerReferences",
    "securityContext",
    "limits",
    "requests",
    "claims",
    "nodeSelector",
    "hostAliases",
    "lifecycle",
    "readinessGates",
    "topologySpreadConstraints",
    "affinity",
    "resizePolicy",
    "overhead",
    "add",
    "drop",
    "capabilities",
    "items",
    "matchExpressions",
    "matchLabels",
    "status",
];
const FALSE_BY_DEFAULT: &[&str] =
    &["readOnly", "stdin", "stdinOnce", "tty", "hostNetwork", "hostPID", "hostIPC"];
const DATA: &[&str] = &["labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests"];
const HASHES: [&str; 2] = ["kruise.io/sidecarset-hash", "kruise.io/sidecarset-hash-without-image"];

/// Returns the normal form of a pod.
pub(crate) fn normal_pod(pod: &Value) -> Value {
    let mut pod = pod.clone();
    prune(&mut pod, "");
    for key in ["metadata", "spec"] {
        if pod.get(key).is_none() {
            pod[key] = json!({});
        }
    }
    drop_defaults(&mut pod["metadata"], &json!({"namespace": "default"}));
    if let Some(annotations) = pod["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        for key in HASHES {
            if let Some(value) = annotations.get_mut(key) {
                *value = normal_hashes(value);
            }
        }
    }
    let spec = &mut pod["spec"];
    drop_defaults(
        spec,
        &json!({
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30, "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority", "serviceAccountName": "default", "serviceAccount": "default",
        }),
    );
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list, normal_container);
    }
    each(spec, "volumes", normal_volume);
    prune(&mut pod, "");
    pod
}

/// Returns the first place at which two documents differ, with both values.
pub(crate) fn difference(want: &Value, got: &Value, path: &str) -> Option<String> {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = format!("{path}.{key}");
                match b.get(key) {
                    None => return Some(format!("{path}: missing, expected {value}")),
                    Some(other) => {
                        if let Some(found) = difference(value, other, &path) {
                            return Some(found);
                        }
                    }
                }
            }
            b.iter()
                .find(|(k, _)| !a.contains_key(*k))
                .map(|(k, v)| format!("{path}.{k}: not expected, got {v}"))
        }
        (Value::Array(a), Value::Array(b)) => {
            let inside = a.iter().zip(b).enumerate();
            let found = inside.filter_map(|(i, (x, y))| difference(x, y, &format!("{path}[{i}]"))).next();
            found.or_else(|| {
                (a.len() != b.len())
                    .then(|| format!("{path}: expected {} items, got {}: {want} / {got}", a.len(), b.len()))
            })
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        _ => (want != got).then(|| format!("{path}: expected {want}, got {got}")),
    }
}

/// Takes nulls, empty collections and false flags out that mean "not there".
fn prune(value: &mut Value, key: &str) {
    match value {
        Value::Object(map) => {
            let is_data = DATA.contains(&key);
            for (key, value) in map.iter_mut() {
                prune(value, if is_data { "" } else { key });
            }
            let is_empty = |v: &Value| *v == json!({}) || *v == json!([]);
            map.retain(|key, value| {
                let key = key.as_str();
                let is_default = EMPTY_COLLECTIONS.contains(&key) && is_empty(value)
                    || FALSE_BY_DEFAULT.contains(&key) && *value == json!(false);
                !value.is_null() && (is_data || !is_default)
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, "")),
        _ => {}
    }
}

fn drop_defaults(value: &mut Value, defaults: &Value) {
    let (Some(map), Some(defaults)) = (value.as_object_mut(), defaults.as_object()) else { return };
    map.retain(|key, value| defaults.get(key) != Some(value));
}

fn each(value: &mut Value, key: &str, change: fn(&mut Value)) {
    if let Some(items) = value.get_mut(key).and_then(Value::as_array_mut) {
        items.iter_mut().for_each(change);
    }
}

fn at<'v>(value: &'v mut Value, keys: &[&str]) -> Option<&'v mut Value> {
    keys.iter().try_fold(value, |value, key| value.get_mut(key))
}

fn drop_at(value: &mut Value, keys: &[&str], defaults: &Value) {
    if let Some(inner) = at(value, keys) {
        drop_defaults(inner, defaults);
    }
}

fn normal_container(container: &mut Value) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = pull_policy(image);
    drop_defaults(
        container,
        &json!({
            "imagePullPolicy": policy, "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "workingDir": "",
        }),
    );
    each(container, "ports", |p| drop_defaults(p, &json!({"protocol": "TCP", "hostPort": 0, "name": ""})));
    each(container, "env", |e| {
        drop_at(e, &["valueFrom", "fieldRef"], &json!({"apiVersion": "v1"}));
        if let Some(divisor) = at(e, &["valueFrom", "resourceFieldRef", "divisor"]) {
            *divisor = quantity(divisor, false);
        }
        drop_at(e, &["valueFrom", "resourceFieldRef"], &json!({"divisor": "0"}));
        drop_defaults(e, &json!({"value": ""}));
    });
    each(container, "volumeMounts", |m| drop_defaults(m, &json!({"subPath": "", "subPathExpr": ""})));
    for part in ["limits", "requests"] {
        normal_amounts(at(container, &["resources", part]));
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let defaults = json!({
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
            "initialDelaySeconds": 0,
        });
        drop_at(container, &[probe], &defaults);
        drop_at(container, &[probe, "httpGet"], &http());
        drop_at(container, &[probe, "grpc"], &json!({"service": ""}));
    }
    for hook in ["postStart", "preStop"] {
        drop_at(container, &["lifecycle", hook, "httpGet"], &http());
    }
}

fn http() -> Value {
    json!({"path": "/", "scheme": "HTTP", "host": ""})
}

fn normal_amounts(amounts: Option<&mut Value>) {
    if let Some(map) = amounts.and_then(Value::as_object_mut) {
        map.values_mut().for_each(|v| *v = quantity(v, true));
    }
}

fn normal_volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|v| v.len() == 1) {
        volume["emptyDir"] = json!({});
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        drop_at(volume, &[kind], &json!({"defaultMode": 420}));
    }
    let item = |item: &mut Value| drop_at(item, &["fieldRef"], &json!({"apiVersion": "v1"}));
    if let Some(api) = at(volume, &["downwardAPI"]) {
        each(api, "items", item);
    }
    if let Some(projected) = at(volume, &["projected"]) {
        each(projected, "sources", |source| {
            drop_at(source, &["serviceAccountToken"], &json!({"expirationSeconds": 3600}));
            if let Some(api) = at(source, &["downwardAPI"]) {
                each(api, "items", |item| drop_at(item, &["fieldRef"], &json!({"apiVersion": "v1"})));
            }
        });
    }
    drop_at(volume, &["hostPath"], &json!({"type": ""}));
    drop_at(volume, &["iscsi"], &json!({"iscsiInterface": "default"}));
    drop_at(volume, &["emptyDir"], &json!({"medium": ""}));
    if let Some(limit) = at(volume, &["emptyDir", "sizeLimit"]) {
        *limit = quantity(limit, false);
    }
    let claim = ["ephemeral", "volumeClaimTemplate"];
    drop_at(volume, &[claim[0], claim[1], "spec"], &json!({"volumeMode": "Filesystem"}));
    for part in ["limits", "requests"] {
        normal_amounts(at(volume, &[claim[0], claim[1], "spec", "resources", part]));
    }
    drop_at(volume, &claim, &json!({"metadata": {}}));
}

fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map_or("", |(_, tag)| tag);
    if !image.contains('@') && (tag.is_empty() || tag == "latest") { "Always" } else { "IfNotPresent" }
}

/// The canonical text of a quantity; what is none stays as it is.
fn quantity(value: &Value, in_milli: bool) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match Quantity::parse(text.trim()) {
        Ok(q) if in_milli => json!(q.rounded_to_milli().plus(&Quantity::zero()).to_string()),
        Ok(q) => json!(q.plus(&Quantity::zero()).to_string()),
        Err(_) => json!(text),
    }
}

/// The JSON of both hash annotations without null times; unreadable text stays.
fn normal_hashes(text: &Value) -> Value {
    let parsed = text.as_str().and_then(|t| serde_json::from_str::<Map<String, Value>>(t).ok());
    let Some(mut entries) = parsed else { return text.clone() };
    for entry in entries.values_mut() {
        drop_defaults(entry, &json!({"updateTimestamp": null}));
    }
    Value::Object(entries)
}

/// Takes `controllerRevision` out of the wanted annotation where the other one leaves it out.
pub(crate) fn allow_missing_revisions(want: &mut Value, got: &Value) {
    let Some(Value::Object(entries)) = at(want, &["metadata", "annotations", HASHES[0]]) else { return };
    for (set, entry) in entries {
        let other = &got["metadata"]["annotations"][HASHES[0]][set];
        if let Some(entry) = entry.as_object_mut()
            && other.is_object()
            && other.get("controllerRevision").is_none()
        {
            entry.shift_remove("controllerRevision");
        }
    }
}
