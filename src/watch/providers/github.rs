//! Pull requests on GitHub through its REST API, version 2022-11-28 (Enterprise Server 3.9 or newer), and the meaning
//! of its errors.

use super::super::http_client::{
    HttpClient, HttpRequest, HttpResponse, SecretUrl, is_loopback, one_line, percent_encode,
};
use super::{
    API_URL_VAR, OpenPullRequest, ProviderError, PullRequest, PullRequestChange, PullRequestInfo,
    PullRequestProvider, PullRequestState, RepositorySlug, TOKEN_VAR,
};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Timeout of one request.
pub const GITHUB_TIMEOUT: Duration = Duration::from_secs(20);

/// Characters of a body that GitHub accepts.
const MAX_BODY_CHARS: usize = 65_536;

/// Characters of a title that GitHub accepts.
const MAX_TITLE_CHARS: usize = 256;

/// The pause if a rate limit has no reset time: GitHub's advice for its secondary limit.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// A repository on GitHub.
#[derive(Clone)]
pub struct GitHub {
    client: HttpClient,
    api: SecretUrl,
    slug: RepositorySlug,
    token: String,
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitHub({}/{} at {})", self.slug.owner, self.slug.name, self.api.host())
    }
}

impl GitHub {
    /// Builds a client from the address of the remote, a token, and the API's address if it does not follow from the
    /// remote's.
    ///
    /// # Errors
    /// When it is not clear which repository is meant, or the token would be sent in the clear.
    pub fn new(
        client: HttpClient,
        remote: &str,
        api: Option<&str>,
        token: &str,
    ) -> Result<Self, ProviderError> {
        let slug = RepositorySlug::parse(remote).ok_or_else(|| {
            permanent_error(
                "the remote's address does not name a GitHub repository (https://HOST/OWNER/NAME or git@HOST:OWNER/NAME): set `git.remote` in pillion.yaml to one that does, or omit `--pull-request`",
            )
        })?;
        let api = api.filter(|a| !a.trim().is_empty()).map_or_else(|| api_url(&slug.host), str::to_owned);
        let address =
            SecretUrl::parse(&api).map_err(|reason| permanent_error(format!("{API_URL_VAR}: {reason}")))?;
        if api.trim_start().starts_with("http://") && !is_loopback(address.host()) {
            return Err(permanent_error(format!(
                "{API_URL_VAR} begins with http://, and the token would be sent in the clear: use https://"
            )));
        }
        let token = token.trim();
        if token.is_empty() {
            return Err(permanent_error(format!(
                "there is no token for pull requests at {}: set {TOKEN_VAR} to one that may read contents and write pull requests",
                slug.host
            )));
        }
        Ok(Self { client, api: address, slug, token: token.to_owned() })
    }

