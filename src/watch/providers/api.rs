//! What differs between the APIs of providers, and the one client that uses it: each provider builds requests and
//! reads answers; sending, pages and errors are the same for all.

use super::super::http_client::{HttpClient, HttpRequest, HttpResponse, SecretUrl};
use super::description::truncate_text;
use super::table::ProviderRow;
use super::{
    OpenPullRequest, ProviderError, PullRequest, PullRequestChange, PullRequestInfo, PullRequestProvider,
    PullRequestState, errors,
};
use serde_json::Value;
use std::fmt;

/// Pages of a list that are read at most.
const MAX_PAGES: u32 = 100;

/// A repository of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RepositorySlug {
    /// The user, organisation, group (with `/` between groups), workspace or project.
    pub(super) owner: String,
    /// The repository.
    pub(super) name: String,
}

impl fmt::Display for RepositorySlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// The pull requests that a list is to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct PullRequestQuery<'a> {
    pub(super) head: &'a str,
    pub(super) base: &'a str,
    /// Only open ones; else those of every state.
    pub(super) only_open: bool,
    /// From 1.
    pub(super) page: u32,
}

/// A request to the API, without its address and its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiRequest {
    pub(super) method: &'static str,
    /// Below the path of the repository.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl ApiRequest {
    pub(super) fn new(method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body: Some(body) }
    }

    pub(super) fn without_body(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None }
    }
}

/// Title and body of a pull request, as long as the provider accepts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PullRequestContent<'a> {
    pub(super) head: &'a str,
    pub(super) base: &'a str,
    pub(super) title: String,
    pub(super) body: String,
}

/// A pull request as a provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedPullRequest {
    pub(super) info: PullRequestInfo,
    pub(super) title: String,
    pub(super) body: String,
    /// The version that a change must name, where the provider has one.
    pub(super) version: u64,
}

/// What differs between providers. Everything is pure: requests are built, answers are read.
pub(super) trait ProviderApi: Sync {
    /// Returns the headers of every request, with the token.
    fn headers(&self, token: &str) -> Vec<(&'static str, String)>;

    /// Returns the path of a repository below the API's address.
    fn repository_path(&self, slug: &RepositorySlug) -> String;

    /// Returns the path that lists pull requests, newest first.
    fn list_path(&self, slug: &RepositorySlug, query: &PullRequestQuery<'_>) -> String;

    /// Returns the items of a page of a list.
    fn list_items<'v>(&self, page: &'v Value) -> Option<&'v Vec<Value>> {
        page.as_array()
    }

    /// Returns how many items a page is to have: few, because each has its whole description, and an answer is read up
    /// to 1 MiB.
    fn page_size(&self) -> usize;

    /// Returns whether there is no further page. By default a page that is not full is the last one.
    fn is_last_page(&self, _page: &Value, items: usize) -> bool {
        items < self.page_size()
    }

    /// Reads a pull request; None: it is none, or not between these branches of the repository itself. Some servers
    /// ignore a filter that they do not know, so every list is filtered again.
    fn read_item(
        &self,
        item: &Value,
        slug: &RepositorySlug,
        query: &PullRequestQuery<'_>,
    ) -> Option<ListedPullRequest>;

    /// Reads number and web address of a pull request that was just created.
    fn read_created(&self, item: &Value) -> Option<(u64, String)>;

    /// Builds the request that creates one.
    fn create_request(&self, slug: &RepositorySlug, content: &PullRequestContent<'_>) -> ApiRequest;

    /// Returns whether an error of a creation says that there is one already.
    fn is_already_there(&self, status: u16, message: &str) -> bool;

    /// Builds the request that changes title and body.
    fn update_request(&self, listed: &ListedPullRequest, content: &PullRequestContent<'_>) -> ApiRequest;

    /// Builds the requests that close one and then say why, so that a retry after a failed close says nothing twice.
    fn close_requests(&self, number: u64, version: u64, reason: &str) -> [ApiRequest; 2];

    /// Returns the path of the pull request to read before it is closed, where a change must name its version.
    fn version_path(&self, _number: u64) -> Option<String> {
        None
    }

    /// Returns the message of an error.
    fn error_message(&self, body: &Value) -> Option<String>;

    /// Explains an error that means something else here than everywhere.
    fn explain(&self, _status: u16, _message: &str) -> Option<ProviderError> {
        None
    }
}

/// A repository on a server, and the token for it.
#[derive(Clone)]
pub(super) struct ProviderRepository {
    pub(super) row: &'static ProviderRow,
    pub(super) client: HttpClient,
    pub(super) api: SecretUrl,
    pub(super) slug: RepositorySlug,
    pub(super) token: String,
}

impl fmt::Debug for ProviderRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} at {})", self.row.label, self.slug, self.api.host())
    }
}

