//! Builds, names and places the containers of SidecarSets.

use super::app_containers::AppContainers;
use super::env::{self, AddedVariables};
use super::template::{ContainerList, JsonObject, PodView, container_path, item_name, list_items};
use super::trace::ItemSource;
use super::types::{
    ContainerContent, ContainerDisposition, ContainerSlot, InjectionContext, MergedContainers, NewContainer,
    PodDispositions, SelectedSet, SetSelection,
};
use super::{hot_upgrade, overrides, resources, set_store, volumes};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::{InjectPolicy, SidecarContainer};
use crate::yaml::{EntryPart, FieldPath, ListItem, SharedValue};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Builds what every set adds, in the order of injection: per set its init containers, then its containers.
pub(super) fn build_containers<'a>(
    pod: &PodView<'a>,
    selection: &'a SetSelection<'_>,
    dispositions: &PodDispositions,
    annotations: &'a JsonObject,
    context: &mut InjectionContext<'_>,
) -> Vec<NewContainer<'a>> {
    let apps = AppContainers::from_pod(pod, dispositions);
    let mut new_containers = Vec::new();
    for (index, selected) in selection.selected.iter().enumerate() {
        for list in [ContainerList::Init, ContainerList::Regular] {
            for (sidecar, container, policy) in selected.content.sidecars(list) {
                check_sidecar(selected, list, sidecar, context);
                let mut one =
                    build_container(pod, selected, (sidecar, container), &apps, annotations, context);
                one.set_index = index;
                one.list = list;
                if let Some(policy) = policy {
                    let place = (selected, sidecar);
                    resources::apply_resources(
                        pod,
                        selection,
                        &apps,
                        place,
                        policy,
                        &mut one.container,
                        context,
                    );
                }
                overrides::apply_overrides(selected, &mut one, context);
                new_containers.extend(expand_hot_upgrade(one));
            }
        }
    }
    new_containers
}

fn build_container<'a>(
    pod: &PodView<'_>,
    selected: &'a SelectedSet<'_>,
    (sidecar, container): (&'a SidecarContainer, &'a Arc<SharedValue>),
    apps: &AppContainers<'a>,
    annotations: &'a JsonObject,
    context: &mut InjectionContext<'_>,
) -> NewContainer<'a> {
    let mut env = AddedVariables::new(container.value());
    for missing in env::transfer_env(&mut env, sidecar, apps, annotations) {
        let term = &sidecar.transfer_env[missing.term];
        // A term without any source is a fault of the set, which its validation tells.
        if term.source_container_name.is_empty() && term.source_container_name_from.is_none() {
            continue;
        }
        context.report(transfer_env_missing(pod, selected, sidecar, &missing));
    }
    let shared = volumes::collect_shared(sidecar, apps);
    for (variable, app) in &shared.variables {
        env.append_if_absent(variable, ItemSource::SubPathExpr(app));
    }
    if let Some(mount) = shared.token_mount() {
        context.report(volumes::shared_token_warning(pod, selected, sidecar, mount));
    }
    let mark = list_items(container.value(), "env").len() - 1;
    let mut container = ContainerContent::Shared(Arc::clone(container));
    let mut sources = vec![("env", mark, ItemSource::InjectedMark)];
    sources.extend((mark + 1..).zip(&env.entries).map(|(i, (_, source))| ("env", i, *source)));
    if !env.entries.is_empty()
        && let Some(Value::Array(variables)) = container.get_mut("env")
    {
        variables.extend(env.entries.iter().map(|(entry, _)| Value::clone(entry)));
    }
    for (key, added) in [("volumeMounts", &shared.mounts), ("volumeDevices", &shared.devices)] {
        sources.extend(volumes::append_items(&mut container, key, added));
    }
    let name = sidecar.name.clone();
    NewContainer {
        set_index: 0,
        sidecar,
        list: ContainerList::Regular,
        name,
        hot_upgrade_twin: None,
        container,
        sources,
        probe_source: None,
    }
}

/// Makes two of a container that is upgraded hot.
fn expand_hot_upgrade(one: NewContainer<'_>) -> Vec<NewContainer<'_>> {
    if !set_store::is_hot_upgraded(one.sidecar, one.list) {
        return vec![one];
    }
    let second = one.clone();
    vec![hot_upgrade::to_twin(one, 0), hot_upgrade::to_twin(second, 1)]
}

/// Returns a list as the pod has it.
pub(super) fn unchanged_containers<'a>(pod: &PodView<'a>, list: ContainerList) -> MergedContainers<'a> {
    let values: Vec<ListItem<'_>> = list.in_pod(pod).iter().map(ListItem::Kept).collect();
    MergedContainers { list, slots: (0..values.len()).map(ContainerSlot::Existing).collect(), values }
}

/// Makes one list of the pod of its slots, and takes what sets add out of `new_containers`.
pub(super) fn merge_containers<'a>(
    pod: &PodView<'a>,
    list: ContainerList,
    slots: Vec<ContainerSlot>,
    new_containers: &mut [NewContainer<'_>],
) -> MergedContainers<'a> {
    let values = slots.iter().map(|slot| match slot {
        ContainerSlot::Existing(i) => ListItem::Kept(&list.in_pod(pod)[*i]),
        ContainerSlot::New(i) => new_containers[*i].container.take(),
    });
    MergedContainers { list, values: values.collect(), slots }
}

