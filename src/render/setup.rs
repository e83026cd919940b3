//! Builds a renderer from the collected inputs and pillion.yaml.

use super::assignments::RevisionAssignments;
use super::collect::CollectedObjects;
use super::kruise;
use super::namespaces::NamespaceIndex;
use super::override_rules::OverrideRules;
use super::overrides::{KnownSets, OverrideIndex};
use super::renderer::Renderer;
use super::replacements::find_replacements;
use super::sidecar_sets::{DocumentObject, read_sets, read_states, validate_sets};
use crate::diagnostics::{Code, Diagnostic, Severity, Span};
use crate::inject::{Options, PreparedSet};
use crate::model::config::{self, RepositoryConfig, Runtime};
use crate::model::ledger::{self, Ledger, revision_name};
use crate::model::sidecar_set::{DecodeMode, SidecarSet};
use crate::model::workload::WorkloadKinds;
use crate::yaml::{EntryPart, FieldPath};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The inputs of a renderer.
#[derive(Debug)]
pub(crate) struct RendererInputs<'a> {
    /// Objects of the files that are rendered.
    pub(crate) manifests: CollectedObjects,
    /// Objects of files that only add SidecarSets.
    pub(crate) sidecar_sets: CollectedObjects,
    /// Objects of the files with ledgers.
    pub(crate) ledgers: CollectedObjects,
    /// Objects of the files with earlier revisions of SidecarSets, oldest first.
    pub(crate) history: CollectedObjects,
    /// Files and folders that are configured to contain SidecarSets.
    pub(crate) sidecar_set_paths: &'a [PathBuf],
    /// pillion.yaml.
    pub(crate) repository: &'a RepositoryConfig,
    /// What puts sidecars into the pods of the cluster; None: the rendered manifests have them.
    pub(crate) runtime: Option<Runtime>,
    /// What SidecarOverrides may change.
    pub(crate) override_rules: OverrideRules,
    /// Which annotations are written, where that is not left to pillion.yaml.
    pub(crate) annotations: Option<config::AnnotationMode>,
    /// SidecarSets stay in the output.
    pub(crate) keeps_sidecar_sets: bool,
    /// Injection tells where each line comes from.
    pub(crate) trace: bool,
    /// For plans: ledgers of sets that have none, in place of the error; a further set has one with nothing released.
    pub(crate) hypothetical_ledgers: Option<&'a BTreeMap<Arc<str>, Ledger>>,
}

/// A renderer, and what it was made of.
#[derive(Debug)]
pub struct RendererSetup {
    /// The renderer.
    pub renderer: Renderer,
    /// The SidecarSets as they are written, by name.
    pub sets: Vec<Arc<SidecarSet>>,
    /// The ledgers, by SidecarSet.
    pub(crate) ledgers: BTreeMap<Arc<str>, Ledger>,
    /// Earlier states of SidecarSets, oldest first.
    history: Vec<Arc<SidecarSet>>,
    /// A SidecarSet without a ledger is an error.
    expects_ledgers: bool,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    pub(crate) declared_namespaces: BTreeSet<String>,
}

/// Builds a renderer, and reports errors of SidecarSets and ledgers.
pub(crate) fn build_renderer(from: RendererInputs<'_>) -> (RendererSetup, Vec<Diagnostic>) {
    let has_sets_to_find = has_sets_to_find(&from);
    let RendererInputs { manifests: mut collected, history, ledgers: ledger_files, repository, .. } = from;
    collected.merge(from.sidecar_sets);
    let namespaces = NamespaceIndex::from_inputs(&collected, repository);
    let named = collected.namespaces.iter().map(|(name, _)| name.as_str());
    let declared = named.chain(repository.namespaces.iter().map(|rule| rule.name.as_str()));
    let declared_namespaces: BTreeSet<String> = declared.map(str::to_owned).collect();
    let mut diagnostics = collected.diagnostics;
    diagnostics.extend(collected.unreadable.into_iter().chain(history.diagnostics).chain(history.unreadable));
    if has_sets_to_find && collected.sidecar_sets.is_empty() && !diagnostics.iter().any(Diagnostic::is_error)
    {
        diagnostics.push(no_sidecar_set(from.sidecar_set_paths));
    }
    let ((sets, history), problems) =
        read_sets_and_history(&collected.sidecar_sets, &history.sidecar_sets, repository);
    diagnostics.extend(problems);
    let expects_ledgers = repository.ledgers.is_some()
        && repository.rollout.as_ref().and_then(|r| r.require_ledger).unwrap_or(true);
    collected.ledgers.extend(ledger_files.ledgers);
    let unread: Vec<Diagnostic> =
        ledger_files.diagnostics.into_iter().chain(ledger_files.unreadable).collect();
    let documents = LedgerDocuments { read: &collected.ledgers, unread, expects_ledgers };
    let (ledgers, problems) = documents.ledgers_of(&sets, from.hypothetical_ledgers, from.runtime);
    diagnostics.extend(problems);
    let known = KnownSets { written: &sets, ledgers: &ledgers, expects_ledgers };
    let (overrides, problems) = OverrideIndex::read(&collected.overrides, &from.override_rules, &known);
    diagnostics.extend(problems);
    let is_kruise = from.runtime == Some(Runtime::Kruise);
    diagnostics.extend(kruise::changed_runtimes(is_kruise, &ledgers, &collected.ledgers));
    if is_kruise {
        diagnostics.extend(kruise::check(&sets, &ledgers));
        diagnostics.extend(overrides.ignored_by_kruise());
    }
    let contents = assign_revisions(&sets, &ledgers, &history, expects_ledgers, None, None);
    let mut kinds = WorkloadKinds::default();
    repository.workload_kinds().for_each(|k| kinds.add(k));
    let mut options = injection_options(repository, !ledgers.is_empty());
    options.annotations = from.annotations.unwrap_or(options.annotations);
    options.trace = from.trace;
    let renderer = Renderer::new(contents, kinds, namespaces, options, from.keeps_sidecar_sets);
    let renderer = match from.runtime {
        Some(Runtime::Kruise) => renderer.with_kruise(),
        None => renderer.with_overrides(overrides),
    };
    (RendererSetup { renderer, sets, ledgers, history, expects_ledgers, declared_namespaces }, diagnostics)
}

