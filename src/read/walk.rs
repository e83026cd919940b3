//! Decides by file name and adjacent files which files below a folder are manifests; the same for disk and commits.

use super::file_source::FileSource;
use super::types::{
    EntryKind, FileKind, IgnoreRules, ManifestFile, ResolveError, WalkResult, strip_dot_components,
};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::sandbox::{SandboxPath, check_file_name};
use std::collections::BTreeMap;
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
    match find_kustomization(root, files) {
        Some(kustomization) => WalkResult {
            diagnostics: vec![kustomize_folder(root, &kustomization)],
            kustomizations: vec![kustomization],
            ..WalkResult::default()
        },
        None => files.find_manifests(root, place, ignore_rules),
    }
}

fn display_name(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Returns whether a walk skips a file or folder.
fn is_ignored(rules: &IgnoreRules, path: &Path, is_dir: bool, files: &dyn FileSource) -> bool {
    (is_dir && rules.folders.iter().any(|folder| is_same_folder(folder, path, files)))
        || rules.patterns.matched(path, is_dir).is_ignore()
}

/// Returns whether two names mean one folder; the files are read only where the names end alike.
fn is_same_folder(a: &Path, b: &Path, files: &dyn FileSource) -> bool {
    a == b
        || (a.file_name() == b.file_name()
            && matches!((files.resolve(a), files.resolve(b)), (Ok(a), Ok(b)) if a == b))
}

/// Applies the rules to each entry of a walk, and collects diagnostics.
///
/// A kustomization is found among the entries of its folder, so that no folder is asked for one. By then the walk may have
/// seen more of the folder, which [`WalkFilter::finish`] removes.
pub(crate) struct WalkFilter<'a> {
    files: &'a dyn FileSource,
    root: PathBuf,
    /// The root as messages have it: without `.` components.
    shown_root: PathBuf,
    place: SandboxPath,
    ignore_rules: IgnoreRules,
    findings: Mutex<WalkFindings>,
}

#[derive(Default)]
struct WalkFindings {
    /// The folders of kustomizations, and the file that `kustomize build` takes in each.
    kustomizations: BTreeMap<PathBuf, PathBuf>,
    /// The diagnostics, with the file or folder that each is about.
    diagnostics: Vec<(PathBuf, Diagnostic)>,
}

impl<'a> WalkFilter<'a> {
    /// Returns the rules for entries below `root`, which is at a place.
    pub(crate) fn new(
        files: &'a dyn FileSource,
        root: &Path,
        place: &SandboxPath,
        ignore_rules: &IgnoreRules,
    ) -> Self {
        Self {
            files,
            root: root.to_owned(),
            shown_root: strip_dot_components(root),
            place: place.clone(),
            ignore_rules: ignore_rules.clone(),
            findings: Mutex::default(),
        }
    }

    /// Returns whether a file is a manifest, or a folder may contain some.
    pub(super) fn admits(&self, path: &Path, entry: EntryKind) -> bool {
        let is_dir = matches!(entry, EntryKind::Folder | EntryKind::Submodule);
        if !is_dir {
            self.note_kustomization(path, entry);
        }
        if path.file_name().is_some_and(|n| n == ".git")
            || is_ignored(&self.ignore_rules, &self.shown_path(path), is_dir, self.files)
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
                self.report(path, submodule(path));
                false
            }
        }
    }

    /// Returns whether the name of a manifest is valid text.
    pub(crate) fn has_usable_name(&self, path: &Path) -> bool {
        check_file_name(self.relative_path(path)).map(|diagnostic| self.report(path, diagnostic)).is_none()
    }

    /// Returns an admitted file.
    pub(crate) fn manifest_file(&self, path: &Path) -> ManifestFile {
        let relative = self.relative_path(path);
        let path = self.shown_path(path);
        ManifestFile {
            name: display_name(&path),
            path,
            sandbox_path: self.place.join(relative),
            relative_path: relative.to_owned(),
        }
    }

    /// Returns whether a folder is known to be a kustomization, so that nothing below it is a manifest.
    pub(super) fn is_kustomization(&self, folder: &Path) -> bool {
        self.lock().kustomizations.contains_key(folder)
    }

    /// Removes what is below kustomizations from a walk, and adds the diagnostics in order.
    pub(crate) fn finish(&self, mut walk: WalkResult) -> WalkResult {
        let WalkFindings { kustomizations, diagnostics } = std::mem::take(&mut *self.lock());
        let is_outside = |path: &Path| {
            kustomizations.is_empty() || !path.ancestors().skip(1).any(|a| kustomizations.contains_key(a))
        };
        if !kustomizations.is_empty() {
            walk.files.retain(|file| is_outside(&self.root.join(&file.relative_path)));
        }
        let mut diagnostics: Vec<(PathBuf, Diagnostic)> =
            diagnostics.into_iter().filter(|(path, _)| is_outside(path)).collect();
        for (folder, kustomization) in kustomizations.iter().filter(|(folder, _)| is_outside(folder)) {
            diagnostics.push((kustomization.clone(), kustomize_folder(folder, kustomization)));
            walk.kustomizations.push(kustomization.clone());
        }
        // Whatever the order of the walk was: component by component, as the files.
        walk.kustomizations.sort();
        diagnostics.sort_by(|(a, _), (b, _)| a.cmp(b));
        walk.diagnostics.extend(diagnostics.into_iter().map(|(_, diagnostic)| diagnostic));
        walk
    }

    fn note_kustomization(&self, path: &Path, entry: EntryKind) {
        let Some(rank) = kustomization_rank(path) else { return };
        if entry != EntryKind::File && self.files.kind(path) != Some(FileKind::File) {
            return;
        }
        let mut seen = self.lock();
        let folder = path.parent().unwrap_or(Path::new(""));
        let known = seen.kustomizations.get(folder).and_then(|known| kustomization_rank(known));
        if known.is_none_or(|known| rank < known) {
            seen.kustomizations.insert(folder.to_owned(), path.to_owned());
        }
    }

    /// Returns the path of an entry from the root on.
    fn relative_path<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Returns the path of an entry as messages have it.
    fn shown_path(&self, path: &Path) -> PathBuf {
        self.shown_root.join(self.relative_path(path))
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
        self.report(path, diagnostic.at(Span::whole_file(link)));
    }

    fn admits_folder(&self, path: &Path) -> bool {
        if path.file_name().is_some_and(|n| n == "templates")
            && self.is_file(&path.with_file_name("Chart.yaml"))
        {
            let skipped = skipped_folder(
                path,
                "holds templates of a Helm chart",
                "render the output of `helm template` instead: `helm template … | pillion render -`",
            );
            self.report(path, skipped);
            return false;
        }
        match self.files.check_ignore_file(path, false) {
            Some(diagnostic) => {
                self.report(path, diagnostic);
                false
            }
            None => true,
        }
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

    /// Collects a diagnostic about a file or folder.
    pub(super) fn report(&self, path: &Path, diagnostic: Diagnostic) {
        self.lock().diagnostics.push((path.to_owned(), diagnostic));
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

/// Returns how soon `kustomize build` looks for a file of this name; `None`: it does not.
fn kustomization_rank(file: &Path) -> Option<usize> {
    let name = file.file_name()?;
    KUSTOMIZATION_NAMES.iter().position(|known| name == *known)
}

fn find_kustomization(folder: &Path, files: &dyn FileSource) -> Option<PathBuf> {
    KUSTOMIZATION_NAMES.iter().map(|n| folder.join(n)).find(|p| files.kind(p) == Some(FileKind::File))
}
