//! Volumes that sidecars mount, and mounts and devices that they share with the application.

use super::containers::{Apps, Merged, label};
use super::env::{is_injected, referenced};
use super::removal::{self, Fates, Previous};
use super::revision::Chosen;
use super::selects::Choice;
use super::sets::{PreparedSet, Sets};
use super::template::{Object, Pod, items, name};
use super::trace::Source;
use super::{Work, containers};
use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::Part;
use serde_json::Value;

/// Where the API server mounts the token of the service account.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What a sidecar takes over from the application's containers.
#[derive(Default)]
pub(super) struct Shared<'a> {
    /// Mounts, each with the container it comes from.
    pub(super) mounts: Vec<(&'a Value, &'a str)>,
    /// Devices, likewise.
    pub(super) devices: Vec<(&'a Value, &'a str)>,
    /// The variables that `subPathExpr` of mounts needs.
    pub(super) variables: Vec<(&'a Value, &'a str)>,
}

impl<'a> Shared<'a> {
    /// Returns the mount of a service-account token that stands in the manifest and is shared.
    pub(super) fn token_mount(&self) -> Option<(&'a Value, &'a str)> {
        self.mounts.iter().copied().find(|(mount, _)| mount_path(mount) == TOKEN_PATH)
    }
}

/// Collects what the policies of a sidecar share with it.
pub(super) fn share<'a>(sidecar: &SidecarContainer, apps: &Apps<'a>) -> Shared<'a> {
    let mut shared = Shared::default();
    let own = |key: &str| sidecar.container.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own_devices = own("volumeDevices");
    // Kruise v1.9.0: containers that bear the mark are no application's; paths are compared as texts.
    let sources = || apps.containers.iter().copied().filter(|c| !is_injected(c));
    let mut taken: Vec<&str> = own("volumeMounts").iter().map(mount_path).collect();
    taken.extend(own_devices.iter().map(device_path));
    if sidecar.share_volumes {
        for app in sources() {
            for mount in items(app, "volumeMounts") {
                // The variables come along even where the mount itself finds its path taken.
                shared.variables.extend(variables(app, mount).map(|v| (v, name(app))));
                if !taken.contains(&mount_path(mount)) {
                    taken.push(mount_path(mount));
                    shared.mounts.push((mount, name(app)));
                }
            }
        }
    }
    if sidecar.share_volume_devices {
        for app in sources() {
            for device in items(app, "volumeDevices") {
                if !taken.contains(&device_path(device)) {
                    taken.push(device_path(device));
                    shared.devices.push((device, name(app)));
                }
            }
        }
    }
    shared
}

/// The variables of a container that a mount's `subPathExpr` names; of several definitions the first.
fn variables<'a>(app: &'a Value, mount: &'a Value) -> impl Iterator<Item = &'a Value> {
    let expression = mount.get("subPathExpr").and_then(Value::as_str).unwrap_or_default();
    referenced(expression).filter_map(|wanted| items(app, "env").iter().find(|e| name(e) == wanted))
}

fn mount_path(mount: &Value) -> &str {
    mount.get("mountPath").and_then(Value::as_str).unwrap_or_default()
}

fn device_path(device: &Value) -> &str {
    device.get("devicePath").and_then(Value::as_str).unwrap_or_default()
}

/// Adds shared mounts or devices to a container, and returns where they stand in it.
pub(super) fn append<'a>(
    container: &mut Object,
    key: &'static str,
    added: &[(&Value, &'a str)],
) -> Vec<(&'static str, usize, Source<'a>)> {
    if added.is_empty() {
        return Vec::new();
    }
    let list = container.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let Some(list) = list.as_array_mut() else { return Vec::new() };
    let first = list.len();
    list.extend(added.iter().map(|(value, _)| (*value).clone()));
    added.iter().enumerate().map(|(i, (_, app))| (key, first + i, Source::Shared(app))).collect()
}

/// Returns the names of the volumes that a set brings, in the order of mounting.
pub(super) fn brought(set: &PreparedSet) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in mounted(set).map(|(_, name)| name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Per set init containers come first; per container mounts come before devices.
fn mounted(set: &PreparedSet) -> impl Iterator<Item = (&SidecarContainer, &str)> {
    let sidecars = set.set().init_containers.iter().chain(&set.set().containers);
    sidecars.flat_map(|sidecar| {
        let list =
            |key: &str| sidecar.container.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list("volumeMounts").iter().chain(list("volumeDevices")).map(move |used| (sidecar, name(used)))
    })
}

/// Returns how a set defines a volume; of two definitions the last, as in Kruise.
pub(super) fn definition<'s>(set: &'s PreparedSet, wanted: &str) -> Option<&'s Object> {
    let is_it = |volume: &&Object| volume.get("name").and_then(Value::as_str) == Some(wanted);
    set.set().volumes.iter().rev().find(is_it)
}

