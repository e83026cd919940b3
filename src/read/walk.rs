//! Decides by file name and adjacent files which files below a folder are manifests; the same for disk and commits.

use super::file_source::FileSource;
use super::types::{
    EntryKind, FileKind, IgnoreRules, ManifestFile, ResolveError, WalkResult, strip_dot_components,
};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::sandbox::{SandboxPath, check_file_name};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Finds the manifests of a file or folder, which is at a place, sorted by path, component by component.
pub fn walk_manifests(
    files: &dyn FileSource,
    root: &Path,
    place: &SandboxPath,
    ignore_rules: &IgnoreRules,
) -> WalkResult {
    if files.kind(root) != Some(FileKind::Folder) {
        let relative = root.file_name().map(PathBuf::from).unwrap_or_default();
        let found = ManifestFile {
            path: root.to_owned(),
            name: display_name(root),
            relative_path: relative,
            sandbox_path: place.clone(),
        };
        return WalkResult { files: vec![found], ..WalkResult::default() };
    }
    if let Some(diagnostic) = files.check_ignore_file(root, true) {
        return WalkResult { diagnostics: vec![diagnostic], ..WalkResult::default() };
    }
    let mut walk = walk_folder(files, root, ignore_rules);
    for found in &mut walk.files {
        found.sandbox_path = place.join(&found.relative_path);
    }
    walk
}

fn walk_folder(files: &dyn FileSource, root: &Path, ignore_rules: &IgnoreRules) -> WalkResult {
    match find_kustomization(root, files) {
        Some(kustomization) => WalkResult {
            diagnostics: vec![kustomize_folder(root, &kustomization)],
            kustomizations: vec![kustomization],
            ..WalkResult::default()
        },
        None => files.find_manifests(root, ignore_rules),
    }
}

fn display_name(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Returns whether a walk skips a file or folder.
fn is_ignored(rules: &IgnoreRules, path: &Path, is_dir: bool, files: &dyn FileSource) -> bool {
    let path = strip_dot_components(path);
    (is_dir && rules.folders.iter().any(|folder| is_same_folder(folder, &path, files)))
        || rules.patterns.matched(&path, is_dir).is_ignore()
}

/// Returns whether two names mean one folder; the files are read only where the names end alike.
fn is_same_folder(a: &Path, b: &Path, files: &dyn FileSource) -> bool {
    a == b
        || (a.file_name() == b.file_name()
            && matches!((files.resolve(a), files.resolve(b)), (Ok(a), Ok(b)) if a == b))
}

/// Applies the rules to each entry of a walk, and collects diagnostics.
pub(crate) struct WalkFilter<'a> {
    files: &'a dyn FileSource,
    root: PathBuf,
    ignore_rules: IgnoreRules,
    findings: Mutex<WalkFindings>,
}

#[derive(Default)]
struct WalkFindings {
    kustomizations: Vec<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> WalkFilter<'a> {
    /// Returns the rules for entries below `root`.
    pub(crate) fn new(files: &'a dyn FileSource, root: &Path, ignore_rules: &IgnoreRules) -> Self {
        Self { files, root: root.to_owned(), ignore_rules: ignore_rules.clone(), findings: Mutex::default() }
    }

    /// Returns whether a file is a manifest, or a folder may contain some.
    pub(super) fn admits(&self, path: &Path, entry: EntryKind) -> bool {
        let is_dir = matches!(entry, EntryKind::Folder | EntryKind::Submodule);
        if path.file_name().is_some_and(|n| n == ".git")
            || is_ignored(&self.ignore_rules, path, is_dir, self.files)
        {
            return false;
        }
        match entry {
            EntryKind::File => {
                is_manifest_name(path) && !self.is_helm_values(path) && self.has_usable_name(path)
            }
            EntryKind::Folder => self.admits_folder(path),
            EntryKind::Symlink => {
                self.check_symlink(path);
                false
            }
            EntryKind::Submodule => {
                self.report(submodule(path));
                false
            }
        }
    }

    /// Returns whether the name of a manifest is valid text.
    pub(crate) fn has_usable_name(&self, path: &Path) -> bool {
        let relative = strip_dot_components(path.strip_prefix(&self.root).unwrap_or(path));
        check_file_name(&relative).map(|diagnostic| self.report(diagnostic)).is_none()
    }

    /// Returns an admitted file.
    pub(crate) fn manifest_file(&self, path: &Path) -> ManifestFile {
        let relative = path.strip_prefix(&self.root).unwrap_or(path).to_owned();
        let path = strip_dot_components(path);
        ManifestFile {
            name: display_name(&path),
            path,
            sandbox_path: SandboxPath::from_user_path(&self.root).join(&relative),
            relative_path: relative,
        }
    }

    /// Adds the collected diagnostics to a walk.
    pub(crate) fn finish(&self, mut walk: WalkResult) -> WalkResult {
        let mut seen = self.lock();
        // Whatever the order of the walk was: component by component, as the files.
        seen.kustomizations.sort();
        let place = |found: &Diagnostic| found.spans.first().map(|span| PathBuf::from(&*span.file));
        seen.diagnostics.sort_by_cached_key(place);
        walk.kustomizations.append(&mut seen.kustomizations);
        walk.diagnostics.append(&mut seen.diagnostics);
        walk
    }