/// Returns whether pillion.yaml names places of SidecarSets, and nothing there is one. A ledger tells of a SidecarSet that
/// is deleted.
fn has_sets_to_find(from: &RendererInputs<'_>) -> bool {
    !from.sidecar_set_paths.is_empty()
        && from.sidecar_sets.sidecar_sets.is_empty()
        && from.ledgers.ledgers.is_empty()
        && from.hypothetical_ledgers.is_none_or(BTreeMap::is_empty)
}

type SetsAndHistory = (Vec<Arc<SidecarSet>>, Vec<Arc<SidecarSet>>);

/// Decodes the SidecarSets and their earlier states, with the mode of pillion.yaml where a set has none, and validates them.
fn read_sets_and_history(
    written: &[DocumentObject],
    earlier: &[DocumentObject],
    repository: &RepositoryConfig,
) -> (SetsAndHistory, Vec<Diagnostic>) {
    let mode = repository.sidecar_mode.unwrap_or_default();
    let with_mode = |sets: Vec<Arc<SidecarSet>>| -> Vec<Arc<SidecarSet>> {
        sets.into_iter().map(|set| set.with_default_mode(mode)).collect()
    };
    let (sets, mut diagnostics) = read_sets(written, DecodeMode::Render);
    let (history, problems) = read_states(earlier, DecodeMode::Render);
    diagnostics.extend(problems);
    let (sets, history) = (with_mode(sets), with_mode(history));
    diagnostics.extend(validate_sets(&sets, &[], &history).into_iter().map(ignore_namespace));
    ((sets, history), diagnostics)
}

/// Returns what pillion.yaml says about injection.
fn injection_options(repository: &RepositoryConfig, has_ledgers: bool) -> Options {
    // Where ledgers decide, plans name each workload before it gets a sidecar, and one Job must not stop all others.
    let has_ledgers = repository.ledgers.is_some() || has_ledgers;
    let job_default = if has_ledgers { Severity::Warning } else { Severity::Error };
    let job_level = repository.lint_levels().severity_of(Code::JobNeverCompletes);
    Options {
        annotations: repository.annotations.unwrap_or_default(),
        trace: false,
        kubernetes_version: repository.cluster_version(),
        job_never_completes: job_level.unwrap_or(Some(job_default)),
        is_job_level_written: job_level.is_some(),
    }
}

/// The documents of ledgers.
struct LedgerDocuments<'a> {
    /// The documents that are YAML.
    read: &'a [DocumentObject],
    /// What is wrong with the files of the others.
    unread: Vec<Diagnostic>,
    /// A SidecarSet without a ledger is an error.
    expects_ledgers: bool,
}

