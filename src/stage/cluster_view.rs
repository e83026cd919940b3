//! The state of one cluster in git: its manifests, SidecarSets and ledgers, from a folder or a commit.

use crate::diagnostics::{Diagnostic, Span};
use crate::model::api::ROLLOUT_ANNOTATION;
use crate::model::config::{self, RolloutConfig};
use crate::model::ledger::{Ledger, Revision};
use crate::model::sidecar_set::SidecarSet;
use crate::model::workload::sidecar_set_key;
use crate::read::map_in_order;
use crate::render::{
    FileRenderOptions, RenderedFile, Renderer, RendererSetup, SourceFile, WorkloadOutline, WorkloadRef,
    render_file,
};
use crate::rollout::settings::RolloutSettings;
use crate::rollout::workload_set::{PlannedWorkload, WorkloadSet};
use crate::rollout::{
    ExternalState, KruiseSelection, PlanExtent, RelatedObject, RelatedObjects, RolloutContext, RolloutPlan,
    SelectedWorkload, may_contain_related_objects, related_objects_in,
};
use crate::workspace::{
    ClusterInputs, ClusterSources, Configuration, Input, InputSource, UNSPECIFIED_NAMESPACE, WhatIf,
    contains_workload,
};
use crate::yaml::{Document, DocumentSource, split_documents};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The state of one cluster in git.
#[derive(Debug)]
pub struct ClusterView {
    /// pillion.yaml.
    pub(crate) configuration: Configuration,
    /// The cluster, where pillion.yaml names clusters.
    pub(crate) cluster: Option<Arc<str>>,
    /// The renderer, the SidecarSets as they are written, and the ledgers.
    pub prepared: RendererSetup,
    /// Related objects in git: autoscalers, budgets, quotas.
    pub(crate) related_objects: RelatedObjects,
    /// The manifests are not plain files: a command built them, or the user passed them.
    pub(crate) is_built: bool,
    inputs: Vec<(Input, Arc<str>)>,
    workloads: Vec<Arc<WorkloadOutline>>,
    rollout_overrides: RolloutConfig,
}

impl ClusterView {
    /// Reads a cluster. With an error among the diagnostics, the view is only good for more diagnostics.
    pub fn load(configuration: &Configuration, sources: &ClusterSources<'_>) -> (Self, Vec<Diagnostic>) {
        Self::hypothetical(configuration, sources, &WhatIf::default())
    }

    /// Reads a cluster with hypothetical changes, for plans that try something out.
    pub(crate) fn hypothetical(
        configuration: &Configuration,
        sources: &ClusterSources<'_>,
        what_if: &WhatIf,
    ) -> (Self, Vec<Diagnostic>) {
        let (inputs, diagnostics) = ClusterInputs::read(configuration, sources, what_if);
        let ClusterInputs { cluster, setup, texts, workloads } = inputs;
        // Errors in related objects are among the diagnostics already.
        let mut related = Vec::new();
        map_in_order(&texts, |(input, text)| related_objects_of(input, text), |of| related.extend(of));
        let view = Self {
            configuration: configuration.clone(),
            cluster,
            prepared: setup,
            related_objects: RelatedObjects::new(related),
            is_built: sources.built.is_some(),
            inputs: texts,
            workloads,
            rollout_overrides: what_if.rollout.clone(),
        };
        (view, diagnostics)
    }

    /// Returns the SidecarSets that have or could have a rollout: those in files and those with a ledger.
    pub(crate) fn sidecar_set_names(&self) -> BTreeSet<Arc<str>> {
        let written = self.prepared.sets.iter().map(|s| Arc::from(s.name.as_str()));
        written.chain(self.prepared.ledgers.keys().cloned()).collect()
    }

    /// Returns the ledger of a SidecarSet; where there is none, one with nothing released.
    pub fn ledger(&self, name: &str) -> Ledger {
        self.prepared.ledgers.get(name).cloned().unwrap_or_else(|| Ledger::new(name))
    }

    /// Returns the content of a SidecarSet in the sources; None: it was deleted.
    pub(crate) fn source_revision(&self, name: &str) -> Option<Revision> {
        self.prepared.sets.iter().find(|s| s.name == name).map(Revision::from_set)
    }

    /// Returns the context of the rollout of a SidecarSet.
    pub fn rollout_context(&self, name: &str) -> (RolloutContext<'_>, Vec<Diagnostic>) {
        self.rollout_context_for(&self.ledger(name))
    }

