//! GitHub's REST API, version 2022-11-28: github.com, and Enterprise Server 3.9 or newer.

use super::super::http_client::percent_encode;
use super::api::{
    ApiRequest, ListedPullRequest, ProviderApi, PullRequestContent, PullRequestQuery, RepositorySlug,
    state_of, text,
};
use super::types::PullRequestInfo;
use serde_json::{Value, json};

/// GitHub.
pub(super) struct GitHub;

/// Returns the API address of a host.
pub(super) fn api_url(host: &str) -> String {
    let name = host.trim_start_matches("https://");
    if name == "github.com" || name == "www.github.com" {
        "https://api.github.com".to_owned()
    } else if name.ends_with(".ghe.com") {
        format!("https://api.{name}")
    } else {
        format!("{host}/api/v3")
    }
}

impl ProviderApi for GitHub {
    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![
            ("accept", "application/vnd.github+json".to_owned()),
            ("authorization", format!("Bearer {token}")),
            ("x-github-api-version", "2022-11-28".to_owned()),
        ]
    }

    fn repository_path(&self, slug: &RepositorySlug) -> String {
        format!("repos/{slug}")
    }

    fn list_path(&self, slug: &RepositorySlug, query: &PullRequestQuery<'_>) -> String {
        let state = if query.only_open { "open" } else { "all" };
        let (head, base) = (percent_encode(query.head, "/"), percent_encode(query.base, "/"));
        format!(
            "pulls?state={state}&head={}:{head}&base={base}&sort=created&direction=desc&per_page={}&page={}",
            slug.owner,
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
        slug: &RepositorySlug,
        query: &PullRequestQuery<'_>,
    ) -> Option<ListedPullRequest> {
        let (number, url) = self.read_created(item)?;
        // A pull request from a fork may have a branch of the same name.
        let from = item["head"]["repo"]["full_name"].as_str();
        let is_own = from.is_none_or(|name| name.eq_ignore_ascii_case(&slug.to_string()));
        let is_match = is_own && item["head"]["ref"] == query.head && item["base"]["ref"] == query.base;
        let state = state_of(item["state"] == "open", item["merged_at"].is_string());
        let info = PullRequestInfo { number, url, head: text(&item["head"]["sha"]), state };
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
            "maintainer_can_modify": false,
        });
        ApiRequest::new("POST", "pulls", body)
    }

    fn is_already_there(&self, status: u16, message: &str) -> bool {
        status == 422 && message.to_lowercase().contains("already exists")
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

    /// The message, with its list of errors.
    fn error_message(&self, body: &Value) -> Option<String> {
        let mut message = vec![body["message"].as_str().unwrap_or("no reason given").to_owned()];
        for error in body["errors"].as_array().into_iter().flatten() {
            match (error.as_str(), error["message"].as_str()) {
                (Some(text), _) | (None, Some(text)) => message.push(text.to_owned()),
                _ => message.push(format!("{} {}", text(&error["field"]), text(&error["code"]))),
            }
        }
        Some(message.join("; "))
    }
}
