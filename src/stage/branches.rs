//! Names of branches and of the remote, and where the branches are.

use super::Error;
use crate::git::{Identity, ObjectId, Repository};
use crate::model::config::{self, GitConfig, GitProvider};
use crate::model::defaults::{DEPLOY_BRANCH, IDENTITY_EMAIL, IDENTITY_NAME, REMOTE, STAGED_PATTERN};

/// Names of branches and of the remote, and the identity of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchConfig {
    /// The deploy branch.
    pub(crate) deploy: String,
    /// The branch of the sources, where that is another one.
    pub(crate) source: Option<String>,
    /// The remote.
    pub(crate) remote: String,
    /// The git provider of the remote, where pillion.yaml names it.
    pub(crate) provider: Option<GitProvider>,
    /// The pattern of staged branches; see [`BranchConfig::staged_ref`].
    pub(crate) staged_pattern: String,
    /// Author and committer of every commit.
    pub(crate) identity: Identity,
}

impl BranchConfig {
    /// Reads the `git` settings of pillion.yaml.
    ///
    /// # Errors
    /// When a name is invalid.
    pub fn from_repository(repository: &config::RepositoryConfig) -> Result<Self, Error> {
        let none = GitConfig::default();
        let git = repository.git.as_ref().unwrap_or(&none);
        let text =
            |written: &Option<String>, otherwise: &str| written.as_deref().unwrap_or(otherwise).to_owned();
        let deploy_branch = text(&git.deploy, DEPLOY_BRANCH);
        let pattern = text(&git.staged, STAGED_PATTERN);
        let identity = match &git.identity {
            Some(identity) => Identity::new(&identity.name, &identity.email)?,
            None => Identity::new(IDENTITY_NAME, IDENTITY_EMAIL)?,
        };
        Ok(Self {
            source: git.source.clone().filter(|source| *source != deploy_branch),
            deploy: deploy_branch,
            remote: text(&git.remote, REMOTE),
            provider: git.provider,
            staged_pattern: pattern,
            identity,
        })
    }

    /// Returns the branch of the sources: the deploy branch where that has them.
    pub(crate) fn source_branch(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.deploy)
    }

    /// Returns the ref of the staged branch of a SidecarSet. A pattern without `{cluster}` gets the cluster before
    /// the SidecarSet, where pillion.yaml names clusters.
    pub(crate) fn staged_ref(&self, cluster: Option<&str>, sidecar_set: &str) -> String {
        let set = match cluster {
            Some(cluster) if !self.staged_pattern.contains("{cluster}") => format!("{cluster}/{sidecar_set}"),
            _ => sidecar_set.to_owned(),
        };
        let name = self.staged_pattern.replace("{deploy}", &self.deploy).replace("{sidecarSet}", &set);
        format!("refs/heads/{}", name.replace("{cluster}", cluster.unwrap_or_default()))
    }

    /// Returns a glob that matches all staged branches.
    pub(crate) fn staged_glob(&self) -> String {
        let pattern = self.staged_pattern.replace("{deploy}", &self.deploy);
        format!("{}*", pattern.split('{').next().unwrap_or_default())
    }

    /// Returns the ref of the deploy branch in this repository.
    pub(crate) fn deploy_ref(&self) -> String {
        format!("refs/heads/{}", self.deploy)
    }

    /// Returns the tracking ref of the deploy branch.
    pub(crate) fn tracking_ref(&self) -> String {
        self.tracking_ref_of(&self.deploy_ref())
    }

    /// Returns the tracking ref of a branch.
    pub(crate) fn tracking_ref_of(&self, branch: &str) -> String {
        format!("refs/remotes/{}/{}", self.remote, branch.trim_start_matches("refs/heads/"))
    }

    /// Returns the default branch of the remote, in full, where this repository knows it.
    pub(crate) fn remote_default_branch(&self, repository: &Repository) -> Option<String> {
        let below = format!("refs/remotes/{}/", self.remote);
        let target = repository.symbolic_target(&format!("{below}HEAD"))?;
        Some(format!("refs/heads/{}", target.strip_prefix(&below)?))
    }

    /// Returns the ref of the deploy branch, and its commit: the tracking ref before the local one.
    pub(crate) fn find_deploy_branch(&self, repository: &Repository) -> Option<(String, ObjectId)> {
        self.find_branch(repository, &self.deploy)
    }

    /// Returns the ref of a branch, and its commit: the tracking ref before the local one.
    pub(crate) fn find_branch(&self, repository: &Repository, branch: &str) -> Option<(String, ObjectId)> {
        let names = [self.tracking_ref_of(branch), format!("refs/heads/{branch}")];
        names.into_iter().find_map(|name| repository.find_ref(&name).map(|id| (name, id)))
    }

    /// Returns the command that creates a branch on the remote: from the branch of this name here, else from HEAD.
    pub(crate) fn create_command(&self, repository: &Repository, branch: &str) -> String {
        match repository.find_ref(&format!("refs/heads/{branch}")) {
            Some(_) => format!("git push -u {} {branch}", self.remote),
            None => format!("git push {} HEAD:refs/heads/{branch}", self.remote),
        }
    }
}

/// Returns the name of a branch as people write it: `main`, `origin/main`.
pub(crate) fn short_ref_name(name: &str) -> &str {
    name.strip_prefix("refs/remotes/").or_else(|| name.strip_prefix("refs/heads/")).unwrap_or(name)
}
