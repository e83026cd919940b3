//! What else in git decides about the pods of workloads: autoscalers, disruption budgets, quotas, limit ranges.

use crate::model::workload::group_of;
use crate::render::Located;
use crate::yaml::Document;
use serde_json::Value;
use std::collections::BTreeSet;

/// Objects that a rollout is checked against, each with its namespace.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// HorizontalPodAutoscalers.
    pub autoscalers: Vec<(String, Value)>,
    /// PodDisruptionBudgets.
    pub budgets: Vec<(String, Value)>,
    /// ResourceQuotas.
    pub quotas: Vec<(String, Value)>,
    /// LimitRanges.
    pub limit_ranges: Vec<(String, Value)>,
    /// (namespace, group, kind, name) of what an autoscaler scales.
    scaled: BTreeSet<(String, String, String, String)>,
}

/// The kinds that count here.
const KINDS: &[&str] = &["HorizontalPodAutoscaler", "PodDisruptionBudget", "ResourceQuota", "LimitRange"];

/// Returns the objects of one document that count here, each with its namespace; items of Lists too.
pub fn objects_of(document: &Document, namespace: &str) -> Vec<(String, Value)> {
    let own = |object: &Value| {
        object["kind"].as_str().filter(|k| KINDS.contains(k))?;
        let written = object["metadata"]["namespace"].as_str().filter(|n| !n.is_empty());
        Some((written.unwrap_or(namespace).to_owned(), object.clone()))
    };
    let items = document.value()["items"].as_array().map_or(&[][..], Vec::as_slice);
    std::iter::once(document.value()).chain(items).filter_map(own).collect()
}

/// Tells whether a text may hold such an object.
pub fn may_hold_objects(text: &str) -> bool {
    KINDS.iter().any(|kind| text.contains(kind))
}

impl Surroundings {
    /// Sorts objects by their kinds; others are left out. Each comes with its namespace.
    pub fn new(objects: Vec<(String, Value)>) -> Self {
        let mut found = Self::default();
        for (namespace, object) in objects {
            let list = match object["kind"].as_str() {
                Some("HorizontalPodAutoscaler") => {
                    let target = &object["spec"]["scaleTargetRef"];
                    let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
                    let group = group_of(&text("apiVersion")).to_owned();
                    found.scaled.insert((namespace.clone(), group, text("kind"), text("name")));
                    &mut found.autoscalers
                }
                Some("PodDisruptionBudget") => &mut found.budgets,
                Some("ResourceQuota") => &mut found.quotas,
                Some("LimitRange") => &mut found.limit_ranges,
                _ => continue,
            };
            list.push((namespace, object));
        }
        found
    }

    /// Tells whether an autoscaler decides about the number of pods.
    pub fn is_autoscaled(&self, located: &Located) -> bool {
        let (group, kind) = (located.kind.group.clone(), located.kind.kind.clone());
        self.scaled.contains(&(located.namespace.to_string(), group, kind, located.name.to_string()))
    }
}
