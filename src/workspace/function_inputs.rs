//! Reads what a function or a plugin renders with: the topmost pillion.yaml, SidecarSets, ledgers and sources.
//!
//! The files of an application may add SidecarSets to those of pillion.yaml; they decide neither which of these apply nor
//! which ledgers do.

use super::config_lookup::{
    CONFIG_VARIABLE, find_private_root, find_repository_root, find_topmost_config, namespace_of_folder,
};
use super::{
    Configuration, Input, InputOptions, Layout, NamespaceRules, PathBounds, UNSPECIFIED_NAMESPACE,
    collect_files, collect_manifests, inputs_from_paths, read_ledger_files, read_ledgers, resolve_within,
    select_inputs,
};
use crate::diagnostics::{Code, Diagnostic, LintLevels, Span};
use crate::model::config::function_config::{
    FunctionConfig, KeepSidecarSets, SidecarsNamespace, SidecarsSpec,
};
use crate::model::config::{NamespaceRule, RepositoryConfig, Runtime};
use crate::read::{Disk, FileKind, FileSource as _};
use crate::render::{
    CollectedObjects, DocumentObject, OverrideRules, RendererInputs, RendererSetup, build_renderer,
};
use crate::sandbox::{RepositoryRoot, SandboxPath, or_current_dir};
use crate::yaml::{Document, EntryPart, FieldPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a function or a plugin is called.
#[derive(Debug)]
pub(crate) struct FunctionOptions {
    /// The configuration, and the SidecarSets in it.
    pub(crate) config: FunctionConfig,
    /// The position of the configuration, for messages.
    pub(crate) span: Span,
    /// The document of the configuration, and the path of it there.
    pub(crate) config_path: Option<(Arc<Document>, FieldPath)>,
    /// The folder that its paths are relative to.
    pub(crate) folder: PathBuf,
    /// The root of the repository, where the caller knows it: no pillion.yaml is looked for above.
    pub(crate) repository_root: Option<PathBuf>,
    /// The manifests belong to an application: they add SidecarSets to those of pillion.yaml, and replace neither
    /// these nor their ledgers.
    pub(crate) is_application: bool,
    /// The namespace of manifests that name none.
    pub(crate) namespace: Option<String>,
    /// The namespace where neither that nor pillion.yaml names one.
    pub(crate) fallback_namespace: Option<String>,
    /// The cluster of pillion.yaml.
    pub(crate) cluster: Option<String>,
}

impl FunctionOptions {
    /// Returns the options of a kustomize plugin: the working folder is that of the kustomization.
    pub(crate) fn in_working_folder(config: FunctionConfig, at: Span) -> Self {
        Self {
            config,
            span: at,
            config_path: None,
            folder: PathBuf::new(),
            repository_root: None,
            is_application: false,
            namespace: None,
            fallback_namespace: None,
            cluster: None,
        }
    }
}

/// A renderer for the manifests of a function or a plugin, and its own sources.
pub(crate) struct FunctionInputs {
    /// The renderer, and what it was built from.
    pub(crate) setup: RendererSetup,
    /// The namespace of manifests that name none.
    pub(crate) namespace: Arc<str>,
    /// The manifests that the configuration names.
    pub(crate) sources: Vec<Input>,
    /// The levels of codes in pillion.yaml.
    pub(crate) lint_levels: LintLevels,
}

impl FunctionInputs {
    /// Reads the pillion.yaml that applies, the SidecarSets, ledgers and sources, and builds the renderer for them and for
    /// the `items` that came in. Without a result the diagnostics say why.
    pub(crate) fn read(
        options: &FunctionOptions,
        mut items: CollectedObjects,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let (applied, mut diagnostics) = AppliedConfig::read(options);
        let Some(applied) = applied else { return (None, diagnostics) };
        let namespace = default_namespace(options, &applied.configuration.layout);
        let (input_options, set_options) = match applied.input_options(options, &namespace) {
            Ok(input_options) => input_options,
            Err(error) => {
                diagnostics.push(*error);
                return (None, diagnostics);
            }
        };
        let root_folder = input_options.repository_root.as_ref();
        let AppliedConfig { configuration, file, root, .. } = applied;
        let layout = &configuration.layout;
        let spec = &options.config.spec;
        let bounds = path_bounds(options, root.as_deref(), file.as_deref());
        let resolver =
            PathResolver { options, bounds, repository_root: root_folder, diagnostics: Vec::new() };
        let (paths, errors) = resolver.resolve_spec(&items, layout);
        diagnostics.extend(errors);
        let sources = select_files(&paths.sources, &input_options, &mut diagnostics);
        let mut set_files = select_files(&paths.configured_sets, &set_options, &mut diagnostics);
        set_files.extend(select_files(&paths.own_sets, &input_options, &mut diagnostics));
        let sidecar_sets = collect_sidecar_sets(set_files, &sources, &options.config.inline);
        items.sidecar_sets.retain(|own| !is_known_sidecar_set(own, &sidecar_sets.sidecar_sets));
        items.merge(collect_manifests(&sources, &Disk));
        if options.is_application && file.is_some() {
            diagnostics
                .extend(items.ledgers.drain(..).map(|(document, path)| application_ledger(&document, &path)));
        }
        diagnostics.extend(kruise_runtime(&configuration.repository, &options.span));
        set_rule_folders(&mut items, &options.folder);
        let (ledgers, errors) = collect_ledgers(options, layout, &paths.ledgers, root_folder);
        diagnostics.extend(errors);
        let is_empty = [&sidecar_sets, &items].iter().all(|found| found.sidecar_sets.is_empty())
            && [&ledgers, &items].iter().all(|found| found.ledgers.is_empty());
        let (setup, errors) = build_renderer(RendererInputs {
            manifests: items,
            sidecar_sets,
            ledgers,
            history: CollectedObjects::default(),
            sidecar_set_paths: &[paths.configured_sets, paths.own_sets].concat(),
            repository: &merge_spec(&configuration.repository, spec),
            runtime: None,
            override_rules: canonical_override_rules(&configuration),
            annotations: spec.annotations,
            keeps_sidecar_sets: !matches!(spec.keep_sidecar_sets, None | Some(KeepSidecarSets::Strip)),
            trace: false,
            hypothetical_ledgers: None,
        });
        diagnostics.extend(errors);
        if is_empty && !diagnostics.iter().any(Diagnostic::is_error) {
            diagnostics.push(no_sidecar_set(&options.span, file.as_deref()));
        }
        let lint_levels = configuration.repository.lint_levels();
        (Some(Self { setup, namespace, sources, lint_levels }), diagnostics)
    }
}

/// Sets the folders with the rules for SidecarOverrides. A stream has no folder of its own: its owner is who owns the
/// kustomization.
fn set_rule_folders(items: &mut CollectedObjects, folder: &Path) {
    for found in &mut items.overrides {
        let folder = found.folder.as_deref().unwrap_or(folder);
        found.rule_folder = or_current_dir(folder).canonicalize().ok();
    }
}

/// Reports a repository with clusters where Kruise injects the sidecars: what a function renders has them already.
fn kruise_runtime(repository: &RepositoryConfig, span: &Span) -> Option<Diagnostic> {
    let clusters = repository.clusters.iter().map(|cluster| cluster.runtime);
    let mut all = clusters.chain([repository.runtime]);
    all.any(|runtime| runtime == Some(Runtime::Kruise)).then(|| {
        let message = "a function or plugin injects sidecars, and `runtime: Kruise` in pillion.yaml leaves that to Kruise";
        Diagnostic::error(Code::UnsupportedByKruise, message)
            .at(span.clone())
            .because("pods would have each sidecar twice")
            .help("let the agent apply the folder of `rendered:`, or remove `runtime: Kruise`")
    })
}

/// Collects the SidecarSets of files and of the configuration. Those in a folder of sources may be named again.
fn collect_sidecar_sets(
    mut files: Vec<Input>,
    sources: &[Input],
    inline: &[DocumentObject],
) -> CollectedObjects {
    let known: BTreeSet<PathBuf> = sources.iter().filter_map(canonical_path).collect();
    files.retain(|file| canonical_path(file).is_none_or(|path| !known.contains(&path)));
    let mut found = collect_files(&files, &Disk);
    found.sidecar_sets.extend(inline.iter().cloned());
    found
}

/// The pillion.yaml that applies; the defaults where there is none.
struct AppliedConfig {
    configuration: Configuration,
    file: Option<PathBuf>,
    /// The root of the repository, where there is one.
    root: Option<PathBuf>,
    /// The operator names the file.
    is_pinned: bool,
}

impl AppliedConfig {
    /// Reads the pillion.yaml that applies. None: it has errors, or the file that the operator names is missing.
    fn read(options: &FunctionOptions) -> (Option<Self>, Vec<Diagnostic>) {
        let root = options.repository_root.clone().or_else(|| find_repository_root(&options.folder));
        let outermost = root.clone().unwrap_or_else(|| find_private_root(&options.folder));
        let pinned = match pinned_config(&outermost, &options.span) {
            Ok(pinned) => pinned,
            Err(error) => return (None, vec![*error]),
        };
        let is_pinned = pinned.is_some();
        let file = pinned.or_else(|| find_topmost_config(&options.folder, &outermost));
        let (configuration, diagnostics) = match &file {
            Some(file) if is_pinned => Configuration::read_argument(&Disk, file, root.as_deref()),
            Some(file) => Configuration::read_in_repository(&Disk, file, root.as_deref()),
            None => (Some(Configuration::default()), Vec::new()),
        };
        (configuration.map(|configuration| Self { configuration, file, root, is_pinned }), diagnostics)
    }

    /// Returns how files are read: those that the configuration names, then the SidecarSets that pillion.yaml names.
    fn input_options(
        &self,
        options: &FunctionOptions,
        namespace: &Arc<str>,
    ) -> Result<(InputOptions, InputOptions), Box<Diagnostic>> {
        let layout = &self.configuration.layout;
        let input_options = self.configuration.cluster_input_options(options.cluster.as_deref(), None)?;
        let own_root = || RepositoryRoot::containing(&options.folder, self.root.as_deref());
        let config_root = layout.repository_root.clone().or_else(own_root);
        // The operator's pillion.yaml may be elsewhere.
        let root_folder = if self.is_pinned { own_root() } else { config_root.clone() };
        let rules = match options.namespace {
            Some(_) => Vec::new(),
            None => input_options.namespaces.rules.clone(),
        };
        let namespaces = NamespaceRules { default: Arc::clone(namespace), rules };
        let set_options = InputOptions { repository_root: config_root, ..input_options.clone() };
        Ok((InputOptions { namespaces, repository_root: root_folder, ..input_options }, set_options))
    }
}

fn select_files(paths: &[PathBuf], options: &InputOptions, diagnostics: &mut Vec<Diagnostic>) -> Vec<Input> {
    let selected = select_inputs(&Disk, paths, options);
    diagnostics.extend(selected.diagnostics);
    selected.inputs
}

fn canonical_path(input: &Input) -> Option<PathBuf> {
    input.file()?.canonicalize().ok()
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
    let message = format!("`{CONFIG_VARIABLE}` names `{}`, which is not a file", file.display());
    let diagnostic = Diagnostic::error(Code::UnreadableFile, message).at(at.clone());
    Err(Box::new(
        diagnostic
            .help("give it the path of pillion.yaml from the root of the repository, or an absolute one"),
    ))
}

/// Returns the folder that paths must not leave.
fn path_bounds(options: &FunctionOptions, root: Option<&Path>, config: Option<&Path>) -> PathBounds {
    let of_config = config.map(|config| config.parent().unwrap_or(Path::new("")).to_owned());
    let is_above = |folder: &PathBuf| {
        let here = or_current_dir(&options.folder).canonicalize();
        matches!((here, or_current_dir(folder).canonicalize()), (Ok(here), Ok(above)) if here.starts_with(&above))
    };
    if let Some(root) = of_config.filter(is_above) {
        return PathBounds { root, reason: "files are read from the folder of pillion.yaml and below" };
    }
    if let Some(root) = root {
        return PathBounds { root: root.to_owned(), reason: "files are read from the repository only" };
    }
    PathBounds {
        root: options.folder.clone(),
        reason: "there is no pillion.yaml above, so files are read from this folder and below",
    }
}

struct PathResolver<'a> {
    options: &'a FunctionOptions,
    bounds: PathBounds,
    repository_root: Option<&'a RepositoryRoot>,
    diagnostics: Vec<Diagnostic>,
}

