//! The table of providers: one row each.

use super::api::{ProviderApi, RepositorySlug};
use super::bitbucket::Bitbucket;
use super::bitbucket_data_center::BitbucketDataCenter;
use super::gitea::Gitea;
use super::github::{self, GitHub};
use super::gitlab::GitLab;
use super::remote_address::RemoteAddress;
use crate::model::config::GitProvider;

/// A provider.
pub(super) struct ProviderRow {
    /// Its name in pillion.yaml.
    pub(super) provider: GitProvider,
    /// Its name for people.
    pub(super) label: &'static str,
    /// What stands before the number of a pull request.
    pub(super) reference: &'static str,
    /// Its own servers, and endings of their names that begin with a dot.
    pub(super) hosts: &'static [&'static str],
    /// A part of a host name that tells it: `gitlab` in `gitlab.acme.example`.
    pub(super) host_words: &'static [&'static str],
    /// Returns the API's address from `https://HOST`.
    pub(super) api_url: fn(&str) -> String,
    /// The end of every address of its API.
    pub(super) api_paths: &'static [&'static str],
    /// Returns the root path of the server and the repository; None: the address names none of its repositories.
    pub(super) locate: fn(&RemoteAddress) -> Option<(String, RepositorySlug)>,
    /// Returns the web address of a commit below that of the server, up to its id.
    pub(super) commit_path: fn(&RepositorySlug) -> String,
    /// Variables with a token besides [`TOKEN_VAR`](super::TOKEN_VAR).
    pub(super) token_variables: &'static [&'static str],
    /// What a token without the permission needs.
    pub(super) permission: &'static str,
    /// Characters of a title and of a body that it accepts.
    pub(super) max_title: usize,
    pub(super) max_body: usize,
    /// Its Markdown shows `<details>`.
    pub(super) folds: bool,
    pub(super) api: &'static dyn ProviderApi,
}

/// All providers.
pub(super) static PROVIDERS: [ProviderRow; 6] = [
    ProviderRow {
        provider: GitProvider::GitHub,
        label: "GitHub",
        reference: "pull request #",
        hosts: &["github.com", "www.github.com", ".ghe.com"],
        host_words: &["github", "ghe"],
        api_url: github::api_url,
        api_paths: &["/api/v3"],
        locate: owner_and_name,
        commit_path: |slug| format!("{slug}/commit/"),
        token_variables: &["GITHUB_TOKEN"],
        permission: "give it the permission to write pull requests (in GitHub Actions `permissions: {pull-requests: write}`, and allow Actions to create them in the settings)",
        max_title: 256,
        max_body: 65_536,
        folds: true,
        api: &GitHub,
    },
    ProviderRow {
        provider: GitProvider::GitLab,
        label: "GitLab",
        reference: "merge request !",
        hosts: &["gitlab.com"],
        host_words: &["gitlab"],
        api_url: |host| format!("{host}/api/v4"),
        api_paths: &["/api/v4"],
        locate: groups_and_name,
        commit_path: |slug| format!("{slug}/-/commit/"),
        token_variables: &["GITLAB_TOKEN"],
        permission: "give it the scope `api` and the role Developer (a CI_JOB_TOKEN cannot open merge requests)",
        max_title: 255,
        max_body: 65_536,
        folds: true,
        api: &GitLab,
    },
    ProviderRow {
        provider: GitProvider::Gitea,
        label: "Gitea",
        reference: "pull request #",
        hosts: &["gitea.com"],
        host_words: &["gitea"],
        api_url: |host| format!("{host}/api/v1"),
        api_paths: &["/api/v1"],
        locate: owner_and_name,
        commit_path: |slug| format!("{slug}/commit/"),
        token_variables: &["GITEA_TOKEN"],
        permission: "give it the scopes `write:repository` and `write:issue`",
        max_title: 255,
        max_body: 65_536,
        folds: true,
        api: &Gitea,
    },
    ProviderRow {
        provider: GitProvider::Forgejo,
        label: "Forgejo",
        reference: "pull request #",
        hosts: &["codeberg.org"],
        host_words: &["forgejo"],
        api_url: |host| format!("{host}/api/v1"),
        api_paths: &[],
        locate: owner_and_name,
        commit_path: |slug| format!("{slug}/commit/"),
        token_variables: &["FORGEJO_TOKEN", "GITEA_TOKEN"],
        permission: "give it the scopes `write:repository` and `write:issue`",
        max_title: 255,
        max_body: 65_536,
        folds: true,
        api: &Gitea,
    },
    ProviderRow {
        provider: GitProvider::Bitbucket,
        label: "Bitbucket Cloud",
        reference: "pull request #",
        hosts: &["bitbucket.org"],
        host_words: &[],
        api_url: |_| "https://api.bitbucket.org/2.0".to_owned(),
        api_paths: &["/2.0"],
        locate: owner_and_name,
        commit_path: |slug| format!("{slug}/commits/"),
        token_variables: &["BITBUCKET_TOKEN"],
        permission: "use an access token of the repository, the project or the workspace with the permission `pullrequest:write`",
        max_title: 255,
        max_body: 32_000,
        folds: false,
        api: &Bitbucket,
    },
    ProviderRow {
        provider: GitProvider::BitbucketDataCenter,
        label: "Bitbucket Data Center",
        reference: "pull request #",
        hosts: &[],
        host_words: &["bitbucket", "stash"],
        api_url: |host| format!("{host}/rest/api/latest"),
        api_paths: &["/rest/api/latest", "/rest/api/1.0"],
        locate: project_and_name,
        commit_path: |slug| format!("projects/{}/repos/{}/commits/", slug.owner, slug.name),
        token_variables: &["BITBUCKET_TOKEN"],
        permission: "use an HTTP access token with the permission to write to the repository",
        max_title: 255,
        max_body: 32_768,
        folds: false,
        api: &BitbucketDataCenter,
    },
];

