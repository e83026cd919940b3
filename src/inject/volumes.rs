//! Volumes that sidecars mount, and mounts and devices that they share with the application.

use super::app_containers::AppContainers;
use super::cleanup;
use super::env::referenced_variables;
use super::injected_mark::is_injected;
use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::{ContainerList, JsonObject, PodView, container_path, item_name, list_items};
use super::trace::ItemSource;
use super::types::{
    ContainerContent, InjectionContext, MergedContainers, PodDispositions, PreviousInjection, SelectedSet,
    SetSelection, container_label,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::{EntryPart, ListItem};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where the API server mounts the token of the service account.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What a sidecar takes over from the application's containers.
#[derive(Default)]
pub(super) struct SharedItems<'a> {
    /// Mounts, each with the container it comes from.
    pub(super) mounts: Vec<(&'a Value, &'a str)>,
    /// Devices, likewise.
    pub(super) devices: Vec<(&'a Value, &'a str)>,
    /// The variables that `subPathExpr` of mounts needs.
    pub(super) variables: Vec<(&'a Value, &'a str)>,
}

impl<'a> SharedItems<'a> {
    /// Returns the mount of a service-account token that is in the manifest and is shared.
    pub(super) fn token_mount(&self) -> Option<(&'a Value, &'a str)> {
        self.mounts.iter().copied().find(|(mount, _)| mount_path(mount) == TOKEN_PATH)
    }
}

/// Collects what the policies of a sidecar share with it.
pub(super) fn collect_shared<'a>(sidecar: &SidecarContainer, apps: &AppContainers<'a>) -> SharedItems<'a> {
    let mut shared = SharedItems::default();
    let own = |key: &str| sidecar.container.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own_devices = own("volumeDevices");
    // Kruise v1.9.0: containers that bear the mark are not application's; paths are compared as texts.
    let sources = || apps.containers.iter().copied().filter(|c| !is_injected(c));
    let mut taken: BTreeSet<&str> = own("volumeMounts").iter().map(mount_path).collect();
    taken.extend(own_devices.iter().map(device_path));
    if sidecar.share_volumes {
        for app in sources() {
            for mount in list_items(app, "volumeMounts") {
                // The variables come along even where the mount itself finds its path taken.
                shared
                    .variables
                    .extend(sub_path_variables(apps, item_name(app), mount).map(|v| (v, item_name(app))));
                if taken.insert(mount_path(mount)) {
                    shared.mounts.push((mount, item_name(app)));
                }
            }
        }
    }
    if sidecar.share_volume_devices {
        for app in sources() {
            for device in list_items(app, "volumeDevices") {
                if taken.insert(device_path(device)) {
                    shared.devices.push((device, item_name(app)));
                }
            }
        }
    }
    shared
}

/// The variables of a container that a mount's `subPathExpr` names; of several definitions the first.
fn sub_path_variables<'a>(
    apps: &AppContainers<'a>,
    app: &'a str,
    mount: &'a Value,
) -> impl Iterator<Item = &'a Value> {
    let expression = mount.get("subPathExpr").and_then(Value::as_str).unwrap_or_default();
    referenced_variables(expression)
        .filter_map(move |wanted| apps.variable(app, wanted))
        .map(|found| found.first)
}

fn mount_path(mount: &Value) -> &str {
    mount.get("mountPath").and_then(Value::as_str).unwrap_or_default()
}

fn device_path(device: &Value) -> &str {
    device.get("devicePath").and_then(Value::as_str).unwrap_or_default()
}

