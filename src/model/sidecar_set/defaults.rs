//! The defaults of a SidecarSet: two from Kruise's CRD, the rest from its mutating webhook.
//!
//! All functions expect checked values, in which an absent key means an empty value.

use super::schema::{ObjectSchema, RESOURCES_POLICY, SIDECAR_SET_INJECT_REVISION};
use crate::model::defaults::REVISION_HISTORY_LIMIT;
use crate::model::image;
use crate::model::json::{JsonObject, object_entry, object_mut, objects_mut};
use crate::model::quantity::Quantity;
use serde_json::{Value, json};

/// Sets the defaults of a spec.
pub(crate) fn fill_defaults(spec: &mut JsonObject) {
    let update = object_entry(spec, "updateStrategy");
    set_default(update, "type", "RollingUpdate");
    set_default(update, "partition", 0);
    set_default(update, "maxUnavailable", 1);
    objects_mut(spec, "initContainers").for_each(|c| fill_sidecar(c, "AfterAppContainer"));
    objects_mut(spec, "containers").for_each(|c| fill_sidecar(c, "BeforeAppContainer"));
    objects_mut(spec, "volumes").for_each(fill_volume);
    set_default(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT);
    objects_mut(spec, "patchPodMetadata").for_each(|p| set_default(p, "patchPolicy", "Retain"));
    if let Some(revision) = object_mut(object_entry(spec, "injectionStrategy"), "revision") {
        fill_crd_defaults(revision, &SIDECAR_SET_INJECT_REVISION);
    }
}

/// Sets the default source of a volume without one, as Kubernetes does.
pub(crate) fn fill_volume_source(volume: &mut JsonObject) {
    if volume.keys().all(|k| k == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
}

fn fill_sidecar(container: &mut JsonObject, inject_policy: &str) {
    set_default(container, "podInjectPolicy", inject_policy);
    set_default(object_entry(container, "upgradeStrategy"), "upgradeType", "ColdUpgrade");
    set_default(object_entry(container, "shareVolumePolicy"), "type", "disabled");
    if let Some(policy) = object_mut(container, "resourcesPolicy") {
        // An empty pattern gets the CRD's default too: the mutating webhook omits it when it encodes the set, and the
        // API server then sets the defaults again.
        fill_crd_defaults(policy, &RESOURCES_POLICY);
    }
    for t in objects_mut(container, "transferEnv") {
        if let Some(from) = object_mut(t, "sourceContainerNameFrom") {
            fill_field_ref(from);
        }
    }
    fill_container(container);
}

/// Sets the defaults that the CRD has for the fields of an object.
fn fill_crd_defaults(object: &mut JsonObject, schema: &ObjectSchema) {
    for field in schema.fields {
        if let Some(value) = field.default {
            set_default(object, field.name, value);
        }
    }
}

/// Sets the defaults of a container that Kruise sets. It sets none of startup probes.
pub(crate) fn fill_container(container: &mut JsonObject) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let pull = if image::tag(image) == Some("latest") { "Always" } else { "IfNotPresent" };
    set_default(container, "imagePullPolicy", pull);
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    objects_mut(container, "ports").for_each(|p| set_default(p, "protocol", "TCP"));
    for e in objects_mut(container, "env") {
        if let Some(source) = object_mut(e, "valueFrom") {
            fill_field_ref(source);
        }
    }
    if let Some(resources) = object_mut(container, "resources") {
        for part in ["limits", "requests"] {
            if let Some(amounts) = object_mut(resources, part) {
                round_quantities(amounts);
            }
        }
    }
    // Kruise v1.9.0 apis/apps/defaults sets no defaults of startup probes.
    for probe in ["livenessProbe", "readinessProbe"] {
        if let Some(probe) = object_mut(container, probe) {
            fill_probe(probe);
        }
    }
    if let Some(lifecycle) = object_mut(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = object_mut(lifecycle, hook) {
                fill_http_get(hook);
            }
        }
    }
}

/// Sets the defaults of a probe.
pub(crate) fn fill_probe(probe: &mut JsonObject) {
    set_default(probe, "timeoutSeconds", 1);
    set_default(probe, "periodSeconds", 10);
    set_default(probe, "successThreshold", 1);
    set_default(probe, "failureThreshold", 3);
    fill_http_get(probe);
}

fn fill_http_get(handler: &mut JsonObject) {
    if let Some(http) = object_mut(handler, "httpGet") {
        set_default(http, "path", "/");
        set_default(http, "scheme", "HTTP");
    }
}

fn fill_field_ref(source: &mut JsonObject) {
    if let Some(field) = object_mut(source, "fieldRef") {
        set_default(field, "apiVersion", "v1");
    }
}

fn round_quantities(amounts: &mut JsonObject) {
    for (_, amount) in amounts.iter_mut() {
        if let Some(q) = Quantity::read(amount) {
            *amount = q.rounded_to_milli().to_string().into();
        }
    }
}

/// Sets the defaults of a volume.
pub(crate) fn fill_volume(volume: &mut JsonObject) {
    fill_volume_source(volume);
    if let Some(host_path) = object_mut(volume, "hostPath") {
        set_default(host_path, "type", "");
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object_mut(volume, kind) {
            set_default(source, "defaultMode", 420);
        }
    }
    if let Some(downward) = object_mut(volume, "downwardAPI") {
        objects_mut(downward, "items").for_each(fill_field_ref);
    }
    if let Some(projected) = object_mut(volume, "projected") {
        for source in objects_mut(projected, "sources") {
            if let Some(downward) = object_mut(source, "downwardAPI") {
                objects_mut(downward, "items").for_each(fill_field_ref);
            }
            if let Some(token) = object_mut(source, "serviceAccountToken") {
                set_default(token, "expirationSeconds", 3600);
            }
        }
    }
}

fn set_default(object: &mut JsonObject, key: &str, value: impl Into<Value>) {
    if !object.contains_key(key) {
        object.insert(key.into(), value.into());
    }
}
