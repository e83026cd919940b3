//! Interprets the output of `git fetch` and `git push`: whether the user, the server or a retry can fix it.

use super::Error;
use crate::diagnostics::escape;
use std::collections::BTreeMap;

/// A rejected ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RejectedRef {
    /// Whether the server rejected it, and not the local git.
    is_by_server: bool,
    /// The text in parentheses at the end of git's line.
    pub(super) reason: String,
}

/// The result of a successful push of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushStatus {
    /// This push moved it.
    Updated,
    /// It was up to date.
    UpToDate,
}

/// Why a ref was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RejectionCause {
    /// It was updated concurrently.
    NonFastForward,
    /// The server refuses it.
    Declined,
}

impl RejectedRef {
    pub(super) fn cause(&self) -> RejectionCause {
        let reason = self.reason.to_lowercase();
        // A server compares again under its lock; these phrases mean a concurrent update.
        let lost = [
            "stale info",
            "fetch first",
            "non-fast-forward",
            "cannot lock ref",
            "failed to update ref",
            "incorrect old value",
            "already exists",
            "remote ref updated since checkout",
        ];
        if !self.is_by_server || lost.iter().any(|w| reason.contains(w)) {
            RejectionCause::NonFastForward
        } else {
            RejectionCause::Declined
        }
    }
}

/// Parses the lines of `git push --porcelain`: each ref, and its result.
pub(super) fn parse_push_output(out: &str) -> BTreeMap<String, Result<PushStatus, RejectedRef>> {
    let mut found = BTreeMap::new();
    for line in out.lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(flag), Some(refs), Some(summary)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let Some((_, name)) = refs.rsplit_once(':') else { continue };
        let outcome = match flag {
            "!" => Err(RejectedRef {
                is_by_server: !summary.starts_with("[rejected]"),
                reason: bracketed_reason(summary).to_owned(),
            }),
            "=" => Ok(PushStatus::UpToDate),
            _ => Ok(PushStatus::Updated),
        };
        found.insert(name.to_owned(), outcome);
    }
    found
}

