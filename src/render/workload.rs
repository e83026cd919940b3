//! Locates one workload in a document and injects its sidecars.

use super::Manifest;
use super::assignments::{WorkloadAssignment, WorkloadSource};
use super::overrides::{OverridePlace, source_hash};
use super::renderer::Renderer;
use crate::diagnostics::{Code, Diagnostic};
use crate::inject::{self, InjectionOutcome, LedgerTrace, NamespaceLabels, PodTemplate, PodTemplateChange};
use crate::model::ledger::LedgerEntry;
use crate::model::sidecar_override::{OverrideHold, ResolvedOverrides, SidecarOverride};
use crate::model::workload::{self, NO_NAMESPACE, WorkloadKind};
use crate::yaml::{Document, EntryPart, FieldPath, ItemSplices, PartChange, TextEdits};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A workload and its place in a document.
#[derive(Debug, Clone)]
pub struct WorkloadRef {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub(crate) key: Arc<str>,
    /// Its kind.
    pub kind: Arc<WorkloadKind>,
    /// Its namespace.
    pub(crate) namespace: Arc<str>,
    /// Neither the manifest nor anybody else says its namespace.
    pub(crate) is_namespace_guessed: bool,
    /// Its name.
    pub name: Arc<str>,
    /// Where the object is in its document.
    pub(crate) path: FieldPath,
    /// Where its pod template is in the document.
    pub(crate) template_path: FieldPath,
    /// The SidecarOverrides for it.
    pub(crate) overrides: Vec<Arc<SidecarOverride>>,
}

/// What a workload becomes.
#[derive(Debug, Default)]
pub(crate) struct InjectedWorkload {
    /// The place and its new value: of the pod template, or of the whole object where its partition changes too.
    pub(crate) change: Option<(FieldPath, Value)>,
    /// What injection did.
    pub(crate) outcome: InjectionOutcome,
}

/// What becomes of the document of a workload.
#[derive(Debug)]
pub(super) enum WorkloadEdit {
    /// Its text is edited.
    Edits(TextEdits),
    /// A place of it has another value.
    Value(FieldPath, Value),
}

/// The number of pods that a workload's own partition is to keep old, and the path of that field in the object.
type NewPartition<'a> = (u32, &'a FieldPath);

impl InjectedWorkload {
    /// Returns the whole new object, which stood at `base` of its document.
    pub(crate) fn object<'d>(&self, document: &'d Document, base: &FieldPath) -> Cow<'d, Value> {
        let old = base.find(document.value()).unwrap_or(&Value::Null);
        match &self.change {
            None => Cow::Borrowed(old),
            Some((at, new)) => {
                let mut object = old.clone();
                at.relative_to(base).replace_in(&mut object, new.clone());
                Cow::Owned(object)
            }
        }
    }
}

impl WorkloadRef {
    /// Returns the pod template in the document.
    pub(crate) fn pod_template<'d>(&self, document: &'d Document) -> &'d Value {
        self.template_path.find(document.value()).unwrap_or(&Value::Null)
    }

    /// Returns the hash of its source, as entries of ledgers have it.
    pub(crate) fn source_hash(&self, document: &Document) -> Arc<str> {
        source_hash(self.pod_template(document), &self.overrides).into()
    }

    /// Passes on what decides about its lines in ledgers.
    fn with_source<T>(&self, document: &Document, take: impl FnOnce(&WorkloadSource<'_>) -> T) -> T {
        self.with_hash(&|| self.source_hash(document), take)
    }

    /// As [`Self::with_source`], with a function that returns the hash of its source.
    pub(super) fn with_hash<T>(
        &self,
        hash: &dyn Fn() -> Arc<str>,
        take: impl FnOnce(&WorkloadSource<'_>) -> T,
    ) -> T {
        let is_held = |set: &str| self.override_hold(set).is_some();
        take(&WorkloadSource { key: &self.key, hash, is_held: &is_held })
    }

    /// Reports SidecarOverrides of it that conflict.
    pub(crate) fn override_conflicts(&self) -> Vec<Diagnostic> {
        let sets: BTreeSet<&str> = self.overrides.iter().map(|source| source.sidecar_set.as_str()).collect();
        let conflicts = |set: &str| ResolvedOverrides::choose(&self.overrides, set, &self.key).1;
        sets.into_iter().flat_map(conflicts).collect()
    }

    /// Returns its hold by a SidecarOverride in the rollouts of a SidecarSet.
    pub(crate) fn override_hold(&self, set: &str) -> Option<OverrideHold> {
        if self.overrides.is_empty() {
            return None;
        }
        ResolvedOverrides::choose(&self.overrides, set, &self.key).0.hold()
    }

    /// Returns the object in the document.
    pub(crate) fn object<'d>(&self, document: &'d Document) -> &'d Value {
        self.path.find(document.value()).unwrap_or(&Value::Null)
    }
}

