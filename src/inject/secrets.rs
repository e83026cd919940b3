//! imagePullSecrets: the pod's, then each set's, each name once.

use super::removal::{Fates, Previous};
use super::selects::Choice;
use super::sets::{PreparedSet, Sets};
use super::template::{self, Pod};
use super::{Work, removal};
use serde_json::{Value, json};

/// Returns the names that a set brings, in its order.
pub(super) fn brought(set: &PreparedSet) -> Vec<&str> {
    set.set().image_pull_secrets.iter().map(String::as_str).collect()
}

/// Returns the new list. Kruise v1.9.0 takes the pod's own duplicates out as well, once a set matches.
pub(super) fn merge(
    pod: &Pod<'_>,
    sets: &Sets,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    fates: &Fates,
    work: &mut Work<'_>,
) -> Vec<Value> {
    let ours: Vec<&str> = choice.chosen.iter().flat_map(|c| brought(c.content)).collect();
    let gone = removal::secrets(pod, sets, choice, previous, fates, &ours, work);
    let kept = pod.image_pull_secrets.iter().filter(|s| !gone.contains(&template::name(s)));
    if choice.chosen.is_empty() {
        return kept.cloned().collect();
    }
    let mut own: Vec<&Value> = Vec::new();
    for secret in kept {
        if !own.iter().any(|s| template::name(s) == template::name(secret)) {
            own.push(secret);
        }
    }
    let mut all: Vec<&str> = own.iter().map(|s| template::name(s)).collect();
    // What an earlier injection brought stands where a first injection would put it, if nothing moves by that.
    if previous.is_ours() {
        let fresh = all.iter().filter(|n| !ours.contains(n)).chain(&ours).copied();
        all = removal::settled(&all, fresh);
    }
    for name in ours {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.into_iter()
        .map(|n| {
            own.iter().find(|s| template::name(s) == n).map_or_else(|| json!({"name": n}), |s| (*s).clone())
        })
        .collect()
}
