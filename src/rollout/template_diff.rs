//! Differences between two pod templates, as far as they affect how pods adopt the new one.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The differences between two pod templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TemplateDiff {
    /// Indexes of `containers` with another `image`.
    pub(crate) images: BTreeSet<usize>,
    /// Keys of `metadata.labels` that differ.
    pub(crate) labels: BTreeSet<String>,
    /// Keys of `metadata.annotations` that differ.
    pub(crate) annotations: BTreeSet<String>,
    /// Anything else differs.
    pub(crate) has_other_changes: bool,
}

impl TemplateDiff {
    /// Compares two templates; for a bare Pod the whole objects.
    pub(crate) fn between(old: &Value, new: &Value) -> Self {
        let mut difference = Self::default();
        for_each_difference(old, new, |key, old, new| match key {
            "metadata" => difference.add_metadata(old, new),
            "spec" => difference.add_spec(old, new),
            _ => difference.has_other_changes = true,
        });
        difference
    }

    /// Returns whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether only images of `containers` differ.
    pub(crate) fn is_image_only(&self) -> bool {
        !self.has_other_changes && self.labels.is_empty() && self.annotations.is_empty()
    }

    /// Returns whether pods can be updated in place: images of the same containers, labels and annotations.
    pub(crate) fn can_update_in_place(&self) -> bool {
        // Kruise v1.9.0 pkg/util/inplaceupdate defaultCalculateInPlaceUpdateSpec: `replace` of
        // /spec/containers/N/image, and anything in metadata.
        !self.has_other_changes
    }

    /// Returns how many containers of the new template restart when a pod is updated in place. With `kruise_daemon`,
    /// containers that read a changed label or annotation into their environment restart too.
    pub(crate) fn restarts_in_place(&self, new: &Value, kruise_daemon: bool) -> u64 {
        let containers = new.get("spec").and_then(|s| s.get("containers")).and_then(Value::as_array);
        let restarted = containers.into_iter().flatten().enumerate().filter(|(i, container)| {
            self.images.contains(i) || (kruise_daemon && self.is_env_source_of(container))
        });
        restarted.count() as u64
    }

    // Kruise v1.9.0 pkg/util/inplaceupdate, gate InPlaceUpdateEnvFromMetadata (on by default).
    fn is_env_source_of(&self, container: &Value) -> bool {
        let variables = container.get("env").and_then(Value::as_array).into_iter().flatten();
        let mut paths =
            variables.filter_map(|v| v.get("valueFrom")?.get("fieldRef")?.get("fieldPath")?.as_str());
        let names = |path: &str, field: &str, keys: &BTreeSet<String>| {
            let key = path.strip_prefix(field).and_then(|k| k.strip_prefix("['")?.strip_suffix("']"));
            key.is_some_and(|k| keys.contains(k))
        };
        paths.any(|p| {
            names(p, "metadata.labels", &self.labels) || names(p, "metadata.annotations", &self.annotations)
        })
    }

    fn add_metadata(&mut self, old: &Value, new: &Value) {
        for_each_difference(old, new, |key, old, new| {
            let keys = match key {
                "labels" => &mut self.labels,
                "annotations" => &mut self.annotations,
                _ => return self.has_other_changes = true,
            };
            for_each_difference(old, new, |key, _, _| {
                keys.insert(key.to_owned());
            });
        });
    }

    fn add_spec(&mut self, old: &Value, new: &Value) {
        for_each_difference(old, new, |key, old, new| match (old.as_array(), new.as_array()) {
            (Some(old), Some(new)) if key == "containers" && old.len() == new.len() => {
                for (i, (old, new)) in old.iter().zip(new).enumerate() {
                    self.add_container(i, old, new);
                }
            }
            _ => self.has_other_changes = true,
        });
    }

    fn add_container(&mut self, index: usize, old: &Value, new: &Value) {
        for_each_difference(old, new, |key, old, new| {
            if key == "image" && old.is_string() && new.is_string() {
                self.images.insert(index);
            } else {
                self.has_other_changes = true;
            }
        });
    }
}

/// Calls `differs` for each key with another value in two mappings, and with an empty key for values that are not
/// mappings. An absent key is null, an absent mapping is empty.
fn for_each_difference(old: &Value, new: &Value, mut differs: impl FnMut(&str, &Value, &Value)) {
    if [old, new].iter().any(|v| !v.is_object() && !v.is_null()) {
        if old != new {
            differs("", old, new);
        }
        return;
    }
    let none = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    // Injection keeps the order of keys, so most are found without a search.
    if old.len() == new.len() && old.keys().zip(new.keys()).all(|(old, new)| old == new) {
        for ((key, old), (_, new)) in old.iter().zip(new) {
            if !is_same(old, new) {
                differs(key, old, new);
            }
        }
        return;
    }
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let [old, new] = [old, new].map(|map| map.get(key).unwrap_or(&Value::Null));
        if !is_same(old, new) {
            differs(key, old, new);
        }
    }
}

/// Compares two values as `==` does, quickly where their keys have one order.
fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && old.iter().zip(new).all(|((key, value), (place, other))| {
                    let other = if key == place { Some(other) } else { new.get(key) };
                    other.is_some_and(|other| is_same(value, other))
                })
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        }
        _ => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(images: [&str; 2]) -> Value {
        let [app, log] = images;
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "app", "image": app}, {"name": "log", "image": log}]}})
    }

    #[test]
    fn images_are_told_from_the_rest() {
        let old = template(["a:1", "l:1"]);
        let new = template(["a:1", "l:2"]);
        let difference = TemplateDiff::between(&old, &new);
        assert!(difference.is_image_only() && difference.images == BTreeSet::from([1]));
        assert_eq!(difference.restarts_in_place(&new, true), 1);
        assert!(TemplateDiff::between(&old, &old).is_empty());
    }

    #[test]
    fn another_name_or_place_is_no_image() {
        let old = template(["a:1", "l:1"]);
        let mut new = old.clone();
        new["spec"]["containers"][1]["name"] = json!("logs");
        assert!(!TemplateDiff::between(&old, &new).can_update_in_place());
        let mut new = old.clone();
        new["spec"]["containers"].as_array_mut().unwrap().swap(0, 1);
        assert!(!TemplateDiff::between(&old, &new).can_update_in_place());
        let mut new = old.clone();
        new["spec"]["initContainers"] = json!([]);
        assert!(!TemplateDiff::between(&old, &new).can_update_in_place());
        for other in [
            json!(null),
            json!("x"),
            json!({"spec": {"containers": {}}}),
            json!({"spec": {"containers": [1, 2]}}),
        ] {
            assert!(!TemplateDiff::between(&old, &other).is_image_only(), "{other}");
        }
    }

    #[test]
    fn labels_restart_containers_that_read_them() {
        let mut old = template(["a:1", "l:1"]);
        let field = json!({"fieldRef": {"fieldPath": "metadata.labels['app']"}});
        old["spec"]["containers"][0]["env"] = json!([{"name": "APP", "valueFrom": field}]);
        let mut new = old.clone();
        new["metadata"]["labels"]["app"] = json!("shop");
        let difference = TemplateDiff::between(&old, &new);
        assert!(difference.can_update_in_place() && !difference.is_image_only());
        assert_eq!(difference.restarts_in_place(&new, true), 1);
        assert_eq!(difference.restarts_in_place(&new, false), 0);
    }
}
