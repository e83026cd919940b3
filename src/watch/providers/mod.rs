//! Providers of pull requests: each commit waits as a pull request, and merging it is the approval. Chooses the provider
//! by the address of the remote or by pillion.yaml.

mod api;
mod bitbucket;
mod bitbucket_data_center;
mod description;
mod errors;
mod gitea;
mod github;
mod gitlab;
mod remote_address;
mod repository;
mod table;
mod types;

pub use description::Description;
pub(crate) use types::{API_URL_VAR, TOKEN_VAR};
pub use types::{
    OpenPullRequest, ProviderError, PullRequest, PullRequestChange, PullRequestInfo, PullRequestProvider,
    PullRequestState,
};

use super::http_client::{HttpClient, SecretUrl, is_loopback};
use crate::model::config::GitProvider;
use crate::model::defaults::PROVIDER_TIMEOUT_SECONDS;
use api::{PullRequestQuery, RepositorySlug};
use remote_address::RemoteAddress;
use repository::ProviderRepository;
use std::time::Duration;
use table::ProviderRow;

/// Timeout of one request.
pub const PROVIDER_TIMEOUT: Duration = Duration::from_secs(PROVIDER_TIMEOUT_SECONDS);

/// What decides which provider is used, and how.
pub struct ProviderSettings<'a> {
    /// The address of the remote.
    pub remote: &'a str,
    /// `git.provider` of pillion.yaml.
    pub provider: Option<GitProvider>,
    /// The API's address. Never from pillion.yaml: whoever can change that must not receive the token.
    pub api_url: Option<&'a str>,
    /// Reads a variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Returns the repository of the remote on its provider.
///
/// # Errors
/// When it is not clear which provider or repository is meant, or the token is missing or would be sent in the clear.
pub fn connect(
    client: HttpClient,
    settings: &ProviderSettings<'_>,
) -> Result<Box<dyn PullRequestProvider>, ProviderError> {
    Ok(Box::new(connect_repository(client, settings)?))
}

fn connect_repository(
    client: HttpClient,
    settings: &ProviderSettings<'_>,
) -> Result<ProviderRepository, ProviderError> {
    let api_url = settings.api_url.map(str::trim).filter(|url| !url.is_empty());
    let address = RemoteAddress::parse(settings.remote);
    let row = match settings.provider {
        Some(provider) => table::row_of(provider),
        None => choose_row(address.as_ref(), api_url)?,
    };
    let located = address.as_ref().and_then(|address| Some((address, locate(row, address, api_url)?)));
    let Some((address, (root, slug))) = located else {
        return Err(ProviderError::permanent(format!(
            "the remote's address does not name a repository of {} (https://HOST/OWNER/NAME or git@HOST:OWNER/NAME): set `git.remote` in pillion.yaml to a remote that does, or omit `--pull-request`",
            row.label
        )));
    };
    let root = if root.is_empty() { root } else { format!("/{root}") };
    let web = format!("{}://{}{root}", address.web_scheme, address.host);
    let api_url = api_url.map_or_else(|| (row.api_url)(&web), str::to_owned);
    let api = SecretUrl::parse(&api_url)
        .map_err(|reason| ProviderError::permanent(format!("{API_URL_VAR}: {reason}")))?;
    if api_url.starts_with("http://") && !is_loopback(api.host()) {
        return Err(ProviderError::permanent(format!(
            "{API_URL_VAR} begins with http://, and the token would be sent in the clear: use https://"
        )));
    }
    let token = find_token(row, settings.variable).ok_or_else(|| {
        let others = row.token_variables.join(" or ");
        ProviderError::permanent(format!(
            "there is no token for {} at {}: set {TOKEN_VAR} (or {others}) to one that may read contents and write pull requests",
            row.label, address.host
        ))
    })?;
    Ok(ProviderRepository { row, client, api, slug, token })
}

/// Chooses the provider of a remote without `git.provider`.
fn choose_row(
    address: Option<&RemoteAddress>,
    api_url: Option<&str>,
) -> Result<&'static ProviderRow, ProviderError> {
    let host = address.map(|address| address.host.as_str()).unwrap_or_default();
    let known = table::row_of_host(host)
        .or_else(|| api_url.and_then(table::row_of_api))
        .or_else(|| table::row_of_host_word(host));
    known.ok_or_else(|| match address {
        Some(_) => ProviderError::permanent(format!(
            "`{host}` does not tell which git provider it is: set `git.provider` in pillion.yaml to one of {}",
            GitProvider::ALL.map(|provider| format!("`{}`", provider.name())).join(", ")
        )),
        None => ProviderError::permanent(
            "the remote's address names no repository of a git provider (https://HOST/OWNER/NAME or git@HOST:OWNER/NAME): set `git.remote` in pillion.yaml to a remote that does, or omit `--pull-request`",
        ),
    })
}

