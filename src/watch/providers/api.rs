//! What differs between the APIs of providers: each builds requests and reads responses. Pure.

use super::types::{ProviderError, PullRequestInfo, PullRequestState};
use serde_json::Value;
use std::fmt;

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
