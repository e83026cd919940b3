//! Reads commits and walks the history.

use super::trailer::{self, Trailer};
use super::{CommitTime, Error, Identity, ObjectId, Repository};
use git2::Sort;
use std::path::Path;

/// A parsed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// The tree of its files.
    pub tree: ObjectId,
    /// The commits before it; none for the first one, several for a merge.
    pub parents: Vec<ObjectId>,
    /// Who wrote it.
    pub author: Identity,
    /// When it was written.
    pub author_time: CommitTime,
    /// Who put it into this history.
    pub(crate) committer: Identity,
    /// When it was put there.
    pub time: CommitTime,
    /// The whole message.
    pub message: String,
    /// Whether it has a signature.
    pub(crate) is_signed: bool,
}

impl Commit {
    /// Returns the first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// Returns the trailers at the end of the message, in its order.
    pub fn trailers(&self) -> Vec<Trailer> {
        trailer::parse_trailers(&self.message)
    }

    /// Returns the value of a trailer; the last one of several.
    pub fn trailer(&self, key: &str) -> Option<String> {
        self.trailers().into_iter().rev().find(|t| t.key.eq_ignore_ascii_case(key)).map(|t| t.value)
    }
}

/// The commits that a log visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryWalk {
    /// Only first parents: the pushes of a branch.
    FirstParent,
    /// All ancestors.
    All,
}

/// Commits, newest first.
pub struct CommitLog<'r> {
    repository: &'r Repository,
    walk: git2::Revwalk<'r>,
    kind: HistoryWalk,
    path: Option<String>,
}

impl Repository {
    /// Reads a commit.
    ///
    /// # Errors
    /// When it is missing or something else than a commit.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, Error> {
        let commit = self
            .inner
            .find_commit(id.0)
            .map_err(|e| self.object_error(id, &format!("reading the commit {id}"), e))?;
        let (author, committer) = (commit.author(), commit.committer());
        Ok(Commit {
            id,
            tree: ObjectId(commit.tree_id()),
            parents: commit.parent_ids().map(ObjectId).collect(),
            author: Identity::from_git(&author),
            author_time: CommitTime::from_git(author.when()),
            committer: Identity::from_git(&committer),
            time: CommitTime::from_git(committer.when()),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            is_signed: commit.header_field_bytes("gpgsig").is_ok(),
        })
    }

    /// Walks from a commit to its ancestors, newest first; with a path, only commits that changed the file or
    /// folder there (a merge counts when the path differs from that of every parent it walks to).
    ///
    /// # Errors
    /// When the first commit is missing.
    pub fn log(&self, from: ObjectId, path: Option<&str>, kind: HistoryWalk) -> Result<CommitLog<'_>, Error> {
        let start = || -> Result<git2::Revwalk<'_>, git2::Error> {
            let mut walk = self.inner.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL)?;
            if kind == HistoryWalk::FirstParent {
                walk.simplify_first_parent()?;
            }
            walk.push(from.0)?;
            Ok(walk)
        };
        let walk = start().map_err(|e| self.object_error(from, &format!("walking from {from}"), e))?;
        let path = path.map(|p| p.trim_matches('/').to_owned()).filter(|p| !p.is_empty() && p != ".");
        Ok(CommitLog { repository: self, walk, kind, path })
    }

    /// Returns the id of the entry at a path of a commit's tree.
    fn entry_id_at(&self, commit: ObjectId, path: &str) -> Result<Option<git2::Oid>, Error> {
        let what = || format!("reading `{path}` of {commit}");
        let tree = self.inner.find_commit(commit.0).and_then(|c| c.tree());
        let tree = tree.map_err(|e| self.object_error(commit, &what(), e))?;
        match tree.get_path(Path::new(path)) {
            Ok(entry) => Ok(Some(entry.id())),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Error::from_git(what())(e)),
        }
    }
}

impl CommitLog<'_> {
    /// Returns whether a commit changed the requested path.
    fn changes_path(&self, commit: &Commit) -> Result<bool, Error> {
        let Some(path) = &self.path else { return Ok(true) };
        let here = self.repository.entry_id_at(commit.id, path)?;
        let parents = match self.kind {
            HistoryWalk::FirstParent => commit.parents.get(..1).unwrap_or_default(),
            HistoryWalk::All => &commit.parents,
        };
        for parent in parents {
            if self.repository.entry_id_at(*parent, path)? == here {
                return Ok(false);
            }
        }
        Ok(!parents.is_empty() || here.is_some())
    }

    /// Returns the next commit that changed the path.
    fn next_commit(&mut self) -> Result<Option<Commit>, Error> {
        while let Some(id) = self.walk.next() {
            let id = id.map(ObjectId).map_err(Error::from_git("walking the history"))?;
            let commit = self.repository.commit(id)?;
            if self.changes_path(&commit)? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }
}

impl Iterator for CommitLog<'_> {
    type Item = Result<Commit, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_commit().transpose()
    }
}
