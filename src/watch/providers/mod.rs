//! Providers of pull requests: each batch waits as a pull request, and merging it is the approval. The trait of a
//! provider, and the repository that a remote's address names.

/// GitHub: github.com and Enterprise Server.
pub mod github;

use std::time::Duration;

/// Variable with the provider's token; `GITHUB_TOKEN` works, too.
pub(crate) const TOKEN_VAR: &str = "PILLION_FORGE_TOKEN";

/// Variable with the address of the provider's API, if it does not follow from the remote's.
pub(crate) const API_URL_VAR: &str = "PILLION_FORGE_URL";

/// The content of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch with the next commit: [`next_branch`].
    pub(crate) head: String,
    /// The deploy branch.
    pub(crate) base: String,
    /// One line.
    pub(crate) title: String,
    /// The rest, with trailers at its end, so that a squash keeps them.
    pub(crate) body: String,
}

impl PullRequest {
    /// Builds it from a commit message: the subject is the title, the rest the body.
    pub fn from_message(head: &str, base: &str, message: &str) -> Self {
        let (title, body) = message.trim().split_once('\n').unwrap_or((message.trim(), ""));
        Self {
            head: head.to_owned(),
            base: base.to_owned(),
            title: title.trim().to_owned(),
            body: body.trim().to_owned(),
        }
    }
}

/// Returns the branch of a pull request: `pillion/next/[CLUSTER/]SIDECARSET/BRANCH`.
pub(crate) fn next_branch(deploy: &str, cluster: Option<&str>, sidecar_set: &str) -> String {
    let cluster = cluster.map(|c| format!("{c}/")).unwrap_or_default();
    format!("pillion/next/{cluster}{sidecar_set}/{deploy}")
}

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPullRequest {
    /// Its number.
    pub number: u64,
    /// Its web address.
    pub url: String,
    /// What the call changed.
    pub change: PullRequestChange,
}

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestChange {
    /// It was created.
    Created,
    /// It was updated.
    Updated,
    /// It was up to date.
    Unchanged,
}

/// The newest pull request of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestInfo {
    /// Its number.
    pub number: u64,
    /// Its web address.
    pub url: String,
    /// Its head commit.
    pub head: String,
    /// Its state.
    pub state: PullRequestState,
}

/// The state of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestState {
    /// It is open.
    Open,
    /// It was merged.
    Merged,
    /// It was closed without a merge.
    Declined,
}

/// Why the provider failed, and what to do. Contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// The text for people.
    pub message: String,
    /// Whether a retry may succeed.
    pub is_retryable: bool,
    /// The pause that the provider asks for.
    pub retry_after: Option<Duration>,
}

/// A provider of pull requests.
pub trait PullRequestProvider: Send {
    /// Returns the newest pull request from one branch to another, whatever its state.
    ///
    /// # Errors
    /// When the forge does not say.
    fn find(&self, head: &str, base: &str) -> Result<Option<PullRequestInfo>, ProviderError>;

    /// Creates or updates the open pull request of two branches; there is never a second one.
    ///
    /// # Errors
    /// When the forge does not let it be.
    fn open_or_update(&self, pull_request: &PullRequest) -> Result<OpenPullRequest, ProviderError>;

    /// Closes a pull request with a reason; a closed one is fine.
    ///
    /// # Errors
    /// When the forge does not let it be.
    fn close(&self, number: u64, reason: &str) -> Result<(), ProviderError>;
}

/// A repository of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositorySlug {
    /// The provider's host, with its port if the address is one of HTTP.
    pub(crate) host: String,
    /// The user or organisation.
    pub(crate) owner: String,
    /// The repository.
    pub(crate) name: String,
}

