//! Finds pillion.yaml: the nearest one for a command, the topmost one of the repository where an application is rendered,
//! because a file beside the application could take its sidecars away.

use super::Layout;
use crate::read::normalize_path;
use crate::sandbox::or_current_dir;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The variable with which an operator selects the pillion.yaml that applies, relative to the root of the repository.
pub(super) const CONFIG_VARIABLE: &str = "PILLION_CONFIG";

/// Finds pillion.yaml in the folder of `start` or above, up to the root of the git repository.
pub(crate) fn find_config(start: &Path) -> Option<PathBuf> {
    let mut folder = if start.is_dir() { start.to_owned() } else { start.parent()?.to_owned() };
    // The file system resolves `..` in a name and the parents of a relative one.
    for _ in 0..256 {
        let candidate = normalize_path(&folder.join("pillion.yaml"));
        // An unreadable file is still the configuration: to skip it would drop all its settings.
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

/// Returns the parent folder, by name where the name contains it.
fn parent_folder(folder: &Path) -> Option<PathBuf> {
    let folder = normalize_path(folder);
    match folder.components().next_back() {
        Some(Component::Normal(_)) => folder.parent().map(Path::to_owned),
        Some(Component::RootDir | Component::Prefix(_)) => None,
        _ => canonical_folder(&folder)?.parent().map(|_| folder.join("..")),
    }
}

/// Finds the topmost pillion.yaml from the root down to this folder; its path is relative to the working folder.
pub(super) fn find_topmost_config(folder: &Path, root: &Path) -> Option<PathBuf> {
    let (here, root) = (canonical_folder(folder)?, root.canonicalize().ok()?);
    let above: Vec<&Path> = here.ancestors().take_while(|above| above.starts_with(&root)).collect();
    // An unreadable file is still the configuration: to skip it would drop all its settings.
    let has_one = |above: &&Path| above.join("pillion.yaml").symlink_metadata().is_ok();
    let steps = above.iter().rposition(has_one)?;
    Some(path_above(folder, &here, steps).join("pillion.yaml"))
}

/// Returns the folder a number of steps above another one, relative to the working folder where possible.
fn path_above(folder: &Path, here: &Path, steps: usize) -> PathBuf {
    let wanted = here.ancestors().nth(steps).unwrap_or(here);
    let path = normalize_path(&folder.join("../".repeat(steps)));
    let is_it = self::canonical_folder(&path).is_some_and(|found| found == *wanted);
    if is_it { path } else { wanted.to_owned() }
}

/// Returns the root of the repository that a folder is in, where the caller does not know it: the outermost folder with a
/// `.git`, because the application may be a submodule or bring a `.git` of its own.
pub(super) fn find_repository_root(folder: &Path) -> Option<PathBuf> {
    let here = canonical_folder(folder)?;
    let is_root = |above: &&Path| is_of_one_owner(&here, &above.join(".git"));
    here.ancestors().filter(is_root).last().map(Path::to_owned)
}

/// Returns the outermost folder of the same owner that no other user can write to: the limit of the search outside of a
/// repository.
pub(super) fn find_private_root(folder: &Path) -> PathBuf {
    let Some(here) = canonical_folder(folder) else { return folder.to_owned() };
    let private = here.ancestors().skip(1).take_while(|above| is_private(&here, above)).last();
    private.unwrap_or(&here).to_owned()
}

/// Returns the root of the repository in which `source_path` is the working folder, as Argo CD says; a link on the way
/// changes nothing. It is the topmost folder that fits, because folders below may have the same names.
pub(crate) fn find_application_root(source_path: &str) -> Option<PathBuf> {
    let here = canonical_folder(Path::new(""))?;
    let source_path = Path::new(source_path.trim_start_matches('/'));
    let is_root = |above: &&Path| above.join(source_path).canonicalize().is_ok_and(|found| found == here);
    here.ancestors().filter(is_root).last().map(Path::to_owned)
}

fn canonical_folder(folder: &Path) -> Option<PathBuf> {
    or_current_dir(folder).canonicalize().ok()
}

/// Returns the namespace that a rule of pillion.yaml gives to a folder.
pub(super) fn namespace_of_folder(folder: &Path, layout: &Layout) -> Option<Arc<str>> {
    let here = canonical_folder(folder)?;
    let holds = |folder: &Path| canonical_folder(folder).is_some_and(|folder| here.starts_with(folder));
    layout.namespace_rules().rules.into_iter().find(|(folder, _)| holds(folder)).map(|(_, name)| name)
}

#[cfg(unix)]
fn is_of_one_owner(folder: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    matches!((folder.symlink_metadata(), other.symlink_metadata()), (Ok(a), Ok(b)) if a.uid() == b.uid())
}

#[cfg(unix)]
fn is_private(folder: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let others_write = 0o002;
    is_of_one_owner(folder, other) && other.metadata().is_ok_and(|m| m.mode() & others_write == 0)
}

#[cfg(not(unix))]
fn is_of_one_owner(_: &Path, other: &Path) -> bool {
    other.exists()
}

#[cfg(not(unix))]
fn is_private(_: &Path, _: &Path) -> bool {
    false
}
