//! What are the branches of a repository called, and where do they stand?

use super::Failure;
use crate::git::{Id, Identity, Repository};
use crate::model::repository::{self, Git};

/// The branch that the cluster follows, where pillion.yaml names none.
const LIVE: &str = "main";
/// The remote, where pillion.yaml names none.
const REMOTE: &str = "origin";
/// The names of staged branches, where pillion.yaml gives no pattern.
const STAGED: &str = "pillion/{live}/{sidecarSet}";
/// Author and committer, where pillion.yaml names none.
const IDENTITY: [&str; 2] = ["pillion", "pillion@localhost"];

/// Names of branches and of the remote, and who commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches {
    /// The branch that the cluster follows.
    pub live: String,
    /// The branch of the sources, where that is another one.
    pub source: Option<String>,
    /// The remote.
    pub remote: String,
    /// The pattern of staged branches; see [`Branches::staged`].
    pub pattern: String,
    /// Author and committer of every commit.
    pub identity: Identity,
}

impl Branches {
    /// Takes what pillion.yaml says.
    ///
    /// # Errors
    /// When a name of it cannot be used.
    pub fn of(repository: &repository::Repository) -> Result<Self, Failure> {
        let none = Git::default();
        let git = repository.git.as_ref().unwrap_or(&none);
        let text =
            |written: &Option<String>, otherwise: &str| written.as_deref().unwrap_or(otherwise).to_owned();
        let live = text(&git.live, LIVE);
        let pattern = text(&git.staged, STAGED);
        let identity = match &git.identity {
            Some(identity) => Identity::new(&identity.name, &identity.email)?,
            None => Identity::new(IDENTITY[0], IDENTITY[1])?,
        };
        Ok(Self {
            source: git.source.clone().filter(|source| *source != live),
            live,
            remote: text(&git.remote, REMOTE),
            pattern,
            identity,
        })
    }

    /// Returns the ref of the staged branch of a SidecarSet. A pattern without `{cluster}` gets the cluster before
    /// the SidecarSet, where pillion.yaml names clusters.
    pub fn staged(&self, cluster: Option<&str>, sidecar_set: &str) -> String {
        let set = match cluster {
            Some(cluster) if !self.pattern.contains("{cluster}") => format!("{cluster}/{sidecar_set}"),
            _ => sidecar_set.to_owned(),
        };
        let name = self.pattern.replace("{live}", &self.live).replace("{sidecarSet}", &set);
        format!("refs/heads/{}", name.replace("{cluster}", cluster.unwrap_or_default()))
    }

    /// Returns the beginning of the names of all staged branches, with a `*`.
    pub fn all_staged(&self) -> String {
        let pattern = self.pattern.replace("{live}", &self.live);
        format!("{}*", pattern.split('{').next().unwrap_or_default())
    }

    /// Returns the ref of the live branch in this repository.
    pub fn local(&self) -> String {
        format!("refs/heads/{}", self.live)
    }

    /// Returns the ref that says where the live branch of the remote was when it was last fetched.
    pub fn tracking(&self) -> String {
        self.tracking_of(&self.local())
    }

    /// Returns the ref that says where a branch of the remote was when it was last fetched.
    pub fn tracking_of(&self, branch: &str) -> String {
        format!("refs/remotes/{}/{}", self.remote, branch.trim_start_matches("refs/heads/"))
    }

    /// Returns the default branch of the remote, in full, where this repository knows it.
    pub fn default_of_remote(&self, repository: &Repository) -> Option<String> {
        let below = format!("refs/remotes/{}/", self.remote);
        let target = repository.symbolic_target(&format!("{below}HEAD"))?;
        Some(format!("refs/heads/{}", target.strip_prefix(&below)?))
    }

    /// Returns the ref that tells where the live branch is, and its commit: the remote's word counts before that
    /// of this clone.
    pub fn find_live(&self, repository: &Repository) -> Option<(String, Id)> {
        let names = [self.tracking(), self.local()];
        names.into_iter().find_map(|name| repository.find_ref(&name).map(|id| (name, id)))
    }
}
