//! Fetches and pushes through the `git` program, with the user's credential helpers, proxies and ssh settings, and
//! only from the values that were read.
//!
//! Hooks of the clone do not run, not even `pre-push`: `core.hooksPath` often names a folder of the working tree.
//! Only the named refs are fetched and pushed; tags and submodules are left alone, and FETCH_HEAD is not written.

use super::git_command::GitOutput;
use super::refs::check_ref_name;
use super::remote_errors::{self, PushStatus, RejectedRef};
use super::{Error, ExpectedRef, ObjectId, Repository};

/// The repository that pillion shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// A remote of this name.
    Remote(String),
    /// This repository itself, which has no remote.
    Local,
}

/// How a branch may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefMove {
    /// Only to a commit that has the old one in its history.
    FastForward,
    /// To any commit: for staged branches, which are recreated.
    Force,
}

/// One branch to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref in full: `refs/heads/main`.
    pub name: String,
    /// Where to; none deletes it.
    pub to: Option<ObjectId>,
    /// The value that was read; if it differs now, the ref stays.
    pub expected: ExpectedRef,
    /// How.
    pub kind: RefMove,
}

impl Repository {
    /// Returns the upstream for a remote name of pillion.yaml: that remote, or this repository if it has no remotes.
    ///
    /// # Errors
    /// When there are only other remotes.
    pub fn upstream(&self, remote: &str) -> Result<Upstream, Error> {
        let found = self.inner.remotes().map_err(Error::from_git("listing the remotes"))?;
        let names: Vec<String> = found.iter().filter_map(Result::ok).flatten().map(str::to_owned).collect();
        if names.iter().any(|n| n == remote) {
            return Ok(Upstream::Remote(remote.to_owned()));
        }
        if names.is_empty() {
            return Ok(Upstream::Local);
        }
        Err(Error::RemoteNotFound { name: remote.to_owned(), known: names.join("`, `") })
    }

    /// Returns the URL that git would push to; None: there is no such remote.
    pub(crate) fn remote_url(&self, remote: &str) -> Option<String> {
        let found = self.inner.find_remote(remote).ok()?;
        let url = found.pushurl().ok().flatten().or_else(|| found.url().ok());
        url.map(str::to_owned)
    }

    /// Returns the commit of an upstream's branch at the last fetch.
    pub fn tracked_branch(&self, upstream: &Upstream, branch: &str) -> Option<ObjectId> {
        self.find_ref(&tracking_ref(upstream, branch))
    }

    /// Fetches branches and returns their commits in order; none for a branch that the upstream does not have. A name
    /// that ends in `*` means all branches with that prefix and returns no commit; branches that the upstream no
    /// longer has are pruned here. A name that starts with `refs/` is fetched under the same name.
    ///
    /// # Errors
    /// When the upstream cannot be reached.
    pub fn fetch(&self, upstream: &Upstream, branches: &[&str]) -> Result<Vec<Option<ObjectId>>, Error> {
        let Upstream::Remote(remote) = upstream else {
            return Ok(branches.iter().map(|b| self.tracked_branch(upstream, b)).collect());
        };
        let mut pending: Vec<&str> = branches.to_vec();
        while !pending.is_empty() {
            let output = self.git_fetch(upstream, remote, &pending)?;
            if output.code == Some(0) {
                break;
            }
            // git fetches nothing if a branch is missing, and names only the first missing one.
            match remote_errors::missing_remote_branch(&output.stderr) {
                Some(missing) if pending.contains(&missing) => pending.retain(|b| *b != missing),
                _ => return Err(remote_errors::remote_error("fetched from", remote, &output.stderr)),
            }
        }
        let there = |b: &&str| pending.contains(b).then(|| self.tracked_branch(upstream, b)).flatten();
        Ok(branches.iter().map(there).collect())
    }

    /// Fetches a ref outside of `refs/heads/` under the same name. None: the remote does not have it.
    ///
    /// # Errors
    /// When the upstream cannot be reached.
    pub(crate) fn fetch_ref(&self, upstream: &Upstream, name: &str) -> Result<Option<ObjectId>, Error> {
        check_ref_name(name)?;
        let Upstream::Remote(remote) = upstream else { return Ok(self.find_ref(name)) };
        let spec = format!("+{name}:{name}");
        let output = self.git(&[
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-prune",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            remote,
            &spec,
        ])?;
        match output.code {
            Some(0) => Ok(self.find_ref(name)),
            _ if remote_errors::missing_remote_branch(&output.stderr).is_some() => Ok(None),
            _ => Err(remote_errors::remote_error("fetched from", remote, &output.stderr)),
        }
    }

    fn git_fetch(&self, upstream: &Upstream, remote: &str, branches: &[&str]) -> Result<GitOutput, Error> {
        // git prunes only what a refspec names, and a missing named branch has failed before.
        let has_pattern = branches.iter().any(|b| b.ends_with('*'));
        let mut args = vec![
            "fetch",
            "--quiet",
            "--no-tags",
            if has_pattern { "--prune" } else { "--no-prune" },
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ];
        args.extend(["--", remote]);
        let specs: Vec<String> = branches
            .iter()
            .map(|b| {
                let (name, here) = match b.starts_with("refs/") {
                    true => ((*b).to_owned(), (*b).to_owned()),
                    false => (format!("refs/heads/{b}"), tracking_ref(upstream, b)),
                };
                check_ref_name(&name.replace('*', "all")).map(|()| format!("+{name}:{here}"))
            })
            .collect::<Result<_, _>>()?;
        args.extend(specs.iter().map(String::as_str));
        self.git(&args)
    }

