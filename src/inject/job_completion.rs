//! Sidecars that keep the pods of a Job from completing: a Job ends when all of its containers but native sidecars have.

use super::native_sidecars::ends_with_job;
use super::template::{ContainerList, PodView};
use super::types::{InjectionContext, NewContainer, SelectedSet, SetSelection, container_label};
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::yaml::{EntryPart, FieldPath};

/// Reports the containers of sets that outlive the application in pods that run to completion.
pub(super) fn check_completion(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    new_containers: &[NewContainer<'_>],
    context: &mut InjectionContext<'_>,
) {
    if !pod.template.runs_to_completion {
        return;
    }
    for new in new_containers.iter().filter(|new| new.list == ContainerList::Regular) {
        let selected = &selection.selected[new.set_index];
        if ends_with_job(&new.container) {
            context.report(needs_terminator(selected, new));
        } else if let Some(severity) = severity(pod, context) {
            context.report(Diagnostic { severity, ..never_completes(pod, selected, new) });
        }
    }
}

/// Without `restartPolicy` the API server refuses a Job as it is: something is still to be added to the manifest.
fn severity(pod: &PodView<'_>, context: &InjectionContext<'_>) -> Option<Severity> {
    match context.options.job_never_completes {
        Some(Severity::Error) if !pod.never_restarts() && !context.options.is_job_level_written => {
            Some(Severity::Warning)
        }
        level => level,
    }
}

fn never_completes(pod: &PodView<'_>, selected: &SelectedSet<'_>, new: &NewContainer<'_>) -> Diagnostic {
    let message = format!(
        "`{}` of SidecarSet `{}` keeps `{}` from completing",
        new.name,
        selected.name(),
        pod.template.key
    );
    let at = FieldPath::dotted("spec.containers");
    Diagnostic::error(Code::JobNeverCompletes, message)
        .at(container_label(selected, new.sidecar, "does not end with the application"))
        .at(pod.label(&at, EntryPart::Key, "completes when all of its containers have ended"))
        .help(
            "set `sidecarMode: Auto` in pillion.yaml, or let Kruise's SidecarTerminator end it \
             (KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT); if it ends by itself, add `lint: {job-never-completes: allow}`",
        )
}

fn needs_terminator(selected: &SelectedSet<'_>, new: &NewContainer<'_>) -> Diagnostic {
    let message = format!(
        "`{}` of SidecarSet `{}` ends with its Jobs only where Kruise's SidecarTerminator runs",
        new.name,
        selected.name()
    );
    Diagnostic::note(Code::JobNeedsTerminator, message)
        .at(container_label(selected, new.sidecar, ""))
        .because("it is a feature gate of Kruise that is off by default")
        .help("`sidecarMode: Auto` in pillion.yaml makes it a native sidecar, which ends with a Job without Kruise")
}