    fn send_request(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<HttpResponse, ProviderError> {
        let to = self.api.join(&format!("repos/{}/{}/{path}", self.slug.owner, self.slug.name));
        let authorization = format!("Bearer {}", self.token);
        let headers = [
            ("accept", "application/vnd.github+json"),
            ("authorization", authorization.as_str()),
            ("x-github-api-version", "2022-11-28"),
        ];
        let body = body.map(Value::to_string).unwrap_or_default();
        self.client.send(&HttpRequest { method, url: &to, headers: &headers, body }).map_err(|reason| {
            ProviderError {
                message: format!("GitHub at {} is unreachable: {reason}", self.api.host()),
                is_retryable: true,
                retry_after: None,
            }
        })
    }

    fn parse_json(&self, response: &HttpResponse) -> Result<Value, ProviderError> {
        serde_json::from_slice(&response.body).map_err(|_| ProviderError {
            message: format!(
                "the server at {} does not answer as GitHub's API: set {API_URL_VAR} to its address (https://HOST/api/v3)",
                self.api.host()
            ),
            is_retryable: false,
            retry_after: None,
        })
    }

    /// Returns the newest pull request between two branches.
    fn newest_pull_request(
        &self,
        head: &str,
        base: &str,
        state: &str,
    ) -> Result<Option<Value>, ProviderError> {
        let path = format!(
            "pulls?state={state}&head={}:{}&base={}&sort=created&direction=desc&per_page=1",
            self.slug.owner,
            percent_encode(head, "/"),
            percent_encode(base, "/")
        );
        let response = self.send_request("GET", &path, None)?;
        if response.status != 200 {
            return Err(self.error_from_response(&response));
        }
        Ok(find_matching(&self.parse_json(&response)?, head, base).cloned())
    }

    /// Updates title and body of an open pull request.
    fn update_pull_request(
        &self,
        existing: &Value,
        pull_request: &Value,
    ) -> Result<OpenPullRequest, ProviderError> {
        let (number, url) = number_and_url(existing);
        let same = |key: &str| {
            // GitHub stores line ends as browsers send them.
            let text = |v: &Value| v.as_str().unwrap_or_default().replace("\r\n", "\n").trim().to_owned();
            text(&existing[key]) == text(&pull_request[key])
        };
        if same("title") && same("body") {
            return Ok(OpenPullRequest { number, url, change: PullRequestChange::Unchanged });
        }
        let change = json!({"title": pull_request["title"], "body": pull_request["body"]});
        let response = self.send_request("PATCH", &format!("pulls/{number}"), Some(&change))?;
        if response.status != 200 {
            return Err(self.error_from_response(&response));
        }
        Ok(OpenPullRequest { number, url, change: PullRequestChange::Updated })
    }

    /// Explains an error response.
    fn error_from_response(&self, response: &HttpResponse) -> ProviderError {
        let message = error_text(&response.body);
        let repository = format!("{}/{}", self.slug.owner, self.slug.name);
        let lower = message.to_lowercase();
        let error =
            |message: String, is_retryable, retry_after| ProviderError { message, is_retryable, retry_after };
        let is_limit = response.status == 429
            || response.status == 403
                && (lower.contains("rate limit")
                    || response.retry_after().is_some()
                    || response.header("x-ratelimit-remaining") == Some("0"));
        if is_limit {
            let wait =
                response.retry_after().or_else(|| rate_limit_reset(response)).unwrap_or(RATE_LIMIT_WAIT);
            let text = format!(
                "GitHub's rate limit refuses this token for {} s ({message}); nothing is proposed until then",
                wait.as_secs()
            );
            return error(text, true, Some(wait));
        }
        match response.status {
            401 => error(
                format!("GitHub does not accept the token ({message}): set {TOKEN_VAR} to a valid one"),
                false,
                None,
            ),
            403 => error(
                format!(
                    "the token may not open pull requests in {repository} ({message}): give it the permission to write pull requests (in GitHub Actions `permissions: {{pull-requests: write}}`, and allow Actions to create them in the settings)"
                ),
                false,
                None,
            ),
            404 => error(
                format!(
                    "GitHub has no repository {repository}, or the token may not see it ({message}): check the address of the remote, and which repositories the token is for"
                ),
                false,
                None,
            ),
            301 | 302 | 307 | 308 => error(
                format!(
                    "{repository} was moved or renamed: set the address of the remote to the new one (`git remote set-url`)"
                ),
                false,
                None,
            ),
            409 | 500.. => error(
                format!("GitHub failed with status {} ({message}); a retry may succeed", response.status),
                true,
                response.retry_after(),
            ),
            422 => validation_error(&message),
            status => {
                error(format!("GitHub refused the request with status {status} ({message})"), false, None)
            }
        }
    }
}

/// Explains GitHub's "Validation Failed".
fn validation_error(message: &str) -> ProviderError {
    let lower = message.to_lowercase();
    if lower.contains("no commits between") {
        return permanent_error(format!(
            "the deploy branch already has this commit ({message}): there is nothing to merge"
        ));
    }
    let branch = ["head", "base"].into_iter().find(|b| lower.contains(&format!("{b} invalid")));
    if let Some(branch) = branch {
        return ProviderError {
            message: format!(
                "GitHub does not know the {branch} branch of the pull request ({message}): it is pushed and tried again"
            ),
            is_retryable: true,
            retry_after: None,
        };
    }
    // Rulesets and branch protection answer here: "Changes must be made through…", "required status check", "is
    // protected".
    let rules = ["protected", "rule violation", "required", "must be made through", "not allowed", "locked"];
    if rules.iter().any(|w| lower.contains(w)) {
        return permanent_error(format!(
            "a rule of the repository blocks the pull request ({message}): allow pillion's branches and its user in the branch rules"
        ));
    }
    permanent_error(format!("GitHub refused the pull request ({message})"))
}

impl PullRequestProvider for GitHub {
    fn find(&self, head: &str, base: &str) -> Result<Option<PullRequestInfo>, ProviderError> {
        Ok(self.newest_pull_request(head, base, "all")?.as_ref().map(pull_request_info))
    }