impl LedgerDocuments<'_> {
    /// Decodes the ledgers, adds the hypothetical ones of a plan, and reports each SidecarSet that has none although
    /// pillion.yaml expects one.
    fn ledgers_of(
        self,
        sets: &[Arc<SidecarSet>],
        hypothetical: Option<&BTreeMap<Arc<str>, Ledger>>,
        runtime: Option<Runtime>,
    ) -> (BTreeMap<Arc<str>, Ledger>, Vec<Diagnostic>) {
        let (mut ledgers, mut diagnostics) = read_ledgers(self.read);
        if let Some(hypothetical) = hypothetical {
            let unwritten = sets.iter().filter(|set| self.expects_ledgers && !self.is_broken(set));
            diagnostics.extend(add_hypothetical_ledgers(&mut ledgers, hypothetical, unwritten));
        }
        for set in sets {
            match ledgers.get(set.name.as_str()) {
                Some(ledger) => diagnostics.extend(ledger_notes(set, ledger, runtime)),
                // Errors of a ledger are already reported.
                None if self.expects_ledgers && self.is_broken(set) => {}
                None if self.expects_ledgers => diagnostics.push(missing_ledger(set)),
                None => {}
            }
        }
        diagnostics.extend(self.unread);
        (ledgers, diagnostics)
    }

    /// Returns whether a SidecarSet has a ledger that cannot be read, or may have one.
    fn is_broken(&self, set: &SidecarSet) -> bool {
        let is_unread = self.unread.iter().filter(|d| d.is_error()).any(|d| concerns_ledger_of(d, set));
        let names =
            |(l, p): &DocumentObject| p.find(l.value()).is_some_and(|l| l["metadata"]["name"] == *set.name);
        is_unread || self.read.iter().any(names)
    }
}

/// Ignores the namespace of a SidecarSet: kustomize's `namespace:` sets it, and the API server drops it.
fn ignore_namespace(mut diagnostic: Diagnostic) -> Diagnostic {
    if diagnostic.code == Code::ForbiddenField && diagnostic.field.as_deref() == Some("metadata.namespace") {
        diagnostic.severity = Severity::Note;
        diagnostic.message.push_str("; it is ignored");
        diagnostic.notes =
            vec!["`namespace:` of a kustomization sets it, and the API server drops it".to_owned()];
        diagnostic.help = None;
    }
    diagnostic
}

impl RendererSetup {
    /// Takes a ledger up, in place of one that the SidecarSet may have.
    pub(crate) fn insert_ledger(&mut self, ledger: Ledger) {
        self.renderer = self.renderer_with(&ledger, None);
        self.ledgers.insert(Arc::clone(&ledger.name), ledger);
    }

    /// Returns a renderer with another ledger of one SidecarSet. Where only some workloads
    /// are going to be rendered, their lines are enough.
    pub(crate) fn renderer_with(&self, ledger: &Ledger, only: Option<&BTreeSet<Arc<str>>>) -> Renderer {
        let Self { sets, ledgers, history, expects_ledgers, .. } = self;
        self.renderer.with_assignments(assign_revisions(
            sets,
            ledgers,
            history,
            *expects_ledgers,
            Some(ledger),
            only,
        ))
    }
}

/// Adds the hypothetical ledgers of a plan, and notes which of them do not exist.
fn add_hypothetical_ledgers<'s>(
    ledgers: &mut BTreeMap<Arc<str>, Ledger>,
    hypothetical: &BTreeMap<Arc<str>, Ledger>,
    sets: impl Iterator<Item = &'s Arc<SidecarSet>>,
) -> Vec<Diagnostic> {
    for (name, ledger) in hypothetical {
        ledgers.entry(Arc::clone(name)).or_insert_with(|| ledger.clone());
    }
    let mut notes = Vec::new();
    for set in sets {
        ledgers.entry(set.name.as_str().into()).or_insert_with(|| {
            let mut note = missing_ledger(set);
            note.severity = Severity::Note;
            notes.push(note.because("it is planned as a new SidecarSet without a released revision"));
            Ledger::new(&set.name)
        });
    }
    notes
}

/// The assignments of the ledgers, one of them replaced; SidecarSets without a ledger are as written.
fn assign_revisions(
    sets: &[Arc<SidecarSet>],
    ledgers: &BTreeMap<Arc<str>, Ledger>,
    history: &[Arc<SidecarSet>],
    expects_ledgers: bool,
    replacement: Option<&Ledger>,
    only: Option<&BTreeSet<Arc<str>>>,
) -> RevisionAssignments {
    let is_other = |ledger: &&Ledger| replacement.is_none_or(|i| i.name != ledger.name);
    let all = ledgers.values().filter(is_other).chain(replacement);
    let has_ledger = |name: &str| ledgers.contains_key(name) || replacement.is_some_and(|i| &*i.name == name);
    let (by_ledger, by_file): (Vec<_>, Vec<_>) =
        sets.iter().map(Arc::clone).partition(|set| expects_ledgers || has_ledger(&set.name));
    let mut contents =
        RevisionAssignments::from_ledgers(all, prepare_sets(by_file), prepare_sets(history.to_vec()), only);
    // One that has no ledger yet is to get one.
    for set in &by_ledger {
        // A rollout may add workloads that only this content selects.
        contents.add_revision(&revision_name(set).into(), set);
    }
    contents.set_sources(sets);
    for (new, old) in match replacement {
        None => find_replacements(sets, ledgers),
        Some(replacement) => {
            let mut ledgers = ledgers.clone();
            ledgers.insert(Arc::clone(&replacement.name), replacement.clone());
            find_replacements(sets, &ledgers)
        }
    } {
        contents.add_replacements(&new, old.iter());
    }
    contents
}

