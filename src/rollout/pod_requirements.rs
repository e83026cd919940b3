//! What a pod needs from its namespace: ConfigMaps and Secrets, and a Pod Security level that admits it.

use super::pod_security::{PodSecurityViolation, pod_security_violations};
use crate::model::json::{JsonObject, bool_at, object_at, objects_at, text_at};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a pod needs from its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRequirements {
    /// The ConfigMaps and Secrets without which the kubelet does not start it, and who reads each: `volume "config"`.
    pub objects: BTreeMap<ObjectReference, String>,
    /// What Pod Security forbids of it.
    pub violations: Vec<PodSecurityViolation>,
}

/// The requirements of a pod that needs nothing.
pub static NO_REQUIREMENTS: PodRequirements =
    PodRequirements { objects: BTreeMap::new(), violations: Vec::new() };

/// A ConfigMap or Secret of the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectReference {
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// The kind, and where a volume, a source of a projected volume, a variable and `envFrom` name an object of it.
const KINDS: [(&str, &str, &str, &str); 2] = [
    ("ConfigMap", "configMap", "configMapKeyRef", "configMapRef"),
    ("Secret", "secret", "secretKeyRef", "secretRef"),
];

impl PodRequirements {
    /// Reads a pod template. References with `optional: true` are no requirements.
    pub(crate) fn of(template: &Value) -> Self {
        let mut found = Self { objects: BTreeMap::new(), violations: pod_security_violations(template) };
        let Some(spec) = template.get("spec").and_then(Value::as_object) else { return found };
        for volume in objects_at(spec, "volumes") {
            found.add_volume(volume);
        }
        for list in ["initContainers", "containers"] {
            for container in objects_at(spec, list) {
                found.add_container(container);
            }
        }
        found
    }

    fn add_volume(&mut self, volume: &JsonObject) {
        let subject = format!("volume {:?}", text_at(volume, "name"));
        let projected = object_at(volume, "projected");
        for (kind, field, ..) in KINDS {
            if let Some(source) = object_at(volume, field) {
                // A Secret volume calls the name `secretName`.
                self.add(kind, source, if kind == "Secret" { "secretName" } else { "name" }, &subject);
            }
            let sources = projected.into_iter().flat_map(|projected| objects_at(projected, "sources"));
            for source in sources.filter_map(|source| object_at(source, field)) {
                self.add(kind, source, "name", &subject);
            }
        }
    }

    fn add_container(&mut self, container: &JsonObject) {
        let subject = format!("container {:?}", text_at(container, "name"));
        for (kind, _, of_variable, of_all) in KINDS {
            let variables = objects_at(container, "env").filter_map(|v| object_at(v, "valueFrom"));
            let variables = variables.filter_map(|from| object_at(from, of_variable));
            let all = objects_at(container, "envFrom").filter_map(|from| object_at(from, of_all));
            for source in variables.chain(all) {
                self.add(kind, source, "name", &subject);
            }
        }
    }

    fn add(&mut self, kind: &'static str, source: &JsonObject, key: &str, subject: &str) {
        let name = text_at(source, key);
        if !name.is_empty() && !bool_at(source, "optional") {
            let reference = ObjectReference { kind, name: name.to_owned() };
            self.objects.entry(reference).or_insert_with(|| subject.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_found_wherever_a_pod_reads_an_object() {
        let template = json!({"spec": {
            "volumes": [
                {"name": "a", "configMap": {"name": "volume"}}, {"name": "b", "secret": {"secretName": "volume"}},
                {"name": "c", "projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {"name": "projected"}}]}},
                {"name": "d", "configMap": {"name": "optional", "optional": true}}, {"name": "e", "emptyDir": {}}],
            "initContainers": [{"name": "init", "envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "all"}}]}],
            "containers": [{"name": "app", "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "variable", "key": "k"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "variable", "key": "k"}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "optional", "key": "k", "optional": true}}}]}]}});
        let found = PodRequirements::of(&template);
        let all: Vec<String> =
            found.objects.iter().map(|(of, by)| format!("{}/{} {by}", of.kind, of.name)).collect();
        assert_eq!(
            all,
            [
                "ConfigMap/all container \"init\"",
                "ConfigMap/projected volume \"c\"",
                "ConfigMap/variable container \"app\"",
                "ConfigMap/volume volume \"a\"",
                "Secret/all container \"init\"",
                "Secret/projected volume \"c\"",
                "Secret/variable container \"app\"",
                "Secret/volume volume \"b\"",
            ]
        );
        assert_eq!(PodRequirements::of(&json!({"spec": []})).objects, BTreeMap::new());
    }
}
