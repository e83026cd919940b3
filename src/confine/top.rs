//! The folder that the files of a repository must not leave: the repository itself.

use super::Place;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The root of a repository, and a folder in it that is known by a name of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// The folder as the user names it, made absolute.
    named: PathBuf,
    /// The same folder without links.
    folder: PathBuf,
    /// The root, without links.
    root: Arc<Path>,
}

impl Top {
    /// Returns the repository that a folder is in: the nearest one above it with a `.git`, else `known`, else the
    /// folder itself. None when the folder does not exist.
    pub fn of(folder: &Path, known: Option<&Path>) -> Option<Self> {
        let named = absolute(folder)?;
        let folder = named.canonicalize().ok()?;
        let known = known.and_then(|root| absolute(root)?.canonicalize().ok());
        let root = match known.filter(|root| folder.starts_with(root)) {
            Some(root) => root,
            None => git_root(&folder).unwrap_or(&folder).to_owned(),
        };
        Some(Self { named, folder, root: root.into() })
    }

    /// As [`Top::of`], but None where no folder above has a `.git`.
    pub fn of_git(folder: &Path) -> Option<Self> {
        let top = Self::of(folder, None)?;
        git_root(&top.folder).is_some().then_some(top)
    }

    /// Returns the root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where a path of the user's is in the repository; None when it leads out of it. Only names count: what
    /// is there is not looked at.
    pub fn place(&self, path: &Path) -> Option<Place> {
        let path = absolute(path)?;
        let way = between(&self.named, &path);
        let up = way.components().filter(|step| *step == Component::ParentDir).count();
        let depth = self.folder.strip_prefix(&self.root).ok()?.components().count();
        // Above the root, the name of the folder says nothing of where it really is.
        let at = if up <= depth { plain(&self.folder.join(way)) } else { path };
        self.below(&at)
    }

    fn below(&self, at: &Path) -> Option<Place> {
        let inner = at.strip_prefix(&self.root).ok()?.to_owned();
        Some(Place { top: Arc::clone(&self.root), inner })
    }

    /// Returns where a folder or file is that a person typed: in the repository where it leads there, by its name or
    /// by the folder that it is in; else as it is named.
    pub fn place_of_typed(top: Option<&Self>, path: &Path) -> Place {
        let inside = top.and_then(|top| top.place_by_name(path).or_else(|| top.place_by_parent(path)));
        inside.unwrap_or_else(|| existing(path))
    }

    fn place_by_name(&self, path: &Path) -> Option<Place> {
        let path = absolute(path)?;
        let named = path.strip_prefix(&self.named).ok().and_then(|rest| self.below(&self.folder.join(rest)));
        named.or_else(|| self.below(&path))
    }

    fn place_by_parent(&self, path: &Path) -> Option<Place> {
        let path = absolute(path)?;
        let parent = path.parent()?.canonicalize().ok()?;
        self.below(&parent.join(path.file_name()?))
    }
}

/// Begins the way at the last folder that exists.
fn existing(path: &Path) -> Place {
    let named = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    let top = path.ancestors().find(|above| named(above).exists()).unwrap_or(path);
    let inner = path.strip_prefix(top).unwrap_or(Path::new("")).to_owned();
    Place { top: top.into(), inner }
}

fn git_root(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}

fn absolute(path: &Path) -> Option<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).ok().map(|path| plain(&path))
}

/// Takes `.` and `..` out of an absolute path, by name.
fn plain(path: &Path) -> PathBuf {
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
fn between(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_judged_by_its_name() {
        let top = Top {
            named: "/link/envs".into(),
            folder: "/repository/envs".into(),
            root: Path::new("/repository").into(),
        };
        let inner = |path: &str| top.place(Path::new(path)).map(|place| place.inner);
        assert_eq!(inner("/link/envs/a/../b.yaml"), Some("envs/b.yaml".into()));
        assert_eq!(inner("/link/apps"), Some("apps".into()));
        assert_eq!(inner("/link/envs"), Some("envs".into()));
        assert_eq!(inner("/apps"), None);
        assert_eq!(inner("/repository/apps"), Some("apps".into()));
        assert_eq!(inner("/other/repository/apps"), None);
        // What a person types is taken as it is named.
        let typed = |path: &str| Top::place_of_typed(Some(&top), Path::new(path)).path();
        assert_eq!(typed("/link/envs/out"), Path::new("/repository/envs/out"));
        assert_eq!(typed("/link/out"), Path::new("/link/out"));
        assert_eq!(typed("/repository/out"), Path::new("/repository/out"));
    }
}
