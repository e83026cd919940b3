//! What else in git decides about the pods of workloads: autoscalers, disruption budgets, quotas, limit ranges.

use super::advice::{Neighbour, Place, has_autoscaler, target_name};
use crate::render::Located;
use crate::yaml::{Document, Path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects that a rollout is checked against.
#[derive(Debug, Default)]
pub struct Surroundings {
    objects: Vec<Near>,
    /// Where the autoscalers of a namespace's workloads of one name stand among the objects.
    autoscalers: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
}

/// An object beside the workloads.
#[derive(Debug, Clone)]
pub struct Near {
    /// Its namespace.
    pub namespace: String,
    /// The object.
    pub object: Value,
    /// Where it is written, if it is in git.
    pub place: Option<(Arc<Document>, Path)>,
}

/// The kinds that count here.
const KINDS: &[&str] =
    &["HorizontalPodAutoscaler", "ScaledObject", "PodDisruptionBudget", "ResourceQuota", "LimitRange"];

/// Returns the objects of one document that count here; items of Lists too.
pub fn objects_of(document: &Arc<Document>, namespace: &str) -> Vec<Near> {
    let near = |(object, path): (&Value, Path)| {
        let place = Some((Arc::clone(document), path));
        near(object, namespace).map(|near| Near { place, ..near })
    };
    let items = document.value()["items"].as_array().map_or(&[][..], Vec::as_slice);
    let items = items.iter().enumerate().map(|(i, item)| (item, Path::dotted("items").then(i)));
    std::iter::once((document.value(), Path::root())).chain(items).filter_map(near).collect()
}

/// Takes an object up, if it counts here; `namespace` is its own where it names none.
pub fn near(object: &Value, namespace: &str) -> Option<Near> {
    object["kind"].as_str().filter(|k| KINDS.contains(k))?;
    let written = object["metadata"]["namespace"].as_str().filter(|n| !n.is_empty());
    Some(Near { namespace: written.unwrap_or(namespace).to_owned(), object: object.clone(), place: None })
}

/// Tells whether a text may hold such an object.
pub fn may_hold_objects(text: &str) -> bool {
    KINDS.iter().any(|kind| text.contains(kind))
}

impl Near {
    /// Returns the object as advice takes it.
    pub fn neighbour(&self) -> Neighbour<'_> {
        let place = self.place.as_ref();
        let place = place.map(|(document, path)| Place { document, path: path.clone() });
        Neighbour { namespace: &self.namespace, object: &self.object, place }
    }
}

impl Surroundings {
    /// Takes objects.
    pub fn new(objects: Vec<Near>) -> Self {
        let mut autoscalers: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        let is_autoscaler = |near: &Near| {
            matches!(near.object["kind"].as_str(), Some("HorizontalPodAutoscaler" | "ScaledObject"))
        };
        for (i, near) in objects.iter().enumerate().filter(|(_, near)| is_autoscaler(near)) {
            let own = autoscalers.entry(near.namespace.clone()).or_default();
            own.entry(target_name(&near.object).unwrap_or_default().to_owned()).or_default().push(i);
        }
        Self { objects, autoscalers }
    }

    /// Returns all objects.
    pub fn objects(&self) -> &[Near] {
        &self.objects
    }

    /// Tells whether an autoscaler decides about the number of pods.
    pub fn is_autoscaled(&self, located: &Located) -> bool {
        let own = self.autoscalers.get(&*located.namespace).and_then(|own| own.get(&*located.name));
        let Some(own) = own else { return false };
        let own: Vec<Neighbour<'_>> = own.iter().map(|i| self.objects[*i].neighbour()).collect();
        let kind = &located.kind;
        has_autoscaler((&kind.group, &kind.kind, &located.namespace, &located.name), &own)
    }
}
