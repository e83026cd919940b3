//! A repository with the names of its branches, and how a commit gets onto the live one: by a push with a lease, or
//! where there is no remote by moving the ref.

use super::{Branches, Failure, Live, Manifests};
use crate::diag::Diagnostic;
use crate::git::{Expected, Id, Move, Pushed, RefUpdate, Repository, Signing, Upstream};
use std::path::PathBuf;

/// Where commits wait that are not to be pushed.
const OUTBOX: &str = "refs/pillion/outbox";

/// A repository, and what its pillion.yaml says of branches.
pub struct Opened {
    /// The repository.
    pub repository: Repository,
    /// Where pillion.yaml is in the tree of the sources.
    pub config: PathBuf,
    /// Names of branches, remote and identity.
    pub branches: Branches,
    /// Manifests that are no plain files.
    pub manifests: Manifests,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is there; in words.
    At(String),
    /// It was there already: somebody else has made the same commit and was faster; in words.
    Same(String),
    /// Somebody else was faster.
    Moved,
}

impl Opened {
    /// Reads what is live, as it was fetched last; None without a sound pillion.yaml there.
    ///
    /// # Errors
    /// As [`Live::read`].
    pub fn read(&self) -> Result<(Option<Live<'_>>, Vec<Diagnostic>), Failure> {
        let (live, wrong) = Live::read(&self.repository, &self.branches, &self.config)?;
        Ok((live.map(|live| live.with_manifests(&self.manifests)), wrong))
    }

    /// Opens the same repository once more, for another thread.
    ///
    /// # Errors
    /// When it is no longer there.
    pub fn again(&self) -> Result<Self, Failure> {
        let repository = self.repository.again()?;
        let (config, branches) = (self.config.clone(), self.branches.clone());
        Ok(Self { repository, config, branches, manifests: self.manifests.clone() })
    }

    /// Returns how commits are signed.
    ///
    /// # Errors
    /// When git's configuration cannot be read.
    pub fn signing(&self) -> Result<Signing<'_>, Failure> {
        Ok(Signing::configured(&self.repository)?)
    }

    /// Brings the live branch up to date, and that of the sources.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch(&self) -> Result<(), Failure> {
        self.fetch_with(&[])
    }

    /// Brings the live branch up to date, that of the sources, and all staged ones.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_all(&self) -> Result<(), Failure> {
        self.fetch_with(&[&self.branches.all_staged()])
    }

    /// Brings the live branch up to date, that of the sources, and further ones; a name that ends in `*` means all
    /// that begin so.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_with(&self, more: &[&str]) -> Result<(), Failure> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        let source = self.branches.source.as_deref();
        let names: Vec<&str> =
            [self.branches.live.as_str()].into_iter().chain(source).chain(more.iter().copied()).collect();
        self.repository.fetch(&upstream, &names)?;
        Ok(())
    }

    /// Puts a commit on top of what is live; with `stays` it is left in this repository.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn land(&self, live: &Live<'_>, commit: Id, stays: bool) -> Result<Put, Failure> {
        let Self { repository, branches, .. } = self;
        if stays {
            repository.update_ref(OUTBOX, commit, Expected::Anything, "pillion: left here by --no-push")?;
            let release = format!("git push {} {OUTBOX}:{}", branches.remote, branches.live);
            return Ok(Put::At(format!("left at {OUTBOX}; `{release}` releases it")));
        }
        self.push_from(commit, Expected::At(live.head.id))
    }

    /// Pushes a commit to the live branch as it was fetched. Returns where it is now; None: somebody else was faster.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn push_live(&self, commit: Id) -> Result<Option<String>, Failure> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        let expected = Expected::read(self.repository.branch(&upstream, &self.branches.live));
        Ok(match self.push_from(commit, expected)? {
            Put::At(place) | Put::Same(place) => Some(place),
            Put::Moved => None,
        })
    }

    fn push_from(&self, commit: Id, expected: Expected) -> Result<Put, Failure> {
        let Self { repository, branches, .. } = self;
        let upstream = repository.upstream(&branches.remote)?;
        let name = branches.local();
        let update = RefUpdate { name, to: Some(commit), expected, how: Move::FastForward };
        let pushed = match repository.push(&upstream, &[update])?.into_iter().next() {
            Some(Err(crate::git::Failure::RefMoved { .. })) => return Ok(Put::Moved),
            Some(outcome) => outcome?,
            None => Pushed::Same,
        };
        let place = match upstream {
            Upstream::Remote(remote) => {
                // git does so too, but not in every bare clone.
                let note = "pillion: pushed";
                repository.update_ref(&branches.tracking(), commit, Expected::Anything, note)?;
                format!("pushed to {remote}/{}", branches.live)
            }
            Upstream::Here => format!("on {}", branches.live),
        };
        Ok(match pushed {
            Pushed::Moved => Put::At(place),
            Pushed::Same => Put::Same(place),
        })
    }
}
