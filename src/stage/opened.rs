//! A repository with the names of its branches, and how a commit gets onto the live one: by a push with a lease, or
//! where there is no remote by moving the ref.

use super::{Branches, Failure, Live, Manifests};
use crate::diag::Diagnostic;
use crate::git::{Expected, Id, Move, Pushed, RefUpdate, Release, Repository, Signing, Upstream};
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
    /// It is there: the commit as it was released, and where, in words.
    At(Id, String),
    /// It was there already: somebody else has made the same commit and was faster.
    Same(Id, String),
    /// Somebody else was faster with another commit: this one, which went nowhere.
    Moved(Id),
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
        self.fetch_with(&[]).map(drop)
    }

    /// Brings the live branch up to date, that of the sources, and all staged ones.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_all(&self) -> Result<(), Failure> {
        self.fetch_with(&[&self.branches.all_staged()]).map(drop)
    }

    /// Brings the live branch up to date, that of the sources, and further ones; a name that ends in `*` means all
    /// that begin so. Returns the head of the live branch; None: there is none.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_with(&self, more: &[&str]) -> Result<Option<Id>, Failure> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        let source = self.branches.source.as_deref();
        let names: Vec<&str> =
            [self.branches.live.as_str()].into_iter().chain(source).chain(more.iter().copied()).collect();
        Ok(self.repository.fetch(&upstream, &names)?.first().copied().flatten())
    }

    /// Puts a commit on top of what is live, with the moment and the person of its release: the one way by which
    /// anything but a render gets there. Its id is another one then, tree and message are the same.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn release(&self, live: &Live<'_>, commit: Id, release: &Release<'_>) -> Result<Put, Failure> {
        let commit = self.repository.release(commit, release, &self.signing()?)?;
        self.push_from(commit, Expected::At(live.head.id))
    }

    /// Leaves a commit in this repository, as it would be released now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(&self, commit: Id, release: &Release<'_>) -> Result<Put, Failure> {
        let commit = self.repository.release(commit, release, &self.signing()?)?;
        self.repository.update_ref(OUTBOX, commit, Expected::Anything, "pillion: left here")?;
        Ok(Put::At(commit, format!("left at {OUTBOX}")))
    }

    /// Returns the command that pushes what was left here; None where there is no remote to push to.
    ///
    /// # Errors
    /// When there are only other remotes than the one that is meant.
    pub fn push_command(&self) -> Result<Option<String>, Failure> {
        let Branches { remote, live, .. } = &self.branches;
        let upstream = self.repository.upstream(remote)?;
        Ok((upstream != Upstream::Here).then(|| format!("git push {remote} {OUTBOX}:{live}")))
    }

    /// Brings the live branch up to date, and that of the sources, and makes sure that there is one to commit onto.
    ///
    /// # Errors
    /// When the remote cannot be reached, or has no such branch.
    pub fn fetch_live(&self) -> Result<(), Failure> {
        match self.fetch_with(&[])? {
            Some(_) => Ok(()),
            None => self.needs_live(None),
        }
    }

    /// Makes sure that the upstream has the live branch, as it was fetched last.
    ///
    /// # Errors
    /// When it has none.
    pub fn has_live(&self) -> Result<(), Failure> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        self.needs_live(self.repository.branch(&upstream, &self.branches.live))
    }

    fn needs_live(&self, head: Option<Id>) -> Result<(), Failure> {
        let Branches { remote, live, source, .. } = &self.branches;
        if head.is_some() || self.repository.upstream(remote)? == Upstream::Here {
            return Ok(());
        }
        let how = match source {
            Some(_) => format!("pillion render --branch {live} --create --push"),
            None => format!("git push -u {remote} {live}"),
        };
        Err(Failure::NotPushed { remote: remote.clone(), branch: live.clone(), how })
    }

    /// Pushes a commit to the live branch as it was fetched. Returns where it is now; None: somebody else was faster.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn push_live(&self, commit: Id) -> Result<Option<String>, Failure> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        let expected = Expected::read(self.repository.branch(&upstream, &self.branches.live));
        Ok(match self.push_from(commit, expected)? {
            Put::At(_, place) | Put::Same(_, place) => Some(place),
            Put::Moved(_) => None,
        })
    }

    fn push_from(&self, commit: Id, expected: Expected) -> Result<Put, Failure> {
        let Self { repository, branches, .. } = self;
        let upstream = repository.upstream(&branches.remote)?;
        let name = branches.local();
        let update = RefUpdate { name, to: Some(commit), expected, how: Move::FastForward };
        let pushed = match repository.push(&upstream, &[update])?.into_iter().next() {
            Some(Err(crate::git::Failure::RefMoved { .. })) => return Ok(Put::Moved(commit)),
            Some(outcome) => outcome?,
            None => Pushed::Same,
        };
        let place = match upstream {
            Upstream::Remote(remote) => {
                // git does so too, but not in every bare clone. What is pushed is pushed: another program that
                // writes this ref now brings it at least as far.
                let note = "pillion: pushed";
                drop(repository.update_ref(&branches.tracking(), commit, Expected::Anything, note));
                format!("pushed to {remote}/{}", branches.live)
            }
            Upstream::Here => format!("on {}", branches.live),
        };
        Ok(match pushed {
            Pushed::Moved => Put::At(commit, place),
            Pushed::Same => Put::Same(commit, place),
        })
    }
}