/// Puts what sets add into one list of the pod.
///
/// Kruise v1.9.0: a name that is in the pod keeps its place there; new ones go before or behind all of the
/// pod's own. What pillion adds: where a set that is injected already adds one more, it goes where a first
/// injection would put it, provided that nothing else moves by that.
pub(super) fn place_containers(
    pod: &PodView<'_>,
    list: ContainerList,
    dispositions: &PodDispositions,
    new_containers: &[NewContainer<'_>],
) -> Vec<ContainerSlot> {
    let (old, dispositions) = (list.in_pod(pod), dispositions.in_list(list));
    let mut ours: Vec<usize> =
        (0..new_containers.len()).filter(|i| new_containers[*i].list == list).collect();
    if list == ContainerList::Init {
        ours.sort_by(|a, b| init_order(&new_containers[*a]).cmp(&init_order(&new_containers[*b])));
    }
    let by_name: BTreeMap<&str, usize> =
        ours.iter().map(|i| (new_containers[*i].name.as_str(), *i)).collect();
    // Containers start after all init containers, and so do those that a mode makes native.
    let is_before = |i: &usize| {
        let sidecar = new_containers[*i].sidecar;
        sidecar.pod_inject_policy == InjectPolicy::BeforeAppContainer && !sidecar.is_converted
    };
    let kept = old
        .iter()
        .zip(dispositions)
        .enumerate()
        .filter(|(_, (_, disposition))| **disposition != ContainerDisposition::Removed);
    let standing: Vec<ContainerSlot> = kept
        .map(|(i, (container, disposition))| match disposition {
            ContainerDisposition::Replaced => by_name
                .get(item_name(container))
                .map_or(ContainerSlot::Existing(i), |i| ContainerSlot::New(*i)),
            _ => ContainerSlot::Existing(i),
        })
        .collect();
    let in_place: BTreeSet<ContainerSlot> = standing.iter().copied().collect();
    let around = |middle: Vec<ContainerSlot>, all: bool| {
        let new = |i: &&usize| all || !in_place.contains(&ContainerSlot::New(**i));
        let before = ours.iter().filter(|i| is_before(i)).filter(new).map(|i| ContainerSlot::New(*i));
        let after = ours.iter().filter(|i| !is_before(i)).filter(new).map(|i| ContainerSlot::New(*i));
        before.chain(middle).chain(after).collect::<Vec<_>>()
    };
    let own = standing.iter().copied().filter(|s| matches!(s, ContainerSlot::Existing(_))).collect();
    let fresh = around(own, true);
    if fresh.iter().filter(|s| in_place.contains(s)).eq(&standing) {
        fresh
    } else {
        around(standing.clone(), false)
    }
}

/// The order of init containers: by name, as Kruise v1.9.0; then the containers that a mode makes native, in the order
/// that they would have as containers.
fn init_order<'a>(new: &'a NewContainer<'_>) -> (bool, bool, &'a str) {
    let sidecar = new.sidecar;
    match sidecar.is_converted {
        true => (true, sidecar.pod_inject_policy != InjectPolicy::BeforeAppContainer, ""),
        false => (false, false, &new.name),
    }
}

/// Reports an init container that is put first; validation reports what Kruise ignores in a set.
fn check_sidecar(
    selected: &SelectedSet<'_>,
    list: ContainerList,
    sidecar: &SidecarContainer,
    context: &mut InjectionContext<'_>,
) {
    let is_first = sidecar.pod_inject_policy == InjectPolicy::BeforeAppContainer && !sidecar.is_converted;
    if list != ContainerList::Init || !is_first {
        return;
    }
    let at = sidecar.path.child("podInjectPolicy");
    let message = format!("init container `{}` is placed before those of the application", sidecar.name);
    context.report(
        Diagnostic::warning(Code::InitBeforeApp, message)
            .at(selected.content.set().document.label(&at, EntryPart::Value, ""))
            .field(at.to_string())
            .because(
                "Kruise does the same, although its API documentation says that the policy has no effect",
            )
            .help("remove the policy to place it after them"),
    );
}

/// What articles and slips of the pen call `env`.
const ENV_MISSPELLINGS: [&str; 3] = ["envs", "Env", "environment"];

fn transfer_env_missing(
    pod: &PodView<'_>,
    selected: &SelectedSet<'_>,
    sidecar: &SidecarContainer,
    missing: &env::MissingVariables<'_>,
) -> Diagnostic {
    let (reason, here) = match missing.container {
        None => ("the field that names the container is empty".to_owned(), "not named here"),
        Some(container) if !pod.containers.iter().any(|c| item_name(c) == container) => {
            (format!("there is no container `{container}`"), "no such container")
        }
        Some(container) => (format!("container `{container}` has none"), "no such variable"),
    };
    let variables = missing.variables.join("`, `");
    let message = format!("`{}` gets no variable `{variables}`: {reason}", sidecar.name);
    let at = missing.container.and_then(|c| pod.containers.iter().position(|p| item_name(p) == c));
    let place = at.map_or_else(
        || FieldPath::dotted("spec.containers"),
        |i| container_path(ContainerList::Regular, i).child("name"),
    );
    let misspelt = at.and_then(|i| {
        let container = pod.containers.get(i)?;
        let key = ENV_MISSPELLINGS.into_iter().find(|key| container.get(*key).is_some())?;
        Some((container_path(ContainerList::Regular, i).child(key), key))
    });
    let (label, help) = match misspelt {
        Some((place, key)) => (
            pod.label(&place, EntryPart::Key, "containers have no such field"),
            format!("write `env` instead of `{key}`"),
        ),
        None => (
            pod.label(&place, EntryPart::Value, here),
            "add the variable to the workload, or remove it from `transferEnv`".to_owned(),
        ),
    };
    let term = sidecar.path.child("transferEnv").child(missing.term);
    Diagnostic::warning(Code::TransferEnvMissing, message)
        .at(label)
        .at(selected.content.set().document.label(&term, EntryPart::Value, "asked for here"))
        .because("Kruise skips it silently")
        .help(help)
}
