//! What Kruise records on a pod about the SidecarSets that it has injected.

use super::interner::Interner;
use super::wire;
use crate::model::pod_annotations::parse_hashes;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A SidecarSet in a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InjectedSet {
    /// Its name.
    pub(super) name: Arc<str>,
    /// The hash of the containers that the pod has.
    pub(super) hash: Arc<str>,
    /// The same without images.
    pub(super) hash_without_image: Option<Arc<str>>,
    /// When Kruise changed an image last; None: never.
    pub(super) updated_in_place: Option<Timestamp>,
    /// `imageID` of containers before that.
    pub(super) previous_image_ids: BTreeMap<Arc<str>, Arc<str>>,
}

impl InjectedSet {
    pub(super) fn memory_size(&self) -> usize {
        let ids = self.previous_image_ids.iter().map(|(name, id)| name.len() + id.len());
        let hash = self.hash_without_image.as_ref().map_or(0, |hash| hash.len());
        size_of::<Self>() + self.name.len() + self.hash.len() + hash + ids.sum::<usize>()
    }
}

/// Reads the annotations of a pod. One that cannot be read says nothing.
pub(super) fn read_injected_sets(
    annotations: &wire::RevisionAnnotationsWire<'_>,
    texts: &mut Interner,
) -> Vec<InjectedSet> {
    let Some(text) = annotations.set_hash.non_empty() else { return Vec::new() };
    let hashes = parse_hashes(text).unwrap_or_default();
    let without_image = parse_hashes(annotations.set_hash_without_image.as_str()).unwrap_or_default();
    let in_place = annotations.set_in_place.as_str();
    let in_place: BTreeMap<String, wire::InPlaceUpdateWire<'_>> =
        serde_json::from_str(in_place).unwrap_or_default();
    let mut sets = Vec::new();
    for (name, entry) in &hashes {
        let Some(hash) = entry["hash"].as_str() else { continue };
        let record = in_place.get(name);
        let ids = record.iter().flat_map(|r| r.last_container_statuses.iter().flatten());
        let ids = ids.filter_map(|(container, status)| {
            Some((texts.intern(container.as_str()), texts.intern(status.image_id.non_empty()?)))
        });
        sets.push(InjectedSet {
            previous_image_ids: ids.collect(),
            // Kruise does not refresh the time of its record, but that of the hash.
            updated_in_place: record.and_then(|_| entry["updateTimestamp"].as_str()?.parse().ok()),
            hash_without_image: without_image
                .get(name)
                .and_then(|entry: &Value| entry["hash"].as_str())
                .map(|hash| texts.intern(hash)),
            name: texts.intern(name),
            hash: texts.intern(hash),
        });
    }
    sets
}