/// Returns the row of a provider.
pub(super) fn row_of(provider: GitProvider) -> &'static ProviderRow {
    let row = PROVIDERS.iter().find(|row| row.provider == provider);
    row.expect("every provider has a row: a test compares them")
}

/// Returns the provider that runs a host itself.
pub(super) fn row_of_host(host: &str) -> Option<&'static ProviderRow> {
    let is_own = |name: &&&str| match name.strip_prefix('.') {
        Some(_) => host.ends_with(**name),
        None => host == **name,
    };
    PROVIDERS.iter().find(|row| row.hosts.iter().any(|name| is_own(&name)))
}

/// Returns the provider that the name of a host suggests.
pub(super) fn row_of_host_word(host: &str) -> Option<&'static ProviderRow> {
    let mut words = host.split(['.', '-', ':']);
    words.find_map(|word| PROVIDERS.iter().find(|row| row.host_words.contains(&word)))
}

/// Returns the provider that the address of an API suggests.
pub(super) fn row_of_api(url: &str) -> Option<&'static ProviderRow> {
    let url = url.trim_end_matches('/');
    PROVIDERS.iter().find(|row| row.api_paths.iter().any(|path| url.ends_with(path)))
}

/// `[ROOT/]OWNER/NAME`.
fn owner_and_name(address: &RemoteAddress) -> Option<(String, RepositorySlug)> {
    let [root @ .., owner, name] = &address.path[..] else { return None };
    let slug = RepositorySlug { owner: owner.clone(), name: name.clone() };
    // Root and owner look alike: only an address of HTTP may have a root.
    (root.is_empty() || address.is_http).then(|| (root.join("/"), slug))
}

/// `GROUP/[GROUP/...]NAME`.
fn groups_and_name(address: &RemoteAddress) -> Option<(String, RepositorySlug)> {
    let (name, groups) = address.path.split_last()?;
    Some((String::new(), RepositorySlug { owner: groups.join("/"), name: name.clone() }))
}

/// `[ROOT/]scm/KEY/NAME` over HTTP, `KEY/NAME` over ssh.
fn project_and_name(address: &RemoteAddress) -> Option<(String, RepositorySlug)> {
    let (root, slug) = owner_and_name(address)?;
    match root.strip_suffix("scm") {
        Some(root) if root.is_empty() || root.ends_with('/') => {
            Some((root.trim_end_matches('/').to_owned(), slug))
        }
        _ if address.is_http => None,
        _ => Some((root, slug)),
    }
}
