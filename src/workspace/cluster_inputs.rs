//! Reads everything of one cluster: its manifests, SidecarSets and ledgers, from a folder or a commit.

use super::deployed_sets::deployed_set_inputs;
use super::duplicate_workloads::duplicate_workloads;
use super::selection::{BuiltInputs, InputSelector, OverrideFile};
use super::texts::{collect_overrides, read_inputs};
use super::{
    Configuration, Input, Layout, WhatIf, input_from_build, manifests_of, read_ledgers, shared_files,
};
use crate::diagnostics::{Diagnostic, Span};
use crate::read::{FileSource, IgnoreRules, map_in_order};
use crate::render::{
    CollectedObjects, Manifest, Renderer, RendererInputs, RendererSetup, WorkloadOutline, WorkloadRef,
    build_renderer, collect_objects,
};
use crate::yaml::{DocumentSource, FieldPath};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the parts of a cluster are read from.
#[derive(Clone, Copy)]
pub struct ClusterSources<'a> {
    /// Manifests, SidecarSets and pillion.yaml.
    pub files: &'a dyn FileSource,
    /// Ledgers; with two branches those of the deploy branch.
    pub ledgers: &'a dyn FileSource,
    /// Manifests of a build, in place of those of the sources: name and text.
    pub built: Option<(&'a str, &'a str)>,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<&'a str>,
}

/// The manifests, SidecarSets and ledgers of one cluster.
#[derive(Debug)]
pub struct ClusterInputs {
    /// The cluster, where pillion.yaml names some.
    pub(crate) cluster: Option<Arc<str>>,
    /// The renderer, the SidecarSets of the sources, and the ledgers.
    pub(crate) setup: RendererSetup,
    /// The manifests with their texts, in order.
    pub(crate) texts: Vec<(Input, Arc<str>)>,
    /// The workloads that a SidecarSet may select, in the order of the inputs.
    pub(crate) workloads: Vec<Arc<WorkloadOutline>>,
}

impl ClusterInputs {
    /// Reads everything, with the changes of a `what_if`. With an error among the diagnostics the result only serves to
    /// find more of them.
    pub(crate) fn read(
        configuration: &Configuration,
        sources: &ClusterSources<'_>,
        what_if: &WhatIf,
    ) -> (Self, Vec<Diagnostic>) {
        let (selected, mut diagnostics) = SelectedFiles::select(configuration, sources, what_if);
        let SelectedFiles { manifests, set_paths, set_files, override_files } = selected;
        let (ledgers, ledger_errors) = read_ledgers(&configuration.layout, sources.ledgers, sources.cluster);
        diagnostics.extend(ledger_errors);
        diagnostics.extend(shared_files(configuration, sources.cluster, &manifests));
        let files = sources.files;
        let (texts, mut collected, mut further) = read_files(manifests, set_files, files);
        collected.merge(collect_overrides(&override_files, files));
        for found in [&mut collected, &mut further] {
            diagnostics.extend(what_if.apply_to_sets(&mut found.sidecar_sets));
        }
        let (setup, errors) = build_renderer(RendererInputs {
            manifests: collected,
            sidecar_sets: further,
            ledgers,
            history: CollectedObjects::default(),
            sidecar_set_paths: &set_paths,
            repository: &configuration.repository,
            runtime: configuration.repository.runtime_of(sources.cluster),
            override_rules: configuration.override_rules(),
            annotations: None,
            keeps_sidecar_sets: false,
            trace: false,
            hypothetical_ledgers: what_if.ledgers.as_ref(),
        });
        diagnostics.extend(errors);
        let found = find_workloads(&texts, &setup.renderer);
        diagnostics.extend(found.errors);
        let mut names = configuration.layout.clusters.iter().map(|cluster| &cluster.name);
        let cluster = names.find(|name| Some(&***name) == sources.cluster).map(Arc::clone);
        let inputs = Self { cluster, setup, texts, workloads: found.workloads };
        diagnostics.extend(duplicate_workloads(&inputs.workloads, &inputs.texts, &inputs.setup.renderer));
        diagnostics.extend(found.namespace_errors);
        if sources.built.is_some() {
            diagnostics.extend(inputs.unknown_entries());
        }
        let manifests = inputs.workloads.iter().map(|workload| &workload.manifest);
        diagnostics.extend(manifests.flat_map(WorkloadRef::override_conflicts));
        (inputs, diagnostics)
    }

    /// Finds workloads of built manifests that ledgers know by another namespace.
    fn unknown_entries(&self) -> Vec<Diagnostic> {
        let Some((input, _)) = self.texts.last() else { return Vec::new() };
        let present = self.workloads.iter().map(|workload| Arc::clone(&workload.manifest.key)).collect();
        let span = Span::whole_file(Arc::clone(&input.name));
        self.setup.renderer.find_unknown_entries(&present, &self.setup.declared_namespaces, &span)
    }
}

/// The files of one cluster.
struct SelectedFiles {
    manifests: Vec<Input>,
    /// The paths with SidecarSets, and the files there.
    set_paths: Vec<PathBuf>,
    set_files: Vec<Input>,
    override_files: Vec<OverrideFile>,
}

