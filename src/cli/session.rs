//! What every front door does between its reader and its writer: from a configuration to a renderer, paths confined.

use super::application::{application_ledger, is_known_sidecar_set};
use super::inputs::{Inputs, namespace_of};
use super::pipeline::{collect_files, collect_manifests};
use super::stream_objects::STREAM_NAME;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::function_config::{FunctionConfig, KeepSidecarSets, SidecarsSpec};
use crate::model::config::{NamespaceRule, RepositoryConfig};
use crate::read::{Disk, FileKind, FileSource as _, map_in_order};
use crate::render::{
    CollectedObjects, FileRenderOptions, Renderer, RendererInputs, SourceFile, build_renderer, render_file,
};
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::workspace::{CONFIG_VARIABLE, find_private_root, find_repository_root, find_topmost_config};
use crate::workspace::{
    Input, InputOptions, InputSource, Layout, PathBounds, UNSPECIFIED_NAMESPACE, gather_ledgers,
    inputs_from_paths, read_input, resolve_within,
};
use crate::yaml::{Document, EntryPart, FieldPath as YamlPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a door was told.
#[derive(Debug)]
pub(super) struct SessionOptions {
    /// The configuration, and the SidecarSets that stand in it.
    pub(super) config: FunctionConfig,
    /// Where the configuration is written, for messages.
    pub(super) span: Span,
    /// The document that it is written in, and its place there.
    pub(super) config_path: Option<(Arc<Document>, YamlPath)>,
    /// The folder that its paths count from.
    pub(super) folder: PathBuf,
    /// The root of the repository, where somebody knows it: pillion.yaml is not looked for above.
    pub(super) repository_root: Option<PathBuf>,
    /// The manifests are those of an application: they add SidecarSets to those of pillion.yaml, and replace neither
    /// them nor their ledgers.
    pub(super) is_application: bool,
    /// The namespace of manifests that name none.
    pub(super) namespace: Option<String>,
    /// The same, where pillion.yaml does not say it either.
    pub(super) fallback_namespace: Option<String>,
    /// Nothing is left out of what is rendered: the caller decides that.
    pub(super) keep_all_documents: bool,
    /// The cluster of pillion.yaml.
    pub(super) cluster: Option<String>,
}

impl SessionOptions {
    /// What a plugin of kustomize is told: paths count from the folder of the kustomization, which is the working one.
    pub(super) fn in_working_folder(config: FunctionConfig, at: Span) -> Self {
        Self {
            config,
            span: at,
            config_path: None,
            folder: PathBuf::new(),
            repository_root: None,
            is_application: false,
            namespace: None,
            fallback_namespace: None,
            keep_all_documents: false,
            cluster: None,
        }
    }
}

/// A door that is ready to render.
pub(super) struct IntegrationSession {
    /// Renders.
    pub(super) renderer: Renderer,
    /// The namespace of manifests that name none.
    namespace: Arc<str>,
    /// The manifests that the configuration names.
    sources: Vec<Input>,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    declared_namespaces: BTreeSet<String>,
    /// Where the configuration is written.
    span: Span,
}

/// What became of a file, and the workloads that were looked at.
type RenderedText = (String, Vec<Diagnostic>, BTreeSet<Arc<str>>);

/// Opens a door for manifests in which something was found already. Without a door the diagnostics say why.
pub(super) fn open_session(
    told: &SessionOptions,
    mut items: CollectedObjects,
) -> (Option<IntegrationSession>, Vec<Diagnostic>) {
    let root = told.repository_root.clone().or_else(|| find_repository_root(&told.folder));
    let outermost = root.clone().unwrap_or_else(|| find_private_root(&told.folder));
    let pinned = match pinned_config(&outermost, &told.span) {
        Ok(pinned) => pinned,
        Err(wrong) => return (None, vec![*wrong]),
    };
    let config = pinned.clone().or_else(|| find_topmost_config(&told.folder, &outermost));
    let mut inputs = match &pinned {
        Some(file) => Inputs::from_user_config(&Disk, file, root.as_deref()),
        None => Inputs::from_config_in_repository(&Disk, config.as_deref(), root.as_deref()),
    };
    inputs.select_cluster(told.cluster.as_deref());
    let Some(mut choice) = inputs.input_options(config.as_deref(), None) else {
        return (None, inputs.diagnostics);
    };
    let own_top = || RepositoryRoot::containing(&told.folder, root.as_deref());
    let of_config = inputs.layout.repository_root.clone().or_else(own_top);
    let choice_of_sets = InputOptions { repository_root: of_config.clone(), ..choice.clone() };
    // The operator's pillion.yaml may be elsewhere.
    let top = if pinned.is_some() { own_top() } else { of_config };
    choice.repository_root.clone_from(&top);
    let namespace = default_namespace(told, &inputs.layout);
    choice.namespaces.default = Arc::clone(&namespace);
    if told.namespace.is_some() {
        choice.namespaces.rules.clear();
    }
    let spec = &told.config.spec;
    let bounds = path_bounds(told, root.as_deref(), config.as_deref());
    let mut paths =
        PathResolver { options: told, bounds, repository_root: top.as_ref(), diagnostics: Vec::new() };
    let own_set_paths = paths.resolve_all("sidecarSets", &spec.sidecar_sets);
    let source_paths = paths.resolve_all("sources", &spec.sources);
    let ledger_paths = paths.resolve_all("ledgers", &spec.ledgers);
    let mut diagnostics = paths.diagnostics;
    let has_own = !own_set_paths.is_empty() || !told.config.inline.is_empty();
    let set_paths = match !has_own && (told.is_application || items.sidecar_sets.is_empty()) {
        true => inputs.layout.sidecar_set_paths(&Disk, &Disk),
        false => Vec::new(),
    };
    let sources = inputs.select(&source_paths, &choice);
    // A SidecarSet in a folder of sources may be named a second time.
    let known: BTreeSet<PathBuf> = sources.iter().filter_map(canonical_path).collect();
    let mut set_files = inputs.select(&set_paths, &choice_of_sets);
    set_files.extend(inputs.select(&own_set_paths, &choice));
    set_files.retain(|file| canonical_path(file).is_none_or(|path| !known.contains(&path)));
    let mut sidecar_sets = collect_files(&set_files, &Disk);
    sidecar_sets.sidecar_sets.extend(told.config.inline.iter().cloned());
    items.sidecar_sets.retain(|own| !is_known_sidecar_set(own, &sidecar_sets.sidecar_sets));
    items.merge(collect_manifests(&sources, &Disk));
    if told.is_application && config.is_some() {
        diagnostics
            .extend(items.ledgers.drain(..).map(|(document, path)| application_ledger(&document, &path)));
    }
    let (ledgers, wrong) = collect_ledgers(spec, &ledger_paths, &inputs, (told, top.as_ref()));
    diagnostics.extend(wrong);
    diagnostics.append(&mut inputs.diagnostics);
    let is_nothing = [&sidecar_sets, &items].iter().all(|found| found.sidecar_sets.is_empty())
        && [&ledgers, &items].iter().all(|found| found.ledgers.is_empty());
    let repository = merge_spec(&inputs.repository, spec);
    let (prepared, wrong) = build_renderer(RendererInputs {
        manifests: items,
        sidecar_sets,
        ledgers,
        history: CollectedObjects::default(),
        sidecar_set_paths: &[set_paths, own_set_paths].concat(),
        repository: &repository,
        annotations: spec.annotations,
        keeps_sidecar_sets: !matches!(spec.keep_sidecar_sets, None | Some(KeepSidecarSets::Strip)),
        trace: false,
        hypothetical_ledgers: None,
    });
    diagnostics.extend(wrong);
    if is_nothing && !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.push(no_sidecar_set(&told.span, config.as_deref()));
    }
    let renderer = match told.fallback_namespace.as_deref().filter(|n| !n.is_empty()) {
        Some(namespace) => prepared.renderer.with_default_namespace(namespace),
        None => prepared.renderer,
    };
    let renderer = if told.keep_all_documents { renderer.keep_all() } else { renderer };
    let (declared, at) = (prepared.declared_namespaces, told.span.clone());
    (
        Some(IntegrationSession { renderer, namespace, sources, declared_namespaces: declared, span: at }),
        diagnostics,
    )
}

