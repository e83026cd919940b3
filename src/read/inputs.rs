//! From files and folders that somebody named to the inputs of a command, each file once.

use super::file::read_stream;
use super::files::{Files, Kind, plain};
use super::walk::{Found, Skips, walk};
use crate::confine::{Place, Top};
use crate::diag::{Code, Diagnostic, Label};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the text of an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, which can be read once.
    Stdin,
    /// A text that was read already.
    Text(Arc<str>),
}

/// The namespace of an input where neither a rule nor a person says one.
pub const UNSPECIFIED: &str = "";

/// One input to be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where its text is.
    pub source: Source,
    /// What it is called in messages.
    pub name: Arc<str>,
    /// Its place in an output folder.
    pub relative: PathBuf,
    /// A person named this very file.
    pub is_named: bool,
    /// Namespace of its manifests that name none; [`UNSPECIFIED`] where nobody says it.
    pub namespace: Arc<str>,
    /// The cluster that it was built for, where a command has.
    pub cluster: Option<Arc<str>>,
    /// The way to its file, on which no link is followed.
    pub place: Place,
}

impl Input {
    /// Tells whether its text can be read again: standard input and pipes (`<(kustomize build …)`) give it once.
    pub fn can_be_read_again(&self, files: &dyn Files) -> bool {
        match &self.source {
            Source::File(path) => !self.is_named || files.kind(path) == Some(Kind::File),
            Source::Stdin => false,
            Source::Text(_) => true,
        }
    }
}

/// Reads the text of an input.
///
/// # Errors
/// A diagnostic when it is gone, unreadable, too large or not UTF-8.
pub fn text(input: &Input, files: &dyn Files) -> Result<String, Diagnostic> {
    match &input.source {
        Source::File(path) => files.text_at(&input.place, path, &input.name),
        Source::Stdin => read_stream(&mut std::io::stdin().lock(), &input.name),
        Source::Text(text) => Ok(text.to_string()),
    }
}

/// Which namespace the manifests of a file are in where they name none.
#[derive(Debug, Clone)]
pub struct Namespaces {
    /// The namespace where no rule says another; it may be [`UNSPECIFIED`].
    pub otherwise: Arc<str>,
    /// Folders and their namespaces; the first that holds a file counts.
    pub rules: Vec<(PathBuf, Arc<str>)>,
}

impl Namespaces {
    /// Returns the namespace of a file.
    pub fn of(&self, file: &Path) -> Arc<str> {
        let rule = self.rules.iter().find(|(folder, _)| file.starts_with(folder));
        rule.map_or(&self.otherwise, |(_, name)| name).clone()
    }
}

/// Returns the files that a kustomization lists as patches, given its name and text: what a document means is not
/// known here.
pub type PatchesOf = fn(&Arc<str>, &str) -> Vec<String>;

/// How inputs are chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What is left out.
    pub skips: Skips,
    /// The namespaces of what is found.
    pub namespaces: Namespaces,
    /// Reads a kustomization.
    pub patches_of: PatchesOf,
    /// The repository, whose files are reached through no link.
    pub top: Option<Top>,
    /// What a person typed, which may be anything and anywhere.
    pub typed: Vec<PathBuf>,
}

impl Choice {
    /// Returns where a path leads; what leads out of the repository was reported where it is written.
    fn place(&self, path: &Path) -> Place {
        let confined = self.top.as_ref().filter(|_| !self.typed.iter().any(|typed| typed == path));
        confined.and_then(|top| top.place(path)).unwrap_or_else(|| Place::typed(path))
    }
}

/// The inputs that were chosen.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The inputs, in order.
    pub inputs: Vec<Input>,
    /// Errors and notes.
    pub diagnostics: Vec<Diagnostic>,
    /// A path that somebody named does not exist.
    pub is_missing: bool,
}

