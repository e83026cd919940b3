//! What does a commit say, and which commits led to it?

use super::trailer::{self, Trailer};
use super::{Failure, Id, Identity, Repository, Time};
use git2::Sort;
use std::path::Path;

/// A commit, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: Id,
    /// The tree of its files.
    pub tree: Id,
    /// The commits before it; none for the first one, several for a merge.
    pub parents: Vec<Id>,
    /// Who wrote it.
    pub author: Identity,
    /// When it was written.
    pub author_time: Time,
    /// Who put it into this history.
    pub committer: Identity,
    /// When it was put there.
    pub time: Time,
    /// The whole message.
    pub message: String,
    /// Somebody has signed it.
    pub is_signed: bool,
}

impl Commit {
    /// Returns the first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// Returns the trailers at the end of the message, in its order.
    pub fn trailers(&self) -> Vec<Trailer> {
        trailer::parse(&self.message)
    }

    /// Returns the value of a trailer; the last one when it is there more than once.
    pub fn trailer(&self, key: &str) -> Option<String> {
        self.trailers().into_iter().rev().find(|t| t.key.eq_ignore_ascii_case(key)).map(|t| t.value)
    }
}

/// Which commits a log visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Only the line of first parents: what a branch was, one push after the other.
    FirstParent,
    /// Everything that was merged, too.
    All,
}

/// Commits, newest first.
pub struct Log<'r> {
    repository: &'r Repository,
    walk: git2::Revwalk<'r>,
    kind: Walk,
    path: Option<String>,
}

impl Repository {
    /// Reads a commit.
    ///
    /// # Errors
    /// When it is missing or something else than a commit.
    pub fn commit(&self, id: Id) -> Result<Commit, Failure> {
        let commit = self
            .inner
            .find_commit(id.0)
            .map_err(|e| self.lost(id, &format!("reading the commit {id}"), e))?;
        let (author, committer) = (commit.author(), commit.committer());
        Ok(Commit {
            id,
            tree: Id(commit.tree_id()),
            parents: commit.parent_ids().map(Id).collect(),
            author: Identity::of(&author),
            author_time: Time::of(author.when()),
            committer: Identity::of(&committer),
            time: Time::of(committer.when()),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            is_signed: commit.header_field_bytes("gpgsig").is_ok(),
        })
    }

    /// Walks from a commit to its ancestors, newest first; with a path, only commits that changed the file or
    /// folder there (a merge counts when the path differs from that of every parent it walks to).
    ///
    /// # Errors
    /// When the first commit is missing.
    pub fn log(&self, from: Id, path: Option<&str>, kind: Walk) -> Result<Log<'_>, Failure> {
        let start = || -> Result<git2::Revwalk<'_>, git2::Error> {
            let mut walk = self.inner.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL)?;
            if kind == Walk::FirstParent {
                walk.simplify_first_parent()?;
            }
            walk.push(from.0)?;
            Ok(walk)
        };
        let walk = start().map_err(|e| self.lost(from, &format!("walking from {from}"), e))?;
        let path = path.map(|p| p.trim_matches('/').to_owned()).filter(|p| !p.is_empty() && p != ".");
        Ok(Log { repository: self, walk, kind, path })
    }

    /// Returns the id of what is at a path of a commit's tree.
    fn at_commit(&self, commit: Id, path: &str) -> Result<Option<git2::Oid>, Failure> {
        let what = || format!("reading `{path}` of {commit}");
        let tree = self.inner.find_commit(commit.0).and_then(|c| c.tree());
        let tree = tree.map_err(|e| self.lost(commit, &what(), e))?;
        match tree.get_path(Path::new(path)) {
            Ok(entry) => Ok(Some(entry.id())),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Failure::git(what())(e)),
        }
    }
}

impl Log<'_> {
    /// Returns whether a commit changed the path that is looked for.
    fn changed(&self, commit: &Commit) -> Result<bool, Failure> {
        let Some(path) = &self.path else { return Ok(true) };
        let here = self.repository.at_commit(commit.id, path)?;
        let parents = match self.kind {
            Walk::FirstParent => commit.parents.get(..1).unwrap_or_default(),
            Walk::All => &commit.parents,
        };
        for parent in parents {
            if self.repository.at_commit(*parent, path)? == here {
                return Ok(false);
            }
        }
        Ok(!parents.is_empty() || here.is_some())
    }

    /// Returns the next commit that changed the path.
    fn step(&mut self) -> Result<Option<Commit>, Failure> {
        while let Some(id) = self.walk.next() {
            let id = id.map(Id).map_err(Failure::git("walking the history"))?;
            let commit = self.repository.commit(id)?;
            if self.changed(&commit)? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }
}

impl Iterator for Log<'_> {
    type Item = Result<Commit, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
