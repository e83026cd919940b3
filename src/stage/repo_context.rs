//! A repository with the names of its branches, and how a commit gets onto the deploy branch: by a push with a lease, or
//! where there is no remote by moving the ref.

use super::preconditions::RewrittenBranch;
use super::{BranchConfig, DeployBranch, Error};
use crate::diagnostics::Diagnostic;
use crate::git::{
    self, CommitTime, ExpectedRef, NewCommit, ObjectId, PushStatus, RefMove, RefUpdate, ReleaseStamp,
    Repository, Signature, Signing, Upstream, trailer,
};
use crate::workspace::ManifestSource;
use std::path::PathBuf;

/// A head that is farther ahead of the clock, in seconds, has a date that nothing is dated by.
const MAX_CLOCK_SKEW: i64 = 600;

/// Where commits wait that are not to be pushed.
const OUTBOX: &str = "refs/pillion/outbox";

/// Where the deploy branches of remotes were when this clone last looked, by remote and branch.
const LAST_HEAD: &str = "refs/pillion/seen";

/// On the remote: the head from which on a person has accepted a deploy branch that was rewritten, below a commit that
/// says who, by branch.
const ACCEPTED: &str = "refs/pillion/accepted";

/// What of that this clone knew when it last looked, by remote and branch.
const LAST_ACCEPTED: &str = "refs/pillion/known";

/// A repository, and what its pillion.yaml says of branches.
pub struct RepoContext {
    /// The repository.
    pub repository: Repository,
    /// Where pillion.yaml is in the tree of the sources.
    pub config: PathBuf,
    /// Names of branches, remote and identity.
    pub branches: BranchConfig,
    /// Manifests that are no plain files.
    pub manifest_source: ManifestSource,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// It is there: the commit as it was released, and where, in words.
    Pushed(ObjectId, String),
    /// It was there already: somebody else has made the same commit and was faster.
    Unchanged(ObjectId, String),
    /// Somebody else was faster with another commit: this one, which went nowhere.
    NonFastForward(ObjectId),
}

impl RepoContext {
    /// Reads what is live, as it was fetched last; None without a sound pillion.yaml there, and where the deploy branch was
    /// rewritten since this clone last looked.
    ///
    /// # Errors
    /// As [`DeployBranch::read`].
    pub fn read_deploy_branch(&self) -> Result<(Option<DeployBranch<'_>>, Vec<Diagnostic>), Error> {
        match self.check_rewritten()? {
            Some(diagnostic) => Ok((None, vec![diagnostic])),
            None => self.read_unchecked(),
        }
    }

    /// Reads what is live, however the deploy branch has come to it: for those who only look.
    ///
    /// # Errors
    /// As [`DeployBranch::read`].
    pub fn read_unchecked(&self) -> Result<(Option<DeployBranch<'_>>, Vec<Diagnostic>), Error> {
        let (deploy_branch, diagnostics) =
            DeployBranch::read(&self.repository, &self.branches, &self.config)?;
        Ok((
            deploy_branch.map(|deploy_branch| deploy_branch.with_manifests(&self.manifest_source)),
            diagnostics,
        ))
    }

    /// Says whether the deploy branch of the remote has lost what it was when this clone last looked, and remembers what it
    /// is where it has not. A clone that never looked has nothing to compare with.
    ///
    /// # Errors
    /// When git fails.
    pub fn check_rewritten(&self) -> Result<Option<Diagnostic>, Error> {
        let Upstream::Remote(remote) = self.repository.upstream(&self.branches.remote)? else {
            return Ok(None);
        };
        // What was seen comes first: another process may move both in between, and then only forward.
        let seen = self.repository.find_ref(&self.remote_ref(LAST_HEAD, &remote));
        let Some(head) = self.repository.find_ref(&self.branches.tracking_ref()) else { return Ok(None) };
        let Some(seen) = seen.filter(|seen| *seen != head) else {
            self.remember_head(&remote, head);
            return Ok(None);
        };
        let follows = match self.repository.is_ancestor(seen, head) {
            // How far back a shallow clone goes says nothing of the branch.
            Err(git::Error::Shallow { .. }) => true,
            found => found?,
        };
        if follows || self.is_accepted(&remote, head)? {
            self.remember_head(&remote, head);
            return Ok(None);
        }
        let which = format!("which was its head on `{remote}` when this clone last looked");
        let gone = &self.repository.commit(seen)?;
        let branch = &self.branches.deploy;
        Ok(Some(
            RewrittenBranch { branch, lost_commit: gone, evidence: which, head, config: &self.config }
                .to_diagnostic(),
        ))
    }

