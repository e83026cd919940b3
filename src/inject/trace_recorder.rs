//! Records where the parts of a new template came from, for `pillion explain`.

use super::overrides;
use super::template::{JsonObject, PodView, container_path, item_name};
use super::trace::{InjectionTrace, PartOrigin};
use super::types::{ContainerSlot, MergedContainers, NewContainer, ProbeSource, SelectedSet, SetSelection};
use crate::yaml::{FieldPath, ListItem};
use serde_json::Value;
use std::sync::Arc;

/// Writes down where the parts of a new template came from.
pub(super) struct TraceRecorder<'a> {
    pub(super) pod: &'a PodView<'a>,
    pub(super) selection: &'a SetSelection<'a>,
    pub(super) trace: &'a mut InjectionTrace,
}

impl TraceRecorder<'_> {
    /// Records one list of containers, and in each what its set's author did not write.
    pub(super) fn record_containers(
        &mut self,
        new_containers: &[NewContainer<'_>],
        merged: &MergedContainers<'_>,
    ) {
        for (at, slot) in merged.slots.iter().enumerate() {
            let ContainerSlot::New(index) = slot else { continue };
            let one = &new_containers[*index];
            let selected = &self.selection.selected[one.set_index];
            let place = container_path(merged.list, at);
            let why = match (one.hot_upgrade_twin, selected.native_reason) {
                (Some(_), _) => "one of a hot-upgrade pair".to_owned(),
                (None, Some(reason)) if one.sidecar.is_converted => {
                    format!("a container of the set, native because {reason}")
                }
                (None, _) => "a container of the set".to_owned(),
            };
            self.record_origin(place.clone(), selected, &why, Some(one.sidecar.path.clone()));
            for (key, item, source) in &one.sources {
                self.record_origin(place.child(*key).child(*item), selected, &source.to_string(), None);
            }
            if let Some(source) = one.probe_source {
                let (why, from) = match source {
                    ProbeSource::Readiness => {
                        ("made from its readiness probe", FieldPath::dotted("readinessProbe"))
                    }
                    ProbeSource::Port(i) => ("made from its port", FieldPath::dotted("ports").child(i)),
                };
                let why = format!("{why}: the next container waits for it");
                let from = one.sidecar.path.join(&from);
                self.record_origin(place.child("startupProbe"), selected, &why, Some(from));
            }
            if one.sidecar.resources_policy.is_some() {
                let from = one.sidecar.path.child("resourcesPolicy");
                self.record_origin(place.child("resources"), selected, "`resourcesPolicy`", Some(from));
            }
            self.record_overrides(&place, selected, &one.sidecar.name, &merged.values[at]);
        }
    }

    /// Records what SidecarOverrides changed in a container, and what they removed.
    fn record_overrides(
        &mut self,
        place: &FieldPath,
        selected: &SelectedSet<'_>,
        name: &str,
        container: &Value,
    ) {
        for (field, chosen) in overrides::container_changes(selected, name) {
            let reason = format!("SidecarOverride `{}`", chosen.source.name);
            match overrides::changed_path(container, field) {
                Some(path) => self.trace.origins.push(PartOrigin {
                    path: place.join(&path),
                    set: Some(selected.name().to_owned()),
                    reason,
                    from: Some((Arc::clone(&chosen.source.document), chosen.change.path.clone())),
                }),
                None => {
                    let path = place.join(&overrides::removed_path(field));
                    let reason = format!("{reason} removes {} ({})", chosen.change.field, chosen.label(""));
                    self.trace.removed.push((path, reason));
                }
            }
        }
    }

    /// Records the volumes that are new or other than before.
    pub(super) fn record_volumes(&mut self, all: &[ListItem<'_>]) {
        for (at, volume) in all.iter().enumerate().filter(|(_, v)| !self.pod.volumes.contains(v)) {
            let index = |c: &SelectedSet<'_>| c.content.volume_index(item_name(volume));
            let Some((selected, at_set)) = self.selection.selected.iter().find_map(|c| Some((c, index(c)?)))
            else {
                continue;
            };
            let from = selected.content.set().path.join(&FieldPath::dotted("spec.volumes")).child(at_set);
            let place = FieldPath::dotted("spec.volumes").child(at);
            self.record_origin(place, selected, "mounted by a container of the set", Some(from));
        }
    }

    /// Records the pull secrets that are new.
    pub(super) fn record_secrets(&mut self, all: &[ListItem<'_>]) {
        for (at, secret) in all.iter().enumerate().filter(|(_, s)| !self.pod.image_pull_secrets.contains(s)) {
            let set = self.selection.selected.iter().find(|c| c.content.has_secret(item_name(secret)));
            if let Some(selected) = set {
                let place = FieldPath::dotted("spec.imagePullSecrets").child(at);
                self.record_origin(place, selected, "a pull secret of the set", None);
            }
        }
    }

    /// Records the webhook's own annotations that are new or other than before.
    pub(super) fn record_annotations(&mut self, patched: &JsonObject, all: &JsonObject) {
        for (key, _) in all.iter().filter(|(key, value)| patched.get(*key) != Some(value)) {
            let path = FieldPath::dotted("metadata.annotations").child(key.as_str());
            self.trace.origins.push(PartOrigin {
                path,
                set: None,
                reason: "written by injection".to_owned(),
                from: None,
            });
        }
        for (key, _) in patched.iter().filter(|(key, _)| !all.contains_key(*key)) {
            let path = FieldPath::dotted("metadata.annotations").child(key.as_str());
            self.trace.removed.push((path, "an earlier injection wrote it".to_owned()));
        }
    }

    fn record_origin(
        &mut self,
        path: FieldPath,
        selected: &SelectedSet<'_>,
        why: &str,
        from: Option<FieldPath>,
    ) {
        let document = &selected.content.set().document;
        self.trace.origins.push(PartOrigin {
            path,
            set: Some(selected.name().to_owned()),
            reason: why.to_owned(),
            from: from.map(|path| (Arc::clone(document), path)),
        });
    }
}
