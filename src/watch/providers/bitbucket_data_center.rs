//! The REST API of Bitbucket Data Center (and Server), `rest/api/latest`.

use super::super::http_client::percent_encode;
use super::api::{
    ApiRequest, ListedPullRequest, ProviderApi, PullRequestContent, PullRequestQuery, RepositorySlug,
    state_of, text,
};
use super::types::PullRequestInfo;
use serde_json::{Value, json};

/// Bitbucket Data Center.
pub(super) struct BitbucketDataCenter;

impl ProviderApi for BitbucketDataCenter {
    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("accept", "application/json".to_owned()), ("authorization", format!("Bearer {token}"))]
    }

    fn repository_path(&self, slug: &RepositorySlug) -> String {
        format!("projects/{}/repos/{}", slug.owner, slug.name)
    }

    fn list_path(&self, _: &RepositorySlug, query: &PullRequestQuery<'_>) -> String {
        let state = if query.only_open { "OPEN" } else { "ALL" };
        let start = (query.page as usize - 1) * self.page_size();
        format!(
            "pull-requests?state={state}&direction=OUTGOING&at=refs/heads/{}&order=NEWEST&limit={}&start={start}",
            percent_encode(query.head, "/"),
            self.page_size()
        )
    }

    fn list_items<'v>(&self, page: &'v Value) -> Option<&'v Vec<Value>> {
        page["values"].as_array()
    }

    fn page_size(&self) -> usize {
        10
    }

    fn is_last_page(&self, page: &Value, _: usize) -> bool {
        page["isLastPage"] != false
    }

    fn read_item(
        &self,
        item: &Value,
        _: &RepositorySlug,
        query: &PullRequestQuery<'_>,
    ) -> Option<ListedPullRequest> {
        let (number, url) = self.read_created(item)?;
        let (from, to) = (&item["fromRef"], &item["toRef"]);
        // A pull request from a fork may have a branch of the same name.
        let is_match = from["repository"]["id"] == to["repository"]["id"]
            && from["displayId"] == query.head
            && to["displayId"] == query.base;
        let state = state_of(item["state"] == "OPEN", item["state"] == "MERGED");
        let info = PullRequestInfo { number, url, head: text(&from["latestCommit"]), state };
        is_match.then(|| ListedPullRequest {
            info,
            title: text(&item["title"]),
            body: text(&item["description"]),
            version: item["version"].as_u64().unwrap_or_default(),
        })
    }

    fn read_created(&self, item: &Value) -> Option<(u64, String)> {
        Some((item["id"].as_u64()?, text(&item["links"]["self"][0]["href"])))
    }

    fn create_request(&self, slug: &RepositorySlug, content: &PullRequestContent<'_>) -> ApiRequest {
        let at = |branch: &str| {
            json!({
                "id": format!("refs/heads/{branch}"),
                "repository": {"slug": slug.name, "project": {"key": slug.owner}},
            })
        };
        let body = json!({
            "title": content.title,
            "description": content.body,
            "fromRef": at(content.head),
            "toRef": at(content.base),
        });
        ApiRequest::new("POST", "pull-requests", body)
    }

    fn is_already_there(&self, status: u16, message: &str) -> bool {
        status == 409 && message.to_lowercase().contains("one pull request may be open")
    }

    fn update_request(&self, listed: &ListedPullRequest, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({"version": listed.version, "title": content.title, "description": content.body});
        ApiRequest::new("PUT", format!("pull-requests/{}", listed.info.number), body)
    }

    fn version_path(&self, number: u64) -> Option<String> {
        Some(format!("pull-requests/{number}"))
    }

    fn close_requests(&self, number: u64, version: u64, reason: &str) -> [ApiRequest; 2] {
        [
            ApiRequest::new(
                "POST",
                format!("pull-requests/{number}/decline?version={version}"),
                json!({"version": version}),
            ),
            ApiRequest::new("POST", format!("pull-requests/{number}/comments"), json!({"text": reason})),
        ]
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        let messages = body["errors"].as_array()?.iter();
        Some(messages.filter_map(|error| error["message"].as_str()).collect::<Vec<_>>().join("; "))
    }
}