impl ProviderRepository {
    fn send_request(&self, request: &ApiRequest) -> Result<HttpResponse, ProviderError> {
        let path = self.row.api.repository_path(&self.slug);
        let url = self.api.join(&format!("{path}/{}", request.path));
        let headers = self.row.api.headers(&self.token);
        let headers: Vec<(&'static str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        self.client
            .send(&HttpRequest { method: request.method, url: &url, headers: &headers, body })
            .map_err(|reason| errors::unreachable(self, &reason))
    }

    /// Sends a request; any other status than 2xx is an error.
    fn call(&self, request: &ApiRequest) -> Result<HttpResponse, ProviderError> {
        let response = self.send_request(request)?;
        match response.status {
            200..=299 => Ok(response),
            _ => Err(errors::explain_response(self, &response)),
        }
    }

    fn parse_json(&self, response: &HttpResponse) -> Result<Value, ProviderError> {
        serde_json::from_slice(&response.body).map_err(|_| errors::not_this_api(self))
    }

    /// Returns the newest pull request between two branches.
    fn newest(
        &self,
        head: &str,
        base: &str,
        only_open: bool,
    ) -> Result<Option<ListedPullRequest>, ProviderError> {
        let api = self.row.api;
        for page in 1..=MAX_PAGES {
            let query = PullRequestQuery { head, base, only_open, page };
            let request = ApiRequest::without_body("GET", api.list_path(&self.slug, &query));
            let list = self.parse_json(&self.call(&request)?)?;
            let items = api.list_items(&list).ok_or_else(|| errors::not_this_api(self))?;
            if let Some(found) = items.iter().find_map(|item| api.read_item(item, &self.slug, &query)) {
                return Ok(Some(found));
            }
            if api.is_last_page(&list, items.len()) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Updates title and body where they differ.
    fn update(
        &self,
        listed: ListedPullRequest,
        content: &PullRequestContent<'_>,
    ) -> Result<OpenPullRequest, ProviderError> {
        // Servers store line ends as browsers send them.
        let is_same = |a: &str, b: &str| a.replace("\r\n", "\n").trim() == b.trim();
        let is_unchanged = is_same(&listed.title, &content.title) && is_same(&listed.body, &content.body);
        let change = if is_unchanged {
            PullRequestChange::Unchanged
        } else {
            self.call(&self.row.api.update_request(&listed, content))?;
            PullRequestChange::Updated
        };
        Ok(OpenPullRequest { number: listed.info.number, url: listed.info.url, change })
    }
}

impl PullRequestProvider for ProviderRepository {
    fn reference(&self, number: u64) -> String {
        format!("{}{number}", self.row.reference)
    }

    fn find(&self, head: &str, base: &str) -> Result<Option<PullRequestInfo>, ProviderError> {
        Ok(self.newest(head, base, false)?.map(|listed| listed.info))
    }

    fn open_or_update(&self, pull_request: &PullRequest) -> Result<OpenPullRequest, ProviderError> {
        let PullRequest { head, base, title, description } = pull_request;
        let content = PullRequestContent {
            head,
            base,
            title: truncate_text(title, self.row.max_title),
            body: description.to_markdown(self.row.max_body, self.row.folds),
        };
        if let Some(existing) = self.newest(head, base, true)? {
            return self.update(existing, &content);
        }
        let api = self.row.api;
        let response = self.send_request(&api.create_request(&self.slug, &content))?;
        if matches!(response.status, 200..=299) {
            let created = self.parse_json(&response)?;
            let (number, url) = api.read_created(&created).ok_or_else(|| errors::not_this_api(self))?;
            return Ok(OpenPullRequest { number, url, change: PullRequestChange::Created });
        }
        let message = errors::message_of(self, &response);
        if !api.is_already_there(response.status, &message) {
            return Err(errors::explain_response(self, &response));
        }
        // Another watcher has created it.
        match self.newest(head, base, true)? {
            Some(existing) => self.update(existing, &content),
            None => Err(errors::retryable(format!(
                "{} reports a pull request from `{head}`, but lists none; pillion retries",
                self.row.label
            ))),
        }
    }

    fn close(&self, number: u64, reason: &str) -> Result<(), ProviderError> {
        let api = self.row.api;
        let version = match api.version_path(number) {
            Some(path) => {
                let read = self.parse_json(&self.call(&ApiRequest::without_body("GET", path))?)?;
                read["version"].as_u64().unwrap_or_default()
            }
            None => 0,
        };
        let reason = truncate_text(reason, self.row.max_body);
        for request in api.close_requests(number, version, &reason) {
            self.call(&request)?;
        }
        Ok(())
    }
}

/// Returns the text of a field.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the state of a pull request by its name there, and whether it was merged.
pub(super) fn state_of(is_open: bool, is_merged: bool) -> PullRequestState {
    match (is_open, is_merged) {
        (_, true) => PullRequestState::Merged,
        (true, false) => PullRequestState::Open,
        (false, false) => PullRequestState::Declined,
    }
}
