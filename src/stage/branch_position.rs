//! The branch that a command reads, and the files of the working folder that are not on it.

use super::branches::short_ref_name;
use super::{BranchConfig, Error};
use crate::diagnostics::pluralize;
use crate::git::{ObjectId, Repository, Upstream};
use std::fmt;

/// Files that are named; the others are counted.
const MAX_NAMED_FILES: usize = 2;

/// Endings of files that pillion reads.
const MANIFEST_ENDINGS: &[&str] = &[".yaml", ".yml", ".json"];

/// The branch that a command reads, compared with the working folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BranchPosition {
    /// The deploy branch, `origin/main`, and its head.
    deploy: (String, ObjectId),
    /// With two branches: the branch of the sources, and its head.
    source: Option<(String, ObjectId)>,
    checkout: Checkout,
    /// Files that are not committed, sorted.
    uncommitted: Vec<String>,
    /// Files that are edited in commits that the branch lacks, sorted.
    unpublished: Vec<String>,
}

/// HEAD, compared with the branch that has the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checkout {
    /// The short name of the branch that is checked out; None: HEAD is detached.
    branch: Option<String>,
    /// It is the branch that is read, in this clone.
    is_same_branch: bool,
    /// The branch that is read is one of a remote.
    has_remote: bool,
    ahead: usize,
    behind: usize,
}

/// A file of the working folder that is not on the branch that a command reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnpublishedFile {
    /// Its path from the root of the repository.
    pub(crate) path: String,
    /// What is so, and what to type.
    pub(crate) explanation: String,
}

impl BranchPosition {
    /// Compares the working folder with the branches that are read, as they were fetched last. `paths` are the files and
    /// folders of the repository that matter. None: there is no deploy branch, or nothing to compare.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn find(
        repository: &Repository,
        branches: &BranchConfig,
        paths: &[String],
    ) -> Result<Option<Self>, Error> {
        let Some((deploy_ref, deploy_head)) = branches.find_deploy_branch(repository) else {
            return Ok(None);
        };
        let source = branches.source.as_deref().and_then(|source| branches.find_branch(repository, source));
        let (source_ref, source_head) = source.clone().unwrap_or((deploy_ref.clone(), deploy_head));
        let head_branch = repository.head_branch().map(|name| short_ref_name(&name).to_owned());
        let mut position = Self {
            deploy: (short_ref_name(&deploy_ref).to_owned(), deploy_head),
            source: source.map(|(name, head)| (short_ref_name(&name).to_owned(), head)),
            uncommitted: Vec::new(),
            unpublished: Vec::new(),
            checkout: Checkout {
                is_same_branch: head_branch.as_deref() == Some(branches.source_branch()),
                branch: head_branch,
                has_remote: repository.upstream(&branches.remote)? != Upstream::Local
                    && source_ref.starts_with("refs/remotes/"),
                ahead: 0,
                behind: 0,
            },
        };
        // A repository without a working tree, or without a commit, has nothing of its own.
        let Some(head) = repository.find_ref("HEAD").filter(|_| !repository.is_bare()) else {
            return Ok(Some(position));
        };
        // The history of a shallow clone says nothing about the distance.
        if let Ok((ahead, behind)) = repository.count_ahead_behind(head, source_head) {
            (position.checkout.ahead, position.checkout.behind) = (ahead, behind);
        }
        if position.checkout.ahead > 0
            && let Ok(Some(base)) = repository.merge_base(head, source_head)
        {
            let trees = (repository.commit(base)?.tree, repository.commit(head)?.tree);
            position.unpublished = repository.changed_files(trees, paths)?;
        }
        position.unpublished.retain(|file| is_manifest_file(file));
        position.uncommitted = uncommitted_manifests(repository, paths)?;
        Ok(Some(position))
    }

    /// Returns the deploy branch, `origin/main`.
    pub(crate) fn deploy_place(&self) -> &str {
        &self.deploy.0
    }

    /// Returns the head of the deploy branch.
    pub(crate) fn deploy_head(&self) -> ObjectId {
        self.deploy.1
    }

    /// Returns whether the branch that is read is one of a remote.
    pub(crate) fn has_remote(&self) -> bool {
        self.checkout.has_remote
    }

    /// Returns the files of some paths that are edited in the working folder and not on the branch that is read, each
    /// with what to do about it.
    pub(crate) fn unpublished_files(&self, paths: &[String]) -> Vec<UnpublishedFile> {
        let is_wanted = |file: &&String| {
            paths.iter().any(|path| {
                matches!(path.as_str(), "" | ".") || file.strip_prefix(path).is_some_and(is_below)
            })
        };
        let uncommitted =
            self.uncommitted.iter().filter(is_wanted).map(|file| self.explain_uncommitted(file));
        let unpublished = self.unpublished.iter().filter(is_wanted);
        let unpublished = unpublished
            .filter(|file| !self.uncommitted.contains(file))
            .map(|file| self.explain_unpublished(file));
        let mut all: Vec<UnpublishedFile> = uncommitted.chain(unpublished).collect();
        all.sort_by(|one, other| one.path.cmp(&other.path));
        all
    }

    /// The branch that has the sources.
    fn source_place(&self) -> &str {
        self.source.as_ref().map_or(&self.deploy.0, |(place, _)| place)
    }

    fn explain_uncommitted(&self, file: &str) -> UnpublishedFile {
        let place = self.source_place();
        let then = match (&self.checkout.branch, self.checkout.is_same_branch, self.checkout.has_remote) {
            (Some(_), true, true) => format!(", then {}", self.push_commands()),
            (Some(_), true, false) => String::new(),
            (Some(branch), false, _) => format!(", then merge `{branch}` into `{}`", self.branch_name()),
            (None, _, _) => format!(", then bring the commit to `{}`", self.branch_name()),
        };
        UnpublishedFile {
            path: file.to_owned(),
            explanation: format!(
                "`{file}` is edited here and not committed, and {place} is what counts: `git add {file} && git commit`{then}"
            ),
        }
    }

    fn explain_unpublished(&self, file: &str) -> UnpublishedFile {
        let (place, checkout) = (self.source_place(), &self.checkout);
        let (commits, them) = match checkout.ahead {
            1 => ("a commit that is", "it"),
            _ => ("commits that are", "them"),
        };
        let what = match (&checkout.branch, checkout.is_same_branch) {
            (Some(branch), true) => format!(
                "`{file}` is edited in {commits} not pushed (your {branch} is {} ahead of {place}): {}",
                checkout.ahead,
                self.push_commands()
            ),
            (Some(branch), false) => format!(
                "`{file}` is edited on `{branch}`, and {place} is what counts: merge `{branch}` into `{}` first; `pillion plan` shows the plan of this folder",
                self.branch_name()
            ),
            (None, _) => format!(
                "`{file}` is edited in {commits} not on {place} (HEAD is detached): `git switch {} && git merge -` brings {them} there, then push",
                self.branch_name()
            ),
        };
        UnpublishedFile { path: file.to_owned(), explanation: what }
    }

    /// The commands that bring a branch and its remote together.
    fn push_commands(&self) -> &'static str {
        match self.checkout.behind {
            0 => "`git push`",
            _ => "`git pull`, then `git push`",
        }
    }

    /// The name of the branch that has the sources, without its remote.
    fn branch_name(&self) -> &str {
        let place = self.source_place();
        if self.checkout.has_remote { place.split_once('/').map_or(place, |(_, name)| name) } else { place }
    }
}