/// Decodes ledgers; of two for one SidecarSet the first stays.
fn read_ledgers(found: &[DocumentObject]) -> (BTreeMap<Arc<str>, Ledger>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut ledgers: BTreeMap<Arc<str>, (Ledger, &DocumentObject)> = BTreeMap::new();
    for place in found {
        let (decoded, problems) = ledger::decode(&place.0, &place.1);
        diagnostics.extend(problems);
        let Some(decoded) = decoded else { continue };
        match ledgers.entry(Arc::clone(&decoded.name)) {
            Entry::Vacant(vacant) => {
                vacant.insert((decoded, place));
            }
            Entry::Occupied(first) => {
                diagnostics.push(duplicate_ledger(&decoded.name, [place, first.get().1]));
            }
        }
    }
    (ledgers.into_iter().map(|(name, (ledger, _))| (name, ledger)).collect(), diagnostics)
}

fn duplicate_ledger(name: &str, [second, first]: [&DocumentObject; 2]) -> Diagnostic {
    let label = |(document, path): &DocumentObject, text: &str| {
        document.label(&path.join(&FieldPath::dotted("metadata.name")), EntryPart::Value, text)
    };
    Diagnostic::error(Code::DuplicateLedger, format!("two ledgers are for SidecarSet `{name}`"))
        .at(label(second, "here again"))
        .at(label(first, "first here"))
        .help("remove one of the files; if they belong to two clusters, add these to `clusters:` of pillion.yaml")
}

/// Notes on the parts of a SidecarSet's file that have no effect because of its ledger.
fn ledger_notes(set: &SidecarSet, ledger: &Ledger, runtime: Option<Runtime>) -> Vec<Diagnostic> {
    let mut notes = Vec::new();
    let name = revision_name(set);
    let is = |other: Option<&Arc<str>>| other.is_some_and(|o| **o == *name);
    if !is(ledger.released.as_ref()) && !is(ledger.target.as_ref().and_then(Option::as_ref)) {
        let released = ledger::revision_text(&ledger.released);
        notes.push(
            Diagnostic::note(
                Code::NotStagedYet,
                format!(
                    "this content of SidecarSet `{}` is not staged yet: workloads keep `{released}`",
                    set.name
                ),
            )
            .at(set.label("metadata.name", &format!("it is `{name}`")))
            .help("`pillion plan` shows the rollout, `pillion stage` writes it"),
        );
    }
    if runtime.is_none() && (set.is_injection_paused || set.injection_revision.is_some()) {
        notes.push(
            Diagnostic::note(
                Code::InjectionStrategyWithoutEffect,
                format!("`injectionStrategy` of SidecarSet `{}` has no effect: its ledger decides", set.name),
            )
            .at(set.label("spec.injectionStrategy", ""))
            .field("spec.injectionStrategy")
            .help("remove it; `pillion hold` keeps a workload as it is, `pillion pause` stops a rollout"),
        );
    }
    notes
}

/// Returns whether an error is in the ledger file of a SidecarSet, by the file's name.
fn concerns_ledger_of(diagnostic: &Diagnostic, set: &SidecarSet) -> bool {
    let stem =
        |label: &Span| std::path::Path::new(&*label.file).file_stem().is_some_and(|stem| stem == &*set.name);
    diagnostic.spans.iter().any(stem)
}

fn missing_ledger(set: &SidecarSet) -> Diagnostic {
    Diagnostic::error(Code::NoLedger, format!("SidecarSet `{}` has no ledger", set.name))
        .at(set.label("metadata.name", ""))
        .because("pillion.yaml sets `ledgers`, so workloads get only the revisions of a ledger")
        .help("`pillion init rollout` writes it; `rollout: {requireLedger: false}` in pillion.yaml makes it optional")
}

fn no_sidecar_set(places: &[PathBuf]) -> Diagnostic {
    let nothing = Diagnostic::error(
        Code::NoSidecarSet,
        "no SidecarSet found where `--sidecarsets` or pillion.yaml names some",
    )
    .help("a SidecarSet has `apiVersion: apps.kruise.io/v1beta1` (or v1alpha1) and `kind: SidecarSet`");
    places.iter().map(|p| Span::whole_file(p.to_string_lossy())).fold(nothing, Diagnostic::at)
}

fn prepare_sets(sets: Vec<Arc<SidecarSet>>) -> Vec<Arc<PreparedSet>> {
    sets.into_iter().map(|set| Arc::new(PreparedSet::new(set))).collect()
}