    /// Returns the context of the rollout of a SidecarSet with another ledger.
    pub(crate) fn rollout_context_for(&self, ledger: &Ledger) -> (RolloutContext<'_>, Vec<Diagnostic>) {
        let name = &*ledger.name;
        let (rollout, diagnostics) = self.rollout_settings(name);
        let mut context = self.build_context(ledger, &rollout);
        let set = self.prepared.sets.iter().find(|s| s.name == name);
        context.settings.steps_label = self.steps_label(set.map(Arc::as_ref));
        (context, diagnostics)
    }

    /// Plans the rollout of a SidecarSet up to `maxBatches`, and reports errors in its settings.
    pub(crate) fn plan_rollout(
        &self,
        name: &str,
        external: ExternalState,
    ) -> (RolloutPlan<'_>, Vec<Diagnostic>) {
        let (context, diagnostics) = self.rollout_context(name);
        (RolloutPlan::new(context, self.ledger(name), external, PlanExtent::Staged), diagnostics)
    }

    /// As [`Self::plan_rollout`]; where the rollout is paused, what follows when it is resumed.
    pub(crate) fn plan_resumed_rollout(
        &self,
        name: &str,
        external: ExternalState,
    ) -> (RolloutPlan<'_>, Vec<Diagnostic>) {
        let (context, diagnostics) = self.rollout_context(name);
        (RolloutPlan::resumed(context, self.ledger(name), external), diagnostics)
    }

    /// Returns the rollout settings of a SidecarSet: those of pillion.yaml, overridden by its annotation.
    pub(crate) fn rollout_settings(&self, name: &str) -> (RolloutConfig, Vec<Diagnostic>) {
        let set = self.prepared.sets.iter().find(|s| s.name == name);
        let rollout = self.configuration.repository.rollout.clone().unwrap_or_default();
        let (rollout, diagnostics) =
            set.map_or_else(|| (rollout.clone(), Vec::new()), |s| settings_of_set(s, &rollout));
        (rollout.with_overrides(&self.rollout_overrides), diagnostics)
    }

    /// Returns the location of the steps of a rollout.
    fn steps_label(&self, set: Option<&SidecarSet>) -> Option<Span> {
        if self.rollout_overrides.steps.is_some() {
            return None;
        }
        if let Some(set) =
            set.filter(|s| s.annotation(ROLLOUT_ANNOTATION).is_some_and(|text| text.contains("steps")))
        {
            let at = set
                .path
                .join(&crate::yaml::FieldPath::dotted("metadata.annotations"))
                .child(ROLLOUT_ANNOTATION);
            return Some(set.document.label(&at, crate::yaml::EntryPart::Key, ""));
        }
        let document = self.configuration.document.as_ref()?;
        let at = crate::yaml::FieldPath::dotted("rollout.steps");
        at.find(document.value()).map(|_| document.label(&at, crate::yaml::EntryPart::Value, ""))
    }