fn canonical_path(input: &Input) -> Option<PathBuf> {
    match &input.source {
        InputSource::File(path) => path.canonicalize().ok(),
        InputSource::Stdin | InputSource::Text(_) => None,
    }
}

impl IntegrationSession {
    /// Renders a text that was read already.
    pub(super) fn render(&self, name: &Arc<str>, text: &str) -> (String, Vec<Diagnostic>) {
        let file = SourceFile { name, namespace: &self.namespace, is_named: true, text, documents: &[] };
        let (text, mut wrong, keys) = self.render_one_file(&file);
        wrong.extend(self.foreign_ledger_entries(&keys));
        (text, wrong)
    }

    fn render_one_file(&self, file: &SourceFile<'_>) -> RenderedText {
        let rendered = render_file(file, &self.renderer, FileRenderOptions::default());
        let text = rendered.text.unwrap_or_else(|| file.text.to_owned());
        let keys = rendered.workloads.iter().map(|(key, _)| key.as_str().into()).collect();
        (if rendered.is_dropped { String::new() } else { text }, rendered.diagnostics, keys)
    }

    /// Entries of ledgers for workloads of another namespace than those that are here.
    fn foreign_ledger_entries(&self, keys: &BTreeSet<Arc<str>>) -> Vec<Diagnostic> {
        self.renderer.find_unknown_entries(keys, &self.declared_namespaces, &self.span)
    }

