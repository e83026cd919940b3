//! Where a batch waits as a pull request: merging it is the approval. What a forge has to be able to do, and which
//! repository of it a remote is.

/// GitHub, github.com and Enterprise Server.
pub mod github;

use std::time::Duration;

/// Variable with the token of the forge; in GitHub Actions `GITHUB_TOKEN` does, too.
pub const TOKEN_VAR: &str = "PILLION_FORGE_TOKEN";

/// Variable with the address of the forge's API, where it cannot be told from the remote's.
pub const API_URL_VAR: &str = "PILLION_FORGE_URL";

/// A pull request as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch with the next commit: [`next_branch`].
    pub head: String,
    /// The deploy branch.
    pub base: String,
    /// One line.
    pub title: String,
    /// What else is to be said; trailers at its end, so that a squash keeps them.
    pub body: String,
}

impl PullRequest {
    /// Makes one of a commit's message: its subject is the title, the rest the body.
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

/// Returns the branch from which a batch is merged: `pillion/next/[CLUSTER/]SIDECARSET/LIVE`.
pub fn next_branch(deploy: &str, cluster: Option<&str>, sidecar_set: &str) -> String {
    let cluster = cluster.map(|c| format!("{c}/")).unwrap_or_default();
    format!("pillion/next/{cluster}{sidecar_set}/{deploy}")
}

/// A pull request that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPullRequest {
    /// Its number.
    pub number: u64,
    /// Where people see it.
    pub url: String,
    /// What became of the call.
    pub change: PullRequestChange,
}

/// What became of a pull request that was to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestChange {
    /// It is new.
    Created,
    /// It was there, and said something else.
    Updated,
    /// It was there as it is to be.
    Unchanged,
}

/// What the newest pull request of a branch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestInfo {
    /// Its number.
    pub number: u64,
    /// Where people see it.
    pub url: String,
    /// The commit that it is about.
    pub head: String,
    /// Where it stands.
    pub state: PullRequestState,
}

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestState {
    /// It waits for somebody.
    Open,
    /// It is merged.
    Merged,
    /// Somebody has closed it without merging it.
    Declined,
}

/// Why a forge did not do it: what is wrong, and what to do. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct ProviderError {
    /// For people.
    pub said: String,
    /// Another try may help.
    pub is_retryable: bool,
    /// How long the forge asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// A forge with pull requests.
pub trait PullRequestProvider: Send {
    /// Returns the newest pull request from one branch to another, whatever has become of it.
    ///
    /// # Errors
    /// When the forge does not say.
    fn find(&self, head: &str, base: &str) -> Result<Option<PullRequestInfo>, ProviderError>;

    /// Makes the open pull request of these branches say what it is to; there is never a second one.
    ///
    /// # Errors
    /// When the forge does not let it be.
    fn open_or_update(&self, wanted: &PullRequest) -> Result<OpenPullRequest, ProviderError>;

    /// Closes a pull request and says why; one that is closed already is fine.
    ///
    /// # Errors
    /// When the forge does not let it be.
    fn close(&self, number: u64, why: &str) -> Result<(), ProviderError>;
}

/// A repository of a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositorySlug {
    /// The forge's host, with its port where the address is one of HTTP.
    pub host: String,
    /// The user or organisation.
    pub owner: String,
    /// The repository.
    pub name: String,
}

impl RepositorySlug {
    /// Reads the address of a remote: `https://host/owner/name.git`, `ssh://git@host/owner/name`,
    /// `git@host:owner/name.git`. None: it is no repository of a forge.
    pub fn parse(address: &str) -> Option<Self> {
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
                // As ssh has it: a slash before the colon makes it a path, and one letter is a drive.
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
        // GitHub's ssh on the port of HTTPS.
        let host = host.to_ascii_lowercase();
        let host = if host == "ssh.github.com" { "github.com".to_owned() } else { host };
        Some(Self { host, owner: owner.to_owned(), name: name.to_owned() })
    }
}

/// Returns where people see the commits of a remote, up to the id: of GitHub, or of a forge that is known to be one.
pub fn commit_url_prefix(remote: &str, is_forge: bool) -> Option<String> {
    let RepositorySlug { host, owner, name } = RepositorySlug::parse(remote)?;
    (is_forge || host == "github.com").then(|| format!("https://{host}/{owner}/{name}/commit/"))
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
        for odd in [
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
            assert_eq!(slug(odd), None, "{odd}");
        }
    }

    #[test]
    fn commits_are_seen_where_it_is_certain() {
        let at = |remote, is_forge| commit_url_prefix(remote, is_forge).unwrap_or_default();
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
