//! Merges imagePullSecrets: those of the pod, then those of each SidecarSet, each name once.

use super::cleanup;
use super::set_store::SidecarSetStore;
use super::template::{PodView, item_name};
use super::types::{InjectionContext, PodDispositions, PreviousInjection, SetSelection};
use crate::yaml::ListItem;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the new list. Kruise v1.9.0 takes the pod's own duplicates out as well, once a set matches.
pub(super) fn merge_secrets<'a>(
    pod: &PodView<'a>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    dispositions: &PodDispositions,
    context: &mut InjectionContext<'_>,
) -> Vec<ListItem<'a>> {
    let ours: Vec<&str> = selection.selected.iter().flat_map(|c| c.content.secrets()).collect();
    let removed = cleanup::removable_secrets(pod, sets, selection, previous, dispositions, context);
    let kept = pod.image_pull_secrets.iter().filter(|s| !removed.contains(item_name(s)));
    if selection.selected.is_empty() {
        return kept.map(ListItem::Kept).collect();
    }
    let mut written = BTreeMap::new();
    let mut old = Vec::new();
    for secret in kept {
        if !written.contains_key(item_name(secret)) {
            written.insert(item_name(secret), secret);
            old.push(item_name(secret));
        }
    }
    // What an earlier injection added stands where a first injection would put it, if nothing moves by
    // that. A secret that none of the sets injected before adds is the pod's own.
    let is_ours: BTreeSet<&str> = ours.iter().copied().filter(|n| previous.had_secret(sets, n)).collect();
    let own = old.iter().copied().filter(|n| !is_ours.contains(n));
    let order = cleanup::merge_order(&old, own.chain(ours));
    let secret = |name| match written.get(name) {
        Some(secret) => ListItem::Kept(secret),
        None => ListItem::New(json!({"name": name})),
    };
    order.into_iter().map(secret).collect()
}