/// Adds shared mounts or devices to a container, and returns where they are in it.
pub(super) fn append_items<'a>(
    container: &mut ContainerContent,
    key: &'static str,
    added: &[(&Value, &'a str)],
) -> Vec<(&'static str, usize, ItemSource<'a>)> {
    if added.is_empty() {
        return Vec::new();
    }
    let list = container.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let Some(list) = list.as_array_mut() else { return Vec::new() };
    let first = list.len();
    list.extend(added.iter().map(|(value, _)| (*value).clone()));
    added.iter().enumerate().map(|(i, (_, app))| (key, first + i, ItemSource::SharedMount(app))).collect()
}

/// Returns the new list: the pod's own, then what sidecars mount, each name once. A volume of the pod stays
/// whatever its kind, unless an earlier content of the set is known to have written it.
pub(super) fn merge_volumes<'a>(
    pod: &PodView<'a>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    dispositions: &PodDispositions,
    lists: [&MergedContainers<'_>; 2],
    context: &mut InjectionContext<'_>,
) -> Vec<ListItem<'a>> {
    let (mut order, ours) = new_volumes(selection, context);
    // Kubernetes pkg/controller/statefulset updateStorage: a claim takes the place of a volume of its name, so in
    // the pod that Kruise's webhook sees that volume is the pod's own.
    order.retain(|name| !pod.template.volume_claims.contains(name));
    let removed = cleanup::removable_volumes(pod, sets, selection, previous, dispositions, lists, context);
    let mut values = BTreeMap::new();
    let mut old = Vec::new();
    let mut is_written = BTreeSet::new();
    for (i, volume) in pod.volumes.iter().enumerate().filter(|(_, v)| !removed.contains(item_name(v))) {
        let name = item_name(volume);
        old.push(name);
        let mine = ours
            .get(name)
            .filter(|(set, _)| cleanup::is_volume_from_set(pod, i, sets, previous, set, context));
        if mine.is_some() {
            is_written.insert(name);
        }
        values.entry(name).or_insert_with(|| match mine {
            Some((set, definition)) if volume.as_object() != Some(*definition) => new_volume(set, name),
            _ => ListItem::Kept(volume),
        });
    }
    if values.len() < old.len() {
        // The API server refuses two volumes of one name; they are left to it as they are.
        let new = order.iter().filter(|n| !values.contains_key(*n)).map(|n| new_volume(ours[n].0, n));
        let kept = pod.volumes.iter().filter(|v| !removed.contains(item_name(v)));
        return kept.map(ListItem::Kept).chain(new).collect();
    }
    let own = old.iter().copied().filter(|n| !is_written.contains(n));
    let added = order.iter().copied().filter(|n| is_written.contains(n) || !values.contains_key(n));
    let order = cleanup::merge_order(&old, own.chain(added));
    order.into_iter().map(|n| values.remove(n).unwrap_or_else(|| new_volume(ours[n].0, n))).collect()
}

fn new_volume<'a>(set: &PreparedSet, name: &str) -> ListItem<'a> {
    ListItem::Shared(Arc::clone(set.volume(name).expect("a set has the volumes that it adds")))
}

/// What sets add: the names in the order of mounting, and for each the first set's definition.
fn new_volumes<'c>(
    selection: &'c SetSelection<'_>,
    context: &mut InjectionContext<'_>,
) -> (Vec<&'c str>, BTreeMap<&'c str, (&'c PreparedSet, &'c JsonObject)>) {
    let (mut order, mut ours) = (Vec::new(), BTreeMap::new());
    for selected in &selection.selected {
        for (name, definition) in selected.content.mounted_volumes() {
            match definition {
                None => context.report(volume_not_defined(selected, name)),
                Some(_) if ours.contains_key(name) => {}
                Some(definition) => {
                    order.push(name);
                    ours.insert(name, (selected.content, definition));
                }
            }
        }
    }
    (order, ours)
}

fn volume_not_defined(selected: &SelectedSet<'_>, volume: &str) -> Diagnostic {
    let set = selected.content.set();
    let message =
        format!("SidecarSet `{}` mounts a volume `{volume}` that it does not define", selected.name());
    let diagnostic = Diagnostic::error(Code::VolumeNotDefined, message);
    let place = set.init_containers.iter().chain(&set.containers).find_map(|sidecar| {
        ["volumeMounts", "volumeDevices"].into_iter().find_map(|key| {
            let at = sidecar
                .container
                .get(key)
                .and_then(Value::as_array)?
                .iter()
                .position(|m| item_name(m) == volume)?;
            Some(sidecar.path.child(key).child(at).child("name"))
        })
    });
    let diagnostic = match place {
        Some(at) => diagnostic.at(set.document.label(&at, EntryPart::Value, "")).field(at.to_string()),
        None => diagnostic,
    };
    diagnostic
        .because("Kruise's validation refuses such a set, and the API server a pod without the volume")
        .help("define it under the set's `volumes`, or use `shareVolumePolicy` for mounts of the application")
}

/// Warns of a token mount in the manifest: the API server gives every container its own when the pod is made,
/// so one that is written down comes from a copy of a live pod.
pub(super) fn shared_token_warning(
    pod: &PodView<'_>,
    selected: &SelectedSet<'_>,
    sidecar: &SidecarContainer,
    (mount, app): (&Value, &str),
) -> Diagnostic {
    let message =
        format!("`{}` shares the service-account token `{}` of the manifest", sidecar.name, item_name(mount));
    let index = pod.containers.iter().position(|c| item_name(c) == app).unwrap_or_default();
    let at = list_items(&pod.containers[index], "volumeMounts")
        .iter()
        .position(|m| m == mount)
        .unwrap_or_default();
    let path = container_path(ContainerList::Regular, index).child("volumeMounts").child(at).child("name");
    Diagnostic::warning(Code::SharesTokenMount, message)
        .at(pod.label(&path, EntryPart::Value, "mounted here"))
        .at(container_label(selected, sidecar, "shares every mount"))
        .because("the API server mounts a token into every container by itself")
        .help("take the volume and its mounts out of the manifest")
}
