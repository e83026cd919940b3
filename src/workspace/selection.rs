//! Selects the files that a command reads: by its arguments, else by pillion.yaml.

use super::config_lookup::namespace_of_folder;
use super::deployed_sets::deployed_set_inputs;
use super::{
    BuildPolicy, ClusterLayout, Configuration, Input, InputOptions, InputSource, Layout, ManifestSource,
    NamespaceRules, UNSPECIFIED_NAMESPACE, input_from_build, select_inputs,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::suggestion::closest_match;
use crate::read::{Disk, FileSource, normalize_path};
use crate::sandbox::or_current_dir;
use crate::yaml::{EntryPart, FieldPath};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that a person names, in place of or besides those of pillion.yaml.
#[derive(Debug, Clone, Default)]
pub(crate) struct InputSelection {
    /// Files and folders with manifests, `-` for standard input; without any, those of pillion.yaml, else `.`.
    pub(crate) paths: Vec<PathBuf>,
    /// Further files and folders with SidecarSets.
    pub(crate) sidecar_sets: Vec<PathBuf>,
    /// Files with earlier states of SidecarSets, oldest first.
    pub(crate) history: Vec<PathBuf>,
    /// The namespace of manifests that name none, in place of the rules of pillion.yaml.
    pub(crate) namespace: Option<String>,
    /// The cluster of pillion.yaml.
    pub(crate) cluster: Option<String>,
}

/// A configuration and the files that a command reads.
pub(crate) struct Workspace {
    /// The configuration.
    pub(crate) configuration: Configuration,
    /// The cluster that was named.
    pub(crate) cluster: Option<String>,
    /// The manifests, in order.
    pub(crate) manifests: Vec<Input>,
    /// Files that only add SidecarSets.
    pub(crate) sidecar_sets: Vec<Input>,
    /// Files with earlier states of SidecarSets.
    pub(crate) history: Vec<Input>,
    /// The paths of SidecarSets that the command line or pillion.yaml names.
    pub(crate) sidecar_set_paths: Vec<PathBuf>,
    /// Files beside the manifests that may have SidecarOverrides for them.
    pub(super) override_files: Vec<OverrideFile>,
    /// Everything that pillion.yaml names is read, and nothing else.
    pub(crate) is_complete: bool,
}

/// A file that may have SidecarOverrides, and is not among the manifests.
pub(super) struct OverrideFile {
    /// The file.
    pub(super) input: Input,
    /// The names of the manifests that they are for.
    pub(super) reached: Vec<Arc<str>>,
}

impl Workspace {
    /// Selects the files of a command on the disk. `config` is the file of `--config`; nothing below the `output` folder
    /// is read. Without a workspace the arguments or the configuration are invalid.
    pub(crate) fn open(
        selection: &InputSelection,
        config: Option<&Path>,
        output: Option<&Path>,
        builds: BuildPolicy,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let start = selection.paths.iter().find(|p| p.as_os_str() != "-");
        let start = start.map_or(Path::new("."), PathBuf::as_path);
        let (configuration, mut diagnostics) = Configuration::find(config, start);
        let Some(configuration) = configuration else { return (None, diagnostics) };
        let layout = &configuration.layout;
        let options = match configuration.cluster_input_options(selection.cluster.as_deref(), output) {
            Ok(options) => options,
            Err(error) => {
                diagnostics.push(*error);
                return (None, diagnostics);
            }
        };
        let is_complete = configuration.document.is_some()
            && selection.paths.iter().all(|path| is_same_path(path, &layout.root));
        let reads_sources = is_complete || selection.paths.is_empty();
        let paths = match reads_sources {
            true => layout.source_paths(),
            false => selection.paths.clone(),
        };
        let mut sidecar_set_paths = layout.sidecar_set_paths(&Disk, &Disk);
        sidecar_set_paths.extend_from_slice(&selection.sidecar_sets);
        diagnostics.extend(layout.missing_sidecar_sets(&Disk, &Disk));
        let mut selector = InputSelector::new(&Disk, selection, options);
        let built = match selection.paths.is_empty() {
            true => BuiltInputs::run(&configuration, selection, &selector.options, builds, &mut diagnostics),
            false => BuiltInputs::default(),
        };
        let mut manifests = selector.select_manifests(&paths, built, &configuration);
        let sidecar_sets = selector.select(&sidecar_set_paths);
        if reads_sources {
            add_deployed_sets(&mut manifests, selection, &configuration, &sidecar_sets);
        }
        if selection.namespace.is_none() {
            give_namespaces(&mut manifests, layout, reads_sources);
        }
        let override_files = match reads_sources {
            true => Vec::new(),
            false => selector.select_override_files(&manifests, &configuration),
        };
        let workspace = Self {
            cluster: selection.cluster.clone(),
            manifests,
            sidecar_sets,
            override_files,
            history: selector.select(&selection.history),
            sidecar_set_paths,
            is_complete,
            configuration,
        };
        diagnostics.extend(
            selector.diagnostics.drain(..).map(|d| locate_missing_source(d, &workspace.configuration)),
        );
        ((!selector.has_missing_path).then_some(workspace), diagnostics)
    }

    /// Removes the manifests in the folder of another cluster than the selected one.
    pub(crate) fn retain_selected_cluster(&mut self) {
        let Some(name) = self.cluster.as_deref() else { return };
        let layout = &self.configuration.layout;
        self.manifests.retain(|input| {
            let with_folder = layout.clusters.iter().filter(|cluster| cluster.folder.is_some());
            let mut owners = with_folder.filter(|c| layout.cluster_contains(c, input)).peekable();
            owners.peek().is_none() || owners.any(|owner| *owner.name == *name)
        });
    }

    /// Returns the selected clusters; None is the only one where pillion.yaml names none.
    pub(crate) fn selected_clusters(&self) -> Vec<Option<ClusterLayout>> {
        self.configuration.layout.selected_clusters(self.cluster.as_deref())
    }
}

/// Adds the SidecarSets that are deployed in selected clusters where Kruise injects.
fn add_deployed_sets(
    manifests: &mut Vec<Input>,
    selection: &InputSelection,
    configuration: &Configuration,
    sidecar_sets: &[Input],
) {
    for cluster in configuration.layout.selected_clusters(selection.cluster.as_deref()) {
        let cluster = cluster.as_ref().map(|cluster| &*cluster.name);
        manifests.extend(deployed_set_inputs(configuration, cluster, sidecar_sets, manifests));
    }
}

/// Gives manifests the namespace that pillion.yaml has for them; sources have theirs.
fn give_namespaces(manifests: &mut [Input], layout: &Layout, are_sources: bool) {
    give_stdin_namespace(manifests, layout);
    if !are_sources {
        give_namespaces_by_place(manifests, layout);
    }
}

/// Gives manifests of standard input the namespace that pillion.yaml has for the working folder.
fn give_stdin_namespace(manifests: &mut [Input], layout: &Layout) {
    let Some(here) = namespace_of_folder(Path::new("."), layout) else { return };
    for input in manifests.iter_mut().filter(|input| input.source == InputSource::Stdin) {
        input.namespace = Arc::clone(&here);
    }
}

/// Gives manifests of paths that do not begin with the folder of pillion.yaml, as a person types them in a folder below it,
/// the namespace that pillion.yaml has for their place.
fn give_namespaces_by_place(manifests: &mut [Input], layout: &Layout) {
    let mut by_folder: BTreeMap<PathBuf, Option<Arc<str>>> = BTreeMap::new();
    for input in manifests.iter_mut().filter(|input| &*input.namespace == UNSPECIFIED_NAMESPACE) {
        let Some(folder) = input.folder().map(Path::to_owned) else { continue };
        if layout.root.as_os_str().is_empty() && folder.is_relative() {
            continue;
        }
        let known = by_folder.entry(folder).or_insert_with_key(|folder| namespace_of_folder(folder, layout));
        if let Some(name) = known {
            input.namespace = Arc::clone(name);
        }
    }
}

/// Adds the place in pillion.yaml to the diagnostic of a source that does not exist, and the name that was probably meant.
fn locate_missing_source(mut diagnostic: Diagnostic, configuration: &Configuration) -> Diagnostic {
    let Configuration { repository, layout, document } = configuration;
    let (Some(document), Some(span)) = (document, diagnostic.spans.first()) else { return diagnostic };
    let path = PathBuf::from(&*span.file);
    let is_source = |written: &String| normalize_path(&layout.root.join(written)) == normalize_path(&path);
    let index = repository.sources.iter().position(is_source);
    let Some(index) = index.filter(|_| diagnostic.code == Code::UnreadableFile) else { return diagnostic };
    let at = FieldPath::dotted("sources").child(index);
    diagnostic.spans.insert(0, document.label(&at, EntryPart::Value, ""));
    diagnostic.spans.truncate(1);
    if let Some(near) = similar_name(&path) {
        diagnostic.help = Some(format!("did you mean `{near}`?"));
    }
    diagnostic
}

/// Returns the name of a file or folder beside a missing one that was probably meant.
fn similar_name(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let entries = std::fs::read_dir(or_current_dir(path.parent()?)).ok()?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    closest_match(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Selects files with one set of options, and collects what it finds wrong.
pub(super) struct InputSelector<'a> {
    files: &'a dyn FileSource,
    pub(super) options: InputOptions,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) has_missing_path: bool,
}

impl<'a> InputSelector<'a> {
    pub(super) fn new(files: &'a dyn FileSource, selection: &InputSelection, options: InputOptions) -> Self {
        let InputSelection { paths, sidecar_sets, history, .. } = selection;
        let mut options = InputOptions {
            user_paths: paths.iter().chain(sidecar_sets).chain(history).cloned().collect(),
            ..options
        };
        if let Some(name) = &selection.namespace {
            options.namespaces = NamespaceRules { default: name.as_str().into(), rules: Vec::new() };
        }
        Self { files, options, diagnostics: Vec::new(), has_missing_path: false }
    }

    /// Selects the files of some paths.
    pub(super) fn select(&mut self, paths: &[PathBuf]) -> Vec<Input> {
        let selected = select_inputs(self.files, paths, &self.options);
        self.diagnostics.extend(selected.diagnostics);
        self.has_missing_path |= selected.has_missing_path;
        selected.inputs
    }

    /// Selects the files of the sources that are beside some manifests, or in a folder above, and not among them: their
    /// SidecarOverrides count although a person named only a part of the sources.
    pub(super) fn select_override_files(
        &self,
        manifests: &[Input],
        configuration: &Configuration,
    ) -> Vec<OverrideFile> {
        if configuration.repository.overrides.is_none() {
            return Vec::new();
        }
        let resolve = |path: &Path| self.files.resolve(or_current_dir(path)).ok();
        let named: Vec<(PathBuf, &Input)> =
            manifests.iter().filter_map(|input| Some((resolve(input.file()?)?, input))).collect();
        // What is wrong with other files does not concern these manifests.
        let sources = select_inputs(self.files, &configuration.layout.source_paths(), &self.options).inputs;
        let with_reach = |input: Input| {
            let (file, folder) = (resolve(input.file()?)?, resolve(input.folder()?)?);
            let is_named = named.iter().any(|(path, _)| *path == file);
            let reached = named.iter().filter(|(path, _)| path.starts_with(&folder));
            let reached: Vec<Arc<str>> = reached.map(|(_, input)| Arc::clone(&input.name)).collect();
            (!is_named && !reached.is_empty()).then_some(OverrideFile { input, reached })
        };
        sources.into_iter().filter_map(with_reach).collect()
    }

    /// Selects the manifests of some paths that no build replaces, followed by those of the builds.
    pub(super) fn select_manifests(
        &mut self,
        paths: &[PathBuf],
        built: BuiltInputs,
        configuration: &Configuration,
    ) -> Vec<Input> {
        let layout = &configuration.layout;
        let mut manifests = match &built.plain_clusters {
            Some(plain) if plain.is_empty() => Vec::new(),
            _ => self.select(paths),
        };
        if let Some(plain) = built.plain_clusters {
            manifests.retain(|input| plain.iter().any(|cluster| layout.cluster_contains(cluster, input)));
        }
        manifests.extend(built.inputs);
        manifests
    }
}

/// Manifests of builds.
#[derive(Default)]
pub(super) struct BuiltInputs {
    /// The manifests, one input a cluster.
    pub(super) inputs: Vec<Input>,
    /// The clusters without a build; None where no cluster has one.
    pub(super) plain_clusters: Option<Vec<ClusterLayout>>,
}

impl BuiltInputs {
    /// Runs the builds of the selected clusters in the working folder.
    fn run(
        configuration: &Configuration,
        selection: &InputSelection,
        options: &InputOptions,
        builds: BuildPolicy,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let layout = &configuration.layout;
        let (mut inputs, mut plain, mut is_built) = (Vec::new(), Vec::new(), false);
        for cluster in layout.selected_clusters(selection.cluster.as_deref()) {
            let name = cluster.as_ref().map(|c| &*c.name);
            let built = ManifestSource::from_builds(builds).for_folder(configuration, name);
            is_built |= !matches!(built, Ok(None));
            match built {
                Ok(Some((title, text))) => {
                    inputs.push(input_from_build(&title, &text, name, (&layout.root, &options.namespaces)));
                }
                Ok(None) => plain.extend(cluster),
                Err(error) => diagnostics.push(*error),
            }
        }
        Self { inputs, plain_clusters: is_built.then_some(plain) }
    }
}

fn is_same_path(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), or_current_dir(b).canonicalize()), (Ok(a), Ok(b)) if a == b)
}
