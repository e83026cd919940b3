//! The REST API of Bitbucket Cloud, version 2.0.

use super::super::http_client::percent_encode;
use super::api::{
    ApiRequest, ListedPullRequest, ProviderApi, PullRequestContent, PullRequestQuery, RepositorySlug,
    state_of, text,
};
use super::types::PullRequestInfo;
use serde_json::{Value, json};

/// Bitbucket Cloud.
pub(super) struct Bitbucket;

impl ProviderApi for Bitbucket {
    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("accept", "application/json".to_owned()), ("authorization", format!("Bearer {token}"))]
    }

    fn repository_path(&self, slug: &RepositorySlug) -> String {
        format!("repositories/{slug}")
    }

    fn list_path(&self, _: &RepositorySlug, query: &PullRequestQuery<'_>) -> String {
        let states = ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"];
        let states = if query.only_open { &states[..1] } else { &states[..] };
        let states: Vec<String> = states.iter().map(|state| format!("state={state}")).collect();
        // A name of a branch may have a quotation mark.
        let [head, base] = [query.head, query.base].map(|name| name.replace('"', "\\\""));
        let filter = format!("source.branch.name=\"{head}\" AND destination.branch.name=\"{base}\"");
        format!(
            "pullrequests?{}&q={}&sort=-created_on&pagelen={}&page={}",
            states.join("&"),
            percent_encode(&filter, ""),
            self.page_size(),
            query.page
        )
    }

    fn list_items<'v>(&self, page: &'v Value) -> Option<&'v Vec<Value>> {
        page["values"].as_array()
    }

    fn page_size(&self) -> usize {
        5
    }

    /// The address of the next page is not followed: it could lead to another server.
    fn is_last_page(&self, page: &Value, _: usize) -> bool {
        !page["next"].is_string()
    }

    fn read_item(
        &self,
        item: &Value,
        _: &RepositorySlug,
        query: &PullRequestQuery<'_>,
    ) -> Option<ListedPullRequest> {
        let (number, url) = self.read_created(item)?;
        let (from, to) = (&item["source"], &item["destination"]);
        // A pull request from a fork may have a branch of the same name.
        let is_match = from["repository"]["full_name"] == to["repository"]["full_name"]
            && from["branch"]["name"] == query.head
            && to["branch"]["name"] == query.base;
        let state = state_of(item["state"] == "OPEN", item["state"] == "MERGED");
        // The id is shortened to twelve digits.
        let info = PullRequestInfo { number, url, head: text(&from["commit"]["hash"]), state };
        is_match.then(|| ListedPullRequest {
            info,
            title: text(&item["title"]),
            body: text(&item["description"]),
            version: 0,
        })
    }

    fn read_created(&self, item: &Value) -> Option<(u64, String)> {
        Some((item["id"].as_u64()?, text(&item["links"]["html"]["href"])))
    }

    fn create_request(&self, _: &RepositorySlug, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({
            "source": {"branch": {"name": content.head}},
            "destination": {"branch": {"name": content.base}},
            "title": content.title,
            "description": content.body,
            "close_source_branch": true,
        });
        ApiRequest::new("POST", "pullrequests", body)
    }

    fn is_already_there(&self, status: u16, message: &str) -> bool {
        matches!(status, 400 | 409) && message.to_lowercase().contains("already exists")
    }

    fn update_request(&self, listed: &ListedPullRequest, content: &PullRequestContent<'_>) -> ApiRequest {
        let body = json!({"title": content.title, "description": content.body});
        ApiRequest::new("PUT", format!("pullrequests/{}", listed.info.number), body)
    }

    fn close_requests(&self, number: u64, _: u64, reason: &str) -> [ApiRequest; 2] {
        let comment = json!({"content": {"raw": reason}});
        [
            ApiRequest::without_body("POST", format!("pullrequests/{number}/decline")),
            ApiRequest::new("POST", format!("pullrequests/{number}/comments"), comment),
        ]
    }

    /// `error.message`, with the errors of fields.
    fn error_message(&self, body: &Value) -> Option<String> {
        let error = &body["error"];
        let mut message = vec![error["message"].as_str()?.to_owned()];
        for (field, reasons) in error["fields"].as_object().into_iter().flatten() {
            let reasons = match reasons {
                Value::Array(reasons) => reasons.iter().map(text).collect::<Vec<_>>().join(", "),
                reason => text(reason),
            };
            message.push(format!("{field}: {reasons}"));
        }
        message.extend(error["detail"].as_str().map(str::to_owned));
        Some(message.join("; "))
    }
}
