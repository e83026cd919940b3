//! Hot-upgrade pairs: a template that changes the active container is not a hot upgrade.

use super::update_method::{UpdateBehavior, UpdateMethod};
use crate::model::pod_annotations::{WORKING_CONTAINERS, parse_working_containers};
use serde_json::Value;
use std::sync::Arc;

/// Returns the container of a hot-upgrade pair that another template changes, by its name in the SidecarSet. Removing
/// the whole pair is not a change.
pub(super) fn changed_hot_upgrade_container(
    old: &Value,
    new: &Value,
    behavior: &UpdateBehavior,
) -> Option<Arc<str>> {
    // Running pods keep their containers.
    if behavior.method == UpdateMethod::Never
        || (behavior.method == UpdateMethod::NextRun && matches!(behavior.code, None | Some("no-pods")))
    {
        return None;
    }
    let working = old["metadata"]["annotations"][WORKING_CONTAINERS].as_str()?;
    let is_changed = |name: &str| {
        let is_other =
            |container: String| match (find_container(old, &container), find_container(new, &container)) {
                (Some(before), Some(after)) => before != after,
                (Some(_), None) => find_container(new, name).is_some(),
                (None, _) => false,
            };
        [format!("{name}-1"), format!("{name}-2")].into_iter().any(is_other)
    };
    parse_working_containers(working).into_keys().find(|name| is_changed(name)).map(Arc::from)
}

fn find_container<'t>(template: &'t Value, name: &str) -> Option<&'t Value> {
    let lists = ["containers", "initContainers"].map(|list| template["spec"][list].as_array());
    lists.into_iter().flatten().flatten().find(|c| c["name"] == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pair_is_taken_away_whole_or_kept_as_it_is() {
        let template = |containers: Value| json!({"metadata": {"annotations": {WORKING_CONTAINERS: "{\"mesh\":\"mesh-1\"}"}}, "spec": {"containers": containers}});
        let taking = |how, code| UpdateBehavior { method: how, code, reason: None };
        let pair =
            |image: &str| json!([{"name": "mesh-1", "image": image}, {"name": "mesh-2", "image": "empty"}]);
        let old = template(pair("m:1"));
        let in_place = taking(UpdateMethod::InPlace, None);
        assert_eq!(
            changed_hot_upgrade_container(&old, &template(pair("m:2")), &in_place).as_deref(),
            Some("mesh")
        );
        assert_eq!(changed_hot_upgrade_container(&old, &template(pair("m:1")), &in_place), None);
        assert_eq!(changed_hot_upgrade_container(&old, &template(json!([{"name": "app"}])), &in_place), None);
        let single = template(json!([{"name": "mesh", "image": "m:1"}]));
        assert_eq!(changed_hot_upgrade_container(&old, &single, &in_place).as_deref(), Some("mesh"));
        assert_eq!(changed_hot_upgrade_container(&single, &old, &in_place), None, "a first pair");
        for later in [
            taking(UpdateMethod::NextRun, None),
            taking(UpdateMethod::NextRun, Some("no-pods")),
            taking(UpdateMethod::Never, None),
        ] {
            assert_eq!(
                changed_hot_upgrade_container(&old, &template(pair("m:2")), &later),
                None,
                "{later:?}"
            );
        }
        assert!(
            changed_hot_upgrade_container(
                &old,
                &template(pair("m:2")),
                &taking(UpdateMethod::NextRun, Some("paused"))
            )
            .is_some()
        );
    }
}