    /// Reads and renders the manifests that the configuration names; each file with its name.
    pub(super) fn render_sources(&self) -> (Vec<(Arc<str>, String)>, Vec<Diagnostic>) {
        let (mut texts, mut diagnostics, mut present) = (Vec::new(), Vec::new(), BTreeSet::new());
        let work = |input: &Input| {
            let text = read_input(input, &Disk)?;
            Ok(self.render_one_file(&SourceFile {
                name: &input.name,
                namespace: &input.namespace,
                is_named: input.is_explicit,
                text: &text,
                documents: &[],
            }))
        };
        let mut names = self.sources.iter().map(|input| Arc::clone(&input.name));
        map_in_order(&self.sources, work, |done: Result<_, Diagnostic>| {
            let name = names.next().unwrap_or_else(|| "".into());
            match done {
                Ok((text, wrong, keys)) => {
                    texts.push((name, text));
                    diagnostics.extend(wrong);
                    present.extend(keys);
                }
                Err(error) => diagnostics.push(error),
            }
        });
        diagnostics.extend(self.foreign_ledger_entries(&present));
        (texts, diagnostics)
    }
}

/// Says what is different where manifests come out of kustomize; not yet placed diagnostics only.
pub(super) fn explain_patch_error(diagnostic: &mut Diagnostic) {
    let is_image =
        diagnostic.field.as_deref().is_some_and(|f| f.starts_with("spec.") && f.ends_with(".image"));
    let came_over_stream = diagnostic.spans.first().is_some_and(|label| &*label.file == STREAM_NAME);
    if diagnostic.code == Code::MissingField && is_image && came_over_stream {
        diagnostic.notes.push(
            "a strategic-merge patch of a SidecarSet replaces the whole list of containers, images and all"
                .to_owned(),
        );
        diagnostic.help = Some("name the image; in a kustomization, patch the SidecarSet with JSON 6902 (`patches: [{target: …, patch: '- op: replace …'}]`)".to_owned());
    }
}

/// Returns the pillion.yaml that the operator names, whatever the repository holds.
fn pinned_config(root: &Path, at: &Span) -> Result<Option<PathBuf>, Box<Diagnostic>> {
    let Some(named) = std::env::var_os(CONFIG_VARIABLE).filter(|named| !named.is_empty()) else {
        return Ok(None);
    };
    let file = root.join(named);
    if file.is_file() {
        return Ok(Some(file));
    }
    let message = format!("`{CONFIG_VARIABLE}` names `{}`, which is no file", file.display());
    let wrong = Diagnostic::error(Code::UnreadableFile, message).at(at.clone());
    Err(Box::new(
        wrong.help("give it the path of pillion.yaml from the root of the repository, or an absolute one"),
    ))
}

/// Which folder must paths not leave?
fn path_bounds(told: &SessionOptions, root: Option<&Path>, config: Option<&Path>) -> PathBounds {
    let of_config = config.map(|config| config.parent().unwrap_or(Path::new("")).to_owned());
    let is_above = |folder: &PathBuf| {
        let here = or_current_dir(&told.folder).canonicalize();
        matches!((here, or_current_dir(folder).canonicalize()), (Ok(here), Ok(above)) if here.starts_with(&above))
    };
    if let Some(root) = of_config.filter(is_above) {
        return PathBounds { root, reason: "files are read from the folder of pillion.yaml and below" };
    }
    if let Some(root) = root {
        return PathBounds { root: root.to_owned(), reason: "files are read from the repository only" };
    }
    PathBounds {
        root: told.folder.clone(),
        reason: "there is no pillion.yaml above, so files are read from this folder and below",
    }
}

fn or_current_dir(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

struct PathResolver<'a> {
    options: &'a SessionOptions,
    bounds: PathBounds,
    repository_root: Option<&'a RepositoryRoot>,
    diagnostics: Vec<Diagnostic>,
}

impl PathResolver<'_> {
    fn resolve_all(&mut self, key: &str, written: &[String]) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (i, path) in written.iter().enumerate() {
            let at = match &self.options.config_path {
                Some((document, base)) => {
                    document.label(&base.child("spec").child(key).child(i), EntryPart::Value, "")
                }
                None => self.options.span.clone(),
            };
            match resolve_within(path, &self.options.folder, &self.bounds, self.repository_root, &at) {
                Ok(path) => paths.push(path),
                Err(wrong) => self.diagnostics.push(wrong),
            }
        }
        paths
    }
}