/// The files and folders that a function or a plugin reads.
struct FunctionPaths {
    /// SidecarSets that pillion.yaml names, where the configuration names none.
    configured_sets: Vec<PathBuf>,
    /// SidecarSets that the configuration names.
    own_sets: Vec<PathBuf>,
    sources: Vec<PathBuf>,
    ledgers: Vec<PathBuf>,
}

impl PathResolver<'_> {
    /// Resolves the paths of the configuration; `items` came in.
    fn resolve_spec(mut self, items: &CollectedObjects, layout: &Layout) -> (FunctionPaths, Vec<Diagnostic>) {
        let config = &self.options.config;
        let own_sets = self.resolve_all("sidecarSets", &config.spec.sidecar_sets);
        let sources = self.resolve_all("sources", &config.spec.sources);
        let ledgers = self.resolve_all("ledgers", &config.spec.ledgers);
        let has_own = !own_sets.is_empty() || !config.inline.is_empty();
        let configured_sets = match !has_own && (self.options.is_application || items.sidecar_sets.is_empty())
        {
            true => layout.sidecar_set_paths(&Disk, &Disk),
            false => Vec::new(),
        };
        (FunctionPaths { configured_sets, own_sets, sources, ledgers }, self.diagnostics)
    }

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
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
        paths
    }
}

