//! A repository with its branches, and the push of commits to the deploy branch: with a lease, or without a remote by
//! moving the ref.

use super::preconditions::RewrittenBranch;
use super::{BranchConfig, CommitAction, DeployBranch, Error};
use crate::diagnostics::{Diagnostic, escape};
use crate::git::{
    self, CommitTime, ExpectedRef, NewCommit, ObjectId, PushStatus, RefMove, RefUpdate, ReleaseStamp,
    Repository, Signature, Signing, Upstream, trailer,
};
use crate::workspace::ManifestSource;
use std::path::PathBuf;

/// A head that is more than this many seconds ahead of the clock has a wrong date, which is ignored.
const MAX_CLOCK_SKEW: i64 = 600;

/// The ref of commits that are not pushed (`--no-push`).
const OUTBOX: &str = "refs/pillion/outbox";

/// The deploy branches of remotes when this clone last read them, by remote and branch.
const LAST_HEAD: &str = "refs/pillion/seen";

/// On the remote: the head of a rewritten deploy branch that a person has accepted, below a commit that records who,
/// by branch.
const ACCEPTED: &str = "refs/pillion/accepted";

/// The accepted heads that this clone knew when it last read them, by remote and branch.
const LAST_ACCEPTED: &str = "refs/pillion/known";

/// A repository, and the branches of its pillion.yaml.
pub struct RepoContext {
    /// The repository.
    pub repository: Repository,
    /// The path of pillion.yaml in the sources.
    pub config: PathBuf,
    /// Names of branches, remote and identity.
    pub branches: BranchConfig,
    /// Manifests that are not plain files.
    pub manifest_source: ManifestSource,
}

/// The result of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The commit was pushed: the commit as released, and where to, in words.
    Pushed(ObjectId, String),
    /// The commit was there already: another process pushed the same one first.
    Unchanged(ObjectId, String),
    /// Another commit was pushed first: this one went nowhere.
    NonFastForward,
}

impl RepoContext {
    /// Reads the deploy branch as it was fetched last; None without a valid pillion.yaml there, and where the deploy
    /// branch was rewritten since this clone last read it.
    ///
    /// # Errors
    /// As [`DeployBranch::read`].
    pub fn read_deploy_branch(&self) -> Result<(Option<DeployBranch<'_>>, Vec<Diagnostic>), Error> {
        match self.check_rewritten()? {
            Some(diagnostic) => Ok((None, vec![diagnostic])),
            None => self.read_unchecked(),
        }
    }

    /// Returns the head of the deploy branch, as it was fetched last.
    pub(crate) fn deploy_head(&self) -> Option<ObjectId> {
        self.branches.find_deploy_branch(&self.repository).map(|(_, head)| head)
    }

    /// Reads the deploy branch even if it was rewritten: for commands that only read.
    ///
    /// # Errors
    /// As [`DeployBranch::read`].
    pub(crate) fn read_unchecked(&self) -> Result<(Option<DeployBranch<'_>>, Vec<Diagnostic>), Error> {
        let (deploy_branch, diagnostics) =
            DeployBranch::read(&self.repository, &self.branches, &self.config)?;
        Ok((
            deploy_branch.map(|deploy_branch| deploy_branch.with_manifests(&self.manifest_source)),
            diagnostics,
        ))
    }

