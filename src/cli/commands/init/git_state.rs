//! What git says before `pillion init`: repository, branch, remote, depth, and what is not committed.

use crate::git::{Error, Repository, mask_credentials};
use crate::model::defaults::REMOTE;
use crate::read::normalize_path;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The state of the repository of the working folder.
pub(super) struct GitState {
    /// The repository; None: the folder is in none.
    pub(super) repository: Option<Repository>,
    /// The working folder, relative to the root of the working tree.
    pub(super) prefix: PathBuf,
    /// The root of the working tree, relative to the working folder.
    pub(super) root: PathBuf,
    /// Where HEAD is.
    pub(super) head: HeadState,
    /// The remote.
    pub(super) remote: Option<RemoteState>,
    /// Whether the history is cut off.
    pub(super) is_shallow: bool,
    /// Files that are not committed, relative to the root.
    pub(super) changes: Vec<String>,
    /// Whether the index has some of them.
    pub(super) has_staged: bool,
}

/// Where HEAD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeadState {
    /// There is no repository.
    NoRepository,
    /// On a branch without a commit.
    Unborn(String),
    /// On a branch.
    Branch(String),
    /// On a commit.
    Detached,
}

/// A remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteState {
    /// Its name.
    pub(super) name: String,
    /// Its URL.
    pub(super) url: String,
    /// Its default branch, as this clone knows it.
    pub(super) default_branch: Option<String>,
}

/// A CI system that `pillion init` can configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CiSystem {
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
    /// Gitea or Forgejo Actions
    Gitea,
    /// No file for CI
    None,
}

impl GitState {
    /// Reads the state of the repository of the working folder.
    ///
    /// # Errors
    /// When there is a repository that cannot be opened, or is bare.
    pub(super) fn read() -> Result<Self, Error> {
        let repository = match Repository::discover(Path::new(".")) {
            Ok(repository) => repository,
            Err(Error::RepositoryNotFound { .. }) => return Ok(Self::without_repository()),
            Err(error) => return Err(error),
        };
        let prefix = repository.working_folder();
        let root = prefix.components().map(|_| "..").collect();
        let head = match repository.head_branch() {
            None => HeadState::Detached,
            Some(name) => {
                let short = name.trim_start_matches("refs/heads/").to_owned();
                match repository.find_ref(&name) {
                    Some(_) => HeadState::Branch(short),
                    None => HeadState::Unborn(short),
                }
            }
        };
        let remote = repository.default_remote(REMOTE)?.map(|name| RemoteState {
            url: mask_credentials(&repository.remote_url(&name).unwrap_or_default()),
            default_branch: repository
                .symbolic_target(&format!("refs/remotes/{name}/HEAD"))
                .and_then(|target| Some(target.strip_prefix(&format!("refs/remotes/{name}/"))?.to_owned())),
            name,
        });
        let (is_shallow, has_staged) = (repository.is_shallow(), repository.has_staged_files()?);
        let changes = repository.uncommitted_files(&[".".to_owned()])?;
        Ok(Self { prefix, root, head, remote, is_shallow, changes, has_staged, repository: Some(repository) })
    }

    fn without_repository() -> Self {
        Self {
            repository: None,
            prefix: PathBuf::new(),
            root: PathBuf::new(),
            head: HeadState::NoRepository,
            remote: None,
            is_shallow: false,
            changes: Vec::new(),
            has_staged: false,
        }
    }

    /// Returns the branch of the sources: that of HEAD, else the default branch of the remote.
    pub(super) fn source_branch(&self) -> String {
        let default = self.remote.as_ref().and_then(|remote| remote.default_branch.clone());
        let is_pushed = |branch: &str| default.is_none() || self.is_on_remote(branch);
        match &self.head {
            HeadState::Unborn(branch) => branch.clone(),
            HeadState::Branch(branch) if is_pushed(branch) => branch.clone(),
            HeadState::Branch(branch) => default.unwrap_or_else(|| branch.clone()),
            HeadState::Detached | HeadState::NoRepository => default.unwrap_or_else(|| "main".to_owned()),
        }
    }

    /// Returns the name of the remote; without one the default, which it will have.
    pub(super) fn remote_name(&self) -> String {
        self.remote.as_ref().map_or_else(|| REMOTE.to_owned(), |remote| remote.name.clone())
    }

    /// Returns whether the remote had a branch when it was last fetched.
    pub(super) fn is_on_remote(&self, branch: &str) -> bool {
        let (Some(repository), Some(remote)) = (&self.repository, &self.remote) else { return false };
        repository.find_ref(&format!("refs/remotes/{}/{branch}", remote.name)).is_some()
    }

    /// Returns whether a file, relative to the working folder, is in a commit.
    pub(super) fn contains(&self, revision: &str, file: &str) -> bool {
        let path = normalize_path(&self.prefix.join(file));
        self.repository.as_ref().is_some_and(|repository| repository.has_path(revision, &path))
    }

    /// Returns the CI system that the repository or its remote shows.
    pub(super) fn ci_system(&self) -> CiSystem {
        let has = |file: &str| self.root.join(file).exists();
        let host = self.remote.as_ref().map_or("", |remote| host_of(&remote.url));
        match () {
            () if has(".gitea") || has(".forgejo") => CiSystem::Gitea,
            () if has(".gitlab-ci.yml") => CiSystem::Gitlab,
            () if host == "github.com" || has(".github/workflows") => CiSystem::Github,
            () if host.split('.').any(|part| part == "gitlab") => CiSystem::Gitlab,
            () if host == "codeberg.org" || host.split('.').any(|part| part == "gitea") => CiSystem::Gitea,
            () => CiSystem::None,
        }
    }
}

/// Returns the host of a URL, of a form that git knows; of a path it is empty.
pub(super) fn host_of(url: &str) -> &str {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest,
        // `git@host:path`; a colon after a slash is part of a path.
        None => match url.split_once(':') {
            Some((before, _)) if !before.contains('/') => before,
            _ => return "",
        },
    };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_is_found_in_every_form_of_a_url() {
        for (url, host) in [
            ("https://github.com/acme/deploy.git", "github.com"),
            ("https://x:***@gitlab.acme.example:8443/a/b", "gitlab.acme.example"),
            ("git@github.com:acme/deploy.git", "github.com"),
            ("ssh://git@codeberg.org/a/b", "codeberg.org"),
            ("../acme.git", ""),
            ("/srv/a:b.git", ""),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