/// Collects the ledgers that the configuration names, else those of pillion.yaml.
fn collect_ledgers(
    options: &FunctionOptions,
    layout: &Layout,
    paths: &[PathBuf],
    root: Option<&RepositoryRoot>,
) -> (CollectedObjects, Vec<Diagnostic>) {
    if options.config.spec.ledgers.is_empty() {
        return match ledger_cluster(options, layout) {
            Ok(cluster) => read_ledgers(layout, &Disk, cluster.as_deref()),
            Err(error) => {
                let mut diagnostics = layout.find_ledgers(&Disk).1;
                diagnostics.push(*error);
                (CollectedObjects::default(), diagnostics)
            }
        };
    }
    let (mut diagnostics, mut files) = (Vec::new(), Vec::new());
    for path in paths {
        if Disk.kind(path) == Some(FileKind::Folder) {
            let ledgers = Some(path.to_string_lossy().into_owned());
            let layout = Layout { ledgers, repository_root: root.cloned(), ..Layout::default() };
            let (found, errors) = layout.find_ledgers(&Disk);
            diagnostics.extend(errors);
            files.extend(found.into_iter().map(|ledger| ledger.input));
        } else {
            let sandbox_path = root.and_then(|root| root.resolve(path));
            let sandbox_path = sandbox_path.unwrap_or_else(|| SandboxPath::from_user_path(path));
            let inputs = inputs_from_paths(std::slice::from_ref(path)).into_iter();
            files.extend(inputs.map(|input| Input { sandbox_path: sandbox_path.clone(), ..input }));
        }
    }
    let (collected, errors) = read_ledger_files(&files, &Disk);
    diagnostics.extend(errors);
    (collected, diagnostics)
}

