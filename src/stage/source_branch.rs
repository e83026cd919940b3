//! Finds the source commit that a deploy head was rendered from, and checks that it can be trusted.
//!
//! Anyone who writes a commit message can write `Pillion-Source`, and sources bring settings and `build` commands. So
//! a source commit counts only where a render names it, it is on the source branch, and it is not older than the one
//! rendered before. Nothing is read from any other commit.

use super::{BranchConfig, CommitAction, Error};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::git::{self, Commit, HistoryWalk, ObjectId, Repository, Upstream, trailer};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;

/// How many commits of the deploy branch are searched for other renders.
const MAX_COMMITS: usize = 1000;

/// The branch of the sources.
pub(crate) struct SourceBranch<'r> {
    repository: &'r Repository,
    branches: &'r BranchConfig,
    /// The short name.
    name: &'r str,
    /// Its ref: the tracking ref, else the local branch.
    refs: Vec<String>,
    /// A further fetch has succeeded.
    fetch_result: OnceCell<Result<(), git::Error>>,
}

impl<'r> SourceBranch<'r> {
    /// Finds the source branch of a deploy head that was read from `path`; None where sources have no branch of their
    /// own. A local deploy branch may be rendered from local sources.
    pub(crate) fn find(repository: &'r Repository, branches: &'r BranchConfig, place: &str) -> Option<Self> {
        let name = branches.source.as_deref()?;
        let local = format!("refs/heads/{name}");
        let tracking = branches.tracking_ref_of(&local);
        let is_named = [&branches.deploy_ref(), &branches.deploy].iter().any(|name| *name == place);
        let is_local = is_named || repository.find_ref(&tracking).is_none();
        let places = if is_local { vec![tracking, local] } else { vec![tracking] };
        Some(Self { repository, branches, name, refs: places, fetch_result: OnceCell::new() })
    }

    /// Returns its head; None where this repository does not have it.
    pub(crate) fn head(&self) -> Option<ObjectId> {
        self.refs.iter().find_map(|place| self.repository.find_ref(place))
    }

    /// Returns whether a commit is on it. Where it is not in this clone, the branch is fetched first.
    ///
    /// # Errors
    /// When this is unknown: it cannot be fetched, there is no such branch, or the clone is shallow.
    pub(crate) fn contains(&self, commit: ObjectId) -> Result<bool, Error> {
        if matches!(self.contains_locally(commit), Ok(true)) {
            return Ok(true);
        }
        if let Err(why) = self.fetch_result.get_or_init(|| self.fetch()) {
            let (branch, source_branch) = (self.branches.deploy.clone(), self.name.to_owned());
            return Err(Error::SourceUnknown { commit, branch, source_branch, why: why.to_string() });
        }
        if self.head().is_none() {
            let (branch, source_branch) = (self.branches.deploy.clone(), self.name.to_owned());
            return Err(Error::NoSourceBranch { branch, source_branch });
        }
        self.contains_locally(commit)
    }

    fn contains_locally(&self, commit: ObjectId) -> Result<bool, Error> {
        if !matches!(self.repository.commit(commit), Ok(_) | Err(git::Error::MissingObject { .. })) {
            // It is an object of another type.
            return Ok(false);
        }
        let mut shallow = None;
        for head in self.refs.iter().filter_map(|place| self.repository.find_ref(place)) {
            match self.repository.is_ancestor(commit, head) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(failure) => shallow = Some(failure),
            }
        }
        shallow.map_or(Ok(false), |failure| Err(failure.into()))
    }

    fn fetch(&self) -> Result<(), git::Error> {
        let upstream = self.repository.upstream(&self.branches.remote)?;
        match upstream {
            Upstream::Local => Ok(()),
            Upstream::Remote(_) => self.repository.fetch(&upstream, &[self.name]).map(drop),
        }
    }

    /// Returns its name for people, with the remote.
    pub(crate) fn display_name(&self) -> String {
        match self.repository.upstream(&self.branches.remote) {
            Ok(Upstream::Remote(remote)) if self.refs.len() == 1 => {
                format!("`{}` of `{remote}`", self.name)
            }
            _ => format!("`{}`", self.name),
        }
    }
}