/// The ledgers that the configuration names, else those of pillion.yaml.
fn collect_ledgers(
    spec: &SidecarsSpec,
    paths: &[PathBuf],
    inputs: &Inputs<'_>,
    (told, top): (&SessionOptions, Option<&RepositoryRoot>),
) -> (CollectedObjects, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    if spec.ledgers.is_empty() {
        let (found, wrong) = inputs.layout.find_ledgers(&Disk);
        diagnostics.extend(wrong);
        let cluster = match ledger_cluster(inputs, told) {
            Ok(cluster) => cluster,
            Err(wrong) => {
                diagnostics.push(*wrong);
                return (CollectedObjects::default(), diagnostics);
            }
        };
        files.extend(found.into_iter().filter(|l| l.cluster == cluster).map(|l| l.input));
    }
    for path in paths {
        if Disk.kind(path) == Some(FileKind::Folder) {
            let ledgers = Some(path.to_string_lossy().into_owned());
            let layout = Layout { ledgers, repository_root: top.cloned(), ..Layout::default() };
            let (found, wrong) = layout.find_ledgers(&Disk);
            diagnostics.extend(wrong);
            files.extend(found.into_iter().map(|l| l.input));
        } else {
            let place =
                top.and_then(|top| top.resolve(path)).unwrap_or_else(|| SandboxPath::from_user_path(path));
            files.extend(
                inputs_from_paths(std::slice::from_ref(path))
                    .into_iter()
                    .map(|file| Input { sandbox_path: place.clone(), ..file }),
            );
        }
    }
    let (gathered, wrong) = gather_ledgers(&files, &Disk);
    diagnostics.extend(wrong);
    (gathered, diagnostics)
}

/// The cluster of pillion.yaml whose ledgers count: the one that was named, the only one, or the one whose folder this is.
fn ledger_cluster(inputs: &Inputs<'_>, told: &SessionOptions) -> Result<Option<Arc<str>>, Box<Diagnostic>> {
    let clusters = inputs.selected_clusters();
    if let [one] = &clusters[..] {
        return Ok(one.as_ref().map(|c| Arc::clone(&c.name)));
    }
    let here = or_current_dir(&told.folder).canonicalize().unwrap_or_default();
    let mut holding = clusters.iter().flatten().filter(|c| {
        let folder = c.folder.as_ref().map(|f| inputs.layout.root.join(f));
        folder.and_then(|f| f.canonicalize().ok()).is_some_and(|f| here.starts_with(f))
    });
    match (inputs.layout.ledgers.is_some(), holding.next(), holding.next()) {
        (false, _, _) => Ok(None),
        (true, Some(one), None) => Ok(Some(Arc::clone(&one.name))),
        _ => {
            let names: Vec<&str> = clusters.iter().flatten().map(|c| &*c.name).collect();
            let message = format!(
                "pillion.yaml has the clusters {}, and nothing says whose ledgers count here",
                names.join(", ")
            );
            let wrong = Diagnostic::error(Code::NoCluster, message).at(told.span.clone());
            Err(Box::new(wrong.help(
                "name the folder of the ledgers in `ledgers:`, such as `ledgers: [../../ledgers/NAME]`",
            )))
        }
    }
}

/// The namespace of manifests that name none: what was said, else the rule of pillion.yaml for the door's folder. What
/// Argo CD says of an Application is a guess: the stages of a rollout do not know it.
fn default_namespace(told: &SessionOptions, layout: &Layout) -> Arc<str> {
    if let Some(name) = told.namespace.as_deref().filter(|n| !n.is_empty()) {
        return name.into();
    }
    namespace_of(&told.folder, layout).unwrap_or_else(|| UNSPECIFIED_NAMESPACE.into())
}

/// What pillion.yaml says, the labels of namespaces and the ledgers as the configuration says.
fn merge_spec(repository: &RepositoryConfig, spec: &SidecarsSpec) -> RepositoryConfig {
    let mut repository = repository.clone();
    let rule = |n: &crate::model::config::function_config::SidecarsNamespace| NamespaceRule {
        folder: None,
        name: n.name.clone(),
        labels: Some(n.labels.clone()),
    };
    repository.namespaces.splice(0..0, spec.namespaces.iter().map(rule));
    if let Some(ledgers) = spec.ledgers.first() {
        repository.ledgers = Some(ledgers.clone());
    }
    repository
}

fn no_sidecar_set(at: &Span, config: Option<&Path>) -> Diagnostic {
    let looked = match config {
        Some(config) => format!("`{}` names none, and none is among the resources", config.display()),
        None => "there is no pillion.yaml up to the root of the repository, and none is among the resources"
            .to_owned(),
    };
    Diagnostic::error(Code::NoSidecarSet, "there is no SidecarSet, so every sidecar would go")
        .at(at.clone())
        .because(looked)
        .help(format!(
            "name them in `sidecarSets:` of the topmost pillion.yaml, or say with `{CONFIG_VARIABLE}` which pillion.yaml counts"
        ))
}
