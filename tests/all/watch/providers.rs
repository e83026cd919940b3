//! Pull requests on a scripted GitHub: one per branch, kept up to date, with readable errors.

use crate::support::scripted_servers::{Answer, Scripted, json as answer};
use pillion::watch::http_client::{CaCertificates, HttpClient};
use pillion::watch::providers::github::{GITHUB_TIMEOUT, GitHub};
use pillion::watch::providers::{
    OpenPullRequest, ProviderError, PullRequest, PullRequestChange, PullRequestInfo,
    PullRequestProvider as _, PullRequestState,
};
use serde_json::{Value, json};
use std::time::Duration;

fn github(server: &Scripted) -> GitHub {
    let client = HttpClient::new(GITHUB_TIMEOUT, &CaCertificates::default());
    GitHub::new(client, "git@github.com:acme/gitops.git", Some(&server.url()), "s3cr3t").unwrap()
}

const HEAD: &str = "pillion/next/log/main";

fn wanted() -> PullRequest {
    PullRequest::from_message(HEAD, "main", "log: batch 2/3\n\n6 of 21 pods.\n\nPillion-Batch: 2/3\n")
}

fn pull(number: u64, title: &str, body: &str) -> Value {
    json!({
        "number": number, "html_url": format!("https://github.com/acme/gitops/pull/{number}"),
        "title": title, "body": body, "state": "open", "merged_at": null,
        "head": {"ref": HEAD, "sha": "4f1c"}, "base": {"ref": "main"},
    })
}

fn opened(number: u64, was: PullRequestChange) -> OpenPullRequest {
    OpenPullRequest { number, url: format!("https://github.com/acme/gitops/pull/{number}"), change: was }
}

const LIST: &str = "GET /repos/acme/gitops/pulls?state=open&head=acme:pillion/next/log/main&base=main&sort=created&direction=desc&per_page=1";
const BODY: &str = "6 of 21 pods.\n\nPillion-Batch: 2/3";

#[test]
fn a_batch_is_one_pull_request_that_is_kept_up_to_date() {
    let same = pull(7, "log: batch 2/3", &BODY.replace('\n', "\r\n"));
    let server = Scripted::new([
        answer(200, json!([])),
        answer(201, pull(7, "log: batch 2/3", BODY)),
        answer(200, json!([pull(7, "log: batch 1/3", "old")])),
        answer(200, json!({})),
        answer(200, json!([same])),
    ]);
    let github = github(&server);
    assert_eq!(github.open_or_update(&wanted()), Ok(opened(7, PullRequestChange::Created)));
    assert_eq!(github.open_or_update(&wanted()), Ok(opened(7, PullRequestChange::Updated)));
    assert_eq!(github.open_or_update(&wanted()), Ok(opened(7, PullRequestChange::Unchanged)));
    let post = "POST /repos/acme/gitops/pulls";
    assert_eq!(server.lines(), [LIST, post, LIST, "PATCH /repos/acme/gitops/pulls/7", LIST]);
    let asked = server.asked();
    assert_eq!(
        asked[1].json(),
        json!({"head": HEAD, "base": "main", "title": "log: batch 2/3", "body": BODY, "maintainer_can_modify": false})
    );
    assert_eq!(asked[3].json(), json!({"title": "log: batch 2/3", "body": BODY}));
    assert!(asked.iter().all(|a| a.header("authorization") == "Bearer s3cr3t"));
    assert!(asked.iter().all(|a| a.header("x-github-api-version") == "2022-11-28"));
}

fn exists() -> Answer {
    let error = json!({"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for acme:pillion/next/log/main."});
    answer(422, json!({"message": "Validation Failed", "errors": [error]}))
}

#[test]
fn another_watcher_that_was_faster_is_no_second_pull_request() {
    let server = Scripted::new([
        answer(200, json!([])),
        exists(),
        answer(200, json!([pull(8, "log: batch 2/3", BODY)])),
    ]);
    assert_eq!(github(&server).open_or_update(&wanted()), Ok(opened(8, PullRequestChange::Unchanged)));
    let server = Scripted::new([answer(200, json!([])), exists(), answer(200, json!([]))]);
    assert!(github(&server).open_or_update(&wanted()).unwrap_err().is_retryable);
    server.asked();
}