/// A commit of the deploy branch that claims to be a render.
struct RenderCommit {
    commit: Commit,
    /// The source commit, or an error in the trailers.
    source: Result<ObjectId, String>,
}

impl RenderCommit {
    /// Returns None for any other commit, whatever its trailers are.
    fn from_commit(commit: Commit) -> Option<Self> {
        let values = |key: &str| -> BTreeSet<String> {
            let trailers = commit.trailers().into_iter();
            trailers.filter(|t| t.key.eq_ignore_ascii_case(key)).map(|t| t.value).collect()
        };
        let (actions, sources) = (values(trailer::ACTION), values(trailer::SOURCE));
        if !actions.contains(CommitAction::Render.name()) {
            return None;
        }
        let listed = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join("` and `");
        let source = match (actions.len(), sources.len(), sources.first()) {
            (2.., ..) => Err(format!("has `Pillion-Action: {}`", listed(&actions))),
            (_, 1, Some(value)) => {
                value.parse().map_err(|_| format!("has `Pillion-Source: {value}`, which is not a commit id"))
            }
            (_, 0, _) => Err("has no trailer `Pillion-Source`".to_owned()),
            _ => Err(format!("has `Pillion-Source: {}`", listed(&sources))),
        };
        Some(Self { commit, source })
    }
}

impl RenderCommit {
    /// Returns the render that a merge commit brings, where it brings nothing else: a commit on the first parent with
    /// the tree of the merge, as after the merge of a pull request. A render of an older head is none: its merge has
    /// files that no render made.
    fn merged_by(repository: &Repository, merge: &Commit) -> Result<Option<Self>, git::Error> {
        let [first, second] = merge.parents[..] else { return Ok(None) };
        let Ok(merged) = repository.commit(second) else { return Ok(None) };
        let is_same = merged.tree == merge.tree && merged.parents == [first];
        Ok(Self::from_commit(merged).filter(|_| is_same))
    }
}

/// The renders of a deploy branch: the newest one along first parents first, then all others, newest first.
pub(crate) struct RenderHistory<'r> {
    source: SourceBranch<'r>,
    commits: Vec<RenderCommit>,
    config: &'r Path,
}

impl<'r> RenderHistory<'r> {
    /// Finds the renders at the end of the history of a deploy head; None where sources have no branch of their own.
    ///
    /// # Errors
    /// When git fails, there is no such commit, or a shallow clone does not reach that far.
    pub(crate) fn find(
        repository: &'r Repository,
        branches: &'r BranchConfig,
        config: &'r Path,
        (place, head): (&str, ObjectId),
    ) -> Result<Option<Self>, Error> {
        let Some(source) = SourceBranch::find(repository, branches, place) else { return Ok(None) };
        // The branch's own claim is the newest along first parents; earlier renders may be on any line, because a
        // merge can have its parents the other way round.
        let mut newest = None;
        for commit in repository.log(head, None, HistoryWalk::FirstParent)? {
            let commit = commit?;
            newest = match RenderCommit::merged_by(repository, &commit)? {
                Some(merged) => Some(merged),
                None => RenderCommit::from_commit(commit),
            };
            if newest.is_some() {
                break;
            }
        }
        let mut claims: Vec<RenderCommit> = newest.into_iter().collect();
        if let Some(newest) = claims.first().map(|claim| claim.commit.id) {
            for commit in repository.log(head, None, HistoryWalk::All)?.take(MAX_COMMITS) {
                claims.extend(RenderCommit::from_commit(commit?).filter(|claim| claim.commit.id != newest));
            }
        }
        if !claims.is_empty() {
            return Ok(Some(Self { source, commits: claims, config }));
        }
        if repository.is_shallow() {
            let question =
                format!("which commit of `{}` `{}` was rendered from", source.name, branches.deploy);
            return Err(git::Error::Shallow { question }.into());
        }
        let (branch, source_branch) = (branches.deploy.clone(), source.name.to_owned());
        // A commit named by a person need not be on the deploy branch.
        let is_live =
            [branches.tracking_ref(), branches.deploy_ref(), branch.clone()].iter().any(|name| name == place);
        let place = if is_live { branch.clone() } else { place.to_owned() };
        Err(Error::NoSourceTrailer { place, branch, source_branch })
    }