/// Returns the cluster of pillion.yaml with the ledgers that apply: the named one, the only one, or the one with this
/// folder.
fn ledger_cluster(options: &FunctionOptions, layout: &Layout) -> Result<Option<Arc<str>>, Box<Diagnostic>> {
    let clusters = layout.selected_clusters(options.cluster.as_deref());
    if let [one] = &clusters[..] {
        return Ok(one.as_ref().map(|c| Arc::clone(&c.name)));
    }
    let here = or_current_dir(&options.folder).canonicalize().unwrap_or_default();
    let mut holding = clusters.iter().flatten().filter(|c| {
        let folder = c.folder.as_ref().map(|f| layout.root.join(f));
        folder.and_then(|f| f.canonicalize().ok()).is_some_and(|f| here.starts_with(f))
    });
    match (layout.ledgers.is_some(), holding.next(), holding.next()) {
        (false, _, _) => Ok(None),
        (true, Some(one), None) => Ok(Some(Arc::clone(&one.name))),
        _ => {
            let names: Vec<&str> = clusters.iter().flatten().map(|c| &*c.name).collect();
            let message = format!(
                "pillion.yaml has the clusters {}, and none of them has this folder, so its ledgers are ambiguous",
                names.join(", ")
            );
            let error = Diagnostic::error(Code::NoCluster, message).at(options.span.clone());
            Err(Box::new(error.help(
                "name the folder of the ledgers in `ledgers:`, such as `ledgers: [../../ledgers/NAME]`",
            )))
        }
    }
}