    /// Takes the deploy branch as it is, however it has come to that; with a release, in the name of its person, all
    /// clones do so.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn accept_rewritten(&self, release: Option<&ReleaseStamp<'_>>) -> Result<(), Error> {
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
            let message = trailer::format_message(&message, "", &[(trailer::ACTION, "Accept".to_owned())]);
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

    /// A person has accepted what the branch is now, since this clone last looked.
    fn is_accepted(&self, remote: &str, head: ObjectId) -> Result<bool, Error> {
        let accepted = self.repository.find_ref(&self.accepted_ref());
        let known = self.repository.find_ref(&self.remote_ref(LAST_ACCEPTED, remote));
        let Some(accepted) = accepted.filter(|accepted| Some(*accepted) != known) else { return Ok(false) };
        let base = self.repository.commit(accepted)?.parents.first().copied();
        Ok(base.is_some_and(|base| matches!(self.repository.is_ancestor(base, head), Ok(true))))
    }

    /// A clone that cannot be written has nothing to compare with next time, and is as well as a fresh one.
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

    /// Opens the same repository once more, for another thread.
    ///
    /// # Errors
    /// When it is no longer there.
    pub fn reopen(&self) -> Result<Self, Error> {
        let repository = self.repository.reopen()?;
        let (config, branches) = (self.config.clone(), self.branches.clone());
        Ok(Self { repository, config, branches, manifest_source: self.manifest_source.clone() })
    }

