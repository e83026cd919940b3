//! How do the files of a commit come into a folder of their own, for a program that reads them from a disk?

use super::{Failure, Id, Kind, Repository};
use std::fs;
use std::io;
use std::path::{Component, Path};

impl Repository {
    /// Writes the files of a tree into an empty folder, as git stores them; submodules become empty folders.
    ///
    /// # Errors
    /// When a file cannot be written, or a path of the tree leads out of it.
    pub fn export(&self, tree: Id, folder: &Path) -> Result<(), Failure> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            |source| Failure::Write { path, source }
        };
        let root = folder.canonicalize().map_err(failed(folder))?;
        let mut links = Vec::new();
        for entry in self.files(tree, &[""])? {
            let inner = Path::new(&entry.path);
            let is_plain = inner.components().all(|part| matches!(part, Component::Normal(_)));
            if !is_plain || !entry.is_exact {
                let reason = "it leads out of the repository, or is not UTF-8".to_owned();
                return Err(Failure::Path { path: entry.path, reason });
            }
            let path = folder.join(inner);
            match entry.kind {
                Kind::Folder => {}
                Kind::Gitlink => fs::create_dir_all(&path).map_err(failed(&path))?,
                Kind::Link => links.push((path, entry.id)),
                Kind::File | Kind::Executable => {
                    let is_executable = entry.kind == Kind::Executable;
                    write(&self.read(entry.id)?, &path, is_executable).map_err(failed(&path))?;
                }
            }
        }
        // Last, so that no file is written through one.
        for (path, id) in links {
            let target = self.read(id)?;
            make_parent(&path).map_err(failed(&path))?;
            let parent = path.parent().unwrap_or(folder).canonicalize().map_err(failed(&path))?;
            if !parent.starts_with(&root) {
                let reason = "a link of the tree leads out of the repository".to_owned();
                return Err(Failure::Path { path: path.display().to_string(), reason });
            }
            link(&target, &path).map_err(failed(&path))?;
        }
        Ok(())
    }
}

fn write(bytes: &[u8], path: &Path, is_executable: bool) -> io::Result<()> {
    make_parent(path)?;
    fs::write(path, bytes)?;
    #[cfg(unix)]
    if is_executable {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = is_executable;
    Ok(())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

#[cfg(unix)]
fn link(target: &[u8], path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), path)
}

/// Where links are a matter of rights, the text of the link stands in its place, as git itself does it.
#[cfg(not(unix))]
fn link(target: &[u8], path: &Path) -> io::Result<()> {
    write(target, path, false)
}