/// Returns the text in parentheses at the end, or everything.
fn bracketed_reason(summary: &str) -> &str {
    let inner = summary.split_once(" (").map(|(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
    inner.unwrap_or(summary)
}

/// Phrases of servers for a branch that this user may not push to.
const PROTECTION_PHRASES: &[&str] = &[
    "protected branch",            // GitHub GH006, GitLab, Gitea, Forgejo
    "is protected",                // Gitea
    "rule violations",             // GitHub GH013
    "not allowed to push",         // GitLab, Gitea
    "permission denied to update", // Bitbucket Cloud
    "pull request",                // Bitbucket Data Center, Azure DevOps, GitHub
    "merge request",               // GitLab
    "not permitted",               // Azure DevOps TF402455, Bitbucket Data Center
    "prohibited by gerrit",        // Gerrit
];

pub(super) fn is_branch_protection(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    PROTECTION_PHRASES.iter().any(|w| reason.contains(w))
}

/// Returns the branch that a fetch did not find.
pub(super) fn missing_remote_branch(err: &str) -> Option<&str> {
    let line = err.lines().find_map(|l| l.split_once("couldn't find remote ref "))?.1;
    Some(line.trim().trim_start_matches("refs/heads/"))
}

/// Explains a failed fetch or push.
pub(super) fn remote_error(action: &'static str, remote: &str, err: &str) -> Error {
    let (remote, reason) = (remote.to_owned(), git_message(err));
    if let Some(path) = lock_file(err) {
        return Error::LockFile { action, remote, path: escape::line(&path).into_owned() };
    }
    let lower = err.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if has(ACCESS_DENIED_PHRASES) {
        return Error::AccessDenied { action, remote, reason };
    }
    if has(NO_REPOSITORY_PHRASES) {
        return Error::RemoteRepositoryNotFound { action, remote, reason };
    }
    if has(UNREACHABLE_PHRASES) {
        return Error::Unreachable { action, remote, reason };
    }
    Error::RemoteFailed { action, remote, reason }
}

/// Returns the lock file of this repository that blocks git.
fn lock_file(err: &str) -> Option<String> {
    let mut here = err.lines().filter(|line| !line.starts_with("remote:"));
    let file = |line: &str| {
        let rest = line.split_once("Unable to create '")?.1;
        // git doubles the slash after a folder that ends with one.
        Some(format!("{}.lock", rest.split_once(".lock': File exists")?.0.replace("//", "/")))
    };
    here.find_map(file)
}

const ACCESS_DENIED_PHRASES: &[&str] = &[
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "permission denied (",
    "access denied",
    "invalid username or",
    "host key verification failed",
    "returned error: 401",
    "returned error: 403",
    "write access to repository not granted",
    "support for password authentication was removed",
    "you are not allowed to",
];

const NO_REPOSITORY_PHRASES: &[&str] = &[
    "repository not found",
    "does not appear to be a git repository",
    "could not be found or you don't have permission",
    "returned error: 404",
    "' not found",
];

const UNREACHABLE_PHRASES: &[&str] = &[
    "could not resolve host",
    "failed to connect",
    "connection refused",
    "connection timed out",
    "connection reset",
    "connection closed",
    "operation timed out",
    "timed out",
    "network is unreachable",
    "no route to host",
    "early eof",
    "rpc failed",
    "unexpected disconnect",
    "hung up unexpectedly",
    "returned error: 5",
    "returned error: 429",
    "ssl_error",
    "gnutls",
    "cannot lock ref",
    "unable to create",
];

/// Returns the server's message, if there is one.
pub(super) fn server_message(err: &str) -> String {
    let lines = err.lines().filter_map(|l| l.strip_prefix("remote:")).map(str::trim);
    let lines = lines.filter(|l| l.chars().any(char::is_alphanumeric));
    truncate_message(&lines.collect::<Vec<_>>().join("; "))
}

/// Lines that git adds to the reason of every failed connection.
const COMMON_LINES: &[&str] = &[
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
];

/// Returns git's message without hints, progress and what it says of every failure, unless that is all.
fn git_message(err: &str) -> String {
    let is_noise = |l: &&str| {
        l.is_empty() || l.starts_with("hint:") || l.starts_with("To ") || l.starts_with("Pushing to")
    };
    let lines: Vec<&str> = err.lines().map(str::trim).filter(|l| !is_noise(l)).collect();
    let own: Vec<&str> = lines.iter().copied().filter(|line| !COMMON_LINES.contains(line)).collect();
    let own = if own.is_empty() { lines } else { own };
    let own = own.iter().map(|line| line.strip_prefix("fatal: ").unwrap_or(line));
    let reason = truncate_message(&own.collect::<Vec<_>>().join("; "));
    if reason.is_empty() { "git gave no reason".to_owned() } else { reason }
}

/// Characters that are kept of a message.
const MAX_MESSAGE_CHARS: usize = 600;

fn truncate_message(text: &str) -> String {
    escape::truncate(&escape::line(&mask_credentials(text)), MAX_MESSAGE_CHARS).into_owned()
}

/// Masks user names, passwords and queries in URLs, which may be tokens.
pub fn mask_credentials(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        kept.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"'))
            .unwrap_or(after.len());
        // A password may contain an `@`, so the last one before the path separates the host.
        match after[..end].rfind('@') {
            Some(host) => {
                kept.push_str("***");
                rest = &after[host..];
            }
            None => rest = after,
        }
        let is_end = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>' | '`');
        let (address, behind) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
        // The query may contain another URL.
        if let Some((path, query)) = address.split_once('?')
            && !query.is_empty()
        {
            kept.push_str(path);
            kept.push_str("?***");
            rest = behind;
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_in_addresses_are_masked() {
        for (reason, kept) in [
            (
                "fatal: unable to access 'https://ci:s3cr3t@git.example/a.git/': 403",
                "fatal: unable to access 'https://***@git.example/a.git/': 403",
            ),
            ("https://ghp_token@github.com/a", "https://***@github.com/a"),
            ("https://u:p@ss@host/x and http://a:b@h", "https://***@host/x and http://***@h"),
            ("git@github.com:acme/gitops.git", "git@github.com:acme/gitops.git"),
            ("https://host/a@b", "https://host/a@b"),
            ("no address", "no address"),
            (
                "fatal: unable to access 'https://host/a.git/?private_token=s3cr3t&x=https://u:p@h/': 403",
                "fatal: unable to access 'https://host/a.git/?***': 403",
            ),
            (
                "see https://host/a?token=s3cr3t and http://h?s3cr3t, then",
                "see https://host/a?*** and http://h?*** then",
            ),
            ("is it https://host/a? yes", "is it https://host/a? yes"),
        ] {
            assert_eq!(mask_credentials(reason), kept);
        }
    }

    #[test]
    fn what_git_says_of_every_failure_is_left_out() {
        let common = COMMON_LINES.join("\n");
        let missing = "fatal: '/srv/a.git' does not appear to be a git repository";
        assert_eq!(
            git_message(&format!("{missing}\n{common}\n")),
            "'/srv/a.git' does not appear to be a git repository"
        );
        assert!(git_message(&common).starts_with("Could not read from remote repository.; Please"));
    }

    #[test]
    fn failures_are_told_apart() {
        let kind = |err: &str| match remote_error("fetched from", "origin", err) {
            Error::AccessDenied { .. } => "access",
            Error::RemoteRepositoryNotFound { .. } => "repository",
            Error::Unreachable { .. } => "unreachable",
            Error::RemoteFailed { .. } => "remote",
            Error::LockFile { path, .. } => path.leak(),
            other => panic!("{other:?}"),
        };
        for (err, expected) in [
            ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", "access"),
            (
                "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://gitlab.com/a/'",
                "access",
            ),
            (
                "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                "access",
            ),
            ("Host key verification failed.\nfatal: Could not read from remote repository.", "access"),
            ("fatal: unable to access 'https://h/': The requested URL returned error: 403", "access"),
            ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "repository"),
            ("fatal: '/tmp/x' does not appear to be a git repository", "repository"),
            ("fatal: repository 'https://h/x.git/' not found", "repository"),
            ("fatal: unable to access 'https://h/': Could not resolve host: h", "unreachable"),
            ("ssh: connect to host h port 22: Connection refused", "unreachable"),
            ("ssh: connect to host h port 22: Connection timed out", "unreachable"),
            ("error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502", "unreachable"),
            ("fatal: the remote end hung up unexpectedly", "unreachable"),
            ("fatal: bad object", "remote"),
            (
                "error: cannot lock ref 'refs/remotes/origin/main': Unable to create '/srv/x/.git/refs/remotes/origin/main.lock': File exists.\n\nAnother git process seems to be running in this repository",
                "/srv/x/.git/refs/remotes/origin/main.lock",
            ),
            (
                "remote: error: cannot lock ref 'refs/heads/main': Unable to create '/srv/x.git/refs/heads/main.lock': File exists.",
                "unreachable",
            ),
        ] {
            assert_eq!(kind(err), expected, "{err}");
        }
    }
}