/// Returns the root path of the server and the repository. An API's address with a path before its own tells that
/// root, also where a path of groups hides it.
fn locate(
    row: &ProviderRow,
    address: &RemoteAddress,
    api_url: Option<&str>,
) -> Option<(String, RepositorySlug)> {
    let (root, mut slug) = (row.locate)(address)?;
    let known = api_url.and_then(|url| {
        let path = row.api_paths.iter().find_map(|path| url.trim_end_matches('/').strip_suffix(path))?;
        Some(path.split_once("://")?.1.split_once('/')?.1.to_owned())
    });
    if let Some(known) = known.filter(|_| address.is_http)
        && let Some(owner) = slug.owner.strip_prefix(&format!("{known}/"))
    {
        slug.owner = owner.to_owned();
    }
    Some((root, slug))
}

fn find_token(row: &ProviderRow, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let names = std::iter::once(TOKEN_VAR).chain(row.token_variables.iter().copied());
    let tokens = names.filter_map(variable).map(|token| token.trim().to_owned());
    tokens.into_iter().find(|token| !token.is_empty())
}

/// Returns the web address of a remote's commits, up to the id: where `git.provider` or the host says which provider
/// it is, or it `is_provider`, so that one was found for it.
pub(crate) fn commit_url_prefix(
    remote: &str,
    provider: Option<GitProvider>,
    is_provider: bool,
) -> Option<String> {
    let address = RemoteAddress::parse(remote)?;
    let row = match provider {
        Some(provider) => table::row_of(provider),
        None => table::row_of_host(&address.host)
            .or_else(|| table::row_of_host_word(&address.host).filter(|_| is_provider))?,
    };
    let (root, slug) = (row.locate)(&address)?;
    let root = if root.is_empty() { root } else { format!("{root}/") };
    Some(format!("{}://{}/{root}{}", address.web_scheme, address.host, (row.commit_path)(&slug)))
}

/// Reads bytes as a provider's list of pull requests, and returns the first one between two branches.
pub fn read_pull_requests(
    provider: GitProvider,
    body: &[u8],
    head: &str,
    base: &str,
) -> Option<PullRequestInfo> {
    let (api, slug) = (table::row_of(provider).api, RepositorySlug::default());
    let query = PullRequestQuery { head, base, only_open: false, page: 1 };
    let page = serde_json::from_slice(body).ok()?;
    api.list_items(&page)?.iter().find_map(|item| api.read_item(item, &slug, &query)).map(|found| found.info)
}

