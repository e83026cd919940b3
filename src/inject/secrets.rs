//! imagePullSecrets: the pod's, then each set's, each name once.

use super::Work;
use super::removal::{self, Fates, Previous};
use super::selects::Choice;
use super::sets::Sets;
use super::template::{Pod, name};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the new list. Kruise v1.9.0 takes the pod's own duplicates out as well, once a set matches.
pub(super) fn merge(
    pod: &Pod<'_>,
    sets: &Sets,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    fates: &Fates,
    work: &mut Work<'_>,
) -> Vec<Value> {
    let ours: Vec<&str> = choice.chosen.iter().flat_map(|c| c.content.secrets()).collect();
    let gone = removal::secrets(pod, sets, choice, previous, fates, work);
    let kept = pod.image_pull_secrets.iter().filter(|s| !gone.contains(name(s)));
    if choice.chosen.is_empty() {
        return kept.cloned().collect();
    }
    let mut written = BTreeMap::new();
    let mut old = Vec::new();
    for secret in kept {
        if !written.contains_key(name(secret)) {
            written.insert(name(secret), secret);
            old.push(name(secret));
        }
    }
    // What an earlier injection brought stands where a first injection would put it, if nothing moves by
    // that. A secret that none of the sets injected before brings is the pod's own.
    let is_ours: BTreeSet<&str> = ours.iter().copied().filter(|n| previous.brought_secret(sets, n)).collect();
    let own = old.iter().copied().filter(|n| !is_ours.contains(n));
    let order = removal::settled(&old, own.chain(ours));
    order.into_iter().map(|n| written.get(n).map_or_else(|| json!({"name": n}), |s| (*s).clone())).collect()
}
