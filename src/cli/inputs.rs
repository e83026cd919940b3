//! From the command line and pillion.yaml to the files that are read.

use super::GlobalArgs;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::{self, RepositoryConfig};
use crate::read::{Disk, FileSource, normalize_path};
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::workspace::{
    BuildPolicy, ClusterLayout, Configuration, Input, InputOptions, InputSource, Layout, ManifestSource,
    NamespaceRules, check_config_paths, input_from_build, layout_of, select_inputs,
};
use crate::yaml::Document;
use clap::Args;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Manifests and SidecarSets.
#[derive(Debug, Clone, Args)]
pub(super) struct InputArgs {
    /// Files and folders with manifests, `-` for standard input [default: the sources of pillion.yaml, else `.`]
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

/// SidecarSets, and what the manifests do not say about themselves.
#[derive(Debug, Clone, Args)]
pub(super) struct SourceArgs {
    /// Additional file or folder with SidecarSets (repeatable)
    #[arg(long = "sidecarsets", value_name = "PATH")]
    pub(super) sidecar_sets: Vec<PathBuf>,
    /// Earlier states of SidecarSets, oldest first, where no ledger has them (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(super) history: Vec<PathBuf>,
    /// Cluster of pillion.yaml that the manifests belong to, where their folder does not say
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Namespace of manifests that name none
    #[arg(short, long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
}

/// The inputs of a command.
pub(super) struct Inputs<'a> {
    /// Where they are.
    pub(super) files: &'a dyn FileSource,
    /// The configuration, with defaults where there is none.
    pub(super) repository: RepositoryConfig,
    /// What it says of files.
    pub(super) layout: Layout,
    /// The cluster that was named.
    pub(super) cluster: Option<String>,
    /// pillion.yaml, for places in it.
    document: Option<Arc<Document>>,
    /// What is rendered, in order.
    pub(super) manifests: Vec<Input>,
    /// Files that only add SidecarSets.
    pub(super) sidecar_sets: Vec<Input>,
    /// Files with earlier states of SidecarSets.
    pub(super) history: Vec<Input>,
    /// Errors and notes so far.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Places of SidecarSets that the command line or pillion.yaml names.
    pub(super) sidecar_set_paths: Vec<PathBuf>,
    /// Everything that pillion.yaml names is read, and nothing else.
    pub(super) is_complete: bool,
    /// The command line or the configuration is wrong: nothing else is worth doing.
    pub(super) is_invalid: bool,
}

/// Finds the inputs. Nothing below the folder that is going to be written is one.
pub(super) fn find_inputs(
    user_paths: &[PathBuf],
    args: &SourceArgs,
    common: &GlobalArgs,
    out: Option<&Path>,
) -> Inputs<'static> {
    let start = user_paths.iter().find(|p| p.as_os_str() != "-").cloned();
    let config = common.config.clone().or_else(|| find_config(start.as_deref().unwrap_or(Path::new("."))));
    let mut inputs = match &common.config {
        Some(file) => Inputs::from_user_config(&Disk, file, None),
        None => Inputs::from_config(&Disk, config.as_deref()),
    };
    let root = inputs.layout.root.clone();
    inputs.select_cluster(args.cluster.as_deref());
    let is_whole =
        config.is_some() && (user_paths.is_empty() || user_paths.iter().all(|p| is_same_path(p, &root)));
    let paths = match (is_whole, user_paths.is_empty()) {
        (true, _) => inputs.layout.source_paths(),
        (false, true) => vec![PathBuf::from(".")],
        (false, false) => user_paths.to_vec(),
    };
    inputs.is_complete = is_whole;
    let Some(mut choice) = inputs.input_options(config.as_deref(), out) else { return inputs };
    choice.user_paths = user_paths.iter().chain(&args.sidecar_sets).chain(&args.history).cloned().collect();
    if let Some(name) = &args.namespace {
        choice.namespaces = NamespaceRules { default: name.as_str().into(), rules: Vec::new() };
    }
    let here = namespace_of(Path::new("."), &inputs.layout).filter(|_| args.namespace.is_none());
    let sets = inputs.layout.sidecar_set_paths(inputs.files, inputs.files);
    inputs.diagnostics.extend(inputs.layout.missing_sidecar_sets(inputs.files, inputs.files));
    inputs.sidecar_set_paths = sets.into_iter().chain(args.sidecar_sets.clone()).collect();
    let (built, plain) = if user_paths.is_empty() {
        inputs.build_clusters(&choice, common.build_policy())
    } else {
        (Vec::new(), None)
    };
    inputs.manifests = match &plain {
        Some(clusters) if clusters.is_empty() => Vec::new(),
        _ => inputs.select(&paths, &choice),
    };
    if let Some(clusters) = plain {
        let layout = &inputs.layout;
        inputs.manifests.retain(|input| clusters.iter().any(|c| layout.cluster_contains(c, input)));
    }
    inputs.manifests.extend(built);
    for input in inputs.manifests.iter_mut().filter(|input| input.source == InputSource::Stdin) {
        input.namespace = here.clone().unwrap_or_else(|| Arc::clone(&input.namespace));
    }
    inputs.sidecar_sets = inputs.select(&inputs.sidecar_set_paths.clone(), &choice);
    inputs.history = inputs.select(&args.history, &choice);
    inputs
}

