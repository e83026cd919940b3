//! Injection: what Kruise's pod webhook does, done to a pod template. Pure.
//!
//! [`inject`] takes the template of one workload and the SidecarSets, and returns the whole new template and
//! what is to be told about it. Rules and case numbers are those of OpenKruise v1.9.0; where pillion wants
//! something else on purpose, the file that does it says so:
//!
//! - Defaults are not filled in (pull policy, termination message, protocol, file modes): the API server fills
//!   them into every pod template that is applied, with the values that Kruise writes into the SidecarSet.
//!   Probes of a `grpc` without `service` and startup probes are alike: Kruise leaves them to the API server.
//! - A sidecar with the name of an application's container is refused (`names.rs`).
//! - What an earlier injection brought and no SidecarSet brings now is taken out (`removal.rs`).
//! - A second pass never appends launch barriers again, and templates get none (`priority.rs`).
//! - `updateTimestamp` is always `null` (`metadata.rs`).

mod containers;
mod env;
mod hot_upgrade;
mod merge_patch;
mod metadata;
mod names;
mod order;
mod patches;
mod priority;
mod removal;
mod resources;
mod revision;
mod secrets;
mod selects;
mod sets;
mod template;
mod trace;
mod volumes;

pub use selects::selects_namespace;
pub use sets::{PreparedSet, Sets};
pub use trace::{Carried, Origin, SetTrace, Trace, Verdict};

use crate::diag::Diagnostic;
use crate::model::sidecar_set::SidecarSet;
use crate::yaml::{Document, Path};
use serde_json::Value;
use std::collections::BTreeMap;
use template::{New, Pod};

/// The pod template of one workload, or a bare Pod.
#[derive(Debug, Clone)]
pub struct PodTemplate<'a> {
    /// The document it stands in, for labels.
    pub document: &'a Document,
    /// Where the object that has `metadata` and `spec` stands in it.
    pub path: Path,
    /// That object.
    pub value: &'a Value,
    /// It is a Pod and not a template of pods.
    pub is_pod: bool,
    /// `KIND[.GROUP]/NAMESPACE/NAME`, for messages and for the share of a fractional Partial.
    pub key: &'a str,
    /// The namespace of its pods.
    pub namespace: &'a str,
    /// Names of `volumeClaimTemplates`: the pods get a volume of each, in place of any other of that name.
    pub claims: &'a [&'a str],
    /// The labels of that namespace.
    pub namespace_labels: NamespaceLabels<'a>,
}

/// The labels of a namespace. `kubernetes.io/metadata.name` is always known and need not be among them.
#[derive(Debug, Clone, Copy)]
pub enum NamespaceLabels<'a> {
    /// All of them.
    Known(&'a BTreeMap<String, String>),
    /// Nobody has said which.
    Unknown,
}

/// Which of the webhook's own notes go into the annotations.
///
/// What pods need to run is written in every mode: `patchPodMetadata` and the annotations of hot-upgrade
/// pairs, which their containers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Annotations {
    /// The injected-list alone.
    #[default]
    Minimal,
    /// All that the webhook writes, but never a time.
    Kruise,
    /// None; the output cannot be upgraded later.
    None,
}

/// How to inject.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which notes are written.
    pub annotations: Annotations,
    /// Fill [`Outcome::trace`].
    pub trace: bool,
}

/// What came of an injection.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The whole new template; None where nothing changes or an error stands among the diagnostics.
    pub value: Option<Value>,
    /// The sets that were injected, in the order of injection.
    pub injected: Vec<String>,
    /// What is to be told. Findings about the sets alone do not name the workload, so that equal ones of many
    /// workloads can be shown once.
    pub diagnostics: Vec<Diagnostic>,
    /// Which sets were looked at and what each line came from; empty unless asked for.
    pub trace: Trace,
}

impl Outcome {
    fn refused(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, ..Self::default() }
    }
}

/// Injects the sets that apply into a pod template.
pub fn inject(template: &PodTemplate<'_>, sets: &Sets, options: &Options) -> Outcome {
    let pod = match Pod::read(template) {
        Ok(pod) => pod,
        Err(wrong) => return Outcome::refused(vec![*wrong]),
    };
    let mut work = Work { found: Vec::new(), trace: options.trace.then(Trace::default), options };
    // Kruise v1.9.0 sidecarsetMutatingPod: a pod that has ended or is being deleted gets no sidecar. What writes
    // launch barriers does not ask for that.
    if pod.is_inactive() {
        work.note_all(sets, "the pod has ended or is being deleted");
        let value = only_barriers(&pod, &mut work);
        return work.finish(value, Vec::new());
    }
    let choice = selects::choose(&pod, sets, &mut work);
    if work.failed() {
        return work.finish(None, Vec::new());
    }
    let injected = choice.chosen.iter().map(|c| c.name().to_owned()).collect();
    let previous = removal::Previous::read(&pod, sets, &choice);
    let new = build(&pod, sets, &choice, &previous, &mut work);
    let value = if work.failed() { None } else { new.write(&pod) };
    work.finish(value, injected)
}

