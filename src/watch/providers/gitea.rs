//! The REST API of Gitea and Forgejo, version 1.

use super::super::http_client::percent_encode;
use super::api::{
    ApiRequest, ListedPullRequest, ProviderApi, PullRequestContent, PullRequestQuery, RepositorySlug,
    state_of, text,
};
use super::types::PullRequestInfo;
use serde_json::{Value, json};

/// Gitea and Forgejo.
pub(super) struct Gitea;

impl ProviderApi for Gitea {
    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("accept", "application/json".to_owned()), ("authorization", format!("token {token}"))]
    }

    fn repository_path(&self, slug: &RepositorySlug) -> String {
        format!("repos/{slug}")
    }

    /// Newest first without a `sort`. No version can filter by the head, and older ones ignore `base_branch`.
    fn list_path(&self, _: &RepositorySlug, query: &PullRequestQuery<'_>) -> String {
        let state = if query.only_open { "open" } else { "all" };
        let base = percent_encode(query.base, "/");
        format!("pulls?state={state}&base_branch={base}&limit={}&page={}", self.page_size(), query.page)
    }

    fn page_size(&self) -> usize {
        10
    }

    /// A server may be configured to smaller pages (`MAX_RESPONSE_ITEMS`).
    fn is_last_page(&self, _: &Value, items: usize) -> bool {
        items == 0
    }

    fn read_item(
        &self,
        item: &Value,
        _: &RepositorySlug,
        query: &PullRequestQuery<'_>,
    ) -> Option<ListedPullRequest> {
        let (number, url) = self.read_created(item)?;
        let (head, base) = (&item["head"], &item["base"]);
        // A pull request from a fork may have a branch of the same name. Of a deleted branch only the label is left.
        let name = if head["ref"].as_str().is_some_and(|name| name.starts_with("refs/pull/")) {
            &head["label"]
        } else {
            &head["ref"]
        };
        let is_match = head["repo_id"] == base["repo_id"] && *name == query.head && base["ref"] == query.base;
        let state = state_of(item["state"] == "open", item["merged"] == true);
        let info = PullRequestInfo { number, url, head: text(&head["sha"]), state };
        is_match.then(|| ListedPullRequest {
            info,
            title: text(&item["title"]),
            body: text(&item["body"]),
            version: 0,
        })
    }

    fn read_created(&self, item: &Value) -> Option<(u64, String)> {
        Some((item["number"].as_u64()?, text(&item["html_url"])))
    }

    fn create_request(&self, _: &RepositorySlug, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({
            "head": content.head,
            "base": content.base,
            "title": content.title,
            "body": content.body,
        });
        ApiRequest::new("POST", "pulls", body)
    }

    fn is_already_there(&self, status: u16, _: &str) -> bool {
        status == 409
    }

    fn update_request(&self, listed: &ListedPullRequest, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({"title": content.title, "body": content.body});
        ApiRequest::new("PATCH", format!("pulls/{}", listed.info.number), body)
    }

    fn close_requests(&self, number: u64, _: u64, reason: &str) -> [ApiRequest; 2] {
        [
            ApiRequest::new("PATCH", format!("pulls/{number}"), json!({"state": "closed"})),
            ApiRequest::new("POST", format!("issues/{number}/comments"), json!({"body": reason})),
        ]
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        Some(body["message"].as_str()?.to_owned())
    }
}