    /// Returns the source commit of the head, or why the newest render is not trusted.
    ///
    /// # Errors
    /// When git fails, or this is unknown.
    pub(crate) fn newest_source(&self) -> Result<Result<ObjectId, Box<Diagnostic>>, Error> {
        self.check_render(0)
    }

    /// Returns the source commit of the newest trusted render; None where there is none.
    ///
    /// # Errors
    /// As [`RenderHistory::newest_source`].
    pub(crate) fn newest_trusted_source(&self) -> Result<Option<ObjectId>, Error> {
        for at in 0..self.commits.len() {
            if let Ok(source) = self.check_render(at)? {
                return Ok(Some(source));
            }
        }
        Ok(None)
    }

    /// Checks one render against the source branch and the renders before it.
    fn check_render(&self, at: usize) -> Result<Result<ObjectId, Box<Diagnostic>>, Error> {
        let claim = &self.commits[at];
        let id = match &claim.source {
            Ok(id) => *id,
            Err(what) => return Ok(Err(self.untrusted_source(claim, what))),
        };
        if !self.source.contains(id)? {
            let is_here = self.source.repository.commit(id).is_ok();
            let place = match is_here {
                true => format!("which is not on {}", self.source.display_name()),
                false => format!("which is not in this clone and not on {}", self.source.display_name()),
            };
            return Ok(Err(
                self.untrusted_source(claim, &format!("claims to be rendered from {}, {place}", id.short()))
            ));
        }
        match self.find_later_source(id, &self.commits[at + 1..])? {
            Some(later) => {
                let what = format!(
                    "claims to be rendered from {}, which is older than {}, which was rendered before",
                    id.short(),
                    later.short()
                );
                Ok(Err(self.untrusted_source(claim, &what)))
            }
            None => Ok(Ok(id)),
        }
    }

    /// Returns a source that was rendered earlier and is not an ancestor of this one. One that is no longer on the
    /// source branch does not count: the branch was rewritten, or the commit was not trusted.
    fn find_later_source(&self, id: ObjectId, earlier: &[RenderCommit]) -> Result<Option<ObjectId>, Error> {
        let repository = self.source.repository;
        // One by one: each is close to the next.
        let mut least = id;
        for before in earlier.iter().filter_map(|claim| claim.source.as_ref().ok().copied()) {
            match repository.is_ancestor(before, least) {
                Ok(true) => least = before,
                Ok(false) => {
                    let is_there = match self.source.contains(before) {
                        Err(Error::SourceUnknown { .. }) => false,
                        held => held?,
                    };
                    if is_there && !repository.is_ancestor(before, id)? {
                        return Ok(Some(before));
                    }
                }
                // Commits behind the end of a shallow clone can only be ruled out.
                Err(git::Error::Shallow { .. }) => {
                    return Ok(matches!(repository.is_ancestor(id, before), Ok(true)).then_some(before));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(None)
    }

    fn untrusted_source(&self, claim: &RenderCommit, what: &str) -> Box<Diagnostic> {
        let (deploy_branch, source) = (&self.source.branches.deploy, self.source.name);
        let Commit { id, author, .. } = &claim.commit;
        let message =
            format!("commit {} (\"{}\") of `{deploy_branch}` {what}", id.short(), claim.commit.subject());
        let diagnostic = Diagnostic::error(Code::UntrustedSource, message)
            .at(Span::whole_file(self.config.to_string_lossy()))
            .field("git.source")
            .because(format!(
                "manifests, settings and `build` commands would come from a commit that does not follow on `{source}`; its author is {author}"
            ))
            .help(format!(
                "find out who merged it; undo its change (`git revert {}` on `{deploy_branch}`), then `pillion render --branch {deploy_branch} --push --accept-rewritten` on `{source}` renders that branch; use the same command if `{source}` was rewritten on purpose",
                id.short()
            ));
        Box::new(diagnostic)
    }
}
