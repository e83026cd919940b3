//! Which files below a folder are manifests, by their names and neighbours, on a disk and in a commit alike.

use super::files::{Entry, Files, Kind, Unresolved};
use crate::confine::{Place, unusable_name};
use crate::diag::{Code, Diagnostic, Label};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is, as the user would name it.
    pub path: PathBuf,
    /// The same as text, for messages.
    pub name: Arc<str>,
    /// Its place below the folder that was walked; the file name where a file was named.
    pub relative: PathBuf,
    /// The way to it, on which no link is followed.
    pub place: Place,
}

/// What a walk leaves out besides `.git` and ignored files.
#[derive(Debug, Clone)]
pub struct Skips {
    patterns: Gitignore,
    folders: Vec<PathBuf>,
}

impl Skips {
    /// Leaves out what `patterns` (gitignore syntax, relative to `root`) match, and the given folders.
    ///
    /// # Errors
    /// The text of the first pattern that is none.
    pub fn new(root: &Path, patterns: &[String], folders: Vec<PathBuf>) -> Result<Self, String> {
        let mut builder = GitignoreBuilder::new(root);
        for pattern in patterns {
            builder.add_line(None, pattern).map_err(|e| e.to_string())?;
        }
        let patterns = builder.build().map_err(|e| e.to_string())?;
        Ok(Self { patterns, folders: folders.iter().map(|f| undotted(f)).collect() })
    }

    /// Leaves nothing out.
    pub fn none() -> Self {
        Self { patterns: Gitignore::empty(), folders: Vec::new() }
    }

    fn covers(&self, path: &Path, is_dir: bool, files: &dyn Files) -> bool {
        let path = undotted(path);
        (is_dir && self.folders.iter().any(|folder| is_same(folder, &path, files)))
            || self.patterns.matched(&path, is_dir).is_ignore()
    }
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, in the order they are rendered.
    pub files: Vec<Found>,
    /// Kustomization files that were met; what they list as patches is no manifest.
    pub kustomizations: Vec<PathBuf>,
    /// Notes about what was skipped, and errors.
    pub diagnostics: Vec<Diagnostic>,
}

/// Finds the manifests of a file or folder, which is at a place, sorted by path, component by component.
pub fn walk(files: &dyn Files, root: &Path, place: &Place, skips: &Skips) -> Walk {
    if files.kind(root) != Some(Kind::Folder) {
        let relative = root.file_name().map(PathBuf::from).unwrap_or_default();
        let found = Found { path: root.to_owned(), name: name(root), relative, place: place.clone() };
        return Walk { files: vec![found], ..Walk::default() };
    }
    if let Some(wrong) = files.wrong_ignore_file(root, true) {
        return Walk { diagnostics: vec![wrong], ..Walk::default() };
    }
    let mut walk = walk_folder(files, root, skips);
    for found in &mut walk.files {
        found.place = place.join(&found.relative);
    }
    walk
}

fn walk_folder(files: &dyn Files, root: &Path, skips: &Skips) -> Walk {
    match kustomization_in(root, files) {
        Some(kustomization) => Walk {
            diagnostics: vec![kustomize_folder(root, &kustomization)],
            kustomizations: vec![kustomization],
            ..Walk::default()
        },
        None => files.below(root, skips),
    }
}

/// Takes `.` components out, so that `./a` and `a` are one name.
pub(super) fn undotted(path: &Path) -> PathBuf {
    path.components().filter(|c| *c != Component::CurDir).collect()
}

