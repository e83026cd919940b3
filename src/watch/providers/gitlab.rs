//! GitLab's REST API, version 4: gitlab.com and GitLab's own servers. Its pull requests are merge requests.

use super::super::http_client::percent_encode;
use super::api::{
    ApiRequest, ListedPullRequest, ProviderApi, PullRequestContent, PullRequestQuery, RepositorySlug,
    state_of, text,
};
use super::types::{ProviderError, PullRequestInfo, TOKEN_VAR};
use serde_json::{Value, json};

/// GitLab.
pub(super) struct GitLab;

impl ProviderApi for GitLab {
    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        // Personal, project and group tokens are accepted in this form as OAuth's are.
        vec![("accept", "application/json".to_owned()), ("authorization", format!("Bearer {token}"))]
    }

    fn repository_path(&self, slug: &RepositorySlug) -> String {
        format!("projects/{}", percent_encode(&slug.to_string(), ""))
    }

    fn list_path(&self, _: &RepositorySlug, query: &PullRequestQuery<'_>) -> String {
        let state = if query.only_open { "opened" } else { "all" };
        let (head, base) = (percent_encode(query.head, "/"), percent_encode(query.base, "/"));
        format!(
            "merge_requests?state={state}&source_branch={head}&target_branch={base}&order_by=created_at&sort=desc&per_page={}&page={}",
            self.page_size(),
            query.page
        )
    }

    fn page_size(&self) -> usize {
        5
    }

    fn read_item(
        &self,
        item: &Value,
        _: &RepositorySlug,
        query: &PullRequestQuery<'_>,
    ) -> Option<ListedPullRequest> {
        let (number, url) = self.read_created(item)?;
        // A merge request from a fork may have a branch of the same name.
        let is_match = item["source_project_id"] == item["target_project_id"]
            && item["source_branch"] == query.head
            && item["target_branch"] == query.base;
        let state =
            state_of(matches!(item["state"].as_str(), Some("opened" | "locked")), item["state"] == "merged");
        let info = PullRequestInfo { number, url, head: text(&item["sha"]), state };
        is_match.then(|| ListedPullRequest {
            info,
            title: text(&item["title"]),
            body: text(&item["description"]),
            version: 0,
        })
    }

    fn read_created(&self, item: &Value) -> Option<(u64, String)> {
        Some((item["iid"].as_u64()?, text(&item["web_url"])))
    }

    fn create_request(&self, _: &RepositorySlug, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({
            "source_branch": content.head,
            "target_branch": content.base,
            "title": content.title,
            "description": content.body,
            // GitLab's message of a squash is the title alone.
            "squash": false,
            "remove_source_branch": true,
        });
        ApiRequest::new("POST", "merge_requests", body)
    }

    fn is_already_there(&self, status: u16, message: &str) -> bool {
        status == 409 && message.to_lowercase().contains("already exists")
    }

    fn update_request(&self, listed: &ListedPullRequest, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({"title": content.title, "description": content.body});
        ApiRequest::new("PUT", format!("merge_requests/{}", listed.info.number), body)
    }

    fn close_requests(&self, number: u64, _: u64, reason: &str) -> [ApiRequest; 2] {
        [
            ApiRequest::new("PUT", format!("merge_requests/{number}"), json!({"state_event": "close"})),
            ApiRequest::new("POST", format!("merge_requests/{number}/notes"), json!({"body": reason})),
        ]
    }

    /// `message` is a text, a list, or lists by field; errors of tokens have `error` and `error_description`.
    fn error_message(&self, body: &Value) -> Option<String> {
        let described = ["error", "error_description", "scope"].iter().filter_map(|key| body[*key].as_str());
        let described: Vec<&str> = described.collect();
        match &body["message"] {
            Value::String(message) => Some(message.clone()),
            Value::Array(messages) => Some(join_texts(messages)),
            Value::Object(fields) => {
                let field = |(name, messages): (&String, &Value)| match messages {
                    Value::Array(messages) => format!("{name} {}", join_texts(messages)),
                    other => format!("{name} {}", text(other)),
                };
                Some(fields.iter().map(field).collect::<Vec<_>>().join("; "))
            }
            _ => (!described.is_empty()).then(|| described.join(": ")),
        }
    }

    fn explain(&self, status: u16, message: &str) -> Option<ProviderError> {
        (status == 403 && message.contains("insufficient_scope")).then(|| {
            ProviderError::permanent(format!(
                "the token may not use GitLab's API ({message}): set {TOKEN_VAR} to one with the scope `api`"
            ))
        })
    }
}

fn join_texts(messages: &[Value]) -> String {
    messages.iter().map(text).collect::<Vec<_>>().join("; ")
}