#[test]
fn a_pull_request_is_found_wherever_it_stands() {
    let stands = |state: &str, merged: Value| {
        let mut pull = pull(7, "t", "b");
        pull["state"] = json!(state);
        pull["merged_at"] = merged;
        answer(200, json!([pull]))
    };
    let mut other = pull(6, "t", "b");
    other["head"]["ref"] = json!("feature");
    let server = Scripted::new([
        stands("open", Value::Null),
        stands("closed", json!("2026-06-19T15:00:00Z")),
        stands("closed", Value::Null),
        answer(200, json!([])),
        answer(200, json!([other])),
    ]);
    let github = github(&server);
    let url = "https://github.com/acme/gitops/pull/7".to_owned();
    let found = |state| Some(PullRequestInfo { number: 7, url: url.clone(), head: "4f1c".into(), state });
    let states = [
        found(PullRequestState::Open),
        found(PullRequestState::Merged),
        found(PullRequestState::Declined),
        None,
        None,
    ];
    for state in states {
        assert_eq!(github.find(HEAD, "main"), Ok(state));
    }
    assert!(server.lines()[0].starts_with("GET /repos/acme/gitops/pulls?state=all&"));
}

#[test]
fn closing_says_why() {
    let server = Scripted::new([answer(200, json!({})), answer(201, json!({}))]);
    github(&server).close(7, "the rollout was paused").unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].line, "PATCH /repos/acme/gitops/pulls/7");
    assert_eq!(asked[0].json(), json!({"state": "closed"}));
    assert_eq!(asked[1].line, "POST /repos/acme/gitops/issues/7/comments");
    assert_eq!(asked[1].json(), json!({"body": "the rollout was paused"}));
}

fn failure(status: u16, headers: &[(&'static str, &'static str)], body: Value) -> ProviderError {
    let server = Scripted::new([answer(200, json!([])), (status, headers.to_vec(), body.to_string())]);
    let failure = github(&server).open_or_update(&wanted()).unwrap_err();
    assert!(!failure.message.contains("s3cr3t"), "{failure}");
    failure
}

#[test]
fn limits_of_requests_say_how_long_to_wait() {
    let primary = failure(
        403,
        &[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1781881260"),
            ("date", "Fri, 19 Jun 2026 15:00:00 GMT"),
        ],
        json!({"message": "API rate limit exceeded for installation ID 1."}),
    );
    assert_eq!(
        (primary.is_retryable, primary.retry_after),
        (true, Some(Duration::from_secs(60))),
        "{primary}"
    );
    let secondary = json!({"message": "You have exceeded a secondary rate limit."});
    let error = failure(429, &[("retry-after", "17")], secondary.clone());
    assert_eq!((error.is_retryable, error.retry_after), (true, Some(Duration::from_secs(17))));
    let untold = failure(403, &[], secondary);
    assert_eq!((untold.is_retryable, untold.retry_after), (true, Some(Duration::from_secs(60))));
}

#[test]
fn refusals_say_what_to_do() {
    let invalid = |error: Value| json!({"message": "Validation Failed", "errors": [error]});
    let message = |text: &str| json!({"message": text});
    let branch = json!({"resource": "PullRequest", "field": "head", "code": "invalid"});
    let rows = [
        (401, message("Bad credentials"), false, "set PILLION_FORGE_TOKEN to a valid one"),
        (403, message("Resource not accessible by integration"), false, "pull-requests: write"),
        (
            404,
            message("Not Found"),
            false,
            "GitHub has no repository acme/gitops, or the token may not see it",
        ),
        (307, message("Moved Permanently"), false, "git remote set-url"),
        (500, message("Server Error"), true, "a retry may succeed"),
        (422, invalid(branch), true, "does not know the head branch"),
        (422, invalid(json!({"message": "No commits between main and x"})), false, "nothing to merge"),
        (
            422,
            invalid(
                json!({"message": "Repository rule violations found\n\nChanges must be made through a merge queue"}),
            ),
            false,
            "a rule of the repository",
        ),
        (
            422,
            invalid(json!("something new")),
            false,
            "GitHub refused the pull request (Validation Failed; something new)",
        ),
        (418, json!("tea"), false, "status 418 (no reason given)"),
    ];
    for (status, body, is_retryable, text) in rows {
        let failure = failure(status, &[], body);
        assert!(failure.message.contains(text), "{status}: {failure}");
        assert_eq!(failure.is_retryable, is_retryable, "{failure}");
    }
}

#[test]
fn what_is_no_github_is_said() {
    let server = Scripted::new([(200, vec![], "<html>a wiki</html>".into())]);
    let failure = github(&server).find(HEAD, "main").unwrap_err();
    assert!(failure.message.contains("does not answer as GitHub's API: set PILLION_FORGE_URL"), "{failure}");
    assert!(!failure.is_retryable);
}