    fn open_or_update(&self, pull_request: &PullRequest) -> Result<OpenPullRequest, ProviderError> {
        let body = json!({
            "head": pull_request.head,
            "base": pull_request.base,
            "title": truncate_text(&pull_request.title, MAX_TITLE_CHARS),
            "body": truncate_text(&pull_request.body, MAX_BODY_CHARS),
            "maintainer_can_modify": false,
        });
        if let Some(existing) = self.newest_pull_request(&pull_request.head, &pull_request.base, "open")? {
            return self.update_pull_request(&existing, &body);
        }
        let response = self.send_request("POST", "pulls", Some(&body))?;
        if response.status == 201 {
            let (number, url) = number_and_url(&self.parse_json(&response)?);
            return Ok(OpenPullRequest { number, url, change: PullRequestChange::Created });
        }
        let is_there =
            response.status == 422 && error_text(&response.body).to_lowercase().contains("already exists");
        // Another watcher has created it.
        match is_there
            .then(|| self.newest_pull_request(&pull_request.head, &pull_request.base, "open"))
            .transpose()?
            .flatten()
        {
            Some(existing) => self.update_pull_request(&existing, &body),
            None if is_there => Err(ProviderError {
                message: format!(
                    "GitHub reports a pull request from `{}`, but lists none; pillion retries",
                    pull_request.head
                ),
                is_retryable: true,
                retry_after: None,
            }),
            None => Err(self.error_from_response(&response)),
        }
    }

    fn close(&self, number: u64, reason: &str) -> Result<(), ProviderError> {
        let response =
            self.send_request("PATCH", &format!("pulls/{number}"), Some(&json!({"state": "closed"})))?;
        if response.status != 200 {
            return Err(self.error_from_response(&response));
        }
        // The comment comes second, so that a retry after a failed close does not repeat it.
        let comment = json!({"body": truncate_text(reason, MAX_BODY_CHARS)});
        let response = self.send_request("POST", &format!("issues/{number}/comments"), Some(&comment))?;
        if response.status == 201 { Ok(()) } else { Err(self.error_from_response(&response)) }
    }
}

/// Parses GitHub's list of pull requests and returns the first one between two branches.
pub fn read_pull_requests(body: &[u8], head: &str, base: &str) -> Option<PullRequestInfo> {
    let all: Value = serde_json::from_slice(body).ok()?;
    find_matching(&all, head, base).map(pull_request_info)
}

/// Parses an error response as one short line.
pub fn read_refusal(body: &[u8]) -> String {
    error_text(body)
}

/// For an unknown branch GitHub ignores the filter, so the list is filtered again.
fn find_matching<'v>(all: &'v Value, head: &str, base: &str) -> Option<&'v Value> {
    all.as_array()?.iter().find(|p| p["head"]["ref"] == head && p["base"]["ref"] == base)
}

fn pull_request_info(pull: &Value) -> PullRequestInfo {
    let (number, url) = number_and_url(pull);
    let state = match (pull["state"].as_str(), pull["merged_at"].is_string()) {
        (Some("open"), _) => PullRequestState::Open,
        (_, true) => PullRequestState::Merged,
        _ => PullRequestState::Declined,
    };
    let head = pull["head"]["sha"].as_str().unwrap_or_default().to_owned();
    PullRequestInfo { number, url, head, state }
}

