//! A repository with the names of its branches, and how a commit gets onto the live one: by a push with a lease, or
//! where there is no remote by moving the ref.

use super::refusal::Rewritten;
use super::{Branches, Failure, Live, Manifests};
use crate::diag::Diagnostic;
use crate::git::{
    self, Expected, Id, Move, NewCommit, Pushed, RefUpdate, Release, Repository, Signature, Signing, Time,
    Upstream, trailer,
};
use std::path::PathBuf;

/// A head that is farther ahead of the clock, in seconds, has a date that nothing is dated by.
const MOST_AHEAD: i64 = 600;

/// Where commits wait that are not to be pushed.
const OUTBOX: &str = "refs/pillion/outbox";

/// Where the live branches of remotes were when this clone last looked, by remote and branch.
const SEEN: &str = "refs/pillion/seen";

/// On the remote: the head from which on a person has accepted a live branch that was rewritten, below a commit that
/// says who, by branch.
const ACCEPTED: &str = "refs/pillion/accepted";

/// What of that this clone knew when it last looked, by remote and branch.
const KNOWN: &str = "refs/pillion/known";

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
    /// Reads what is live, as it was fetched last; None without a sound pillion.yaml there, and where the live branch was
    /// rewritten since this clone last looked.
    ///
    /// # Errors
    /// As [`Live::read`].
    pub fn read(&self) -> Result<(Option<Live<'_>>, Vec<Diagnostic>), Failure> {
        match self.rewritten()? {
            Some(wrong) => Ok((None, vec![wrong])),
            None => self.read_anyway(),
        }
    }

    /// Reads what is live, however the live branch has come to it: for those who only look.
    ///
    /// # Errors
    /// As [`Live::read`].
    pub fn read_anyway(&self) -> Result<(Option<Live<'_>>, Vec<Diagnostic>), Failure> {
        let (live, wrong) = Live::read(&self.repository, &self.branches, &self.config)?;
        Ok((live.map(|live| live.with_manifests(&self.manifests)), wrong))
    }

    /// Says whether the live branch of the remote has lost what it was when this clone last looked, and remembers what it
    /// is where it has not. A clone that never looked has nothing to compare with.
    ///
    /// # Errors
    /// When git fails.
    pub fn rewritten(&self) -> Result<Option<Diagnostic>, Failure> {
        let Upstream::Remote(remote) = self.repository.upstream(&self.branches.remote)? else {
            return Ok(None);
        };
        // What was seen comes first: another process may move both in between, and then only forward.
        let seen = self.repository.find_ref(&self.of_remote(SEEN, &remote));
        let Some(head) = self.repository.find_ref(&self.branches.tracking()) else { return Ok(None) };
        let Some(seen) = seen.filter(|seen| *seen != head) else {
            self.remember(&remote, head);
            return Ok(None);
        };
        let follows = match self.repository.is_ancestor(seen, head) {
            // How far back a shallow clone goes says nothing of the branch.
            Err(git::Failure::Shallow { .. }) => true,
            found => found?,
        };
        if follows || self.is_accepted(&remote, head)? {
            self.remember(&remote, head);
            return Ok(None);
        }
        let which = format!("which was its head on `{remote}` when this clone last looked");
        let gone = &self.repository.commit(seen)?;
        let branch = &self.branches.live;
        Ok(Some(Rewritten { branch, gone, which, head, config: &self.config }.told()))
    }

    /// Takes the live branch as it is, however it has come to that; with a release, in the name of its person, all
    /// clones do so.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn accept_rewritten(&self, release: Option<&Release<'_>>) -> Result<(), Failure> {
        let Self { repository, branches, .. } = self;
        let upstream = repository.upstream(&branches.remote)?;
        let head = repository.find_ref(&branches.tracking());
        let (Upstream::Remote(remote), Some(head)) = (&upstream, head) else { return Ok(()) };
        if let Some(release) = release {
            let message =
                format!("accept `{}` at {} as it is, although it was rewritten", branches.live, head.short());
            let message = trailer::message(&message, "", &[(trailer::ACTION, "Accept".to_owned())]);
            let who = Signature::new(&branches.identity, release.at);
            let (tree, parents) = (repository.commit(head)?.tree, &[head]);
            let new = NewCommit { tree, parents, message: &message, author: who, committer: who };
            let commit = repository.write_commit(&new, &Signing::off())?;
            let commit = repository.release(commit, release, &self.signing()?)?;
            let name = self.accepted();
            let before = repository.find_ref(&name);
            let (to, expected, how) = (Some(commit), Expected::read(before), Move::Replace);
            for pushed in
                repository.push(&upstream, &[RefUpdate { name: name.clone(), to, expected, how }])?
            {
                pushed?;
            }
            repository.update_ref(&name, commit, Expected::Anything, "pillion: accepted")?;
        }
        self.remember(remote, head);
        Ok(())
    }

    /// A person has accepted what the branch is now, since this clone last looked.
    fn is_accepted(&self, remote: &str, head: Id) -> Result<bool, Failure> {
        let accepted = self.repository.find_ref(&self.accepted());
        let known = self.repository.find_ref(&self.of_remote(KNOWN, remote));
        let Some(accepted) = accepted.filter(|accepted| Some(*accepted) != known) else { return Ok(false) };
        let base = self.repository.commit(accepted)?.parents.first().copied();
        Ok(base.is_some_and(|base| matches!(self.repository.is_ancestor(base, head), Ok(true))))
    }

    /// A clone that cannot be written has nothing to compare with next time, and is as well as a fresh one.
    fn remember(&self, remote: &str, head: Id) {
        let known =
            self.repository.find_ref(&self.accepted()).map(|known| (self.of_remote(KNOWN, remote), known));
        for (name, to) in known.into_iter().chain([(self.of_remote(SEEN, remote), head)]) {
            if self.repository.find_ref(&name) != Some(to) {
                drop(self.repository.update_ref(&name, to, Expected::Anything, "pillion: seen"));
            }
        }
    }

    fn of_remote(&self, below: &str, remote: &str) -> String {
        format!("{below}/{remote}/{}", self.branches.live)
    }

    fn accepted(&self) -> String {
        format!("{ACCEPTED}/{}", self.branches.live)
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
    /// When the remote cannot be reached, or had the live branch and has it no longer.
    pub fn fetch_with(&self, more: &[&str]) -> Result<Option<Id>, Failure> {
        let Branches { remote, live, source, .. } = &self.branches;
        let upstream = self.repository.upstream(remote)?;
        let accepted = format!("{ACCEPTED}/*");
        let names: Vec<&str> = [live.as_str()]
            .into_iter()
            .chain(source.as_deref())
            .chain([accepted.as_str()])
            .chain(more.iter().copied())
            .collect();
        let head = self.repository.fetch(&upstream, &names)?.first().copied().flatten();
        match self.repository.branch(&upstream, live) {
            // What is known of it here is of the time before.
            Some(last) if head.is_none() => {
                Err(Failure::LiveGone { remote: remote.clone(), branch: live.clone(), last })
            }
            _ => Ok(head),
        }
    }

    /// Puts a commit on top of what is live, with the moment and the person of its release: the one way by which
    /// anything but a render gets there. Its id is another one then, tree and message are the same.
    ///
    /// # Errors
    /// When the remote cannot be reached, or does not want the commit.
    pub fn release(&self, live: &Live<'_>, commit: Id, release: &Release<'_>) -> Result<Put, Failure> {
        self.release_all(live, &[commit], release).map(|(_, put)| put)
    }

    /// As [`Opened::release`], for commits that stand on each other, the first one on what is live: one push. Returns
    /// them as they were released.
    ///
    /// # Errors
    /// As [`Opened::release`].
    pub fn release_all(
        &self,
        live: &Live<'_>,
        commits: &[Id],
        release: &Release<'_>,
    ) -> Result<(Vec<Id>, Put), Failure> {
        let release = Release { at: later(live.head.time, release), ..*release };
        let released = self.repository.release_all(commits, &release, &self.signing()?)?;
        let tip = released.last().copied().unwrap_or(live.head.id);
        let put = self.push_from(tip, Expected::At(live.head.id))?;
        Ok((released, put))
    }

    /// As [`Opened::leave`], for commits that stand on each other. Returns them as they would be released.
    ///
    /// # Errors
    /// As [`Opened::leave`].
    pub fn leave_all(&self, commits: &[Id], release: &Release<'_>) -> Result<(Vec<Id>, Put), Failure> {
        let released = self.repository.release_all(commits, release, &self.signing()?)?;
        let tip = *released.last().expect("there is something to be left");
        self.repository.update_ref(OUTBOX, tip, Expected::Anything, "pillion: left here")?;
        Ok((released, Put::At(tip, format!("left at {OUTBOX}"))))
    }

    /// Leaves a commit in this repository, as it would be released now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(&self, commit: Id, release: &Release<'_>) -> Result<Put, Failure> {
        self.leave_all(&[commit], release).map(|(_, put)| put)
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
            Some(Err(git::Failure::RefMoved { .. })) => return Ok(Put::Moved(commit)),
            Some(outcome) => outcome?,
            None => Pushed::Same,
        };
        let place = match upstream {
            Upstream::Remote(remote) => {
                // git does so too, but not in every bare clone. What is pushed is pushed; another program may have
                // brought this ref farther meanwhile.
                let tracking = branches.tracking();
                let present = repository.find_ref(&tracking);
                if !present.is_some_and(|present| matches!(repository.is_ancestor(commit, present), Ok(true)))
                {
                    let note = "pillion: pushed";
                    drop(repository.update_ref(&tracking, commit, Expected::read(present), note));
                }
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

/// Returns the date of a release by nobody: one that is later than that of the head, so that steps which were released one
/// after the other can be told from staged ones that were pushed together.
fn later(head: Time, release: &Release<'_>) -> Time {
    let ahead = head.seconds.saturating_sub(release.at.seconds);
    if release.by.is_none() && (0..MOST_AHEAD).contains(&ahead) {
        return Time { seconds: head.seconds.saturating_add(1), ..release.at };
    }
    release.at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_releases_is_later_than_the_head() {
        let time = |seconds| Time { seconds, offset_minutes: 0 };
        let at = |head, now| later(time(head), &Release { at: time(now), by: None }).seconds;
        assert_eq!((at(100, 100), at(100, 99), at(100, 101)), (101, 101, 101));
        // A head from the future takes no date along.
        assert_eq!((at(i64::MAX, 100), at(100, i64::MIN)), (100, i64::MIN));
        let ada = crate::git::Identity::new("Ada", "ada@acme.example").unwrap();
        assert_eq!(later(time(100), &Release { at: time(100), by: Some(&ada) }).seconds, 100);
    }
}
