//! Pull requests, the trait of their providers, and its errors.

use super::description::Description;
use std::time::Duration;

/// Variable with the provider's token; the provider's own, such as `GITHUB_TOKEN`, works, too.
pub(crate) const TOKEN_VAR: &str = "PILLION_PROVIDER_TOKEN";

/// Variable with the address of the provider's API, if it does not follow from the remote's.
pub(crate) const API_URL_VAR: &str = "PILLION_PROVIDER_URL";

/// The content of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch with the commit.
    pub(crate) head: String,
    /// The deploy branch.
    pub(crate) base: String,
    /// One line: the subject of the commit.
    pub(crate) title: String,
    /// What merging does, the diff and the commit message.
    pub(crate) description: Description,
}

impl PullRequest {
    /// Builds it from a description: the subject of its commit message is the title.
    pub fn new(head: &str, base: &str, description: Description) -> Self {
        let title = description.message.trim().lines().next().unwrap_or_default().trim().to_owned();
        Self { head: head.to_owned(), base: base.to_owned(), title, description }
    }

    /// Builds it from a commit message alone.
    pub fn from_message(head: &str, base: &str, message: &str) -> Self {
        Self::new(head, base, Description { message: message.to_owned(), ..Description::default() })
    }
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

impl ProviderError {
    /// An error that a retry does not change.
    pub(super) fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_retryable: false, retry_after: None }
    }

    /// An error that a retry may change.
    pub(super) fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_retryable: true, retry_after: None }
    }
}

/// A provider of pull requests.
pub trait PullRequestProvider: Send {
    /// Returns how people refer to a pull request: `pull request #7`, or GitLab's `merge request !7`.
    fn reference(&self, number: u64) -> String {
        format!("pull request #{number}")
    }

    /// Returns the newest pull request from one branch to another, whatever its state.
    ///
    /// # Errors
    /// When the provider does not say.
    fn find(&self, head: &str, base: &str) -> Result<Option<PullRequestInfo>, ProviderError>;

    /// Creates or updates the open pull request of two branches; there is never a second one.
    ///
    /// # Errors
    /// When the provider refuses it.
    fn open_or_update(&self, pull_request: &PullRequest) -> Result<OpenPullRequest, ProviderError>;

    /// Closes a pull request with a reason; a closed one is fine.
    ///
    /// # Errors
    /// When the provider refuses it.
    fn close(&self, number: u64, reason: &str) -> Result<(), ProviderError>;
}
