//! The client of a provider's API: sends the requests of any provider, reads its pages and explains its errors.

use super::super::http_client::{HttpClient, HttpRequest, HttpResponse, SecretUrl};
use super::api::{ApiRequest, ListedPullRequest, PullRequestContent, PullRequestQuery, RepositorySlug};
use super::description::truncate_text;
use super::errors::ProviderErrors;
use super::table::ProviderRow;
use super::types::{
    OpenPullRequest, ProviderError, PullRequest, PullRequestChange, PullRequestInfo, PullRequestProvider,
};
use serde_json::Value;
use std::fmt;

/// Pages of a list that are read at most.
const MAX_PAGES: u32 = 100;

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
    fn errors(&self) -> ProviderErrors<'_> {
        ProviderErrors { row: self.row, host: self.api.host(), slug: &self.slug }
    }

    fn send_request(&self, request: &ApiRequest) -> Result<HttpResponse, ProviderError> {
        let path = self.row.api.repository_path(&self.slug);
        let url = self.api.join(&format!("{path}/{}", request.path));
        let headers = self.row.api.headers(&self.token);
        let headers: Vec<(&'static str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        self.client
            .send(&HttpRequest { method: request.method, url: &url, headers: &headers, body })
            .map_err(|reason| self.errors().unreachable(&reason))
    }

    /// Sends a request; any other status than 2xx is an error.
    fn call(&self, request: &ApiRequest) -> Result<HttpResponse, ProviderError> {
        let response = self.send_request(request)?;
        match response.status {
            200..=299 => Ok(response),
            _ => Err(self.errors().explain_response(&response)),
        }
    }

    fn parse_json(&self, response: &HttpResponse) -> Result<Value, ProviderError> {
        serde_json::from_slice(&response.body).map_err(|_| self.errors().not_this_api())
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
            let items = api.list_items(&list).ok_or_else(|| self.errors().not_this_api())?;
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
            let (number, url) = api.read_created(&created).ok_or_else(|| self.errors().not_this_api())?;
            return Ok(OpenPullRequest { number, url, change: PullRequestChange::Created });
        }
        let message = self.errors().message_of(&response);
        if !api.is_already_there(response.status, &message) {
            return Err(self.errors().explain_response(&response));
        }
        // Another watcher has created it.
        match self.newest(head, base, true)? {
            Some(existing) => self.update(existing, &content),
            None => Err(ProviderError::retryable(format!(
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