impl Renderer {
    /// Finds out what the object at a place is called, and where its pod template is. None: it has none, and
    /// perhaps a diagnostic says so.
    pub(super) fn locate(
        &self,
        document: &Document,
        base: &FieldPath,
        kind: &Arc<WorkloadKind>,
        manifest: &Manifest<'_>,
    ) -> Result<WorkloadRef, Option<Box<Diagnostic>>> {
        let object = base.find(document.value()).ok_or(None)?;
        if self.skips_hooks && is_hook(object) {
            return Err(None);
        }
        let templates = kind.template_paths.iter().filter_map(|t| t.find(object).map(|v| (base.join(t), v)));
        let found = templates.filter(|(_, v)| !v.is_null()).min_by_key(|(_, v)| !v.is_object());
        let Some((template, value)) = found else {
            return Err(template_missing(document, base, kind, object).map(Box::new));
        };
        if !value.is_object() {
            return Err(Some(Box::new(template_not_mapping(document, &template, kind))));
        }
        let text = |key: &str| object.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_str);
        let explicit = text("namespace").filter(|n| !n.is_empty()).or(Some(manifest.namespace));
        let explicit = explicit.filter(|n| !n.is_empty());
        let explicit = if kind.is_sidecar_set() { Some(NO_NAMESPACE) } else { explicit };
        let namespace = explicit.unwrap_or(&self.default_namespace);
        let name = text("name").or(text("generateName")).unwrap_or_default();
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let key = workload::workload_key(api_version, &kind.kind, namespace, name);
        Ok(WorkloadRef {
            overrides: self.overrides.for_workload(document.file(), &key, value),
            key: key.into(),
            kind: Arc::clone(kind),
            namespace: namespace.into(),
            is_namespace_guessed: explicit.is_none(),
            name: name.into(),
            path: base.clone(),
            template_path: template,
        })
    }

    /// Renders a workload as the ledgers say, or the files where there are none.
    pub(crate) fn inject(&self, document: &Document, workload: &WorkloadRef) -> InjectedWorkload {
        if self.is_kruise_runtime() {
            return self.deploy(document, workload, None);
        }
        let (change, outcome) = self.inject_by_ledgers(document, workload, |change, partition| {
            whole_change(document, workload, change, partition)
        });
        InjectedWorkload { change, outcome }
    }

    /// Renders a workload as if its line in the ledger of a SidecarSet were this one.
    pub(crate) fn inject_with_entry(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        set: &str,
        entry: &LedgerEntry,
    ) -> InjectedWorkload {
        if self.is_kruise_runtime() {
            return self.deploy(document, workload, Some(entry).filter(|_| *workload.name == *set));
        }
        self.inject_as_webhook(document, workload, set, entry)
    }

    /// As [`Self::inject_with_entry`]; where Kruise injects the sidecars, the pods that its webhook makes of a workload.
    pub(crate) fn inject_as_webhook(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        set: &str,
        entry: &LedgerEntry,
    ) -> InjectedWorkload {
        let assign = |source: &WorkloadSource<'_>| self.assignments.for_workload_with(source, set, entry);
        self.inject_assigned(document, workload, workload.with_source(document, assign))
    }

    /// Renders a SidecarSet that Kruise injects, as its ledger or an entry in its place has it deployed. The new value of
    /// one that is not deployed is null. Every other workload stays as it is.
    fn deploy(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        entry: Option<&LedgerEntry>,
    ) -> InjectedWorkload {
        if !workload.kind.is_sidecar_set() {
            return InjectedWorkload::default();
        }
        let written = workload.object(document);
        let mut outcome = InjectionOutcome::default();
        let deployed = self.assignments.deployed_object(&workload.name, written, entry);
        outcome.injected_sets.extend(deployed.as_ref().map(|_| (*workload.name).into()));
        let new = deployed.unwrap_or(Value::Null);
        let change = (new != *written).then(|| (workload.path.clone(), new));
        InjectedWorkload { change, outcome }
    }

    /// Returns whether a SidecarSet that Kruise injects is not deployed.
    pub(super) fn is_undeployed_set(&self, document: &Document, workload: &WorkloadRef) -> bool {
        workload.kind.is_sidecar_set()
            && self.deploy(document, workload, None).change.is_some_and(|(_, new)| new.is_null())
    }

    /// Returns the SidecarOverrides of a workload that their SidecarSets select.
    pub(super) fn reached_overrides<'a>(
        &'a self,
        document: &'a Document,
        workload: &'a WorkloadRef,
    ) -> impl Iterator<Item = OverridePlace> + use<'a> {
        let (template, namespace) = (workload.pod_template(document), &*workload.namespace);
        let selects = move |source: &SidecarOverride| {
            let sets = self.assignments.all_sets().map(|prepared| prepared.set());
            let mut named = sets.filter(|set| set.name == source.sidecar_set);
            named.any(|set| inject::selects(template, namespace, self.namespaces.labels_of(namespace), set))
        };
        let overrides = workload.overrides.iter().filter(move |source| selects(source));
        overrides.map(|source| OverridePlace::of(source))
    }

    /// Returns what ledgers and SidecarOverrides say of the revisions of a workload.
    fn ledger_traces(&self, document: &Document, workload: &WorkloadRef) -> Vec<LedgerTrace> {
        let traces = workload.with_source(document, |source| self.assignments.ledger_traces(source));
        let with_hold =
            |trace: LedgerTrace| LedgerTrace { override_hold: workload.override_hold(&trace.set), ..trace };
        traces.into_iter().map(with_hold).collect()
    }

    /// Returns the labels of a namespace, where they are known.
    pub(crate) fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        match self.namespaces.labels_of(namespace) {
            NamespaceLabels::Known(labels) => Some(labels),
            NamespaceLabels::Unknown => None,
        }
    }

    /// Returns the names that the containers of a revision have in a pod.
    pub(crate) fn container_names(&self, revision: &str) -> impl Iterator<Item = &str> {
        self.assignments.container_names(revision)
    }

    fn pod_template<'a>(
        &'a self,
        document: &'a Document,
        workload: &'a WorkloadRef,
        claims: &'a [&'a str],
    ) -> PodTemplate<'a> {
        PodTemplate {
            document,
            path: workload.template_path.clone(),
            value: workload.pod_template(document),
            is_pod: workload.kind.is_pod(),
            key: &workload.key,
            namespace: &workload.namespace,
            runs_to_completion: workload.kind.traits.runs_to_completion,
            volume_claims: claims,
            namespace_labels: self.namespaces.labels_of(&workload.namespace),
            overrides: &workload.overrides,
        }
    }

    /// Renders a workload that is a document of its own, into the text of that document where that is simple.
    pub(super) fn inject_into_text(
        &self,
        document: &Document,
        workload: &WorkloadRef,
    ) -> (Option<WorkloadEdit>, InjectionOutcome) {
        if self.is_kruise_runtime() {
            let InjectedWorkload { change, outcome } = self.deploy(document, workload, None);
            return (change.map(|(at, new)| WorkloadEdit::Value(at, new)), outcome);
        }
        self.inject_by_ledgers(document, workload, |change, partition| {
            let parts = change.as_ref().map(PodTemplateChange::parts).filter(|_| partition.is_none());
            let edits = parts.and_then(|parts| document.edit_parts(&workload.template_path, parts));
            let whole = || whole_change(document, workload, change, partition);
            match edits {
                Some(edits) => {
                    debug_assert_eq!(
                        whole().map(|(at, new)| document.rewrite(&at, &new)),
                        Some(Ok(edits.apply(document.text())))
                    );
                    Some(WorkloadEdit::Edits(edits))
                }
                None => whole().map(|(at, new)| WorkloadEdit::Value(at, new)),
            }
        })
    }

    /// Renders a workload that is in an item of a list. Returns the place that changes with its new value, and the
    /// splices of `splice`, which gets the parts of the pod template that change.
    pub(super) fn inject_into_item(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        splice: impl FnOnce(&[PartChange<'_>]) -> Option<ItemSplices>,
    ) -> (Option<(FieldPath, Value, Option<ItemSplices>)>, InjectionOutcome) {
        if self.is_kruise_runtime() {
            let InjectedWorkload { change, outcome } = self.deploy(document, workload, None);
            return (change.map(|(at, new)| (at, new, None)), outcome);
        }
        self.inject_by_ledgers(document, workload, |change, partition| {
            let parts = change.as_ref().map(PodTemplateChange::parts).filter(|_| partition.is_none());
            let splices = parts.and_then(splice);
            whole_change(document, workload, change, partition).map(|(at, new)| (at, new, splices))
        })
    }

    /// Injects as the ledgers say, or the files where there are none, and hands on what changes.
    fn inject_by_ledgers<T>(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        write: impl FnOnce(Option<PodTemplateChange<'_>>, Option<NewPartition<'_>>) -> Option<T>,
    ) -> (Option<T>, InjectionOutcome) {
        let assignment = workload.with_source(document, |source| self.assignments.for_workload(source));
        let (edit, mut outcome) = self.inject_with(document, workload, assignment, write);
        if self.options.trace {
            outcome.trace.ledgers = self.ledger_traces(document, workload);
        }
        (edit.flatten(), outcome)
    }

    fn inject_assigned(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        assignment: WorkloadAssignment<'_>,
    ) -> InjectedWorkload {
        let (change, outcome) = self.inject_with(document, workload, assignment, |change, partition| {
            whole_change(document, workload, change, partition)
        });
        InjectedWorkload { change: change.flatten(), outcome }
    }

    /// Injects, and hands on what changes: of the template, and the partition of the workload with its path.
    fn inject_with<T>(
        &self,
        document: &Document,
        workload: &WorkloadRef,
        assignment: WorkloadAssignment<'_>,
        write: impl FnOnce(Option<PodTemplateChange<'_>>, Option<NewPartition<'_>>) -> T,
    ) -> (Option<T>, InjectionOutcome) {
        let value = workload.pod_template(document);
        let claims = volume_claim_names(workload.object(document), &workload.template_path, &workload.path);
        let template = self.pod_template(document, workload, &claims);
        let assignment = &self.assignments.apply_replacements(assignment, |set| {
            inject::selects(template.value, template.namespace, template.namespace_labels, set)
        });
        let (mut outcome, change) = inject::inject(&template, &assignment.sets, &self.options);
        if change.is_some() && value["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
            outcome.diagnostics.push(containers_missing(document, &workload.template_path, &workload.key));
            outcome.injected_sets.clear();
            return (None, outcome);
        }
        let partition = assignment.partition().zip(workload.kind.partition_path.as_ref());
        (Some(write(change, partition)), outcome)
    }
}

/// Returns the place that changes, with its new value: the pod template, or the object if its partition changes too.
fn whole_change(
    document: &Document,
    workload: &WorkloadRef,
    change: Option<PodTemplateChange<'_>>,
    partition: Option<NewPartition<'_>>,
) -> Option<(FieldPath, Value)> {
    let new = change.map(|change| change.into_value(workload.pod_template(document)));
    let Some((partition, at)) = partition else {
        return new.map(|new| (workload.template_path.clone(), new));
    };
    let mut object = workload.object(document).clone();
    if let Some(new) = new {
        workload.template_path.relative_to(&workload.path).replace_in(&mut object, new);
    }
    at.replace_in(&mut object, partition.into());
    Some((workload.path.clone(), object))
}

/// Returns whether Helm runs an object by itself, at some point of a release, instead of installing it with the others.
fn is_hook(object: &Value) -> bool {
    object.pointer("/metadata/annotations").is_some_and(|all| all.get("helm.sh/hook").is_some())
}

/// A workload without a pod template: what should be injected is somewhere else, or lost its indentation.
fn template_missing(
    document: &Document,
    base: &FieldPath,
    kind: &WorkloadKind,
    object: &Value,
) -> Option<Diagnostic> {
    // A Rollout of Argo may take its pods from the Deployment it names.
    if FieldPath::dotted("spec.workloadRef").find(object).is_some() {
        return None;
    }
    let places: Vec<String> = kind.template_paths.iter().map(|t| format!("`{t}`")).collect();
    let at = base.join(kind.template_paths.first()?);
    let message = format!("this {} has no pod template, so nothing is injected", kind.kind);
    let label = document.label(&at, EntryPart::Key, "");
    let help = format!("write it at {}; if it is there, check its indentation", places.join(" or "));
    Some(Diagnostic::warning(Code::MissingField, message).field(at.to_string()).at(label).help(help))
}

fn template_not_mapping(document: &Document, template: &FieldPath, kind: &WorkloadKind) -> Diagnostic {
    Diagnostic::error(Code::WrongType, format!("the pod template of this {} is not a mapping", kind.kind))
        .field(template.to_string())
        .at(document.label(template, EntryPart::Value, ""))
        .help("write the template's `metadata` and `spec` here")
}

/// Returns the names of the `volumeClaimTemplates` beside a pod template, or in it.
fn volume_claim_names<'a>(object: &'a Value, template: &FieldPath, base: &FieldPath) -> Vec<&'a str> {
    let within = template.relative_to(base);
    let within = within.segments();
    let beside = within.split_last().map_or(&[][..], |(_, above)| above);
    let owners = [beside, within].map(|path| FieldPath::from(path.to_vec()).find(object));
    let lists = owners.into_iter().flatten().filter_map(|o| o.get("volumeClaimTemplates")?.as_array());
    lists.flatten().filter_map(|c| c["metadata"]["name"].as_str()).collect()
}

/// No pod can be made of such a template: it is a patch of one.
fn containers_missing(document: &Document, template: &FieldPath, key: &str) -> Diagnostic {
    let path = template.child("spec");
    Diagnostic::warning(Code::NoContainers, format!("`{key}` has no containers and is left unchanged"))
        .field(path.child("containers").to_string())
        .at(document.label(&path, EntryPart::Key, "a SidecarSet selects it"))
        .because("it looks like a patch: render the result of applying it")
        .help("exclude it with `ignore:` in pillion.yaml")
}
