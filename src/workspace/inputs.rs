//! Selects the inputs in files and folders, each file once.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::read::{
    FileKind, FileSource, IgnoreRules, ManifestFile, normalize_path, read_stream, walk_manifests,
};
use crate::render::Manifest;
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::yaml::{Document, split_documents};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The source of the text of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// A file.
    File(PathBuf),
    /// Standard input, which can be read once.
    Stdin,
    /// A text that was read already.
    Text(Arc<str>),
}

/// The namespace of an input that neither a rule nor a person specifies.
pub const UNSPECIFIED_NAMESPACE: &str = "";

/// One input to be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The source of its text.
    pub(crate) source: InputSource,
    /// Its name in messages.
    pub name: Arc<str>,
    /// Its path in an output folder.
    pub output_path: PathBuf,
    /// A person named this very file.
    pub(crate) is_explicit: bool,
    /// Namespace of its manifests that name none; [`UNSPECIFIED_NAMESPACE`] where none is specified.
    pub namespace: Arc<str>,
    /// The cluster that a build command made it for.
    pub(crate) cluster: Option<Arc<str>>,
    /// The path to its file, on which no link is followed.
    pub(crate) sandbox_path: SandboxPath,
}

impl Input {
    /// Returns its file, where it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.source {
            InputSource::File(path) => Some(path),
            InputSource::Stdin | InputSource::Text(_) => None,
        }
    }

    /// Returns the folder of its file.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.file().map(|file| file.parent().unwrap_or(Path::new("")))
    }

    /// Returns whether its text can be read again: standard input and pipes (`<(kustomize build …)`) give it once.
    pub(crate) fn is_rereadable(&self, files: &dyn FileSource) -> bool {
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
/// A diagnostic when it is missing, unreadable, too large or not UTF-8.
pub fn read_input(input: &Input, files: &dyn FileSource) -> Result<String, Diagnostic> {
    match &input.source {
        InputSource::File(path) => files.read_confined_text(&input.sandbox_path, path, &input.name),
        InputSource::Stdin => read_stream(&mut std::io::stdin().lock(), &input.name),
        InputSource::Text(text) => Ok(text.to_string()),
    }
}

/// Returns the documents of an input, not yet parsed.
pub fn manifests_of<'i>(input: &'i Input, text: &'i str) -> impl Iterator<Item = Manifest<'i>> {
    split_documents(&input.name, text).0.into_iter().enumerate().map(|(index, piece)| Manifest {
        file: &input.name,
        index,
        first_line: piece.first_line,
        start: piece.span.start,
        text: &text[piece.span],
        namespace: &input.namespace,
        is_named: input.is_explicit,
    })
}

/// Rules for the namespace of manifests that name none.
#[derive(Debug, Clone)]
pub struct NamespaceRules {
    /// The namespace without a matching rule; it may be [`UNSPECIFIED_NAMESPACE`].
    pub(crate) default: Arc<str>,
    /// Folders and their namespaces; the first that contains a file applies.
    pub(crate) rules: Vec<(PathBuf, Arc<str>)>,
}

impl NamespaceRules {
    /// Returns the namespace of a file.
    pub(crate) fn namespace_of(&self, file: &Path) -> Arc<str> {
        let rule = self.rules.iter().find(|(folder, _)| file.starts_with(folder));
        rule.map_or(&self.default, |(_, name)| name).clone()
    }
}

/// How inputs are selected.
#[derive(Debug, Clone)]
pub struct InputOptions {
    /// The ignored files.
    pub ignore_rules: IgnoreRules,
    /// The namespaces of the files.
    pub namespaces: NamespaceRules,
    /// The repository; its files are reached through no link.
    pub repository_root: Option<RepositoryRoot>,
    /// The paths that a person typed, which may lead anywhere.
    pub user_paths: Vec<PathBuf>,
}

impl InputOptions {
    /// Returns the path of a file; paths out of the repository are reported by the check of pillion.yaml.
    fn sandbox_path(&self, path: &Path) -> SandboxPath {
        let confined =
            self.repository_root.as_ref().filter(|_| !self.user_paths.iter().any(|typed| typed == path));
        confined.and_then(|top| top.resolve(path)).unwrap_or_else(|| SandboxPath::from_user_path(path))
    }
}

/// The selected inputs.
#[derive(Debug, Default)]
pub struct SelectedInputs {
    /// The inputs, in order.
    pub inputs: Vec<Input>,
    /// Errors and notes.
    pub diagnostics: Vec<Diagnostic>,
    /// A named path does not exist.
    pub has_missing_path: bool,
}

/// Selects the files of some paths, each once; `-` is standard input.
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
        } else if paths.len() == 1 || seen.insert(found.path.clone().into_os_string()) {
            chosen.inputs.push(input_from_file(found, is_named, &choice.namespaces));
        }
    }
    chosen
}

/// Returns the inputs of paths that a person named; `-` is standard input.
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

/// Returns the output of a build for a cluster as an input, with the namespace of `folder`.
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

/// Returns the input of a file.
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

/// Returns the files that a kustomization lists as patches, which are not manifests; an unreadable one lists none.
fn list_patches_in(kustomization: &Path, place: &SandboxPath, files: &dyn FileSource) -> Vec<PathBuf> {
    let name: Arc<str> = kustomization.to_string_lossy().into();
    let Ok(text) = files.read_confined_text(place, kustomization, &name) else { return Vec::new() };
    let Ok(document) = Document::read(&name, 0, 1, &text) else { return Vec::new() };
    let listed = |key: &str| document.value().get(key).and_then(Value::as_array).into_iter().flatten();
    let merges = listed("patchesStrategicMerge");
    let paths = ["patches", "patchesJson6902"].into_iter().flat_map(listed).map(|patch| &patch["path"]);
    let folder = kustomization.parent().unwrap_or(Path::new(""));
    let patches = merges.chain(paths).filter_map(Value::as_str);
    patches.map(|patch| normalize_path(&folder.join(patch))).collect()
}