    /// Reports a deploy branch that has lost the head which this clone last read; else records its head. A clone that
    /// never read it has nothing to compare.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn check_rewritten(&self) -> Result<Option<Diagnostic>, Error> {
        let Upstream::Remote(remote) = self.repository.upstream(&self.branches.remote)? else {
            return Ok(None);
        };
        // The recorded head is read first: another process may move both in between, and then only forward.
        let seen = self.repository.find_ref(&self.remote_ref(LAST_HEAD, &remote));
        let Some(head) = self.repository.find_ref(&self.branches.tracking_ref()) else { return Ok(None) };
        let Some(seen) = seen.filter(|seen| *seen != head) else {
            self.remember_head(&remote, head);
            return Ok(None);
        };
        let follows = match self.repository.is_ancestor(seen, head) {
            // The depth of a shallow clone says nothing about the branch.
            Err(git::Error::Shallow { .. }) => true,
            found => found?,
        };
        if follows || self.is_accepted(&remote, head)? {
            self.remember_head(&remote, head);
            return Ok(None);
        }
        let which = format!("which was its head on `{remote}` when this clone last read it");
        let lost_commit = &self.repository.commit(seen)?;
        let branch = &self.branches.deploy;
        Ok(Some(
            RewrittenBranch { branch, lost_commit, evidence: which, head, config: &self.config }
                .to_diagnostic(),
        ))
    }

    /// Accepts a rewritten deploy branch; with a release, in the name of its person, for all clones.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub(crate) fn accept_rewritten(&self, release: Option<&ReleaseStamp<'_>>) -> Result<(), Error> {
        let Self { repository, branches, .. } = self;
        let upstream = repository.upstream(&branches.remote)?;
        let head = repository.find_ref(&branches.tracking_ref());
        let (Upstream::Remote(remote), Some(head)) = (&upstream, head) else { return Ok(()) };
        if let Some(release) = release {
            let message = format!(
                "accept `{}` at {} as it is, although it was rewritten",
                branches.deploy,
                head.short()
            );
            let message = trailer::format_message(&message, "", &[CommitAction::Accept.to_trailer()]);
            let who = Signature::new(&branches.identity, release.at);
            let (tree, parents) = (repository.commit(head)?.tree, &[head]);
            let new = NewCommit { tree, parents, message: &message, author: who, committer: who };
            let commit = repository.write_commit(&new, &Signing::disabled())?;
            let commit = repository.release_commit(commit, release, &self.signing()?)?;
            let name = self.accepted_ref();
            let before = repository.find_ref(&name);
            let (to, expected, how) = (Some(commit), ExpectedRef::from_found(before), RefMove::Force);
            for pushed in
                repository.push(&upstream, &[RefUpdate { name: name.clone(), to, expected, kind: how }])?
            {
                pushed?;
            }
            repository.update_ref(&name, commit, ExpectedRef::Any, "pillion: accepted")?;
        }
        self.remember_head(remote, head);
        Ok(())
    }

    /// Returns whether a person has accepted the present head since this clone last read the branch.
    fn is_accepted(&self, remote: &str, head: ObjectId) -> Result<bool, Error> {
        let accepted = self.repository.find_ref(&self.accepted_ref());
        let known = self.repository.find_ref(&self.remote_ref(LAST_ACCEPTED, remote));
        let Some(accepted) = accepted.filter(|accepted| Some(*accepted) != known) else { return Ok(false) };
        let base = self.repository.commit(accepted)?.parents.first().copied();
        Ok(base.is_some_and(|base| matches!(self.repository.is_ancestor(base, head), Ok(true))))
    }

    /// Records the head. A clone that cannot be written has nothing to compare next time, like a new one.
    fn remember_head(&self, remote: &str, head: ObjectId) {
        let known = self
            .repository
            .find_ref(&self.accepted_ref())
            .map(|known| (self.remote_ref(LAST_ACCEPTED, remote), known));
        for (name, to) in known.into_iter().chain([(self.remote_ref(LAST_HEAD, remote), head)]) {
            if self.repository.find_ref(&name) != Some(to) {
                drop(self.repository.update_ref(&name, to, ExpectedRef::Any, "pillion: seen"));
            }
        }
    }

    fn remote_ref(&self, below: &str, remote: &str) -> String {
        format!("{below}/{remote}/{}", self.branches.deploy)
    }

    fn accepted_ref(&self) -> String {
        format!("{ACCEPTED}/{}", self.branches.deploy)
    }

    /// Opens the same repository again, for another thread.
    ///
    /// # Errors
    /// When it no longer exists.
    pub(crate) fn reopen(&self) -> Result<Self, Error> {
        let repository = self.repository.reopen()?;
        let (config, branches) = (self.config.clone(), self.branches.clone());
        Ok(Self { repository, config, branches, manifest_source: self.manifest_source.clone() })
    }

    /// Returns how commits are signed.
    ///
    /// # Errors
    /// When git's configuration cannot be read.
    pub(crate) fn signing(&self) -> Result<Signing<'_>, Error> {
        Ok(Signing::from_config(&self.repository)?)
    }

    /// Fetches the deploy branch and the source branch.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub(crate) fn fetch(&self) -> Result<(), Error> {
        self.fetch_with(&[]).map(drop)
    }

    /// Fetches the deploy branch, the source branch and all staged branches.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_with_staged(&self) -> Result<(), Error> {
        self.fetch_with(&[&self.branches.staged_glob()]).map(drop)
    }

    /// Fetches the deploy branch, the source branch and further ones; a name that ends in `*` is a prefix. Returns
    /// the head of the deploy branch; None: it does not exist.
    ///
    /// # Errors
    /// When the remote cannot be reached, or no longer has the deploy branch.
    pub(crate) fn fetch_with(&self, more: &[&str]) -> Result<Option<ObjectId>, Error> {
        let BranchConfig { remote, deploy: deploy_branch, source, .. } = &self.branches;
        let upstream = self.repository.upstream(remote)?;
        let accepted = format!("{ACCEPTED}/*");
        let names: Vec<&str> = [deploy_branch.as_str()]
            .into_iter()
            .chain(source.as_deref())
            .chain([accepted.as_str()])
            .chain(more.iter().copied())
            .collect();
        let head = self.repository.fetch(&upstream, &names)?.first().copied().flatten();
        match self.repository.tracked_branch(&upstream, deploy_branch) {
            // The known state is from before the fetch.
            Some(last) if head.is_none() => Err(Error::DeployBranchDeleted {
                remote: remote.clone(),
                branch: deploy_branch.clone(),
                last,
            }),
            _ => Ok(head),
        }
    }

    /// Pushes a commit onto the deploy branch, with the date and the person of its release: every commit except
    /// renders gets there this way. Its id changes, tree and message stay.
    ///
    /// # Errors
    /// When the remote cannot be reached, or rejects the commit.
    pub fn release(
        &self,
        deploy_branch: &DeployBranch<'_>,
        commit: ObjectId,
        release: &ReleaseStamp<'_>,
    ) -> Result<PushOutcome, Error> {
        self.release_all(deploy_branch, &[commit], release).map(|(_, put)| put)
    }

    /// As [`RepoContext::release`], for several commits on top of each other, in one push. Returns them as released.
    ///
    /// # Errors
    /// As [`RepoContext::release`].
    pub(crate) fn release_all(
        &self,
        deploy_branch: &DeployBranch<'_>,
        commits: &[ObjectId],
        release: &ReleaseStamp<'_>,
    ) -> Result<(Vec<ObjectId>, PushOutcome), Error> {
        let release = ReleaseStamp { at: release_time(deploy_branch.head.time, release), ..*release };
        let released = self.repository.release_commits(commits, &release, &self.signing()?)?;
        let tip = released.last().copied().unwrap_or(deploy_branch.head.id);
        let put = self.push_from(tip, ExpectedRef::At(deploy_branch.head.id))?;
        Ok((released, put))
    }

    /// As [`RepoContext::save_to_outbox`], for several commits on top of each other. Returns them as they would be
    /// released.
    ///
    /// # Errors
    /// As [`RepoContext::save_to_outbox`].
    pub(crate) fn save_all_to_outbox(
        &self,
        commits: &[ObjectId],
        release: &ReleaseStamp<'_>,
    ) -> Result<(Vec<ObjectId>, PushOutcome), Error> {
        let released = self.repository.release_commits(commits, release, &self.signing()?)?;
        let tip = *released.last().expect("there is something to be left");
        self.repository.update_ref(OUTBOX, tip, ExpectedRef::Any, "pillion: left here")?;
        Ok((released, PushOutcome::Pushed(tip, format!("left at {OUTBOX}"))))
    }

    /// Saves a commit in this repository, as it would be released now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save_to_outbox(
        &self,
        commit: ObjectId,
        release: &ReleaseStamp<'_>,
    ) -> Result<PushOutcome, Error> {
        self.save_all_to_outbox(&[commit], release).map(|(_, put)| put)
    }

    /// Returns the command that pushes the saved commit; None where there is no remote.
    ///
    /// # Errors
    /// When the configured remote is missing among several.
    pub(crate) fn push_command(&self) -> Result<Option<String>, Error> {
        let BranchConfig { remote, deploy: deploy_branch, .. } = &self.branches;
        let upstream = self.repository.upstream(remote)?;
        Ok((upstream != Upstream::Local).then(|| {
            let (remote, refs) = (escape::shell_word(remote), format!("{OUTBOX}:{deploy_branch}"));
            format!("git push {remote} {}", escape::shell_word(&refs))
        }))
    }

    /// Returns what a release does with a commit, in words.
    ///
    /// # Errors
    /// When the configured remote is missing among several.
    pub(crate) fn push_place(&self) -> Result<String, Error> {
        let BranchConfig { remote, deploy, .. } = &self.branches;
        Ok(match self.repository.upstream(remote)? {
            Upstream::Remote(remote) => format!("pushed to {remote}/{deploy}"),
            Upstream::Local => format!("put onto {deploy}"),
        })
    }

    /// Fetches the deploy branch and the source branch, and checks that the deploy branch exists.
    ///
    /// # Errors
    /// When the remote cannot be reached, or has no such branch.
    pub(crate) fn fetch_deploy_branch(&self) -> Result<(), Error> {
        match self.fetch_with(&[])? {
            Some(_) => Ok(()),
            None => self.require_head(None),
        }
    }

    /// Checks that the upstream has the deploy branch, as it was fetched last.
    ///
    /// # Errors
    /// When it does not exist.
    pub(crate) fn require_deploy_branch(&self) -> Result<(), Error> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        self.require_head(self.repository.tracked_branch(&upstream, &self.branches.deploy))
    }

    fn require_head(&self, head: Option<ObjectId>) -> Result<(), Error> {
        let BranchConfig { remote, deploy: deploy_branch, source, .. } = &self.branches;
        if head.is_some() || self.repository.upstream(remote)? == Upstream::Local {
            return Ok(());
        }
        let how = match source {
            Some(_) => format!("pillion render --branch {deploy_branch} --create --push"),
            None => self.branches.create_command(&self.repository, deploy_branch),
        };
        Err(Error::NotPushed { remote: remote.clone(), branch: deploy_branch.clone(), how })
    }

    /// Pushes a commit to the deploy branch. Returns its location; None: the push was rejected (non-fast-forward).
    ///
    /// # Errors
    /// When the remote cannot be reached, or rejects the commit.
    pub(crate) fn push_deploy_branch(&self, commit: ObjectId) -> Result<Option<String>, Error> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        let expected =
            ExpectedRef::from_found(self.repository.tracked_branch(&upstream, &self.branches.deploy));
        Ok(match self.push_from(commit, expected)? {
            PushOutcome::Pushed(_, path) | PushOutcome::Unchanged(_, path) => Some(path),
            PushOutcome::NonFastForward => None,
        })
    }

    fn push_from(&self, commit: ObjectId, expected: ExpectedRef) -> Result<PushOutcome, Error> {
        let Self { repository, branches, .. } = self;
        let upstream = repository.upstream(&branches.remote)?;
        let name = branches.deploy_ref();
        let update = RefUpdate { name, to: Some(commit), expected, kind: RefMove::FastForward };
        let pushed = match repository.push(&upstream, &[update])?.into_iter().next() {
            Some(Err(git::Error::RefMoved { .. })) => return Ok(PushOutcome::NonFastForward),
            Some(Err(git::Error::CheckedOut { place, .. })) => {
                return Err(Error::DeployBranchCheckedOut { branch: branches.deploy.clone(), place });
            }
            Some(outcome) => outcome?,
            None => PushStatus::UpToDate,
        };
        let path = match upstream {
            Upstream::Remote(remote) => {
                // git does so too, but not in every bare clone. The push has succeeded; another program may have
                // moved this ref farther meanwhile.
                let tracking = branches.tracking_ref();
                let present = repository.find_ref(&tracking);
                if !present.is_some_and(|present| matches!(repository.is_ancestor(commit, present), Ok(true)))
                {
                    let note = "pillion: pushed";
                    drop(repository.update_ref(&tracking, commit, ExpectedRef::from_found(present), note));
                }
                format!("pushed to {remote}/{}", branches.deploy)
            }
            Upstream::Local => format!("on {}", branches.deploy),
        };
        Ok(match pushed {
            PushStatus::Updated => PushOutcome::Pushed(commit, path),
            PushStatus::UpToDate => PushOutcome::Unchanged(commit, path),
        })
    }
}

/// Returns the date of a release by `watch`: later than that of the head, so that steps that were released one by one
/// can be told from staged ones that were pushed together.
fn release_time(head: CommitTime, release: &ReleaseStamp<'_>) -> CommitTime {
    let ahead = head.seconds.saturating_sub(release.at.seconds);
    if release.by.is_none() && (0..MAX_CLOCK_SKEW).contains(&ahead) {
        return CommitTime { seconds: head.seconds.saturating_add(1), ..release.at };
    }
    release.at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_releases_is_later_than_the_head() {
        let time = |seconds| CommitTime { seconds, offset_minutes: 0 };
        let at = |head, now| {
            release_time(time(head), &ReleaseStamp { at: time(now), by: None, note: None }).seconds
        };
        assert_eq!((at(100, 100), at(100, 99), at(100, 101)), (101, 101, 101));
        // A head from the future takes no date along.
        assert_eq!((at(i64::MAX, 100), at(100, i64::MIN)), (100, i64::MIN));
        let ada = crate::git::Identity::new("Ada", "ada@acme.example").unwrap();
        assert_eq!(
            release_time(time(100), &ReleaseStamp { at: time(100), by: Some(&ada), note: None }).seconds,
            100
        );
    }
}