fn name(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Tells whether two names mean one folder; the files are asked only where they end alike.
fn is_same(a: &Path, b: &Path, files: &dyn Files) -> bool {
    a == b
        || (a.file_name() == b.file_name()
            && matches!((files.resolve(a), files.resolve(b)), (Ok(a), Ok(b)) if a == b))
}

/// Decides about each entry of a walk, and remembers what is to be said: the one place of these rules.
pub(super) struct Judge<'a> {
    files: &'a dyn Files,
    root: PathBuf,
    skips: Skips,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    kustomizations: Vec<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Judge<'a> {
    /// Prepares the judgement of what is below `root`.
    pub(super) fn new(files: &'a dyn Files, root: &Path, skips: &Skips) -> Self {
        Self { files, root: root.to_owned(), skips: skips.clone(), seen: Mutex::default() }
    }

    /// Tells whether a file is a manifest, or a folder may hold some.
    pub(super) fn admits(&self, path: &Path, entry: Entry) -> bool {
        let is_dir = matches!(entry, Entry::Folder | Entry::Submodule);
        if path.file_name().is_some_and(|n| n == ".git") || self.skips.covers(path, is_dir, self.files) {
            return false;
        }
        match entry {
            Entry::File => is_manifest_name(path) && !self.is_values(path) && self.is_usable(path),
            Entry::Folder => self.admits_folder(path),
            Entry::Link => {
                self.judge_link(path);
                false
            }
            Entry::Submodule => {
                self.say(submodule(path));
                false
            }
        }
    }

    /// Tells whether the name of a manifest may become text.
    pub(super) fn is_usable(&self, path: &Path) -> bool {
        let relative = undotted(path.strip_prefix(&self.root).unwrap_or(path));
        unusable_name(&relative).map(|wrong| self.say(wrong)).is_none()
    }

    /// Describes a file that was admitted.
    pub(super) fn found(&self, path: &Path) -> Found {
        let relative = path.strip_prefix(&self.root).unwrap_or(path).to_owned();
        let path = undotted(path);
        Found { name: name(&path), path, place: Place::typed(&self.root).join(&relative), relative }
    }

    /// Adds what was remembered to a walk.
    pub(super) fn finish(&self, mut walk: Walk) -> Walk {
        let mut seen = self.lock();
        walk.kustomizations.append(&mut seen.kustomizations);
        walk.diagnostics.append(&mut seen.diagnostics);
        walk
    }

    /// Links are never followed: what they point at inside the folder is read where it is.
    pub(super) fn judge_link(&self, path: &Path) {
        if is_manifest_name(path) && !self.is_usable(path) {
            return;
        }
        let target = self.files.resolve(path);
        let is_relevant = is_manifest_name(path) || self.files.kind(path) == Some(Kind::Folder);
        let inside = match (&target, self.files.resolve(&self.root)) {
            (Ok(target), Ok(root)) => target.starts_with(root),
            _ => false,
        };
        let link = name(&undotted(path));
        let written = self.files.written(path);
        let said = match target {
            Ok(_) | Err(Unresolved::Outside) if !is_relevant => return,
            Ok(_) if inside => Diagnostic::note(
                Code::LinkSkipped,
                format!("`{link}` is a symbolic link; what it points at is read where it is"),
            ),
            Ok(_) | Err(Unresolved::Outside) => Diagnostic::error(
                Code::LinkOutside,
                format!("`{link}` is a symbolic link out of the folder, to `{written}`"),
            )
            .help("copy the file into the folder, name its target on the command line, or leave it out with `ignore:` in pillion.yaml"),
            Err(Unresolved::Missing) => astray(format!("`{link}` is a symbolic link to `{written}`, which does not exist")),
            Err(Unresolved::Other(error)) => {
                astray(format!("`{link}` is a symbolic link to `{written}`, which cannot be followed: {error}"))
            }
        };
        self.say(said.at(Label::whole_file(link)));
    }

    fn admits_folder(&self, path: &Path) -> bool {
        if path.file_name().is_some_and(|n| n == "templates")
            && self.is_file(&path.with_file_name("Chart.yaml"))
        {
            self.say(skipped(
                path,
                "holds templates of a Helm chart",
                "render the output of `helm template` instead: `helm template … | pillion render -`",
            ));
            return false;
        }
        if let Some(wrong) = self.files.wrong_ignore_file(path, false) {
            self.say(wrong);
            return false;
        }
        let Some(kustomization) = kustomization_in(path, self.files) else { return true };
        self.say(kustomize_folder(path, &kustomization));
        self.lock().kustomizations.push(kustomization);
        false
    }

    /// `values*.yaml` beside a Chart.yaml is input for templates.
    fn is_values(&self, path: &Path) -> bool {
        let is_values = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("values"));
        (is_values || path.file_name().is_some_and(|n| n == "Chart.yaml"))
            && self.is_file(&path.with_file_name("Chart.yaml"))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.kind(path) == Some(Kind::File)
    }

    fn say(&self, diagnostic: Diagnostic) {
        self.lock().diagnostics.push(diagnostic);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn astray(message: String) -> Diagnostic {
    Diagnostic::error(Code::LinkOutside, message)
        .help("remove the link, or leave it out with `ignore:` in pillion.yaml")
}

fn kustomize_folder(folder: &Path, kustomization: &Path) -> Diagnostic {
    let folder = undotted(folder);
    let folder = if folder.as_os_str().is_empty() { ".".into() } else { name(&folder) };
    Diagnostic::error(
        Code::KustomizeFolder,
        format!("`{folder}` is a kustomization: its files are not manifests yet"),
    )
    .at(Label::whole_file(name(&undotted(kustomization))))
    .because("rendering them raw would inject before patches, prefixes and images are applied")
    .help(format!(
        "run `kustomize build {folder} | pillion render -`, or leave it out with `ignore:` in pillion.yaml"
    ))
}

/// A checkout has its files and a commit has none of them: a rollout would pass its workloads over, and Close move them.
fn submodule(path: &Path) -> Diagnostic {
    let folder = name(&undotted(path));
    Diagnostic::error(
        Code::UnreadableFile,
        format!("`{folder}` is a submodule: its files are not in this repository"),
    )
    .at(Label::whole_file(folder))
    .help("leave it out with `ignore:` in pillion.yaml, or keep its manifests in this repository")
}

fn skipped(path: &Path, why: &str, help: &str) -> Diagnostic {
    let folder = name(&undotted(path));
    Diagnostic::note(Code::FolderSkipped, format!("`{folder}` {why} and is skipped"))
        .at(Label::whole_file(folder))
        .help(help)
}

pub(super) fn is_manifest_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

fn kustomization_in(folder: &Path, files: &dyn Files) -> Option<PathBuf> {
    ["kustomization.yaml", "kustomization.yml", "Kustomization"]
        .iter()
        .map(|n| folder.join(n))
        .find(|p| files.kind(p) == Some(Kind::File))
}
