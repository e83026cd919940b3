//! Hot-upgrade pairs: an upgrade starts the new image in the container that does not work, and its second half gives the
//! one that worked the empty image. A change that does more is not a hot upgrade.

use super::update_method::{UpdateBehavior, UpdateMethod};
use crate::model::ledger::HotUpgrades;
use crate::model::pod_annotations::{WORKING_CONTAINERS, parse_working_containers};
use crate::model::sidecar_set::HotUpgradeState;
use serde_json::Value;
use std::sync::Arc;

/// A half of a hot upgrade; each is one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HotUpgradeHalf {
    /// The container that does not work gets the new image.
    First,
    /// The container that worked before gets the empty image.
    Second,
}

impl HotUpgradeHalf {
    /// Returns it as trailers have it: `1/2`.
    pub(crate) fn fraction(self) -> &'static str {
        match self {
            Self::First => "1/2",
            Self::Second => "2/2",
        }
    }

    /// Returns what it does in each pod.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::First => "starts the new container",
            Self::Second => "empties the old container",
        }
    }

    /// Returns the half that leads from one state to another.
    pub(super) fn between(before: &HotUpgrades, after: &HotUpgrades) -> Option<Self> {
        match (before.is_half_done(), after.is_half_done()) {
            (_, true) => Some(Self::First),
            (true, false) if before.versions == after.versions => Some(Self::Second),
            // Nothing was upgraded, or the first half is undone.
            _ => None,
        }
    }
}

/// Returns the container of a hot-upgrade pair that another template changes in a way that is not its next half, by its
/// name in the SidecarSet. Removing the whole pair is not a change.
pub(super) fn changed_hot_upgrade_container(
    [old, new]: [&Value; 2],
    [before, after]: [&HotUpgrades; 2],
    behavior: &UpdateBehavior,
) -> Option<Arc<str>> {
    // Running pods keep their containers.
    if behavior.method == UpdateMethod::Never
        || (behavior.method == UpdateMethod::NextRun && matches!(behavior.code, None | Some("no-pods")))
    {
        return None;
    }
    let working = old["metadata"]["annotations"][WORKING_CONTAINERS].as_str()?;
    let is_refused = |name: &str| {
        let own = touched_index(before, after, name);
        let is_other = |(index, container): (usize, String)| {
            let is_changed = match (find_container(old, &container), find_container(new, &container)) {
                (Some(before), Some(after)) => before != after,
                (Some(_), None) => find_container(new, name).is_some(),
                (None, _) => false,
            };
            is_changed && (behavior.method != UpdateMethod::InPlace || index != own)
        };
        [format!("{name}-1"), format!("{name}-2")].into_iter().enumerate().any(is_other)
    };
    parse_working_containers(working).into_keys().find(|name| is_refused(name)).map(Arc::from)
}

/// Returns the index of the one container of a pair that may change.
fn touched_index(before: &HotUpgrades, after: &HotUpgrades, name: &str) -> usize {
    let (old, new) = (before.version(name), after.version(name));
    // The first half, another image for it, or its end.
    if new > old || (new == old && before.is_half_done() && after.is_half_done()) {
        return HotUpgradeState::working_index(new);
    }
    if new < old {
        return HotUpgradeState::working_index(old);
    }
    1 - HotUpgradeState::working_index(new)
}

fn find_container<'t>(template: &'t Value, name: &str) -> Option<&'t Value> {
    let lists = ["containers", "initContainers"].map(|list| template["spec"][list].as_array());
    lists.into_iter().flatten().flatten().find(|c| c["name"] == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(containers: Value) -> Value {
        json!({"metadata": {"annotations": {WORKING_CONTAINERS: "{\"mesh\":\"mesh-1\"}"}}, "spec": {"containers": containers}})
    }

    fn pair(first: &str, second: &str) -> Value {
        json!([{"name": "mesh-1", "image": first}, {"name": "mesh-2", "image": second}])
    }

    fn state(version: u32, from: Option<&str>) -> HotUpgrades {
        let versions =
            [("mesh".to_owned(), version)].into_iter().filter(|(_, version)| *version > 1).collect();
        HotUpgrades { versions, from: from.map(Arc::from) }
    }

    fn taking(method: UpdateMethod, code: Option<&'static str>) -> UpdateBehavior {
        UpdateBehavior { method, code, reason: None }
    }

    #[test]
    fn a_pair_is_taken_away_whole_or_kept_as_it_is() {
        let none = HotUpgrades::default();
        let changed = |old: &Value, new: &Value, how: UpdateBehavior| {
            changed_hot_upgrade_container([old, new], [&none, &none], &how)
        };
        let in_place = || taking(UpdateMethod::InPlace, None);
        let old = template(pair("m:1", "empty"));
        assert_eq!(changed(&old, &template(pair("m:2", "empty")), in_place()).as_deref(), Some("mesh"));
        assert_eq!(changed(&old, &template(pair("m:1", "empty")), in_place()), None);
        assert_eq!(changed(&old, &template(pair("m:1", "empty:2")), in_place()), None);
        assert_eq!(changed(&old, &template(json!([{"name": "app"}])), in_place()), None);
        let single = template(json!([{"name": "mesh", "image": "m:1"}]));
        assert_eq!(changed(&old, &single, in_place()).as_deref(), Some("mesh"));
        assert_eq!(changed(&single, &old, in_place()), None, "a first pair");
        for later in [
            taking(UpdateMethod::NextRun, None),
            taking(UpdateMethod::NextRun, Some("no-pods")),
            taking(UpdateMethod::Never, None),
        ] {
            assert_eq!(changed(&old, &template(pair("m:2", "empty")), later.clone()), None, "{later:?}");
        }
        let paused = taking(UpdateMethod::NextRun, Some("paused"));
        assert!(changed(&old, &template(pair("m:2", "empty")), paused).is_some());
    }

    #[test]
    fn each_half_changes_its_own_container_in_place() {
        let (one, half, two) = (state(1, None), state(2, Some("a")), state(2, None));
        let [start, middle, end] = [pair("m:1", "e"), pair("m:1", "m:2"), pair("e", "m:2")].map(template);
        let newer = template(pair("m:1", "m:3"));
        let steps = [
            ([&start, &middle], [&one, &half]),
            ([&middle, &end], [&half, &two]),
            ([&middle, &start], [&half, &one]),
            ([&middle, &newer], [&half, &half]),
        ];
        for (templates, states) in steps {
            let changed = |how| changed_hot_upgrade_container(templates, states, &taking(how, None));
            assert_eq!(changed(UpdateMethod::InPlace), None, "{states:?}");
            assert!(changed(UpdateMethod::Recreate).is_some(), "{states:?}");
        }
        // Both at once, or the one that works.
        for templates in [[&start, &end], [&end, &start], [&middle, &template(pair("m:9", "m:2"))]] {
            for states in [[&one, &half], [&half, &half], [&one, &one]] {
                let refused =
                    changed_hot_upgrade_container(templates, states, &taking(UpdateMethod::InPlace, None));
                assert!(refused.is_some(), "{states:?}");
            }
        }
    }
}