    fn build_context(&self, ledger: &Ledger, rollout: &RolloutConfig) -> RolloutContext<'_> {
        let name = &*ledger.name;
        let set = self.prepared.sets.iter().find(|s| s.name == name);
        let own_key = sidecar_set_key(name);
        let is_kruise = self.prepared.renderer.is_kruise_runtime();
        let outlines = self.workloads.iter().filter(|w| !is_kruise || *w.manifest.key == *own_key);
        let units = outlines.map(|outline| {
            let mut unit = PlannedWorkload::new(Arc::clone(outline));
            unit.is_autoscaled = self.related_objects.is_autoscaled(&outline.manifest);
            unit.override_hold = outline.manifest.override_hold(name);
            unit
        });
        let replaces = self.replaced_sets(ledger);
        let mut split_elsewhere = self.split_by_others(name);
        // Workloads that a replaced SidecarSet has split are whole again after it.
        split_elsewhere.retain(|_, other| !replaces.contains(other));
        let mut settings = RolloutSettings::new(rollout, set.map(Arc::as_ref));
        let kruise = is_kruise.then(|| self.kruise_selection(ledger, set, &settings));
        let mut units: Vec<PlannedWorkload> = units.collect();
        if let Some(selection) = &kruise {
            settings.bound_by_steps(rollout);
            units.iter_mut().for_each(|unit| unit.replicas = selection.pods());
        }
        let mut context = RolloutContext {
            name: name.into(),
            cluster: self.cluster.clone(),
            source: set.map(Revision::from_set),
            settings,
            workloads: WorkloadSet::new(&self.prepared.renderer, name, units),
            kruise,
            split_by_others: split_elsewhere,
            replaces_all_containers: self.replaces_all_containers(name, &replaces),
            held_by_replaced: self.held_entries(&replaces),
            replaced_by: self.successors(ledger),
            replaces,
            replicas_from_others: self.replicas_from_others(name),
            is_built: self.is_built,
            has_rendered_files: self.configuration.layout.rendered.is_some(),
            unselected_holds: BTreeSet::new(),
        };
        context.unselected_holds =
            self.present_workloads(&held_by_people(ledger, |key| context.workloads.find(key).is_none()));
        self.warm_caches(&context);
        context
    }

    /// Returns the workloads with pods that a SidecarSet selects, where Kruise injects it.
    fn kruise_selection(
        &self,
        ledger: &Ledger,
        set: Option<&Arc<SidecarSet>>,
        settings: &RolloutSettings,
    ) -> KruiseSelection {
        let Some(set) = set else { return KruiseSelection::default() };
        let selected = self.workloads.iter().filter(|w| self.prepared.renderer.selects(w, set));
        let workloads = selected.map(|outline| {
            let mut workload = PlannedWorkload::new(Arc::clone(outline));
            workload.is_autoscaled = self.related_objects.is_autoscaled(&outline.manifest);
            let is_canary = settings.strategy.is_in_canary(&workload.labels);
            let pods = settings.replicas_of(&workload, ledger);
            SelectedWorkload { key: Arc::clone(workload.key()), pods, is_canary }
        });
        KruiseSelection { workloads: workloads.collect() }
    }

    /// Renders on all cores what the plan needs of every workload.
    fn warm_caches(&self, context: &RolloutContext<'_>) {
        let ledger = self.ledger(&context.name);
        let target =
            ledger.target.clone().unwrap_or_else(|| context.source.as_ref().map(|r| Arc::clone(&r.name)));
        let workloads = &context.workloads;
        let look = |unit: &PlannedWorkload| {
            if !ledger.is_at_target(unit.active_entry(&ledger).as_deref(), &target) {
                workloads.change_to(unit, &ledger.released, &target);
            }
        };
        map_in_order(workloads.as_slice(), look, |()| ());
    }

    /// Returns the workloads that rollouts of other SidecarSets have split, each with that SidecarSet.
    fn split_by_others(&self, name: &str) -> BTreeMap<Arc<str>, Arc<str>> {
        let others = self.prepared.ledgers.values().filter(|l| &*l.name != name);
        let lines =
            others.flat_map(|ledger| ledger.entries.iter().map(move |(key, line)| (ledger, key, line)));
        let split = lines.filter(|(_, _, line)| line.partition.is_some());
        split.map(|(ledger, key, _)| (Arc::clone(key), Arc::clone(&ledger.name))).collect()
    }

    /// Returns the replicas of workloads that the ledgers of other SidecarSets record.
    fn replicas_from_others(&self, name: &str) -> BTreeMap<Arc<str>, u32> {
        let others = self.prepared.ledgers.values().filter(|l| &*l.name != name);
        others.flat_map(|ledger| ledger.replicas.iter().map(|(key, pods)| (Arc::clone(key), *pods))).collect()
    }

    /// Returns those of some workloads that are among the inputs, whether a SidecarSet selects them or not.
    pub(super) fn present_workloads(&self, keys: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        if keys.is_empty() {
            return found;
        }
        let work = |(input, text): &(Input, Arc<str>)| {
            let namespace = namespace_of(input);
            let stands = |key: &&Arc<str>| contains_workload(text, &input.name, Some(namespace), key);
            keys.iter().filter(stands).map(Arc::clone).collect::<Vec<_>>()
        };
        map_in_order(&self.inputs, work, |keys| found.extend(keys));
        found
    }

    /// Returns the workloads that some SidecarSet may select, each with its file, where it is in git.
    pub(super) fn source_paths_of_workloads(&self) -> impl Iterator<Item = (&Arc<str>, &Path)> {
        self.inputs_of_workloads().filter_map(|(key, number)| match &self.inputs[number].0.source {
            InputSource::File(path) => Some((key, path.as_path())),
            InputSource::Stdin | InputSource::Text(_) => None,
        })
    }

    /// Renders every file, in parallel, and passes on the results in order.
    pub fn render_all(&self, renderer: &Renderer, mut take: impl FnMut(&Input, &Arc<str>, RenderedFile)) {
        let numbers: Vec<usize> = (0..self.inputs.len()).collect();
        let mut inputs = self.inputs.iter();
        map_in_order(
            &numbers,
            |number| self.render_input(*number, renderer),
            |rendered| {
                if let Some((input, text)) = inputs.next() {
                    take(input, text, rendered);
                }
            },
        );
    }

    /// Renders the file of an input.
    pub(super) fn render_input(&self, number: usize, renderer: &Renderer) -> RenderedFile {
        let (input, text) = &self.inputs[number];
        render_file(&SourceFile::of_input(input, text), renderer, FileRenderOptions::default())
    }

    /// Returns the inputs and their texts, in order.
    pub(crate) fn inputs(&self) -> &[(Input, Arc<str>)] {
        &self.inputs
    }

    /// Returns the workloads that some SidecarSet may select.
    pub(super) fn workloads(&self) -> &[Arc<WorkloadOutline>] {
        &self.workloads
    }

    /// Returns the workloads that some SidecarSet may select.
    #[cfg(feature = "watch")]
    pub(crate) fn planned_workloads(&self) -> impl Iterator<Item = &WorkloadRef> {
        self.workloads.iter().map(|workload| &workload.manifest)
    }

    /// Returns the kubeconfig context that pillion.yaml names for this cluster.
    #[cfg(feature = "watch")]
    pub(crate) fn context(&self) -> Option<&str> {
        let clusters = &self.configuration.repository.clusters;
        clusters.iter().find(|c| Some(c.name.as_str()) == self.cluster.as_deref())?.context.as_deref()
    }

    /// Returns the workloads that some SidecarSet may select, each with the index of its input.
    pub(super) fn inputs_of_workloads(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let numbers: BTreeMap<&str, usize> =
            self.inputs.iter().enumerate().map(|(i, (input, _))| (&*input.name, i)).collect();
        self.workloads.iter().filter_map(move |w| Some((&w.manifest.key, *numbers.get(&**w.source.file())?)))
    }
}