impl RepositorySlug {
    /// Parses the address of a remote: `https://host/owner/name.git`, `ssh://git@host/owner/name`,
    /// `git@host:owner/name.git`. None: it names no repository of a provider.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let address = address.trim();
        let (host, path) = match address.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/')?;
                let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                let host = match scheme {
                    "https" | "http" => authority,
                    "ssh" | "git+ssh" => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
                    _ => return None,
                };
                (host, path)
            }
            None => {
                // As in ssh: a slash before the colon makes it a path, and one letter is a drive.
                let (authority, path) = address.split_once(':')?;
                if authority.contains('/') || authority.len() < 2 {
                    return None;
                }
                (authority.rsplit_once('@').map_or(authority, |(_, host)| host), path)
            }
        };
        let path = path.trim_matches('/');
        let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
        let is_word = |word: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !word.is_empty() && word.chars().all(is_plain) && word.chars().any(|c| c != '.')
        };
        if host.is_empty() || !is_word(owner) || !is_word(name) {
            return None;
        }
        // GitHub's ssh on the HTTPS port.
        let host = host.to_ascii_lowercase();
        let host = if host == "ssh.github.com" { "github.com".to_owned() } else { host };
        Some(Self { host, owner: owner.to_owned(), name: name.to_owned() })
    }
}

/// Returns the web address of a remote's commits, up to the id: for GitHub, or for a host that is known to be a
/// provider.
pub(crate) fn commit_url_prefix(remote: &str, is_provider: bool) -> Option<String> {
    let RepositorySlug { host, owner, name } = RepositorySlug::parse(remote)?;
    (is_provider || host == "github.com").then(|| format!("https://{host}/{owner}/{name}/commit/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read_from_addresses_of_all_forms() {
        let slug = |address: &str| {
            let slug = RepositorySlug::parse(address)?;
            Some(format!("{} {} {}", slug.host, slug.owner, slug.name))
        };
        for address in [
            "https://github.com/acme/gitops.git",
            "https://github.com/acme/gitops",
            "https://github.com/acme/gitops/",
            "https://x-access-token:s3cr3t@github.com/acme/gitops.git",
            "ssh://git@github.com/acme/gitops.git",
            "ssh://git@ssh.github.com:443/acme/gitops.git",
            "git@github.com:acme/gitops.git",
            "git@GitHub.com:acme/gitops",
            "github.com:/acme/gitops.git",
        ] {
            assert_eq!(slug(address).as_deref(), Some("github.com acme gitops"), "{address}");
        }
        assert_eq!(
            slug("https://ghe.acme.example:8443/a/b.c.git").as_deref(),
            Some("ghe.acme.example:8443 a b.c")
        );
        assert_eq!(slug("ssh://git@ghe.acme.example:2222/a/b").as_deref(), Some("ghe.acme.example a b"));
        for address in [
            "/srv/git/gitops.git",
            "../gitops",
            "file:///srv/a/b.git",
            "C:\\a\\b",
            "https://github.com/acme",
            "https://github.com/a/b/c",
            "https://github.com/../x",
            "git@host:a b/c",
            "https://github.com/a/b?c=d",
            "",
        ] {
            assert_eq!(slug(address), None, "{address}");
        }
    }

    #[test]
    fn commits_are_seen_where_it_is_certain() {
        let at = |remote, is_provider| commit_url_prefix(remote, is_provider).unwrap_or_default();
        let own = "ssh://git@ghe.acme.example:2222/acme/gitops.git";
        assert_eq!(at("https://x:s3cr3t@github.com/a/b.git", false), "https://github.com/a/b/commit/");
        assert_eq!(at(own, true), "https://ghe.acme.example/acme/gitops/commit/");
        assert_eq!((at(own, false), at("file:///srv/a/b.git", true)), (String::new(), String::new()));
    }

    #[test]
    fn a_message_is_a_title_and_a_body_that_ends_with_trailers() {
        let made = PullRequest::from_message("h", "main", "log: batch 2/3\n\nWhat.\n\nPillion-Batch: 2/3\n");
        assert_eq!((&*made.title, &*made.body), ("log: batch 2/3", "What.\n\nPillion-Batch: 2/3"));
        assert_eq!(PullRequest::from_message("h", "main", "only").body, "");
        assert_eq!(next_branch("env/prod", Some("eu"), "log"), "pillion/next/eu/log/env/prod");
    }
}