impl fmt::Display for BranchPosition {
    /// `origin/main @130a1d7 (your main is 1 ahead, 2 behind: git pull, git push)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} @{}", self.deploy.0, self.deploy.1.short())?;
        if let Some((place, head)) = &self.source {
            write!(f, ", sources on {place} @{}", head.short())?;
        }
        let more: Vec<String> =
            self.checkout.to_text().into_iter().chain(uncommitted_text(&self.uncommitted)).collect();
        if more.is_empty() { Ok(()) } else { write!(f, " ({})", more.join("; ")) }
    }
}

impl Checkout {
    /// What a person should know of HEAD; None: it is the branch that is read.
    fn to_text(&self) -> Option<String> {
        let which = match (&self.branch, self.is_same_branch) {
            (Some(branch), true) => format!("your {branch} is"),
            (Some(branch), false) => format!("you are on {branch},"),
            (None, _) if self.ahead == 0 => return None,
            (None, _) => "your HEAD is detached and".to_owned(),
        };
        let (distance, commands) = match (self.ahead, self.behind) {
            (0, 0) if self.is_same_branch => return None,
            (0, 0) => return Some(format!("{} at the same commit", which.trim_end_matches(" is"))),
            (ahead, 0) => (format!("{ahead} ahead"), "git push"),
            (0, behind) => (format!("{behind} behind"), "git pull"),
            (ahead, behind) => (format!("{ahead} ahead, {behind} behind"), "git pull, git push"),
        };
        let what_to_do = match self.is_same_branch && self.has_remote {
            true => format!(": {commands}"),
            false => String::new(),
        };
        Some(format!("{which} {distance}{what_to_do}"))
    }
}

fn is_manifest_file(file: &str) -> bool {
    MANIFEST_ENDINGS.iter().any(|ending| file.ends_with(ending))
}

/// Returns the manifests and other files of pillion that are not committed, sorted.
fn uncommitted_manifests(repository: &Repository, paths: &[String]) -> Result<Vec<String>, Error> {
    let mut files = repository.uncommitted_files(paths)?;
    files.retain(|file| is_manifest_file(file));
    Ok(files)
}

/// Returns which files of some paths are not committed, for a command that reads HEAD; None: all are.
pub(crate) fn describe_uncommitted(
    repository: &Repository,
    paths: &[String],
) -> Result<Option<String>, Error> {
    Ok(uncommitted_text(&uncommitted_manifests(repository, paths)?))
}

/// Returns which files are not committed; None: all are.
fn uncommitted_text(files: &[String]) -> Option<String> {
    let named = files.iter().take(MAX_NAMED_FILES).cloned().collect::<Vec<_>>().join(", ");
    let more = files.len().saturating_sub(MAX_NAMED_FILES) as u64;
    match (files.len(), more) {
        (0, _) => None,
        (_, 0) => Some(format!("not committed: {named}")),
        (_, more) => Some(format!("not committed: {named} and {} more", pluralize(more, "file"))),
    }
}

/// Returns whether what is left of a path after a prefix is nothing, or below it.
fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}
