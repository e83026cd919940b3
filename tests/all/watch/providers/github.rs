//! GitHub's words.

use super::*;

pub(super) fn dialect() -> Dialect {
    Dialect {
        provider: GitProvider::GitHub,
        label: "GitHub",
        remote: "git@github.com:acme/gitops.git",
        api_path: "/api/v3",
        authorization: "Bearer s3cr3t",
        web_address: "https://github.com/acme/gitops/pull/7",
        item,
        page: |items, _| Value::Array(items),
        pages_to_end: 1,
        page_size: 5,
        list_open: "/repos/acme/gitops/pulls?state=open&head=acme:pillion/next/log/main&base=main&sort=created&direction=desc&per_page=5&page=1",
        list_all_second: "/repos/acme/gitops/pulls?state=all&head=acme:pillion/next/log/main&base=main&sort=created&direction=desc&per_page=5&page=2",
        create: (
            "POST /repos/acme/gitops/pulls",
            || json!({"head": HEAD, "base": "main", "title": "log: batch 2/3", "body": BODY, "maintainer_can_modify": false}),
        ),
        update: ("PATCH /repos/acme/gitops/pulls/7", || json!({"title": "log: batch 2/3", "body": BODY})),
        updated_status: 200,
        close: || {
            vec![
                ("PATCH /repos/acme/gitops/pulls/7", json!({"state": "closed"}), answer(200, json!({}))),
                (
                    "POST /repos/acme/gitops/issues/7/comments",
                    json!({"body": "the rollout was paused"}),
                    answer(201, json!({})),
                ),
            ]
        },
        already_there: || {
            let error = json!({"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for acme:pillion/next/log/main."});
            answer(422, json!({"message": "Validation Failed", "errors": [error]}))
        },
        error: |message| json!({"message": message}),
        permission: "pull-requests: write",
    }
}

fn item(stored: &Stored) -> Value {
    let owner = if stored.is_from_fork { "mallory" } else { "acme" };
    let merged = (stored.state == PullRequestState::Merged).then_some("2026-06-19T15:00:00Z");
    let state = if stored.state == PullRequestState::Open { "open" } else { "closed" };
    json!({
        "number": stored.number, "html_url": format!("https://github.com/acme/gitops/pull/{}", stored.number),
        "title": stored.title, "body": stored.body, "state": state, "merged_at": merged,
        "head": {"ref": stored.head, "sha": "4f1c", "repo": {"full_name": format!("{owner}/gitops")}},
        "base": {"ref": "main"},
    })
}

#[test]
fn every_request_names_the_version_of_the_api() {
    let server = Scripted::new(dialect().nothing());
    dialect().connect(&server).find(HEAD, "main").unwrap();
    assert_eq!(server.asked()[0].header("x-github-api-version"), "2022-11-28");
}

#[test]
fn limits_of_requests_say_how_long_to_wait() {
    let primary = dialect().refusal(
        403,
        &[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1781881260"),
            ("date", "Fri, 19 Jun 2026 15:00:00 GMT"),
        ],
        &json!({"message": "API rate limit exceeded for installation ID 1."}),
    );
    assert_eq!(
        (primary.is_retryable, primary.retry_after),
        (true, Some(Duration::from_secs(60))),
        "{primary}"
    );
    let secondary = json!({"message": "You have exceeded a secondary rate limit."});
    let untold = dialect().refusal(403, &[], &secondary);
    assert_eq!((untold.is_retryable, untold.retry_after), (true, Some(Duration::from_secs(60))));
}

#[test]
fn failed_validations_say_which() {
    let invalid = |error: Value| json!({"message": "Validation Failed", "errors": [error]});
    let branch = json!({"resource": "PullRequest", "field": "head", "code": "invalid"});
    let rows = [
        (invalid(branch), true, "does not know the head branch"),
        (invalid(json!({"message": "No commits between main and x"})), false, "nothing to merge"),
        (
            invalid(
                json!({"message": "Repository rule violations found\n\nChanges must be made through a merge queue"}),
            ),
            false,
            "a rule of the repository",
        ),
        (
            invalid(json!("something new")),
            false,
            "GitHub refused the pull request (Validation Failed; something new)",
        ),
        (json!("tea"), false, "GitHub refused the pull request (no reason given)"),
    ];
    for (body, is_retryable, text) in rows {
        let failure = dialect().refusal(422, &[], &body);
        assert!(failure.message.contains(text), "{failure}");
        assert_eq!(failure.is_retryable, is_retryable, "{failure}");
    }
}