/// Names the sets that select a template, without building anything; a set whose answer hangs on labels that
/// nobody knows counts.
pub fn may_select<'s>(template: &PodTemplate<'_>, sets: &'s Sets) -> Vec<&'s str> {
    let labels = template.value.get("metadata").and_then(|m| m.get("labels"));
    order::candidates(sets, template.namespace)
        .filter(|set| selects::judge(set.set(), labels, template).may_select())
        .map(|set| set.name())
        .collect()
}

/// Returns whether a set selects a template, as far as is known: where the answer hangs on labels of a namespace that
/// are not known, it does.
pub fn selects(template: &PodTemplate<'_>, set: &SidecarSet) -> bool {
    let labels = template.value.get("metadata").and_then(|m| m.get("labels"));
    selects::judge(set, labels, template).may_select()
}

/// The new lists of the template. Like Kruise's webhook every part looks at the pod as it came.
fn build(
    pod: &Pod<'_>,
    sets: &Sets,
    choice: &selects::Choice<'_>,
    previous: &removal::Previous<'_>,
    work: &mut Work<'_>,
) -> New {
    let patched = patches::apply(pod, sets, choice, previous, work);
    let fates = removal::fates(pod, sets, choice, previous);
    removal::record(pod, &fates, work);
    names::check(pod, choice, &fates, work);
    let mut brought = containers::build(pod, choice, &fates, &patched, work);
    if !work.failed() {
        order::warn(pod, choice, work);
    }
    let annotations = metadata::apply(pod, choice, previous, &fates, &brought, &patched, work);
    let init = containers::merge(pod, containers::List::Init, &fates, &mut brought);
    let mut main = containers::merge(pod, containers::List::Main, &fates, &mut brought);
    if choice.is_webhook_called {
        priority::apply(pod, &annotations, previous, &mut main, work);
    }
    let volumes = volumes::merge(pod, sets, choice, previous, &fates, [&init, &main], work);
    let image_pull_secrets = secrets::merge(pod, sets, choice, previous, &fates, work);
    let record = work.trace.as_mut().map(|trace| trace::Recorder { pod, choice, trace });
    if let Some(mut record) = record {
        record.containers(&brought, &init);
        record.containers(&brought, &main);
        record.volumes(&volumes);
        record.secrets(&image_pull_secrets);
        record.annotations(&patched, &annotations);
    }
    New { annotations, init_containers: init.values, containers: main.values, volumes, image_pull_secrets }
}

/// The template with launch barriers and without sidecars; None where nothing changes or an error was told.
fn only_barriers(pod: &Pod<'_>, work: &mut Work<'_>) -> Option<Value> {
    if !selects::is_webhook_called(pod.template) {
        return None;
    }
    let annotations = pod.annotations.cloned().unwrap_or_default();
    let mut main = containers::as_they_are(pod, containers::List::Main);
    priority::apply(pod, &annotations, &removal::Previous::none(), &mut main, work);
    let new = New {
        annotations,
        init_containers: pod.init_containers.to_vec(),
        containers: main.values,
        volumes: pod.volumes.to_vec(),
        image_pull_secrets: pod.image_pull_secrets.to_vec(),
    };
    if work.failed() { None } else { new.write(pod) }
}

/// What is gathered on the way.
struct Work<'a> {
    found: Vec<Diagnostic>,
    trace: Option<Trace>,
    options: &'a Options,
}

impl Work<'_> {
    fn tell(&mut self, diagnostic: Diagnostic) {
        // Two containers of a set can meet the same trouble at the same place, one right after the other.
        if !self.found.iter().rev().take(8).any(|other| *other == diagnostic) {
            self.found.push(diagnostic);
        }
    }

    fn failed(&self) -> bool {
        self.found.iter().any(Diagnostic::is_error)
    }

    fn note_all(&mut self, sets: &Sets, why: &str) {
        if let Some(trace) = &mut self.trace {
            trace.sets.extend(sets.current().iter().map(|s| SetTrace::passed(s.name(), why)));
        }
    }

    fn finish(self, value: Option<Value>, injected: Vec<String>) -> Outcome {
        Outcome { value, injected, diagnostics: self.found, trace: self.trace.unwrap_or_default() }
    }
}