fn permanent_error(message: impl Into<String>) -> ProviderError {
    ProviderError { message: message.into(), is_retryable: false, retry_after: None }
}

/// Returns the API address of a host.
fn api_url(host: &str) -> String {
    if host == "github.com" || host == "www.github.com" {
        "https://api.github.com".to_owned()
    } else if host.ends_with(".ghe.com") {
        format!("https://api.{host}")
    } else {
        format!("https://{host}/api/v3")
    }
}

fn number_and_url(pull: &Value) -> (u64, String) {
    (pull["number"].as_u64().unwrap_or_default(), pull["html_url"].as_str().unwrap_or_default().to_owned())
}

/// Returns the time until the rate limit resets, by the server's clock.
fn rate_limit_reset(response: &HttpResponse) -> Option<Duration> {
    let reset: i64 = response.header("x-ratelimit-reset")?.trim().parse().ok()?;
    u64::try_from(reset.checked_sub(response.server_time()?)?).ok().map(Duration::from_secs)
}

/// Returns GitHub's message, with its list of errors.
fn error_text(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return "no reason given".to_owned() };
    let mut message = vec![value["message"].as_str().unwrap_or("no reason given").to_owned()];
    for error in value["errors"].as_array().into_iter().flatten() {
        match (error.as_str(), error["message"].as_str()) {
            (Some(text), _) | (None, Some(text)) => message.push(text.to_owned()),
            _ => {
                let word = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                message.push(format!("{} {}", word("field"), word("code")));
            }
        }
    }
    one_line(&message.join("; "))
}

/// Truncates a text, with a mark, and keeps trailers at its end.
fn truncate_text(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let trailers =
        text.rsplit_once("\n\n").map(|(_, last)| last).filter(|t| t.chars().count() < max_chars / 2);
    let end = trailers.map(|t| format!("\n\n{t}")).unwrap_or_default();
    let kept = max_chars - end.chars().count() - 1;
    let begin: String = text.chars().take(kept).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::http_client::CaCertificates;

    fn github(remote: &str, api: Option<&str>, token: &str) -> Result<GitHub, ProviderError> {
        GitHub::new(HttpClient::new(GITHUB_TIMEOUT, &CaCertificates::default()), remote, api, token)
    }

    #[test]
    fn the_api_is_where_the_remote_is() {
        let at = |remote| format!("{:?}", github(remote, None, "s3cr3t").unwrap());
        assert_eq!(at("git@github.com:acme/gitops.git"), "GitHub(acme/gitops at api.github.com)");
        assert_eq!(at("https://ghe.acme.example/a/b.git"), "GitHub(a/b at ghe.acme.example)");
        assert_eq!(at("git@acme.ghe.com:a/b.git"), "GitHub(a/b at api.acme.ghe.com)");
        let here = github("git@github.com:a/b.git", Some("http://127.0.0.1:1"), "t").unwrap();
        assert_eq!(format!("{here:?}"), "GitHub(a/b at 127.0.0.1)");
    }

    #[test]
    fn what_cannot_work_is_said_at_once() {
        let message = |remote, api, token| github(remote, api, token).unwrap_err().message;
        assert!(message("/srv/git/a.git", None, "t").contains("does not name a GitHub repository"));
        assert!(message("git@github.com:a/b.git", None, " ").contains("set PILLION_FORGE_TOKEN"));
        let clear = message("git@ghe.example:a/b.git", Some("http://ghe.example/api/v3"), "s3cr3t");
        assert!(clear.contains("in the clear") && !clear.contains("s3cr3t"), "{clear}");
    }

    #[test]
    fn long_texts_are_cut_before_their_trailers() {
        let text = format!("{}\n\nPillion-Batch: 2/3", "x".repeat(200));
        let short = truncate_text(&text, 100);
        assert_eq!(short.chars().count(), 100);
        assert!(short.ends_with("x…\n\nPillion-Batch: 2/3"), "{short}");
    }
}
