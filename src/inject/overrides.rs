//! SidecarOverrides: changes of injected containers, after `resourcesPolicy`.

use super::template::{JsonObject, PodView, item_name, list_items};
use super::types::{InjectionContext, NewContainer, SelectedSet, SetSelection};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::json::object_entry;
use crate::model::quantity::Quantity;
use crate::model::sidecar_override::{ChosenChange, ContainerField, OverrideField};
use crate::yaml::{EntryPart, FieldPath, ListItem};
use serde_json::Value;
use std::collections::BTreeSet;

/// Returns the changes of one container of a set.
pub(super) fn container_changes<'o>(
    selected: &SelectedSet<'o>,
    name: &str,
) -> impl Iterator<Item = (&'o ContainerField, ChosenChange<'o>)> {
    selected.overrides.container_changes().filter_map(move |chosen| match &chosen.change.field {
        OverrideField::Container { container, part } if container == name => Some((part, chosen)),
        _ => None,
    })
}

/// Applies the SidecarOverrides to a container of a set, as it goes into the pod.
pub(super) fn apply_overrides(
    selected: &SelectedSet<'_>,
    one: &mut NewContainer<'_>,
    context: &mut InjectionContext<'_>,
) {
    let name = one.sidecar.name.clone();
    let mut has_amounts = false;
    for (field, chosen) in container_changes(selected, &name) {
        let value = &chosen.change.value;
        match field {
            ContainerField::Resource { list, resource } => {
                set_amount(&mut one.container, list, resource, value);
                has_amounts = true;
            }
            ContainerField::Args if value.is_null() => {
                one.container.shift_remove("args");
            }
            ContainerField::Args => {
                one.container.insert("args".to_owned(), value.clone());
            }
            ContainerField::Variable(variable) => replace_item(one, ("env", "name"), variable, value),
            ContainerField::Mount(path) => replace_item(one, ("volumeMounts", "mountPath"), path, value),
        }
    }
    if has_amounts {
        check_requests(selected, one, context);
    }
}

/// Sets or removes an amount, and removes what is empty then.
fn set_amount(container: &mut JsonObject, list: &str, resource: &str, value: &Value) {
    let resources = object_entry(container, "resources");
    let amounts = object_entry(resources, list);
    match value {
        Value::Null => {
            amounts.shift_remove(resource);
        }
        _ => {
            amounts.insert(resource.to_owned(), value.clone());
        }
    }
    if amounts.is_empty() {
        resources.shift_remove(list);
    }
    if resources.is_empty() {
        container.shift_remove("resources");
    }
}

/// Replaces the item of a list that has a value at a key, where it is; adds it at the end, or removes it.
fn replace_item(
    one: &mut NewContainer<'_>,
    (list, key): (&'static str, &'static str),
    wanted: &str,
    new: &Value,
) {
    let items = one.container.entry(list).or_insert(Value::Null);
    if !items.is_array() {
        *items = Value::Array(Vec::new());
    }
    let Some(items) = items.as_array_mut() else { return };
    let is_wanted = |item: &Value| item.get(key).and_then(Value::as_str) == Some(wanted);
    let mut first = items.iter().position(is_wanted);
    if let Some(at) = first.filter(|_| !new.is_null()) {
        items[at] = new.clone();
        one.sources.retain(|(of, item, _)| *of != list || *item != at);
    } else if !new.is_null() {
        first = Some(items.len());
        items.push(new.clone());
    }
    // Of several variables of one name the last counts, so none may stay behind the new one.
    let kept = first.filter(|_| !new.is_null());
    let mut at = 0;
    while at < items.len() {
        if Some(at) == kept || !is_wanted(&items[at]) {
            at += 1;
            continue;
        }
        items.remove(at);
        one.sources.retain(|(of, item, _)| *of != list || *item != at);
        one.sources.iter_mut().filter(|(of, item, _)| *of == list && *item > at).for_each(|s| s.1 -= 1);
    }
    if items.is_empty() {
        one.container.shift_remove(list);
    }
}

