//! Injects sidecars into a pod template as Kruise's pod webhook does. Pure.
//!
//! [`inject`] takes the template of one workload and the SidecarSets, and returns the changes of the template and its
//! diagnostics. The rules are those of OpenKruise v1.9.0. Intentional differences are documented in the file that
//! implements them:
//!
//! - Defaults are not filled in (pull policy, termination message, protocol, file modes): the API server fills them into
//!   every applied pod template, with the values that Kruise writes into the SidecarSet. The same holds for probes of a
//!   `grpc` without `service` and for startup probes, which Kruise leaves to the API server.
//! - A sidecar with the name of an application container is refused (`name_conflicts.rs`).
//! - Parts of an earlier injection that no SidecarSet has now are removed (`cleanup.rs`).
//! - A second pass never appends launch barriers again, and templates get none (`launch_priority.rs`).
//! - `updateTimestamp` is always `null` (`metadata.rs`).
//! - Where a mode asks for it, containers of a set become native sidecars (`native_sidecars.rs`).
//! - A launch order puts native sidecars into that order (`launch_order.rs`).
//! - A sidecar that keeps a Job from completing is refused (`job_completion.rs`).
//! - SidecarOverrides change the containers of a set for some workloads (`overrides.rs`).

mod app_containers;
mod cleanup;
mod containers;
mod env;
mod hot_upgrade;
mod injected_mark;
mod job_completion;
mod launch_order;
mod launch_order_errors;
mod launch_priority;
mod merge_patch;
mod metadata;
mod metadata_patches;
mod name_conflicts;
mod native_sidecars;
mod order;
mod overrides;
mod pull_secrets;
mod resources;
mod revision;
mod selection;
mod set_store;
mod startup_probes;
mod template;
mod trace;
mod trace_recorder;
mod types;
mod volumes;

pub(crate) use injected_mark::{IS_INJECTED, has_injected_mark};
pub(crate) use selection::selects_namespace;
pub use set_store::{PreparedSet, SidecarSetStore};
pub use template::{NamespaceLabels, PodTemplate, PodTemplateChange};
pub use trace::{InjectionTrace, InjectionVerdict, LedgerTrace, PartOrigin, SetTrace};
pub use types::{InjectionOutcome, Options};

use crate::model::sidecar_set::SidecarSet;
use crate::yaml::ListItem;
use serde_json::Value;
use template::{ContainerList, NewPodTemplate, PodView};
use trace_recorder::TraceRecorder;
use types::{InjectionContext, PreviousInjection, SetSelection};

/// Injects the sets that apply into a pod template, and returns its changes. None: nothing changes, or an error is among
/// the diagnostics.
pub fn inject<'a>(
    template: &'a PodTemplate<'a>,
    sets: &SidecarSetStore,
    options: &Options,
) -> (InjectionOutcome, Option<PodTemplateChange<'a>>) {
    let pod = match PodView::from_template(template) {
        Ok(pod) => pod,
        Err(diagnostic) => return (InjectionOutcome::from_errors(vec![*diagnostic]), None),
    };
    let mut context = InjectionContext {
        diagnostics: Vec::new(),
        trace: options.trace.then(InjectionTrace::default),
        options,
    };
    // Kruise v1.9.0 sidecarsetMutatingPod: a pod that has ended or is being deleted gets no sidecar. What writes
    // launch barriers does not ask for that.
    if pod.is_inactive() {
        context.trace_all_skipped(sets, "the pod has ended or is being deleted");
        let change = build_barriers(&pod, &mut context);
        return (context.into_outcome(Vec::new()), change);
    }
    let mut choice = selection::select_sets(&pod, sets, &mut context);
    native_sidecars::choose_forms(&pod, &mut choice);
    if context.has_errors() {
        return (context.into_outcome(Vec::new()), None);
    }
    let injected = choice.selected.iter().map(|c| c.name().to_owned()).collect();
    let previous = cleanup::find_previous_injection(&pod, sets, &choice);
    let new = build_template(&pod, sets, &choice, &previous, &mut context);
    let change = if context.has_errors() { None } else { new.into_change(&pod) };
    (context.into_outcome(injected), change)
}

