//! Error texts of providers: what is wrong, and what to do. None contains a secret.

use super::super::http_client::{HttpResponse, one_line};
use super::api::RepositorySlug;
use super::table::ProviderRow;
use super::types::{API_URL_VAR, ProviderError, TOKEN_VAR};
use serde_json::Value;
use std::time::Duration;

/// The pause if a rate limit has no reset time: GitHub's advice for its secondary limit.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// The errors of a repository on a provider.
pub(super) struct ProviderErrors<'a> {
    pub(super) row: &'static ProviderRow,
    /// The host of the API.
    pub(super) host: &'a str,
    pub(super) slug: &'a RepositorySlug,
}

impl ProviderErrors<'_> {
    pub(super) fn unreachable(&self, reason: &str) -> ProviderError {
        ProviderError::retryable(format!("{} at {} is unreachable: {reason}", self.row.label, self.host))
    }

    pub(super) fn not_this_api(&self) -> ProviderError {
        let (label, host) = (self.row.label, self.host);
        ProviderError::permanent(format!(
            "the server at {host} does not answer as {label}'s API: set {API_URL_VAR} to its address ({}), or `git.provider` in pillion.yaml to another provider",
            (self.row.api_url)("https://HOST")
        ))
    }

    /// Returns the message of an error response as one short line.
    pub(super) fn message_of(&self, response: &HttpResponse) -> String {
        read_message(&response.body, &|body| self.row.api.error_message(body))
    }

    /// Explains an error response.
    pub(super) fn explain_response(&self, response: &HttpResponse) -> ProviderError {
        let (label, message, status) = (self.row.label, self.message_of(response), response.status);
        if let Some(wait) = rate_limit_wait(response, &message) {
            let text = format!(
                "{label}'s rate limit refuses this token for {} s ({message}); nothing is proposed until then",
                wait.as_secs()
            );
            return ProviderError { message: text, is_retryable: true, retry_after: Some(wait) };
        }
        if let Some(error) = self.row.api.explain(status, &message) {
            return error;
        }
        let repository = self.slug;
        match status {
            401 => ProviderError::permanent(format!(
                "{label} does not accept the token ({message}): set {TOKEN_VAR} to a valid one"
            )),
            403 => ProviderError::permanent(format!(
                "the token may not open pull requests in {repository} ({message}): {}",
                self.row.permission
            )),
            404 => ProviderError::permanent(format!(
                "{label} has no repository {repository}, or the token may not see it ({message}): check the address of the remote, and which repositories the token is for"
            )),
            301 | 302 | 307 | 308 => ProviderError::permanent(format!(
                "{repository} was moved or renamed: set the address of the remote to the new one (`git remote set-url`)"
            )),
            400 | 422 => invalid_request(label, &message),
            409 | 500.. => ProviderError {
                message: format!("{label} failed with status {status} ({message}); a retry may succeed"),
                is_retryable: true,
                retry_after: response.retry_after(),
            },
            _ => ProviderError::permanent(format!(
                "{label} refused the request with status {status} ({message})"
            )),
        }
    }
}

/// Reads an error response as one short line.
pub(super) fn read_message(body: &[u8], read: &dyn Fn(&Value) -> Option<String>) -> String {
    let value = serde_json::from_slice::<Value>(body).ok();
    let message = value.and_then(|value| read(&value)).filter(|text| !text.trim().is_empty());
    one_line(&message.unwrap_or_else(|| "no reason given".to_owned()))
}

/// Returns how long a rate limit lasts; None: it is another error.
fn rate_limit_wait(response: &HttpResponse, message: &str) -> Option<Duration> {
    let is_limit = response.status == 429
        || response.status == 403
            && (message.to_lowercase().contains("rate limit")
                || response.retry_after().is_some()
                || response.header("x-ratelimit-remaining") == Some("0"));
    is_limit.then(|| response.retry_after().or_else(|| rate_limit_reset(response)).unwrap_or(RATE_LIMIT_WAIT))
}

/// Returns the time until the rate limit resets, by the server's clock: GitHub and GitLab name it as seconds since
/// 1970.
fn rate_limit_reset(response: &HttpResponse) -> Option<Duration> {
    let header = response.header("x-ratelimit-reset").or_else(|| response.header("ratelimit-reset"))?;
    let reset: i64 = header.trim().parse().ok()?;
    u64::try_from(reset.checked_sub(response.server_time()?)?).ok().map(Duration::from_secs)
}

/// Explains a request that the server finds invalid.
fn invalid_request(label: &str, message: &str) -> ProviderError {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // GitHub, Gitea and GitLab; Bitbucket Cloud; Bitbucket Data Center.
    if has(&["no commits between", "there are no changes", "no changes to be pulled", "already up-to-date"]) {
        return ProviderError::permanent(format!(
            "the deploy branch already has this commit ({message}): there is nothing to merge"
        ));
    }
    let branch = [
        ("head", &["head invalid", "source branch", "fromref", "source: "][..]),
        ("base", &["base invalid", "target branch", "destination branch", "toref", "destination: "]),
    ];
    if let Some((branch, _)) = branch.iter().find(|(_, words)| has(words)) {
        return ProviderError::retryable(format!(
            "{label} does not know the {branch} branch of the pull request ({message}): it is pushed and tried again"
        ));
    }
    // Rulesets and branch protection answer here: "Changes must be made through…", "required status check", "is
    // protected".
    if has(&["protected", "rule violation", "required", "must be made through", "not allowed", "locked"]) {
        return ProviderError::permanent(format!(
            "a rule of the repository blocks the pull request ({message}): allow pillion's branches and its user in the branch rules"
        ));
    }
    ProviderError::permanent(format!("{label} refused the pull request ({message})"))
}