impl SelectedFiles {
    fn select(
        configuration: &Configuration,
        sources: &ClusterSources<'_>,
        what_if: &WhatIf,
    ) -> (Self, Vec<Diagnostic>) {
        let (layout, selection) = (&configuration.layout, &what_if.selection);
        let ClusterSources { files, ledgers, built, cluster } = *sources;
        let mut diagnostics = Vec::new();
        let options = configuration.input_options(None).unwrap_or_else(|error| {
            diagnostics.push(*error);
            layout.input_options(IgnoreRules::empty())
        });
        let mut selector = InputSelector::new(files, selection, options);
        let built = built.map_or_else(BuiltInputs::default, |(name, text)| {
            let place = (&*layout.root, &selector.options.namespaces);
            let input = input_from_build(&name.into(), &text.into(), cluster, place);
            BuiltInputs { inputs: vec![input], plain_clusters: Some(Vec::new()) }
        });
        let paths = if selection.paths.is_empty() { layout.source_paths() } else { selection.paths.clone() };
        let mut manifests = selector.select_manifests(&paths, built, configuration);
        let set_paths = sidecar_set_paths(layout, sources, what_if);
        let set_files = selector.select(&set_paths);
        if selection.paths.is_empty() {
            manifests.extend(deployed_set_inputs(configuration, cluster, &set_files, &manifests));
        }
        if let Some(cluster) = layout.clusters.iter().find(|c| Some(&*c.name) == cluster) {
            manifests.retain(|input| layout.cluster_contains(cluster, input));
        }
        let override_files = match selection.paths.is_empty() {
            true => Vec::new(),
            false => selector.select_override_files(&manifests, configuration),
        };
        diagnostics.append(&mut selector.diagnostics);
        diagnostics.extend(layout.missing_sidecar_sets(files, ledgers));
        (Self { manifests, set_paths, set_files, override_files }, diagnostics)
    }
}

/// Returns the paths with SidecarSets, of pillion.yaml and of the selection.
fn sidecar_set_paths(layout: &Layout, sources: &ClusterSources<'_>, what_if: &WhatIf) -> Vec<PathBuf> {
    let mut paths = layout.sidecar_set_paths(sources.files, sources.ledgers);
    if what_if.ledgers.as_ref().is_some_and(|ledgers| !ledgers.is_empty()) {
        // A hypothetical ledger may be of a deleted SidecarSet, the last one of its folder.
        paths.retain(|path| sources.files.kind(path).is_some());
    }
    paths.extend_from_slice(&what_if.selection.sidecar_sets);
    paths
}

/// Reads the manifests, with what they contain, and the objects of further files with SidecarSets.
fn read_files(
    manifests: Vec<Input>,
    set_files: Vec<Input>,
    files: &dyn FileSource,
) -> (Vec<(Input, Arc<str>)>, CollectedObjects, CollectedObjects) {
    let known: BTreeSet<Arc<str>> = manifests.iter().map(|m| Arc::clone(&m.name)).collect();
    let set_names: BTreeSet<Arc<str>> = set_files.iter().map(|s| Arc::clone(&s.name)).collect();
    let set_names: BTreeSet<&str> = set_names.iter().map(|name| &**name).collect();
    let (texts, collected) = read_inputs(manifests, files, (&set_names, collect_objects), usize::MAX, || ());
    let texts =
        texts.into_iter().map(|(input, text)| (input, text.map_or_else(|| "".into(), Into::into))).collect();
    let further = set_files.into_iter().filter(|s| !known.contains(&s.name)).collect();
    let further = read_inputs(further, files, (&set_names, collect_objects), 0, || ()).1;
    (texts, collected, further)
}

/// The workloads that a SidecarSet may select, and what is wrong with them.
#[derive(Default)]
struct FoundWorkloads {
    workloads: Vec<Arc<WorkloadOutline>>,
    errors: Vec<Diagnostic>,
    /// Workloads with an unspecified namespace.
    namespace_errors: Vec<Diagnostic>,
}

/// Finds the workloads of all inputs.
fn find_workloads(texts: &[(Input, Arc<str>)], renderer: &Renderer) -> FoundWorkloads {
    let mut all = FoundWorkloads::default();
    let find = |(input, text): &(Input, Arc<str>)| {
        let mut found = FoundWorkloads::default();
        manifests_of(input, text).for_each(|manifest| found.add_document(&manifest, text, renderer));
        found
    };
    map_in_order(texts, find, |found| {
        all.workloads.extend(found.workloads);
        all.errors.extend(found.errors);
        all.namespace_errors.extend(found.namespace_errors);
    });
    all
}

impl FoundWorkloads {
    fn add_document(&mut self, manifest: &Manifest<'_>, file_text: &Arc<str>, renderer: &Renderer) {
        let (found, errors) = renderer.find_selectable_workloads(manifest);
        self.errors.extend(errors);
        let Some((document, located)) = found else { return };
        // A List is kept: it would be read again for each of its items.
        let source = match &located[..] {
            [only] if only.path == FieldPath::root() => {
                let span = manifest.start..manifest.start + manifest.text.len();
                DocumentSource::from_text(&document, file_text, span)
            }
            _ => DocumentSource::from_document(Arc::clone(&document)),
        };
        for workload in located {
            self.namespace_errors.extend(renderer.check_namespace(&document, &workload));
            self.workloads.push(Arc::new(WorkloadOutline::new(&document, workload, source.clone())));
        }
    }
}
