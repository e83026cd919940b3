//! Which files below a folder are read: sorted, without what git ignores, and without what is no manifest.

use crate::diag::{Code, Diagnostic, Label};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder};
use std::ffi::OsStr;
use std::io::ErrorKind;
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
        Ok(Self { patterns, folders: folders.iter().map(|f| plain(f)).collect() })
    }

    fn covers(&self, path: &Path, is_dir: bool) -> bool {
        let path = plain(path);
        (is_dir && self.folders.iter().any(|folder| is_same(folder, &path)))
            || self.patterns.matched(&path, is_dir).is_ignore()
    }
}

/// Tells whether two names mean one folder; the file system is asked only where they end alike.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b
        || (a.file_name() == b.file_name()
            && matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b))
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

/// Finds the manifests of a file or folder, sorted by path, component by component.
pub fn walk(root: &Path, skips: &Skips) -> Walk {
    let mut found = Walk::default();
    if !root.is_dir() {
        let relative = root.file_name().map(PathBuf::from).unwrap_or_default();
        found.files.push(Found { path: root.to_owned(), name: name(root), relative });
        return found;
    }
    if let Some(kustomization) = kustomization_in(root) {
        found.diagnostics.push(kustomize_folder(root, &kustomization));
        found.kustomizations.push(kustomization);
        return found;
    }
    let judge = Arc::new(Judge { root: root.to_owned(), skips: skips.clone(), seen: Mutex::default() });
    let filter = Arc::clone(&judge);
    let entries = WalkBuilder::new(root)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .follow_links(false)
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(move |entry| filter.admits(entry))
        .build();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|t| t.is_file()) => {
                let path = plain(entry.path());
                let relative = entry.path().strip_prefix(root).unwrap_or(&path).to_owned();
                found.files.push(Found { name: name(&path), path, relative });
            }
            Ok(_) => {}
            Err(error) => found.diagnostics.push(unwalkable(&error)),
        }
    }
    let mut seen = judge.seen.lock().unwrap_or_else(PoisonError::into_inner);
    found.kustomizations = std::mem::take(&mut seen.kustomizations);
    found.diagnostics.append(&mut seen.diagnostics);
    found
}

fn name(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Takes `.` components out, so that `./a` and `a` are one name.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|c| *c != Component::CurDir).collect()
}

fn unwalkable(error: &ignore::Error) -> Diagnostic {
    Diagnostic::error(Code::UnreadableFile, format!("a folder cannot be read: {error}"))
        .help("make it readable, or leave it out with `ignore:` in pillion.yaml")
}

/// Decides about each entry of a walk, and remembers what is to be said.
struct Judge {
    root: PathBuf,
    skips: Skips,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    kustomizations: Vec<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

impl Judge {
    fn admits(&self, entry: &DirEntry) -> bool {
        let Some(kind) = entry.file_type() else { return false };
        let path = entry.path();
        if entry.file_name() == ".git" || self.skips.covers(path, kind.is_dir()) {
            return false;
        }
        if kind.is_symlink() {
            return self.admits_link(path);
        }
        if kind.is_dir() {
            entry.depth() == 0 || self.admits_folder(path)
        } else {
            is_manifest_name(path) && !self.is_values(path)
        }
    }

    /// Links are never followed: what they point at inside the folder is read where it is.
    fn admits_link(&self, path: &Path) -> bool {
        let target = path.canonicalize();
        let is_relevant = is_manifest_name(path) || target.as_ref().is_ok_and(|t| t.is_dir());
        let inside = match (&target, self.root.canonicalize()) {
            (Ok(target), Ok(root)) => target.starts_with(root),
            _ => false,
        };
        let link = name(&plain(path));
        match target {
            Ok(_) if !is_relevant => {}
            Ok(_) if inside => self.say(
                Diagnostic::note(Code::LinkSkipped, format!("`{link}` is a symbolic link; what it points at is read where it is")).at(Label::whole_file(link.clone())),
            ),
            Ok(_) => self.say(
                Diagnostic::error(Code::LinkOutside, format!("`{link}` is a symbolic link out of the folder, to `{}`", written(path).display()))
                    .at(Label::whole_file(link.clone()))
                    .help("copy the file into the folder, name its target on the command line, or leave it out with `ignore:` in pillion.yaml"),
            ),
            Err(error) => self.say(
                Diagnostic::error(Code::LinkOutside, nowhere(&link, path, &error))
                    .at(Label::whole_file(link.clone()))
                    .help("remove the link, or leave it out with `ignore:` in pillion.yaml"),
            ),
        }
        false
    }

    fn admits_folder(&self, path: &Path) -> bool {
        if path.file_name().is_some_and(|n| n == "templates") && path.with_file_name("Chart.yaml").is_file() {
            self.say(skipped(
                path,
                "holds templates of a Helm chart",
                "render the output of `helm template` instead: `helm template … | pillion render -`",
            ));
            return false;
        }
        let Some(kustomization) = kustomization_in(path) else { return true };
        self.say(kustomize_folder(path, &kustomization));
        self.lock().kustomizations.push(kustomization);
        false
    }

    /// `values*.yaml` beside a Chart.yaml is input for templates.
    fn is_values(&self, path: &Path) -> bool {
        let is_values = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("values"));
        (is_values || path.file_name().is_some_and(|n| n == "Chart.yaml"))
            && path.with_file_name("Chart.yaml").is_file()
    }

    fn say(&self, diagnostic: Diagnostic) {
        self.lock().diagnostics.push(diagnostic);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what a link says, word for word: the same on every machine.
fn written(link: &Path) -> PathBuf {
    std::fs::read_link(link).unwrap_or_default()
}

fn nowhere(name: &str, link: &Path, error: &std::io::Error) -> String {
    let target = written(link);
    match error.kind() {
        ErrorKind::NotFound => {
            format!("`{name}` is a symbolic link to `{}`, which does not exist", target.display())
        }
        _ => format!(
            "`{name}` is a symbolic link to `{}`, which cannot be followed: {error}",
            target.display()
        ),
    }
}

fn kustomize_folder(folder: &Path, kustomization: &Path) -> Diagnostic {
    let folder = name(&plain(folder));
    Diagnostic::error(
        Code::KustomizeFolder,
        format!("`{folder}` is a kustomization: its files are not manifests yet"),
    )
    .at(Label::whole_file(name(&plain(kustomization))))
    .because("rendering them raw would inject before patches, prefixes and images are applied")
    .help(format!(
        "run `kustomize build {folder} | pillion render -`, or leave it out with `ignore:` in pillion.yaml"
    ))
}

fn skipped(path: &Path, why: &str, help: &str) -> Diagnostic {
    let folder = name(&plain(path));
    Diagnostic::note(Code::FolderSkipped, format!("`{folder}` {why} and is skipped"))
        .at(Label::whole_file(folder))
        .help(help)
}

fn is_manifest_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

fn kustomization_in(folder: &Path) -> Option<PathBuf> {
    ["kustomization.yaml", "kustomization.yml", "Kustomization"]
        .iter()
        .map(|n| folder.join(n))
        .find(|p| p.is_file())
}
