//! From files and folders that somebody named to the inputs of a command, each file once.

use super::Layout;
use super::kustomization::patch_files;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::read::{
    FileKind, FileSource, IgnoreRules, ManifestFile, normalize_path, read_stream, walk_manifests,
};
use crate::sandbox::{RepositoryRoot, SandboxPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the text of an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// A file.
    File(PathBuf),
    /// Standard input, which can be read once.
    Stdin,
    /// A text that was read already.
    Text(Arc<str>),
}

/// The namespace of an input where neither a rule nor a person says one.
pub const UNSPECIFIED_NAMESPACE: &str = "";

/// One input to be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where its text is.
    pub source: InputSource,
    /// What it is called in messages.
    pub name: Arc<str>,
    /// Its place in an output folder.
    pub output_path: PathBuf,
    /// A person named this very file.
    pub is_explicit: bool,
    /// Namespace of its manifests that name none; [`UNSPECIFIED_NAMESPACE`] where nobody says it.
    pub namespace: Arc<str>,
    /// The cluster that it was built for, where a command has.
    pub cluster: Option<Arc<str>>,
    /// The way to its file, on which no link is followed.
    pub sandbox_path: SandboxPath,
}

impl Input {
    /// Tells whether its text can be read again: standard input and pipes (`<(kustomize build …)`) give it once.
    pub fn is_rereadable(&self, files: &dyn FileSource) -> bool {
        match &self.source {
            InputSource::File(path) => !self.is_explicit || files.kind(path) == Some(FileKind::File),
            InputSource::Stdin => false,
            InputSource::Text(_) => true,
        }
    }
}

/// Reads the text of an input.
///
/// # Errors
/// A diagnostic when it is gone, unreadable, too large or not UTF-8.
pub fn read_input(input: &Input, files: &dyn FileSource) -> Result<String, Diagnostic> {
    match &input.source {
        InputSource::File(path) => files.read_confined_text(&input.sandbox_path, path, &input.name),
        InputSource::Stdin => read_stream(&mut std::io::stdin().lock(), &input.name),
        InputSource::Text(text) => Ok(text.to_string()),
    }
}

/// Which namespace the manifests of a file are in where they name none.
#[derive(Debug, Clone)]
pub struct NamespaceRules {
    /// The namespace where no rule says another; it may be [`UNSPECIFIED_NAMESPACE`].
    pub default: Arc<str>,
    /// Folders and their namespaces; the first that holds a file counts.
    pub rules: Vec<(PathBuf, Arc<str>)>,
}

impl NamespaceRules {
    /// Returns the namespace of a file.
    pub fn namespace_of(&self, file: &Path) -> Arc<str> {
        let rule = self.rules.iter().find(|(folder, _)| file.starts_with(folder));
        rule.map_or(&self.default, |(_, name)| name).clone()
    }
}

/// How inputs are chosen.
#[derive(Debug, Clone)]
pub struct InputOptions {
    /// What is left out.
    pub ignore_rules: IgnoreRules,
    /// The namespaces of what is found.
    pub namespaces: NamespaceRules,
    /// The repository, whose files are reached through no link.
    pub repository_root: Option<RepositoryRoot>,
    /// What a person typed, which may be anything and anywhere.
    pub user_paths: Vec<PathBuf>,
}

impl InputOptions {
    /// Returns the options that a layout describes.
    pub fn new(layout: &Layout, ignore_rules: IgnoreRules) -> Self {
        Self {
            ignore_rules,
            namespaces: layout.namespace_rules(),
            repository_root: layout.repository_root.clone(),
            user_paths: Vec::new(),
        }
    }

    /// Returns where a path leads; what leads out of the repository was reported where it is written.
    fn sandbox_path(&self, path: &Path) -> SandboxPath {
        let confined =
            self.repository_root.as_ref().filter(|_| !self.user_paths.iter().any(|typed| typed == path));
        confined.and_then(|top| top.resolve(path)).unwrap_or_else(|| SandboxPath::from_user_path(path))
    }
}

/// The inputs that were chosen.
#[derive(Debug, Default)]
pub struct SelectedInputs {
    /// The inputs, in order.
    pub inputs: Vec<Input>,
    /// Errors and notes.
    pub diagnostics: Vec<Diagnostic>,
    /// A path that somebody named does not exist.
    pub has_missing_path: bool,
}