/// Returns the new list: the pod's own, then what sidecars mount, each name once. A volume of the pod stays
/// whatever its kind, unless an earlier content of the set is known to have written it.
pub(super) fn merge(
    pod: &Pod<'_>,
    sets: &Sets,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    fates: &Fates,
    lists: [&Merged; 2],
    work: &mut Work<'_>,
) -> Vec<Value> {
    let mut ours: Vec<(&str, &Chosen<'_>, &Object)> = Vec::new();
    for chosen in &choice.chosen {
        for name in brought(chosen.content) {
            match definition(chosen.content, name) {
                _ if ours.iter().any(|(n, ..)| *n == name) => {}
                Some(definition) => ours.push((name, chosen, definition)),
                None => work.tell(not_defined(chosen, name)),
            }
        }
    }
    let names: Vec<&str> = ours.iter().map(|(n, ..)| *n).collect();
    let gone = removal::volumes(pod, sets, previous, fates, &names, lists, work);
    let mut all: Vec<(&str, Value)> = Vec::new();
    let mut written = Vec::new();
    for (i, volume) in pod.volumes.iter().enumerate() {
        let name = name(volume);
        if gone.contains(&name) {
            continue;
        }
        let mine = ours.iter().find(|(n, ..)| *n == name);
        let is_mine = mine.is_some_and(|(_, chosen, definition)| {
            removal::wrote_volume(pod, i, sets, previous, chosen.content, definition, work)
        });
        if is_mine {
            written.push(name);
        }
        let value =
            mine.filter(|_| is_mine).map_or_else(|| volume.clone(), |(.., d)| Value::Object((*d).clone()));
        all.push((name, value));
    }
    let old: Vec<&str> = all.iter().map(|(n, _)| *n).collect();
    let own = old.iter().copied().filter(|n| !written.contains(n));
    let added = names.iter().copied().filter(|n| written.contains(n) || !old.contains(n));
    let order = removal::settled(&old, own.chain(added));
    let missing = names.iter().copied().filter(|n| !order.contains(n)).collect::<Vec<_>>();
    order.into_iter().chain(missing).map(|n| take(&mut all, &ours, n)).collect()
}

fn take(all: &mut Vec<(&str, Value)>, ours: &[(&str, &Chosen<'_>, &Object)], name: &str) -> Value {
    match all.iter().position(|(n, _)| *n == name) {
        Some(at) => all.remove(at).1,
        None => {
            let definition = ours.iter().find(|(n, ..)| *n == name).map(|(.., d)| (*d).clone());
            Value::Object(definition.unwrap_or_default())
        }
    }
}

fn not_defined(chosen: &Chosen<'_>, volume: &str) -> Diagnostic {
    let set = chosen.content.set();
    let message =
        format!("SidecarSet `{}` mounts a volume `{volume}` that it does not define", chosen.name());
    let diagnostic = Diagnostic::error(Code::VolumeNotDefined, message);
    let diagnostic = match mounted(chosen.content).find(|(_, name)| *name == volume) {
        Some((sidecar, _)) => {
            let list = |key: &'static str| {
                let items = sidecar.container.get(key).and_then(Value::as_array)?;
                items
                    .iter()
                    .position(|m| name(m) == volume)
                    .map(|i| sidecar.path.then(key).then(i).then("name"))
            };
            let at = list("volumeMounts")
                .or_else(|| list("volumeDevices"))
                .unwrap_or_else(|| sidecar.path.clone());
            diagnostic.at(set.document.label(&at, Part::Value, "")).field(at.to_string())
        }
        None => diagnostic,
    };
    diagnostic
        .because("Kruise's validation refuses such a set, and the API server a pod without the volume")
        .help("define it under the set's `volumes`, or use `shareVolumePolicy` for mounts of the application")
}

/// Warns of a token mount in the manifest: the API server gives every container its own when the pod is made, so
/// one that is written down comes from a copy of a live pod.
pub(super) fn shares_token(
    pod: &Pod<'_>,
    chosen: &Chosen<'_>,
    sidecar: &SidecarContainer,
    (mount, app): (&Value, &str),
) -> Diagnostic {
    let message =
        format!("`{}` shares the service-account token `{}` of the manifest", sidecar.name, name(mount));
    let index = pod.containers.iter().position(|c| name(c) == app).unwrap_or_default();
    let at =
        items(&pod.containers[index], "volumeMounts").iter().position(|m| m == mount).unwrap_or_default();
    let path = containers::path(containers::List::Main, index).then("volumeMounts").then(at).then("name");
    Diagnostic::warning(Code::SharesTokenMount, message)
        .at(pod.label(&path, Part::Value, "mounted here"))
        .at(label(chosen, sidecar, "shares every mount"))
        .because("the API server mounts a token into every container by itself")
        .help("take the volume and its mounts out of the manifest")
}