/// Reports a request above its limit, which the API server refuses.
fn check_requests(selected: &SelectedSet<'_>, one: &NewContainer<'_>, context: &mut InjectionContext<'_>) {
    let amount = |list: &str, resource: &str| {
        Quantity::from_value(one.container.get("resources")?.get(list)?.get(resource)?).ok()
    };
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        let (Some(request), Some(limit)) = (amount("requests", resource), amount("limits", resource)) else {
            continue;
        };
        if request <= limit {
            continue;
        }
        let changes = container_changes(selected, &one.sidecar.name);
        let own = changes.filter(
            |(field, _)| matches!(field, ContainerField::Resource { resource: of, .. } if of == resource),
        );
        let own: Vec<ChosenChange<'_>> = own.map(|(_, chosen)| chosen).collect();
        let Some(first) = own.first() else { continue };
        let message = format!(
            "SidecarOverride `{}` gives `{}` a {resource} request of `{request}`, above its limit of `{limit}`",
            first.source.name, one.sidecar.name
        );
        let at = one.sidecar.path.child("resources");
        let set = selected.content.set();
        let mut diagnostic = Diagnostic::error(Code::InvalidValue, message).at(first.label(""));
        diagnostic.spans.extend(own.iter().skip(1).map(|chosen| chosen.label("and here")));
        if own.len() == 1 {
            diagnostic =
                diagnostic.at(set.document.label(&at, EntryPart::Key, "the other amount is from here"));
        }
        context.report(
            diagnostic
                .because("the API server refuses such a pod")
                .help("override both the request and the limit"),
        );
    }
}

/// Reports mounts of volumes that the pod does not have.
pub(super) fn check_mounts(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    volumes: &[ListItem<'_>],
    context: &mut InjectionContext<'_>,
) {
    let known: BTreeSet<&str> = volumes
        .iter()
        .map(|volume| item_name(volume))
        .chain(pod.template.volume_claims.iter().copied())
        .collect();
    for chosen in selection.selected.iter().flat_map(|selected| selected.overrides.container_changes()) {
        let OverrideField::Container { part: ContainerField::Mount(path), .. } = &chosen.change.field else {
            continue;
        };
        let volume = item_name(&chosen.change.value);
        if chosen.change.value.is_null() || known.contains(volume) {
            continue;
        }
        let message = format!(
            "SidecarOverride `{}` mounts volume `{volume}` at `{path}`, which `{}` does not have",
            chosen.source.name, pod.template.key
        );
        let at = chosen.change.path.child("name");
        context.report(
            Diagnostic::error(Code::VolumeNotDefined, message)
                .at(chosen.source.document.label(&at, EntryPart::Value, ""))
                .field(at.to_string())
                .because("the API server refuses a pod without the volume")
                .help(
                    "add the volume to the workload, or name one that a container of the SidecarSet mounts",
                ),
        );
    }
}

/// Returns the place of a changed field in a container; None: it was removed.
pub(super) fn changed_path(container: &Value, field: &ContainerField) -> Option<FieldPath> {
    let position = |list: &str, key: &str, wanted: &str| {
        let items = list_items(container, list);
        let at = items.iter().position(|item| item.get(key).and_then(Value::as_str) == Some(wanted))?;
        Some(FieldPath::root().child(list).child(at))
    };
    match field {
        ContainerField::Resource { .. } | ContainerField::Args => {
            let path = removed_path(field);
            path.find(container).map(|_| path)
        }
        ContainerField::Variable(name) => position("env", "name", name),
        ContainerField::Mount(path) => position("volumeMounts", "mountPath", path),
    }
}

/// Returns the place of a field that was removed from a container; of an item, its list.
pub(super) fn removed_path(field: &ContainerField) -> FieldPath {
    match field {
        ContainerField::Resource { list, resource } => {
            FieldPath::dotted("resources").child(*list).child(resource.as_str())
        }
        ContainerField::Args => FieldPath::dotted("args"),
        ContainerField::Variable(_) => FieldPath::dotted("env"),
        ContainerField::Mount(_) => FieldPath::dotted("volumeMounts"),
    }
}