impl<'a> Inputs<'a> {
    /// Reads the configuration of a repository, and finds no input yet.
    pub(super) fn from_config(files: &'a dyn FileSource, config: Option<&Path>) -> Self {
        Self::from_config_in_repository(files, config, None)
    }

    /// The same where a caller knows the root of the repository.
    pub(super) fn from_config_in_repository(
        files: &'a dyn FileSource,
        config: Option<&Path>,
        top: Option<&Path>,
    ) -> Self {
        let mut inputs = Self::new(files);
        if let Some(config) = config {
            let top = files.repository_root(config.parent().unwrap_or(Path::new("")), top);
            let place = top.as_ref().and_then(|top| top.resolve(config));
            inputs.load_config(config, &place.unwrap_or_else(|| SandboxPath::from_user_path(config)), top);
        }
        inputs
    }

    /// Reads a configuration that a person named, which may be a link.
    pub(super) fn from_user_config(files: &'a dyn FileSource, config: &Path, top: Option<&Path>) -> Self {
        let mut inputs = Self::new(files);
        let top = files.repository_root(config.parent().unwrap_or(Path::new("")), top);
        inputs.load_config(config, &SandboxPath::from_user_path(config), top);
        inputs
    }

    fn new(files: &'a dyn FileSource) -> Self {
        Self {
            files,
            repository: RepositoryConfig::default(),
            layout: Layout::default(),
            cluster: None,
            document: None,
            manifests: Vec::new(),
            sidecar_sets: Vec::new(),
            history: Vec::new(),
            diagnostics: Vec::new(),
            sidecar_set_paths: Vec::new(),
            is_complete: false,
            is_invalid: false,
        }
    }

    fn load_config(&mut self, file: &Path, place: &SandboxPath, top: Option<RepositoryRoot>) {
        let name: Arc<str> = file.to_string_lossy().into();
        let text = self.files.read_confined_text(place, file, &name);
        let document = match text.and_then(|text| Document::read(&name, 0, 1, &text)) {
            Ok(document) => document,
            Err(error) => {
                self.layout.root = file.parent().unwrap_or(Path::new("")).to_owned();
                return self.reject(error);
            }
        };
        let (repository, mut wrong) = config::decode(&document);
        self.layout =
            Layout { repository_root: top, ..layout_of(&repository, file.parent().unwrap_or(Path::new(""))) };
        wrong.extend(check_config_paths(self.files, &self.layout, &document));
        self.is_invalid = wrong.iter().any(Diagnostic::is_error);
        self.diagnostics.extend(wrong);
        self.repository = repository;
        self.document = Some(Arc::new(document));
    }

    /// Prepares choosing; None when the configuration is of no use.
    pub(super) fn input_options(
        &mut self,
        config: Option<&Path>,
        out: Option<&Path>,
    ) -> Option<InputOptions> {
        if self.is_invalid {
            return None;
        }
        match self.layout.ignore_rules(out) {
            Ok(skips) => Some(InputOptions {
                ignore_rules: skips,
                namespaces: self.layout.namespace_rules(),
                list_patches: crate::workspace::patch_files,
                repository_root: self.layout.repository_root.clone(),
                user_paths: Vec::new(),
            }),
            Err(pattern) => {
                let file = config.unwrap_or(Path::new("pillion.yaml"));
                let message = format!("`ignore` holds a pattern that cannot be read: {pattern}");
                self.reject(
                    Diagnostic::error(Code::InvalidConfiguration, message)
                        .at(Span::whole_file(file.to_string_lossy()))
                        .field("ignore"),
                );
                None
            }
        }
    }

