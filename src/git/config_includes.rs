//! Refuses git configuration from files that a commit can change: `include.path` of a clone may name a file of the
//! working tree, as some teams do for aliases. Keys that start programs do not count from there.

use super::{Error, Repository};
use std::path::{Path, PathBuf};

/// Keys by which git starts programs for fetch, push or signing: the section, and the name in it.
const PROGRAM_KEYS: &[(&str, &str)] = &[
    ("core", "alternaterefscommand"),
    ("core", "askpass"),
    ("core", "gitproxy"),
    ("core", "sshcommand"),
    ("credential", "helper"),
    ("gpg", "defaultkeycommand"),
    ("gpg", "program"),
    ("remote", "receivepack"),
    ("remote", "uploadpack"),
    ("remote", "vcs"),
];

impl Repository {
    /// Fails if a file of the working tree says which programs git starts. The check runs once.
    pub(super) fn check_config_includes(&self) -> Result<(), Error> {
        if self.is_config_checked.get() {
            return Ok(());
        }
        if let Some((key, file)) = self.find_included_program()? {
            return Err(Error::IncludedProgram { key, file: file.display().to_string() });
        }
        self.is_config_checked.set(true);
        Ok(())
    }

    /// Returns the first such key, and its file.
    fn find_included_program(&self) -> Result<Option<(String, PathBuf)>, Error> {
        let Some(root) = self.root() else { return Ok(None) };
        let output = self.run_git(&["config", "--null", "--show-scope", "--show-origin", "--list"])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let parts: Vec<&str> = text.split('\0').collect();
        let found = parts.chunks_exact(3).find_map(|entry| {
            let [scope, origin, setting] = entry else { return None };
            let key = setting.lines().next().unwrap_or_default();
            let file = root.join(origin.strip_prefix("file:")?);
            let is_own = ["local", "worktree"].contains(scope);
            (is_own && starts_program(key) && self.is_in_worktree(&file)).then(|| (key.to_owned(), file))
        });
        Ok(found)
    }

    /// Returns whether a file is in the working tree, outside of git's own folders.
    fn is_in_worktree(&self, file: &Path) -> bool {
        let found = |path: &Path| path.canonicalize().ok();
        let (Some(file), Some(root)) = (found(file), self.root().and_then(found)) else { return false };
        let is_of_git = [self.git_dir(), self.inner.commondir()];
        let is_of_git = is_of_git.iter().filter_map(|folder| found(folder)).any(|own| file.starts_with(own));
        file.starts_with(root) && !is_of_git
    }
}

fn starts_program(key: &str) -> bool {
    let (section, name) = (key.split('.').next(), key.rsplit('.').next());
    let known = PROGRAM_KEYS.iter().find(|(s, n)| Some(*s) == section && Some(*n) == name);
    known.is_some()
}