/// Returns the namespace of manifests that name none: the option, else the rule of pillion.yaml for the folder. The
/// namespace of an Application is a guess only: the stages of a rollout do not know it.
fn default_namespace(options: &FunctionOptions, layout: &Layout) -> Arc<str> {
    if let Some(name) = options.namespace.as_deref().filter(|n| !n.is_empty()) {
        return name.into();
    }
    namespace_of_folder(&options.folder, layout).unwrap_or_else(|| UNSPECIFIED_NAMESPACE.into())
}

/// Returns what SidecarOverrides may change, with canonical folders; one that does not exist has no SidecarOverrides.
fn canonical_override_rules(configuration: &Configuration) -> OverrideRules {
    let folder = |folder: &str| {
        let path = configuration.layout.root.join(folder);
        or_current_dir(&path).canonicalize().unwrap_or(path)
    };
    OverrideRules::new(configuration.repository.overrides.as_ref(), configuration.document.as_ref(), folder)
}

/// Returns pillion.yaml with the namespaces and the ledgers of the configuration.
fn merge_spec(repository: &RepositoryConfig, spec: &SidecarsSpec) -> RepositoryConfig {
    let mut repository = repository.clone();
    let rule = |n: &SidecarsNamespace| NamespaceRule {
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
    Diagnostic::error(Code::NoSidecarSet, "no SidecarSet found, so every sidecar would be removed")
        .at(at.clone())
        .because(looked)
        .help(format!(
            "name them in `sidecarSets:` of the topmost pillion.yaml, or select another pillion.yaml with `{CONFIG_VARIABLE}`"
        ))
}

/// Returns whether a SidecarSet that came in is one of these, unchanged: a kustomization may list what pillion.yaml names.
fn is_known_sidecar_set((document, path): &DocumentObject, known: &[DocumentObject]) -> bool {
    let set = path.find(document.value());
    let is_same = |other: &DocumentObject| {
        let other = other.1.find(other.0.value());
        matches!((set, other), (Some(a), Some(b)) if a["metadata"]["name"] == b["metadata"]["name"] && a["spec"] == b["spec"])
    };
    known.iter().any(is_same)
}

/// Refuses a ledger among the manifests of an application.
fn application_ledger(document: &Document, path: &FieldPath) -> Diagnostic {
    Diagnostic::error(Code::LedgerMisplaced, "a ledger among the manifests of an application is not allowed")
        .at(document.label(&path.join(&FieldPath::dotted("kind")), EntryPart::Value, ""))
        .because("the application could choose which revision of a sidecar it gets, or none")
        .help("keep it in the folder that `ledgers` of pillion.yaml names")
}