/// Returns whether a set selects a template, as far as is known: where the answer depends on labels of a namespace that
/// are not known, it does.
pub(crate) fn selects(
    template: &Value,
    namespace: &str,
    namespace_labels: NamespaceLabels<'_>,
    set: &SidecarSet,
) -> bool {
    let labels = template.get("metadata").and_then(|m| m.get("labels"));
    selection::match_set(set, labels, namespace, namespace_labels).may_select()
}

/// The new lists of the template. Like Kruise's webhook every part looks at the pod as it came.
fn build_template<'a>(
    pod: &PodView<'a>,
    sets: &SidecarSetStore,
    choice: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    context: &mut InjectionContext<'_>,
) -> NewPodTemplate<'a> {
    let patched = metadata_patches::apply_patches(pod, sets, choice, previous, context);
    let dispositions = cleanup::classify_containers(pod, sets, choice, previous);
    cleanup::record_removals(pod, &dispositions, context);
    name_conflicts::check_names(pod, choice, &dispositions, context);
    native_sidecars::check_native_sidecars(pod, choice, context);
    let mut new_containers = containers::build_containers(pod, choice, &dispositions, &patched, context);
    job_completion::check_completion(pod, choice, &new_containers, context);
    if !context.has_errors() {
        order::warn_order(pod, choice, context);
    }
    let annotations = metadata::update_annotations(
        pod,
        choice,
        previous,
        &dispositions,
        &new_containers,
        &patched,
        context,
    );
    let [init, regular] = [ContainerList::Init, ContainerList::Regular]
        .map(|list| containers::place_containers(pod, list, &dispositions, &new_containers));
    let lists = [init, regular.clone()];
    let init = launch_order::arrange_containers(pod, sets, choice, lists, &mut new_containers, context);
    let init = containers::merge_containers(pod, ContainerList::Init, init, &mut new_containers);
    let mut main = containers::merge_containers(pod, ContainerList::Regular, regular, &mut new_containers);
    if choice.is_webhook_called {
        launch_priority::apply_barriers(pod, &annotations, previous, &mut main, context);
    }
    let volumes = volumes::merge_volumes(pod, sets, choice, previous, &dispositions, [&init, &main], context);
    overrides::check_mounts(pod, choice, &volumes, context);
    let image_pull_secrets = pull_secrets::merge_secrets(pod, sets, choice, previous, &dispositions, context);
    let record = context.trace.as_mut().map(|trace| TraceRecorder { pod, selection: choice, trace });
    if let Some(mut record) = record {
        record.record_containers(&new_containers, &init);
        record.record_containers(&new_containers, &main);
        record.record_volumes(&volumes);
        record.record_secrets(&image_pull_secrets);
        record.record_annotations(&patched, &annotations);
    }
    NewPodTemplate {
        annotations,
        init_containers: init.values,
        containers: main.values,
        volumes,
        image_pull_secrets,
    }
}

/// The template with launch barriers and without sidecars; None if nothing changes or after an error.
fn build_barriers<'a>(
    pod: &PodView<'a>,
    context: &mut InjectionContext<'_>,
) -> Option<PodTemplateChange<'a>> {
    if !selection::is_webhook_called(pod.template) {
        return None;
    }
    let annotations = pod.annotations.cloned().unwrap_or_default();
    let mut main = containers::unchanged_containers(pod, ContainerList::Regular);
    launch_priority::apply_barriers(pod, &annotations, &PreviousInjection::empty(), &mut main, context);
    let borrowed = |items: &'a [Value]| items.iter().map(ListItem::Kept).collect();
    let new = NewPodTemplate {
        annotations,
        init_containers: borrowed(pod.init_containers),
        containers: main.values,
        volumes: borrowed(pod.volumes),
        image_pull_secrets: borrowed(pod.image_pull_secrets),
    };
    if context.has_errors() { None } else { new.into_change(pod) }
}