    /// Builds the manifests of clusters that a command makes, and returns them; beside them the clusters that are left
    /// with plain files, where some are built.
    fn build_clusters(
        &mut self,
        choice: &InputOptions,
        builds: BuildPolicy,
    ) -> (Vec<Input>, Option<Vec<ClusterLayout>>) {
        let configuration = Configuration {
            repository: self.repository.clone(),
            layout: self.layout.clone(),
            document: self.document.clone(),
        };
        let (mut found, mut plain, mut is_built) = (Vec::new(), Vec::new(), false);
        for cluster in self.selected_clusters() {
            let name = cluster.as_ref().map(|c| &*c.name);
            match ManifestSource::from_builds(builds).for_folder(&configuration, name) {
                Ok(Some((title, text))) => {
                    let place = (&*self.layout.root, &choice.namespaces);
                    found.push(input_from_build(&title, &text, name, place));
                    is_built = true;
                }
                Ok(None) => plain.extend(cluster),
                Err(wrong) => {
                    self.diagnostics.push(*wrong);
                    is_built = true;
                }
            }
        }
        (found, is_built.then_some(plain))
    }

    /// Takes one cluster of pillion.yaml.
    pub(super) fn select_cluster(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        let known: Vec<&str> = self.layout.clusters.iter().map(|c| &*c.name).collect();
        if !known.contains(&name) {
            let message = format!("pillion.yaml has no cluster `{name}`");
            let help = match known.is_empty() {
                true => "leave out `--cluster`: pillion.yaml names none".to_owned(),
                false => format!("it has {}", known.join(", ")),
            };
            self.reject(Diagnostic::error(Code::NoCluster, message).help(help));
        }
        self.cluster = Some(name.to_owned());
    }

    /// Leaves out the manifests that stand in the folder of another cluster than the one that was named.
    pub(super) fn retain_selected_cluster(&mut self) {
        let Some(name) = self.cluster.as_deref() else { return };
        let (layout, mut manifests) = (&self.layout, std::mem::take(&mut self.manifests));
        let has_folder = |c: &&ClusterLayout| c.folder.is_some();
        manifests.retain(|input| {
            let mut owners = layout
                .clusters
                .iter()
                .filter(has_folder)
                .filter(|c| layout.cluster_contains(c, input))
                .peekable();
            owners.peek().is_none() || owners.any(|c| *c.name == *name)
        });
        self.manifests = manifests;
    }

    /// Returns the clusters that count; None stands for the only one where pillion.yaml names none.
    pub(super) fn selected_clusters(&self) -> Vec<Option<ClusterLayout>> {
        if self.layout.clusters.is_empty() {
            return vec![None];
        }
        let counts = |c: &&ClusterLayout| self.cluster.as_deref().is_none_or(|name| *c.name == *name);
        self.layout.clusters.iter().filter(counts).cloned().map(Some).collect()
    }

    fn reject(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.is_invalid = true;
    }

    /// Finds the files of some paths.
    pub(super) fn select(&mut self, paths: &[PathBuf], choice: &InputOptions) -> Vec<Input> {
        let chosen = select_inputs(self.files, paths, choice);
        self.diagnostics.extend(chosen.diagnostics);
        self.is_invalid |= chosen.has_missing_path;
        chosen.inputs
    }
}

/// Returns the namespace that a rule of pillion.yaml gives to a folder.
pub(super) fn namespace_of(folder: &Path, layout: &Layout) -> Option<Arc<str>> {
    let named =
        |folder: &Path| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
    let here = named(folder).canonicalize().ok()?;
    let holds = |folder: &Path| named(folder).canonicalize().is_ok_and(|f| here.starts_with(f));
    layout.namespace_rules().rules.into_iter().find(|(folder, _)| holds(folder)).map(|(_, name)| name)
}

/// Finds pillion.yaml in the folder of `start` or above, up to the root of the git repository.
pub(super) fn find_config(start: &Path) -> Option<PathBuf> {
    let mut folder = if start.is_dir() { start.to_owned() } else { start.parent()?.to_owned() };
    // `..` in a name and the way above a relative one are found out by asking the file system.
    for _ in 0..256 {
        let candidate = normalize_path(&folder.join("pillion.yaml"));
        // One that cannot be read is the configuration all the same: without it nothing would be as it says.
        if candidate.symlink_metadata().is_ok() {
            return Some(candidate);
        }
        if folder.join(".git").exists() {
            return None;
        }
        folder = parent_folder(&folder)?;
    }
    None
}

/// Returns the folder above, by name where the name says it.
fn parent_folder(folder: &Path) -> Option<PathBuf> {
    let folder = normalize_path(folder);
    match folder.components().next_back() {
        Some(Component::Normal(_)) => folder.parent().map(Path::to_owned),
        Some(Component::RootDir | Component::Prefix(_)) => None,
        _ => {
            let absolute = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.clone() }
                .canonicalize()
                .ok()?;
            absolute.parent().map(|_| folder.join(".."))
        }
    }
}

fn is_same_path(a: &Path, b: &Path) -> bool {
    let b = if b.as_os_str().is_empty() { Path::new(".") } else { b };
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
