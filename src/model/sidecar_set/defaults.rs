//! The defaults that Kruise writes into a SidecarSet: three of its CRD, the rest of its mutating webhook.
//!
//! Everything works on checked values, in which an absent key stands for every empty one.

use crate::model::image;
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// Fills the defaults into a spec.
pub(crate) fn fill(spec: &mut Object) {
    let update = child(spec, "updateStrategy");
    default(update, "type", "RollingUpdate");
    default(update, "partition", 0);
    default(update, "maxUnavailable", 1);
    items(spec, "initContainers", |c| fill_sidecar(c, "AfterAppContainer"));
    items(spec, "containers", |c| fill_sidecar(c, "BeforeAppContainer"));
    items(spec, "volumes", fill_volume);
    default(spec, "revisionHistoryLimit", 10);
    items(spec, "patchPodMetadata", |p| default(p, "patchPolicy", "Retain"));
    if let Some(revision) = inside(child(spec, "injectionStrategy"), "revision") {
        default(revision, "policy", "Always");
    }
}

/// Fills the defaults of a volume without a source, as Kubernetes does.
pub(crate) fn fill_volume_source(volume: &mut Object) {
    if volume.keys().all(|k| k == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
}

fn fill_sidecar(container: &mut Object, inject_policy: &str) {
    default(container, "podInjectPolicy", inject_policy);
    default(child(container, "upgradeStrategy"), "upgradeType", "ColdUpgrade");
    default(child(container, "shareVolumePolicy"), "type", "disabled");
    if let Some(policy) = inside(container, "resourcesPolicy") {
        default(policy, "targetContainersNameRegex", ".*");
    }
    items(container, "transferEnv", |t| {
        if let Some(from) = inside(t, "sourceContainerNameFrom") {
            fill_field_ref(from);
        }
    });
    fill_container(container);
}

fn fill_container(container: &mut Object) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let pull = if image::tag(image) == Some("latest") { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", pull);
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    items(container, "ports", |p| default(p, "protocol", "TCP"));
    items(container, "env", |e| {
        if let Some(source) = inside(e, "valueFrom") {
            fill_field_ref(source);
        }
    });
    if let Some(resources) = inside(container, "resources") {
        for part in ["limits", "requests"] {
            if let Some(amounts) = inside(resources, part) {
                round_amounts(amounts);
            }
        }
    }
    // Kruise v1.9.0 apis/apps/defaults: startup probes are not among the probes that get defaults.
    for probe in ["livenessProbe", "readinessProbe"] {
        if let Some(probe) = inside(container, probe) {
            fill_probe(probe);
        }
    }
    if let Some(lifecycle) = inside(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = inside(lifecycle, hook) {
                fill_http_get(hook);
            }
        }
    }
}

fn fill_probe(probe: &mut Object) {
    default(probe, "timeoutSeconds", 1);
    default(probe, "periodSeconds", 10);
    default(probe, "successThreshold", 1);
    default(probe, "failureThreshold", 3);
    fill_http_get(probe);
}

fn fill_http_get(handler: &mut Object) {
    if let Some(http) = inside(handler, "httpGet") {
        default(http, "path", "/");
        default(http, "scheme", "HTTP");
    }
}

fn fill_field_ref(source: &mut Object) {
    if let Some(field) = inside(source, "fieldRef") {
        default(field, "apiVersion", "v1");
    }
}

fn round_amounts(amounts: &mut Object) {
    for (_, amount) in amounts.iter_mut() {
        if let Some(q) = super::stored::quantity(amount) {
            *amount = q.rounded_to_milli().to_string().into();
        }
    }
}

fn fill_volume(volume: &mut Object) {
    fill_volume_source(volume);
    if let Some(host_path) = inside(volume, "hostPath") {
        default(host_path, "type", "");
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = inside(volume, kind) {
            default(source, "defaultMode", 420);
        }
    }
    if let Some(downward) = inside(volume, "downwardAPI") {
        items(downward, "items", fill_field_ref);
    }
    if let Some(projected) = inside(volume, "projected") {
        items(projected, "sources", |source| {
            if let Some(downward) = inside(source, "downwardAPI") {
                items(downward, "items", fill_field_ref);
            }
            if let Some(token) = inside(source, "serviceAccountToken") {
                default(token, "expirationSeconds", 3600);
            }
        });
    }
}

fn default(object: &mut Object, key: &str, value: impl Into<Value>) {
    if !object.contains_key(key) {
        object.insert(key.into(), value.into());
    }
}

/// Returns the object at a key, made where it is absent.
fn child<'a>(object: &'a mut Object, key: &str) -> &'a mut Object {
    let value = object.entry(key).or_insert_with(|| Value::Object(Object::new()));
    if !value.is_object() {
        *value = Value::Object(Object::new());
    }
    value.as_object_mut().expect("it was made an object")
}

/// Returns the object at a key, where there is one.
fn inside<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    object.get_mut(key).and_then(Value::as_object_mut)
}

/// Does something to every object of a list.
fn items(object: &mut Object, key: &str, to: impl Fn(&mut Object)) {
    let list = object.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut).for_each(to);
}
