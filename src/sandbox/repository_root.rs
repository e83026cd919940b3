//! The root folder that the files of a repository must not leave.

use super::{SandboxPath, or_current_dir};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The root of a repository, and a folder in it that is known by a name of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRoot {
    /// The folder as the user names it, made absolute.
    named_folder: PathBuf,
    /// The same folder without links.
    real_folder: PathBuf,
    /// The root, without links.
    root: Arc<Path>,
}

impl RepositoryRoot {
    /// Returns the repository that a folder is in: the nearest one above it with a `.git`, else `known`, else the
    /// folder itself. None when the folder does not exist.
    pub(crate) fn containing(folder: &Path, known: Option<&Path>) -> Option<Self> {
        let named = to_absolute(folder)?;
        let folder = named.canonicalize().ok()?;
        let known = known.and_then(|root| to_absolute(root)?.canonicalize().ok());
        let root = match known.filter(|root| folder.starts_with(root)) {
            Some(root) => root,
            None => find_git_root(&folder).unwrap_or(&folder).to_owned(),
        };
        Some(Self { named_folder: named, real_folder: folder, root: root.into() })
    }

    /// As [`RepositoryRoot::containing`], but None if no folder above has a `.git`.
    pub(crate) fn of_git_repository(folder: &Path) -> Option<Self> {
        let top = Self::containing(folder, None)?;
        find_git_root(&top.real_folder).is_some().then_some(top)
    }

    /// Returns the root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where a path of the user's is in the repository; None when it leads out of it. Only names count: what
    /// is there is not looked at.
    pub(crate) fn resolve(&self, path: &Path) -> Option<SandboxPath> {
        let path = to_absolute(path)?;
        let way = relative_path(&self.named_folder, &path);
        let up = way.components().filter(|step| *step == Component::ParentDir).count();
        let depth = self.real_folder.strip_prefix(&self.root).ok()?.components().count();
        // Above the root, the name of the folder says nothing of where it really is.
        let at = if up <= depth { normalize(&self.real_folder.join(way)) } else { path };
        self.resolve_below(&at)
    }

    fn resolve_below(&self, at: &Path) -> Option<SandboxPath> {
        let inner = at.strip_prefix(&self.root).ok()?.to_owned();
        Some(SandboxPath { base: Arc::clone(&self.root), relative: inner })
    }

    /// Returns where a folder or file is that a person typed: in the repository where it leads there, by its name or
    /// by the folder that it is in; else as it is named.
    pub(crate) fn resolve_user_path(top: Option<&Self>, path: &Path) -> SandboxPath {
        let inside = top.and_then(|top| top.resolve_by_name(path).or_else(|| top.resolve_by_parent(path)));
        inside.unwrap_or_else(|| from_existing_ancestor(path))
    }

    fn resolve_by_name(&self, path: &Path) -> Option<SandboxPath> {
        let path = to_absolute(path)?;
        let named = path
            .strip_prefix(&self.named_folder)
            .ok()
            .and_then(|rest| self.resolve_below(&self.real_folder.join(rest)));
        named.or_else(|| self.resolve_below(&path))
    }

    fn resolve_by_parent(&self, path: &Path) -> Option<SandboxPath> {
        let path = to_absolute(path)?;
        let parent = path.parent()?.canonicalize().ok()?;
        self.resolve_below(&parent.join(path.file_name()?))
    }
}

/// Begins the way at the last folder that exists.
fn from_existing_ancestor(path: &Path) -> SandboxPath {
    let top = path.ancestors().find(|above| or_current_dir(above).exists()).unwrap_or(path);
    let inner = path.strip_prefix(top).unwrap_or(Path::new("")).to_owned();
    SandboxPath { base: top.into(), relative: inner }
}

fn find_git_root(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}

fn to_absolute(path: &Path) -> Option<PathBuf> {
    std::path::absolute(or_current_dir(path)).ok().map(|path| normalize(&path))
}

/// Takes `.` and `..` out of an absolute path, by name.
fn normalize(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// Returns the way from one absolute path to another.
fn relative_path(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_judged_by_its_name() {
        let top = RepositoryRoot {
            named_folder: "/link/envs".into(),
            real_folder: "/repository/envs".into(),
            root: Path::new("/repository").into(),
        };
        let inner = |path: &str| top.resolve(Path::new(path)).map(|place| place.relative);
        assert_eq!(inner("/link/envs/a/../b.yaml"), Some("envs/b.yaml".into()));
        assert_eq!(inner("/link/apps"), Some("apps".into()));
        assert_eq!(inner("/link/envs"), Some("envs".into()));
        assert_eq!(inner("/apps"), None);
        assert_eq!(inner("/repository/apps"), Some("apps".into()));
        assert_eq!(inner("/other/repository/apps"), None);
        // What a person types is taken as it is named.
        let typed = |path: &str| RepositoryRoot::resolve_user_path(Some(&top), Path::new(path)).path();
        assert_eq!(typed("/link/envs/out"), Path::new("/repository/envs/out"));
        assert_eq!(typed("/link/out"), Path::new("/link/out"));
        assert_eq!(typed("/repository/out"), Path::new("/repository/out"));
    }
}