/// Returns the settings of a SidecarSet: those of pillion.yaml, overridden by its annotation.
pub(crate) fn settings_of_set(set: &SidecarSet, rollout: &RolloutConfig) -> (RolloutConfig, Vec<Diagnostic>) {
    let Some(text) = set.annotation(ROLLOUT_ANNOTATION) else { return (rollout.clone(), Vec::new()) };
    let name: Arc<str> = format!("annotation {ROLLOUT_ANNOTATION} of SidecarSet {}", set.name).into();
    match Document::read(&name, 0, 1, text) {
        Ok(document) => {
            let (over, diagnostics) = config::decode_rollout(&document);
            let diagnostics = diagnostics.into_iter().map(|found| in_annotation(set, found)).collect();
            (over.map_or_else(|| rollout.clone(), |over| rollout.with_overrides(&over)), diagnostics)
        }
        Err(error) => (rollout.clone(), vec![in_annotation(set, error)]),
    }
}

/// Moves a diagnostic of the settings in the annotation of a SidecarSet to that annotation.
fn in_annotation(set: &SidecarSet, mut found: Diagnostic) -> Diagnostic {
    let at = set.path.join(&crate::yaml::FieldPath::dotted("metadata.annotations")).child(ROLLOUT_ANNOTATION);
    let inside = std::mem::take(&mut found.spans).into_iter().next();
    let line = inside.map_or(1, |span| span.line);
    let written =
        set.annotation(ROLLOUT_ANNOTATION).and_then(|text| text.lines().nth(line.saturating_sub(1)));
    let found = found.at(set.document.label(&at, crate::yaml::EntryPart::Value, ""));
    match written {
        Some(written) => found.because(format!("line {line} of the annotation: `{}`", written.trim())),
        None => found,
    }
}

/// Returns the workloads that people hold in a ledger, among those requested.
pub(super) fn held_by_people(ledger: &Ledger, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<Arc<str>> {
    let held = ledger.entries.iter().filter(|(key, line)| line.is_held_by_person() && is_wanted(key));
    held.map(|(key, _)| Arc::clone(key)).collect()
}

/// Returns the namespace of manifests of an input that name none.
fn namespace_of(input: &Input) -> &str {
    if *input.namespace == *UNSPECIFIED_NAMESPACE { "default" } else { &input.namespace }
}

/// Returns the related objects of a file.
fn related_objects_of(input: &Input, text: &Arc<str>) -> Vec<RelatedObject> {
    if !may_contain_related_objects(text) {
        return Vec::new();
    }
    let pieces = split_documents(&input.name, text).0.into_iter().enumerate();
    let related = pieces.filter_map(|(i, piece)| {
        let document = Document::read(&input.name, i, piece.first_line, &text[piece.span.clone()]).ok()?;
        let document = Arc::new(document);
        let source = match document.value().get("items") {
            None => DocumentSource::from_text(&document, text, piece.span),
            Some(_) => DocumentSource::from_document(Arc::clone(&document)),
        };
        Some(related_objects_in(&document, &source, namespace_of(input)))
    });
    related.flatten().collect()
}