    /// Links are never followed: a target inside the folder is read there.
    pub(crate) fn check_symlink(&self, path: &Path) {
        if is_manifest_name(path) && !self.has_usable_name(path) {
            return;
        }
        let target = self.files.resolve(path);
        let is_relevant = is_manifest_name(path) || self.files.kind(path) == Some(FileKind::Folder);
        let inside = match (&target, self.files.resolve(&self.root)) {
            (Ok(target), Ok(root)) => target.starts_with(root),
            _ => false,
        };
        let link = display_name(&strip_dot_components(path));
        let written = self.files.link_target(path);
        let diagnostic = match target {
            Ok(_) | Err(ResolveError::Outside) if !is_relevant => return,
            Ok(_) if inside => Diagnostic::note(
                Code::SymlinkSkipped,
                format!("`{link}` is a symbolic link; what it points at is read where it is"),
            ),
            Ok(_) | Err(ResolveError::Outside) => Diagnostic::error(
                Code::SymlinkOutside,
                format!("`{link}` is a symbolic link out of the folder, to `{written}`"),
            )
            .help("copy the file into the folder, name its target on the command line, or leave it out with `ignore:` in pillion.yaml"),
            Err(ResolveError::Missing) => broken_symlink(format!("`{link}` is a symbolic link to `{written}`, which does not exist")),
            Err(ResolveError::Other(error)) => {
                broken_symlink(format!("`{link}` is a symbolic link to `{written}`, which cannot be followed: {error}"))
            }
        };
        self.report(diagnostic.at(Span::whole_file(link)));
    }

    fn admits_folder(&self, path: &Path) -> bool {
        if path.file_name().is_some_and(|n| n == "templates")
            && self.is_file(&path.with_file_name("Chart.yaml"))
        {
            self.report(skipped_folder(
                path,
                "holds templates of a Helm chart",
                "render the output of `helm template` instead: `helm template … | pillion render -`",
            ));
            return false;
        }
        if let Some(diagnostic) = self.files.check_ignore_file(path, false) {
            self.report(diagnostic);
            return false;
        }
        let Some(kustomization) = find_kustomization(path, self.files) else { return true };
        self.report(kustomize_folder(path, &kustomization));
        self.lock().kustomizations.push(kustomization);
        false
    }

    /// `values*.yaml` beside a Chart.yaml is input for templates.
    fn is_helm_values(&self, path: &Path) -> bool {
        let is_values = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("values"));
        (is_values || path.file_name().is_some_and(|n| n == "Chart.yaml"))
            && self.is_file(&path.with_file_name("Chart.yaml"))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.kind(path) == Some(FileKind::File)
    }

    fn report(&self, diagnostic: Diagnostic) {
        self.lock().diagnostics.push(diagnostic);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WalkFindings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken_symlink(message: String) -> Diagnostic {
    Diagnostic::error(Code::SymlinkOutside, message)
        .help("remove the link, or leave it out with `ignore:` in pillion.yaml")
}

fn kustomize_folder(folder: &Path, kustomization: &Path) -> Diagnostic {
    let folder = strip_dot_components(folder);
    let folder = if folder.as_os_str().is_empty() { ".".into() } else { display_name(&folder) };
    Diagnostic::error(
        Code::KustomizeFolder,
        format!("`{folder}` is a kustomization: its files are not manifests yet"),
    )
    .at(Span::whole_file(display_name(&strip_dot_components(kustomization))))
    .because("rendering them raw would inject before patches, prefixes and images are applied")
    .help(format!(
        "run `kustomize build {folder} | pillion render -`, or leave it out with `ignore:` in pillion.yaml"
    ))
}

/// A checkout has its files and a commit has none of them: a rollout would skip its workloads, and Complete move them.
fn submodule(path: &Path) -> Diagnostic {
    let folder = display_name(&strip_dot_components(path));
    Diagnostic::error(
        Code::UnreadableFile,
        format!("`{folder}` is a submodule: its files are not in this repository"),
    )
    .at(Span::whole_file(folder))
    .help("leave it out with `ignore:` in pillion.yaml, or keep its manifests in this repository")
}

fn skipped_folder(path: &Path, why: &str, help: &str) -> Diagnostic {
    let folder = display_name(&strip_dot_components(path));
    Diagnostic::note(Code::FolderSkipped, format!("`{folder}` {why} and is skipped"))
        .at(Span::whole_file(folder))
        .help(help)
}

/// Returns whether a file may be a manifest, by its ending.
pub(crate) fn is_manifest_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

/// The names that a kustomization may have (kustomize api/konfig).
pub(crate) const KUSTOMIZATION_NAMES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

fn find_kustomization(folder: &Path, files: &dyn FileSource) -> Option<PathBuf> {
    KUSTOMIZATION_NAMES.iter().map(|n| folder.join(n)).find(|p| files.kind(p) == Some(FileKind::File))
}