/// Finds the files of some paths, each once; `-` is standard input.
pub fn choose(files: &dyn Files, paths: &[PathBuf], choice: &Choice) -> Chosen {
    let mut chosen = Chosen::default();
    let mut found: Vec<(Found, bool)> = Vec::new();
    let mut patches = BTreeSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            chosen.inputs.push(stdin(&choice.namespaces));
            continue;
        }
        let Some(kind) = files.kind(path) else {
            chosen.diagnostics.push(missing(path));
            chosen.is_missing = true;
            continue;
        };
        let place = choice.place(path);
        let walk = walk(files, path, &place, &choice.skips);
        chosen.diagnostics.extend(walk.diagnostics);
        for kustomization in &walk.kustomizations {
            let place = place.join(kustomization.strip_prefix(path).unwrap_or(kustomization));
            patches.extend(patches_in(kustomization, &place, files, choice.patches_of));
        }
        found.extend(walk.files.into_iter().map(|f| (f, kind != Kind::Folder)));
    }
    let mut seen = BTreeSet::new();
    for (found, is_named) in found {
        if !is_named && patches.contains(&found.path) {
            chosen.diagnostics.push(patch(&found));
        } else if seen.insert(found.path.clone().into_os_string()) {
            chosen.inputs.push(input(found, is_named, &choice.namespaces));
        }
    }
    chosen
}

/// Returns files that a person named as inputs; `-` is standard input.
pub fn named(paths: &[PathBuf]) -> Vec<Input> {
    let namespaces = Namespaces { otherwise: UNSPECIFIED.into(), rules: Vec::new() };
    let file = |path: &PathBuf| Found {
        name: path.to_string_lossy().into(),
        relative: path.clone(),
        path: path.clone(),
        place: Place::typed(path),
    };
    let named = |path: &PathBuf| match path.as_os_str() == "-" {
        true => stdin(&namespaces),
        false => input(file(path), true, &namespaces),
    };
    paths.iter().map(named).collect()
}

fn stdin(namespaces: &Namespaces) -> Input {
    Input {
        source: Source::Stdin,
        name: "<stdin>".into(),
        relative: "stdin.yaml".into(),
        is_named: true,
        namespace: namespaces.of(Path::new("")),
        cluster: None,
        place: Place::default(),
    }
}

/// Returns what a command has built for a cluster as an input; it has the namespaces of `folder`.
pub fn built(
    name: &Arc<str>,
    text: &Arc<str>,
    cluster: Option<&str>,
    (folder, namespaces): (&Path, &Namespaces),
) -> Input {
    let relative = Path::new(cluster.unwrap_or_default()).join("built.yaml");
    Input {
        source: Source::Text(Arc::clone(text)),
        name: Arc::clone(name),
        namespace: namespaces.of(&folder.join(&relative)),
        relative,
        is_named: true,
        cluster: cluster.map(Into::into),
        place: Place::default(),
    }
}

/// Describes a file that was found.
pub(super) fn input(found: Found, is_named: bool, namespaces: &Namespaces) -> Input {
    let namespace = namespaces.of(&found.path);
    Input {
        source: Source::File(found.path),
        name: found.name,
        relative: found.relative,
        is_named,
        namespace,
        cluster: None,
        place: found.place,
    }
}

fn missing(path: &Path) -> Diagnostic {
    Diagnostic::error(Code::UnreadableFile, format!("`{}` does not exist", path.display()))
        .at(Label::whole_file(path.to_string_lossy()))
        .help("check the name of the file or folder")
}

fn patch(found: &Found) -> Diagnostic {
    let message = format!("`{}` is a patch of a kustomization and is skipped", found.name);
    Diagnostic::note(Code::FolderSkipped, message).at(Label::whole_file(found.name.clone()))
}

/// The files that a kustomization lists as patches; one that cannot be read lists none.
fn patches_in(kustomization: &Path, place: &Place, files: &dyn Files, patches_of: PatchesOf) -> Vec<PathBuf> {
    let name: Arc<str> = kustomization.to_string_lossy().into();
    let Ok(text) = files.text_at(place, kustomization, &name) else { return Vec::new() };
    let folder = kustomization.parent().unwrap_or(Path::new(""));
    patches_of(&name, &text).into_iter().map(|patch| plain(&folder.join(patch))).collect()
}
