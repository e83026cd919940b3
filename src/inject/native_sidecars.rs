//! Native sidecars: `containers` of a SidecarSet that are injected as init containers with `restartPolicy: Always`.
//!
//! A set is native in a pod as a whole, or not at all. Kruise v1.9.0 injects native sidecars that `initContainers` of a
//! set has, and never converts a container; see docs/sidecar-modes.md.

use super::template::{JsonObject, PodView};
use super::types::{InjectionContext, NativeReason, SelectedSet, SetSelection, container_label};
use super::{env, launch_order, startup_probes};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::kubernetes_version::KubernetesVersion;
use crate::model::sidecar_set::{SidecarContainer, SidecarMode};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;

/// Chooses for every set whether its containers are native sidecars in this pod.
pub(super) fn choose_forms(pod: &PodView<'_>, selection: &mut SetSelection<'_>) {
    let reason_of = |selected: &SelectedSet<'_>| match selected.content.set().mode {
        _ if selected.content.native_form().is_none() => None,
        SidecarMode::Container => None,
        SidecarMode::Native => Some(NativeReason::Mode),
        SidecarMode::Auto => automatic_reason(pod, &selection.selected, selected),
    };
    let reasons: Vec<Option<NativeReason>> = selection.selected.iter().map(reason_of).collect();
    for (selected, reason) in selection.selected.iter_mut().zip(reasons) {
        let Some(native) = selected.content.native_form().filter(|_| reason.is_some()) else { continue };
        selected.native_reason = reason;
        selected.content = native;
    }
}

fn automatic_reason(
    pod: &PodView<'_>,
    all: &[SelectedSet<'_>],
    selected: &SelectedSet<'_>,
) -> Option<NativeReason> {
    let asks_for_end = || selected.content.set().containers.iter().any(|c| ends_with_job(&c.container));
    if pod.template.runs_to_completion || (pod.never_restarts() && asks_for_end()) {
        return Some(NativeReason::RunsToCompletion);
    }
    launch_order::concerns_set(pod, all, selected).then_some(NativeReason::LaunchOrder)
}

/// Returns whether Kruise's SidecarTerminator ends a container when the application's containers have ended.
pub(super) fn ends_with_job(container: &JsonObject) -> bool {
    // Kruise v1.9.0 sidecarterminator getSidecar: the value in any case; the second one swaps the image, on nodes of
    // virtual-kubelet.
    let variables = container.get("env").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    variables.iter().any(|variable| match variable.get("name").and_then(Value::as_str) {
        Some(env::TERMINATE_WITH_JOB) => variable
            .get("value")
            .and_then(Value::as_str)
            .is_some_and(|value| value.eq_ignore_ascii_case("true")),
        Some(env::TERMINATE_WITH_IMAGE) => {
            variable.get("value").and_then(Value::as_str).is_some_and(|image| !image.is_empty())
        }
        _ => false,
    })
}

/// Reports what cannot be a native sidecar, in a pod of this shape or in a cluster of this version.
pub(super) fn check_native_sidecars(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    context: &mut InjectionContext<'_>,
) {
    for selected in &selection.selected {
        for sidecar in selected.content.set().init_containers.iter().filter(|c| c.is_native_sidecar) {
            check_version(selected, sidecar, context);
            if sidecar.is_converted && sidecar.hot_upgrade_empty_image.is_some() {
                context.report(hot_upgrade_refused(selected, sidecar));
            }
            if selected.content.set().mode != SidecarMode::Container {
                startup_probes::check_waiting(pod, selected, sidecar, context);
            }
        }
    }
}

fn check_version(selected: &SelectedSet<'_>, sidecar: &SidecarContainer, context: &mut InjectionContext<'_>) {
    let Some(version) = context.options.kubernetes_version else { return };
    if version < KubernetesVersion::NATIVE_SIDECARS {
        let message = format!(
            "`{}` of SidecarSet `{}` is a native sidecar, which Kubernetes {version} cannot run",
            sidecar.name,
            selected.name()
        );
        let needs = KubernetesVersion::NATIVE_SIDECARS;
        let mut diagnostic = Diagnostic::error(Code::KubernetesVersionTooOld, message)
            .at(container_label(selected, sidecar, "this container"))
            .because(format!(
                "native sidecars need Kubernetes {needs}; `kubernetesVersion` of pillion.yaml is {version}"
            ))
            .help(match sidecar.is_converted {
                true => "correct `kubernetesVersion`, or inject the set with `sidecarMode: Container`",
                false => "correct `kubernetesVersion`, or move the container to `containers`",
            });
        if sidecar.is_converted {
            diagnostic.spans.extend(selected.content.set().mode_label("makes it a native sidecar"));
        }
        context.report(diagnostic);
    } else if version < KubernetesVersion::NATIVE_RESIZE_POLICY
        && sidecar.container.contains_key("resizePolicy")
    {
        let at = sidecar.path.child("resizePolicy");
        let message = format!(
            "`{}` of SidecarSet `{}` has a `resizePolicy`, which Kubernetes {version} refuses in native sidecars",
            sidecar.name,
            selected.name()
        );
        context.report(
            Diagnostic::error(Code::KubernetesVersionTooOld, message)
                .at(selected.content.set().document.label(&at, EntryPart::Key, ""))
                .because(format!("it needs Kubernetes {}", KubernetesVersion::NATIVE_RESIZE_POLICY))
                .help("remove it, or inject the set with `sidecarMode: Container`"),
        );
    }
}

fn hot_upgrade_refused(selected: &SelectedSet<'_>, sidecar: &SidecarContainer) -> Diagnostic {
    let at = sidecar.path.join(&FieldPath::dotted("upgradeStrategy.upgradeType"));
    let set = selected.content.set();
    let message =
        format!("`{}` of SidecarSet `{}` cannot be a native sidecar", sidecar.name, selected.name());
    let mut diagnostic = Diagnostic::error(Code::CannotBeNative, message)
        .at(set.document.label(&at, EntryPart::Value, "a hot upgrade needs updates in place"))
        .because("a native sidecar is recreated with its pod")
        .help("remove `upgradeStrategy`, or inject this set with `pillion.dev/sidecar-mode: Container`");
    diagnostic.spans.extend(set.mode_label("asks for native sidecars"));
    diagnostic
}