    /// Returns how commits are signed.
    ///
    /// # Errors
    /// When git's configuration cannot be read.
    pub fn signing(&self) -> Result<Signing<'_>, Error> {
        Ok(Signing::from_config(&self.repository)?)
    }

    /// Brings the deploy branch up to date, and that of the sources.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch(&self) -> Result<(), Error> {
        self.fetch_with(&[]).map(drop)
    }

    /// Brings the deploy branch up to date, that of the sources, and all staged ones.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_with_staged(&self) -> Result<(), Error> {
        self.fetch_with(&[&self.branches.staged_glob()]).map(drop)
    }

    /// Brings the deploy branch up to date, that of the sources, and further ones; a name that ends in `*` means all
    /// that begin so. Returns the head of the deploy branch; None: there is none.
    ///
    /// # Errors
    /// When the remote cannot be reached, or had the deploy branch and has it no longer.
    pub fn fetch_with(&self, more: &[&str]) -> Result<Option<ObjectId>, Error> {
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
            // What is known of it here is of the time before.
            Some(last) if head.is_none() => Err(Error::DeployBranchDeleted {
                remote: remote.clone(),
                branch: deploy_branch.clone(),
                last,
            }),
            _ => Ok(head),
        }
    }

    /// Puts a commit on top of what is live, with the moment and the person of its release: the one way by which
    /// anything but a render gets there. Its id is another one then, tree and message are the same.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn release(
        &self,
        deploy_branch: &DeployBranch<'_>,
        commit: ObjectId,
        release: &ReleaseStamp<'_>,
    ) -> Result<PushOutcome, Error> {
        self.release_all(deploy_branch, &[commit], release).map(|(_, put)| put)
    }

    /// As [`RepoContext::release`], for commits that stand on each other, the first one on what is live: one push. Returns
    /// them as they were released.
    ///
    /// # Errors
    /// As [`RepoContext::release`].
    pub fn release_all(
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

    /// As [`RepoContext::save_to_outbox`], for commits that stand on each other. Returns them as they would be released.
    ///
    /// # Errors
    /// As [`RepoContext::save_to_outbox`].
    pub fn save_all_to_outbox(
        &self,
        commits: &[ObjectId],
        release: &ReleaseStamp<'_>,
    ) -> Result<(Vec<ObjectId>, PushOutcome), Error> {
        let released = self.repository.release_commits(commits, release, &self.signing()?)?;
        let tip = *released.last().expect("there is something to be left");
        self.repository.update_ref(OUTBOX, tip, ExpectedRef::Any, "pillion: left here")?;
        Ok((released, PushOutcome::Pushed(tip, format!("left at {OUTBOX}"))))
    }

    /// Leaves a commit in this repository, as it would be released now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_to_outbox(&self, commit: ObjectId, release: &ReleaseStamp<'_>) -> Result<PushOutcome, Error> {
        self.save_all_to_outbox(&[commit], release).map(|(_, put)| put)
    }

    /// Returns the command that pushes what was left here; None where there is no remote to push to.
    ///
    /// # Errors
    /// When there are only other remotes than the one that is meant.
    pub fn push_command(&self) -> Result<Option<String>, Error> {
        let BranchConfig { remote, deploy: deploy_branch, .. } = &self.branches;
        let upstream = self.repository.upstream(remote)?;
        Ok((upstream != Upstream::Local).then(|| format!("git push {remote} {OUTBOX}:{deploy_branch}")))
    }

    /// Brings the deploy branch up to date, and that of the sources, and makes sure that there is one to commit onto.
    ///
    /// # Errors
    /// When the remote cannot be reached, or has no such branch.
    pub fn fetch_deploy_branch(&self) -> Result<(), Error> {
        match self.fetch_with(&[])? {
            Some(_) => Ok(()),
            None => self.require_head(None),
        }
    }

    /// Makes sure that the upstream has the deploy branch, as it was fetched last.
    ///
    /// # Errors
    /// When it has none.
    pub fn require_deploy_branch(&self) -> Result<(), Error> {
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
            None => format!("git push -u {remote} {deploy_branch}"),
        };
        Err(Error::NotPushed { remote: remote.clone(), branch: deploy_branch.clone(), how })
    }

    /// Pushes a commit to the deploy branch as it was fetched. Returns where it is now; None: somebody else was faster.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn push_deploy_branch(&self, commit: ObjectId) -> Result<Option<String>, Error> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        let expected =
            ExpectedRef::from_found(self.repository.tracked_branch(&upstream, &self.branches.deploy));
        Ok(match self.push_from(commit, expected)? {
            PushOutcome::Pushed(_, path) | PushOutcome::Unchanged(_, path) => Some(path),
            PushOutcome::NonFastForward(_) => None,
        })
    }

    fn push_from(&self, commit: ObjectId, expected: ExpectedRef) -> Result<PushOutcome, Error> {
        let Self { repository, branches, .. } = self;
        let upstream = repository.upstream(&branches.remote)?;
        let name = branches.deploy_ref();
        let update = RefUpdate { name, to: Some(commit), expected, kind: RefMove::FastForward };
        let pushed = match repository.push(&upstream, &[update])?.into_iter().next() {
            Some(Err(git::Error::RefMoved { .. })) => return Ok(PushOutcome::NonFastForward(commit)),
            Some(outcome) => outcome?,
            None => PushStatus::UpToDate,
        };
        let path = match upstream {
            Upstream::Remote(remote) => {
                // git does so too, but not in every bare clone. What is pushed is pushed; another program may have
                // brought this ref farther meanwhile.
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

/// Returns the date of a release by nobody: one that is later than that of the head, so that steps which were released one
/// after the other can be told from staged ones that were pushed together.
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
        let at = |head, now| release_time(time(head), &ReleaseStamp { at: time(now), by: None }).seconds;
        assert_eq!((at(100, 100), at(100, 99), at(100, 101)), (101, 101, 101));
        // A head from the future takes no date along.
        assert_eq!((at(i64::MAX, 100), at(100, i64::MIN)), (100, i64::MIN));
        let ada = crate::git::Identity::new("Ada", "ada@acme.example").unwrap();
        assert_eq!(release_time(time(100), &ReleaseStamp { at: time(100), by: Some(&ada) }).seconds, 100);
    }
}