/// Finds the files of some paths, each once; `-` is standard input.
pub fn select_inputs(files: &dyn FileSource, paths: &[PathBuf], choice: &InputOptions) -> SelectedInputs {
    let mut chosen = SelectedInputs::default();
    let mut found: Vec<(ManifestFile, bool)> = Vec::new();
    let mut patches = BTreeSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            chosen.inputs.push(stdin_input(&choice.namespaces));
            continue;
        }
        let Some(kind) = files.kind(path) else {
            chosen.diagnostics.push(missing_path(path));
            chosen.has_missing_path = true;
            continue;
        };
        let place = choice.sandbox_path(path);
        let walk = walk_manifests(files, path, &place, &choice.ignore_rules);
        chosen.diagnostics.extend(walk.diagnostics);
        for kustomization in &walk.kustomizations {
            let place = place.join(kustomization.strip_prefix(path).unwrap_or(kustomization));
            patches.extend(list_patches_in(kustomization, &place, files));
        }
        found.extend(walk.files.into_iter().map(|f| (f, kind != FileKind::Folder)));
    }
    let mut seen = BTreeSet::new();
    for (found, is_named) in found {
        if !is_named && patches.contains(&found.path) {
            chosen.diagnostics.push(skipped_patch(&found));
        } else if seen.insert(found.path.clone().into_os_string()) {
            chosen.inputs.push(input_from_file(found, is_named, &choice.namespaces));
        }
    }
    chosen
}

/// Returns files that a person named as inputs; `-` is standard input.
pub fn inputs_from_paths(paths: &[PathBuf]) -> Vec<Input> {
    let namespaces = NamespaceRules { default: UNSPECIFIED_NAMESPACE.into(), rules: Vec::new() };
    let file = |path: &PathBuf| ManifestFile {
        name: path.to_string_lossy().into(),
        relative_path: path.clone(),
        path: path.clone(),
        sandbox_path: SandboxPath::from_user_path(path),
    };
    let named = |path: &PathBuf| match path.as_os_str() == "-" {
        true => stdin_input(&namespaces),
        false => input_from_file(file(path), true, &namespaces),
    };
    paths.iter().map(named).collect()
}

fn stdin_input(namespaces: &NamespaceRules) -> Input {
    Input {
        source: InputSource::Stdin,
        name: "<stdin>".into(),
        output_path: "stdin.yaml".into(),
        is_explicit: true,
        namespace: namespaces.namespace_of(Path::new("")),
        cluster: None,
        sandbox_path: SandboxPath::default(),
    }
}

/// Returns what a command has built for a cluster as an input; it has the namespaces of `folder`.
pub fn input_from_build(
    name: &Arc<str>,
    text: &Arc<str>,
    cluster: Option<&str>,
    (folder, namespaces): (&Path, &NamespaceRules),
) -> Input {
    let relative = Path::new(cluster.unwrap_or_default()).join("built.yaml");
    Input {
        source: InputSource::Text(Arc::clone(text)),
        name: Arc::clone(name),
        namespace: namespaces.namespace_of(&folder.join(&relative)),
        output_path: relative,
        is_explicit: true,
        cluster: cluster.map(Into::into),
        sandbox_path: SandboxPath::default(),
    }
}

/// Describes a file that was found.
pub(super) fn input_from_file(found: ManifestFile, is_named: bool, namespaces: &NamespaceRules) -> Input {
    let namespace = namespaces.namespace_of(&found.path);
    Input {
        source: InputSource::File(found.path),
        name: found.name,
        output_path: found.relative_path,
        is_explicit: is_named,
        namespace,
        cluster: None,
        sandbox_path: found.sandbox_path,
    }
}

fn missing_path(path: &Path) -> Diagnostic {
    Diagnostic::error(Code::UnreadableFile, format!("`{}` does not exist", path.display()))
        .at(Span::whole_file(path.to_string_lossy()))
        .help("check the name of the file or folder")
}

fn skipped_patch(found: &ManifestFile) -> Diagnostic {
    let message = format!("`{}` is a patch of a kustomization and is skipped", found.name);
    Diagnostic::note(Code::FolderSkipped, message).at(Span::whole_file(found.name.clone()))
}

/// The files that a kustomization lists as patches; one that cannot be read lists none.
fn list_patches_in(kustomization: &Path, place: &SandboxPath, files: &dyn FileSource) -> Vec<PathBuf> {
    let name: Arc<str> = kustomization.to_string_lossy().into();
    let Ok(text) = files.read_confined_text(place, kustomization, &name) else { return Vec::new() };
    let folder = kustomization.parent().unwrap_or(Path::new(""));
    patch_files(&name, &text).into_iter().map(|patch| normalize_path(&folder.join(patch))).collect()
}