/// Reads bytes as a provider's error response: one short line.
pub fn read_refusal(provider: GitProvider, body: &[u8]) -> String {
    errors::read_message(body, &|value| table::row_of(provider).api.error_message(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::http_client::CaCertificates;

    fn settings<'a>(remote: &'a str, api_url: Option<&'a str>) -> ProviderSettings<'a> {
        let variable = &|name: &str| (name == TOKEN_VAR).then(|| "s3cr3t".to_owned());
        ProviderSettings { remote, provider: None, api_url, variable }
    }

    fn connected(settings: &ProviderSettings<'_>) -> Result<ProviderRepository, ProviderError> {
        let client = HttpClient::new(PROVIDER_TIMEOUT, &CaCertificates::default());
        connect_repository(client, settings)
    }

    fn at(settings: &ProviderSettings<'_>) -> String {
        let found = connected(settings).unwrap();
        format!("{} {} {}", found.row.label, found.slug, found.api.reveal())
    }

    #[test]
    fn every_provider_has_a_row() {
        for provider in GitProvider::ALL {
            assert_eq!(table::row_of(provider).provider, provider);
        }
        assert_eq!(table::PROVIDERS.len(), GitProvider::ALL.len());
    }

    #[test]
    fn hosts_tell_the_provider_and_its_api() {
        for (remote, expected) in [
            ("git@github.com:acme/gitops.git", "GitHub acme/gitops https://api.github.com/"),
            ("https://ghe.acme.example/a/b.git", "GitHub a/b https://ghe.acme.example/api/v3"),
            ("git@acme.ghe.com:a/b.git", "GitHub a/b https://api.acme.ghe.com/"),
            ("git@gitlab.com:acme/team/gitops.git", "GitLab acme/team/gitops https://gitlab.com/api/v4"),
            ("https://gitlab.acme.example:8443/a/b", "GitLab a/b https://gitlab.acme.example:8443/api/v4"),
            ("https://codeberg.org/acme/gitops", "Forgejo acme/gitops https://codeberg.org/api/v1"),
            ("http://gitea.localhost/a/b", "Gitea a/b https://gitea.localhost/api/v1"),
            ("https://gitea.acme.example/git/a/b", "Gitea a/b https://gitea.acme.example/git/api/v1"),
            (
                "git@bitbucket.org:acme/gitops.git",
                "Bitbucket Cloud acme/gitops https://api.bitbucket.org/2.0",
            ),
            (
                "https://bitbucket.acme.example/scm/OPS/gitops.git",
                "Bitbucket Data Center OPS/gitops https://bitbucket.acme.example/rest/api/latest",
            ),
            (
                "ssh://git@bitbucket.acme.example:7999/~ann/gitops.git",
                "Bitbucket Data Center ~ann/gitops https://bitbucket.acme.example/rest/api/latest",
            ),
        ] {
            assert_eq!(at(&settings(remote, None)), expected, "{remote}");
        }
    }

    #[test]
    fn a_host_that_does_not_tell_needs_a_setting() {
        let unknown = settings("https://git.acme.example/a/b.git", None);
        let message = connected(&unknown).unwrap_err().message;
        assert!(
            message.contains("set `git.provider` in pillion.yaml to one of `github`, `gitlab`"),
            "{message}"
        );
        let set = ProviderSettings { provider: Some(GitProvider::Gitea), ..unknown };
        assert_eq!(at(&set), "Gitea a/b https://git.acme.example/api/v1");
        let by_api = settings(
            "https://git.acme.example/gitlab/a/b.git",
            Some("https://git.acme.example/gitlab/api/v4"),
        );
        assert_eq!(at(&by_api), "GitLab a/b https://git.acme.example/gitlab/api/v4");
        let here = ProviderSettings {
            provider: Some(GitProvider::Forgejo),
            ..settings("http://127.0.0.1:3000/a/b.git", None)
        };
        assert_eq!(at(&here), "Forgejo a/b http://127.0.0.1:3000/api/v1");
    }

    #[test]
    fn what_cannot_work_is_said_at_once() {
        let message = |settings: &ProviderSettings<'_>| connected(settings).unwrap_err().message;
        let no_path = message(&settings("/srv/git/a.git", None));
        assert!(no_path.contains("names no repository of a git provider"), "{no_path}");
        let groups = message(&settings("git@github.com:a/b/c.git", None));
        assert!(groups.contains("does not name a repository of GitHub"), "{groups}");
        let clear = message(&settings("git@ghe.example:a/b.git", Some("http://ghe.example/api/v3")));
        assert!(clear.contains("in the clear") && !clear.contains("s3cr3t"), "{clear}");
        let tokens: &dyn Fn(&str) -> Option<String> =
            &|name| (name == "GITHUB_TOKEN").then(|| "t".to_owned());
        let of_another = ProviderSettings { variable: tokens, ..settings("git@gitlab.com:a/b.git", None) };
        let none = message(&of_another);
        assert!(
            none.contains(
                "there is no token for GitLab at gitlab.com: set PILLION_PROVIDER_TOKEN (or GITLAB_TOKEN)"
            ),
            "{none}"
        );
        let own = ProviderSettings { variable: tokens, ..settings("git@github.com:a/b.git", None) };
        assert_eq!(connected(&own).unwrap().token, "t");
    }

    #[test]
    fn commits_are_seen_where_it_is_certain() {
        let at = |remote, provider, is_provider| {
            commit_url_prefix(remote, provider, is_provider).unwrap_or_default()
        };
        let own = "ssh://git@git.acme.example:2222/acme/gitops.git";
        assert_eq!(at("https://x:s3cr3t@github.com/a/b.git", None, false), "https://github.com/a/b/commit/");
        assert_eq!(at("git@gitlab.com:a/b/c.git", None, false), "https://gitlab.com/a/b/c/-/commit/");
        assert_eq!(at(own, Some(GitProvider::Gitea), false), "https://git.acme.example/acme/gitops/commit/");
        assert_eq!(at("git@ghe.acme.example:a/b.git", None, true), "https://ghe.acme.example/a/b/commit/");
        assert_eq!(at("git@ghe.acme.example:a/b.git", None, false), "");
        assert_eq!(
            (at(own, None, true), at("file:///srv/a/b.git", None, true)),
            (String::new(), String::new())
        );
    }

    #[test]
    fn a_message_is_a_title_and_a_description() {
        let made = PullRequest::from_message("h", "main", "log: batch 2/3\n\nWhat.\n\nPillion-Batch: 2/3\n");
        assert_eq!(made.title, "log: batch 2/3");
    }
}