    /// Pushes refs in one connection, each independently: a rejected one does not stop the others. A ref that is up
    /// to date is fine.
    ///
    /// # Errors
    /// The outer one when the upstream cannot be reached; an inner one when a branch was not moved.
    pub fn push(
        &self,
        upstream: &Upstream,
        updates: &[RefUpdate],
    ) -> Result<Vec<Result<PushStatus, Error>>, Error> {
        let checked: Vec<Result<(), Error>> = updates.iter().map(|u| self.check_push(u)).collect();
        let Upstream::Remote(remote) = upstream else {
            return Ok(updates
                .iter()
                .zip(checked)
                .map(|(u, c)| c.and_then(|()| self.update_local_ref(u)))
                .collect());
        };
        let sent: Vec<&RefUpdate> =
            updates.iter().zip(&checked).filter(|(_, c)| c.is_ok()).map(|(u, _)| u).collect();
        if sent.is_empty() {
            return Ok(checked.into_iter().map(|c| c.map(|()| PushStatus::UpToDate)).collect());
        }
        let output = self.git_push(remote, &sent)?;
        let lines = remote_errors::parse_push_output(&String::from_utf8_lossy(&output.stdout));
        if lines.is_empty() && output.code != Some(0) {
            return Err(remote_errors::remote_error("pushed to", remote, &output.stderr));
        }
        let server_message = remote_errors::server_message(&output.stderr);
        let outcome = |u: &RefUpdate| match lines.get(&u.name) {
            Some(Ok(pushed)) => Ok(*pushed),
            Some(Err(rejected)) => Err(self.rejection_error(remote, u, rejected, &server_message)),
            None => Err(remote_errors::remote_error("pushed to", remote, &output.stderr)),
        };
        Ok(updates.iter().zip(checked).map(|(u, c)| c.and_then(|()| outcome(u))).collect())
    }

    fn git_push(&self, remote: &str, updates: &[&RefUpdate]) -> Result<GitOutput, Error> {
        let mut args: Vec<String> =
            ["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"].map(str::to_owned).into();
        for update in updates {
            // A lease allows a push to rewrite history, too: `check_push` has excluded that.
            match update.expected {
                ExpectedRef::At(old) => args.push(format!("--force-with-lease={}:{old}", update.name)),
                ExpectedRef::Absent => args.push(format!("--force-with-lease={}:", update.name)),
                ExpectedRef::Any => {}
            }
        }
        args.extend(["--".to_owned(), remote.to_owned()]);
        for update in updates {
            let force =
                if update.kind == RefMove::Force && update.expected == ExpectedRef::Any { "+" } else { "" };
            let to = update.to.map(|id| id.to_string()).unwrap_or_default();
            args.push(format!("{force}{to}:{}", update.name));
        }
        self.git(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Refuses an update that would rewrite history, whatever the upstream has.
    fn check_push(&self, update: &RefUpdate) -> Result<(), Error> {
        check_ref_name(&update.name)?;
        let (RefMove::FastForward, ExpectedRef::At(old)) = (update.kind, update.expected) else {
            return Ok(());
        };
        let is_forward = match update.to {
            Some(new) => self.is_ancestor(old, new)?,
            None => false,
        };
        if is_forward {
            return Ok(());
        }
        let to = update.to.map_or_else(|| "nothing".to_owned(), ObjectId::short);
        Err(Error::NotFastForward { name: update.name.clone(), from: old.short(), to })
    }

    /// Moves a ref in a repository without remotes.
    fn update_local_ref(&self, update: &RefUpdate) -> Result<PushStatus, Error> {
        let found = self.find_ref(&update.name);
        if found == update.to {
            return Ok(PushStatus::UpToDate);
        }
        if let (RefMove::FastForward, Some(found), Some(to)) = (update.kind, found, update.to)
            && !self.is_ancestor(found, to)?
        {
            return Err(self.ref_moved_error(&update.name, update.expected));
        }
        match update.to {
            Some(to) => self.update_ref(&update.name, to, update.expected, "pillion"),
            None => self.delete_ref(&update.name, update.expected),
        }
        .map(|()| PushStatus::Updated)
    }

    /// Explains why a server did not move a branch.
    fn rejection_error(
        &self,
        remote: &str,
        update: &RefUpdate,
        rejected: &RejectedRef,
        server_message: &str,
    ) -> Error {
        let name = update.name.strip_prefix("refs/heads/").unwrap_or(&update.name);
        let reason =
            if server_message.is_empty() { rejected.reason.clone() } else { server_message.to_owned() };
        match rejected.cause() {
            remote_errors::RejectionCause::NonFastForward => Error::RefMoved {
                name: format!("{remote}/{name}"),
                expected: match update.expected {
                    ExpectedRef::At(id) => id.short(),
                    ExpectedRef::Absent => "no such branch".to_owned(),
                    ExpectedRef::Any => "a commit that this one builds on".to_owned(),
                },
                found: format!("something else ({})", rejected.reason),
            },
            remote_errors::RejectionCause::Declined
                if remote_errors::is_branch_protection(&format!("{reason} {}", rejected.reason)) =>
            {
                Error::Protected { remote: remote.to_owned(), name: name.to_owned(), reason }
            }
            remote_errors::RejectionCause::Declined => {
                Error::Declined { remote: remote.to_owned(), name: name.to_owned(), reason }
            }
        }
    }
}

/// Returns the local ref that tracks a branch of the upstream.
fn tracking_ref(upstream: &Upstream, branch: &str) -> String {
    match upstream {
        Upstream::Remote(remote) => format!("refs/remotes/{remote}/{branch}"),
        Upstream::Local => format!("refs/heads/{branch}"),
    }
}
