//! Launch priority: barriers that hold containers back until those of higher priority run.
//!
//! A barrier names a ConfigMap after its pod, so only a bare Pod with a name can have it. Templates keep the
//! priorities, and Kruise's webhook in the cluster writes the barriers into their pods.

use super::template::{ContainerList, JsonObject, PodView, container_path, item_name, list_items, text_at};
use super::trace::PartOrigin;
use super::types::{ContainerSlot, InjectionContext, MergedContainers, PreviousInjection};
use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{EntryPart, ListItem};
use serde_json::{Value, json};

const LAUNCH_PRIORITY_ANNOTATION: &str = "apps.kruise.io/container-launch-priority";
pub(super) const PRIORITY_ENV: &str = "KRUISE_CONTAINER_PRIORITY";
const BARRIER_ENV: &str = "KRUISE_CONTAINER_BARRIER";

/// Returns whether an annotation orders all containers of a pod as they are listed.
pub(super) fn is_ordered(annotations: Option<&JsonObject>) -> bool {
    annotations.is_some_and(|annotations| text_at(annotations, LAUNCH_PRIORITY_ANNOTATION) == "Ordered")
}

/// Writes barriers, or says that the cluster will; init containers have none. Runs for every pod, also where
/// no set was injected.
pub(super) fn apply_barriers(
    pod: &PodView<'_>,
    annotations: &JsonObject,
    previous: &PreviousInjection<'_>,
    main: &mut MergedContainers<'_>,
    context: &mut InjectionContext<'_>,
) {
    let pod_name = pod.name();
    let config_map = format!("{pod_name}-barrier");
    let priorities = match read_priorities(pod, annotations, main, context) {
        Some(priorities) if priorities.windows(2).any(|two| two[0] != two[1]) => priorities,
        _ if previous.has_injected_sets() => {
            let has_barrier =
                |c: &&mut ListItem<'_>| list_items(c, "env").iter().any(|e| is_barrier(e, &config_map));
            return main
                .values
                .iter_mut()
                .filter(has_barrier)
                .for_each(|c| remove_barrier(c.to_mut(), &config_map));
        }
        _ => return,
    };
    if pod_name.is_empty() {
        return context.report(priority_in_cluster(pod, main));
    }
    for (i, (container, priority)) in main.values.iter_mut().zip(&priorities).enumerate() {
        write_barrier(container.to_mut(), &config_map, *priority);
        record_origin(i, container, context);
    }
}

/// The priorities in the order of the containers; None if none count or one is not a number.
fn read_priorities(
    pod: &PodView<'_>,
    annotations: &JsonObject,
    main: &MergedContainers<'_>,
    context: &mut InjectionContext<'_>,
) -> Option<Vec<i64>> {
    // Kruise v1.9.0 skips pods of one container before it reads anything.
    if main.values.len() < 2 {
        return None;
    }
    // The explicit priorities are not even parsed then.
    if is_ordered(Some(annotations)) {
        return Some((0..main.values.len()).map(|i| -i64::try_from(i).unwrap_or(i64::MAX)).collect());
    }
    let mut all = Vec::with_capacity(main.values.len());
    for (i, container) in main.values.iter().enumerate() {
        // Kruise v1.9.0 getPriority: the last entry counts, and every one of them has to be a number.
        let entries =
            list_items(container, "env").iter().enumerate().filter(|(_, e)| item_name(e) == PRIORITY_ENV);
        let mut priority = Some(0);
        for (at, entry) in entries {
            let value = entry.get("value").and_then(Value::as_str).unwrap_or_default();
            priority = value.parse::<i64>().ok();
            if priority.is_none() {
                context.report(invalid_priority(pod, main, (i, at), value));
                break;
            }
        }
        all.extend(priority);
    }
    (all.len() == main.values.len()).then_some(all)
}

/// Appends the barrier. One that names the same ConfigMap was written by an earlier pass: it is added up to
/// date where it is. (Kruise v1.9.0 appends another one at each pass.)
fn write_barrier(container: &mut Value, config_map: &str, priority: i64) {
    let reference = json!({"configMapKeyRef": {"name": config_map, "key": format!("p_{priority}")}});
    let barrier = json!({"name": BARRIER_ENV, "valueFrom": reference});
    let Some(container) = container.as_object_mut() else { return };
    let env = container.entry("env").or_insert(Value::Null);
    if !env.is_array() {
        *env = Value::Array(Vec::new());
    }
    let Some(env) = env.as_array_mut() else { return };
    match env.iter_mut().find(|e| is_barrier(e, config_map)) {
        Some(old) => *old = barrier,
        None => env.push(barrier),
    }
}

fn remove_barrier(container: &mut Value, config_map: &str) {
    let Some(container) = container.as_object_mut() else { return };
    let Some(Value::Array(env)) = container.get_mut("env") else { return };
    let before = env.len();
    env.retain(|e| !is_barrier(e, config_map));
    if env.is_empty() && before > 0 {
        container.shift_remove("env");
    }
}

fn is_barrier(entry: &Value, config_map: &str) -> bool {
    let reference = entry.get("valueFrom").and_then(|v| v.get("configMapKeyRef"));
    item_name(entry) == BARRIER_ENV && reference.is_some_and(|r| item_name(r) == config_map)
}

fn record_origin(index: usize, container: &Value, context: &mut InjectionContext<'_>) {
    let Some(trace) = &mut context.trace else { return };
    let at =
        list_items(container, "env").iter().position(|e| item_name(e) == BARRIER_ENV).unwrap_or_default();
    trace.origins.push(PartOrigin {
        path: container_path(ContainerList::Regular, index).child("env").child(at),
        set: None,
        reason: "holds the container back until those of higher launch priority run".to_owned(),
        from: None,
    });
}

fn priority_in_cluster(pod: &PodView<'_>, main: &MergedContainers<'_>) -> Diagnostic {
    let message = format!("launch priorities of `{}` need Kruise in the cluster", pod.template.key);
    let own = main.slots.iter().find_map(|slot| match slot {
        ContainerSlot::Existing(i) => Some(*i),
        ContainerSlot::New(_) => None,
    });
    let diagnostic = Diagnostic::note(Code::LaunchPriorityInCluster, message);
    let diagnostic = match own {
        Some(i) => diagnostic.at(pod.label(
            &container_path(ContainerList::Regular, i).child("name"),
            EntryPart::Value,
            "without a barrier here",
        )),
        None => diagnostic,
    };
    diagnostic
        .because("barriers carry the name of the pod, which is not known yet: Kruise's webhook writes them")
        .help(
            "where Kruise is not installed, set `sidecarMode: Auto` in pillion.yaml: native sidecars start in this order",
        )
}

fn invalid_priority(
    pod: &PodView<'_>,
    main: &MergedContainers<'_>,
    (index, entry): (usize, usize),
    value: &str,
) -> Diagnostic {
    let container = item_name(&main.values[index]);
    let message = format!(
        "{PRIORITY_ENV} of container `{container}` in `{}` is `{value}`, not a whole number",
        pod.template.key
    );
    let diagnostic = Diagnostic::error(Code::LaunchPriorityInvalid, message);
    let diagnostic = match main.slots.get(index) {
        Some(ContainerSlot::Existing(i)) => {
            let at = container_path(ContainerList::Regular, *i).child("env").child(entry);
            diagnostic
                .at(pod.label(&at.child("value"), EntryPart::Value, ""))
                .field(pod.template.path.join(&at).to_string())
        }
        _ => diagnostic,
    };
    diagnostic
        .because("Kruise denies such a pod")
        .help("write a decimal number without blanks, as a plain `value`")
}
