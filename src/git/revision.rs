//! Resolves revisions, and compares commits by ancestry.

use super::{Error, ObjectId, Repository};
use git2::{ErrorCode, ObjectType};

/// Branches in a message at most.
const MAX_LISTED_BRANCHES: usize = 5;

impl Repository {
    /// Returns the commit of a branch, a tag or any other revision of git.
    ///
    /// # Errors
    /// When there is none: the text names branches that might be meant.
    pub fn resolve(&self, revision: &str) -> Result<ObjectId, Error> {
        let found = self.inner.revparse_single(revision).and_then(|object| object.peel(ObjectType::Commit));
        match found {
            Ok(commit) => Ok(ObjectId(commit.id())),
            Err(e) => match e.code() {
                ErrorCode::Ambiguous => Err(Error::RevisionNotFound {
                    revision: revision.to_owned(),
                    hint: ": it is ambiguous; use more digits".to_owned(),
                }),
                _ => Err(Error::RevisionNotFound {
                    revision: revision.to_owned(),
                    hint: self.revision_hint(revision),
                }),
            },
        }
    }

    /// Returns whether a commit is in the history of another, or is that commit.
    ///
    /// # Errors
    /// When a shallow clone cannot tell.
    pub fn is_ancestor(&self, ancestor: ObjectId, of: ObjectId) -> Result<bool, Error> {
        if ancestor == of {
            return Ok(true);
        }
        let what = || format!("whether {} is in the history of {}", ancestor.short(), of.short());
        let odb = self.inner.odb().map_err(Error::from_git("opening the object database"))?;
        let known = odb.exists(ancestor.0);
        let found = known
            && self
                .inner
                .graph_descendant_of(of.0, ancestor.0)
                .map_err(|e| self.object_error(of, &what(), e))?;
        if !found && self.is_shallow() {
            return Err(Error::Shallow { question: what() });
        }
        Ok(found)
    }

    /// Returns the error for an object that could not be read.
    pub(super) fn object_error(&self, id: ObjectId, what: &str, e: git2::Error) -> Error {
        if e.code() == ErrorCode::NotFound {
            return Error::MissingObject { id, hint: self.missing_hint() };
        }
        Error::from_git(what)(e)
    }

    /// Returns a hint for a revision that was not found.
    fn revision_hint(&self, revision: &str) -> String {
        let mut names = self.branch_names();
        let asked = revision.to_lowercase();
        let near = |name: &String| {
            let name = name.to_lowercase();
            name.ends_with(&format!("/{asked}")) || name == asked || asked.ends_with(&format!("/{name}"))
        };
        if names.iter().any(near) {
            names.retain(near);
        }
        let rest = names.len().saturating_sub(MAX_LISTED_BRANCHES);
        names.truncate(MAX_LISTED_BRANCHES);
        let mut hint = match (names.is_empty(), rest) {
            (true, _) => ": there is no commit yet; make the first one (`git add --all && git commit`), then `pillion init` says what comes next".to_owned(),
            (false, 0) => format!(": there is `{}`", names.join("`, `")),
            (false, more) => format!(": there is `{}` and {more} more", names.join("`, `")),
        };
        if self.is_shallow() {
            hint.push_str("; this is a shallow clone: `git fetch --unshallow` brings the rest");
        }
        hint
    }

    /// Returns the short names of all branches, local ones first.
    fn branch_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for prefix in ["refs/heads/", "refs/remotes/"] {
            let found = self.inner.references_glob(&format!("{prefix}*"));
            let Ok(mut found) = found else { continue };
            let start = names.len();
            let known = found.names().filter_map(Result::ok);
            names.extend(known.filter_map(|n| n.strip_prefix(prefix)).map(str::to_owned));
            names[start..].sort();
        }
        names.retain(|n| !n.ends_with("/HEAD"));
        names
    }
}
