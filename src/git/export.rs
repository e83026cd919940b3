//! Exports the files of a commit to a folder, for programs that read them from a disk.

use super::editor::is_dot_git;
use super::{Error, ObjectId, Repository, TreeEntryKind};
use std::fs;
use std::io;
use std::path::{Component, Path};

impl Repository {
    /// Writes the files of a tree to an empty folder, as git stores them; submodules become empty folders. Returns
    /// the symbolic links that are left out because their targets are not in the tree.
    ///
    /// # Errors
    /// When a file cannot be written, or a path of the tree leads out of it, or into a folder that git keeps for itself.
    pub fn export_tree(&self, tree: ObjectId, folder: &Path) -> Result<Vec<String>, Error> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            |source| Error::WriteFailed { path, source }
        };
        let root = folder.canonicalize().map_err(failed(folder))?;
        let mut links = Vec::new();
        for entry in self.list_files(tree, &[""])? {
            let inner = Path::new(&entry.path);
            let is_plain = inner.components().all(|part| matches!(part, Component::Normal(_)));
            if !is_plain || !entry.is_utf8 {
                let reason = "it leads out of the repository, or is not UTF-8".to_owned();
                return Err(Error::InvalidPath { path: entry.path, reason });
            }
            if inner.components().any(|part| is_dot_git(&part.as_os_str().to_string_lossy())) {
                let reason = "it leads into a folder of git's own".to_owned();
                return Err(Error::InvalidPath { path: entry.path, reason });
            }
            let path = folder.join(inner);
            match entry.kind {
                TreeEntryKind::Folder => {}
                TreeEntryKind::Gitlink => fs::create_dir_all(&path).map_err(failed(&path))?,
                TreeEntryKind::Symlink => links.push((path, entry)),
                TreeEntryKind::File | TreeEntryKind::Executable => {
                    let is_executable = entry.kind == TreeEntryKind::Executable;
                    write_file(&self.read_blob(entry.id)?, &path, is_executable).map_err(failed(&path))?;
                }
            }
        }
        // Links come last, so that no file is written through one.
        for (path, entry) in &links {
            let target = self.read_blob(entry.id)?;
            make_parent(path).map_err(failed(path))?;
            let parent = path.parent().unwrap_or(folder).canonicalize().map_err(failed(path))?;
            if !parent.starts_with(&root) {
                let reason = "a link of the tree leads out of the repository".to_owned();
                return Err(Error::InvalidPath { path: path.display().to_string(), reason });
            }
            create_link(&target, path).map_err(failed(path))?;
        }
        // All links exist now, so each is resolved through the others.
        links.retain(|(path, _)| {
            path.canonicalize().is_ok_and(|target| !target.starts_with(&root)) || !path.exists()
        });
        for (path, _) in &links {
            fs::remove_file(path).map_err(failed(path))?;
        }
        Ok(links.into_iter().map(|(_, entry)| entry.path).collect())
    }
}

fn write_file(bytes: &[u8], path: &Path, is_executable: bool) -> io::Result<()> {
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
fn create_link(target: &[u8], path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), path)
}

/// If symbolic links need a privilege, a file with the link's text takes its place, as in git.
#[cfg(not(unix))]
fn create_link(target: &[u8], path: &Path) -> io::Result<()> {
    write_file(target, path, false)
}
